//! The meters of containers: what each really uses of processor and memory, as its node's kernel would count it.
//!
//! ```text
//! kubelet: a container runs, uses 250m ─┐                        ┌─▶ metrics-server ─▶ autoscalers
//! traffic: a request took 3 ms of a core ┼─▶ Meters (this file) ──┤
//! loads:   1.5 cores, shared by 6 pods  ─┘                        └─▶ reports, pressure on nodes
//! ```
//!
//! Nothing ticks. Processor time is the integral of a rate that changes now and then, plus what requests add; a load
//! that many pods share has one integral for all of them, so that a pod more or less is one change, not one for each
//! pod. Who reads asks for an instant; the last [`KEPT`] are known exactly.
//!
//! A worked example: a container runs from 10 s on at 200m. At 40 s it has used 30 s × 0.2 = 6 core-seconds. A request
//! that takes 3 ms of a core makes it 6.003.

mod gauge;
pub mod load;

use super::scaling::LoadRecord;
use crate::model::curve::Curve;
use crate::model::pod::Usage;
use crate::model::{Name, Uid};
use crate::time::{SimDuration, SimTime};
pub use gauge::{Gauge, GaugeKey, GaugeKind, Queue};
use load::{Load, LoadId};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// How far back meters can be read exactly.
pub const KEPT: SimDuration = SimDuration::from_secs(180);
/// Processor time that requests take is kept by this much time; within it, it counts as spread evenly.
const BUCKET: i64 = 1_000_000_000;
/// Thousandths of a core: rates are in milli-CPU, so integrals are in thousandths of core-nanoseconds.
const MILLI: i128 = 1000;

/// Whence a rate of processor use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rate {
    /// So many milli-CPU.
    Own(i64),
    /// A share of a load, and so many milli-CPU beside it.
    Shared { load: LoadId, cap: i64, own: i64 },
}

/// A stretch of one rate.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: SimTime,
    rate: Rate,
    /// Milli-core-nanoseconds used before.
    before: i128,
}

/// Memory from an instant on: a line.
#[derive(Clone, Debug)]
struct Line {
    from: SimTime,
    bytes: i64,
    /// Bytes a second by which it grows.
    slope: i64,
    /// It grows no further.
    most: i64,
    /// What it is over time since `from`, instead of a line.
    curve: Option<Arc<Curve>>,
    /// A share of this load comes on top.
    load: Option<LoadId>,
}

/// One container's meters.
#[derive(Clone, Debug, Default)]
struct Meter {
    name: Name,
    /// When the process that counts now was started.
    started: SimTime,
    running: bool,
    own: Usage,
    /// Milli-CPU that requests take, where they are flows.
    flow: i64,
    /// The load it has a part of, and its processor limit (0 for none).
    load: Option<(LoadId, i64)>,
    stretches: SmallVec<[Stretch; 1]>,
    lines: SmallVec<[Line; 1]>,
    /// Core-nanoseconds added by requests: bucket, and all until its end.
    added: VecDeque<(i64, i64)>,
    /// Bytes that requests take from an instant on.
    held: VecDeque<(SimTime, i64)>,
}

type Containers = Vec<Meter>;

#[derive(Debug, Default)]
struct Table {
    pods: FxHashMap<Uid, Containers>,
    loads: Vec<Load>,
    gauges: BTreeMap<GaugeKey, Vec<Gauge>>,
}

impl Table {
    /// So many more, or fewer, share a load.
    fn count(&mut self, load: LoadId, delta: i64, at: SimTime) {
        let shared = &mut self.loads[load.0];
        let pods = shared.pods_at(at);
        self.gauges.values_mut().flatten().for_each(|gauge| gauge.settle(load, pods, at));
        shared.count(delta, at);
    }
}

/// The meters of all containers: a handle that who knows and who asks share.
#[derive(Clone, Debug, Default)]
pub struct Meters(Rc<RefCell<Table>>);

/// Drops from the front what nobody can ask for any more, all but the last entry before.
fn prune<T>(entries: &mut VecDeque<T>, now: SimTime, from: impl Fn(&T) -> SimTime) {
    while entries.len() > 1 && from(&entries[1]) <= now - KEPT {
        entries.pop_front();
    }
}

/// The same of a list that is hardly ever longer than one.
fn prune_short<T>(entries: &mut SmallVec<[T; 1]>, now: SimTime, from: impl Fn(&T) -> SimTime) {
    let old = entries.iter().skip(1).take_while(|entry| from(entry) <= now - KEPT).count();
    entries.drain(..old);
}

impl Meter {
    fn rate(&self) -> Rate {
        match self.load {
            _ if !self.running => Rate::Own(0),
            Some((load, cap)) => Rate::Shared { load, cap, own: self.own.milli_cpu + self.flow },
            None => Rate::Own(self.own.milli_cpu + self.flow),
        }
    }

    /// The rate is another from `at` on.
    fn turn(&mut self, at: SimTime, loads: &mut [Load]) {
        let rate = self.rate();
        if self.stretches.last().is_some_and(|last| last.rate == rate) {
            return;
        }
        let before = self.used(at, loads);
        if let Rate::Shared { load, cap, .. } = rate {
            loads[load.0].watch(cap, at);
        }
        self.stretches.push(Stretch { from: at, rate, before });
        prune_short(&mut self.stretches, at, |stretch| stretch.from);
    }

    /// Milli-core-nanoseconds used by its own rate and its share by `at`.
    fn used(&self, at: SimTime, loads: &[Load]) -> i128 {
        let found = self.stretches.iter().rev().find(|stretch| stretch.from <= at);
        let Some(stretch) = found else { return 0 };
        let own = |milli: i64| i128::from(milli) * i128::from((at - stretch.from).0);
        stretch.before
            + match stretch.rate {
                Rate::Own(milli) => own(milli),
                Rate::Shared { load, cap, own: milli } => {
                    let load = &loads[load.0];
                    own(milli) + load.each(cap, at) - load.each(cap, stretch.from)
                }
            }
    }

    /// Core-nanoseconds that requests have added by `at`.
    fn added_by(&self, at: SimTime) -> i64 {
        let bucket = at.0.div_euclid(BUCKET);
        let place = self.added.partition_point(|(known, _)| *known < bucket);
        let before = if place > 0 { self.added[place - 1].1 } else { 0 };
        match self.added.get(place).filter(|(known, _)| *known == bucket) {
            Some((_, after)) => {
                let part = i128::from(after - before) * i128::from(at.0.rem_euclid(BUCKET)) / i128::from(BUCKET);
                before + part as i64
            }
            None => before,
        }
    }

    fn add(&mut self, at: SimTime, core_ns: i64) {
        let bucket = at.0.div_euclid(BUCKET);
        match self.added.back_mut() {
            // What comes late counts in the newest bucket.
            Some((last, all)) if *last >= bucket => *all += core_ns,
            last => {
                let all = last.map_or(0, |(_, all)| *all) + core_ns;
                self.added.push_back((bucket, all));
                prune(&mut self.added, at, |(bucket, _)| SimTime(bucket * BUCKET));
            }
        }
    }

    fn hold(&mut self, at: SimTime, bytes: i64) {
        if self.held.back().map_or(0, |(_, have)| *have) != bytes {
            self.held.push_back((at, bytes));
            prune(&mut self.held, at, |(from, _)| *from);
        }
    }

    fn draw_line(&mut self, at: SimTime, bytes: i64, slope: i64, most: i64) {
        let load = self.load.map(|(load, _)| load).filter(|_| self.running);
        self.lines.push(Line { from: at, bytes, slope, most, curve: None, load });
        prune_short(&mut self.lines, at, |line| line.from);
    }

    /// Bytes that requests take at `at`.
    fn held(&self, at: SimTime) -> i64 {
        self.held.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, bytes)| *bytes)
    }

    /// Milli-CPU at `at`, without what requests take.
    fn milli_cpu(&self, at: SimTime, loads: &[Load]) -> i64 {
        let all = match self.rate() {
            Rate::Own(milli) => milli,
            Rate::Shared { load, cap, own } => own + loads[load.0].milli_cpu_each(cap, at),
        };
        all - if self.running { self.flow } else { 0 }
    }

    /// Bytes at `at`, with what requests take.
    fn memory(&self, at: SimTime, loads: &[Load]) -> i64 {
        self.held(at) + self.own_memory(at, loads)
    }

    fn own_memory(&self, at: SimTime, loads: &[Load]) -> i64 {
        let Some(line) = self.lines.iter().rev().find(|line| line.from <= at) else { return 0 };
        if let Some(curve) = &line.curve {
            return curve.at(at - line.from) + line.load.map_or(0, |load| loads[load.0].memory_each(at));
        }
        let grown = i128::from(line.slope) * i128::from((at - line.from).0) / i128::from(BUCKET);
        let own = (i128::from(line.bytes) + grown).clamp(0, i128::from(line.most)) as i64;
        own + line.load.map_or(0, |load| loads[load.0].memory_each(at))
    }
}

impl Meters {
    /// Changes a container's meters; `new` makes them if they are not there.
    fn change(&self, pod: Uid, container: &Name, new: bool, act: impl FnOnce(&mut Meter, &mut [Load])) {
        let Table { pods, loads, .. } = &mut *self.0.borrow_mut();
        let containers = match new {
            true => pods.entry(pod).or_default(),
            false => match pods.get_mut(&pod) {
                Some(containers) => containers,
                None => return,
            },
        };
        let at = containers.iter().position(|meter| meter.name == *container);
        match at {
            Some(at) => act(&mut containers[at], loads),
            None if new => {
                // Most pods have one.
                containers.reserve_exact(1);
                containers.push(Meter { name: container.clone(), ..Meter::default() });
                act(containers.last_mut().expect("just pushed"), loads);
            }
            None => {}
        }
    }

    /// Changes the meters of a container that there are.
    fn with(&self, pod: Uid, container: &Name, act: impl FnOnce(&mut Meter, &mut [Load])) {
        self.change(pod, container, false, act);
    }

    fn look<R>(&self, pod: Uid, container: &Name, ask: impl FnOnce(&Meter, &[Load]) -> R) -> Option<R> {
        let table = self.0.borrow();
        let meter = table.pods.get(&pod)?.iter().find(|meter| meter.name == *container)?;
        Some(ask(meter, &table.loads))
    }

    /// A container's process starts and uses this much from then on; its counters begin anew.
    pub fn start(&self, pod: Uid, container: &Name, at: SimTime, usage: Usage) {
        self.change(pod, container, true, |meter, loads| {
            let (name, load) = (std::mem::take(&mut meter.name), meter.load);
            *meter = Meter { name, started: at, running: true, own: usage, load, ..Meter::default() };
            meter.turn(at, loads);
            meter.draw_line(at, usage.memory, 0, usage.memory);
        });
    }

    /// A container's process is gone: it uses nothing any more.
    pub fn end(&self, pod: Uid, container: &Name, at: SimTime) {
        self.with(pod, container, |meter, loads| {
            meter.running = false;
            meter.turn(at, loads);
            meter.draw_line(at, 0, 0, 0);
            meter.hold(at, 0);
        });
    }

    /// A running container uses this many milli-CPU of its own from `at` on.
    pub fn set_cpu(&self, pod: Uid, container: &Name, at: SimTime, milli_cpu: i64) {
        self.with(pod, container, |meter, loads| {
            meter.own.milli_cpu = milli_cpu;
            meter.turn(at, loads);
        });
    }

    /// The requests in a container take this many milli-CPU from `at` on.
    pub fn set_flow(&self, pod: Uid, container: &Name, at: SimTime, milli_cpu: i64) {
        self.with(pod, container, |meter, loads| {
            meter.flow = milli_cpu;
            meter.turn(at, loads);
        });
    }

    /// A container has taken this much time of a core for a request.
    pub fn add_cpu(&self, pod: Uid, container: &Name, at: SimTime, core_ns: i64) {
        self.with(pod, container, |meter, _| meter.add(at, core_ns));
    }

    /// The requests in a container take this much memory from `at` on.
    pub fn hold_memory(&self, pod: Uid, container: &Name, at: SimTime, bytes: i64) {
        self.with(pod, container, |meter, _| meter.hold(at, bytes));
    }

    /// From `at` on a container's own memory grows (or shrinks) by so many bytes a second, to `most` at most.
    pub fn grow_memory(&self, pod: Uid, container: &Name, at: SimTime, bytes_per_second: i64, most: i64) {
        self.with(pod, container, |meter, _| {
            let now = meter.own_memory(at, &[]);
            meter.draw_line(at, now, bytes_per_second, most);
        });
    }

    /// A running container's own memory is what `curve` says of the time since `from`.
    pub fn follow_memory(&self, pod: Uid, container: &Name, from: SimTime, curve: &Arc<Curve>) {
        self.with(pod, container, |meter, _| {
            meter.draw_line(from, 0, 0, 0);
            if let Some(line) = meter.lines.last_mut() {
                line.curve = Some(curve.clone());
            }
        });
    }

    /// The pod is gone.
    pub fn forget(&self, pod: Uid) {
        self.0.borrow_mut().pods.remove(&pod);
    }

    /// When the process was started that the counters count; none before the first.
    pub fn started(&self, pod: Uid, container: &Name) -> Option<SimTime> {
        self.look(pod, container, |meter, _| (meter.running || !meter.stretches.is_empty()).then_some(meter.started))?
    }

    /// Whether a container's process runs.
    pub fn running(&self, pod: Uid, container: &Name) -> bool {
        self.look(pod, container, |meter, _| meter.running).unwrap_or(false)
    }

    /// Core-nanoseconds that a container's process has taken by `at`; none of one that was never started.
    pub fn cpu_total(&self, pod: Uid, container: &Name, at: SimTime) -> Option<i64> {
        self.look(pod, container, |meter, loads| (meter.used(at, loads) / MILLI) as i64 + meter.added_by(at))
    }

    /// Milli-CPU that a container uses now, at `at`, without what requests take.
    pub fn milli_cpu(&self, pod: Uid, container: &Name, at: SimTime) -> i64 {
        self.look(pod, container, |meter, loads| meter.milli_cpu(at, loads)).unwrap_or(0)
    }

    /// Bytes of memory that a container uses at `at` without what its requests take.
    pub fn own_memory(&self, pod: Uid, container: &Name, at: SimTime) -> i64 {
        self.look(pod, container, |meter, loads| meter.own_memory(at, loads)).unwrap_or(0)
    }

    /// Bytes of memory that a container uses at `at`.
    pub fn memory(&self, pod: Uid, container: &Name, at: SimTime) -> Option<i64> {
        self.look(pod, container, |meter, loads| meter.memory(at, loads))
    }

    /// A metric beside those of resources; several of one key add up.
    pub fn add_gauge(&self, key: GaugeKey, gauge: Gauge) {
        self.0.borrow_mut().gauges.entry(key).or_default().push(gauge);
    }

    /// A metric of an object, or of something outside, in thousandths; none if nobody has it.
    pub fn gauge(&self, key: &GaugeKey, at: SimTime) -> Option<i64> {
        let Table { loads, gauges, .. } = &mut *self.0.borrow_mut();
        gauges.get_mut(key).map(|gauges| gauges.iter_mut().map(|gauge| gauge.total(loads, at)).sum())
    }

    /// A metric that pods have, of one of them, in thousandths: its part of what the pods of the load share. None if
    /// nobody has the metric.
    pub fn gauge_of_pod(&self, key: &GaugeKey, pod: Uid, at: SimTime) -> Option<i64> {
        let Table { pods, loads, gauges } = &mut *self.0.borrow_mut();
        let joined = |load: LoadId| {
            let containers = pods.get(&pod).into_iter().flatten();
            containers.filter_map(|meter| meter.load).any(|(joined, _)| joined == load)
        };
        let gauges = gauges.get_mut(key)?.iter_mut();
        Some(gauges.map(|gauge| if gauge.load().is_some_and(joined) { gauge.each(loads, at) } else { 0 }).sum())
    }

    /// What a load wants of processor time (milli-CPU) at an instant, and how many pods share it.
    pub fn demand(&self, load: LoadId, at: SimTime) -> (i64, i64) {
        let table = self.0.borrow();
        let load = &table.loads[load.0];
        (load.cpu_wanted(at), load.pods_at(at))
    }

    /// What a load is called in reports.
    pub fn name_load(&self, load: LoadId, name: Name) {
        self.0.borrow_mut().loads[load.0].record.name = name;
    }

    /// What one pod can take of a load, for reports.
    pub fn note_capacity(&self, load: LoadId, milli_cpu: i64) {
        self.0.borrow_mut().loads[load.0].record.each = milli_cpu;
    }

    /// The loads and who took them.
    pub fn loads(&self) -> Vec<LoadRecord> {
        let table = self.0.borrow();
        table.loads.iter().map(|load| load.record.clone()).filter(|record| record.demand != Curve::default()).collect()
    }

    /// A load that pods will share.
    pub fn add_load(&self, cpu: Curve<SimTime>, memory: Curve<SimTime>) -> LoadId {
        let loads = &mut self.0.borrow_mut().loads;
        loads.push(Load::new(cpu, memory));
        LoadId(loads.len() - 1)
    }

    /// A container takes its part of a load from `at` on: at most `cap` milli-CPU of it, unless that is 0.
    pub fn join(&self, load: LoadId, pod: Uid, container: &Name, cap: i64, at: SimTime) {
        self.0.borrow_mut().count(load, 1, at);
        self.0.borrow_mut().loads[load.0].record.crew.push((at, pod, true));
        self.change(pod, container, true, |_, _| {});
        self.attach(pod, container, Some((load, cap)), at);
    }

    /// A container takes no part of its load any more.
    pub fn leave(&self, load: LoadId, pod: Uid, container: &Name, at: SimTime) {
        self.attach(pod, container, None, at);
        self.0.borrow_mut().count(load, -1, at);
        self.0.borrow_mut().loads[load.0].record.crew.push((at, pod, false));
    }

    fn attach(&self, pod: Uid, container: &Name, load: Option<(LoadId, i64)>, at: SimTime) {
        self.with(pod, container, |meter, loads| {
            meter.load = load;
            meter.turn(at, loads);
            let line = meter.lines.last().cloned();
            let now = load.map(|(load, _)| load);
            if let Some(line) = line.clone().filter(|line| line.curve.is_some() && line.load != now) {
                meter.lines.push(Line { load: now.filter(|_| meter.running), ..line });
            } else if let Some(line) = line.filter(|line| line.load != now) {
                let own = meter.own_memory(at, loads) - line.load.map_or(0, |load| loads[load.0].memory_each(at));
                meter.draw_line(at, own, line.slope, line.most);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE_SECOND: i64 = 1_000_000_000;
    const APP: Name = crate::name!("app");

    fn at(seconds: i64) -> SimTime {
        SimTime::from_secs(seconds)
    }

    fn usage(milli_cpu: i64, memory: i64) -> Usage {
        Usage { milli_cpu, memory }
    }

    #[test]
    fn rates_and_requests_add_up() {
        let (meters, pod) = (Meters::default(), Uid(1));
        assert_eq!(meters.cpu_total(pod, &APP, at(5)), None);
        meters.start(pod, &APP, at(10), usage(200, 1000));
        meters.set_cpu(pod, &APP, at(40), 500);
        meters.add_cpu(pod, &APP, at(50), 3_000_000);
        meters.add_cpu(pod, &APP, SimTime(50 * CORE_SECOND + 1), 1_000_000);
        meters.end(pod, &APP, at(60));
        // 30 s at 0.2, then 20 s at 0.5; 4 ms of requests within the second after 50 s; nothing after the end.
        let table = [(10, 0), (25, 3_000), (40, 6_000), (50, 11_000), (51, 11_504), (60, 16_004), (90, 16_004)];
        for (second, milli) in table {
            assert_eq!(meters.cpu_total(pod, &APP, at(second)), Some(milli * CORE_SECOND / 1000), "at {second} s");
        }
        assert_eq!(
            [5, 10, 59, 60].map(|second| meters.memory(pod, &APP, at(second))),
            [Some(0), Some(1000), Some(1000), Some(0)]
        );
        // A new process counts from zero.
        meters.start(pod, &APP, at(70), usage(100, 10));
        assert_eq!((meters.started(pod, &APP), meters.cpu_total(pod, &APP, at(80))), (Some(at(70)), Some(CORE_SECOND)));
        meters.forget(pod);
        assert_eq!(meters.cpu_total(pod, &APP, at(80)), None);
    }

    #[test]
    fn what_requests_take_is_told_apart() {
        let (meters, pod) = (Meters::default(), Uid(1));
        meters.start(pod, &APP, at(0), usage(100, 50));
        meters.set_flow(pod, &APP, at(10), 400);
        meters.hold_memory(pod, &APP, at(10), 7);
        // 10 s at 100m, then at 500m; of its own it takes 100m all the time.
        assert_eq!(meters.cpu_total(pod, &APP, at(20)), Some(6 * CORE_SECOND));
        assert_eq!(meters.milli_cpu(pod, &APP, at(20)), 100);
        assert_eq!([5, 20].map(|second| meters.memory(pod, &APP, at(second)).unwrap()), [50, 57]);
        assert_eq!(meters.own_memory(pod, &APP, at(20)), 50);
        meters.end(pod, &APP, at(30));
        assert_eq!((meters.milli_cpu(pod, &APP, at(31)), meters.memory(pod, &APP, at(31))), (0, Some(0)));
    }

    #[test]
    fn memory_grows_to_its_bound() {
        let (meters, pod) = (Meters::default(), Uid(1));
        meters.start(pod, &APP, at(0), usage(0, 100));
        meters.grow_memory(pod, &APP, at(10), 5, 200);
        assert_eq!([10, 20, 30, 90].map(|second| meters.memory(pod, &APP, at(second)).unwrap()), [100, 150, 200, 200]);
    }

    #[test]
    fn a_load_is_shared_by_those_who_joined() {
        let meters = Meters::default();
        // 900m at first; from 100 s on 1800m.
        let cpu = Curve::steps(&[(at(0), 900), (at(100), 1800)]);
        let load = meters.add_load(cpu, Curve::constant(600));
        let pods = [Uid(1), Uid(2), Uid(3)];
        for pod in pods {
            meters.start(pod, &APP, at(0), usage(10, 50));
        }
        meters.join(load, pods[0], &APP, 700, at(0));
        meters.join(load, pods[1], &APP, 0, at(50));
        meters.join(load, pods[2], &APP, 0, at(150));
        meters.leave(load, pods[2], &APP, at(160));
        // Milli-core-seconds of the first: capped at 700 alone, 450 with the second, then 900 capped, then 600 of
        // three, then 900 capped again; and 10 of its own throughout.
        let own = |seconds: i64| 10 * seconds;
        let first = [
            (50, 700 * 50),
            (100, 700 * 50 + 450 * 50),
            (150, 700 * 50 + 450 * 50 + 700 * 50),
            (160, 700 * 50 + 450 * 50 + 700 * 50 + 600 * 10),
            (170, 700 * 50 + 450 * 50 + 700 * 50 + 600 * 10 + 700 * 10),
        ];
        for (second, milli) in first {
            let expected = (milli + own(second)) * CORE_SECOND / 1000;
            assert_eq!(meters.cpu_total(pods[0], &APP, at(second)), Some(expected), "at {second} s");
        }
        let third = (600 * 10 + own(170)) * CORE_SECOND / 1000;
        assert_eq!(meters.cpu_total(pods[2], &APP, at(170)), Some(third));
        // 600 bytes of memory among one, two, three, two.
        let memory = [(20, 650), (60, 350), (155, 250), (165, 350)];
        for (second, bytes) in memory {
            assert_eq!(meters.memory(pods[0], &APP, at(second)), Some(bytes), "at {second} s");
        }
    }
}
