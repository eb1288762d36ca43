//! Whether the quotas of a namespace let an object in (`CheckRequest` in
//! `staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go`).

use super::{pods, scopes, usage};
use crate::model::quota::{Amounts, ResourceQuota, add, listed};
use crate::model::{Kind, Name, Object, Pod, Resource};
use crate::store::errors::StoreError;
use crate::store::slots::Store;
use crate::time::SimTime;
use std::sync::Arc;

/// The quotas as they would be with `new` let in (in place of `old`), with the index of each that changes.
///
/// # Errors
/// Why it is not let in.
pub fn check(
    quotas: &[Arc<ResourceQuota>],
    new: &Object,
    old: Option<&Object>,
    now: SimTime,
) -> Result<Vec<(usize, ResourceQuota)>, String> {
    let counts = |quota: &ResourceQuota, object: &Object| {
        let hard = quota.status.hard.iter().flatten();
        hard.map(|(name, _)| name).any(|name| usage::concerns(object.kind(), name))
            && scopes::within(&quota.scopes, object)
    };
    let mut pertinent = Vec::new();
    for (at, quota) in quotas.iter().enumerate().filter(|(_, quota)| counts(quota, new)) {
        let hard = quota.status.hard.iter().flatten().map(|(name, _)| name);
        let named: Vec<&Name> = hard.filter(|name| usage::concerns(new.kind(), name)).collect();
        let name = &quota.meta.name;
        if let Object::Pod(pod) = new
            && let Some(missing) = pods::unstated(&pod.spec.raw, &named)
        {
            return Err(format!("failed quota: {name}: must specify {missing}"));
        }
        if named.iter().any(|resource| !quota.status.used.as_ref().is_some_and(|used| used.contains_key(*resource))) {
            let list: Vec<&str> = named.iter().map(|name| name.as_str()).collect();
            return Err(format!("status unknown for quota: {name}, resources: {}", list.join(",")));
        }
        pertinent.push(at);
    }
    let mut changed = Vec::new();
    for at in pertinent {
        let quota = &quotas[at];
        let mut delta = usage::usage(new, now);
        if let Some(old) = old.filter(|old| counts(quota, old)) {
            let before = usage::usage(old, now);
            for (name, amount) in &mut delta {
                amount.nano = (amount.nano - before.get(name).map_or(0, |before| before.nano)).max(0);
            }
        }
        let hard = quota.status.hard.clone().unwrap_or_default();
        delta.retain(|name, amount| amount.nano != 0 && hard.contains_key(name));
        if delta.is_empty() {
            continue;
        }
        changed.push((at, charged(quota, &hard, &delta)?));
    }
    Ok(changed)
}

/// The quota with `delta` more used, if that is within its limits.
fn charged(quota: &ResourceQuota, hard: &Amounts, delta: &Amounts) -> Result<ResourceQuota, String> {
    let used = quota.status.used.clone().unwrap_or_default();
    let mut after = used.clone();
    add(&mut after, delta);
    let beyond = |name: &Name| hard.get(name).is_some_and(|limit| after.get(name).is_some_and(|have| have > limit));
    let exceeded: Vec<&Name> = delta.keys().filter(|name| beyond(name)).collect();
    if !exceeded.is_empty() {
        let of = |amounts: &Amounts| {
            let chosen = amounts.iter().filter(|(name, _)| exceeded.contains(name));
            listed(&chosen.map(|(name, amount)| (name.clone(), *amount)).collect())
        };
        let (name, requested, used, limited) = (&quota.meta.name, of(delta), of(&used), of(hard));
        return Err(format!("exceeded quota: {name}, requested: {requested}, used: {used}, limited: {limited}"));
    }
    let mut quota = quota.clone();
    quota.status.used = Some(after);
    Ok(quota)
}

impl Store {
    /// Admission plugin ResourceQuota, the last of all: charges the quotas of the namespace, or refuses.
    pub(in crate::store) fn charge(
        &mut self,
        now: SimTime,
        new: &Object,
        old: Option<&Object>,
        writer: &'static str,
    ) -> Result<(), StoreError> {
        let handled = match old {
            Some(old) => matches!(new.kind(), Kind::Service | Kind::PersistentVolumeClaim) || resized(old, new),
            None => true,
        };
        if self.count(Kind::ResourceQuota) == 0 || !handled || !new.kind().namespaced() {
            return Ok(());
        }
        let quotas: Vec<Arc<ResourceQuota>> =
            self.live().list_in::<ResourceQuota>(&new.meta().namespace).cloned().collect();
        let changed = check(&quotas, new, old, now).map_err(|why| StoreError::Forbidden(new.key(), why))?;
        for (_, quota) in changed {
            self.update(now, quota.into_object(), true, writer)?;
        }
        Ok(())
    }
}

/// Whether a pod asks for other amounts than before (`pkg/quota/v1/evaluator/core/pods.go`, `Handles`).
pub(in crate::store) fn resized(old: &Object, new: &Object) -> bool {
    let (Object::Pod(old), Object::Pod(new)) = (old, new) else { return false };
    let amounts = |pod: &Pod| {
        let all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
        all.map(|container| (container.requests.clone(), container.limits.clone())).collect::<Vec<_>>()
    };
    old.spec.hash != new.spec.hash && amounts(old) != amounts(new)
}
