//! How lists and maps of the served kinds are merged: the patch strategies and merge keys of strategic merge
//! patches, and the list and map types of server-side apply, as data.
//!
//! Read from the published OpenAPI documents (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`,
//! `x-kubernetes-list-type`, `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`). What is not listed is the
//! default: maps are merged field by field, lists are replaced. A custom kind says the same in its schema, by the last
//! three of these words.
//!
//! A worked example: `spec.template.spec.containers[0].env` of a Deployment. `Deployment.spec` is a `WorkloadSpec`,
//! whose `template` is a `PodTemplate`, whose `spec` is a `PodSpec`, whose `containers` are a list of `Container`
//! keyed by `name`, whose `env` is a list keyed by `name`.

use crate::model::Kind;
use serde_json::Value;

/// How a field is merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape<'a> {
    /// Field by field, with the fields of this type.
    Fields(&'static str),
    /// Like `Fields`; a strategic patch that changes it names what it keeps (`retainKeys`).
    Union(&'static str),
    /// A list whose items are known by a key.
    Keyed {
        /// The key of strategic merge patches; none if they replace the list.
        merge: Option<&'static str>,
        /// The keys of server-side apply; none if it replaces the list.
        keys: Keys<'a>,
        /// The type of the items.
        of: Item<'a>,
    },
    /// A list of values without repetition.
    Set,
    /// A map that server-side apply owns as a whole; patches still merge it.
    Whole,
}

/// The fields by which items of a list are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys<'a> {
    /// Those of a built-in type.
    Known(&'static [&'static str]),
    /// Those that a schema lists.
    Listed(&'a [Value]),
}

impl<'a> Keys<'a> {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let (known, listed): (&[&str], &[Value]) = match self {
            Keys::Known(known) => (known, &[]),
            Keys::Listed(listed) => (&[], listed),
        };
        known.iter().copied().chain(listed.iter().filter_map(Value::as_str))
    }
}

/// The type of a list's items.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// Merged field by field.
    Fields(&'static str),
    /// Like `Fields`, naming what is kept.
    Union(&'static str),
    /// As this schema says.
    Schema(&'a Value),
}

/// A type whose fields have no special shape.
pub const PLAIN: &str = "";

const fn keyed(merge: &'static str, keys: &'static [&'static str], of: &'static str) -> Shape<'static> {
    Shape::Keyed { merge: Some(merge), keys: Keys::Known(keys), of: Item::Fields(of) }
}

/// A list that only server-side apply merges.
const fn applied(keys: &'static [&'static str], of: &'static str) -> Shape<'static> {
    Shape::Keyed { merge: None, keys: Keys::Known(keys), of: Item::Fields(of) }
}

/// Type, field, shape.
const ROWS: &[(&str, &str, Shape<'static>)] = &[
    ("ObjectMeta", "ownerReferences", keyed("uid", &["uid"], PLAIN)),
    ("ObjectMeta", "finalizers", Shape::Set),
    ("Status", "conditions", keyed("type", &["type"], PLAIN)),
    ("PodStatus", "conditions", keyed("type", &["type"], PLAIN)),
    ("PodStatus", "podIPs", keyed("ip", &["ip"], PLAIN)),
    ("PodStatus", "hostIPs", keyed("ip", &[], PLAIN)),
    ("NodeStatus", "conditions", keyed("type", &["type"], PLAIN)),
    ("NodeStatus", "addresses", keyed("type", &["type"], PLAIN)),
    ("NodeSpec", "podCIDRs", Shape::Set),
    ("NodeSpec", "taints", applied(&[], PLAIN)),
    ("PodTemplate", "metadata", Shape::Fields("ObjectMeta")),
    ("PodTemplate", "spec", Shape::Fields("PodSpec")),
    ("PodSpec", "containers", keyed("name", &["name"], "Container")),
    ("PodSpec", "initContainers", keyed("name", &["name"], "Container")),
    ("PodSpec", "ephemeralContainers", keyed("name", &["name"], "Container")),
    (
        "PodSpec",
        "volumes",
        Shape::Keyed { merge: Some("name"), keys: Keys::Known(&["name"]), of: Item::Union("Volume") },
    ),
    ("PodSpec", "imagePullSecrets", keyed("name", &["name"], PLAIN)),
    ("PodSpec", "hostAliases", keyed("ip", &["ip"], PLAIN)),
    ("PodSpec", "topologySpreadConstraints", keyed("topologyKey", &["topologyKey", "whenUnsatisfiable"], PLAIN)),
    ("PodSpec", "schedulingGates", keyed("name", &["name"], PLAIN)),
    ("PodSpec", "resourceClaims", keyed("name", &["name"], PLAIN)),
    ("PodSpec", "nodeSelector", Shape::Whole),
    ("PodSpec", "resources", Shape::Fields("Resources")),
    ("Container", "ports", keyed("containerPort", &["containerPort", "protocol"], PLAIN)),
    ("Container", "env", keyed("name", &["name"], "EnvVar")),
    ("Container", "volumeMounts", keyed("mountPath", &["mountPath"], PLAIN)),
    ("Container", "volumeDevices", keyed("devicePath", &["devicePath"], PLAIN)),
    ("Container", "resources", Shape::Fields("Resources")),
    ("Resources", "claims", applied(&["name"], PLAIN)),
    ("EnvVar", "valueFrom", Shape::Fields("EnvVarSource")),
    ("EnvVarSource", "configMapKeyRef", Shape::Whole),
    ("EnvVarSource", "secretKeyRef", Shape::Whole),
    ("EnvVarSource", "fieldRef", Shape::Whole),
    ("EnvVarSource", "resourceFieldRef", Shape::Whole),
    ("WorkloadSpec", "template", Shape::Fields("PodTemplate")),
    ("WorkloadSpec", "selector", Shape::Whole),
    ("WorkloadSpec", "strategy", Shape::Union(PLAIN)),
    ("CronJobSpec", "jobTemplate", Shape::Fields("JobTemplate")),
    ("JobTemplate", "metadata", Shape::Fields("ObjectMeta")),
    ("JobTemplate", "spec", Shape::Fields("WorkloadSpec")),
    ("ServiceSpec", "ports", keyed("port", &["port", "protocol"], PLAIN)),
    ("ServiceSpec", "selector", Shape::Whole),
    ("BudgetSpec", "selector", Shape::Whole),
    ("ClaimSpec", "selector", Shape::Whole),
    ("PolicySpec", "podSelector", Shape::Whole),
    ("ServiceAccount", "secrets", keyed("name", &["name"], PLAIN)),
    ("ServiceAccount", "imagePullSecrets", keyed("name", &[], PLAIN)),
    ("CSINodeSpec", "drivers", keyed("name", &["name"], PLAIN)),
    ("EndpointSlice", "endpoints", applied(&[], PLAIN)),
];

/// The shape of a field of a type; none for the default.
pub fn of(type_name: &str, field: &str) -> Option<Shape<'static>> {
    ROWS.iter().find(|(owner, name, _)| *owner == type_name && *name == field).map(|(.., shape)| *shape)
}

/// The shape of a field at the top of an object of `kind`.
pub fn top(kind: Kind, field: &str) -> Option<Shape<'static>> {
    let spec = match kind {
        Kind::Pod => "PodSpec",
        Kind::Deployment
        | Kind::ReplicaSet
        | Kind::StatefulSet
        | Kind::DaemonSet
        | Kind::Job
        | Kind::ReplicationController => "WorkloadSpec",
        Kind::CronJob => "CronJobSpec",
        Kind::Service => "ServiceSpec",
        Kind::Node => "NodeSpec",
        Kind::PodDisruptionBudget => "BudgetSpec",
        Kind::PersistentVolumeClaim => "ClaimSpec",
        Kind::NetworkPolicy => "PolicySpec",
        Kind::CSINode => "CSINodeSpec",
        _ => PLAIN,
    };
    let status = match kind {
        Kind::Pod => "PodStatus",
        Kind::Node => "NodeStatus",
        _ => "Status",
    };
    match field {
        "metadata" => Some(Shape::Fields("ObjectMeta")),
        "spec" => Some(Shape::Fields(spec)),
        "status" => Some(Shape::Fields(status)),
        _ => of(kind.as_str(), field),
    }
}

/// The shape of a field by the schema of the object that it is in; none for the default.
fn by_schema<'a>(schema: &'a Value, field: &str) -> Option<Shape<'a>> {
    let own = child(schema, field)?;
    if own["x-kubernetes-map-type"] == "atomic" {
        return Some(Shape::Whole);
    }
    match own["x-kubernetes-list-type"].as_str()? {
        "set" => Some(Shape::Set),
        "map" => {
            let keys = own["x-kubernetes-list-map-keys"].as_array().map_or(&[][..], Vec::as_slice);
            Some(Shape::Keyed { merge: None, keys: Keys::Listed(keys), of: Item::Schema(&own["items"]) })
        }
        _ => None,
    }
}

/// The schema of a field.
fn child<'a>(schema: &'a Value, field: &str) -> Option<&'a Value> {
    let others = || schema.get("additionalProperties").filter(|schema| schema.is_object());
    schema["properties"].get(field).or_else(others)
}

/// Where in an object something stands: at its top, or in a part of a known type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'a> {
    /// The top of an object.
    Top(Kind),
    /// The top of an object of a custom kind with this schema.
    Custom(&'a Value),
    /// A part of this type.
    Within(&'static str),
    /// A part with this schema.
    Schema(&'a Value),
}

impl<'a> Place<'a> {
    /// The shape of a field here.
    pub fn shape(self, field: &str) -> Option<Shape<'a>> {
        match self {
            Place::Top(kind) => top(kind, field),
            Place::Within(type_name) => of(type_name, field),
            Place::Custom(_) if field == "metadata" => Some(Shape::Fields("ObjectMeta")),
            Place::Custom(schema) | Place::Schema(schema) => by_schema(schema, field),
        }
    }

    /// The place of a map in this field.
    pub fn below(self, field: &str) -> Place<'a> {
        match (self.shape(field), self) {
            (Some(Shape::Fields(type_name) | Shape::Union(type_name)), _) => Place::Within(type_name),
            (_, Place::Custom(schema) | Place::Schema(schema)) => {
                child(schema, field).map_or(Place::Within(PLAIN), Place::Schema)
            }
            _ => Place::Within(PLAIN),
        }
    }
}

impl<'a> Item<'a> {
    /// The place of an item.
    pub fn place(self) -> Place<'a> {
        match self {
            Item::Fields(type_name) | Item::Union(type_name) => Place::Within(type_name),
            Item::Schema(schema) => Place::Schema(schema),
        }
    }
}
