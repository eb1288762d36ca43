//! Every scenario of the repository loads, and the schema beside them is current.

use kubesim::cli::files::Folder;
use kubesim::scenario::{load::load, schema::schema};

#[test]
fn every_scenario_loads() {
    for (folder, schema) in [("scenarios", "scenario.schema.json"), ("benches", "../scenarios/scenario.schema.json")] {
        every_scenario_of(folder, schema);
    }
}

fn every_scenario_of(folder: &str, schema: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let (name, text) = (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
            let loaded = load(&name, &text, &[], &Folder::of(&name)).map_err(|error| error.to_string());
            let scenario = loaded.unwrap_or_else(|error| panic!("{error}"));
            assert!(!scenario.manifests.objects.is_empty() || !scenario.timeline.is_empty(), "{name}");
            let first = format!("# yaml-language-server: $schema={schema}");
            assert_eq!(text.lines().next(), Some(first.as_str()), "{name}");
        }
    }
}

/// `UPDATE=1 cargo test schema_is_current` writes it.
#[test]
fn schema_is_current() {
    let path = "scenarios/scenario.schema.json";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, schema()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == schema(), "{path} is out of date; run `cargo run -- schema > {path}`");
}
