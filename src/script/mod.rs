//! The scripted user: what people do with `kubectl`, at the instants the timeline says.
//!
//! It is an actor with a client of its own, so its requests take time and can be refused like anyone's.

pub mod apply;
pub mod steps;
pub mod template;

use crate::model::core::Fault;
use crate::model::{Key, Kind};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::incident::{begun, entry_index, entry_key};
use crate::store::{Change, View};
use crate::time::SimTime;
pub use steps::Step;

/// The user at the terminal.
pub struct Kubectl {
    /// What is done when, by the entry's index in the timeline; the manifests of the scenario come last.
    steps: Vec<(usize, SimTime, Step)>,
}

impl Kubectl {
    /// A user who does `steps`: `(index, when, what)`.
    pub fn new(steps: Vec<(usize, SimTime, Step)>) -> Self {
        Kubectl { steps }
    }
}

impl Controller for Kubectl {
    fn name(&self) -> &'static str {
        "kubectl"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for (index, at, _) in &self.steps {
            wake.add_after(entry_key(*index), *at - wake.now());
        }
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let index = entry_index(key);
        let Some((_, _, step)) = self.steps.iter().find(|(at, ..)| *at == index) else { return Requeue::Done };
        if cx.live().get(key).is_none() {
            let fault = Fault::UserAction { target: step.target() };
            cx.write(begun(key, fault, step.describe(), cx.now, Some(cx.now)));
        }
        step.perform(cx)
    }
}
