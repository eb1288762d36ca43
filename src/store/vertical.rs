//! Vertical pod autoscalers as the API server sees them: which there are, whom they look after, and what their admission
//! webhook makes of a new pod (`vertical-pod-autoscaler/pkg/admission-controller/`).
//!
//! A worked example: 400m are recommended for the container `app` of the Deployment `api`. A new pod of it that would
//! request 100m requests 400m, and says so: `vpaUpdates: Pod resources updated by api: container 0: cpu request`.

use super::slots::Store;
use super::view::View;
use crate::model::quantity::Quantity;
use crate::model::quota::LimitRange;
use crate::model::vertical::{Amounts, GROUP, KIND, RESOURCES, UpdateMode, VerticalPodAutoscaler};
use crate::model::vertical_bounds::Bounds;
use crate::model::{Key, Kind, Name, Object, Pod, PodSpec, Selector, hash};
use crate::wire::decode;
use serde_json::{Value, json};
use std::sync::Arc;

const UPDATES: Name = crate::name!("vpaUpdates");
const OBSERVED: Name = crate::name!("vpaObservedContainers");

impl View<'_> {
    /// All vertical pod autoscalers, in order of creation.
    pub fn verticals(&self) -> Vec<VerticalPodAutoscaler> {
        let objects = self.custom_kinds().of_group(GROUP, KIND).into_iter().flat_map(|kind| self.objects(kind));
        let verticals = objects
            .filter_map(|object| if let Object::Custom(one) = object { Some(decode::vertical(one)) } else { None });
        let within = |vertical: VerticalPodAutoscaler| {
            let ranges: Vec<_> = self.list_in::<LimitRange>(&vertical.meta.namespace).collect();
            VerticalPodAutoscaler { bounds: Bounds::of(ranges.into_iter()), ..vertical }
        };
        verticals.map(within).collect()
    }

    /// What a vertical pod autoscaler looks after, and which pods those are.
    ///
    /// # Errors
    /// There is no such object, in upstream's words.
    pub fn vertical_target(&self, vertical: &VerticalPodAutoscaler) -> Result<(Key, Selector), String> {
        let [version, kind, name] = &vertical.target;
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let served = Kind::ALL.iter().copied().find(|known| known.as_str() == kind && known.group() == group);
        let namespace = &vertical.meta.namespace;
        let missing = || format!("{kind} {namespace}/{name} does not exist");
        let key = Key::new(served.ok_or_else(missing)?, namespace.clone(), name.clone());
        let selector = match self.get(&key).ok_or_else(missing)? {
            Object::Deployment(one) => one.selector.clone(),
            Object::ReplicaSet(one) => one.selector.clone(),
            Object::StatefulSet(one) => one.selector.clone(),
            Object::DaemonSet(one) => one.selector.clone(),
            Object::ReplicationController(one) => Selector::from_labels(&one.selector),
            Object::Job(one) => one.spec.selector.clone(),
            _ => return Err(format!("unsupported target kind {kind}")),
        };
        Ok((key, selector))
    }

    /// The controller of a pod's controller, and so on up.
    pub fn topmost(&self, pod: &Pod) -> Option<Key> {
        let mut top = None;
        let mut owner = pod.meta.controller();
        while let Some(object) = owner.and_then(|owner| self.by_uid(owner.uid)) {
            top = Some(object.key());
            owner = object.meta().controller();
        }
        top
    }

    /// The one that looks after a pod, of those that `heeded` lets through.
    pub fn vertical_of(
        &self,
        pod: &Pod,
        heeded: impl Fn(&VerticalPodAutoscaler) -> bool,
    ) -> Option<VerticalPodAutoscaler> {
        let all = self.verticals();
        if all.is_empty() {
            return None;
        }
        let top = self.topmost(pod)?;
        let mut found: Option<VerticalPodAutoscaler> = None;
        for vertical in all {
            let its = |(key, selector): (Key, Selector)| key == top && selector.matches(&pod.meta.labels);
            if heeded(&vertical)
                && vertical.meta.namespace == pod.meta.namespace
                && self.vertical_target(&vertical).is_ok_and(its)
                && found.as_ref().is_none_or(|other| vertical.stronger(other))
            {
                found = Some(vertical);
            }
        }
        found
    }
}

impl Store {
    /// Gives a new pod what is recommended for it.
    pub(super) fn right_size(&self, pod: &mut Pod) {
        let Some(kind) = self.kinds.of_group(GROUP, KIND) else { return };
        if self.count(kind) == 0 {
            return;
        }
        let Some(vertical) = self.live().vertical_of(pod, |one| one.mode != UpdateMode::Off) else { return };
        let mut spec = PodSpec::clone(&pod.spec);
        let mut raw = Value::clone(&spec.raw);
        let mut notes = Vec::new();
        for (at, requests, limits) in vertical.resources(&pod.spec) {
            let container = &mut spec.containers[at];
            let written = &mut raw["containers"][at];
            let mut given = write(written, "requests", requests, |name, amount| {
                container.requests.set(name, amount);
                note(&mut container.requested, name);
            });
            given.extend(write(written, "limits", limits, |name, amount| {
                container.limits.set(name, amount);
                note(&mut container.limited, name);
            }));
            if !given.is_empty() {
                notes.push(format!("container {at}: {}", given.join(", ")));
            }
        }
        let names: Vec<&str> = pod.spec.containers.iter().map(|container| container.name.as_str()).collect();
        let mut annotations = pod.meta.annotations.with(OBSERVED, Name::from(names.join(", ")));
        if !notes.is_empty() {
            let text = format!("Pod resources updated by {}: {}", vertical.meta.name, notes.join("; "));
            annotations = annotations.with(UPDATES, Name::from(text));
            spec.hash = hash::content_hash(&raw) ^ (spec.hash ^ hash::content_hash(&spec.raw));
            spec.raw = Arc::new(raw);
            spec.compute_requests();
            pod.spec = Arc::new(spec);
        }
        pod.meta.annotations = annotations;
    }
}

fn note(names: &mut Vec<Name>, name: &Name) {
    if !names.contains(name) {
        names.push(name.clone());
        names.sort();
    }
}

/// Writes amounts into a container's JSON; gives what was written, as the annotation names it.
fn write(container: &mut Value, which: &str, amounts: Amounts, mut also: impl FnMut(&Name, i64)) -> Vec<String> {
    let mut given = Vec::new();
    for (at, resource) in RESOURCES.into_iter().enumerate() {
        let Some(amount) = amounts[at] else { continue };
        let quantity = if at == 0 { Quantity::from_milli(amount) } else { Quantity::bytes(amount) };
        container["resources"][which][resource] = json!(quantity.to_string());
        also(&Name::from(resource), amount);
        given.push(format!("{resource} {}", which.trim_end_matches('s')));
    }
    given
}
