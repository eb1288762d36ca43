//! Groups that could not grow are left alone for a while, each time for longer (`utils/backoff/exponential_backoff.go`).
//!
//! A worked example: a pool is out of stock at 0:00 → it is left alone until 0:05; it fails again at 0:06 → until 0:16;
//! then until 0:36 and so on, half an hour at most. After three hours without failure it begins anew.

use crate::model::Name;
use crate::scenario::autoscaler::Autoscaler;
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Backoff {
    why: Name,
    length: SimDuration,
    until: SimTime,
    failed: SimTime,
}

/// The groups that failed.
#[derive(Clone, Debug, Default)]
pub struct Backoffs(BTreeMap<Name, Backoff>);

impl Backoffs {
    /// A group could not grow.
    pub fn failed(&mut self, group: &Name, why: Name, now: SimTime, settings: &Autoscaler) {
        let first = settings.initial_node_group_backoff.0;
        let known = self.0.get(group).filter(|known| known.failed + settings.node_group_backoff_reset.0 > now);
        let length = match known {
            // Several failures of one attempt count once.
            Some(known) if known.until > now => known.length,
            Some(known) => (known.length * 2).min(settings.max_node_group_backoff.0),
            None => first,
        };
        self.0.insert(group.clone(), Backoff { why, length, until: now + length, failed: now });
    }

    /// Whether a group is left alone.
    pub fn holds(&self, group: &Name, now: SimTime) -> bool {
        self.0.get(group).is_some_and(|known| known.until > now)
    }

    /// Why a group is left alone, if it is.
    pub fn why(&self, group: &Name, now: SimTime) -> Option<Name> {
        self.0.get(group).filter(|known| known.until > now).map(|known| known.why.clone())
    }

    /// When the next group may be tried again.
    pub fn next(&self, now: SimTime) -> Option<SimTime> {
        self.0.values().map(|known| known.until).filter(|until| *until > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_half_an_hour_and_forgets_after_three() {
        let (mut backoffs, settings, pool) = (Backoffs::default(), Autoscaler::default(), crate::name!("pool"));
        let minute = |n: i64| SimTime::from_secs(60 * n);
        // (failure at minute, left alone until minute)
        for (at, until) in [(0, 5), (6, 16), (17, 37), (40, 70), (80, 110), (300, 305)] {
            assert!(!backoffs.holds(&pool, minute(at)), "{at}");
            backoffs.failed(&pool, crate::name!("full"), minute(at), &settings);
            // A second machine of the same attempt.
            backoffs.failed(&pool, crate::name!("full"), minute(at), &settings);
            assert_eq!(backoffs.next(minute(at)), Some(minute(until)), "failure at {at}");
            assert!(backoffs.holds(&pool, minute(until - 1)) && !backoffs.holds(&pool, minute(until)));
        }
    }
}
