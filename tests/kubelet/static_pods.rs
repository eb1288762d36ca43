//! Pods that a kubelet runs of itself, and the mirrors by which the API knows them.

use super::{Run, pod, run};
use kubesim::model::{ContainerState, Kind, Name, Node, Phase, Pod};

/// A node of 4 cores whose folder holds `own`, with `kubelet` more of its configuration.
fn node(more: &str) -> String {
    format!(
        "
duration: 10m
cluster:
  controlPlane: {{replicas: 0}}
  pools:
  - name: node
    count: 1
    capacity: {{cpu: 4, memory: 4Gi}}
    startAfter: 0s
    kubelet:
      staticPods:
        inline:
        - {{apiVersion: v1, kind: Pod, metadata: {{name: own, labels: {{app: own}}}}, spec: {{containers: [{{name: c, image: \"own:1\", resources: {{requests: {{cpu: 500m}}}}}}]}}}}
{more}
"
    )
}

fn all(run: &Run) -> Vec<Pod> {
    run.cluster.runtime().store.live().list::<Pod>().map(|pod| Pod::clone(pod)).collect()
}

/// What a mirror looks like (`pkg/kubelet/config/common.go`, `pkg/kubelet/pod/mirror_client.go`): the node's name at the
/// end of its own, the node as its owner, no account, and no taint that drives it away.
#[test]
fn a_mirror_tells_of_it() {
    let run = run(&node(""));
    let mirror = run.pod("own-node-0");
    let view = run.cluster.runtime().store.live();
    let node = view.fetch::<Node>(&Name::new(), &Name::from("node-0")).unwrap();
    let note = |name: &str| mirror.meta.annotations.get(&format!("kubernetes.io/config.{name}")).cloned();
    assert_eq!(note("source"), Some(Name::from("file")));
    assert_eq!(note("mirror"), note("hash"));
    assert_eq!(note("hash").map(|hash| hash.len()), Some(32));
    assert!(note("seen").is_some());
    let owner = mirror.meta.controller().unwrap();
    assert_eq!((owner.kind, owner.uid), (Kind::Node, node.meta.uid));
    assert_eq!(mirror.spec.raw.get("serviceAccountName"), None);
    let tolerations: Vec<_> =
        mirror.spec.tolerations.iter().map(|one| (one.key.as_str(), one.exists, one.seconds)).collect();
    assert_eq!(tolerations, [("", true, None)]);
    assert_eq!((mirror.status.phase, mirror.is_ready()), (Phase::Running, true));
    assert_eq!(mirror.status.observed_generation, mirror.meta.generation);
}

/// Whoever deletes the mirror gets another object of its name at once; the container does not notice.
#[test]
fn a_deleted_mirror_comes_back() {
    for (how, grace) in [("gracefully", ""), ("by force", ", gracePeriod: 0s")] {
        let timeline = format!("timeline: [{{at: 1m, delete: {{object: pod/own-node-0{grace}}}}}]");
        let run = run(&node(&timeline));
        assert_eq!(run.of("own-node-0", "gone"), [(60_000, "gone")], "{how}");
        let after: Vec<_> = run.of("own-node-0", "status").into_iter().filter(|(at, _)| *at >= 60_000).collect();
        assert_eq!(after, [(60_000, "status Pending unready "), (60_000, "status Running ready running#0")], "{how}");
        assert_eq!(run.of("own-node-0", "event Started").len(), 1, "{how}");
        assert!(run.of("own-node-0", "event Killing").is_empty(), "{how}");
    }
}

/// A drain and a taint that evicts: the pod stays on its node.
#[test]
fn nothing_drives_it_away() {
    let deeds = ["drain: {node: node-0}", "taint: {node: node-0, add: [{key: a, effect: NoExecute}]}"];
    for deed in deeds {
        let run = run(&node(&format!("timeline: [{{at: 1m, {deed}}}]")));
        assert!(run.of("own-node-0", "gone").is_empty(), "{deed}");
        assert_eq!(run.of("own-node-0", "event Started").len(), 1, "{deed}");
        assert_eq!(run.pod("own-node-0").status.phase, Phase::Running, "{deed}");
    }
}

/// The machine comes while nobody serves the API, and the pod runs: its container has run for at least the time until the
/// API server is back when its mirror first tells of it. A reboot meanwhile starts it once more.
#[test]
fn it_needs_no_api_server() {
    let timeline = "timeline: [{at: 1m, for: 4m, componentDown: {component: kube-apiserver}}, {at: 2m, nodeReboot: {node: node-0}}]";
    let late = node(timeline).replace("startAfter: 0s", "startAfter: 70s");
    let run = run(&late);
    let first = run.of("own-node-0", "status Running");
    assert!(first[0].0 >= 300_000, "{first:?}");
    assert_eq!(first[0].1, "status Running ready running#1");
    let ContainerState::Running { started } = run.pod("own-node-0").status.containers[0].state else { panic!() };
    // Rebooted at 120 s for 60 s, a sandbox of one second; the image is there.
    assert_eq!(started.0 / 1_000_000, 181_000);
}

/// What it holds of the node others cannot have: 3.8 of 4 cores, of which half a core is taken
/// (`pkg/kubelet/lifecycle/predicate.go`).
#[test]
fn it_takes_its_room_before_others() {
    let big = pod("big", ", resources: {requests: {cpu: 3800m}}", ", nodeName: node-0");
    let run = run(&node(&format!("manifests:\n  inline:\n{big}")));
    let big = run.pod("big");
    assert_eq!((big.status.phase, big.status.reason.as_str()), (Phase::Failed, "OutOfcpu"));
    let why = "Pod was rejected: Node didn't have enough resource: cpu, requested: 3800, used: 500, capacity: 4000";
    assert_eq!(big.status.message.as_str(), why);
}

/// The node is deleted: the mirror goes with its owner and does not come back, for the kubelet registers only when it
/// starts. After the reboot at 3 min it does, and tells of the pod again.
#[test]
fn the_mirror_goes_with_its_node() {
    let timeline = "timeline: [{at: 1m, delete: {object: node/node-0}}, {at: 3m, nodeReboot: {node: node-0}}]";
    let run = run(&node(timeline));
    let gone = run.of("own-node-0", "gone");
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(gone[0].0 < 130_000, "{gone:?}");
    let lives: Vec<_> =
        run.of("own-node-0", "status Running ready").iter().map(|(at, line)| (*at, line.to_string())).collect();
    assert_eq!(lives.last().unwrap().1, "status Running ready running#1");
    assert!(lives.last().unwrap().0 >= 240_000, "{lives:?}");
    assert_eq!(all(&run).len(), 1);
}

/// A pod of the API that has the mirror's name is left alone, and the static pod runs without a mirror.
#[test]
fn a_stranger_of_its_name_stays() {
    let other = pod("own-node-0", "", ", nodeSelector: {no: where}");
    let late = node(&format!("manifests:\n  inline:\n{other}")).replace("startAfter: 0s", "startAfter: 1m");
    let run = run(&late);
    let stranger = run.pod("own-node-0");
    assert!(!stranger.is_mirror());
    assert_eq!(stranger.status.phase, Phase::Pending);
    assert_eq!(run.of("own-node-0", "event Started").len(), 1);
}

/// A graceful shutdown ends it with the rest; the kubelet that starts after it finds the file, and runs it anew.
#[test]
fn a_shutdown_is_not_its_end() {
    let timeline = "timeline: [{at: 1m, nodeShutdown: {node: node-0}, for: 2m}]";
    let text = node(timeline).replace("    kubelet:\n", "    kubelet:\n      shutdownGracePeriod: 30s\n");
    let run = run(&text);
    let seen: Vec<_> = run.of("own-node-0", "status").into_iter().map(|(at, line)| (at / 60_000, line)).collect();
    assert!(seen.iter().any(|(minute, line)| *minute == 1 && line.starts_with("status Failed")), "{seen:?}");
    assert!(seen.last().unwrap().1.starts_with("status Running ready"), "{seen:?}");
}

/// A kubelet refuses a pod with an init container: its status knows of no container at all.
#[test]
fn a_refused_pod_has_no_containers() {
    let init = ", initContainers: [{name: i, image: \"i:1\"}], nodeName: node-0";
    let big = pod("big", ", resources: {requests: {cpu: 100}}", init);
    let run = run(&node(&format!("manifests:\n  inline:\n{big}")));
    let status = run.pod("big").status.clone();
    assert_eq!((status.phase, status.reason.as_str()), (Phase::Failed, "OutOfcpu"));
    assert_eq!((status.containers.len(), status.init_containers.len()), (0, 0));
}
