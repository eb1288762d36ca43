//! The provider's machines: they come some time after they were asked for, and go some time after they were given back.
//!
//! A worked example: an autoscaler creates the machine `worker-3`, which is asked for. 10 seconds later it is being
//! started, 45 seconds after that its kubelet works and registers the node. If the pool is out of stock, the machine is
//! marked as failed instead, and whoever asked for it takes it back.

use crate::model::provision::Provision;
use crate::model::{Key, Kind, Machine, Name, Object, Resource};
use crate::rng::{Delay, Seed};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::scenario::autoscaler::Machines;
use crate::scenario::faults::cloud_outage::TIMEOUT;
use crate::scenario::units::{Distribution, Duration};
use crate::store::{Change, DeleteOptions, View, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// What the provider says when it has no machine, as Google's does (`GCE_STOCKOUT`).
const NO_STOCK: &str = "the provider has no capacity left for this kind of machine (OutOfResource)";

/// What asking for a machine comes to while the provider's interface does not answer.
const NO_ANSWER: &str = "rpc error: code = DeadlineExceeded desc = context deadline exceeded";
/// How often somebody tries to give a machine back meanwhile.
const AGAIN: SimDuration = SimDuration::from_secs(10);

/// The provider.
#[derive(Clone, Debug)]
pub struct MachineProvider {
    given: Machines,
    /// Since when machines are leaving.
    leaving: BTreeMap<Name, SimTime>,
    /// Machines that were asked for, and when it was known that the provider did not hear it.
    asked: BTreeMap<Name, Option<SimTime>>,
}

impl MachineProvider {
    /// As a scenario describes it.
    pub fn new(given: &Machines) -> Self {
        MachineProvider { given: given.clone(), leaving: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// It acts in the world, not through the API.
    pub fn seat(self) -> (Box<dyn Controller>, ActorSettings) {
        (Box::new(self), ActorSettings::immediate())
    }

    fn out_of_stock(&self, pool: &Name, at: SimTime) -> bool {
        self.given.stock_outs.iter().any(|out| {
            let since = SimTime::ZERO + out.from.0;
            let over = out.until.is_some_and(|until| at >= SimTime::ZERO + until.0);
            out.pool.as_deref().is_none_or(|name| pool == name) && at >= since && !over
        })
    }

    /// A machine that was asked for.
    fn deliver(&mut self, machine: &Machine, cx: &mut Cx<'_>) -> Requeue {
        let name = &machine.meta.name;
        let unheard = || super::unreachable(cx.live()).then_some(cx.now + TIMEOUT);
        if let Some(known) = *self.asked.entry(name.clone()).or_insert_with(unheard) {
            if cx.now < known {
                return Requeue::After(known - cx.now);
            }
            let mut changed = machine.clone();
            Provision::Failed(Name::from(NO_ANSWER)).note(&mut changed);
            cx.write(update(changed));
            return Requeue::Done;
        }
        let draw = |purpose: &str, given: Option<Distribution<Duration>>, usual: Delay| {
            given.map_or(usual, Delay::from).sample(&mut cx.seed.stream(purpose, name))
        };
        let usual = Delay::Uniform(SimDuration::from_secs(5), SimDuration::from_secs(15));
        let created = machine.meta.created + draw("machine-create", self.given.create_time, usual);
        if cx.now < created {
            return Requeue::After(created - cx.now);
        }
        let mut changed = machine.clone();
        if self.out_of_stock(&machine.pool, machine.meta.created) {
            Provision::Failed(Name::from(NO_STOCK)).note(&mut changed);
            cx.write(update(changed));
            return Requeue::Done;
        }
        if self.never_boots(name, cx.seed) {
            return Requeue::Done;
        }
        // The 99th percentile of a log-normal lies 2.326 sigma above the median: ln(120 / 45) / 2.326.
        let booted =
            created + draw("machine-boot", self.given.boot_time, Delay::LogNormal(SimDuration::from_secs(45), 0.42));
        if cx.now < booted {
            return Requeue::After(booted - cx.now);
        }
        Provision::Done.note(&mut changed);
        (changed.up, changed.up_since) = (true, cx.now);
        cx.write(update(changed));
        Requeue::Done
    }

    fn never_boots(&self, name: &Name, seed: Seed) -> bool {
        self.given.never_boots.is_some_and(|likely| seed.stream("machine-never-boots", name).unit() < likely.0)
    }

    /// A machine that was given back: it goes down at once, and is gone a while later.
    fn take_back(&mut self, machine: &Machine, cx: &mut Cx<'_>) -> Requeue {
        let name = &machine.meta.name;
        self.asked.remove(name);
        if !self.leaving.contains_key(name) && super::unreachable(cx.live()) {
            return Requeue::After(AGAIN);
        }
        let since = *self.leaving.entry(name.clone()).or_insert(cx.now);
        let usual = Delay::Uniform(SimDuration::from_secs(20), SimDuration::from_secs(60));
        let time =
            self.given.delete_time.map_or(usual, Delay::from).sample(&mut cx.seed.stream("machine-delete", name));
        if cx.now < since + time {
            if machine.up {
                let mut changed = machine.clone();
                (changed.up, changed.down_since) = (false, cx.now);
                cx.write(update(changed));
            }
            return Requeue::After(since + time - cx.now);
        }
        self.leaving.remove(name);
        cx.write(Write::Delete(machine.key(), DeleteOptions::default()));
        Requeue::Done
    }
}

fn update(mut machine: Machine) -> Write {
    machine.meta.resource_version = 0;
    Write::Update(Object::from(machine))
}

impl Controller for MachineProvider {
    fn name(&self) -> &'static str {
        "machine-provider"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Machine]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        let new = change.new.as_ref().and_then(Machine::of);
        if new.is_some_and(|machine| matches!(Provision::of(machine), Provision::Asked | Provision::Leaving)) {
            wake.add(change.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(machine) = cx.view.fetch_key::<Machine>(key).cloned() else { return Requeue::Done };
        match Provision::of(&machine) {
            Provision::Asked => self.deliver(&machine, cx),
            Provision::Leaving => self.take_back(&machine, cx),
            Provision::Done | Provision::Failed(_) => Requeue::Done,
        }
    }
}
