//! Values as a scenario writes them: durations, quantities, distributions, object references.
//!
//! ```yaml
//! startTime: 2s                                   # always the same
//! startTime: {uniform: [1.5s, 2s]}                # between the two
//! startTime: {normal: {mean: 2s, deviation: 300ms}}
//! startTime: {lognormal: {median: 2s, sigma: 0.4}}
//! startTime: {exponential: 2s}                     # the mean; also {exponential: {mean: 2s}}
//! startTime: {weibull: {scale: 2s, shape: 0.7}}
//! ```

pub use super::indexes::IndexList;
use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::model::Kind;
use crate::model::custom::CustomKinds;
use crate::model::quantity::{self, parse_quantity};
use crate::rng::{Delay, Stream};
use crate::time::SimDuration;

/// A length of time in Kubernetes' notation: `300ms`, `1.5s`, `10m`, `1h30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Duration(pub SimDuration);

/// An amount in Kubernetes' notation: `500m`, `4`, `16Gi`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Quantity(pub quantity::Quantity);

/// A plain factor, such as a fraction of a request.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Factor(pub f64);

/// Something a distribution can be over.
pub trait Unit: Sized + Copy + for<'de> Deserialize<'de> + JsonSchema {
    /// The value in its base unit: seconds, cores, bytes.
    fn to_f64(self) -> f64;
    /// The value nearest to a sample; negative samples become zero.
    fn from_f64(sample: f64) -> Self;
}

impl Duration {
    /// `n` seconds.
    pub const fn secs(n: i64) -> Self {
        Duration(SimDuration::from_secs(n))
    }
    /// `n` milliseconds.
    pub const fn millis(n: i64) -> Self {
        Duration(SimDuration::from_millis(n))
    }
}

impl Unit for Duration {
    fn to_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
    fn from_f64(sample: f64) -> Self {
        Duration(SimDuration::from_secs_f64(sample.max(0.0)))
    }
}
impl Unit for Quantity {
    fn to_f64(self) -> f64 {
        self.0.as_f64()
    }
    fn from_f64(sample: f64) -> Self {
        Quantity(quantity::Quantity::from_milli((sample.max(0.0) * 1_000.0).round() as i64))
    }
}
impl Unit for Factor {
    fn to_f64(self) -> f64 {
        self.0
    }
    fn from_f64(sample: f64) -> Self {
        Factor(sample.max(0.0))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;
        impl Visitor<'_> for DurationVisitor {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration; write a number with a unit, such as 300ms, 1.5s, 10m, 1h30m")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                SimDuration::parse(text).map(Duration).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
                let text = number.to_string();
                SimDuration::parse(&text).map(Duration).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(DurationVisitor)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantityVisitor;
        impl Visitor<'_> for QuantityVisitor {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity; write one such as 500m, 4 or 16Gi")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                let help =
                    "; write a number with an optional unit, such as 500m, 4, 1.5Gi (units: m k M G T, Ki Mi Gi Ti)";
                parse_quantity(text)
                    .map(Quantity)
                    .map_err(|why| E::custom(format!("invalid quantity {text:?}: {why}{help}")))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(QuantityVisitor)
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Factor)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: a number with a unit, such as 300ms, 1.5s, 10m, 1h30m (ns us ms s m h d).",
            "type": "string",
            "pattern": "^[-+]?(0|([0-9]*\\.?[0-9]+(ns|us|µs|ms|s|m|h|d))+)$",
            "examples": ["300ms", "1.5s", "10m", "1h30m"],
        })
    }
}
impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount in Kubernetes' notation, such as 500m, 4 or 16Gi.",
            "type": ["string", "number"],
            "pattern": "^[+-]?[0-9.]+([eE][-+]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$",
            "examples": ["500m", "4", "16Gi"],
        })
    }
}
impl JsonSchema for Factor {
    fn schema_name() -> Cow<'static, str> {
        "Factor".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A plain number; 1 is the whole.", "type": "number", "minimum": 0 })
    }
}

/// A constant, or what to draw from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Distribution<U> {
    /// Always this.
    Constant(U),
    /// Between the two, all equally likely.
    Uniform(U, U),
    /// Normal; negative draws count as zero.
    Normal {
        /// The mean.
        mean: U,
        /// The standard deviation.
        deviation: U,
    },
    /// Log-normal: most draws near the median, some far above.
    Lognormal {
        /// Half of the draws are below this.
        median: U,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// Exponential.
    Exponential {
        /// The mean.
        mean: U,
    },
    /// Weibull: of lifetimes that fail early (shape below 1) or wear out (above 1).
    Weibull {
        /// 63 of 100 draws are below this.
        scale: U,
        /// The shape; 1 is exponential.
        shape: f64,
    },
}

impl<U: Unit> Distribution<U> {
    /// One draw. A constant draws nothing from the stream.
    pub fn sample(&self, stream: &mut Stream) -> U {
        match *self {
            Distribution::Constant(value) => value,
            Distribution::Uniform(low, high) => U::from_f64(stream.uniform(low.to_f64(), high.to_f64())),
            Distribution::Normal { mean, deviation } => U::from_f64(stream.normal(mean.to_f64(), deviation.to_f64())),
            Distribution::Lognormal { median, sigma } => U::from_f64(stream.lognormal(median.to_f64(), sigma)),
            Distribution::Exponential { mean } => U::from_f64(stream.exponential(mean.to_f64())),
            Distribution::Weibull { scale, shape } => U::from_f64(stream.weibull(scale.to_f64(), shape)),
        }
    }

    /// What is wrong with the parameters, if anything.
    fn fault(&self) -> Option<&'static str> {
        let negative = |value: U| value.to_f64() < 0.0;
        match *self {
            Distribution::Constant(value) if negative(value) => Some("a negative value"),
            Distribution::Uniform(low, high) if negative(low) || low.to_f64() > high.to_f64() => {
                Some("uniform needs 0 <= low <= high; write [low, high]")
            }
            Distribution::Normal { mean, deviation } if negative(mean) || negative(deviation) => {
                Some("a negative mean or deviation")
            }
            Distribution::Lognormal { median, sigma } if median.to_f64() <= 0.0 || !(0.0..=10.0).contains(&sigma) => {
                Some("lognormal needs median > 0 and sigma from 0 to 10")
            }
            Distribution::Exponential { mean } if negative(mean) => Some("a negative mean"),
            Distribution::Weibull { scale, shape } if scale.to_f64() <= 0.0 || !(0.05..=50.0).contains(&shape) => {
                Some("weibull needs scale > 0 and shape from 0.05 to 50")
            }
            _ => None,
        }
    }
}

impl From<Distribution<Duration>> for Delay {
    /// A length that may vary, as the runtime and the kubelets draw it.
    fn from(written: Distribution<Duration>) -> Delay {
        match written {
            Distribution::Constant(length) => Delay::Constant(length.0),
            Distribution::Uniform(low, high) => Delay::Uniform(low.0, high.0),
            Distribution::Normal { mean, deviation } => Delay::Normal(mean.0, deviation.0),
            Distribution::Lognormal { median, sigma } => Delay::LogNormal(median.0, sigma),
            Distribution::Exponential { mean } => Delay::Exponential(mean.0),
            Distribution::Weibull { scale, shape } => Delay::Weibull(scale.0, shape),
        }
    }
}

/// The parameters of a normal distribution.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(bound = "U: Unit")]
struct NormalParameters<U> {
    /// The mean.
    mean: U,
    /// The standard deviation.
    deviation: U,
}
/// The parameters of a log-normal distribution.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(bound = "U: Unit")]
struct LognormalParameters<U> {
    /// Half of the draws are below this.
    median: U,
    /// The standard deviation of the logarithm.
    sigma: f64,
}
/// The parameters of an exponential distribution.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(bound = "U: Unit")]
struct ExponentialParameters<U> {
    /// The mean.
    mean: U,
}
/// The parameters of a Weibull distribution.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(bound = "U: Unit")]
struct WeibullParameters<U> {
    /// 63 of 100 draws are below this.
    scale: U,
    /// The shape: below 1 for early failures, 1 for a constant rate, above 1 for wear.
    shape: f64,
}

/// The mean of an exponential distribution, alone or by its name.
struct Mean<U>(U);

impl<'de, U: Unit> Deserialize<'de> for Mean<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MeanVisitor<U>(std::marker::PhantomData<U>);
        impl<'de, U: Unit> Visitor<'de> for MeanVisitor<U> {
            type Value = Mean<U>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the mean; write {exponential: 2s}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mean<U>, E> {
                U::deserialize(de::value::StrDeserializer::new(text)).map(Mean)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Mean<U>, E> {
                U::deserialize(de::value::U64Deserializer::new(number)).map(Mean)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Mean<U>, E> {
                U::deserialize(de::value::F64Deserializer::new(number)).map(Mean)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mean<U>, A::Error> {
                let read = ExponentialParameters::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Mean(read.mean))
            }
        }
        deserializer.deserialize_any(MeanVisitor(std::marker::PhantomData))
    }
}

const SHAPES: &[&str] = &["constant", "uniform", "normal", "lognormal", "exponential", "weibull"];

impl<'de, U: Unit> Deserialize<'de> for Distribution<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes<U>(std::marker::PhantomData<U>);
        impl<'de, U: Unit> Visitor<'de> for Shapes<U> {
            type Value = Distribution<U>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a distribution; write 2s or {uniform: [1s, 2s]}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                U::deserialize(de::value::StrDeserializer::new(text)).map(Distribution::Constant)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                U::deserialize(de::value::U64Deserializer::new(number)).map(Distribution::Constant)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                U::deserialize(de::value::I64Deserializer::new(number)).map(Distribution::Constant)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                U::deserialize(de::value::F64Deserializer::new(number)).map(Distribution::Constant)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let one = "expected exactly one of constant, uniform, normal, lognormal, exponential, weibull; \
                           write {uniform: [1s, 2s]}";
                let Some(shape) = map.next_key::<String>()? else { return Err(de::Error::custom(one)) };
                let distribution = match shape.as_str() {
                    "constant" => Distribution::Constant(map.next_value()?),
                    "uniform" => {
                        let (low, high) = map.next_value()?;
                        Distribution::Uniform(low, high)
                    }
                    "normal" => {
                        let NormalParameters { mean, deviation } = map.next_value()?;
                        Distribution::Normal { mean, deviation }
                    }
                    "lognormal" => {
                        let LognormalParameters { median, sigma } = map.next_value()?;
                        Distribution::Lognormal { median, sigma }
                    }
                    "exponential" => {
                        let Mean(mean) = map.next_value()?;
                        Distribution::Exponential { mean }
                    }
                    "weibull" => {
                        let WeibullParameters { scale, shape } = map.next_value()?;
                        Distribution::Weibull { scale, shape }
                    }
                    other => return Err(de::Error::unknown_variant(other, SHAPES)),
                };
                match map.next_key::<String>()? {
                    Some(_) => Err(de::Error::custom(one)),
                    None => Ok(distribution),
                }
            }
        }
        let distribution = deserializer.deserialize_any(Shapes(std::marker::PhantomData))?;
        match distribution.fault() {
            Some(fault) => Err(de::Error::custom(fault)),
            None => Ok(distribution),
        }
    }
}

impl<U: Unit> JsonSchema for Distribution<U> {
    fn schema_name() -> Cow<'static, str> {
        format!("DistributionOf{}", U::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<U>();
        let normal = generator.subschema_for::<NormalParameters<U>>();
        let lognormal = generator.subschema_for::<LognormalParameters<U>>();
        let exponential = generator.subschema_for::<ExponentialParameters<U>>();
        let weibull = generator.subschema_for::<WeibullParameters<U>>();
        json_schema!({
            "description": "A value, or exactly one of the distributions to draw it from.",
            "anyOf": [
                value,
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": false,
                    "properties": {
                        "constant": value,
                        "uniform": { "type": "array", "items": value, "minItems": 2, "maxItems": 2 },
                        "normal": normal,
                        "lognormal": lognormal,
                        "exponential": { "anyOf": [value, exponential] },
                        "weibull": weibull,
                    },
                },
            ],
        })
    }
}

/// What a container uses: an amount, or a share of what it requests.
#[derive(Clone, Copy, PartialEq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Usage {
    /// This amount: `absolute: 250m`.
    Absolute(Distribution<Quantity>),
    /// This share of the request: `ofRequest: 0.5`.
    OfRequest(Distribution<Factor>),
}

/// An object by kind and name, as `kubectl` takes it: `deployment/web`, `pod/web-0`, `node/small-1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ObjectRef {
    /// The kind; one that the API serves.
    pub kind: Kind,
    /// The object's name.
    pub name: String,
    /// The word for a kind that is not built in; the kind is known once [`ObjectRef::bind`] found it.
    pub custom: Option<String>,
}

impl ObjectRef {
    /// Reads `kind/name`.
    ///
    /// # Errors
    /// What is wrong and what could be meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((written, name)) = text.split_once('/') else {
            return Err(format!(
                "expected kind/name, found {text:?}; write it as kubectl does, such as deployment/web"
            ));
        };
        match Kind::parse(written).filter(|kind| kind.is_api()) {
            Some(kind) if !name.is_empty() => Ok(ObjectRef { kind, name: name.to_string(), custom: None }),
            None if !name.is_empty() => {
                Ok(ObjectRef { kind: Kind::ANY_CUSTOM, name: name.to_string(), custom: Some(written.to_string()) })
            }
            _ => Err(format!("missing name after {written:?}; write it as {written}/NAME")),
        }
    }

    /// Finds the kind among the custom ones, if it is not built in.
    ///
    /// # Errors
    /// What could be meant instead.
    pub fn bind(&mut self, kinds: &CustomKinds) -> Result<(), String> {
        let Some(written) = &self.custom else { return Ok(()) };
        let name = &self.name;
        match kinds.parse(written) {
            Some(kind) => {
                self.kind = kind;
                Ok(())
            }
            None => {
                let served = Kind::ALL.iter().filter(|kind| kind.is_api());
                let mut words: Vec<String> = served.map(|kind| kind.as_str().to_lowercase()).collect();
                words.extend(kinds.iter().map(|kind| kind.as_str().to_lowercase()));
                let near = crate::error::did_you_mean(&written.to_lowercase(), words.iter().map(String::as_str));
                let help = near.map_or_else(
                    || format!("the kinds are {}", words.join(", ")),
                    |near| format!("did you mean `{near}/{name}`?"),
                );
                Err(format!("unknown kind {written:?}; {help}"))
            }
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str().to_lowercase(), self.name)
    }
}
impl<'de> Deserialize<'de> for ObjectRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        ObjectRef::parse(&text).map_err(de::Error::custom)
    }
}
impl JsonSchema for ObjectRef {
    fn schema_name() -> Cow<'static, str> {
        "ObjectRef".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An object as kubectl names it: kind/name, such as deployment/web.",
            "type": "string",
            "pattern": "^[A-Za-z][-A-Za-z0-9.]*/.+$",
            "examples": ["deployment/web", "pod/web-0"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use serde_json::json;

    #[test]
    fn distributions_read_in_every_form() {
        let read = |value: serde_json::Value| crate::wire::typed::read::<Distribution<Duration>>(&value);
        assert_eq!(read(json!("2s")), Ok(Distribution::Constant(Duration::secs(2))));
        let uniform = Distribution::Uniform(Duration::millis(1500), Duration::secs(2));
        assert_eq!(read(json!({"uniform": ["1.5s", "2s"]})), Ok(uniform));
        for wrong in [
            json!(5),
            json!({}),
            json!({"uniform": ["2s", "1s"]}),
            json!({"uniform": ["1s"]}),
            json!({"unifrom": ["1s", "2s"]}),
            json!({"normal": {"mean": "1s", "sigma": 2}}),
            json!({"constant": "1s", "uniform": ["1s", "2s"]}),
            json!([1]),
        ] {
            let problems = read(wrong.clone()).unwrap_err();
            assert!(problems.iter().all(|p| !p.help.is_empty()), "{wrong}: {problems:?}");
        }
        let mut stream = Seed(1).stream("start", "a");
        for _ in 0..100 {
            let drawn = uniform.sample(&mut stream).0.0;
            assert!((1_500_000_000..2_000_000_000).contains(&drawn));
        }
    }

    #[test]
    fn object_references_take_kubectl_words() {
        assert_eq!(ObjectRef::parse("deploy/web").map(|o| o.kind), Ok(Kind::Deployment));
        assert_eq!(ObjectRef::parse("svc/web").map(|o| o.to_string()), Ok("service/web".to_string()));
        let unknown = ObjectRef::parse("deploymnet/web").and_then(|mut object| object.bind(&CustomKinds::default()));
        assert!(unknown.unwrap_err().contains("did you mean `deployment/web`?"));
        assert!(ObjectRef::parse("web").is_err());
    }
}
