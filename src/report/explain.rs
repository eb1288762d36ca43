//! Why a pod was placed where it is, as text of 80 columns.

use crate::scheduler::explain::{Explanation, Record};
use crate::scheduler::plugin::Rejection;
use crate::scheduler::what_if::WhatIf;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Nodes whose scores are shown in full, best first.
const NODES_MAX: usize = 10;

/// The whole explanation.
pub fn text(explained: &Explanation) -> String {
    let mut out = String::new();
    let pod = format!("{}/{}", explained.namespace, explained.name);
    let when = format!("at {}, attempt {}", explained.time, explained.attempt);
    match explained.winner {
        Some(winner) => wrapped(&mut out, "", &format!("{pod} was placed on {} {when}", explained.totals[winner].0)),
        None => wrapped(&mut out, "", &format!("{pod} found no place {when}")),
    }
    wrapped(&mut out, "", &verdict(explained));
    rejections(&mut out, explained);
    scores(&mut out, explained);
    if let Some(answer) = &explained.what_if {
        what_if(&mut out, answer);
    }
    out
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{}", clip(text, WIDTH));
}

fn clip(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_string(),
    }
}

/// Breaks `text` between words; each line begins with `indent`.
fn wrapped(out: &mut String, indent: &str, text: &str) {
    let mut current = String::from(indent);
    for word in text.split(' ') {
        let empty = current.len() == indent.len();
        if !empty && current.chars().count() + 1 + word.chars().count() > WIDTH {
            line(out, &current);
            current = String::from(indent);
        } else if !empty {
            current.push(' ');
        }
        current.push_str(word);
    }
    line(out, &current);
}

/// The deciding sentence: the only node, the best one, or how the tie broke.
fn verdict(explained: &Explanation) -> String {
    let record = &explained.record;
    let Some(winner) = explained.winner else { return explained.message.clone() };
    let node = &explained.totals[winner].0;
    if record.nominated.is_some() {
        return format!("The pod was nominated for {node}, which still fits: no other node was looked at.");
    }
    let tied = explained.tied();
    match (explained.totals.len(), tied.len()) {
        (1, _) => format!("{node} is the only node that fits, so scores did not matter."),
        (count, 1) => format!("{node} has the highest total of the {count} nodes that fit."),
        (count, ties) => format!(
            "{ties} of the {count} nodes that fit share the highest total. {node} wins: read as a binary heap in order \
             of evaluation, it is the first of them (node, then left, then right)."
        ),
    }
}

/// The rejected nodes of each plugin and reason.
pub(super) fn by_reason(record: &Record) -> Vec<(&Rejection, Vec<&str>)> {
    let mut groups: BTreeMap<(&str, String), (&Rejection, Vec<&str>)> = BTreeMap::new();
    for (node, rejection) in &record.rejected {
        let key = (rejection.plugin, reasons(rejection));
        groups.entry(key).or_insert_with(|| (rejection, Vec::new())).1.push(node);
    }
    groups.into_values().collect()
}

/// What would let the pod in, smallest change first.
fn what_if(out: &mut String, answer: &WhatIf) {
    line(out, "");
    let tried = match answer.tried {
        0 => "nothing to try was found".to_string(),
        count if answer.cut => format!("{count} tried, more left untried"),
        count => format!("{count} tried"),
    };
    match answer.changes.is_empty() {
        true => wrapped(out, "", &format!("No single change would let it in ({tried})")),
        false => wrapped(out, "", &format!("Any one of these would let it in, the smallest first ({tried})")),
    }
    for change in &answer.changes {
        let text = format!("{}: {} (it would go to {})", change.class.as_str(), change.text, change.node);
        wrapped(out, "  ", &text);
    }
}

fn rejections(out: &mut String, explained: &Explanation) {
    let record = &explained.record;
    let groups = by_reason(record);
    if groups.is_empty() && record.absent.is_none() {
        return;
    }
    line(out, "");
    line(out, "Rejected");
    for (rejection, nodes) in groups {
        wrapped(out, "  ", &format!("{}: {}", rejection.plugin, reasons(rejection)));
        wrapped(out, "    ", &listed(&nodes));
    }
    if let Some(absent) = &record.absent {
        wrapped(out, "  ", &format!("all others: {}", reasons(absent)));
    }
}

fn reasons(rejection: &Rejection) -> String {
    let hopeless = match rejection.code {
        crate::scheduler::plugin::Code::Unschedulable => "",
        crate::scheduler::plugin::Code::Unresolvable => " (preemption cannot help)",
    };
    format!("{}{hopeless}", rejection.reasons.join(", "))
}

fn listed(nodes: &[&str]) -> String {
    let shown = nodes.iter().take(2 * NODES_MAX).copied().collect::<Vec<_>>().join(", ");
    match nodes.len().saturating_sub(2 * NODES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn scores(out: &mut String, explained: &Explanation) {
    if explained.record.scores.is_empty() {
        return;
    }
    let mut order: Vec<usize> = (0..explained.totals.len()).collect();
    order.sort_by_key(|at| (Some(*at) != explained.winner, std::cmp::Reverse(explained.totals[*at].1), *at));
    line(out, "");
    line(out, &format!("{:<44}{:>8}{:>12}{:>8}{:>8}", "Scores", "raw", "normalized", "weight", "points"));
    for at in order.iter().take(NODES_MAX) {
        let (node, total) = &explained.totals[*at];
        line(out, &format!("  {:<70}{total:>8}", clip(node, 68)));
        for plugin in &explained.record.scores {
            let (raw, normalized, weighted) = plugin.scores[*at];
            let (name, weight) = (clip(plugin.plugin, 40), plugin.weight);
            line(out, &format!("    {name:<40}{raw:>8}{normalized:>12}{weight:>8}{weighted:>8}"));
        }
    }
    if order.len() > NODES_MAX {
        line(out, &format!("  and {} more nodes that fit", order.len() - NODES_MAX));
    }
}
