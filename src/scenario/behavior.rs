//! What a manifest cannot state: how long containers take, how big images are, how runs end.

use std::collections::BTreeMap;

use crate::model::batch::COMPLETION_INDEX;
use schemars::JsonSchema;
use serde::Deserialize;

use super::growth::{Growth, Rate};
use super::selector::Selector;
use super::units::{Distribution, Duration, Factor, IndexList, Quantity, Usage};

/// Behaviour of the containers that match. Where several entries match a container, a later entry wins field by
/// field, so general entries come first.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behavior {
    /// Which containers; everything if absent.
    #[serde(rename = "match")]
    pub matching: Match,
    /// From the start of the container's process until it can serve: with a readiness probe, probes fail until
    /// then; without one, the container is ready then. Default 0.
    pub start_time: Option<Distribution<Duration>>,
    /// Whether probes ever succeed.
    pub ready: Option<Readiness>,
    /// The size of the image, for the time it takes to pull. Default 100Mi.
    pub image_size: Option<Quantity>,
    /// The layers of the image and their sizes, instead of `imageSize`. A layer of one name is the same in all images:
    /// a node that has it does not pull it again.
    pub image_layers: Option<BTreeMap<String, Quantity>>,
    /// Whether the registry has the image.
    pub image_pull: Option<ImagePull>,
    /// How long the process runs before it ends by itself. Absent: it runs on.
    pub run_time: Option<Distribution<Duration>>,
    /// The code it ends with after `runTime`. Default 0, or 1 where `failureProbability` is given.
    pub exit_code: Option<i32>,
    /// How likely a run ends with `exitCode`; the others end with 0. Drawn for each run. Absent: every run.
    pub failure_probability: Option<Factor>,
    /// Only this many runs of a container end after `runTime`; later ones run on. Absent: all of them.
    pub runs: Option<u32>,
    /// From the stop signal until the process has ended; the grace period cuts it. Default 1s.
    pub termination_time: Option<Distribution<Duration>>,
    /// Processor use. Default: half of the request.
    pub cpu: Option<Usage>,
    /// Memory use. Default: half of the request. A container that uses more than its limit is killed.
    pub memory: Option<Usage>,
    /// How the memory use changes while the container runs: a leak, or steps.
    pub memory_growth: Option<Growth>,
    /// Bytes that the container writes to the node's disk, into its own layer and emptyDir volumes. Default 0.
    pub disk: Option<Quantity>,
    /// How that changes while the container runs.
    pub disk_growth: Option<Growth>,
    /// The emptyDir volume that all of it goes into. Absent: into its own layer.
    pub disk_volume: Option<String>,
    /// How many files that are. Default 0.
    pub files: Option<Quantity>,
    /// How their number changes while the container runs.
    pub file_growth: Option<Growth>,
    /// How fast it writes its log: `1Mi/m`. The kubelet keeps 50Mi of it. Default: nothing.
    pub logs: Option<Rate>,
    /// How many processes it runs. Default 1.
    pub processes: Option<u32>,
    /// What its postStart hook does, if it has one.
    pub post_start: Option<HookBehavior>,
    /// What its preStop hook does, if it has one and is no `sleep`.
    pub pre_stop: Option<HookBehavior>,
    /// How long it takes over one probe when nothing slows it down. Default 10ms.
    pub probe_time: Option<Distribution<Duration>>,
}

/// What a lifecycle hook does.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HookBehavior {
    /// How long it takes. Default 0.
    pub time: Option<Distribution<Duration>>,
    /// Whether it fails: a postStart hook then has its container killed, a preStop hook only says so.
    pub fails: bool,
}

/// Which containers a behaviour concerns. All given fields must match.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Match {
    /// By labels of the pod.
    pub selector: Option<Selector>,
    /// By namespace.
    pub namespace: Option<String>,
    /// By name of the pod; `*` stands for any text: `web-*`.
    pub pod: Option<String>,
    /// By name of the container.
    pub container: Option<String>,
    /// By image; `*` stands for any text: `*:broken`.
    pub image: Option<String>,
    /// By environment, as the container starts with it: values as written, or out of config maps and secrets. `*`
    /// stands for any text.
    pub env: BTreeMap<String, String>,
    /// By completion index of an indexed Job's pod: `1,4-6`.
    pub index: Option<IndexList>,
}

/// Whether a container becomes ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Readiness {
    /// Once `startTime` has passed.
    #[default]
    AfterStart,
    /// It runs and its readiness probe always fails.
    Never,
}

/// Whether an image can be pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImagePull {
    /// The registry has it.
    #[default]
    Succeeds,
    /// It does not: `ErrImagePull`, then `ImagePullBackOff`.
    Fails,
}

impl Behavior {
    /// Takes over every field that `other` gives.
    pub fn overlay(&mut self, other: &Behavior) {
        macro_rules! take {
            ($($field:ident)*) => { $( if other.$field.is_some() { self.$field = other.$field.clone(); } )* };
        }
        take!(start_time ready image_size image_layers image_pull run_time exit_code failure_probability runs termination_time cpu memory
            memory_growth disk disk_growth disk_volume files file_growth logs processes
            post_start pre_stop probe_time);
    }
}

impl Match {
    /// Whether a container with this environment matches.
    pub fn matches_environment<'a>(&self, variable: impl Fn(&str) -> Option<&'a str>) -> bool {
        let matches = |(name, pattern): (&String, &String)| variable(name).is_some_and(|v| glob_matches(pattern, v));
        self.env.iter().all(matches)
    }

    /// Whether the container named `container` with `image` of the given pod matches.
    pub fn matches<'a>(
        &self,
        namespace: &str,
        pod: &str,
        label: impl Fn(&str) -> Option<&'a str>,
        container: &str,
        image: &str,
    ) -> bool {
        let globbed = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|p| glob_matches(p, text));
        self.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
            && self.container.as_ref().is_none_or(|wanted| wanted == container)
            && globbed(&self.pod, pod)
            && globbed(&self.image, image)
            && self.index.as_ref().is_none_or(|list| label(&COMPLETION_INDEX).is_some_and(|index| list.has(index)))
            && self.selector.as_ref().is_none_or(|selector| selector.matches(label))
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any text, also none.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    // Without any star the prefix must have been everything.
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match() {
        let table = [
            ("web-*", "web-7c9", true),
            ("web-*", "web", false),
            ("web", "web-1", false),
            ("*:broken", "app:broken", true),
            ("*a*b", "xaab", true),
            ("*a*b", "xaa", false),
            ("*", "", true),
            ("a*a", "a", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
