//! How fast the parts of a real cluster are. Everything is optional; the default is what v1.36 has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::{Distribution, Duration, Quantity};
use crate::model::quantity;

/// Speeds and periods of the cluster's parts.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timing {
    /// From a write until those who watch see it.
    pub watch_delay: Distribution<Duration>,
    /// How long one request to the API server takes.
    pub request_latency: Distribution<Duration>,
    /// Client limits and workers, by component: `deployment-controller`, `kube-scheduler`, `kubelet` and so on.
    pub components: BTreeMap<String, ComponentTiming>,
    /// How the controller manager watches nodes.
    pub node_monitor: NodeMonitor,
    /// The kubelet's periods.
    pub kubelet: KubeletTiming,
    /// What the API server can do at a time.
    pub api_server: ApiServer,
    /// The image registry.
    pub registry: Registry,
    /// The scheduler's queue.
    pub scheduler: SchedulerTiming,
}

/// The limits of one component. What is absent keeps its default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ComponentTiming {
    /// Requests a second to the API server; 0 for no limit.
    pub qps: Option<u32>,
    /// Requests at once before the limit counts.
    pub burst: Option<u32>,
    /// How many keys are worked on at a time.
    pub workers: Option<u32>,
}

/// The limits of one component, all of them known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ComponentLimits {
    /// Requests a second; 0 for no limit.
    pub qps: u32,
    /// Requests at once.
    pub burst: u32,
    /// Keys worked on at a time.
    pub workers: u32,
}

/// `(component, qps, burst, workers)` of a v1.36 cluster (`cmd/kube-controller-manager/app/options/`,
/// `pkg/scheduler/apis/config/v1/defaults.go`, `pkg/kubelet/apis/config/v1beta1/defaults.go`). The kubelet's limits
/// hold for each node.
pub const COMPONENTS: &[(&str, u32, u32, u32)] = &[
    ("deployment-controller", 20, 30, 5),
    ("replicaset-controller", 20, 30, 5),
    ("replicationcontroller-controller", 20, 30, 5),
    ("statefulset-controller", 20, 30, 5),
    ("daemonset-controller", 20, 30, 2),
    ("node-controller", 20, 30, 8),
    ("taint-eviction-controller", 20, 30, 8),
    ("pod-garbage-collector", 20, 30, 1),
    ("generic-garbage-collector", 20, 30, 20),
    ("namespace-controller", 20, 30, 10),
    ("endpointslice-controller", 20, 30, 5),
    ("service-account-controller", 20, 30, 1),
    ("root-ca-cert-publisher", 20, 30, 1),
    ("service-controller", 20, 30, 1),
    ("persistentvolume-binder-controller", 20, 30, 2),
    ("persistentvolumeclaim-protection-controller", 20, 30, 1),
    ("persistentvolume-protection-controller", 20, 30, 1),
    ("persistentvolume-attach-detach-controller", 20, 30, 10),
    ("ephemeral-volume-controller", 20, 30, 5),
    ("horizontal-pod-autoscaler", 20, 30, 5),
    ("cluster-autoscaler", 5, 10, 1),
    ("keda-operator", 20, 30, 5),
    ("karpenter", 200, 300, 1),
    ("csi-provisioner", 5, 10, 100),
    ("csi-attacher", 5, 10, 10),
    ("csi-resizer", 5, 10, 10),
    ("csi-node-driver", 5, 10, 1),
    ("kube-scheduler", 50, 100, 1),
    ("kubelet", 50, 100, 1),
    ("kubectl", 50, 300, 1),
];

/// How the node controller judges nodes (`pkg/controller/nodelifecycle/`).
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeMonitor {
    /// How often nodes are looked at (`--node-monitor-period`).
    pub period: Duration,
    /// How long a node may be silent (`--node-monitor-grace-period`).
    pub grace_period: Duration,
    /// How long a new node may be silent (`--node-startup-grace-period`).
    pub startup_grace_period: Duration,
    /// Nodes a second and zone that get the NoExecute taint (`--node-eviction-rate`).
    pub eviction_rate: Quantity,
    /// The same in a large zone that is partly down (`--secondary-node-eviction-rate`).
    pub secondary_eviction_rate: Quantity,
    /// The share of nodes that must be down for a zone to count as partly down (`--unhealthy-zone-threshold`).
    pub unhealthy_zone_threshold: Quantity,
    /// More nodes than this make a large zone (`--large-cluster-size-threshold`).
    pub large_cluster_size_threshold: u32,
}

/// The kubelet's periods (`pkg/kubelet/apis/config/v1beta1/defaults.go`).
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeletTiming {
    /// How often the lease is renewed (a quarter of `nodeLeaseDurationSeconds`), with up to 4 % more.
    pub lease_renew_interval: Duration,
    /// What the lease promises.
    pub lease_duration: Duration,
    /// How often the node status is computed (`nodeStatusUpdateFrequency`).
    pub node_status_update_frequency: Duration,
    /// How often an unchanged node status is sent (`nodeStatusReportFrequency`).
    pub node_status_report_frequency: Duration,
    /// How often the container runtime is asked for changes (PLEG relist).
    pub relist_period: Duration,
    /// How long sandbox and volumes take before the first container of a pod.
    pub sandbox_time: Distribution<Duration>,
    /// How long it takes to mount the volumes of a pod's claims once they are attached.
    pub mount_time: Distribution<Duration>,
    /// How long the runtime takes to create and start one container.
    pub container_start_time: Distribution<Duration>,
    /// The first wait of CrashLoopBackOff.
    pub crash_loop_initial_backoff: Duration,
    /// Its longest wait (`crashLoopBackOff.maxContainerRestartPeriod`).
    pub crash_loop_max_backoff: Duration,
    /// One image at a time (`serializeImagePulls`).
    pub serialize_image_pulls: bool,
}

/// The API server's own capacity: what client limits leave open, it decides.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiServer {
    /// Requests it works on at a time; 0 for as many as come.
    pub cores: u32,
    /// How long one core works on a request that writes, watches included.
    pub request_time: Distribution<Duration>,
}

/// The image registry, as one node sees it.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Registry {
    /// Bytes a second for one pull.
    pub bandwidth: Quantity,
    /// Bytes a second for the pulls of all nodes together: as many at a time as have room, first come, first served.
    /// Default: no limit.
    pub total_bandwidth: Option<Quantity>,
    /// How many pulls one node may make in a time, before the registry answers 429. Default: no limit.
    pub rate_limit: Option<RateLimit>,
    /// The time until the first byte.
    pub latency: Distribution<Duration>,
    /// The size of an image of which the scenario says nothing.
    pub default_image_size: Quantity,
}

/// A limit on pulls, as public registries have it for each address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// So many pulls,
    pub pulls: u32,
    /// counted from the first, in this time.
    pub per: Duration,
}

/// The scheduler's queue (`pkg/scheduler/apis/config/v1/defaults.go`).
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SchedulerTiming {
    /// The first wait of a pod that found no place.
    pub pod_initial_backoff: Duration,
    /// Its longest wait.
    pub pod_max_backoff: Duration,
    /// After this long a pod that found no place is tried again whatever happened.
    pub unschedulable_timeout: Duration,
    /// How long one scheduling cycle takes.
    pub cycle_time: Distribution<Duration>,
}

impl Default for Timing {
    /// Latencies of an API server on the same network that is not overloaded.
    fn default() -> Self {
        Timing {
            watch_delay: Distribution::Uniform(Duration::millis(2), Duration::millis(8)),
            request_latency: Distribution::Uniform(Duration::millis(2), Duration::millis(6)),
            components: BTreeMap::new(),
            node_monitor: NodeMonitor::default(),
            kubelet: KubeletTiming::default(),
            api_server: ApiServer::default(),
            registry: Registry::default(),
            scheduler: SchedulerTiming::default(),
        }
    }
}
impl Default for NodeMonitor {
    fn default() -> Self {
        NodeMonitor {
            period: Duration::secs(5),
            grace_period: Duration::secs(50),
            startup_grace_period: Duration::secs(60),
            eviction_rate: Quantity(quantity::Quantity::from_milli(100)),
            secondary_eviction_rate: Quantity(quantity::Quantity::from_milli(10)),
            unhealthy_zone_threshold: Quantity(quantity::Quantity::from_milli(550)),
            large_cluster_size_threshold: 50,
        }
    }
}
impl Default for KubeletTiming {
    fn default() -> Self {
        KubeletTiming {
            lease_renew_interval: Duration::secs(10),
            lease_duration: Duration::secs(40),
            node_status_update_frequency: Duration::secs(10),
            node_status_report_frequency: Duration::secs(300),
            relist_period: Duration::secs(1),
            sandbox_time: Distribution::Uniform(Duration::millis(300), Duration::millis(700)),
            mount_time: Distribution::Uniform(Duration::millis(500), Duration::secs(2)),
            container_start_time: Distribution::Uniform(Duration::millis(100), Duration::millis(300)),
            crash_loop_initial_backoff: Duration::secs(10),
            crash_loop_max_backoff: Duration::secs(300),
            serialize_image_pulls: true,
        }
    }
}
impl Default for ApiServer {
    fn default() -> Self {
        ApiServer { cores: 0, request_time: Distribution::Constant(Duration::millis(2)) }
    }
}
impl Default for Registry {
    fn default() -> Self {
        Registry {
            bandwidth: Quantity(quantity::Quantity::bytes(50 << 20)),
            total_bandwidth: None,
            rate_limit: None,
            latency: Distribution::Uniform(Duration::millis(200), Duration::millis(600)),
            default_image_size: Quantity(quantity::Quantity::bytes(100 << 20)),
        }
    }
}
impl Default for SchedulerTiming {
    fn default() -> Self {
        SchedulerTiming {
            pod_initial_backoff: Duration::secs(1),
            pod_max_backoff: Duration::secs(10),
            unschedulable_timeout: Duration::secs(300),
            cycle_time: Distribution::Constant(Duration::millis(1)),
        }
    }
}

impl Timing {
    /// The limits of one component: what the scenario says, else the defaults of a real cluster.
    pub fn component(&self, name: &str) -> ComponentLimits {
        let known = COMPONENTS.iter().find(|(known, ..)| *known == name);
        let (qps, burst, workers) = known.map_or((20, 30, 1), |(_, qps, burst, workers)| (*qps, *burst, *workers));
        let given = self.components.get(name).copied().unwrap_or_default();
        ComponentLimits {
            qps: given.qps.unwrap_or(qps),
            burst: given.burst.unwrap_or(burst),
            workers: given.workers.unwrap_or(workers),
        }
    }
}
