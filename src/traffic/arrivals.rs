//! When an open-loop client asks: one interval after the other.
//!
//! Rates that change are drawn by thinning: candidates come at the highest rate, and each is kept with the share that
//! the rate then has of it. A recording's rates hold for an interval each: an interval's request that would come after
//! its end is drawn anew in the next (arrivals at random have no memory). So the process is exact for any shape, and a
//! client draws from one stream only.

use crate::rng::Stream;
use crate::scenario::arrivals::{Arrivals, Bursty, Diurnal, Ramp, RateStep, Replay};
use crate::time::{SimDuration, SimTime};

/// A process of arrivals and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Process {
    shape: Arrivals,
    start: SimTime,
    /// The highest rate, in requests a nanosecond.
    top: f64,
    /// Requests given so far, where they come evenly.
    given: u64,
    /// Bursty: whether the rate is high now, and until when.
    burst: (bool, SimTime),
}

const NANOS: f64 = 1e9;
/// The shortest time that a rate counts as constant in flows.
const FLOW_STEP: SimDuration = SimDuration::from_millis(100);

impl Process {
    pub(super) fn new(shape: Arrivals, start: SimTime) -> Process {
        let top = match &shape {
            Arrivals::Constant(rate) | Arrivals::Poisson(rate) => rate.0,
            Arrivals::Bursty(Bursty { low, high, .. }) => low.0.max(high.0),
            Arrivals::Diurnal(Diurnal { mean, amplitude, .. }) => mean.0 * (1.0 + amplitude.0),
            Arrivals::Steps(steps) => steps.iter().map(|step| step.rate.0).fold(0.0, f64::max),
            Arrivals::Ramp(Ramp { from, to, .. }) => from.0.max(to.0),
            Arrivals::Replay(replay) => replay.counts.iter().copied().fold(0.0, f64::max),
            Arrivals::Trace(trace) => trace.rows.len() as f64,
        };
        Process { shape, start, top: top / NANOS, given: 0, burst: (true, SimTime(i64::MIN)) }
    }

    /// The first request after `last`; none if there is none before `end`.
    pub(super) fn next(&mut self, last: SimTime, end: SimTime, stream: &mut Stream) -> Option<SimTime> {
        if self.top <= 0.0 {
            return None;
        }
        if let Arrivals::Constant(_) = self.shape {
            // From the start, so that rounding does not add up.
            self.given += 1;
            let at = SimTime(self.start.0 + (self.given as f64 / self.top) as i64);
            return (at < end).then_some(at);
        }
        if let Arrivals::Trace(trace) = &self.shape {
            let (seconds, _) = trace.rows.get(self.given as usize)?;
            self.given += 1;
            let at = self.start + SimDuration((seconds * NANOS) as i64);
            return (at < end).then_some(at);
        }
        if let Arrivals::Replay(replay) = &self.shape {
            return replayed(replay, self.start, last, end, stream);
        }
        let mut at = last;
        loop {
            at = SimTime(at.0.saturating_add(stream.exponential(1.0 / self.top) as i64));
            if at >= end {
                return None;
            }
            let rate = match &self.shape {
                Arrivals::Poisson(_) => return Some(at),
                Arrivals::Bursty(bursty) => {
                    let bursty = *bursty;
                    self.bursty_rate(&bursty, at, stream)
                }
                Arrivals::Diurnal(diurnal) => diurnal_rate(diurnal, at),
                Arrivals::Steps(steps) => step_rate(steps, at),
                Arrivals::Ramp(ramp) => ramp_rate(ramp, at - self.start),
                Arrivals::Constant(_) | Arrivals::Replay(_) | Arrivals::Trace(_) => unreachable!("handled above"),
            };
            if stream.unit() * self.top * NANOS < rate {
                return Some(at);
            }
        }
    }

    /// How many times as long as others the request takes that came last.
    pub(super) fn size(&self) -> f32 {
        match &self.shape {
            Arrivals::Trace(trace) => trace.rows.get(self.given.max(1) as usize - 1).map_or(1.0, |(_, size)| *size),
            _ => 1.0,
        }
    }

    /// When requests come.
    pub(super) fn shape(&self) -> &Arrivals {
        &self.shape
    }

    /// The rate at `now`, in requests a second, and until when it may count as constant.
    pub(super) fn flow(&mut self, now: SimTime, stream: &mut Stream) -> (f64, SimTime) {
        let for_ever = SimTime(i64::MAX);
        let soon = |length: SimDuration, parts: i64| SimDuration((length.0 / parts).max(FLOW_STEP.0));
        match &self.shape {
            Arrivals::Constant(rate) | Arrivals::Poisson(rate) => (rate.0, for_ever),
            Arrivals::Bursty(bursty) => {
                let bursty = *bursty;
                (self.bursty_rate(&bursty, now, stream), self.burst.1)
            }
            Arrivals::Diurnal(diurnal) => {
                let step = soon(diurnal.period.0, 1440);
                (diurnal_rate(diurnal, now + step.scaled(0.5)), now + step)
            }
            Arrivals::Steps(steps) => {
                let next = steps.iter().map(|step| SimTime::ZERO + step.at.0).find(|at| *at > now);
                (step_rate(steps, now), next.unwrap_or(for_ever))
            }
            Arrivals::Ramp(ramp) => {
                let step = soon(ramp.over.0, 200);
                let over = now >= self.start + ramp.over.0;
                (ramp_rate(ramp, now + step.scaled(0.5) - self.start), if over { for_ever } else { now + step })
            }
            // Flows do not know it.
            Arrivals::Trace(_) => (0.0, for_ever),
            Arrivals::Replay(replay) => {
                let length = replay.interval.0.0;
                let interval = (now - self.start).0.div_euclid(length);
                let count = usize::try_from(interval).ok().and_then(|at| replay.counts.get(at)).copied();
                let rate = count.unwrap_or(0.0) * replay.scale.0 / replay.interval.0.as_secs_f64();
                (rate, SimTime(self.start.0 + (interval + 1) * length))
            }
        }
    }

    fn bursty_rate(&mut self, bursty: &Bursty, at: SimTime, stream: &mut Stream) -> f64 {
        while self.burst.1 <= at {
            let high = !self.burst.0;
            let length = if high { bursty.high_time } else { bursty.low_time };
            let from = self.burst.1.max(self.start);
            self.burst = (high, SimTime(from.0 + (stream.exponential(length.0.0 as f64) as i64).max(1)));
        }
        if self.burst.0 { bursty.high.0 } else { bursty.low.0 }
    }
}

/// The first request after `last` of a recording that begins at `start`.
fn replayed(replay: &Replay, start: SimTime, last: SimTime, end: SimTime, stream: &mut Stream) -> Option<SimTime> {
    let length = replay.interval.0.0;
    let mut at = last;
    loop {
        let interval = (at - start).0.div_euclid(length);
        let count = replay.counts.get(usize::try_from(interval).ok()?)? * replay.scale.0;
        let over = SimTime(start.0 + (interval + 1) * length);
        if count > 0.0 {
            let next = SimTime(at.0.saturating_add(stream.exponential(length as f64 / count) as i64));
            if next < over {
                return (next < end).then_some(next);
            }
        }
        at = over;
        if at >= end {
            return None;
        }
    }
}

fn diurnal_rate(Diurnal { mean, amplitude, period, peak }: &Diurnal, at: SimTime) -> f64 {
    let period = period.0.as_secs_f64();
    let peak = peak.map_or(period / 2.0, |peak| peak.0.as_secs_f64());
    let angle = 2.0 * std::f64::consts::PI * (at.as_secs_f64() - peak) / period;
    mean.0 * (1.0 + amplitude.0 * libm::cos(angle))
}

fn ramp_rate(Ramp { from, to, over }: &Ramp, gone: SimDuration) -> f64 {
    from.0 + (to.0 - from.0) * (gone.as_secs_f64() / over.0.as_secs_f64().max(1e-9)).min(1.0)
}

/// How many requests a process comes to from `start` to `end`.
pub(super) fn expected(shape: &Arrivals, start: SimTime, end: SimTime) -> f64 {
    let length = (end - start).as_secs_f64().max(0.0);
    match shape {
        Arrivals::Constant(rate) | Arrivals::Poisson(rate) => rate.0 * length,
        Arrivals::Bursty(Bursty { low, high, low_time, high_time }) => {
            let (low_time, high_time) = (low_time.0.as_secs_f64(), high_time.0.as_secs_f64());
            length * (low.0 * low_time + high.0 * high_time) / (low_time + high_time).max(1e-9)
        }
        Arrivals::Diurnal(diurnal) => diurnal.mean.0 * length,
        Arrivals::Steps(steps) => {
            let until = steps.iter().skip(1).map(|step| SimTime::ZERO + step.at.0).chain(std::iter::once(end));
            let part = |(step, until): (&RateStep, SimTime)| {
                step.rate.0 * (until.min(end) - (SimTime::ZERO + step.at.0).max(start)).as_secs_f64().max(0.0)
            };
            steps.iter().zip(until).map(part).sum()
        }
        Arrivals::Ramp(ramp) => {
            let over = ramp.over.0.as_secs_f64().min(length);
            let mean = 0.5 * (ramp.from.0 + ramp_rate(ramp, SimDuration((over * NANOS) as i64)));
            mean * over + ramp.to.0 * (length - over)
        }
        Arrivals::Trace(trace) => trace.rows.len() as f64,
        Arrivals::Replay(replay) => {
            let intervals = length / replay.interval.0.as_secs_f64().max(1e-9);
            replay.counts.iter().take(intervals as usize + 1).sum::<f64>() * replay.scale.0
        }
    }
}

/// The rate of the last step that began; none before the first.
fn step_rate(steps: &[RateStep], at: SimTime) -> f64 {
    let begun = steps.partition_point(|step| step.at.0.0 <= at.0);
    begun.checked_sub(1).map_or(0.0, |last| steps[last].rate.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use crate::scenario::arrivals::{Rate, Trace};
    use crate::scenario::units::{Duration, Factor};

    /// Requests in each stretch of `seconds` up to `until`.
    fn counts(shape: Arrivals, seconds: i64, until: i64) -> Vec<u64> {
        let mut stream = Seed(1).stream("arrivals", "test");
        let mut process = Process::new(shape, SimTime::ZERO);
        let (mut counts, mut last) = (vec![0; (until / seconds) as usize], SimTime::ZERO);
        while let Some(at) = process.next(last, SimTime::from_secs(until), &mut stream) {
            assert!(at >= last);
            counts[(at.whole_seconds() / seconds) as usize] += 1;
            last = at;
        }
        counts
    }

    /// A Poisson count lies within four standard deviations of its mean (one in 16,000 does not).
    fn near(have: u64, mean: f64) {
        assert!((have as f64 - mean).abs() < 4.0 * libm::sqrt(mean) + 1.0, "{have}, expected {mean}");
    }

    #[test]
    fn rates_are_as_written() {
        // The first request comes after one interval, so the last one falls on the end.
        assert_eq!(counts(Arrivals::Constant(Rate(10.0)), 10, 30), [99, 100, 100]);
        counts(Arrivals::Poisson(Rate(10.0)), 100, 300).into_iter().for_each(|have| near(have, 1000.0));
        let step = |at, rate| RateStep { at: Duration::secs(at), rate: Rate(rate) };
        let stepped = counts(Arrivals::Steps(vec![step(100, 10.0), step(200, 30.0)]), 100, 300);
        assert_eq!(stepped[0], 0);
        near(stepped[1], 1000.0);
        near(stepped[2], 3000.0);
        // From 0 to 20/s over 200 s: the means of the halves are 5/s and 15/s; then 20/s.
        let ramp = Ramp { from: Rate(0.0), to: Rate(20.0), over: Duration::secs(200) };
        let ramped = counts(Arrivals::Ramp(ramp), 100, 300);
        [500.0, 1500.0, 2000.0].into_iter().zip(ramped).for_each(|(mean, have)| near(have, mean));
    }

    #[test]
    fn recordings_are_replayed() {
        let mut replay: Replay =
            crate::wire::typed::read(&serde_json::json!({"file": "x.csv", "interval": "100s", "scale": 0.5})).unwrap();
        replay.read("minute,requests\n0,2000\n1,0\n2,6000\n").unwrap();
        let counted = counts(Arrivals::Replay(replay.clone()), 100, 400);
        near(counted[0], 1000.0);
        near(counted[2], 3000.0);
        assert_eq!((counted[1], counted[3]), (0, 0));
        assert!(replay.read("minute,count\n0,1\n").unwrap_err().contains("no column"));
        assert!(replay.read("requests\nmany\n").unwrap_err().contains("row 2"));
    }

    #[test]
    fn recorded_requests_come_when_they_came() {
        let written = serde_json::json!({"file": "x.csv", "time": "t", "size": "tokens", "speed": 2});
        let mut trace: Trace = crate::wire::typed::read(&written).unwrap();
        trace.read("t,tokens\n100,3\n101,1\n101,20\n107.5,2\n").unwrap();
        let (mut stream, start) = (Seed(1).stream("arrivals", "test"), SimTime::from_secs(10));
        let mut process = Process::new(Arrivals::Trace(trace.clone()), start);
        let mut seen = Vec::new();
        while let Some(at) = process.next(start, SimTime::from_secs(13), &mut stream) {
            seen.push((at.as_secs_f64(), process.size()));
        }
        // Twice as fast, from the client's start; the last one would come at 13.75 s, after its end.
        assert_eq!(seen, [(10.0, 3.0), (10.5, 1.0), (10.5, 20.0)]);
        assert!(trace.read("t,tokens\n2,1\n1,1\n").unwrap_err().contains("row 3"));
        assert!(trace.read("t\n2\n").unwrap_err().contains("no column \"tokens\""));
    }

    #[test]
    fn days_and_bursts_have_their_means() {
        // A day of 400 s with its peak after 200 s: over the quarter around the peak, the mean of
        // 1 + 0.5 cos is 1 + 0.5 sin(45°)/(π/4) = 1.450; around the start and end 0.550. Next to those the mean of the
        // cosine is (1 - sin(45°))/(π/4) = 0.373, with either sign.
        let diurnal = Diurnal { mean: Rate(20.0), amplitude: Factor(0.5), period: Duration::secs(400), peak: None };
        let eighths = counts(Arrivals::Diurnal(diurnal), 50, 400);
        near(eighths[3] + eighths[4], 20.0 * 100.0 * 1.450);
        near(eighths[0] + eighths[7], 20.0 * 100.0 * 0.550);
        near(eighths[1] + eighths[6], 20.0 * 100.0 * (1.0 - 0.5 * 0.373));
        near(eighths[2] + eighths[5], 20.0 * 100.0 * (1.0 + 0.5 * 0.373));
        // 10/s for 9 s, 110/s for 1 s: 20/s in the mean, but in lumps: the variance of a second's count is far above.
        let (low_time, high_time) = (Duration::secs(9), Duration::secs(1));
        let bursty = Bursty { low: Rate(10.0), high: Rate(110.0), low_time, high_time };
        let seconds = counts(Arrivals::Bursty(bursty), 1, 20_000);
        let mean = seconds.iter().sum::<u64>() as f64 / seconds.len() as f64;
        let variance = seconds.iter().map(|n| (*n as f64 - mean).powi(2)).sum::<f64>() / seconds.len() as f64;
        assert!((mean - 20.0).abs() < 1.5, "{mean}");
        assert!(variance > 10.0 * mean, "{variance}");
    }
}
