//! Completion indexes of a Job's pods, as a scenario writes them: `1,4-6`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Completion indexes: `1,4-6`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexList(Vec<(u32, u32)>);

impl IndexList {
    /// Whether an index is in the list, given as text.
    pub fn has(&self, index: &str) -> bool {
        let index: Option<u32> = index.parse().ok();
        index.is_some_and(|index| self.0.iter().any(|(first, last)| (*first..=*last).contains(&index)))
    }
}

impl std::str::FromStr for IndexList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let run = |piece: &str| {
            let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some((first, last))
        };
        let runs: Option<Vec<_>> = text.split(',').map(run).collect();
        runs.map(IndexList).ok_or_else(|| format!("cannot read {text:?} as indexes; write them as in 1,4-6"))
    }
}

impl<'de> Deserialize<'de> for IndexList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IndexVisitor;
        impl Visitor<'_> for IndexVisitor {
            type Value = IndexList;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("indexes such as 1,4-6")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<IndexList, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, index: u64) -> Result<IndexList, E> {
                self.visit_str(&index.to_string())
            }
        }
        deserializer.deserialize_any(IndexVisitor)
    }
}

impl JsonSchema for IndexList {
    fn schema_name() -> Cow<'static, str> {
        "IndexList".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Completion indexes, as in 1,4-6.",
            "type": ["string", "integer"],
            "pattern": "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$",
            "examples": ["1,4-6"],
        })
    }
}
