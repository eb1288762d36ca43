//! Which slices a service should have, given its pods: a pure function
//! (`staging/src/k8s.io/endpointslice/reconciler.go`).
//!
//! Slices change as little as possible: an endpoint stays in its slice, new ones fill slices that are being
//! written anyway, then one more slice, then new ones. Upstream takes endpoints and slices in the order of a hash
//! table; here pods come in the order given and slices in the order of creation.

use super::endpoints;
use super::topology;
use crate::model::service::{Endpoint, EndpointPort, EndpointSlice, SERVICE_NAME, Service, TargetPort};
use crate::model::{Kind, Labels, Meta, Name, OwnerReference, Pod, Uid};
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Who manages the slices, as their label says.
pub const MANAGED_BY: Name = crate::name!("endpointslice.kubernetes.io/managed-by");
const MANAGER: Name = crate::name!("endpointslice-controller.k8s.io");
const HEADLESS: Name = crate::name!("service.kubernetes.io/headless");

/// What is asked for. Slices without a name are to be created with a generated one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decisions {
    /// New slices.
    pub create: Vec<EndpointSlice>,
    /// New contents of slices that exist.
    pub update: Vec<EndpointSlice>,
    /// Names of slices that go.
    pub delete: Vec<Name>,
    /// Pods that had to be left out; the service must be looked at again.
    pub errors: Vec<String>,
}

/// Where a node is: `None` if there is no such node, an empty name if it is in no zone.
pub type ZoneOf<'a> = dyn Fn(&Name) -> Option<Name> + 'a;

/// Decides for `service`, whose slices are `existing` and whose selector matches `pods`; `max` endpoints a slice.
pub fn reconcile(
    service: &Service,
    existing: &[Arc<EndpointSlice>],
    pods: &[&Arc<Pod>],
    zone_of: &ZoneOf<'_>,
    max: usize,
) -> Decisions {
    let mut decisions = Decisions::default();
    let mut slices: BTreeMap<Vec<EndpointPort>, Vec<&Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        match owned(slice, service) {
            true => slices.entry(sorted(&slice.ports)).or_default().push(slice),
            false => decisions.delete.push(slice.meta.name.clone()),
        }
    }
    let mut unchanged = Vec::new();
    for (key, (ports, wanted)) in wanted(service, pods, zone_of, &mut decisions.errors) {
        let group = slices.remove(&key).unwrap_or_default();
        unchanged.extend(one_port_set(service, &group, &ports, wanted, max, None, &mut decisions));
    }
    decisions.delete.extend(slices.into_values().flatten().map(|slice| slice.meta.name.clone()));
    keep_placeholder(service, existing, &mut decisions);
    hint(service, &unchanged, &mut decisions);
    reuse_deleted(service, existing, &mut decisions);
    decisions
}

/// The endpoints that are looked at where all others are known to be as they should be.
pub(super) struct Judged<'a> {
    /// The lists that hold one of them.
    pub slices: SmallVec<[*const Vec<Arc<Endpoint>>; 4]>,
    /// Whose they are.
    pub pods: &'a FxHashSet<Uid>,
}

/// What [`reconcile`] decides where only the `judged` endpoints are not in `existing` as they are now; `pods` are those
/// of their pods that the service still selects, in the same order. None where that is not enough to decide.
pub(super) fn adjust(
    service: &Service,
    existing: &[Arc<EndpointSlice>],
    pods: &[&Arc<Pod>],
    judged: &Judged<'_>,
    zone_of: &ZoneOf<'_>,
    max: usize,
) -> Option<Decisions> {
    // An empty slice stands for all pods of whatever ports.
    if existing.is_empty() || existing.iter().any(|slice| slice.endpoints.is_empty()) {
        return None;
    }
    let mut decisions = Decisions::default();
    let mut wanted = wanted(service, pods, zone_of, &mut decisions.errors);
    if !decisions.errors.is_empty() {
        return None;
    }
    let (ports, set) = wanted.pop().map(|(_, of_ports)| of_ports).unwrap_or_default();
    let group: Vec<&Arc<EndpointSlice>> = existing.iter().collect();
    one_port_set(service, &group, &ports, set, max, Some(judged), &mut decisions);
    if decisions.create.is_empty() && decisions.delete.len() == existing.len() {
        return None;
    }
    reuse_deleted(service, existing, &mut decisions);
    Some(decisions)
}

/// Whether all pods serve the service at the same ports: none is named.
pub(super) fn same_ports(service: &Service) -> bool {
    service.ports.iter().all(|port| matches!(port.target, TargetPort::Number(_)))
}

fn owned(slice: &EndpointSlice, service: &Service) -> bool {
    slice.meta.controller().is_some_and(|owner| owner.uid == service.meta.uid)
}

fn sorted(ports: &[EndpointPort]) -> Vec<EndpointPort> {
    let mut ports = ports.to_vec();
    ports.sort();
    ports
}

/// Endpoints wished for, by set of ports in the order of the first pod that has it.
type Wanted = IndexMap<Vec<EndpointPort>, (Vec<EndpointPort>, EndpointSet), FxBuildHasher>;

fn wanted(service: &Service, pods: &[&Arc<Pod>], zone_of: &ZoneOf<'_>, errors: &mut Vec<String>) -> Wanted {
    let (mut wanted, mut at) = (Wanted::default(), 0);
    let one_set = same_ports(service);
    for pod in pods.iter().filter(|pod| endpoints::eligible(pod)) {
        if wanted.is_empty() || !one_set {
            let ports = endpoints::ports(service, pod);
            let place = wanted.entry(sorted(&ports));
            at = place.index();
            place.or_insert_with(|| (ports, EndpointSet::default()));
        }
        let set = &mut wanted[at].1;
        let node = pod.node.clone().unwrap_or_default();
        let zone = zone_of(&node);
        if zone.is_none() && !service.publish_not_ready {
            let (service, pod) = (&service.meta, &pod.meta.name);
            let (namespace, name) = (&service.namespace, &service.name);
            errors.push(format!("skipping Pod {pod} for Service {namespace}/{name}: Node {node} Not Found"));
            continue;
        }
        if let Some(endpoint) = endpoints::endpoint(service, pod, zone.unwrap_or_default()) {
            set.insert(Arc::new(endpoint));
        }
    }
    wanted
}

/// Whether two endpoints are the same one (`staging/src/k8s.io/endpointslice/util/endpointset.go`).
fn identical(a: &Endpoint, b: &Endpoint) -> bool {
    a.address == b.address && a.hostname == b.hostname && a.pod == b.pod
}

/// Endpoints by identity, taken in the order they were put in.
#[derive(Debug, Default)]
struct EndpointSet {
    endpoints: Vec<Option<Arc<Endpoint>>>,
    /// By address; few share one.
    places: FxHashMap<Ipv4Addr, SmallVec<[u32; 2]>>,
    next: usize,
    count: usize,
}

impl EndpointSet {
    fn insert(&mut self, endpoint: Arc<Endpoint>) {
        let places = self.places.entry(endpoint.address).or_default();
        let same = |place: &&u32| self.endpoints[**place as usize].as_ref().is_some_and(|e| identical(e, &endpoint));
        match places.iter().find(same).copied() {
            Some(place) => self.endpoints[place as usize] = Some(endpoint),
            None => {
                places.push(u32::try_from(self.endpoints.len()).expect("fewer than 4 billion endpoints"));
                self.endpoints.push(Some(endpoint));
                self.count += 1;
            }
        }
    }

    fn take(&mut self, like: &Endpoint) -> Option<Arc<Endpoint>> {
        let same = |place: &&u32| self.endpoints[**place as usize].as_ref().is_some_and(|e| identical(e, like));
        let place = self.places.get(&like.address)?.iter().find(same).copied()?;
        self.count -= 1;
        self.endpoints[place as usize].take()
    }

    fn pop(&mut self) -> Option<Arc<Endpoint>> {
        let rest = self.endpoints.get_mut(self.next..)?;
        let at = rest.iter().position(Option::is_some)?;
        self.next += at + 1;
        self.count -= 1;
        rest[at].take()
    }

    fn len(&self) -> usize {
        self.count
    }
}

/// Whether two versions of an endpoint differ in what a slice says; hints are judged later.
fn same(a: &Endpoint, b: &Endpoint) -> bool {
    (a.ready, a.serving, a.terminating, a.pod_uid) == (b.ready, b.serving, b.terminating, b.pod_uid)
        && a.node == b.node
        && a.zone == b.zone
}

/// Decides for the slices of one set of ports; those that stay as they are come back.
fn one_port_set(
    service: &Service,
    existing: &[&Arc<EndpointSlice>],
    ports: &[EndpointPort],
    mut wanted: EndpointSet,
    max: usize,
    judged: Option<&Judged<'_>>,
    decisions: &mut Decisions,
) -> Vec<Arc<EndpointSlice>> {
    let mut update: Vec<EndpointSlice> = Vec::new();
    let mut unchanged: Vec<&Arc<EndpointSlice>> = Vec::new();
    let labels = labels(service);
    for slice in existing {
        let (kept, changed) = keep(slice, &mut wanted, judged);
        if changed && kept.is_empty() {
            decisions.delete.push(slice.meta.name.clone());
        } else if changed || labels != slice.meta.labels {
            let mut slice = EndpointSlice::clone(slice);
            slice.meta.labels = labels.clone();
            if changed {
                slice.endpoints = Arc::new(kept);
            }
            update.push(slice);
        } else {
            unchanged.push(slice);
        }
    }
    // The fullest first, as long as something is left to place.
    update.sort_by_key(|slice| std::cmp::Reverse(slice.endpoints.len()));
    for slice in &mut update {
        fill(slice, &mut wanted, max);
    }
    while wanted.len() > 0 {
        let room = if wanted.len() < max { fitting(&unchanged, wanted.len(), max) } else { None };
        let mut slice = match room {
            Some(at) => EndpointSlice::clone(unchanged.remove(at)),
            None => new_slice(service, ports),
        };
        fill(&mut slice, &mut wanted, max);
        let list = if slice.meta.name.is_empty() { &mut decisions.create } else { &mut update };
        list.push(slice);
    }
    decisions.update.append(&mut update);
    unchanged.into_iter().cloned().collect()
}

/// The endpoints of a slice that are still wished for, in their newest form, and whether that is a change. All but the
/// judged ones are known to be.
fn keep(slice: &EndpointSlice, wanted: &mut EndpointSet, judged: Option<&Judged<'_>>) -> (Vec<Arc<Endpoint>>, bool) {
    if judged.is_some_and(|judged| !judged.slices.contains(&Arc::as_ptr(&slice.endpoints))) {
        return (Vec::new(), false);
    }
    let judged = |endpoint: &Arc<Endpoint>| judged.is_none_or(|judged| judged.pods.contains(&endpoint.pod_uid));
    let mut changed = false;
    let mut kept = Vec::with_capacity(slice.endpoints.len());
    for endpoint in slice.endpoints.iter() {
        if !judged(endpoint) {
            kept.push(endpoint.clone());
        } else if let Some(newest) = wanted.take(endpoint) {
            changed |= !same(endpoint, &newest);
            kept.push(newest);
        }
    }
    let removed = kept.len() != slice.endpoints.len();
    (kept, changed || removed)
}

fn fill(slice: &mut EndpointSlice, wanted: &mut EndpointSet, max: usize) {
    if wanted.len() == 0 || slice.endpoints.len() >= max {
        return;
    }
    let list = Arc::make_mut(&mut slice.endpoints);
    while list.len() < max
        && let Some(endpoint) = wanted.pop()
    {
        list.push(endpoint);
    }
}

/// The slice that `count` more endpoints fill best without going over `max`. An empty one is not worth it.
fn fitting(slices: &[&Arc<EndpointSlice>], count: usize, max: usize) -> Option<usize> {
    let left = |slice: &EndpointSlice| max.checked_sub(slice.endpoints.len() + count);
    let fits = slices.iter().enumerate().filter_map(|(at, slice)| Some((left(slice)?, at)));
    fits.min().filter(|(left, _)| *left < max).map(|(_, at)| at)
}

fn new_slice(service: &Service, ports: &[EndpointPort]) -> EndpointSlice {
    let mut meta = Meta::named(service.meta.namespace.clone(), Name::new());
    meta.generate_name = Name::from(format!("{}-", service.meta.name));
    meta.labels = labels(service);
    meta.owners.push(OwnerReference {
        kind: Kind::Service,
        name: service.meta.name.clone(),
        uid: service.meta.uid,
        controller: true,
        block_owner_deletion: true,
    });
    EndpointSlice { meta, ports: Arc::new(ports.to_vec()), endpoints: Arc::default() }
}

/// The labels of a service's slices: its own and those that name service and manager.
fn labels(service: &Service) -> Labels {
    let reserved = |key: &Name| [SERVICE_NAME, MANAGED_BY, HEADLESS].contains(key);
    let mut labels: Labels = service.meta.labels.iter().filter(|(key, _)| !reserved(key)).cloned().collect();
    if service.headless || service.cluster_ip.is_none() {
        labels = labels.with(HEADLESS, Name::new());
    }
    labels.with(SERVICE_NAME, service.meta.name.clone()).with(MANAGED_BY, MANAGER)
}

/// A service always has a slice: an empty one when there is nothing to say.
fn keep_placeholder(service: &Service, existing: &[Arc<EndpointSlice>], decisions: &mut Decisions) {
    if existing.len() != decisions.delete.len() || !decisions.create.is_empty() {
        return;
    }
    let placeholder = new_slice(service, &[]);
    let stays = |slice: &EndpointSlice| {
        slice.endpoints.is_empty()
            && slice.ports.is_empty()
            && slice.meta.labels == placeholder.meta.labels
            && slice.meta.owners == placeholder.meta.owners
    };
    match existing {
        [one] if stays(one) => decisions.delete.clear(),
        _ => decisions.create.push(placeholder),
    }
}

/// Traffic hints on everything written, and on what would have stayed but for them.
fn hint(service: &Service, unchanged: &[Arc<EndpointSlice>], decisions: &mut Decisions) {
    // Hints by processors come later and win.
    if topology::asked(service) {
        return;
    }
    let distribution = service.traffic_distribution.as_str();
    for slice in decisions.create.iter_mut().chain(&mut decisions.update) {
        if !(distribution.is_empty() && slice.endpoints.iter().all(|endpoint| endpoint.hint_zones.is_empty())) {
            for endpoint in Arc::make_mut(&mut slice.endpoints) {
                endpoints::give_hints(distribution, Arc::make_mut(endpoint));
            }
        }
    }
    let bare = |endpoint: &Arc<Endpoint>| endpoint.hint_zones.is_empty() && endpoint.hint_nodes.is_empty();
    for slice in unchanged.iter().filter(|slice| !(distribution.is_empty() && slice.endpoints.iter().all(bare))) {
        let mut hinted = Vec::clone(&slice.endpoints);
        let given = hinted.iter_mut().map(|endpoint| endpoints::give_hints(distribution, Arc::make_mut(endpoint)));
        if given.filter(|changed| *changed).count() > 0 {
            let mut slice = EndpointSlice::clone(slice);
            slice.endpoints = Arc::new(hinted);
            decisions.update.push(slice);
        }
    }
}

/// Instead of deleting one slice and creating another the first gets the content of the second.
fn reuse_deleted(service: &Service, existing: &[Arc<EndpointSlice>], decisions: &mut Decisions) {
    let foreign: BTreeSet<Name> =
        existing.iter().filter(|slice| !owned(slice, service)).map(|slice| slice.meta.name.clone()).collect();
    let mut at = 0;
    while at < decisions.delete.len() {
        if foreign.contains(&decisions.delete[at]) {
            at += 1;
            continue;
        }
        let Some(mut slice) = decisions.create.pop() else { return };
        slice.meta.name = decisions.delete.remove(at);
        slice.meta.generate_name = Name::new();
        decisions.update.push(slice);
    }
}
