//! What can be done to the processes of a control plane from outside: stopped, started anew, cut off, held up at the
//! API server's door.
//!
//! A component is a group of actors that live and die together: those of the controller manager, those of the
//! scheduler. A stopped component does nothing, and what its process remembered is lost: queues, backoffs, caches. It is
//! started with new controllers, which list what they watch before they act.

use super::actor::Actor;
use super::controller::{Controller, Wake};
use super::queue::WorkQueue;
use super::run_loop::Runtime;
use super::settings::ActorSettings;
use crate::model::Name;
use crate::model::gate::Gate;
use crate::rng::Stream;
use crate::store::{Change, Verb};
use crate::time::{SimDuration, SimTime};

/// Makes the controllers of a component, each with its machinery, always in the same order.
pub type Factory = Box<dyn Fn() -> Vec<(Box<dyn Controller>, ActorSettings)>>;

/// Actors that are one process.
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) actors: Vec<usize>,
    factory: Factory,
}

/// Something that is done to processes or to the way to the API server.
pub enum Command {
    /// Stops a component.
    Halt(&'static str),
    /// Starts a stopped component anew.
    Start(&'static str),
    /// Cuts the actors of a component off the API server (those without a component: the empty name), or lets them
    /// reach it again: their requests are refused with the text, their watches break.
    Cut(&'static str, Option<Name>),
    /// Puts up a gate under a name, in the place of one of the same name.
    Gate(Name, Gate),
    /// Takes a gate away.
    Open(Name),
}

/// How long a broken watch waits before it is tried again: doubling, up to twice as long by chance
/// (`staging/src/k8s.io/client-go/tools/cache/reflector.go`).
#[derive(Debug)]
pub struct Reconnects {
    stream: Stream,
    step: SimDuration,
    next: SimTime,
}

impl Reconnects {
    const FIRST: SimDuration = SimDuration::from_millis(800);
    const LONGEST: SimDuration = SimDuration::from_secs(30);

    /// Those of a watch that broke at `since`.
    pub fn new(stream: Stream, since: SimTime) -> Self {
        Reconnects { stream, step: Self::FIRST, next: since }
    }

    /// The first attempt that is not before `time`.
    pub fn at(&mut self, time: SimTime) -> SimTime {
        while self.next < time {
            self.next += self.step.scaled(1.0 + self.stream.unit());
            self.step = (self.step * 2).min(Self::LONGEST);
        }
        self.next
    }
}

impl Runtime {
    /// Seats the actors of a component.
    pub fn add_component(&mut self, name: &'static str, factory: Factory) {
        let first = self.actors.len();
        for (controller, settings) in factory() {
            self.add(controller, settings);
        }
        let actors: Vec<usize> = (first..self.actors.len()).collect();
        for id in &actors {
            self.actors[*id].component = name;
        }
        self.components.push(Component { name, actors, factory });
    }

    pub(super) fn obey(&mut self, now: SimTime, command: Command) {
        match command {
            Command::Halt(name) => self.members(name).into_iter().for_each(|id| self.halt(now, id)),
            Command::Start(name) => self.start(now, name),
            Command::Cut(name, why) => self.cut(now, name, why),
            Command::Gate(name, gate) => self.gates.put(name, gate, self.seed),
            Command::Open(name) => self.gates.take(&name),
        }
    }

    fn members(&self, name: &str) -> Vec<usize> {
        (0..self.actors.len())
            .filter(|id| self.actors[*id].component == name && !self.actors[*id].settings.outside)
            .collect()
    }

    /// The process ends: what is on its way arrives, everything else is lost.
    fn halt(&mut self, now: SimTime, id: usize) {
        let actor = &mut self.actors[id];
        actor.halted = true;
        actor.life += 1;
        actor.queue = WorkQueue::default();
        actor.clients.clear();
        actor.outbox.clear();
        actor.mailing = false;
        actor.busy = 0;
        for flight in self.flights.iter_mut().flatten().filter(|flight| flight.actor == id && flight.orphaned.is_none())
        {
            flight.orphaned = Some(now);
        }
    }

    fn start(&mut self, now: SimTime, name: &str) {
        let Some(at) = self.components.iter().position(|component| component.name == name) else { return };
        let actors = self.components[at].actors.clone();
        let made = (self.components[at].factory)();
        assert_eq!(actors.len(), made.len(), "a component always has the same actors");
        for (id, (controller, _)) in actors.into_iter().zip(made) {
            if !self.actors[id].halted {
                self.halt(now, id);
            }
            self.actors[id].controller = controller;
            self.actors[id].halted = false;
            self.list(now, id);
        }
    }

    /// What an actor knows when it has listed what it watches.
    fn list(&mut self, now: SimTime, id: usize) {
        let revision = self.store.revision();
        let actor = &mut self.actors[id];
        let from = std::mem::replace(&mut actor.cursor, revision);
        actor.lag = SimDuration::ZERO;
        let mut added = Vec::new();
        let mut wake = Wake { now, added: &mut added };
        actor.controller.start(&mut wake);
        let view = self.store.view(revision);
        for kind in actor.controller.watches() {
            for object in view.objects(*kind) {
                let change = Change {
                    revision,
                    time: now,
                    key: object.key(),
                    verb: Verb::Added,
                    old: None,
                    new: Some(object.clone()),
                    writer: "",
                };
                if actor.controller.follows(&change) {
                    actor.controller.wake(&change, view, &mut wake);
                }
            }
        }
        for observer in &mut self.observers {
            observer.listed(now, self.actors[id].controller.name(), from, revision);
        }
        self.enqueue(id, added);
        self.schedule_work(id);
    }

    fn cut(&mut self, now: SimTime, name: &'static str, why: Option<Name>) {
        for id in self.members(name) {
            self.catch_up(now, id);
            self.tell(now, id, self.store.revision());
            let label = format!("{}#{id}@{}", self.actors[id].controller.name(), now.0);
            let stream = self.seed.stream("reconnect", &label);
            let actor = &mut self.actors[id];
            match (&why, actor.cut.take()) {
                (Some(why), None) => {
                    actor.cut = Some(Cut { why: why.clone(), reconnects: Reconnects::new(stream, now) })
                }
                (Some(why), Some(before)) => actor.cut = Some(Cut { why: why.clone(), ..before }),
                (None, Some(mut before)) => {
                    actor.deaf_until = before.reconnects.at(now);
                    self.schedule_delivery(id, now);
                }
                (None, None) => {}
            }
        }
    }
}

/// An actor's way to the API server is cut.
#[derive(Debug)]
pub(super) struct Cut {
    /// What its client says of each request.
    pub(super) why: Name,
    reconnects: Reconnects,
}

impl Actor {
    /// Whether its watch brings nothing now.
    pub(super) fn is_deaf(&self, now: SimTime) -> bool {
        self.halted || self.cut.is_some() || now < self.deaf_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn a_broken_watch_is_tried_again_ever_more_rarely() {
        // 0.8 s, 1.6 s, 3.2 s, 6.4 s, 12.8 s, 25.6 s, then 30 s, each up to twice as long.
        let mut reconnects = Reconnects::new(Seed(1).stream("reconnect", ""), SimTime::ZERO);
        let (mut last, mut step) = (SimTime::ZERO, 800);
        for _ in 0..9 {
            let next = reconnects.at(last + SimDuration(1));
            let waited = (next - last).0 / 1_000_000;
            assert!((step..=2 * step).contains(&waited), "{waited} ms after {step}");
            (last, step) = (next, (2 * step).min(30_000));
        }
    }
}
