//! What happens when: actions of people and faults, each at an instant.
//!
//! ```yaml
//! timeline:
//! - at: 2m
//!   nodeCrash: {node: large-0, recoverAfter: 8m}
//! - at: 5m
//!   setImage: {object: deployment/web, container: web, image: "web:2"}
//! ```

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::cluster::Taint;
pub use super::faults::FaultAction;
use super::faults::with_faults;
pub use super::kubectl::{
    AnnotateObject, Apply, Cascade, Delete, DryRun, Patch, PatchType, SetEnv, SetResources, Subresource,
};
use super::manifests::Manifests;
use super::selector::Selector;
use super::units::{Distribution, Duration, ObjectRef};
use crate::time::SimTime;

/// Lists every action once: key in the file, variant, and what it does. The faults follow: see `scenario/faults`.
macro_rules! actions {
    (
        { $($(#[doc = $text:literal])+ $key:ident: $variant:ident($content:ty),)* }
        { $($(#[doc = $fault_text:literal])+ $fault_key:ident: $fault:ident($form:ty),)* }
    ) => {
        /// One thing that is done to the cluster.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Action {
            $( $(#[doc = $text])+ $variant($content), )*
            /// Something that goes wrong.
            Fault(FaultAction),
        }

        /// One entry as it is written: `at` and exactly one action.
        #[derive(Deserialize, JsonSchema, Default)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        #[schemars(rename = "TimelineEntry")]
        struct WrittenEntry {
            /// When, counted from the start of the run.
            at: Option<Duration>,
            /// The user in whose name it is asked for, as `kubectl --as`: what the cluster's roles do not allow is
            /// refused. A service account is `system:serviceaccount:<namespace>:<name>`. Without it all is allowed.
            #[serde(rename = "as")]
            user: Option<String>,
            /// Groups of that user.
            as_groups: Vec<String>,
            /// How long a fault lasts: a length, or a distribution to draw it from. For ever if absent.
            #[serde(rename = "for")]
            lasts: Option<Distribution<Duration>>,
            $( $(#[doc = $text])+ $key: Option<$content>, )*
            $( $(#[doc = $fault_text])+ $fault_key: Option<$form>, )*
        }

        impl WrittenEntry {
            /// The actions that were given.
            fn actions(self) -> Vec<Action> {
                let mut given = Vec::new();
                $( given.extend(self.$key.map(Action::$variant)); )*
                $( given.extend(self.$fault_key.map(|form| Action::Fault(FaultAction::$fault(form)))); )*
                given
            }
        }
    };
}

with_faults!(actions! {
    /// Creates or updates objects, as `kubectl apply`.
    apply: Apply(Apply),
    /// Deletes an object, or several.
    delete: Delete(Delete),
    /// Sets the number of replicas.
    scale: Scale(Scale),
    /// Changes the image of a container in a workload's template.
    set_image: SetImage(SetImage),
    /// Changes a part of an object, as `kubectl patch`.
    patch: Patch(Patch),
    /// Puts whole objects in place of those that are there, as `kubectl replace`.
    replace: Replace(Manifests),
    /// Sets or removes environment variables in a workload's template.
    set_env: SetEnv(SetEnv),
    /// Sets requests and limits in a workload's template.
    set_resources: SetResources(SetResources),
    /// Sets or removes annotations.
    annotate: Annotate(AnnotateObject),
    /// Goes back to an earlier revision of a Deployment, StatefulSet or DaemonSet.
    rollout_undo: RolloutUndo(RolloutUndo),
    /// Pauses the rollout of a Deployment.
    rollout_pause: RolloutPause(Target),
    /// Resumes it.
    rollout_resume: RolloutResume(Target),
    /// Replaces all pods of a Deployment, StatefulSet or DaemonSet, one rolling update.
    rollout_restart: RolloutRestart(Target),
    /// Marks a node unschedulable.
    cordon: Cordon(NodeTarget),
    /// Marks it schedulable again.
    uncordon: Uncordon(NodeTarget),
    /// Cordons a node and evicts its pods.
    drain: Drain(Drain),
    /// Sets or removes labels.
    label: Label(LabelObject),
    /// Adds or removes taints of a node.
    taint: Taint(TaintNode),
});

/// One entry of the timeline.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "WrittenEntry")]
pub struct TimelineEntry {
    /// When, counted from the start of the run.
    pub at: SimTime,
    /// What.
    pub action: Action,
    /// In whose name.
    pub user: Option<NamedUser>,
    /// How long a fault lasts; for ever if absent, unless the fault says it itself.
    pub lasts: Option<Distribution<Duration>>,
}

/// A user and the groups that the scenario gives him.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedUser {
    /// The name.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

impl Action {
    /// Something that goes wrong, not something that somebody does.
    pub fn is_fault(&self) -> bool {
        matches!(self, Action::Fault(_))
    }
}

impl TryFrom<WrittenEntry> for TimelineEntry {
    type Error = String;
    fn try_from(written: WrittenEntry) -> Result<Self, String> {
        let at = written.at.ok_or("missing field `at`; say when: at: 2m")?;
        let groups = written.as_groups.clone();
        let user = written.user.clone().map(|name| NamedUser { name, groups });
        if user.is_none() && !written.as_groups.is_empty() {
            return Err("`asGroups` without `as`; name the user: as: jane".to_string());
        }
        let lasts = written.lasts;
        let mut actions = written.actions();
        match (actions.pop(), actions.is_empty()) {
            (Some(action), true) if user.is_some() && action.is_fault() => {
                Err("a fault with `as`; faults are nobody's request, remove it".to_string())
            }
            (Some(action), true) if lasts.is_some() && !action.is_fault() => {
                Err("`for` beside something that is no fault; remove it".to_string())
            }
            (Some(action), true) => Ok(TimelineEntry { at: SimTime(at.0.0), action, user, lasts }),
            (None, _) => Err("an entry without an action; add one, such as nodeCrash: {node: small-0}".to_string()),
            (Some(_), false) => {
                Err("more than one action; write an entry of its own, with the same `at`, for each".to_string())
            }
        }
    }
}

impl JsonSchema for TimelineEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimelineEntry".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = WrittenEntry::json_schema(generator);
        let entry = schema.ensure_object();
        entry.insert("required".to_string(), serde_json::json!(["at"]));
        entry.insert("minProperties".to_string(), 2.into());
        entry.insert("maxProperties".to_string(), 5.into());
        schema
    }
}

/// Sets the number of replicas.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// Which workload.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// How many.
    pub replicas: u32,
    /// `--dry-run`.
    #[serde(default)]
    pub dry_run: DryRun,
}

/// Changes a container's image.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetImage {
    /// Which workload.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Which container; all of them if absent.
    #[serde(default)]
    pub container: Option<String>,
    /// The new image.
    pub image: String,
}

/// Goes back to an earlier revision.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutUndo {
    /// Which Deployment, StatefulSet or DaemonSet.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Which revision; 0 is the one before the current.
    #[serde(default)]
    pub to_revision: u32,
}

/// One object.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Which object.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

/// One node.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeTarget {
    /// Its name.
    pub node: String,
}

/// Cordons a node and evicts its pods, as `kubectl drain` with these flags.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// Which node.
    pub node: String,
    /// Seconds the containers have to end; their own if absent.
    #[serde(default)]
    pub grace_period: Option<Duration>,
    /// Gives up after this long.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// Leaves pods of DaemonSets where they are, instead of refusing to begin. Default true.
    #[serde(default = "yes")]
    pub ignore_daemonsets: bool,
    /// Evicts pods that no controller would replace, instead of refusing to begin.
    #[serde(default)]
    pub force: bool,
    /// Evicts pods with emptyDir volumes, instead of refusing to begin.
    #[serde(default)]
    pub delete_emptydir_data: bool,
    /// Only pods with these labels.
    #[serde(default)]
    pub pod_selector: Option<Selector>,
    /// Deletes the pods whatever the disruption budgets say.
    #[serde(default)]
    pub disable_eviction: bool,
}

/// Sets or removes labels of an object.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelObject {
    /// Which object.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The labels; null removes one.
    pub labels: BTreeMap<String, Option<String>>,
}

/// Adds or removes taints of a node.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaintNode {
    /// Which node.
    pub node: String,
    /// Taints to add.
    #[serde(default)]
    pub add: Vec<Taint>,
    /// Keys of taints to remove.
    #[serde(default)]
    pub remove: Vec<String>,
}

fn yes() -> bool {
    true
}

pub(crate) fn default_namespace() -> String {
    "default".to_string()
}
