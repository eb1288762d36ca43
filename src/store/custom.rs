//! Objects of custom kinds on their way in: served only while their definition is established, pruned, filled and
//! checked by the schema of the version they are written in
//! (`staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go`,
//! `pkg/registry/customresource/strategy.go`).
//!
//! A worked example: `backups.example.com` is defined and, a moment later, established. An object `Backup` is then
//! created: fields that the schema lacks go, defaults come in, and what the schema refuses is an answer of code 422.
//! Once the definition is deleted nothing more can be created, and its controller deletes what there is.

use super::errors::{Refusal, StoreError};
use super::slots::Store;
use super::view::View;
use super::write::Write;
use crate::model::custom::{CLEANUP, CustomKind, ScalePaths, TERMINATING};
use crate::model::{Condition, CustomResource, CustomResourceDefinition, Kind, Meta, Name, Object, Truth, condition};
use crate::time::SimTime;
use crate::wire::patch::shape::Place;
use crate::wire::{custom, encode};
use serde_json::{Value, json};
use std::sync::Arc;

/// The answer of a server that does not know the resource.
pub const NO_RESOURCE: &str = "the server could not find the requested resource";

impl<'a> View<'a> {
    /// The definition of a custom kind.
    pub fn definition(&self, kind: CustomKind) -> Option<&'a Arc<CustomResourceDefinition>> {
        self.fetch(&Name::new(), &Name::from(Kind::Custom(kind).qualified_plural()))
    }

    /// Whether requests for objects of a kind are answered.
    pub fn serves(&self, kind: Kind) -> bool {
        match kind {
            Kind::Custom(kind) => self.definition(kind).is_some_and(|definition| definition.is_established()),
            _ => true,
        }
    }
}

/// The `Scale` of an object of a custom kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CustomScale {
    /// `spec.replicas`.
    pub spec: i32,
    /// `status.replicas`.
    pub status: i32,
    /// `status.selector`, as written.
    pub selector: String,
}

impl View<'_> {
    /// Where the replicas of an object of a custom kind stand, if it can be scaled.
    fn scale_paths(&self, object: &CustomResource) -> Option<ScalePaths> {
        let definition = self.definition(object.kind)?;
        definition.version(&object.version)?.scale.clone()
    }

    /// How an object of a custom kind is scaled
    /// (`staging/src/k8s.io/apiextensions-apiserver/pkg/registry/customresource/etcd.go`, `scaleFromCustomResource`).
    ///
    /// # Errors
    /// Its kind has no scale, or it does not say how many there should be; in the API server's words.
    pub fn custom_scale(&self, object: &CustomResource) -> Result<CustomScale, String> {
        let paths = self.scale_paths(object).ok_or(NO_RESOURCE)?;
        let content = encode::custom_content(&Object::Custom(Arc::new(object.clone())));
        let number = |path: &Name| replicas_at(&content, path).as_i64().and_then(|count| i32::try_from(count).ok());
        let spec = number(&paths.spec).ok_or_else(|| {
            format!("Internal error occurred: the spec replicas field {:?} does not exist", paths.spec.as_str())
        })?;
        let selector =
            if paths.selector.is_empty() { "" } else { replicas_at(&content, &paths.selector).as_str().unwrap_or("") };
        Ok(CustomScale { spec, status: number(&paths.status).unwrap_or(0), selector: selector.to_string() })
    }
}

impl Store {
    /// Refuses requests for objects of kinds that are not served.
    pub(super) fn check_served(&self, write: &Write) -> Result<(), StoreError> {
        let key = write.key();
        let Kind::Custom(kind) = key.kind else { return Ok(()) };
        let definition = self.live().definition(kind).filter(|definition| definition.is_established());
        let Some(definition) = definition else { return Err(Refusal::new(404, NO_RESOURCE).of(key)) };
        match write {
            Write::Create(Object::Custom(object)) => {
                if definition.version(&object.version).is_none_or(|version| !version.served) {
                    return Err(Refusal::new(404, NO_RESOURCE).of(key));
                }
                let refusal = "create not allowed while custom resource definition is terminating";
                if definition.is_terminating() { Err(Refusal::new(405, refusal).of(key)) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Completes an object of a custom kind that takes the place of `old`, or refuses it.
    pub(super) fn shape_custom(&self, old: Option<&Object>, new: &mut Object) -> Result<(), StoreError> {
        let key = new.key();
        let Object::Custom(object) = new else { return Ok(()) };
        let Some(definition) = self.live().definition(object.kind) else {
            return Err(Refusal::new(404, NO_RESOURCE).of(key));
        };
        let version = definition.version(&object.version).or(definition.storage_version());
        let Some(version) = version else { return Err(Refusal::new(404, NO_RESOURCE).of(key)) };
        let object = Arc::make_mut(object);
        object.has_status = version.has_status;
        if old.is_none() && version.has_status {
            object.status = Arc::default();
        }
        let mut content = encode::custom_content(&Object::Custom(Arc::new(object.clone())));
        custom::prune(&version.schema, &mut content);
        custom::fill(&version.schema, &mut content);
        // What was wrong before and is as it was is no fault of this write (`schema/cel/../ratcheting_test.go`).
        let before = old.map(encode::custom_content);
        let kept = |path: &str| before.as_ref().is_some_and(|before| at(before, path) == at(&content, path));
        let errors = custom::check(&version.schema, &content);
        let errors: Vec<String> = errors.iter().filter(|error| !kept(&error.path)).map(ToString::to_string).collect();
        if !errors.is_empty() {
            return Err(StoreError::Invalid(key, errors));
        }
        let status = content.as_object_mut().and_then(|fields| fields.shift_remove("status")).unwrap_or_default();
        (object.body, object.status) = (Arc::new(content), Arc::new(status));
        if let Some(preferred) = definition.preferred_version() {
            object.version = preferred.name.clone();
        }
        Ok(())
    }

    /// How the fields of an object are merged.
    pub(super) fn place_of(&self, object: &Object) -> Place<'_> {
        let Object::Custom(custom) = object else { return Place::Top(object.kind()) };
        let definition = self.live().definition(custom.kind);
        let version = definition.and_then(|one| one.version(&custom.version).or(one.storage_version()));
        version.map_or(Place::Top(object.kind()), |version| Place::Custom(&version.schema))
    }

    /// Where the replicas of an object of a custom kind stand, if it can be scaled.
    pub(super) fn scale_paths(&self, object: &CustomResource) -> Option<ScalePaths> {
        self.live().scale_paths(object)
    }

    /// The object of a custom kind with so many replicas wished for, if it can be scaled.
    pub(super) fn scaled_to(&self, object: &CustomResource, replicas: i32) -> Option<Object> {
        let paths = self.scale_paths(object)?;
        Some(Object::Custom(Arc::new(with_replicas(object, &paths.spec, replicas))))
    }
}

/// The value at a path as field errors print it.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    crate::wire::places::steps(path).into_iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        Value::Object(fields) => fields.get(step),
        _ => None,
    })
}

/// The value at a path such as `.spec.replicas`.
pub(super) fn replicas_at<'a>(content: &'a Value, path: &str) -> &'a Value {
    path.split('.').skip(1).fold(content, |value, step| &value[step])
}

/// The object with another number at that path.
pub(super) fn with_replicas(object: &CustomResource, path: &str, replicas: i32) -> CustomResource {
    let mut body = Value::clone(&object.body);
    let place = path.split('.').skip(1).fold(&mut body, |value, step| &mut value[step]);
    *place = json!(replicas);
    CustomResource { body: Arc::new(body), ..object.clone() }
}

/// A new definition: what only the server says (`pkg/registry/customresourcedefinition/strategy.go`).
pub(super) fn admit_definition(definition: &mut CustomResourceDefinition) {
    definition.conditions.clear();
    definition.accepted = Default::default();
    definition.stored_versions = definition.storage_version().map(|version| version.name.clone()).into_iter().collect();
}

/// A definition in place of another: objects may have been kept in all its storage versions.
pub(super) fn keep_stored_versions(old: &Object, new: &mut Object) {
    let (Object::CustomResourceDefinition(old), Object::CustomResourceDefinition(new)) = (old, new) else { return };
    let added = new.storage_version().map(|version| version.name.clone());
    let new = Arc::make_mut(new);
    new.stored_versions = old.stored_versions.clone();
    new.stored_versions.extend(added.filter(|version| !old.stored_versions.contains(version)));
}

/// The first request to delete a definition (`pkg/registry/customresourcedefinition/etcd.go`).
pub(super) fn begin_end(object: &mut Object, now: SimTime) {
    let Object::CustomResourceDefinition(definition) = object else { return };
    if definition.meta.deletion.is_some() {
        return;
    }
    let definition = Arc::make_mut(definition);
    add_finalizer(&mut definition.meta);
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let pending = crate::name!("InstanceDeletionPending");
    condition::set(&mut definition.conditions, Condition::new(TERMINATING, Truth::True, pending, message, now));
}

fn add_finalizer(meta: &mut Meta) {
    if !meta.finalizers.contains(&CLEANUP) {
        meta.finalizers.push(CLEANUP);
    }
}
