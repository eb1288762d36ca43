//! Machines that lose power or network, and come back.
//!
//! ```yaml
//! - at: 2m
//!   nodeCrash: {zone: zone-a, count: 2, recoverAfter: 8m}
//! ```

use crate::model::core::{Fault, Incident};
use crate::model::{Key, Kind, Machine, Name, Object};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::scenario::TimelineEntry;
use crate::scenario::timeline::{Action, NodeCrash};
use crate::store::incident::{begun, ended, entry_index, entry_key};
use crate::store::{Change, View, Write};
use crate::time::SimTime;
use std::sync::Arc;

/// The crashes of a timeline, by its index.
pub struct NodeCrashes {
    crashes: Vec<(usize, SimTime, NodeCrash)>,
}

impl NodeCrashes {
    /// Those that the timeline asks for.
    pub fn new(timeline: &[TimelineEntry]) -> Self {
        let crashes = timeline.iter().enumerate().filter_map(|(index, entry)| match &entry.action {
            Action::NodeCrash(crash) => Some((index, entry.at, crash.clone())),
            _ => None,
        });
        NodeCrashes { crashes: crashes.collect() }
    }
}

impl Controller for NodeCrashes {
    fn name(&self) -> &'static str {
        "fault/node-crash"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for (index, at, _) in &self.crashes {
            wake.add_after(entry_key(*index), *at - wake.now());
        }
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let index = entry_index(key);
        let Some((_, _, crash)) = self.crashes.iter().find(|(at, ..)| *at == index) else { return Requeue::Done };
        match cx.live().fetch_key::<Incident>(key) {
            None => begin(key, crash, cx),
            Some(incident) => {
                recover(incident, crash, cx);
                Requeue::Done
            }
        }
    }
}

fn begin(key: &Key, crash: &NodeCrash, cx: &mut Cx<'_>) -> Requeue {
    let victims = victims(key, crash, cx);
    let names: Vec<Name> = victims.iter().map(|machine| machine.meta.name.clone()).collect();
    for machine in victims {
        let mut machine = Machine::clone(machine);
        machine.up = false;
        machine.down_since = cx.now;
        cx.write(update(machine));
    }
    let what = if crash.reboot { "lose power" } else { "fall silent" };
    let list = names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let description = match names.len() {
        0 => "no node left to crash: all of those named are down".to_string(),
        1 => format!("node {list} {}", if crash.reboot { "loses power" } else { "falls silent" }),
        n => format!("{n} nodes {what}: {list}"),
    };
    cx.write(begun(key, Fault::NodeCrash { nodes: names }, description, cx.now, None));
    crash.recover_after.map_or(Requeue::Done, |after| Requeue::After(after.0))
}

fn victims<'a>(key: &Key, crash: &NodeCrash, cx: &Cx<'a>) -> Vec<&'a Arc<Machine>> {
    // A control plane that fails is not modelled yet: its machines fall only when they are meant.
    let named = crash.node.is_some() || crash.pool.is_some();
    let concerned = |machine: &&Arc<Machine>| {
        let wanted = |wish: &Option<String>, have: &Name| wish.as_ref().is_none_or(|wish| have == wish.as_str());
        wanted(&crash.node, &machine.meta.name)
            && wanted(&crash.pool, &machine.pool)
            && wanted(&crash.zone, &machine.node.zone())
            && (named || !machine.node.is_control_plane())
            && machine.up
    };
    let candidates: Vec<_> = cx.live().list::<Machine>().filter(concerned).collect();
    let mut stream = cx.seed.stream("node-crash", &key.name);
    stream.choose(candidates, crash.count.map(|count| count as usize))
}

fn recover(crashed: &Incident, crash: &NodeCrash, cx: &mut Cx<'_>) {
    let Fault::NodeCrash { nodes } = &crashed.fault else { return };
    for name in nodes {
        let Some(machine) = cx.live().fetch::<Machine>(&Name::new(), name).filter(|machine| !machine.up) else {
            continue;
        };
        let mut machine = Machine::clone(machine);
        machine.up = true;
        machine.up_since = cx.now;
        machine.boot += u32::from(crash.reboot);
        cx.write(update(machine));
    }
    cx.write(ended(crashed, cx.now));
}

fn update(mut machine: Machine) -> Write {
    machine.meta.resource_version = 0;
    Write::Update(Object::from(machine))
}
