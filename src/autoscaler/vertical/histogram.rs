//! A histogram that forgets: samples weigh half as much for each half-life that has passed
//! (`vertical-pod-autoscaler/pkg/recommender/util/{histogram,decaying_histogram,histogram_options}.go`).
//!
//! A worked example: the first bucket is 0.01 wide and each next one 5 % wider: [0, 0.01), [0.01, 0.0205), … A sample of
//! 0.012 falls into the second; the 90th percentile of it alone is the end of that bucket, 0.0205.

use crate::time::{EPOCH_UNIX_SECONDS, SimDuration, SimTime};
use std::rc::Rc;

/// Each bucket is wider than the one before by this factor (`DefaultHistogramBucketSizeGrowth`).
const RATIO: f64 = 1.05;
/// A bucket of less weight is empty: a thousandth of the smallest sample's weight.
const EPSILON: f64 = 0.001 * 0.1;
/// Weights are made smaller when a sample comes that would weigh 2 to this power.
const MAX_EXPONENT: i64 = 100;
/// After this time a sample weighs half as much.
pub const HALF_LIFE: SimDuration = SimDuration::from_secs(24 * 3600);

/// The bounds of the buckets.
#[derive(Clone, Debug)]
pub struct Buckets {
    first: f64,
    count: usize,
}

impl Buckets {
    /// Buckets up to `most`, the first of this width.
    pub fn new(most: f64, first: f64) -> Rc<Buckets> {
        let count = libm::ceil(log(most * (RATIO - 1.0) / first + 1.0)) as usize + 1;
        Rc::new(Buckets { first, count })
    }

    fn of(&self, value: f64) -> usize {
        match value < self.first {
            true => 0,
            false => (log(value * (RATIO - 1.0) / self.first + 1.0) as usize).min(self.count - 1),
        }
    }

    fn start(&self, bucket: usize) -> f64 {
        match bucket {
            0 => 0.0,
            _ => self.first * (libm::pow(RATIO, bucket as f64) - 1.0) / (RATIO - 1.0),
        }
    }
}

/// To base [`RATIO`].
fn log(x: f64) -> f64 {
    libm::log(x) / libm::log(RATIO)
}

/// A histogram.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Rc<Buckets>,
    weights: Vec<f64>,
    total: f64,
    /// The first and last bucket that is not empty.
    range: [usize; 2],
    /// The time at which a sample weighs what it was given.
    reference: Option<SimTime>,
}

impl Histogram {
    /// An empty one.
    pub fn new(buckets: &Rc<Buckets>) -> Self {
        let count = buckets.count;
        Histogram {
            buckets: buckets.clone(),
            weights: vec![0.0; count],
            total: 0.0,
            range: [count - 1, 0],
            reference: None,
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.weights[self.range[0]] < EPSILON
    }

    /// A sample.
    pub fn add(&mut self, value: f64, weight: f64, at: SimTime) {
        let weight = weight * self.factor(at);
        let bucket = self.buckets.of(value);
        self.weights[bucket] += weight;
        self.total += weight;
        if self.weights[bucket] >= EPSILON {
            self.range = [self.range[0].min(bucket), self.range[1].max(bucket)];
        }
    }

    /// Takes a sample back.
    pub fn subtract(&mut self, value: f64, weight: f64, at: SimTime) {
        let weight = weight * self.factor(at);
        let bucket = self.buckets.of(value);
        let less = |from: f64| if from - weight < EPSILON { 0.0 } else { from - weight };
        self.total = less(self.total);
        self.weights[bucket] = less(self.weights[bucket]);
        self.narrow();
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Histogram) {
        let Some(theirs) = other.reference else { return };
        let mut other = other.clone();
        match self.reference {
            Some(own) if own > theirs => other.shift(own),
            _ => self.shift(theirs),
        }
        for bucket in other.range[0]..=other.range[1] {
            self.weights[bucket] += other.weights[bucket];
        }
        self.total += other.total;
        self.range = [self.range[0].min(other.range[0]), self.range[1].max(other.range[1])];
    }

    /// The end of the bucket up to which there is this part of the weight; 0 if there are no samples.
    pub fn percentile(&self, part: f64) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let threshold = part * self.total;
        let [mut bucket, last] = self.range;
        let mut sum = 0.0;
        while bucket < last {
            sum += self.weights[bucket];
            if sum >= threshold {
                break;
            }
            bucket += 1;
        }
        self.buckets.start((bucket + 1).min(self.buckets.count - 1))
    }

    /// How much a sample of this time weighs, in half-lives from the reference.
    fn factor(&mut self, at: SimTime) -> f64 {
        let late = |reference: SimTime| (at - reference).0 / MAX_EXPONENT > HALF_LIFE.0;
        if self.reference.is_none_or(late) {
            self.shift(at);
        }
        let reference = self.reference.unwrap_or(at);
        libm::exp2((at - reference).0 as f64 / HALF_LIFE.0 as f64)
    }

    /// Makes the half-life nearest to `to`, counted from midnight, the reference.
    fn shift(&mut self, to: SimTime) {
        let unix = i128::from(EPOCH_UNIX_SECONDS) * 1_000_000_000 + i128::from(to.0);
        let half = i128::from(HALF_LIFE.0);
        let over = unix.rem_euclid(half);
        let rounded = if over * 2 < half { -over } else { half - over };
        let to = to + SimDuration(rounded as i64);
        if let Some(from) = self.reference {
            let halvings = (to - from).0 as f64 / half as f64;
            let factor = libm::exp2(-libm::floor(halvings + 0.5));
            self.weights.iter_mut().for_each(|weight| *weight *= factor);
            self.total *= factor;
            self.narrow();
        }
        self.reference = Some(to);
    }

    fn narrow(&mut self) {
        let [first, last] = &mut self.range;
        while self.weights[*first] < EPSILON && *first < self.buckets.count - 1 {
            *first += 1;
        }
        while self.weights[*last] < EPSILON && *last > 0 {
            *last -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> SimTime {
        SimTime::from_secs(hours * 3600)
    }

    /// Ends of buckets: 0.01, 0.01 + 0.0105, and so on.
    #[test]
    fn percentiles_are_ends_of_buckets() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.max(1.0);
        let cpu = Buckets::new(1000.0, 0.01);
        let mut one = Histogram::new(&cpu);
        assert!(one.is_empty() && one.percentile(0.9) == 0.0);
        one.add(0.012, 0.1, at(0));
        assert!(near(one.percentile(0.9), 0.0205), "{}", one.percentile(0.9));
        // Nine in the second bucket, one in the first: the 90th percentile is the second's end, the 10th the first's.
        for _ in 0..8 {
            one.add(0.012, 0.1, at(0));
        }
        one.add(0.001, 0.1, at(0));
        assert!(near(one.percentile(0.1), 0.01) && near(one.percentile(0.5), 0.0205));
        // What is beyond the last bucket is in it.
        let mut huge = Histogram::new(&cpu);
        huge.add(1e9, 0.1, at(0));
        assert!(huge.percentile(0.5) >= 1000.0);
    }

    /// Two samples a day apart: the newer weighs twice as much, so the median is its own; three older ones outweigh it.
    #[test]
    fn old_samples_weigh_less() {
        let memory = Buckets::new(1e12, 1e7);
        let mut two = Histogram::new(&memory);
        two.add(5e6, 1.0, at(0));
        two.add(5e8, 1.0, at(24));
        assert!(two.percentile(0.3) <= 1e7 && two.percentile(0.5) > 4e8);
        two.add(5e6, 1.0, at(0));
        two.add(5e6, 1.0, at(0));
        assert!(two.percentile(0.5) <= 1e7);
        // What is taken back leaves nothing, and merging is adding.
        let mut rest = two.clone();
        for _ in 0..3 {
            rest.subtract(5e6, 1.0, at(0));
        }
        assert!(rest.percentile(0.01) > 4e8);
        let mut sum = Histogram::new(&memory);
        sum.merge(&rest);
        sum.merge(&two);
        assert!((sum.total - rest.total - two.total).abs() < 1e-9);
        // A year later the old ones are as good as gone.
        two.add(5e6, 1.0, at(24 * 365));
        assert!(two.percentile(0.99) <= 1e7);
    }
}
