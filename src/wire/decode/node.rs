//! Nodes.

use super::container::effect;
use super::meta::{condition, meta, name, some_time};
use super::pod_status::address;
use super::quantity::resources;
use super::{Decoded, FieldError, Within, defaults, each};
use crate::model::node::NodeImage;
use crate::model::{Name, Node, Taint};
use k8s_openapi::api::core::v1 as core;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn node(from: core::Node) -> Decoded<Node> {
    let meta = meta(&from.metadata)?;
    let spec = from.spec.unwrap_or_default();
    let mut status = from.status.unwrap_or_default();
    defaults::allocatable(&mut status.capacity, &mut status.allocatable);
    let addresses = status.addresses.iter().flatten();
    let internal = addresses.filter(|address| address.type_ == "InternalIP");
    let mut node = Node {
        meta,
        unschedulable: spec.unschedulable.unwrap_or(false),
        taints: each(&spec.taints, "taints", taint).within("spec")?,
        provider_id: name(&spec.provider_id),
        capacity: resources(status.capacity.as_ref()).within("status.capacity")?.0,
        allocatable: resources(status.allocatable.as_ref()).within("status.allocatable")?.0,
        images: Arc::new(status.images.iter().flatten().map(image).collect()),
        conditions: {
            let conditions = status.conditions.iter().flatten();
            conditions
                .map(|c| {
                    let times = (&c.last_transition_time, &c.last_heartbeat_time);
                    condition((&c.type_, &c.status), &c.reason, &c.message, times.0, times.1)
                })
                .collect()
        },
        address: internal.filter_map(|found| address(&Some(found.address.clone()))).next(),
        volumes_attached: {
            let attached = status.volumes_attached.iter().flatten();
            attached.map(|volume| Name::from(volume.name.as_str())).collect()
        },
        volumes_in_use: super::meta::names(&status.volumes_in_use),
        raw: None,
    };
    node.raw = Some(rest(spec, status)?);
    Ok(node)
}

/// What the model does not hold.
fn rest(spec: core::NodeSpec, status: core::NodeStatus) -> Decoded<Arc<Value>> {
    let spec = core::NodeSpec { unschedulable: None, taints: None, provider_id: None, ..spec };
    let status =
        core::NodeStatus { conditions: None, images: None, volumes_attached: None, volumes_in_use: None, ..status };
    let spec = serde_json::to_value(spec);
    let both = spec.and_then(|spec| Ok(json!({"spec": spec, "status": serde_json::to_value(status)?})));
    both.map(Arc::new).map_err(|error| FieldError::new("", error.to_string()))
}

fn taint(from: &core::Taint) -> Decoded<Taint> {
    Ok(Taint {
        key: Name::from(from.key.as_str()),
        value: name(&from.value),
        effect: effect(&from.effect)?,
        added: some_time(&from.time_added),
    })
}

fn image(from: &core::ContainerImage) -> NodeImage {
    NodeImage { names: super::meta::names(&from.names), size: from.size_bytes.unwrap_or(0) }
}
