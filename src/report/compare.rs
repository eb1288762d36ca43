//! A comparison of strategies, for people (80 columns), spreadsheets and programs.

use super::csv::Sheet;
use super::files::{Content, ready};
use super::form::Form;
use super::plots;
use super::tables::{BAD, BOLD, DIM, GOOD, Table, paint};
use super::text::{fit, wrap};
use crate::experiment::{Better, Comparison, Row, Verdict};
use serde::Serialize;
use std::io::{self, Write};

/// The version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

const WIDTH: usize = 80;

/// All files of a comparison.
pub fn contents(comparison: &Comparison) -> Vec<Content<'_>> {
    let table = anstream::adapter::strip_str(&render(comparison)).to_string();
    let mut files = vec![
        ready("comparison.json", json(comparison).into_bytes()),
        ready("comparison.txt", table.into_bytes()),
        ("runs.csv".to_string(), Box::new(|out| csv(comparison, out))),
    ];
    // A chart that cannot be drawn costs the chart, not the result.
    let charts = plots::compare::all(comparison).unwrap_or_default();
    files.extend(charts.into_iter().map(|(name, bytes)| ready(name, bytes)));
    files
}

// ---- for people ----

/// The table: a block for each measure, its verdict last.
pub fn render(comparison: &Comparison) -> String {
    let (strategies, seeds) = (&comparison.strategies, &comparison.seeds);
    let title = format!("{}: {} strategies × {}", comparison.scenario, strategies.len(), of_seeds(seeds.len()));
    let explanation = format!(
        "Means with 95 % intervals (bootstrap). Differences are to {}, seed by seed: on one seed every strategy meets \
         the same failures and delays.",
        strategies[0]
    );
    let mut lines = vec![paint(BOLD, &fit(&title, WIDTH))];
    lines.extend(wrap(&explanation, WIDTH));
    let (equal, different): (Vec<&Row>, Vec<&Row>) = comparison.rows.iter().partition(|row| row.equal());
    for row in different {
        lines.push(String::new());
        lines.extend(block(comparison, row));
    }
    if !equal.is_empty() {
        let same = |row: &&Row| match row.means[0] {
            Some(mean) if mean.low == mean.high => {
                format!("{} {}", row.measure.title, means_form(row).number(mean))
            }
            Some(mean) => format!("{} {} on average", row.measure.title, means_form(row).number(mean)),
            None => row.measure.title.to_string(),
        };
        let same: Vec<String> = equal.iter().map(same).collect();
        lines.push(String::new());
        lines.extend(wrap(&format!("The same in every run: {}.", same.join("; ")), WIDTH));
    }
    lines.join("\n") + "\n"
}

fn of_seeds(count: usize) -> String {
    if count == 1 { "1 seed".to_string() } else { format!("{count} seeds") }
}

fn block(comparison: &Comparison, row: &Row) -> Vec<String> {
    let direction = match row.measure.better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
    };
    let head = format!("{} {}", paint(BOLD, row.measure.title), paint(DIM, &format!("({direction})")));
    let mut table = Table::new(&["STRATEGY", ">MEAN", "<95 %", ">DIFFERENCE", "<95 %"]);
    let form = means_form(row);
    let estimates = row.differences.iter().filter_map(|one| one.estimate);
    let change = Form::of(row.measure.unit, estimates.map(|found| found.mean));
    for (at, name) in comparison.strategies.iter().enumerate() {
        let mean = row.means[at];
        let difference = at.checked_sub(1).and_then(|at| row.differences[at].estimate);
        table.row(vec![
            (*name).to_string(),
            mean.map_or("-".to_string(), |found| form.number(found)),
            mean.map(|found| form.interval(found)).unwrap_or_default(),
            difference.map(|found| change.signed(found)).unwrap_or_default(),
            difference.map(|found| change.interval(found)).unwrap_or_default(),
        ]);
    }
    std::iter::once(head).chain(table.lines()).chain(verdict(comparison, row)).collect()
}

/// Who is better or worse than the first, in one sentence.
fn verdict(comparison: &Comparison, row: &Row) -> Vec<String> {
    let names = |wanted: Verdict| {
        let found = row.differences.iter().zip(&comparison.strategies[1..]);
        found.filter(|(one, _)| one.verdict == wanted).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let (first, seeds) = (comparison.strategies[0], comparison.seeds.len());
    let open = format!("no difference that {} can show", of_seeds(seeds));
    let few = format!("{} {} too few to tell", of_seeds(seeds), if seeds == 1 { "is" } else { "are" });
    if row.differences.iter().all(|one| one.verdict == Verdict::Open) {
        return vec![format!("  {open}")];
    }
    let parts = [
        (Verdict::Better, GOOD, format!("better than {first}")),
        (Verdict::Worse, BAD, format!("worse than {first}")),
        (Verdict::Equal, DIM, format!("the same as {first}")),
        (Verdict::Open, DIM, open),
        (Verdict::TooFew, DIM, few),
    ];
    let said = parts.into_iter().filter(|(wanted, ..)| !names(*wanted).is_empty());
    said.flat_map(|(wanted, style, text)| {
        let lines = wrap(&format!("{text}: {}", names(wanted)), WIDTH - 2);
        lines.into_iter().map(move |line| format!("  {}", paint(style, &line)))
    })
    .collect()
}

/// The form of the means of a row.
fn means_form(row: &Row) -> Form {
    Form::of(row.measure.unit, row.means.iter().flatten().map(|found| found.mean))
}

// ---- for programs ----

/// `runs.csv`: long form, one row for each seed, strategy and measure that has a value.
pub fn csv(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet::new(out, &["scenario", "seed", "strategy", "metric", "unit", "value"])?;
    for (at, seed) in comparison.seeds.iter().enumerate() {
        for (strategy, name) in comparison.strategies.iter().enumerate() {
            for row in &comparison.rows {
                let Some(value) = row.values[strategy][at] else { continue };
                let (metric, unit) = (row.measure.id.to_string(), row.measure.unit.as_str().to_string());
                let factors = [comparison.scenario.clone(), seed.to_string(), (*name).to_string()];
                sheet.row(factors.into_iter().chain([metric, unit, value.to_string()]))?;
            }
        }
    }
    sheet.end()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    program: String,
    scenario: &'a str,
    strategies: &'a [&'static str],
    baseline: &'a str,
    seeds: &'a [u64],
    confidence: f64,
    resamples: usize,
    metrics: Vec<Metric<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metric<'a> {
    metric: &'a str,
    title: &'a str,
    unit: &'a str,
    better: &'static str,
    strategies: Vec<Own<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Own<'a> {
    strategy: &'a str,
    mean: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    difference: Option<Change>,
    values: &'a [Option<f64>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    mean: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    pairs: usize,
    verdict: &'static str,
}

/// `comparison.json`. The form is stable; a change of meaning raises [`SCHEMA_VERSION`].
pub fn json(comparison: &Comparison) -> String {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        program: format!("kubesim {}", env!("CARGO_PKG_VERSION")),
        scenario: &comparison.scenario,
        strategies: &comparison.strategies,
        baseline: comparison.strategies[0],
        seeds: &comparison.seeds,
        confidence: 0.95,
        resamples: crate::experiment::statistics::RESAMPLES,
        metrics: comparison.rows.iter().map(|row| metric(comparison, row)).collect(),
    };
    serde_json::to_string_pretty(&document).expect("plain data becomes JSON") + "\n"
}

fn metric<'a>(comparison: &'a Comparison, row: &'a Row) -> Metric<'a> {
    let own = |(at, name): (usize, &&'static str)| {
        let mean = row.means[at];
        let difference = at.checked_sub(1).map(|at| &row.differences[at]);
        Own {
            strategy: name,
            mean: mean.map(|found| found.mean),
            low: mean.map(|found| found.low),
            high: mean.map(|found| found.high),
            difference: difference.map(|one| Change {
                mean: one.estimate.map(|found| found.mean),
                low: one.estimate.map(|found| found.low),
                high: one.estimate.map(|found| found.high),
                pairs: one.estimate.map_or(0, |found| found.count),
                verdict: one.verdict.as_str(),
            }),
            values: &row.values[at],
        }
    };
    Metric {
        metric: row.measure.id,
        title: row.measure.title,
        unit: row.measure.unit.as_str(),
        better: match row.measure.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
        },
        strategies: comparison.strategies.iter().enumerate().map(own).collect(),
    }
}
