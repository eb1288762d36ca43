//! How many nodes of one template some pods need (`estimator/binpacking_estimator.go`).
//!
//! A worked example: five pods of 1.5 cores, a template with 4 cores. The first node takes two, the second two, the third
//! one: three nodes. A pod that does not fit on an empty node ends the attempt for all pods like it.

use super::world::{Template, World};
use crate::model::{Name, Pod};
use std::cmp::Reverse;
use std::sync::Arc;

/// Pods that are the same but for their name (`core/scaleup/equivalence/groups.go`).
#[derive(Clone, Debug)]
pub struct Alike {
    /// The pods, never empty.
    pub pods: Vec<Arc<Pod>>,
}

/// What an estimate comes to.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    /// New nodes that got a pod.
    pub nodes: u32,
    /// Pods that found a place on them.
    pub pods: Vec<Arc<Pod>>,
}

/// cpu and memory of a pod as a share of the template's, in millionths: the largest first.
fn size(pod: &Pod, template: &Template) -> i128 {
    let (wanted, have) = (pod.requests(), &template.node.allocatable);
    let share = |part: i64, whole: i64| i128::from(part) * 1_000_000 / i128::from(whole.max(1));
    share(wanted.milli_cpu, have.milli_cpu) + share(wanted.memory, have.memory)
}

/// Places pods on up to `most` copies of `template`, in an order that fills them well. The world is as before.
pub fn estimate(world: &mut World, template: &Template, groups: &[&Alike], most: u32) -> Estimate {
    let mut groups: Vec<&Alike> = groups.to_vec();
    groups.sort_by_key(|group| Reverse(size(&group.pods[0], template)));
    let mut attempt = Attempt { world, template, most, nodes: Vec::new(), placed: Vec::new() };
    for group in groups {
        attempt.place(group);
    }
    attempt.undo()
}

/// New nodes, and how many pods were placed on each.
struct Attempt<'a> {
    world: &'a mut World,
    template: &'a Template,
    most: u32,
    nodes: Vec<(Name, usize)>,
    placed: Vec<Arc<Pod>>,
}

impl Attempt<'_> {
    fn put(&mut self, pod: &Arc<Pod>, at: usize) {
        self.world.predicates.place(pod, &self.nodes[at].0);
        self.nodes[at].1 += 1;
        self.placed.push(pod.clone());
    }

    fn place(&mut self, group: &Alike) {
        let mut rest = group.pods.iter().peekable();
        // First what is there already, until one does not fit any more.
        while let Some(pod) = rest.peek() {
            let found = self.world.predicates.find(pod, self.nodes.iter().map(|(name, _)| name));
            let Some(at) = found.and_then(|found| self.nodes.iter().position(|(name, _)| *name == found)) else {
                break;
            };
            self.put(pod, at);
            rest.next();
        }
        for pod in rest {
            if let Some(last) = self.nodes.len().checked_sub(1) {
                let (name, count) = self.nodes[last].clone();
                if self.world.predicates.fits(pod, &name).is_ok() {
                    self.put(pod, last);
                    continue;
                }
                if count == 0 {
                    return;
                }
            }
            if self.nodes.len() >= self.most as usize {
                return;
            }
            let name = Name::from(format!("template-node-for-estimate-{}", self.nodes.len()));
            self.world.add_copy(self.template, &name);
            self.nodes.push((name.clone(), 0));
            if self.world.predicates.fits(pod, &name).is_err() {
                return;
            }
            self.put(pod, self.nodes.len() - 1);
        }
    }

    fn undo(self) -> Estimate {
        let nodes = self.nodes.iter().filter(|(_, count)| *count > 0).count() as u32;
        for (name, _) in &self.nodes {
            self.world.remove_copy(name);
        }
        Estimate { nodes, pods: self.placed }
    }
}
