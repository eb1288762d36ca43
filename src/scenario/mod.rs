//! The scenario file: a cluster, what runs on it, what happens to it, and what is expected of it.

pub mod amount;
pub mod arrivals;
pub mod autoscaler;
pub mod behavior;
pub mod check;
pub mod check_disks;
pub mod check_kubectl;
pub mod check_node;
pub mod check_traffic;
pub mod cloud;
pub mod cluster;
pub mod custom;
pub mod expect;
pub mod faults;
pub mod growth;
pub mod indexes;
pub mod karpenter;
pub mod kubectl;
pub mod kubelet;
pub mod limits;
pub mod load;
pub mod loads;
pub mod manifests;
pub mod measures;
pub mod scaled;
pub mod scheduler;
pub mod schema;
pub mod selector;
pub mod set;
pub mod slo;
mod static_pods;
pub mod timeline;
pub mod timing;
pub mod traffic;
pub mod units;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Problem;
use crate::model::custom::CustomKinds;
use crate::rng::Seed;
use crate::time::SimTime;

pub use behavior::Behavior;
pub use cloud::Cloud;
pub use cluster::{Cluster, NodeSetup};
pub use expect::Expectation;
pub use faults::{FaultAction, FaultRule};
pub use limits::Limits;
pub use manifests::{ManifestDocument, Manifests};
pub use scheduler::Scheduling;
pub use timeline::{Action, TimelineEntry};
pub use timing::Timing;
pub use traffic::Traffic;

/// A cluster, what runs on it, what happens to it, and what is expected of it.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// A short name, of lower-case letters, digits and dashes; results go to a folder of this name.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: String,
    /// What it shows, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// The seed of all randomness; `--seed` overrides it.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// How much virtual time passes.
    pub duration: units::Duration,
    /// The machines.
    pub cluster: Cluster,
    /// The Kubernetes objects that are applied at the start.
    #[serde(default)]
    pub manifests: Manifests,
    /// How containers behave; a manifest cannot say it.
    #[serde(default)]
    pub behavior: Vec<Behavior>,
    /// What pods have to do: amounts over time that the pods of a workload share.
    #[serde(default)]
    pub load: Vec<loads::Load>,
    /// Workloads that an external metric scales to zero and back.
    #[serde(default)]
    pub scaled_objects: Vec<scaled::ScaledObject>,
    /// How fast the parts of the cluster are. The default is a real cluster.
    #[serde(default)]
    pub timing: Timing,
    /// How kube-scheduler is configured, and schedulers beside it.
    #[serde(default)]
    pub scheduler: Scheduling,
    /// Requests: who asks which service, and how pods answer. Absent: none.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// What happens when.
    #[serde(default)]
    pub timeline: Vec<TimelineEntry>,
    /// What goes wrong again and again, by chance.
    #[serde(default)]
    pub faults: Vec<FaultRule>,
    /// What is promised of the workloads; reports tell how much of each error budget is burnt.
    #[serde(default)]
    pub slo: Vec<slo::Slo>,
    /// What must be true; each expectation passes or fails in the report and in the exit code.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// At which size or length a run is stopped.
    #[serde(default)]
    pub limits: Limits,
    /// The kinds that its definitions bring.
    #[serde(skip)]
    pub kinds: CustomKinds,
    /// What is suspicious but legal in the files that were read.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
}

fn default_seed() -> u64 {
    1
}

impl Scenario {
    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        Seed(self.seed)
    }

    /// Every pod that a kubelet runs of itself.
    pub fn static_pods(&self) -> impl Iterator<Item = &ManifestDocument> {
        self.cluster.kubelets().flat_map(|(_, kubelet)| &kubelet.static_pods.objects)
    }

    /// Every object of the manifests and of later applies.
    pub fn documents(&self) -> impl Iterator<Item = &ManifestDocument> {
        let applied = self.timeline.iter().filter_map(|entry| match &entry.action {
            Action::Apply(apply) => Some(&apply.manifests.objects),
            Action::Replace(manifests) => Some(&manifests.objects),
            _ => None,
        });
        self.manifests.objects.iter().chain(applied.flatten())
    }

    /// The instant at which the run ends.
    pub fn end(&self) -> SimTime {
        SimTime(self.duration.0.0)
    }
}
