//! Endpoints are of pods that exist, are selected, and are as ready as they say (invariant 40).

use super::log::LogChecks;
use super::{Bounds, Findings};
use crate::model::service::{Endpoint, EndpointSlice, SERVICE_NAME, Service};
use crate::model::{Key, Kind, Labels, Object, Pod, Selector, Uid};
use crate::store::{Change, Store};
use crate::time::SimTime;
use rustc_hash::{FxHashMap, FxHashSet};
use std::net::Ipv4Addr;

/// The controller whose endpoints are judged; those made by hand may say anything.
const WRITER: &str = "endpointslice-controller";

/// When what endpoints say of pods last changed, and what services ask for.
#[derive(Debug, Default)]
pub struct EndpointChecks {
    pods: FxHashMap<Uid, SimTime>,
    services: FxHashMap<Key, SimTime>,
}

/// What an endpoint says of its pod.
fn facts(pod: &Pod) -> (bool, bool, bool, Option<Ipv4Addr>, &Labels) {
    let ended = pod.status.phase.terminal();
    (pod.is_ready(), pod.meta.deleting(), ended, pod.status.pod_ip, &pod.meta.labels)
}

impl EndpointChecks {
    /// 40, as of the time that the controller may not have heard of a change.
    pub fn change(
        &mut self,
        change: &Change,
        bounds: &Bounds,
        log: &LogChecks,
        store: &Store,
        findings: &mut Findings,
    ) {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        match (change.key.kind, old.and_then(Object::pod), new.and_then(Object::pod)) {
            (Kind::Pod, Some(old), None) => {
                self.pods.remove(&old.meta.uid);
            }
            (Kind::Pod, old, Some(new)) if old.map(|old| facts(old)) != Some(facts(new)) => {
                self.pods.insert(new.meta.uid, change.time);
            }
            (Kind::Service, ..) => {
                self.services.insert(change.key.clone(), change.time);
            }
            (Kind::EndpointSlice, ..) if change.writer == WRITER => {
                let Some(Object::EndpointSlice(slice)) = new else { return };
                let said: FxHashSet<_> = match old {
                    Some(Object::EndpointSlice(old)) => old.endpoints.iter().map(|endpoint| says(endpoint)).collect(),
                    _ => FxHashSet::default(),
                };
                for endpoint in slice.endpoints.iter().filter(|endpoint| !said.contains(&says(endpoint))) {
                    if let Some(wrong) = self.wrong(change.time, slice, endpoint, bounds, log, store) {
                        let message = format!("{} lists {}, {wrong}", change.key, endpoint.pod);
                        findings.violate(40, &[&change.key, &pod_key(change, endpoint)], message);
                    }
                }
            }
            _ => {}
        }
    }

    fn wrong(
        &self,
        now: SimTime,
        slice: &EndpointSlice,
        endpoint: &Endpoint,
        bounds: &Bounds,
        log: &LogChecks,
        store: &Store,
    ) -> Option<&'static str> {
        let recent = |since: SimTime| now - since <= bounds.stale;
        let view = store.live();
        let Some(pod) = view.by_uid(endpoint.pod_uid).and_then(Object::pod) else {
            return (!log.gone(endpoint.pod_uid).is_some_and(recent)).then_some("which is not there");
        };
        if self.pods.get(&pod.meta.uid).is_none_or(|since| recent(*since)) {
            return None;
        }
        if pod.status.phase.terminal() || pod.status.pod_ip != Some(endpoint.address) {
            return Some("which has ended or has another address");
        }
        let service = view.fetch::<Service>(&slice.meta.namespace, slice.meta.labels.get(&SERVICE_NAME)?)?;
        let key = Key::new(Kind::Service, service.meta.namespace.clone(), service.meta.name.clone());
        if self.services.get(&key).is_none_or(|since| recent(*since)) {
            return None;
        }
        let selector = Selector::from_labels(service.selector.as_ref()?);
        if !selector.matches(&pod.meta.labels) {
            return Some("which its service does not select");
        }
        let ready = service.publish_not_ready || (pod.is_ready() && !pod.meta.deleting());
        if (endpoint.ready, endpoint.terminating) != (ready, pod.meta.deleting()) {
            return Some("which is not as ready or as final as it says");
        }
        None
    }
}

fn says(endpoint: &Endpoint) -> (Uid, bool, bool) {
    (endpoint.pod_uid, endpoint.ready, endpoint.terminating)
}

fn pod_key(change: &Change, endpoint: &Endpoint) -> Key {
    Key::new(Kind::Pod, change.key.namespace.clone(), endpoint.pod.clone())
}
