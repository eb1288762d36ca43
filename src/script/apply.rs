//! `kubectl apply`: creates what is missing, and merges what changed between the last manifest and this one into what
//! is there (`staging/src/k8s.io/kubectl/pkg/cmd/apply/patcher.go`).

use super::Progress;
use crate::model::workload::keys::LAST_APPLIED;
use crate::model::{Key, Kind, Name, Object};
use crate::runtime::Cx;
use crate::store::{Preconditions, Write};
use crate::wire::encode;
use crate::wire::patch::shape::Place;
use crate::wire::patch::{Document, Form, three_way};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Who owns the fields that the client's merge writes.
pub const MANAGER: Name = crate::name!("kubectl-client-side-apply");

/// An object as a manifest states it.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Which object.
    pub key: Key,
    /// The object, with defaults, as it is created. A manifest for the server to apply may be a part of one.
    pub object: Option<Object>,
    /// What the manifest says, with its namespace.
    pub value: Arc<Value>,
    /// The file it stands in, as messages name it.
    file: Name,
    /// The namespace as it is written.
    namespace: Name,
}

impl Manifest {
    /// A manifest of `object`, written as `value`.
    pub fn new(object: Object, value: &Value) -> Self {
        let mut value = value.clone();
        let written = Name::from(value["metadata"]["namespace"].as_str().unwrap_or_default());
        let namespace = &object.meta().namespace;
        if object.kind().namespaced() {
            value["metadata"]["namespace"] = json!(namespace.as_str());
        }
        Manifest {
            key: object.key(),
            object: Some(object),
            value: Arc::new(value),
            file: Name::new(),
            namespace: written,
        }
    }

    /// A manifest of a part of an object, which stands in its default namespace if it names none.
    pub fn partial(kind: Kind, value: &Value) -> Self {
        let mut value = value.clone();
        let text = |field: &str| Name::from(value["metadata"][field].as_str().unwrap_or_default());
        let (name, written) = (text("name"), text("namespace"));
        let namespace = match (kind.namespaced(), written.as_str()) {
            (false, _) => Name::new(),
            (true, "") => crate::name!("default"),
            (true, _) => written.clone(),
        };
        if kind.namespaced() {
            value["metadata"]["namespace"] = json!(namespace.as_str());
        }
        let key = Key { kind, namespace, name };
        Manifest { key, object: None, value: Arc::new(value), file: Name::new(), namespace: written }
    }

    /// The same, of that file.
    #[must_use]
    pub fn of_file(self, file: &str) -> Self {
        Manifest { file: Name::from(file), ..self }
    }

    /// What is printed if the API server does not know its kind
    /// (`staging/src/k8s.io/cli-runtime/pkg/resource/mapper.go`).
    pub(super) fn unmapped(&self) -> String {
        let (name, namespace, file) = (self.key.name.as_str(), self.namespace.as_str(), self.file.as_str());
        let (kind, version) = (self.key.kind, self.value["apiVersion"].as_str().unwrap_or_default());
        format!(
            "error: resource mapping not found for name: {name:?} namespace: {namespace:?} from {file:?}: no matches \
             for kind {:?} in version {version:?}\nensure CRDs are installed first",
            kind.as_str()
        )
    }
}

/// Asks for what is missing or differs. What was refused is not tried again.
pub(super) fn apply(manifests: &[Manifest], dry_run: bool, progress: &Progress, cx: &mut Cx<'_>) {
    for manifest in manifests {
        let key = manifest.key.clone();
        if progress.refused.contains(&key) {
            continue;
        }
        let write = match cx.live().get(&key) {
            None => match created(manifest) {
                Some(object) => Write::Create(object),
                None => continue,
            },
            Some(live) => match changed(manifest, live) {
                Some(document) => Write::Document(key, Arc::new(document), Preconditions::default()),
                None => continue,
            },
        };
        super::send(cx, write, dry_run);
    }
}

/// `kubectl apply --server-side`: the server merges.
pub(super) fn server_side(manifests: &[Manifest], manager: &Name, force: bool, dry: bool, cx: &mut Cx<'_>) {
    for manifest in manifests {
        let body = Value::clone(&manifest.value);
        let document = Document::new(Form::Apply { force }, body, manager.clone());
        let write = Write::Document(manifest.key.clone(), Arc::new(document), Preconditions::default());
        super::send(cx, write, dry);
    }
}

/// `kubectl replace`: the whole object, with what only the server knows left to it.
pub(super) fn replace(manifests: &[Manifest], progress: &Progress, cx: &mut Cx<'_>) {
    for manifest in manifests.iter().filter(|manifest| !progress.refused.contains(&manifest.key)) {
        let document = Document::new(Form::Replace, Value::clone(&manifest.value), crate::name!("kubectl-replace"));
        super::send(cx, Write::Document(manifest.key.clone(), Arc::new(document), Preconditions::default()), false);
    }
}

/// The object with the manifest as its annotation.
fn created(manifest: &Manifest) -> Option<Object> {
    let mut object = manifest.object.clone()?;
    let meta = object.meta_mut();
    meta.annotations = meta.annotations.with(LAST_APPLIED, last_applied(&manifest.value));
    Some(object)
}

/// The manifest as the annotation keeps it: sorted, without itself, with a line's end.
fn last_applied(value: &Value) -> String {
    let mut kept = value.clone();
    let annotations = &mut kept["metadata"]["annotations"];
    match annotations.as_object_mut() {
        Some(annotations) => drop(annotations.shift_remove(LAST_APPLIED.as_str())),
        None => *annotations = json!({}),
    }
    format!("{}\n", sorted(&kept))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            Value::Object(keys.into_iter().map(|key| (key.clone(), sorted(&fields[key]))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The patch from what is there to what the manifest says; none if there is nothing to say.
fn changed(manifest: &Manifest, live: &Object) -> Option<Document> {
    let original = live.meta().annotations.get(&LAST_APPLIED);
    let original = original.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(json!({}));
    let mut modified = Value::clone(&manifest.value);
    if let Some(status) = modified.as_object_mut() {
        status.shift_remove("status");
    }
    modified["metadata"]["annotations"][LAST_APPLIED.as_str()] = json!(last_applied(&manifest.value));
    let current = encode::object(live);
    let kind = manifest.key.kind;
    let (form, patch) = match kind {
        Kind::Custom(_) => (Form::Merge, three_way::plain(&original, &modified, &current)),
        _ => (Form::Strategic, three_way::strategic(&original, &modified, &current, Place::Top(kind))),
    };
    let empty = patch.as_object().is_some_and(Map::is_empty);
    (!empty).then(|| Document::new(form, patch, MANAGER))
}

/// The keys of the objects of several manifests.
pub(super) fn keys(manifests: &[Manifest]) -> impl Iterator<Item = Key> {
    manifests.iter().map(|manifest| manifest.key.clone())
}
