//! A token bucket in integers: what client-side rate limits of the components are.
//!
//! The state is one instant, the "theoretical arrival time" of the generic cell rate algorithm, so
//! an idle bucket costs nothing.

use crate::time::{SimDuration, SimTime};

/// `burst` tokens at the start, refilled at `qps`.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    interval: SimDuration,
    tolerance: SimDuration,
    arrival: SimTime,
}

impl TokenBucket {
    /// `milli_qps` thousandths of a token a second, at most `burst` at once. 0 qps means no limit.
    pub fn new(milli_qps: i64, burst: i64) -> Self {
        assert!(milli_qps >= 0 && burst >= 1, "rate {milli_qps}/1000 burst {burst}");
        let interval = if milli_qps == 0 { SimDuration::ZERO } else { SimDuration(1_000_000_000_000 / milli_qps) };
        TokenBucket { interval, tolerance: interval * (burst - 1), arrival: SimTime(i64::MIN / 2) }
    }

    /// One token every `interval`, at most `burst` at once.
    pub fn every(interval: SimDuration, burst: i64) -> Self {
        assert!(interval > SimDuration::ZERO && burst >= 1, "a token every {interval}, burst {burst}");
        TokenBucket { interval, tolerance: interval * (burst - 1), arrival: SimTime(i64::MIN / 2) }
    }

    /// Takes a token at the earliest moment not before `now` and says when that is. Tokens are handed
    /// out in the order of the calls, as to waiters in a line.
    pub fn take(&mut self, now: SimTime) -> SimTime {
        let at = now.max(self.arrival - self.tolerance);
        self.arrival = self.arrival.max(at) + self.interval;
        at
    }

    /// Whether a token is there now.
    pub fn has(&self, now: SimTime) -> bool {
        self.arrival - self.tolerance <= now
    }

    /// Takes a token only if one is there now.
    pub fn try_take(&mut self, now: SimTime) -> bool {
        let there = self.has(now);
        if there {
            self.take(now);
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate() {
        // 20/s, burst 30: 300 takes at t=0 end at (300-30)/20 = 13.5 s.
        let mut bucket = TokenBucket::new(20_000, 30);
        let times: Vec<SimTime> = (0..300).map(|_| bucket.take(SimTime::ZERO)).collect();
        assert_eq!(times[29], SimTime::ZERO);
        assert_eq!(times[30], SimTime(50_000_000));
        assert_eq!(times[299], SimTime(13_500_000_000));
    }

    #[test]
    fn refills_while_idle() {
        let mut bucket = TokenBucket::new(1_000, 2);
        bucket.take(SimTime::ZERO);
        bucket.take(SimTime::ZERO);
        assert!(!bucket.try_take(SimTime(999_999_999)));
        assert!(bucket.try_take(SimTime::from_secs(1)));
        assert_eq!(bucket.take(SimTime::from_secs(10)), SimTime::from_secs(10));
    }
}
