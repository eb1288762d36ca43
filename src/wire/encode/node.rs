//! Nodes.

use super::meta::{list, meta, text, texts, time};
use super::{from_raw, nonzero};
use crate::model::{Node, Resources};
use crate::wire::decode::quantity::{ResourceList, printed, resources};
use k8s_openapi::api::core::v1 as core;

pub(super) fn node(from: &Node) -> core::Node {
    let mut spec: core::NodeSpec = from_raw(from.raw.as_ref().and_then(|raw| raw.get("spec")));
    spec.unschedulable = nonzero(from.unschedulable);
    spec.provider_id = text(&from.provider_id);
    spec.taints = list(&from.taints, |taint| core::Taint {
        key: taint.key.to_string(),
        value: text(&taint.value),
        effect: taint.effect.as_str().to_string(),
        time_added: taint.added.map(time),
    });
    let mut status: core::NodeStatus = from_raw(from.raw.as_ref().and_then(|raw| raw.get("status")));
    amounts(&mut status.capacity, &from.capacity);
    amounts(&mut status.allocatable, &from.allocatable);
    status.images =
        list(&from.images, |image| core::ContainerImage { names: texts(&image.names), size_bytes: Some(image.size) });
    status.conditions = list(&from.conditions, |c| core::NodeCondition {
        type_: c.kind.to_string(),
        status: c.status.as_str().to_string(),
        reason: text(&c.reason),
        message: text(&c.message),
        last_transition_time: Some(time(c.last_transition)),
        last_heartbeat_time: Some(time(c.last_update)),
    });
    addresses(&mut status, from);
    status.volumes_in_use = texts(&from.volumes_in_use);
    status.volumes_attached = list(&from.volumes_attached, |name| core::AttachedVolume {
        name: name.to_string(),
        device_path: String::new(),
    });
    core::Node { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

/// Keeps the texts of a list whose amounts are right, and writes the others.
fn amounts(list: &mut Option<ResourceList>, have: &Resources) {
    let (written, _) = resources(list.as_ref()).unwrap_or_default();
    if written == *have {
        return;
    }
    let texts = list.get_or_insert_default();
    let fixed = ["cpu", "memory", "ephemeral-storage", "pods"].map(|resource| (resource, have.get(resource)));
    let named = fixed.into_iter().chain(have.scalar.iter().map(|(resource, amount)| (resource.as_str(), *amount)));
    for (resource, amount) in named {
        if written.get(resource) != amount {
            texts.insert(resource.to_string(), printed(resource, amount));
        }
    }
}

fn addresses(status: &mut core::NodeStatus, from: &Node) {
    let Some(address) = from.address.map(|address| address.to_string()) else { return };
    let known = status.addresses.get_or_insert_default();
    match known.iter_mut().find(|known| known.type_ == "InternalIP") {
        Some(internal) => internal.address = address,
        None => {
            known.push(core::NodeAddress { type_: "InternalIP".to_string(), address });
            known.push(core::NodeAddress { type_: "Hostname".to_string(), address: from.meta.name.to_string() });
        }
    }
}
