//! A pod as a server: so many requests at work, so many waiting, and a processor that they share.
//!
//! While the requests at work need no more of a processor than the container may have, each is done after its own time.
//! Where they need more, all go on at the same reduced speed (the processor is shared as the kernel's scheduler shares
//! it); what is left of each is counted in the server's own time, which runs at that speed.
//!
//! A worked example: a limit of half a processor and two requests of 10 ms at work. Both go on at a quarter of the full
//! speed and are done after 40 ms; had the second one come 10 ms later, the first, at half speed until then, would have
//! had 5 ms left.

use crate::model::cpu::Demand;
use crate::model::{Name, Uid};
use crate::network::listeners::Process;
use crate::scenario::traffic::{Shutdown, SlowStart};
use crate::time::SimTime;
use std::collections::VecDeque;

/// How the pods of a service work.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub time: crate::rng::Delay,
    pub cpu_share: f64,
    /// The same in thousandths of a core.
    pub milli_cpu: i64,
    pub concurrency: u32,
    pub queue: u32,
    pub memory: i64,
    pub error_rate: f64,
    pub shutdown: Shutdown,
    pub slow_start: Option<SlowStart>,
    /// Who asks others for it, and how likely.
    pub calls: Vec<(u32, f64)>,
    pub parallel: bool,
}

impl Model {
    /// Requests a second that a pod with so many processors can do.
    pub(super) fn capacity(&self, cores: f64) -> f64 {
        let seconds = (self.time.mean() / 1e9).max(1e-9);
        (f64::from(self.concurrency) / seconds).min(cores / (seconds * self.cpu_share).max(1e-12))
    }
}

/// A request at work: when it is done, in the server's own time, and its number.
type Work = (f64, u32);

/// One pod.
#[derive(Debug)]
pub(super) struct Server {
    pub pod: Uid,
    pub container: Name,
    /// How it works: by service.
    pub model: u32,
    pub node: Option<u32>,
    /// What listens there.
    pub process: Option<Process>,
    /// Which life of that process events mean.
    pub life: u32,
    /// Requests that wait.
    pub queue: VecDeque<u32>,
    /// Requests at work; a heap where the processor is shared.
    pub active: Vec<Work>,
    /// Requests that wait for what the server has asked others.
    pub waiting: Vec<u32>,
    /// Its container's request and limit, in thousandths of a core, and its limit of memory; 0 for none.
    pub request: i64,
    pub limit: i64,
    pub memory_limit: i64,
    /// Processors that it may use: its limit, or those of its node.
    pub cores: f64,
    /// What its node has for it, where it cannot have them all.
    pub given: f64,
    /// What it wants now of its node's, in thousandths, as that knows it.
    pub wants: i64,
    /// Whether requests may need more than it may use.
    pub crowded: bool,
    /// Whether those at work share what there is.
    pub shared: bool,
    /// Which `Shared` event counts.
    pub turn: u32,
    own_time: f64,
    speed: f64,
    last: SimTime,
    /// Processor time so far, in nanoseconds.
    pub cpu: f64,
    /// What of it the meters know, and what they know of memory that requests take.
    pub metered: f64,
    pub memory: i64,
    /// Requests in it at once, at most.
    pub most: u32,
    /// Since when it takes requests, and how long it did before.
    pub since: Option<SimTime>,
    pub served: i64,
}

impl Server {
    pub(super) fn new(pod: Uid, model: u32, node: Option<u32>) -> Server {
        Server {
            pod,
            container: Name::new(),
            model,
            node,
            process: None,
            life: 0,
            queue: VecDeque::new(),
            active: Vec::new(),
            waiting: Vec::new(),
            request: 0,
            limit: 0,
            memory_limit: 0,
            cores: f64::INFINITY,
            given: f64::INFINITY,
            wants: 0,
            crowded: false,
            shared: false,
            turn: 0,
            own_time: 0.0,
            speed: 1.0,
            last: SimTime(i64::MIN),
            cpu: 0.0,
            metered: 0.0,
            memory: 0,
            most: 0,
            since: None,
            served: 0,
        }
    }

    /// Whether a packet that comes at `now` finds someone who listens to it.
    pub(super) fn listens(&self, now: SimTime, shutdown: Shutdown) -> bool {
        self.process.as_ref().is_some_and(|process| {
            let stopping = shutdown != Shutdown::Ignored && process.signalled.is_some_and(|at| at <= now);
            process.listens <= now && !stopping && process.ends.is_none_or(|end| now < end)
        })
    }

    /// Whether what listens there answers nobody.
    pub(super) fn hangs(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.hangs)
    }

    /// Requests in it.
    pub(super) fn load(&self) -> u32 {
        (self.active.len() + self.waiting.len() + self.queue.len()) as u32
    }

    /// Brings its clock and its processor time to `now`.
    pub(super) fn advance(&mut self, now: SimTime, cpu_share: f64) {
        let length = (now.0 - self.last.0.max(0)) as f64;
        self.last = now;
        if self.active.is_empty() {
            return;
        }
        self.own_time += length * self.speed;
        self.cpu += length * (self.active.len() as f64 * cpu_share).min(self.most());
    }

    /// Processors that it can have now.
    fn most(&self) -> f64 {
        self.cores.min(self.given)
    }

    /// What its requests at work want of the processors.
    pub(super) fn demand(&self, model: &Model) -> Demand {
        Demand { wanted: self.active.len() as i64 * model.milli_cpu, request: self.request, limit: self.limit }
    }

    /// Nothing is at work: whether what comes now shares a processor is decided anew.
    pub(super) fn begin(&mut self, short: bool) {
        if self.active.is_empty() {
            self.shared = self.crowded || short;
            self.speed = 1.0;
        }
    }

    /// From now on those at work share what there is. Tells whether they did not before.
    pub(super) fn begin_sharing(&mut self) -> bool {
        if std::mem::replace(&mut self.shared, true) {
            return false;
        }
        // In order, which is a heap.
        self.active.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        true
    }

    /// Takes a request to work on; `time` is what it takes at full speed. The caller has advanced it.
    pub(super) fn start(&mut self, flight: u32, time: i64, cpu_share: f64) {
        self.active.push((self.own_time + time as f64, flight));
        if self.shared {
            let mut at = self.active.len() - 1;
            while at > 0 && self.earlier(at, (at - 1) / 2) {
                self.active.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
            self.share(cpu_share);
        }
    }

    /// Where the processor is shared: the request that is done first, at the speed of now.
    pub(super) fn next_done(&self, now: SimTime) -> Option<SimTime> {
        let (done, _) = self.active.first()?;
        let left = ((done - self.own_time) / self.speed).max(0.0);
        // Rounded up: an event is never early.
        Some(SimTime(now.0.saturating_add(left.ceil() as i64)))
    }

    /// Where the processor is shared: takes out the request that is done first.
    pub(super) fn take_first(&mut self, cpu_share: f64) -> u32 {
        let (_, first) = self.active.swap_remove(0);
        let (mut at, len) = (0, self.active.len());
        loop {
            let (left, right) = (at * 2 + 1, at * 2 + 2);
            let mut least = at;
            if left < len && self.earlier(left, least) {
                least = left;
            }
            if right < len && self.earlier(right, least) {
                least = right;
            }
            if least == at {
                break;
            }
            self.active.swap(at, least);
            at = least;
        }
        self.share(cpu_share);
        first
    }

    fn earlier(&self, one: usize, other: usize) -> bool {
        // Equal ends come in order of their numbers: floats alone would leave it open.
        self.active[one].0 < self.active[other].0
            || (self.active[one].0 == self.active[other].0 && self.active[one].1 < self.active[other].1)
    }

    /// Sets the speed at which those at work go on.
    pub(super) fn share(&mut self, cpu_share: f64) {
        let (wanted, most) = (self.active.len() as f64 * cpu_share, self.most());
        self.speed = if wanted > most { most / wanted } else { 1.0 };
    }

    /// It takes requests from `now` on, or no more.
    pub(super) fn serving(&mut self, now: SimTime, serves: bool) {
        if let Some(since) = self.since.take() {
            self.served += (now.0 - since.0).max(0);
        }
        if serves {
            self.since = Some(now);
        }
    }
}
