//! Admission plugin LimitRanger: what containers do not say is filled in, and what is too small or too large is
//! refused (`plugin/pkg/admission/limitranger/admission.go`).
//!
//! A worked example: a LimitRange says `default: {cpu: 500m}`, `defaultRequest: {cpu: 100m}`, `max: {cpu: 1}` for
//! containers. A pod whose container `a` names nothing gets both and the annotation
//! `LimitRanger plugin set: cpu request for container a; cpu limit for container a`. One that asks for two CPUs is
//! refused: `maximum cpu usage per Container is 1, but limit is 2`.

use super::errors::StoreError;
use super::quota::admission::resized;
use super::quota::pods::{amounts, totals};
use super::slots::Store;
use crate::model::quantity::Quantity;
use crate::model::quota::{Amounts, LimitItem, LimitRange};
use crate::model::{Container, Key, Name, Object, PersistentVolumeClaim, Pod, PodSpec, Resource, Resources, hash};
use serde_json::{Value, json};
use std::sync::Arc;

const ANNOTATION: Name = crate::name!("kubernetes.io/limit-ranger");

impl Store {
    fn limit_ranges(&self, namespace: &Name) -> Vec<Arc<LimitRange>> {
        match self.count(crate::model::Kind::LimitRange) {
            0 => Vec::new(),
            _ => self.live().list_in::<LimitRange>(namespace).cloned().collect(),
        }
    }

    /// Fills in what the containers of a new pod do not say, then checks them.
    pub(super) fn limit_pod(&self, pod: &mut Pod) -> Result<(), StoreError> {
        let ranges = self.limit_ranges(&pod.meta.namespace);
        for range in &ranges {
            fill(pod, range);
        }
        within(pod, &ranges)
    }

    /// Checks a pod that asks for other amounts than before.
    pub(super) fn limit_resize(&self, old: &Object, new: &Object) -> Result<(), StoreError> {
        match new {
            Object::Pod(pod) if resized(old, new) => within(pod, &self.limit_ranges(&pod.meta.namespace)),
            _ => Ok(()),
        }
    }

    /// Checks a new claim.
    pub(super) fn limit_claim(&self, claim: &PersistentVolumeClaim) -> Result<(), StoreError> {
        let requests = amounts(&claim.raw["spec"], "requests");
        let ranges = self.limit_ranges(&claim.meta.namespace);
        let items =
            ranges.iter().flat_map(|range| range.limits.iter()).filter(|item| item.kind == "PersistentVolumeClaim");
        let errors = items.flat_map(|item| {
            let bound = Bound { of: &item.kind, requests: &requests, limits: &Amounts::new() };
            let min = item.min.iter().filter_map(|(name, least)| bound.min(name, *least));
            let max = item.max.iter().filter_map(|(name, most)| bound.max_request(name, *most));
            min.chain(max).collect::<Vec<_>>()
        });
        refuse(claim.key(), errors.collect())
    }
}

fn within(pod: &Pod, ranges: &[Arc<LimitRange>]) -> Result<(), StoreError> {
    let errors = ranges.iter().flat_map(|range| range.limits.iter()).flat_map(|item| pod_errors(&pod.spec.raw, item));
    refuse(pod.key(), errors.collect())
}

fn refuse(key: Key, errors: Vec<String>) -> Result<(), StoreError> {
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(StoreError::Forbidden(key, one.clone())),
        several => Err(StoreError::Forbidden(key, format!("[{}]", several.join(", ")))),
    }
}

/// Gives the containers what they lack, and notes it in an annotation.
fn fill(pod: &mut Pod, range: &LimitRange) {
    let (mut limits, mut requests) = (Amounts::new(), Amounts::new());
    for item in range.limits.iter().filter(|item| item.kind == "Container") {
        limits.extend(item.default.iter().map(|(name, amount)| (name.clone(), *amount)));
        requests.extend(item.default_request.iter().map(|(name, amount)| (name.clone(), *amount)));
    }
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let mut spec = PodSpec::clone(&pod.spec);
    let mut raw = Value::clone(&spec.raw);
    let mut notes = Vec::new();
    for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
        let compiled = if list == "containers" { &mut spec.containers } else { &mut spec.init_containers };
        let written = raw.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (container, written) in compiled.iter_mut().zip(written) {
            let given_requests = fill_one(container, written, "requests", &requests);
            let given_limits = fill_one(container, written, "limits", &limits);
            for (names, which) in [(given_requests, "request"), (given_limits, "limit")] {
                if !names.is_empty() {
                    notes.push(format!("{} {which} for {what} {}", names.join(", "), container.name));
                }
            }
        }
    }
    if notes.is_empty() {
        return;
    }
    spec.hash = hash::content_hash(&raw) ^ (spec.hash ^ hash::content_hash(&spec.raw));
    spec.raw = Arc::new(raw);
    spec.compute_requests();
    pod.spec = Arc::new(spec);
    let note = Name::from(format!("LimitRanger plugin set: {}", notes.join("; ")));
    pod.meta.annotations = pod.meta.annotations.with(ANNOTATION, note);
}

/// Sets the amounts that one container lacks; gives their names.
fn fill_one(container: &mut Container, written: &mut Value, which: &str, defaults: &Amounts) -> Vec<String> {
    let have = amounts(written, which);
    let (of, names) = match which {
        "requests" => (&mut container.requests, &mut container.requested),
        _ => (&mut container.limits, &mut container.limited),
    };
    let missing: Vec<(&Name, &Quantity)> = defaults.iter().filter(|(name, _)| !have.contains_key(*name)).collect();
    for (name, amount) in &missing {
        set(of, name, **amount);
        names.push((*name).clone());
        names.sort();
        if let Some(fields) = written.as_object_mut() {
            let resources = fields.entry("resources").or_insert_with(|| json!({}));
            resources[which][name.as_str()] = json!(amount.to_string());
        }
    }
    missing.into_iter().map(|(name, _)| name.to_string()).collect()
}

fn set(resources: &mut Resources, name: &Name, amount: Quantity) {
    resources.set(name, if name == "cpu" { amount.milli() } else { amount.whole() });
}

fn pod_errors(spec: &Value, item: &LimitItem) -> Vec<String> {
    match item.kind.as_str() {
        "Container" => ["containers", "initContainers"]
            .iter()
            .flat_map(|list| spec[*list].as_array().into_iter().flatten())
            .flat_map(|container| check(item, &amounts(container, "requests"), &amounts(container, "limits")))
            .collect(),
        "Pod" => check(item, &totals(spec, "requests"), &totals(spec, "limits")),
        _ => Vec::new(),
    }
}

fn check(item: &LimitItem, requests: &Amounts, limits: &Amounts) -> Vec<String> {
    let bound = Bound { of: &item.kind, requests, limits };
    let min = item.min.iter().filter_map(|(name, least)| bound.min(name, *least));
    let max = item.max.iter().filter_map(|(name, most)| bound.max(name, *most));
    let ratio = item.max_ratio.iter().filter_map(|(name, most)| bound.ratio(name, *most));
    min.chain(max).chain(ratio).collect()
}

/// What is held against the limits.
struct Bound<'a> {
    of: &'a str,
    requests: &'a Amounts,
    limits: &'a Amounts,
}

impl Bound<'_> {
    fn min(&self, name: &Name, least: Quantity) -> Option<String> {
        let says = format!("minimum {name} usage per {} is {least}", self.of);
        let Some(request) = self.requests.get(name) else { return Some(format!("{says}.  No request is specified")) };
        if *request < least {
            return Some(format!("{says}, but request is {request}"));
        }
        let limit = self.limits.get(name).filter(|limit| **limit < least)?;
        Some(format!("{says}, but limit is {limit}"))
    }

    fn max(&self, name: &Name, most: Quantity) -> Option<String> {
        let says = format!("maximum {name} usage per {} is {most}", self.of);
        let Some(limit) = self.limits.get(name) else { return Some(format!("{says}.  No limit is specified")) };
        if *limit > most {
            return Some(format!("{says}, but limit is {limit}"));
        }
        let request = self.requests.get(name).filter(|request| **request > most)?;
        Some(format!("{says}, but request is {request}"))
    }

    /// What claims are held to: they have no limits.
    fn max_request(&self, name: &Name, most: Quantity) -> Option<String> {
        let says = format!("maximum {name} usage per {} is {most}", self.of);
        match self.requests.get(name) {
            None => Some(format!("{says}.  No request is specified")),
            Some(request) if *request > most => Some(format!("{says}, but request is {request}")),
            Some(_) => None,
        }
    }

    fn ratio(&self, name: &Name, most: Quantity) -> Option<String> {
        let says = format!("{name} max limit to request ratio per {} is {most}", self.of);
        let given = |amounts: &Amounts| amounts.get(name).map(|amount| amount.nano).filter(|nano| *nano != 0);
        let Some(request) = given(self.requests) else {
            return Some(format!("{says}, but no request is specified or request is 0"));
        };
        let Some(limit) = given(self.limits) else {
            return Some(format!("{says}, but no limit is specified or limit is 0"));
        };
        let too_much = limit.saturating_mul(1000) > request.saturating_mul(i128::from(most.milli()));
        too_much.then(|| format!("{says}, but provided ratio is {:.6}", limit as f64 / request as f64))
    }
}
