//! Scenarios whose schedulers are configured: which profile and which process decides.

use kubesim::cli::files::Folder;
use kubesim::cluster::{Cluster, Options};
use kubesim::error::Error;
use kubesim::model::Pod;
use kubesim::scenario::Scenario;
use kubesim::scenario::load::load;
use kubesim::scheduler::config;

/// Two nodes, `a` with a pod on it from the start, and then one pod for each of `names`.
fn scenario(scheduler: &str, names: &[&str]) -> String {
    let mut text = format!(
        "name: schedulers\nduration: 1m\ncluster:\n  nodes:\n  - {{name: a, capacity: {{cpu: 8, memory: 8Gi}}}}\n  \
         - {{name: b, capacity: {{cpu: 8, memory: 8Gi}}}}\n{scheduler}\nmanifests:\n  inline:\n"
    );
    let pod = |name: &str, more: &str| {
        format!(
            "  - {{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{{more}, containers: [{{name: c, \
             image: i, resources: {{requests: {{cpu: 2, memory: 2Gi}}}}}}]}}}}\n"
        )
    };
    text += &pod("first", "nodeName: a");
    for name in names {
        text += &pod(&format!("of-{name}"), &format!("schedulerName: {name}"));
    }
    text
}

fn read(text: &str) -> Result<Scenario, Error> {
    load("scenario.yaml", text, &[], &Folder::of("scenario.yaml"))
}

/// The node of each pod but the first, by name; `-` for none.
fn places(text: &str) -> String {
    let scenario = read(text).unwrap_or_else(|error| panic!("{error}"));
    let mut cluster = Cluster::new(&scenario, &Options::of(&scenario), Vec::new()).unwrap_or_else(|e| panic!("{e}"));
    cluster.run(&mut |_, _| true).unwrap();
    let view = cluster.runtime().store.live();
    let mut places: Vec<String> = view
        .list::<Pod>()
        .filter(|pod| pod.meta.name != "first")
        .map(|pod| format!("{}@{}", pod.meta.name, pod.node.as_ref().map_or("-", |node| node.as_str())))
        .collect();
    places.sort();
    places.join(" ")
}

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration";
/// Only the fuller node counts.
const PACKING: &str = "plugins: {score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}}, pluginConfig: \
                       [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}]";

/// (the `scheduler:` block, the pods' scheduler names, where they are in the end). Node a is the fuller one.
#[test]
fn profiles_and_processes_decide_for_their_own_pods() {
    let table = [
        (String::new(), vec!["default-scheduler", "packing"], "of-default-scheduler@b of-packing@-"),
        (
            format!("scheduler: {{config: {{{HEAD}, profiles: [{{{PACKING}}}]}}}}"),
            vec!["default-scheduler"],
            "of-default-scheduler@a",
        ),
        (
            format!(
                "scheduler: {{config: {{{HEAD}, profiles: [{{schedulerName: default-scheduler}}, {{schedulerName: \
                 packing, {PACKING}}}]}}}}"
            ),
            vec!["packing"],
            "of-packing@a",
        ),
        (
            format!(
                "scheduler: {{schedulers: [{{schedulerName: packing, config: {{{HEAD}, profiles: [{{{PACKING}}}]}}}}, \
                 {{schedulerName: plain}}]}}"
            ),
            vec!["packing"],
            "of-packing@a",
        ),
        ("scheduler: {schedulers: [{schedulerName: plain}]}".to_string(), vec!["plain"], "of-plain@b"),
    ];
    for (block, names, expected) in table {
        assert_eq!(places(&scenario(&block, &names)), expected, "{block}");
    }
}

#[test]
fn a_name_that_nobody_serves_is_a_warning() {
    let warned = |block: &str, name: &str| {
        let warnings = read(&scenario(block, &[name])).unwrap().warnings;
        warnings.first().map(|warning| warning.to_string()).unwrap_or_default()
    };
    assert_eq!(
        warned("scheduler: {schedulers: [{schedulerName: batch}]}", "bacth"),
        "scenario.yaml:11:83: error: spec.schedulerName: no scheduler serves \"bacth\": the pods stay pending; did you \
         mean `batch`?"
    );
    assert_eq!(warned("scheduler: {schedulers: [{schedulerName: batch}]}", "batch"), "");
}

/// (the `scheduler:` block, part of the error): found before anything runs, with a place.
#[test]
fn wrong_blocks_are_refused() {
    let twice = format!("scheduler: {{schedulers: [{{config: {{{HEAD}, profiles: []}}}}]}}");
    let other = format!(
        "scheduler: {{schedulers: [{{schedulerName: batch, config: {{{HEAD}, profiles: [{{schedulerName: bulk}}]}}}}]}}"
    );
    let inside = format!("scheduler: {{config: {{{HEAD}, percentageOfNodesToScore: 200}}}}");
    let table = [
        ("scheduler: {config: missing.yaml}", "cannot read \"missing.yaml\""),
        ("scheduler: {config: 3}", "write config: kube-scheduler.yaml"),
        ("scheduler: {confg: x}", "did you mean `config`?"),
        ("scheduler: {schedulers: [{schedulerName: default-scheduler}]}", "already served by scheduler.config"),
        (twice.as_str(), "\"default-scheduler\" is already served"),
        (other.as_str(), "no profile of its configuration serves \"batch\""),
        (inside.as_str(), "percentageOfNodesToScore: Invalid value: 200: not in valid range [0-100]"),
    ];
    for (block, expected) in table {
        let text = scenario(block, &["default-scheduler"]);
        let error = match read(&text) {
            Err(error) => error,
            Ok(scenario) => config::check(&scenario).err().unwrap_or_else(|| panic!("{block} was accepted")),
        };
        let shown = error.to_string();
        assert!(shown.contains(expected), "{block}: {shown}");
        let Error::Input(problems) = error else { panic!("{block}: {shown}") };
        assert!(problems.iter().all(|problem| problem.place.is_some()), "{block}: {shown}");
    }
}
