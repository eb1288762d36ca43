//! Speed does not change decisions: whatever the scheduler remembers, counts or skips, it decides as a plain
//! evaluation of every node does that keeps nothing from one decision to the next.
//!
//! The plain one is [`world`], [`filters`] and [`scores`], written from what kube-scheduler does and not from how
//! it is done here. Compared are feasible nodes with totals, rejections with plugin and reasons, the winner, and
//! where the next search begins, after every event of a random history. More cases: `PROPTEST_CASES=100000`.

mod filters;
mod recipes;
mod scores;
mod world;

use kubesim::model::{Deletion, Labels, Name, Object, Pod, Resource, builder};
use kubesim::scheduler::cycle::{Framework, Outcome, select_host};
use kubesim::scheduler::nominated::Nominated;
use kubesim::scheduler::plugin::Point;
use kubesim::scheduler::profile::Profile;
use kubesim::scheduler::snapshot::Snapshot;
use kubesim::time::SimTime;
use proptest::prelude::*;
use recipes::{Case, Event, NAMESPACES, PodRecipe};
use std::sync::Arc;
use world::{Decided, World};

/// Both schedulers with the same cluster.
struct Both {
    snapshot: Snapshot,
    nominated: Nominated,
    framework: Framework,
    world: World,
    /// Pods so far.
    count: usize,
}

impl Both {
    fn new(case: &Case) -> Both {
        let mut profile = Profile::default();
        profile.disable(Point::PostFilter, "*");
        profile.percentage_of_nodes_to_score = case.percentage as i32;
        let mut snapshot = Snapshot::default();
        let framework = Framework::new(profile, &mut snapshot);
        let world = World { percentage: case.percentage, ..World::default() };
        let mut both = Both { snapshot, nominated: Nominated::default(), framework, world, count: 0 };
        let teams = [Labels::EMPTY, Labels::from_iter([("team", "one")])];
        for (name, labels) in NAMESPACES.iter().zip(teams) {
            let meta = kubesim::model::Meta { labels: labels.clone(), ..kubesim::model::Meta::named("", *name) };
            let namespace = kubesim::model::core::Namespace {
                meta,
                terminating: false,
                spec_finalizers: Vec::new(),
                conditions: Vec::new(),
            };
            both.snapshot.listers.set(&namespace.into_object());
            both.world.namespaces.insert(Name::from(*name), labels);
        }
        if case.services {
            let mut service = builder::service(NAMESPACES[0], "web");
            let selector = Labels::from_iter([("app", "web")]);
            service.selector = Some(selector.clone());
            both.snapshot.listers.set(&Object::from(service));
            both.world.services.push((Name::from(NAMESPACES[0]), selector));
        }
        for at in 0..case.nodes {
            both.set_node(&format!("n{at}"), &case.palette[at * 7 % case.palette.len()]);
        }
        both
    }

    fn set_node(&mut self, name: &str, recipe: &recipes::NodeRecipe) {
        let node = recipes::node(name, recipe);
        self.snapshot.set_node(&node);
        self.world.set_node(node);
    }

    fn pod(&mut self, recipe: &PodRecipe) -> Pod {
        self.count += 1;
        recipes::pod(self.count, recipe)
    }

    /// Counts a pod on a node, in the place of any earlier version of it.
    fn place(&mut self, mut pod: Pod, node: &Name) {
        pod.node = Some(node.clone());
        let pod = Arc::new(pod);
        let info = self.snapshot.compile(&pod);
        self.snapshot.place(info, node);
        self.world.pods.retain(|(other, _)| other.meta.uid != pod.meta.uid);
        self.world.pods.push((pod, node.clone()));
    }

    /// Whether a port of the pod is taken there. Two pods with the same port are no case: the scheduler's set of
    /// ports forgets one of them.
    fn port_taken(&self, pod: &Pod, node: &Name) -> bool {
        let ports = |pod: &Pod| pod.spec.containers[0].ports.iter().map(|port| port.host_port).collect::<Vec<_>>();
        self.world.pods_on(node).any(|other| ports(other).iter().any(|port| ports(pod).contains(port)))
    }

    /// One decision of each: equal, and where the pod goes.
    fn decide(&mut self, pod: &Arc<Pod>, explain: bool) -> Result<Option<Name>, String> {
        let before = self.framework.next_start;
        let expected = self.world.decide(pod);
        let info = self.snapshot.compile(pod);
        let decision = self.framework.decide(&mut self.snapshot, &self.nominated, &info, explain);
        let name = |id| self.snapshot.name(id).to_string();
        let mut got = Decided { next_start: self.framework.next_start, ..Decided::default() };
        // Rejections of a pod that fits are only known if they are asked for.
        let mut expected = expected;
        match decision.outcome {
            Outcome::Fits(scored) => {
                got.winner = select_host(&scored).map(|at| name(scored[at].0));
                got.feasible = scored.iter().map(|(node, total)| (name(*node), *total)).collect();
                match &decision.record {
                    Some(record) => {
                        let each = record.rejected.iter();
                        let row = |(node, r): &(Name, kubesim::scheduler::plugin::Rejection)| {
                            (node.to_string(), r.plugin.to_string(), r.reasons.join(", "))
                        };
                        got.rejected = each.map(row).collect();
                    }
                    None => expected.rejected.clear(),
                }
                // Asked to explain, the only feasible node is scored all the same.
                if got.feasible.len() == 1 {
                    got.feasible[0].1 = 0;
                }
            }
            Outcome::Unfit(fit) => {
                let row = |(node, why): &(_, _)| {
                    let r = fit.verdicts.get(*why).expect("a rejection has a verdict");
                    (name(*node), r.plugin.to_string(), r.reasons.join(", "))
                };
                got.rejected = fit.rejected.iter().map(row).collect();
            }
        }
        match got == expected {
            true => Ok(expected.winner.map(Name::from)),
            false => Err(format!("from {before}, {pod:#?}\n     got {got:?}\nexpected {expected:?}")),
        }
    }

    /// The node of that number, if there are any.
    fn node(&self, at: usize) -> Option<Name> {
        let order = self.world.order();
        order.get(at.checked_rem(order.len())?).cloned()
    }

    fn some_pod(&self, at: usize) -> Option<(Arc<Pod>, Name)> {
        self.world.pods.get(at.checked_rem(self.world.pods.len())?).cloned()
    }

    fn happen(&mut self, case: &Case, event: &Event) -> Result<(), String> {
        let template = |at: &usize| &case.templates[at % case.templates.len()];
        match event {
            Event::Turn { template: at, explain, bind, nominated } => {
                let mut pod = self.pod(template(at));
                pod.status.nominated_node = nominated.and_then(|node| self.node(node));
                let pod = Arc::new(pod);
                let winner = self.decide(&pod, *explain)?;
                if let Some(node) = winner.filter(|_| *bind) {
                    self.place(Pod::clone(&pod), &node);
                }
            }
            Event::Bound { template: at, node } => {
                let pod = self.pod(template(at));
                if let Some(node) = self.node(*node).filter(|node| !self.port_taken(&pod, node)) {
                    self.place(pod, &node);
                }
            }
            Event::Gone(at) => {
                if let Some((pod, _)) = self.some_pod(*at) {
                    self.snapshot.unplace(&pod.meta.namespace, &pod.meta.name);
                    self.world.pods.retain(|(other, _)| other.meta.uid != pod.meta.uid);
                }
            }
            Event::Leaving(at) => {
                if let Some((pod, node)) = self.some_pod(*at) {
                    let mut pod = Pod::clone(&pod);
                    pod.meta.deletion = Some(Deletion { at: SimTime::ZERO, grace_seconds: 30 });
                    self.place(pod, &node);
                }
            }
            Event::Relabelled(at, app) => {
                if let Some((pod, node)) = self.some_pod(*at) {
                    self.place(recipes::relabelled(&pod, *app), &node);
                }
            }
            Event::Node(at, recipe) => self.set_node(&format!("n{}", at % (case.nodes + 1)), recipe),
            Event::NodeGone(at) => {
                let name = Name::from(format!("n{}", at % (case.nodes + 1)));
                self.snapshot.remove_node(&name);
                self.world.remove_node(&name);
            }
            Event::Nominated { template: at, node } => {
                let pod = self.pod(template(at));
                if let Some(node) = self.node(*node).filter(|node| !self.port_taken(&pod, node)) {
                    let pod = Arc::new(pod);
                    self.nominated.add(&pod, &node);
                    self.world.nominated.push((pod, node));
                }
            }
            Event::NoneNominated => {
                self.nominated = Nominated::default();
                self.world.nominated.clear();
            }
        }
        Ok(())
    }
}

/// As many as are asked for, or so many that a debug build takes a few seconds.
fn cases() -> u32 {
    #[allow(clippy::disallowed_methods, reason = "how many cases to try is the tester's choice")]
    let asked = std::env::var("PROPTEST_CASES");
    asked.ok().and_then(|number| number.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn shortcuts_decide_as_plain_evaluation(case in recipes::case()) {
        let mut both = Both::new(&case);
        for (at, event) in case.events.iter().enumerate() {
            if let Err(difference) = both.happen(&case, event) {
                return Err(TestCaseError::fail(format!("event {at}: {difference}")));
            }
        }
    }
}
