//! New machines for pods that fit nowhere: first fit, largest pods first, and of every type that takes a node's pods the
//! cheapest (`pkg/controllers/provisioning/scheduling/`).

use super::{Karpenter, NODE_POOL, Offering, SOURCE};
use crate::autoscaler::world::daemon_pods;
use crate::model::provision::Provision;
use crate::model::{Machine, Name, Node, Object, Pod, Resource, Resources};
use crate::runtime::Cx;
use crate::scheduler::predicates::Predicates;
use crate::store::{View, Write};
use std::cmp::Reverse;
use std::sync::Arc;

/// A node that would be made.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The name under which it is in the copy of the cluster.
    pub name: Name,
    /// Offerings that take everything on it.
    pub offerings: Vec<usize>,
    /// What its pods request, with those of daemon sets.
    requests: Resources,
    /// Pods for it.
    pub pods: Vec<Arc<Pod>>,
}

impl Claim {
    /// The cheapest offering.
    pub fn cheapest(&self, all: &[Offering]) -> Option<usize> {
        self.offerings.iter().copied().min_by_key(|at| (all[*at].price_micros, *at))
    }
}

/// Whether what a node offers is enough.
fn covers(have: &Resources, wanted: &Resources) -> bool {
    have.milli_cpu >= wanted.milli_cpu
        && have.memory >= wanted.memory
        && wanted.scalar.iter().all(|(name, amount)| have.get(name) >= *amount)
}

impl Karpenter {
    /// Pods that the scheduler could not place.
    pub(super) fn waiting(&self, view: View<'_>) -> Vec<Arc<Pod>> {
        let waits = |key: &crate::model::Key| {
            let pod = view.fetch_key::<Pod>(key)?;
            let owner = pod.meta.controller().map(|owner| owner.kind);
            let wanted = super::unschedulable(&Object::Pod(pod.clone()))
                && !pod.meta.deleting()
                && owner != Some(crate::model::Kind::DaemonSet);
            wanted.then(|| pod.clone())
        };
        self.pending.iter().filter_map(waits).collect()
    }

    /// Places pods on what there is and on new claims: the claims, and pods for which there is nothing.
    pub(super) fn solve(
        &self,
        copy: &mut Predicates,
        mut pods: Vec<Arc<Pod>>,
        view: View<'_>,
    ) -> (Vec<Claim>, Vec<Arc<Pod>>) {
        pods.sort_by_key(|pod| (Reverse(pod.requests().milli_cpu), Reverse(pod.requests().memory), pod.meta.uid));
        let (mut claims, mut left): (Vec<Claim>, Vec<Arc<Pod>>) = (Vec::new(), Vec::new());
        let existing = copy.nodes();
        for pod in pods {
            if let Some(node) = copy.find(&pod, existing.iter()) {
                copy.place(&pod, &node);
                continue;
            }
            let all = &self.offerings;
            let taken = claims.iter_mut().any(|claim| {
                let mut requests = claim.requests.clone();
                requests.add(pod.requests());
                let still = |at: &usize| covers(&all[*at].machine.node.allocatable, &requests);
                let offerings: Vec<usize> = claim.offerings.iter().copied().filter(still).collect();
                if offerings.is_empty() || copy.fits(&pod, &claim.name).is_err() {
                    return false;
                }
                copy.place(&pod, &claim.name);
                (claim.offerings, claim.requests) = (offerings, requests);
                claim.pods.push(pod.clone());
                true
            });
            if !taken {
                match self.new_claim(copy, &pod, &claims, view) {
                    Some(claim) => claims.push(claim),
                    None => left.push(pod),
                }
            }
        }
        (claims, left)
    }

    /// A new node for a pod, of the pool of highest weight that has one.
    fn new_claim(&self, copy: &mut Predicates, pod: &Arc<Pod>, claims: &[Claim], view: View<'_>) -> Option<Claim> {
        let mut pools: Vec<usize> = (0..self.wish.node_pools.len()).collect();
        pools.sort_by_key(|at| Reverse(self.wish.node_pools[*at].weight));
        let name = Name::from(format!("karpenter-claim-{}", claims.len()));
        for pool in pools {
            let largest = |claim: &Claim| {
                let own = claim.offerings.iter().map(|at| &self.offerings[*at]).filter(|one| one.pool == pool);
                own.map(|one| one.machine.node.capacity.milli_cpu).max().unwrap_or(0)
            };
            let room = self.room(pool, view).saturating_sub(claims.iter().map(largest).sum());
            let mut offerings: Vec<usize> = Vec::new();
            let mut requests = Resources::default();
            // The largest that takes it stands for all until one is chosen.
            let mut sizes: Vec<usize> =
                (0..self.offerings.len()).filter(|at| self.offerings[*at].pool == pool).collect();
            sizes.retain(|at| self.offerings[*at].machine.node.capacity.milli_cpu <= room);
            sizes.sort_by_key(|at| Reverse(self.offerings[*at].machine.node.allocatable.milli_cpu));
            for at in &sizes {
                let mut node = Node::clone(&self.offerings[*at].machine.node);
                node.meta.name = name.clone();
                node.meta.labels = node.meta.labels.with("kubernetes.io/hostname", name.clone());
                copy.set_node(&Arc::new(node));
                let daemons = daemon_pods(view, copy, &name);
                requests = Resources::default();
                daemons.iter().for_each(|daemon| requests.add(daemon.requests()));
                requests.add(pod.requests());
                for daemon in daemons {
                    copy.place(&Arc::new(daemon), &name);
                }
                if copy.fits(pod, &name).is_ok() {
                    let enough = |other: &usize| covers(&self.offerings[*other].machine.node.allocatable, &requests);
                    offerings = sizes.iter().copied().filter(enough).collect();
                    break;
                }
                copy.pods_on(&name).iter().for_each(|pod| copy.unplace(pod));
                copy.remove_node(&name);
            }
            if !offerings.is_empty() {
                copy.place(pod, &name);
                return Some(Claim { name, offerings, requests, pods: vec![pod.clone()] });
            }
        }
        None
    }

    /// Milli-CPU that a pool may still grow by.
    fn room(&self, pool: usize, view: View<'_>) -> i64 {
        let wish = &self.wish.node_pools[pool];
        let Some(limit) = wish.cpu_limit else { return i64::MAX };
        let own = view.list::<Machine>().filter(|machine| machine.pool == wish.name.as_str());
        let used: i64 = own
            .filter(|machine| Provision::of(machine) != Provision::Leaving)
            .map(|machine| machine.node.capacity.milli_cpu)
            .sum();
        limit.0.milli() - used
    }

    /// Launches machines for pods that wait.
    pub(super) fn provision(&mut self, cx: &mut Cx<'_>) {
        let waiting = self.waiting(cx.view);
        if waiting.is_empty() {
            return;
        }
        let (mut copy, _) = self.copy(cx.view, &Default::default());
        let (claims, left) = self.solve(&mut copy, waiting, cx.view);
        for claim in claims {
            let Some(offering) = claim.cheapest(&self.offerings) else { continue };
            let machine = self.start(offering, cx);
            for pod in claim.pods {
                let message = format!("Pod should schedule on: nodeclaim/{machine}");
                cx.event(&Object::Pod(pod), false, SOURCE, crate::name!("Nominated"), message);
            }
        }
        for pod in left {
            let message = "Failed to schedule pod, no instance type satisfied its resources and requirements";
            cx.event(&Object::Pod(pod), true, SOURCE, crate::name!("FailedScheduling"), message);
        }
    }

    /// Asks the provider for a machine; its name.
    pub(super) fn start(&mut self, offering: usize, cx: &mut Cx<'_>) -> Name {
        let offering = &self.offerings[offering];
        let number = self.next[offering.pool];
        self.next[offering.pool] += 1;
        let mut machine = (self.launch)(offering, number);
        machine.up = false;
        (machine.up_since, machine.down_since) = (cx.now, cx.now);
        debug_assert!(machine.node.meta.labels.get(NODE_POOL).is_some());
        Provision::Asked.note(&mut machine);
        let name = machine.meta.name.clone();
        cx.write(Write::Create(machine.into_object()));
        name
    }
}
