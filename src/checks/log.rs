//! The log and the store: order, identity, deletion (invariants 1-5 and 9).

use super::Findings;
use crate::model::{Key, Kind, Object, Uid};
use crate::store::{Change, Store, Verb};
use crate::time::SimTime;
use rustc_hash::{FxHashMap, FxHashSet};

/// What the log said so far.
#[derive(Debug, Default)]
pub struct LogChecks {
    last: Option<(SimTime, u64)>,
    live: FxHashMap<Key, Object>,
    uids: FxHashSet<Uid>,
}

impl LogChecks {
    /// 1, 2 and 9.
    pub fn order(&mut self, change: &Change, findings: &mut Findings) {
        if let Some((time, revision)) = self.last {
            if change.time < time {
                findings.violate(1, &[&change.key], format!("{} comes after {time}", change.time));
            }
            if change.revision != revision + 1 {
                findings.violate(2, &[&change.key], format!("revision {} follows {revision}", change.revision));
            }
        }
        self.last = Some((change.time, change.revision));
        deletion(change, findings);
    }

    /// 3 and 4, and the fold for 5.
    pub fn versions(&mut self, change: &Change, findings: &mut Findings) {
        let known = self.live.get(&change.key);
        let uid = change.object().meta().uid;
        match (change.verb, known) {
            (Verb::Added, Some(_)) => findings.violate(3, &[&change.key], format!("{} exists already", change.key)),
            (Verb::Added, None) if !self.uids.insert(uid) => {
                findings.violate(3, &[&change.key], format!("uid {uid} of {} was used before", change.key));
            }
            (Verb::Modified | Verb::Deleted, None) => {
                findings.violate(4, &[&change.key], format!("{} is written but was never made", change.key));
            }
            (Verb::Modified | Verb::Deleted, Some(known)) => {
                let (have, based) = (known.meta(), change.old.as_ref().map(Object::meta));
                if based.is_none_or(|old| (old.uid, old.resource_version) != (have.uid, have.resource_version)) {
                    let based = based.map_or(0, |old| old.resource_version);
                    let message = format!("{} at {} is replaced as if at {based}", change.key, have.resource_version);
                    findings.violate(4, &[&change.key], message);
                }
            }
            _ => {}
        }
        match &change.new {
            Some(new) => self.live.insert(change.key.clone(), new.clone()),
            None => self.live.remove(&change.key),
        };
    }

    /// 5: the store holds exactly what the log made.
    pub fn sweep(&self, store: &Store, findings: &mut Findings) {
        let view = store.live();
        let mut count = 0;
        for kind in Kind::ALL {
            for object in view.objects(*kind) {
                count += 1;
                let key = object.key();
                if self.live.get(&key) != Some(object) {
                    findings.violate(5, &[&key], format!("{key} in the store is not what the log made of it"));
                }
            }
        }
        if count != self.live.len() {
            let message = format!("the store holds {count} objects, the log made {}", self.live.len());
            findings.violate(5, &[], message);
        }
    }
}

/// 9. The version before the last finalizer went is the last one there is, so one may still be on it.
fn deletion(change: &Change, findings: &mut Findings) {
    let Some(old) = change.old.as_ref().map(Object::meta) else { return };
    match change.new.as_ref().map(Object::meta) {
        Some(new) if old.deleting() && !new.deleting() => {
            findings.violate(9, &[&change.key], format!("the deletion mark of {} was taken back", change.key));
        }
        Some(new) if old.deletion.zip(new.deletion).is_some_and(|(old, new)| new.at > old.at) => {
            findings.violate(9, &[&change.key], format!("the deletion of {} was put off", change.key));
        }
        None if !old.finalizers.is_empty() && (!old.deleting() || old.finalizers.len() > 1) => {
            let message = format!("{} vanished with finalizers {:?}", change.key, old.finalizers);
            findings.violate(9, &[&change.key], message);
        }
        _ => {}
    }
}
