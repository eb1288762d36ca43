//! Endpoint slices (`pkg/apis/discovery/v1/defaults.go`). Only IPv4 slices exist here.

use super::container::{port_number, unsupported};
use super::meta::{name, namespaced, some_name, uid};
use super::{Decoded, FieldError, each};
use crate::model::service::{Endpoint, EndpointPort, EndpointSlice};
use crate::model::{Name, Uid};
use k8s_openapi::api::discovery::v1 as discovery;
use std::sync::Arc;

pub(super) fn endpoint_slice(from: discovery::EndpointSlice) -> Decoded<EndpointSlice> {
    if from.address_type != "IPv4" {
        return Err(unsupported("addressType", &from.address_type, &["IPv4"]));
    }
    Ok(EndpointSlice {
        meta: namespaced(&from.metadata)?,
        ports: Arc::new(each(&from.ports, "ports", port)?),
        endpoints: Arc::new(each(&from.endpoints, "endpoints", |one| endpoint(one).map(Arc::new))?),
    })
}

fn port(from: &discovery::EndpointPort) -> Decoded<EndpointPort> {
    Ok(EndpointPort {
        name: name(&from.name),
        protocol: some_name(&from.protocol).unwrap_or(crate::name!("TCP")),
        app_protocol: name(&from.app_protocol),
        port: port_number(from.port.unwrap_or(0), "port")?,
    })
}

fn endpoint(from: &discovery::Endpoint) -> Decoded<Endpoint> {
    let conditions = from.conditions.clone().unwrap_or_default();
    let hints = from.hints.clone().unwrap_or_default();
    let first = from.addresses.first();
    let address = first.and_then(|text| text.parse().ok()).ok_or_else(|| {
        FieldError::new(
            "addresses[0]",
            format!("Invalid value: {:?}: must be a valid IPv4 address", first.map_or("", String::as_str)),
        )
    })?;
    // A condition that is not stated counts as true, but for termination.
    let ready = conditions.ready.unwrap_or(true);
    let pod = from.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
    Ok(Endpoint {
        address,
        ready,
        serving: conditions.serving.unwrap_or(ready),
        terminating: conditions.terminating.unwrap_or(false),
        node: some_name(&from.node_name),
        zone: name(&from.zone),
        hostname: name(&from.hostname),
        pod: pod.map(|target| name(&target.name)).unwrap_or_default(),
        pod_uid: pod.map_or(Uid::default(), |target| uid(&target.uid)),
        hint_zones: hints.for_zones.iter().flatten().map(|hint| Name::from(hint.name.as_str())).collect(),
        hint_nodes: hints.for_nodes.iter().flatten().map(|hint| Name::from(hint.name.as_str())).collect(),
    })
}
