//! Sums of pods by domain that are kept and follow what happens, instead of being counted anew for every pod.
//!
//! A rule says what a pod of a group adds to which topology, and on which nodes pods count at all ([`Rule`]). Its
//! sums are made once from all nodes; then only the pods are added that came to or left a node since, which the
//! snapshot notes in its [`Journal`]. Whatever else could change an answer (a node's labels or taints, a namespace's
//! labels, a journal that no longer reaches back) makes the sums anew.
//!
//! Worked example: "blue pods by zone" was 3 in a and 1 in b. One blue pod is placed in b: one entry in the journal,
//! one addition, 3 and 2.

use super::plugin::NodeId;
use super::snapshot::{Group, GroupId, Snapshot, Topology, TopologyId};
use crate::model::{Labels, Name};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::rc::Rc;

/// Entries kept; a rule that was asked longer ago is counted anew.
const ENTRIES_MAX: usize = 8192;
/// Numbers kept in all sums together. Limit of memory, not of correctness.
const CELLS_MAX: usize = 4 << 20;

/// A topology in which every node is a domain of its own, whatever its labels.
pub const EACH_NODE: TopologyId = TopologyId(u32::MAX);

/// Sums by topology and domain.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    by_topology: SmallVec<[(TopologyId, Vec<i64>); 2]>,
    /// The domains of [`Rule::domains_of`] with a node that counts, rising.
    present: Rc<Vec<u32>>,
    /// Of how many additions they are made: pods times the terms that mean them.
    additions: i64,
}

impl Sums {
    /// Adds to the node's domain what each of `pods` adds; pods that leave are fewer than none.
    pub fn add(&mut self, snapshot: &Snapshot, topology: TopologyId, node: NodeId, amount: i64, pods: i64) {
        let (domain, count) = match topology {
            EACH_NODE => (node.0, snapshot.nodes.len()),
            _ => (snapshot.topology_of(topology).of[node.at()], snapshot.topology_of(topology).values.len()),
        };
        if domain == Topology::NONE {
            return;
        }
        let at = self.by_topology.iter().position(|(known, _)| *known == topology).unwrap_or_else(|| {
            self.by_topology.push((topology, Vec::new()));
            self.by_topology.len() - 1
        });
        let sums = &mut self.by_topology[at].1;
        if sums.len() <= domain as usize {
            sums.resize(count, 0);
        }
        sums[domain as usize] += amount * pods;
        self.additions += pods;
    }

    /// The sums by domain of a topology; those beyond the end are 0.
    pub fn column(&self, topology: TopologyId) -> &[i64] {
        self.by_topology.iter().find(|(known, _)| *known == topology).map_or(&[], |(_, sums)| sums)
    }

    /// The sum in a domain.
    pub fn in_domain(&self, topology: TopologyId, domain: u32) -> i64 {
        self.column(topology).get(domain as usize).copied().unwrap_or(0)
    }

    /// The domains in which a node counts, if the rule asked for them.
    pub fn present(&self) -> &[u32] {
        &self.present
    }

    /// The sum in the node's domain; `None` if the node has none.
    pub fn get(&self, snapshot: &Snapshot, topology: TopologyId, node: NodeId) -> Option<i64> {
        let domain = snapshot.topology_of(topology).of[node.at()];
        (domain != Topology::NONE).then(|| self.in_domain(topology, domain))
    }

    /// The topologies in which something was added.
    pub fn topologies(&self) -> impl Iterator<Item = TopologyId> {
        self.by_topology.iter().map(|(topology, _)| *topology)
    }

    /// Whether no pod is among them.
    pub fn is_empty(&self) -> bool {
        self.additions == 0
    }

    fn cells(&self) -> usize {
        self.by_topology.iter().map(|(_, sums)| sums.len()).sum::<usize>() + 16
    }
}

/// What a pod of a group adds, by topology.
pub type Adds = SmallVec<[(TopologyId, i64); 2]>;

/// What is to be added up. Two rules with one [`Identity`] must say the same of every group and node for as long as
/// the nodes' labels and taints and the namespaces' labels stay what they are.
pub trait Rule {
    /// What each pod of the group adds.
    fn adds(&self, group: &Group) -> Adds;

    /// Whether pods on this node count.
    fn counts(&self, _node: NodeId) -> bool {
        true
    }

    /// The topology whose domains with a node that counts are wanted too.
    fn domains_of(&self) -> Option<TopologyId> {
        None
    }

    /// Only groups with inter-pod terms can add something.
    fn of_terms_only(&self) -> bool {
        false
    }
}

/// Which of a plugin's sums.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Required anti-affinity of pods on nodes against the pod.
    Existing,
    /// The pod's required affinity.
    Near,
    /// The pod's required anti-affinity.
    Away,
    /// Preferences on both sides, with what a required affinity of others is worth.
    Liked(i64),
    /// A spread constraint, by what its sums depend on beside its selector.
    Spread {
        /// Its place among those of its hardness.
        at: usize,
        /// Its hardness.
        hard: bool,
        /// Its topology.
        topology: TopologyId,
        /// Node affinity and taints are honoured, nodes must have all keys.
        policy: [bool; 3],
    },
}

/// What tells a rule from others.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Which sums.
    pub purpose: Purpose,
    /// The spec's number, where they depend on it.
    pub spec: u32,
    /// The pod's namespace.
    pub namespace: Name,
    /// The pod's labels, where they depend on them.
    pub labels: Labels,
    /// The pod's controller and the state of services and owners, where they depend on them.
    pub owner: (Name, Name, u64),
}

/// A pod that came to a node or left it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    node: NodeId,
    group: GroupId,
    birth: u64,
    sign: i64,
}

/// The last comings and goings of pods on nodes.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    first: u64,
}

impl Journal {
    /// Notes one.
    pub fn note(&mut self, node: NodeId, group: GroupId, birth: u64, sign: i64) {
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(Entry { node, group, birth, sign });
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// What was noted from `at` on; `None` if it is not kept that far back.
    fn since(&self, at: u64) -> Option<impl Iterator<Item = &Entry>> {
        let skip = at.checked_sub(self.first)?;
        Some(self.entries.range(usize::try_from(skip).ok()?..))
    }
}

/// Sums that follow the journal.
#[derive(Debug)]
struct Tally {
    used: u64,
    /// The state of nodes and namespaces that it was made in.
    made_in: (u64, u64),
    /// How far in the journal it is.
    at: u64,
    /// What pods of groups that add something add, by the group's birth, rising.
    adds: Vec<(u64, Adds)>,
    /// The birth of the newest group that was looked at.
    newest: u64,
    sums: Rc<Sums>,
}

/// The sums of all rules that were asked for lately.
#[derive(Debug, Default)]
pub struct Tallies {
    by_rule: FxHashMap<Identity, Tally>,
    clock: u64,
    cells: usize,
}

/// A copy of a cluster counts for itself when it is asked.
impl Clone for Tallies {
    fn clone(&self) -> Self {
        Tallies::default()
    }
}

impl Tallies {
    /// The sums of `rule` as they are now.
    pub fn sums(&mut self, snapshot: &Snapshot, identity: Identity, rule: &dyn Rule) -> Rc<Sums> {
        self.clock += 1;
        let made_in = snapshot.surroundings();
        if let Some(tally) = self.by_rule.get_mut(&identity)
            && tally.made_in == made_in
            && tally.follow(snapshot, rule)
        {
            tally.used = self.clock;
            return tally.sums.clone();
        }
        let mut tally = Tally::new(snapshot, rule);
        tally.used = self.clock;
        let sums = tally.sums.clone();
        self.cells += sums.cells() + tally.adds.len() * 8;
        self.by_rule.insert(identity, tally);
        if self.cells > CELLS_MAX {
            self.make_room();
        }
        sums
    }

    /// Forgets the half that was used longest ago.
    fn make_room(&mut self) {
        let mut used: Vec<u64> = self.by_rule.values().map(|tally| tally.used).collect();
        used.sort_unstable();
        let median = used[used.len() / 2];
        self.by_rule.retain(|_, tally| tally.used > median);
        self.cells = self.by_rule.values().map(|tally| tally.sums.cells() + tally.adds.len() * 8).sum();
    }
}

impl Tally {
    fn new(snapshot: &Snapshot, rule: &dyn Rule) -> Tally {
        let mut sums = Sums::default();
        let mut adds: Vec<(u64, Adds)> = Vec::new();
        let mut look_at = |id: GroupId| {
            let group = snapshot.group(id);
            let each = if group.count == 0 { Adds::new() } else { rule.adds(group) };
            if each.is_empty() {
                return;
            }
            let counted = group.nodes.iter().filter(|(node, _)| snapshot.nodes[node.at()].is_some());
            for (node, count) in counted.filter(|(node, _)| rule.counts(**node)) {
                for (topology, amount) in &each {
                    sums.add(snapshot, *topology, *node, *amount, i64::from(*count));
                }
            }
            adds.push((group.birth, each));
        };
        match rule.of_terms_only() {
            true => snapshot.term_groups.iter().for_each(|id| look_at(*id)),
            false => (0..snapshot.group_table.len()).for_each(|at| look_at(GroupId(at as u32))),
        }
        if let Some(topology) = rule.domains_of() {
            sums.present = Rc::new(present(snapshot, snapshot.topology_of(topology), rule));
        }
        adds.sort_unstable_by_key(|(birth, _)| *birth);
        let (at, newest) = (snapshot.journal.end(), snapshot.births());
        Tally { used: 0, made_in: snapshot.surroundings(), at, adds, newest, sums: Rc::new(sums) }
    }

    /// Takes in what the journal has noted since. False if that is too long ago.
    fn follow(&mut self, snapshot: &Snapshot, rule: &dyn Rule) -> bool {
        let Some(entries) = snapshot.journal.since(self.at) else { return false };
        for entry in entries {
            if entry.birth > self.newest {
                self.newest = entry.birth;
                let group = snapshot.group(entry.group);
                // A group that is gone again has left nothing behind.
                let each = if group.birth == entry.birth { rule.adds(group) } else { Adds::new() };
                if !each.is_empty() {
                    self.adds.push((entry.birth, each));
                }
            }
            let Ok(at) = self.adds.binary_search_by_key(&entry.birth, |(birth, _)| *birth) else { continue };
            if snapshot.nodes[entry.node.at()].is_some() && rule.counts(entry.node) {
                let sums = Rc::make_mut(&mut self.sums);
                for (topology, amount) in &self.adds[at].1 {
                    sums.add(snapshot, *topology, entry.node, *amount, entry.sign);
                }
            }
        }
        self.at = snapshot.journal.end();
        true
    }
}

fn present(snapshot: &Snapshot, topology: &Topology, rule: &dyn Rule) -> Vec<u32> {
    let mut seen = vec![false; topology.values.len()];
    for node in snapshot.order().iter().filter(|node| rule.counts(**node)) {
        if let Some(seen) = seen.get_mut(topology.of[node.at()] as usize) {
            *seen = true;
        }
    }
    seen.iter().enumerate().filter(|(_, seen)| **seen).map(|(domain, _)| domain as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder;
    use crate::scheduler::snapshot::Snapshot;
    use proptest::prelude::*;
    use std::sync::Arc;

    const ZONE: &str = "topology.kubernetes.io/zone";

    /// Blue pods of namespace `default` by zone, on nodes that are schedulable.
    struct Blue<'a>(&'a Snapshot, TopologyId);

    impl Rule for Blue<'_> {
        fn adds(&self, group: &Group) -> Adds {
            let blue = group.labels.get("color").is_some_and(|color| color == "blue");
            blue.then_some((self.1, 1)).into_iter().collect()
        }
        fn counts(&self, node: NodeId) -> bool {
            !self.0.node(node).unschedulable
        }
    }

    fn identity() -> Identity {
        Identity {
            purpose: Purpose::Near,
            spec: 1,
            namespace: Name::from("default"),
            labels: Labels::EMPTY,
            owner: Default::default(),
        }
    }

    /// What the rule comes to if every pod on every node is looked at.
    fn counted(snapshot: &Snapshot) -> [i64; 3] {
        let mut sums = [0; 3];
        for id in snapshot.order().iter().filter(|id| !snapshot.node(**id).unschedulable) {
            let zone = snapshot.node(*id).meta.labels.get(ZONE).and_then(|zone| zone.parse::<usize>().ok());
            let blue = |pod: &&Arc<crate::scheduler::pod_info::PodInfo>| {
                pod.labels().get("color").is_some_and(|color| color == "blue")
            };
            if let Some(zone) = zone {
                sums[zone] += snapshot.pods[id.at()].iter().filter(blue).count() as i64;
            }
        }
        sums
    }

    proptest! {
        /// Pods come and go, nodes change zone, are cordoned and leave: what follows is what counting anew says.
        #[test]
        fn what_follows_is_what_counting_says(
            steps in prop::collection::vec((0u8..8, 0usize..6, 0usize..4), 1..120)
        ) {
            use crate::scheduler::pod_info::Numbering;
            let mut snapshot = Snapshot::default();
            let zone = snapshot.topology(&Name::from(ZONE));
            for (what, pod, at) in steps {
                let name = Name::from(format!("node-{at}"));
                let node = builder::node(&name, 1000, 1 << 30, 110);
                match what {
                    0 => snapshot.set_node(&Arc::new(node.label(ZONE, &(pod % 3).to_string()))),
                    1 => snapshot.set_node(&Arc::new(crate::model::Node { unschedulable: pod % 2 == 0, ..node.label(ZONE, "1") })),
                    2 if pod == 0 => snapshot.remove_node(&name),
                    2..=5 => {
                        let color = ["blue", "red", "blue"][usize::from(what) % 3];
                        let object = builder::pod(&format!("pod-{pod}"), builder::spec("image", 1, 1));
                        let info = snapshot.compile(&Arc::new(object.label("color", color).on(&name)));
                        snapshot.place(info, &name);
                    }
                    _ => _ = snapshot.unplace(&Name::from("default"), &Name::from(format!("pod-{pod}"))),
                }
                snapshot.refresh();
                let sums = snapshot.sums(identity(), &Blue(&snapshot, zone));
                let topology = snapshot.topology_of(zone);
                let expected = counted(&snapshot);
                for (domain, value) in topology.values.iter().enumerate() {
                    let number: usize = value.parse().expect("zones are numbers");
                    prop_assert_eq!(sums.in_domain(zone, domain as u32), expected[number]);
                }
                prop_assert_eq!(sums.is_empty(), expected == [0; 3]);
            }
        }
    }
}
