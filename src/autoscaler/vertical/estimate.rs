//! From what was used to what should be requested (`vertical-pod-autoscaler/pkg/recommender/logic/`).
//!
//! A worked example: after a day of samples every minute the confidence is 1; CPU was 90 % of the time below 0.2 cores and
//! 50 % below 0.1. Target 0.2 * 1.15 = 230m; lower bound 0.1 * 1.15 * (1 + 0.001)^-2 = 114m; upper bound, from the 95th
//! percentile, say 0.25: 0.25 * 1.15 * (1 + 1) = 575m. After an hour the confidence is 1/24 and the upper bound 25 times.

use super::usage::Aggregate;
use crate::model::Name;
use crate::model::vertical::{Amounts, Recommended};

/// The parts of the samples that target, lower and upper bound are to cover.
const PERCENTILES: [f64; 3] = [0.9, 0.5, 0.95];
/// `--recommendation-margin-fraction`.
const MARGIN: f64 = 0.15;
/// `--pod-recommendation-min-cpu-millicores` and `-min-memory-mb`, for all containers of a pod together.
const LEAST: [i64; 2] = [25, 250 << 20];
/// The largest amount that there is.
const MOST: f64 = 1e14;
/// Samples of a day at one a minute.
const FULL: f64 = 1440.0;

/// An amount from a float: cut, and within what there is.
fn amount(x: f64) -> i64 {
    if x > MOST { MOST as i64 } else { x.max(0.0) as i64 }
}

fn scaled(base: i64, factor: f64) -> i64 {
    amount(base as f64 * factor)
}

/// How much the samples are worth: days, or their number if some are missing.
fn confidence(of: &Aggregate) -> f64 {
    let days = of.span.map_or(0.0, |[first, last]| (last - first).as_secs_f64() / 86_400.0);
    days.min(of.samples as f64 / FULL)
}

/// What one of `containers` should request.
pub fn recommend(container: &Name, of: &Aggregate, containers: usize) -> Recommended {
    let confidence = confidence(of);
    let lower = 1.0 + 0.001 / confidence;
    let factors = [1.0, 1.0 / (lower * lower), 1.0 + 1.0 / confidence];
    let estimate = |which: usize| -> Amounts {
        let part = PERCENTILES[which];
        let bases = [amount(of.cpu.percentile(part) * 1000.0), amount(of.memory.percentile(part))];
        let mut amounts = [None; 2];
        for at in 0..2 {
            let with_margin = bases[at] + scaled(bases[at], MARGIN);
            let least = scaled(LEAST[at], 1.0 / containers as f64);
            let trusted =
                if with_margin == 0 || which == 0 { with_margin } else { scaled(with_margin, factors[which]) };
            amounts[at] = Some(trusted.max(least));
        }
        amounts
    };
    let target = estimate(0);
    Recommended { container: container.clone(), target, lower: estimate(1), upper: estimate(2), uncapped: target }
}
