//! Whom a fault hits: one selection for all faults on machines, one for all faults on pods.
//!
//! ```yaml
//! nodeCrash: {node: "worker-*", count: 2}        # two of those with such a name
//! nodeCrash: {pool: spot, zone: zone-a}          # everything given must match
//! nodeCrash: {selector: disk=ssd, share: 10%}    # a tenth of them, at least one
//! nodeCrash: {domain: rack}                      # all nodes of one rack; which, is drawn
//! podCrash:  {selector: app=web, share: 50%}
//! ```
//!
//! `on_nodes!` and `on_pods!` put the fields into the fault's own form, so that a scenario writes them beside its
//! other fields; both give it `target()`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::super::selector::Selector;

/// Which machines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeTarget {
    /// By name; `*` stands for any text.
    pub node: Option<String>,
    /// By pool.
    pub pool: Option<String>,
    /// By zone.
    pub zone: Option<String>,
    /// By the labels of their nodes.
    pub selector: Option<Selector>,
    /// They are taken by whole domains: those that share the value of this label (`zone` and `pool` for short).
    pub domain: Option<String>,
    /// So many of them (of the domains), drawn.
    pub count: Option<u32>,
    /// This share of them (of the domains), drawn.
    pub share: Option<Share>,
}

/// Which pods.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodTarget {
    /// By name; `*` stands for any text.
    pub pod: Option<String>,
    /// By labels.
    pub selector: Option<Selector>,
    /// In this namespace.
    pub namespace: String,
    /// Those on this node; `*` stands for any text.
    pub node: Option<String>,
    /// Those in this zone.
    pub zone: Option<String>,
    /// So many of them, drawn.
    pub count: Option<u32>,
    /// This share of them, drawn.
    pub share: Option<Share>,
}

/// A share in millionths: written `0.25` or `25%`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(pub u32);

impl Share {
    /// This share of a number, rounded up.
    pub fn of(self, count: usize) -> usize {
        (count as u64 * u64::from(self.0)).div_ceil(1_000_000) as usize
    }
}

/// How many are drawn, if not all.
pub fn drawn(count: Option<u32>, share: Option<Share>, candidates: usize) -> Option<usize> {
    count.map(|count| count as usize).or_else(|| share.map(|share| share.of(candidates)))
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShareVisitor;
        impl Visitor<'_> for ShareVisitor {
            type Value = Share;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share; write 25% or 0.25")
            }
            fn visit_f64<E: de::Error>(self, share: f64) -> Result<Share, E> {
                match share > 0.0 && share <= 1.0 {
                    true => Ok(Share((share * 1e6).round() as u32)),
                    false => Err(E::custom("a share is more than 0 and at most 1; write 25% or 0.25")),
                }
            }
            fn visit_u64<E: de::Error>(self, share: u64) -> Result<Share, E> {
                self.visit_f64(share as f64)
            }
            fn visit_i64<E: de::Error>(self, share: i64) -> Result<Share, E> {
                self.visit_f64(share as f64)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
                let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                let help = "cannot read the share; write 25% or 0.25";
                percent.map_or_else(|| Err(E::custom(help)), |percent| self.visit_f64(percent / 100.0))
            }
        }
        deserializer.deserialize_any(ShareVisitor)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share: more than 0, at most 1 (or 100%).",
            "anyOf": [
                { "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
                { "type": "string", "pattern": "^[0-9.]+%$" },
            ],
            "examples": ["25%", 0.25],
        })
    }
}

/// The form of a fault on machines: who is hit, and the fields of its own.
macro_rules! on_nodes {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct $name {
            /// Nodes of this name; `*` stands for any text.
            pub node: Option<String>,
            /// Nodes of this pool.
            pub pool: Option<String>,
            /// Nodes of this zone.
            pub zone: Option<String>,
            /// Nodes with these labels.
            pub selector: Option<$crate::scenario::selector::Selector>,
            /// They are taken by whole domains: all nodes with the same value of this label, such as `rack`; `zone`
            /// and `pool` for short. One domain is drawn, or as many as `count` and `share` say.
            pub domain: Option<String>,
            /// How many of them, drawn at random; all of them if absent.
            pub count: Option<u32>,
            /// Which share of them, drawn at random and rounded up.
            pub share: Option<$crate::scenario::faults::target::Share>,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// Whom it hits.
            pub fn target(&self) -> $crate::scenario::faults::target::NodeTarget {
                $crate::scenario::faults::target::NodeTarget {
                    node: self.node.clone(),
                    pool: self.pool.clone(),
                    zone: self.zone.clone(),
                    selector: self.selector.clone(),
                    domain: self.domain.clone(),
                    count: self.count,
                    share: self.share,
                }
            }
        }
    };
}

/// The form of a fault on pods: who is hit, and the fields of its own.
macro_rules! on_pods {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct $name {
            /// Pods of this name; `*` stands for any text.
            pub pod: Option<String>,
            /// Pods with these labels.
            pub selector: Option<$crate::scenario::selector::Selector>,
            /// Their namespace.
            #[serde(default = "crate::scenario::timeline::default_namespace")]
            pub namespace: String,
            /// Those on this node; `*` stands for any text.
            pub node: Option<String>,
            /// Those in this zone.
            pub zone: Option<String>,
            /// How many of them, drawn at random. Default 1 where neither a name nor `share` is given.
            pub count: Option<u32>,
            /// Which share of them, drawn at random and rounded up.
            pub share: Option<$crate::scenario::faults::target::Share>,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// Whom it hits.
            pub fn target(&self) -> $crate::scenario::faults::target::PodTarget {
                // A pattern of names means all that match; a selector, one of them.
                let one = self.share.is_none() && !self.pod.as_ref().is_some_and(|pod| pod.contains('*'));
                $crate::scenario::faults::target::PodTarget {
                    pod: self.pod.clone(),
                    selector: self.selector.clone(),
                    namespace: self.namespace.clone(),
                    node: self.node.clone(),
                    zone: self.zone.clone(),
                    count: self.count.or(one.then_some(1)),
                    share: self.share,
                }
            }
        }
    };
}

pub(crate) use {on_nodes, on_pods};
