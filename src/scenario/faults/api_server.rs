//! An API server that is slow, or that answers some requests with an error.
//!
//! ```yaml
//! - at: 2m
//!   for: 5m
//!   apiServer: {latency: 500ms, errorRate: 20%}
//! ```

use super::super::units::Duration;
use super::target::Share;
use super::{Checks, Form};
use crate::model::gate::Gate;
use crate::model::{Effect, Name};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Every request takes longer, and some are answered with an error.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiServerFault {
    /// How much longer a request takes.
    pub latency: Option<Duration>,
    /// How much longer at most: then each takes something between the two.
    pub latency_max: Option<Duration>,
    /// Which share of the requests is answered with an error.
    pub error_rate: Option<Share>,
    /// The HTTP status of the error. Default 503.
    pub code: Option<u16>,
}

impl Form for ApiServerFault {
    fn kind(&self) -> &'static str {
        "api-server"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        let least = self.latency.unwrap_or_default().0;
        let most = self.latency_max.map_or(least, |most| most.0);
        let refusal = self.error_rate.map(|_| {
            let code = self.code.unwrap_or(503);
            let message = match code {
                429 => "the server has received too many requests and has asked us to try again later",
                503 => "the server is currently unable to handle the request",
                _ => "an error on the server (\"Internal Server Error\") has prevented the request from succeeding",
            };
            (code, Name::from(message))
        });
        let permille = self.error_rate.map_or(0, |rate| u64::from(rate.0 / 1000));
        Effect::Hindrance(Arc::new(Gate { events: true, delay: (least, most), refusal, permille, ..Gate::default() }))
    }
    fn describe(&self, _: &str) -> String {
        let slow = self.latency.map(|latency| match self.latency_max {
            Some(most) => format!("requests to the API server take {} to {} longer", latency.0, most.0),
            None => format!("requests to the API server take {} longer", latency.0),
        });
        let rate = |rate: Share| format!("{}% of the requests to the API server fail", f64::from(rate.0) / 10_000.0);
        let parts: Vec<String> = slow.into_iter().chain(self.error_rate.map(rate)).collect();
        parts.join(", ")
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.latency.is_none() && self.error_rate.is_none() {
            checks.add("", "neither `latency` nor `errorRate` is given", "write latency: 500ms or errorRate: 20%");
        }
        if self.latency_max.is_some_and(|most| Some(most.0) < self.latency.map(|least| least.0)) {
            checks.add("latencyMax", "the longest latency is shorter than the shortest", "write a longer one");
        }
        if self.latency_max.is_some() && self.latency.is_none() {
            checks.add("latencyMax", "`latencyMax` without `latency`", "write latency, too: latency: 100ms");
        }
        if self.code.is_some_and(|code| !(400..600).contains(&code)) {
            checks.add("code", "an error has a status from 400 to 599", "write 503, 500 or 429");
        }
    }
}
