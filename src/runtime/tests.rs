//! Who is told of what.

use super::{ActorSettings, Controller, Cx, Requeue, Runtime, RuntimeLimits, Wake};
use crate::model::core::Namespace;
use crate::model::{Key, Kind, Meta, Resource};
use crate::rng::Seed;
use crate::store::{Change, Store, View, Write};
use crate::time::SimTime;
use std::cell::RefCell;
use std::rc::Rc;

/// Minds the namespaces whose name begins with an `m`, and writes down what it was told and what it saw then.
#[derive(Clone, Default)]
struct Minds(Rc<RefCell<Vec<String>>>);

impl Controller for Minds {
    fn name(&self) -> &'static str {
        "minds"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Namespace]
    }

    fn follows(&self, change: &Change) -> bool {
        change.key.name.starts_with('m')
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        self.0.borrow_mut().push(format!("told of {}", change.key.name));
        wake.add(change.key.clone());
    }

    fn reconcile(&mut self, _: &Key, cx: &mut Cx<'_>) -> Requeue {
        self.0.borrow_mut().push(format!("sees {}", cx.view.list::<Namespace>().count()));
        Requeue::Done
    }
}

/// What the controller wrote down, and how many events it took, where namespaces of these names are created in turn.
fn told(names: &[&str]) -> (Vec<String>, u64) {
    let store = Store::new(Seed(1), Default::default());
    let mut runtime = Runtime::new(store, Seed(1), SimTime::ZERO, RuntimeLimits::default(), false);
    let minds = Minds::default();
    runtime.add(Box::new(minds.clone()), ActorSettings::immediate());
    for (second, name) in (1..).zip(names) {
        let meta = Meta::named("", *name);
        let namespace = Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() };
        runtime.commit_now(Write::Create(namespace.into_object()), "test").expect("a first namespace of its name");
        runtime.run_until(SimTime::from_secs(second), &mut |_, _| true).expect("no limit is near");
    }
    (minds.0.take(), runtime.stats().events)
}

#[test]
fn nobody_is_told_what_is_none_of_his_business() {
    let (log, events) = told(&["mine", "other", "more"]);
    // It was not told of `other`, and sees it when it looks for another reason.
    assert_eq!(log, ["told of mine", "sees 1", "told of more", "sees 3"]);
    // A change that nobody minds costs no event at all.
    assert_eq!(told(&["mine", "more"]).1, events);
}
