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
pub use super::kubectl::{
    AnnotateObject, Apply, Cascade, Delete, DryRun, Patch, PatchType, SetEnv, SetResources, Subresource,
};
use super::manifests::Manifests;
use super::selector::Selector;
use super::units::{Duration, ObjectRef};
use crate::time::SimTime;

/// Lists every action once: key in the file, variant, and what it does.
macro_rules! actions {
    ($($(#[doc = $text:literal])+ $key:ident: $variant:ident($content:ty),)*) => {
        /// One thing that is done to the cluster.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Action {
            $( $(#[doc = $text])+ $variant($content), )*
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
            $( $(#[doc = $text])+ $key: Option<$content>, )*
        }

        impl WrittenEntry {
            /// The actions that were given.
            fn actions(self) -> Vec<Action> {
                let mut given = Vec::new();
                $( given.extend(self.$key.map(Action::$variant)); )*
                given
            }
        }
    };
}

actions! {
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
    /// Machines lose power or network: their kubelets fall silent.
    node_crash: NodeCrash(NodeCrash),
    /// All containers of a pod end at once with an error.
    pod_crash: PodCrash(PodCrash),
    /// One container ends.
    container_crash: ContainerCrash(ContainerCrash),
}

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
        matches!(self, Action::NodeCrash(_) | Action::PodCrash(_) | Action::ContainerCrash(_))
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
        let mut actions = written.actions();
        match (actions.pop(), actions.is_empty()) {
            (Some(action), true) if user.is_some() && action.is_fault() => {
                Err("a fault with `as`; faults are nobody's request, remove it".to_string())
            }
            (Some(action), true) => Ok(TimelineEntry { at: SimTime(at.0.0), action, user }),
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
        entry.insert("maxProperties".to_string(), 4.into());
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

/// Machines fall silent: exactly one of `node`, `pool` and `zone` says which.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeCrash {
    /// This node.
    pub node: Option<String>,
    /// Nodes of this pool.
    pub pool: Option<String>,
    /// Nodes of this zone.
    pub zone: Option<String>,
    /// How many of the pool or zone, drawn at random; all of them if absent.
    pub count: Option<u32>,
    /// They come back after this long; never if absent.
    pub recover_after: Option<Duration>,
    /// On return all containers start anew: a power cut, not a cut cable.
    pub reboot: bool,
}

/// All containers of pods end at once: by name, or some of those that a selector finds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodCrash {
    /// This pod.
    pub pod: Option<String>,
    /// Pods with these labels.
    pub selector: Option<Selector>,
    /// Their namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// How many of those selected, drawn at random. Default 1.
    pub count: Option<u32>,
    /// The code the containers end with. Default 137, a kill.
    pub exit_code: Option<i32>,
}

/// One container of each pod concerned ends.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerCrash {
    /// This pod.
    pub pod: Option<String>,
    /// Pods with these labels.
    pub selector: Option<Selector>,
    /// Their namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Which container; the first if absent.
    pub container: Option<String>,
    /// How many of the pods selected, drawn at random. Default 1.
    pub count: Option<u32>,
    /// The code it ends with. Default 137, a kill.
    pub exit_code: Option<i32>,
}

fn yes() -> bool {
    true
}

pub(super) fn default_namespace() -> String {
    "default".to_string()
}
