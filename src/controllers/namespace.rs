//! Empties namespaces that are being deleted (`pkg/controller/namespace/namespace_controller.go`,
//! `pkg/controller/namespace/deletion/namespaced_resources_deleter.go`).
//!
//! A worked example: `kubectl delete namespace shop` → 5 s later a first pass deletes its pods, and only them, and
//! writes what remains as conditions → that change brings it back 5 s later → no pod is left: everything else is
//! deleted, the finalizer `kubernetes` goes, and with it the namespace.

use crate::model::core::Namespace;
use crate::model::{Condition, Key, Kind, Name, Object, Pod, Resource, Truth, condition};
use crate::rng::Delay;
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Preconditions, Propagation, View, Write};
use crate::time::SimDuration;
use std::collections::BTreeMap;

/// How long a change of a namespace waits for caches of the API server to learn of its end.
const GRACE: SimDuration = SimDuration::from_secs(5);
/// What finalizers are given before the next look, when no pod says more.
const FINALIZER_SECONDS: i64 = 15;
const FINALIZER: Name = crate::name!("kubernetes");

/// The namespace controller.
#[derive(Debug, Default)]
pub struct NamespaceController;

/// Its machinery. A pass asks some sixty resources to delete their collections before it is done: that takes
/// about a tenth of a second, and the objects of a collection do not count as requests of the client.
pub fn settings() -> ActorSettings {
    let pass = Delay::Uniform(SimDuration::from_millis(40), SimDuration::from_millis(90));
    let backoff_max = SimDuration::from_secs(60);
    ActorSettings { workers: 10, milli_qps: 0, work_time: pass, backoff_max, ..ActorSettings::default() }
}

impl Controller for NamespaceController {
    fn name(&self) -> &'static str {
        "namespace-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Namespace]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if change.new.as_ref().is_some_and(|namespace| namespace.meta().deleting()) {
            wake.add_after(change.key.clone(), GRACE);
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(namespace) = cx.live().fetch_key::<Namespace>(key) else { return Requeue::Done };
        let Some(deletion) = namespace.meta.deletion.filter(|_| !namespace.spec_finalizers.is_empty()) else {
            return Requeue::Done;
        };
        // A collection is deleted in the order of its list: by name, as the storage keeps it.
        let mut objects: Vec<&Object> = cx.live().in_namespace(&key.name).collect();
        objects.sort_by_cached_key(|object| object.key());
        let (pods, others): (Vec<&Object>, Vec<&Object>) =
            objects.into_iter().partition(|object| object.kind() == Kind::Pod);
        let seconds = estimate(&pods, cx.now - deletion.at);
        let mut remaining = delete_all(&pods, cx);
        // While it waits for pods, upstream has not counted what remains yet, and says so of nothing.
        let mut said = Remaining::default();
        if remaining.is_empty() {
            remaining = delete_all(&others, cx);
            said = remaining.clone();
        }
        report(namespace, &said, cx);
        if remaining.is_empty() {
            let mut empty = Namespace::clone(namespace);
            empty.spec_finalizers.retain(|finalizer| *finalizer != FINALIZER);
            empty.meta.resource_version = 0;
            cx.write(Write::Update(empty.into_object()));
            return Requeue::Done;
        }
        let seconds = if seconds == 0 { FINALIZER_SECONDS } else { seconds };
        Requeue::After(SimDuration::from_secs(seconds / 2 + 1))
    }
}

/// The longest grace of the pods that still run; 0 once that has passed.
fn estimate(pods: &[&Object], since: SimDuration) -> i64 {
    let running = pods.iter().filter_map(|object| object.pod()).filter(|pod| !pod.status.phase.terminal());
    let longest = running.map(|pod| pod.spec.grace_seconds).max().unwrap_or(0);
    if since >= SimDuration::from_secs(longest) { 0 } else { longest }
}

/// What is left of a namespace.
#[derive(Clone, Default)]
struct Remaining {
    /// Objects by plural of their kind.
    kinds: BTreeMap<String, usize>,
    /// Objects by finalizer.
    finalizers: BTreeMap<Name, usize>,
}

impl Remaining {
    fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// Asks for the deletion of `objects`, pods one after the other, the others kind by kind; gives what will stay.
fn delete_all(objects: &[&Object], cx: &mut Cx<'_>) -> Remaining {
    let mut remaining = Remaining::default();
    let mut groups: BTreeMap<Kind, Vec<Write>> = BTreeMap::new();
    for object in objects {
        let meta = object.meta();
        if stays(object) {
            *remaining.kinds.entry(resource(object.kind())).or_default() += 1;
            for finalizer in &meta.finalizers {
                *remaining.finalizers.entry(finalizer.clone()).or_default() += 1;
            }
        }
        if meta.deleting() {
            continue;
        }
        let options = DeleteOptions {
            grace_seconds: None,
            propagation: Some(Propagation::Background),
            preconditions: Preconditions::uid(meta.uid),
        };
        groups.entry(object.kind()).or_default().push(Write::Delete(object.key(), options));
    }
    for (kind, writes) in groups {
        match kind {
            Kind::Pod => writes.into_iter().for_each(|write| cx.write(write)),
            _ => cx.write_all(writes),
        }
    }
    remaining
}

/// Whether an object is still there after the request to delete it.
fn stays(object: &Object) -> bool {
    let graceful = |pod: &Pod| match pod.meta.deletion {
        Some(_) => true,
        None => pod.node.is_some() && !pod.status.phase.terminal() && pod.spec.grace_seconds > 0,
    };
    !object.meta().finalizers.is_empty() || object.pod().is_some_and(|pod| graceful(pod))
}

/// `pods.` or `deployments.apps`: resource and group as the message joins them.
fn resource(kind: Kind) -> String {
    format!("{}.{}", kind.plural(), kind.group())
}

/// Writes the conditions of the deletion if they say something new (`status_condition_utils.go`).
fn report(namespace: &Namespace, remaining: &Remaining, cx: &mut Cx<'_>) {
    let list = |counts: Vec<String>| counts.join(", ");
    let kinds = remaining.kinds.iter().map(|(kind, n)| format!("{kind} has {n} resource instances")).collect();
    let holders = remaining.finalizers.iter().map(|(name, n)| format!("{name} in {n} resource instances")).collect();
    let rows = [
        (
            crate::name!("NamespaceDeletionDiscoveryFailure"),
            None,
            crate::name!("ResourcesDiscovered"),
            "All resources successfully discovered".to_string(),
        ),
        (
            crate::name!("NamespaceDeletionGroupVersionParsingFailure"),
            None,
            crate::name!("ParsedGroupVersions"),
            "All legacy kube types successfully parsed".to_string(),
        ),
        (
            crate::name!("NamespaceDeletionContentFailure"),
            None,
            crate::name!("ContentDeleted"),
            "All content successfully deleted, may be waiting on finalization".to_string(),
        ),
        (
            crate::name!("NamespaceContentRemaining"),
            Some(list(kinds))
                .filter(|kinds| !kinds.is_empty())
                .map(|kinds| (crate::name!("SomeResourcesRemain"), format!("Some resources are remaining: {kinds}"))),
            crate::name!("ContentRemoved"),
            "All content successfully removed".to_string(),
        ),
        (
            crate::name!("NamespaceFinalizersRemaining"),
            Some(list(holders)).filter(|holders| !holders.is_empty()).map(|holders| {
                let message = format!("Some content in the namespace has finalizers remaining: {holders}");
                (crate::name!("SomeFinalizersRemain"), message)
            }),
            crate::name!("ContentHasNoFinalizers"),
            "All content-preserving finalizers finished".to_string(),
        ),
    ];
    let mut updated = namespace.clone();
    for (kind, problem, fine, fine_message) in rows {
        let (status, (reason, message)) = match problem {
            Some(problem) => (Truth::True, problem),
            None => (Truth::False, (fine, fine_message)),
        };
        condition::say(&mut updated.conditions, Condition::new(kind, status, reason, message, cx.now));
    }
    if updated.conditions != namespace.conditions {
        cx.write(Write::UpdateStatus(updated.into_object()));
    }
}
