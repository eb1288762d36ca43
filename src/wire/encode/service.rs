//! Services and endpoint slices.

use super::meta::{labels, list, meta, text, uid};
use super::{from_raw, nonzero};
use crate::model::Name;
use crate::model::service::{Endpoint, EndpointSlice, Service, ServicePort, ServiceType, TargetPort};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(super) fn service(from: &Service) -> core::Service {
    let mut spec: core::ServiceSpec = from_raw(from.raw.as_deref());
    let policy = |local: bool| Some(if local { "Local" } else { "Cluster" }.to_string());
    let external_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    let external = match from.kind {
        ServiceType::NodePort | ServiceType::LoadBalancer => true,
        ServiceType::ClusterIp => external_ips,
        ServiceType::ExternalName => false,
    };
    spec.type_ = Some(from.kind.as_str().to_string());
    spec.selector = from.selector.as_ref().and_then(labels);
    spec.ports = list(&from.ports, port);
    spec.publish_not_ready_addresses = nonzero(from.publish_not_ready);
    spec.session_affinity = Some(if from.client_ip_affinity { "ClientIP" } else { "None" }.to_string());
    spec.session_affinity_config = from.client_ip_affinity.then_some(core::SessionAffinityConfig {
        client_ip: Some(core::ClientIPConfig { timeout_seconds: Some(from.affinity_seconds) }),
    });
    spec.external_traffic_policy = policy(from.external_local).filter(|_| external);
    spec.internal_traffic_policy = policy(from.internal_local).filter(|_| from.kind != ServiceType::ExternalName);
    spec.traffic_distribution = text(&from.traffic_distribution);
    let cluster_ip = if from.headless { Some("None".to_string()) } else { from.cluster_ip.map(|ip| ip.to_string()) };
    if let Some(ip) = cluster_ip {
        spec.cluster_ips.get_or_insert_with(|| vec![ip.clone()]);
        spec.cluster_ip = Some(ip);
    }
    let ingress = list(&from.ingress, |ip| core::LoadBalancerIngress {
        ip: Some(ip.to_string()),
        ip_mode: (from.kind == ServiceType::LoadBalancer).then(|| "VIP".to_string()),
        ..core::LoadBalancerIngress::default()
    });
    let load_balancer = Some(core::LoadBalancerStatus { ingress });
    let status = core::ServiceStatus { load_balancer, ..core::ServiceStatus::default() };
    core::Service { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

fn port(from: &ServicePort) -> core::ServicePort {
    core::ServicePort {
        app_protocol: text(&from.app_protocol),
        name: text(&from.name),
        node_port: nonzero(i32::from(from.node_port)),
        port: i32::from(from.port),
        protocol: text(&from.protocol),
        target_port: Some(match &from.target {
            TargetPort::Number(number) => IntOrString::Int(i32::from(*number)),
            TargetPort::Name(name) => IntOrString::String(name.to_string()),
        }),
    }
}

pub(super) fn endpoint_slice(from: &EndpointSlice) -> discovery::EndpointSlice {
    discovery::EndpointSlice {
        metadata: meta(&from.meta),
        address_type: "IPv4".to_string(),
        endpoints: Some(from.endpoints.iter().map(|item| endpoint(item, &from.meta.namespace)).collect()),
        ports: list(&from.ports, |port| discovery::EndpointPort {
            app_protocol: text(&port.app_protocol),
            name: Some(port.name.to_string()),
            port: Some(i32::from(port.port)),
            protocol: text(&port.protocol),
        }),
    }
}

fn endpoint(from: &Endpoint, namespace: &Name) -> discovery::Endpoint {
    let zones = list(&from.hint_zones, |name| discovery::ForZone { name: name.to_string() });
    let nodes = list(&from.hint_nodes, |name| discovery::ForNode { name: name.to_string() });
    discovery::Endpoint {
        addresses: vec![from.address.to_string()],
        conditions: Some(discovery::EndpointConditions {
            ready: Some(from.ready),
            serving: Some(from.serving),
            terminating: Some(from.terminating),
        }),
        deprecated_topology: None,
        hints: nonzero(discovery::EndpointHints { for_nodes: nodes, for_zones: zones }),
        hostname: text(&from.hostname),
        node_name: from.node.as_ref().map(Name::to_string),
        target_ref: text(&from.pod).map(|pod| core::ObjectReference {
            kind: Some("Pod".to_string()),
            name: Some(pod),
            namespace: text(namespace),
            uid: uid(from.pod_uid),
            ..core::ObjectReference::default()
        }),
        zone: text(&from.zone),
    }
}
