//! What `kubectl set` sends: a strategic merge patch of the containers of a pod or of a template
//! (`staging/src/k8s.io/kubectl/pkg/cmd/set/`).

use crate::model::{Kind, Name, PodTemplate};
use serde_json::{Map, Value, json};

/// A change of containers.
#[derive(Clone, Debug)]
pub enum Change {
    /// `kubectl set image`.
    Image(Name),
    /// `kubectl set env`: values, or none to remove.
    Env(Vec<(Name, Option<Name>)>),
    /// `kubectl set resources`: requests and limits.
    Resources(Vec<(Name, String)>, Vec<(Name, String)>),
}

/// Where the pod spec of a kind stands.
fn pod_spec(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Pod => &["spec"],
        Kind::CronJob => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => &["spec", "template", "spec"],
    }
}

/// The patch of `object` for one container, or for all of them.
pub(super) fn patch(kind: Kind, object: &Value, container: Option<&str>, change: &Change) -> Value {
    let path = pod_spec(kind);
    let spec = path.iter().fold(object, |place, step| &place[*step]);
    let mut patch = Map::new();
    for list in ["initContainers", "containers"] {
        let containers = spec[list].as_array().into_iter().flatten();
        let wanted = containers.filter(|have| container.is_none_or(|name| have["name"] == name));
        let changed: Vec<Value> = wanted.map(|have| changed(have, change)).collect();
        if !changed.is_empty() {
            patch.insert(list.to_string(), Value::Array(changed));
        }
    }
    path.iter().rev().fold(Value::Object(patch), |inner, step| json!({*step: inner}))
}

fn changed(container: &Value, change: &Change) -> Value {
    let mut patch = json!({"name": container["name"]});
    match change {
        Change::Image(image) => patch["image"] = json!(image.as_str()),
        Change::Env(variables) => {
            let set = |(name, value): &(Name, Option<Name>)| match value {
                Some(value) => json!({"name": name.as_str(), "value": value.as_str()}),
                None => json!({"name": name.as_str(), "$patch": "delete"}),
            };
            patch["env"] = variables.iter().map(set).collect();
        }
        Change::Resources(requests, limits) => {
            let amounts = |list: &[(Name, String)]| -> Value {
                list.iter().map(|(name, amount)| (name.to_string(), json!(amount))).collect::<Map<_, _>>().into()
            };
            for (part, list) in [("requests", requests), ("limits", limits)] {
                if !list.is_empty() {
                    patch["resources"][part] = amounts(list);
                }
            }
        }
    }
    patch
}

/// The template with an annotation.
pub fn with_annotation(old: &PodTemplate, key: &str, value: &str) -> PodTemplate {
    PodTemplate { annotations: old.annotations.with(key, value), ..old.clone() }
}
