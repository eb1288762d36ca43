//! The processors of a node, which the pods on it share.
//!
//! While they suffice, a server has what it can use, and nobody looks here. Where servers at work and what else runs on
//! the node want more, the kernel shares by weight ([`crate::model::cpu`]): each server goes on at the speed that its
//! part allows, until one of them has less or more to do.
//!
//! A worked example: two servers on a node of one core, with requests of 100m and 300m, each with one request of 10 ms
//! at work that needs a processor all the time. The first goes on at a quarter of full speed, the second at three
//! quarters: it is done after 13.3 ms, and then the first has the core for itself, with 6.7 ms left to do.

use super::Engine;
use crate::model::cpu::{self, Demand};
use crate::model::{Name, Pod, Uid};

/// One node's.
#[derive(Debug, Default)]
pub(super) struct Processors {
    /// Thousandths of a core that there are; 0 where nothing is said of them.
    pub capacity: i64,
    /// What servers want at this instant.
    wanted: i64,
    /// What containers take beside requests, when it was looked at last.
    others: i64,
    /// They do not suffice.
    pub short: bool,
    /// Servers on the node.
    pub servers: Vec<u32>,
    neighbours: Vec<Neighbour>,
}

/// A container and what it takes beside requests.
#[derive(Debug)]
struct Neighbour {
    pod: Uid,
    container: Name,
    demand: Demand,
}

impl Processors {
    fn overdrawn(&self) -> bool {
        self.capacity > 0 && self.wanted + self.others > self.capacity
    }

    /// What servers get that want so much: in thousandths of a core, none for those who have all that they can use.
    pub(super) fn shares(&self, demands: &[Demand]) -> Vec<Option<i64>> {
        let others = self.neighbours.iter().map(|one| one.demand).filter(|demand| demand.wanted > 0);
        let all: Vec<Demand> = demands.iter().copied().chain(others).collect();
        if self.capacity == 0 || all.iter().map(Demand::most).sum::<i64>() <= self.capacity {
            return vec![None; demands.len()];
        }
        let given = cpu::shares(self.capacity, &all);
        demands.iter().zip(given).map(|(demand, given)| (given < demand.most()).then_some(given)).collect()
    }
}

impl Engine {
    /// There are as many as nodes.
    pub(super) fn more_processors(&mut self) {
        self.processors.resize_with(self.net.nodes.len(), Processors::default);
    }

    /// A pod has come to a node, or is gone from it.
    pub(super) fn neighbour(&mut self, pod: &Pod, gone: bool) {
        let Some(node) = pod.node.as_ref().and_then(|name| self.net.node(name)) else { return };
        self.more_processors();
        let neighbours = &mut self.processors[node as usize].neighbours;
        if gone {
            return neighbours.retain(|one| one.pod != pod.meta.uid);
        }
        neighbours.extend(pod.spec.containers.iter().map(|container| {
            let demand = Demand { wanted: 0, request: container.requests.milli_cpu, limit: container.limits.milli_cpu };
            Neighbour { pod: pod.meta.uid, container: container.name.clone(), demand }
        }));
    }

    /// Looks at what containers take beside requests.
    pub(super) fn look_at_neighbours(&mut self) {
        for node in 0..self.processors.len() {
            let processors = &mut self.processors[node];
            if processors.servers.is_empty() {
                continue;
            }
            for one in &mut processors.neighbours {
                one.demand.wanted = self.meters.milli_cpu(one.pod, &one.container, self.now);
            }
            let others = processors.neighbours.iter().map(|one| one.demand.most()).sum();
            let changed = std::mem::replace(&mut processors.others, others) != others;
            if changed && (processors.short || processors.overdrawn()) {
                self.share_out(node);
            }
        }
    }

    /// A server has more or less at work.
    pub(super) fn weigh(&mut self, at: u32) {
        let server = &mut self.servers[at as usize];
        let Some(node) = server.node else { return };
        let wants = server.demand(&self.models[server.model as usize]).most();
        let change = wants - std::mem::replace(&mut server.wants, wants);
        if change == 0 {
            return;
        }
        let processors = &mut self.processors[node as usize];
        processors.wanted += change;
        if processors.short || processors.overdrawn() {
            self.share_out(node as usize);
        }
    }

    /// Shares a node's processors anew.
    fn share_out(&mut self, node: usize) {
        let processors = &mut self.processors[node];
        processors.short = processors.overdrawn();
        let demand = |at: &u32| {
            let server = &self.servers[*at as usize];
            server.demand(&self.models[server.model as usize])
        };
        let demands: Vec<Demand> = processors.servers.iter().map(demand).collect();
        let given = processors.shares(&demands);
        for (turn, given) in given.into_iter().enumerate() {
            let at = self.processors[node].servers[turn];
            self.give(at, given.map_or(f64::INFINITY, |milli| milli as f64 / 1000.0));
        }
    }

    /// A server has so much of its node from now on.
    fn give(&mut self, at: u32, cores: f64) {
        let server = &mut self.servers[at as usize];
        if server.given == cores {
            return;
        }
        let cpu_share = self.models[server.model as usize].cpu_share;
        server.advance(self.now, cpu_share);
        server.given = cores;
        if server.active.is_empty() {
            return;
        }
        if server.begin_sharing() {
            // Until now it was known when they are done, so nobody watched the time for their clients.
            let working: Vec<u32> = server.active.iter().map(|(_, id)| *id).collect();
            working.into_iter().for_each(|id| self.watch(id, None));
        }
        self.servers[at as usize].share(cpu_share);
        self.next_turn(at);
    }
}
