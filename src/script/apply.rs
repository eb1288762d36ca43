//! `kubectl apply` and `kubectl patch`.

use crate::model::{Key, Labels, Object};
use crate::runtime::{Cx, Requeue};
use crate::store::Write;
use crate::wire::{decode, encode};
use serde_json::Value;
use std::sync::Arc;

/// An object as a manifest states it.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The object, with defaults.
    pub object: Object,
    /// Whether it says how many replicas; if not, an apply leaves them as they are.
    pub replicas_given: bool,
}

/// Creates what is missing and updates what is there.
pub(super) fn apply(manifests: &[Manifest], cx: &mut Cx<'_>) -> Requeue {
    for manifest in manifests {
        let key = manifest.object.key();
        match cx.live().get(&key).cloned() {
            None => cx.write(Write::Create(manifest.object.clone())),
            Some(live) => cx.write(Write::Update(updated(manifest, &live))),
        }
    }
    Requeue::Done
}

/// The manifest's object, with what the cluster has decided since kept.
fn updated(manifest: &Manifest, live: &Object) -> Object {
    let mut object = manifest.object.clone();
    let kept = live.meta().clone();
    let meta = object.meta_mut();
    meta.resource_version = 0;
    meta.labels = union(&kept.labels, &meta.labels);
    meta.annotations = union(&kept.annotations, &meta.annotations);
    meta.finalizers = kept.finalizers;
    meta.owners = kept.owners;
    match (&mut object, live) {
        (Object::Deployment(new), Object::Deployment(old)) if !manifest.replicas_given => {
            Arc::make_mut(new).replicas = old.replicas;
        }
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) if !manifest.replicas_given => {
            Arc::make_mut(new).replicas = old.replicas;
        }
        (Object::Service(new), Object::Service(old)) => {
            let new = Arc::make_mut(new);
            new.cluster_ip = new.cluster_ip.or(old.cluster_ip);
            for port in new.ports.iter_mut().filter(|port| port.node_port == 0) {
                let same = old.ports.iter().find(|have| have.port == port.port && have.protocol == port.protocol);
                port.node_port = same.map_or(0, |have| have.node_port);
            }
        }
        (Object::Node(new), Object::Node(old)) => Arc::make_mut(new).provider_id = old.provider_id.clone(),
        (Object::Namespace(new), Object::Namespace(old)) => {
            Arc::make_mut(new).spec_finalizers = old.spec_finalizers.clone();
        }
        _ => {}
    }
    object
}

fn union(kept: &Labels, new: &Labels) -> Labels {
    kept.iter().chain(new.iter()).cloned().collect()
}

/// RFC 7386 on the object's JSON form.
pub(super) fn merge_patch(key: &Key, patch: &Value, cx: &mut Cx<'_>) {
    let Some(live) = cx.live().get(key) else { return };
    let mut json = encode::object(live);
    merge(&mut json, patch);
    if let Ok(mut object) = decode::object(&json) {
        *object.meta_mut() = live.meta().clone();
        let fields = decode::object(&json).map(|fresh| fresh.meta().clone());
        if let Ok(fresh) = fields {
            let meta = object.meta_mut();
            meta.labels = fresh.labels;
            meta.annotations = fresh.annotations;
            meta.finalizers = fresh.finalizers;
            meta.resource_version = 0;
        }
        cx.write(Write::Update(object));
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in fields {
        match value {
            Value::Null => {
                target.remove(key);
            }
            value => merge(target.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}
