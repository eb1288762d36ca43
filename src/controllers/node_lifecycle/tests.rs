//! The monitor in a running cluster: what it finds does not depend on which passes are run.

use super::{NodeLifecycle, NodeLifecycleSettings};
use crate::model::core::Namespace;
use crate::model::{Condition, Machine, Meta, Name, Node, Object, Resource, Taint, Truth, builder};
use crate::rng::Seed;
use crate::runtime::{ActorSettings, Observer, Runtime, RuntimeLimits};
use crate::store::slots::StoreLimits;
use crate::store::{Change, Patch, Preconditions, Store, Write};
use crate::time::{SimDuration, SimTime};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What the controller wrote on nodes: when, which, taints and Ready.
type Story = Rc<RefCell<Vec<(SimTime, Name, Vec<String>, Truth)>>>;

struct Witness(Story);

impl Observer for Witness {
    fn change(&mut self, change: &Change, _store: &Store) {
        if let (Some(Object::Node(node)), "node-controller") = (&change.new, change.writer) {
            let taint = |taint: &Taint| format!("{}:{}", taint.key, taint.effect.as_str());
            let taints = node.taints.iter().map(taint).collect();
            self.0.borrow_mut().push((change.time, node.meta.name.clone(), taints, node.ready()));
        }
    }
}

/// One thing that happens to a machine: at which second, which, and whether it comes or goes.
type Step = (i64, usize, bool);

fn cluster(nodes: usize, eager: bool) -> (Runtime, Story) {
    let store = Store::new(Seed(7), StoreLimits::default());
    let mut runtime = Runtime::new(store, Seed(7), SimTime::ZERO, RuntimeLimits::default(), eager);
    let default = Namespace {
        meta: Meta::named("", "default"),
        terminating: false,
        spec_finalizers: Vec::new(),
        conditions: Vec::new(),
    };
    runtime.commit_now(Write::Create(default.into_object()), "test").unwrap();
    for at in 0..nodes {
        let node = node(at);
        let machine = Machine {
            meta: Meta::named("", node.meta.name.clone()),
            pool: Name::new(),
            node: Arc::new(node.clone()),
            up: true,
            up_since: SimTime::ZERO,
            down_since: SimTime::ZERO,
            boot: 0,
            setup: Default::default(),
            troubles: Default::default(),
            holds: Vec::new(),
            price_per_hour_micros: 0,
        };
        runtime.commit_now(Write::Create(machine.into_object()), "test").unwrap();
        runtime.commit_now(Write::Create(node.into_object()), "test").unwrap();
        post(&mut runtime, at);
    }
    let story = Story::default();
    runtime.observe(Box::new(Witness(story.clone())));
    let settings = NodeLifecycleSettings::default();
    runtime.add(Box::new(NodeLifecycle::new(settings)), ActorSettings { workers: 8, ..ActorSettings::default() });
    (runtime, story)
}

fn node(at: usize) -> Node {
    let zone = ["a", "b"][at % 2];
    builder::node(&format!("n{at}"), 4000, 1 << 30, 10).label("topology.kubernetes.io/zone", zone)
}

/// The kubelet posts that the node is ready.
fn post(runtime: &mut Runtime, at: usize) {
    let ready = Condition::new("Ready".into(), Truth::True, "KubeletReady".into(), "", runtime.now());
    let patch = Patch::Conditions(vec![ready]);
    runtime.commit_now(Write::Patch(node(at).key(), patch, Preconditions::default()), "kubelet").unwrap();
}

fn play(nodes: usize, steps: &[Step], eager: bool) -> Vec<(SimTime, Name, Vec<String>, Truth)> {
    let (mut runtime, story) = cluster(nodes, eager);
    for (second, at, up) in steps {
        runtime.run_until(SimTime::from_secs(*second), &mut |_, _| true).unwrap();
        let key = crate::model::Key::cluster(crate::model::Kind::Machine, node(*at).meta.name);
        let mut machine = Machine::clone(runtime.store.live().fetch_key::<Machine>(&key).unwrap());
        machine.up = *up;
        let since = if *up { &mut machine.up_since } else { &mut machine.down_since };
        *since = runtime.now();
        runtime.commit_now(Write::Update(machine.into_object()), "test").unwrap();
        if *up {
            post(&mut runtime, *at);
        }
    }
    runtime.run_until(SimTime::from_secs(900), &mut |_, _| true).unwrap();
    story.take()
}

#[test]
fn passes_that_are_not_run_would_have_found_nothing() {
    let table: &[(usize, &[Step])] = &[
        (4, &[(103, 0, false), (261, 0, true)]),
        (4, &[(103, 0, false), (131, 0, true), (333, 1, false)]),
        (6, &[(100, 0, false), (101, 2, false), (118, 4, false), (290, 2, true), (400, 0, true)]),
        (2, &[(57, 0, false), (58, 1, false), (300, 1, true)]),
        (8, &[(90, 1, false), (92, 3, false), (97, 5, false), (250, 3, true), (255, 3, false), (500, 5, true)]),
    ];
    for (nodes, steps) in table {
        let (lazy, eager) = (play(*nodes, steps, false), play(*nodes, steps, true));
        assert!(!lazy.is_empty());
        assert_eq!(lazy, eager, "{nodes} nodes, {steps:?}");
    }
}

#[test]
fn a_crash_is_noticed_tainted_and_forgiven() {
    // A renewal is at most 10.4 s old at the crash, noticed within a pass, and silent 50 s later.
    for second in 100..120 {
        let story = play(4, &[(second, 0, false), (second + 200, 0, true)], false);
        let story: Vec<_> = story.into_iter().filter(|(time, ..)| *time > SimTime::from_secs(second)).collect();
        let unknown = story.iter().find(|row| row.3 == Truth::Unknown).unwrap().0;
        let silent = unknown - SimTime::from_secs(second);
        assert!((SimDuration::from_secs(39)..SimDuration::from_secs(56)).contains(&silent), "{silent} at {second}");
        let with = |text: &str| story.iter().find(|row| row.2.iter().any(|taint| taint.contains(text))).unwrap().0;
        assert!(with("unreachable:NoSchedule") - unknown < SimDuration::from_millis(800));
        assert!(with("unreachable:NoExecute") - unknown < SimDuration::from_secs(1));
        let (last, _, taints, ready) = story.last().unwrap();
        assert_eq!((taints.len(), *ready), (0, Truth::True));
        assert!(*last - SimTime::from_secs(second + 200) < SimDuration::from_millis(5100));
    }
}
