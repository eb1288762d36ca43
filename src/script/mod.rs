//! The scripted user: what people do with `kubectl`, at the instants the timeline says.
//!
//! It is an actor with a client of its own, so its requests take time and can be refused like anyone's.

pub mod apply;
pub mod steps;
pub mod template;

use crate::model::core::{Fault, Incident};
use crate::model::{Key, Kind, Name, Resource};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::incident::{begun, entry_index, entry_key};
use crate::store::{Change, StoreError, View, Write, Written};
use crate::time::SimTime;
use std::collections::BTreeMap;
pub use steps::Step;

/// The user at the terminal.
pub struct Kubectl {
    /// What is done when, by the entry's index in the timeline; the manifests of the scenario come last.
    steps: Vec<(usize, SimTime, Step)>,
    progress: BTreeMap<usize, Progress>,
}

/// How far a command has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Objects for which it was refused: it goes on with the others.
    pub(crate) refused: Vec<Key>,
    /// What it has printed on the terminal so far: the errors.
    errors: Vec<String>,
}

impl Kubectl {
    /// A user who does `steps`: `(index, when, what)`.
    pub fn new(steps: Vec<(usize, SimTime, Step)>) -> Self {
        Kubectl { steps, progress: BTreeMap::new() }
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
        let progress = self.progress.entry(index).or_default();
        match cx.live().fetch_key::<Incident>(key) {
            None => {
                let fault = Fault::UserAction { target: step.target() };
                cx.write(begun(key, fault, step.describe(), cx.now, Some(cx.now)));
            }
            Some(incident) => {
                let said = said(&step.describe(), &progress.errors);
                if incident.description != said {
                    let mut incident = Incident::clone(incident);
                    incident.description = Name::from(said);
                    incident.meta.resource_version = 0;
                    cx.write(Write::Update(incident.into_object()));
                }
            }
        }
        step.perform(progress, cx)
    }

    /// What the server refuses is said once and not tried again; a command about several objects goes on.
    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        let (Err(error), Some(progress)) = (result, self.progress.get_mut(&entry_index(key))) else { return };
        progress.refused.extend(error.key().cloned());
        progress.errors.push(error.to_string());
        wake.add(key.clone());
    }
}

/// The command, and what it printed.
fn said(command: &str, errors: &[String]) -> String {
    match errors {
        [] => command.to_string(),
        errors => format!("{command}: Error from server: {}", errors.join("; ")),
    }
}

/// Asks for a write, or for the answer to it.
fn send(cx: &mut Cx<'_>, write: Write, dry_run: bool) {
    cx.write(if dry_run { Write::DryRun(Box::new(write)) } else { write });
}
