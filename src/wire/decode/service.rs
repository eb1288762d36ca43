//! Services (`pkg/apis/core/v1/defaults.go`, `SetDefaults_Service`).

use super::container::{port_number, unsupported};
use super::defaults::text;
use super::meta::{labels, name, namespaced};
use super::pod_status::address;
use super::{Decoded, FieldError, Within, each};
use crate::model::service::{Service, ServicePort, ServiceType, TargetPort};
use crate::model::{Labels, Name};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Seconds that `sessionAffinity: ClientIP` holds by default: three hours.
const AFFINITY_SECONDS: i32 = 10_800;

pub(super) fn service(from: core::Service) -> Decoded<Service> {
    let meta = namespaced(&from.metadata)?;
    let mut spec = from.spec.unwrap_or_default();
    service_defaults(&mut spec);
    let kind = match spec.type_.as_deref().unwrap_or_default() {
        "ClusterIP" => ServiceType::ClusterIp,
        "NodePort" => ServiceType::NodePort,
        "LoadBalancer" => ServiceType::LoadBalancer,
        "ExternalName" => ServiceType::ExternalName,
        other => {
            let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
            return Err(unsupported("type", other, &known)).within("spec");
        }
    };
    let selector = labels(&spec.selector);
    let affinity = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let balancer = from.status.and_then(|status| status.load_balancer).and_then(|balancer| balancer.ingress);
    let local = |policy: &Option<String>| policy.as_deref() == Some("Local");
    let mut service = Service {
        meta,
        kind,
        selector: Some(selector).filter(|selector| *selector != Labels::EMPTY),
        ports: each(&spec.ports, "ports", port).within("spec")?,
        headless: spec.cluster_ip.as_deref() == Some("None"),
        cluster_ip: address(&spec.cluster_ip),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        client_ip_affinity: spec.session_affinity.as_deref() == Some("ClientIP"),
        affinity_seconds: affinity.and_then(|affinity| affinity.timeout_seconds).unwrap_or(AFFINITY_SECONDS),
        external_local: local(&spec.external_traffic_policy),
        internal_local: local(&spec.internal_traffic_policy),
        traffic_distribution: name(&spec.traffic_distribution),
        ingress: balancer.iter().flatten().filter_map(|ingress| address(&ingress.ip)).collect(),
        raw: None,
    };
    service.raw = Some(rest(spec)?);
    Ok(service)
}

/// What the model does not hold.
fn rest(spec: core::ServiceSpec) -> Decoded<Arc<Value>> {
    let modelled = spec.cluster_ip.as_deref().is_some_and(|ip| ip == "None" || ip.parse::<Ipv4Addr>().is_ok());
    let single = spec.cluster_ips.as_ref().is_none_or(|ips| ips.len() <= 1);
    let rest = core::ServiceSpec {
        type_: None,
        selector: None,
        ports: None,
        publish_not_ready_addresses: None,
        session_affinity: None,
        session_affinity_config: None,
        external_traffic_policy: None,
        internal_traffic_policy: None,
        traffic_distribution: None,
        cluster_ip: spec.cluster_ip.filter(|_| !modelled),
        cluster_ips: spec.cluster_ips.filter(|_| !(modelled && single)),
        ..spec
    };
    serde_json::to_value(rest).map(Arc::new).map_err(|error| FieldError::new("spec", error.to_string()))
}

fn service_defaults(spec: &mut core::ServiceSpec) {
    text(&mut spec.session_affinity, "None");
    match spec.session_affinity.as_deref() {
        Some("None") => spec.session_affinity_config = None,
        Some("ClientIP") => {
            let client = spec.session_affinity_config.get_or_insert_default().client_ip.get_or_insert_default();
            client.timeout_seconds.get_or_insert(AFFINITY_SECONDS);
        }
        _ => {}
    }
    text(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
        match &port.target_port {
            Some(IntOrString::Int(number)) if *number != 0 => {}
            Some(IntOrString::String(name)) if !name.is_empty() => {}
            _ => port.target_port = Some(IntOrString::Int(port.port)),
        }
    }
    let kind = spec.type_.as_deref().unwrap_or_default();
    let external = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    if matches!(kind, "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && external) {
        text(&mut spec.external_traffic_policy, "Cluster");
    }
    if matches!(kind, "NodePort" | "LoadBalancer" | "ClusterIP") {
        spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_string());
    }
    if kind == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
    // One IP family is all this cluster has (`pkg/registry/core/service/storage/alloc.go`).
    if kind != "ExternalName" {
        text(&mut spec.ip_family_policy, "SingleStack");
        spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_string()]);
    }
}

fn port(from: &core::ServicePort) -> Decoded<ServicePort> {
    Ok(ServicePort {
        name: name(&from.name),
        protocol: name(&from.protocol),
        app_protocol: name(&from.app_protocol),
        port: port_number(from.port, "port")?,
        target: match &from.target_port {
            Some(IntOrString::Int(number)) => TargetPort::Number(port_number(*number, "targetPort")?),
            Some(IntOrString::String(name)) => TargetPort::Name(Name::from(name.as_str())),
            None => TargetPort::Number(port_number(from.port, "port")?),
        },
        node_port: port_number(from.node_port.unwrap_or(0), "nodePort")?,
    })
}
