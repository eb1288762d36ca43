//! Which of several groups grows (`expander/`): each expander keeps the best of what the one before left, chance decides
//! what is left.
//!
//! A worked example of `least-waste`: 3 cores and 6 GiB are wanted. Two nodes of 2 cores and 8 GiB leave 1/4 of the cores and
//! 10/16 of the memory: 0.875. One node of 4 cores and 8 GiB leaves 1/4 and 1/4: 0.5. The latter wins.

use crate::model::{Name, Pod, Resources};
use crate::rng::Stream;
use crate::scenario::autoscaler::{Expander, Priority};
use std::sync::Arc;

/// A group that would help, and how.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Which group, by number.
    pub group: usize,
    /// Its name.
    pub name: Name,
    /// How many nodes more.
    pub nodes: u32,
    /// Pods that would find a place.
    pub pods: Vec<Arc<Pod>>,
    /// What one of its nodes has.
    pub capacity: Resources,
    /// What one of its nodes costs an hour, in millionths.
    pub price_micros: i64,
}

/// Chooses.
pub fn choose(
    mut choices: Vec<Choice>,
    chain: &[Expander],
    priorities: &[Priority],
    cluster_size: usize,
    stream: &mut Stream,
) -> Option<Choice> {
    for expander in chain {
        if choices.len() < 2 {
            break;
        }
        choices = match expander {
            Expander::Random => choices,
            Expander::MostPods => best(choices, |choice| -(choice.pods.len() as i128)),
            Expander::LeastNodes => best(choices, |choice| i128::from(choice.nodes)),
            Expander::LeastWaste => best(choices, waste),
            Expander::Price => best(choices, |choice| price(choice, cluster_size)),
            Expander::Priority => preferred(choices, priorities),
        };
    }
    stream.choose(choices, Some(1)).into_iter().next()
}

/// Those of the least score.
fn best(choices: Vec<Choice>, score: impl Fn(&Choice) -> i128) -> Vec<Choice> {
    let scored: Vec<(i128, Choice)> = choices.into_iter().map(|choice| (score(&choice), choice)).collect();
    let least = scored.iter().map(|(score, _)| *score).min();
    scored.into_iter().filter(|(score, _)| Some(*score) == least).map(|(_, choice)| choice).collect()
}

fn wanted(choice: &Choice) -> (i64, i64) {
    let sum = |of: fn(&Pod) -> i64| choice.pods.iter().map(|pod| of(pod)).sum();
    (sum(|pod| pod.requests().milli_cpu), sum(|pod| pod.requests().memory))
}

/// The unused shares of cpu and memory, added, in billionths (`expander/waste/waste.go`).
fn waste(choice: &Choice) -> i128 {
    let (cpu, memory) = wanted(choice);
    let unused = |have: i64, wanted: i64| {
        let have = i128::from(have) * i128::from(choice.nodes);
        (have - i128::from(wanted)) * 1_000_000_000 / have.max(1)
    };
    unused(choice.capacity.milli_cpu, cpu) + unused(choice.capacity.memory, memory)
}

/// Cores of a node that suits a cluster of a size (`expander/price/preferred.go`).
const PREFERRED: [(usize, f64); 5] = [(2, 1.0), (6, 2.0), (20, 4.0), (60, 8.0), (200, 16.0)];
const PREFERRED_LARGE: f64 = 32.0;
/// Dollars an hour of a core and of a GiB, for pods (`cloudprovider/gce/gce_price_info.go`).
const CORE_HOUR: f64 = 0.033174;
const GIB_HOUR: f64 = 0.004446;
const GIB: f64 = 1_073_741_824.0;

/// Money for what it takes, weighed by how well the machine suits the cluster, in billionths (`expander/price/price.go`).
fn price(choice: &Choice, cluster_size: usize) -> i128 {
    let (cpu, memory) = wanted(choice);
    let pod_price = |milli: f64, bytes: f64| milli / 1000.0 * CORE_HOUR + bytes / GIB * GIB_HOUR;
    let nodes = choice.price_micros as f64 / 1e6 * f64::from(choice.nodes);
    // A small pod is added to both, so that tiny differences do not decide.
    let steady = pod_price(500.0, 500.0 * 1024.0 * 1024.0);
    let cost = (nodes + steady) / (pod_price(cpu as f64, memory as f64) + steady);
    let fitting = PREFERRED.iter().find(|(size, _)| cluster_size <= *size).map_or(PREFERRED_LARGE, |(_, cores)| *cores);
    let cores = choice.capacity.milli_cpu as f64 / 1000.0;
    let unfitness = (fitting / cores).max(cores / fitting);
    // The more nodes are made at once, the less it matters.
    let damping = 1.0 - libm::tanh((f64::from(choice.nodes) - 1.0) / 15.0);
    let weight = (unfitness - 1.0) * damping + 1.0;
    (weight * cost * 1e9) as i128
}

/// Those of the highest priority; those without one only if none has any (`expander/priority/priority.go`).
fn preferred(choices: Vec<Choice>, priorities: &[Priority]) -> Vec<Choice> {
    let of = |choice: &Choice| {
        let meant = |one: &&Priority| one.pools.iter().any(|pattern| glob(pattern, &choice.name));
        priorities.iter().filter(meant).map(|one| one.priority).max()
    };
    let most = choices.iter().filter_map(of).max();
    choices.into_iter().filter(|choice| of(choice) == most).collect()
}

/// Whether a text is as the pattern, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            let Some(rest) = text.strip_prefix(head) else { return false };
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && glob(tail, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder::{pod, spec};
    use crate::rng::Seed;

    fn choice(name: &str, nodes: u32, (cores, gib): (i64, i64), pods: usize, price: f64) -> Choice {
        let capacity = Resources { milli_cpu: cores * 1000, memory: gib << 30, ..Resources::default() };
        let one = |index: usize| Arc::new(pod(&format!("p-{index}"), spec("app", 1000, 2 << 30)));
        let price_micros = (price * 1e6) as i64;
        Choice { group: 0, name: Name::from(name), nodes, pods: (0..pods).map(one).collect(), capacity, price_micros }
    }

    #[test]
    fn each_expander_has_its_favourite() {
        // Three pods of 1 core and 2 GiB, and a group that takes only two of them.
        let choices = || {
            vec![
                choice("narrow", 2, (2, 8), 3, 0.10),
                choice("wide", 1, (4, 8), 3, 0.30),
                choice("spot-wide", 1, (4, 8), 2, 0.05),
            ]
        };
        let priorities = [
            Priority { priority: 10, pools: vec!["*row".into()] },
            Priority { priority: 5, pools: vec!["spot-*".into()] },
        ];
        // Waste: narrow 1/4 + 10/16, wide 1/4 + 2/8, spot 2/4 + 4/8. Price: 0.20, 0.30 and 0.05 a pod's worth apart.
        let table: [(&[Expander], &str); 5] = [
            (&[Expander::LeastWaste], "wide"),
            (&[Expander::MostPods, Expander::LeastNodes], "wide"),
            (&[Expander::Priority], "narrow"),
            (&[Expander::Price], "spot-wide"),
            (&[Expander::LeastNodes, Expander::Price], "spot-wide"),
        ];
        for (chain, name) in table {
            let chosen = choose(choices(), chain, &priorities, 10, &mut Seed(1).stream("expander", "")).unwrap();
            assert_eq!(chosen.name, name, "{chain:?}");
        }
        // Chance alone: each of the three, now and then.
        let drawn: std::collections::BTreeSet<Name> = (0..40)
            .map(|n| choose(choices(), &[Expander::Random], &[], 10, &mut Seed(n).stream("expander", "")).unwrap().name)
            .collect();
        assert_eq!(drawn.len(), 3);
        assert!(choose(Vec::new(), &[Expander::Random], &[], 1, &mut Seed(1).stream("expander", "")).is_none());
    }

    #[test]
    fn the_price_prefers_machines_that_suit_the_cluster() {
        // Ten nodes: machines of 4 cores suit. One of 32 cores at the same price a core is eight times as unfit, but of
        // thirty nodes at once nobody asks.
        let (small, large) = (choice("small", 8, (4, 16), 30, 0.2), choice("large", 1, (32, 128), 30, 1.6));
        assert!(price(&small, 10) < price(&large, 10));
        let (small, large) = (choice("small", 1, (4, 16), 3, 0.2), choice("large", 1, (32, 128), 3, 0.2));
        assert!(price(&small, 10) < price(&large, 10), "the same price for a machine eight times as large");
        assert!(price(&small, 500) > price(&large, 500), "in a large cluster the large machine suits");
    }
}
