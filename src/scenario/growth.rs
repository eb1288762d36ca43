//! How an amount changes while a container runs.
//!
//! ```yaml
//! memory: {absolute: 100Mi}           # what it starts with
//! memoryGrowth: {rate: 10Mi/m, after: 2m, upTo: 1Gi}
//! memoryGrowth: {steps: [{at: 5m, to: 800Mi}, {at: 6m, to: 200Mi}]}
//! ```

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

use super::units::{Duration, Quantity};
use crate::model::curve::Curve;
use crate::model::quantity::parse_quantity;
use crate::time::SimDuration;

/// What an amount that grows without an end comes to: an exbibyte is more than any machine has.
const ENDLESS: i64 = 1 << 60;

/// How an amount changes while the container runs: at a `rate`, or in `steps`.
#[derive(Clone, PartialEq, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Growth {
    /// So much more in so much time: `10Mi/m`.
    pub rate: Option<Rate>,
    /// When the growth begins, from the start of the container. Default: at once.
    pub after: Option<Duration>,
    /// Where the growth ends. Default: nowhere.
    pub up_to: Option<Quantity>,
    /// Jumps to other amounts, in order of time.
    pub steps: Vec<GrowthStep>,
}

/// A jump.
#[derive(Clone, Copy, PartialEq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrowthStep {
    /// When, from the start of the container.
    pub at: Duration,
    /// To this amount.
    pub to: Quantity,
}

/// An amount in a time: `10Mi/m`, `1Gi/h`, `500Ki/s`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// So much
    pub amount: i64,
    /// in this time.
    pub each: SimDuration,
}

impl Rate {
    /// Reads `10Mi/m`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let help = "write an amount for each second, minute or hour, such as 10Mi/m";
        let (amount, time) = text.split_once('/').ok_or_else(|| format!("invalid rate {text:?}; {help}"))?;
        let amount = parse_quantity(amount.trim()).map_err(|why| format!("invalid rate {text:?}: {why}; {help}"))?;
        let time = time.trim();
        let each = match time {
            "s" | "m" | "h" => SimDuration::parse(&format!("1{time}")),
            "d" => Ok(SimDuration::from_secs(86_400)),
            other => SimDuration::parse(other),
        };
        match each {
            Ok(each) if each.0 > 0 => Ok(Rate { amount: amount.whole(), each }),
            _ => Err(format!("invalid rate {text:?}; {help}")),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Rate::parse(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount in a time: 10Mi/m, 1Gi/h, 500Ki/s.",
            "type": "string",
            "pattern": "^[0-9.]+([a-zA-Z]*)/([0-9.]*)(ms|s|m|h|d)$",
        })
    }
}

impl Growth {
    /// The amount over time of what starts with `start`.
    pub fn curve(&self, start: i64) -> Curve {
        let steps = self.steps.iter().map(|step| (step.at.0, step.to.0.whole()));
        let mut curve = Curve::steps(&[(SimDuration::ZERO, start)].into_iter().chain(steps).collect::<Vec<_>>());
        if let Some(rate) = self.rate {
            let most = self.up_to.map_or(ENDLESS, |most| most.0.whole());
            curve.grow(self.after.unwrap_or_default().0, rate.amount, rate.each, most);
        }
        curve
    }

    /// What is wrong with it: the field, the fault, and what to do.
    pub fn fault(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let descending = self.steps.windows(2).any(|pair| pair[0].at > pair[1].at);
        match (self.rate, self.steps.is_empty()) {
            (Some(_), false) => Some(("", "both `rate` and `steps` are given", "give exactly one: rate: 10Mi/m")),
            (None, true) => Some(("", "neither `rate` nor `steps` is given", "give exactly one: rate: 10Mi/m")),
            (None, false) if self.after.is_some() => Some((".after", "`after` goes with `rate`", "remove it")),
            (None, false) if self.up_to.is_some() => Some((".upTo", "`upTo` goes with `rate`", "remove it")),
            (Some(rate), _) if rate.amount <= 0 => {
                Some((".rate", "the rate must be positive", "write an amount in a time, such as 10Mi/m"))
            }
            _ if descending => Some((".steps", "a step is earlier than the one before it", "write the earlier first")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let table = [
            ("10Mi/m", Some((10 << 20, 60))),
            ("1Gi / h", Some((1 << 30, 3600))),
            ("5/10s", Some((5, 10))),
            ("1Ti/d", Some((1 << 40, 86_400))),
            ("10Mi", None),
            ("x/m", None),
            ("1/0s", None),
        ];
        for (text, expected) in table {
            let rate = Rate::parse(text).ok().map(|rate| (rate.amount, rate.each.0 / 1_000_000_000));
            assert_eq!(rate, expected, "{text}");
        }
    }
}
