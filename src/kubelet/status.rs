//! What a kubelet reports of a pod: container statuses, phase, conditions. Pure functions
//! (`pkg/kubelet/kubelet_pods.go`, `getPhase`, `generateAPIPodStatus`; `pkg/kubelet/status/generate.go`).

use super::instance::{Instance, State, Wait};
use super::pod_worker::{PodWorker, throttled};
use super::registry::{PullFailure, error_text};
use super::restart::restarts;
use crate::model::pod::Usage;
use crate::model::{
    Condition, Container, ContainerState, ContainerStatus, Name, Phase, Pod, PodSpec, PodStatus, Truth,
};
use crate::model::{RestartPolicy, condition};
use crate::store::patch::is_foreign;
use crate::time::SimTime;
use std::net::Ipv4Addr;

/// The status of a pod at `now`, given what the API has. Its times are those of the node's clock, which may be wrong.
pub fn generate(worker: &PodWorker, pod: &Pod, host: Option<Ipv4Addr>, now: SimTime) -> PodStatus {
    let spec = &*pod.spec;
    let clock = now + worker.clock_ahead;
    // One that was refused has no containers at all.
    let (init, apps) = worker.instances.split_at(spec.init_containers.len().min(worker.instances.len()));
    let report = |containers: &[Container], instances: &[Instance], init: bool| -> Vec<ContainerStatus> {
        let pairs = containers.iter().zip(instances);
        pairs.map(|(container, instance)| container_status(container, instance, init, pod)).collect()
    };
    let (init, apps) = (report(&spec.init_containers, init, true), report(&spec.containers, apps, false));
    let ended = worker.concluded();
    let (mut reason, mut message) = (pod.status.reason.clone(), pod.status.message.clone());
    let phase = match &worker.verdict {
        // A terminal phase stays what it is.
        _ if pod.status.phase.terminal() => pod.status.phase,
        Some(verdict) if ended => {
            (reason, message) = (verdict.reason.clone(), verdict.message.clone());
            Phase::Failed
        }
        _ => match phase(spec, &init, &apps, ended) {
            // Withheld while containers may still run.
            terminal if terminal.terminal() && !ended => pod.status.phase,
            phase => phase,
        },
    };
    let mut status = PodStatus {
        phase,
        reason,
        message,
        conditions: pod.status.conditions.iter().filter(is_foreign).cloned().collect(),
        start_time: pod.status.start_time.or(Some(worker.start_time + worker.clock_ahead)),
        pod_ip: if spec.host_network && worker.sandbox { host } else { worker.address },
        host_ip: host,
        containers: apps,
        init_containers: init,
        nominated_node: pod.status.nominated_node.clone(),
        observed_generation: pod.meta.generation,
        config: worker.config_seen(),
    };
    if let Some(disruption) = &worker.disruption
        && !condition::is_true(&status.conditions, &disruption.kind)
    {
        status.conditions.retain(|condition| condition.kind != disruption.kind);
        status.conditions.push(disruption.clone());
    }
    status.conditions.extend(worker.resize.conditions());
    if let Some(granted) = &worker.resize.granted {
        let all = status.init_containers.iter_mut().chain(&mut status.containers);
        for (status, container) in all.zip(granted.init_containers.iter().chain(&granted.containers)) {
            status.allocated = Some(Box::new((container.requests.clone(), container.limits.clone())));
        }
    }
    let own = conditions(spec, &status, worker.sandbox && !ended, &pod.status.conditions, clock);
    status.conditions.extend(own);
    status
}

fn container_status(container: &Container, instance: &Instance, init: bool, pod: &Pod) -> ContainerStatus {
    let waiting = |reason: Name, message: Name| ContainerState::Waiting { reason, message };
    let (state, usage) = match &instance.state {
        State::Waiting(wait) => (waiting_state(container, instance, wait, pod, &waiting), Usage::default()),
        // What starts in this pass is reported when the pass is over.
        State::Running { .. } if !instance.seen => match &instance.last {
            Some(last) => (ContainerState::Terminated(last.clone()), Usage::default()),
            None => (waiting_state(container, instance, &Wait::Creating, pod, &waiting), Usage::default()),
        },
        State::Running { started } => {
            let usage =
                instance.behavior.as_ref().map_or(Usage::default(), |behavior| throttled(container, behavior.usage));
            (ContainerState::Running { started: *started }, usage)
        }
        State::Ended { how, .. }
            if instance.hook_failed
                && restarts(container, pod.spec.restart_policy, init && !container.sidecar, how.exit_code) =>
        {
            let reason = crate::name!("PostStartHookError");
            (waiting(reason, crate::name!("PostStartHook failed")), Usage::default())
        }
        State::Ended { how, .. } => (ContainerState::Terminated(how.clone()), Usage::default()),
    };
    // `pkg/kubelet/prober/prober_manager.go`, `UpdatePodStatus`: an init container is ready once it has ended well.
    let ready = match init && !container.sidecar {
        true => matches!(&instance.state, State::Ended { how, .. } if how.exit_code == 0),
        false => instance.ready(),
    };
    let last = match (&instance.state, &state) {
        (State::Ended { how, .. }, ContainerState::Waiting { .. }) => Some(how.clone()),
        _ => instance.last.clone(),
    };
    ContainerStatus {
        name: container.name.clone(),
        state,
        last,
        ready,
        started: instance.started(),
        restart_count: instance.restart_count(),
        allocated: None,
        usage,
    }
}

fn waiting_state(
    container: &Container,
    instance: &Instance,
    wait: &Wait,
    pod: &Pod,
    waiting: &dyn Fn(Name, Name) -> ContainerState,
) -> ContainerState {
    let image = &container.image;
    match wait {
        Wait::Creating if pod.spec.init_containers.is_empty() => {
            waiting(crate::name!("ContainerCreating"), Name::new())
        }
        Wait::Creating => waiting(crate::name!("PodInitializing"), Name::new()),
        Wait::CrashLoop => {
            let message = format!(
                "back-off {} restarting failed container={} pod={}_{}({})",
                instance.backoff.current(),
                container.name,
                pod.meta.name,
                pod.meta.namespace,
                pod.meta.uid
            );
            waiting(crate::name!("CrashLoopBackOff"), Name::from(message))
        }
        Wait::ConfigError => {
            waiting(crate::name!("CreateContainerConfigError"), instance.config_error.clone().unwrap_or_default())
        }
        Wait::PullFailed => waiting(crate::name!("ErrImagePull"), Name::from(pull_error(image, instance))),
        Wait::PullBackOff => {
            let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", pull_error(image, instance));
            waiting(crate::name!("ImagePullBackOff"), Name::from(message))
        }
        Wait::NeverPull => waiting(crate::name!("ErrImageNeverPull"), Name::from(never_pull(image))),
    }
}

/// Why the last pull of a container's image failed.
fn pull_error(image: &str, instance: &Instance) -> String {
    error_text(image, instance.pull.map_or(PullFailure::NotFound, |pull| pull.failure))
}

/// The message of an absent image that must not be pulled.
pub fn never_pull(image: &str) -> String {
    format!("Container image \"{image}\" is not present with pull policy of Never")
}

/// The phase that container statuses make. `finalised`: the pod is over, whatever could be restarted.
pub fn phase(spec: &PodSpec, init: &[ContainerStatus], apps: &[ContainerStatus], finalised: bool) -> Phase {
    let (mut failed_init, mut pending_init) = (false, false);
    let any_app_started = apps.iter().any(has_run);
    let (mut running, mut waiting, mut stopped, mut ok) = (0, 0, 0, 0);
    for (container, status) in spec.init_containers.iter().zip(init) {
        if container.sidecar {
            pending_init |= !status.started && !any_app_started;
            running += usize::from(matches!(status.state, ContainerState::Running { .. }));
            continue;
        }
        match last_exit(status) {
            Some(0) => {}
            Some(_) => failed_init = true,
            None => pending_init = true,
        }
    }
    if failed_init && (finalised || spec.restart_policy == RestartPolicy::Never) {
        return Phase::Failed;
    }
    let mut again = false;
    for (container, status) in spec.containers.iter().zip(apps) {
        match (&status.state, last_exit(status)) {
            (ContainerState::Running { .. }, _) => running += 1,
            (_, None) => waiting += 1,
            (_, Some(code)) => {
                stopped += 1;
                ok += usize::from(code == 0);
                again |= restarts(container, spec.restart_policy, false, code);
            }
        }
    }
    match () {
        () if finalised && stopped + waiting > 0 => terminal(ok == apps.len()),
        () if pending_init || waiting > 0 => Phase::Pending,
        () if running > 0 => Phase::Running,
        () if stopped > 0 && again => Phase::Running,
        () if stopped > 0 => terminal(ok == stopped),
        () => Phase::Pending,
    }
}

fn terminal(well: bool) -> Phase {
    if well { Phase::Succeeded } else { Phase::Failed }
}

fn has_run(status: &ContainerStatus) -> bool {
    matches!(status.state, ContainerState::Running { .. }) || last_exit(status).is_some()
}

/// The code of the last exit of a container that does not run.
fn last_exit(status: &ContainerStatus) -> Option<i32> {
    match &status.state {
        ContainerState::Terminated(how) => Some(how.exit_code),
        ContainerState::Waiting { .. } => status.last.as_ref().map(|last| last.exit_code),
        ContainerState::Running { .. } => None,
    }
}

/// The kubelet's own conditions, in the order written. Transition times of unchanged statuses are kept.
pub fn conditions(
    spec: &PodSpec,
    status: &PodStatus,
    sandbox: bool,
    have: &[Condition],
    now: SimTime,
) -> Vec<Condition> {
    let make = |kind: Name, (truth, reason, message): Verdict| {
        let mut new = Condition::new(kind, truth, reason, message, now);
        if let Some(old) = condition::find(have, &new.kind) {
            new.last_update = old.last_update;
            if old.status == new.status {
                new.last_transition = old.last_transition;
            }
        }
        new
    };
    let containers_ready = containers_ready(spec, status);
    let ready = pod_ready(spec, &containers_ready, have);
    let plain = |truth: bool| (Truth::from(truth), Name::new(), Name::new());
    vec![
        make(crate::name!("PodReadyToStartContainers"), plain(sandbox)),
        make(crate::name!("Initialized"), initialized(spec, status)),
        make(crate::name!("Ready"), ready),
        make(crate::name!("ContainersReady"), containers_ready),
        make(crate::name!("PodScheduled"), plain(true)),
    ]
}

/// Status, reason and message of a condition.
type Verdict = (Truth, Name, Name);

fn initialized(spec: &PodSpec, status: &PodStatus) -> Verdict {
    if status.phase == Phase::Succeeded {
        return (Truth::True, crate::name!("PodCompleted"), Name::new());
    }
    let incomplete = |(container, status): (&Container, &ContainerStatus)| {
        let done = if container.sidecar { status.started } else { status.ready };
        (!done).then(|| status.name.clone())
    };
    let missing: Vec<Name> = spec.init_containers.iter().zip(&status.init_containers).filter_map(incomplete).collect();
    if missing.is_empty() || status.containers.iter().any(has_run) {
        return (Truth::True, Name::new(), Name::new());
    }
    let message = format!("containers with incomplete status: [{}]", missing.join(" "));
    (Truth::False, crate::name!("ContainersNotInitialized"), Name::from(message))
}

fn containers_ready(spec: &PodSpec, status: &PodStatus) -> Verdict {
    match status.phase {
        Phase::Succeeded => return (Truth::False, crate::name!("PodCompleted"), Name::new()),
        Phase::Failed => return (Truth::False, crate::name!("PodFailed"), Name::new()),
        Phase::Pending | Phase::Running => {}
    }
    if status.containers.is_empty() && !spec.containers.is_empty() {
        return (Truth::False, crate::name!("UnknownContainerStatuses"), Name::new());
    }
    let sidecars = spec.init_containers.iter().zip(&status.init_containers).filter(|(container, _)| container.sidecar);
    let all = sidecars.map(|(_, status)| status).chain(&status.containers);
    let unready: Vec<&str> = all.filter(|status| !status.ready).map(|status| status.name.as_str()).collect();
    if unready.is_empty() {
        return (Truth::True, Name::new(), Name::new());
    }
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    (Truth::False, crate::name!("ContainersNotReady"), Name::from(message))
}

fn pod_ready(spec: &PodSpec, containers: &Verdict, have: &[Condition]) -> Verdict {
    if containers.0 != Truth::True {
        return containers.clone();
    }
    let complaint = |gate: &Name| match condition::find(have, gate) {
        None => Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.")),
        Some(condition) if condition.status != Truth::True => {
            let status = condition.status.as_str();
            Some(format!("the status of pod readiness gate \"{gate}\" is not \"True\", but {status}"))
        }
        Some(_) => None,
    };
    let complaints: Vec<String> = spec.readiness_gates.iter().filter_map(complaint).collect();
    match complaints.is_empty() {
        true => (Truth::True, Name::new(), Name::new()),
        false => (Truth::False, crate::name!("ReadinessGatesNotReady"), Name::from(complaints.join(", "))),
    }
}
