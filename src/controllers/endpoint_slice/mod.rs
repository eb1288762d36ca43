//! Endpoint slices of services (`pkg/controller/endpointslice/endpointslice_controller.go`).
//!
//! A worked example: a pod of service `web` turns ready → its services are found by its labels → `web` is
//! reconciled: the slice that holds the pod gets a new version. The trigger-time annotation is not modelled.

pub mod endpoints;
pub mod hints;
pub mod reconcile;
pub mod synced;
pub mod topology;

use self::reconcile::{Decisions, MANAGED_BY};
use self::synced::Synced;
use crate::model::service::{EndpointSlice, SERVICE_NAME, Service, ServiceType};
use crate::model::{Key, Kind, Labels, Name, Node, Object, Pod, Resource, Selector};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, View, Write};
use crate::time::SimDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `--max-endpoints-per-slice`.
const MAX_ENDPOINTS: usize = 100;
/// Slices that someone else changed are looked at after this long.
const FOREIGN_CHANGE_DELAY: SimDuration = SimDuration::from_secs(1);
/// Events name this component.
const SOURCE: Name = crate::name!("endpoint-slice-controller");
const ZONE: &str = "topology.kubernetes.io/zone";

/// The EndpointSlice controller.
#[derive(Debug, Default)]
pub struct EndpointSliceController {
    /// Services by namespace and the first pair of their selector: those whose pods may carry it.
    by_pair: BTreeMap<Name, BTreeMap<(Name, Name), BTreeSet<Name>>>,
    /// Slices by the service that their label names.
    slices: BTreeMap<(Name, Name), BTreeSet<Name>>,
    /// Services whose slices are known to be what they should be but for a few pods.
    synced: BTreeMap<(Name, Name), Synced>,
    /// Services with topology-aware hints.
    hinted: BTreeSet<(Name, Name)>,
}

/// Its machinery: a service that fails waits from one second on, and is given up after fifteen times.
pub fn settings() -> ActorSettings {
    let backoff_base = SimDuration::from_secs(1);
    ActorSettings { backoff_base, max_retries: 15, ..ActorSettings::default() }
}

impl Controller for EndpointSliceController {
    fn name(&self) -> &'static str {
        "endpointslice-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Service, Kind::Pod, Kind::EndpointSlice]
    }

    fn follows(&self, change: &Change) -> bool {
        match (&change.old, &change.new) {
            (Some(Object::Pod(old)), Some(Object::Pod(new))) => {
                old.meta.labels != new.meta.labels || shown(old) != shown(new)
            }
            _ => true,
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.object() {
            Object::Service(_) => {
                self.follow_service(change);
                wake.add(change.key.clone());
            }
            Object::Pod(_) => self.wake_for_pod(change, view, wake),
            Object::EndpointSlice(slice) => {
                self.follow_slice(change);
                let managed = slice.meta.labels.get(&MANAGED_BY).is_some();
                if let Some(service) = slice.meta.labels.get(&SERVICE_NAME).filter(|_| managed)
                    && change.writer != self.name()
                {
                    self.synced.remove(&(change.key.namespace.clone(), service.clone()));
                    let key = Key::new(Kind::Service, change.key.namespace.clone(), service.clone());
                    wake.add_after(key, FOREIGN_CHANGE_DELAY);
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        // The slices of a service that is gone are the garbage collector's.
        let id = (key.namespace.clone(), key.name.clone());
        let known = self.synced.remove(&id);
        let Some(service) = cx.view.fetch_key::<Service>(key) else { return Requeue::Done };
        let Some(selector) = selector(service) else { return Requeue::Done };
        let existing = self.slices_of(key, cx.view);
        let view = cx.view;
        let zone_of = move |node: &Name| view.node(node).map(|n| n.meta.labels.get(ZONE).cloned().unwrap_or_default());
        // Hints by processors weigh all endpoints of a service against each other.
        let by_topology = topology::asked(service);
        let adjusted = known
            .as_ref()
            .filter(|_| !by_topology)
            .and_then(|known| known.adjust(service, &existing, view, &zone_of, MAX_ENDPOINTS));
        let mut decisions = adjusted.unwrap_or_else(|| {
            let pods = view.pods_selected(&key.namespace, &Selector::from_labels(selector));
            reconcile::reconcile(service, &existing, &pods, &zone_of, MAX_ENDPOINTS)
        });
        if by_topology {
            self.give_hints(service, &existing, &mut decisions, cx);
        } else if let Some(synced) = Synced::after(known, &decisions, &existing, service, view.revision()) {
            self.synced.insert(id, synced);
        }
        let failed = report_errors(service, &decisions, cx);
        for write in writes(service, decisions) {
            cx.write(write);
        }
        if failed { Requeue::Backoff } else { Requeue::Done }
    }
}

/// The selector of a service whose slices are made here.
fn selector(service: &Service) -> Option<&Labels> {
    service.selector.as_ref().filter(|pairs| !pairs.is_empty() && service.kind != ServiceType::ExternalName)
}

impl EndpointSliceController {
    fn follow_service(&mut self, change: &Change) {
        let pair = |object: &Option<Object>| {
            let service = object.as_ref().and_then(Service::of)?;
            selector(service).and_then(|pairs| pairs.iter().next().cloned())
        };
        let (old, new) = (pair(&change.old), pair(&change.new));
        if old == new {
            return;
        }
        let services = self.by_pair.entry(change.key.namespace.clone()).or_default();
        if let Some(names) = old.as_ref().and_then(|old| services.get_mut(old)) {
            names.remove(&change.key.name);
        }
        if let Some(new) = new {
            services.entry(new).or_default().insert(change.key.name.clone());
        }
    }

    fn follow_slice(&mut self, change: &Change) {
        let service = |object: &Object| {
            let meta = object.meta();
            meta.labels.get(&SERVICE_NAME).map(|service| (meta.namespace.clone(), service.clone()))
        };
        if let Some(names) = change.old.as_ref().and_then(service).and_then(|old| self.slices.get_mut(&old)) {
            names.remove(&change.key.name);
        }
        if let Some(new) = change.new.as_ref().and_then(service) {
            self.slices.entry(new).or_default().insert(change.key.name.clone());
        }
    }

    fn wake_for_pod(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        let old = change.old.as_ref().and_then(Object::pod);
        let new = change.new.as_ref().and_then(Object::pod);
        let relabelled = old.map(|pod| &pod.meta.labels) != new.map(|pod| &pod.meta.labels);
        let Some(by_pair) = self.by_pair.get(&change.key.namespace) else { return };
        let mut keys = BTreeSet::new();
        for pod in old.into_iter().chain(new.filter(|_| relabelled || old.is_none())) {
            for name in pod.meta.labels.iter().filter_map(|pair| by_pair.get(pair)).flatten() {
                let service = view.fetch::<Service>(&change.key.namespace, name);
                if service.and_then(|s| selector(s)).is_some_and(|wanted| wanted.subset_of(&pod.meta.labels)) {
                    keys.insert(Key::new(Kind::Service, change.key.namespace.clone(), name.clone()));
                }
            }
        }
        let counts = [old, new].into_iter().flatten().any(|pod| endpoints::eligible(pod));
        for key in keys {
            if counts && let Some(synced) = self.synced.get_mut(&(key.namespace.clone(), key.name.clone())) {
                [old, new].into_iter().flatten().for_each(|pod| synced.note(&pod.meta.name, pod.meta.uid));
            }
            wake.add(key);
        }
    }

    /// Hints for a service that asks for topology aware routing, and what is said about them.
    fn give_hints(
        &mut self,
        service: &Arc<Service>,
        existing: &[Arc<EndpointSlice>],
        decisions: &mut Decisions,
        cx: &mut Cx<'_>,
    ) {
        let nodes = cx.view.list::<Node>().map(|node| &**node);
        let (good, message) = topology::apply(existing, nodes, decisions);
        let id = (service.meta.namespace.clone(), service.meta.name.clone());
        let object = Object::Service(service.clone());
        if !good {
            self.hinted.remove(&id);
            cx.event(&object, true, SOURCE, crate::name!("TopologyAwareHintsDisabled"), message);
        } else if self.hinted.insert(id) {
            cx.event(&object, false, SOURCE, crate::name!("TopologyAwareHintsEnabled"), message);
        }
    }

    fn slices_of(&self, service: &Key, view: View<'_>) -> Vec<Arc<EndpointSlice>> {
        let names = self.slices.get(&(service.namespace.clone(), service.name.clone())).into_iter().flatten();
        let found = names.filter_map(|name| view.fetch::<EndpointSlice>(&service.namespace, name));
        let mut slices: Vec<Arc<EndpointSlice>> =
            found.filter(|slice| slice.meta.labels.get(&MANAGED_BY).is_some()).cloned().collect();
        slices.retain(|slice| !slice.meta.deleting());
        slices.sort_by(|a, b| (a.meta.created, &a.meta.name).cmp(&(b.meta.created, &b.meta.name)));
        slices
    }
}

/// What of a pod a service can see.
fn shown(pod: &Pod) -> impl PartialEq + use<'_> {
    (endpoints::eligible(pod), pod.status.pod_ip, pod.is_ready(), pod.meta.deleting(), &pod.node, pod.meta.uid)
}

/// Tells of pods that had to be left out.
fn report_errors(service: &Arc<Service>, decisions: &Decisions, cx: &mut Cx<'_>) -> bool {
    let text = match decisions.errors.as_slice() {
        [] => return false,
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let (namespace, name) = (&service.meta.namespace, &service.meta.name);
    let message = format!("Error updating Endpoint Slices for Service {namespace}/{name}: {text}");
    let reason = crate::name!("FailedToUpdateEndpointSlices");
    cx.event(&Object::Service(service.clone()), true, SOURCE, reason, message);
    true
}

/// Creations, then updates, then deletions, one after the other. A service being deleted gets no new slices.
fn writes(service: &Service, decisions: Decisions) -> Vec<Write> {
    let create = decisions.create.into_iter().filter(|_| !service.meta.deleting());
    let create = create.map(|slice| Write::Create(slice.into_object()));
    let update = decisions.update.into_iter().map(|slice| Write::Update(slice.into_object()));
    let namespace = &service.meta.namespace;
    let key = |name: Name| Key::new(Kind::EndpointSlice, namespace.clone(), name);
    let delete = decisions.delete.into_iter().map(|name| Write::Delete(key(name), DeleteOptions::default()));
    create.chain(update).chain(delete).collect()
}
