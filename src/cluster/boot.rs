//! Machines that come up later than the cluster: delivered by the provider at their instant.

use crate::model::{Key, Kind, Machine, Resource};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use crate::time::SimTime;

/// Creates each machine when it is there.
pub struct Deliveries {
    machines: Vec<(SimTime, Machine)>,
}

impl Deliveries {
    /// The machines and when they come.
    pub fn new(machines: Vec<(SimTime, Machine)>) -> Self {
        Deliveries { machines }
    }
}

impl Controller for Deliveries {
    fn name(&self) -> &'static str {
        "cloud-provider"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for (at, machine) in &self.machines {
            wake.add_after(machine.key(), *at - wake.now());
        }
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let machine = self.machines.iter().find(|(_, machine)| machine.meta.name == key.name);
        if let Some((_, machine)) = machine {
            cx.write(Write::Create(machine.clone().into_object()));
        }
        Requeue::Done
    }
}
