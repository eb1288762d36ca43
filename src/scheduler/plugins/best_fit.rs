//! BestFit: where the least is left over, over all dimensions that count, weighed against the largest machine
//! (`pkg/simulator/plugin/best_fit_score.go` of the simulator of "Beware of Fragmentation").
//!
//! Largest machine 8 CPUs and 32 GiB. A pod of 2 CPUs and 8 GiB on a node with 4 CPUs and 16 GiB left:
//! the mean of 2/8 and 8/32 is 0.25, so 75; on an idle machine it is 0.75, so 25.

/// Amounts in the dimensions that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// CPU in thousandths.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
    /// Thousandths of a GPU, over all devices.
    pub gpu: i64,
}

impl Space {
    /// How many dimensions count: a dimension in which the largest machine has nothing does not.
    pub fn dimensions(&self) -> usize {
        self.amounts().iter().filter(|amount| **amount > 0).count().max(1)
    }

    fn amounts(&self) -> [i64; 3] {
        [self.milli_cpu, self.memory, self.gpu]
    }

    /// The amounts of three spaces side by side, in the dimensions in which `largest` has something.
    pub fn zip(a: &Space, b: &Space, largest: &Space) -> impl Iterator<Item = (i64, i64, i64)> {
        let (a, b) = (a.amounts(), b.amounts());
        largest.amounts().into_iter().enumerate().filter(|(_, l)| *l > 0).map(move |(at, l)| (a[at], b[at], l))
    }
}

/// The raw score of a node with `left` for a pod of `demand`: 100 when nothing is left over.
pub fn raw(left: &Space, demand: &Space, largest: &Space) -> i64 {
    let rest: f64 =
        Space::zip(left, demand, largest).map(|(left, demand, largest)| (left - demand) as f64 / largest as f64).sum();
    ((1.0 - rest / largest.dimensions() as f64) * 100.0) as i64
}

/// Spreads raw scores over 0–100 between the lowest and the highest; all 0 where they are alike.
pub fn normalize(scores: &mut [i64]) {
    let low = scores.iter().copied().min().unwrap_or(0);
    let high = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        *score = if high == low { 0 } else { (*score - low) * 100 / (high - low) };
    }
}
