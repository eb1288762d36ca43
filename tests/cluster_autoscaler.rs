//! The rules of the Cluster Autoscaler, each by what happens in a small cluster: what grows, what does not and why, what
//! goes, what stays, and when. Expected times follow from the settings; those that are drawn are fixed by the scenario.
//!
//! | rule | test |
//! |---|---|
//! | estimate, room on nodes that come, events | `pods_without_room_make_nodes` |
//! | reasons not to grow, largest size, limits | `reasons_are_told_to_pods_that_cannot_be_helped` |
//! | expendable pods, young pods, nodes in all | `not_every_pod_makes_a_node` |
//! | expanders | `expanders_choose_the_pool`, `src/autoscaler/expander.rs` |
//! | similar groups | `similar_groups_are_balanced`, `src/autoscaler/scale_up.rs` |
//! | provider out of stock, backoff | `pools_out_of_stock_are_left_alone`, `src/autoscaler/backoff.rs` |
//! | provision time | `machines_that_never_come_are_given_up` |
//! | unneeded time, smallest size, scale-down off | `empty_nodes_go_after_ten_minutes`, `the_smallest_size_and_an_annotation_keep_nodes` |
//! | unready time | `nodes_that_are_not_ready_go_after_twenty_minutes` |
//! | utilization, DaemonSets in it | `pods_keep_their_nodes`, `daemon_pods_count_or_not` |
//! | drainability: budgets, storage, annotations, system pods, bare pods | `pods_keep_their_nodes`, `words_on_pods_decide` |
//! | drain, one at a time, delay after delete | `nodes_with_pods_are_drained`, `a_delay_after_each_deletion` |
//! | grace of drained pods, delay after a failure | `grace_is_cut_short`, `a_delay_after_a_failed_deletion` |
//! | delay after add | `nothing_goes_soon_after_something_came` |
//! | what it says of itself | `it_says_how_things_are`, `src/autoscaler/status.rs` |
//! | placeholders | `scenarios/cost-of-headroom.yaml` |

use kubesim::checks::Checks;
use kubesim::cluster::{self, Options};
use kubesim::model::Name;
use kubesim::model::core::ConfigMap;
use kubesim::outcome::Outcome;
use kubesim::scenario::Scenario;
use kubesim::scenario::load::load;
use serde_json::{Value, json};

/// A cluster of one full node of four cores, whose machines take exactly a minute, with these settings and manifests.
fn scenario(minutes: u32, cluster: &str, rest: &str) -> Outcome {
    let scenario = written(minutes, cluster, rest);
    let options = Options { checks: Checks::All, ..Options::of(&scenario) };
    let (outcome, stop) = cluster::run(&scenario, &options, &mut |_, _| true).unwrap();
    assert_eq!((stop, outcome.violations.clone()), (None, Vec::new()), "{cluster}\n{rest}");
    outcome
}

fn written(minutes: u32, cluster: &str, rest: &str) -> Scenario {
    let text = format!(
        "name: rules\nduration: {minutes}m\ncluster:\n  controlPlane: {{replicas: 0}}\n{cluster}\n{rest}\n\
         expect: [\"nodes >= 0 at end\"]\n"
    );
    let files = kubesim::cli::files::Folder::of("rules.yaml");
    load("rules.yaml", &text, &[], &files).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const CLOUD: &str = "  cloud: {machines: {createTime: 10s, bootTime: 50s, deleteTime: 30s}}";

fn pools(autoscaler: &str, pools: &[&str]) -> String {
    let pools: Vec<String> = pools.iter().map(|pool| format!("  - {{{pool}}}")).collect();
    format!("  pools:\n{}\n{CLOUD}\n  autoscaler: {{{autoscaler}}}", pools.join("\n"))
}

const WORKER: &str = "name: worker, count: 1, capacity: {cpu: 4, memory: 16Gi}, autoscale: {min: 1, max: 3}";

/// A Deployment of pods of this many milli-CPU; `more` goes into the pod template.
fn deployment(name: &str, replicas: u32, milli: u32, more: &str) -> String {
    format!(
        "  - {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: {replicas}, selector: \
         {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}{}}}, spec: {{containers: [{{name: \
         app, image: \"app:1\", resources: {{requests: {{cpu: {milli}m}}}}}}]{}}}}}}}}}\n",
        if more.starts_with("annotations") { format!(", {more}") } else { String::new() },
        if more.starts_with("annotations") || more.is_empty() { String::new() } else { format!(", {more}") },
    )
}

fn manifests(objects: &[String]) -> String {
    format!("manifests:\n  inline:\n{}", objects.concat())
}

/// The messages of events with this reason, with the second of their first time.
fn events(outcome: &Outcome, reason: &str) -> Vec<(i64, String)> {
    let rows = outcome.record.events.iter().filter(|row| row.reason == reason);
    rows.map(|row| (row.first.whole_seconds(), row.message.to_string())).collect()
}

fn messages(outcome: &Outcome, reason: &str) -> Vec<String> {
    let mut all: Vec<String> = events(outcome, reason).into_iter().map(|(_, message)| message).collect();
    all.sort();
    all.dedup();
    all
}

/// Ready nodes at a second.
fn ready(outcome: &Outcome, second: i64) -> i64 {
    let at = kubesim::time::SimTime::from_secs(second);
    outcome.record.nodes.iter().map(|node| node.ready.at(at)).sum()
}

#[test]
fn pods_without_room_make_nodes() {
    // Three pods of three cores: one has room, two need a node each.
    let outcome = scenario(5, &pools("", &[WORKER]), &manifests(&[deployment("web", 3, 3000, "")]));
    assert_eq!(messages(&outcome, "TriggeredScaleUp"), ["pod triggered scale-up: [{worker 1->3 (max: 3)}]"]);
    let grown = events(&outcome, "ScaledUpGroup");
    assert_eq!(grown[0].1, "Scale-up: setting group worker size to 3 instead of 1 (max: 3)");
    // Pods younger than two seconds wait for the next look, ten seconds later; a machine takes a minute.
    assert!((10..=11).contains(&grown[0].0), "{grown:?}");
    assert_eq!([60, 75].map(|second| ready(&outcome, second)), [1, 3]);
}

/// The provider does not answer from 5 s to 3 m: the request of the first look, at 10 s, is known to have failed ten
/// seconds later, and the group is left alone for five minutes (`--initial-node-group-backoff-duration`). It grows with
/// the next look then, and a machine takes a minute.
#[test]
fn a_provider_that_does_not_answer_costs_the_backoff() {
    let objects = [deployment("web", 2, 3000, "")];
    let outage = "timeline: [{at: 5s, for: 175s, cloudOutage: {apis: [machines]}}]\n";
    let outcome = scenario(9, &pools("", &[WORKER]), &format!("{}{outage}", manifests(&objects)));
    let failed = events(&outcome, "FailedToScaleUpGroup");
    assert_eq!(
        failed[0].1,
        "Scale-up failed for group worker: rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    );
    assert!((20..=31).contains(&failed[0].0), "{failed:?}");
    let at = failed[0].0;
    assert_eq!([at + 299, at + 300 + 10 + 61 + 5].map(|second| ready(&outcome, second)), [1, 2]);
}

#[test]
fn reasons_are_told_to_pods_that_cannot_be_helped() {
    // (pod template, milli-CPU, replicas, what is said)
    let table = [
        ("", 5000, 1, "pod didn't trigger scale-up: 1 Insufficient cpu"),
        (
            "nodeSelector: {disk: ssd}",
            100,
            1,
            "pod didn't trigger scale-up: 1 node(s) didn't match Pod's node affinity/selector",
        ),
        ("", 3000, 5, "pod didn't trigger scale-up: 1 max node group size reached"),
    ];
    for (more, milli, replicas, said) in table {
        let outcome = scenario(4, &pools("", &[WORKER]), &manifests(&[deployment("web", replicas, milli, more)]));
        assert!(messages(&outcome, "NotTriggerScaleUp").contains(&said.to_string()), "{said}");
    }
}

#[test]
fn expanders_choose_the_pool() {
    let large =
        "name: large, count: 0, capacity: {cpu: 16, memory: 64Gi}, autoscale: {min: 0, max: 3}, pricePerHour: 2";
    let small =
        "name: worker, count: 1, capacity: {cpu: 4, memory: 16Gi}, autoscale: {min: 1, max: 9}, pricePerHour: 0.1";
    // Seven pods of three cores: one has room, six are left: five fit on a large machine, or one on each small one.
    let table = [
        ("expander: [least-nodes]", "[{large 0->2 (max: 3)}]"),
        ("expander: [least-waste]", "[{worker 1->7 (max: 9)}]"),
        ("expander: [price]", "[{worker 1->7 (max: 9)}]"),
        ("expander: [priority], priorities: [{priority: 5, pools: [\"lar*\"]}]", "[{large 0->2 (max: 3)}]"),
    ];
    for (autoscaler, chosen) in table {
        let cluster = pools(autoscaler, &[small, large]);
        let outcome = scenario(2, &cluster, &manifests(&[deployment("web", 7, 3000, "")]));
        assert_eq!(
            messages(&outcome, "TriggeredScaleUp"),
            [format!("pod triggered scale-up: {chosen}")],
            "{autoscaler}"
        );
    }
}

#[test]
fn similar_groups_are_balanced() {
    let zone = |zone: &str, count: u32| {
        format!(
            "name: zone-{zone}, count: {count}, zones: [{zone}], capacity: {{cpu: 4, memory: 16Gi}}, \
             autoscale: {{min: 0, max: 5}}"
        )
    };
    let cluster = pools("balanceSimilarNodeGroups: true", &[&zone("a", 1), &zone("b", 1)]);
    // Six pods, a node each: two have room.
    let outcome = scenario(3, &cluster, &manifests(&[deployment("web", 6, 3000, "")]));
    let told = "pod triggered scale-up: [{zone-a 1->3 (max: 5)} {zone-b 1->3 (max: 5)}]";
    assert_eq!(messages(&outcome, "TriggeredScaleUp"), [told]);
}

#[test]
fn pools_out_of_stock_are_left_alone() {
    let cloud =
        "  cloud: {machines: {createTime: 10s, bootTime: 50s, deleteTime: 30s, stockOuts: [{from: 0s, until: 6m}]}}";
    let cluster = pools("", &[WORKER]).replace(CLOUD, cloud);
    let outcome = scenario(12, &cluster, &manifests(&[deployment("web", 2, 3000, "")]));
    let failed: Vec<i64> = events(&outcome, "FailedToScaleUpGroup").into_iter().map(|(second, _)| second).collect();
    // Asked for at 10 s, failed at 20 s, left alone for five minutes; asked for again at 5:30 and failed at 5:40, while the
    // stock-out lasts; left alone for ten minutes then.
    assert!(!failed.is_empty() && (20..=31).contains(&failed[0]), "{failed:?}");
    let backoff = "pod didn't trigger scale-up: 1 in backoff after failed scale-up";
    assert!(messages(&outcome, "NotTriggerScaleUp").contains(&backoff.to_string()));
    let asked: Vec<i64> = events(&outcome, "ScaledUpGroup").into_iter().map(|(second, _)| second).collect();
    assert_eq!(ready(&outcome, 11 * 60), 1, "{asked:?}");
}

#[test]
fn machines_that_never_come_are_given_up() {
    let cloud = "  cloud: {machines: {neverBoots: 1}}";
    let cluster = pools("maxNodeProvisionTime: 3m", &[WORKER]).replace(CLOUD, cloud);
    let outcome = scenario(5, &cluster, &manifests(&[deployment("web", 2, 3000, "")]));
    let timed_out = events(&outcome, "ScaleUpTimedOut");
    assert_eq!(timed_out[0].1, "Nodes added to group worker failed to register within 3m0s");
    assert!((190..=201).contains(&timed_out[0].0), "{timed_out:?}");
}

/// Four nodes, of which `web` fills one; `rest` says what else is there.
fn idle(minutes: u32, autoscaler: &str, objects: &[String]) -> Outcome {
    let pool = "name: worker, count: 4, capacity: {cpu: 4, memory: 16Gi}, autoscale: {min: 1, max: 6}";
    scenario(minutes, &pools(autoscaler, &[pool]), &manifests(objects))
}

#[test]
fn empty_nodes_go_after_ten_minutes() {
    let outcome = idle(15, "", &[deployment("web", 1, 3000, "")]);
    let gone = events(&outcome, "ScaleDownEmpty");
    assert_eq!(gone.len(), 3, "{gone:?}");
    assert!(
        gone.iter().all(|(second, text)| (605..=640).contains(second) && text.starts_with("Scale-down: empty node"))
    );
    assert_eq!([590, 800].map(|second| ready(&outcome, second)), [4, 1]);
    // The smallest size, a delay, and being switched off keep them.
    let kept = idle(15, "scaleDownEnabled: false", &[deployment("web", 1, 3000, "")]);
    assert_eq!(ready(&kept, 14 * 60), 4);
    let later = idle(15, "scaleDownUnneededTime: 3m", &[deployment("web", 1, 3000, "")]);
    assert_eq!([170, 300].map(|second| ready(&later, second)), [4, 1]);
}

#[test]
fn nodes_with_pods_are_drained() {
    // A pod of 1.5 cores on each of the four nodes: two nodes can take them all, one after the other.
    let spread = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: \
                  ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}]";
    let outcome = idle(30, "", &[deployment("web", 4, 1500, spread)]);
    let drained = events(&outcome, "ScaleDown");
    assert!(drained.iter().any(|(_, text)| text == "marked the node as toBeDeleted/unschedulable"), "{drained:?}");
    assert!(drained.iter().any(|(_, text)| text == "deleting pod for node scale down"));
    assert!(drained.iter().any(|(_, text)| text.ends_with("removed with drain")));
    assert_eq!(outcome.record.pods.iter().filter(|pod| pod.evicted).count(), 2);
    assert_eq!(ready(&outcome, 29 * 60), 2);
}

#[test]
fn pods_keep_their_nodes() {
    let spread = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: \
                  ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}]";
    let web = |more: &str| {
        let both = if more.starts_with("annotations") { more.to_string() } else { format!("{spread}{more}") };
        deployment("web", 4, 1500, &both)
    };
    let budget = "  - {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 4, \
                  selector: {matchLabels: {app: web}}}}\n";
    let bare: String = (0..4)
        .map(|index| {
            format!(
                "  - {{apiVersion: v1, kind: Pod, metadata: {{name: bare-{index}, labels: {{app: web}}}}, spec: {{{spread}, \
                 containers: [{{name: app, image: \"app:1\", resources: {{requests: {{cpu: 1500m}}}}}}]}}}}\n"
            )
        })
        .collect();
    // What keeps four nodes whose pods would fit on two, and what does not.
    let safe = "annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: \"false\"}";
    let local = ", volumes: [{name: scratch, emptyDir: {}}]";
    let table: Vec<(&str, &str, Vec<String>, bool)> = vec![
        ("nothing", "", vec![web("")], false),
        ("a budget that allows none", "", vec![web(""), budget.to_string()], true),
        ("local storage", "", vec![web(local)], true),
        ("local storage that does not count", "skipNodesWithLocalStorage: false", vec![web(local)], false),
        ("an annotation", "", vec![web(safe)], true),
        ("pods without controller", "", vec![bare], true),
        ("too much that is requested", "scaleDownUtilizationThreshold: 0.3", vec![web("")], true),
    ];
    for (what, autoscaler, objects, kept) in table {
        let outcome = idle(20, autoscaler, &objects);
        let evicted = outcome.record.pods.iter().any(|pod| pod.evicted);
        assert_eq!(!evicted, kept, "{what}");
    }
}

const SPREAD: &str = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: \
                      ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}]";

/// As [`pods_keep_their_nodes`], by what stands on the pods and where they are.
#[test]
fn words_on_pods_decide() {
    let web = |annotation: &str, volume: &str| {
        let more = match volume {
            "" => SPREAD.to_string(),
            volume => format!("{SPREAD}, volumes: [{{name: scratch, {volume}}}]"),
        };
        let annotations = format!("template: {{metadata: {{annotations: {{{annotation}}}, labels: {{app: web}}");
        deployment("web", 4, 1500, &more).replace("template: {metadata: {labels: {app: web}", &annotations)
    };
    let says = |word: &str, value: &str| format!("cluster-autoscaler.kubernetes.io/{word}: \"{value}\"");
    let system =
        |object: String| object.replace("metadata: {name: web}", "metadata: {name: web, namespace: kube-system}");
    let budget = "  - {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web, namespace: kube-system}, \
                  spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}}\n";
    let local = "emptyDir: {}";
    let table: Vec<(&str, &str, Vec<String>, bool)> = vec![
        ("storage, and the word that all is well", "", vec![web(&says("safe-to-evict", "true"), local)], false),
        ("storage that is excused", "", vec![web(&says("safe-to-evict-local-volumes", "scratch"), local)], false),
        ("storage, and another excused", "", vec![web(&says("safe-to-evict-local-volumes", "other"), local)], true),
        ("not before they are done", "", vec![web(&says("safe-to-evict", "on-completion"), "")], true),
        ("a directory of the node", "", vec![web("", "hostPath: {path: /data}")], true),
        ("storage in memory", "", vec![web("", "emptyDir: {medium: Memory}")], false),
        ("pods of the system", "", vec![system(web("", ""))], true),
        ("pods of the system that do not count", "skipNodesWithSystemPods: false", vec![system(web("", ""))], false),
        ("pods of the system with a budget", "", vec![system(web("", "")), budget.to_string()], false),
    ];
    for (what, autoscaler, objects, kept) in table {
        let outcome = idle(16, autoscaler, &objects);
        let evicted = outcome.record.pods.iter().any(|pod| pod.evicted);
        assert_eq!(!evicted, kept, "{what}");
    }
}

#[test]
fn the_smallest_size_and_an_annotation_keep_nodes() {
    let web = manifests(&[deployment("web", 1, 3000, "")]);
    let pool = "name: worker, count: 4, capacity: {cpu: 4, memory: 16Gi}, autoscale: {min: 3, max: 6}";
    assert_eq!(ready(&scenario(15, &pools("", &[pool]), &web), 14 * 60), 3);
    let says = "{metadata: {annotations: {cluster-autoscaler.kubernetes.io/scale-down-disabled: \"true\"}}}";
    let patches: String = (0..4)
        .map(|at| format!("- {{at: 1m, patch: {{object: node/worker-{at}, type: merge, patch: {says}}}}}\n"))
        .collect();
    let pool = pool.replace("min: 3", "min: 1");
    let kept = scenario(15, &pools("", &[&pool]), &format!("{web}timeline:\n{patches}"));
    assert_eq!(ready(&kept, 14 * 60), 4);
}

#[test]
fn daemon_pods_count_or_not() {
    // On each node a daemon's pod of 2.2 cores of 3.9: more than half.
    let daemon = deployment("agent", 1, 2200, "")
        .replace("kind: Deployment", "kind: DaemonSet")
        .replace("spec: {replicas: 1, ", "spec: {");
    for (setting, left) in [("", 4), ("ignoreDaemonsetsUtilization: true", 1)] {
        assert_eq!(ready(&idle(15, setting, std::slice::from_ref(&daemon)), 14 * 60), left, "{setting}");
    }
}

#[test]
fn it_says_how_things_are() {
    let status = |cluster: &str, seconds: u32| -> Value {
        let scenario = written(seconds, cluster, &manifests(&[deployment("web", 2, 3000, "")]));
        let until = Some(kubesim::time::SimTime::from_secs(i64::from(seconds)));
        let options = Options { until, ..Options::of(&scenario) };
        let mut cluster = cluster::Cluster::new(&scenario, &options, Vec::new()).unwrap();
        cluster.run(&mut |_, _| true).unwrap();
        let view = cluster.runtime().store.live();
        let map = view.fetch::<ConfigMap>(&Name::from("kube-system"), &Name::from("cluster-autoscaler-status"));
        serde_yaml::from_str(&map.unwrap().data[&Name::from("status")]).unwrap()
    };
    let facts = |status: &Value| {
        let group = &status["nodeGroups"][0];
        let counts = &group["health"]["nodeCounts"];
        json!([
            group["name"],
            status["clusterWide"]["scaleUp"]["status"],
            group["scaleUp"]["status"],
            group["health"]["cloudProviderTarget"],
            counts["registered"]["ready"],
            counts["unregistered"],
            group["scaleDown"]["status"]
        ])
    };
    // Asked for at 10 s, ready a minute later.
    let coming = status(&pools("", &[WORKER]), 40);
    assert_eq!(facts(&coming), json!(["worker", "InProgress", "InProgress", 2, 1, 1, "NoCandidates"]));
    assert_eq!(coming["autoscalerStatus"], "Running");
    let there = status(&pools("", &[WORKER]), 100);
    assert_eq!(facts(&there), json!(["worker", "NoActivity", "NoActivity", 2, 2, 0, "NoCandidates"]));
    // Without stock the group is left alone for five minutes.
    let cloud = CLOUD.replace("deleteTime: 30s", "deleteTime: 30s, stockOuts: [{pool: worker, from: 0s, until: 1h}]");
    let empty = pools("", &[WORKER]).replace(CLOUD, &cloud);
    let alone = status(&empty, 100);
    assert_eq!(facts(&alone), json!(["worker", "NoActivity", "Backoff", 1, 1, 0, "NoCandidates"]));
    let why = alone["nodeGroups"][0]["scaleUp"]["backoffInfo"]["errorMessage"].as_str().unwrap();
    assert!(why.contains("no capacity left"), "{why}");
}

#[test]
fn a_delay_after_each_deletion() {
    // Two of four nodes are drained, one after the other: the second as soon as may be, or five minutes later.
    let removed = |autoscaler: &str| -> Vec<i64> {
        let outcome = idle(30, autoscaler, &[deployment("web", 4, 1500, SPREAD)]);
        let drained = events(&outcome, "ScaleDown").into_iter().filter(|(_, text)| text.ends_with("with drain"));
        drained.map(|(second, _)| second).collect()
    };
    let (soon, later) = (removed(""), removed("scaleDownDelayAfterDelete: 5m"));
    assert!(soon.len() == 2 && soon[1] - soon[0] < 120, "{soon:?}");
    assert!(later.len() == 2 && later[1] - later[0] >= 300, "{later:?}");
}

/// Two nodes with a pod each that wants half an hour to end, and takes it; the first node could take both.
fn slow_to_end(grace: u32, settings: &str) -> Outcome {
    let pool = "name: worker, count: 2, capacity: {cpu: 4, memory: 16Gi}, autoscale: {min: 1, max: 2}";
    let slow = format!("terminationGracePeriodSeconds: {grace}, {SPREAD}");
    let rest = format!("{}behavior: [{{terminationTime: 30m}}]\n", manifests(&[deployment("web", 2, 1500, &slow)]));
    scenario(22, &pools(&format!("scaleDownUnneededTime: 2m, {settings}"), &[pool]), &rest)
}

#[test]
fn grace_is_cut_short() {
    // Unneeded for two minutes from the first look on, the node is drained from 2:15 on. The pod has what it asks for, but
    // ten minutes at most, or as the setting says; then the node goes.
    let drained = |grace: u32, settings: &str| -> Vec<i64> {
        let outcome = slow_to_end(grace, settings);
        let removed = events(&outcome, "ScaleDown").into_iter().filter(|(_, text)| text.ends_with("with drain"));
        removed.map(|(second, _)| second).collect()
    };
    for (grace, settings, least) in [
        (60, "", 120 + 60),
        (1800, "", 120 + 600),
        (1800, "maxGracefulTermination: 2m", 120 + 120),
        (60, "maxGracefulTermination: 2m", 120 + 60),
    ] {
        let found = drained(grace, settings);
        assert!(found.len() == 1 && (least..=least + 45).contains(&found[0]), "{grace} {settings}: {found:?}");
    }
}

#[test]
fn a_delay_after_a_failed_deletion() {
    // A node is marked soon after 2:10 and its pod is to be evicted half a minute later. Before that the budget is changed
    // so that it allows nothing: two minutes later the autoscaler gives up, and the node may be used again. The next one
    // is marked three minutes after that, or as the setting says.
    let pool = "name: worker, count: 2, capacity: {cpu: 4, memory: 16Gi}, autoscale: {min: 1, max: 2}";
    let budget = "  - {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 1, \
                  selector: {matchLabels: {app: web}}}}\n";
    let rest = format!(
        "{}timeline:\n- {{at: 2m25s, patch: {{object: pdb/web, patch: {{spec: {{minAvailable: 2}}}}}}}}\n\
         - {{at: 5m, patch: {{object: pdb/web, patch: {{spec: {{minAvailable: 1}}}}}}}}\n",
        manifests(&[deployment("web", 2, 1500, SPREAD), budget.to_string()])
    );
    for (setting, delay) in [("", 180), ("scaleDownDelayAfterFailure: 6m", 360)] {
        let all = format!("scaleDownUnneededTime: 2m, nodeDeleteDelayAfterTaint: 30s, {setting}");
        let outcome = scenario(14, &pools(&all, &[pool]), &rest);
        let failed = events(&outcome, "ScaleDownFailed");
        assert!(failed.len() == 1 && failed[0].1.starts_with("failed to delete the node: failed to evict pods: web-"));
        let marked = |(second, text): &(i64, String)| *second > failed[0].0 && text.starts_with("marked the node");
        let again = events(&outcome, "ScaleDown").into_iter().find(marked).map(|(second, _)| second - failed[0].0);
        assert!(
            again.is_some_and(|after| (delay..=delay + 20).contains(&after)),
            "{setting}: {again:?} s after {failed:?}"
        );
    }
}

#[test]
fn nodes_that_are_not_ready_go_after_twenty_minutes() {
    let pool = "name: worker, count: 2, capacity: {cpu: 4, memory: 16Gi}, autoscale: {min: 1, max: 6}";
    // The empty one is unneeded from the first look at 10 s on, and crashes at minute 1, before it could go. Now it must
    // have been unneeded for twenty minutes: until 20:10.
    let rest = format!(
        "{}timeline:\n- {{at: 1m, nodeCrash: {{node: worker-1}}}}\n",
        manifests(&[deployment("web", 1, 3000, "nodeSelector: {kubernetes.io/hostname: worker-0}")])
    );
    let settings = "scaleDownUnneededTime: 2m";
    let outcome = scenario(26, &pools(settings, &[pool]), &rest);
    let gone = events(&outcome, "ScaleDownEmpty");
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!((1210..=1225).contains(&gone[0].0), "{gone:?}");
}

#[test]
fn not_every_pod_makes_a_node() {
    let class = "  - {apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: spare}, value: -20}\n";
    let spare = deployment("web", 2, 3000, "priorityClassName: spare");
    let outcome = scenario(3, &pools("", &[WORKER]), &manifests(&[class.to_string(), spare]));
    assert_eq!(messages(&outcome, "TriggeredScaleUp"), Vec::<String>::new());
    let web = manifests(&[deployment("web", 2, 3000, "")]);
    let outcome = scenario(3, &pools("maxNodesTotal: 1", &[WORKER]), &web);
    assert_eq!(messages(&outcome, "TriggeredScaleUp"), Vec::<String>::new());
    let late = events(&scenario(3, &pools("newPodScaleUpDelay: 1m", &[WORKER]), &web), "TriggeredScaleUp");
    assert!(late.len() == 1 && (60..=71).contains(&late[0].0), "{late:?}");
}

#[test]
fn nothing_goes_soon_after_something_came() {
    // A batch needs a node at minute 1 and is over at minute 3: the node is unneeded then, and ten minutes after it came
    // it could go, but it must be unneeded for ten minutes, too.
    let rest = format!(
        "{}timeline:\n- {{at: 1m, scale: {{object: deployment/batch, replicas: 1}}}}\n\
         - {{at: 3m, scale: {{object: deployment/batch, replicas: 0}}}}\n",
        manifests(&[deployment("web", 1, 3000, ""), deployment("batch", 0, 3000, "")])
    );
    let outcome = scenario(20, &pools("", &[WORKER]), &rest);
    let gone = events(&outcome, "ScaleDownEmpty");
    assert_eq!(gone.len(), 1);
    assert!((785..=830).contains(&gone[0].0), "{gone:?}");
    let slow = scenario(20, &pools("scaleDownDelayAfterAdd: 15m", &[WORKER]), &rest);
    // Asked for at 1:10.
    assert!((970..=985).contains(&events(&slow, "ScaleDownEmpty")[0].0), "{:?}", events(&slow, "ScaleDownEmpty"));
}

/// A catalogue of three machines, and one pool.
fn karpenter(pool: &str, more: &str) -> String {
    format!(
        "  karpenter:\n    instanceTypes:\n    - {{name: small, cpu: 2, memory: 8Gi, pricePerHour: 0.1, spotPricePerHour: 0.04}}\n    \
         - {{name: medium, cpu: 4, memory: 16Gi, pricePerHour: 0.2, spotPricePerHour: 0.07}}\n    \
         - {{name: large, cpu: 16, memory: 64Gi, pricePerHour: 0.8, spotPricePerHour: 0.3}}\n    \
         nodePools: [{{name: general, {pool}}}]\n{more}{CLOUD}"
    )
}

/// Prices of an hour, in millionths, of the nodes that are ready at a second.
fn prices(outcome: &Outcome, second: i64) -> Vec<i64> {
    let at = kubesim::time::SimTime::from_secs(second);
    let ready = outcome.record.nodes.iter().filter(|node| node.ready.at(at) == 1);
    ready.map(|node| node.price_per_hour_micros).collect()
}

#[test]
fn machines_are_bought_to_measure() {
    // Three pods of one core come together: of the machines that take them all the one of four cores is the cheapest. When
    // one is left, it moves to one of two cores, which is ready before the other goes.
    let rest = format!(
        "{}timeline:\n- {{at: 5m, scale: {{object: deployment/web, replicas: 1}}}}\n",
        manifests(&[deployment("web", 3, 1000, "")])
    );
    let outcome = scenario(12, &karpenter("budgetPercent: 100", ""), &rest);
    assert_eq!(prices(&outcome, 240), [200_000]);
    assert_eq!(prices(&outcome, 700), [100_000]);
    let nominated = messages(&outcome, "Nominated");
    assert_eq!(nominated, ["Pod should schedule on: nodeclaim/general-0"]);
    assert_eq!(messages(&outcome, "DisruptionTerminating"), ["Disrupting Node: Underutilized/Delete"]);
    // The pod is never without a node that is ready: it moves when the new machine is there.
    let first_gone = events(&outcome, "DisruptionTerminating")[0].0;
    assert_eq!(ready(&outcome, first_gone), 2);
    // Whoever only removes empty nodes keeps the large one.
    let kept = scenario(12, &karpenter("budgetPercent: 100, consolidationPolicy: WhenEmpty", ""), &rest);
    assert_eq!(prices(&kept, 700), [200_000]);
}

#[test]
fn a_single_machine_is_given_up_or_replaced() {
    // A pod of 3.6 cores has a machine of four. Two minutes later others need a second one; at minute 5 some of them go.
    let rest = |first: u32, more: &str| {
        format!(
            "{}timeline:\n- {{at: 2m, scale: {{object: deployment/part, replicas: {first}}}}}\n{more}\
             - {{at: 5m, scale: {{object: deployment/part, replicas: 1}}}}\n",
            manifests(&[
                deployment("big", 1, 3600, ""),
                deployment("part", 0, 1500, ""),
                deployment("bit", 0, 300, "")
            ])
        )
    };
    // 3.6 and 1.5 cores fit on no machine that is cheaper than both; but 1.5 fit on one of two cores.
    let outcome = scenario(14, &karpenter("budgetPercent: 100", ""), &rest(2, ""));
    let mut at_end = prices(&outcome, 830);
    at_end.sort_unstable();
    assert_eq!((prices(&outcome, 240), at_end), (vec![200_000; 2], vec![100_000, 200_000]));
    assert_eq!(events(&outcome, "DisruptionTerminating").len(), 1);
    // 3.6 and 0.3 cores fit on one machine of four, but both are of that type: one of them goes, and its pod moves to the
    // other. Nothing new is bought.
    let more = "- {at: 4m, scale: {object: deployment/bit, replicas: 1}}\n";
    let gone = rest(2, more).replace("part, replicas: 1", "part, replicas: 0");
    let outcome = scenario(14, &karpenter("budgetPercent: 100", ""), &gone);
    assert_eq!((prices(&outcome, 240), prices(&outcome, 830)), (vec![200_000; 2], vec![200_000]));
    assert_eq!((events(&outcome, "DisruptionTerminating").len(), outcome.record.nodes.len()), (1, 2));
}

#[test]
fn empty_machines_go_and_limits_hold() {
    let rest = format!(
        "{}timeline:\n- {{at: 5m, scale: {{object: deployment/web, replicas: 0}}}}\n",
        manifests(&[deployment("web", 2, 3000, "")])
    );
    let outcome = scenario(10, &karpenter("budgetPercent: 100", ""), &rest);
    assert_eq!(messages(&outcome, "DisruptionTerminating"), ["Disrupting Node: Empty/Delete"]);
    assert!(prices(&outcome, 540).is_empty());
    // Four cores are all that the pool may have: one of the two pods waits.
    let limited = scenario(4, &karpenter("cpuLimit: 4", ""), &manifests(&[deployment("web", 2, 3000, "")]));
    assert_eq!(prices(&limited, 230), [200_000]);
}

#[test]
fn spot_machines_are_taken_back() {
    let cluster = karpenter("spot: true, budgetPercent: 100", "    spotLifetime: 10m\n");
    let outcome = scenario(15, &cluster, &manifests(&[deployment("web", 1, 3000, "")]));
    // Up a minute after it was asked for, warned of eight minutes later; its pods are placed on another one.
    let warned = events(&outcome, "SpotInterrupted");
    assert!((540..=550).contains(&warned[0].0), "{warned:?}");
    assert_eq!(prices(&outcome, 300), [70_000]);
    assert_eq!(prices(&outcome, 700), [70_000]);
    assert_eq!(outcome.record.pods.iter().filter(|pod| pod.evicted).count(), 1);
}
