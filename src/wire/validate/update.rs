//! What may not change once an object is there: a table of fields by kind, and the few rules that need a sentence of
//! code (`pkg/apis/{core,apps,batch,rbac,storage,scheduling,node,networking,apps}/validation/validation.go`,
//! `Validate*Update`).
//!
//! Works on the JSON of both versions, so that kinds which are kept as written have the same rules as others.
//! What controllers write of deployments and replica sets, which they do often, the store compares in the model.

use super::update_pod;
use super::update_workload;
use crate::model::Kind;
use serde_json::Value;

/// A rule of updates.
enum Rule {
    /// The field never changes.
    Immutable(&'static str),
    /// The field never changes; the sentence that says so.
    Forbidden(&'static str, &'static str),
    /// The field changes once, from nothing to something; the sentence otherwise.
    Once(&'static str, &'static str),
    /// A rule of its own.
    Own(fn(&Value, &Value, &mut Vec<String>)),
}

use Rule::{Forbidden, Immutable, Once, Own};

fn rules(kind: Kind) -> &'static [Rule] {
    match kind {
        Kind::Pod => &[Own(update_pod::pod)],
        Kind::StatefulSet => &[Own(update_workload::stateful_set)],
        Kind::DaemonSet | Kind::Deployment | Kind::ReplicaSet => &[Immutable("spec.selector")],
        Kind::Job => &[Own(update_workload::job)],
        Kind::Service => &[Own(cluster_ip), Own(load_balancer_class)],
        Kind::ConfigMap => &[Own(|old, new, errors| frozen(&["data", "binaryData"], old, new, errors))],
        Kind::Secret => &[Immutable("type"), Own(|old, new, errors| frozen(&["data"], old, new, errors))],
        Kind::PersistentVolume => &[Own(volume_source), Immutable("spec.volumeMode")],
        Kind::PersistentVolumeClaim => &[Own(claim)],
        Kind::StorageClass => &[
            Forbidden("parameters", "updates to parameters are forbidden."),
            Forbidden("provisioner", "updates to provisioner are forbidden."),
            Forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden."),
            Immutable("volumeBindingMode"),
        ],
        Kind::PriorityClass => &[Forbidden("value", "may not be changed in an update."), Immutable("preemptionPolicy")],
        Kind::Node => &[
            Once("spec.podCIDR", "node updates may not change podCIDR except from \"\" to valid"),
            Once("spec.providerID", "node updates may not change providerID except from \"\" to valid"),
        ],
        Kind::RoleBinding | Kind::ClusterRoleBinding => &[Own(|old, new, errors| {
            if old["roleRef"] != new["roleRef"] {
                errors.push(invalid("roleRef", &new["roleRef"], "cannot change roleRef"));
            }
        })],
        Kind::IngressClass => &[Immutable("spec.controller")],
        Kind::RuntimeClass => &[Immutable("handler")],
        Kind::ResourceQuota => &[Immutable("spec.scopes"), Immutable("spec.scopeSelector")],
        Kind::ControllerRevision => &[Immutable("data")],
        Kind::VolumeAttachment => &[Immutable("spec")],
        Kind::CustomResourceDefinition => {
            &[Immutable("spec.group"), Immutable("spec.scope"), Immutable("spec.names.kind")]
        }
        _ => &[],
    }
}

/// Whether updates of this kind have rules at all.
pub fn has_rules(kind: Kind) -> bool {
    !rules(kind).is_empty()
}

/// Whether the API server looks at what changed before it looks at the whole: some kinds' `Validate*Update` end with
/// the validation of the object, others begin with it.
pub fn come_first(kind: Kind) -> bool {
    matches!(kind, Kind::Service | Kind::Secret | Kind::ConfigMap | Kind::IngressClass)
}

/// What is wrong with `new` in place of `old`, as the API server prints it.
pub fn update(kind: Kind, old: &Value, new: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    for rule in rules(kind) {
        let values = |path: &str| (at(old, path), at(new, path));
        match rule {
            Immutable(path) => {
                let (had, has) = values(path);
                if !same(had, has) {
                    errors.push(invalid(path, has, "field is immutable"));
                }
            }
            Forbidden(path, why) => {
                let (had, has) = values(path);
                if !same(had, has) {
                    errors.push(format!("{path}: Forbidden: {why}"));
                }
            }
            Once(path, why) => {
                let (had, has) = values(path);
                if !is_empty(had) && !same(had, has) {
                    errors.push(format!("{path}: Forbidden: {why}"));
                }
            }
            Own(check) => check(old, new, &mut errors),
        }
    }
    errors
}

/// The value at a dotted path; null if there is none.
pub(super) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |place, step| &place[step])
}

/// Equal, nothing and emptiness being the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    a == b || is_empty(a) && is_empty(b)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// `<path>: Invalid value: <value>: <detail>`.
pub(super) fn invalid(path: &str, value: &Value, detail: &str) -> String {
    format!("{path}: Invalid value: {value}: {detail}")
}

/// The virtual address of a service stays, unless the service stops or starts having one.
fn cluster_ip(old: &Value, new: &Value, errors: &mut Vec<String>) {
    let external = |service: &Value| service["spec"]["type"] == "ExternalName";
    let (had, has) = (&old["spec"]["clusterIP"], &new["spec"]["clusterIP"]);
    if external(old) || external(new) || is_empty(had) || had == has {
        return;
    }
    errors.push(match is_empty(has) {
        true => "spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset".to_string(),
        false => invalid("spec.clusterIPs[0]", has, "may not change once set"),
    });
}

/// The class of a load balancer stays as long as the service has one (`validateLoadBalancerClassField`).
fn load_balancer_class(old: &Value, new: &Value, errors: &mut Vec<String>) {
    let (had, has) = (&old["spec"], &new["spec"]);
    let balanced = had["type"] == "LoadBalancer" && has["type"] == "LoadBalancer";
    if balanced && !same(&had["loadBalancerClass"], &has["loadBalancerClass"]) {
        errors.push(invalid("spec.loadBalancerClass", &has["loadBalancerClass"], "may not change once set"));
    }
}

/// Configuration that says `immutable: true`.
fn frozen(fields: &[&str], old: &Value, new: &Value, errors: &mut Vec<String>) {
    if old["immutable"] != true {
        return;
    }
    let why = "field is immutable when `immutable` is set";
    if new["immutable"] != true {
        errors.push(format!("immutable: Forbidden: {why}"));
    }
    for field in fields.iter().filter(|field| !same(&old[**field], &new[**field])) {
        errors.push(format!("{field}: Forbidden: {why}"));
    }
}

/// `spec` without the fields in `but`.
pub(super) fn spec_without(object: &Value, but: &[&str]) -> Value {
    let mut spec = object["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|field, value| !but.contains(&field.as_str()) && !is_empty(value));
    }
    spec
}

/// What a volume is made of.
fn volume_source(old: &Value, new: &Value, errors: &mut Vec<String>) {
    let others = [
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    ];
    if spec_without(old, &others) != spec_without(new, &others) {
        let why = "spec.persistentvolumesource is immutable after creation";
        errors.push(format!("spec.persistentvolumesource: Forbidden: {why}"));
    }
    let (had, has) = (&old["spec"]["nodeAffinity"], &new["spec"]["nodeAffinity"]);
    if !is_empty(had) && had != has {
        errors.push(invalid("spec.nodeAffinity", has, "field is immutable"));
    }
}

/// A claim is bound once, and may ask for more.
fn claim(old: &Value, new: &Value, errors: &mut Vec<String>) {
    let mut may = vec!["resources", "volumeAttributesClassName"];
    if is_empty(&old["spec"]["volumeName"]) {
        may.push("volumeName");
    }
    // An unset class may be set later (`pkg/apis/core/validation/validation.go`, `ValidatePersistentVolumeClaimUpdate`).
    if old["spec"]["storageClassName"].is_null() {
        may.push("storageClassName");
    }
    if spec_without(old, &may) != spec_without(new, &may) {
        let why =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(format!("spec: Forbidden: {why}"));
    }
}
