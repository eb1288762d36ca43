//! A pod compiled for the scheduler: amounts, ports, images and terms with names turned into numbers,
//! once per distinct spec.

use super::snapshot::{ImageId, ResourceId, TopologyId};
use crate::model::pod_spec::{PodAffinityTerm, VolumeSource, WeightedPodAffinityTerm};
use crate::model::{Container, Labels, Name, Pod, PodSpec, Resources, Selector};
use std::sync::Arc;

/// A pod and its compiled spec.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Its spec.
    pub spec: Arc<SpecInfo>,
}

impl PodInfo {
    /// Its namespace.
    pub fn namespace(&self) -> &Name {
        &self.pod.meta.namespace
    }

    /// Its labels.
    pub fn labels(&self) -> &Labels {
        &self.pod.meta.labels
    }
}

/// Amounts that the scheduler compares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Amounts {
    /// CPU in thousandths.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
    /// Ephemeral storage in bytes.
    pub ephemeral_storage: i64,
    /// Extended and other resources, sorted by name.
    pub scalar: Vec<(ResourceId, i64)>,
}

impl Amounts {
    /// Whether a resource is mentioned or asked for (`fitsRequest`'s short cut).
    pub fn is_zero(&self) -> bool {
        self.milli_cpu == 0 && self.memory == 0 && self.ephemeral_storage == 0 && self.scalar.is_empty()
    }
}

/// A port on the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPort {
    /// Address; `0.0.0.0` for all.
    pub ip: Name,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: Name,
    /// Number.
    pub port: u16,
}

/// All addresses.
const ANY_ADDRESS: Name = crate::name!("0.0.0.0");

impl HostPort {
    /// Whether both cannot be on one node (`staging/src/k8s.io/kube-scheduler/framework/types.go`, `HostPortInfo`).
    pub fn conflicts(&self, other: &HostPort) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || self.ip == ANY_ADDRESS || other.ip == ANY_ADDRESS)
    }
}

/// One inter-pod term.
#[derive(Clone, Debug)]
pub struct Term {
    /// Which pods; `None` matches nothing.
    pub selector: Option<Selector>,
    /// Namespaces by name.
    pub namespaces: Vec<Name>,
    /// Namespaces by label.
    pub namespace_selector: Option<Selector>,
    /// Where domains come from.
    pub topology: TopologyId,
    /// The weight with its sign; 0 for required terms.
    pub weight: i64,
}

impl Term {
    /// Whether a pod of `namespace` (which carries `namespace_labels`) with `labels` is meant, if the term
    /// belongs to a pod of `owner_namespace`.
    pub fn matches(&self, owner_namespace: &str, namespace: &str, namespace_labels: &Labels, labels: &Labels) -> bool {
        let here = match (&self.namespace_selector, self.namespaces.is_empty()) {
            (None, true) => owner_namespace == namespace,
            (selector, _) => {
                self.namespaces.iter().any(|name| name == namespace)
                    || selector.as_ref().is_some_and(|selector| selector.matches(namespace_labels))
            }
        };
        here && self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

/// One topology spread constraint.
#[derive(Clone, Debug)]
pub struct Spread {
    /// Largest allowed difference.
    pub max_skew: i64,
    /// Where domains come from.
    pub topology: TopologyId,
    /// Domains are host names.
    pub by_hostname: bool,
    /// `DoNotSchedule`.
    pub hard: bool,
    /// Which pods; `None` matches nothing.
    pub selector: Option<Selector>,
    /// Fewest domains.
    pub min_domains: usize,
    /// Honour node affinity.
    pub honor_affinity: bool,
    /// Honour taints.
    pub honor_taints: bool,
}

/// A compiled spec. Equal specs share one.
#[derive(Debug)]
pub struct SpecInfo {
    /// Its number in the snapshot.
    pub id: u32,
    /// The spec.
    pub spec: Arc<PodSpec>,
    /// What the filter and the node's sum count.
    pub requests: Amounts,
    /// What NodeResourcesFit scores: cpu and memory with defaults, without pod-level requests (an upstream
    /// quirk: `pkg/scheduler/framework/plugins/noderesources/fit.go` sets the flag on the plugin only).
    pub fit_score: Amounts,
    /// CPU and memory that the node's sum counts for scoring.
    pub nonzero: (i64, i64),
    /// Host ports of containers and sidecars.
    pub host_ports: Vec<HostPort>,
    /// Images of init containers, containers and image volumes, repeated as often as used.
    pub images: Vec<ImageId>,
    /// Containers that count for ImageLocality's upper bound.
    pub image_containers: i64,
    /// Required affinity.
    pub affinity: Vec<Term>,
    /// Required anti-affinity.
    pub anti_affinity: Vec<Term>,
    /// Preferred affinity (+) and anti-affinity (-).
    pub preferred: Vec<Term>,
    /// Topology spread constraints that must hold.
    pub hard_spread: Arc<Vec<Spread>>,
    /// Those that should.
    pub soft_spread: Arc<Vec<Spread>>,
    /// Claims that it names, as often as it does.
    pub claims: Vec<Name>,
    /// Whether it has claims, by name or made for it.
    pub has_claims: bool,
    /// Whether it names disks.
    pub has_disks: bool,
}

impl SpecInfo {
    /// Whether it has any inter-pod term.
    pub fn has_pod_terms(&self) -> bool {
        !self.affinity.is_empty() || !self.anti_affinity.is_empty() || !self.preferred.is_empty()
    }
}

/// Gives numbers to names while a spec is compiled.
pub trait Numbering {
    /// The number of a resource.
    fn resource(&mut self, name: &Name) -> ResourceId;
    /// The number of an image by its normalized name.
    fn image(&mut self, name: &str) -> ImageId;
    /// The number of a topology key.
    fn topology(&mut self, key: &Name) -> TopologyId;
}

/// Compiles a spec.
pub fn compile(id: u32, spec: &Arc<PodSpec>, numbers: &mut impl Numbering) -> SpecInfo {
    let affinity = spec.affinity.as_deref();
    let terms = |list: Option<&Vec<PodAffinityTerm>>, numbers: &mut _| -> Vec<Term> {
        list.into_iter().flatten().map(|t| term(t, 0, numbers)).collect()
    };
    let weighted = |list: Option<&Vec<WeightedPodAffinityTerm>>, sign: i64, numbers: &mut _| -> Vec<Term> {
        list.into_iter().flatten().map(|t| term(&t.term, sign * i64::from(t.weight), numbers)).collect()
    };
    let mut preferred = weighted(affinity.map(|a| &a.pod_preferred), 1, numbers);
    let sources = || spec.volumes.iter().map(|volume| &volume.source);
    preferred.extend(weighted(affinity.map(|a| &a.anti_preferred), -1, numbers));
    SpecInfo {
        id,
        requests: amounts(&spec.requests, numbers),
        fit_score: amounts(&aggregate(spec, DEFAULTS, false), numbers),
        nonzero: nonzero(spec),
        host_ports: host_ports(spec),
        images: images(spec).iter().map(|image| numbers.image(image)).collect(),
        image_containers: (spec.init_containers.len() + spec.containers.len()) as i64,
        affinity: terms(affinity.map(|a| &a.pod_required), numbers),
        anti_affinity: terms(affinity.map(|a| &a.anti_required), numbers),
        preferred,
        hard_spread: Arc::new(spec.spread.iter().filter(|c| c.hard).map(|c| spread(c, numbers)).collect()),
        soft_spread: Arc::new(spec.spread.iter().filter(|c| !c.hard).map(|c| spread(c, numbers)).collect()),
        claims: {
            let claim = |source: &VolumeSource| match source {
                VolumeSource::Claim(name) => Some(name.clone()),
                _ => None,
            };
            sources().filter_map(claim).collect()
        },
        has_claims: sources().any(|source| matches!(source, VolumeSource::Claim(_) | VolumeSource::Ephemeral)),
        has_disks: sources().any(|source| matches!(source, VolumeSource::Disk(_))),
        spec: spec.clone(),
    }
}

fn term(t: &PodAffinityTerm, weight: i64, numbers: &mut impl Numbering) -> Term {
    Term {
        selector: t.selector.clone(),
        namespaces: t.namespaces.clone(),
        namespace_selector: t.namespace_selector.clone(),
        topology: numbers.topology(&t.topology_key),
        weight,
    }
}

/// Compiles one spread constraint.
pub fn spread(c: &crate::model::pod_spec::SpreadConstraint, numbers: &mut impl Numbering) -> Spread {
    Spread {
        max_skew: i64::from(c.max_skew),
        topology: numbers.topology(&c.topology_key),
        by_hostname: c.topology_key == "kubernetes.io/hostname",
        hard: c.hard,
        selector: c.selector.clone(),
        min_domains: usize::try_from(c.min_domains.unwrap_or(1)).unwrap_or(1),
        honor_affinity: c.honor_affinity,
        honor_taints: c.honor_taints,
    }
}

fn amounts(resources: &Resources, numbers: &mut impl Numbering) -> Amounts {
    Amounts {
        milli_cpu: resources.milli_cpu,
        memory: resources.memory,
        ephemeral_storage: resources.ephemeral_storage,
        scalar: resources.scalar.iter().map(|(name, amount)| (numbers.resource(name), *amount)).collect(),
    }
}

/// What a container that mentions neither counts in scores: 100m and 200 MiB
/// (`pkg/scheduler/util/pod_resources.go`).
const DEFAULTS: (i64, i64) = (100, 200 << 20);

/// The pod's request with `defaults` for cpu and memory that a container does not mention.
fn aggregate(spec: &PodSpec, defaults: (i64, i64), pod_level: bool) -> Resources {
    let fill = |container: &Container| {
        let mentions = |resource: &str| container.requested.iter().any(|name| name == resource);
        let mut filled = container.clone();
        if !mentions("cpu") {
            filled.requests.milli_cpu = defaults.0;
        }
        if !mentions("memory") {
            filled.requests.memory = defaults.1;
        }
        filled
    };
    let mut filled = PodSpec {
        containers: spec.containers.iter().map(fill).collect(),
        init_containers: spec.init_containers.iter().map(fill).collect(),
        ..spec.clone()
    };
    if !pod_level {
        filled.pod_level = None;
    }
    filled.compute_requests();
    filled.requests
}

/// What an assigned pod adds to the node's sums for scoring. With pod-level requests, defaults apply only
/// to what the pod as a whole does not mention (`pkg/scheduler/framework/types.go`).
fn nonzero(spec: &PodSpec) -> (i64, i64) {
    let defaults = match &spec.pod_level {
        Some(level) if !level.requested.is_empty() => {
            let mentions = |resource: &str| {
                level.requested.iter().any(|name| name == resource)
                    || spec
                        .containers
                        .iter()
                        .chain(&spec.init_containers)
                        .any(|c| c.requested.iter().any(|r| r == resource))
            };
            (if mentions("cpu") { 0 } else { DEFAULTS.0 }, if mentions("memory") { 0 } else { DEFAULTS.1 })
        }
        _ => DEFAULTS,
    };
    let sum = aggregate(spec, defaults, true);
    (sum.milli_cpu, sum.memory)
}

/// Host ports of containers and sidecars; plain init containers do not count.
pub fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    spec.long_running()
        .flat_map(|container| &container.ports)
        .filter(|port| port.host_port != 0)
        .map(|port| HostPort {
            ip: if port.host_ip.is_empty() { ANY_ADDRESS } else { port.host_ip.clone() },
            protocol: if port.protocol.is_empty() { crate::name!("TCP") } else { port.protocol.clone() },
            port: port.host_port,
        })
        .collect()
}

fn images(spec: &PodSpec) -> Vec<String> {
    let containers = spec.init_containers.iter().chain(&spec.containers).map(|c| normalized_image(&c.image));
    let volumes = spec.raw.get("volumes").and_then(|volumes| volumes.as_array()).into_iter().flatten();
    let mounted = volumes.filter_map(|volume| volume.get("image")?.get("reference")?.as_str()).map(normalized_image);
    containers.chain(mounted).collect()
}

/// An image name with `:latest` added where neither tag nor digest is written
/// (`pkg/scheduler/framework/plugins/imagelocality/image_locality.go`).
pub fn normalized_image(name: &str) -> String {
    match name.rfind(':') > name.rfind('/') {
        true => name.to_string(),
        false => format!("{name}:latest"),
    }
}
