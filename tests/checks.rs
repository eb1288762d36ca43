//! Every shipped scenario, whole, with all invariants watched.

use crate::runs::{read, scenario_files};
use kubesim::checks::{Checker, Checks};
use kubesim::cluster::{Cluster, Options};
use kubesim::rng::Seed;

/// What goes on to the end there, so that the checks of a cluster at rest have nothing to look at.
const RESTLESS: [(&str, &str); 6] = [
    ("black-friday.yaml", "autoscalers follow a load that moves"),
    ("custom-kinds.yaml", "its last steps are its end"),
    ("memory-leak.yaml", "what leaks is killed again and again"),
    ("right-sizing.yaml", "recommendations grow as long as it lasts"),
    ("scale-out.yaml", "requests go on, and autoscalers with them"),
    ("world-cup-98.yaml", "a day of requests ends with its last one"),
];

#[test]
fn no_scenario_breaks_an_invariant() {
    let mut restless = std::collections::BTreeSet::new();
    for path in scenario_files() {
        let scenario = read(&path);
        for seed in [scenario.seed, 1, 2, 3] {
            let options = Options { seed: Seed(seed), ..Options::of(&scenario) };
            let (checker, findings) = Checker::new(Checks::All);
            let mut cluster = Cluster::new(&scenario, &options, vec![Box::new(checker)]).unwrap();
            cluster.run(&mut |_, _| true).unwrap();
            let mut findings = findings.take();
            findings.busy_at_end(&cluster.runtime().busy_keys());
            let broken: Vec<String> = findings.violations.iter().map(ToString::to_string).collect();
            assert!(broken.is_empty(), "{} seed {seed}:\n{}", path.display(), broken.join("\n"));
            if !findings.at_rest {
                restless.insert(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let known: std::collections::BTreeSet<String> = RESTLESS.iter().map(|(name, _)| (*name).to_string()).collect();
    assert_eq!(restless, known, "not at rest at their end");
}
