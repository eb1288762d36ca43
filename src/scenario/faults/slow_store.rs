//! An etcd whose disk is slow: every write waits for it.
//!
//! ```yaml
//! - at: 2m
//!   for: 5m
//!   slowStore: {writeLatency: 400ms}
//! ```

use super::super::units::Duration;
use super::{Checks, Form};
use crate::model::Effect;
use crate::model::gate::Gate;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Writes take longer.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowStore {
    /// How long the disk takes to take a write in.
    pub write_latency: Duration,
}

impl Form for SlowStore {
    fn kind(&self) -> &'static str {
        "slow-store"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::Hindrance(Arc::new(Gate::slow(self.write_latency.0)))
    }
    fn describe(&self, _: &str) -> String {
        format!("etcd takes {} to write", self.write_latency.0)
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.write_latency.0.0 <= 0 {
            checks.add("writeLatency", "the latency must be positive", "write a duration such as 400ms");
        }
    }
}
