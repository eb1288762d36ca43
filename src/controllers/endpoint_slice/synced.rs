//! What is known of a service's slices since they were last looked at, so that the next look costs what changed.
//!
//! A worked example: of a service's thousand pods one turns ready. Its slices are the ones that were wished for last
//! time and no node has moved, so nine hundred and ninety-nine endpoints are what they should be: the slice of the one
//! is changed, and the decision is the same as if all had been judged. Where anything else happened (the service
//! changed, someone else wrote a slice, a write failed), all are judged again.

use super::reconcile::{self, Decisions, Judged, ZoneOf};
use crate::model::service::{Endpoint, EndpointSlice, Service};
use crate::model::{Name, Pod, Uid};
use crate::store::{Revision, View};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// The slices of a service as they were wished for.
#[derive(Debug)]
pub struct Synced {
    service: Arc<Service>,
    at: Revision,
    /// By the address of their endpoints, which stay where they are while they are held.
    slices: FxHashMap<usize, Wished>,
    /// Pods that are not what they were, by name and by uid.
    names: FxHashSet<Name>,
    uids: FxHashSet<Uid>,
}

/// The endpoints of one slice, and whose they are.
#[derive(Debug)]
struct Wished {
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    pods: FxHashSet<Uid>,
}

fn address(endpoints: &Arc<Vec<Arc<Endpoint>>>) -> usize {
    Arc::as_ptr(endpoints) as usize
}

impl Synced {
    /// After `decisions` were taken at `at` on slices that were `existing`; `before` is what was known then. None if it
    /// takes more than the changed pods to decide the next time.
    pub fn after(
        before: Option<Synced>,
        decisions: &Decisions,
        existing: &[Arc<EndpointSlice>],
        service: &Arc<Service>,
        at: Revision,
    ) -> Option<Synced> {
        let plain = reconcile::same_ports(service) && service.traffic_distribution.is_empty();
        if !plain || service.meta.deleting() || !decisions.errors.is_empty() {
            return None;
        }
        let replaced = |name: &Name| {
            decisions.delete.contains(name) || decisions.update.iter().any(|slice| slice.meta.name == *name)
        };
        let stay = existing.iter().filter(|slice| !replaced(&slice.meta.name)).map(|slice| &slice.endpoints);
        let written = decisions.update.iter().chain(&decisions.create).map(|slice| &slice.endpoints);
        let mut known = before.map(|before| before.slices).unwrap_or_default();
        let wished = |endpoints: &Arc<Vec<Arc<Endpoint>>>| {
            let fresh = || Wished {
                endpoints: endpoints.clone(),
                pods: endpoints.iter().map(|endpoint| endpoint.pod_uid).collect(),
            };
            (address(endpoints), known.remove(&address(endpoints)).unwrap_or_else(fresh))
        };
        let slices = stay.chain(written).map(wished).collect();
        let (names, uids) = (FxHashSet::default(), FxHashSet::default());
        Some(Synced { service: service.clone(), at, slices, names, uids })
    }

    /// A pod that the service selects, or did, is not what it was.
    pub fn note(&mut self, pod: &Name, uid: Uid) {
        self.names.insert(pod.clone());
        self.uids.insert(uid);
    }

    /// What to do about the pods that changed; None if all must be judged.
    pub fn adjust(
        &self,
        service: &Arc<Service>,
        existing: &[Arc<EndpointSlice>],
        view: View<'_>,
        zone_of: &ZoneOf<'_>,
        max: usize,
    ) -> Option<Decisions> {
        let same = Arc::ptr_eq(&self.service, service) && !view.nodes_moved_since(self.at) && self.are_these(existing);
        if !same {
            return None;
        }
        if self.names.is_empty() {
            return Some(Decisions::default());
        }
        let selector = service.selector.as_ref()?;
        let mut pods: Vec<&Arc<Pod>> = view.named_in(&service.meta.namespace, &self.names);
        pods.retain(|pod| selector.subset_of(&pod.meta.labels));
        reconcile::adjust(service, existing, &pods, &self.judged(), zone_of, max)
    }

    /// The endpoints that may not be what they should be.
    fn judged(&self) -> Judged<'_> {
        let touched = |wished: &&Wished| self.uids.iter().any(|uid| wished.pods.contains(uid));
        let slices = self.slices.values().filter(touched).map(|wished| Arc::as_ptr(&wished.endpoints)).collect();
        Judged { slices, pods: &self.uids }
    }

    /// Whether slices hold the very endpoints that were wished for.
    fn are_these(&self, existing: &[Arc<EndpointSlice>]) -> bool {
        let wished = |slice: &Arc<EndpointSlice>| self.slices.contains_key(&address(&slice.endpoints));
        existing.len() == self.slices.len() && existing.iter().all(wished)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reconcile::{adjust, reconcile};
    use super::*;
    use crate::model::builder;
    use crate::model::service::{ServicePort, TargetPort};
    use crate::model::{Condition, Deletion, Phase, Truth, Uid};
    use crate::time::SimTime;
    use proptest::prelude::*;

    /// Endpoints of a slice at most: few, so that slices fill up, empty and are written for others' sake.
    const MAX: usize = 3;

    fn service() -> Service {
        let target = TargetPort::Number(8080);
        let protocol = Name::from("TCP");
        let port =
            ServicePort { name: Name::new(), protocol, app_protocol: Name::new(), port: 80, target, node_port: 0 };
        Service { ports: vec![port], ..builder::service("web", "web") }
    }

    /// Pod `n` in one of seven states: gone, without address, ready, not ready, being deleted, ended, with another
    /// address and uid.
    fn pod(n: usize, state: u8) -> Option<Arc<Pod>> {
        let mut pod = builder::pod(&format!("pod-{n}"), builder::spec("img", 100, 0)).on("node");
        pod.meta.uid = Uid(if state == 6 { 100 } else { 1 } + n as u128);
        pod.status.phase = if state == 5 { Phase::Succeeded } else { Phase::Running };
        let last = u8::try_from(n).unwrap() + if state == 6 { 100 } else { 1 };
        pod.status.pod_ip = (state != 1).then(|| [10, 0, 0, last].into());
        let ready = Truth::from(state != 3);
        pod.status.conditions = vec![Condition::new(Name::from("Ready"), ready, Name::new(), "", SimTime::ZERO)];
        pod.meta.deletion = (state == 4).then_some(Deletion { at: SimTime::from_secs(30), grace_seconds: 30 });
        (state != 0).then(|| Arc::new(pod))
    }

    fn follow(slices: &mut Vec<Arc<EndpointSlice>>, decisions: &Decisions, next: &mut u32) {
        slices.retain(|slice| !decisions.delete.contains(&slice.meta.name));
        for new in &decisions.update {
            let old = slices.iter_mut().find(|slice| slice.meta.name == new.meta.name).unwrap();
            *old = Arc::new(new.clone());
        }
        for new in &decisions.create {
            let mut new = new.clone();
            new.meta.name = Name::from(format!("slice-{next:03}"));
            *next += 1;
            slices.push(Arc::new(new));
        }
    }

    proptest! {
        /// Any history of a dozen pods: what is decided by those that changed is what all together decide.
        #[test]
        fn the_changed_pods_decide_as_all_do(
            rounds in prop::collection::vec(prop::collection::vec((0usize..12, 0u8..7), 0..4), 1..20),
        ) {
            let service = Arc::new(service());
            let zone_of = |_: &Name| Some(Name::from("zone"));
            let (mut states, mut slices, mut next) = ([2u8; 12], Vec::new(), 0);
            let mut synced = Synced::after(None, &Decisions::default(), &slices, &service, 0);
            for round in rounds {
                let mut known = synced.take().expect("nothing but pods changes");
                for (n, state) in round {
                    let before = std::mem::replace(&mut states[n], state);
                    for pod in [before, state].into_iter().filter_map(|state| pod(n, state)) {
                        known.note(&pod.meta.name, pod.meta.uid);
                    }
                }
                let pods: Vec<Arc<Pod>> = (0..12).filter_map(|n| pod(n, states[n])).collect();
                let all: Vec<&Arc<Pod>> = pods.iter().collect();
                let few: Vec<&Arc<Pod>> = pods.iter().filter(|pod| known.names.contains(&pod.meta.name)).collect();
                let wished = reconcile(&service, &slices, &all, &zone_of, MAX);
                prop_assert!(known.are_these(&slices));
                let adjusted = adjust(&service, &slices, &few, &known.judged(), &zone_of, MAX);
                let enough = !slices.is_empty() && slices.iter().all(|slice| !slice.endpoints.is_empty());
                synced = Synced::after(Some(known), &wished, &slices, &service, 0);
                follow(&mut slices, &wished, &mut next);
                let some_left = slices.iter().all(|slice| !slice.endpoints.is_empty());
                prop_assert_eq!(adjusted.is_some(), enough && some_left);
                prop_assert!(adjusted.is_none_or(|adjusted| adjusted == wished));
            }
        }
    }
}
