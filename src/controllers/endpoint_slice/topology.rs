//! Topology aware routing at work: the hints of [`hints`](super::hints) on the slices of services that ask for them
//! (`staging/src/k8s.io/endpointslice/topologycache/topologycache.go`).
//!
//! Shares of processors are taken from the nodes as they are when a service is looked at; a node that comes or goes is
//! heard of with the service's next change.

use super::hints::{self, Hinted, Slices};
use super::reconcile::Decisions;
use crate::model::service::{Endpoint, EndpointSlice, Service};
use crate::model::{Name, Node};
use std::sync::Arc;

/// The annotation that asks, and its name in older releases.
const ANNOTATIONS: [&str; 2] = ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"];

/// Whether a service asks for topology aware routing.
pub fn asked(service: &Service) -> bool {
    let value = ANNOTATIONS.iter().find_map(|name| service.meta.annotations.get(name));
    value.is_some_and(|value| value == "Auto" || value == "auto")
}

/// Gives the slices of a service their hints, or takes them away; the text of the event, and whether it is good news.
pub fn apply<'a>(
    existing: &[Arc<EndpointSlice>],
    nodes: impl Iterator<Item = &'a Node>,
    decisions: &mut Decisions,
) -> (bool, String) {
    let shares = hints::zone_shares(nodes);
    let touched = |slice: &Arc<EndpointSlice>| {
        let name = &slice.meta.name;
        decisions.delete.contains(name) || decisions.update.iter().any(|new| new.meta.name == *name)
    };
    let unchanged: Vec<EndpointSlice> =
        existing.iter().filter(|slice| !touched(slice)).map(|slice| EndpointSlice::clone(slice)).collect();
    let hinted = |slices: Vec<EndpointSlice>| slices.into_iter().map(with_hints).collect();
    let mut slices = Slices {
        create: hinted(std::mem::take(&mut decisions.create)),
        update: hinted(std::mem::take(&mut decisions.update)),
        unchanged: hinted(unchanged),
    };
    let given = hints::add(&mut slices, shares.as_ref());
    decisions.create = slices.create.into_iter().map(written).collect();
    let update = slices.update.into_iter().map(written);
    // What has been the same all along needs no write.
    let differs = |new: &EndpointSlice| {
        let old = existing.iter().find(|old| old.meta.name == new.meta.name);
        old.is_none_or(|old| old.endpoints != new.endpoints || old.ports != new.ports)
    };
    decisions.update = update.filter(differs).collect();
    match given {
        Ok(_) => (true, "Topology Aware Hints has been enabled, addressType: IPv4".to_string()),
        Err(why) => (false, format!("{why}, addressType: IPv4")),
    }
}

fn with_hints(slice: EndpointSlice) -> (EndpointSlice, Vec<Hinted>) {
    let hinted = |endpoint: &Arc<Endpoint>| Hinted {
        zone: endpoint.zone.clone(),
        ready: endpoint.ready,
        hint: endpoint.hint_zones.first().cloned().unwrap_or_default(),
    };
    let endpoints = slice.endpoints.iter().map(hinted).collect();
    (slice, endpoints)
}

fn written((mut slice, hinted): (EndpointSlice, Vec<Hinted>)) -> EndpointSlice {
    let mut endpoints = Vec::clone(&slice.endpoints);
    for (endpoint, hinted) in endpoints.iter_mut().zip(hinted) {
        let endpoint = Arc::make_mut(endpoint);
        endpoint.hint_zones = Some(hinted.hint).filter(|hint: &Name| !hint.is_empty()).into_iter().collect();
        endpoint.hint_nodes = Vec::new();
    }
    slice.endpoints = Arc::new(endpoints);
    slice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Condition, Labels, Meta, Truth, Uid, builder};
    use crate::time::SimTime;

    fn node(name: &str, zone: &str, milli_cpu: i64) -> Node {
        let mut node = builder::node(name, milli_cpu, 1 << 30, 110).label("topology.kubernetes.io/zone", zone);
        node.conditions = vec![Condition::new(Name::from("Ready"), Truth::True, Name::new(), "", SimTime::ZERO)];
        node
    }

    fn slice(zones: &[&str]) -> EndpointSlice {
        let endpoint = |(at, zone): (usize, &&str)| Endpoint {
            address: [10, 0, 0, u8::try_from(at).unwrap()].into(),
            ready: true,
            serving: true,
            terminating: false,
            node: None,
            zone: Name::from(*zone),
            hostname: Name::new(),
            pod: Name::from(format!("p{at}")),
            pod_uid: Uid(at as u128),
            hint_zones: Vec::new(),
            hint_nodes: Vec::new(),
        };
        let endpoints = Arc::new(zones.iter().enumerate().map(endpoint).map(Arc::new).collect());
        EndpointSlice { meta: Meta::named("default", "web-1"), ports: Arc::default(), endpoints }
    }

    fn hints(slice: &EndpointSlice) -> String {
        slice.endpoints.iter().map(|one| one.hint_zones.first().map_or("-", |zone| zone.as_str())).collect()
    }

    #[test]
    fn processors_decide_who_serves_which_zone() {
        // Zone a has two thirds of the processors and gets four of six endpoints, one of them out of zone b.
        let nodes = [node("1", "a", 4000), node("2", "b", 2000)];
        let mut decisions = Decisions { create: vec![slice(&["a", "a", "a", "b", "b", "b"])], ..Decisions::default() };
        let (good, text) = apply(&[], nodes.iter(), &mut decisions);
        assert_eq!((good, text.as_str()), (true, "Topology Aware Hints has been enabled, addressType: IPv4"));
        assert_eq!(hints(&decisions.create[0]), "aaaabb");
        // Nothing is new: nothing is written.
        let existing = [Arc::new(decisions.create.remove(0))];
        let mut again = Decisions::default();
        apply(&existing, nodes.iter(), &mut again);
        assert_eq!(again, Decisions::default());
        // One zone is no topology: the hints go.
        let (good, text) = apply(&existing, nodes[..1].iter(), &mut again);
        assert!(!good && text.starts_with("Insufficient Node information"), "{text}");
        assert_eq!(hints(&again.update[0]), "------");
    }

    #[test]
    fn services_ask_by_annotation() {
        let mut service = builder::service("default", "web");
        assert!(!asked(&service));
        for (name, value, expected) in
            [(ANNOTATIONS[0], "Auto", true), (ANNOTATIONS[1], "auto", true), (ANNOTATIONS[0], "Disabled", false)]
        {
            service.meta.annotations = Labels::from_iter([(name, value)]);
            assert_eq!(asked(&service), expected, "{name} {value}");
        }
    }
}
