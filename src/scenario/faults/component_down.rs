//! Processes of the control plane that end: killed, or asked to stop.
//!
//! ```yaml
//! - at: 2m
//!   for: 60s                                            # without it, what supervises the process brings it back
//!   componentDown: {component: kube-scheduler}
//! - at: 5m
//!   componentDown: {component: kube-controller-manager, node: control-plane-0, signal: term}
//! - at: 8m
//!   for: 1m
//!   componentDown: {component: etcd, count: 2}          # two members of three: no majority, no writes
//! ```

use super::super::cluster::CONTROL_PLANE;
use super::target::NodeTarget;
use super::{Checks, Form};
use crate::model::{Effect, Name};
use schemars::JsonSchema;
use serde::Deserialize;

/// A process of the control plane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentName {
    /// A member of the store.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controller manager.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
}

impl ComponentName {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            ComponentName::Etcd => "etcd",
            ComponentName::KubeApiserver => "kube-apiserver",
            ComponentName::KubeControllerManager => "kube-controller-manager",
            ComponentName::KubeScheduler => "kube-scheduler",
        }
    }
}

/// How a process is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// SIGKILL: it cannot tidy up, and its lease has to expire.
    #[default]
    Kill,
    /// SIGTERM: the scheduler gives its lease back, the controller manager does not.
    Term,
}

/// Processes of the control plane end: all instances, one machine's, or some.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentDown {
    /// Which.
    pub component: ComponentName,
    /// Only the instance on this machine; `*` stands for any text.
    #[serde(default)]
    pub node: Option<String>,
    /// How many instances, drawn at random; all of them if absent.
    #[serde(default)]
    pub count: Option<u32>,
    /// `kill` or `term`. Default kill.
    #[serde(default)]
    pub signal: Signal,
}

impl Form for ComponentDown {
    fn kind(&self) -> &'static str {
        "component-down"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        let said = self.node.is_some() || self.count.is_some();
        let pool = Some(CONTROL_PLANE.to_string());
        said.then(|| NodeTarget { node: self.node.clone(), pool, count: self.count, ..NodeTarget::default() })
    }
    fn at_large(&self) -> bool {
        true
    }
    fn control_plane(&self) -> bool {
        true
    }
    fn brief(&self) -> bool {
        true
    }
    fn effect(&self) -> Effect {
        Effect::Process { component: Name::from(self.component.as_str()), kill: self.signal == Signal::Kill }
    }
    fn describe(&self, who: &str) -> String {
        let how = if self.signal == Signal::Kill { "is killed" } else { "is stopped" };
        let on = if who.is_empty() { String::new() } else { format!(" on {who}") };
        format!("{}{on} {how}", self.component.as_str())
    }
    fn check(&self, checks: &mut Checks<'_>) {
        let replicas = checks.scenario.cluster.control_plane.replicas;
        if replicas == 0 && self.nodes().is_some() {
            let field = if self.node.is_some() { "node" } else { "count" };
            checks.add(
                field,
                "a managed control plane has no machines",
                "remove it, or set cluster.controlPlane.replicas",
            );
        } else if self.count.is_some_and(|count| count > replicas) {
            checks.add(
                "count",
                format!("there are {replicas} instances"),
                "write a smaller number, or leave it out for all",
            );
        }
    }
}
