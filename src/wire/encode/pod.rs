//! Pods.

use super::meta::{list, meta, text, time};
use super::{from_raw, nonzero};
use crate::model::{
    Condition, ContainerState, ContainerStatus, Name, Pod, PodSpec, Resources, Terminated, Toleration, Uid,
};
use crate::wire::decode;
use crate::wire::decode::quantity::printed;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

pub(super) fn pod(from: &Pod) -> core::Pod {
    core::Pod { metadata: meta(&from.meta), spec: Some(spec(from)), status: Some(status(from)) }
}

fn spec(pod: &Pod) -> core::PodSpec {
    let wish: &PodSpec = &pod.spec;
    let mut spec: core::PodSpec = from_raw(Some(&wish.raw));
    decode::pod_spec_defaults(&mut spec);
    decode::pod_defaults(&mut spec);
    decode::merge_label_keys(&mut spec, &pod.meta.labels);
    spec.node_name = pod.node.as_ref().map(Name::to_string);
    if spec.tolerations.as_ref().map_or(0, Vec::len) != wish.tolerations.len() {
        spec.tolerations = list(&wish.tolerations, toleration);
    }
    if spec.scheduling_gates.as_ref().map_or(0, Vec::len) != wish.scheduling_gates.len() {
        spec.scheduling_gates = list(&wish.scheduling_gates, |gate| core::PodSchedulingGate { name: gate.to_string() });
    }
    // What admission resolves for every pod that it lets in.
    if pod.meta.uid != Uid::default() {
        spec.priority = Some(wish.priority);
        spec.priority_class_name = text(&wish.priority_class);
        spec.preemption_policy = Some(if wish.preempts { "PreemptLowerPriority" } else { "Never" }.to_string());
        spec.service_account_name = text(&wish.service_account);
        spec.service_account = text(&wish.service_account);
    }
    spec
}

pub(super) fn toleration(from: &Toleration) -> core::Toleration {
    let operator = Some(if from.exists { "Exists" } else { "Equal" }.to_string());
    core::Toleration {
        effect: from.effect.map(|effect| effect.as_str().to_string()),
        key: text(&from.key),
        operator,
        toleration_seconds: from.seconds,
        value: text(&from.value),
    }
}

fn status(pod: &Pod) -> core::PodStatus {
    let from = &pod.status;
    let init = &pod.spec.init_containers;
    core::PodStatus {
        conditions: list(&from.conditions, |c| condition(c, from.observed_generation)),
        container_statuses: list(&from.containers, |c| container(c, &image(&pod.spec.containers, &c.name))),
        init_container_statuses: list(&from.init_containers, |c| container(c, &image(init, &c.name))),
        host_ip: from.host_ip.map(|ip| ip.to_string()),
        host_ips: from.host_ip.map(|ip| vec![core::HostIP { ip: ip.to_string() }]),
        message: text(&from.message),
        nominated_node_name: from.nominated_node.as_ref().map(Name::to_string),
        observed_generation: nonzero(from.observed_generation),
        phase: Some(from.phase.as_str().to_string()),
        pod_ip: from.pod_ip.map(|ip| ip.to_string()),
        pod_ips: from.pod_ip.map(|ip| vec![core::PodIP { ip: ip.to_string() }]),
        qos_class: Some(pod.spec.qos().as_str().to_string()),
        reason: text(&from.reason),
        start_time: from.start_time.map(time),
        ..core::PodStatus::default()
    }
}

fn image(containers: &[crate::model::Container], name: &Name) -> String {
    let found = containers.iter().find(|container| container.name == *name);
    found.map(|container| container.image.to_string()).unwrap_or_default()
}

fn condition(from: &Condition, observed_generation: i64) -> core::PodCondition {
    core::PodCondition {
        type_: from.kind.to_string(),
        status: from.status.as_str().to_string(),
        reason: text(&from.reason),
        message: text(&from.message),
        last_transition_time: Some(time(from.last_transition)),
        last_probe_time: None,
        observed_generation: nonzero(observed_generation),
    }
}

fn container(from: &ContainerStatus, image: &str) -> core::ContainerStatus {
    core::ContainerStatus {
        name: from.name.to_string(),
        image: image.to_string(),
        ready: from.ready,
        started: Some(from.started),
        restart_count: i32::try_from(from.restart_count).unwrap_or(i32::MAX),
        state: Some(state(&from.state)),
        allocated_resources: from.allocated.as_ref().map(|granted| amounts(&granted.0)),
        resources: from.allocated.as_ref().map(|granted| core::ResourceRequirements {
            requests: Some(amounts(&granted.0)),
            limits: Some(amounts(&granted.1)).filter(|limits| !limits.is_empty()),
            ..core::ResourceRequirements::default()
        }),
        last_state: Some(core::ContainerState {
            terminated: from.last.as_deref().map(terminated),
            ..core::ContainerState::default()
        }),
        ..core::ContainerStatus::default()
    }
}

/// The amounts that are not zero.
fn amounts(from: &Resources) -> BTreeMap<String, Quantity> {
    let fixed = ["cpu", "memory", "ephemeral-storage"].map(|resource| (resource, from.get(resource)));
    let all = fixed.into_iter().chain(from.scalar.iter().map(|(resource, amount)| (resource.as_str(), *amount)));
    all.filter(|(_, amount)| *amount != 0).map(|(name, amount)| (name.to_string(), printed(name, amount))).collect()
}

fn state(from: &ContainerState) -> core::ContainerState {
    let mut state = core::ContainerState::default();
    match from {
        ContainerState::Waiting { reason, message } => {
            state.waiting = Some(core::ContainerStateWaiting { reason: text(reason), message: text(message) });
        }
        ContainerState::Running { started } => {
            state.running = Some(core::ContainerStateRunning { started_at: Some(time(*started)) });
        }
        ContainerState::Terminated(ended) => state.terminated = Some(terminated(ended)),
    }
    state
}

fn terminated(from: &Terminated) -> core::ContainerStateTerminated {
    core::ContainerStateTerminated {
        exit_code: from.exit_code,
        reason: text(&from.reason),
        message: text(&from.message),
        started_at: Some(time(from.started)),
        finished_at: Some(time(from.finished)),
        ..core::ContainerStateTerminated::default()
    }
}
