//! Whole runs of every shipped scenario: what it expects holds, and it is the same run every time.

use kubesim::checks::Checks;
use kubesim::cluster::digest::Digest;
use kubesim::cluster::{self, Cluster, Options};
use kubesim::report::terminal;
use kubesim::scenario::Scenario;
use kubesim::scenario::load::load;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The fingerprint of every scenario with its own seed. It changes only with a commit that says why;
/// `UPDATE=1 cargo test fingerprints` writes it anew.
const FINGERPRINTS: &str = "tests/golden/fingerprints.txt";

pub fn scenario_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("scenarios")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 4, "the shipped scenarios are missing");
    files
}

pub fn read(path: &Path) -> Scenario {
    let text = fs::read_to_string(path).unwrap();
    let name = path.to_string_lossy();
    load(&name, &text, &[], &kubesim::cli::files::Folder::of(&name)).unwrap_or_else(|error| panic!("{error}"))
}

/// The large scenario of the benches with a hundredth of its nodes and pods, and what it expects of them.
fn hundredth() -> Scenario {
    let text = fs::read_to_string("benches/large.yaml").unwrap();
    let text = text.replace("count: 5000", "count: 50").replace("replicas: 1000", "replicas: 10");
    let text = text.replace("== 1000", "== 10");
    load("large.yaml", &text, &[], &kubesim::cli::files::Folder::of("benches/large.yaml")).unwrap()
}

fn fingerprint(scenario: &Scenario, options: &Options) -> String {
    let digest = Digest::default();
    let mut cluster = Cluster::new(scenario, options, vec![Box::new(digest.clone())]).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    digest.0.take().to_string()
}

#[test]
fn every_scenario_meets_its_expectations() {
    for path in scenario_files() {
        let scenario = read(&path);
        let options = Options { checks: Checks::All, ..Options::of(&scenario) };
        let (outcome, stop) = cluster::run(&scenario, &options, &mut |_, _| true).unwrap();
        assert_eq!(stop, None, "{}", path.display());
        assert_eq!(outcome.violations, Vec::<String>::new(), "{}", path.display());
        let failed: Vec<_> = outcome.expectations.iter().filter(|one| !one.passed).collect();
        assert!(failed.is_empty(), "{}: {failed:#?}", path.display());
        assert!(!outcome.expectations.is_empty(), "{} expects nothing", path.display());
        let report = anstream::adapter::strip_str(&terminal::render(&outcome)).to_string();
        let wide: Vec<&str> = report.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(wide, Vec::<&str>::new(), "{}: the report keeps to 80 columns", path.display());
    }
}

#[test]
fn the_large_cluster_in_small_is_sound() {
    let scenario = hundredth();
    let (outcome, _) = cluster::run(&scenario, &Options::of(&scenario), &mut |_, _| true).unwrap();
    assert!(outcome.passed() && outcome.violations.is_empty(), "{:#?}", outcome.expectations);
    let running = outcome.record.pods.iter().filter(|pod| pod.phase() == kubesim::model::Phase::Running).count();
    assert_eq!((outcome.record.nodes.iter().filter(|node| !node.control_plane).count(), running), (50, 1500));
}

#[test]
fn shortcuts_change_nothing() {
    for path in scenario_files() {
        let scenario = read(&path);
        for seed in [scenario.seed, 99] {
            let plain = Options { seed: kubesim::rng::Seed(seed), ..Options::of(&scenario) };
            let eager = Options { eager: true, ..plain.clone() };
            assert_eq!(
                fingerprint(&scenario, &plain),
                fingerprint(&scenario, &eager),
                "{} seed {seed}",
                path.display()
            );
        }
    }
}

#[test]
fn observers_and_threads_change_nothing() {
    for path in scenario_files() {
        let scenario = read(&path);
        let alone = fingerprint(&scenario, &Options::of(&scenario));
        for checks in [Checks::All, Checks::Cheap, Checks::Off] {
            let options = Options { checks, ..Options::of(&scenario) };
            let (observed, _) = cluster::run(&scenario, &options, &mut |_, _| true).unwrap();
            assert_eq!(alone, observed.fingerprint, "{}: with metrics and checks {checks:?}", path.display());
        }
        let copies: Vec<String> = std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..8).map(|_| scope.spawn(|| fingerprint(&scenario, &Options::of(&scenario)))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(copies.iter().all(|copy| *copy == alone), "{}: in eight threads", path.display());
    }
}

#[test]
fn seeds_make_different_runs() {
    let scenario = read(Path::new("scenarios/hello.yaml"));
    let with = |seed| fingerprint(&scenario, &Options { seed: kubesim::rng::Seed(seed), ..Options::of(&scenario) });
    assert_ne!(with(1), with(2));
}

#[test]
fn fingerprints_are_the_recorded_ones() {
    let line = |path: &PathBuf| {
        let scenario = read(path);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        format!("{name} seed {} {}\n", scenario.seed, fingerprint(&scenario, &Options::of(&scenario)))
    };
    let mut now: String = scenario_files().iter().map(line).collect();
    let small = hundredth();
    writeln!(now, "benches/large.yaml at 1/100 {}", fingerprint(&small, &Options::of(&small))).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(FINGERPRINTS, &now).unwrap();
    }
    let recorded = fs::read_to_string(FINGERPRINTS).unwrap_or_default();
    assert_eq!(now, recorded, "a changed run needs a reason in its commit; UPDATE=1 writes {FINGERPRINTS}");
}
