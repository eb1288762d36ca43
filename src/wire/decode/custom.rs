//! Definitions of custom kinds, and objects of such kinds.
//!
//! A definition is read through its Kubernetes type, so that type errors are found, but kept as written: a schema's
//! numbers would not survive the type.

use super::meta::{condition, conditions, meta, name, names};
use super::{FieldError, typed};
use crate::model::custom::{CustomKind, CustomKinds, CustomNames, CustomVersion, ScalePaths};
use crate::model::{CustomResource, CustomResourceDefinition, Kind, Name, Object, OwnerReference};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiext;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use std::sync::Arc;

/// A definition, with the defaults of `pkg/apis/apiextensions/v1/defaults.go`.
pub(super) fn definition(value: &Value) -> Result<CustomResourceDefinition, Vec<FieldError>> {
    let from: apiext::CustomResourceDefinition = typed(value)?;
    let meta = meta(&from.metadata).map_err(|error| vec![error])?;
    let mut raw = value.clone();
    if let Some(fields) = raw.as_object_mut() {
        for field in ["apiVersion", "kind", "metadata", "status"] {
            fields.shift_remove(field);
        }
    }
    let names = asked_names(&from.spec.names);
    raw["spec"]["names"]["singular"] = json!(names.singular.as_str());
    raw["spec"]["names"]["listKind"] = json!(names.list_kind.as_str());
    if raw["spec"]["conversion"].is_null() {
        raw["spec"]["conversion"] = json!({"strategy": "None"});
    }
    let versions = from.spec.versions.iter().enumerate().map(|(at, version)| {
        let schema = raw["spec"]["versions"][at]["schema"]["openAPIV3Schema"].clone();
        custom_version(version, schema)
    });
    let versions = Arc::new(versions.collect());
    let status = from.status.unwrap_or_default();
    Ok(CustomResourceDefinition {
        meta,
        group: Name::from(from.spec.group.as_str()),
        namespaced: from.spec.scope == "Namespaced",
        names,
        versions,
        raw: Arc::new(raw),
        accepted: status.accepted_names.as_ref().map(taken_names).unwrap_or_default(),
        stored_versions: self::names(&status.stored_versions),
        conditions: conditions!(status.conditions),
    })
}

/// The names that a definition asks for: what it leaves out follows from the kind.
fn asked_names(from: &apiext::CustomResourceDefinitionNames) -> CustomNames {
    let mut names = taken_names(from);
    if names.singular.is_empty() {
        names.singular = Name::from(from.kind.to_lowercase());
    }
    if names.list_kind.is_empty() {
        names.list_kind = Name::from(format!("{}List", from.kind));
    }
    names
}

fn taken_names(from: &apiext::CustomResourceDefinitionNames) -> CustomNames {
    CustomNames {
        plural: Name::from(from.plural.as_str()),
        singular: name(&from.singular),
        kind: Name::from(from.kind.as_str()),
        list_kind: name(&from.list_kind),
        short_names: names(&from.short_names),
        categories: names(&from.categories),
    }
}

fn custom_version(from: &apiext::CustomResourceDefinitionVersion, schema: Value) -> CustomVersion {
    let parts = from.subresources.as_ref();
    CustomVersion {
        name: Name::from(from.name.as_str()),
        served: from.served,
        storage: from.storage,
        schema: Arc::new(schema),
        has_status: parts.is_some_and(|parts| parts.status.is_some()),
        scale: parts.and_then(|parts| parts.scale.as_ref()).map(|scale| ScalePaths {
            spec: Name::from(scale.spec_replicas_path.as_str()),
            status: Name::from(scale.status_replicas_path.as_str()),
            selector: name(&scale.label_selector_path),
        }),
    }
}

/// An object of a custom kind, as written.
pub(super) fn resource(kind: CustomKind, value: &Value) -> Result<CustomResource, Vec<FieldError>> {
    let metadata: ObjectMeta = match value.get("metadata") {
        Some(metadata) => typed(metadata).map_err(within_metadata)?,
        None => ObjectMeta::default(),
    };
    let mut meta = meta(&metadata).map_err(|error| vec![error])?;
    if kind.words().namespaced && meta.namespace.is_empty() {
        meta.namespace = crate::name!("default");
    }
    let mut body = value.clone();
    let fields = body.as_object_mut().ok_or_else(|| vec![FieldError::new("", "the object is not a map")])?;
    for field in ["apiVersion", "kind", "metadata"] {
        fields.shift_remove(field);
    }
    let status = fields.shift_remove("status").unwrap_or_default();
    let version = value["apiVersion"].as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default();
    let version = if version.is_empty() { kind.words().version.as_str() } else { version };
    Ok(CustomResource {
        meta,
        kind,
        version: Name::from(version),
        body: Arc::new(body),
        status: Arc::new(status),
        has_status: true,
    })
}

fn within_metadata(errors: Vec<FieldError>) -> Vec<FieldError> {
    errors.into_iter().map(|error| error.within("metadata")).collect()
}

/// Reads one object of any kind, those of `kinds` too; [`super::object`] knows only the others.
///
/// # Errors
/// Every field that cannot be read, or the unknown kind.
pub fn object_of(value: &Value, kinds: &CustomKinds) -> Result<Object, Vec<FieldError>> {
    let mut object = match custom_kind(value, kinds) {
        Some(kind) => super::of_kind(kind, value)?,
        None => super::object(value)?,
    };
    object.meta_mut().owners.extend(custom_owners(value, kinds));
    Ok(object)
}

fn custom_kind(value: &Value, kinds: &CustomKinds) -> Option<Kind> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    text("apiVersion").split_once('/').and_then(|(group, _)| kinds.of_group(group, text("kind")))
}

/// The kind that a value names, if it is one that is served.
pub fn kind_of(value: &Value, kinds: &CustomKinds) -> Option<Kind> {
    custom_kind(value, kinds).or_else(|| super::built_in(value))
}

/// The owners of an object that are of custom kinds: [`super::meta`] does not know them.
pub fn custom_owners(value: &Value, kinds: &CustomKinds) -> Vec<OwnerReference> {
    let listed = value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let owner = |owner: &Value| {
        let (group, _) = owner["apiVersion"].as_str()?.split_once('/')?;
        let kind: Kind = kinds.of_group(group, owner["kind"].as_str()?)?;
        Some(OwnerReference {
            kind,
            name: Name::from(owner["name"].as_str()?),
            uid: super::meta::uid(&owner["uid"].as_str().map(String::from)),
            controller: owner["controller"].as_bool().unwrap_or(false),
            block_owner_deletion: owner["blockOwnerDeletion"].as_bool().unwrap_or(false),
        })
    };
    listed.filter_map(owner).collect()
}
