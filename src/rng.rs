//! Randomness: one seed gives any number of independent, named streams.
//!
//! A stream is identified by what it is for and whom it concerns, so drawing more in one moves no
//! other: two runs that differ in one strategy see the same arrivals, failures and start times.
//! ChaCha is portable and fixed by test vectors; logarithms and exponentials come from the pure-Rust
//! `libm`, because the platform's differ in the last bit.

use crate::time::SimDuration;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The seed of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed(pub u64);

/// A named source of random numbers. Everything it yields is a function of seed, purpose and entity.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Seed {
    /// The stream for `purpose` (such as `"image-pull"`) concerning `entity` (such as a pod's key).
    pub fn stream(self, purpose: &str, entity: &str) -> Stream {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        key[8..16].copy_from_slice(&fnv1a(purpose.as_bytes(), FNV_OFFSET).to_le_bytes());
        key[16..24].copy_from_slice(&fnv1a(entity.as_bytes(), FNV_OFFSET).to_le_bytes());
        // A second hash with another start, so that equal 64-bit hashes do not give equal streams.
        key[24..].copy_from_slice(&fnv1a(entity.as_bytes(), fnv1a(purpose.as_bytes(), !FNV_OFFSET)).to_le_bytes());
        Stream(ChaCha8Rng::from_seed(key))
    }
}

impl Seed {
    /// 128 bits that nobody else has, for what `parts` name: a hash, where a stream would be drawn from once.
    pub fn bits_of(self, purpose: &str, parts: &[&[u8]]) -> u128 {
        let lane = |start: u64| {
            let begun = fnv1a(purpose.as_bytes(), start ^ self.0);
            // A byte that no text has between two parts.
            finish(parts.iter().fold(begun, |hash, part| fnv1a(&[0xff], fnv1a(part, hash))))
        };
        u128::from(lane(FNV_OFFSET)) << 64 | u128::from(lane(!FNV_OFFSET))
    }
}

/// Spreads every bit over all: the end of MurmurHash3.
fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over `bytes`, going on from `state`.
fn fnv1a(bytes: &[u8], state: u64) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl Stream {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 128 random bits.
    pub fn bits128(&mut self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    /// Uniform in `0..n` without bias. `n` must be positive.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "a choice among nothing");
        // Rejection keeps every value equally likely.
        loop {
            let bits = self.bits();
            // The second question, for the few at the end, costs a division.
            if bits < u64::MAX - n || bits < u64::MAX - u64::MAX % n {
                return bits % n;
            }
        }
    }

    /// Uniform in `[0, 1)` with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Exponential with the given mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Weibull: below `scale` with probability 1 - 1/e.
    pub fn weibull(&mut self, scale: f64, shape: f64) -> f64 {
        scale * libm::pow(-libm::log(1.0 - self.unit()), 1.0 / shape)
    }

    /// Normal by Box and Muller; two draws each, so that a stream's position is a function of its use.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        let angle = 2.0 * std::f64::consts::PI * self.unit();
        mean + deviation * radius * libm::cos(angle)
    }

    /// Log-normal given by its median and the deviation of its logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal(0.0, 1.0))
    }

    /// `count` of the candidates, drawn without repetition, in their order; all of them if absent.
    pub fn choose<T>(&mut self, mut candidates: Vec<T>, count: Option<usize>) -> Vec<T> {
        let count = count.unwrap_or(candidates.len());
        while candidates.len() > count {
            let at = self.below(candidates.len() as u64) as usize;
            candidates.remove(at);
        }
        candidates
    }

    /// `n` characters of the alphabet that Kubernetes uses for generated names
    /// (`staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go`).
    pub fn name_suffix(&mut self, n: usize) -> String {
        const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..n).map(|_| ALPHABET[self.below(27) as usize] as char).collect()
    }
}

/// A length of time that may vary from draw to draw. Never negative.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Delay {
    /// Always the same; draws nothing.
    Constant(SimDuration),
    /// Between the two.
    Uniform(SimDuration, SimDuration),
    /// Mean and deviation.
    Normal(SimDuration, SimDuration),
    /// Median, and deviation of the logarithm.
    LogNormal(SimDuration, f64),
    /// Mean.
    Exponential(SimDuration),
    /// Scale and shape.
    Weibull(SimDuration, f64),
}

impl Delay {
    /// One draw.
    pub fn sample(self, stream: &mut Stream) -> SimDuration {
        let drawn = match self {
            Delay::Constant(length) => return length,
            Delay::Uniform(low, high) => stream.uniform(low.0 as f64, high.0 as f64),
            Delay::Normal(mean, deviation) => stream.normal(mean.0 as f64, deviation.0 as f64),
            Delay::LogNormal(median, sigma) => stream.lognormal(median.0 as f64, sigma),
            Delay::Exponential(mean) => stream.exponential(mean.0 as f64),
            Delay::Weibull(scale, shape) => stream.weibull(scale.0 as f64, shape),
        };
        SimDuration(drawn.max(0.0) as i64)
    }

    /// A length that less than one draw in a million exceeds.
    pub fn longest(self) -> SimDuration {
        match self {
            Delay::Constant(length) | Delay::Uniform(_, length) => length,
            Delay::Normal(mean, deviation) => mean + deviation * 5,
            // Right for a sigma up to 0.9; more would be an unusual network.
            Delay::LogNormal(median, _) => median * 100,
            Delay::Exponential(mean) => mean * 20,
            // ln(10^6) is less than 14; a shape below 1 stretches it.
            Delay::Weibull(scale, shape) => {
                SimDuration((scale.0 as f64 * libm::pow(14.0, 1.0 / shape)).min(i64::MAX as f64 / 4.0) as i64)
            }
        }
    }

    /// The mean, in nanoseconds.
    pub fn mean(self) -> f64 {
        match self {
            Delay::Constant(length) | Delay::Normal(length, _) | Delay::Exponential(length) => length.0 as f64,
            Delay::Uniform(low, high) => (low.0 as f64 + high.0 as f64) / 2.0,
            Delay::LogNormal(median, sigma) => median.0 as f64 * libm::exp(sigma * sigma / 2.0),
            Delay::Weibull(scale, shape) => scale.0 as f64 * libm::tgamma(1.0 + 1.0 / shape),
        }
    }

    /// The variance, in units of the mean squared. A normal that is cut off at zero counts as a whole one.
    pub fn variation(self) -> f64 {
        let square = |of: f64| of * of;
        match self {
            Delay::Constant(_) => 0.0,
            Delay::Uniform(low, high) => square(high.0 as f64 - low.0 as f64) / 12.0 / square(self.mean()).max(1e-300),
            Delay::Normal(mean, deviation) => square(deviation.0 as f64 / (mean.0 as f64).max(1e-300)),
            Delay::LogNormal(_, sigma) => libm::exp(sigma * sigma) - 1.0,
            Delay::Exponential(_) => 1.0,
            Delay::Weibull(_, shape) => libm::tgamma(1.0 + 2.0 / shape) / square(libm::tgamma(1.0 + 1.0 / shape)) - 1.0,
        }
    }
}

impl From<SimDuration> for Delay {
    fn from(length: SimDuration) -> Delay {
        Delay::Constant(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent_and_repeatable() {
        let first: Vec<u64> = (0..4).map(|_| Seed(7).stream("pull", "a").bits()).collect();
        assert!(first.windows(2).all(|w| w[0] == w[1]), "a stream starts at the same place every time");
        assert_ne!(Seed(7).stream("pull", "a").bits(), Seed(7).stream("pull", "b").bits());
        assert_ne!(Seed(7).stream("pull", "a").bits(), Seed(7).stream("start", "a").bits());
        assert_ne!(Seed(7).stream("pull", "a").bits(), Seed(8).stream("pull", "a").bits());
    }

    #[test]
    fn distributions_have_their_moments() {
        // 20,000 draws: the standard error of the mean is deviation/141, so five of them are < 4 %.
        let mean = |draw: &mut dyn FnMut() -> f64| (0..20_000).map(|_| draw()).sum::<f64>() / 20_000.0;
        let mut s = Seed(1).stream("test", "moments");
        assert!((mean(&mut || s.uniform(2.0, 4.0)) - 3.0).abs() < 0.03);
        assert!((mean(&mut || s.exponential(5.0)) - 5.0).abs() < 0.2);
        // The mean of a Weibull is scale * gamma(1 + 1/shape): for shape 2 that is scale * sqrt(pi) / 2.
        assert!((mean(&mut || s.weibull(4.0, 2.0)) - 2.0 * libm::sqrt(std::f64::consts::PI)).abs() < 0.08);
        assert!((mean(&mut || s.normal(10.0, 2.0)) - 10.0).abs() < 0.08);
        // The mean of a log-normal is median * exp(sigma^2 / 2).
        assert!((mean(&mut || s.lognormal(3.0, 0.5)) - 3.0 * libm::exp(0.125)).abs() < 0.07);
    }
}
