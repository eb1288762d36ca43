//! Strategies by name: whole profiles that can be put side by side on one scenario.
//!
//! A new one is a plugin in [`super::plugins`] and a line in [`STRATEGIES`]. All of them filter as upstream does;
//! they differ in which of the possible nodes they take.

use super::plugin::{Plugin, Point};
use super::plugins;
use super::plugins::best_fit::BestFit;
use super::plugins::dot_prod::DotProd;
use super::plugins::fgd::Fgd;
use super::plugins::first_fit::FirstFit;
use super::plugins::gpu_clustering::GpuClustering;
use super::plugins::gpu_packing::GpuPacking;
use super::plugins::gpu_share::GpuShare;
use super::plugins::load_aware::LoadAware;
use super::plugins::random::Random;
use super::plugins::resources_fit::{ResourcesFit, Strategy as Scoring};
use super::plugins::round_robin::RoundRobin;
use super::plugins::topology_spread::TopologySpread;
use super::plugins::worst_fit::WorstFit;
use super::profile::Profile;
use crate::error::did_you_mean;
use crate::name;
use crate::rng::Seed;
use std::rc::Rc;

/// A way to choose among the nodes that a pod fits on.
#[derive(Clone, Copy, Debug)]
pub struct Strategy {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// Its profile, for a run with this seed.
    pub profile: fn(Seed) -> Profile,
}

/// Every strategy.
pub const STRATEGIES: &[Strategy] = &[
    Strategy {
        name: "default",
        about: "kube-scheduler's default profile: emptier, more even, spread",
        profile: |_| Profile::default(),
    },
    Strategy {
        name: "least-allocated",
        about: "the emptiest node by requests (NodeResourcesFit, LeastAllocated)",
        profile: |_| by_requests(Scoring::LeastAllocated),
    },
    Strategy {
        name: "most-allocated",
        about: "the fullest node by requests (NodeResourcesFit, MostAllocated)",
        profile: |_| by_requests(Scoring::MostAllocated),
    },
    Strategy {
        name: "requested-to-capacity",
        about: "the fuller the better up to 80 %, then less so (NodeResourcesFit, RequestedToCapacityRatio)",
        profile: |_| by_requests(Scoring::RequestedToCapacityRatio(vec![(0, 0), (80, 10), (100, 6)])),
    },
    Strategy {
        name: "first-fit",
        about: "the first node that fits, in order of joining",
        profile: |_| by(Rc::new(FirstFit)),
    },
    Strategy {
        name: "random",
        about: "any node that fits, each as likely",
        profile: |seed| by(Rc::new(Random { seed })),
    },
    Strategy {
        name: "round-robin",
        about: "the next node that fits after the last one taken",
        profile: |_| by(Rc::new(RoundRobin::default())),
    },
    Strategy {
        name: "best-fit",
        about: "the node where the least is left over",
        profile: |_| by(Rc::new(BestFit::default())),
    },
    Strategy {
        name: "worst-fit",
        about: "the node where the most is left over",
        profile: |_| by(Rc::new(WorstFit::default())),
    },
    Strategy {
        name: "dot-prod",
        about: "demand and what is left point in different directions",
        profile: |_| by(Rc::new(DotProd::default())),
    },
    Strategy {
        name: "gpu-packing",
        about: "used GPUs before free ones, used nodes before idle ones",
        profile: |_| by(Rc::new(GpuPacking::default())),
    },
    Strategy {
        name: "gpu-clustering",
        about: "pods that ask for the same number of GPUs together",
        profile: |_| by(Rc::new(GpuClustering::default())),
    },
    Strategy {
        name: "fgd",
        about: "the least new fragmentation of GPUs (fragmentation gradient descent)",
        profile: |_| by(Rc::new(Fgd::default())),
    },
    Strategy {
        name: "load-aware",
        about: "the node that is used least, by measured use instead of requests",
        profile: |_| by(Rc::new(LoadAware::default())),
    },
];

/// Filters as upstream and for shared GPUs; among all nodes that fit, this plugin alone chooses.
pub fn by(strategy: Rc<dyn Plugin>) -> Profile {
    let name = strategy.name();
    // The first plugin that assigns devices is heard, so the strategy stands before GpuShare.
    let mut plugins = vec![(strategy, 1), (Rc::new(GpuShare::default()) as Rc<dyn Plugin>, 0)];
    plugins.extend(plugins::defaults());
    let mut profile = Profile::new(name!("default-scheduler"), plugins);
    profile.percentage_of_nodes_to_score = 100;
    profile.disable(Point::PreScore, "*");
    profile.disable(Point::Score, "*");
    profile.enable(Point::Score, name, 1);
    profile
}

/// The default profile in which requests alone tell nodes apart, but for what pods ask for themselves: taints,
/// affinity, and spread constraints of their own. Without that, the scores that spread pods by default would
/// outweigh the scoring strategy.
fn by_requests(strategy: Scoring) -> Profile {
    let unasked = ["NodeResourcesBalancedAllocation", "ImageLocality"];
    let mut plugins: Vec<(Rc<dyn Plugin>, i64)> = plugins::defaults();
    plugins.retain(|(plugin, _)| !unasked.contains(&plugin.name()));
    let mut profile = Profile::new(name!("default-scheduler"), plugins);
    profile.replace(Rc::new(ResourcesFit { strategy, ..ResourcesFit::default() }));
    profile.replace(Rc::new(TopologySpread { defaults: Vec::new(), system: false }));
    profile
}

/// The strategy of that name.
///
/// # Errors
/// A sentence that names the nearest one, or all of them.
pub fn find(name: &str) -> Result<&'static Strategy, String> {
    let names = || STRATEGIES.iter().map(|strategy| strategy.name);
    STRATEGIES.iter().find(|strategy| strategy.name == name).ok_or_else(|| match did_you_mean(name, names()) {
        Some(near) => format!("there is no such strategy; did you mean `{near}`?"),
        None => format!("there is no such strategy; there are: {}", names().collect::<Vec<_>>().join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_or_guessed() {
        for strategy in STRATEGIES {
            assert_eq!(find(strategy.name).unwrap().name, strategy.name);
            assert_eq!((strategy.profile)(Seed(1)).scheduler_name, "default-scheduler");
        }
        let wrong = |name| find(name).unwrap_err();
        assert_eq!(wrong("most-alocated"), "there is no such strategy; did you mean `most-allocated`?");
        assert!(
            wrong("zebra").contains("least-allocated, most-allocated, requested-to-capacity, first-fit"),
            "{}",
            wrong("zebra")
        );
    }
}
