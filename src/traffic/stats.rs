//! What the engine counts while it runs, and the record that it becomes.

use super::fluid::{Account, PodAccount};
use crate::metrics::traffic::{
    Counts, Distances, End, FlowTraffic, NodeTraffic, PodTraffic, TrafficRecord, Window, band,
};
use crate::model::Name;
use crate::time::{SimDuration, SimTime};

/// Windows of a run, about.
const WINDOWS: i64 = 240;

/// The length of a window for a run of this length: a round one.
pub(super) fn window(length: SimDuration) -> SimDuration {
    const STEPS: [i64; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
    let wanted = length.0 / WINDOWS / 1_000_000_000;
    let fits = STEPS.into_iter().find(|step| *step >= wanted);
    SimDuration::from_secs(fits.unwrap_or(86_400))
}

/// What one pod did for one service.
#[derive(Clone, Debug, Default)]
struct PodCount {
    ends: Counts,
    time: i64,
    answered: u64,
}

/// Counts of one service or client.
#[derive(Debug, Default)]
pub(super) struct Flow {
    record: FlowTraffic,
    /// Where a target's counts are, one after the other; 0 for none.
    places: Vec<u32>,
    counts: Vec<(u32, PodCount)>,
}

/// All counts.
#[derive(Debug)]
pub(super) struct Stats {
    pub window: SimDuration,
    last_window: usize,
    /// The window that was looked for last: where it begins, and its number.
    recent: (i64, usize),
    pub flows: Vec<Flow>,
    services: usize,
    /// By node and window: core-nanoseconds and byte-seconds that requests took.
    nodes: Vec<(Vec<f64>, Vec<i64>)>,
    pub digest: u64,
}

/// How one attempt went between client and pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub end: End,
    /// From reaching the pod until its answer left.
    pub inside: SimDuration,
}

/// How far an attempt goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Distance {
    Node,
    Zone,
    Crossed,
    Outside,
}

impl Stats {
    pub(super) fn new(services: Vec<(Name, Name)>, clients: Vec<Name>, length: SimDuration) -> Stats {
        let window = window(length);
        let last_window = ((length.0 - 1).max(0) / window.0) as usize;
        let flow = |namespace: Name, name: Name| Flow {
            record: FlowTraffic {
                namespace,
                name,
                windows: vec![Window::default(); last_window + 1],
                ..FlowTraffic::default()
            },
            ..Flow::default()
        };
        let count = services.len();
        let services = services.into_iter().map(|(namespace, name)| flow(namespace, name));
        let flows = services.chain(clients.into_iter().map(|name| flow(Name::new(), name))).collect();
        let (nodes, digest) = (Vec::new(), 0xcbf2_9ce4_8422_2325);
        Stats { window, last_window, recent: (0, 0), flows, services: count, nodes, digest }
    }

    /// The flow of a client.
    pub(super) fn client(&self, client: u32) -> usize {
        self.services + client as usize
    }

    fn at(&mut self, time: SimTime) -> usize {
        let (begins, number) = self.recent;
        if time.0 >= begins && time.0 - begins < self.window.0 {
            return number;
        }
        let number = ((time.0.max(0) / self.window.0) as usize).min(self.last_window);
        self.recent = (number as i64 * self.window.0, number);
        number
    }

    pub(super) fn begun(&mut self, flow: usize, client: Option<u32>, now: SimTime) {
        let at = self.at(now);
        for flow in std::iter::once(flow).chain(client.map(|client| self.client(client))) {
            let record = &mut self.flows[flow].record;
            record.begun += 1;
            record.windows[at].begun += 1;
        }
    }

    /// A request begun at `born` ended at `at`.
    pub(super) fn ended(&mut self, flow: usize, client: Option<u32>, born: SimTime, at: SimTime, end: End) {
        let (window, latency) = (self.at(at), at - born);
        let band = band(latency);
        for flow in std::iter::once(flow).chain(client.map(|client| self.client(client))) {
            let record = &mut self.flows[flow].record;
            record.ends.add(end);
            let window = &mut record.windows[window];
            window.ends.add(end);
            match end {
                End::Success => {
                    record.latencies.add(latency);
                    window.bands[band] += 1;
                }
                _ => record.failures.add(latency),
            }
        }
        let word = (at.0 as u64) ^ (latency.0 as u64).rotate_left(24) ^ (end as u64) << 8 ^ flow as u64;
        self.digest = (self.digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    /// An attempt is sent to a target, if there is one.
    pub(super) fn attempted(&mut self, flow: usize, client: Option<u32>, distance: Option<Distance>) {
        for flow in std::iter::once(flow).chain(client.map(|client| self.client(client))) {
            let record = &mut self.flows[flow].record;
            record.attempts += 1;
            if let Some(distance) = distance {
                distance.add(&mut record.distances);
            }
        }
    }

    /// What a target did with an attempt.
    pub(super) fn tried(&mut self, flow: usize, target: u32, attempt: Attempt) {
        let Flow { places, counts, .. } = &mut self.flows[flow];
        if places.len() <= target as usize {
            places.resize(target as usize + 1, 0);
        }
        let place = &mut places[target as usize];
        if *place == 0 {
            counts.push((target, PodCount::default()));
            *place = counts.len() as u32;
        }
        let count = &mut counts[*place as usize - 1].1;
        count.ends.add(attempt.end);
        if attempt.end == End::Success {
            count.time += attempt.inside.0;
            count.answered += 1;
        }
    }

    /// Where a node's use at that time is counted.
    fn used(&mut self, node: Option<u32>, at: SimTime) -> Option<(&mut f64, &mut i64)> {
        let (node, window) = (node? as usize, self.at(at));
        if self.nodes.len() <= node {
            self.nodes.resize(node + 1, Default::default());
        }
        let (cpu, memory) = &mut self.nodes[node];
        cpu.resize(self.last_window + 1, 0.0);
        memory.resize(self.last_window + 1, 0);
        Some((&mut cpu[window], &mut memory[window]))
    }

    /// Requests have taken so many core-nanoseconds of a node.
    pub(super) fn used_cpu(&mut self, node: Option<u32>, at: SimTime, core_ns: f64) {
        if let Some((cpu, _)) = self.used(node, at) {
            *cpu += core_ns;
        }
    }

    /// Requests have taken so much memory of a node, for a second.
    pub(super) fn used_memory(&mut self, node: Option<u32>, at: SimTime, bytes: i64) {
        if bytes > 0
            && let Some((_, memory)) = self.used(node, at)
        {
            *memory += bytes;
        }
    }

    /// Takes over what a flow and its pods came to.
    pub(super) fn fill(&mut self, flow: usize, account: &Account, pods: &[PodAccount]) {
        let Flow { record, counts, .. } = &mut self.flows[flow];
        account.fill(record);
        for (target, pod) in pods.iter().enumerate() {
            let (ends, mean) = pod.whole();
            if ends.all() > 0 {
                let answered = ends.of(End::Success);
                counts.push((target as u32, PodCount { ends, time: mean.0 * answered as i64, answered }));
            }
        }
    }

    /// What one pod of a service can do.
    pub(super) fn set_capacity(&mut self, service: usize, requests_per_second: f64) {
        self.flows[service].record.capacity = requests_per_second;
    }

    /// Requests of services that have not ended.
    pub(super) fn open(&self) -> u64 {
        let services = self.flows[..self.services].iter().map(|flow| &flow.record);
        services.map(|record| record.begun - record.ends.all()).sum()
    }

    /// The record; `pod` tells of a target what is not counted here, `name` how a node is called.
    pub(super) fn into_record(
        self,
        (under_way, fluid): (u64, bool),
        name: impl Fn(usize) -> Name,
        pod: impl Fn(u32) -> PodTraffic,
    ) -> TrafficRecord {
        let used = self.nodes.into_iter().enumerate().filter(|(_, (cpu, _))| !cpu.is_empty());
        let nodes = used
            .map(|(node, (cpu, memory))| NodeTraffic {
                node: name(node),
                cpu: cpu.into_iter().map(|core_ns| core_ns as i64).collect(),
                memory,
            })
            .collect();
        let mut flows = self.flows.into_iter().map(|Flow { mut record, counts, .. }| {
            record.pods = counts
                .into_iter()
                .map(|(target, count)| {
                    let mean = SimDuration(count.time / count.answered.max(1) as i64);
                    PodTraffic { ends: count.ends, mean, ..pod(target) }
                })
                .collect();
            record
        });
        let services = flows.by_ref().take(self.services).collect();
        let clients = flows.collect();
        TrafficRecord {
            window: self.window,
            start: SimTime::ZERO,
            services,
            clients,
            nodes,
            under_way,
            digest: self.digest,
            fluid,
        }
    }
}

impl Distance {
    fn add(self, distances: &mut Distances) {
        match self {
            Distance::Node => distances.node += 1,
            Distance::Zone => distances.zone += 1,
            Distance::Crossed => distances.crossed += 1,
            Distance::Outside => distances.outside += 1,
        }
    }
}
