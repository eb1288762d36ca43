//! Loads: an amount over time that the pods of a workload share evenly.

use super::KEPT;
use crate::metrics::scaling::LoadRecord;
use crate::model::curve::Curve;
use crate::time::SimTime;
use std::collections::VecDeque;

/// A load's number among all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LoadId(pub usize);

/// A number of pods from an instant on.
#[derive(Clone, Copy, Debug)]
struct Crew {
    from: SimTime,
    pods: i64,
}

/// What each pod of one limit has taken so far.
#[derive(Clone, Debug)]
struct Portion {
    cap: i64,
    /// At each change of the crew, all that a pod had taken by then, in milli-core-nanoseconds.
    marks: VecDeque<(SimTime, i128)>,
}

/// A load and those who share it.
#[derive(Clone, Debug)]
pub(super) struct Load {
    cpu: Curve<SimTime>,
    memory: Curve<SimTime>,
    crews: VecDeque<Crew>,
    portions: Vec<Portion>,
    /// For the report.
    pub(super) record: LoadRecord,
}

impl Load {
    pub(super) fn new(cpu: Curve<SimTime>, memory: Curve<SimTime>) -> Self {
        let crews = VecDeque::from([Crew { from: SimTime(i64::MIN / 2), pods: 0 }]);
        let record = LoadRecord { demand: cpu.clone(), ..LoadRecord::default() };
        Load { cpu, memory, crews, portions: Vec::new(), record }
    }

    fn pods(&self) -> i64 {
        self.crews.back().map_or(0, |crew| crew.pods)
    }

    /// So many more, or fewer, share it.
    pub(super) fn count(&mut self, delta: i64, at: SimTime) {
        let marks: Vec<i128> = self.portions.iter().map(|portion| self.each(portion.cap, at)).collect();
        for (portion, mark) in self.portions.iter_mut().zip(marks) {
            portion.marks.push_back((at, mark));
            super::prune(&mut portion.marks, at, |mark| mark.0);
        }
        self.crews.push_back(Crew { from: at, pods: self.pods() + delta });
        // As long as the marks: what each took since the last of them is asked of the crews.
        while self.crews.len() > 1 && self.crews[1].from <= at - KEPT {
            self.crews.pop_front();
        }
    }

    /// From now on it is asked what pods with this limit take.
    pub(super) fn watch(&mut self, cap: i64, at: SimTime) {
        if self.portions.iter().all(|portion| portion.cap != cap) {
            self.portions.push(Portion { cap, marks: VecDeque::from([(at, 0)]) });
        }
    }

    /// Milli-core-nanoseconds that a pod with this limit, there from the beginning, has taken by `at`.
    pub(super) fn each(&self, cap: i64, at: SimTime) -> i128 {
        let Some(portion) = self.portions.iter().find(|portion| portion.cap == cap) else { return 0 };
        let Some((from, before)) = portion.marks.iter().rev().find(|mark| mark.0 <= at) else { return 0 };
        let pods = self.crews.iter().rev().find(|crew| crew.from <= *from).map_or(0, |crew| crew.pods);
        if pods == 0 {
            return *before;
        }
        let most = (cap > 0).then(|| cap.saturating_mul(pods));
        before + self.cpu.integral(*from, at, most) / i128::from(pods)
    }

    /// How many share it.
    pub(super) fn pods_at(&self, at: SimTime) -> i64 {
        self.crews.iter().rev().find(|crew| crew.from <= at).map_or(0, |crew| crew.pods)
    }

    /// Milli-CPU in all, whoever there is.
    pub(super) fn cpu_wanted(&self, at: SimTime) -> i64 {
        self.cpu.at(at)
    }

    /// Milli-CPU for each pod with this limit (0 for none).
    pub(super) fn milli_cpu_each(&self, cap: i64, at: SimTime) -> i64 {
        let each = self.cpu.at(at) / self.pods_at(at).max(1);
        if cap > 0 { each.min(cap) } else { each }
    }

    /// Bytes for each pod.
    pub(super) fn memory_each(&self, at: SimTime) -> i64 {
        let pods = self.pods_at(at);
        if pods == 0 { 0 } else { self.memory.at(at) / pods }
    }
}
