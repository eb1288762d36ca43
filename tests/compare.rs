//! Strategies side by side: common random numbers, threads, verdicts, and the command.

use kubesim::experiment::{self, Comparison, Plan, Run, Verdict, Watch};
use kubesim::report::{compare, csv};
use kubesim::scenario::Scenario;
use kubesim::scheduler::strategies::find;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

const WATCH: Watch<'_> = Watch { go_on: &|| true, finished: &|| {} };

fn plan<'a>(scenario: &'a Scenario, strategies: &[&str], seeds: u64, jobs: usize) -> Plan<'a> {
    Plan {
        scenario,
        strategies: strategies.iter().map(|name| find(name).unwrap()).collect(),
        seeds: (1..=seeds).collect(),
        jobs: NonZeroUsize::new(jobs),
    }
}

fn scenario() -> Scenario {
    crate::runs::read(Path::new("scenarios/strategies.yaml"))
}

#[test]
fn threads_change_nothing() {
    let scenario = scenario();
    let with = |jobs| {
        let plan = plan(&scenario, &["default", "most-allocated"], 4, jobs);
        let runs = experiment::run(&plan, &WATCH).unwrap();
        let comparison = Comparison::of(&plan, &runs);
        (runs, compare::json(&comparison), csv::text(|out| compare::csv(&comparison, out)))
    };
    let one = with(1);
    assert_eq!(one, with(2));
    let order: Vec<(usize, u64)> = one.0.iter().map(|run: &Run| (run.strategy, run.seed)).collect();
    assert_eq!(order[..4], [(0, 1), (1, 1), (0, 2), (1, 2)]);
}

#[test]
fn packing_leaves_room_for_large_pods_and_spreading_does_not() {
    let scenario = scenario();
    let plan = plan(&scenario, &["default", "most-allocated"], 8, 2);
    let comparison = Comparison::of(&plan, &experiment::run(&plan, &WATCH).unwrap());
    let verdict = |id: &str| {
        let row = comparison.rows.iter().find(|row| row.measure.id == id);
        row.map(|row| row.differences[0].verdict)
    };
    // (measure, verdict on most-allocated against default)
    let table = [
        ("unscheduled_at_end", Some(Verdict::Better)),
        ("fragmentation_cpu", Some(Verdict::Better)),
        ("packing_cpu", Some(Verdict::Better)),
        ("cost_in_use", Some(Verdict::Better)),
        ("imbalance_cpu", Some(Verdict::Worse)),
        ("cost", Some(Verdict::Equal)),
        ("preemptions", Some(Verdict::Equal)),
    ];
    for (id, expected) in table {
        assert_eq!(verdict(id), expected, "{id}\n{}", compare::render(&comparison));
    }
    let text = anstream::adapter::strip_str(&compare::render(&comparison)).to_string();
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    let names: Vec<String> = compare::contents(&comparison).into_iter().map(|content| content.0).collect();
    for name in ["comparison.json", "runs.csv", "means.svg", "means.png", "differences.svg"] {
        assert!(names.iter().any(|have| have == name), "{name}: {names:?}");
    }
}

#[test]
fn a_strategy_against_itself_shows_nothing() {
    let scenario = scenario();
    let plan = Plan { strategies: vec![find("default").unwrap(); 2], ..plan(&scenario, &[], 2, 2) };
    let runs = experiment::run(&plan, &WATCH).unwrap();
    assert!(runs.chunks(2).all(|pair| pair[0].fingerprint == pair[1].fingerprint), "one seed is one run");
    assert!(Comparison::of(&plan, &runs).rows.iter().all(experiment::Row::equal));
}

#[test]
fn an_interruption_ends_a_sweep() {
    let scenario = scenario();
    let finished = AtomicUsize::new(0);
    let count = || {
        finished.fetch_add(1, Ordering::SeqCst);
    };
    let watch = Watch { go_on: &|| finished.load(Ordering::SeqCst) < 2, finished: &count };
    let error = experiment::run(&plan(&scenario, &["default", "most-allocated"], 10, 1), &watch).unwrap_err();
    assert_eq!(error.exit_code(), 130);
    assert_eq!(finished.load(Ordering::SeqCst), 2);
}

#[test]
fn the_command_compares_and_explains_wrong_input() {
    let folder = std::env::temp_dir().join(format!("kubesim-compare-{}", std::process::id()));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        let output = command.arg("compare").arg("scenarios/hello.yaml").args(arguments).arg("--out").arg(&folder);
        let output = output.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let two = ["--strategy", "default", "--strategy", "most-allocated"];
    // (more arguments, exit code, part of standard output, part of standard error)
    let table: [(&[&str], i32, &str, &str); 7] = [
        (&["--strategy", "default", "--strategy", "most-alocated"], 2, "", "did you mean `most-allocated`?"),
        (&["--strategy", "default"], 2, "", "needs two strategies"),
        (&["--strategy", "default", "--strategy", "default"], 2, "", "given twice"),
        (&[two[0], two[1], two[2], two[3], "--seeds", "0"], 2, "", "expected between 1 and"),
        (&[two[0], two[1], two[2], two[3], "--seeds", "2"], 0, "hello: 2 strategies × 2 seeds", "4 runs in"),
        (&[two[0], two[1], two[2], two[3], "--seeds", "2", "-o", "json"], 0, "\"schemaVersion\": 1", ""),
        (
            &[two[0], two[1], two[2], two[3], "--seeds", "5..6", "-o", "csv"],
            0,
            "hello,5,most-allocated,packing_cpu,share,",
            "",
        ),
    ];
    for (arguments, code, out, error) in table {
        let (status, stdout, stderr) = run(arguments);
        assert_eq!(status, Some(code), "{arguments:?}: {stderr}");
        assert!(stdout.contains(out), "{arguments:?}: {stdout}");
        assert!(stderr.contains(error), "{arguments:?}: {stderr}");
    }
    assert!(folder.join("comparison.json").exists());
    std::fs::remove_dir_all(folder).unwrap();
}
