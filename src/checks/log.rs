//! The log and the store: order, identity, deletion (invariants 1-5, 9, and 31 where an owner goes).

use super::{Bounds, Findings};
use crate::model::{Key, Kind, Meta, Object, Uid};
use crate::store::{Change, FOREGROUND, Store, Verb};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;

/// What the log said so far.
#[derive(Debug, Default)]
pub struct LogChecks {
    clock: Option<SimTime>,
    revision: Option<u64>,
    live: FxHashMap<Key, (Object, SimTime)>,
    /// Every uid that ever was, and when it went.
    uids: FxHashMap<Uid, Option<SimTime>>,
    /// When a write to an object was last refused.
    refused: FxHashMap<Key, SimTime>,
}

/// How long a key that failed waits at most.
const LONGEST_BACKOFF: SimDuration = SimDuration::from_secs(1000);

impl LogChecks {
    /// When an object last changed, if it is there.
    pub fn touched(&self, key: &Key) -> Option<SimTime> {
        self.live.get(key).map(|(_, time)| *time)
    }

    /// A write to an object was refused. A pod that a set may not make is the set's refusal; if the request was turned
    /// away before the pod had a name, it may be that of any set of the namespace.
    pub fn refused(&mut self, writer: &str, key: &Key, now: SimTime) {
        let key = match key.kind == Kind::Pod && writer == "replicaset-controller" {
            true => {
                let set = key.name.rsplit_once('-').map_or("", |(set, _)| set);
                Key::new(Kind::ReplicaSet, key.namespace.clone(), set)
            }
            false => key.clone(),
        };
        self.refused.insert(key, now);
    }

    /// Whether nothing came of the last write to an object: who asked for it waits, and has one appointment at a time
    /// (`staging/src/k8s.io/client-go/util/workqueue/default_rate_limiters.go`: what failed often waits up to 1000 s).
    pub fn waits(&self, key: &Key, now: SimTime) -> bool {
        let nameless = Key::new(key.kind, key.namespace.clone(), "");
        let refused = [key, &nameless].into_iter().filter_map(|key| self.refused.get(key)).max();
        let refused = refused.filter(|refused| self.touched(key).is_none_or(|at| at <= **refused));
        refused.is_some_and(|refused| now - *refused <= LONGEST_BACKOFF)
    }

    /// When an object went, if it was ever there and is not now.
    pub fn gone(&self, uid: Uid) -> Option<SimTime> {
        self.uids.get(&uid).copied().flatten()
    }

    /// 1.
    pub fn time(&mut self, now: SimTime, findings: &mut Findings) {
        if let Some(clock) = self.clock.filter(|clock| now < *clock) {
            findings.violate(1, &[], format!("{now} comes after {clock}"));
        }
        self.clock = Some(now);
    }

    /// 1, 2 and 9.
    pub fn order(&mut self, change: &Change, findings: &mut Findings) {
        self.time(change.time, findings);
        if let Some(last) = self.revision.filter(|last| change.revision != last + 1) {
            findings.violate(2, &[&change.key], format!("revision {} follows {last}", change.revision));
        }
        self.revision = Some(change.revision);
        deletion(change, findings);
    }

    /// 3 and 4, and the fold for 5.
    pub fn versions(&mut self, change: &Change, findings: &mut Findings) {
        let known = self.live.get(&change.key).map(|(object, _)| object.meta());
        let uid = change.object().meta().uid;
        match (change.verb, known) {
            (Verb::Added, Some(_)) => findings.violate(3, &[&change.key], format!("{} exists already", change.key)),
            (Verb::Added, None) if self.uids.contains_key(&uid) => {
                findings.violate(3, &[&change.key], format!("uid {uid} of {} was used before", change.key));
            }
            (Verb::Modified | Verb::Deleted, None) => {
                findings.violate(4, &[&change.key], format!("{} is written but was never made", change.key));
            }
            (Verb::Modified | Verb::Deleted, Some(have)) => {
                let based = change.old.as_ref().map(Object::meta);
                if based.is_none_or(|old| (old.uid, old.resource_version) != (have.uid, have.resource_version)) {
                    let based = based.map_or(0, |old| old.resource_version);
                    let message = format!("{} at {} is replaced as if at {based}", change.key, have.resource_version);
                    findings.violate(4, &[&change.key], message);
                }
            }
            _ => {}
        }
        match &change.new {
            Some(new) => {
                self.uids.insert(uid, None);
                self.live.insert(change.key.clone(), (new.clone(), change.time));
            }
            None => {
                self.uids.insert(uid, Some(change.time));
                self.live.remove(&change.key);
            }
        }
    }

    /// 5: the store holds exactly what the log made.
    pub fn sweep(&self, store: &Store, findings: &mut Findings) {
        let view = store.live();
        let mut count = 0;
        for kind in view.kinds() {
            for object in view.objects(kind) {
                count += 1;
                let key = object.key();
                if self.live.get(&key).map(|(made, _)| made) != Some(object) {
                    findings.violate(5, &[&key], format!("{key} in the store is not what the log made of it"));
                }
            }
        }
        if count != self.live.len() {
            let message = format!("the store holds {count} objects, the log made {}", self.live.len());
            findings.violate(5, &[], message);
        }
    }

    /// 31, as the garbage collector lets an owner go that waits for its dependents: those that block it have gone
    /// before. One that is too new for the garbage collector to know does not count. A client may end the waiting by
    /// another request to delete, in the background (`staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go`,
    /// `deletionFinalizersForGarbageCollection`).
    pub fn foreground(&self, change: &Change, bounds: &Bounds, store: &Store, findings: &mut Findings) {
        let waits = |meta: &Meta| meta.deleting() && meta.finalizers.contains(&FOREGROUND);
        let Some(owner) = change.old.as_ref().map(Object::meta).filter(|owner| waits(owner)) else { return };
        if change.new.as_ref().is_some_and(|new| waits(new.meta())) || change.writer != GARBAGE_COLLECTOR {
            return;
        }
        let blocks = |object: &&Object| {
            let blocking = |have: &crate::model::OwnerReference| have.uid == owner.uid && have.block_owner_deletion;
            change.time - object.meta().created > bounds.stale && object.meta().owners.iter().any(blocking)
        };
        if let Some(left) = store.live().dependents(owner.uid).find(blocks) {
            let message = format!("{} goes before {}, which it owns", change.key, left.key());
            findings.violate(31, &[&change.key, &left.key()], message);
        }
    }
}

/// The writer that ends a foreground deletion.
const GARBAGE_COLLECTOR: &str = "generic-garbage-collector";

/// 9. The version before the last finalizer went is the last one there is, so one may still be on it.
fn deletion(change: &Change, findings: &mut Findings) {
    let Some(old) = change.old.as_ref().map(Object::meta) else { return };
    match change.new.as_ref().map(Object::meta) {
        Some(new) if old.deleting() && !new.deleting() => {
            findings.violate(9, &[&change.key], format!("the deletion mark of {} was taken back", change.key));
        }
        // A shorter grace period that is over already ends now (`rest/delete.go`, `BeforeDelete`).
        Some(new) if old.deletion.zip(new.deletion).is_some_and(|(old, new)| new.at > old.at.max(change.time)) => {
            findings.violate(9, &[&change.key], format!("the deletion of {} was put off", change.key));
        }
        None if !old.finalizers.is_empty() && (!old.deleting() || old.finalizers.len() > 1) => {
            let message = format!("{} vanished with finalizers {:?}", change.key, old.finalizers);
            findings.violate(9, &[&change.key], message);
        }
        _ => {}
    }
}
