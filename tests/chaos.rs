//! The fault search: planted mistakes are found and shrunk, what is written fails again, threads change nothing.

use kubesim::cluster::{Options, run};
use kubesim::experiment::Watch;
use kubesim::experiment::chaos::judge::Finding;
use kubesim::experiment::chaos::{Plan, Search, search, write};
use kubesim::report;
use kubesim::scenario::Scenario;
use kubesim::scenario::load::{SourceFiles, load};
use std::num::NonZeroUsize;
use std::path::Path;

/// A scenario without files beside it.
struct Alone;

impl SourceFiles for Alone {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("{path} is not there"))
    }

    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Four nodes in two zones and a Deployment of two replicas, with a mistake.
fn planted(spec: &str, more: &str, expect: &str) -> String {
    format!(
        "name: planted
duration: 30m
cluster: {{pools: [{{name: w, count: 4, zones: [zone-a, zone-b], capacity: {{cpu: 4, memory: 8Gi}}}}]}}
behavior: [{{imageSize: 0, startTime: 1s, terminationTime: 1s}}]
manifests:
  inline:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {{name: web}}
    spec:
      replicas: 2
      selector: {{matchLabels: {{app: web}}}}
      template:
        metadata: {{labels: {{app: web}}}}
        spec: {{{spec}containers: [{{name: main, image: web, resources: {{requests: {{cpu: 100m}}}}}}]}}
{more}
expect:
- ready(web) == 2 eventually
{expect}
"
    )
}

fn find(text: &str, kinds: &[&str], runs: usize, jobs: usize) -> Search {
    let scenario = loaded(text);
    let kinds = kinds.iter().map(ToString::to_string).collect();
    let plan = Plan { scenario: &scenario, runs, kinds, faults_max: 4, seed: 1, jobs: NonZeroUsize::new(jobs) };
    search(&plan, &Watch { go_on: &|| true, finished: &|| {} }).unwrap_or_else(|error| panic!("{error}"))
}

fn loaded(text: &str) -> Scenario {
    load("planted.yaml", text, &[], &Alone).unwrap_or_else(|error| panic!("{error}"))
}

const TIGHT_BUDGET: &str = "
  - apiVersion: policy/v1
    kind: PodDisruptionBudget
    metadata: {name: web}
    spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}";

#[test]
fn a_budget_that_blocks_a_drain_is_found() {
    let text = planted("", TIGHT_BUDGET, "");
    let search = find(&text, &["drain", "podCrash", "nodeCrash"], 12, 2);
    assert_eq!(search.broken_at_rest, []);
    assert_eq!(search.runs, (12, 12));
    let found = search.found.iter().find(|found| found.finding == Finding::Unfinished("kubectl drain".to_string()));
    let found = found.unwrap_or_else(|| panic!("{:#?}", search.found));
    assert_eq!(found.schedule.len(), 1, "{:#?}", found.schedule);
    assert_eq!(found.schedule[0].kind, "drain");
    // The heading names the node that the smallest schedule drains, the command can be copied, and the run shows it.
    let node = found.schedule[0].entries[0]["drain"]["node"].as_str().unwrap();
    assert_eq!(found.sentence(), format!("never ends: kubectl drain {node}"));
    let at = search.found.iter().position(|one| one == found).unwrap();
    let shown = anstream::adapter::strip_str(&report::chaos::render(&search, Path::new("some where/out"))).to_string();
    let (heading, command) = (format!("{}. {}\n", at + 1, found.sentence()), format!("failing-{}.yaml'\n", at + 1));
    assert!(shown.contains(&heading), "{shown}");
    assert!(shown.contains(&format!("   sim run 'some where/out/{command}")), "{shown}");
    assert!(!shown.lines().any(|line| line.ends_with(' ')), "{shown}");
    let written = write::scenario(("planted.yaml", &text), &[], &Alone, (found.seed, &found.schedule), &[]).unwrap();
    let scenario = loaded(&written);
    let (outcome, _) = run(&scenario, &Options::of(&scenario), &mut |_, _| true).unwrap();
    let told = report::terminal::render(&outcome);
    let unfinished = told.lines().find(|line| line.contains("not done at the end, since "));
    assert!(unfinished.is_some_and(|line| line.contains(&format!("kubectl drain {node}"))), "{told}");
}

#[test]
fn replicas_that_share_a_node_are_found_and_the_file_fails_again() {
    let pinned = "nodeSelector: {kubernetes.io/hostname: w-2}, ";
    let text = planted(pinned, "", "- available(web) >= 1 always after 1m");
    let search = find(&text, &["nodeCrash", "podCrash"], 16, 2);
    let wanted = Finding::Expectation("available(web) >= 1 always after 1m".to_string());
    let found = search.found.iter().find(|found| found.finding == wanted).unwrap_or_else(|| panic!("{search:#?}"));
    assert!(found.schedule.len() <= 3, "{:#?}", found.schedule);
    let written =
        write::scenario(("planted.yaml", &text), &[], &Alone, (found.seed, &found.schedule), &["head".to_string()]);
    let written = written.unwrap();
    assert!(written.starts_with("# head\nname: planted\n"), "{written}");
    let scenario = loaded(&written);
    let (outcome, _) = run(&scenario, &Options::of(&scenario), &mut |_, _| true).unwrap();
    let failed: Vec<&str> = outcome.expectations.iter().filter(|one| !one.passed).map(|one| &*one.text).collect();
    assert!(failed.contains(&"available(web) >= 1 always after 1m"), "{failed:?}");
}

/// Two nodes of two cores, two replicas that use one and a half each, and a check of health that takes 700 ms of a core
/// of its own. Once a node is away both replicas are on the other: each has two thirds of what it wants, and the check
/// takes 700 ms / 0.666 = 1051 ms. A probe that waits one second fails three times and has a container killed that does
/// its work; one that waits two seconds never does. When the node is back nobody moves to it: it never ends.
#[test]
fn a_liveness_probe_that_kills_under_load_is_found() {
    let with_timeout = |seconds: u32| {
        let probe = format!("image: web, livenessProbe: {{httpGet: {{path: /, port: 80}}, timeoutSeconds: {seconds}}}");
        planted("", "", "- restarts(web) < 6 always")
            .replace("count: 4", "count: 2")
            .replace("cpu: 4", "cpu: 2")
            .replace("terminationTime: 1s", "terminationTime: 1s, cpu: {absolute: 1.5}, probeTime: 700ms")
            .replace("image: web", &probe)
    };
    let kinds = ["drain", "nodeCrash"];
    let search = find(&with_timeout(1), &kinds, 8, 2);
    assert_eq!(search.broken_at_rest, []);
    let wanted = Finding::Expectation("restarts(web) < 6 always".to_string());
    let found = search.found.iter().find(|found| found.finding == wanted).unwrap_or_else(|| panic!("{search:#?}"));
    assert!(found.schedule.len() <= 3, "{:#?}", found.schedule);
    let patient = find(&with_timeout(2), &kinds, 8, 2);
    assert!(!patient.found.iter().any(|found| found.finding == wanted), "{:#?}", patient.found);
}

#[test]
fn the_search_is_the_same_with_any_number_of_threads_and_says_what_it_tried() {
    let text = planted("", "", "");
    let one = find(&text, &[], 6, 1);
    assert_eq!(one, find(&text, &[], 6, 2));
    let tried = &one.coverage;
    assert!(tried.kinds.contains_key("nodeCrash") && tried.kinds.contains_key("drain"), "{:?}", tried.kinds);
    assert!(tried.kinds.values().map(|tried| tried.times).sum::<usize>() >= 6);
    assert_eq!(tried.machines.1, 4);
    assert_eq!(tried.pairs.1, tried.kinds.len() * (tried.kinds.len() - 1) / 2);
}

#[test]
fn what_is_broken_without_faults_is_not_searched() {
    let text = planted("nodeSelector: {kubernetes.io/hostname: nowhere}, ", "", "");
    let search = find(&text, &[], 3, 1);
    assert_eq!(search.runs.1, 0);
    assert!(!search.broken_at_rest.is_empty());
}
