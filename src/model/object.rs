//! One object of any kind.

use super::autoscaling::HorizontalPodAutoscaler;
use super::batch::{CronJob, Job};
use super::core::{ConfigMap, Event, Incident, Lease, Namespace, PriorityClass, Secret, ServiceAccount};
use super::custom::{CustomResource, CustomResourceDefinition};
use super::plain::{Endpoints, Ingress, IngressClass, NetworkPolicy, RuntimeClass};
use super::policy::PodDisruptionBudget;
use super::quota::{LimitRange, ResourceQuota};
use super::rbac::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use super::service::{EndpointSlice, Service};
use super::sets::{ControllerRevision, DaemonSet, StatefulSet};
use super::storage::{CSIDriver, CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment};
use super::workload::ReplicationController;
use super::{Deployment, Key, Kind, Machine, Meta, Node, Pod, ReplicaSet};
use std::sync::Arc;

/// A kind's data type.
pub trait Resource: Sized {
    /// Its kind.
    const KIND: Kind;
    /// Its metadata.
    fn meta(&self) -> &Meta;
    /// Its metadata, to change.
    fn meta_mut(&mut self) -> &mut Meta;
    /// The typed object, if `object` is of this kind.
    fn of(object: &Object) -> Option<&Arc<Self>>;
    /// As an object of any kind.
    fn into_object(self) -> Object;
    /// Its key.
    fn key(&self) -> Key {
        Key { kind: Self::KIND, namespace: self.meta().namespace.clone(), name: self.meta().name.clone() }
    }
}

macro_rules! objects {
    ($($kind:ident),*) => {
        /// An object of any kind; cloning is free.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Object {
            $(#[doc = concat!("A `", stringify!($kind), "`.")] $kind(Arc<$kind>),)*
            /// An object of a kind that a user defines.
            Custom(Arc<CustomResource>),
        }

        impl Object {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Object::$kind(_) => Kind::$kind,)* Object::Custom(object) => Kind::Custom(object.kind) }
            }
            /// Its metadata.
            pub fn meta(&self) -> &Meta {
                match self { $(Object::$kind(object) => &object.meta,)* Object::Custom(object) => &object.meta }
            }
            /// Its metadata, to change; copies the object if it is shared.
            pub fn meta_mut(&mut self) -> &mut Meta {
                match self {
                    $(Object::$kind(object) => &mut Arc::make_mut(object).meta,)*
                    Object::Custom(object) => &mut Arc::make_mut(object).meta,
                }
            }
        }

        $(impl Resource for $kind {
            const KIND: Kind = Kind::$kind;
            fn meta(&self) -> &Meta { &self.meta }
            fn meta_mut(&mut self) -> &mut Meta { &mut self.meta }
            fn of(object: &Object) -> Option<&Arc<Self>> {
                match object { Object::$kind(object) => Some(object), _ => None }
            }
            fn into_object(self) -> Object { Object::$kind(Arc::new(self)) }
        })*
    };
}

objects!(
    Namespace,
    Node,
    Pod,
    Deployment,
    ReplicaSet,
    Service,
    EndpointSlice,
    Lease,
    Event,
    ConfigMap,
    Secret,
    ServiceAccount,
    PriorityClass,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    CSINode,
    PodDisruptionBudget,
    StatefulSet,
    ReplicationController,
    DaemonSet,
    Job,
    CronJob,
    ControllerRevision,
    LimitRange,
    ResourceQuota,
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
    CustomResourceDefinition,
    VolumeAttachment,
    CSIDriver,
    HorizontalPodAutoscaler,
    Ingress,
    IngressClass,
    NetworkPolicy,
    Endpoints,
    RuntimeClass,
    Machine,
    Incident
);

impl Object {
    /// Its key.
    pub fn key(&self) -> Key {
        let meta = self.meta();
        Key { kind: self.kind(), namespace: meta.namespace.clone(), name: meta.name.clone() }
    }

    /// The typed object, if it is of that kind.
    pub fn as_kind<T: Resource>(&self) -> Option<&Arc<T>> {
        T::of(self)
    }

    /// The pod, if it is one.
    pub fn pod(&self) -> Option<&Arc<Pod>> {
        self.as_kind()
    }

    /// The incident, if it is one.
    pub fn incident(&self) -> Option<&Arc<super::core::Incident>> {
        self.as_kind()
    }

    /// The machine, if it is one.
    pub fn machine(&self) -> Option<&Arc<Machine>> {
        self.as_kind()
    }

    /// The node, if it is one.
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.as_kind()
    }
}
