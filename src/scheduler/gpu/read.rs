//! GPUs as Kubernetes objects tell of them.
//!
//! A pod asks for whole devices as usual (`nvidia.com/gpu: 2`) or for a share by annotations, those of the GPU
//! share plugins in use: `alibabacloud.com/gpu-milli: "300"`, `alibabacloud.com/gpu-count` (default 1),
//! `alibabacloud.com/gpu-card-model: "T4|P100"`. The binding writes which devices the pod got,
//! `alibabacloud.com/gpu-index: "0-3"`. A node says how many it has with `nvidia.com/gpu` or
//! `alibabacloud.com/gpu-count` among its allocatable resources, and their model with a label.

use super::{Devices, GpuAsk, GpuNode, WHOLE};
use crate::model::{Name, Node, Pod};
use crate::name;
use crate::scheduler::plugin::NodeId;
use crate::scheduler::plugins::best_fit::Space;
use crate::scheduler::snapshot::Snapshot;
use smallvec::smallvec;
use std::cell::RefCell;
use std::sync::Arc;

const DEVICES: &str = "nvidia.com/gpu";
const COUNT: &str = "alibabacloud.com/gpu-count";
const MILLI: &str = "alibabacloud.com/gpu-milli";
const MODEL: &str = "alibabacloud.com/gpu-card-model";
const PRODUCT: &str = "nvidia.com/gpu.product";
const INDEX: Name = name!("alibabacloud.com/gpu-index");

/// What the pod asks for.
pub fn ask(pod: &Pod) -> GpuAsk {
    let note = |key: &str| pod.meta.annotations.get(key);
    let number = |key: &str| note(key).and_then(|text| text.parse::<i64>().ok());
    let requests = pod.requests();
    let (milli, count) = match number(MILLI) {
        Some(milli) if milli > 0 => (milli.min(WHOLE), number(COUNT).unwrap_or(1)),
        _ => (WHOLE, requests.get(DEVICES).max(requests.get(COUNT))),
    };
    let milli_cpu = requests.milli_cpu;
    let Ok(count @ 1..) = usize::try_from(count) else { return GpuAsk { milli_cpu, ..GpuAsk::default() } };
    let models = note(MODEL).map(|models| models.split('|').filter(|model| !model.is_empty()).map(Name::from));
    GpuAsk { milli_cpu, milli, count, models: models.into_iter().flatten().collect() }
}

/// The annotation that says which devices a pod got; nothing for a pod without any.
pub fn assignment(devices: &[u8]) -> Option<(Name, Name)> {
    let indices: Vec<String> = devices.iter().map(u8::to_string).collect();
    (!indices.is_empty()).then(|| (INDEX, Name::from(indices.join("-"))))
}

/// The devices that a pod on a node has been given; of one that nobody gave any, those that fit best.
fn devices(pod: &Pod, ask: &GpuAsk, node: &GpuNode) -> Devices {
    match pod.meta.annotations.get(&INDEX) {
        Some(text) => text
            .split('-')
            .filter_map(|index| index.parse().ok().filter(|index| usize::from(*index) < node.free.len()))
            .collect(),
        None => node.best_fit(ask),
    }
}

/// How many devices a node offers: at most as many as a [`Devices`] can number.
fn device_count(node: &Node) -> usize {
    let count = node.allocatable.get(DEVICES).max(node.allocatable.get(COUNT));
    count.clamp(0, i64::from(u8::MAX)) as usize
}

/// What the node has left.
pub fn node(snapshot: &Snapshot, id: NodeId) -> GpuNode {
    let (object, row) = (snapshot.node(id), &snapshot.rows[id.at()]);
    let label = |key: &str| object.meta.labels.get(key).cloned();
    let mut left = GpuNode {
        milli_cpu: 0,
        memory: row.memory - row.used_memory,
        free: smallvec![WHOLE; device_count(object)],
        model: label(MODEL).or_else(|| label(PRODUCT)).unwrap_or_default(),
        kinds: 0,
    };
    if !left.free.is_empty() {
        for info in &snapshot.pods[id.at()] {
            let ask = ask(&info.pod);
            if ask.count > 0 {
                let devices = devices(&info.pod, &ask, &left);
                left.take(&ask, &devices);
            }
        }
    }
    left.milli_cpu = row.milli_cpu - row.used_milli_cpu;
    left
}

/// A node as read at a generation.
type Kept = Option<(u64, Arc<GpuNode>)>;

/// Reads nodes, each once per generation.
#[derive(Debug, Default)]
pub struct Reader(RefCell<Vec<Kept>>);

impl Reader {
    /// What the node has left.
    pub fn node(&self, snapshot: &Snapshot, id: NodeId) -> Arc<GpuNode> {
        let mut kept = self.0.borrow_mut();
        if kept.len() <= id.at() {
            kept.resize(id.at() + 1, None);
        }
        let generation = snapshot.generation[id.at()];
        match &kept[id.at()] {
            Some((known, node)) if *known == generation => node.clone(),
            _ => {
                let fresh = Arc::new(node(snapshot, id));
                kept[id.at()] = Some((generation, fresh.clone()));
                fresh
            }
        }
    }

    /// The most of each that a node of the cluster offers.
    pub fn largest(&self, snapshot: &Snapshot) -> Space {
        let mut largest = Space::default();
        for id in snapshot.order().iter() {
            let row = &snapshot.rows[id.at()];
            largest.milli_cpu = largest.milli_cpu.max(row.milli_cpu);
            largest.memory = largest.memory.max(row.memory);
            largest.gpu = largest.gpu.max(self.node(snapshot, *id).free.len() as i64 * WHOLE);
        }
        largest
    }
}
