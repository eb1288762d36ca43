//! Memory: limits, the node's end of it, eviction before that.

use super::{pod, run};
use kubesim::model::ContainerState;
use kubesim::model::quantity::Quantity;

const NODE: &str = "
duration: 20m
cluster:
  controlPlane: {replicas: 0}
  pools: [{name: node, count: 1, capacity: {cpu: 4, memory: 4Gi}, startAfter: 0s}]
manifests:
  inline:
";

fn requests(memory: &str) -> String {
    format!(", resources: {{requests: {{cpu: 100m, memory: {memory}}}}}")
}

/// A container that leaks 1 MiB a second from 100 MiB on meets its limit of 160 MiB a minute after its start, is killed
/// and starts again, at once and then after 10 s, 20 s, …
#[test]
fn a_leak_ends_at_the_limit() {
    let resources = ", resources: {requests: {memory: 100Mi}, limits: {memory: 160Mi}}";
    let text = format!(
        "{NODE}{}behavior: [{{memory: {{absolute: 100Mi}}, memoryGrowth: {{rate: 1Mi/s}}}}]\n",
        pod("leak", resources, "")
    );
    let run = run(&text);
    let starts: Vec<i64> = run.of("leak", "event Started").iter().map(|(at, _)| *at).collect();
    // A minute each, the end seen at the next look at the runtime less than a second later; then the back-off of 0, 10,
    // 20 s, up to half as much again.
    for (pair, (least, most)) in starts.windows(2).zip([(60_000, 61_010), (70_000, 76_010), (80_000, 91_010)]) {
        assert!((least..=most).contains(&(pair[1] - pair[0])), "{starts:?}");
    }
    assert!(starts.len() >= 5, "{:#?}", run.about("leak"));
    let last = run.pod("leak").status.containers[0].last.clone().unwrap();
    assert_eq!((last.exit_code, last.reason.as_str()), (137, "OOMKilled"));
}

/// What uses exactly its limit lives; what uses a byte more from the start never gets ready.
#[test]
fn a_limit_is_a_limit() {
    let resources = ", resources: {requests: {memory: 100Mi}, limits: {memory: 100Mi}}";
    let text = format!(
        "{}{}{}behavior: [{{match: {{pod: full}}, memory: {{absolute: 100Mi}}}}, {{match: {{pod: over}}, memory: {{absolute: 100.5Mi}}}}]\n",
        NODE.replace("20m", "1m"),
        pod("full", resources, ""),
        pod("over", resources, "")
    );
    let run = run(&text);
    assert_eq!(run.pod("full").restarts(), 0);
    assert!(run.pod("over").restarts() > 0 && !run.of("over", "OOMKilled(137)").is_empty());
}

/// 4 GiB less the threshold of 100 MiB leave 3996 MiB. 2000 MiB are used by a pod within its request; 1000 MiB and one
/// more each second by one without: at 997 s of its life less than 100 MiB are left. The look at the next whole ten
/// seconds finds it; the node says so with its next status and has a taint; the pod that exceeds its request goes.
#[test]
fn pressure_evicts_who_exceeds_its_request() {
    let text = format!(
        "{}{}{}behavior: [{{match: {{pod: fair}}, memory: {{absolute: 2000Mi}}}}, {{match: {{pod: greedy}}, memory: {{absolute: 1000Mi}}, \
         memoryGrowth: {{rate: 1Mi/s}}}}]\n",
        NODE.replace("20m", "25m"),
        pod("fair", &requests("2000Mi"), ""),
        pod("greedy", &requests("100Mi"), "")
    );
    let run = run(&text);
    let started = run.at("greedy", "event Started");
    let crossed = started + (3996 - 2000 - 1000) * 1000;
    let look = (crossed / 10_000 + 1) * 10_000;
    assert_eq!(run.at("node-0", "event EvictionThresholdMet Attempting to reclaim memory"), look);
    let evicted = run.of("greedy", "event Evicted");
    let message = evicted[0].1;
    assert_eq!((evicted.len(), evicted[0].0), (1, look));
    let pod = run.pod("greedy");
    let ContainerState::Terminated(how) = &pod.status.containers[0].state else { panic!("it runs") };
    let used = (1000 << 20) + (i128::from(look * 1_000_000 - how.started.0) * (1 << 20) / 1_000_000_000) as i64;
    let bytes = |amount: i64| Quantity::bytes(amount).to_string();
    let (available, used) = (bytes((2096 << 20) - used), bytes(used));
    let expected = format!(
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: {available}. Container c was using \
         {used}, request is 100Mi, has larger consumption of memory. "
    );
    assert_eq!(message, format!("event Evicted {expected}"));
    assert_eq!((pod.status.phase.as_str(), pod.status.reason.as_str()), ("Failed", "Evicted"));
    let target = pod.status.conditions.iter().find(|condition| condition.kind == "DisruptionTarget").unwrap();
    assert_eq!(target.reason, "TerminationByKubelet");
    // A second for SIGTERM (two at least until SIGKILL).
    assert_eq!(run.at("greedy", "status Failed"), look + 1000);
    assert_eq!(run.pod("fair").restarts(), 0);
    // The status of the node is computed every ten seconds, like the look; the condition stays for five minutes after
    // the last look that found the shortage.
    assert_eq!(run.at("node-0", "node MemoryPressure,Ready"), look);
    assert_eq!(run.at("node-0", "[node.kubernetes.io/memory-pressure]"), look);
    let over = run.of("node-0", "event NodeHasSufficientMemory").last().unwrap().0;
    assert!((look + 300_000..=look + 311_000 + 10_000).contains(&over), "{look} {over}");
}

/// A leak of 500 MiB a second is faster than the looks: the kernel kills, by class of service and use. The container
/// that leaks is Guaranteed and has -997 points and its share of the memory; a BestEffort one with 1000 goes first.
#[test]
fn the_kernel_kills_when_the_kubelet_is_too_slow() {
    let sure = ", resources: {requests: {cpu: 100m, memory: 3500Mi}, limits: {cpu: 100m, memory: 3500Mi}}";
    let text = format!(
        "{}{}{}behavior: [{{match: {{pod: bare}}, memory: {{absolute: 700Mi}}}}, {{match: {{pod: leak}}, memory: {{absolute: 500Mi}}, \
         memoryGrowth: {{rate: 500Mi/s, after: 61s}}}}]\n",
        NODE.replace("20m", "80s"),
        pod("bare", "", ""),
        pod("leak", sure, "")
    );
    let run = run(&text);
    let started = run.at("leak", "event Started");
    // 4096 - 700 - 500 = 2896 MiB at 500 a second are there 5.792 s after the 61st. The kubelet would have found it at
    // a look after 5.592 s.
    let end = started + 61_000 + 5_792;
    assert_eq!(end / 10_000, (end - 200) / 10_000, "no look in between: {started}");
    let killed = run.of("node-0", "event SystemOOM");
    assert_eq!(killed[0].0, end, "{killed:?}");
    assert!(killed[0].1.starts_with("event SystemOOM System OOM encountered, victim process: c, pid: "));
    assert!(!run.of("bare", "OOMKilled(137)").is_empty(), "{:#?}", run.about("bare"));
    // The other starts again at once and goes again; 208 ms later the leak is at its own limit.
    assert!(run.pod("leak").restarts() > 0);
}

/// Five users ask a pod that uses 60 MiB, and 20 MiB for each request, within 128 MiB: at most three at a time. The fourth
/// makes the kernel kill it, who was in it sees the connection break, and it starts again, after the back-off of crashes.
#[test]
fn requests_can_be_too_many_for_the_memory() {
    let text = format!(
        "{}{}  - {{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}}}\n\
         behavior: [{{memory: {{absolute: 60Mi}}}}]\n\
         traffic:\n  servers: [{{service: web, serviceTime: 2s, cpuShare: 0, memoryPerRequest: 20Mi}}]\n  \
         clients: [{{name: few, service: web, users: {{count: 3, thinkTime: 1s}}, start: 30s, end: 2m}},\n            \
         {{name: more, service: web, users: {{count: 2, thinkTime: 1s}}, start: 1m, end: 2m}}]\n",
        NODE.replace("20m", "3m"),
        pod("web", ", resources: {requests: {memory: 100Mi}, limits: {memory: 128Mi}}", ""),
    );
    let run = run(&text);
    // Three are never too many; with two more a fourth comes within their second of thinking.
    let killed = run.of("web", "OOMKilled(137)");
    let first = killed.first().unwrap_or_else(|| panic!("{:#?}", run.about("web"))).0;
    assert!((60_000..66_000).contains(&first), "{first}");
    let last = run.pod("web").status.containers[0].last.clone().unwrap();
    assert_eq!((last.exit_code, last.reason.as_str()), (137, "OOMKilled"));
    assert!(run.pod("web").restarts() >= 2 && !run.of("web", "CrashLoopBackOff").is_empty());
}
