//! Chance in heartbeats, made equal to that of a recording.
//!
//! A kubelet renews its lease every ten seconds and up to 4 % later. After some renewals nobody can say whether
//! the next one comes just before or just after a given crash, or is noticed by this pass of the node monitor
//! or the next, and on that hang five or ten seconds of detection. Renewals are not recorded, but which pass
//! noticed the last one is: the one fifty seconds before the node became Unknown. So the jitter of a kubelet is
//! drawn again, by letting it begin microseconds earlier, until the crash meets its lease as it did then.

use kubesim::model::Name;
use kubesim::rng::Seed;
use kubesim::store::Heartbeats;
use kubesim::time::{SimDuration, SimTime};

/// `--node-monitor-grace-period`.
const GRACE: SimDuration = SimDuration::from_secs(50);

/// Half the time between two passes, in seconds: closer means the same pass.
const SAME_PASS: f64 = 2.5;

/// How often jitter is drawn at most.
const DRAWS: i64 = 500;

/// When the node monitor looks.
#[derive(Clone, Copy)]
pub struct Passes {
    pub first: SimTime,
    pub period: SimDuration,
    /// How old the newest renewal may be that a pass sees.
    pub lag: SimDuration,
}

impl Passes {
    /// The first pass at or after `time`.
    fn at(&self, time: SimTime) -> SimTime {
        let since = (time - self.first).0.max(0);
        self.first + self.period * (since / self.period.0 + i64::from(since % self.period.0 != 0))
    }

    /// When a node is found silent whose last renewal was at `renewal`.
    fn detection(&self, renewal: SimTime) -> SimTime {
        self.at(self.at(renewal + self.lag) + GRACE + SimDuration(1))
    }

    /// The instant, hardly before `up`, from which the heartbeats of `node` count. `crash`: when it will stop,
    /// and how many seconds later that was noticed in the recording.
    pub fn heartbeats_since(&self, seed: Seed, node: &Name, up: SimTime, crash: Option<(SimTime, f64)>) -> SimTime {
        let Some((crash, detected)) = crash else { return up };
        let alike = |since: &SimTime| {
            let last = Heartbeats::new(seed, node, *since).take_while(|beat| *beat <= crash).last();
            let delay = last.map(|last| (self.detection(last) - crash).as_secs_f64());
            delay.is_some_and(|delay| (delay - detected).abs() < SAME_PASS)
        };
        (0..DRAWS).map(|draw| up - SimDuration::from_micros(draw)).find(alike).unwrap_or(up)
    }
}
