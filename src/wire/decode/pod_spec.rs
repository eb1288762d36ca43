//! Pods and their wishes.

use super::affinity::{affinity, merge_label_keys, spread};
use super::container::{container, init_container, policy, toleration};
use super::meta::{labels, name, namespaced, some_name, spec_of};
use super::quantity::resources;
use super::{Decoded, FieldError, Within, defaults, each, pod_status};
use crate::model::pod_spec::{ConfigSource, Disk, DiskId, PodLevelResources, Volume, VolumeSource};
use crate::model::{Meta, Name, Pod, PodSpec, Resources, RestartPolicy, hash};
use k8s_openapi::api::core::v1 as core;
use std::sync::Arc;

pub(super) fn pod(from: core::Pod) -> Decoded<Pod> {
    let meta: Meta = namespaced(&from.metadata)?;
    let mut spec = spec_of(from.spec)?;
    defaults::pod_spec_defaults(&mut spec);
    defaults::pod_defaults(&mut spec);
    merge_label_keys(&mut spec, &meta.labels);
    let node = some_name(&spec.node_name);
    let wish = compile(&spec, &spec).within("spec")?;
    let status = pod_status::pod_status(&from.status.unwrap_or_default()).within("status")?;
    Ok(Pod { meta, spec: Arc::new(wish), node, status })
}

/// Compiles a wish. `effective` carries every default that a pod of it has; `kept` is what is stored, which
/// for a template lacks those that only pods get.
pub(super) fn compile(effective: &core::PodSpec, kept: &core::PodSpec) -> Decoded<PodSpec> {
    let raw = serde_json::to_value(kept).map_err(|error| FieldError::new("", error.to_string()))?;
    let containers = effective.containers.iter().enumerate();
    let containers =
        containers.map(|(at, item)| container(item).within(&format!("containers[{at}]"))).collect::<Decoded<_>>()?;
    let restart_policy = effective.restart_policy.as_deref().filter(|policy| !policy.is_empty());
    let restart_policy = restart_policy.map(policy).transpose()?.unwrap_or(RestartPolicy::Always);
    let mut spec = PodSpec {
        hash: hash::content_hash(&raw),
        raw: Arc::new(raw),
        containers,
        init_containers: each(&effective.init_containers, "initContainers", init_container)?,
        volumes: each(&effective.volumes, "volumes", volume)?,
        node_name: some_name(&effective.node_name),
        node_selector: labels(&effective.node_selector),
        affinity: effective.affinity.as_ref().map(affinity).transpose().within("affinity")?.map(Box::new),
        tolerations: each(&effective.tolerations, "tolerations", toleration)?,
        spread: each(&effective.topology_spread_constraints, "topologySpreadConstraints", spread)?,
        scheduler_name: some_name(&effective.scheduler_name).unwrap_or(crate::name!("default-scheduler")),
        priority_class: name(&effective.priority_class_name),
        priority: effective.priority.unwrap_or(0),
        preempts: effective.preemption_policy.as_deref() != Some("Never"),
        restart_policy,
        grace_seconds: effective.termination_grace_period_seconds.unwrap_or(30),
        active_deadline_seconds: effective.active_deadline_seconds,
        host_network: effective.host_network.unwrap_or(false),
        scheduling_gates: effective
            .scheduling_gates
            .iter()
            .flatten()
            .map(|gate| Name::from(gate.name.as_str()))
            .collect(),
        readiness_gates: {
            let gates = effective.readiness_gates.iter().flatten();
            gates.map(|gate| Name::from(gate.condition_type.as_str())).collect()
        },
        hostname: name(&effective.hostname),
        subdomain: name(&effective.subdomain),
        service_account: some_name(&effective.service_account_name).unwrap_or(crate::name!("default")),
        overhead: resources(effective.overhead.as_ref()).within("overhead")?.0,
        pod_level: effective.resources.as_ref().map(pod_level).transpose().within("resources")?.map(Box::new),
        requests: Resources::default(),
    };
    spec.compute_requests();
    Ok(spec)
}

fn pod_level(from: &core::ResourceRequirements) -> Decoded<PodLevelResources> {
    let (requests, requested) = resources(from.requests.as_ref()).within("requests")?;
    let (limits, limited) = resources(from.limits.as_ref()).within("limits")?;
    Ok(PodLevelResources { requests, requested, limits, limited })
}

/// A disk that the pod names itself.
fn disk(from: &core::Volume) -> Option<Disk> {
    let (id, read_only) = if let Some(disk) = &from.gce_persistent_disk {
        (DiskId::GcePersistentDisk(Name::from(disk.pd_name.as_str())), disk.read_only)
    } else if let Some(disk) = &from.aws_elastic_block_store {
        (DiskId::AwsElasticBlockStore(Name::from(disk.volume_id.as_str())), disk.read_only)
    } else if let Some(disk) = &from.iscsi {
        (DiskId::Iscsi(Name::from(disk.iqn.as_str())), disk.read_only)
    } else {
        let disk = from.rbd.as_ref()?;
        let monitors = disk.monitors.iter().map(|monitor| Name::from(monitor.as_str())).collect();
        // The pool's default (`pkg/apis/core/v1/defaults.go`).
        let pool = some_name(&disk.pool).unwrap_or(crate::name!("rbd"));
        (DiskId::Rbd(monitors, pool, Name::from(disk.image.as_str())), disk.read_only)
    };
    Some(Disk { id, read_only: read_only.unwrap_or(false) })
}

fn volume(from: &core::Volume) -> Decoded<Volume> {
    let source = if let Some(claim) = &from.persistent_volume_claim {
        VolumeSource::Claim(Name::from(claim.claim_name.as_str()))
    } else if let Some(sources) = config(from) {
        VolumeSource::Config(sources)
    } else if from.ephemeral.is_some() {
        VolumeSource::Ephemeral
    } else {
        disk(from).map_or(VolumeSource::Other, VolumeSource::Disk)
    };
    Ok(Volume { name: Name::from(from.name.as_str()), source })
}

/// The config maps and secrets of a volume, if it is made of such.
fn config(from: &core::Volume) -> Option<Vec<ConfigSource>> {
    let source = |secret: bool, name: Name, optional: Option<bool>, items: &Option<Vec<core::KeyToPath>>| {
        let keys = items.iter().flatten().map(|item| Name::from(item.key.as_str())).collect();
        ConfigSource { secret, name, optional: optional.unwrap_or(false), keys }
    };
    if let Some(map) = &from.config_map {
        return Some(vec![source(false, Name::from(map.name.as_str()), map.optional, &map.items)]);
    }
    if let Some(secret) = &from.secret {
        return Some(vec![source(true, name(&secret.secret_name), secret.optional, &secret.items)]);
    }
    let parts = from.projected.as_ref()?.sources.iter().flatten();
    let part = |part: &core::VolumeProjection| match (&part.config_map, &part.secret) {
        (Some(map), _) => Some(source(false, Name::from(map.name.as_str()), map.optional, &map.items)),
        (_, Some(secret)) => Some(source(true, Name::from(secret.name.as_str()), secret.optional, &secret.items)),
        _ => None,
    };
    Some(parts.filter_map(part).collect())
}
