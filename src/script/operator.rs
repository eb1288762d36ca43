//! Who looks after machines that go away with a warning: it acts on the notice of a reclaimed spot machine, and does
//! planned maintenance node after node. It uses the API as `kubectl drain` does; budgets hold for it, too.
//!
//! ```text
//! maintenance   cordon ─▶ drain ─▶ machine down ─▶ machine back ─▶ node Ready ─▶ uncordon ─▶ pause ─▶ next node
//! reclaim       cordon and taint ─▶ drain ─┬─▶ machine gone for good ─▶ a new machine, under a new name
//!                                notice ───┘
//! ```
//!
//! A worked example: nodes `a` and `b` are to be rebooted, three minutes each. `a` is cordoned and drained in 20 s, down
//! until 3:20, Ready and uncordoned a second later; only then `b` is cordoned.

use super::drain::{Drain, DrainOptions, Next};
use crate::model::core::Incident;
use crate::model::fault::{Hold, Maintenance, Reclaim};
use crate::model::{Effect, Key, Kind, Machine, Meta, Name, Node, Object, Taint, TaintEffect, Truth};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Patch, Preconditions, StoreError, Verb, View, Write, Written};
use crate::time::{SimDuration, SimTime};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// How often it looks whether a drain is over and a node is back.
const POLL: SimDuration = SimDuration::from_secs(1);
/// The taint that tells the scheduler and people that a machine will be taken back, as the termination handler of the
/// largest provider sets it.
const RECLAIM_TAINT: Name = crate::name!("aws-node-termination-handler/spot-itn");
/// The first address of machines that come in place of others.
const NEW_MACHINES: u32 = u32::from_be_bytes([10, 64, 0, 10]);

/// The operator of the machines.
#[derive(Default)]
pub struct Operator {
    jobs: BTreeMap<Name, Job>,
    works: BTreeMap<Name, Work>,
    /// Machines that came in place of others so far.
    replaced: u32,
}

/// One incident.
struct Job {
    plan: Plan,
    started: SimTime,
    /// Nodes whose turn has not come.
    waiting: VecDeque<Name>,
    under_way: u32,
}

#[derive(Clone, Copy)]
enum Plan {
    Maintenance(Maintenance),
    Reclaim(Reclaim),
}

/// One node under way.
struct Work {
    incident: Name,
    stage: Stage,
    drain: Option<Drain>,
    /// Whether each pod of the drain goes its own way by now.
    spread: bool,
    /// The machine that is gone, for the one that comes in its place.
    likeness: Option<Arc<Machine>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Cordon,
    Drain,
    /// The machine is down until then.
    Down(SimTime),
    /// It is back; its node is not Ready yet.
    Returning,
    /// Until the next node's turn.
    Pause(SimTime),
    /// The machine is gone; another may come then.
    Gone(Option<SimTime>),
}

impl Operator {
    fn begin(&mut self, incident: &Incident, wake: &mut Wake<'_>) {
        let plan = match &incident.fault.effect {
            Effect::Maintenance(plan) => Plan::Maintenance(*plan),
            Effect::Reclaim(plan) => Plan::Reclaim(*plan),
            _ => return,
        };
        let waiting = incident.fault.nodes.iter().cloned().collect();
        let job = Job { plan, started: incident.started, waiting, under_way: 0 };
        self.jobs.insert(incident.meta.name.clone(), job);
        wake.add(Key::cluster(Kind::Incident, incident.meta.name.clone()));
    }

    /// Lets the next nodes have their turn; ends the incident after the last.
    fn advance(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(job) = self.jobs.get_mut(&key.name) else { return Requeue::Done };
        let most = match job.plan {
            Plan::Maintenance(plan) => plan.at_once,
            Plan::Reclaim(_) => u32::MAX,
        };
        while job.under_way < most
            && let Some(node) = job.waiting.pop_front()
        {
            // A node that another job has its hands on is left to that one.
            if let Entry::Vacant(free) = self.works.entry(node) {
                let incident = key.name.clone();
                free.insert(Work { incident, stage: Stage::Cordon, drain: None, spread: false, likeness: None });
                job.under_way += 1;
            }
        }
        if job.under_way == 0 && job.waiting.is_empty() {
            self.jobs.remove(&key.name);
            let over = Patch::Printed { lines: Vec::new(), ended: Some(cx.now) };
            cx.write(Write::Patch(key.clone(), over, Preconditions::default()));
            return Requeue::Done;
        }
        // `settled` wakes the nodes.
        cx.background(Vec::new());
        Requeue::Done
    }

    /// Goes on with a node.
    fn tend(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let name = &key.name;
        let Some(work) = self.works.get_mut(name) else { return Requeue::Done };
        let Some(job) = self.jobs.get(&work.incident) else { return Requeue::Done };
        let gone_at = match job.plan {
            Plan::Reclaim(plan) => Some(job.started + plan.notice),
            Plan::Maintenance(_) => None,
        };
        match work.stage {
            Stage::Cordon | Stage::Drain if gone_at.is_some_and(|at| cx.now >= at) => {
                self.take_away(name, cx);
                Requeue::After(SimDuration(1))
            }
            Stage::Cordon => {
                let acts = !matches!(job.plan, Plan::Reclaim(Reclaim { drain: false, .. }));
                work.stage = Stage::Drain;
                if !acts {
                    return wait_until(gone_at, cx.now);
                }
                patch(key, Patch::Unschedulable(true), cx);
                if gone_at.is_some() {
                    let taint =
                        Taint { key: RECLAIM_TAINT, value: Name::new(), effect: TaintEffect::NoSchedule, added: None };
                    patch(key, Patch::Taints { add: vec![taint], remove: Vec::new() }, cx);
                }
                Requeue::Done
            }
            Stage::Drain => {
                if matches!(job.plan, Plan::Reclaim(Reclaim { drain: false, .. })) {
                    return wait_until(gone_at, cx.now);
                }
                let Some(drain) = &work.drain else {
                    let timeout = match job.plan {
                        Plan::Maintenance(plan) => plan.drain_timeout,
                        Plan::Reclaim(_) => None,
                    };
                    let options = DrainOptions {
                        timeout,
                        ignore_daemon_sets: true,
                        force: true,
                        delete_empty_dir_data: true,
                        ..DrainOptions::default()
                    };
                    work.drain = Some(Drain::begin(cx.live(), name, options, cx.now));
                    cx.background(Vec::new());
                    return Requeue::Done;
                };
                if !drain.is_over() {
                    let next = gone_at.map_or(POLL, |at| POLL.min(at - cx.now));
                    return Requeue::After(next);
                }
                self.drained(name, cx)
            }
            Stage::Down(until) if cx.now >= until => {
                machine_patch(name, Patch::Release(work.incident.clone(), cx.now), cx);
                work.stage = Stage::Returning;
                Requeue::After(POLL)
            }
            Stage::Returning => {
                if cx.live().node(name).is_some_and(|node| node.ready() != Truth::True) {
                    return Requeue::After(POLL);
                }
                patch(key, Patch::Unschedulable(false), cx);
                self.rest(name, cx)
            }
            Stage::Gone(replaced_at) => self.after(name, replaced_at, cx),
            Stage::Pause(until) if cx.now >= until => {
                self.finish(name, cx);
                Requeue::Done
            }
            Stage::Down(at) | Stage::Pause(at) => Requeue::After(at - cx.now),
        }
    }

    /// A drain is over, well or badly.
    fn drained(&mut self, name: &Name, cx: &mut Cx<'_>) -> Requeue {
        let Some(work) = self.works.get_mut(name) else { return Requeue::Done };
        let Some(job) = self.jobs.get(&work.incident) else { return Requeue::Done };
        let failed = work.drain.as_ref().is_some_and(Drain::failed);
        let incident = work.incident.clone();
        match job.plan {
            Plan::Reclaim(plan) => wait_until(Some(job.started + plan.notice), cx.now),
            Plan::Maintenance(_) if failed => {
                let line = Name::from(format!("node {name} cannot be drained: left as it is"));
                let key = Key::cluster(Kind::Incident, incident);
                let said = Patch::Printed { lines: vec![(cx.now, line)], ended: None };
                cx.write(Write::Patch(key, said, Preconditions::default()));
                patch(&Key::cluster(Kind::Node, name.clone()), Patch::Unschedulable(false), cx);
                self.rest(name, cx)
            }
            Plan::Maintenance(plan) => {
                let hold = Hold { incident, runs: false, reboots: true };
                machine_patch(name, Patch::Hold(hold, cx.now), cx);
                work.stage = Stage::Down(cx.now + plan.reboot_time);
                Requeue::After(plan.reboot_time)
            }
        }
    }

    /// The provider takes a machine back.
    fn take_away(&mut self, name: &Name, cx: &mut Cx<'_>) {
        let Some(work) = self.works.get_mut(name) else { return };
        let Some(Plan::Reclaim(plan)) = self.jobs.get(&work.incident).map(|job| job.plan) else { return };
        work.drain = None;
        work.stage = Stage::Gone(plan.replacement_after.map(|after| cx.now + after));
        work.likeness = cx.live().fetch::<Machine>(&Name::new(), name).cloned();
        let hold = Hold { incident: work.incident.clone(), runs: false, reboots: true };
        machine_patch(name, Patch::Hold(hold, cx.now), cx);
    }

    /// What comes after a machine has gone: another one, and the provider forgets the old one. Who asks the provider asks
    /// because the node is not Ready, so it is soon enough to forget it then.
    fn after(&mut self, name: &Name, replaced_at: Option<SimTime>, cx: &mut Cx<'_>) -> Requeue {
        let mut open = replaced_at;
        if replaced_at.is_some_and(|at| cx.now >= at) {
            self.replace(name, cx);
            open = None;
        }
        if let Some(work) = self.works.get_mut(name) {
            work.stage = Stage::Gone(open);
        }
        let machine = Key::cluster(Kind::Machine, name.clone());
        if cx.live().get(&machine).is_some() {
            if cx.live().node(name).is_some_and(|node| node.ready() == Truth::True) {
                return Requeue::After(open.map_or(POLL, |at| POLL.min(at - cx.now)).max(SimDuration(1)));
            }
            cx.write(Write::Delete(machine, DeleteOptions::default()));
        }
        match open {
            Some(at) => Requeue::After((at - cx.now).max(SimDuration(1))),
            None => {
                self.finish(name, cx);
                Requeue::Done
            }
        }
    }

    /// Another machine of the same kind comes, under a name of its own.
    fn replace(&mut self, name: &Name, cx: &mut Cx<'_>) {
        let Some(old) = self.works.get_mut(name).and_then(|work| work.likeness.take()) else { return };
        let base = name.rsplit_once("-r").filter(|(_, number)| number.parse::<u32>().is_ok()).map_or(&**name, |p| p.0);
        self.replaced += 1;
        let new_name = Name::from(format!("{base}-r{}", self.replaced));
        let mut machine = Machine::clone(&old);
        machine.meta = Meta::named("", new_name.clone());
        let node = Arc::make_mut(&mut machine.node);
        node.meta = Meta { name: new_name.clone(), ..node.meta.clone() };
        node.meta.labels = node.meta.labels.with("kubernetes.io/hostname", &new_name);
        node.address = Some(Ipv4Addr::from(NEW_MACHINES + self.replaced));
        (machine.up, machine.up_since, machine.boot) = (true, cx.now, 0);
        machine.holds.clear();
        machine.troubles = Default::default();
        cx.write(Write::Create(Object::from(machine)));
    }

    fn rest(&mut self, name: &Name, cx: &mut Cx<'_>) -> Requeue {
        let Some(work) = self.works.get_mut(name) else { return Requeue::Done };
        let pause = match self.jobs.get(&work.incident).map(|job| job.plan) {
            Some(Plan::Maintenance(plan)) => plan.pause,
            _ => SimDuration::ZERO,
        };
        work.stage = Stage::Pause(cx.now + pause);
        Requeue::After(pause.max(SimDuration(1)))
    }

    /// A node's turn is over.
    fn finish(&mut self, name: &Name, cx: &mut Cx<'_>) {
        let Some(work) = self.works.remove(name) else { return };
        if let Some(job) = self.jobs.get_mut(&work.incident) {
            job.under_way -= 1;
        }
        // `settled` wakes those who wait.
        cx.background(Vec::new());
    }

    /// Goes on with a pod of a drain.
    fn proceed(&mut self, pod: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(drain) = self.drain_of(pod) else { return Requeue::Done };
        let next = drain.proceed(cx.live(), pod, cx.now);
        drain.take_printed();
        match next {
            Next::Ask(write) => cx.background(vec![write]),
            Next::Look(delay) => return Requeue::After(delay),
            Next::Nothing => {}
        }
        Requeue::Done
    }

    fn drain_of(&mut self, pod: &Key) -> Option<&mut Drain> {
        let drains = self.works.values_mut().filter_map(|work| work.drain.as_mut());
        drains.filter(|drain| !drain.is_over()).find(|drain| drain.pods().any(|have| have == pod))
    }
}

fn wait_until(at: Option<SimTime>, now: SimTime) -> Requeue {
    at.map_or(Requeue::Done, |at| Requeue::After((at - now).max(SimDuration(1))))
}

fn patch(key: &Key, patch: Patch, cx: &mut Cx<'_>) {
    if cx.live().fetch_key::<Node>(key).is_some() {
        cx.write(Write::Patch(key.clone(), patch, Preconditions::default()));
    }
}

fn machine_patch(name: &Name, patch: Patch, cx: &mut Cx<'_>) {
    let key = Key::cluster(Kind::Machine, name.clone());
    if cx.live().get(&key).is_some() {
        cx.write(Write::Patch(key, patch, Preconditions::default()));
    }
}

impl Controller for Operator {
    fn name(&self) -> &'static str {
        "node-operator"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Incident]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if let (Verb::Added, Object::Incident(incident)) = (change.verb, change.object()) {
            self.begin(incident, wake);
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        match key.kind {
            Kind::Pod => self.proceed(key, cx),
            Kind::Node => self.tend(key, cx),
            _ => self.advance(key, cx),
        }
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        let now = wake.now();
        match key.kind {
            Kind::Pod => {
                if let Some(drain) = self.drain_of(key) {
                    drain.answered(key, result.map(|_| ()), now);
                    wake.add(key.clone());
                }
            }
            Kind::Node => match self.works.get_mut(&key.name) {
                Some(work) => {
                    if let Some(drain) = work.drain.as_ref().filter(|_| !work.spread) {
                        work.spread = true;
                        drain.pods().for_each(|pod| wake.add(pod.clone()));
                    }
                    wake.add(key.clone());
                }
                None => self.jobs.keys().for_each(|name| wake.add(Key::cluster(Kind::Incident, name.clone()))),
            },
            _ => {
                let own = self.works.iter().filter(|(_, work)| work.incident == key.name);
                own.for_each(|(node, _)| wake.add(Key::cluster(Kind::Node, node.clone())));
            }
        }
    }
}
