//! Every limit of a run: its name, its default, and the sentence said when it is reached.

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::Duration;
use crate::error::Error;
use crate::time::SimTime;

/// What a run may at most have. A run that reaches a limit stops with exit code 3. The limits on one file (8 MiB,
/// 200,000 values, 64 levels, 100 aliases) are fixed: see `wire::yaml`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Nodes at one time.
    pub max_nodes: u64,
    /// Pods at one time.
    pub max_pods: u64,
    /// Objects of all kinds at one time.
    pub max_objects: u64,
    /// Events of the whole run.
    pub max_events: u64,
    /// Events at one instant of virtual time: stops loops in which time stands still.
    pub max_events_per_instant: u64,
    /// Times one key is worked on without any change: stops a controller that argues with itself.
    pub max_idle_reconciles: u64,
    /// Virtual time.
    pub max_duration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_nodes: 100_000,
            max_pods: 1_000_000,
            max_objects: 5_000_000,
            max_events: 10_000_000_000,
            max_events_per_instant: 1_000_000,
            max_idle_reconciles: 1_000,
            max_duration: Duration::secs(30 * 24 * 3_600),
        }
    }
}

/// The error of a limit that was reached during a run: `limit` is its name in the scenario, `by` who went over it.
pub fn reached(limit: &str, value: u64, now: SimTime, by: &str) -> Error {
    let clock = now.clock();
    let clock = clock.split('.').next().unwrap_or(&clock);
    Error::Limit(format!(
        "limit `{limit}` ({}) reached at virtual {clock} by {by}; raise with `--set limits.{limit}=…`",
        grouped(value)
    ))
}

/// A number with commas between thousands.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_its_name_and_how_to_raise_it() {
        assert_eq!(
            reached("maxPods", 1_000_000, SimTime::from_secs(847), "replicaset/web").to_string(),
            "limit `maxPods` (1,000,000) reached at virtual 00:14:07 by replicaset/web; raise with `--set limits.maxPods=…`"
        );
    }
}
