//! Vertical pod autoscalers: what they are to do, what is recommended, and what that means for a pod
//! (`https://github.com/kubernetes/autoscaler`, `vertical-pod-autoscaler/pkg/{apis/autoscaling.k8s.io/v1,utils/vpa}`).
//!
//! A worked example: a container requests 100m with a limit of 200m, 350m are recommended for it, and its policy allows
//! at most 300m. A new pod of it requests 300m, and its limit keeps its distance: 200m * 300m / 100m = 600m.

use super::vertical_bounds::{Bounds, proportional};
use super::{Condition, Container, Meta, Name, PodSpec};

/// The group of the kind.
pub const GROUP: &str = "autoscaling.k8s.io";
/// The kind.
pub const KIND: &str = "VerticalPodAutoscaler";

/// The resources that are looked after, in the order of [`Amounts`].
pub const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// CPU in thousandths of a core and memory in bytes, where they are known.
pub type Amounts = [Option<i64>; 2];

/// When recommendations reach pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateMode {
    /// Never.
    Off,
    /// When a pod is made.
    Initial,
    /// By eviction, too; also what the deprecated `Auto` means.
    Recreate,
    /// In place, and by eviction where that fails.
    InPlaceOrRecreate,
    /// In place or not at all. Behind a gate that is off, so as good as `Initial`.
    InPlace,
}

/// What holds for one container, or for those that none other names.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ContainerPolicy {
    /// Its name, or `*`.
    pub container: Name,
    /// `mode: Off`: nothing is recommended.
    pub off: bool,
    /// Never less.
    pub min: Amounts,
    /// Never more.
    pub max: Amounts,
    /// Which resources are looked after; `None` for both.
    pub controlled: Option<[bool; 2]>,
    /// `controlledValues: RequestsOnly`: limits stay, and requests stay below them.
    pub requests_only: bool,
}

/// When a pod may be evicted (`evictionRequirements`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvictionRequirement {
    /// One of these must change so.
    pub resources: [bool; 2],
    /// To more than it requests, or to less.
    pub higher: bool,
}

/// What is recommended for one container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recommended {
    /// The container.
    pub container: Name,
    /// What it should request.
    pub target: Amounts,
    /// Less is too little.
    pub lower: Amounts,
    /// More is a waste.
    pub upper: Amounts,
    /// The target without the policy.
    pub uncapped: Amounts,
}

/// A vertical pod autoscaler.
#[derive(Clone, PartialEq, Debug)]
pub struct VerticalPodAutoscaler {
    /// Metadata.
    pub meta: Meta,
    /// `apiVersion`, kind and name of what it looks after.
    pub target: [Name; 3],
    /// When recommendations reach pods.
    pub mode: UpdateMode,
    /// How many pods there must be for one to be evicted; `None` for the updater's own number.
    pub min_replicas: Option<i32>,
    /// When pods may be evicted.
    pub requirements: Vec<EvictionRequirement>,
    /// What holds for its containers.
    pub policies: Vec<ContainerPolicy>,
    /// What is recommended; `None` before the first time.
    pub recommendation: Option<Vec<Recommended>>,
    /// Conditions, by type.
    pub conditions: Vec<Condition>,
    /// What its namespace allows, where that was looked up.
    pub bounds: Bounds,
}

impl VerticalPodAutoscaler {
    /// What holds for a container (`GetContainerResourcePolicy`).
    pub fn policy(&self, container: &str) -> Option<&ContainerPolicy> {
        let named = |name: &str| self.policies.iter().find(|policy| policy.container == name);
        named(container).or_else(|| named("*"))
    }

    /// A recommendation within what its policy allows (`ApplyVPAPolicy`).
    #[must_use]
    pub fn allowed(&self, mut recommended: Recommended) -> Recommended {
        if let Some(policy) = self.policy(&recommended.container) {
            for amounts in [&mut recommended.target, &mut recommended.lower, &mut recommended.upper] {
                cap(amounts, policy);
            }
        }
        recommended
    }

    /// What is recommended for the containers of one pod, capped by the limit ranges of its namespace, once more by its
    /// policy, and by limits that are to stay (`cappingRecommendationProcessor`).
    pub fn for_pod(&self, spec: &PodSpec) -> Vec<Recommended> {
        let of = |mut recommended: Recommended| {
            let container = spec.containers.iter().find(|one| one.name == recommended.container)?;
            for amounts in [&mut recommended.target, &mut recommended.lower, &mut recommended.upper] {
                self.bounds.for_container(amounts, container);
            }
            let mut capped = self.allowed(recommended);
            if self.policy(&container.name).is_some_and(|policy| policy.requests_only) {
                for amounts in [&mut capped.target, &mut capped.lower, &mut capped.upper] {
                    let limits = limits(container);
                    for (amount, limit) in amounts.iter_mut().zip(limits) {
                        *amount = amount.map(|amount| limit.map_or(amount, |limit| amount.min(limit)));
                    }
                }
            }
            Some(capped)
        };
        let all = self.recommendation.iter().flatten().cloned().collect();
        self.bounds.for_pod(all, spec).into_iter().filter_map(of).collect()
    }

    /// The requests and limits that the containers of a pod should have, by their place
    /// (`GetContainersResourcesForPod`).
    pub fn resources(&self, spec: &PodSpec) -> Vec<(usize, Amounts, Amounts)> {
        let place = |recommended: Recommended| {
            let at = spec.containers.iter().position(|one| one.name == recommended.container)?;
            let container = &spec.containers[at];
            let limits = match self.policy(&container.name).is_some_and(|policy| policy.requests_only) {
                true => [None; 2],
                false => [0, 1].map(|at| {
                    let wanted = recommended.target[at].filter(|wanted| *wanted != 0)?;
                    proportional(container, at, wanted, self.bounds.default(at))
                }),
            };
            Some((at, recommended.target, limits))
        };
        self.for_pod(spec).into_iter().filter_map(place).collect()
    }

    /// Of two that look after the same pods this one counts: the older, else the first by name (`Stronger`).
    pub fn stronger(&self, other: &VerticalPodAutoscaler) -> bool {
        (self.meta.created, &self.meta.name) < (other.meta.created, &other.meta.name)
    }
}

fn cap(amounts: &mut Amounts, policy: &ContainerPolicy) {
    for (at, amount) in amounts.iter_mut().enumerate() {
        let Some(amount) = amount else { continue };
        // A bound of 0 is none.
        let bound = |given: &Amounts| given[at].filter(|bound| *bound != 0);
        *amount = (*amount).max(bound(&policy.min).unwrap_or(i64::MIN));
        *amount = (*amount).min(bound(&policy.max).unwrap_or(i64::MAX));
    }
}

fn named(names: &[Name], of: &super::Resources) -> Amounts {
    RESOURCES.map(|resource| names.iter().any(|name| name == resource).then(|| of.get(resource)))
}

/// What a container requests.
pub fn requests(container: &Container) -> Amounts {
    named(&container.requested, &container.requests)
}

/// What a container may use at most.
pub fn limits(container: &Container) -> Amounts {
    named(&container.limited, &container.limits)
}
