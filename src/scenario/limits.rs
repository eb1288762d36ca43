//! Every limit of a run: its name and its default. Who reaches one says so by that name.

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::Duration;

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
