//! Hooks, new images, other resources: what happens to containers between start and end.

use super::{pod, run};

const NODE: &str = "
duration: 5m
cluster:
  controlPlane: {replicas: 0}
  pools: [{name: node, count: 1, capacity: {cpu: 4, memory: 4Gi}, startAfter: 0s}]
manifests:
  inline:
";

/// A postStart hook of five seconds holds the next container back; one that fails has its container killed and started
/// again, with the back-off of a crash.
#[test]
fn post_start_hooks_block_and_kill() {
    let hook = ", lifecycle: {postStart: {exec: {command: [init]}}}";
    let two = pod("two", hook, "").replace("}]}}", "}, {name: d, image: \"app:1\"}]}}");
    let text = format!(
        "{NODE}{two}{}behavior: [{{match: {{pod: two}}, postStart: {{time: 5s}}}}, {{match: {{pod: bad}}, postStart: \
         {{time: 1s, fails: true}}}}]\n",
        pod("bad", hook, "")
    );
    let run = run(&text);
    let started: Vec<i64> = run.of("two", "event Started").iter().map(|(at, _)| *at).collect();
    assert_eq!(started[1] - started[0], 5_000);
    let failed = run.of("bad", "event FailedPostStartHook PostStartHook failed");
    let starts = run.of("bad", "event Started");
    assert_eq!(failed[0].0 - starts[0].0, 1_000);
    assert_eq!(run.at("bad", "event Killing FailedPostStartHook"), failed[0].0);
    assert!(run.pod("bad").restarts() >= 3, "{:#?}", run.about("bad"));
    assert!(!run.of("bad", "status Running unready PostStartHookError").is_empty(), "{:#?}", run.about("bad"));
}

/// A preStop hook counts against the grace period; one that fails says so and changes nothing.
#[test]
fn pre_stop_hooks_take_their_time() {
    let hook = ", lifecycle: {preStop: {exec: {command: [drain]}}}";
    let text = format!(
        "{NODE}{}behavior: [{{preStop: {{time: 8s, fails: true}}, terminationTime: 2s}}]\ntimeline: [{{at: 1m, delete: \
         {{object: pod/web}}}}]\n",
        pod("web", hook, "")
    );
    let run = run(&text);
    assert_eq!(run.at("web", "event FailedPreStopHook PreStopHook failed"), 60_000);
    // Eight seconds of the hook and two of the process; the object goes a second later.
    assert_eq!(run.at("web", "status Succeeded"), 70_000);
    assert_eq!(run.at("web", "gone"), 71_000);
}

/// Another image in the pod itself: the container is stopped and starts again from it.
#[test]
fn another_image_restarts_the_container() {
    let text = format!(
        "{NODE}{}timeline: [{{at: 1m, setImage: {{object: pod/web, image: \"app:2\"}}}}]\n",
        pod("web", "", "")
    );
    let run = run(&text);
    assert_eq!(run.at("web", "event Killing Container c definition changed, will be restarted"), 60_000);
    assert_eq!(run.pod("web").restarts(), 1);
    assert!(!run.of("web", "event Pulling Pulling image \"app:2\"").is_empty());
}

fn resized(at: i64, cpu: &str) -> String {
    format!(
        "{{at: {at}s, patch: {{object: pod/web, subresource: resize, patch: {{spec: {{containers: [{{name: c, resources: \
         {{requests: {{cpu: {cpu}}}}}}}]}}}}}}}}"
    )
}

/// A node of four cores: 1 to 2 is granted at once and no container restarts; 5 never can be; 3 has to wait for the
/// neighbour with 1500m to go.
#[test]
fn resources_change_in_place() {
    let requests = |cpu: &str| format!(", resources: {{requests: {{cpu: {cpu}}}}}");
    let text = format!(
        "{NODE}{}{}timeline: [{}, {}, {}, {{at: 3m, delete: {{object: pod/other}}}}]\n",
        pod("web", &requests("1"), ""),
        pod("other", &requests("1500m"), ""),
        resized(60, "2"),
        resized(90, "5"),
        resized(120, "3"),
    );
    let run = run(&text);
    let web = run.pod("web");
    assert_eq!(web.restarts(), 0);
    let condition = |name: &str| web.status.conditions.iter().find(|condition| condition.kind == name).cloned();
    assert_eq!((condition("PodResizePending"), condition("PodResizeInProgress")), (None, None));
    assert_eq!(web.status.containers[0].allocated.as_ref().unwrap().0.milli_cpu, 3000);
    // What was said on the way.
    let said: Vec<(i64, &str)> = run.of("web", "resize");
    let said: Vec<(i64, &str)> = said.iter().map(|(at, line)| (at / 1000, line.split_once(' ').unwrap().1)).collect();
    assert_eq!(
        said.iter().filter(|(_, line)| line.starts_with("PodResizePending")).copied().collect::<Vec<_>>(),
        [
            (90, "PodResizePending Infeasible Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000"),
            (
                120,
                "PodResizePending Deferred Node didn't have enough resource: cpu, requested: 3000, used: 1500, capacity: 4000"
            ),
        ]
    );
}

/// One core, of which `web` has 700m. A critical pod of 500m that comes past the scheduler lacks 200m: the kubelet stops
/// `web` and takes the critical pod once it is gone. One that wants more than there is stops nobody and is refused.
#[test]
fn a_critical_pod_has_others_stopped() {
    let node = NODE.replace("cpu: 4", "cpu: 1");
    let requests = |milli: u32| format!(", resources: {{requests: {{cpu: {milli}m}}}}");
    let critical = |milli: u32| {
        let spec = ", nodeName: node-0, priorityClassName: system-node-critical";
        pod("agent", &requests(milli), spec).replace("{name: agent,", "{name: agent, namespace: kube-system,")
    };
    let text = |milli: u32| format!("{node}{}{}", pod("web", &requests(700), ", nodeName: node-0"), critical(milli));
    let stopped = run(&text(500));
    assert_eq!(stopped.of("web", "event Preempting")[0].1, "event Preempting Preempted in order to admit critical pod");
    let web = stopped.pod("web").status;
    assert_eq!((web.phase.as_str(), web.reason.as_str()), ("Failed", "Preempting"));
    assert!(stopped.at("agent", "event Started") >= stopped.at("web", "status Failed"));
    let refused = run(&text(1100));
    assert!(refused.of("web", "Preempting").is_empty());
    let why = refused.of("agent", "event UnexpectedAdmissionError");
    assert!(why[0].1.ends_with("no set of running pods found to reclaim resources: [(res: cpu, q: 800), ]"), "{why:?}");
}

/// A hook that fails has its container killed; under OnFailure one that ends well by that is not started again, and its
/// end is shown. A container's rule comes before its policy: 42 is worth another start, once.
#[test]
fn what_does_not_come_back_has_ended() {
    let hook = ", lifecycle: {postStart: {exec: {command: [init]}}}";
    let rules =
        ", restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]";
    let text = format!(
        "{NODE}{}{}behavior: [{{match: {{pod: hook}}, postStart: {{time: 1s, fails: true}}}}, {{match: {{pod: rule}}, \
         runTime: 10s, exitCode: 42, runs: 1}}]\n",
        pod("hook", hook, ", restartPolicy: OnFailure"),
        pod("rule", rules, ", restartPolicy: Never")
    );
    let run = run(&text);
    assert_eq!(run.of("hook", "status").last().unwrap().1, "status Succeeded unready Completed(0)#0");
    assert_eq!(run.of("rule", "status").last().unwrap().1, "status Running ready running#1");
}
