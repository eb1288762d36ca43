//! Which pods keep their node (`simulator/drainability/rules/`): each rule may let a pod go, keep the node, or leave the
//! pod to the next rule.

use crate::model::{Key, Kind, Name, Pod, PodDisruptionBudget, policy};
use crate::scenario::autoscaler::Autoscaler;
use crate::store::View;
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// A pod that has been terminating for this long beyond its grace is not waited for.
const LONG_TERMINATING: SimDuration = SimDuration::from_secs(30);
/// So old pods of kube-system without a budget do not keep their node any longer.
const SYSTEM_POD_AGE: SimDuration = SimDuration::from_secs(3600);

/// What becomes of a pod when its node goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It needs another place.
    Moves,
    /// It goes with its node.
    Stays,
    /// It keeps its node, for this reason.
    Blocks(&'static str),
}

/// How many pods each budget lets go, less those that a plan has taken already.
#[derive(Clone, Debug, Default)]
pub struct Budgets {
    left: BTreeMap<Key, i32>,
}

impl Budgets {
    /// As the API has them.
    pub fn new(view: View<'_>) -> Self {
        let each = view.list::<PodDisruptionBudget>().map(|budget| {
            let key = Key::new(Kind::PodDisruptionBudget, budget.meta.namespace.clone(), budget.meta.name.clone());
            (key, budget.status.disruptions_allowed)
        });
        Budgets { left: each.collect() }
    }

    /// The budgets of a pod.
    fn of<'v>(view: View<'v>, pod: &Pod) -> impl Iterator<Item = Key> + use<'v> {
        let (namespace, labels) = (pod.meta.namespace.clone(), pod.meta.labels.clone());
        let matching = move |budget: &&std::sync::Arc<PodDisruptionBudget>| {
            budget.selector.as_ref().is_some_and(|selector| selector.matches(&labels))
        };
        let key = |budget: &std::sync::Arc<PodDisruptionBudget>| {
            Key::new(Kind::PodDisruptionBudget, budget.meta.namespace.clone(), budget.meta.name.clone())
        };
        view.list_in::<PodDisruptionBudget>(&namespace).filter(matching).map(key)
    }

    /// Whether a pod may go now.
    pub fn allow(&self, view: View<'_>, pod: &Pod) -> bool {
        Budgets::of(view, pod).all(|key| self.left.get(&key).is_none_or(|left| *left > 0))
    }

    /// It goes.
    pub fn take(&mut self, view: View<'_>, pod: &Pod) {
        for key in Budgets::of(view, pod) {
            if let Some(left) = self.left.get_mut(&key) {
                *left -= 1;
            }
        }
    }
}

fn annotated(pod: &Pod, key: &str) -> Option<Name> {
    pod.meta.annotations.get(&format!("cluster-autoscaler.kubernetes.io/{key}")).cloned()
}

/// Names of volumes that hold data on the node: emptyDir on disk, and hostPath.
fn local_volumes(pod: &Pod) -> Vec<&str> {
    let volumes = pod.spec.raw.get("volumes").and_then(serde_json::Value::as_array);
    let on_node = |volume: &&serde_json::Value| {
        let empty = volume.get("emptyDir").filter(|dir| !dir.is_null());
        empty.is_some_and(|dir| dir["medium"] != "Memory") || volume.get("hostPath").is_some_and(|path| !path.is_null())
    };
    volumes.into_iter().flatten().filter(on_node).filter_map(|volume| volume["name"].as_str()).collect()
}

/// What becomes of a pod.
pub fn fate(view: View<'_>, pod: &Pod, budgets: &Budgets, settings: &Autoscaler, now: SimTime) -> Fate {
    if pod.is_mirror() {
        return Fate::Stays;
    }
    if let Some(deletion) = pod.meta.deletion
        && deletion.at + LONG_TERMINATING < now
    {
        return Fate::Stays;
    }
    let owner = pod.meta.controller();
    if owner.is_some_and(|owner| owner.kind == Kind::DaemonSet) {
        return Fate::Stays;
    }
    let safe = annotated(pod, "safe-to-evict");
    if safe.as_deref() == Some("true") || pod.status.phase.terminal() {
        return if budgets.allow(view, pod) { Fate::Moves } else { Fate::Blocks("NotEnoughPdb") };
    }
    if safe.as_deref() == Some("on-completion") {
        return Fate::Blocks("NotSafeToEvictAnnotation");
    }
    let Some(owner) = owner else { return Fate::Blocks("NotReplicated") };
    let key = Key::new(owner.kind, pod.meta.namespace.clone(), owner.name.clone());
    if view.get(&key).is_none() {
        return Fate::Blocks("ControllerNotFound");
    }
    if settings.skip_nodes_with_system_pods
        && pod.meta.namespace == "kube-system"
        && Budgets::of(view, pod).next().is_none()
        && pod.meta.created + SYSTEM_POD_AGE > now
    {
        return Fate::Blocks("UnmovableKubeSystemPod");
    }
    if safe.as_deref() == Some("false") {
        return Fate::Blocks("NotSafeToEvictAnnotation");
    }
    if settings.skip_nodes_with_local_storage {
        let excused = annotated(pod, "safe-to-evict-local-volumes").unwrap_or_default();
        let excused: Vec<&str> = excused.split(',').map(str::trim).collect();
        if local_volumes(pod).iter().any(|volume| !excused.contains(volume)) {
            return Fate::Blocks("LocalStorageRequested");
        }
    }
    let always = |key: &Key| {
        let budget = view.fetch_key::<PodDisruptionBudget>(key);
        !pod.is_ready()
            && budget.is_some_and(|budget| budget.unhealthy == Some(policy::UnhealthyPodEviction::AlwaysAllow))
    };
    match budgets.allow(view, pod) || Budgets::of(view, pod).all(|key| always(&key)) {
        true => Fate::Moves,
        false => Fate::Blocks("NotEnoughPdb"),
    }
}
