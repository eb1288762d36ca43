//! Who sends how much where: the shares that nodes, proxies, addresses and policies come to.

use super::pool::Source;
use super::{Fluid, Loss};
use crate::metrics::traffic::End;
use crate::model::Uid;
use crate::model::service::ServiceType;
use crate::network::endpoints::Scope;
use crate::network::{Choice, policy};
use crate::time::{SimDuration, SimTime};
use crate::traffic::stats::Distance;
use crate::traffic::{Client, Engine, Origin};

/// From where a part of a client's requests sets out.
struct Way {
    node: u32,
    scope: Scope,
    source: u32,
    pod: Option<Uid>,
    /// Seconds to the node.
    before: f64,
    share: f64,
}

/// Addresses of a client that are followed one by one, where they matter.
const SOURCES_MAX: u32 = 4096;
/// While proxies are behind, shares are looked at anew this often.
const SETTLING: SimDuration = SimDuration::from_millis(100);
/// And where names are resolved or load balancers judge nodes.
const SLOWLY: SimDuration = SimDuration::from_secs(1);

impl Engine {
    /// Computes all shares anew, and when they have to be computed again if nothing happens.
    pub(super) fn reroute(&mut self, fluid: &mut Fluid) {
        for source in fluid.pools.iter_mut().flat_map(|pool| &mut pool.sources) {
            source.share = 0.0;
        }
        for id in 0..self.clients.len() as u32 {
            fluid.clients[id as usize].losses.clear();
            for way in self.ways(fluid, id) {
                self.follow(fluid, id, &way);
            }
        }
        for pool in &mut fluid.pools {
            let holds = pool.inside > 0.0;
            pool.sources.retain(|source| source.share > 0.0 || holds && source.weight > 0.0);
        }
        fluid.reroute_at = self.next_look(fluid.now);
    }

    fn next_look(&self, now: SimTime) -> SimTime {
        let mut at = if self.net.settled() { SimTime(i64::MAX) } else { now + SETTLING };
        for client in &self.clients {
            let Some(service) = self.net.service_now(client.service) else { continue };
            if service.headless || service.kind == ServiceType::LoadBalancer {
                at = at.min(now + SLOWLY);
            }
            if service.client_ip_affinity {
                at = at.min(now + SimDuration::from_millis(500 * i64::from(service.affinity_seconds)));
            }
        }
        at
    }

    /// The nodes or pods that a client asks from.
    fn ways(&mut self, fluid: &mut Fluid, id: u32) -> Vec<Way> {
        let Client { from, flow, service, first_source, connect_timeout, timeout, .. } = &self.clients[id as usize];
        let ((service, elsewhere), source) = (self.alias(*service), *first_source);
        let patience = connect_timeout.min(timeout).as_secs_f64();
        let loss = |end, after, share| Loss { end, after, share };
        let lost = &mut fluid.clients[id as usize].losses;
        if let Origin::Pods(_, pods) = from {
            let share = 1.0 / pods.len() as f64;
            let ways = pods.iter().filter(|pod| self.net.nodes[pod.node as usize].up).map(|pod| {
                let (node, source, scope) = (pod.node, pod.address, Scope::Internal);
                Way { node, scope, source, pod: Some(pod.uid), before: 0.0, share }
            });
            let ways: Vec<Way> = ways.collect();
            Loss::put(lost, loss(End::NoEndpoint, 0.0, 1.0 - ways.iter().map(|way| way.share).sum::<f64>()));
            return ways;
        }
        if elsewhere {
            let time = 2.0 * self.distances[3].mean() / 1e9 + fluid.spreads[*flow].mean;
            Loss::put(lost, loss(End::Success, time, 1.0));
            return Vec::new();
        }
        let kind = self.net.service_now(service).map_or(ServiceType::ClusterIp, |service| service.kind);
        let external = matches!(kind, ServiceType::NodePort | ServiceType::LoadBalancer);
        let outside = matches!(from, Origin::Outside) && external;
        let (scope, before) = match outside {
            true => (Scope::External, self.distances[3].mean() / 1e9),
            false => (Scope::Internal, 0.0),
        };
        let judged = outside && kind == ServiceType::LoadBalancer;
        let now = fluid.now;
        let mut used: Vec<u32> = Vec::new();
        for node in 0..self.net.nodes.len() as u32 {
            let seen = &self.net.nodes[node as usize];
            let up = seen.up || judged && seen.down_since + self.node_patience > now;
            if up && seen.exists && !seen.control_plane && (!judged || self.net.healthy(node, service, now)) {
                used.push(node);
            }
        }
        let share = 1.0 / used.len() as f64;
        let (up, down): (Vec<u32>, Vec<u32>) = used.iter().partition(|node| self.net.nodes[**node as usize].up);
        if used.is_empty() {
            Loss::put(lost, loss(End::NoEndpoint, 0.0, 1.0));
        }
        down.iter().for_each(|_| Loss::put(lost, loss(End::ConnectTimeout, patience, share)));
        up.into_iter().map(|node| Way { node, scope, source, pod: None, before, share }).collect()
    }

    /// What the rules of the node make of it.
    fn follow(&mut self, fluid: &mut Fluid, id: u32, way: &Way) {
        let Client { service, sources, .. } = self.clients[id as usize];
        let (service, _) = self.alias(service);
        let sticky = self.net.service_now(service).is_some_and(|service| service.client_ip_affinity);
        if sticky || self.net.hashes() {
            let many = if way.pod.is_some() { 1 } else { sources.clamp(1, SOURCES_MAX) };
            for source in 0..many {
                let choice = self.net.choose(way.node, service, way.scope, way.source + source, fluid.now);
                self.chosen(fluid, id, way, (choice, way.share / f64::from(many)));
            }
            return;
        }
        let found = self.net.backends(way.node, service, way.scope, fluid.now).map(<[u32]>::to_vec);
        match found {
            Err(choice) => self.chosen(fluid, id, way, (choice, way.share)),
            Ok(backends) => {
                let each = way.share / backends.len() as f64;
                backends.into_iter().for_each(|target| self.chosen(fluid, id, way, (Choice::To(target), each)));
            }
        }
    }

    fn chosen(&mut self, fluid: &mut Fluid, id: u32, way: &Way, (choice, share): (Choice, f64)) {
        let client = &self.clients[id as usize];
        let patience = client.connect_timeout.min(client.timeout).as_secs_f64();
        let lost = &mut fluid.clients[id as usize].losses;
        let target = match choice {
            Choice::Rejected => {
                return Loss::put(lost, Loss { end: End::NoEndpoint, after: 2.0 * way.before, share });
            }
            Choice::Dropped => return Loss::put(lost, Loss { end: End::ConnectTimeout, after: patience, share }),
            Choice::To(target) => target,
        };
        let seen = &self.net.targets[target as usize];
        let from = way.pod.map_or(policy::End::Address(way.source), policy::End::Pod);
        if !self.policies.allow(from, seen.pod_uid, seen.port) {
            return Loss::put(lost, Loss { end: End::Denied, after: patience, share });
        }
        let distance = self.how_far(way.node, target);
        let latency = way.before + self.distances[distance as usize].mean() / 1e9;
        let distance = if way.scope == Scope::External { Distance::Outside } else { distance } as usize;
        fluid.grow(target as usize + 1);
        let sources = &mut fluid.pools[target as usize].sources;
        match sources.iter_mut().find(|one| (one.client, one.distance, one.latency) == (id, distance, latency)) {
            Some(source) => source.share += share,
            None => sources.push(Source { client: id, distance, latency, share, weight: 0.0 }),
        }
    }
}
