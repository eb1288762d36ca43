//! Why a pod was placed where it is, and what would change it, as JSON: `sim explain --output json`.

use super::explain::by_reason;
use crate::scheduler::explain::Explanation;
use serde::Serialize;

/// Version of the form; a change of meaning raises it.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    program: String,
    attempts: Vec<Attempt<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attempt<'a> {
    namespace: &'a str,
    pod: &'a str,
    /// Seconds of virtual time.
    time: f64,
    attempt: u32,
    /// Where it went; `null` if it found no place.
    node: Option<&'a str>,
    /// Why it found none; `null` if it did.
    message: Option<&'a str>,
    /// The node it was nominated for, if that settled it.
    nominated: Option<&'a str>,
    rejected: Vec<Rejected<'a>>,
    /// In order of evaluation.
    feasible: Vec<Feasible<'a>>,
    /// `null` if it was not asked for.
    what_if: Option<WhatIf<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rejected<'a> {
    plugin: &'a str,
    code: &'static str,
    reasons: &'a [crate::model::Name],
    /// `null` for all nodes that were not looked at.
    nodes: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
struct Feasible<'a> {
    node: &'a str,
    total: i64,
    scores: Vec<Score>,
}

#[derive(Serialize)]
struct Score {
    plugin: &'static str,
    raw: i64,
    normalized: i64,
    weight: i64,
    points: i64,
}

#[derive(Serialize)]
struct WhatIf<'a> {
    tried: usize,
    cut: bool,
    changes: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    class: &'static str,
    object: &'a str,
    change: &'a str,
    node: &'a str,
}

/// All attempts. The form is stable; a change of meaning raises [`SCHEMA_VERSION`].
pub fn json(attempts: &[&Explanation]) -> String {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        program: format!("kubesim {}", env!("CARGO_PKG_VERSION")),
        attempts: attempts.iter().map(|explained| attempt(explained)).collect(),
    };
    serde_json::to_string_pretty(&document).expect("plain data becomes JSON") + "\n"
}

fn attempt(explained: &Explanation) -> Attempt<'_> {
    let record = &explained.record;
    let groups = by_reason(record).into_iter().map(|(rejection, nodes)| (rejection, Some(nodes)));
    let rejected = groups.chain(record.absent.iter().map(|rejection| (rejection, None)));
    Attempt {
        namespace: &explained.namespace,
        pod: &explained.name,
        time: explained.time.as_secs_f64(),
        attempt: explained.attempt,
        node: explained.winner.map(|winner| explained.totals[winner].0.as_str()),
        message: explained.winner.is_none().then_some(explained.message.as_str()),
        nominated: record.nominated.as_deref(),
        rejected: rejected
            .map(|(rejection, nodes)| Rejected {
                plugin: rejection.plugin,
                code: rejection.code.as_str(),
                reasons: &rejection.reasons,
                nodes,
            })
            .collect(),
        feasible: (0..explained.totals.len()).map(|at| scored(explained, at)).collect(),
        what_if: explained.what_if.as_ref().map(|what_if| WhatIf {
            tried: what_if.tried,
            cut: what_if.cut,
            changes: what_if
                .changes
                .iter()
                .map(|change| Change {
                    class: change.class.as_str(),
                    object: &change.object,
                    change: &change.text,
                    node: &change.node,
                })
                .collect(),
        }),
    }
}

fn scored(explained: &Explanation, at: usize) -> Feasible<'_> {
    let (node, total) = &explained.totals[at];
    let scores = explained.record.scores.iter().map(|plugin| {
        let (raw, normalized, points) = plugin.scores[at];
        Score { plugin: plugin.plugin, raw, normalized, weight: plugin.weight, points }
    });
    Feasible { node, total: *total, scores: scores.collect() }
}
