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
