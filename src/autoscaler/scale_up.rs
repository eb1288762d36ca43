//! Which group grows, and for whom (`core/scaleup/orchestrator/orchestrator.go`).

use super::estimator::{Alike, Estimate, estimate};
use super::expander::{self, Choice};
use super::world::{Template, World};
use super::{ClusterAutoscaler, SOURCE};
use crate::model::provision::Provision;
use crate::model::{Labels, Name, Object, Pod, PodSpec, Resource, Resources, Uid};
use crate::runtime::Cx;
use crate::store::Write;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Groups of alike pods that one controller may have; further pods are groups of their own.
const ALIKE_MAX: usize = 10;
/// Nodes that one attempt may add (`--max-nodes-per-scaleup`).
const NODES_MAX: u32 = 1000;
/// Labels in which the nodes of similar groups may differ (`processors/nodegroupset/compare_nodegroups.go`).
const OWN_LABELS: [&str; 5] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// Pods that are the same but for their name.
pub fn alike(pods: &[Arc<Pod>]) -> Vec<Alike> {
    let mut groups: Vec<(Option<Uid>, &Labels, &Arc<PodSpec>, Alike)> = Vec::new();
    for pod in pods {
        let owner = pod.meta.controller().map(|owner| owner.uid);
        let same = |(other, labels, spec, _): &&mut (Option<Uid>, &Labels, &Arc<PodSpec>, Alike)| {
            owner.is_some() && *other == owner && **labels == pod.meta.labels && **spec == pod.spec
        };
        let many = groups.iter().filter(|(other, ..)| owner.is_some() && *other == owner).count() >= ALIKE_MAX;
        match groups.iter_mut().find(same) {
            Some((.., group)) => group.pods.push(pod.clone()),
            // Such a group takes no other pod.
            None => {
                let key = if many { None } else { owner };
                groups.push((key, &pod.meta.labels, &pod.spec, Alike { pods: vec![pod.clone()] }));
            }
        }
    }
    groups.into_iter().map(|(.., group)| group).collect()
}

/// Whether nodes of two groups are the same for balancing.
pub fn similar(a: &Template, b: &Template) -> bool {
    // The most by which two amounts may differ, in thousandths of the larger.
    let close = |x: i64, y: i64, most: i128| i128::from((x - y).abs()) * 1000 <= most * i128::from(x.max(y));
    let (one, other) = (&a.node, &b.node);
    let exact = |x: &Resources, y: &Resources| {
        let scalars = |r: &Resources| r.scalar.clone();
        x.milli_cpu == y.milli_cpu && x.pods == y.pods && scalars(x) == scalars(y)
    };
    let labels = |labels: &Labels| -> Vec<(Name, Name)> {
        labels.iter().filter(|(key, _)| !OWN_LABELS.contains(&key.as_str())).cloned().collect()
    };
    exact(&one.capacity, &other.capacity)
        && close(one.capacity.memory, other.capacity.memory, 15)
        && close(one.allocatable.milli_cpu, other.allocatable.milli_cpu, 50)
        && close(one.allocatable.memory, other.allocatable.memory, 50)
        && labels(&one.meta.labels) == labels(&other.meta.labels)
}

/// Deals `more` nodes to groups of these sizes and bounds, the smallest first. What each gets.
pub fn balanced(groups: &[(u32, u32)], more: u32) -> Vec<u32> {
    let mut sizes: Vec<u32> = groups.iter().map(|(size, _)| *size).collect();
    for _ in 0..more {
        let open = (0..sizes.len()).filter(|at| sizes[*at] < groups[*at].1);
        let Some(at) = open.min_by_key(|at| sizes[*at]) else { break };
        sizes[at] += 1;
    }
    sizes.iter().zip(groups).map(|(size, (before, _))| size - before).collect()
}

impl ClusterAutoscaler {
    /// Grows a group for pods that wait, if that helps any. Whether it did.
    pub(super) fn scale_up(&mut self, world: &mut World, waiting: &[Arc<Pod>], cx: &mut Cx<'_>) -> bool {
        let alikes = alike(waiting);
        let mut choices = Vec::new();
        // Why each group of pods is not helped by each group of nodes.
        let mut reasons: Vec<BTreeMap<String, usize>> = vec![BTreeMap::new(); alikes.len()];
        for at in 0..self.groups.len() {
            if let Some(why) = self.skipped(world, at, cx) {
                reasons.iter_mut().for_each(|said| *said.entry(why.to_string()).or_default() += 1);
                continue;
            }
            let fitting = self.fitting(world, at, &alikes, &mut reasons);
            let most = self.room(world, at);
            let template = world.templates[at].clone();
            let Estimate { nodes, pods } = estimate(world, &template, &fitting, most);
            if !pods.is_empty() {
                let machine = (self.groups[at].make)(self.groups[at].next);
                let (name, capacity) = (self.groups[at].name.clone(), template.node.capacity.clone());
                let price_micros = machine.price_per_hour_micros;
                choices.push(Choice { group: at, name, nodes, pods, capacity, price_micros });
            }
        }
        let mut stream = cx.seed.stream("expander", &cx.now.0.to_string());
        let settings = &self.settings;
        let best = expander::choose(choices, &settings.expander, &settings.priorities, world.nodes.len(), &mut stream);
        let helped: Vec<Uid> = best.iter().flat_map(|best| &best.pods).map(|pod| pod.meta.uid).collect();
        for (group, said) in alikes.iter().zip(&reasons) {
            let left: Vec<&Arc<Pod>> = group.pods.iter().filter(|pod| !helped.contains(&pod.meta.uid)).collect();
            // What another group would have helped waits for the next look.
            if best.is_none() || group.pods.len() == left.len() {
                self.not_helped(&left, said, cx);
            }
        }
        let Some(best) = best else { return false };
        self.grow(world, &best, cx);
        true
    }

    /// Why a group does not come into question at all.
    fn skipped(&self, world: &World, at: usize, cx: &Cx<'_>) -> Option<&'static str> {
        let (group, seen) = (&self.groups[at], &world.groups[at]);
        if self.backoffs.holds(&group.name, cx.now) {
            return Some("in backoff after failed scale-up");
        }
        (seen.target >= group.max).then_some("max node group size reached")
    }

    /// How many nodes more a group may have, with similar groups if they share.
    fn room(&self, world: &World, at: usize) -> u32 {
        let own = |at: usize| self.groups[at].max.saturating_sub(world.groups[at].target);
        let shared = match self.settings.balance_similar_node_groups {
            true => self.similar_to(world, at).into_iter().map(own).sum(),
            false => own(at),
        };
        let all: u32 =
            world.nodes.len() as u32 + world.groups.iter().map(|g| g.target.saturating_sub(g.present)).sum::<u32>();
        let total = self.settings.max_nodes_total.map_or(u32::MAX, |most| most.saturating_sub(all));
        shared.min(total).min(NODES_MAX)
    }

    /// The group itself and those whose nodes are the same.
    fn similar_to(&self, world: &World, at: usize) -> Vec<usize> {
        let same = |other: &usize| *other == at || similar(&world.templates[at], &world.templates[*other]);
        (0..self.groups.len()).filter(same).collect()
    }

    /// Pods of which one would fit on an empty node of the group.
    fn fitting<'p>(
        &self,
        world: &mut World,
        at: usize,
        alikes: &'p [Alike],
        reasons: &mut [BTreeMap<String, usize>],
    ) -> Vec<&'p Alike> {
        let (template, name) = (world.templates[at].clone(), crate::name!("template-node"));
        world.add_copy(&template, &name);
        let mut fitting = Vec::new();
        for (alike, said) in alikes.iter().zip(reasons) {
            match world.predicates.fits(&alike.pods[0], &name) {
                Ok(()) => fitting.push(alike),
                Err(why) => {
                    let why: Vec<&str> = why.iter().map(|reason| reason.as_str()).collect();
                    *said.entry(why.join(", ")).or_default() += 1;
                }
            }
        }
        world.remove_copy(&name);
        fitting
    }

    fn not_helped(&mut self, pods: &[&Arc<Pod>], reasons: &BTreeMap<String, usize>, cx: &mut Cx<'_>) {
        let said: Vec<String> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let message = match said.is_empty() {
            true => "pod didn't trigger scale-up: ".to_string(),
            false => format!("pod didn't trigger scale-up: {}", said.join(", ")),
        };
        for pod in pods {
            if self.told.get(&pod.meta.uid) != Some(&message) {
                self.told.insert(pod.meta.uid, message.clone());
                let about = Object::Pod(Arc::clone(pod));
                cx.event(&about, false, SOURCE, crate::name!("NotTriggerScaleUp"), message.clone());
            }
        }
    }

    /// Asks the provider for machines, and tells whom it helps.
    fn grow(&mut self, world: &World, best: &Choice, cx: &mut Cx<'_>) {
        let among = match self.settings.balance_similar_node_groups {
            true => self.similar_to(world, best.group),
            false => vec![best.group],
        };
        let among: Vec<usize> = among.into_iter().filter(|at| self.skipped(world, *at, cx).is_none()).collect();
        let sizes: Vec<(u32, u32)> = among.iter().map(|at| (world.groups[*at].target, self.groups[*at].max)).collect();
        let mut told = Vec::new();
        for (at, more) in among.iter().zip(balanced(&sizes, best.nodes)).filter(|(_, more)| *more > 0) {
            let (from, group) = (world.groups[*at].target, &mut self.groups[*at]);
            let (to, max) = (from + more, group.max);
            for _ in 0..more {
                let mut machine = (group.make)(group.next);
                group.next += 1;
                machine.up = false;
                (machine.up_since, machine.down_since) = (cx.now, cx.now);
                Provision::Asked.note(&mut machine);
                cx.write(Write::Create(machine.into_object()));
            }
            let name = group.name.clone();
            told.push(format!("{{{name} {from}->{to} (max: {max})}}"));
            let message = format!("Scale-up: setting group {name} size to {to} instead of {from} (max: {max})");
            self.tell(false, "ScaledUpGroup", message, cx);
        }
        let message = format!("pod triggered scale-up: [{}]", told.join(" "));
        for pod in &best.pods {
            self.told.remove(&pod.meta.uid);
            let about = Object::Pod(pod.clone());
            cx.event(&about, false, SOURCE, crate::name!("TriggeredScaleUp"), message.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder::{node, pod, spec};
    use crate::model::{Kind, OwnerReference};

    #[test]
    fn nodes_go_to_the_smallest_group_first() {
        // ((size, max) of each group, more, what each gets)
        let table = [
            (vec![(1, 10), (3, 10)], 2, vec![2, 0]),
            (vec![(1, 10), (3, 10)], 5, vec![4, 1]),
            (vec![(1, 2), (1, 9), (4, 9)], 6, vec![1, 4, 1]),
            (vec![(2, 2)], 3, vec![0]),
        ];
        for (groups, more, expected) in table {
            assert_eq!(balanced(&groups, more), expected, "{more} more for {groups:?}");
        }
    }

    #[test]
    fn groups_are_similar_whatever_their_zone() {
        let template = |cores: i64, memory: i64, zone: &str, tier: &str| {
            let mut node: crate::model::Node = node("n", cores * 1000, memory, 110);
            let labels = [("topology.kubernetes.io/zone", zone), ("tier", tier), ("kubernetes.io/hostname", zone)];
            node.meta.labels = Labels::from_iter(labels);
            Template { node, pods: Vec::new() }
        };
        let first = template(4, 16 << 30, "a", "web");
        // (cores, memory, zone, tier, similar)
        let table = [
            (4, 16 << 30, "b", "web", true),
            (4, (16 << 30) - (100 << 20), "b", "web", true),
            (4, 15 << 30, "b", "web", false),
            (8, 16 << 30, "a", "web", false),
            (4, 16 << 30, "a", "db", false),
        ];
        for (cores, memory, zone, tier, expected) in table {
            assert_eq!(
                similar(&first, &template(cores, memory, zone, tier)),
                expected,
                "{cores} {memory} {zone} {tier}"
            );
        }
    }

    #[test]
    fn pods_of_a_controller_are_alike() {
        let owned = |name: &str, owner: i64, milli: i64| {
            let mut pod = pod(name, spec("app", milli, 1 << 20));
            let uid = Uid(owner as _);
            pod.meta.owners = vec![OwnerReference {
                kind: Kind::ReplicaSet,
                name: crate::name!("web"),
                uid,
                controller: true,
                block_owner_deletion: true,
            }];
            Arc::new(pod)
        };
        let mut pods: Vec<Arc<Pod>> = (0..5).map(|index| owned(&format!("web-{index}"), 7, 100)).collect();
        pods.push(Arc::new(pod("alone", spec("app", 100, 1 << 20))));
        pods.push(Arc::new(pod("alone-too", spec("app", 100, 1 << 20))));
        // A controller with twelve different pods: ten groups, and the rest each for itself.
        pods.extend((0..12).map(|index| owned(&format!("odd-{index}"), 8, 200 + index)));
        let sizes: Vec<usize> = alike(&pods).iter().map(|group| group.pods.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 19);
        assert_eq!((sizes[0], sizes.len()), (5, 1 + 2 + 12));
    }
}
