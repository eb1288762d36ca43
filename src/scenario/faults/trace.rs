//! Failures as they were recorded: a file says when which machine failed, and how long.
//!
//! ```yaml
//! faults:
//! - trace: failures.csv                                            # the form below
//!   nodeCrash: {pool: worker, reboot: true}
//! - trace: {file: lanl.csv, format: lanl, system: 20, start: 365d}  # LANL's failure data, from its second year on
//!   nodeCrash: {pool: worker}
//! - trace: {file: machine_events.csv, format: google, speed: 60}   # an hour of the trace in a minute
//!   nodeCrash: {pool: worker}
//! ```
//!
//! The form `csv` has a header and these columns, in any order: `start`; `end` or `duration` (empty for never); `node` (a
//! name) or `index` (the n-th of the fault's machines, from 0, counted round). Times are seconds since the start of the
//! run, or lengths such as `1h30m`. Without `node` and `index` the fault chooses by itself.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::super::cluster::Cluster;
use super::super::units::Duration;
use super::rule::MAX_OCCURRENCES;
use crate::error::{Place, Problem, those_there_are};
use crate::time::SimDuration;

/// A trace and what of it is used.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trace {
    /// Where it stands.
    pub options: TraceOptions,
    /// What it says, once it was read: in order of time.
    pub rows: Vec<Row>,
}

/// Which file, and what of it is used.
#[derive(Clone, PartialEq, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TraceOptions {
    /// The file, relative to the scenario.
    pub file: String,
    /// Its form.
    pub format: Format,
    /// Of LANL's data: which system.
    pub system: Option<u32>,
    /// The moment of the trace at which the run begins.
    pub start: Option<Duration>,
    /// So many times faster than recorded; repairs, too. Default 1.
    pub speed: Option<f64>,
}

/// The form of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// A header, and the columns start, end or duration, node or index.
    #[default]
    Csv,
    /// The failure data of Los Alamos National Laboratory (LA-UR-05-7318).
    Lanl,
    /// `machine_events` of the Google cluster trace of 2011: removals are failures, additions repairs.
    Google,
}

/// One failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// When, from the start of the run.
    pub at: SimDuration,
    /// How long; for ever if absent.
    pub lasts: Option<SimDuration>,
    /// Whom.
    pub whom: Whom,
    /// The line of the file that tells it.
    pub line: u64,
}

/// Whom a failure of a trace hits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whom {
    /// Whom the fault chooses.
    Any,
    /// The machine of this name.
    Name(String),
    /// The n-th of the fault's machines, counted round.
    Index(u32),
}

impl<'de> Deserialize<'de> for Trace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TraceVisitor;
        impl<'de> Visitor<'de> for TraceVisitor {
            type Value = Trace;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a file; write failures.csv or {file: failures.csv, speed: 60}")
            }
            fn visit_str<E: de::Error>(self, file: &str) -> Result<Trace, E> {
                let options = TraceOptions { file: file.to_string(), ..TraceOptions::default() };
                Ok(Trace { options, rows: Vec::new() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Trace, A::Error> {
                let options = TraceOptions::deserialize(de::value::MapAccessDeserializer::new(map))?;
                match options.file.is_empty() {
                    true => Err(de::Error::custom("missing field `file`; write {file: failures.csv}")),
                    false => Ok(Trace { options, rows: Vec::new() }),
                }
            }
        }
        deserializer.deserialize_any(TraceVisitor)
    }
}

impl JsonSchema for Trace {
    fn schema_name() -> Cow<'static, str> {
        "Trace".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let options = generator.subschema_for::<TraceOptions>();
        json_schema!({
            "description": "Recorded failures: a file in the form of docs/faults.md, or a file with options.",
            "anyOf": [{ "type": "string" }, options],
        })
    }
}

/// A failure as the file tells it, in seconds of the trace.
struct Told {
    at: f64,
    lasts: Option<f64>,
    whom: Whom,
    line: u64,
}

impl Trace {
    /// Takes what the file says.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        let told = match self.options.format {
            Format::Csv => csv_rows(text)?,
            Format::Lanl => lanl_rows(text, self.options.system)?,
            Format::Google => google_rows(text)?,
        };
        let start = self.options.start.map_or(0.0, |start| start.0.as_secs_f64());
        let speed = self.options.speed.unwrap_or(1.0);
        if !(speed > 0.0 && speed.is_finite()) {
            return Err(format!("the speed {speed} is not positive"));
        }
        let length = |seconds: f64| SimDuration::from_secs_f64(seconds / speed);
        let kept = told.into_iter().filter(|row| row.at >= start);
        self.rows = kept
            .map(|row| Row { at: length(row.at - start), lasts: row.lasts.map(length), whom: row.whom, line: row.line })
            .take(MAX_OCCURRENCES)
            .collect();
        self.rows.sort_by_key(|row| row.at);
        match self.rows.is_empty() {
            true => Err("no failure in it, or none after `start`".to_string()),
            false => Ok(()),
        }
    }
}

/// Problems shown of one file: the rest is mostly the same again.
const SHOWN: usize = 5;

impl Trace {
    /// The nodes that it names and that a cluster does not have at the start, each once.
    pub fn strangers(&self, file: &str, text: &str, cluster: &Cluster) -> Vec<Problem> {
        let (mut seen, mut problems, mut known) = (BTreeSet::new(), Vec::new(), None);
        for row in &self.rows {
            let Whom::Name(name) = &row.whom else { continue };
            if problems.len() == SHOWN || cluster.has_node(name) || !seen.insert(name.as_str()) {
                continue;
            }
            let known = known.get_or_insert_with(|| cluster.node_names());
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let line = usize::try_from(row.line).unwrap_or(1).max(1);
            let source_line = text.lines().nth(line - 1).unwrap_or_default().to_string();
            let before = source_line.find(name.as_str()).map_or(0, |at| source_line[..at].chars().count());
            let width = name.chars().count().max(1);
            problems.push(Problem {
                place: Some(Place { file: file.to_string(), line, column: before + 1, width, source_line }),
                path: "node".to_string(),
                message: format!("unknown node {name:?}"),
                help: Some(those_there_are("node", name, &known)),
            });
        }
        problems
    }
}

/// The names of the columns, and the records with their lines.
type Sheet = (Vec<String>, Vec<(u64, csv::StringRecord)>);

/// Reads a CSV file.
fn records(text: &str, headers: bool) -> Result<Sheet, String> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(headers).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = match headers {
        true => reader.headers().map_err(|why| why.to_string())?.iter().map(str::to_lowercase).collect(),
        false => Vec::new(),
    };
    let rows: Result<Vec<_>, String> = reader
        .records()
        .map(|record| {
            let record = record.map_err(|why| why.to_string())?;
            Ok((record.position().map_or(0, csv::Position::line), record))
        })
        .collect();
    Ok((header, rows?))
}

/// Seconds, or a length such as `1h30m`; not more than virtual time can count.
fn time(text: &str) -> Option<f64> {
    const MOST: f64 = 9e9;
    let seconds = text.parse::<f64>().ok().or_else(|| SimDuration::parse(text).ok().map(SimDuration::as_secs_f64));
    seconds.filter(|seconds| seconds.abs() <= MOST)
}

fn csv_rows(text: &str) -> Result<Vec<Told>, String> {
    let (header, records) = records(text, true)?;
    let column = |name: &str| header.iter().position(|have| have == name);
    let known = ["start", "end", "duration", "node", "index"];
    if let Some(strange) = header.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("line 1: unknown column {strange:?}; the columns are {}", known.join(", ")));
    }
    if let Some((_, twice)) = header.iter().enumerate().find(|(at, name)| header[..*at].contains(name)) {
        return Err(format!("line 1: two columns are called {twice:?}"));
    }
    let Some(start) = column("start") else { return Err("line 1: no column `start`".to_string()) };
    let (end, duration, node, index) = (column("end"), column("duration"), column("node"), column("index"));
    let mut rows = Vec::new();
    for (line, record) in records {
        let cell = |at: Option<usize>| at.and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        let read = |at: Option<usize>| {
            cell(at).map(|text| time(text).ok_or(format!("line {line}: cannot read the time {text:?}"))).transpose()
        };
        let at = read(Some(start))?.ok_or(format!("line {line}: no start"))?;
        let lasts = match (read(end)?, read(duration)?) {
            (Some(_), Some(_)) => return Err(format!("line {line}: both `end` and `duration`; fill one of them")),
            (Some(end), None) => Some(end - at),
            (None, length) => length,
        };
        if at < 0.0 {
            return Err(format!("line {line}: it begins before the run"));
        }
        if lasts.is_some_and(|lasts| lasts <= 0.0) {
            return Err(format!("line {line}: it ends before it begins"));
        }
        let whom = match (cell(node), cell(index)) {
            (Some(_), Some(_)) => return Err(format!("line {line}: both `node` and `index`; fill one of them")),
            (Some(name), None) => Whom::Name(name.to_string()),
            (None, Some(index)) => {
                Whom::Index(index.parse().map_err(|_| format!("line {line}: cannot read the index {index:?}"))?)
            }
            (None, None) => Whom::Any,
        };
        rows.push(Told { at, lasts, whom, line });
    }
    Ok(rows)
}

/// Minutes since the year 0 of `m/d/yyyy h:mm`.
fn minutes(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once(' ')?;
    let mut date = date.split('/').map(|part| part.parse::<i64>().ok());
    let (month, day, year) = (date.next()??, date.next()??, date.next()??);
    let (hour, minute) = clock.trim().split_once(':')?;
    // Days by months counted from March: the leap day is the last of the year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some((days * 24 + hour.parse::<i64>().ok()?) * 60 + minute.get(..2)?.parse::<i64>().ok()?)
}

fn lanl_rows(text: &str, system: Option<u32>) -> Result<Vec<Told>, String> {
    let (header, records) = records(text, true)?;
    let column = |name: &str| {
        let found = header.iter().position(|have| have == name);
        found.ok_or(format!("line 1: no column {name:?}; is this LANL's failure data?"))
    };
    let (of, node) = (column("system")?, column("nodenumz")?);
    let (started, fixed) = (column("prob started")?, column("prob fixed")?);
    let mut rows = Vec::new();
    for (line, record) in records {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        if system.is_some_and(|system| cell(of).parse() != Ok(system)) {
            continue;
        }
        let read = |at: usize| minutes(cell(at)).ok_or(format!("line {line}: cannot read the time {:?}", cell(at)));
        let (from, to) = (read(started)?, read(fixed)?);
        let index = cell(node).parse().map_err(|_| format!("line {line}: cannot read the node {:?}", cell(node)))?;
        // What was repaired within its minute took half of it.
        let lasts = if to > from { (to - from) as f64 * 60.0 } else { 30.0 };
        rows.push((from, Told { at: 0.0, lasts: Some(lasts), whom: Whom::Index(index), line }));
    }
    let first = rows.iter().map(|(from, _)| *from).min().unwrap_or(0);
    Ok(rows.into_iter().map(|(from, row)| Told { at: (from - first) as f64 * 60.0, ..row }).collect())
}

fn google_rows(text: &str) -> Result<Vec<Told>, String> {
    let (_, records) = records(text, false)?;
    let mut machines: BTreeMap<String, u32> = BTreeMap::new();
    let mut down: BTreeMap<u32, usize> = BTreeMap::new();
    let mut rows: Vec<Told> = Vec::new();
    for (line, record) in records {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let micros: u64 = cell(0).parse().map_err(|_| format!("line {line}: cannot read the time {:?}", cell(0)))?;
        let at = micros as f64 / 1e6;
        let next = machines.len() as u32;
        let index = *machines.entry(cell(1).to_string()).or_insert(next);
        match cell(2) {
            // Added: repaired, if it was there before.
            "0" => {
                if let Some(row) = down.remove(&index) {
                    rows[row].lasts = Some((at - rows[row].at).max(1.0));
                }
            }
            "1" => {
                down.insert(index, rows.len());
                rows.push(Told { at, lasts: None, whom: Whom::Index(index), line });
            }
            "2" => {}
            other => return Err(format!("line {line}: cannot read the event {other:?}; expected 0, 1 or 2")),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, system: Option<u32>, text: &str) -> Result<Vec<(f64, Option<f64>, Whom)>, String> {
        let options = TraceOptions { format, system, ..TraceOptions::default() };
        let mut trace = Trace { options, rows: Vec::new() };
        trace.read(text)?;
        let row = |row: Row| (row.at.as_secs_f64(), row.lasts.map(SimDuration::as_secs_f64), row.whom);
        Ok(trace.rows.into_iter().map(row).collect())
    }

    #[test]
    fn traces_are_read_in_three_forms() {
        let own = "start,duration,node\n1m,30s,a\n10,,b\n";
        let expected = vec![(10.0, None, Whom::Name("b".into())), (60.0, Some(30.0), Whom::Name("a".into()))];
        assert_eq!(read(Format::Csv, None, own), Ok(expected));
        let own = "index,start,end\n7,5,2m5s\n,20,30\n";
        assert_eq!(
            read(Format::Csv, None, own),
            Ok(vec![(5.0, Some(120.0), Whom::Index(7)), (20.0, Some(10.0), Whom::Any)])
        );
        // From 12/31/1999 23:30 it is 45 minutes to 1/1/2000 0:15, and 31 + 29 days to 2/29/2000 23:30.
        let lanl = "System,nodenumz,Prob Started,Prob Fixed\n20,3,12/31/1999 23:30,1/1/2000 0:15\n\
                    2,1,1/1/2000 0:00,1/1/2000 0:10\n20,5,2/29/2000 23:30,3/1/2000 0:30\n";
        let rows = vec![(0.0, Some(45.0 * 60.0), Whom::Index(3)), (60.0 * 86_400.0, Some(3600.0), Whom::Index(5))];
        assert_eq!(read(Format::Lanl, Some(20), lanl), Ok(rows));
        let google = "0,5,0,x,0.5,0.5\n0,9,0,x,0.5,0.5\n3000000,9,1,x,,\n9000000,9,0,x,0.5,0.5\n10000000,5,1,x,,\n";
        let rows = vec![(3.0, Some(6.0), Whom::Index(1)), (10.0, None, Whom::Index(0))];
        assert_eq!(read(Format::Google, None, google), Ok(rows));
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        let table = [
            (Format::Csv, "begin\n1\n", "line 1: unknown column \"begin\""),
            (Format::Csv, "start,end\n1,x\n", "line 2: cannot read the time \"x\""),
            (Format::Csv, "start,end\n5,4\n", "line 2: it ends before it begins"),
            (Format::Csv, "start\n", "no failure in it"),
            (Format::Csv, "start\ninf\n", "line 2: cannot read the time \"inf\""),
            (Format::Csv, "start\n1\nNaN\n", "line 3: cannot read the time \"NaN\""),
            (Format::Csv, "start\n1e300\n", "line 2: cannot read the time \"1e300\""),
            (Format::Csv, "start\n-1\n", "line 2: it begins before the run"),
            (Format::Csv, "start,end,Start\n1,2,3\n", "line 1: two columns are called \"start\""),
            (Format::Csv, "start,end,duration\n1,2,3\n", "line 2: both `end` and `duration`"),
            (Format::Csv, "start,node,index\n1,a,3\n", "line 2: both `node` and `index`"),
            (Format::Lanl, "a,b\n1,2\n", "line 1: no column \"system\""),
            (Format::Google, "0,5,9\n", "line 1: cannot read the event \"9\""),
        ];
        for (format, text, expected) in table {
            let why = read(format, None, text).unwrap_err();
            assert!(why.starts_with(expected), "{why}");
        }
    }
}
