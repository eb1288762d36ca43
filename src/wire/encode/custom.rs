//! Definitions of custom kinds, and objects of such kinds.

use super::meta::{meta, texts, time};
use super::plain::plain;
use super::value;
use crate::model::custom::CustomNames;
use crate::model::{CustomResource, CustomResourceDefinition, Kind, Object};
use serde_json::{Map, Value, json};

pub(super) fn definition(definition: &CustomResourceDefinition) -> Value {
    let mut object = plain(Kind::CustomResourceDefinition, &definition.meta, &definition.raw);
    let mut status = Map::new();
    if definition.accepted != CustomNames::default() {
        status.insert("acceptedNames".into(), names(&definition.accepted));
    }
    if !definition.conditions.is_empty() {
        let conditions = definition.conditions.iter().map(|condition| {
            json!({"type": condition.kind.as_str(), "status": condition.status.as_str(),
                "reason": condition.reason.as_str(), "message": condition.message.as_str(),
                "lastTransitionTime": value(&time(condition.last_transition))})
        });
        status.insert("conditions".into(), conditions.collect());
    }
    if let Some(stored) = texts(&definition.stored_versions) {
        status.insert("storedVersions".into(), json!(stored));
    }
    if !status.is_empty() {
        object["status"] = Value::Object(status);
    }
    object
}

fn names(names: &CustomNames) -> Value {
    let mut object = json!({"plural": names.plural.as_str(), "kind": names.kind.as_str()});
    for (field, name) in [("singular", &names.singular), ("listKind", &names.list_kind)] {
        if !name.is_empty() {
            object[field] = json!(name.as_str());
        }
    }
    for (field, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        if let Some(list) = texts(list) {
            object[field] = json!(list);
        }
    }
    object
}

/// The object in the version it was written in.
pub(super) fn resource(resource: &CustomResource) -> Value {
    let words = resource.kind.words();
    let mut object = json!({"apiVersion": format!("{}/{}", words.group, resource.version), "kind": words.kind,
        "metadata": value(&meta(&resource.meta))});
    if let (Some(fields), Some(body)) = (object.as_object_mut(), resource.body.as_object()) {
        fields.extend(body.iter().map(|(field, value)| (field.clone(), value.clone())));
        if !resource.status.is_null() {
            fields.insert("status".into(), Value::clone(&resource.status));
        }
    }
    object
}

/// The object as its schema sees it: without what every object has.
pub fn custom_content(object: &Object) -> Value {
    match object {
        Object::Custom(custom) => {
            let mut content = Value::clone(&custom.body);
            if !custom.status.is_null() {
                content["status"] = Value::clone(&custom.status);
            }
            content
        }
        other => panic!("{} is not of a custom kind", other.kind()),
    }
}
