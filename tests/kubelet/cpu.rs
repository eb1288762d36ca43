//! Processors: limits throttle, neighbours share by request, and work takes as long as that makes it.

use super::{pod, run};

fn node(cores: u32) -> String {
    format!(
        "
duration: 10m
cluster:
  controlPlane: {{replicas: 0}}
  pools: [{{name: node, count: 1, capacity: {{cpu: {cores}, memory: 4Gi}}, startAfter: 0s}}]
manifests:
  inline:
"
    )
}

const NEVER: &str = ", restartPolicy: Never";

/// A job that would take 60 s of two cores has a limit of 500m: it takes four times as long, and its meter shows 500m.
#[test]
fn a_limit_throttles() {
    let resources = ", resources: {requests: {cpu: 100m}, limits: {cpu: 500m}}";
    let text =
        format!("{}{}behavior: [{{cpu: {{absolute: 2}}, runTime: 60s}}]\n", node(4), pod("job", resources, NEVER));
    let run = run(&text);
    let (start, end) = (run.at("job", "event Started"), run.at("job", "status Succeeded"));
    assert!((240_000..241_100).contains(&(end - start)), "{start} {end}");
}

/// Two jobs of 60 s that want both cores each, with requests of 300m and 900m: a quarter and three quarters of the node.
/// The large one has 1.5 of 2 cores and takes 80 s. The small one has done 20 s of its work by then and goes on alone:
/// 40 s more, 120 s in all.
#[test]
fn neighbours_share_by_their_requests() {
    let resources = |request: &str| format!(", resources: {{requests: {{cpu: {request}}}}}");
    let text = format!(
        "{}{}{}behavior: [{{cpu: {{absolute: 2}}, runTime: 60s}}]\n",
        node(2),
        pod("small", &resources("300m"), NEVER),
        pod("large", &resources("900m"), NEVER)
    );
    let run = run(&text);
    let took = |name: &str| run.at(name, "status Succeeded") - run.at(name, "event Started");
    // Images come one after the other, so one of them runs alone for the two seconds before: at full speed.
    assert!((77_000..=81_100).contains(&took("large")), "{}", took("large"));
    assert!((117_000..=121_100).contains(&took("small")), "{}", took("small"));
}

/// A BestEffort container beside one that takes everything has 2 of 1026 parts of a core: its probe, which takes 10 ms of
/// a core of its own, takes seconds and fails.
#[test]
fn a_starved_container_fails_its_probes() {
    let probe = ", readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 5}";
    let text = format!(
        "{}{}{}behavior: [{{match: {{pod: poor}}, cpu: {{absolute: 1}}}}, {{match: {{pod: rich}}, cpu: {{absolute: 4}}, \
         runTime: 2m}}]\n",
        node(1),
        pod("poor", probe, ""),
        pod("rich", ", resources: {requests: {cpu: 900m}}", NEVER)
    );
    let run = run(&text);
    let unhealthy = run.of("poor", "event Unhealthy Readiness probe failed: Get \"http://");
    assert!(
        unhealthy[0]
            .1
            .ends_with(":8080/ready\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
    );
    // When its neighbour is done it is well again.
    let (done, last) = (run.at("rich", "status Succeeded"), unhealthy.last().unwrap().0);
    assert!(last <= done && run.pod("poor").is_ready(), "{last} {done}");
}
