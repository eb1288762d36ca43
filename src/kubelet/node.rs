//! What a kubelet knows of its own node: whether it runs, what its pods hold, its images and addresses.

use super::admission::wanted_ports;
use super::evict::Watch;
use super::images::ImageStore;
use super::load::{Load, Stock};
use super::pressure::PressureState;
use super::settings::KubeletSettings;
use super::shutdown::Shutdown;
use crate::model::condition;
use crate::model::core::Lease;
use crate::model::fault::Hold;
use crate::model::machine::{KubeletSetup, Troubles};
use crate::model::{Condition, Key, Kind, Machine, Meta, Name, Node, Object, Pod, PodSpec, Resources, Truth};
use crate::rng::Seed;
use crate::runtime::{Cx, Requeue};
use crate::store::{Patch, Preconditions, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The component name in events.
pub const SOURCE: Name = crate::name!("kubelet");

/// One kubelet.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// The node's name.
    pub name: Name,
    /// What it registers.
    pub registers: Arc<Node>,
    /// Whether the kubelet works.
    pub up: bool,
    /// Since when it works.
    pub since: SimTime,
    /// When it last stopped.
    pub down: SimTime,
    /// Which boot this is.
    pub boot: u32,
    /// The boot of which events were recorded.
    announced: Option<u32>,
    /// The start after which the API had the node.
    registered: Option<SimTime>,
    /// Requests of the pods it accepted and that have not ended.
    pub used: Resources,
    /// How many those are.
    pub pods: i64,
    /// Their ports on the node: address, protocol, port.
    pub host_ports: Vec<(Name, Name, u16)>,
    /// Images.
    pub images: ImageStore,
    /// How it is set up.
    pub setup: Arc<KubeletSetup>,
    /// What is wrong with its machine.
    pub troubles: Troubles,
    /// What its containers take.
    pub load: Load,
    /// What runs short.
    pub pressure: PressureState,
    /// When the kubelet looks for shortages next, and what it does about them.
    pub watch: Watch,
    /// The conditions of shortage as last reported.
    pub reported: [bool; 3],
    /// The status tick at which they are reported anew.
    pub status_due: Option<SimTime>,
    /// Its shutdown, if one is under way.
    pub shutdown: Option<Shutdown>,
    /// Not every container has all the processors that it wants.
    pub hurried: bool,
    /// The pods that it accepted and that have not ended.
    accepted: BTreeSet<Key>,
    /// Those of them whose resize waits for room.
    deferred: BTreeSet<Key>,
    relist_phase: SimDuration,
    /// Volumes that pods use or are about to, by unique name, and how many pods that are.
    in_use: BTreeMap<Name, u32>,
    /// That list changed since it was last reported.
    in_use_changed: bool,
    /// When the images are reported next.
    report_at: Option<SimTime>,
    addresses: Addresses,
}

/// What one pod holds of its node.
#[derive(Clone, Debug)]
pub struct Held {
    key: Key,
    /// Whose requests count.
    pub spec: Arc<PodSpec>,
    ports: Vec<(Name, Name, u16)>,
}

/// The pod addresses of a node, handed out in a circle (`host-local` IPAM).
#[derive(Clone, Debug)]
struct Addresses {
    base: u32,
    size: u32,
    last: u32,
    taken: Vec<bool>,
}

impl NodeState {
    /// The kubelet of a machine, with the block of `size` pod addresses at `base`.
    pub fn new(machine: &Machine, base: u32, size: u32, seed: Seed, settings: &KubeletSettings) -> Self {
        let name = machine.meta.name.clone();
        let phase = match settings.relist.0 {
            0 => 0,
            period => seed.stream("relist", &name).below(period.unsigned_abs()),
        };
        NodeState {
            registers: machine.node.clone(),
            up: machine.up,
            since: machine.up_since,
            down: machine.down_since,
            boot: machine.boot,
            announced: None,
            registered: None,
            used: Resources::default(),
            pods: 0,
            host_ports: Vec::new(),
            images: ImageStore::new(&name, &machine.node.images, seed),
            setup: machine.setup.clone(),
            troubles: machine.troubles.clone(),
            load: Load::default(),
            pressure: PressureState::default(),
            watch: Watch::default(),
            reported: [false; 3],
            status_due: None,
            shutdown: None,
            hurried: false,
            accepted: BTreeSet::new(),
            deferred: BTreeSet::new(),
            relist_phase: SimDuration(phase as i64),
            in_use: BTreeMap::new(),
            in_use_changed: false,
            report_at: None,
            addresses: Addresses { base, size, last: 1, taken: vec![false; size as usize] },
            name,
        }
    }

    /// When the container runtime is next looked at, at or after `at`.
    pub fn relist(&self, at: SimTime, settings: &KubeletSettings) -> SimTime {
        let period = settings.relist.0;
        if period <= 0 {
            return at;
        }
        let rest = (at.0 - self.relist_phase.0).rem_euclid(period);
        if rest == 0 { at } else { at + SimDuration(period - rest) }
    }

    /// Counts a pod against the node.
    pub fn hold(&mut self, pod: &Pod) -> Held {
        let ports: Vec<_> = wanted_ports(pod).collect();
        self.used.add(pod.requests());
        self.pods += 1;
        self.host_ports.extend(ports.iter().cloned());
        let key = Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone());
        self.accepted.insert(key.clone());
        Held { key, spec: pod.spec.clone(), ports }
    }

    /// A pod holds other amounts than before.
    pub fn hold_instead(&mut self, held: &mut Held, pod: &Pod) {
        self.used.sub(&held.spec.requests);
        self.used.add(pod.requests());
        held.spec = pod.spec.clone();
        self.deferred.remove(&held.key);
    }

    /// The pods whose resize waits for room.
    pub fn deferred(&self) -> impl Iterator<Item = Key> {
        self.deferred.clone().into_iter()
    }

    /// Keeps in mind whether a pod's resize waits for room.
    pub fn defer(&mut self, key: &Key, waits: bool) {
        match waits {
            true => _ = self.deferred.insert(key.clone()),
            false => _ = self.deferred.remove(key),
        }
    }

    /// Takes a pod off the count.
    pub fn give_back(&mut self, held: &Held) {
        self.used.sub(&held.spec.requests);
        self.pods -= 1;
        self.accepted.remove(&held.key);
        self.deferred.remove(&held.key);
        self.load.remove(&held.key);
        for port in &held.ports {
            if let Some(at) = self.host_ports.iter().position(|have| have == port) {
                self.host_ports.swap_remove(at);
            }
        }
    }

    /// The pods that it accepted and that have not ended, by name.
    pub fn accepted(&self) -> impl Iterator<Item = &Key> {
        self.accepted.iter()
    }

    /// Whether nothing is short whatever the containers will take.
    pub fn enough(&self) -> bool {
        self.registers.capacity.memory == 0 || self.load.never_above(Stock::Memory, self.memory())
    }

    /// The kubelet begins anew: what it knew of shortages is lost.
    pub fn begins(&mut self) {
        self.watch = Watch::default();
        self.pressure = PressureState::default();
        // Its first status says so.
        self.reported = self.pressure.conditions;
        self.status_due = None;
        self.shutdown = None;
    }

    /// A pod uses the volumes `new` instead of `old`.
    pub fn use_volumes(&mut self, old: &[Name], new: &[Name]) {
        for name in new {
            *self.in_use.entry(name.clone()).or_default() += 1;
        }
        for name in old {
            if let Some(count) = self.in_use.get_mut(name) {
                *count -= 1;
            }
        }
        self.in_use.retain(|_, count| *count > 0);
        self.in_use_changed |= !old.is_empty() || !new.is_empty();
    }

    /// A free pod address.
    pub fn take_address(&mut self) -> Ipv4Addr {
        let Addresses { base, size, last, taken } = &mut self.addresses;
        // The first is the network, the second the bridge, the last the broadcast address.
        let usable = *size - 3;
        let next = (1..=usable).map(|step| 2 + (*last + usable - 2 + step) % usable).find(|at| !taken[*at as usize]);
        let at = next.unwrap_or(2);
        *last = at;
        taken[at as usize] = true;
        Ipv4Addr::from(*base + at)
    }

    /// Gives an address back.
    pub fn free_address(&mut self, address: Ipv4Addr) {
        let at = u32::from(address).wrapping_sub(self.addresses.base);
        if let Some(taken) = self.addresses.taken.get_mut(at as usize) {
            *taken = false;
        }
    }

    /// The first status tick after `now`.
    pub fn next_status_tick(&self, now: SimTime, settings: &KubeletSettings) -> SimTime {
        let period = settings.node_status_period.0.max(1);
        let ticks = (now - self.since).0.max(0) / period + 1;
        self.since + SimDuration(ticks * period)
    }

    /// Registers the node, keeps its status and its lease.
    pub fn reconcile(&mut self, cx: &mut Cx<'_>, settings: &KubeletSettings) -> Requeue {
        if !self.up {
            return Requeue::Done;
        }
        if let Some(shutdown) = self.shutdown.as_ref().filter(|shutdown| shutdown.off()) {
            // The power goes, until the fault is over.
            let hold = Hold { incident: shutdown.incident.clone(), runs: false, reboots: true };
            let key = Key::cluster(Kind::Machine, self.name.clone());
            cx.write(Write::Patch(key, Patch::Hold(hold, cx.now), Preconditions::default()));
            return Requeue::Done;
        }
        let known = cx.view.node(&self.name).cloned();
        self.announce(cx, known.as_ref(), settings);
        if known.is_some() {
            self.registered = Some(self.since);
        } else if self.registered == Some(self.since) {
            // Someone removed the node: a kubelet registers when it starts, not again.
            return Requeue::Done;
        } else {
            let mut node = Node::clone(&self.registers);
            node.images = Arc::new(self.images.report(cx.now));
            cx.write(Write::Create(Object::Node(Arc::new(node))));
            self.images.changed = false;
        }
        let ready_at = self.since + settings.ready_delay;
        if self.status_due.is_some_and(|at| at <= cx.now) {
            self.status_due = None;
            self.reported = self.pressure.conditions;
        }
        if cx.now >= ready_at {
            self.post_status(cx, known.as_ref(), settings);
        }
        self.keep_lease(cx, settings);
        if cx.now < ready_at {
            return Requeue::After(ready_at - cx.now);
        }
        Requeue::Done
    }

    fn announce(&mut self, cx: &mut Cx<'_>, known: Option<&Arc<Node>>, settings: &KubeletSettings) {
        if !settings.events || self.announced == Some(self.boot) {
            self.announced = Some(self.boot);
            return;
        }
        let node = Object::Node(known.unwrap_or(&self.registers).clone());
        if self.announced.replace(self.boot).is_some() {
            let message = format!("Node {} has been rebooted, boot id: {}", self.name, self.boot);
            cx.event(&node, true, SOURCE, crate::name!("Rebooted"), message);
        }
        cx.event(&node, false, SOURCE, crate::name!("Starting"), "Starting kubelet.");
        let enforced = "Updated Node Allocatable limit across pods";
        cx.event(&node, false, SOURCE, crate::name!("NodeAllocatableEnforced"), enforced);
    }

    /// Writes the conditions if one differs from what the API has, and the images if they changed.
    fn post_status(&mut self, cx: &mut Cx<'_>, known: Option<&Arc<Node>>, settings: &KubeletSettings) {
        let key = Key::cluster(Kind::Node, self.name.clone());
        let have = known.map_or(&[][..], |node| node.conditions.as_slice());
        let wanted = conditions(self.reported, self.shutting_down(), cx.now);
        let status_of = |wish: &Condition| condition::find(have, &wish.kind).map(|condition| condition.status);
        let differing: Vec<&Condition> = wanted.iter().filter(|wish| status_of(wish) != Some(wish.status)).collect();
        let changed = !differing.is_empty();
        if changed {
            if settings.events {
                let node = Object::Node(known.unwrap_or(&self.registers).clone());
                for wish in &differing {
                    let reason = status_event(wish);
                    let message = format!("Node {} status is now: {reason}", self.name);
                    cx.event(&node, false, SOURCE, reason, message);
                }
            }
            cx.write(Write::Patch(key, Patch::Conditions(wanted), Preconditions::default()));
        }
        if let Some(node) = known.filter(|_| !changed && self.report_at.is_some_and(|at| at <= cx.now)) {
            self.report_at = None;
            let volumes: Vec<Name> = self.in_use.keys().cloned().collect();
            self.in_use_changed = false;
            if node.volumes_in_use != volumes {
                let patch = Patch::VolumesInUse(volumes);
                cx.write(Write::Patch(Key::cluster(Kind::Node, self.name.clone()), patch, Preconditions::default()));
            }
            if self.images.changed && settings.report_images {
                let mut node = Node::clone(node);
                node.images = Arc::new(self.images.report(cx.now));
                self.images.changed = self.images.pulling(cx.now);
                // The volumes were written just before.
                node.meta.resource_version = 0;
                node.volumes_in_use = self.in_use.keys().cloned().collect();
                cx.write(Write::UpdateStatus(Object::Node(Arc::new(node))));
            }
        }
    }

    /// When the images pulled and the volumes used since the last report are to be reported: with a status tick.
    /// `None` if there is nothing new or it is already planned.
    pub fn plan_report(&mut self, now: SimTime, settings: &KubeletSettings) -> Option<SimTime> {
        // One that is due right now is made yet.
        let planned = self.report_at.is_some_and(|at| at >= now);
        let images = self.images.changed && settings.report_images;
        if !self.up || planned || !(images || self.in_use_changed) {
            return None;
        }
        self.report_at = Some(self.next_status_tick(now, settings));
        self.report_at
    }

    /// The status tick with which volumes that are used no more are reported.
    pub fn plan_volumes(&mut self, now: SimTime, settings: &KubeletSettings) -> SimTime {
        let tick = self.next_status_tick(now, settings);
        self.report_at = Some(self.report_at.filter(|at| *at >= now).unwrap_or(tick));
        tick
    }

    /// The lease exists; its renewals are a function of the machine, see [`crate::store::View::lease_renewed`].
    fn keep_lease(&self, cx: &mut Cx<'_>, settings: &KubeletSettings) {
        let namespace = crate::name!("kube-node-lease");
        if cx.view.fetch::<Lease>(&namespace, &self.name).is_some() {
            return;
        }
        let lease = Lease {
            meta: Meta::named(namespace, self.name.clone()),
            holder: self.name.clone(),
            duration: settings.lease_duration,
            acquired: cx.now,
            renewed: cx.now,
            transitions: 0,
        };
        cx.write(Write::Create(Object::Lease(Arc::new(lease))));
    }
}

/// What a node says of itself, short of memory, disk or processes or not (`pkg/kubelet/nodestatus/setters.go`).
fn conditions(short: [bool; 3], shutting_down: bool, now: SimTime) -> Vec<Condition> {
    // Type; reason and message when all is well, and when not.
    let shortages = [
        (
            crate::name!("MemoryPressure"),
            (crate::name!("KubeletHasSufficientMemory"), "kubelet has sufficient memory available"),
            (crate::name!("KubeletHasInsufficientMemory"), "kubelet has insufficient memory available"),
        ),
        (
            crate::name!("DiskPressure"),
            (crate::name!("KubeletHasNoDiskPressure"), "kubelet has no disk pressure"),
            (crate::name!("KubeletHasDiskPressure"), "kubelet has disk pressure"),
        ),
        (
            crate::name!("PIDPressure"),
            (crate::name!("KubeletHasSufficientPID"), "kubelet has sufficient PID available"),
            (crate::name!("KubeletHasInsufficientPID"), "kubelet has insufficient PID available"),
        ),
    ];
    let mut all: Vec<Condition> = shortages
        .into_iter()
        .zip(short)
        .map(|((kind, well, ill), short)| {
            let (reason, message) = if short { ill } else { well };
            Condition::new(kind, Truth::from(short), reason, message, now)
        })
        .collect();
    let (reason, message) = match shutting_down {
        false => (crate::name!("KubeletReady"), "kubelet is posting ready status"),
        true => (crate::name!("KubeletNotReady"), "node is shutting down"),
    };
    all.push(Condition::new(crate::name!("Ready"), Truth::from(!shutting_down), reason, message, now));
    all
}

fn status_event(condition: &Condition) -> Name {
    match (condition.kind.as_str(), condition.status == Truth::True) {
        ("MemoryPressure", true) => crate::name!("NodeHasInsufficientMemory"),
        ("MemoryPressure", false) => crate::name!("NodeHasSufficientMemory"),
        ("DiskPressure", true) => crate::name!("NodeHasDiskPressure"),
        ("DiskPressure", false) => crate::name!("NodeHasNoDiskPressure"),
        ("PIDPressure", true) => crate::name!("NodeHasInsufficientPID"),
        ("PIDPressure", false) => crate::name!("NodeHasSufficientPID"),
        (_, true) => crate::name!("NodeReady"),
        (_, false) => crate::name!("NodeNotReady"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_round() {
        let machine = Machine {
            meta: Meta::named("", "n"),
            pool: Name::new(),
            node: Arc::new(crate::model::builder::node("n", 1, 1, 5)),
            up: true,
            up_since: SimTime::ZERO,
            down_since: SimTime::ZERO,
            boot: 0,
            setup: Default::default(),
            troubles: Default::default(),
            holds: Vec::new(),
            price_per_hour_micros: 0,
        };
        let mut node =
            NodeState::new(&machine, u32::from(Ipv4Addr::new(10, 244, 3, 0)), 8, Seed(1), &KubeletSettings::default());
        let mut take = || node.take_address().octets()[3];
        // Eight addresses: 2 to 6 are for pods.
        assert_eq!((take(), take(), take()), (2, 3, 4));
        node.free_address(Ipv4Addr::new(10, 244, 3, 2));
        let mut take = || node.take_address().octets()[3];
        assert_eq!((take(), take(), take()), (5, 6, 2));
    }
}
