//! From Kubernetes JSON to the model: typed reading, Kubernetes' own defaults, then a compact object.
//!
//! The value is read into the `k8s-openapi` type (so that every type error is found), defaults are filled
//! in there, and what comes out is both the model object and, beside it, the JSON it was made from.

mod affinity;
mod autoscaling;
mod batch;
mod container;
mod custom;
mod defaults;
mod endpoints;
mod fragment;
mod ingress;
mod meta;
mod network_policy;
mod node;
mod plain;
mod pod_spec;
mod pod_status;
mod policy;
pub(crate) mod quantity;
mod quota;
mod rbac;
mod selector;
mod service;
mod sets;
mod small;
mod storage;
mod vertical;
mod workload;

pub(crate) use affinity::merge_label_keys;
pub use custom::{custom_owners, kind_of, object_of};
pub(crate) use defaults::{pod_defaults, pod_spec_defaults};
pub use fragment::{node_affinity, spread_constraint};
pub use ingress::{ingress, rules as ingress_rules};
pub use network_policy::network_policy;
pub use selector::{label_query, label_selector, node_selector};
pub use vertical::vertical;

use crate::model::{Kind, Labels, Object, PodSpec, PodTemplate, Toleration};
use k8s_openapi::api::core::v1 as core;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Something wrong with one field of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// The field, such as `spec.containers[0].image`; empty for the object as a whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        FieldError { path: path.into(), message: message.into() }
    }

    /// The same error seen from the parent.
    fn within(mut self, parent: &str) -> Self {
        self.path = match self.path.is_empty() {
            true => parent.to_string(),
            false => format!("{parent}.{}", self.path),
        };
        self
    }
}

/// The result of decoding one part; errors carry the path from that part on.
pub(crate) type Decoded<T> = Result<T, FieldError>;

/// Puts the parent's name before the path of an error.
trait Within<T> {
    fn within(self, parent: &str) -> Decoded<T>;
}

impl<T> Within<T> for Decoded<T> {
    fn within(self, parent: &str) -> Decoded<T> {
        self.map_err(|error| error.within(parent))
    }
}

/// Decodes each item, naming the failing one `list[n]`.
fn each<A, B>(items: &Option<Vec<A>>, list: &str, decode: impl Fn(&A) -> Decoded<B>) -> Decoded<Vec<B>> {
    let items = items.as_deref().unwrap_or_default();
    items.iter().enumerate().map(|(at, item)| decode(item).within(&format!("{list}[{at}]"))).collect()
}

/// Reads one object of any served kind, by its `apiVersion` and `kind`, and applies the API server's
/// defaults for that kind.
///
/// # Errors
/// Every field that cannot be read, or the unknown kind.
pub fn object(value: &Value) -> Result<Object, Vec<FieldError>> {
    match built_in(value) {
        Some(kind) => of_kind(kind, value),
        None => {
            let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            let message = format!("no matches for kind {kind:?} in version {api_version:?}");
            Err(vec![FieldError::new("kind", message)])
        }
    }
}

/// The built-in kind that a value names.
fn built_in(value: &Value) -> Option<Kind> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let mut known = Kind::ALL.iter().copied().filter(|kind| kind.is_api());
    known.find(|known| known.as_str() == kind && known.api_version() == api_version)
}

/// Like [`object`] for a value whose kind is known from elsewhere (list items, recordings).
///
/// # Errors
/// Every field that cannot be read.
pub fn of_kind(kind: Kind, value: &Value) -> Result<Object, Vec<FieldError>> {
    let decoded = match kind {
        Kind::Namespace => small::namespace(typed(value)?).map(Object::from),
        Kind::Node => node::node(typed(value)?).map(Object::from),
        Kind::Pod => pod_spec::pod(typed(value)?).map(Object::from),
        Kind::Deployment => workload::deployment(typed(value)?).map(Object::from),
        Kind::ReplicaSet => workload::replica_set(typed(value)?).map(Object::from),
        Kind::Service => service::service(typed(value)?).map(Object::from),
        Kind::EndpointSlice => endpoints::endpoint_slice(typed(value)?).map(Object::from),
        Kind::Lease => small::lease(typed(value)?).map(Object::from),
        Kind::Event => small::event(typed(value)?).map(Object::from),
        Kind::ConfigMap => small::config_map(typed(value)?).map(Object::from),
        Kind::Secret => small::secret(typed(value)?).map(Object::from),
        Kind::ServiceAccount => small::service_account(typed(value)?).map(Object::from),
        Kind::PriorityClass => small::priority_class(typed(value)?).map(Object::from),
        Kind::PersistentVolume => storage::volume(typed(value)?).map(Object::from),
        Kind::PersistentVolumeClaim => storage::claim(typed(value)?).map(Object::from),
        Kind::StorageClass => storage::class(typed(value)?).map(Object::from),
        Kind::CSINode => storage::csi_node(typed(value)?).map(Object::from),
        Kind::PodDisruptionBudget => policy::budget(typed(value)?).map(Object::from),
        Kind::StatefulSet => sets::stateful_set(typed(value)?).map(Object::from),
        Kind::ReplicationController => workload::replication_controller(typed(value)?).map(Object::from),
        Kind::DaemonSet => sets::daemon_set(typed(value)?).map(Object::from),
        Kind::Job => batch::job(typed(value)?).map(Object::from),
        Kind::CronJob => batch::cron_job(typed(value)?).map(Object::from),
        Kind::ControllerRevision => sets::controller_revision(typed(value)?).map(Object::from),
        Kind::LimitRange => quota::limit_range(typed(value)?).map(Object::from),
        Kind::ResourceQuota => quota::resource_quota(typed(value)?).map(Object::from),
        Kind::Role => rbac::role(typed(value)?).map(Object::from),
        Kind::ClusterRole => rbac::cluster_role(typed(value)?).map(Object::from),
        Kind::RoleBinding => rbac::role_binding(typed(value)?).map(Object::from),
        Kind::ClusterRoleBinding => rbac::cluster_role_binding(typed(value)?).map(Object::from),
        Kind::CustomResourceDefinition => Ok(Object::from(custom::definition(value)?)),
        Kind::Custom(kind) => Ok(Object::Custom(Arc::new(custom::resource(kind, value)?))),
        Kind::VolumeAttachment => storage::attachment(typed(value)?).map(Object::from),
        Kind::CSIDriver => storage::driver(typed(value)?).map(Object::from),
        Kind::HorizontalPodAutoscaler => autoscaling::autoscaler(typed(value)?).map(Object::from),
        Kind::Ingress => plain::ingress(typed(value)?).map(Object::from),
        Kind::IngressClass => plain::ingress_class(typed(value)?).map(Object::from),
        Kind::NetworkPolicy => plain::network_policy(typed(value)?).map(Object::from),
        Kind::Endpoints => plain::endpoints(typed(value)?).map(Object::from),
        Kind::RuntimeClass => plain::runtime_class(typed(value)?).map(Object::from),
        Kind::Machine | Kind::Incident => Err(FieldError::new("kind", format!("{kind} is not part of the API"))),
    };
    decoded.map_err(|error| vec![error])
}

/// Reads the `spec` of a pod with these labels as the API server stores it at creation: defaults applied,
/// `matchLabelKeys` merged.
///
/// # Errors
/// The fields that cannot be read.
pub fn pod_spec(value: &Value, labels: &Labels) -> Result<PodSpec, Vec<FieldError>> {
    let mut spec: core::PodSpec = typed(value)?;
    defaults::pod_spec_defaults(&mut spec);
    defaults::pod_defaults(&mut spec);
    let spec = pod_spec::compile(&spec, &spec).within("spec").map_err(|error| vec![error])?;
    Ok(spec.merged_label_keys(labels).unwrap_or(spec))
}

/// Reads the `spec` of a pod exactly as it stands, without any defaulting.
///
/// # Errors
/// The fields that cannot be read.
pub fn stored_pod_spec(value: &Value) -> Result<PodSpec, Vec<FieldError>> {
    let spec: core::PodSpec = typed(value)?;
    pod_spec::compile(&spec, &spec).within("spec").map_err(|error| vec![error])
}

/// Reads a pod template (`spec.template` of a workload) with its defaults.
///
/// # Errors
/// The fields that cannot be read.
pub fn pod_template(value: &Value) -> Result<PodTemplate, Vec<FieldError>> {
    workload::template(typed(value)?).map_err(|error| vec![error])
}

/// Reads a toleration.
///
/// # Errors
/// An unknown operator or effect. The comparison operators `Lt` and `Gt` belong to a feature gate that is
/// off by default, so they are refused.
pub fn toleration(value: &Value) -> Result<Toleration, Vec<FieldError>> {
    container::toleration(&typed(value)?).map_err(|error| vec![error])
}

/// Reads a value into its Kubernetes type; a field of the wrong type is found and named.
fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<FieldError>> {
    T::deserialize(value).map_err(|error| {
        let found = super::typed::read::<T>(value).err().unwrap_or_default();
        let named: Vec<_> = found.into_iter().map(|problem| FieldError::new(problem.path, problem.message)).collect();
        if named.is_empty() { vec![FieldError::new("", error.to_string())] } else { named }
    })
}
