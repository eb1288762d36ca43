//! The target workload of fragmentation: which kinds of pods come, and how often.

use super::GpuAsk;
use std::collections::BTreeMap;

/// A kind of pod that the cluster expects, and its share of all.
#[derive(Clone, PartialEq, Debug)]
pub struct TypicalPod {
    /// What it asks for.
    pub ask: GpuAsk,
    /// Its share; all shares together are 1.
    pub frequency: f64,
}

/// The list keeps kinds from the most frequent one down until it covers this many percent of the pods.
const COVERED_PERCENT: u64 = 95;

/// Counts the asks of a workload; the result is in the order in which fragmentation is summed.
pub fn typical<'a>(workload: impl IntoIterator<Item = &'a GpuAsk>) -> Vec<TypicalPod> {
    let mut counts: BTreeMap<&GpuAsk, u64> = BTreeMap::new();
    for ask in workload {
        *counts.entry(ask).or_default() += 1;
    }
    of_counts(counts.into_iter().map(|(ask, count)| (ask.clone(), count)).collect())
}

/// The same from counts per ask.
pub fn of_counts(mut kinds: Vec<(GpuAsk, u64)>) -> Vec<TypicalPod> {
    kinds.sort_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
    let total: u64 = kinds.iter().map(|(_, count)| count).sum();
    let mut covered = 0;
    let mut kept = Vec::new();
    for (ask, count) in kinds {
        if covered * 100 >= total * COVERED_PERCENT {
            break;
        }
        covered += count;
        kept.push(TypicalPod { ask, frequency: count as f64 / total as f64 });
    }
    let share = covered as f64 / total as f64;
    kept.iter_mut().for_each(|kind| kind.frequency /= share);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_kinds_are_left_out() {
        let ask = |milli| GpuAsk { milli_cpu: 1000, milli, count: 1, models: Vec::new() };
        // 60 + 36 = 96 of 100 cover 95 %; the rest is dropped and the shares become 60/96 and 36/96.
        let workload: Vec<GpuAsk> =
            [(500, 36), (1000, 60), (250, 4)].iter().flat_map(|(milli, n)| vec![ask(*milli); *n]).collect();
        let list = typical(&workload);
        assert_eq!(list.iter().map(|kind| kind.ask.milli).collect::<Vec<_>>(), [1000, 500]);
        assert!((list[0].frequency - 0.625).abs() < 1e-12 && (list[1].frequency - 0.375).abs() < 1e-12);
    }
}
