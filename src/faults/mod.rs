//! What can go wrong: who is hit, when it begins, when it ends. What each fault looks like in a scenario, and how a new
//! one is added, is told in [`crate::scenario::faults`].
//!
//! ```text
//! plan.rs      when: instants of the timeline, clocks that run by chance        actor.rs   begins and ends them
//! target.rs    whom: machines and pods by name, pool, zone, labels, domain      crash.rs   containers that end
//! cascade.rs   machines that die of their load                                   mistakes.rs  quotas, bad rollouts
//! ```
//!
//! A fault acts in the world and not through the API. It stands in the log as an `Incident` while it lasts. Machines
//! know what holds them down ([`crate::model::fault::Hold`]): of two faults that overlap on one machine, the first that
//! ends leaves it down. Everything else that a fault does is read from its incident by those whom it concerns.
//!
//! A worked example: `every: {exponential: 30d}, each: node, for: 1h` on three nodes draws for each node, from streams
//! of its own, the times until its failures. The first falls at 9 d 4 h on `worker-2`: the actor writes a hold on the
//! machine and the incident `fault-0-worker-2-0`; an hour later it releases the machine and ends the incident.

mod actor;
mod cascade;
mod crash;
mod mistakes;
mod plan;
mod target;

use crate::metrics::Meters;
use crate::model::fault::Cut;
use crate::model::service::Service;
use crate::model::{Effect, Fault, Key, Name};
use crate::rng::Seed;
use crate::runtime::{ActorSettings, Controller, Cx};
use crate::scenario::faults::Form;
use crate::scenario::faults::network::ServicePartition;
use crate::scenario::{FaultAction, Scenario};
use crate::store::Write;
use plan::Source;
use std::collections::BTreeMap;

/// The actors for the faults of a scenario; `meters` tell what containers use.
pub fn all(scenario: &Scenario, seed: Seed, meters: &Meters) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let mut actors: BTreeMap<&'static str, Vec<Source>> = BTreeMap::new();
    for source in plan::sources(scenario) {
        actors.entry(source.fault.form().actor()).or_default().push(source);
    }
    let seat = |(name, sources): (&'static str, Vec<Source>)| {
        let actor: Box<dyn Controller> = match sources.first().map(|source| &source.fault) {
            Some(FaultAction::CascadingFailure(_)) => {
                Box::new(cascade::Cascades::new(sources, seed, scenario.end(), meters.clone()))
            }
            _ => Box::new(actor::Faults::new(name, sources, seed, scenario.end())),
        };
        (actor, ActorSettings::immediate())
    };
    actors.into_iter().map(seat).collect()
}

/// A fault that has begun.
struct Begun {
    /// As the log shows it.
    fault: Fault,
    /// For people.
    description: String,
    /// What puts it right in the end.
    undo: Vec<Write>,
}

/// What a fault does when it begins, beyond holding machines: whom it hits and how the log tells it. `None` if there is
/// nobody to hit.
fn begin(fault: &FaultAction, key: &Key, only: Option<&plan::Only>, cx: &mut Cx<'_>) -> Option<Begun> {
    match fault {
        FaultAction::PodCrash(_) | FaultAction::ContainerCrash(_) => crash::begin(fault.form(), key, cx),
        FaultAction::ServicePartition(form) => cut(form, cx),
        FaultAction::QuotaExhaustion(form) => mistakes::exhaust(form, key, cx),
        FaultAction::BadRollout(form) => mistakes::roll_out(form, cx),
        _ => plainly(fault.form(), key, only, cx),
    }
}

/// A fault that does what its form says.
fn plainly(form: &dyn Form, key: &Key, only: Option<&plan::Only>, cx: &mut Cx<'_>) -> Option<Begun> {
    let mut stream = cx.seed.stream(form.actor().trim_start_matches("fault/"), &key.name);
    let machines = form.nodes().map(|wish| target::machines(&wish, form.control_plane(), only, cx.live(), &mut stream));
    let pods = form.pods().map(|wish| target::pods(&wish, cx.live(), &mut stream));
    let nobody = machines.as_ref().is_none_or(Vec::is_empty) && pods.as_ref().is_none_or(Vec::is_empty);
    if nobody && (machines.is_some() || pods.is_some()) && !form.at_large() {
        return None;
    }
    let names = machines.unwrap_or_default().iter().map(|machine| machine.meta.name.clone()).collect();
    let fault = Fault {
        kind: form.kind(),
        nodes: names,
        pods: pods.unwrap_or_default().iter().map(|pod| crate::model::Resource::key(&***pod)).collect(),
        effect: form.effect(),
    };
    let description = form.describe(&who(&fault));
    Some(Begun { fault, description, undo: Vec::new() })
}

/// The pods behind two services, by the labels that the services choose them by now.
fn cut(form: &ServicePartition, cx: &Cx<'_>) -> Option<Begun> {
    let namespace = Name::from(form.namespace.as_str());
    let pods = |service: &String| {
        let service = cx.live().fetch::<Service>(&namespace, &Name::from(service.as_str()))?;
        service.selector.clone()
    };
    let from = match &form.from {
        Some(from) => Some(pods(from)?),
        None => None,
    };
    let effect = Effect::Cut(Cut { namespace: namespace.clone(), pods: pods(&form.service)?, from });
    let fault = Fault { kind: form.kind(), effect, ..Fault::default() };
    Some(Begun { fault, description: form.describe(""), undo: Vec::new() })
}

/// Whom a fault hits, for people.
fn who(fault: &Fault) -> String {
    let names: Vec<&str> =
        fault.nodes.iter().map(|name| name.as_str()).chain(fault.pods.iter().map(|pod| pod.name.as_str())).collect();
    let noun = if fault.nodes.is_empty() { "pod" } else { "node" };
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{noun} {one}"),
        several => format!("{} {noun}s: {}", several.len(), several.join(", ")),
    }
}
