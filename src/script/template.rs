//! Changes of a pod template, in the compiled form and in the JSON kept beside it.

use crate::model::{Name, PodSpec, PodTemplate, hash};
use serde_json::{Value, json};
use std::sync::Arc;

/// The template with another image in `container`, or in all containers.
pub fn with_image(old: &PodTemplate, container: Option<&str>, image: &Name) -> PodTemplate {
    let wanted = |name: &str| container.is_none_or(|container| container == name);
    let mut spec = PodSpec::clone(&old.spec);
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        if wanted(&container.name) {
            container.image = image.clone();
        }
    }
    let mut raw = Value::clone(&spec.raw);
    for list in ["containers", "initContainers"] {
        let containers = raw.get_mut(list).and_then(Value::as_array_mut);
        for entry in containers.into_iter().flatten() {
            if entry.get("name").and_then(Value::as_str).is_some_and(wanted) {
                entry["image"] = json!(image.as_str());
            }
        }
    }
    spec.hash = hash::content_hash(&raw);
    spec.raw = Arc::new(raw);
    PodTemplate { spec: Arc::new(spec), ..old.clone() }
}

/// The template with an annotation.
pub fn with_annotation(old: &PodTemplate, key: &str, value: &str) -> PodTemplate {
    PodTemplate { annotations: old.annotations.with(key, value), ..old.clone() }
}
