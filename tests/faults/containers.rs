//! Faults of containers, images and of one node: what each looks like and how it ends, with the numbers that follow from
//! Kubernetes' defaults. Every run is made with and without ticks and must be the same.

use crate::kubelet::{pod, run};

const NODE: &str = "
duration: 12m
cluster:
  controlPlane: {replicas: 0}
  pools: [{name: node, count: 1, capacity: {cpu: 4, memory: 4Gi, ephemeralStorage: 20Gi}, startAfter: 0s}]
manifests:
  inline:
";

fn scenario(pods: &[String], behavior: &str, fault: &str) -> String {
    format!("{NODE}{}behavior: [{behavior}]\ntimeline: [{fault}]\n", pods.concat())
}

/// Within the span, both ends included.
fn within(at: i64, from: i64, to: i64) -> bool {
    (from..=to).contains(&at)
}

/// Without its kubelet a node is Unknown 50 s after its last lease at most 10.4 s before, found by a look every 5 s;
/// its container runs on. The kubelet that is back says Ready at once, and nothing was restarted.
#[test]
fn a_kubelet_that_is_gone_costs_no_container() {
    let text = scenario(&[pod("web", "", "")], "", "{at: 60s, for: 3m, kubeletCrash: {node: node-0}}");
    let run = run(&text);
    let unknown = run.at("node-0", "node.kubernetes.io/unreachable");
    assert!(within(unknown, 60_000 + 50_000 - 10_400, 60_000 + 50_000 + 5_100), "{unknown}");
    let back = run.of("node-0", "node Ready").iter().find(|(at, _)| *at >= 240_000).unwrap().0;
    assert!(within(back, 240_000, 240_100), "{back}");
    assert_eq!(run.pod("web").restarts(), 0);
}

/// A reboot of 30 s is over before 50 s of silence: nobody but the kubelet tells of it, and every container starts anew.
#[test]
fn a_reboot_starts_every_container_anew() {
    // Either says how long; without both it is a minute, longer than the silence.
    for fault in
        ["{at: 60s, nodeReboot: {node: node-0, takes: 30s}}", "{at: 60s, for: 30s, nodeReboot: {node: node-0}}"]
    {
        let run = run(&scenario(&[pod("web", "", "")], "", fault));
        assert_eq!(run.at("node-0", "event Rebooted Node node-0 has been rebooted, boot id: 1"), 90_000, "{fault}");
        assert!(run.of("node-0", "unreachable").is_empty());
        let web = run.pod("web");
        let last = web.status.containers[0].last.clone().unwrap();
        assert_eq!((web.restarts(), last.exit_code, last.reason.as_str()), (1, 255, "Unknown"));
    }
}

/// The first crash is followed by a start at once, as soon as the kubelet, who looks every second, has seen the end. The
/// second start has to be ten seconds after the end, the third twenty: a sync that comes too early is tried again after ten
/// seconds, or up to half as many more (`pkg/kubelet/pod_workers.go`, `workerBackOffPeriodJitterFactor`). The code is that
/// of a kill, or the one that is written.
#[test]
fn crashes_are_waited_out_ever_longer() {
    for (fault, code) in [("podCrash: {pod: web}", 137), ("containerCrash: {pod: web, container: c, exitCode: 3}", 3)] {
        let crashes: Vec<String> = [60, 90, 130].iter().map(|at| format!("{{at: {at}s, {fault}}}")).collect();
        let run = run(&scenario(&[pod("web", "", "")], "", &crashes.join(", ")));
        let starts: Vec<i64> = run.of("web", "event Started").into_iter().map(|(at, _)| at).collect();
        for (at, wanted, late) in [(1, 60_000, 0), (2, 90_000 + 10_000, 5_000), (3, 130_000 + 20_000, 15_000)] {
            assert!(within(starts[at], wanted, wanted + late + 1_100), "{fault}: {starts:?}");
        }
        let web = run.pod("web");
        let last = web.status.containers[0].last.clone().unwrap();
        assert_eq!((web.restarts(), last.exit_code, last.reason.as_str()), (3, code, "Error"));
    }
}

/// 60 s of work, 40 s of which fall on a node with a quarter of its speed: 10 s are done in them, 30 are lost.
#[test]
fn a_slow_node_takes_longer() {
    let job = pod("job", ", resources: {requests: {cpu: 1}}", ", restartPolicy: Never");
    let text = scenario(
        &[job],
        "{cpu: {absolute: 1}, runTime: 60s}",
        "{at: 20s, for: 40s, slowNode: {node: node-0, cpu: 25%}}",
    );
    let run = run(&text);
    let took = run.at("job", "status Succeeded") - run.at("job", "event Started");
    assert!(within(took, 90_000, 91_010), "{took}");
}

/// 18 of 20 GiB are taken: less than 10 % and 15 % are left. The next look, at a whole ten seconds, says DiskPressure
/// and, since there is no image to remove, evicts. The condition stays for five minutes after the last look that found it.
#[test]
fn a_full_disk_evicts_and_recovers() {
    let text = scenario(&[pod("web", "", "")], "", "{at: 55s, for: 1m, diskFull: {node: node-0, takes: 18.5Gi}}");
    let run = run(&text);
    assert_eq!(run.at("web", "event Evicted The node was low on resource: ephemeral-storage."), 60_000);
    assert_eq!(run.at("node-0", "event NodeHasDiskPressure"), 60_000);
    assert_eq!(run.at("node-0", "[node.kubernetes.io/disk-pressure]"), 60_000);
    let over = run.of("node-0", "event NodeHasNoDiskPressure").last().unwrap().0;
    assert!(within(over, 120_000 - 10_000 + 300_000, 120_000 + 300_000 + 20_000), "{over}");
}

/// 2100 MiB of a pod and 1900 of something else leave 96 MiB of 4096, less than the threshold of 100.
#[test]
fn memory_that_something_else_takes_evicts_a_pod() {
    let text = scenario(
        &[pod("web", "", "")],
        "{memory: {absolute: 2100Mi}}",
        "{at: 55s, for: 1m, memoryHog: {node: node-0, takes: 1900Mi}}",
    );
    let run = run(&text);
    let evicted = run.of("web", "event Evicted");
    assert_eq!(evicted[0].0, 60_000);
    assert!(
        evicted[0].1.contains("Threshold quantity: 100Mi, available: 96Mi. Container c was using 2100Mi, request is 0")
    );
    assert_eq!(run.at("node-0", "event NodeHasInsufficientMemory"), 60_000);
}

/// A container that hangs fails its liveness probe (every 10 s, 1 s of patience) at the first tick after that, and is
/// killed at the third. It does not hear SIGTERM: SIGKILL comes after 30 s, and the one that starts then is well.
#[test]
fn a_container_that_hangs_is_killed_by_its_probe() {
    let probe = ", livenessProbe: {httpGet: {path: /live, port: 8080}}";
    let text = scenario(&[pod("web", probe, "")], "", "{at: 60s, for: 5m, containerHang: {pod: web}}");
    let run = run(&text);
    let unhealthy = run.of("web", "event Unhealthy Liveness probe failed: Get \"http://10.");
    assert!(within(unhealthy[0].0, 60_000, 70_000), "{unhealthy:?}");
    let killing = run.at("web", "event Killing Container c failed liveness probe, will be restarted");
    assert_eq!(killing, unhealthy[0].0 + 20_000);
    let web = run.pod("web");
    let last = web.status.containers[0].last.clone().unwrap();
    assert_eq!((web.restarts(), last.exit_code, last.finished.0 / 1_000_000), (1, 137, killing + 30_000));
    assert!(web.is_ready());
}

/// Without a probe nobody notices a container that hangs; when the fault is over its run goes on where it was.
#[test]
fn a_hang_without_a_probe_only_takes_time() {
    let job = pod("job", "", ", restartPolicy: Never");
    let text = scenario(&[job], "{runTime: 60s}", "{at: 20s, for: 45s, containerHang: {pod: job}}");
    let run = run(&text);
    let took = run.at("job", "status Succeeded") - run.at("job", "event Started");
    assert!(within(took, 105_000, 106_010), "{took}");
}

/// 60 MiB below its limit and a leak of 1 MiB a second: a minute. The next run leaks from its start and has a minute
/// again, while the fault lasts.
#[test]
fn a_leak_kills_again_and_again() {
    let limit = ", resources: {requests: {memory: 100Mi}, limits: {memory: 160Mi}}";
    let text = scenario(
        &[pod("web", limit, "")],
        "{memory: {absolute: 100Mi}}",
        "{at: 60s, for: 150s, memoryLeak: {pod: web, rate: 1Mi/s}}",
    );
    let run = run(&text);
    let starts: Vec<i64> = run.of("web", "event Started").iter().map(|(at, _)| *at).collect();
    assert!(within(starts[1], 120_000, 121_010), "{starts:?}");
    // Ten seconds of back-off after the second, up to half as much again.
    assert!(within(starts[2] - starts[1], 70_000, 76_010), "{starts:?}");
    assert_eq!(starts.len(), 3, "the third does not leak long enough");
    assert_eq!(run.pod("web").status.containers[0].last.clone().unwrap().reason, "OOMKilled");
}

/// Half a minute more for each start while it lasts.
#[test]
fn slow_starts_are_slow() {
    let text = scenario(
        &[pod("web", "", "")],
        "",
        "{at: 30s, for: 5m, slowStart: {selector: app=web, extra: 30s}}, {at: 60s, podCrash: {pod: web}}",
    );
    let run = run(&text);
    let again = run.of("web", "event Started")[1].0;
    assert!(within(again, 90_000, 91_010), "{again}");
}

fn image_faults(fault: &str) -> (crate::kubelet::Run, Vec<i64>) {
    let change = "{at: 60s, setImage: {object: pod/web, image: \"web:2\"}}";
    let text = scenario(&[pod("web", "", "")], "", &format!("{fault}, {change}"));
    let run = run(&text);
    let attempts = run.of("web", "event Pulling Pulling image \"web:2\"").iter().map(|(at, _)| *at).collect();
    (run, attempts)
}

/// Attempts 10, 20, 40 s apart (up to half as much again), and the first after the outage is the last: an outage is
/// longer for pods than for the registry.
#[test]
fn a_registry_that_is_out_is_asked_less_and_less() {
    let (run, attempts) = image_faults("{at: 50s, for: 80s, registryOutage: {}}");
    let failed = run.of("web", "event Failed Failed to pull image \"web:2\"");
    assert!(failed[0].1.ends_with(
        "failed to resolve reference \"docker.io/library/web:2\": unexpected status from HEAD request to \
         https://registry-1.docker.io/v2/library/web/manifests/2: 503 Service Unavailable"
    ));
    for (pair, wait) in attempts.windows(2).zip([10_000, 20_000, 40_000]) {
        // Two seconds until the answer, then the wait.
        assert!(within(pair[1] - pair[0], 2_000 + wait, 2_000 + wait * 3 / 2 + 10), "{attempts:?}");
    }
    let last = *attempts.last().unwrap();
    assert!(last >= 130_000 && attempts[attempts.len() - 2] < 130_000, "{attempts:?}");
    assert!(run.pod("web").is_ready());
    assert!(!run.of("web", "event BackOff Back-off pulling image \"web:2\"").is_empty());
}

/// A registry that does not answer costs 30 s more each time.
#[test]
fn a_silent_registry_costs_half_a_minute_a_time() {
    let (run, attempts) = image_faults("{at: 50s, for: 20s, registryOutage: {answers: nothing}}");
    assert!(run.of("web", "event Failed Failed to pull image")[0].1.ends_with("i/o timeout"));
    assert!(within(attempts[1] - attempts[0], 42_000, 47_010), "{attempts:?}");
}

/// 429, and an image that is lost: the texts.
#[test]
fn other_faults_of_images_say_what_they_are() {
    let (run, _) = image_faults("{at: 50s, for: 30s, registryThrottle: {tooManyRequests: true}}");
    assert!(run.of("web", "event Failed Failed to pull image")[0].1.contains("429 Too Many Requests"));
    assert!(run.pod("web").is_ready());
    let (run, _) = image_faults("{at: 50s, badImage: {image: \"web:*\"}}");
    assert!(run.of("web", "event Failed Failed to pull image")[0].1.ends_with("docker.io/library/web:2: not found"));
    assert!(!run.pod("web").is_ready());
}

/// 30 s for all, the last 10 of them for critical pods. The node says NotReady at once; the ordinary pod takes 5 s to
/// stop, the critical one is told then and takes 2; then the power goes, and comes back with a new boot.
#[test]
fn an_orderly_shutdown_stops_ordinary_pods_first() {
    let critical = pod("agent", "", ", priorityClassName: system-node-critical");
    let text = scenario(
        &[pod("web", "", ""), critical],
        "{match: {pod: web}, terminationTime: 5s}, {match: {pod: agent}, terminationTime: 2s}",
        "{at: 60s, for: 2m, nodeShutdown: {node: node-0}}",
    )
    .replace(
        "startAfter: 0s}",
        "startAfter: 0s, kubelet: {shutdownGracePeriod: 30s, shutdownGracePeriodCriticalPods: 10s}}",
    )
    .replace("metadata: {name: agent,", "metadata: {name: agent, namespace: kube-system,");
    let run = run(&text);
    assert_eq!(run.at("node-0", "event Shutdown Shutdown manager detected shutdown event"), 60_000);
    assert_eq!(run.at("node-0", "event NodeNotReady"), 60_000);
    let web = run.pod("web");
    let told = "Pod was terminated in response to imminent node shutdown.";
    assert_eq!((web.status.reason.as_str(), web.status.message.as_str()), ("Terminated", told));
    assert_eq!(run.at("web", "status Failed"), 65_000);
    assert_eq!(run.at("agent", "status Failed"), 67_000);
    assert_eq!(run.at("node-0", "event Rebooted"), 180_000);
}
