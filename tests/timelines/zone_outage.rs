//! The milestones of zones that go dark and come back, and what the driver did to make them.

use super::compare::AT_A_PASS;
use super::plan::{Act, Planned, When};
use super::recording::{Mark, Recording, Row};
use super::steps::{Step, Steps, ends};
use std::collections::{BTreeMap, BTreeSet};

/// Zones, dealt round-robin to the nodes.
const ZONES: usize = 3;

/// The nodes that an action is about: zones or nodes by name; without any, those that are down.
fn nodes<'a>(detail: &str, all: &'a BTreeSet<String>, down: &BTreeSet<String>) -> Vec<&'a String> {
    let words: Vec<&str> = detail.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    let meant = |node: &&String| match words.is_empty() {
        true => down.contains(*node),
        false => words.iter().any(|word| *word == node.as_str() || *word == zone(node)),
    };
    all.iter().filter(meant).collect()
}

/// `n7` is in `z1`.
fn zone(node: &str) -> String {
    let number: usize = node.trim_start_matches('n').parse().unwrap_or(0);
    format!("z{}", number % ZONES)
}

fn all_nodes(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().filter(|row| row.kind == "Node").map(|row| row.name.clone()).collect()
}

/// The driver's program: all by the clock.
pub fn plan(recording: &Recording) -> Vec<Planned> {
    let all = all_nodes(&recording.rows);
    let mut down = BTreeSet::new();
    let mut plan = Vec::new();
    for mark in &recording.marks {
        let up = mark.mark.starts_with("up-");
        if !up && !mark.mark.starts_with("down-") {
            continue;
        }
        for (at, node) in nodes(&mark.detail, &all, &down.clone()).into_iter().enumerate() {
            let unknown =
                |row: &&Row| row.is("Node", "Ready") && row.name == *node && row.new == "Unknown" && row.t > mark.t;
            let detected = recording.rows.iter().find(unknown).map(|row| row.t - mark.t).filter(|_| !up);
            let named = (at == 0).then(|| (mark.mark.clone(), mark.detail.clone()));
            let act = Act::Power { node: node.clone(), up, detected };
            plan.push(Planned { when: When::At(mark.t + 0.001 * at as f64), act, mark: named });
            if up {
                down.remove(node)
            } else {
                down.insert(node.clone())
            };
        }
    }
    let end = recording.marks.last().map_or(0.0, |mark| mark.t);
    plan.push(Planned { when: When::At(end), act: Act::Nothing, mark: Some(("end".into(), String::new())) });
    plan
}

/// What changed of one node in one stretch of time.
struct NodeRows<'a> {
    rows: Vec<&'a Row>,
}

impl NodeRows<'_> {
    fn ready(&self, value: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.field == "Ready" && row.new == value).map(|row| row.t)
    }

    fn tainted(&self, effect: &str) -> Option<f64> {
        let taint = format!("unreachable:{effect}");
        let set = |row: &&&Row| row.field == "taints" && row.new.contains(&taint) && !row.old.contains(&taint);
        self.rows.iter().find(set).map(|row| row.t)
    }

    fn cleaned(&self, effect: &str) -> Option<f64> {
        let taint = format!("unreachable:{effect}");
        let gone = |row: &&&Row| row.field == "taints" && row.old.contains(&taint) && !row.new.contains(&taint);
        self.rows.iter().rev().find(gone).map(|row| row.t)
    }
}

/// All milestones of all actions.
pub fn steps(rows: &[Row], marks: &[Mark]) -> Vec<Step> {
    let all = all_nodes(rows);
    let actions: Vec<&Mark> =
        marks.iter().filter(|mark| mark.mark.starts_with("down-") || mark.mark.starts_with("up-")).collect();
    let end = marks.last().map_or(f64::MAX, |mark| mark.t);
    let mut down = BTreeSet::new();
    let mut out = Vec::new();
    for (cycle, mark) in actions.iter().enumerate() {
        let until = actions.get(cycle + 1).map_or(end, |next| next.t);
        let of = |node: &String| {
            let during = |row: &&Row| row.kind == "Node" && row.name == *node && row.t >= mark.t && row.t < until;
            NodeRows { rows: rows.iter().filter(during).collect() }
        };
        let concerned: Vec<(&String, NodeRows)> =
            nodes(&mark.detail, &all, &down).into_iter().map(|node| (node, of(node))).collect();
        let mut steps = Steps { cycle, out: &mut out };
        if mark.mark.starts_with("down-") {
            went(&mut steps, mark, &concerned);
            down.extend(concerned.iter().map(|(node, _)| (*node).clone()));
        } else {
            returned(&mut steps, mark, &concerned);
            concerned.iter().for_each(|(node, _)| _ = down.remove(*node));
            if mark.mark == "up-first-zone" {
                let others: Vec<(&String, NodeRows)> = down.iter().map(|node| (node, of(node))).collect();
                evicted(&mut steps, mark, Some(mark.t), &others);
            }
        }
    }
    out
}

fn went(steps: &mut Steps, mark: &Mark, nodes: &[(&String, NodeRows)]) {
    let name = |step: &str| format!("{}: {step}", mark.mark);
    let (first, last) = ends(nodes.iter().filter_map(|(_, node)| node.ready("Unknown")));
    steps.add(&name("first node Ready=Unknown"), Some(mark.t), first);
    // When everything goes, a pass lasts as long as the client needs for all that it has to write.
    if mark.mark != "down-all" {
        steps.add(&name("last node Ready=Unknown"), Some(mark.t), last);
    }
    let after_unknown = |(_, node): &(&String, NodeRows)| Some(node.tainted("NoSchedule")? - node.ready("Unknown")?);
    let (_, slowest) = ends(nodes.iter().filter_map(after_unknown));
    steps.add(&name("Unknown -> taint NoSchedule, slowest"), Some(0.0), slowest);
    match mark.mark.as_str() {
        // The eviction stops everywhere, and taints that were set while zones went bad one after the other go again.
        "down-all" => {
            let (_, cleaned) = ends(nodes.iter().filter_map(|(_, node)| node.cleaned("NoExecute")));
            steps.add(&name("last Unknown -> NoExecute taints taken back"), last, cleaned);
        }
        // How many nodes are tainted before the zone is judged hangs on the passes that notice them.
        "down-partial" => {
            let (tainted, _) = ends(nodes.iter().filter_map(|(_, node)| node.tainted("NoExecute")));
            steps.add(&name("first Unknown -> first taint NoExecute"), first, tainted);
        }
        _ => evicted(steps, mark, None, nodes),
    }
}

/// NoExecute taints come one node after the other in each zone: the first after the first node of the zone was found,
/// or at a pass after `since`, the others each after the one before.
fn evicted(steps: &mut Steps, mark: &Mark, since: Option<f64>, nodes: &[(&String, NodeRows)]) {
    let mut by_zone: BTreeMap<String, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for (node, rows) in nodes {
        let (found, tainted) = by_zone.entry(zone(node)).or_default();
        found.extend(rows.ready("Unknown"));
        tainted.extend(rows.tainted("NoExecute"));
    }
    for (zone, (found, mut times)) in by_zone {
        times.sort_by(f64::total_cmp);
        let mut before = since.or(ends(found.into_iter()).0);
        let mut wasted = 0;
        for (n, at) in times.iter().enumerate() {
            let word = if n == 0 && since.is_some() { AT_A_PASS } else { "" };
            let key = format!("{}: taint NoExecute #{} {word}", mark.mark, n + 1);
            // A pass that comes while a taint is on its way to it queues the node once more, and its turn is wasted.
            if n > 0 && wasted == 0 && before.is_some_and(|before| (19.9..20.3).contains(&(at - before))) {
                wasted += 1;
                before = before.map(|before| before + 10.0);
            }
            steps.of(key.trim_end(), &zone, before, Some(*at));
            before = Some(*at);
        }
    }
}

fn returned(steps: &mut Steps, mark: &Mark, nodes: &[(&String, NodeRows)]) {
    let mut both = |step: &str, times: Vec<f64>| {
        let (first, last) = ends(times.into_iter());
        steps.add(&format!("{}: first {step}", mark.mark), Some(mark.t), first);
        steps.add(&format!("{}: last {step}", mark.mark), Some(mark.t), last);
    };
    both("node Ready=True", nodes.iter().filter_map(|(_, node)| node.ready("True")).collect());
    both("taint NoSchedule gone", nodes.iter().filter_map(|(_, node)| node.cleaned("NoSchedule")).collect());
    let no_execute: Vec<f64> = nodes.iter().filter_map(|(_, node)| node.cleaned("NoExecute")).collect();
    if !no_execute.is_empty() && mark.mark != "up-first-zone" {
        both(&format!("taint NoExecute gone {AT_A_PASS}"), no_execute);
    }
}
