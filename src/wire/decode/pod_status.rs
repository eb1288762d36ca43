//! What is reported of a pod.

use super::meta::{condition, name, some_name, some_time, time};
use super::{Decoded, container::unsupported};
use crate::model::pod::Usage;
use crate::model::{Condition, ContainerState, ContainerStatus, Name, Phase, PodStatus, Terminated};
use k8s_openapi::api::core::v1 as core;
use std::net::Ipv4Addr;

pub(super) fn pod_status(from: &core::PodStatus) -> Decoded<PodStatus> {
    let phase = match from.phase.as_deref().unwrap_or_default() {
        "" | "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        other => return Err(unsupported("phase", other, &["Failed", "Pending", "Running", "Succeeded"])),
    };
    let statuses = |list: &Option<Vec<core::ContainerStatus>>| list.iter().flatten().map(container).collect();
    Ok(PodStatus {
        phase,
        reason: name(&from.reason),
        message: name(&from.message),
        conditions: from.conditions.iter().flatten().map(pod_condition).collect(),
        start_time: some_time(&from.start_time),
        pod_ip: address(&from.pod_ip),
        host_ip: address(&from.host_ip),
        containers: statuses(&from.container_statuses),
        init_containers: statuses(&from.init_container_statuses),
        nominated_node: some_name(&from.nominated_node_name),
        observed_generation: from.observed_generation.unwrap_or(0),
        config: Vec::new(),
    })
}

/// An IPv4 address; IPv6 is not modelled and reads as none.
pub(super) fn address(text: &Option<String>) -> Option<Ipv4Addr> {
    text.as_deref().and_then(|text| text.parse().ok())
}

/// Kubelets leave `lastProbeTime` empty, so it is not looked at.
fn pod_condition(from: &core::PodCondition) -> Condition {
    condition((&from.type_, &from.status), &from.reason, &from.message, &from.last_transition_time, &None)
}

fn container(from: &core::ContainerStatus) -> ContainerStatus {
    let last = from.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    ContainerStatus {
        name: Name::from(from.name.as_str()),
        state: from.state.as_ref().map_or_else(unknown, state),
        last: last.map(|ended| Box::new(terminated(ended))),
        ready: from.ready,
        started: from.started.unwrap_or(false),
        restart_count: u32::try_from(from.restart_count).unwrap_or(0),
        allocated: None,
        usage: Usage::default(),
    }
}

/// A container without a state is waiting, for no stated reason.
fn unknown() -> ContainerState {
    ContainerState::Waiting { reason: Name::new(), message: Name::new() }
}

fn state(from: &core::ContainerState) -> ContainerState {
    if let Some(running) = &from.running {
        ContainerState::Running { started: time(&running.started_at) }
    } else if let Some(ended) = &from.terminated {
        ContainerState::Terminated(Box::new(terminated(ended)))
    } else {
        match &from.waiting {
            Some(waiting) => ContainerState::Waiting { reason: name(&waiting.reason), message: name(&waiting.message) },
            None => unknown(),
        }
    }
}

fn terminated(from: &core::ContainerStateTerminated) -> Terminated {
    Terminated {
        exit_code: from.exit_code,
        reason: name(&from.reason),
        message: name(&from.message),
        started: time(&from.started_at),
        finished: time(&from.finished_at),
    }
}
