//! From the model to Kubernetes JSON: what `kubectl get -o json` would show.
//!
//! What a manifest said beyond the model is taken from `raw`; everything the model holds is written over it.

mod autoscaling;
mod batch;
mod custom;
mod meta;
mod node;
mod plain;
mod pod;
mod quota;
mod rbac;
mod service;
mod sets;
mod small;
mod storage;
mod vertical;
mod workload;

pub use custom::custom_content;
pub use vertical::{amounts, vertical_status};

pub use meta::rfc3339;

use crate::model::{Object, PodTemplate, Toleration};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The object as Kubernetes JSON. A secret's data is in it: hiding it is the caller's affair.
pub fn object(object: &Object) -> Value {
    match object {
        Object::Namespace(namespace) => value(&small::namespace(namespace)),
        Object::Node(node) => value(&node::node(node)),
        Object::Pod(pod) => value(&pod::pod(pod)),
        Object::Deployment(deployment) => value(&workload::deployment(deployment)),
        Object::ReplicaSet(set) => value(&workload::replica_set(set)),
        Object::Service(service) => value(&service::service(service)),
        Object::EndpointSlice(slice) => value(&service::endpoint_slice(slice)),
        Object::Lease(lease) => value(&small::lease(lease)),
        Object::Event(event) => value(&small::event(event)),
        Object::ConfigMap(map) => value(&small::config_map(map)),
        Object::Secret(secret) => value(&small::secret(secret)),
        Object::ServiceAccount(account) => value(&small::service_account(account)),
        Object::PriorityClass(class) => value(&small::priority_class(class)),
        Object::PersistentVolume(volume) => value(&storage::volume(volume)),
        Object::PersistentVolumeClaim(claim) => value(&storage::claim(claim)),
        Object::StorageClass(class) => value(&storage::class(class)),
        Object::CSINode(node) => value(&storage::csi_node(node)),
        Object::PodDisruptionBudget(budget) => value(&storage::budget(budget)),
        Object::StatefulSet(set) => value(&sets::stateful_set(set)),
        Object::ReplicationController(controller) => value(&workload::replication_controller(controller)),
        Object::DaemonSet(set) => value(&sets::daemon_set(set)),
        Object::Job(job) => value(&batch::job(job)),
        Object::CronJob(cron) => value(&batch::cron_job(cron)),
        Object::ControllerRevision(revision) => value(&sets::controller_revision(revision)),
        Object::LimitRange(object) => value(&quota::limit_range(object)),
        Object::ResourceQuota(object) => value(&quota::resource_quota(object)),
        Object::Role(object) => value(&rbac::role(object)),
        Object::ClusterRole(object) => value(&rbac::cluster_role(object)),
        Object::RoleBinding(object) => value(&rbac::role_binding(object)),
        Object::ClusterRoleBinding(object) => value(&rbac::cluster_role_binding(object)),
        Object::CustomResourceDefinition(definition) => custom::definition(definition),
        Object::Custom(resource) => custom::resource(resource),
        Object::VolumeAttachment(attachment) => value(&storage::attachment(attachment)),
        Object::CSIDriver(driver) => value(&storage::driver(driver)),
        Object::HorizontalPodAutoscaler(autoscaler) => value(&autoscaling::autoscaler(autoscaler)),
        Object::Ingress(kept) => plain::plain(object.kind(), &kept.meta, &kept.raw),
        Object::IngressClass(kept) => plain::plain(object.kind(), &kept.meta, &kept.raw),
        Object::NetworkPolicy(kept) => plain::plain(object.kind(), &kept.meta, &kept.raw),
        Object::Endpoints(kept) => plain::plain(object.kind(), &kept.meta, &kept.raw),
        Object::RuntimeClass(kept) => plain::plain(object.kind(), &kept.meta, &kept.raw),
        // Not part of the API; shown by name only.
        Object::Machine(_) | Object::Incident(_) => json!({
            "apiVersion": object.kind().api_version(),
            "kind": object.kind().as_str(),
            "metadata": value(&meta::meta(object.meta())),
        }),
    }
}

/// A toleration as it stands in a pod's spec.
pub fn toleration(toleration: &Toleration) -> Value {
    value(&pod::toleration(toleration))
}

/// A pod template as it stands in a workload's spec.
pub fn pod_template(template: &PodTemplate) -> Value {
    value(&workload::template(template))
}

/// As JSON. Kubernetes types have text keys and no custom failures, so this cannot fail.
fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("a Kubernetes type serializes")
}

/// The typed form of a part that decoding once wrote.
///
/// # Panics
/// If somebody put something else there: a bug.
fn from_raw<T: DeserializeOwned + Default>(raw: Option<&Value>) -> T {
    match raw {
        None => T::default(),
        Some(raw) => T::deserialize(raw).unwrap_or_else(|error| panic!("raw is not what was decoded: {error}: {raw}")),
    }
}

/// `None` for the zero value, which Kubernetes leaves out.
fn nonzero<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}
