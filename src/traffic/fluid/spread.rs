//! Distributions as points, and masses of latencies.
//!
//! A service time is some forty points, finer towards the long ones; what requests take in a pod is each of them with
//! each of some waits. Masses are kept by latency in steps of 3 %, each with its own mean, so that sums stay exact.

use crate::metrics::traffic::Latencies;
use crate::rng::Delay;
use crate::time::SimDuration;

/// A distribution: shares of it and where they lie, for a mean of one.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    /// In seconds.
    pub mean: f64,
    /// Squared coefficient of variation.
    pub variation: f64,
    pub points: Vec<(f64, f64)>,
}

/// Shares that points stand for, finer towards the long ones. The usual percentiles are in the middle of a share: the
/// 90th of one of 4 %, the 99th of one of 0.4 %, the 99.9th of one of 0.04 %; the median too if `first` is 22.
fn shares(first: u32, then: u32) -> impl Iterator<Item = f64> {
    let part = |count: u32, whole: f64| (0..count).map(move |_| whole / f64::from(count));
    let nineties = part(then, 0.068).chain(part(1, 0.004));
    part(first, 0.88).chain(part(1, 0.04)).chain(nineties).chain(part(then, 0.0068)).chain([0.0004, 0.0008])
}

/// Points of a distribution given by its quantiles, scaled to a mean of one.
fn points(shares: impl Iterator<Item = f64>, quantile: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let mut before = 0.0;
    let place = |share: f64| {
        let middle = before + share / 2.0;
        before += share;
        (share, quantile(middle).max(0.0))
    };
    let mut points: Vec<(f64, f64)> = shares.map(place).collect();
    let mean: f64 = points.iter().map(|(share, at)| share * at).sum();
    points.iter_mut().for_each(|(_, at)| *at /= mean.max(1e-300));
    points
}

impl Spread {
    pub(super) fn of(time: Delay) -> Spread {
        let seconds = |length: SimDuration| length.as_secs_f64();
        let (mean, variation) = (time.mean() / 1e9, time.variation());
        let points = match time {
            Delay::Constant(_) => vec![(1.0, 1.0)],
            Delay::Uniform(low, high) => points(shares(22, 6), |at| seconds(low) + (seconds(high) - seconds(low)) * at),
            Delay::Normal(mean, deviation) => {
                points(shares(22, 6), |at| seconds(mean) + seconds(deviation) * normal_quantile(at))
            }
            Delay::LogNormal(_, sigma) => points(shares(22, 6), |at| libm::exp(sigma * normal_quantile(at))),
            Delay::Exponential(_) => points(shares(22, 6), |at| -libm::log(1.0 - at)),
            Delay::Weibull(_, shape) => points(shares(22, 6), |at| libm::pow(-libm::log(1.0 - at), 1.0 / shape)),
        };
        Spread { mean, variation, points }
    }

    /// What requests take that are at work for `work` seconds in the mean, and wait before as [`Wait`] says.
    pub(super) fn with_wait(&self, work: f64, wait: Wait, waits: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let after = |points: &[(f64, f64)], share: f64, wait: f64| {
            points.iter().map(|(part, at)| (part * share, at * work + wait)).collect::<Vec<_>>()
        };
        match wait {
            Wait::Around { mean, deviation } if deviation > 0.01 * work => {
                let mut all = Vec::new();
                let steps = (0..10).map(|step| normal_quantile(0.05 + 0.1 * f64::from(step)));
                steps.for_each(|at| all.extend(after(&self.points, 0.1, (mean + deviation * at).max(0.0))));
                all
            }
            Wait::Around { mean, .. } => after(&self.points, 1.0, mean),
            Wait::Random { share, mean } if share > 1e-5 => {
                let mut all = after(&self.points, 1.0 - share, 0.0);
                waits.iter().for_each(|(part, at)| all.extend(after(&self.points, part * share, at * mean)));
                all
            }
            Wait::Random { .. } => after(&self.points, 1.0, 0.0),
        }
    }
}

impl Spread {
    /// The share that takes longer than `limit` seconds; points alone would be too coarse for it.
    pub(super) fn late(&self, work: f64, wait: Wait, limit: f64) -> f64 {
        match wait {
            Wait::Around { mean, .. } => self.beyond((limit - mean) / work),
            Wait::Random { share, mean } => {
                let tail = |at: f64| libm::exp(-(limit - at * work).max(0.0) / mean.max(1e-12));
                let waited: f64 = self.points.iter().map(|(part, at)| part * tail(*at)).sum();
                (1.0 - share) * self.beyond(limit / work) + share * waited
            }
        }
    }

    /// The share beyond so many times the mean, evenly between one point and the next.
    fn beyond(&self, times: f64) -> f64 {
        if let [(_, at)] = self.points[..] {
            return if at > times { 1.0 } else { 0.0 };
        }
        let (mut before, mut last) = (0.0, (0.0, 0.0));
        for (share, at) in &self.points {
            let here = (*at, before + share / 2.0);
            if *at >= times {
                let part = ((times - last.0) / (here.0 - last.0).max(1e-12)).clamp(0.0, 1.0);
                return 1.0 - last.1 - (here.1 - last.1) * part;
            }
            (before, last) = (before + share, here);
        }
        0.0
    }
}

/// How requests wait before they are worked on. In seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Wait {
    /// All of them about so long: behind a backlog.
    Around { mean: f64, deviation: f64 },
    /// This share, exponentially with this mean.
    Random { share: f64, mean: f64 },
}

impl Wait {
    /// Behind so many others, of whom so many are done each second, with the squared variation of their times.
    pub(super) fn behind(mean: f64, speed: f64, variation: f64) -> Wait {
        // A sum of so many parts.
        Wait::Around { mean, deviation: libm::sqrt(mean * variation / speed.max(1e-9)) }
    }

    /// The mean.
    pub(super) fn mean(self) -> f64 {
        match self {
            Wait::Around { mean, .. } => mean,
            Wait::Random { share, mean } => share * mean,
        }
    }
}

/// Points of an exponential wait.
pub(super) fn waits() -> Vec<(f64, f64)> {
    points(shares(22, 6), |at| -libm::log(1.0 - at))
}

/// The quantile of the standard normal distribution (Acklam's rational approximation, within 1.2e-9).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let horner = |all: &[f64], x: f64| all.iter().fold(0.0, |sum, next| sum * x + next);
    let tail = |p: f64| {
        let q = libm::sqrt(-2.0 * libm::log(p));
        horner(&C, q) / (horner(&D, q) * q + 1.0)
    };
    match p {
        p if p < 0.024_25 => tail(p),
        p if p > 1.0 - 0.024_25 => -tail(1.0 - p),
        p => {
            let (q, r) = (p - 0.5, (p - 0.5) * (p - 0.5));
            horner(&A, r) * q / (horner(&B, r) * r + 1.0)
        }
    }
}

/// So much of something, by latency.
#[derive(Clone, Debug, Default)]
pub(super) struct Mass {
    /// By [`step`]: how much, and its sum of seconds.
    steps: Vec<(f64, f64)>,
}

/// Steps of a 32nd of an octave, from a microsecond on.
fn step(seconds: f64) -> usize {
    let units = (seconds * 1e6) as u64;
    if units < 32 {
        return units as usize;
    }
    let octave = 63 - units.leading_zeros() as usize;
    (octave - 4) * 32 + ((units >> (octave - 5)) as usize & 31)
}

impl Mass {
    pub(super) fn add(&mut self, seconds: f64, mass: f64) {
        let at = step(seconds);
        if at >= self.steps.len() {
            self.steps.resize(at + 1, (0.0, 0.0));
        }
        let (all, sum) = &mut self.steps[at];
        *all += mass;
        *sum += mass * seconds;
    }

    /// As whole requests, `count` in all.
    pub(super) fn whole(&self, count: u64) -> Latencies {
        let mut latencies = Latencies::default();
        let all: f64 = self.steps.iter().map(|(mass, _)| mass).sum();
        let (mut seen, mut given) = (0.0, 0);
        for (mass, sum) in self.steps.iter().filter(|(mass, _)| *mass > 0.0) {
            seen += mass;
            let until = ((seen / all * count as f64).round() as u64).min(count);
            if until > given {
                latencies.add_many(SimDuration((sum / mass * 1e9) as i64), until - given);
                given = until;
            }
        }
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_the_mean_and_the_quantiles() {
        let ms = |n: i64| SimDuration::from_millis(n);
        for (delay, mean, p90) in [
            // -ln(0.1) = 2.303; the normal's quantile of 0.9 is 1.2816: exp(0.5 · 1.2816) = 1.898 medians.
            (Delay::Exponential(ms(10)), 0.010, 0.02303),
            (Delay::LogNormal(ms(10), 0.5), 0.010 * 1.1331, 0.01898),
            (Delay::Uniform(ms(0), ms(20)), 0.010, 0.018),
            (Delay::Normal(ms(100), ms(10)), 0.100, 0.1128),
        ] {
            let spread = Spread::of(delay);
            assert!((spread.mean / mean - 1.0).abs() < 1e-3, "{delay:?}: {}", spread.mean);
            let mut mass = Mass::default();
            spread.points.iter().for_each(|(share, at)| mass.add(at * spread.mean, *share));
            let whole = mass.whole(1_000_000);
            assert_eq!(whole.count(), 1_000_000);
            let (have, at) = (whole.mean().unwrap().as_secs_f64(), whole.quantile(0.9).unwrap().as_secs_f64());
            assert!((have / mean - 1.0).abs() < 5e-3 && (at / p90 - 1.0).abs() < 0.05, "{delay:?}: {have} {at}");
        }
    }
}
