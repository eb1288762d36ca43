//! What a budget's status should say, from the pods it selects and who owns them: no clock, no writes.
//!
//! A worked example: `maxUnavailable: 25%` over the pods of a Deployment of 8 replicas: 8 are expected, 6 must be
//! healthy; with 7 ready one more may be disrupted.

use crate::model::policy::{BudgetStatus, DISRUPTION_ALLOWED, SYNC_FAILED, set_standard};
use crate::model::workload::IntOrPercent;
use crate::model::{
    Condition, Deployment, Key, Kind, Name, Object, OwnerReference, Pod, PodDisruptionBudget, ReplicaSet,
};
use crate::model::{Truth, Uid, selector};
use crate::store::View;
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a pod whose eviction was allowed is expected to be deleted.
const DELETION_TIMEOUT: SimDuration = SimDuration::from_secs(120);
/// What one look at a budget comes to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The status to write; none if it is as it should be.
    pub status: Option<BudgetStatus>,
    /// What to say about it.
    pub remarks: Vec<Remark>,
    /// When a disrupted pod's time is over.
    pub recheck: Option<SimTime>,
}

/// An event to record.
#[derive(Debug)]
pub struct Remark {
    /// What it is about.
    pub about: Target,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: Name,
    /// A sentence.
    pub message: String,
}

/// What a remark is about.
#[derive(Debug)]
pub enum Target {
    /// The budget.
    Budget,
    /// One of its pods.
    Pod(Arc<Pod>),
}

/// The budgets that select a pod, in order of creation. An empty selector selects the whole namespace.
pub fn matching<'a>(view: View<'a>, pod: &Pod) -> Vec<&'a Arc<PodDisruptionBudget>> {
    let selects = |budget: &&Arc<PodDisruptionBudget>| {
        budget.selector.as_ref().is_some_and(|selector| selector.matches(&pod.meta.labels))
    };
    view.list_in::<PodDisruptionBudget>(&pod.meta.namespace).filter(selects).collect()
}

/// Judges a budget at `now` (`trySync`, `failSafe`).
pub fn judge(view: View<'_>, budget: &PodDisruptionBudget, now: SimTime) -> Verdict {
    let pods = match &budget.selector {
        Some(selector) => view.pods_selected(&budget.meta.namespace, selector),
        None => Vec::new(),
    };
    let mut verdict = Verdict::default();
    let mut remark = |about, warning, reason, message| verdict.remarks.push(Remark { about, warning, reason, message });
    if pods.is_empty() {
        remark(Target::Budget, false, crate::name!("NoPods"), "No matching pods found".to_string());
    }
    let expected = match expect(view, budget, &pods) {
        Ok(expected) => expected,
        Err(why) => {
            let message = format!("Failed to calculate the number of expected pods: {why}");
            remark(Target::Budget, true, crate::name!("CalculateExpectedPodCountFailed"), message);
            let status = failed(budget, &why, now);
            verdict.status = (status != budget.status).then_some(status);
            return verdict;
        }
    };
    if expected.unmanaged {
        let message = format!(
            "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the \
             status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for \
             these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
            go_text(budget.selector.as_ref())
        );
        remark(Target::Budget, true, crate::name!("UnmanagedPods"), message);
    }
    let mut disrupted = Vec::new();
    for pod in pods.iter().filter(|pod| !pod.meta.deleting()) {
        let Some((name, since)) = budget.status.disrupted.iter().find(|(name, _)| *name == pod.meta.name) else {
            continue;
        };
        let until = *since + DELETION_TIMEOUT;
        if until < now {
            let namespace = &budget.meta.namespace;
            let message = format!("Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't");
            remark(Target::Pod((*pod).clone()), true, crate::name!("NotDeleted"), message);
        } else {
            verdict.recheck = Some(verdict.recheck.map_or(until, |earlier| earlier.min(until)));
            disrupted.push((name.clone(), *since));
        }
    }
    disrupted.sort();
    let expects =
        |pod: &Pod| disrupted.iter().any(|(name, since)| *name == pod.meta.name && *since + DELETION_TIMEOUT > now);
    let healthy = pods.iter().filter(|pod| !pod.meta.deleting() && !expects(pod) && pod.is_ready()).count() as i32;
    let allowed = if expected.count <= 0 { 0 } else { (healthy - expected.desired).max(0) };
    let mut status = BudgetStatus {
        observed_generation: budget.meta.generation,
        disruptions_allowed: allowed,
        current_healthy: healthy,
        desired_healthy: expected.desired,
        expected_pods: expected.count,
        disrupted,
        conditions: budget.status.conditions.clone(),
    };
    status.set_allowed(now);
    verdict.status = (status != budget.status).then_some(status);
    verdict
}

/// The status of a budget that cannot be judged: nothing is allowed.
fn failed(budget: &PodDisruptionBudget, why: &str, now: SimTime) -> BudgetStatus {
    let mut status = BudgetStatus { disruptions_allowed: 0, ..budget.status.clone() };
    let condition = Condition::new(DISRUPTION_ALLOWED, Truth::False, SYNC_FAILED, why, now);
    set_standard(&mut status.conditions, condition);
    status
}

struct Expected {
    count: i32,
    desired: i32,
    unmanaged: bool,
}

/// How many pods there should be, and how many of them healthy (`getExpectedPodCount`).
fn expect(view: View<'_>, budget: &PodDisruptionBudget, pods: &[&Arc<Pod>]) -> Result<Expected, String> {
    match (budget.max_unavailable, budget.min_available) {
        (Some(max), _) => {
            let (count, unmanaged) = scale(view, pods)?;
            Ok(Expected { count, desired: (count - max.up(count)).max(0), unmanaged })
        }
        (None, Some(IntOrPercent::Int(desired))) => {
            Ok(Expected { count: pods.len() as i32, desired, unmanaged: false })
        }
        (None, Some(min)) => {
            let (count, unmanaged) = scale(view, pods)?;
            Ok(Expected { count, desired: min.up(count), unmanaged })
        }
        (None, None) => Ok(Expected { count: 0, desired: 0, unmanaged: false }),
    }
}

/// The wished replicas of everyone who controls one of the pods, each counted once; and whether some pod has nobody
/// (`getExpectedScale`).
fn scale(view: View<'_>, pods: &[&Arc<Pod>]) -> Result<(i32, bool), String> {
    let mut scales: BTreeMap<Uid, i32> = BTreeMap::new();
    let mut unmanaged = false;
    for pod in pods {
        let Some(owner) = pod.meta.controller() else {
            unmanaged = true;
            continue;
        };
        if scales.contains_key(&owner.uid) {
            continue;
        }
        match owner_scale(view, &pod.meta.namespace, owner)? {
            Some((uid, replicas)) => scales.insert(uid, replicas),
            None => return Err(format!("found no controllers for pod {:?}", pod.meta.name.as_str())),
        };
    }
    Ok((scales.values().sum(), unmanaged))
}

/// Who decides how many pods an owner has, and how many: the Deployment behind a replica set, otherwise whoever has
/// a scale subresource (`finders`).
fn owner_scale(view: View<'_>, namespace: &Name, owner: &OwnerReference) -> Result<Option<(Uid, i32)>, String> {
    let key = Key { kind: owner.kind, namespace: namespace.clone(), name: owner.name.clone() };
    let found = view.get(&key).filter(|object| object.meta().uid == owner.uid);
    if let Some(Object::ReplicaSet(set)) = found
        && let Some(deployment) = deployment_of(view, set)
    {
        return Ok(Some((deployment.meta.uid, deployment.replicas)));
    }
    match found {
        Some(object) => match replicas(object) {
            Some(replicas) => Ok(Some((owner.uid, replicas))),
            None => Err(format!("{} does not implement the scale subresource", owner.kind.qualified_plural())),
        },
        None if has_scale(owner.kind) => Ok(None),
        None => Err(format!("{} does not implement the scale subresource", owner.kind.qualified_plural())),
    }
}

fn deployment_of<'a>(view: View<'a>, set: &ReplicaSet) -> Option<&'a Arc<Deployment>> {
    let owner = set.meta.controller().filter(|owner| owner.kind == Kind::Deployment)?;
    view.fetch::<Deployment>(&set.meta.namespace, &owner.name).filter(|found| found.meta.uid == owner.uid)
}

/// The kinds that have a scale subresource.
fn has_scale(kind: Kind) -> bool {
    matches!(kind, Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::ReplicationController)
}

fn replicas(object: &Object) -> Option<i32> {
    match object {
        Object::Deployment(owner) => Some(owner.replicas),
        Object::ReplicaSet(owner) => Some(owner.replicas),
        Object::StatefulSet(owner) => Some(owner.replicas),
        Object::ReplicationController(owner) => Some(owner.replicas),
        _ => None,
    }
}

/// A selector as Go prints the structure (`staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/generated.pb.go`).
fn go_text(selector: Option<&selector::Selector>) -> String {
    let Some(selector) = selector else { return "nil".to_string() };
    let (mut labels, mut expressions) = (String::new(), String::new());
    for requirement in &selector.requirements {
        let values: Vec<&str> = requirement.values.iter().map(Name::as_str).collect();
        match (requirement.operator, values.as_slice()) {
            (selector::Operator::In, [value]) => labels += &format!("{}: {value},", requirement.key),
            (operator, values) => {
                let (key, values) = (&requirement.key, values.join(" "));
                expressions +=
                    &format!("LabelSelectorRequirement{{Key:{key},Operator:{operator:?},Values:[{values}],}},");
            }
        }
    }
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}
