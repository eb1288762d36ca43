//! Whom a fault hits, of what there is at its instant.

use super::plan::Only;
use crate::model::{Machine, Name, Phase, Pod};
use crate::rng::Stream;
use crate::scenario::behavior::glob_matches;
use crate::scenario::faults::target::{NodeTarget, PodTarget, drawn};
use crate::store::View;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The domain of a machine: what it shares with others that fail with it.
pub(super) fn domain_of<'m>(machine: &'m Machine, domain: &str) -> Option<&'m Name> {
    let label = match domain {
        "node" => return Some(&machine.meta.name),
        "pool" => return Some(&machine.pool).filter(|pool| !pool.is_empty()),
        "zone" => "topology.kubernetes.io/zone",
        label => label,
    };
    machine.node.meta.labels.get(label)
}

/// Whether a machine is one of those that are meant. The control plane's fall only when they are named, unless
/// `control_plane` counts them with the others.
pub(super) fn is_meant(target: &NodeTarget, control_plane: bool, machine: &Machine) -> bool {
    let NodeTarget { node, pool, zone, selector, .. } = target;
    let named = node.is_some() || pool.is_some() || control_plane;
    let labels = &machine.node.meta.labels;
    let globbed = |wish: &Option<String>, have: &Name| wish.as_ref().is_none_or(|wish| glob_matches(wish, have));
    globbed(node, &machine.meta.name)
        && globbed(pool, &machine.pool)
        && zone.as_ref().is_none_or(|zone| machine.node.zone() == zone.as_str())
        && selector.as_ref().is_none_or(|wish| wish.matches(|label| labels.get(label).map(Name::as_str)))
        && (named || !machine.node.is_control_plane())
}

/// The machines that a fault hits, in order of creation; of them `only` those of one clock, or one.
pub(super) fn machines<'a>(
    target: &NodeTarget,
    control_plane: bool,
    only: Option<&Only>,
    view: View<'a>,
    stream: &mut Stream,
) -> Vec<&'a Arc<Machine>> {
    let chance = target.domain.is_some() || target.count.is_some() || target.share.is_some();
    let of_clock = |machine: &Machine| match only {
        Some(Only::Clock { domain, value }) => domain_of(machine, domain) == Some(value),
        _ => true,
    };
    let candidates: Vec<&Arc<Machine>> = view
        .list::<Machine>()
        .filter(|machine| is_meant(target, control_plane, machine) && of_clock(machine))
        // What is down already is not drawn.
        .filter(|machine| machine.up || !chance)
        .collect();
    if let Some(Only::Index(index)) = only {
        return candidates.get(*index as usize % candidates.len().max(1)).copied().into_iter().collect();
    }
    let Some(domain) = &target.domain else {
        let count = drawn(target.count, target.share, candidates.len());
        return stream.choose(candidates, count);
    };
    let mut domains: BTreeMap<&Name, Vec<&Arc<Machine>>> = BTreeMap::new();
    for machine in candidates {
        if let Some(value) = domain_of(machine, domain) {
            domains.entry(value).or_default().push(machine);
        }
    }
    let count = drawn(target.count, target.share, domains.len()).unwrap_or(1);
    stream.choose(domains.into_values().collect(), Some(count)).into_iter().flatten().collect()
}

/// The pods that a fault hits: running ones, in order of creation.
pub(super) fn pods<'a>(target: &PodTarget, view: View<'a>, stream: &mut Stream) -> Vec<&'a Arc<Pod>> {
    let PodTarget { pod: name, selector, namespace, node, zone, .. } = target;
    let namespace = Name::from(namespace.as_str());
    let there = |pod: &Pod| match &pod.node {
        None => node.is_none() && zone.is_none(),
        Some(on) => {
            let in_zone = |zone: &String| {
                view.fetch::<Machine>(&Name::new(), on).is_some_and(|machine| machine.node.zone() == zone.as_str())
            };
            node.as_ref().is_none_or(|wish| glob_matches(wish, on)) && zone.as_ref().is_none_or(in_zone)
        }
    };
    let meant = |pod: &&Arc<Pod>| {
        let labels = &pod.meta.labels;
        pod.status.phase == Phase::Running
            && name.as_ref().is_none_or(|wish| glob_matches(wish, &pod.meta.name))
            && selector.as_ref().is_none_or(|wish| wish.matches(|label| labels.get(label).map(Name::as_str)))
            && there(pod)
    };
    let candidates: Vec<&Arc<Pod>> = view.list_in::<Pod>(&namespace).filter(meant).collect();
    let count = drawn(target.count, target.share, candidates.len());
    stream.choose(candidates, count)
}
