//! Endpoints are of pods that exist (invariant 40).

use super::Findings;
use crate::model::{Kind, Object, Uid};
use crate::store::{Change, Store};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;

/// When pods went.
#[derive(Debug, Default)]
pub struct EndpointChecks {
    gone: FxHashMap<Uid, SimTime>,
}

/// How long a controller may not know that a pod is gone.
const STALE: SimDuration = SimDuration::from_secs(30);

impl EndpointChecks {
    /// 40.
    pub fn change(&mut self, change: &Change, store: &Store, findings: &mut Findings) {
        if change.key.kind == Kind::Pod && change.new.is_none() {
            self.gone.insert(change.object().meta().uid, change.time);
        }
        let Some(Object::EndpointSlice(slice)) = &change.new else { return };
        for endpoint in slice.endpoints.iter() {
            let exists = store.live().by_uid(endpoint.pod_uid).is_some();
            let recent = self.gone.get(&endpoint.pod_uid).is_some_and(|gone| change.time - *gone <= STALE);
            if !exists && !recent {
                findings.violate(
                    40,
                    &[&change.key],
                    format!("{} names {}, which is not there", change.key, endpoint.pod),
                );
            }
        }
    }
}
