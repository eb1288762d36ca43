//! Begins and ends the faults of a scenario: one actor for each kind that the log tells apart.

use super::plan::{Occurrence, Only, Source, Timing};
use super::{Begun, target};
use crate::model::core::Incident;
use crate::model::fault::Hold;
use crate::model::{Fault, Key, Kind, Machine, Name, Object};
use crate::rng::Seed;
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::scenario::faults::rule::MAX_OCCURRENCES;
use crate::store::incident::{begun, ended};
use crate::store::{Change, Patch, Preconditions, Verb, View, Write};
use crate::time::SimTime;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Faults {
    name: &'static str,
    sources: Vec<Source>,
    seed: Seed,
    end: SimTime,
    /// How many there have been in all: memory is not without end.
    planned: usize,
    /// What is still to come or lasts.
    occurrences: BTreeMap<Name, Occurrence>,
    /// What puts those right that last.
    undo: BTreeMap<Name, Vec<Write>>,
    /// The clocks that run, by source and value.
    clocks: BTreeSet<(usize, Name)>,
}

impl Faults {
    pub(super) fn new(name: &'static str, sources: Vec<Source>, seed: Seed, end: SimTime) -> Self {
        Faults {
            name,
            sources,
            seed,
            end,
            planned: 0,
            occurrences: BTreeMap::new(),
            undo: BTreeMap::new(),
            clocks: BTreeSet::new(),
        }
    }

    fn plan(&mut self, source: usize, clock: Option<&Only>, wake: &mut Wake<'_>) {
        let span = (wake.now().max(SimTime::ZERO), self.end);
        let room = MAX_OCCURRENCES.saturating_sub(self.planned);
        let planned = self.sources[source].occurrences(source, clock, self.seed, span, room);
        self.planned += planned.len();
        for occurrence in planned {
            wake.add_after(occurrence.key.clone(), occurrence.at - wake.now());
            self.occurrences.insert(occurrence.key.name.clone(), occurrence);
        }
    }

    /// A machine has come: the clocks that count it begin to run, if they do not yet.
    fn machine_came(&mut self, machine: &Machine, wake: &mut Wake<'_>) {
        for at in 0..self.sources.len() {
            let source = &self.sources[at];
            let form = source.fault.form();
            let (Some(domain), Some(target)) = (source.each(), form.nodes()) else { continue };
            let Some(value) = target::domain_of(machine, domain) else { continue };
            if target::is_meant(&target, form.control_plane(), machine) && self.clocks.insert((at, value.clone())) {
                let clock = Only::Clock { domain: domain.to_string(), value: value.clone() };
                self.plan(at, Some(&clock), wake);
            }
        }
    }
}

impl Controller for Faults {
    fn name(&self) -> &'static str {
        self.name
    }

    fn watches(&self) -> &'static [Kind] {
        match self.sources.iter().any(|source| source.each().is_some()) {
            true => &[Kind::Machine],
            false => &[],
        }
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for at in 0..self.sources.len() {
            if self.sources[at].each().is_none() {
                self.plan(at, None, wake);
            }
        }
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if let (Verb::Added, Object::Machine(machine)) = (change.verb, change.object()) {
            self.machine_came(machine, wake);
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(occurrence) = self.occurrences.get(&key.name) else { return Requeue::Done };
        let source = &self.sources[occurrence.source];
        if let Some(incident) = cx.live().fetch_key::<Incident>(key) {
            for node in &incident.fault.nodes {
                let form = source.fault.form();
                if form.holds().is_some() || !form.troubles().is_empty() {
                    patch(node, Patch::Release(key.name.clone(), cx.now), cx);
                }
            }
            for write in self.undo.remove(&key.name).unwrap_or_default() {
                if cx.live().get(&write.key()).is_some() {
                    cx.write(write);
                }
            }
            cx.write(ended(incident, cx.now));
            self.occurrences.remove(&key.name);
            return Requeue::Done;
        }
        let form = source.fault.form();
        let begun_now = super::begin(&source.fault, key, occurrence.only.as_ref(), cx);
        let (fault, description) = match (begun_now, &source.when) {
            (Some(Begun { fault, description, undo }), _) => {
                if !undo.is_empty() {
                    self.undo.insert(key.name.clone(), undo);
                }
                (fault, description)
            }
            // What a person asked for is told even if it comes to nothing.
            (None, Timing::Once(..)) => {
                (Fault { kind: form.kind(), ..Fault::default() }, format!("{}: nobody is left to hit", form.kind()))
            }
            (None, Timing::Rule(..)) => {
                self.occurrences.remove(&key.name);
                return Requeue::Done;
            }
        };
        if let Some(holding) = form.holds() {
            for node in &fault.nodes {
                let hold = Hold { incident: key.name.clone(), runs: holding.runs, reboots: holding.reboots };
                patch(node, Patch::Hold(hold, cx.now), cx);
            }
        }
        for trouble in form.troubles() {
            for node in &fault.nodes {
                patch(node, Patch::Trouble(key.name.clone(), trouble), cx);
            }
        }
        let brief = form.brief() && occurrence.lasts.is_none();
        let over = (form.momentary() || brief).then_some(cx.now);
        cx.write(begun(key, fault, description, cx.now, over));
        match occurrence.lasts {
            Some(lasts) if over.is_none() => Requeue::After(lasts),
            _ => {
                self.occurrences.remove(&key.name);
                Requeue::Done
            }
        }
    }
}

fn patch(node: &Name, patch: Patch, cx: &mut Cx<'_>) {
    let key = Key::cluster(Kind::Machine, node.clone());
    // A machine that is gone for good cannot be held, nor come back.
    if cx.live().get(&key).is_some() {
        cx.write(Write::Patch(key, patch, Preconditions::default()));
    }
}
