//! An amount over time, as a scenario writes it.
//!
//! ```yaml
//! cpu: 2                                              # always the same
//! cpu: {steps: [[0s, 500m], [10m, 1500m]]}            # each from its instant on
//! cpu: {ramp: [[0s, 500m], [10m, 1500m]]}             # straight lines between the points
//! cpu: {diurnal: {low: 1, high: 6, peak: 14h}}        # a day's waves
//! cpu: {csv: {file: load.csv, scale: 2m}}             # the rows of a file
//! ```

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::units::{Duration, Quantity};
use crate::model::curve::Curve;
use crate::time::{SimDuration, SimTime};

/// An amount over time.
#[derive(Clone, PartialEq, Debug)]
pub enum Amount {
    /// Always this.
    Constant(Quantity),
    /// Each value from its instant on.
    Steps(Vec<(Duration, Quantity)>),
    /// Straight lines between points; level before the first and after the last.
    Ramp(Vec<(Duration, Quantity)>),
    /// Waves.
    Diurnal(Diurnal),
    /// A file.
    Csv(Csv),
}

/// Waves: from the lowest to the highest and back, as a cosine goes.
#[derive(Clone, PartialEq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Diurnal {
    /// The lowest amount.
    pub low: Quantity,
    /// The highest amount.
    pub high: Quantity,
    /// From peak to peak. Default 24h.
    #[serde(default = "day")]
    pub period: Duration,
    /// When the first peak is. Default: after half a period, so that a run begins at the lowest point.
    #[serde(default)]
    pub peak: Option<Duration>,
}

/// A file of numbers, one row an instant.
#[derive(Clone, PartialEq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Csv {
    /// The file, relative to the scenario. Lines that do not begin with a number are passed over.
    pub file: String,
    /// The column of the amount, from 1. Default 2.
    #[serde(default = "second_column")]
    pub column: usize,
    /// The column of the time in seconds, from 1. Default 1. With `every` no such column is needed.
    #[serde(default = "first_column")]
    pub time: usize,
    /// Rows are this far apart, whatever their time says.
    #[serde(default)]
    pub every: Option<Duration>,
    /// What one unit of the column is. Default 1.
    #[serde(default = "one")]
    pub scale: Quantity,
    /// The rows as read: time, and the number in thousandths.
    #[serde(skip)]
    pub rows: Vec<(SimTime, i64)>,
}

fn day() -> Duration {
    Duration::secs(86_400)
}
fn first_column() -> usize {
    1
}
fn second_column() -> usize {
    2
}
fn one() -> Quantity {
    Quantity(crate::model::quantity::Quantity::units(1))
}

/// Points of a wave, 5° apart: lines between them are within a thousandth of its height of a cosine.
const POINTS: i64 = 72;

impl Csv {
    /// Reads the rows of a file.
    ///
    /// # Errors
    /// The line and what is wrong with it.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        self.rows.clear();
        for (number, line) in text.lines().enumerate() {
            let fields: Vec<&str> = line.split([',', ';', '\t']).map(|field| field.trim().trim_matches('"')).collect();
            let number_at = |column: usize| fields.get(column.wrapping_sub(1)).and_then(|text| milli(text));
            if fields[0].parse::<f64>().is_err() {
                continue;
            }
            let bad = |what: &str, column: usize| format!("line {}: no {what} in column {column}", number + 1);
            let amount = number_at(self.column).ok_or_else(|| bad("amount", self.column))?;
            let at = match self.every {
                Some(every) => SimTime::ZERO + every.0 * self.rows.len() as i64,
                None => SimTime(number_at(self.time).ok_or_else(|| bad("time", self.time))? * 1_000_000),
            };
            if self.rows.last().is_some_and(|(last, _)| *last > at) {
                return Err(format!("line {}: earlier than the line before", number + 1));
            }
            self.rows.push((at, amount));
        }
        if self.rows.is_empty() { Err("no line begins with a number".to_string()) } else { Ok(()) }
    }
}

/// A decimal number in thousandths.
fn milli(text: &str) -> Option<i64> {
    crate::model::quantity::parse_quantity(text).ok().map(|amount| amount.milli())
}

/// The unit in which a curve counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Thousandths: of a core, or of whatever a metric counts.
    Milli,
    /// Whole ones: bytes.
    Whole,
}

impl Amount {
    /// As a curve in that unit.
    pub fn curve(&self, unit: Unit) -> Curve<SimTime> {
        let value = |amount: &Quantity| match unit {
            Unit::Milli => amount.0.milli(),
            Unit::Whole => amount.0.whole(),
        };
        let points = |points: &[(Duration, Quantity)]| -> Vec<(SimTime, i64)> {
            points.iter().map(|(at, amount)| (SimTime::ZERO + at.0, value(amount))).collect()
        };
        match self {
            Amount::Constant(amount) => Curve::constant(value(amount)),
            Amount::Steps(steps) => Curve::steps(&points(steps)),
            Amount::Ramp(ramp) => Curve::through(points(ramp)),
            Amount::Diurnal(wave) => wave.curve(value(&wave.low), value(&wave.high)),
            Amount::Csv(csv) => {
                let scale = i128::from(value(&csv.scale));
                let scaled = |milli: i64| (i128::from(milli) * scale / 1000) as i64;
                let rows: Vec<_> = csv.rows.iter().map(|(at, milli)| (*at, scaled(*milli))).collect();
                Curve::steps(&rows)
            }
        }
    }

    /// What is wrong with it, if anything, and what would be right.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let below = |amount: &Quantity| amount.0.nano < 0;
        match self {
            Amount::Constant(amount) if below(amount) => Some(("a negative amount", "write 0 or more")),
            Amount::Steps(points) | Amount::Ramp(points) => match points {
                points if points.is_empty() => Some(("no points", "write [[0s, 500m], [10m, 2]]")),
                points if points.iter().any(|(at, amount)| below(amount) || at.0.0 < 0) => {
                    Some(("a negative amount or time", "write 0 or more"))
                }
                points if !points.is_sorted_by_key(|point| point.0) => {
                    Some(("points out of order", "write the earlier first"))
                }
                _ => None,
            },
            Amount::Diurnal(wave) if wave.low > wave.high || below(&wave.low) => {
                Some(("`low` must be 0 or more and at most `high`", "write {low: 1, high: 6}"))
            }
            Amount::Diurnal(wave) if wave.period.0.0 < 60_000_000_000 => {
                Some(("a period below a minute", "write a duration such as 24h"))
            }
            Amount::Csv(csv) if csv.column == 0 || csv.time == 0 => Some(("columns count from 1", "write 1 or more")),
            Amount::Csv(csv) if csv.every.is_some_and(|every| every.0.0 <= 0) => {
                Some(("rows must be some time apart", "write a duration such as 60s"))
            }
            _ => None,
        }
    }

    /// The file it comes from, if it does.
    pub fn csv_mut(&mut self) -> Option<&mut Csv> {
        match self {
            Amount::Csv(csv) => Some(csv),
            _ => None,
        }
    }
}

impl Diurnal {
    /// The wave over many periods: a run is never longer.
    fn curve(&self, low: i64, high: i64) -> Curve<SimTime> {
        const PERIODS: i64 = 400;
        let (period, half) = (self.period.0, SimDuration(self.period.0.0 / 2));
        let peak = self.peak.map_or(half, |peak| peak.0);
        // The first trough at or before the start.
        let mut trough = SimTime::ZERO + peak - half;
        while trough > SimTime::ZERO {
            trough = trough - period;
        }
        let knots = (0..POINTS * PERIODS).map(|index| {
            let at = SimTime(trough.0 + period.0 / POINTS * index);
            (at, low + (i128::from(high - low) * i128::from(raised(index % POINTS)) / 1_000_000) as i64)
        });
        Curve::through(knots.collect())
    }
}

/// (1 - cos 5°·n) / 2 in millionths, for a quarter of a wave.
const RAISED: [i64; 19] = [
    0, 1_903, 7_596, 17_037, 30_154, 46_846, 66_987, 90_424, 116_978, 146_447, 178_606, 213_212, 250_000, 288_691,
    328_990, 370_590, 413_176, 456_422, 500_000,
];

/// (1 - cos 5°·index) / 2 in millionths, for a whole wave of 72 points.
fn raised(index: i64) -> i64 {
    let half = index.min(POINTS - index);
    match usize::try_from(half.min(36 - half)) {
        Ok(quarter) if half <= 18 => RAISED[quarter],
        Ok(quarter) => 1_000_000 - RAISED[quarter],
        Err(_) => 0,
    }
}

const SHAPES: &[&str] = &["steps", "ramp", "diurnal", "csv"];

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        enum Shape {
            Steps(Vec<(Duration, Quantity)>),
            Ramp(Vec<(Duration, Quantity)>),
            Diurnal(Diurnal),
            Csv(Csv),
        }
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount, or one over time; write 2 or {steps: [[0s, 1], [10m, 3]]}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Quantity::deserialize(de::value::StrDeserializer::new(text)).map(Amount::Constant)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Amount, A::Error> {
                Ok(match Shape::deserialize(MapAccessDeserializer::new(map))? {
                    Shape::Steps(points) => Amount::Steps(points),
                    Shape::Ramp(points) => Amount::Ramp(points),
                    Shape::Diurnal(wave) => Amount::Diurnal(wave),
                    Shape::Csv(csv) => Amount::Csv(csv),
                })
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let quantity = generator.subschema_for::<Quantity>();
        let (wave, csv) = (generator.subschema_for::<Diurnal>(), generator.subschema_for::<Csv>());
        let point = generator.subschema_for::<(Duration, Quantity)>();
        let points = json_schema!({ "type": "array", "items": point, "minItems": 1 });
        assert_eq!(SHAPES.len(), 4);
        json_schema!({
            "description": "An amount, or exactly one way in which it changes over time.",
            "anyOf": [
                quantity,
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": false,
                    "properties": { "steps": points, "ramp": points, "diurnal": wave, "csv": csv },
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Amount {
        crate::wire::typed::read(&value).unwrap()
    }

    #[test]
    fn every_form_becomes_a_curve() {
        let wave = json!({"diurnal": {"low": 1, "high": 5, "period": "24h", "peak": "12h"}});
        // (what is written, [(hour, milli)])
        let table = [
            (json!(2), vec![(0, 2000), (9, 2000)]),
            (json!("500m"), vec![(3, 500)]),
            (json!({"steps": [["0s", "500m"], ["2h", 3]]}), vec![(0, 500), (1, 500), (2, 3000), (9, 3000)]),
            (json!({"ramp": [["0s", 0], ["10h", 1]]}), vec![(0, 0), (5, 500), (20, 1000)]),
            // Low at midnight, high at noon, half way at six; the next day the same.
            (wave, vec![(0, 1000), (6, 3000), (12, 5000), (18, 3000), (24, 1000), (36, 5000)]),
        ];
        for (written, points) in table {
            let curve = read(written.clone()).curve(Unit::Milli);
            for (hour, milli) in points {
                assert_eq!(curve.at(SimTime::from_secs(hour * 3600)), milli, "{written} at {hour} h");
            }
        }
        assert_eq!(read(json!("64Mi")).curve(Unit::Whole).at(SimTime::ZERO), 64 << 20);
    }

    #[test]
    fn rows_of_a_file_are_steps() {
        let Amount::Csv(mut csv) = read(json!({"csv": {"file": "x.csv", "scale": "2m"}})) else { panic!("a file") };
        csv.read("seconds,requests\n0,10\n60,25.5\n").unwrap();
        let curve = Amount::Csv(csv.clone()).curve(Unit::Milli);
        assert_eq!([0, 59, 60].map(|second| curve.at(SimTime::from_secs(second))), [20, 20, 51]);
        assert_eq!(csv.read("0\n"), Err("line 1: no amount in column 2".to_string()));
        assert_eq!(csv.read("a,b\n"), Err("no line begins with a number".to_string()));
        assert_eq!(csv.read("9,1\n3,1\n"), Err("line 2: earlier than the line before".to_string()));
    }

    #[test]
    fn faults_are_named() {
        let faulty = [
            json!(-1),
            json!({"steps": []}),
            json!({"ramp": [["5s", 1], ["1s", 2]]}),
            json!({"diurnal": {"low": 3, "high": 2}}),
            json!({"csv": {"file": "x", "column": 0}}),
        ];
        for written in faulty {
            assert!(read(written.clone()).fault().is_some(), "{written}");
        }
    }
}
