//! Containers that hang, leak memory, or start slowly.
//!
//! ```yaml
//! - at: 2m
//!   for: 5m
//!   containerHang: {selector: app=web, count: 2}
//! - at: 2m
//!   memoryLeak: {pod: web-0, rate: 20Mi/m}
//! - at: 2m
//!   for: 10m
//!   slowStart: {selector: app=web, extra: 30s}
//! ```
//!
//! A container that hangs answers no probe but those of TCP, which the kernel answers, and does not hear SIGTERM: a
//! liveness probe has it killed after its grace period and started anew, and then it is well.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::growth::Rate;
use super::super::selector::Selector;
use super::super::units::{Duration, Quantity};
use super::target::{PodTarget, on_pods};
use super::{Checks, Form};
use crate::model::{Effect, Name};

/// How much longer a slow start takes if nothing is said.
const EXTRA: Duration = Duration::secs(30);

on_pods! {
    /// Containers answer nothing and do not end.
    pub struct ContainerHang {
        /// Which container; all of them if absent.
        pub container: Option<String>,
    }
}

on_pods! {
    /// Containers use more and more memory.
    pub struct MemoryLeak {
        /// Which container; all of them if absent.
        pub container: Option<String>,
        /// How fast. Default `50Mi/m`.
        pub rate: Option<Rate>,
        /// Where it ends. Default: nowhere.
        pub up_to: Option<Quantity>,
    }
}

/// Containers that start while it lasts take longer until they serve.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SlowStart {
    /// Those of pods with these labels; of all pods if absent.
    pub selector: Option<Selector>,
    /// In this namespace; in all if absent.
    pub namespace: Option<String>,
    /// So much longer. Default 30s.
    pub extra: Option<Duration>,
}

impl Form for ContainerHang {
    fn kind(&self) -> &'static str {
        "container-hang"
    }
    fn pods(&self) -> Option<PodTarget> {
        Some(self.target())
    }
    fn effect(&self) -> Effect {
        Effect::Hang { container: self.container.as_deref().map(Name::from) }
    }
    fn describe(&self, who: &str) -> String {
        format!("hangs: {who}")
    }
    fn check(&self, _: &mut Checks<'_>) {}
}

impl Form for MemoryLeak {
    fn kind(&self) -> &'static str {
        "memory-leak"
    }
    fn pods(&self) -> Option<PodTarget> {
        Some(self.target())
    }
    fn effect(&self) -> Effect {
        let rate = self.rate.unwrap_or(Rate { amount: 50 << 20, each: crate::time::SimDuration::from_secs(60) });
        Effect::Leak {
            container: self.container.as_deref().map(Name::from),
            by: rate.amount,
            each: rate.each,
            most: self.up_to.map_or(i64::MAX, |most| most.0.whole()),
        }
    }
    fn describe(&self, who: &str) -> String {
        format!("leaks memory: {who}")
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.rate.is_some_and(|rate| rate.amount <= 0) {
            checks.add("rate", "the rate must be positive", "write rate: 20Mi/m");
        }
    }
}

impl Form for SlowStart {
    fn kind(&self) -> &'static str {
        "slow-start"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::SlowStart {
            selector: self.selector.as_ref().map(|selector| selector.0.clone()),
            namespace: self.namespace.as_deref().map(Name::from),
            extra: self.extra.unwrap_or(EXTRA).0,
        }
    }
    fn describe(&self, _: &str) -> String {
        format!("containers take {} longer to start", self.extra.unwrap_or(EXTRA).0)
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.extra.is_some_and(|extra| extra.0.0 <= 0) {
            checks.add("extra", "the time must be positive", "write extra: 30s");
        }
    }
}
