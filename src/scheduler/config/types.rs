//! `KubeSchedulerConfiguration` v1 as it is written: every field, nothing defaulted
//! (`staging/src/k8s.io/kube-scheduler/config/v1/types.go`, `types_pluginargs.go`).

use crate::scenario::units::Duration;
use serde::Deserialize;
use serde_json::Value;

/// A configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(dead_code)] // Fields that say nothing about decisions are read for their form.
pub(super) struct Written {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) parallelism: Option<i32>,
    pub(super) leader_election: LeaderElection,
    pub(super) client_connection: ClientConnection,
    pub(super) enable_profiling: Option<bool>,
    pub(super) enable_contention_profiling: Option<bool>,
    pub(super) percentage_of_nodes_to_score: Option<i32>,
    pub(super) pod_initial_backoff_seconds: Option<i64>,
    pub(super) pod_max_backoff_seconds: Option<i64>,
    pub(super) profiles: Vec<WrittenProfile>,
    pub(super) extenders: Vec<Extender>,
    pub(super) delay_cache_until_active: bool,
}

/// Who of several replicas schedules.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(dead_code)]
pub(super) struct LeaderElection {
    pub(super) leader_elect: Option<bool>,
    pub(super) lease_duration: Option<Duration>,
    pub(super) renew_deadline: Option<Duration>,
    pub(super) retry_period: Option<Duration>,
    pub(super) resource_lock: String,
    pub(super) resource_name: String,
    pub(super) resource_namespace: String,
}

/// The client of the API server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(dead_code)]
pub(super) struct ClientConnection {
    pub(super) kubeconfig: String,
    pub(super) accept_content_types: String,
    pub(super) content_type: String,
    pub(super) qps: f64,
    pub(super) burst: i32,
}

/// A profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WrittenProfile {
    pub(super) scheduler_name: Option<String>,
    pub(super) percentage_of_nodes_to_score: Option<i32>,
    pub(super) plugins: Plugins,
    pub(super) plugin_config: Vec<PluginConfig>,
}

/// Plugins by extension point.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Plugins {
    pub(super) pre_enqueue: PluginSet,
    pub(super) queue_sort: PluginSet,
    pub(super) pre_filter: PluginSet,
    pub(super) filter: PluginSet,
    pub(super) post_filter: PluginSet,
    pub(super) pre_score: PluginSet,
    pub(super) score: PluginSet,
    pub(super) reserve: PluginSet,
    pub(super) permit: PluginSet,
    pub(super) pre_bind: PluginSet,
    pub(super) bind: PluginSet,
    pub(super) post_bind: PluginSet,
    pub(super) multi_point: PluginSet,
}

/// What is switched on and off at one extension point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct PluginSet {
    pub(super) enabled: Vec<WrittenPlugin>,
    pub(super) disabled: Vec<WrittenPlugin>,
}

/// A plugin by name, with its weight where it scores.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct WrittenPlugin {
    pub(super) name: String,
    #[serde(default)]
    pub(super) weight: Option<i32>,
}

/// Arguments of one plugin.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PluginConfig {
    pub(super) name: String,
    #[serde(default)]
    pub(super) args: Value,
}

/// A process outside that is asked, too.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(dead_code)]
pub(super) struct Extender {
    pub(super) url_prefix: String,
    pub(super) filter_verb: String,
    pub(super) preempt_verb: String,
    pub(super) prioritize_verb: String,
    pub(super) weight: i64,
    pub(super) bind_verb: String,
    #[serde(rename = "enableHTTPS")]
    pub(super) enable_https: bool,
    pub(super) tls_config: Value,
    pub(super) http_timeout: Option<Duration>,
    pub(super) node_cache_capable: bool,
    pub(super) managed_resources: Vec<ManagedResource>,
    pub(super) ignorable: bool,
}

/// An extended resource that an extender looks after.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ManagedResource {
    pub(super) name: String,
    pub(super) ignored_by_scheduler: bool,
}

/// `apiVersion` and `kind`, which arguments may carry, too.
macro_rules! arguments {
    ($(#[$doc:meta])* $name:ident { $($(#[$at:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        #[allow(dead_code)] // The type's name is compared before it is read.
        pub(super) struct $name {
            pub(super) api_version: String,
            pub(super) kind: String,
            $($(#[$at])* pub(super) $field: $type,)*
        }
    };
}

arguments! {
    /// Of `NodeResourcesFit`.
    FitArgs {
        ignored_resources: Vec<String>,
        ignored_resource_groups: Vec<String>,
        scoring_strategy: Option<ScoringStrategy>,
    }
}

/// How `NodeResourcesFit` compares nodes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScoringStrategy {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) resources: Vec<ResourceSpec>,
    pub(super) requested_to_capacity_ratio: Option<Ratio>,
}

/// A broken line from utilization to score.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ratio {
    pub(super) shape: Vec<ShapePoint>,
}

/// One point of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShapePoint {
    pub(super) utilization: i32,
    pub(super) score: i32,
}

/// A resource and what it counts.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ResourceSpec {
    pub(super) name: String,
    #[serde(default)]
    pub(super) weight: i64,
}

arguments! {
    /// Of `NodeResourcesBalancedAllocation`.
    BalancedArgs { resources: Vec<ResourceSpec>, }
}

arguments! {
    /// Of `NodeAffinity`.
    AffinityArgs { added_affinity: Value, }
}

arguments! {
    /// Of `PodTopologySpread`.
    SpreadArgs { default_constraints: Vec<Value>, defaulting_type: String, }
}

arguments! {
    /// Of `InterPodAffinity`.
    InterPodArgs { hard_pod_affinity_weight: Option<i32>, ignore_preferred_terms_of_existing_pods: bool, }
}

arguments! {
    /// Of `DefaultPreemption`.
    PreemptionArgs { min_candidate_nodes_percentage: Option<i32>, min_candidate_nodes_absolute: Option<i32>, }
}

arguments! {
    /// Of `VolumeBinding`.
    VolumeArgs { bind_timeout_seconds: Option<i64>, shape: Option<Vec<ShapePoint>>, }
}

arguments! {
    /// Of `DynamicResources`.
    ResourcesArgs { filter_timeout: Option<Duration>, binding_timeout: Option<Duration>, }
}

arguments! {
    /// Of `Coscheduling`.
    CoschedulingArgs { permit_waiting_time_seconds: Option<i64>, }
}

arguments! {
    /// Of `LoadAware`.
    LoadAwareArgs { estimated_scaling_factors: ScalingFactors, }
}

/// How much of a request is expected to be used, in percent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScalingFactors {
    pub(super) cpu: Option<i64>,
    pub(super) memory: Option<i64>,
}
