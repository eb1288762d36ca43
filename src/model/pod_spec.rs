//! What a pod wishes: containers, requests, placement rules. Stored once per template and shared by its
//! pods; admission and defaulting are already applied (`pkg/apis/core/v1/defaults.go`).

use super::{Kind, Labels, Name, NodeSelector, Resources, Selector, TaintEffect};
use crate::time::SimDuration;
use serde_json::Value;
use std::sync::Arc;

/// A pod template of a workload.
#[derive(Clone, PartialEq, Debug)]
pub struct PodTemplate {
    /// Labels that the pods get.
    pub labels: Labels,
    /// Annotations that the pods get.
    pub annotations: Labels,
    /// Finalizers that the pods get.
    pub finalizers: Vec<Name>,
    /// The wish itself.
    pub spec: Arc<PodSpec>,
}

/// When a container that ended is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestartPolicy {
    /// Whatever the exit code.
    Always,
    /// Only after a non-zero exit code.
    OnFailure,
    /// Never.
    Never,
}

/// When an image is fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the node lacks it.
    IfNotPresent,
    /// Never.
    Never,
}

/// What a taint may do to a pod all the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Toleration {
    /// The taint's key; empty matches every key (with `exists`).
    pub key: Name,
    /// Operator `Exists` instead of `Equal`.
    pub exists: bool,
    /// The value for `Equal`.
    pub value: Name,
    /// The effect; `None` matches all.
    pub effect: Option<TaintEffect>,
    /// For `NoExecute`: how long; `None` is forever.
    pub seconds: Option<i64>,
}

/// A port that a container listens on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ContainerPort {
    /// The name; may be empty.
    pub name: Name,
    /// The port.
    pub container_port: u16,
    /// The port on the node; 0 for none.
    pub host_port: u16,
    /// The node address it binds; empty for all.
    pub host_ip: Name,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Name,
}

/// How a probe asks. What it answers is a matter of the container's behaviour.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProbeHandler {
    /// A command in the container.
    Exec,
    /// An HTTP request.
    Http,
    /// A TCP connection.
    Tcp,
    /// A gRPC health check.
    Grpc,
}

/// A probe with its defaults filled in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Probe {
    /// How it asks.
    pub handler: ProbeHandler,
    /// Whom or what: a URL or `{}:port` with `{}` for the pod's address, or the command.
    pub target: Name,
    /// Seconds from the container's start to the first attempt.
    pub initial_delay: SimDuration,
    /// Between attempts.
    pub period: SimDuration,
    /// How long one attempt may take.
    pub timeout: SimDuration,
    /// Consecutive successes that turn it.
    pub success_threshold: u32,
    /// Consecutive failures that turn it.
    pub failure_threshold: u32,
    /// Grace for the kill it causes, if it has its own.
    pub termination_grace_seconds: Option<i64>,
}

/// One container.
#[derive(Clone, PartialEq, Debug)]
pub struct Container {
    /// Its name.
    pub name: Name,
    /// Its image as written.
    pub image: Name,
    /// When to pull.
    pub pull_policy: PullPolicy,
    /// Requests after defaulting from the limits.
    pub requests: Resources,
    /// Limits.
    pub limits: Resources,
    /// Names of the requested resources, since a request of 0 is not the same as none.
    pub requested: Vec<Name>,
    /// Names of the limited resources.
    pub limited: Vec<Name>,
    /// Ports.
    pub ports: Vec<ContainerPort>,
    /// A sidecar: an init container with `restartPolicy: Always`.
    pub sidecar: bool,
    /// Its own `restartPolicy`, in place of the pod's.
    pub restart_policy: Option<RestartPolicy>,
    /// `restartPolicyRules`, which come before that.
    pub restart_rules: Vec<RestartRule>,
    /// Readiness probe.
    pub readiness: Option<Probe>,
    /// Liveness probe.
    pub liveness: Option<Probe>,
    /// Startup probe.
    pub startup: Option<Probe>,
    /// Its environment, in order; later ones win.
    pub env: Vec<EnvSource>,
    /// The volumes that it mounts.
    pub mounts: Vec<Mount>,
    /// Whether it must start anew to get other amounts of cpu, and of memory (`resizePolicy`).
    pub restart_on_resize: [bool; 2],
    /// What is done when it has started.
    pub post_start: Option<Hook>,
    /// What is done before it is stopped.
    pub pre_stop: Option<Hook>,
}

/// Exit codes after which a container is started again whatever its policy says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestartRule {
    /// These codes (`In`), or all others (`NotIn`).
    pub among: bool,
    /// The codes.
    pub codes: Vec<i32>,
}

/// A lifecycle hook.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Hook {
    /// How long a `sleep` one takes. How long another takes is a matter of the container's behaviour.
    pub sleep: Option<SimDuration>,
}

/// A weighted node preference.
#[derive(Clone, PartialEq, Debug)]
pub struct PreferredNode {
    /// 1–100.
    pub weight: i32,
    /// One term.
    pub term: NodeSelector,
}

/// One term of inter-pod affinity or anti-affinity.
#[derive(Clone, PartialEq, Debug)]
pub struct PodAffinityTerm {
    /// Which pods; `None` matches nothing.
    pub selector: Option<Selector>,
    /// Namespaces by name.
    pub namespaces: Vec<Name>,
    /// Namespaces by label; `None` is none, an empty selector all.
    pub namespace_selector: Option<Selector>,
    /// The node label that makes a domain.
    pub topology_key: Name,
    /// Labels whose value the other pods must share; merged into `selector` when a pod is created.
    pub match_label_keys: Vec<Name>,
    /// Labels whose value the other pods must not share.
    pub mismatch_label_keys: Vec<Name>,
}

/// A weighted inter-pod term.
#[derive(Clone, PartialEq, Debug)]
pub struct WeightedPodAffinityTerm {
    /// 1–100.
    pub weight: i32,
    /// The term.
    pub term: PodAffinityTerm,
}

/// Where a pod wants to be, and beside whom.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Affinity {
    /// Required node terms.
    pub node_required: Option<NodeSelector>,
    /// Preferred node terms.
    pub node_preferred: Vec<PreferredNode>,
    /// Required pods nearby.
    pub pod_required: Vec<PodAffinityTerm>,
    /// Preferred pods nearby.
    pub pod_preferred: Vec<WeightedPodAffinityTerm>,
    /// Required distance.
    pub anti_required: Vec<PodAffinityTerm>,
    /// Preferred distance.
    pub anti_preferred: Vec<WeightedPodAffinityTerm>,
}

impl Affinity {
    /// All inter-pod terms.
    pub fn pod_terms(&self) -> impl Iterator<Item = &PodAffinityTerm> {
        let preferred = self.pod_preferred.iter().chain(&self.anti_preferred).map(|weighted| &weighted.term);
        self.pod_required.iter().chain(&self.anti_required).chain(preferred)
    }

    /// All inter-pod terms, to change.
    pub fn pod_terms_mut(&mut self) -> impl Iterator<Item = &mut PodAffinityTerm> {
        let preferred = self.pod_preferred.iter_mut().chain(&mut self.anti_preferred);
        self.pod_required.iter_mut().chain(&mut self.anti_required).chain(preferred.map(|weighted| &mut weighted.term))
    }
}

/// One topology spread constraint.
#[derive(Clone, PartialEq, Debug)]
pub struct SpreadConstraint {
    /// Largest allowed difference.
    pub max_skew: i32,
    /// The node label that makes a domain.
    pub topology_key: Name,
    /// `DoNotSchedule` rather than `ScheduleAnyway`.
    pub hard: bool,
    /// Which pods count; `None` matches nothing.
    pub selector: Option<Selector>,
    /// Fewest domains.
    pub min_domains: Option<i32>,
    /// Honour node affinity when counting (default).
    pub honor_affinity: bool,
    /// Honour taints when counting (not the default).
    pub honor_taints: bool,
    /// Labels whose value the counted pods must share; merged into `selector` when a pod is created.
    pub match_label_keys: Vec<Name>,
}

/// A volume as far as it matters to placement and start.
#[derive(Clone, PartialEq, Debug)]
pub struct Volume {
    /// Its name in the pod.
    pub name: Name,
    /// What it is.
    pub source: VolumeSource,
}

/// The kinds of volume that matter.
#[derive(Clone, PartialEq, Debug)]
pub enum VolumeSource {
    /// A claim by name.
    Claim(Name),
    /// What config maps and secrets say, as files: one object, or several in a projected volume.
    Config(Vec<ConfigSource>),
    /// A claim that is made for the pod and goes with it.
    Ephemeral,
    /// A disk named in the pod itself.
    Disk(Disk),
    /// Anything else, kept in `raw`.
    Other,
}

/// A config map or secret that a pod reads.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConfigSource {
    /// A secret rather than a config map.
    pub secret: bool,
    /// Its name.
    pub name: Name,
    /// Whether it may be missing.
    pub optional: bool,
    /// The keys that must be there; empty for all that there are.
    pub keys: Vec<Name>,
}

impl ConfigSource {
    /// The kind of object it is.
    pub fn kind(&self) -> Kind {
        if self.secret { Kind::Secret } else { Kind::ConfigMap }
    }
}

/// Where a variable of a container's environment comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum EnvSource {
    /// A value as written, or one that the pod itself gives: name, value.
    Value(Name, Name),
    /// One key of a config map or secret: name, object.
    Key(Name, ConfigSource),
    /// Every key of a config map or secret: prefix, object.
    All(Name, ConfigSource),
}

impl EnvSource {
    /// The config map or secret that it reads.
    pub fn config(&self) -> Option<&ConfigSource> {
        match self {
            EnvSource::Value(..) => None,
            EnvSource::Key(_, source) | EnvSource::All(_, source) => Some(source),
        }
    }
}

/// A volume that a container mounts.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Mount {
    /// The volume, by its name in the pod.
    pub volume: Name,
    /// A part of it (`subPath`): such a mount never sees an update.
    pub sub_path: bool,
}

/// A disk that only one node can write to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Which.
    pub id: DiskId,
    /// Whether the pod only reads it.
    pub read_only: bool,
}

/// What makes two disks the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskId {
    /// A Google persistent disk by name.
    GcePersistentDisk(Name),
    /// An Amazon volume by id.
    AwsElasticBlockStore(Name),
    /// An iSCSI target by its qualified name.
    Iscsi(Name),
    /// A Ceph image: monitors, pool, image. One common monitor is enough.
    Rbd(Vec<Name>, Name, Name),
}

/// A pod's wish, compiled. Two are equal when their hashes are.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// The full `spec` with Kubernetes' defaults, as JSON: nothing of the original is lost.
    pub raw: Arc<Value>,
    /// 64-bit content hash of `raw`: equal wishes have equal hashes.
    pub hash: u64,
    /// App containers.
    pub containers: Vec<Container>,
    /// Init containers and sidecars, in order.
    pub init_containers: Vec<Container>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// A node written into the manifest.
    pub node_name: Option<Name>,
    /// `nodeSelector`.
    pub node_selector: Labels,
    /// Affinity; absent for most pods.
    pub affinity: Option<Box<Affinity>>,
    /// Tolerations, with those that admission adds.
    pub tolerations: Vec<Toleration>,
    /// Topology spread constraints.
    pub spread: Vec<SpreadConstraint>,
    /// Which scheduler.
    pub scheduler_name: Name,
    /// Priority class by name; may be empty.
    pub priority_class: Name,
    /// Priority; resolved by admission.
    pub priority: i32,
    /// `preemptionPolicy: PreemptLowerPriority`.
    pub preempts: bool,
    /// Restart policy.
    pub restart_policy: RestartPolicy,
    /// `terminationGracePeriodSeconds`.
    pub grace_seconds: i64,
    /// `activeDeadlineSeconds`.
    pub active_deadline_seconds: Option<i64>,
    /// Whether it shares the node's network.
    pub host_network: bool,
    /// Names of scheduling gates.
    pub scheduling_gates: Vec<Name>,
    /// Condition types of readiness gates.
    pub readiness_gates: Vec<Name>,
    /// Host name; may be empty.
    pub hostname: Name,
    /// Subdomain; may be empty.
    pub subdomain: Name,
    /// Service account.
    pub service_account: Name,
    /// Pod overhead.
    pub overhead: Resources,
    /// Pod-level requests and limits, with the names they set.
    pub pod_level: Option<Box<PodLevelResources>>,
    /// The effective request: what the scheduler and the kubelet count
    /// (`staging/src/k8s.io/component-helpers/resource/helpers.go`).
    pub requests: Resources,
}

impl PartialEq for PodSpec {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

/// `spec.resources` of a pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PodLevelResources {
    /// Requests.
    pub requests: Resources,
    /// Names of the requests.
    pub requested: Vec<Name>,
    /// Limits.
    pub limits: Resources,
    /// Names of the limits.
    pub limited: Vec<Name>,
}

/// The quality of service class (`pkg/apis/core/v1/helper/qos/qos.go`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum QosClass {
    /// Limits equal requests everywhere.
    Guaranteed,
    /// Something in between.
    Burstable,
    /// Nothing requested, nothing limited.
    BestEffort,
}

impl QosClass {
    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            QosClass::Guaranteed => "Guaranteed",
            QosClass::Burstable => "Burstable",
            QosClass::BestEffort => "BestEffort",
        }
    }
}

impl PodSpec {
    /// Sidecars and app containers: what runs side by side.
    pub fn long_running(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().filter(|container| container.sidecar).chain(&self.containers)
    }

    /// Fills `requests` from the containers, overhead and pod-level resources: the larger of what runs
    /// together and each init step with the sidecars declared before it.
    pub fn compute_requests(&mut self) {
        let mut all = self.container_requests();
        if let Some(level) = &self.pod_level {
            for resource in &level.requested {
                all.set(resource, level.requests.get(resource));
            }
        }
        all.add(&self.overhead);
        self.requests = all;
    }

    /// What the containers request by themselves (`AggregateContainerRequests`).
    pub fn container_requests(&self) -> Resources {
        let mut together = Resources::default();
        for container in &self.containers {
            together.add(&container.requests);
        }
        let mut sidecars = Resources::default();
        let mut init = Resources::default();
        for container in &self.init_containers {
            let mut step = sidecars.clone();
            step.add(&container.requests);
            if container.sidecar {
                together.add(&container.requests);
                sidecars = step.clone();
            }
            init.max(&step);
        }
        together.max(&init);
        together
    }

    /// The class of service that the requests and limits of cpu and memory make.
    pub fn qos(&self) -> QosClass {
        if let Some(level) = &self.pod_level {
            return qos_of(&[(&level.requests, &level.requested, &level.limits, &level.limited)]);
        }
        let all: Vec<_> = self
            .init_containers
            .iter()
            .chain(&self.containers)
            .map(|c| (&c.requests, &c.requested, &c.limits, &c.limited))
            .collect();
        qos_of(&all)
    }
}

type Amounts<'a> = (&'a Resources, &'a Vec<Name>, &'a Resources, &'a Vec<Name>);

fn qos_of(all: &[Amounts<'_>]) -> QosClass {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let mut requests = [0i64; 2];
    let mut limits = [0i64; 2];
    let mut guaranteed = true;
    for (request, _, limit, _) in all {
        for (at, resource) in COUNTED.iter().enumerate() {
            requests[at] += request.get(resource).max(0);
            limits[at] += limit.get(resource).max(0);
            guaranteed &= limit.get(resource) > 0;
        }
    }
    if requests == [0, 0] && limits == [0, 0] {
        return QosClass::BestEffort;
    }
    if guaranteed && requests == limits { QosClass::Guaranteed } else { QosClass::Burstable }
}
