//! Kubernetes objects that a scenario brings: files, globs, or written in place.
//!
//! ```yaml
//! manifests: [manifests/web.yaml, manifests/extra/*.yaml]
//! manifests:
//!   files: [manifests/web.yaml]
//!   inline:
//!   - {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
//! ```

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde_json::Value;

use crate::wire::places::Places;

/// One object as it was written, already found to be a valid object of a kind that exists.
#[derive(Clone, PartialEq, Debug)]
pub struct ManifestDocument {
    /// The file it stands in, as messages name it.
    pub file: String,
    /// Where everything in it stands.
    pub places: Places,
    /// The object, as `kubectl` would send it.
    pub value: Value,
}

/// Files and objects in place; a plain list is a list of files.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Manifests {
    /// Paths relative to the scenario; `*` stands for any text in a file name.
    pub files: Vec<String>,
    /// Objects written in place.
    pub inline: Vec<Value>,
    /// The objects of all of them, in order, after loading.
    pub objects: Vec<ManifestDocument>,
}

/// The form with both lists.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenManifests {
    /// Paths relative to the scenario; `*` stands for any text in a file name.
    files: Vec<String>,
    /// Objects written in place.
    inline: Vec<Value>,
}

impl<'de> Deserialize<'de> for Manifests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManifestsVisitor;
        impl<'de> Visitor<'de> for ManifestsVisitor {
            type Value = Manifests;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of files; write [manifests/web.yaml]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Manifests, A::Error> {
                let mut files = Vec::new();
                while let Some(file) = items.next_element()? {
                    files.push(file);
                }
                Ok(Manifests { files, ..Manifests::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Manifests, A::Error> {
                let written = WrittenManifests::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Manifests { files: written.files, inline: written.inline, objects: Vec::new() })
            }
        }
        deserializer.deserialize_any(ManifestsVisitor)
    }
}

impl JsonSchema for Manifests {
    fn schema_name() -> Cow<'static, str> {
        "Manifests".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let both = WrittenManifests::json_schema(generator);
        json_schema!({
            "description": "Kubernetes objects: a list of files and globs relative to the scenario, or files and objects written in place.",
            "anyOf": [{ "type": "array", "items": { "type": "string" } }, both],
        })
    }
}
