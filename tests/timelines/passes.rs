//! Chance in heartbeats, made equal to that of a recording.
//!
//! A kubelet renews its lease every ten seconds and up to 4 % later. After some renewals nobody can say whether
//! the next one comes just before or just after a given crash, or is noticed by this pass of the node monitor
//! or the next, and on that hang five or ten seconds of detection. Renewals are not recorded, but which pass
//! noticed the last one is: the one fifty seconds before the node became Unknown. So the phase of a kubelet is
//! drawn again, by letting its heartbeats begin a little earlier, until the crash meets its lease as it did then.

use kubesim::model::Name;
use kubesim::rng::Seed;
use kubesim::store::Heartbeats;
use kubesim::time::{SimDuration, SimTime};

/// `--node-monitor-grace-period`.
const GRACE: SimDuration = SimDuration::from_secs(50);

/// Half the time between two passes, in seconds: closer means the same pass.
const SAME_PASS: f64 = 2.5;

/// The passes of a replay may be this much earlier or later, in seconds, for all that was written before.
const PHASE: f64 = 1.0;

/// How often a phase is drawn at most, and how much earlier each draw begins: a renewal in all.
const DRAWS: i64 = 500;
const DRAW: SimDuration = SimDuration::from_micros(20_800);

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
        // A pass that writes a lot puts off the next; who is found by that one was the last to renew.
        let detected = detected.min((self.detection(crash) - crash).as_secs_f64());
        let alike = |since: &SimTime| {
            let last = Heartbeats::new(seed, node, *since).take_while(|beat| *beat <= crash).last();
            let off = [0.0, -PHASE, PHASE].map(|shift| {
                let shift = SimDuration::from_secs_f64(shift);
                let moved = Passes { first: self.first + shift, ..*self };
                last.map(|last| (moved.detection(last) - shift - crash).as_secs_f64() - detected)
            });
            off.iter().all(|off| off.is_some_and(|off| off.abs() < SAME_PASS))
        };
        (0..DRAWS).map(|draw| up - DRAW * draw).find(alike).unwrap_or(up)
    }
}
