//! What the README shows is what the program prints. `UPDATE=1 cargo test readme` writes both anew.

use kubesim::cluster::{self, Options};
use kubesim::outcome::Outcome;
use kubesim::report::{files, terminal};
use kubesim::scenario::load::load;
use std::fs;
use std::path::Path;

const FILE: &str = "scenarios/node-failure.yaml";
const BEFORE: &str = "The first prints this:\n\n```text\n";
const AFTER: &str = "\n```\n";

fn outcome() -> Outcome {
    let text = fs::read_to_string(FILE).unwrap();
    let scenario = load(FILE, &text, &[], &kubesim::cli::files::Folder::of(FILE)).unwrap();
    cluster::run(&scenario, &Options::of(&scenario), &mut |_, _| true).unwrap().0
}

fn update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

#[test]
fn readme_shows_the_real_report() {
    let report = anstream::adapter::strip_str(&terminal::render(&outcome())).to_string();
    let readme = fs::read_to_string("README.md").unwrap();
    let (head, rest) = readme.split_once(BEFORE).expect("the README introduces the report");
    let (shown, tail) = rest.split_once(AFTER).expect("the report is in a block of its own");
    if update() {
        fs::write("README.md", format!("{head}{BEFORE}{}{AFTER}{tail}", report.trim_end())).unwrap();
    } else {
        assert_eq!(shown, report.trim_end(), "UPDATE=1 writes it");
    }
    let wide = report.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "the report keeps to 80 columns");
}

#[test]
fn readme_links_to_the_real_result() {
    let folder = Path::new("results/node-failure");
    for (name, body) in files::contents(&outcome()) {
        let mut bytes = Vec::new();
        body(&mut bytes).unwrap();
        let path = folder.join(&name);
        if ["summary.json", "replicas.svg", "recovery.svg"].contains(&name.as_str()) {
            if update() {
                fs::create_dir_all(folder).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            assert!(fs::read(&path).unwrap_or_default() == bytes, "{} is not what the run writes", path.display());
        }
    }
}
