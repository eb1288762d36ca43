//! One recorded timeline: a folder with `params.json`, `marks.csv`, `manifests.yaml` and `changes.csv`
//! (or `changes.csv.gz`).

use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the driver of a recording did or saw, `t` seconds after the recording's zero.
#[derive(Clone, Debug)]
pub struct Mark {
    pub t: f64,
    pub mark: String,
    pub detail: String,
}

/// One changed field of one object. A deletion, and the first row of an addition, have no field.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub t: f64,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub op: Op,
    pub field: String,
    pub old: String,
    pub new: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Add,
    Modify,
    Delete,
}

impl Row {
    /// Whether it is a change of `field` of an object of `kind`.
    pub fn is(&self, kind: &str, field: &str) -> bool {
        self.kind == kind && self.field == field && self.op != Op::Delete
    }

    /// Whether it says that an object of `kind` appeared or vanished.
    pub fn whole(&self, kind: &str, op: Op) -> bool {
        self.kind == kind && self.op == op && self.field.is_empty()
    }
}

/// What kind of scenario a folder holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scenario {
    NodeCrash,
    Rollout,
    Deletion,
    Jobs,
    StatefulSet,
    Autoscaling,
    ZoneOutage,
    Preemption,
    ControlPlane,
}

/// A folder.
#[derive(Debug)]
pub struct Recording {
    pub name: String,
    pub scenario: Scenario,
    pub params: Value,
    pub marks: Vec<Mark>,
    pub rows: Vec<Row>,
    /// The documents as sent.
    pub manifests: Vec<Value>,
}

/// The folder with recordings: `$KUBESIM_GOLDEN/timelines`, or the project's own.
pub fn folder() -> PathBuf {
    let root = std::env::var_os("KUBESIM_GOLDEN").map_or_else(|| PathBuf::from("tests/golden"), PathBuf::from);
    root.join("timelines")
}

/// All recordings of a known kind, by name; the others are named on the way.
pub fn all() -> Vec<Recording> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths.iter().filter_map(|path| read(path)).collect()
}

/// Reads one folder, if its kind is known: by the beginning of its name and by what its marks say.
fn read(path: &Path) -> Option<Recording> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = |file: &str| std::fs::read_to_string(path.join(file)).ok();
    let (Some(params), Some(marks), Some(manifests), Some(changes)) =
        (text("params.json"), text("marks.csv"), text("manifests.yaml"), changes(path))
    else {
        println!("{name}: skipped, a file is missing");
        return None;
    };
    let marks = read_marks(&marks);
    let has = |wanted: &str| marks.iter().any(|mark| mark.mark == wanted);
    let scenario = match name.as_str() {
        name if name.starts_with("node-crash") && has("crash") => Scenario::NodeCrash,
        name if name.starts_with("zone-outage") && has("down-one-zone") => Scenario::ZoneOutage,
        name if name.starts_with("control-plane-failures") && has("kill-leader") => Scenario::ControlPlane,
        name if name.starts_with("preempt") && has("create-high-single") => Scenario::Preemption,
        name if name.starts_with("rollout") && has("create") => Scenario::Rollout,
        name if name.starts_with("deletion") && has("delete-namespace") => Scenario::Deletion,
        name if name.starts_with("jobs") && has("suspend") => Scenario::Jobs,
        name if name.starts_with("hpa") && has("create-hpa") => Scenario::Autoscaling,
        name if name.starts_with("statefulset") && has("create") => Scenario::StatefulSet,
        _ => {
            println!("{name}: skipped, not a kind of timeline that is replayed yet");
            return None;
        }
    };
    Some(Recording {
        params: serde_json::from_str(&params).unwrap_or_else(|error| panic!("{name}/params.json: {error}")),
        manifests: documents(&manifests),
        rows: read_rows(&changes),
        name,
        scenario,
        marks,
    })
}

pub fn changes(path: &Path) -> Option<String> {
    packed(&path.join("changes.csv"))
}

/// The text of a file that may be kept compressed beside its name.
fn packed(plain: &Path) -> Option<String> {
    if plain.exists() {
        return std::fs::read_to_string(plain).ok();
    }
    let mut text = String::new();
    let packed = PathBuf::from(format!("{}.gz", plain.display()));
    flate2::read::GzDecoder::new(File::open(packed).ok()?).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The rows of a table.
pub fn table(path: &Path) -> Option<Vec<csv::StringRecord>> {
    let text = packed(path)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    Some(reader.records().map(|row| row.unwrap()).collect())
}

pub fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize;
    let documents = serde_yaml::Deserializer::from_str(text).map(|one| Value::deserialize(one).unwrap());
    documents.filter(|value| !value.is_null()).collect()
}

pub fn read_marks(text: &str) -> Vec<Mark> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| Mark { t: row[0].parse().unwrap(), mark: row[1].to_string(), detail: row[2].to_string() }).collect()
}

pub fn read_rows(text: &str) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let mut rows: Vec<Row> = reader.records().map(|row| read_row(&row.unwrap())).collect();
    // Watches of different kinds arrive on their own; rows of one object are already in order.
    rows.sort_by(|a, b| a.t.total_cmp(&b.t));
    rows
}

fn read_row(row: &csv::StringRecord) -> Row {
    let text = |at: usize| row.get(at).unwrap_or_default().to_string();
    Row {
        t: text(0).parse().unwrap(),
        kind: text(1),
        namespace: text(2),
        name: text(3),
        op: match &row[4] {
            "ADD" => Op::Add,
            "MOD" => Op::Modify,
            "DEL" => Op::Delete,
            other => panic!("unknown op {other}"),
        },
        field: text(5),
        old: text(6),
        new: text(7),
    }
}

impl Recording {
    /// When the first object of `kind` and `name` appeared.
    pub fn added(&self, kind: &str, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.whole(kind, Op::Add) && row.name == name).map(|row| row.t)
    }
}
