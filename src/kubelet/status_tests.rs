//! Tables of phase and conditions.

use super::status::{conditions, phase};
use crate::model::builder::spec;
use crate::model::{
    Condition, ContainerState, ContainerStatus, Name, Phase, PodSpec, PodStatus, RestartPolicy, Terminated, Truth,
};
use crate::time::SimTime;

/// A container's status in short: `new` waits and never ran, `run` runs and is ready, `up` runs unstarted,
/// `0` or `1` ended with that code, `w1` waits after an end with that code.
fn status(name: &str, short: &str) -> ContainerStatus {
    let ended = |code: &str| Terminated {
        exit_code: code.parse().unwrap(),
        reason: Name::new(),
        message: Name::new(),
        started: SimTime::ZERO,
        finished: SimTime::ZERO,
    };
    let waiting = ContainerState::Waiting { reason: Name::new(), message: Name::new() };
    let running = ContainerState::Running { started: SimTime::ZERO };
    let (state, last) = match short {
        "new" => (waiting, None),
        "run" | "up" => (running, None),
        code if code.starts_with('w') => (waiting, Some(Box::new(ended(&code[1..])))),
        code => (ContainerState::Terminated(Box::new(ended(code))), None),
    };
    ContainerStatus {
        name: Name::from(name),
        state,
        last,
        ready: short == "run" || short == "0" && name.starts_with('i'),
        started: short == "run",
        restart_count: 0,
        allocated: None,
        usage: Default::default(),
    }
}

/// A pod of init containers `i0…` (with `s` for sidecars) and apps `c0…` in the states given.
fn world(policy: RestartPolicy, init: &str, apps: &str) -> (PodSpec, PodStatus) {
    let mut spec = spec("i", 1, 1);
    spec.restart_policy = policy;
    let template = spec.containers.remove(0);
    let mut status_of = PodStatus::default();
    for (at, short) in init.split_whitespace().enumerate() {
        let mut container = template.clone();
        container.sidecar = short.starts_with('s');
        container.name = Name::from(format!("{}{at}", if container.sidecar { "s" } else { "i" }));
        status_of.init_containers.push(status(&container.name, short.trim_start_matches('s')));
        spec.init_containers.push(container);
    }
    for (at, short) in apps.split_whitespace().enumerate() {
        let mut container = template.clone();
        container.name = Name::from(format!("c{at}"));
        status_of.containers.push(status(&container.name, short));
        spec.containers.push(container);
    }
    (spec, status_of)
}

#[test]
fn phases() {
    use Phase::{Failed, Pending, Running, Succeeded};
    use RestartPolicy::{Always, Never, OnFailure};
    // (policy, init, apps, finalised, phase)
    let table = [
        (Always, "", "new", false, Pending),
        (Always, "", "run", false, Running),
        (Always, "", "run new", false, Pending),
        (Always, "", "run 1", false, Running),
        (Always, "", "1 0", false, Running),
        (Always, "", "w1", false, Running),
        (Always, "", "0", true, Succeeded),
        (Always, "", "0 1", true, Failed),
        (OnFailure, "", "0 1", false, Running),
        (OnFailure, "", "0 0", false, Succeeded),
        (Never, "", "0 0", false, Succeeded),
        (Never, "", "0 1", false, Failed),
        (Never, "", "run 1", false, Running),
        // Init containers.
        (Always, "new new", "new", false, Pending),
        (Always, "0 up", "new", false, Pending),
        (Always, "1", "new", false, Pending),
        (Never, "1", "new", false, Failed),
        (OnFailure, "w1", "new", false, Pending),
        (Always, "0 0", "run", false, Running),
        // Sidecars: pending until started, never failing the pod.
        (Always, "sup", "new", false, Pending),
        (Always, "srun", "run", false, Running),
        (Never, "s1", "run", false, Running),
        (Never, "s137", "0", true, Succeeded),
    ];
    for (policy, init, apps, finalised, expected) in table {
        let (spec, status) = world(policy, init, apps);
        let got = phase(&spec, &status.init_containers, &status.containers, finalised);
        assert_eq!(got, expected, "{policy:?} init [{init}] apps [{apps}] finalised {finalised}");
    }
}

#[test]
fn condition_reasons_and_messages() {
    let unready = "ContainersNotReady containers with unready status:";
    // (phase, init, apps, Initialized, ContainersReady); Ready follows ContainersReady.
    let table = [
        (Phase::Running, "", "run run", "True  ", "True  ".to_string()),
        (Phase::Running, "", "run up w1", "True  ", format!("False {unready} [c1 c2]")),
        (
            Phase::Pending,
            "0 up new",
            "new",
            "False ContainersNotInitialized containers with incomplete status: [i1 i2]",
            format!("False {unready} [c0]"),
        ),
        (
            Phase::Pending,
            "sup",
            "new",
            "False ContainersNotInitialized containers with incomplete status: [s0]",
            format!("False {unready} [s0 c0]"),
        ),
        (Phase::Running, "srun", "run", "True  ", "True  ".to_string()),
        (Phase::Succeeded, "", "0", "True PodCompleted ", "False PodCompleted ".to_string()),
        (Phase::Failed, "", "1", "True  ", "False PodFailed ".to_string()),
    ];
    let text = |c: &Condition| format!("{} {} {}", c.status.as_str(), c.reason, c.message);
    for (phase, init, apps, initialized, ready) in table {
        let (spec, mut status) = world(RestartPolicy::Always, init, apps);
        status.phase = phase;
        let own = conditions(&spec, &status, true, &[], SimTime::ZERO);
        let kinds: Vec<&str> = own.iter().map(|condition| condition.kind.as_str()).collect();
        assert_eq!(kinds, ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]);
        assert_eq!(text(&own[1]), initialized, "init [{init}] apps [{apps}]");
        assert_eq!(text(&own[2]), ready, "init [{init}] apps [{apps}]");
        assert_eq!(text(&own[3]), ready, "init [{init}] apps [{apps}]");
    }
}

#[test]
fn readiness_gates_and_transition_times() {
    let (mut spec, mut status) = world(RestartPolicy::Always, "", "run");
    status.phase = Phase::Running;
    spec.readiness_gates = vec![crate::name!("example.com/lb")];
    let gate = |truth| Condition::new(crate::name!("example.com/lb"), truth, Name::new(), "", SimTime::ZERO);
    let table = [
        (
            vec![],
            "ReadinessGatesNotReady corresponding condition of pod readiness gate \"example.com/lb\" does not exist.",
        ),
        (
            vec![gate(Truth::False)],
            "ReadinessGatesNotReady the status of pod readiness gate \"example.com/lb\" is not \"True\", but False",
        ),
        (vec![gate(Truth::True)], " "),
    ];
    for (have, expected) in table {
        let own = conditions(&spec, &status, true, &have, SimTime::from_secs(9));
        assert_eq!(format!("{} {}", own[2].reason, own[2].message), expected);
    }
    // A status that stays keeps its time; one that turns gets the new one.
    let old = conditions(&spec, &status, true, &[gate(Truth::False)], SimTime::from_secs(1));
    let mut have = old.clone();
    have.push(gate(Truth::True));
    let new = conditions(&spec, &status, true, &have, SimTime::from_secs(5));
    let times: Vec<i64> = new.iter().map(|condition| condition.last_transition.whole_seconds()).collect();
    assert_eq!(times, [1, 1, 5, 1, 1]);
}
