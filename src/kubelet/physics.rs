//! What happens on a node whether or not its kubelet looks: containers slow each other down, and when the memory is
//! used up the kernel kills one.
//!
//! Each node has a key of its own for this, which writes nothing and so is never late. It runs when what the containers
//! take has changed, and at the next instant at which something comes of it; a node with enough of everything never
//! asks for one.

use super::instance::{Ending, KILLED};
use super::load::{PodLoad, Stock};
use super::node::{NodeState, SOURCE};
use super::{Kubelet, Order, oom};
use crate::model::machine::Signal;
use crate::model::{Key, Kind, Name, Object, Pod};
use crate::runtime::{Cx, Requeue};
use crate::time::{SimDuration, SimTime};

/// What the node's own keys are called in the queue, beside that of its API object.
const TAG: Name = crate::name!("physics");

/// The key under which a node's physics run.
pub fn key(node: &Name) -> Key {
    Key { kind: Kind::Machine, namespace: TAG, name: node.clone() }
}

/// Whether a key is one of those.
pub fn is_key(key: &Key) -> bool {
    key.kind == Kind::Machine && key.namespace == TAG
}

impl NodeState {
    /// Memory that containers can have.
    pub fn memory(&self) -> i64 {
        self.registers.capacity.memory - self.setup.system_memory - self.troubles.memory_taken()
    }

    /// How much of `signal` there is in all, and how much of it containers can have.
    pub(super) fn stock(&self, signal: Signal, now: SimTime) -> (Stock, i64, i64) {
        match signal {
            Signal::MemoryAvailable => (Stock::Memory, self.registers.capacity.memory, self.memory()),
            Signal::NodeFsAvailable | Signal::ImageFsAvailable => {
                let capacity = self.registers.capacity.ephemeral_storage;
                let taken = self.setup.system_disk + self.troubles.disk_taken() + self.images.bytes(now);
                (Stock::Disk, capacity, capacity - taken)
            }
            Signal::NodeFsInodesFree | Signal::ImageFsInodesFree => {
                (Stock::Inodes, self.setup.inodes, self.setup.inodes)
            }
            Signal::PidAvailable => (Stock::Pids, self.setup.pids, self.setup.pids),
        }
    }

    /// What is left of `signal`.
    pub fn observe(&self, signal: Signal, now: SimTime) -> super::pressure::Observation {
        let (stock, capacity, room) = self.stock(signal, now);
        let available = (room - self.load.takes(stock, now)).max(0);
        super::pressure::Observation { available, capacity }
    }

    /// The first instant at which less than `below` is left of `signal`, as far as is known.
    pub fn first_below(&self, signal: Signal, below: i64, now: SimTime) -> Option<SimTime> {
        let (stock, capacity, room) = self.stock(signal, now);
        let coming = if stock == Stock::Disk { self.images.coming(now) } else { 0 };
        if capacity == 0 || self.load.never_above(stock, room - coming - below) {
            return None;
        }
        let first = self.load.first_above(stock, now, room - below);
        // What is being pulled comes on top when it is there.
        let arrival = if coming > 0 { self.images.next_arrival(now) } else { None };
        first.into_iter().chain(arrival).min()
    }

    /// Bytes that are free on the disk: all there could ever be where nothing is said of it.
    pub fn disk_room(&self, now: SimTime) -> i64 {
        match self.registers.capacity.ephemeral_storage {
            0 => i64::MAX,
            _ => self.observe(Signal::NodeFsAvailable, now).available - self.images.coming(now),
        }
    }

    /// How long something takes that takes `time` on a disk at full speed.
    pub fn on_disk(&self, time: SimDuration) -> SimDuration {
        match self.troubles.disk_speed() {
            1000 => time,
            speed => SimDuration((i128::from(time.0) * 1000 / i128::from(speed.max(1))) as i64),
        }
    }

    /// Whether every container has what it wants of the processors.
    pub(super) fn unhurried(&self) -> bool {
        self.troubles.cpu_speed() == 1000 && self.load.unhurried(self.cores())
    }

    /// Processors, in thousandths of a core; as many as it takes where nothing is said of them.
    fn cores(&self) -> i64 {
        match self.registers.capacity.milli_cpu {
            0 => i64::MAX / 4000,
            milli => milli,
        }
    }

    /// How fast the work of a container goes that starts now and would use `wanted`.
    pub fn pace_of_one_more(&self, container: &crate::model::Container, wanted: i64, now: SimTime) -> i64 {
        let demand = super::load::demand(container, wanted);
        self.load.pace_of_one_more(demand, self.cores(), self.troubles.cpu_speed(), now)
    }
}

impl Kubelet {
    /// What a pod takes has perhaps changed: its node looks, if anything can come of it.
    pub(super) fn weigh(&mut self, key: &Key, pod: &Pod, at: usize, cx: &mut Cx<'_>) {
        let Some(worker) = self.workers.get(key) else { return };
        let node = &mut self.nodes[at];
        let load = PodLoad::of(worker, pod, node.registers.capacity.memory);
        let images = node.images.take_grown();
        if (node.load.put(key, load) || images) && (cx.eager || node.concerned(cx.now)) {
            cx.wake(self::key(&node.name), cx.now);
        }
    }

    /// One look at a node.
    pub(super) fn physics(&mut self, at: usize, cx: &mut Cx<'_>) -> Requeue {
        self.repace(at, cx);
        let mut killed = false;
        while self.kill_for_memory(at, cx) {
            killed = true;
        }
        if killed {
            // What those had of the processors is for others now, and not when somebody looks again.
            self.repace(at, cx);
        }
        if self.nodes[at].up {
            self.housekeeping(at, cx);
        }
        let shutdown = self.shut_down(at, cx);
        let (node, now) = (&self.nodes[at], cx.now);
        let out_of_memory = match node.registers.capacity.memory {
            0 => None,
            // What is short already stays short: nobody is left that could be killed.
            _ => node.load.first_above(Stock::Memory, now, node.memory()).filter(|at| *at > now),
        };
        let turn = if node.unhurried() { None } else { node.load.next_end(now) };
        let look = if node.up { node.next_look(now, cx.eager) } else { None };
        match out_of_memory.into_iter().chain(turn).chain(look).chain(shutdown).min() {
            Some(at) => Requeue::After(at - now),
            None => Requeue::Done,
        }
    }

    /// Shares the processors anew.
    fn repace(&mut self, at: usize, cx: &mut Cx<'_>) {
        let node = &mut self.nodes[at];
        let hurried = !node.unhurried();
        if !std::mem::replace(&mut node.hurried, hurried) && !hurried {
            return;
        }
        let paces = node.load.paces(node.cores(), node.troubles.cpu_speed(), cx.now);
        for (key, container, pace, given) in paces {
            self.orders.entry(key.clone()).or_default().push((cx.now, Order::Pace { container, pace, given }));
            cx.wake(key, cx.now);
        }
    }

    /// The kernel finds no memory and kills a container. Tells whether it had to.
    fn kill_for_memory(&mut self, at: usize, cx: &mut Cx<'_>) -> bool {
        let (node, now) = (&mut self.nodes[at], cx.now);
        let capacity = node.registers.capacity.memory;
        if capacity == 0 || node.load.takes(Stock::Memory, now) <= node.memory() {
            return false;
        }
        let Some((key, container)) = oom::victim(&node.load, capacity, now) else { return false };
        let (Some(worker), Some(pod)) = (self.workers.get_mut(&key), self.statics.pod(cx.view, &key)) else {
            node.load.remove(&key);
            return true;
        };
        let observed = node.relist(now, &self.settings);
        let reason = crate::name!("OOMKilled");
        worker.instances[container].end = Some(Ending { at: now, exit_code: KILLED, reason, observed, own: true });
        node.load.put(&key, PodLoad::of(worker, pod, capacity));
        if node.up && self.settings.events {
            let victim = &super::pod_worker::container_of(pod, container).name;
            // Process ids come from the seed's entity, as all numbers that nobody can predict.
            let process = 1000 + cx.seed.stream("pid", &format!("{key}/{container}@{}", now.0)).below(31_000);
            let message = format!("System OOM encountered, victim process: {victim}, pid: {process}");
            let object = Object::Node(cx.view.node(&node.name).unwrap_or(&node.registers).clone());
            cx.event(&object, true, SOURCE, crate::name!("SystemOOM"), message);
        }
        cx.wake(key, now);
        true
    }
}
