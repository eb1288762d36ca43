//! The trace of a GPU cluster in the form of Alibaba's openb lists: nodes and pods as CSV, arrivals and node
//! orders as one name per line.

use crate::model::Name;
use crate::rng::Stream;
use crate::scheduler::gpu::{GpuAsk, GpuNode, WHOLE};
use serde::Deserialize;
use smallvec::smallvec;
use std::collections::BTreeMap;

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceNode {
    /// Name.
    pub name: Name,
    /// CPU in thousandths.
    pub milli_cpu: i64,
    /// Memory in MiB.
    pub memory: i64,
    /// Devices.
    pub devices: usize,
    /// Their model.
    pub model: Name,
}

impl TraceNode {
    /// With nothing on it. Memory stays in the trace's unit.
    pub fn idle(&self) -> GpuNode {
        GpuNode {
            milli_cpu: self.milli_cpu,
            memory: self.memory,
            free: smallvec![WHOLE; self.devices],
            model: self.model.clone(),
            kinds: 0,
        }
    }
}

/// A pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracePod {
    /// Name.
    pub name: Name,
    /// Memory in MiB.
    pub memory: i64,
    /// CPU and GPU.
    pub ask: GpuAsk,
}

#[derive(Deserialize)]
struct NodeRow {
    sn: Name,
    cpu_milli: i64,
    memory_mib: i64,
    gpu: usize,
    model: Name,
}

#[derive(Deserialize)]
struct PodRow {
    name: Name,
    cpu_milli: i64,
    memory_mib: i64,
    num_gpu: usize,
    gpu_milli: i64,
    // Some variants of the list have no such column.
    #[serde(default)]
    gpu_spec: String,
}

/// Reads a node list.
///
/// # Errors
/// A row that is not of this form.
pub fn nodes(text: &str) -> Result<Vec<TraceNode>, csv::Error> {
    let row = |row: NodeRow| TraceNode {
        name: row.sn,
        milli_cpu: row.cpu_milli,
        memory: row.memory_mib,
        devices: row.gpu,
        model: row.model,
    };
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(|read| read.map(row)).collect()
}

/// Reads a pod list. Without a GPU the other GPU columns do not count.
///
/// # Errors
/// A row that is not of this form.
pub fn pods(text: &str) -> Result<Vec<TracePod>, csv::Error> {
    let row = |row: PodRow| {
        let mut ask = GpuAsk { milli_cpu: row.cpu_milli, ..GpuAsk::default() };
        if row.num_gpu > 0 {
            ask.count = row.num_gpu;
            ask.milli = row.gpu_milli.min(WHOLE);
            ask.models = row.gpu_spec.split('|').filter(|model| !model.is_empty()).map(Name::from).collect();
        }
        TracePod { name: row.name, memory: row.memory_mib, ask }
    };
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(|read| read.map(row)).collect()
}

/// The nodes in the order of `names`. A name that is not there is an error, by name.
///
/// # Errors
/// The first unknown name.
pub fn in_order(nodes: &[TraceNode], names: &str) -> Result<Vec<TraceNode>, String> {
    let by_name: BTreeMap<&str, &TraceNode> = nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    names.lines().map(|name| by_name.get(name).map(|node| (*node).clone()).ok_or_else(|| name.to_string())).collect()
}

/// The pods that arrive, by name; `NAME-tuned-7` is a copy of `NAME`.
///
/// # Errors
/// The first unknown name.
pub fn arrivals<'a>(pods: &'a [TracePod], names: &str) -> Result<Vec<&'a TracePod>, String> {
    let by_name: BTreeMap<&str, &TracePod> = pods.iter().map(|pod| (pod.name.as_str(), pod)).collect();
    let original = |name: &str| by_name.get(name.split("-tuned-").next().unwrap_or(name)).copied();
    names.lines().map(|name| original(name).ok_or_else(|| name.to_string())).collect()
}

/// An order of arrival of our own: the pods shuffled, then copies of random ones until they ask for `percent`
/// of `capacity`. The last copy may go beyond it, since the test counts one device of it, as the paper's
/// simulator does (`pkg/simulator/core.go`).
pub fn inflate<'a>(pods: &'a [TracePod], capacity: i64, percent: i64, stream: &mut Stream) -> Vec<&'a TracePod> {
    let mut order: Vec<&TracePod> = pods.iter().collect();
    for at in (1..order.len()).rev() {
        order.swap(at, stream.below(at as u64 + 1) as usize);
    }
    let wanted = capacity * percent / 100;
    let mut total: i64 = pods.iter().map(|pod| pod.ask.total()).sum();
    while total > wanted && !order.is_empty() {
        total -= order.remove(stream.below(order.len() as u64) as usize).ask.total();
    }
    while total < wanted && !pods.is_empty() {
        let copy = &pods[stream.below(pods.len() as u64) as usize];
        if total + copy.ask.milli > wanted {
            break;
        }
        total += copy.ask.total();
        order.push(copy);
    }
    order
}
