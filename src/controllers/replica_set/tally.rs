//! How many pods each replica set has, counted as they change instead of at every sync: a set of n pods is synced at
//! every change of each, so that counting anew would cost n².
//!
//! A worked example: a pod of `web` turns ready → its old version leaves the group of its labels, the new one enters it
//! → the sync of `web` reads 7 active and 3 ready from two groups (the pods of zone a and of zone b), whatever n is.

use crate::model::{Labels, Object, Pod, Uid};
use crate::store::Change;
use rustc_hash::FxHashMap;

/// The pods that one set controls, by their labels: almost all have the same.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(Labels, Counts)>);

/// Pods with one set of labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Not being deleted, ended or not.
    pub(super) kept: i32,
    /// Neither ended nor being deleted.
    pub(super) active: i32,
    /// Active and ready.
    pub(super) ready: i32,
    /// Being deleted and not yet ended.
    pub(super) terminating: i32,
}

impl Counts {
    fn of(pod: &Pod) -> Counts {
        let active = pod.is_active();
        Counts {
            kept: i32::from(!pod.meta.deleting()),
            active: i32::from(active),
            ready: i32::from(active && pod.is_ready()),
            terminating: i32::from(pod.is_terminating()),
        }
    }

    fn add(&mut self, more: Counts, sign: i32) {
        self.kept += sign * more.kept;
        self.active += sign * more.active;
        self.ready += sign * more.ready;
        self.terminating += sign * more.terminating;
    }
}

impl Tally {
    /// All pods together.
    pub(super) fn total(&self) -> Counts {
        self.of_labels(|_| true)
    }

    /// The pods whose labels pass a test.
    pub(super) fn of_labels(&self, test: impl Fn(&Labels) -> bool) -> Counts {
        let mut sum = Counts::default();
        self.0.iter().filter(|(labels, _)| test(labels)).for_each(|(_, counts)| sum.add(*counts, 1));
        sum
    }

    fn add(&mut self, labels: &Labels, counts: Counts, sign: i32) {
        let at = self.0.iter().position(|(have, _)| have == labels).unwrap_or_else(|| {
            self.0.push((labels.clone(), Counts::default()));
            self.0.len() - 1
        });
        self.0[at].1.add(counts, sign);
        if self.0[at].1 == Counts::default() {
            self.0.swap_remove(at);
        }
    }
}

/// The tallies of all sets, by the uid of the set.
#[derive(Debug, Default)]
pub(super) struct Tallies(FxHashMap<Uid, Tally>);

impl Tallies {
    /// Follows a change of a pod.
    pub(super) fn follow(&mut self, change: &Change) {
        let pod = |object: &Option<Object>| object.as_ref().and_then(Object::pod).cloned();
        for (pod, sign) in [(pod(&change.old), -1), (pod(&change.new), 1)] {
            let Some(pod) = pod else { continue };
            let Some(owner) = pod.meta.controller().map(|owner| owner.uid) else { continue };
            let tally = self.0.entry(owner).or_default();
            tally.add(&pod.meta.labels, Counts::of(&pod), sign);
            if tally.0.is_empty() {
                self.0.remove(&owner);
            }
        }
    }

    /// The tally of a set.
    pub(super) fn of(&self, set: Uid) -> &Tally {
        const NONE: &Tally = &Tally(Vec::new());
        self.0.get(&set).unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Condition, Deletion, Kind, Meta, Name, OwnerReference, Phase, PodStatus, Resource, Truth, builder,
    };
    use crate::store::Verb;
    use crate::time::SimTime;
    use proptest::prelude::*;

    /// A pod of one of three sets (or none), in one of two zones, in any state.
    fn pod(owner: u8, zone: u8, phase: u8, ready: bool, deleting: bool) -> Pod {
        let phase = [Phase::Pending, Phase::Running, Phase::Succeeded, Phase::Failed][usize::from(phase)];
        let owners = vec![OwnerReference {
            kind: Kind::ReplicaSet,
            name: "web".into(),
            uid: Uid(u128::from(owner)),
            controller: owner != 0,
            block_owner_deletion: true,
        }];
        let labels = Labels::from_iter([("zone", ["a", "b"][usize::from(zone)])]);
        let deletion = deleting.then_some(Deletion { at: SimTime::ZERO, grace_seconds: 30 });
        let ready = Condition::new(crate::name!("Ready"), Truth::from(ready), Name::new(), "", SimTime::ZERO);
        let mut pod = builder::pod("p", builder::spec("image:1", 100, 0));
        pod.meta = Meta { labels, owners, deletion, ..pod.meta };
        pod.status = PodStatus { phase, conditions: vec![ready], ..PodStatus::default() };
        pod
    }

    /// Owner (0 is none), zone, phase, ready, being deleted.
    type State = (u8, u8, u8, bool, bool);

    fn state() -> impl Strategy<Value = State> {
        (0u8..4, 0u8..2, 0u8..4, any::<bool>(), any::<bool>())
    }

    proptest! {
        /// Whatever becomes of the pods, the tallies say what counting them says.
        #[test]
        fn tallies_are_what_counting_gives(
            steps in prop::collection::vec((0usize..6, prop::option::of(state())), 0..60),
        ) {
            let mut tallies = Tallies::default();
            let mut pods: Vec<Option<State>> = vec![None; 6];
            for (at, next) in steps {
                let object = |state: State| pod(state.0, state.1, state.2, state.3, state.4).into_object();
                let (old, new) = (pods[at].map(object), next.map(object));
                let Some(key) = new.as_ref().or(old.as_ref()).map(Object::key) else { continue };
                let verb = Verb::Modified;
                tallies.follow(&Change { revision: 1, time: SimTime::ZERO, key, verb, old, new, writer: "test" });
                pods[at] = next;
                for owner in 1..4u8 {
                    for zone in ["a", "b"] {
                        let mine = |s: &&State| s.0 == owner && ["a", "b"][usize::from(s.1)] == zone;
                        let count = |test: &dyn Fn(&State) -> bool| {
                            pods.iter().flatten().filter(mine).filter(|state| test(state)).count() as i32
                        };
                        let expected = Counts {
                            kept: count(&|s| !s.4),
                            active: count(&|s| !s.4 && s.2 < 2),
                            ready: count(&|s| !s.4 && s.2 < 2 && s.3),
                            terminating: count(&|s| s.4 && s.2 < 2),
                        };
                        let found = tallies.of(Uid(u128::from(owner)));
                        let found = found.of_labels(|labels| labels.get("zone").is_some_and(|have| have == zone));
                        prop_assert_eq!(found, expected);
                    }
                }
            }
            if pods.iter().flatten().all(|state| state.0 == 0) {
                prop_assert!(tallies.0.is_empty());
            }
        }
    }
}
