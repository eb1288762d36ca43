//! Kubernetes' defaults of pods (`pkg/apis/core/v1/defaults.go`). Applying them twice changes nothing.

use super::quantity::{ResourceList, canonical, canonical_text, printed, resources};
use k8s_openapi::api::core::v1::{Container, PodSpec, Probe, Volume};
use std::collections::BTreeMap;

/// Fills an absent or empty text.
pub(super) fn text(slot: &mut Option<String>, default: &str) {
    if slot.as_deref().unwrap_or_default().is_empty() {
        *slot = Some(default.to_string());
    }
}

/// Fills an absent or zero number.
fn number(slot: &mut Option<i32>, default: i32) {
    if slot.unwrap_or(0) == 0 {
        *slot = Some(default);
    }
}

/// The defaults of a pod spec wherever it stands, in pods and in templates.
pub(crate) fn pod_spec_defaults(spec: &mut PodSpec) {
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(30);
    text(&mut spec.scheduler_name, "default-scheduler");
    // The old name of the field is kept in step with the new one (`pkg/apis/core/v1/conversion.go`).
    if spec.service_account_name.as_deref().unwrap_or_default().is_empty() {
        spec.service_account_name = spec.service_account.take().filter(|name| !name.is_empty());
    }
    spec.service_account = spec.service_account_name.clone();
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container_defaults(container);
    }
    spec.volumes.iter_mut().flatten().for_each(volume_defaults);
    canonical(&mut spec.overhead);
    if let Some(level) = &mut spec.resources {
        canonical(&mut level.requests);
        canonical(&mut level.limits);
    }
}

/// The defaults that only a pod gets, not a template: requests from limits, host ports, service links.
pub(crate) fn pod_defaults(spec: &mut PodSpec) {
    let host_network = spec.host_network.unwrap_or(false);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if let Some(resources) = &mut container.resources
            && let Some(limits) = &resources.limits
        {
            let requests = resources.requests.get_or_insert_default();
            for (resource, limit) in limits {
                requests.entry(resource.clone()).or_insert_with(|| limit.clone());
            }
        }
        if host_network {
            for port in container.ports.iter_mut().flatten() {
                if port.host_port.unwrap_or(0) == 0 {
                    port.host_port = Some(port.container_port);
                }
            }
        }
    }
    pod_level_requests(spec);
    spec.enable_service_links.get_or_insert(true);
}

/// Pod-level limits imply pod-level requests: what the containers ask for together where any of them asks,
/// else the limit (`defaultPodRequests`).
fn pod_level_requests(spec: &mut PodSpec) {
    let Some(limits) = spec.resources.as_ref().and_then(|level| level.limits.clone()).filter(|l| !l.is_empty()) else {
        return;
    };
    let asked = containers_together(spec);
    let requests = spec.resources.get_or_insert_default().requests.get_or_insert_default();
    for resource in ["cpu", "memory"] {
        if let Some(amount) = asked.get(resource) {
            requests.entry(resource.to_string()).or_insert_with(|| printed(resource, *amount));
        }
    }
    for (resource, limit) in limits {
        if matches!(resource.as_str(), "cpu" | "memory") || resource.starts_with("hugepages-") {
            requests.entry(resource).or_insert(limit);
        }
    }
}

/// What the containers request together of the resources that any of them requests
/// (`.../component-helpers/resource/helpers.go`, `AggregateContainerRequests`).
fn containers_together(spec: &PodSpec) -> BTreeMap<String, i64> {
    let amounts = |container: &Container| -> BTreeMap<String, i64> {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        // Quantities that cannot be read are reported when the containers are compiled.
        let (amounts, names) = resources(requests).unwrap_or_default();
        names.iter().map(|name| (name.to_string(), amounts.get(name))).collect()
    };
    let add = |sum: &mut BTreeMap<String, i64>, more: &BTreeMap<String, i64>| {
        more.iter().for_each(|(resource, amount)| *sum.entry(resource.clone()).or_default() += amount);
    };
    let (mut together, mut sidecars, mut init) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    spec.containers.iter().for_each(|container| add(&mut together, &amounts(container)));
    for container in spec.init_containers.iter().flatten() {
        let mut step = sidecars.clone();
        add(&mut step, &amounts(container));
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut together, &amounts(container));
            sidecars.clone_from(&step);
        }
        step.into_iter().for_each(|(resource, amount)| {
            let most: &mut i64 = init.entry(resource).or_default();
            *most = amount.max(*most);
        });
    }
    for (resource, amount) in init {
        let most: &mut i64 = together.entry(resource).or_default();
        *most = amount.max(*most);
    }
    together
}

/// `latest`, and no tag at all, are pulled always; a digest or another tag only when missing.
pub(super) fn default_pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    // A colon before the last slash belongs to the registry's port.
    let tag = name.rsplit('/').next().unwrap_or(name).split_once(':').map(|(_, tag)| tag);
    match tag {
        Some("latest") => "Always",
        None if !digest => "Always",
        _ => "IfNotPresent",
    }
}

fn container_defaults(container: &mut Container) {
    let image = container.image.as_deref().unwrap_or_default();
    let policy = default_pull_policy(image);
    text(&mut container.image_pull_policy, policy);
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    let resources = container.resources.get_or_insert_default();
    canonical(&mut resources.requests);
    canonical(&mut resources.limits);
    for port in container.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
    }
    for probe in [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe] {
        probe.iter_mut().for_each(probe_defaults);
    }
    for hook in container.lifecycle.iter_mut().flat_map(|hooks| [&mut hooks.post_start, &mut hooks.pre_stop]).flatten()
    {
        hook.http_get.iter_mut().for_each(http_defaults);
    }
    for source in container.env.iter_mut().flatten().filter_map(|variable| variable.value_from.as_mut()) {
        source.field_ref.iter_mut().for_each(|field| text(&mut field.api_version, "v1"));
    }
}

fn http_defaults(action: &mut k8s_openapi::api::core::v1::HTTPGetAction) {
    text(&mut action.path, "/");
    text(&mut action.scheme, "HTTP");
}

fn probe_defaults(probe: &mut Probe) {
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    probe.http_get.iter_mut().for_each(http_defaults);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

/// The permission bits 0644 that mounted files get.
const FILE_MODE: i32 = 0o644;

fn volume_defaults(volume: &mut Volume) {
    let nameless = Volume { name: String::new(), ..volume.clone() };
    if nameless == Volume::default() {
        volume.empty_dir = Some(Default::default());
    }
    if let Some(limit) = volume.empty_dir.as_mut().and_then(|dir| dir.size_limit.as_mut()) {
        canonical_text(limit);
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(map) = &mut volume.config_map {
        map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        let fields = downward.items.iter_mut().flatten().filter_map(|item| item.field_ref.as_mut());
        fields.for_each(|field| text(&mut field.api_version, "v1"));
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        for source in projected.sources.iter_mut().flatten() {
            source.service_account_token.iter_mut().for_each(|token| _ = token.expiration_seconds.get_or_insert(3600));
            let items = source.downward_api.iter_mut().flat_map(|downward| downward.items.iter_mut().flatten());
            let fields = items.filter_map(|item| item.field_ref.as_mut());
            fields.for_each(|field| text(&mut field.api_version, "v1"));
        }
    }
    if let Some(path) = &mut volume.host_path {
        path.type_.get_or_insert_default();
    }
    if let Some(image) = &mut volume.image {
        let policy = default_pull_policy(image.reference.as_deref().unwrap_or_default());
        text(&mut image.pull_policy, policy);
    }
}

/// A node's allocatable is its capacity when it says none.
pub(super) fn allocatable(capacity: &mut Option<ResourceList>, allocatable: &mut Option<ResourceList>) {
    canonical(capacity);
    canonical(allocatable);
    if allocatable.is_none() {
        allocatable.clone_from(capacity);
    }
}
