//! From where an attempt sets out, and how it fares on its way: nodes and pods in turn, load balancers, the ingress
//! controller, names that stand for others, faults of the network.

use super::flow::Call;
use super::stats::Distance;
use super::{Client, Engine, NONE, Origin};
use crate::metrics::traffic::End;
use crate::model::Uid;
use crate::model::service::ServiceType;
use crate::network::endpoints::Scope;
use crate::network::faults::{self, Way};
use crate::network::{NodeSeen, policy};
use crate::time::SimDuration;

/// From where an attempt sets out.
pub(super) struct Entry {
    pub node: u32,
    pub scope: Scope,
    pub source: u32,
    pub pod: Option<Uid>,
    /// To the node.
    pub before: SimDuration,
    pub outside: bool,
}

impl Engine {
    /// Whether a client knows the address of its service, by an answer of DNS that still counts or by a new one. Clients
    /// outside have names that the cluster's DNS knows nothing of.
    pub(super) fn resolves(&mut self, id: u32) -> bool {
        let (now, client) = (self.now, &mut self.clients[id as usize]);
        if matches!(client.from, Origin::Outside) || now < client.resolved_until {
            return true;
        }
        if self.net.faults.no_names() {
            return false;
        }
        client.resolved_until = now + self.net.dns_ttl();
        true
    }

    /// The pod that asks again over a connection that is open.
    pub(super) fn asking_pod(&self, call: u32) -> Option<Uid> {
        let Call { client, parent, parent_life, .. } = self.calls[call];
        let Client { from, turn, .. } = &self.clients[client as usize];
        match from {
            _ if !self.net.faults.any() => None,
            Origin::Server if self.flights.life(parent) == parent_life => {
                Some(self.net.targets[self.flights[parent].target as usize].pod_uid)
            }
            Origin::Pods(_, pods) => pods.get(*turn % pods.len().max(1)).map(|pod| pod.uid),
            _ => None,
        }
    }

    /// How the packets of an attempt fare on their way.
    pub(super) fn way(&mut self, client: u32, (target, node): (u32, u32), pod: Option<Uid>, open: bool) -> Way {
        if !self.net.faults.any() {
            return Way::default();
        }
        let (to, nodes) = (&self.net.targets[target as usize], &self.net.nodes);
        let (from, Some(on)) = (&nodes[node as usize / 2], to.node.map(|on| &nodes[on as usize])) else {
            return Way::default();
        };
        let pod = pod.and_then(|pod| self.policies.labels(pod));
        let from = faults::End { node: &from.name, zone: &from.zone, pod };
        let to = faults::End { node: &on.name, zone: &on.zone, pod: self.policies.labels(to.pod_uid) };
        self.net.faults.way(from, to, open, &mut self.clients[client as usize].losses)
    }

    /// The service that a name stands for, and whether that is none of the cluster (`type: ExternalName`).
    pub(super) fn alias(&self, service: u32) -> (u32, bool) {
        let is_alias = service != NONE
            && self.net.service_now(service).is_some_and(|service| service.kind == ServiceType::ExternalName);
        match self.aliases.iter().find(|(alias, _)| is_alias && *alias == service) {
            Some((_, other)) => (*other, false),
            None => (service, is_alias),
        }
    }

    /// A request leaves the cluster: it takes the way there and back, and its service time. Nobody queues outside.
    pub(super) fn leave(&mut self, call: u32) {
        let (now, Call { client: id, flow, .. }) = (self.now, self.calls[call]);
        let client = &mut self.clients[id as usize];
        self.stats.attempted(flow as usize, client.reports.then_some(id), Some(Distance::Outside));
        let way = self.distances[3].sample(&mut client.routes);
        let at = now + way * 2 + self.models[flow as usize].time.sample(&mut client.work);
        let limit = now + client.timeout;
        match at > limit {
            true => self.attempt_over(call, limit, End::Timeout),
            false => self.attempt_over(call, at, End::Success),
        }
    }

    /// Where the next attempt of a call comes from; none if there is nobody to ask or no node to come in by.
    pub(super) fn entry(&mut self, call: u32, service: u32) -> Option<Entry> {
        let Call { client: id, parent, parent_life, .. } = self.calls[call];
        let Client { from, turn, sources, first_source, routes, ingress, tls, .. } = &mut self.clients[id as usize];
        if ingress.is_some() {
            let source = *first_source + routes.below(u64::from(*sources)) as u32;
            let way = self.distances[3].sample(routes);
            let before = if *tls { way * 2 } else { way };
            let node = self.controller.filter(|_| service != NONE)?;
            return Some(Entry { node, scope: Scope::Internal, source, pod: None, before, outside: true });
        }
        let nodes = &self.net.nodes;
        let inside = |node: u32, source: u32, pod: Uid| {
            let (scope, before) = (Scope::Internal, SimDuration::ZERO);
            nodes[node as usize].up.then_some(Entry { node, scope, source, pod: Some(pod), before, outside: false })
        };
        match from {
            Origin::Server if self.flights.life(parent) != parent_life => None,
            Origin::Server => {
                let target = &self.net.targets[self.flights[parent].target as usize];
                inside(target.node?, u32::from(target.address), target.pod_uid)
            }
            Origin::Pods(_, pods) => {
                let pod = pods.get(*turn % pods.len().max(1))?;
                *turn = (*turn + 1) % pods.len();
                inside(pod.node, pod.address, pod.uid)
            }
            Origin::Outside | Origin::Cluster => {
                let source = match *sources {
                    1 => *first_source,
                    many => *first_source + routes.below(u64::from(many)) as u32,
                };
                let kind = self.net.service_now(service).map_or(ServiceType::ClusterIp, |service| service.kind);
                let external = matches!(kind, ServiceType::NodePort | ServiceType::LoadBalancer);
                let outside = matches!(from, Origin::Outside) && external;
                let patience = self.node_patience;
                let judged = outside && kind == ServiceType::LoadBalancer;
                let node = match judged {
                    false => next_node(nodes, turn, |node| node.up)?,
                    true => self.balanced_node(id, service, patience)?,
                };
                let Client { routes, .. } = &mut self.clients[id as usize];
                let before = if outside { self.distances[3].sample(routes) } else { SimDuration::ZERO };
                let scope = if outside { Scope::External } else { Scope::Internal };
                Some(Entry { node, scope, source, pod: None, before, outside })
            }
        }
    }

    /// Whether network policies let a new connection through.
    pub(super) fn allowed(&mut self, entry: &Entry, target: u32) -> bool {
        let from = entry.pod.map_or(policy::End::Address(entry.source), policy::End::Pod);
        let target = &self.net.targets[target as usize];
        self.policies.allow(from, target.pod_uid, target.port)
    }

    /// The next node that a load balancer outside holds for well: a dead one, too, until its checks have failed.
    fn balanced_node(&mut self, id: u32, service: u32, patience: SimDuration) -> Option<u32> {
        let now = self.now;
        for _ in 0..self.net.nodes.len() {
            let Client { turn, .. } = &mut self.clients[id as usize];
            let node = next_node(&self.net.nodes, turn, |node| node.up || node.down_since + patience > now)?;
            if self.net.healthy(node, service, now) {
                return Some(node);
            }
        }
        None
    }

    /// How far a target is from a node.
    pub(super) fn how_far(&self, from: u32, target: u32) -> Distance {
        let nodes = &self.net.nodes;
        let to = self.net.targets[target as usize].node;
        match to {
            Some(to) if to == from => Distance::Node,
            Some(to) if nodes[to as usize].zone == nodes[from as usize].zone => Distance::Zone,
            _ => Distance::Crossed,
        }
    }

    pub(super) fn distance(&mut self, id: u32, from: u32, target: u32) -> (Distance, SimDuration) {
        let kind = self.how_far(from, target);
        (kind, self.distances[kind as usize].sample(&mut self.clients[id as usize].routes))
    }
}

/// The next node that pods may run on and that will do.
fn next_node(nodes: &[NodeSeen], turn: &mut usize, will_do: impl Fn(&NodeSeen) -> bool) -> Option<u32> {
    for _ in 0..nodes.len() {
        *turn = (*turn + 1) % nodes.len();
        let node = &nodes[*turn];
        if will_do(node) && node.exists && !node.control_plane {
            return Some(*turn as u32);
        }
    }
    None
}
