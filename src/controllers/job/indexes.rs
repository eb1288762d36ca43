//! Sets of completion indexes as runs: `1,3-5,7` (`pkg/controller/job/indexed_job_utils.go`).
//!
//! A worked example: `0,2-4` with 1 added is `0-4`; a run of exactly two is written `3,4`.

use crate::model::batch::{COMPLETION_INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES};
use crate::model::{Labels, Pod};
use std::collections::BTreeSet;
use std::fmt;

/// Runs in increasing order, first and last index.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Indexes(Vec<(i64, i64)>);

impl Indexes {
    /// Reads a list as far as it is below `completions`; what cannot be read is left out
    /// (`parseIndexesFromString`).
    pub fn parse(text: &str, completions: i32) -> Self {
        let bound = i64::from(completions);
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for piece in text.split(',').filter(|_| !text.is_empty()) {
            let mut limits = piece.split('-').map(|limit| limit.parse::<i64>().ok());
            let Some(first) = limits.next().flatten() else { continue };
            if first >= bound {
                break;
            }
            let last = match limits.next() {
                None => first,
                Some(None) => continue,
                Some(Some(last)) => last.min(bound - 1),
            };
            match runs.last_mut() {
                Some(run) if run.1 == first - 1 => run.1 = last,
                _ => runs.push((first, last)),
            }
        }
        Indexes(runs)
    }

    /// These and the others.
    #[must_use]
    pub fn merged(&self, others: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut runs: Vec<(i64, i64)> = self.0.iter().copied().chain(others).collect();
        runs.sort_by_key(|run| run.0);
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for run in runs {
            match merged.last_mut() {
                Some(last) if run.0 <= last.1 + 1 => last.1 = last.1.max(run.1),
                _ => merged.push(run),
            }
        }
        Indexes(merged)
    }

    /// These and single indexes.
    #[must_use]
    pub fn with(&self, indexes: impl IntoIterator<Item = i32>) -> Self {
        self.merged(indexes.into_iter().map(|index| (i64::from(index), i64::from(index))))
    }

    /// The runs.
    pub fn runs(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.iter().copied()
    }

    /// How many indexes.
    pub fn total(&self) -> i64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether `index` is one of them.
    pub fn has(&self, index: i32) -> bool {
        let at = self.0.partition_point(|run| run.1 < i64::from(index));
        self.0.get(at).is_some_and(|run| run.0 <= i64::from(index))
    }

    /// The first `count` indexes below `completions` that are not among these (`firstPendingIndexes`).
    pub fn first_missing(&self, count: usize, completions: i32) -> Vec<i32> {
        let bound = i64::from(completions);
        let mut missing = Vec::new();
        let mut candidate = 0;
        for (first, last) in self.runs().chain([(bound, bound)]) {
            while candidate < bound.min(first) && missing.len() < count {
                missing.push(candidate as i32);
                candidate += 1;
            }
            candidate = candidate.max(last + 1);
        }
        missing
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match last - first {
                ..=0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// The completion index of a pod, if it has a proper one.
pub fn index_of(pod: &Pod) -> Option<i32> {
    number(&pod.meta.annotations, &COMPLETION_INDEX)
}

/// The completion indexes of pods.
pub fn indexes_of<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> BTreeSet<i32> {
    pods.into_iter().filter_map(index_of).collect()
}

/// How often a pod's index had failed before it: counted, and without counting.
pub fn failures_before(pod: &Pod) -> (i32, i32) {
    let count = |key: &str| number(&pod.meta.annotations, key).unwrap_or(0);
    (count(&INDEX_FAILURES), count(&INDEX_IGNORED_FAILURES))
}

fn number(annotations: &Labels, key: &str) -> Option<i32> {
    annotations.get(key)?.parse().ok().filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_merge_and_gaps_are_found() {
        // (list, added, result, first three missing of 8)
        let table: [(&str, &[i32], &str, &[i32]); 4] = [
            ("", &[], "", &[0, 1, 2]),
            ("0,2-4", &[1], "0-4", &[5, 6, 7]),
            ("1,2", &[4, 5], "1,2,4,5", &[0, 3, 6]),
            ("0-7", &[], "0-7", &[]),
        ];
        for (list, added, result, missing) in table {
            let indexes = Indexes::parse(list, 8).with(added.iter().copied());
            assert_eq!(indexes.to_string(), result, "{list} + {added:?}");
            assert_eq!(indexes.first_missing(3, 8), missing, "{list} + {added:?}");
            assert!(added.iter().all(|index| indexes.has(*index)));
        }
    }
}
