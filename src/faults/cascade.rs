//! Machines that die of their load, one after the other.
//!
//! Every few seconds each machine's use of its processors over the last ten seconds is compared with what it bears. One
//! that was over it for long enough falls silent, as in a crash, and stands in the log as an incident of its own.
//!
//! A worked example: three nodes of 4 cores run pods that use 2.4 cores each, 60 %. One dies; its pods go to the others,
//! 90 % each. Those bear 85 %: thirty seconds after the pods have started both are dead.

use super::plan::{Occurrence, Source};
use super::target;
use crate::metrics::Meters;
use crate::model::core::Incident;
use crate::model::fault::Hold;
use crate::model::{Fault, Key, Kind, Machine, Name, Resource};
use crate::rng::Seed;
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::scenario::FaultAction;
use crate::scenario::faults::rule::MAX_OCCURRENCES;
use crate::store::incident::{begun, ended};
use crate::store::{Change, Patch, Preconditions, View, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// How often the machines are looked at.
const PERIOD: SimDuration = SimDuration::from_secs(5);
/// Over how long their use is averaged.
const WINDOW: SimDuration = SimDuration::from_secs(10);

pub(super) struct Cascades {
    sources: Vec<Source>,
    seed: Seed,
    end: SimTime,
    meters: Meters,
    occurrences: BTreeMap<Name, Occurrence>,
    /// Since when a machine bears more than it can, by incident and machine.
    over: BTreeMap<(Name, Name), SimTime>,
    deaths: u32,
}

impl Cascades {
    pub(super) fn new(sources: Vec<Source>, seed: Seed, end: SimTime, meters: Meters) -> Self {
        let (occurrences, over) = (BTreeMap::new(), BTreeMap::new());
        Cascades { sources, seed, end, meters, occurrences, over, deaths: 0 }
    }

    /// Milli-CPU that the pods of a machine used of late.
    fn used(&self, machine: &Machine, cx: &Cx<'_>) -> i64 {
        let mut sum = 0i128;
        for pod in cx.live().pods_on(&machine.meta.name) {
            for container in &pod.spec.containers {
                let total = |at| self.meters.cpu_total(pod.meta.uid, &container.name, at);
                if self.meters.running(pod.meta.uid, &container.name)
                    && let Some(now) = total(cx.now)
                {
                    sum += i128::from(now - total(cx.now - WINDOW).unwrap_or(0).min(now));
                }
            }
        }
        i64::try_from(sum * 1000 / i128::from(WINDOW.0)).unwrap_or(i64::MAX)
    }

    /// Looks at every machine; those that have borne too much for too long die.
    fn look(&mut self, key: &Key, source: usize, cx: &mut Cx<'_>) {
        let FaultAction::CascadingFailure(form) = &self.sources[source].fault else { return };
        let mut stream = cx.seed.stream("cascade", &key.name);
        let machines = target::machines(&form.target(), false, None, cx.live(), &mut stream);
        for machine in machines.into_iter().filter(|machine| machine.up) {
            let entry = (key.name.clone(), machine.meta.name.clone());
            let capacity = i128::from(machine.node.capacity.milli_cpu);
            let bears = capacity * i128::from(form.bears().0) / 1_000_000;
            // No machine does more than it can, whatever is asked of it.
            let used = self.used(machine, cx).min(machine.node.capacity.milli_cpu);
            if i128::from(used) <= bears {
                self.over.remove(&entry);
                continue;
            }
            let since = *self.over.entry(entry.clone()).or_insert(cx.now);
            if cx.now - since < form.patience() {
                continue;
            }
            self.over.remove(&entry);
            let name = Name::from(format!("{}-{}-{}", key.name, machine.meta.name, self.deaths));
            self.deaths += 1;
            let own = Key::cluster(Kind::Incident, name.clone());
            let hold = Hold { incident: name, runs: false, reboots: true };
            cx.write(Write::Patch(machine.key(), Patch::Hold(hold, cx.now), Preconditions::default()));
            let share = used * 100 / machine.node.capacity.milli_cpu.max(1);
            let description = format!("node {} dies of its load: {share}% of its processors", machine.meta.name);
            let fault = Fault { kind: "overload", nodes: vec![machine.meta.name.clone()], ..Fault::default() };
            cx.write(begun(&own, fault, description, cx.now, None));
            if let Some(after) = form.recover_after {
                cx.wake(own, cx.now + after.0);
            }
        }
    }
}

impl Controller for Cascades {
    fn name(&self) -> &'static str {
        "fault/cascade"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for at in 0..self.sources.len() {
            for occurrence in
                self.sources[at].occurrences(at, None, self.seed, (SimTime::ZERO, self.end), MAX_OCCURRENCES)
            {
                wake.add_after(occurrence.key.clone(), occurrence.at - wake.now());
                self.occurrences.insert(occurrence.key.name.clone(), occurrence);
            }
        }
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let incident = cx.live().fetch_key::<Incident>(key);
        let Some(occurrence) = self.occurrences.get(&key.name) else {
            // A dead machine comes back.
            if let Some(death) = incident {
                for node in &death.fault.nodes {
                    let machine = Key::cluster(Kind::Machine, node.clone());
                    if cx.live().get(&machine).is_some() {
                        let release = Patch::Release(key.name.clone(), cx.now);
                        cx.write(Write::Patch(machine, release, Preconditions::default()));
                    }
                }
                cx.write(ended(death, cx.now));
            }
            return Requeue::Done;
        };
        let Some(incident) = incident else {
            let form = self.sources[occurrence.source].fault.form();
            let fault = Fault { kind: form.kind(), ..Fault::default() };
            cx.write(begun(key, fault, form.describe(""), cx.now, None));
            return Requeue::After(PERIOD);
        };
        if occurrence.lasts.is_some_and(|lasts| cx.now - occurrence.at >= lasts) {
            cx.write(ended(incident, cx.now));
            self.occurrences.remove(&key.name);
            return Requeue::Done;
        }
        let source = occurrence.source;
        self.look(key, source, cx);
        Requeue::After(PERIOD)
    }
}
