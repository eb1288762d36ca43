//! What people do wrong: a quota that is used up, a configuration that does not work. Both go through the API server's
//! store like anything that people write; when the fault ends, somebody has put it right.

use super::Begun;
use crate::model::{Fault, Key, Kind, Name, Object, Pod, PodTemplate};
use crate::runtime::Cx;
use crate::scenario::faults::Form;
use crate::scenario::faults::mistakes::{BadRollout, QuotaExhaustion};
use crate::store::{DeleteOptions, Patch, Preconditions, Write};
use crate::wire::decode;
use crate::wire::patch::{self, Document};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A quota that allows what there is, and no pod more.
pub(super) fn exhaust(form: &QuotaExhaustion, key: &Key, cx: &mut Cx<'_>) -> Option<Begun> {
    let namespace = Name::from(form.namespace.as_str());
    let pods = cx.live().list_in::<Pod>(&namespace).filter(|pod| !pod.status.phase.terminal()).count();
    let name = format!("exhausted-{}", key.name);
    let quota = decode::object(&json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": form.namespace},
        "spec": {"hard": {"pods": pods.to_string()}},
    }));
    cx.write(Write::Create(quota.ok()?));
    let undo = Write::Delete(Key::new(Kind::ResourceQuota, namespace, name), DeleteOptions::default());
    let fault = Fault { kind: form.kind(), ..Fault::default() };
    Some(Begun { fault, description: form.describe(""), undo: vec![undo] })
}

/// A template that does not work; the old one comes back in the end.
pub(super) fn roll_out(form: &BadRollout, cx: &mut Cx<'_>) -> Option<Begun> {
    let key = Key::new(form.object.kind, form.namespace.as_str(), form.object.name.as_str());
    let old: Arc<PodTemplate> = match cx.live().get(&key)? {
        Object::Deployment(deployment) => deployment.template.clone(),
        Object::StatefulSet(set) => set.template.clone(),
        Object::DaemonSet(set) => set.template.clone(),
        _ => return None,
    };
    let container = |name: &Name| {
        let mut change = Map::new();
        change.insert("name".to_string(), json!(name.as_str()));
        if let Some(image) = &form.image {
            change.insert("image".to_string(), json!(image));
        }
        if !form.env.is_empty() {
            let set = form.env.iter().map(|(name, value)| json!({"name": name, "value": value}));
            change.insert("env".to_string(), set.collect());
        }
        if !form.requests.is_empty() {
            let amounts = form.requests.iter().map(|(name, amount)| (name.clone(), json!(amount.0.to_string())));
            let amounts: Map<String, Value> = amounts.collect();
            change.insert("resources".to_string(), json!({"requests": amounts}));
        }
        Value::Object(change)
    };
    let containers: Vec<Value> = old.spec.containers.iter().map(|one| container(&one.name)).collect();
    let body = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let document = Document::new(patch::Form::Strategic, body, crate::name!("kubectl-set"));
    cx.write(Write::Document(key.clone(), Arc::new(document), Preconditions::default()));
    let undo = Write::Patch(key, Patch::Template(old), Preconditions::default());
    let fault = Fault { kind: form.kind(), ..Fault::default() };
    Some(Begun { fault, description: form.describe(""), undo: vec![undo] })
}
