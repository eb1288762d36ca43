//! A registry that is not there, gives little, or has lost an image.
//!
//! ```yaml
//! - at: 2m
//!   for: 10m
//!   registryOutage: {}                     # 503; {answers: nothing} for no answer at all
//! - at: 2m
//!   for: 10m
//!   registryThrottle: {bandwidth: 10%}     # or {tooManyRequests: true}: 429
//! - at: 2m
//!   badImage: {image: "web:*"}
//! ```
//!
//! Pods with images that their node has do not notice. Others wait in ErrImagePull and ImagePullBackOff, longer each
//! time (10, 20, 40 … 300 s): after the outage a pod starts as late as the wait that it is in.

use schemars::JsonSchema;
use serde::Deserialize;

use super::target::Share;
use super::{Checks, Form};
use crate::model::machine::RegistryFault;
use crate::model::{Effect, Name};

/// The registry is not there.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryOutage {
    /// What those hear who ask it.
    pub answers: Answers,
}

/// What is heard of a registry that is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Answers {
    /// 503, at once.
    #[default]
    Unavailable,
    /// Nothing: they give up after 30 s.
    Nothing,
}

/// The registry gives less than it should.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryThrottle {
    /// The share of its bandwidth that is left. Default 10%, unless it answers 429.
    pub bandwidth: Option<Share>,
    /// It answers 429 to every pull.
    pub too_many_requests: bool,
}

/// The registry has lost images.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BadImage {
    /// Which; `*` stands for any text.
    pub image: String,
}

impl Form for RegistryOutage {
    fn kind(&self) -> &'static str {
        "registry-outage"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::Registry(match self.answers {
            Answers::Unavailable => RegistryFault::Unavailable,
            Answers::Nothing => RegistryFault::Silent,
        })
    }
    fn describe(&self, _: &str) -> String {
        "the image registry is out".to_string()
    }
    fn check(&self, _: &mut Checks<'_>) {}
}

impl Form for RegistryThrottle {
    fn kind(&self) -> &'static str {
        "registry-throttle"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        match self.left() {
            Some(share) => Effect::Registry(RegistryFault::Slow((i64::from(share.0) / 1000).max(1))),
            None => Effect::Registry(RegistryFault::TooMany),
        }
    }
    fn describe(&self, _: &str) -> String {
        match self.left() {
            Some(share) => format!("the image registry gives {} % of its bandwidth", f64::from(share.0) / 10_000.0),
            None => "the image registry answers 429".to_string(),
        }
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.bandwidth.is_some() && self.too_many_requests {
            let message = "both `bandwidth` and `tooManyRequests` are given";
            checks.add("", message, "give one of them: bandwidth: 10%");
        }
    }
}

impl RegistryThrottle {
    fn left(&self) -> Option<Share> {
        self.bandwidth.or((!self.too_many_requests).then_some(Share(100_000)))
    }
}

impl Form for BadImage {
    fn kind(&self) -> &'static str {
        "bad-image"
    }
    fn at_large(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::BadImage { pattern: Name::from(self.image.as_str()) }
    }
    fn describe(&self, _: &str) -> String {
        format!("the image registry has lost {}", self.image)
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.image.is_empty() {
            checks.add("image", "nothing says which image", "write image: \"web:*\"");
        }
    }
}
