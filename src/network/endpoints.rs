//! Which endpoints of a service a node may send to (`pkg/proxy/topology.go`). Pure.
//!
//! A worked example: a service with `internalTrafficPolicy: Local` and three endpoints, none of them on the node. The
//! node has nobody to send to although there are endpoints: packets are dropped, not rejected, and the client waits
//! for its timeout.

use crate::model::Name;
use crate::model::service::{Endpoint, EndpointSlice, Service};
use std::sync::Arc;

/// From where a packet comes to the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// From a pod, or from the node itself: `internalTrafficPolicy`.
    Internal,
    /// Through a node port or a load balancer: `externalTrafficPolicy`.
    External,
}

/// What a node knows of a service's endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reachable {
    /// These, in order of their address.
    Some(Vec<Endpoint>),
    /// Nobody anywhere: the connection is rejected at once.
    Rejected,
    /// Nobody that the traffic policy allows: packets vanish.
    Dropped,
}

/// The endpoints that `node` in `zone` uses for the service's port of that name.
pub fn reachable(
    service: &Service,
    slices: &[Arc<EndpointSlice>],
    port: &Name,
    (node, zone): (&Name, &Name),
    scope: Scope,
) -> Reachable {
    let serves = |slice: &&Arc<EndpointSlice>| slice.ports.iter().any(|have| have.name == *port);
    let listed = slices.iter().filter(serves).flat_map(|slice| slice.endpoints.iter());
    let all: Vec<&Endpoint> = listed.map(Arc::as_ref).collect();
    let last_resort = |endpoint: &&Endpoint| endpoint.serving && endpoint.terminating;
    let local = |endpoint: &&Endpoint| endpoint.node.as_ref() == Some(node);
    let sorted = |mut chosen: Vec<&Endpoint>| {
        chosen.sort_by_key(|endpoint| endpoint.address);
        chosen.dedup_by_key(|endpoint| endpoint.address);
        Reachable::Some(chosen.into_iter().cloned().collect())
    };
    let hint = Hint::of(&all, node, zone);
    let mut cluster: Vec<&Endpoint> =
        all.iter().copied().filter(|one| one.ready && hint.allows(one, node, zone)).collect();
    if cluster.is_empty() {
        cluster = all.iter().copied().filter(last_resort).collect();
    }
    let only_local = match scope {
        Scope::Internal => service.internal_local,
        Scope::External => service.external_local,
    };
    if !only_local {
        return if cluster.is_empty() { Reachable::Rejected } else { sorted(cluster) };
    }
    let mut here: Vec<&Endpoint> = all.iter().copied().filter(|one| one.ready).filter(local).collect();
    if here.is_empty() {
        here = all.iter().copied().filter(last_resort).filter(local).collect();
    }
    match (here.is_empty(), cluster.is_empty()) {
        (false, _) => sorted(here),
        (true, false) => Reachable::Dropped,
        (true, true) => Reachable::Rejected,
    }
}

/// Which hints count (`topologyModeFromHints`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hint {
    None,
    Zone,
    Node,
}

impl Hint {
    /// Hints count only if every ready endpoint has some and one of them is meant for here.
    fn of(all: &[&Endpoint], node: &Name, zone: &Name) -> Hint {
        let mut ready = all.iter().filter(|endpoint| endpoint.ready).peekable();
        if ready.peek().is_none() {
            return Hint::None;
        }
        let (mut nodes, mut node_here, mut zones, mut zone_here) = (true, false, true, false);
        for endpoint in ready {
            nodes &= !endpoint.hint_nodes.is_empty();
            node_here |= endpoint.hint_nodes.contains(node);
            zones &= !endpoint.hint_zones.is_empty();
            zone_here |= !zone.is_empty() && endpoint.hint_zones.contains(zone);
        }
        match () {
            () if nodes && node_here => Hint::Node,
            () if zones && zone_here => Hint::Zone,
            () => Hint::None,
        }
    }

    fn allows(self, endpoint: &Endpoint, node: &Name, zone: &Name) -> bool {
        match self {
            Hint::None => true,
            Hint::Zone => endpoint.hint_zones.contains(zone),
            Hint::Node => endpoint.hint_nodes.contains(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::service::EndpointPort;
    use crate::model::{Meta, Uid, builder};

    /// `a1 r` is a ready endpoint on node a1 of zone a; `t` serving and terminating, `x` terminating only, `n` not
    /// ready. `>b` hints zone b, `>>` its own node and zone.
    fn slice(text: &str) -> Vec<Arc<EndpointSlice>> {
        let endpoint = |(at, word): (usize, &str)| {
            let (node, state) = word.split_once(':').unwrap();
            let (state, hint) = state.split_once('>').unwrap_or((state, ""));
            let zone = Name::from(&node[..1]);
            let zones = match hint {
                "" => Vec::new(),
                ">" => vec![zone.clone()],
                other => vec![Name::from(other)],
            };
            Endpoint {
                address: [10, 0, 0, u8::try_from(at).unwrap()].into(),
                ready: state == "r",
                serving: state == "r" || state == "t",
                terminating: state == "t" || state == "x",
                node: Some(Name::from(node)),
                zone,
                hostname: Name::new(),
                pod: Name::from(word),
                pod_uid: Uid(at as u128),
                hint_zones: zones,
                hint_nodes: if hint == ">" { vec![Name::from(node)] } else { Vec::new() },
            }
        };
        let endpoints = text.split_whitespace().enumerate().map(endpoint).map(Arc::new).collect();
        let port = EndpointPort { name: Name::new(), protocol: Name::from("TCP"), app_protocol: Name::new(), port: 80 };
        let meta = Meta::named("default", "web-1");
        vec![Arc::new(EndpointSlice { meta, ports: Arc::new(vec![port]), endpoints: Arc::new(endpoints) })]
    }

    #[test]
    fn a_node_sends_where_policy_and_hints_allow() {
        // (endpoints, policy: C(luster) or L(ocal), asked on node a1, expected)
        let table = [
            ("a1:r b1:r b2:n", 'C', "a1:r b1:r"),
            ("a1:r b1:r", 'L', "a1:r"),
            ("b1:r b2:r", 'L', "drop"),
            ("b1:n b2:x", 'L', "reject"),
            ("", 'C', "reject"),
            // Terminating endpoints are the last resort: of the whole cluster, or of the node.
            ("a1:t b1:t", 'C', "a1:t b1:t"),
            ("a1:t b1:r", 'C', "b1:r"),
            ("a1:t b1:r", 'L', "a1:t"),
            ("a1:x b1:x", 'C', "reject"),
            // Hints: by zone, by node; not if one ready endpoint has none, or none is for here.
            ("a2:r>a b1:r>b", 'C', "a2:r>a"),
            ("a2:r>a b1:r", 'C', "a2:r>a b1:r"),
            ("b1:r>b c1:r>c", 'C', "b1:r>b c1:r>c"),
            ("a1:r>> a2:r>> b1:r>>", 'C', "a1:r>>"),
            ("a2:r>> b1:r>>", 'C', "a2:r>>"),
            ("a2:r>a b1:n b2:r>b", 'C', "a2:r>a"),
            // A local policy does not ask for hints.
            ("a1:r>b b1:r>b", 'L', "a1:r>b"),
        ];
        for (endpoints, policy, expected) in table {
            let service = Service { internal_local: policy == 'L', ..builder::service("web", "web") };
            let (node, zone) = (Name::from("a1"), Name::from("a"));
            let found = match reachable(&service, &slice(endpoints), &Name::new(), (&node, &zone), Scope::Internal) {
                Reachable::Some(list) => list.iter().map(|one| one.pod.to_string()).collect::<Vec<_>>().join(" "),
                Reachable::Rejected => "reject".to_string(),
                Reachable::Dropped => "drop".to_string(),
            };
            assert_eq!(found, expected, "{endpoints} {policy}");
        }
    }
}
