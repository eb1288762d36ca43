//! How long a failed daemon pod stays before it is replaced (`staging/src/k8s.io/client-go/util/flowcontrol/backoff.go`).
//!
//! A worked example: the kubelet refuses a pod; it is deleted at once, the next after a second, then two, four, and so
//! on up to fifteen minutes.

use crate::model::{Key, Name};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

const FIRST: SimDuration = SimDuration::from_secs(1);
const LONGEST: SimDuration = SimDuration::from_secs(15 * 60);

/// The last replacement on a node, by generation and node: when, and how long the next has to wait.
type Replacements = BTreeMap<(i64, Name), (SimTime, SimDuration)>;

/// The replacements of each set.
#[derive(Debug, Default)]
pub(super) struct FailedPods(BTreeMap<Key, Replacements>);

impl FailedPods {
    /// How long the failed pod on `node` must stay; none: it may go now, and the next must wait longer.
    pub(super) fn wait(&mut self, set: &Key, generation: i64, node: &Name, now: SimTime) -> Option<SimDuration> {
        let nodes = self.0.entry(set.clone()).or_default();
        nodes.retain(|(of, _), _| *of == generation);
        let place = (generation, node.clone());
        let delay = match nodes.get(&place) {
            Some((since, delay)) if now - *since < *delay => return Some(*since + *delay - now),
            Some((since, delay)) if now - *since <= LONGEST * 2 => (*delay * 2).min(LONGEST),
            _ => FIRST,
        };
        nodes.insert(place, (now, delay));
        None
    }

    /// The set is gone.
    pub(super) fn forget(&mut self, set: &Key) {
        self.0.remove(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn each_replacement_waits_twice_as_long() {
        let (set, node) = (Key::new(Kind::DaemonSet, "default", "agent"), crate::name!("n"));
        let mut failed = FailedPods::default();
        let at = SimTime::from_secs;
        // (instant, seconds still to wait; none: it goes)
        let table =
            [(0, None), (0, Some(1)), (1, None), (2, Some(1)), (3, None), (4, Some(3)), (7, None), (8, Some(7))];
        for (seconds, wait) in table {
            let expected = wait.map(SimDuration::from_secs);
            assert_eq!(failed.wait(&set, 1, &node, at(seconds)), expected, "at {seconds}");
        }
        assert_eq!(failed.wait(&set, 2, &node, at(8)), None, "a new generation starts over");
        assert_eq!(failed.wait(&set, 2, &node, at(8 + 1801)), None);
        assert_eq!(failed.wait(&set, 2, &node, at(8 + 1801)), Some(FIRST), "forgotten after half an hour");
    }
}
