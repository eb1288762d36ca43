//! Nodes that are not worth their price (`pkg/controllers/disruption/`): first those that are empty, then sets of nodes
//! whose pods fit elsewhere or on one cheaper machine, then single ones. One command at a time, looked at again 15 seconds
//! later before it is carried out.

use super::termination::Why;
use super::{Karpenter, Offering};
use crate::autoscaler::drain_rules::Budgets;
use crate::model::{Kind, Machine, Name, Node, Object, Pod, Truth};
use crate::runtime::Cx;
use crate::scenario::karpenter::ConsolidationPolicy;
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long a command must hold (`consolidationTTL`).
const VALIDATION: SimDuration = SimDuration::from_secs(15);
/// Nodes in one command, at most.
const NODES_MAX: usize = 100;

/// What is about to be done.
#[derive(Clone, Debug)]
pub struct Command {
    nodes: Vec<Name>,
    /// The machine that takes their place.
    replacement: Option<usize>,
    due: SimTime,
    /// The replacement, once it is launched.
    launched: Option<Name>,
    empty: bool,
}

/// A node that may be disrupted.
#[derive(Clone, Debug)]
struct Candidate {
    name: Name,
    pool: usize,
    price_micros: i64,
    pods: Vec<Arc<Pod>>,
    cost: i64,
}

/// What a pod's eviction costs, in thousandths (`utils/disruption`).
fn eviction_cost(pod: &Pod) -> i64 {
    let deletion = pod.meta.annotations.get("controller.kubernetes.io/pod-deletion-cost");
    let deletion: i64 = deletion.and_then(|text| text.parse().ok()).unwrap_or(0);
    (1000 + deletion * 1000 / (1 << 27) + i64::from(pod.spec.priority) * 1000 / (1 << 25)).clamp(-10_000, 10_000)
}

impl Karpenter {
    /// One look. When to look again even if nothing changes.
    pub(super) fn disrupt(&mut self, cx: &mut Cx<'_>) -> Option<SimTime> {
        self.last_look = cx.now;
        if let Some(command) = self.command.clone() {
            return self.go_on(command, cx);
        }
        let candidates = self.candidates(cx);
        let command = self.emptiness(&candidates, cx).or_else(|| self.consolidation(&candidates, cx));
        if let Some(command) = command {
            let due = command.due;
            self.command = Some(command);
            return Some(due);
        }
        // A node may be consolidated when it has been quiet for long enough.
        let quiet =
            self.touched.values().flat_map(|at| self.wish.node_pools.iter().map(|pool| *at + pool.consolidate_after.0));
        quiet.filter(|at| *at > cx.now).min().map(|at| self.next_look(at))
    }

    /// Nodes that may be disrupted, the cheapest to disrupt first.
    fn candidates(&self, cx: &Cx<'_>) -> Vec<Candidate> {
        let budgets = Budgets::new(cx.view);
        let mut found: Vec<Candidate> = Vec::new();
        for machine in cx.view.list::<Machine>() {
            let name = &machine.meta.name;
            let Some((pool, wish)) = self.pool_of(machine) else { continue };
            let Some(node) = cx.view.node(name).filter(|node| node.ready() == Truth::True) else { continue };
            let touched = self.touched.get(name).copied().unwrap_or(node.meta.created);
            let kept = |object: &crate::model::Labels| {
                object.get("karpenter.sh/do-not-disrupt").is_some_and(|value| value == "true")
            };
            if self.ending.contains_key(name)
                || touched + wish.consolidate_after.0 > cx.now
                || kept(&node.meta.annotations)
            {
                continue;
            }
            let moves = |pod: &&Arc<Pod>| {
                let daemon = pod.meta.controller().is_some_and(|owner| owner.kind == Kind::DaemonSet);
                !daemon && !pod.status.phase.terminal()
            };
            let pods: Vec<Arc<Pod>> = cx.view.pods_on(name).filter(moves).cloned().collect();
            let blocked = |pod: &Arc<Pod>| kept(&pod.meta.annotations) || !budgets.allow(cx.view, pod);
            if pods.iter().any(blocked) || pods.iter().any(|pod| pod.meta.deleting()) {
                continue;
            }
            let cost = pods.iter().map(|pod| eviction_cost(pod)).sum();
            let price_micros = machine.price_per_hour_micros;
            found.push(Candidate { name: name.clone(), pool, price_micros, pods, cost });
        }
        // By what is saved for the trouble.
        found.sort_by(|a, b| {
            let ratio =
                |one: &Candidate, other: &Candidate| i128::from(one.price_micros) * i128::from(other.cost.max(1));
            ratio(b, a).cmp(&ratio(a, b)).then_with(|| a.name.cmp(&b.name))
        });
        found
    }

    /// How many nodes of a pool may be disrupted now.
    fn allowed(&self, pool: usize, cx: &Cx<'_>) -> usize {
        let wish = &self.wish.node_pools[pool];
        let nodes = cx.view.list::<Machine>().filter(|machine| machine.pool == wish.name.as_str()).count();
        (nodes * wish.budget_percent as usize).div_ceil(100).saturating_sub(self.ending.len())
    }

    /// Takes candidates as far as the budgets of their pools go.
    fn within<'c>(&self, candidates: impl Iterator<Item = &'c Candidate>, cx: &Cx<'_>) -> Vec<&'c Candidate> {
        let mut left: Vec<usize> = (0..self.wish.node_pools.len()).map(|pool| self.allowed(pool, cx)).collect();
        let mut taken = Vec::new();
        for candidate in candidates {
            if left[candidate.pool] > 0 {
                left[candidate.pool] -= 1;
                taken.push(candidate);
            }
        }
        taken
    }

    fn emptiness(&self, candidates: &[Candidate], cx: &Cx<'_>) -> Option<Command> {
        let empty = self.within(candidates.iter().filter(|one| one.pods.is_empty()), cx);
        let nodes: Vec<Name> = empty.iter().map(|one| one.name.clone()).collect();
        let due = cx.now + VALIDATION;
        (!nodes.is_empty()).then_some(Command { nodes, replacement: None, due, launched: None, empty: true })
    }

    fn consolidation(&self, candidates: &[Candidate], cx: &Cx<'_>) -> Option<Command> {
        let under = |one: &&Candidate| {
            let policy = self.wish.node_pools[one.pool].consolidation_policy;
            policy == ConsolidationPolicy::WhenEmptyOrUnderutilized && !one.pods.is_empty()
        };
        let candidates: Vec<&Candidate> = candidates.iter().filter(under).collect();
        let several = self.within(candidates.iter().copied(), cx);
        // The longest beginning of the list that can be consolidated at once.
        let (mut low, mut high, mut best) = (2, several.len().min(NODES_MAX), None);
        while low <= high {
            let middle = low + (high - low) / 2;
            match self.consolidated(&several[..middle], cx) {
                Some(command) => (best, low) = (Some(command), middle + 1),
                None => high = middle - 1,
            }
        }
        best.or_else(|| {
            let mut single = candidates.iter().filter(|one| self.allowed(one.pool, cx) > 0);
            single.find_map(|one| self.consolidated(&[one], cx))
        })
    }

    /// Whether the pods of these nodes fit elsewhere, or with one machine that is cheaper than all of them.
    fn consolidated(&self, nodes: &[&Candidate], cx: &Cx<'_>) -> Option<Command> {
        let without: BTreeSet<Name> = nodes.iter().map(|one| one.name.clone()).collect();
        let (mut copy, coming) = self.copy(cx.view, &without);
        // Pods that wait have the first choice, and what is on its way is for them (`SimulateScheduling`).
        let (claims, _) = self.solve(&mut copy, self.waiting(cx.view), cx.view);
        if !claims.is_empty() {
            return None;
        }
        for name in coming {
            copy.pods_on(&name).iter().for_each(|pod| copy.unplace(pod));
            copy.remove_node(&name);
        }
        let homeless = |pod: &Arc<Pod>| {
            let mut pod = Pod::clone(pod);
            pod.node = None;
            Arc::new(pod)
        };
        let pods: Vec<Arc<Pod>> = nodes.iter().flat_map(|one| &one.pods).map(homeless).collect();
        let (claims, left) = self.solve(&mut copy, pods, cx.view);
        if !left.is_empty() {
            return None;
        }
        let price: i64 = nodes.iter().map(|one| one.price_micros).sum();
        let replacement = match claims.as_slice() {
            [] => None,
            [claim] => {
                // A spot machine is not given up for another spot machine.
                let spot = nodes.iter().any(|one| self.is_spot(&one.name, cx));
                let all: &[Offering] = &self.offerings;
                let fit = claim.offerings.iter().copied().filter(|at| !(spot && all[*at].spot));
                let cheaper: Vec<usize> = fit.filter(|at| all[*at].price_micros < price).collect();
                let price = price.min(self.of_same_type(nodes, &cheaper, cx));
                let cheaper = cheaper.into_iter().filter(|at| all[*at].price_micros < price);
                let cheapest = cheaper.min_by_key(|at| all[*at].price_micros);
                Some(cheapest?)
            }
            _ => return None,
        };
        let nodes = nodes.iter().map(|one| one.name.clone()).collect();
        Some(Command { nodes, replacement, due: cx.now + VALIDATION, launched: None, empty: false })
    }

    /// Of several nodes one that is of a type that could also take their place is better kept: what replaces them must be
    /// cheaper than the cheapest of those (`filterOutSameInstanceType`).
    fn of_same_type(&self, nodes: &[&Candidate], offered: &[usize], cx: &Cx<'_>) -> i64 {
        let kind = |labels: &crate::model::Labels| labels.get("node.kubernetes.io/instance-type").cloned();
        let offered: BTreeSet<Option<Name>> =
            offered.iter().map(|at| kind(&self.offerings[*at].machine.node.meta.labels)).collect();
        let same =
            |one: &&&Candidate| cx.view.node(&one.name).is_some_and(|node| offered.contains(&kind(&node.meta.labels)));
        let prices = nodes.iter().filter(|_| nodes.len() > 1).filter(same).map(|one| one.price_micros);
        prices.min().unwrap_or(i64::MAX)
    }

    /// Looks at a command again, carries it out, or waits for its replacement.
    fn go_on(&mut self, mut command: Command, cx: &mut Cx<'_>) -> Option<SimTime> {
        if cx.now < command.due {
            return Some(command.due);
        }
        if let Some(name) = &command.launched {
            let ready = cx.view.node(name).is_some_and(|node| node.ready() == Truth::True);
            if !ready && cx.view.fetch::<Machine>(&Name::new(), name).is_some() {
                return Some(cx.now + super::POLL);
            }
            self.command = None;
            command.nodes.iter().for_each(|node| self.end(node, Why::Underutilized, cx));
            return Some(cx.now + super::POLL);
        }
        let candidates = self.candidates(cx);
        let meant: Vec<&Candidate> = candidates.iter().filter(|one| command.nodes.contains(&one.name)).collect();
        let still = meant.len() == command.nodes.len()
            && match command.empty {
                true => meant.iter().all(|one| one.pods.is_empty()),
                false => self.consolidated(&meant, cx).is_some_and(|now| now.replacement == command.replacement),
            };
        if !still {
            self.command = None;
            return Some(cx.now + super::POLL);
        }
        if let Some(offering) = command.replacement {
            command.launched = Some(self.start(offering, cx));
            self.command = Some(command);
            return Some(cx.now + super::POLL);
        }
        self.command = None;
        let why = if command.empty { Why::Empty } else { Why::Underutilized };
        command.nodes.iter().for_each(|node| self.end(node, why, cx));
        Some(cx.now + super::POLL)
    }

    /// Whether a node's machine is a spot machine.
    pub(super) fn is_spot(&self, name: &Name, cx: &Cx<'_>) -> bool {
        let node: Option<&Arc<Node>> = cx.view.node(name);
        node.is_some_and(|node| node.meta.labels.get("karpenter.sh/capacity-type").is_some_and(|value| value == "spot"))
    }

    /// What an event is about.
    pub(super) fn about(name: &Name, cx: &Cx<'_>) -> Option<Object> {
        cx.view.node(name).cloned().map(Object::Node)
    }
}
