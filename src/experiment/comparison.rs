//! What a sweep shows: the mean of every measure for every strategy, the differences by seed to the first
//! strategy, and what can be said of them.

use super::measures::{Better, MEASURES, Measure};
use super::statistics::{Estimate, Resamples};
use super::sweep::{Plan, Run};
use crate::rng::Seed;

/// With fewer pairs nothing is said: an interval from so few values means little.
pub const LEAST_PAIRS: usize = 5;

/// Strategies side by side.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// The strategies' names; the others are compared with the first.
    pub strategies: Vec<&'static str>,
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// One for each measure that any run has a value of.
    pub rows: Vec<Row>,
}

/// One measure.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Which.
    pub measure: Measure,
    /// By strategy and seed.
    pub values: Vec<Vec<Option<f64>>>,
    /// The mean of each strategy; `None` if it has no value.
    pub means: Vec<Option<Estimate>>,
    /// For each strategy but the first: its values less those of the first, seed by seed.
    pub differences: Vec<Difference>,
}

/// One strategy against the first.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// The mean difference; `None` if no seed has a value of both.
    pub estimate: Option<Estimate>,
    /// What can be said.
    pub verdict: Verdict,
}

/// What a difference shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Better than the first strategy: the interval excludes zero.
    Better,
    /// Worse than the first strategy: the interval excludes zero.
    Worse,
    /// The same in every run.
    Equal,
    /// No difference that so many seeds can show.
    Open,
    /// Fewer than [`LEAST_PAIRS`] pairs.
    TooFew,
}

impl Verdict {
    /// As data files name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Equal => "equal",
            Verdict::Open => "no-difference-shown",
            Verdict::TooFew => "too-few-seeds",
        }
    }

    fn of(estimate: Option<Estimate>, better: Better) -> Verdict {
        match estimate {
            Some(found) if found.low == 0.0 && found.high == 0.0 => Verdict::Equal,
            Some(found) if found.count < LEAST_PAIRS => Verdict::TooFew,
            Some(found) if found.excludes_zero() => match (found.low > 0.0) == (better == Better::Higher) {
                true => Verdict::Better,
                false => Verdict::Worse,
            },
            Some(_) => Verdict::Open,
            None => Verdict::TooFew,
        }
    }
}

impl Comparison {
    /// Of all runs of a plan, in its order.
    pub fn of(plan: &Plan<'_>, runs: &[Run]) -> Comparison {
        let (strategies, seeds) = (plan.strategies.len(), plan.seeds.len());
        assert_eq!(runs.len(), strategies * seeds, "one run for each strategy and seed");
        let whole = Resamples::new(Seed(plan.scenario.seed), seeds);
        let row = |(at, measure): (usize, &Measure)| {
            let of = |strategy: usize| (0..seeds).map(|seed| runs[seed * strategies + strategy].values[at]).collect();
            let values: Vec<Vec<Option<f64>>> = (0..strategies).map(of).collect();
            values.iter().flatten().any(Option::is_some).then(|| Row::new(*measure, values, plan, &whole))
        };
        Comparison {
            scenario: plan.scenario.name.clone(),
            strategies: plan.strategies.iter().map(|strategy| strategy.name).collect(),
            seeds: plan.seeds.clone(),
            rows: MEASURES.iter().enumerate().filter_map(row).collect(),
        }
    }
}

impl Row {
    /// Whether every strategy had the same value on each seed.
    pub fn equal(&self) -> bool {
        self.differences.iter().all(|difference| difference.verdict == Verdict::Equal)
    }

    fn new(measure: Measure, values: Vec<Vec<Option<f64>>>, plan: &Plan<'_>, whole: &Resamples) -> Row {
        let estimate = |values: Vec<f64>| match values.len() == plan.seeds.len() {
            true => whole.estimate(&values),
            false => Resamples::new(Seed(plan.scenario.seed), values.len()).estimate(&values),
        };
        let means = values.iter().map(|own| estimate(own.iter().flatten().copied().collect())).collect();
        let difference = |own: &Vec<Option<f64>>| {
            let pairs = own.iter().zip(&values[0]).filter_map(|(own, first)| Some((*own)? - (*first)?));
            let estimate = estimate(pairs.collect());
            Difference { estimate, verdict: Verdict::of(estimate, measure.better) }
        };
        let differences = values[1..].iter().map(difference).collect();
        Row { measure, values, means, differences }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_an_interval_without_zero_and_enough_pairs() {
        let estimate = |count, low, high| Some(Estimate { count, mean: (low + high) / 2.0, low, high });
        let table = [
            (estimate(30, 0.1, 0.2), Better::Higher, Verdict::Better),
            (estimate(30, 0.1, 0.2), Better::Lower, Verdict::Worse),
            (estimate(30, -0.2, -0.1), Better::Lower, Verdict::Better),
            (estimate(30, -0.2, 0.1), Better::Lower, Verdict::Open),
            (estimate(30, 0.0, 0.1), Better::Lower, Verdict::Open),
            (estimate(30, 0.0, 0.0), Better::Lower, Verdict::Equal),
            (estimate(4, 0.1, 0.2), Better::Lower, Verdict::TooFew),
            (None, Better::Lower, Verdict::TooFew),
        ];
        for (found, better, verdict) in table {
            assert_eq!(Verdict::of(found, better), verdict, "{found:?} {better:?}");
        }
    }
}
