//! Changes in JSON, requests about many objects, and requests that only ask
//! (`staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go`,
//! `staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go`).
//!
//! A worked example: a strategic merge patch of a Deployment. The live object is written as JSON, the patch is applied,
//! the result is read with defaults, validated, and takes the way of any update; its status is not touched.

use super::addresses::keep_allocated;
use super::apply::{Written, check_preconditions};
use super::custom::{NO_RESOURCE, replicas_at, with_replicas};
use super::errors::{MODIFIED, Refusal, StoreError};
use super::patch::Patch;
use super::slots::Store;
use super::update::{By, count_generation, keep_identity, with_status_of};
use super::write::{DeleteOptions, Preconditions, Write};
use crate::model::{CustomResourceDefinition, Key, Kind, ManagedEntry, Name, Object, Selector};
use crate::time::SimTime;
use crate::wire::managed::{self, Author};
use crate::wire::patch::{self, Document, Form, Subresource};
use crate::wire::{decode, encode, prepare, strict, validate};
use serde_json::{Value, json};
use std::sync::Arc;

impl Store {
    /// Changes an object through its JSON.
    pub(super) fn patch_document(
        &mut self,
        now: SimTime,
        key: Key,
        document: &Document,
        preconditions: Preconditions,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let Some((slot, old)) = self.live_slot(&key) else {
            return match document.form {
                Form::Apply { .. } => self.apply_new(now, key, document, writer),
                _ => Err(StoreError::NotFound(key)),
            };
        };
        check_preconditions(&key, old, preconditions)?;
        let old = old.clone();
        let status = document.subresource == Subresource::Status;
        let author = Author { manager: document.manager.clone(), subresource: subresource_name(document.subresource) };
        let mut by = By { writer, author: Some(author) };
        let mut faults = Vec::new();
        let mut merged = match document.subresource {
            Subresource::Scale => self.scaled(&key, &old, document)?,
            _ => {
                let Some(Changed { object: mut new, owners, faults: found }) =
                    self.changed(now, &key, &old, document)?
                else {
                    return Ok(Written { revision: self.revision(), key });
                };
                faults = found;
                if !status {
                    new = with_status_of(&new, &old);
                }
                let written = new.clone();
                keep_identity(&mut new, &old, &written, status);
                if let Some(owners) = owners {
                    new.meta_mut().managed = Some(Arc::new(owners));
                    by.author = None;
                }
                new
            }
        };
        if !status {
            super::workloads::prepare(Some(&old), &mut merged);
            keep_allocated(&old, &mut merged);
            super::custom::keep_stored_versions(&old, &mut merged);
        }
        self.shape_custom(Some(&old), &mut merged)?;
        match document.subresource {
            Subresource::None => check_rules(&key, &old, &merged, faults)?,
            _ => invalid_if(&key, faults)?,
        }
        if !status {
            self.give_others(&old, &mut merged)?;
            count_generation(&old, &mut merged);
        }
        self.finish_update(now, (slot, key), &old, merged, by)
    }

    /// A server-side apply of what is not there yet.
    fn apply_new(
        &mut self,
        now: SimTime,
        key: Key,
        document: &Document,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let mut body = document.body.clone();
        body.as_object_mut().map(|fields| fields.shift_remove("status"));
        let mut object = self.read(&key, &body)?;
        invalid_if(&key, strict::faults(&body))?;
        let owners = managed::created(self.place_of(&object), &body, &document.manager, now);
        object.meta_mut().managed = Some(Arc::new(owners));
        self.commit(now, Write::Create(object), writer)
    }

    /// `deletecollection`: every object that is found, each as by itself. One that is gone meanwhile is no failure.
    pub(super) fn delete_collection(
        &mut self,
        now: SimTime,
        (kind, namespace): (Kind, Name),
        selector: &Selector,
        options: DeleteOptions,
        writer: &'static str,
    ) -> Result<Written, StoreError> {
        let found = |object: &&Object| {
            let meta = object.meta();
            meta.namespace == namespace && selector.matches(&meta.labels)
        };
        let mut keys: Vec<Key> = self.live().objects(kind).filter(found).map(Object::key).collect();
        keys.sort();
        for key in keys {
            match self.delete(now, key, options, writer) {
                Ok(_) | Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Written { revision: self.revision(), key: Key::new(kind, namespace, Name::new()) })
    }

    /// Goes the whole way of a write and stores nothing.
    pub(super) fn dry_run(&mut self, now: SimTime, write: Write, writer: &'static str) -> Result<Written, StoreError> {
        let next = self.addresses.next;
        let names = self.names.clone();
        self.dry = true;
        let result = self.commit(now, write, writer);
        self.dry = false;
        (self.addresses.next, self.names) = (next, names);
        result
    }
}

/// Refuses an object with `faults`, and a change of what may not change, in the order in which the API server looks.
pub(super) fn check_rules(key: &Key, old: &Object, new: &Object, faults: Vec<String>) -> Result<(), StoreError> {
    let changes = validate::update::update(key.kind, &encode::object(old), &encode::object(new));
    let (first, second) = match validate::update::come_first(key.kind) {
        true => (changes, faults),
        false => (faults, changes),
    };
    let mut errors = first;
    // A list of errors says nothing twice (`staging/src/k8s.io/apimachinery/pkg/util/errors/errors.go`).
    for error in second {
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    invalid_if(key, errors)
}

/// Refuses an object in which anything is wrong.
fn invalid_if(key: &Key, errors: Vec<String>) -> Result<(), StoreError> {
    if errors.is_empty() { Ok(()) } else { Err(StoreError::Invalid(key.clone(), errors)) }
}

/// The replicas that a patch of the object's `Scale` asks for (`pkg/registry/apps/deployment/storage/storage.go`,
/// `ScaleREST`).
fn wanted_replicas(
    key: &Key,
    full: &Value,
    (spec, status): (&Value, &Value),
    document: &Document,
) -> Result<i32, StoreError> {
    let scale = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": full["metadata"],
        "spec": {"replicas": spec}, "status": {"replicas": status},
    });
    let refuse = |code, message: String| Refusal::new(code, &message).of(key.clone());
    let after = patch::apply(key.kind, &scale, document).map_err(|refusal| refuse(refusal.code, refusal.message))?;
    let replicas = &after["spec"]["replicas"];
    match replicas.as_i64().map(i32::try_from) {
        Some(Ok(replicas)) if replicas >= 0 => Ok(replicas),
        Some(_) => {
            let why = "must be greater than or equal to 0";
            let message = format!(
                "Scale.autoscaling {:?} is invalid: spec.replicas: Invalid value: {replicas}: {why}",
                key.name.as_str()
            );
            Err(refuse(422, message))
        }
        None if replicas.is_null() => Ok(0),
        None => Err(refuse(
            400,
            format!("cannot unmarshal {replicas} into Go struct field ScaleSpec.spec.replicas of type int32"),
        )),
    }
}

/// A request for the object leaves its status, one for its status leaves everything else; where the status has no
/// requests of its own, it is a part like any other.
fn only_its_part(before: &Value, mut after: Value, subresource: Subresource, status_apart: bool) -> Value {
    if !status_apart {
        return after;
    }
    if subresource != Subresource::Status {
        if let Some(fields) = after.as_object_mut() {
            match before.get("status") {
                Some(status) => drop(fields.insert("status".to_string(), status.clone())),
                None => drop(fields.shift_remove("status")),
            }
        }
        return after;
    }
    let mut kept = before.clone();
    kept["status"] = after["status"].take();
    kept
}

/// A patch may not make another object of it (`staging/src/k8s.io/apiserver/pkg/endpoints/handlers/rest.go`,
/// `checkName`).
fn check_identity(key: &Key, before: &Value, after: &Value) -> Result<(), StoreError> {
    let refuse = |message: String| Err(Refusal::new(400, &message).of(key.clone()));
    let (had, has) = (&before["metadata"], &after["metadata"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    if had["name"] != has["name"] {
        let (new, old) = (text(&has["name"]), text(&had["name"]));
        return refuse(format!("the name of the object ({new}) does not match the name on the URL ({old})"));
    }
    if had["namespace"] != has["namespace"] && !has["namespace"].is_null() {
        return refuse("the namespace of the provided object does not match the namespace sent on the request".into());
    }
    if before["apiVersion"] != after["apiVersion"] || before["kind"] != after["kind"] {
        let said = (text(&after["kind"]), text(&after["apiVersion"]));
        let wanted = (text(&before["kind"]), text(&before["apiVersion"]));
        return refuse(format!(
            "the object provided is unrecognized (must be of kind {:?} and version {:?}, not {said:?})",
            wanted.0, wanted.1
        ));
    }
    if !has["uid"].is_null() && had["uid"] != has["uid"] {
        let (want, have) = (text(&has["uid"]), text(&had["uid"]));
        let detail = format!("Precondition failed: UID in precondition: {want}, UID in object meta: {have}");
        return Err(StoreError::Conflict(key.clone(), detail));
    }
    match has["resourceVersion"].is_null() || had["resourceVersion"] == has["resourceVersion"] {
        true => Ok(()),
        false => Err(StoreError::Conflict(key.clone(), MODIFIED.to_string())),
    }
}

/// An object with a document applied.
struct Changed {
    object: Object,
    /// Its owners, if the document settles them.
    owners: Option<Vec<ManagedEntry>>,
    /// What is wrong with it.
    faults: Vec<String>,
}

impl Store {
    /// The object with a document applied; none if nothing changed.
    fn changed(
        &self,
        now: SimTime,
        key: &Key,
        old: &Object,
        document: &Document,
    ) -> Result<Option<Changed>, StoreError> {
        let refuse = |refusal: patch::Refusal| Refusal::new(refusal.code, &refusal.message).of(key.clone());
        let status_apart = !matches!(old, Object::Custom(custom) if !custom.has_status);
        if document.subresource == Subresource::Status && !status_apart {
            return Err(Refusal::new(404, NO_RESOURCE).of(key.clone()));
        }
        let mut before = encode::object(old);
        self.speak_version(key.kind, &mut before, &document.body);
        let (after, owners) = match document.form {
            Form::Apply { force } => {
                let had = old.meta().managed.as_ref().map(|owners| owners.as_slice());
                let by = (&document.manager, force);
                let (after, owners) =
                    managed::apply((key.kind, self.place_of(old)), &before, had, &document.body, by, now)
                        .map_err(refuse)?;
                (after, Some(owners))
            }
            _ => (patch::apply(key.kind, &before, document).map_err(refuse)?, None),
        };
        let mut after = only_its_part(&before, after, document.subresource, status_apart);
        if after == before && owners.is_none() {
            return Ok(None);
        }
        check_identity(key, &before, &after)?;
        if document.subresource != Subresource::Status {
            prepare::update(key.kind, &before, &mut after);
        }
        let object = self.decoded(key, old, &before, &after)?;
        let mut faults = match document.subresource {
            Subresource::Resize => validate::update_pod::resize(&before, &after),
            _ => Vec::new(),
        };
        if document.subresource != Subresource::Status {
            faults.extend(strict::faults(&after));
        }
        Ok(Some(Changed { object, owners, faults }))
    }

    /// A custom kind answers in the version it is asked in: without conversion only the version's name differs.
    fn speak_version(&self, kind: Kind, object: &mut Value, asked: &Value) {
        let Kind::Custom(kind) = kind else { return };
        let Some((group, version)) = asked["apiVersion"].as_str().and_then(|text| text.split_once('/')) else { return };
        let served = |definition: &CustomResourceDefinition| {
            group == definition.group && definition.version(version).is_some_and(|version| version.served)
        };
        if self.live().definition(kind).is_some_and(|definition| served(definition)) {
            object["apiVersion"] = asked["apiVersion"].clone();
        }
    }

    /// The object after a request about its `Scale`.
    fn scaled(&self, key: &Key, old: &Object, document: &Document) -> Result<Object, StoreError> {
        let full = encode::object(old);
        if let Object::Custom(custom) = old
            && let Some(paths) = self.scale_paths(custom)
        {
            let now = (replicas_at(&full, &paths.spec), replicas_at(&full, &paths.status));
            let replicas = wanted_replicas(key, &full, now, document)?;
            return Ok(Object::Custom(Arc::new(with_replicas(custom, &paths.spec, replicas))));
        }
        if full.pointer("/spec/template").is_none() {
            return Err(Refusal::new(404, NO_RESOURCE).of(key.clone()));
        }
        let now = (&full["spec"]["replicas"], &full["status"]["replicas"]);
        let mut scaled = old.clone();
        Patch::Replicas(wanted_replicas(key, &full, now, document)?).apply(&mut scaled);
        Ok(scaled)
    }

    /// Reads an object as the API server reads a request's body.
    fn read(&self, key: &Key, value: &Value) -> Result<Object, StoreError> {
        let mut object = decode::of_kind(key.kind, value).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
            let (kind, version) = (key.kind, key.kind.version());
            let why = texts.join(", ");
            let message = format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}");
            Refusal::new(400, &message).of(key.clone())
        })?;
        object.meta_mut().owners.extend(decode::custom_owners(value, &self.kinds));
        Ok(object)
    }

    /// The new object. Where only metadata changed, the rest is the old object itself: the model holds instants finer than
    /// JSON does.
    fn decoded(&self, key: &Key, old: &Object, before: &Value, after: &Value) -> Result<Object, StoreError> {
        let new = self.read(key, after)?;
        let rest = |value: &Value| {
            let mut value = value.clone();
            value.as_object_mut().map(|fields| fields.shift_remove("metadata"));
            value
        };
        if rest(before) != rest(after) {
            return Ok(new);
        }
        let mut kept = old.clone();
        let meta = kept.meta_mut();
        let written = new.meta();
        meta.labels = written.labels.clone();
        meta.annotations = written.annotations.clone();
        meta.finalizers = written.finalizers.clone();
        meta.owners = written.owners.clone();
        Ok(kept)
    }
}

fn subresource_name(subresource: Subresource) -> Name {
    match subresource {
        Subresource::None => Name::new(),
        Subresource::Status => crate::name!("status"),
        Subresource::Scale => crate::name!("scale"),
        Subresource::Resize => crate::name!("resize"),
    }
}
