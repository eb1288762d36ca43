//! Kubernetes' strict decoding: a document is an object of a kind that exists, without a field that does not.
//!
//! The texts are those of the API server with `fieldValidation=Strict`; the place and the suggestion are ours.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::core::v1::{ReplicationController, Secret, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, StorageClass, VolumeAttachment};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::places::Places;
use super::typed::{self, suggestion};
use super::validate::Validate;
use super::yaml::Document;
use crate::error::Problem;

/// The kinds that can be applied, with their `apiVersion`.
pub const KINDS: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "LimitRange"),
    ("v1", "Namespace"),
    ("v1", "Node"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("v1", "ResourceQuota"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apps/v1", "ControllerRevision"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("coordination.k8s.io/v1", "Lease"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "IngressClass"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("storage.k8s.io/v1", "CSIDriver"),
    ("storage.k8s.io/v1", "CSINode"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("storage.k8s.io/v1", "VolumeAttachment"),
];

/// Kinds of Kubernetes 1.36 that are not simulated, with their groups, so that the message can say so.
const KNOWN_ELSEWHERE: &[(&str, &[&str])] = &[
    ("", &["Binding", "ComponentStatus", "Endpoints", "Event", "PodTemplate"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiregistration.k8s.io", &["APIService"]),
    ("authentication.k8s.io", &["SelfSubjectReview", "TokenRequest", "TokenReview"]),
    (
        "authorization.k8s.io",
        &["LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle", "PodCertificateRequest"]),
    ("coordination.k8s.io", &["LeaseCandidate"]),
    ("events.k8s.io", &["Event"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("internal.apiserver.k8s.io", &["StorageVersion"]),
    ("networking.k8s.io", &["IPAddress", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["Eviction"]),
    ("resource.k8s.io", &["DeviceClass", "DeviceTaintRule", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PodGroup", "Workload"]),
    ("storage.k8s.io", &["CSIStorageCapacity", "VolumeAttributesClass"]),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
];

/// Whether Kubernetes has the kind and the simulation does not.
fn is_elsewhere(version: &str, kind: &str) -> bool {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    KNOWN_ELSEWHERE.iter().any(|(of, kinds)| *of == group && kinds.contains(&kind))
}

/// A `List` as the documents of its items; any other document as itself.
pub fn flatten(mut document: Document) -> Vec<Document> {
    super::convert::to_stored(&mut document.value);
    let is_list = document.value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    let Some(items) = document.value["items"].as_array().filter(|_| is_list) else { return vec![document] };
    let item = |(index, value): (usize, &Value)| {
        let places = document.places.below(&format!("items[{index}]"));
        flatten(Document { value: value.clone(), places })
    };
    items.iter().enumerate().flat_map(item).collect()
}

/// Reads a document as a typed object, refusing unknown fields and values of a wrong type.
///
/// # Errors
/// Every unknown field and the first value of a wrong type, with their places.
pub fn decode_typed<K: DeserializeOwned>(value: &Value, places: &Places) -> Result<K, Vec<Problem>> {
    typed::read(value).map_err(|problems| {
        let placed = |problem: typed::FieldProblem| problem.placed(places, FORM_HELP);
        problems.into_iter().map(placed).collect()
    })
}

const FORM_HELP: &str = "see `kubectl explain` for the form of this field";

/// Everything that is wrong with one object: its kind, its fields, its values.
pub fn check(value: &Value, places: &Places) -> Vec<Problem> {
    examine(value, places, true)
}

/// What is wrong with the form of one object: its kind, unknown fields, values of a wrong type. An object of good
/// form may still be one that the API server refuses.
pub fn check_form(value: &Value, places: &Places) -> Vec<Problem> {
    examine(value, places, false)
}

/// What is wrong with the form of a part of an object, which must say of which.
pub fn check_part(value: &Value, places: &Places) -> Vec<Problem> {
    let mut problems = check_form(value, places);
    if problems.is_empty() && value["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        problems.push(places.problem("metadata.name", "resource name may not be empty", "write `name:`"));
    }
    problems
}

/// Fields of a merge patch that objects of `kind` do not have. Kinds that are kept as written are not looked into.
pub fn unknown_in_patch(kind: &str, patch: &Value, places: &Places) -> Vec<Problem> {
    let Some((version, _)) = KINDS.iter().find(|(_, known)| *known == kind) else { return Vec::new() };
    let mut object = without_directives(patch);
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".into(), (*version).into());
        fields.insert("kind".into(), kind.into());
    }
    let unknown = |problem: &Problem| problem.message.starts_with("unknown field");
    check_form(&object, places).into_iter().filter(unknown).collect()
}

fn without_directives(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| !key.starts_with('$'));
            Value::Object(kept.map(|(key, value)| (key.clone(), without_directives(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_directives).collect()),
        other => other.clone(),
    }
}

/// What the API server would refuse of an object that was read already, as it prints it. Kinds that are kept as
/// written are not looked into.
pub fn faults(value: &Value) -> Vec<String> {
    let kind = value["kind"].as_str().unwrap_or_default();
    if !KINDS.iter().any(|(_, known)| *known == kind) {
        return Vec::new();
    }
    let shown = |problem: Problem| match problem.path.as_str() {
        "" => problem.message,
        path => format!("{path}: {}", problem.message),
    };
    check(value, &Places::new("", "")).into_iter().map(shown).collect()
}

fn examine(value: &Value, places: &Places, values: bool) -> Vec<Problem> {
    if !value.is_object() {
        let help = "a manifest is a map with apiVersion, kind and metadata";
        return vec![places.problem("", "the document is not an object", help)];
    }
    let mut missing = Vec::new();
    for field in ["apiVersion", "kind"] {
        if value[field].as_str().is_none_or(str::is_empty) {
            missing.push(places.problem(
                field,
                format!("{field} not set"),
                format!("add `{field}:`, such as {}", example(field)),
            ));
        }
    }
    if !missing.is_empty() {
        return missing;
    }
    let (version, kind) = (value["apiVersion"].as_str().unwrap_or(""), value["kind"].as_str().unwrap_or(""));
    macro_rules! check_as {
        ($($kind:ident),*) => {
            match kind {
                $( stringify!($kind) => refused::<$kind>(value, places, values), )*
                _ => unreachable!("{kind} is in KINDS"),
            }
        };
    }
    match KINDS.iter().find(|(_, known)| *known == kind) {
        Some((right, _)) if *right == version => check_as!(
            ConfigMap,
            Namespace,
            Node,
            Pod,
            Secret,
            Service,
            ServiceAccount,
            Deployment,
            ReplicaSet,
            CronJob,
            Job,
            StatefulSet,
            DaemonSet,
            ControllerRevision,
            ReplicationController,
            Lease,
            EndpointSlice,
            PriorityClass,
            PersistentVolume,
            PersistentVolumeClaim,
            PodDisruptionBudget,
            Ingress,
            IngressClass,
            NetworkPolicy,
            LimitRange,
            ResourceQuota,
            ClusterRole,
            ClusterRoleBinding,
            Role,
            RoleBinding,
            CustomResourceDefinition,
            CSIDriver,
            CSINode,
            StorageClass,
            HorizontalPodAutoscaler,
            VolumeAttachment
        ),
        Some((right, _)) => {
            let message = format!("no matches for kind {kind:?} in version {version:?}");
            vec![places.problem("apiVersion", message, format!("did you mean `{right}`?"))]
        }
        None => vec![unknown_kind(value, places)],
    }
}

/// What is wrong with the fields and values of an object of a known kind.
fn refused<K: DeserializeOwned + Validate>(value: &Value, places: &Places, values: bool) -> Vec<Problem> {
    match decode_typed::<K>(value, places) {
        Ok(_) if !values => Vec::new(),
        Ok(object) => object.validate().iter().map(|error| error.problem(places)).collect(),
        Err(mut problems) => {
            for problem in problems.iter_mut().filter(|problem| problem.message.starts_with("Invalid symbol")) {
                problem.message = "illegal base64 data".to_string();
                problem.help =
                    Some("encode the value with base64, or write it as it is under `stringData`".to_string());
            }
            problems
        }
    }
}

fn example(field: &str) -> &'static str {
    if field == "kind" { "Deployment" } else { "apps/v1" }
}

/// Whether an object may be of a kind that a definition brings: it has a group like a domain, and no kind that is
/// built in.
pub fn is_custom(value: &Value) -> bool {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let kind = text("kind");
    text("apiVersion").split_once('/').is_some_and(|(group, _)| group.contains('.'))
        && !kind.is_empty()
        && !is_elsewhere(text("apiVersion"), kind)
        && !KINDS.iter().any(|(_, known)| *known == kind)
}

/// The problem of an object whose kind nobody knows.
pub fn unknown_kind(value: &Value, places: &Places) -> Problem {
    let (kind, version) =
        (value["kind"].as_str().unwrap_or_default(), value["apiVersion"].as_str().unwrap_or_default());
    let kinds: Vec<&str> = KINDS.iter().map(|(_, kind)| *kind).collect();
    if is_elsewhere(version, kind) {
        let help = format!("leave it out; the kinds that are simulated are {}", kinds.join(", "));
        return places.problem("kind", format!("kind {kind:?} is not simulated yet"), help);
    }
    let help = match suggestion(kind, &kinds, "the kinds that are simulated are") {
        other if is_custom(value) && !other.starts_with("did you mean") => {
            "ensure CRDs are installed first".to_string()
        }
        near => near,
    };
    places.problem("kind", format!("no matches for kind {kind:?} in version {version:?}"), help)
}
