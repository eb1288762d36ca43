//! The controllers of the controller manager, one file or folder each. They meet only in the store.

pub mod cluster_role_aggregation;
pub mod cron_job;
pub mod custom_resource;
pub mod daemon_set;
pub mod deployment;
pub mod disruption;
pub mod endpoint_slice;
pub mod garbage_collector;
pub mod horizontal;
pub mod ingress;
pub mod job;
pub mod namespace;
pub mod node_lifecycle;
pub mod pod_gc;
pub mod replica_set;
pub mod resource_quota;
pub mod root_ca;
pub mod scaled_object;
pub mod service_account;
pub mod service_load_balancer;
pub mod shared;
pub mod stateful_set;
pub mod taint_eviction;
pub mod ttl;
pub mod ttl_after_finished;
pub mod volume;

use crate::metrics::MetricsApi;
use crate::model::Kind;
use crate::runtime::{ActorSettings, Controller};
use crate::scenario::Timing;
use node_lifecycle::{NodeLifecycle, NodeLifecycleSettings};

/// Every controller of the controller manager with its own machinery
/// (`cmd/kube-controller-manager/app/controllermanager.go`).
pub fn all(timing: &Timing, metrics: Box<dyn MetricsApi>) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let own = ActorSettings::default();
    let by_node = ActorSettings { workers: 8, ..own };
    let node_lifecycle = NodeLifecycle::new(NodeLifecycleSettings::from_timing(timing));
    vec![
        (Box::new(deployment::Deployments::default()), ActorSettings { max_retries: 15, ..own }),
        (Box::new(replica_set::ReplicaSets::of(Kind::ReplicaSet)), own),
        (Box::new(endpoint_slice::EndpointSliceController::default()), endpoint_slice::settings()),
        (Box::new(node_lifecycle), by_node),
        (Box::new(taint_eviction::TaintEviction::default()), by_node),
        (Box::new(garbage_collector::GarbageCollector), garbage_collector::settings()),
        (Box::new(pod_gc::PodGarbageCollector::default()), pod_gc::settings()),
        (Box::new(namespace::NamespaceController), namespace::settings()),
        (Box::new(service_account::ServiceAccountController), service_account::settings()),
        (Box::new(service_load_balancer::ServiceController::default()), service_load_balancer::settings()),
        (Box::new(volume::binder::VolumeBinder::default()), volume::binder::settings()),
        (Box::new(volume::attach_detach::AttachDetach::default()), volume::attach_detach::settings()),
        (Box::new(volume::protection::ClaimProtection), volume::protection::settings()),
        (Box::new(volume::protection::VolumeProtection), volume::protection::settings()),
        (Box::new(volume::ephemeral::EphemeralVolumes), volume::ephemeral::settings()),
        (Box::new(job::Jobs::default()), job::settings()),
        (Box::new(ttl_after_finished::TtlAfterFinished), own),
        (Box::new(root_ca::RootCaPublisher), root_ca::settings()),
        (Box::new(ttl::TtlController::default()), ttl::settings()),
        (Box::new(resource_quota::ResourceQuotaController), resource_quota::settings()),
        (Box::new(cluster_role_aggregation::ClusterRoleAggregation), cluster_role_aggregation::settings()),
        (Box::new(disruption::DisruptionController::default()), disruption::settings()),
        (Box::new(cron_job::CronJobs::default()), own),
        (Box::new(stateful_set::StatefulSets::default()), own),
        (Box::new(replica_set::ReplicaSets::of(Kind::ReplicationController)), own),
        (Box::new(daemon_set::DaemonSets::default()), ActorSettings { workers: 2, ..own }),
        (Box::new(horizontal::HorizontalAutoscalers::new(metrics)), horizontal::settings()),
        (Box::new(custom_resource::CustomResourceDefinitions), custom_resource::settings()),
    ]
}
