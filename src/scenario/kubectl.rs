//! Actions of the timeline that send objects or changes of objects: `kubectl apply`, `replace`, `patch`, `annotate`,
//! `set env`, `set resources` and `delete`.
//!
//! ```yaml
//! timeline:
//! - {at: 1m, apply: {files: [web-2.yaml], serverSide: true, fieldManager: ci}}
//! - {at: 2m, patch: {object: deployment/web, type: json, patch: [{op: remove, path: /spec/paused}]}}
//! - {at: 3m, setEnv: {object: deployment/web, env: {LOG_LEVEL: debug, OLD: null}}}
//! - {at: 4m, delete: {kind: pod, selector: app=web}}
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde_json::Value;

use super::manifests::Manifests;
use super::selector::Selector;
use super::timeline::default_namespace;
use super::units::{Duration, ObjectRef, Quantity};

/// Creates or updates objects, as `kubectl apply`: with the three-way merge of the client, or on the server.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Apply {
    /// The objects.
    pub manifests: Manifests,
    /// `--server-side`: the server merges, and knows who owns which field.
    pub server_side: bool,
    /// `--force-conflicts`: takes fields over from other owners.
    pub force_conflicts: bool,
    /// `--field-manager`: who owns the fields.
    pub field_manager: Option<String>,
    /// `--dry-run`.
    pub dry_run: DryRun,
}

/// Whether a request is only asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DryRun {
    /// It is done.
    #[default]
    None,
    /// The server goes the whole way, answers, and stores nothing.
    Server,
}

/// The form with options.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "ApplyOptions")]
struct WrittenApply {
    /// Paths relative to the scenario; `*` stands for any text in a file name.
    files: Vec<String>,
    /// Objects written in place.
    inline: Vec<Value>,
    /// `--server-side`: the server merges, and knows who owns which field.
    server_side: bool,
    /// `--force-conflicts`: takes fields over from other owners; with `serverSide`.
    force_conflicts: bool,
    /// `--field-manager`: who owns the fields.
    field_manager: Option<String>,
    /// `--dry-run`.
    dry_run: DryRun,
}

impl<'de> Deserialize<'de> for Apply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ApplyVisitor;
        impl<'de> Visitor<'de> for ApplyVisitor {
            type Value = Apply;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of files; write [manifests/web.yaml]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Apply, A::Error> {
                let mut apply = Apply::default();
                while let Some(file) = items.next_element()? {
                    apply.manifests.files.push(file);
                }
                Ok(apply)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Apply, A::Error> {
                let written = WrittenApply::deserialize(MapAccessDeserializer::new(map))?;
                if written.force_conflicts && !written.server_side {
                    let help = "; add serverSide: true";
                    let message = format!("--force-conflicts only works with --server-side{help}");
                    return Err(serde::de::Error::custom(message));
                }
                Ok(Apply {
                    manifests: Manifests { files: written.files, inline: written.inline, objects: Vec::new() },
                    server_side: written.server_side,
                    force_conflicts: written.force_conflicts,
                    field_manager: written.field_manager,
                    dry_run: written.dry_run,
                })
            }
        }
        deserializer.deserialize_any(ApplyVisitor)
    }
}

impl JsonSchema for Apply {
    fn schema_name() -> Cow<'static, str> {
        "Apply".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let options = WrittenApply::json_schema(generator);
        json_schema!({
            "description": "Kubernetes objects to apply: a list of files and globs relative to the scenario, or files and objects with options.",
            "anyOf": [{ "type": "array", "items": { "type": "string" } }, options],
        })
    }
}

/// Changes a part of an object, as `kubectl patch`.
#[derive(Clone, PartialEq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// Which object.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// `--type`: how the patch is meant.
    #[serde(default, rename = "type")]
    pub form: PatchType,
    /// `--subresource`: which part of the object it is for.
    #[serde(default)]
    pub subresource: Option<Subresource>,
    /// The patch: a map, or for `type: json` a list of operations.
    #[schemars(with = "PatchBody")]
    pub patch: Value,
    /// `--dry-run`.
    #[serde(default)]
    pub dry_run: DryRun,
}

/// For the schema: a map or a list of maps.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the form of a patch")]
enum PatchBody {
    Map(serde_json::Map<String, Value>),
    Operations(Vec<serde_json::Map<String, Value>>),
}

/// How a patch is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PatchType {
    /// Lists of named items are merged by name.
    #[default]
    Strategic,
    /// RFC 7386: null removes a field, lists are replaced.
    Merge,
    /// RFC 6902: operations.
    Json,
}

/// A part of an object with requests of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Subresource {
    /// What is reported.
    Status,
    /// The number of replicas.
    Scale,
    /// The resources of a running pod.
    Resize,
}

/// Sets or removes annotations of an object.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnnotateObject {
    /// Which object.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The annotations; null removes one.
    pub annotations: BTreeMap<String, Option<String>>,
}

/// Sets or removes environment variables in the containers of a workload's template.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetEnv {
    /// Which workload.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Which container; all of them if absent.
    #[serde(default)]
    pub container: Option<String>,
    /// The variables; null removes one.
    pub env: BTreeMap<String, Option<String>>,
}

/// Sets what the containers of a workload's template request and may use.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetResources {
    /// Which workload.
    pub object: ObjectRef,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Which container; all of them if absent.
    #[serde(default)]
    pub container: Option<String>,
    /// `resources.requests`.
    #[serde(default)]
    pub requests: BTreeMap<String, Quantity>,
    /// `resources.limits`.
    #[serde(default)]
    pub limits: BTreeMap<String, Quantity>,
}

/// Deletes an object, or those of a kind that a selector finds, as `kubectl delete`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delete {
    /// Which object.
    #[serde(default)]
    pub object: Option<ObjectRef>,
    /// Objects of this kind; with `selector` or `all`.
    #[serde(default)]
    pub kind: Option<KindName>,
    /// Those with these labels.
    #[serde(default)]
    pub selector: Option<Selector>,
    /// All of them.
    #[serde(default)]
    pub all: bool,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Seconds the containers have to end; 0 removes a pod at once.
    #[serde(default)]
    pub grace_period: Option<Duration>,
    /// What happens to the objects it owns.
    #[serde(default)]
    pub cascade: Cascade,
    /// `--dry-run`.
    #[serde(default)]
    pub dry_run: DryRun,
}

/// What happens to owned objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Cascade {
    /// They are deleted after their owner.
    #[default]
    Background,
    /// They are deleted before their owner.
    Foreground,
    /// They stay.
    Orphan,
}

/// A kind as `kubectl` takes it: `pod`, `pods`, `po`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KindName(pub ObjectRef);

impl<'de> Deserialize<'de> for KindName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = ObjectRef::parse(&format!("{text}/x")).map_err(|why| why.replace("/x", ""));
        read.map(KindName).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for KindName {
    fn schema_name() -> Cow<'static, str> {
        "KindName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A kind as kubectl takes it.",
            "type": "string",
            "pattern": "^[A-Za-z][-A-Za-z0-9.]*$",
            "examples": ["pod", "deployments", "svc"],
        })
    }
}
