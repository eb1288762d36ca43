//! When requests come: rates over time, and recordings.

use super::units::{Duration, Factor};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::borrow::Cow;

fn one() -> Factor {
    Factor(1.0)
}

/// When requests come.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Arrivals {
    /// Evenly.
    Constant(Rate),
    /// At random.
    Poisson(Rate),
    /// At random, with two rates that take turns: a Markov-modulated Poisson process.
    Bursty(Bursty),
    /// At random, with a rate that follows the time of day as a sine.
    Diurnal(Diurnal),
    /// At random, with a rate from each instant on.
    Steps(Vec<RateStep>),
    /// At random, with a rate that grows or falls evenly and then stays.
    Ramp(Ramp),
    /// At random, with the rates of a recording.
    Replay(Replay),
    /// At the instants of a recording.
    Trace(Trace),
}

/// A recording of single requests, one to a row.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trace {
    /// A CSV file with a header; its path is relative to the scenario file.
    pub file: String,
    /// The column with the time in seconds. The first row is at the client's start. Default `time_s`.
    #[serde(default = "default_time_column")]
    pub time: String,
    /// A column with sizes: a request takes its service time so many times. Absent: once.
    #[serde(default)]
    pub size: Option<String>,
    /// How many times as fast as recorded. Default 1.
    #[serde(default = "one")]
    pub speed: Factor,
    /// Seconds from the first, and sizes, once the file is read.
    #[serde(skip)]
    pub rows: std::sync::Arc<Vec<(f64, f32)>>,
}

fn default_time_column() -> String {
    "time_s".to_string()
}

impl Trace {
    /// Takes the requests out of the text of the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        let times = column(text, &self.time, "time in seconds")?;
        let sizes = match &self.size {
            Some(size) => column(text, size, "size")?,
            None => vec![1.0; times.len()],
        };
        if let Some(row) = times.windows(2).position(|pair| pair[1] < pair[0]) {
            return Err(format!("row {}: its time is before that of the row above", row + 3));
        }
        let first = times.first().copied().unwrap_or_default();
        let speed = self.speed.0.max(1e-9);
        let rows = times.into_iter().zip(sizes).map(|(time, size)| ((time - first) / speed, size as f32));
        self.rows = std::sync::Arc::new(rows.collect());
        Ok(())
    }
}

/// The numbers of a column of a CSV file.
fn column(text: &str, name: &str, what: &str) -> Result<Vec<f64>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| error.to_string())?.clone();
    let at = head
        .iter()
        .position(|have| have.trim() == name)
        .ok_or_else(|| format!("no column {name:?}; there is {}", head.iter().collect::<Vec<_>>().join(", ")))?;
    let number = |(row, record): (usize, csv::Result<csv::StringRecord>)| {
        let record = record.map_err(|error| error.to_string())?;
        let cell = record.get(at).unwrap_or_default().trim();
        let number = cell.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| format!("row {}: {cell:?} is no {what}", row + 2))
    };
    reader.records().enumerate().map(number).collect()
}

/// A recording of how many requests came in each interval.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replay {
    /// A CSV file with a header; its path is relative to the scenario file.
    pub file: String,
    /// The column with the number of requests. Default `requests`.
    #[serde(default = "default_column")]
    pub column: String,
    /// How long an interval is. Default 1m.
    #[serde(default = "default_interval")]
    pub interval: Duration,
    /// What the numbers are multiplied with. Default 1.
    #[serde(default = "one")]
    pub scale: Factor,
    /// The numbers, once the file is read.
    #[serde(skip)]
    pub counts: std::sync::Arc<Vec<f64>>,
}

fn default_column() -> String {
    "requests".to_string()
}
fn default_interval() -> Duration {
    Duration::secs(60)
}

impl Replay {
    /// Takes the numbers out of the text of the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        self.counts = std::sync::Arc::new(column(text, &self.column, "number of requests")?);
        Ok(())
    }
}

/// Two rates that take turns.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bursty {
    /// The usual rate.
    pub low: Rate,
    /// The rate within bursts.
    pub high: Rate,
    /// Mean length of the time between bursts.
    pub low_time: Duration,
    /// Mean length of a burst.
    pub high_time: Duration,
}

/// A rate by the time of day.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Diurnal {
    /// The mean rate.
    pub mean: Rate,
    /// How far the rate goes from the mean, as a share of it, up to 1.
    pub amplitude: Factor,
    /// Length of a day. Default 24h.
    #[serde(default = "default_day")]
    pub period: Duration,
    /// When the rate is highest, from the start of the run. Default: after half a period.
    #[serde(default)]
    pub peak: Option<Duration>,
}

fn default_day() -> Duration {
    Duration::secs(24 * 3600)
}

/// A rate from an instant on.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateStep {
    /// The instant.
    pub at: Duration,
    /// The rate.
    pub rate: Rate,
}

/// A rate that grows or falls.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// At the client's start.
    pub from: Rate,
    /// At the end of the ramp and from then on.
    pub to: Rate,
    /// How long the ramp is.
    pub over: Duration,
}

/// How often: `200/s`, `90/m`, `5/h`; a plain number is for each second.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Rate(pub f64);

impl Rate {
    fn parse(text: &str) -> Option<Rate> {
        let (number, seconds) = match text.split_once('/') {
            None => (text, 1.0),
            Some((number, "s")) => (number, 1.0),
            Some((number, "m" | "min")) => (number, 60.0),
            Some((number, "h")) => (number, 3600.0),
            Some(_) => return None,
        };
        let number: f64 = number.trim().parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(Rate(number / seconds))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RateVisitor;
        impl Visitor<'_> for RateVisitor {
            type Value = Rate;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a rate; write one such as 200/s, 90/m or 5/h")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                let help = "write a number with a unit, such as 200/s, 90/m or 5/h";
                Rate::parse(text).ok_or_else(|| E::custom(format!("invalid rate {text:?}; {help}")))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Rate, E> {
                self.visit_f64(number as f64)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
                self.visit_f64(number as f64)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(RateVisitor)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How often: a number with /s, /m or /h; a plain number is for each second.",
            "type": ["string", "number"],
            "pattern": "^[0-9.]+(/(s|m|min|h))?$",
            "examples": ["200/s", "90/m", "5/h"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read() {
        for (text, rate) in [("200/s", 200.0), ("90/m", 1.5), ("36/h", 0.01), ("7", 7.0), ("0.5/s", 0.5)] {
            assert_eq!(Rate::parse(text), Some(Rate(rate)), "{text}");
        }
        for wrong in ["", "/s", "5/d", "-1/s", "inf", "five/s", "5 per s"] {
            assert_eq!(Rate::parse(wrong), None, "{wrong}");
        }
    }
}
