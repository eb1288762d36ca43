//! Means with bootstrap intervals.
//!
//! The interval is that of the percentiles of resampled means, widened about the mean by
//! √(n ÷ (n − 1)) × t ÷ z: plain percentiles are too narrow for few values (Hesterberg, "What Teachers Should
//! Know about the Bootstrap", The American Statistician 69(4), 2015).

use crate::rng::Seed;

/// How often values are resampled.
pub const RESAMPLES: usize = 2_000;
/// The 97.5 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A mean and where the true one lies in 95 of 100 experiments.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// Of how many values.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval leaves zero out.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Which of `count` values make up each resample: drawn once, the same for all measures.
#[derive(Clone, Debug)]
pub struct Resamples {
    count: usize,
    picks: Vec<u32>,
}

impl Resamples {
    /// For samples of `count` values.
    pub fn new(seed: Seed, count: usize) -> Resamples {
        let mut stream = seed.stream("bootstrap", &count.to_string());
        let draws = if count == 0 { 0 } else { RESAMPLES * count };
        let picks = (0..draws).map(|_| stream.below(count as u64) as u32).collect();
        Resamples { count, picks }
    }

    /// The mean of the values; `None` of none.
    pub fn estimate(&self, values: &[f64]) -> Option<Estimate> {
        assert_eq!(values.len(), self.count, "the resamples are for another number of values");
        let (count, first) = (values.len(), *values.first()?);
        // Equal values have no spread, whatever rounding does to their mean.
        if values.iter().all(|value| *value == first) {
            return Some(Estimate { count, mean: first, low: first, high: first });
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let resampled = self.picks.chunks_exact(count);
        let mut means: Vec<f64> =
            resampled.map(|picks| picks.iter().map(|at| values[*at as usize]).sum::<f64>() / count as f64).collect();
        means.sort_by(f64::total_cmp);
        let ends = [0.025, 0.975].map(|share| mean + (percentile(&means, share) - mean) * widening(count));
        Some(Estimate { count, mean, low: ends[0], high: ends[1] })
    }
}

/// Between the two nearest of sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let at = place as usize;
    let next = sorted[(at + 1).min(sorted.len() - 1)];
    sorted[at] + (next - sorted[at]) * (place - at as f64)
}

/// √(n ÷ (n − 1)) × t ÷ z, with Student's t by its expansion in 1 ÷ (n − 1) (Abramowitz and Stegun, 26.7.5).
fn widening(count: usize) -> f64 {
    let freedom = (count - 1) as f64;
    let (z3, z5) = (Z * Z * Z, Z * Z * Z * Z * Z);
    let t = Z + (z3 + Z) / (4.0 * freedom) + (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / (96.0 * freedom * freedom);
    (count as f64 / freedom).sqrt() * t / Z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_cover_the_truth_in_95_of_100_samples() {
        const SAMPLES: u64 = 400;
        for count in [10, 30] {
            let resamples = Resamples::new(Seed(1), count);
            let covered = (0..SAMPLES).filter(|seed| {
                let mut stream = Seed(*seed).stream("test", "normal");
                let values: Vec<f64> = (0..count).map(|_| stream.normal(10.0, 2.0)).collect();
                let estimate = resamples.estimate(&values).unwrap();
                (estimate.low..=estimate.high).contains(&10.0)
            });
            let share = covered.count() as f64 / SAMPLES as f64;
            // The standard error of the share is sqrt(0.95 × 0.05 / 400) = 0.011.
            assert!((0.92..=0.98).contains(&share), "{count} values: {share}");
        }
    }

    #[test]
    fn the_width_is_that_of_students_t() {
        // Table values of t at 97.5 % for 4, 9 and 29 degrees of freedom.
        for (count, t) in [(5, 2.776), (10, 2.262), (30, 2.045)] {
            let expected = t / Z * (count as f64 / (count - 1) as f64).sqrt();
            assert!((widening(count) - expected).abs() < 0.03, "{count}: {} {expected}", widening(count));
        }
    }

    #[test]
    fn edges() {
        assert_eq!(Resamples::new(Seed(1), 0).estimate(&[]), None);
        let same = Resamples::new(Seed(1), 3).estimate(&[0.1, 0.1, 0.1]).unwrap();
        assert_eq!(same, Estimate { count: 3, mean: 0.1, low: 0.1, high: 0.1 });
        assert!(same.excludes_zero());
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        let once = Resamples::new(Seed(1), 5).estimate(&values);
        assert_eq!(once, Resamples::new(Seed(1), 5).estimate(&values), "the same numbers every time");
    }
}
