//! Places that fail with all machines in them: a zone, a rack, the machines behind one power line.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::selector::Selector;
use super::target::NodeTarget;
use super::{Checks, Form, Holding};

/// A zone fails with all its machines, those of the control plane too.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ZoneOutage {
    /// Which; one is drawn if absent.
    pub zone: Option<String>,
    /// How many are drawn. Default 1.
    pub count: Option<u32>,
}

/// The power of a rack, a row, or whatever a label of nodes stands for, fails.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PowerOutage {
    /// The label that says which machines hang on one line: `rack`.
    pub domain: String,
    /// Which value of it; one is drawn if absent.
    #[serde(default)]
    pub value: Option<String>,
    /// How many are drawn. Default 1.
    #[serde(default)]
    pub count: Option<u32>,
}

impl Form for ZoneOutage {
    fn kind(&self) -> &'static str {
        "zone-outage"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        let domain = self.zone.is_none().then(|| "zone".to_string());
        Some(NodeTarget { zone: self.zone.clone(), domain, count: self.count, ..NodeTarget::default() })
    }
    fn holds(&self) -> Option<Holding> {
        Some(Holding { runs: false, reboots: true })
    }
    fn control_plane(&self) -> bool {
        true
    }
    fn describe(&self, who: &str) -> String {
        match &self.zone {
            Some(zone) => format!("{zone} fails: {who}"),
            None => format!("a zone fails: {who}"),
        }
    }
    fn check(&self, checks: &mut Checks<'_>) {
        if self.zone.is_some() && self.count.is_some() {
            checks.add("count", "`count` of one zone", "remove it, or remove `zone` to have them drawn");
        }
        if checks.scenario.cluster.zones().is_empty() {
            checks.add("", "the cluster has no zones", "give its pools zones: zones: [zone-a, zone-b]");
        }
    }
}

impl Form for PowerOutage {
    fn kind(&self) -> &'static str {
        "power-outage"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        let selector = self.value.as_ref().map(|value| format!("{}={value}", self.domain));
        let selector = selector.and_then(|text| Selector::parse(&text).ok());
        Some(NodeTarget { selector, domain: Some(self.domain.clone()), count: self.count, ..NodeTarget::default() })
    }
    fn holds(&self) -> Option<Holding> {
        Some(Holding { runs: false, reboots: true })
    }
    fn control_plane(&self) -> bool {
        true
    }
    fn describe(&self, who: &str) -> String {
        let value = self.value.as_deref().map_or("a line".to_string(), |value| format!("{}={value}", self.domain));
        format!("the power of {value} fails: {who}")
    }
    fn check(&self, checks: &mut Checks<'_>) {
        let setups = checks.scenario.cluster.setups();
        let values: Vec<&str> =
            setups.iter().filter_map(|setup| setup.labels.get(&self.domain)).map(String::as_str).collect();
        if values.is_empty() {
            let mut known: Vec<&str> =
                setups.iter().flat_map(|setup| setup.labels.keys()).map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            checks.unknown("domain", "label of nodes", &self.domain, &known);
        } else if let Some(value) = self.value.as_deref().filter(|value| !values.contains(value)) {
            checks.unknown("value", "value", value, &values);
        }
    }
}
