//! The program as a person runs it: exit codes and streams.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn sim(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn exit_codes_are_as_documented() {
    // (arguments, exit code, part of standard output, part of standard error)
    let table: &[(&[&str], i32, &str, &str)] = &[
        (&["validate", "scenarios/hello.yaml", "scenarios/manifests/web.yaml"], 0, "hello.yaml: ok (3 nodes", ""),
        (
            &["validate", "tests/bad/scenarios/07-unknown-node.yaml"],
            2,
            "",
            "07-unknown-node.yaml:9:21: error: timeline[0]",
        ),
        (&["validate", "tests/bad/manifests/03-wrong-type.yaml"], 2, "", "spec.replicas: expected a whole number"),
        (&["validate", "no-such-file.yaml"], 4, "", "error: no-such-file.yaml: No such file or directory"),
        (&["run", "scenarios/hello.yaml", "--set", "cluster.pool=3"], 2, "", "did you mean `pools`?"),
        (&["run", "scenarios/hello.yaml", "--set", "limits.maxObjects=1"], 3, "", "limit `maxObjects` (1) reached"),
        (&["run", "scenarios/hello.yaml", "--until=-5s"], 2, "", "it must be positive"),
        (&["run", "scenarios/hello.yaml", "--out", "Cargo.toml", "-q"], 4, "", "Cargo.toml: is a file, not a folder"),
        (&["run", "scenarios/hello.yaml", "--set", "seed=18446744073709551616"], 2, "", "found one beyond 64 bits"),
        (&["validate"], 2, "", "required arguments were not provided"),
        (&["simulate"], 2, "", "unrecognized subcommand"),
        (&["--help"], 0, "130  interrupted", ""),
        (&["schema"], 0, "\"$schema\"", ""),
        (&["completions", "bash"], 0, "complete -F _sim", ""),
        (&["man"], 0, ".TH sim 1", ""),
    ];
    for (arguments, code, out, error) in table {
        let output = sim(arguments, "");
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains(out), "{arguments:?}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains(error), "{arguments:?}: {}", text(&output.stderr));
    }
}

/// One fault a second for an hour: whatever happens so often, the limit of events ends it.
#[test]
fn a_storm_of_faults_stops_at_the_limit() {
    let scenario = "name: storm\nduration: 1h\nlimits: {maxEvents: 2000}\ncluster: {pools: [{name: w, count: 1}]}\n\
                    faults: [{every: {exponential: 1s}, slowNode: {pool: w, cpu: 50%}}]\n";
    let out = std::env::temp_dir().join(format!("kubesim-storm-{}", std::process::id()));
    let output = sim(&["run", "-", "--quiet", "--out", &out.to_string_lossy()], scenario);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("limit `maxEvents` (2000) reached"), "{}", text(&output.stderr));
    let _ = std::fs::remove_dir_all(out);
}

#[test]
fn standard_input_is_a_file() {
    let output = sim(&["validate", "-"], "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
    assert_eq!(text(&output.stdout), "<stdin>: ok (1 object)\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_closed_pipe_is_success() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    let mut child = command.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Nobody reads: the schema is longer than a pipe holds only on some systems, so the pipe is closed first.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// 3 CPUs asked for, 2 there: an attempt is explained, with and without what would let the pod in.
#[test]
fn explain_says_what_would_let_a_pod_in() {
    let scenario = "name: x\nduration: 1s\ncluster: {pools: [{name: small, count: 1, capacity: {cpu: 2}}]}\nmanifests:\n  \
                    inline:\n  - {apiVersion: v1, kind: Pod, metadata: {name: big}, spec: {containers: [{name: c, image: \
                    i, resources: {requests: {cpu: 3}}}]}}\n";
    let lower = "lower the cpu request of container c from 3 to 2";
    let table: &[(&[&str], bool, bool)] = &[
        (&["explain", "-", "--pod", "big"], true, false),
        (&["explain", "-", "--pod", "big", "--what-if"], true, true),
        (&["explain", "-", "--pod", "big", "--output", "json"], true, false),
        (&["explain", "-", "--pod", "big", "--what-if", "--output", "json"], true, true),
        (&["explain", "-", "--pod", "bog", "--what-if"], false, false),
    ];
    for (arguments, known, named) in table {
        let output = sim(arguments, scenario);
        assert_eq!(output.status.code(), Some(if *known { 0 } else { 2 }), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout).contains(lower), *named, "{arguments:?}: {}", text(&output.stdout));
        if arguments.contains(&"json") {
            let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let changes = &value["attempts"][0]["whatIf"]["changes"];
            assert_eq!(changes[0]["change"] == lower, *named, "{value}");
            assert_eq!(value["attempts"][0]["node"], serde_json::Value::Null);
        }
    }
}
