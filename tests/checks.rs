//! Every shipped scenario, whole, with all invariants watched.

use crate::runs::{read, scenario_files};
use kubesim::checks::{Checker, Checks};
use kubesim::cluster::{Cluster, Options};
use kubesim::rng::Seed;

#[test]
fn no_scenario_breaks_an_invariant() {
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
            assert!(findings.at_rest, "{} seed {seed} is not at rest at its end", path.display());
        }
    }
}
