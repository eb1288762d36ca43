//! The cluster as the scheduler sees it: columns per node, changed by what the scheduler hears and by what
//! it assumes, never rebuilt (`pkg/scheduler/backend/cache/cache.go`, `snapshot.go`).
//!
//! One thing to know: a node's `generation` moves with everything that a node-local plugin can see of it,
//! so an answer about a node is good for as long as the generation stands.

mod pods;

pub use pods::Saved;

use super::listers::Listers;
use super::node_order::{NodeOrder, zone_key};
use super::plugin::NodeId;
use super::pod_info::{HostPort, Numbering, PodInfo, SpecInfo, compile};
use super::tally::{Identity, Journal, Rule, Sums, Tallies};
use crate::model::{Labels, Name, Node, Pod, PodSpec};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Number of an extended (or any other scalar) resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceId(pub u32);

/// Number of an image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImageId(pub u32);

/// Number of a node label key that makes domains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopologyId(pub u32);

/// Number of a group of pods that look the same to other pods.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupId(pub u32);

/// The integers of a node, side by side: one visit, one or two cache lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Row {
    /// Allocatable CPU in thousandths.
    pub milli_cpu: i64,
    /// Allocatable memory in bytes.
    pub memory: i64,
    /// Allocatable ephemeral storage in bytes.
    pub ephemeral_storage: i64,
    /// Allocatable pod slots.
    pub pods: i64,
    /// Requested CPU.
    pub used_milli_cpu: i64,
    /// Requested memory.
    pub used_memory: i64,
    /// Requested ephemeral storage.
    pub used_ephemeral_storage: i64,
    /// Pods on it.
    pub pod_count: i64,
    /// CPU with defaults for containers that request none.
    pub nonzero_milli_cpu: i64,
    /// Memory with defaults.
    pub nonzero_memory: i64,
    /// Volumes of the pods on it that bring claims: no fewer than are attached for them.
    pub volumes: i64,
}

/// Scalar resources of a node: resource, allocatable, requested. Only what the node offers or pods use.
pub type Scalars = SmallVec<[(ResourceId, i64, i64); 2]>;

/// Domains of one node label.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The label.
    pub key: Name,
    /// Each node slot's domain; [`Topology::NONE`] without the label.
    pub of: Vec<u32>,
    /// Label values by domain.
    pub values: Vec<Name>,
    ids: FxHashMap<Name, u32>,
}

impl Topology {
    /// No domain.
    pub const NONE: u32 = u32::MAX;

    fn domain(&mut self, value: &Name) -> u32 {
        if let Some(id) = self.ids.get(value) {
            return *id;
        }
        let id = self.values.len() as u32;
        self.values.push(value.clone());
        self.ids.insert(value.clone(), id);
        id
    }
}

/// An image: the size that its first node reported, and how many nodes have it.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Bytes.
    pub size: i64,
    /// Nodes.
    pub nodes: i64,
}

/// Pods that look the same to other pods: same namespace, labels, inter-pod terms and fate.
#[derive(Clone, Debug)]
pub struct Group {
    /// Namespace.
    pub namespace: Name,
    /// Labels.
    pub labels: Labels,
    /// Being deleted.
    pub terminating: bool,
    /// The spec, where it has inter-pod terms.
    pub terms: Option<Arc<SpecInfo>>,
    /// How many pods.
    pub count: u32,
    /// How many on which node.
    pub nodes: BTreeMap<NodeId, u32>,
    /// The how manieth group it is of all there ever were.
    pub birth: u64,
}

/// What makes a group: namespace, labels, being deleted, the spec's number where it has inter-pod terms.
type GroupKey = (Name, Labels, bool, u32);

/// The columns.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// Node objects; `None` for free slots and for nodes known only from pods bound to them.
    pub nodes: Vec<Option<Arc<Node>>>,
    /// Integers.
    pub rows: Vec<Row>,
    /// Other resources.
    pub scalars: Vec<Scalars>,
    /// Host ports in use: a set (a port that two pods share is free when one of them leaves, as upstream).
    pub ports: Vec<Vec<HostPort>>,
    /// Pods on the node, in order of arrival.
    pub pods: Vec<Vec<Arc<PodInfo>>>,
    /// Images on the node, sorted.
    pub node_images: Vec<Vec<ImageId>>,
    /// Moves with every change of a slot.
    pub generation: Vec<u64>,
    /// Groups; a free slot has count 0.
    pub group_table: Vec<Group>,
    /// Groups with inter-pod terms.
    pub term_groups: Vec<GroupId>,
    /// Images.
    pub images: Vec<Image>,
    /// Moves when an image's spread or the number of nodes changes.
    pub image_generation: u64,
    /// Topologies.
    pub topologies: Vec<Topology>,
    /// Namespaces, services and owners.
    pub listers: Listers,
    /// Pods that came to nodes and left them lately.
    pub journal: Journal,
    tallies: RefCell<Tallies>,
    births: u64,
    /// Moves when a node comes or goes, or changes in what says which pods on it count where.
    node_changes: u64,
    resources: Vec<Name>,
    order: NodeOrder,
    clock: u64,
    by_name: FxHashMap<Name, NodeId>,
    free: Vec<NodeId>,
    group_ids: FxHashMap<GroupKey, GroupId>,
    free_groups: Vec<GroupId>,
    resource_ids: FxHashMap<Name, ResourceId>,
    image_ids: FxHashMap<String, ImageId>,
    topology_ids: FxHashMap<Name, TopologyId>,
    specs: FxHashMap<u64, Vec<Arc<SpecInfo>>>,
    spec_count: u32,
    placed: FxHashMap<(Name, Name), (NodeId, Arc<PodInfo>)>,
    /// How often pods on nodes name a claim, by namespace and name.
    claim_uses: FxHashMap<(Name, Name), u32>,
}

impl Numbering for Snapshot {
    fn resource(&mut self, name: &Name) -> ResourceId {
        if let Some(id) = self.resource_ids.get(name) {
            return *id;
        }
        let id = ResourceId(self.resources.len() as u32);
        self.resources.push(name.clone());
        self.resource_ids.insert(name.clone(), id);
        id
    }

    fn image(&mut self, name: &str) -> ImageId {
        if let Some(id) = self.image_ids.get(name) {
            return *id;
        }
        let id = ImageId(self.images.len() as u32);
        self.images.push(Image::default());
        self.image_ids.insert(name.to_string(), id);
        id
    }

    fn topology(&mut self, key: &Name) -> TopologyId {
        if let Some(id) = self.topology_ids.get(key) {
            return *id;
        }
        let id = TopologyId(self.topologies.len() as u32);
        let mut topology = Topology { key: key.clone(), of: Vec::new(), values: Vec::new(), ids: FxHashMap::default() };
        for node in &self.nodes {
            let value = node.as_ref().and_then(|node| node.meta.labels.get(key));
            let domain = value.map_or(Topology::NONE, |value| topology.domain(value));
            topology.of.push(domain);
        }
        self.topologies.push(topology);
        self.topology_ids.insert(key.clone(), id);
        id
    }
}

impl Snapshot {
    /// Goes on with its numbers where `copy`, a clone of this, ended: what plugins remember of a generation or a
    /// spec there is not mistaken for one here.
    pub fn skip_numbers_of(&mut self, copy: &Snapshot) {
        self.clock = self.clock.max(copy.clock);
        self.spec_count = self.spec_count.max(copy.spec_count);
        self.image_generation = self.image_generation.max(copy.image_generation);
    }

    /// The nodes in order of evaluation.
    pub fn order(&self) -> &Arc<Vec<NodeId>> {
        self.order.list()
    }

    /// Brings the order of evaluation up to date; before each cycle.
    pub fn refresh(&mut self) {
        self.order.refresh();
    }

    /// The slot of the node with this name, if there is such a node.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).copied().filter(|id| self.nodes[id.at()].is_some())
    }

    /// The node in a slot of the order.
    pub fn node(&self, id: NodeId) -> &Arc<Node> {
        self.nodes[id.at()].as_ref().expect("slots in the order have nodes")
    }

    /// The name of the node in a slot of the order.
    pub fn name(&self, id: NodeId) -> &Name {
        &self.node(id).meta.name
    }

    /// The name of a resource.
    pub fn resource_name(&self, id: ResourceId) -> &Name {
        &self.resources[id.0 as usize]
    }

    /// The number of a resource, if any node or pod has named it.
    pub fn resource_id(&self, name: &str) -> Option<ResourceId> {
        self.resource_ids.get(name).copied()
    }

    /// The number of a topology key, if it has one.
    pub fn topology_id(&self, key: &str) -> Option<TopologyId> {
        self.topology_ids.get(key).copied()
    }

    /// A group.
    pub fn group(&self, id: GroupId) -> &Group {
        &self.group_table[id.0 as usize]
    }

    /// The domains of a key.
    pub fn topology_of(&self, id: TopologyId) -> &Topology {
        &self.topologies[id.0 as usize]
    }

    /// The sums of a rule as they are now.
    pub fn sums(&self, identity: Identity, rule: &dyn Rule) -> Rc<Sums> {
        self.tallies.borrow_mut().sums(self, identity, rule)
    }

    /// Moves with whatever makes all sums wrong: changes of nodes, and of namespaces.
    pub fn surroundings(&self) -> (u64, u64) {
        (self.node_changes, self.listers.namespace_changes)
    }

    /// How many groups there ever were.
    pub fn births(&self) -> u64 {
        self.births
    }

    /// Compiles a pod; equal specs are compiled once.
    pub fn compile(&mut self, pod: &Arc<Pod>) -> PodInfo {
        PodInfo { pod: pod.clone(), spec: self.compile_spec(&pod.spec) }
    }

    fn compile_spec(&mut self, spec: &Arc<PodSpec>) -> Arc<SpecInfo> {
        let known = self.specs.get(&spec.hash).into_iter().flatten();
        if let Some(info) = known.into_iter().find(|info| Arc::ptr_eq(&info.spec, spec) || *info.spec == **spec) {
            return info.clone();
        }
        self.spec_count += 1;
        let info = Arc::new(compile(self.spec_count, spec, self));
        self.specs.entry(spec.hash).or_default().push(info.clone());
        info
    }

    fn slot(&mut self, name: &Name) -> NodeId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            let id = NodeId(self.nodes.len() as u32);
            self.nodes.push(None);
            self.rows.push(Row::default());
            self.scalars.push(Scalars::new());
            self.ports.push(Vec::new());
            self.pods.push(Vec::new());
            self.node_images.push(Vec::new());
            self.generation.push(0);
            self.topologies.iter_mut().for_each(|topology| topology.of.push(Topology::NONE));
            id
        });
        self.by_name.insert(name.clone(), id);
        self.touch(id);
        id
    }

    fn touch(&mut self, id: NodeId) {
        self.clock += 1;
        self.generation[id.at()] = self.clock;
    }

    fn release_if_empty(&mut self, id: NodeId, name: &str) {
        if self.nodes[id.at()].is_none() && self.pods[id.at()].is_empty() {
            self.by_name.remove(name);
            self.rows[id.at()] = Row::default();
            self.scalars[id.at()].clear();
            self.free.push(id);
        }
    }

    /// A node appeared or changed.
    pub fn set_node(&mut self, node: &Arc<Node>) {
        let id = self.slot(&node.meta.name);
        let old = self.nodes[id.at()].replace(node.clone());
        if old.as_ref().is_some_and(|old| looks_the_same(old, node)) {
            return;
        }
        if old.as_ref().is_none_or(|old| {
            old.meta.labels != node.meta.labels || old.taints != node.taints || old.unschedulable != node.unschedulable
        }) {
            self.node_changes += 1;
        }
        match &old {
            Some(old) if zone_key(old) == zone_key(node) => {}
            Some(old) => {
                self.order.remove(&zone_key(old), id);
                self.order.add(zone_key(node), id);
            }
            None => {
                self.order.add(zone_key(node), id);
                self.image_generation += 1;
            }
        }
        self.set_allocatable(id, node);
        if old.as_ref().is_none_or(|old| !Arc::ptr_eq(&old.images, &node.images) && old.images != node.images) {
            self.set_images(id, node);
        }
        if old.is_none_or(|old| old.meta.labels != node.meta.labels) {
            for topology in &mut self.topologies {
                let value = node.meta.labels.get(&topology.key);
                topology.of[id.at()] = value.map_or(Topology::NONE, |value| topology.domain(value));
            }
        }
        self.touch(id);
    }

    fn set_allocatable(&mut self, id: NodeId, node: &Node) {
        let row = &mut self.rows[id.at()];
        row.milli_cpu = node.allocatable.milli_cpu;
        row.memory = node.allocatable.memory;
        row.ephemeral_storage = node.allocatable.ephemeral_storage;
        row.pods = node.allocatable.pods;
        self.scalars[id.at()].iter_mut().for_each(|scalar| scalar.1 = 0);
        for (name, amount) in &node.allocatable.scalar {
            let resource = self.resource(name);
            let at = scalar_at(&mut self.scalars[id.at()], resource);
            self.scalars[id.at()][at].1 = *amount;
        }
    }

    fn set_images(&mut self, id: NodeId, node: &Node) {
        self.image_generation += 1;
        for image in std::mem::take(&mut self.node_images[id.at()]) {
            self.images[image.0 as usize].nodes -= 1;
        }
        let mut present = Vec::new();
        for image in node.images.iter() {
            for name in &image.names {
                let image_id = self.image(name);
                if present.contains(&image_id) {
                    continue;
                }
                present.push(image_id);
                let known = &mut self.images[image_id.0 as usize];
                if known.nodes == 0 {
                    known.size = image.size;
                }
                known.nodes += 1;
            }
        }
        present.sort_unstable();
        self.node_images[id.at()] = present;
    }

    /// A node went. Pods that are still bound to it keep its slot until they go too.
    pub fn remove_node(&mut self, name: &str) {
        let Some(id) = self.find(name) else { return };
        let Some(old) = self.nodes[id.at()].take() else { return };
        self.node_changes += 1;
        self.order.remove(&zone_key(&old), id);
        for image in std::mem::take(&mut self.node_images[id.at()]) {
            self.images[image.0 as usize].nodes -= 1;
        }
        self.image_generation += 1;
        for topology in &mut self.topologies {
            topology.of[id.at()] = Topology::NONE;
        }
        self.touch(id);
        self.release_if_empty(id, name);
    }
}

/// Whether the scheduler sees no difference: only conditions, annotations or metadata changed.
fn looks_the_same(old: &Node, new: &Node) -> bool {
    old.meta.labels == new.meta.labels
        && old.allocatable == new.allocatable
        && old.taints == new.taints
        && old.unschedulable == new.unschedulable
        && (Arc::ptr_eq(&old.images, &new.images) || old.images == new.images)
}

fn scalar_at(scalars: &mut Scalars, resource: ResourceId) -> usize {
    match scalars.binary_search_by_key(&resource, |scalar| scalar.0) {
        Ok(at) => at,
        Err(at) => {
            scalars.insert(at, (resource, 0, 0));
            at
        }
    }
}
