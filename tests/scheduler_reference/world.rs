//! The cluster as lists, and one decision on it, node by node: nothing is kept between decisions but where the next
//! search begins.

use super::{filters, scores};
use kubesim::model::{Labels, Name, Node, Pod};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Zones in order of first appearance with their nodes in order of addition.
pub type Zones = Vec<((String, String), Vec<Name>)>;

/// Everything that is known.
#[derive(Clone, Default)]
pub struct World {
    pub zones: Zones,
    pub nodes: BTreeMap<Name, Arc<Node>>,
    /// Pods and their nodes, which need not exist.
    pub pods: Vec<(Arc<Pod>, Name)>,
    /// Pods for which room was made.
    pub nominated: Vec<(Arc<Pod>, Name)>,
    pub namespaces: BTreeMap<Name, Labels>,
    /// Selectors of services with their namespaces.
    pub services: Vec<(Name, Labels)>,
    pub percentage: usize,
    pub next_start: usize,
}

/// What was decided.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Decided {
    /// Feasible nodes with their totals, in order of evaluation; 0 where nothing was scored.
    pub feasible: Vec<(String, i64)>,
    /// Rejected nodes, plugin and reasons, in order of evaluation.
    pub rejected: Vec<(String, String, String)>,
    pub winner: Option<String>,
    pub next_start: usize,
}

/// Plugin and reasons of a rejection.
pub type Verdict = Result<(), (&'static str, Vec<String>)>;

fn zone_of(node: &Node) -> (String, String) {
    let label = |key: &str| node.meta.labels.get(key).map(|value| value.to_string()).unwrap_or_default();
    (label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"))
}

impl World {
    pub fn set_node(&mut self, node: Arc<Node>) {
        let name = node.meta.name.clone();
        let zone = zone_of(&node);
        let old = self.nodes.insert(name.clone(), node).map(|old| zone_of(&old));
        if old.as_ref() == Some(&zone) {
            return;
        }
        if let Some(old) = old {
            self.leave(&old, &name);
        }
        match self.zones.iter_mut().find(|(known, _)| *known == zone) {
            Some((_, nodes)) => nodes.push(name),
            None => self.zones.push((zone, vec![name])),
        }
    }

    pub fn remove_node(&mut self, name: &Name) {
        if let Some(old) = self.nodes.remove(name) {
            self.leave(&zone_of(&old), name);
        }
    }

    fn leave(&mut self, zone: &(String, String), name: &Name) {
        self.zones.iter_mut().filter(|(known, _)| known == zone).for_each(|(_, nodes)| nodes.retain(|n| n != name));
        self.zones.retain(|(_, nodes)| !nodes.is_empty());
    }

    /// One node of each zone in turn.
    pub fn order(&self) -> Vec<Name> {
        let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
        (0..longest).flat_map(|turn| self.zones.iter().filter_map(move |(_, nodes)| nodes.get(turn).cloned())).collect()
    }

    /// The pods on a node, in order of arrival.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter().filter(move |(_, on)| *on == node).map(|(pod, _)| pod)
    }

    /// Every pod on a node that exists, with that node.
    pub fn placed(&self) -> impl Iterator<Item = (&Arc<Pod>, &Arc<Node>)> {
        self.pods.iter().filter_map(|(pod, on)| Some((pod, self.nodes.get(on)?)))
    }

    /// How many feasible nodes are looked for among `count`.
    fn wanted(&self, count: usize) -> usize {
        match (count, self.percentage) {
            (0..100, _) | (_, 100) => count,
            (_, 0) => (count * (50usize.saturating_sub(count / 125)).max(5) / 100).max(100),
            (_, percentage) => (count * percentage / 100).max(100),
        }
    }

    /// All filters on one node: with the pods nominated for it that are at least as important, then without.
    fn judge(&self, pod: &Pod, node: &Arc<Node>, prepared: &filters::Prepared) -> Verdict {
        let name = &node.meta.name;
        let rivals = self.nominated.iter().filter(|(other, on)| {
            on == name && other.spec.priority >= pod.spec.priority && other.meta.uid != pod.meta.uid
        });
        let rivals: Vec<_> = rivals.cloned().collect();
        if !rivals.is_empty() {
            let mut with = World { nominated: Vec::new(), ..self.clone() };
            with.pods.extend(rivals);
            // What a plugin skips, it skips with them, too (`RunPreFilterExtensionAddPod`).
            let mut theirs = filters::Prepared::new(&with, pod);
            theirs.no_inter_pod = prepared.no_inter_pod;
            filters::all(&with, pod, node, &theirs)?;
        }
        filters::all(self, pod, node, prepared)
    }

    /// One decision.
    pub fn decide(&mut self, pod: &Pod) -> Decided {
        let all = self.order();
        let prepared = filters::Prepared::new(self, pod);
        let mut decided = Decided { next_start: self.next_start, ..Decided::default() };
        if all.is_empty() {
            return decided;
        }
        if let Some(node) = pod.status.nominated_node.as_ref().and_then(|name| self.nodes.get(name))
            && self.judge(pod, node, &prepared).is_ok()
        {
            decided.feasible.push((node.meta.name.to_string(), 0));
            decided.winner = Some(node.meta.name.to_string());
            return decided;
        }
        let list: Vec<Name> = match filters::names(pod) {
            Some(names) => names.into_iter().filter(|name| self.nodes.contains_key(name)).collect::<BTreeSet<_>>(),
            None => BTreeSet::new(),
        }
        .into_iter()
        .collect();
        let list = if filters::names(pod).is_some() { list } else { all.clone() };
        let wanted = self.wanted(list.len());
        let mut feasible: Vec<Arc<Node>> = Vec::new();
        for at in 0..list.len() {
            let node = &self.nodes[&list[(self.next_start + at) % list.len()]];
            match self.judge(pod, node, &prepared) {
                Ok(()) if feasible.len() == wanted => break,
                Ok(()) => feasible.push(node.clone()),
                Err((plugin, reasons)) => {
                    decided.rejected.push((node.meta.name.to_string(), plugin.to_string(), reasons.join(", ")));
                }
            }
        }
        self.next_start = (self.next_start + feasible.len() + decided.rejected.len()) % all.len();
        decided.next_start = self.next_start;
        let totals = if feasible.len() == 1 { vec![0] } else { scores::totals(self, pod, &feasible) };
        decided.winner = root_of_heap(&totals).map(|at| feasible[at].meta.name.to_string());
        decided.feasible = feasible.iter().map(|node| node.meta.name.to_string()).zip(totals).collect();
        decided
    }
}

/// What is on top when the list is made a heap by Go's `container/heap`, the greatest total first.
fn root_of_heap(totals: &[i64]) -> Option<usize> {
    let mut heap: Vec<usize> = (0..totals.len()).collect();
    let before = |a: usize, b: usize| totals[a] > totals[b];
    for start in (0..heap.len() / 2).rev() {
        let mut at = start;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= heap.len() {
                break;
            }
            let child = if right < heap.len() && before(heap[right], heap[left]) { right } else { left };
            if !before(heap[child], heap[at]) {
                break;
            }
            heap.swap(child, at);
            at = child;
        }
    }
    heap.first().copied()
}
