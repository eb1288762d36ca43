//! What one pod contributes to a service: its ports, its endpoint, its traffic hints
//! (`pkg/controller/endpointslice`, `staging/src/k8s.io/endpointslice/utils.go`, `.../trafficdist`).

use crate::model::service::{Endpoint, EndpointPort, Service, TargetPort};
use crate::model::{Name, Pod};

/// Whether the pod can have an endpoint at all; one that is being deleted can.
pub fn eligible(pod: &Pod) -> bool {
    !pod.status.phase.terminal() && pod.status.pod_ip.is_some()
}

/// The service's ports as this pod serves them. A named target port that the pod lacks is left out.
pub fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let resolve = |target: &TargetPort, protocol: &Name| match target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => {
            let sidecars = pod.spec.init_containers.iter().filter(|container| container.sidecar);
            let mut all = pod.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
            all.find(|port| port.name == *name && port.protocol == *protocol).map(|port| port.container_port)
        }
    };
    let port = |port: &crate::model::service::ServicePort| {
        Some(EndpointPort {
            name: port.name.clone(),
            protocol: port.protocol.clone(),
            app_protocol: port.app_protocol.clone(),
            port: resolve(&port.target, &port.protocol)?,
        })
    };
    service.ports.iter().filter_map(port).collect()
}

/// The pod's endpoint; `zone` is its node's. `None` if it has no address.
pub fn endpoint(service: &Service, pod: &Pod, zone: Name) -> Option<Endpoint> {
    let (serving, terminating) = (pod.is_ready(), pod.meta.deleting());
    let named = !pod.spec.hostname.is_empty() && pod.spec.subdomain == service.meta.name;
    Some(Endpoint {
        address: pod.status.pod_ip?,
        ready: service.publish_not_ready || (serving && !terminating),
        serving,
        terminating,
        node: pod.node.clone(),
        zone,
        hostname: if named { pod.spec.hostname.clone() } else { Name::new() },
        pod: pod.meta.name.clone(),
        pod_uid: pod.meta.uid,
        hint_zones: Vec::new(),
        hint_nodes: Vec::new(),
    })
}

/// Sets the hints that `trafficDistribution` asks for; true if anything changed. Endpoints that are not
/// ready keep the hints they have.
pub fn give_hints(distribution: &str, endpoint: &mut Endpoint) -> bool {
    let same_node = distribution == "PreferSameNode";
    let (zones, nodes): (Vec<Name>, Vec<Name>) = match distribution {
        "PreferClose" | "PreferSameZone" | "PreferSameNode" if !endpoint.ready => return false,
        "PreferClose" | "PreferSameZone" | "PreferSameNode" => (
            Some(&endpoint.zone).filter(|zone| !zone.is_empty()).cloned().into_iter().collect(),
            endpoint.node.iter().filter(|_| same_node).cloned().collect(),
        ),
        _ => (Vec::new(), Vec::new()),
    };
    if endpoint.hint_zones == zones && endpoint.hint_nodes == nodes {
        return false;
    }
    (endpoint.hint_zones, endpoint.hint_nodes) = (zones, nodes);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::meta::Deletion;
    use crate::model::{Condition, Truth, builder};
    use crate::time::SimTime;

    #[test]
    fn what_is_ready_serves_or_ends() {
        // (pod is ready, is being deleted, publishNotReadyAddresses; endpoint is ready, serves, ends)
        let table = [
            ((true, false, false), [true, true, false]),
            ((false, false, false), [false, false, false]),
            // A pod that ends is never ready, but serves as long as its probe says so.
            ((true, true, false), [false, true, true]),
            ((false, true, false), [false, false, true]),
            // Unless its address is published whatever it is.
            ((false, false, true), [true, false, false]),
            ((true, true, true), [true, true, true]),
            ((false, true, true), [true, false, true]),
        ];
        for ((ready, deleted, publish), expected) in table {
            let mut pod = builder::pod("web-0", builder::spec("web:1", 100, 0));
            pod.status.pod_ip = Some([10, 0, 0, 1].into());
            let truth = if ready { Truth::True } else { Truth::False };
            pod.status.conditions = vec![Condition::new("Ready".into(), truth, Name::new(), "", SimTime::ZERO)];
            pod.meta.deletion = deleted.then_some(Deletion { at: SimTime::ZERO, grace_seconds: 30 });
            let service = Service { publish_not_ready: publish, ..builder::service("default", "web") };
            let found = endpoint(&service, &pod, Name::from("a")).map(|one| [one.ready, one.serving, one.terminating]);
            assert_eq!(found, Some(expected), "ready {ready}, deleted {deleted}, published {publish}");
            pod.status.pod_ip = None;
            assert!(endpoint(&service, &pod, Name::from("a")).is_none());
        }
    }

    #[test]
    fn distributions_hint_at_zones_and_nodes() {
        // (trafficDistribution, ready, zone, hints before; zones and nodes after, whether that is new)
        type Row = (&'static str, bool, &'static str, [&'static [&'static str]; 3], bool);
        let table: [Row; 9] = [
            ("", true, "a", [&[], &[], &[]], false),
            ("", true, "a", [&["a"], &[], &[]], true),
            ("PreferSameZone", true, "a", [&[], &["a"], &[]], true),
            ("PreferSameZone", true, "a", [&["a"], &["a"], &[]], false),
            ("PreferSameZone", true, "a", [&["b"], &["a"], &[]], true),
            // The older name of the same.
            ("PreferClose", true, "a", [&[], &["a"], &[]], true),
            // The node first, and its zone for those who do not know hints at nodes.
            ("PreferSameNode", true, "a", [&[], &["a"], &["a1"]], true),
            // Nodes without a zone, endpoints that are not ready.
            ("PreferSameZone", true, "", [&[], &[], &[]], false),
            ("PreferSameZone", false, "a", [&["b"], &["b"], &[]], false),
        ];
        for (distribution, ready, zone, [before, zones, nodes], new) in table {
            let mut pod = builder::pod("web-0", builder::spec("web:1", 100, 0));
            (pod.status.pod_ip, pod.node) = (Some([10, 0, 0, 1].into()), Some(Name::from("a1")));
            let mut one = endpoint(&builder::service("default", "web"), &pod, Name::from(zone)).unwrap();
            (one.ready, one.hint_zones) = (ready, before.iter().copied().map(Name::from).collect());
            let row = format!("{distribution:?} {ready} {zone:?} {before:?}");
            assert_eq!(give_hints(distribution, &mut one), new, "{row}");
            assert_eq!(
                (one.hint_zones, one.hint_nodes),
                (zones.iter().copied().map(Name::from).collect(), nodes.iter().copied().map(Name::from).collect()),
                "{row}"
            );
        }
    }
}
