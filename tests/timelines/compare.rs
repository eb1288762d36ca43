//! Recorded milestones against ours: spreads, order of steps, and the table.

use super::steps::Step;
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// Every recorded spread is widened on both sides by some seconds, or by this share of what was recorded if that is more.
const SHARE: f64 = 0.05;

/// One in so many of ours may lie lower than the rest and one higher: each step was recorded a few times and is replayed
/// thirty times as often, so ours come to see what the recorder was not there for.
const RARE: usize = 40;

/// Writes were recorded 1 to 20 ms after they were made: what lies closer together has no order.
const RESOLUTION: f64 = 0.02;

/// Steps that were always further apart than this come in an order that is no accident: the recordings
/// are exact to about a tenth of a second, and those of a busy machine to less.
const CLEAR_GAP: f64 = 0.1;
pub const CLEAR_GAP_UNDER_LOAD: f64 = 0.5;

/// Steps that wait for something that comes again and again end with these words: the recorded ones show its phase, and
/// any other is as right. The next pass of the node monitor; the next look of a candidate at its lease, up to 4.4 s
/// after the one before; the next attempt to list, where half a minute is doubled by chance.
pub const AT_A_PASS: &str = "at a pass";
pub const AT_A_LOOK: &str = "at a look";
pub const AT_A_RETRY: &str = "at a retry";
const PERIODS: [(&str, f64); 3] = [(AT_A_PASS, 5.0), (AT_A_LOOK, 4.4), (AT_A_RETRY, 30.0)];

/// Steps that follow from each other come in this order, however close they are.
const CHAINS: [&[&str]; 6] = [
    &[
        "crash -> node Ready=Unknown",
        "Unknown -> taint NoSchedule",
        "Unknown -> taint NoExecute",
        "ReplicaSet: tolerationSeconds after NoExecute -> first pod deletionTimestamp",
        "ReplicaSet: deletionTimestamp -> first replacement created",
        "ReplicaSet: replacement created -> scheduled",
        "ReplicaSet: replacement scheduled -> Ready",
        "ReplicaSet: replacement Ready -> endpoint ready",
    ],
    &["crash -> node Ready=Unknown", "Unknown -> first pod Ready=False", "Unknown -> first endpoint ready=false"],
    &["recover -> node Ready=True", "recover -> taint NoSchedule gone", "recover -> taint NoExecute gone"],
    &["new replica set", "first scale up", "first new pod Ready", "complete"],
    &["active", "FailureTarget", "Failed"],
    &["active", "SuccessCriteriaMet", "Complete", "gone"],
];

/// What the recordings of one scenario say.
#[derive(Default)]
pub struct Recorded {
    intervals: IndexMap<String, Vec<f64>>,
    /// Keys that every recording has, and how often they are due.
    recordings: usize,
    /// How exact they are, if less than usual.
    clear_gap: Option<f64>,
    seen: BTreeMap<String, usize>,
    /// For each pair of keys, the smallest gap from the first to the second.
    gaps: BTreeMap<(String, String), f64>,
}

/// One run's steps in the order in which they happened, the first of each key in each cycle and workload.
fn firsts(steps: &[Step]) -> Vec<&Step> {
    let mut first: IndexMap<(usize, &str, &str), &Step> = IndexMap::new();
    for step in steps.iter().filter(|step| step.at.is_some()) {
        let known = first.entry((step.cycle, step.workload.as_str(), step.key.as_str())).or_insert(step);
        if step.at < known.at {
            *known = step;
        }
    }
    first.into_values().collect()
}

/// Pairs of steps that belong to one story.
fn pairs<'a>(firsts: &'a [&'a Step]) -> impl Iterator<Item = (&'a Step, &'a Step)> {
    let related = |a: &Step, b: &Step| {
        let alone = a.workload.is_empty() || b.workload.is_empty() || a.workload == b.workload;
        a.cycle == b.cycle && alone && a.key != b.key
    };
    firsts.iter().flat_map(move |a| firsts.iter().filter(move |b| related(a, b)).map(move |b| (*a, *b)))
}

impl Recorded {
    /// Recordings that are exact to `clear_gap` seconds, if that is more than usual.
    pub fn new(clear_gap: Option<f64>) -> Self {
        Recorded { clear_gap, ..Recorded::default() }
    }

    /// Takes in one recording.
    pub fn learn(&mut self, steps: &[Step]) {
        self.recordings += 1;
        for step in steps {
            if let Some(interval) = step.interval() {
                self.intervals.entry(step.key.clone()).or_default().push(interval);
            }
        }
        let mut keys: Vec<&String> = steps.iter().filter(|step| step.at.is_some()).map(|step| &step.key).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            *self.seen.entry(key.clone()).or_default() += 1;
        }
        for (a, b) in pairs(&firsts(steps)) {
            let gap = b.at.unwrap_or_default() - a.at.unwrap_or_default();
            let known = self.gaps.entry((a.key.clone(), b.key.clone())).or_insert(gap);
            *known = known.min(gap);
        }
    }

    /// Steps that came in another order than in all recordings.
    pub fn disorder(&self, steps: &[Step]) -> Vec<String> {
        let mut out = Vec::new();
        for (a, b) in pairs(&firsts(steps)) {
            let gap = self.gaps.get(&(a.key.clone(), b.key.clone()));
            let fixed = gap.is_some_and(|gap| *gap > self.clear_gap.unwrap_or(CLEAR_GAP)) || chained(&a.key, &b.key);
            let (first, second) = (a.at.unwrap_or_default(), b.at.unwrap_or_default());
            if fixed && first > second + RESOLUTION {
                out.push(format!("cycle {}: `{}` at {first:.3} after `{}` at {second:.3}", a.cycle, a.key, b.key));
            }
        }
        out
    }

    /// Keys that all recordings have and `steps` has not, among those that `due` picks.
    pub fn missing(&self, steps: &[Step], due: impl Fn(&str) -> bool) -> Vec<String> {
        let always = self.seen.iter().filter(|(_, count)| **count == self.recordings).map(|(key, _)| key);
        always
            .filter(|key| due(key) && !steps.iter().any(|step| step.key == **key))
            .map(|key| format!("`{key}` never happened"))
            .collect()
    }

    /// Prints the table and gives the keys outside of their spread, widened by so many seconds.
    pub fn table(&self, title: &str, ours: &[Step], tolerance: f64) -> Vec<String> {
        let mut mine: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for step in ours {
            mine.entry(&step.key).or_default().extend(step.interval());
        }
        let width = self.intervals.keys().map(String::len).max().unwrap_or(0);
        println!("\n{title:width$} {:>5} {:^21} | {:>6} {:^30} |", "n", "recorded min-max", "n", "ours min-median-max");
        let mut wrong = Vec::new();
        for (key, values) in &self.intervals {
            let phase = PERIODS.iter().find(|(word, _)| key.ends_with(word)).map_or(0.0, |(_, period)| *period);
            let low = maximum(&[minimum(values) - phase, minimum(values).min(0.0)]);
            let high = maximum(values) + phase;
            print!("{key:width$} {:5} {low:10.3} {high:10.3} |", values.len());
            let Some(mine) = mine.get_mut(key.as_str()).filter(|mine| !mine.is_empty()) else {
                println!(" {:>6} {:30} |", 0, "");
                continue;
            };
            mine.sort_by(f64::total_cmp);
            let rare = mine.len() / RARE;
            let (least, median, most) = (mine[rare], mine[mine.len() / 2], mine[mine.len() - 1 - rare]);
            let wider = |limit: f64| tolerance.max(limit.abs() * SHARE);
            let good = least >= low - wider(low) && most <= high + wider(high);
            let verdict = if good { "ok" } else { "MISSED" };
            println!(" {:6} {least:9.3} {median:10.3} {most:9.3} | {verdict}", mine.len());
            if !good {
                wrong.push(format!("`{key}`: recorded {low:.3} to {high:.3}, ours {least:.3} to {most:.3}"));
            }
        }
        wrong
    }
}

/// Whether `a` comes before `b` in one of the chains. Keys of actions end with the name of the step.
fn chained(a: &str, b: &str) -> bool {
    let place = |chain: &[&str], key: &str| chain.iter().position(|step| key == *step);
    // The steps of one action share the beginning of their key.
    let (a, b) = match (a.split_once(": "), b.split_once(": ")) {
        (Some((one, a)), Some((other, b))) if one == other && one != "ReplicaSet" => (a, b),
        _ => (a, b),
    };
    CHAINS.iter().any(|chain| matches!((place(chain, a), place(chain, b)), (Some(a), Some(b)) if a < b))
}

fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn maximum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}
