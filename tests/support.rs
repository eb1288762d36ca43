//! What several test files share: where the recordings are and how to read them.

use kubesim::model::core::Namespace;
use kubesim::model::{Meta, Resource};
use kubesim::rng::Seed;
use kubesim::scenario::load::SourceFiles;
use kubesim::store::{Store, Write};
use kubesim::time::SimTime;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder of recordings: `KUBESIM_GOLDEN`, or the copy that the project keeps.
pub fn golden_dir() -> PathBuf {
    #[allow(clippy::disallowed_methods, reason = "which recordings to test against is the tester's choice")]
    let chosen = std::env::var("KUBESIM_GOLDEN");
    chosen.map_or_else(|_| PathBuf::from("tests/golden"), PathBuf::from)
}

/// The lines of a compressed file of JSON lines.
pub fn read_jsonl_gz(path: &Path) -> Vec<Value> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The compressed recordings of one subfolder, sorted by name; none if it is not there.
pub fn golden_files(subfolder: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(golden_dir().join(subfolder)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".jsonl.gz"));
    files.sort();
    files
}

/// No files beside a scenario.
pub struct NoFiles;

impl SourceFiles for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("{path} is not there"))
    }
    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A store with the namespace `default`.
pub fn store() -> Store {
    let mut store = Store::new(Seed(1), Default::default());
    let meta = Meta::named("", "default");
    let namespace = Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() };
    store.commit(SimTime::ZERO, Write::Create(namespace.into_object()), "test").unwrap();
    store
}
