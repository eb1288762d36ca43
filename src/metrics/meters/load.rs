//! Loads: an amount over time that the pods of a workload share evenly.

use super::KEPT;
use crate::metrics::scaling::LoadRecord;
use crate::time::SimTime;
use std::collections::VecDeque;

/// A load's number among all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LoadId(pub usize);

/// An amount over time: straight lines between its knots, level before the first and after the last. Two knots at one
/// instant are a jump.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Curve {
    knots: Vec<(SimTime, i64)>,
}

impl Curve {
    /// Through these knots, in order of time.
    pub fn through(knots: Vec<(SimTime, i64)>) -> Self {
        assert!(knots.is_sorted_by_key(|knot| knot.0), "the knots of a curve come in order of time");
        Curve { knots }
    }

    /// Always the same.
    pub fn constant(value: i64) -> Self {
        Curve { knots: vec![(SimTime::ZERO, value)] }
    }

    /// Each value from its instant on.
    pub fn steps(steps: &[(SimTime, i64)]) -> Self {
        let mut knots = Vec::new();
        for (index, (at, value)) in steps.iter().enumerate() {
            if let Some((_, before)) = index.checked_sub(1).map(|last| steps[last]) {
                knots.push((*at, before));
            }
            knots.push((*at, *value));
        }
        Curve { knots }
    }

    /// Where its lines begin and end.
    pub fn knots(&self) -> &[(SimTime, i64)] {
        &self.knots
    }

    /// The value at an instant; after the jump, at one.
    pub fn at(&self, time: SimTime) -> i64 {
        let next = self.knots.partition_point(|knot| knot.0 <= time);
        match (next.checked_sub(1).map(|last| self.knots[last]), self.knots.get(next)) {
            (Some(last), Some(next)) => between(last, *next, time),
            (Some((_, value)), None) | (None, Some(&(_, value))) => value,
            (None, None) => 0,
        }
    }

    /// The straight pieces between two instants: start and end, with their values.
    pub fn pieces(&self, from: SimTime, to: SimTime) -> impl Iterator<Item = [(SimTime, i64); 2]> + use<'_> {
        let first = self.knots.partition_point(|knot| knot.0 <= from);
        let inner = self.knots[first..].iter().copied().take_while(move |knot| knot.0 < to);
        // The last piece ends with what the curve comes to before a jump.
        let end = match self.knots[first..].iter().find(|knot| knot.0 >= to) {
            Some(knot) if knot.0 == to => knot.1,
            _ => self.at(to),
        };
        let mut knots =
            std::iter::once((from, self.at(from))).chain(inner).chain(std::iter::once((to, end))).peekable();
        std::iter::from_fn(move || Some([knots.next()?, *knots.peek()?])).filter(|[a, b]| a.0 < b.0)
    }

    /// Value × nanoseconds between two instants, of the value or of `most` where that is less.
    pub fn integral(&self, from: SimTime, to: SimTime, most: Option<i64>) -> i128 {
        self.pieces(from, to).map(|[a, b]| capped(a, b, most)).sum()
    }
}

/// On the line from `a` to `b`, at `time`.
fn between(a: (SimTime, i64), b: (SimTime, i64), time: SimTime) -> i64 {
    if b.0 <= a.0 {
        return b.1;
    }
    let rise = i128::from(b.1 - a.1) * i128::from((time - a.0).0) / i128::from((b.0 - a.0).0);
    a.1 + rise as i64
}

/// The area below a line and below `most`.
fn capped(a: (SimTime, i64), b: (SimTime, i64), most: Option<i64>) -> i128 {
    let area =
        |a: (SimTime, i64), b: (SimTime, i64)| (i128::from(a.1) + i128::from(b.1)) * i128::from((b.0 - a.0).0) / 2;
    let Some(most) = most else { return area(a, b) };
    let level = |from: SimTime, to: SimTime| i128::from(most) * i128::from((to - from).0);
    match (a.1 > most, b.1 > most) {
        (false, false) => area(a, b),
        (true, true) => level(a.0, b.0),
        (above, _) => {
            // It crosses once.
            let run = i128::from(most - a.1) * i128::from((b.0 - a.0).0) / i128::from(b.1 - a.1);
            let cross = SimTime(a.0.0 + run as i64);
            let parts = |below: i128, flat: i128| below + flat;
            match above {
                true => parts(area((cross, most), b), level(a.0, cross)),
                false => parts(area(a, (cross, most)), level(cross, b.0)),
            }
        }
    }
}

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
    cpu: Curve,
    memory: Curve,
    crews: VecDeque<Crew>,
    portions: Vec<Portion>,
    /// For the report.
    pub(super) record: LoadRecord,
}

impl Load {
    pub(super) fn new(cpu: Curve, memory: Curve) -> Self {
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

    /// Bytes for each pod.
    pub(super) fn memory_each(&self, at: SimTime) -> i64 {
        let pods = self.pods_at(at);
        if pods == 0 { 0 } else { self.memory.at(at) / pods }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn at(seconds: i64) -> SimTime {
        SimTime::from_secs(seconds)
    }

    #[test]
    fn values_and_areas() {
        // Level at 10 until 10 s, up to 30 at 20 s, a jump to 0 there, level from then on.
        let curve = Curve::through(vec![(at(10), 10), (at(20), 30), (at(20), 0)]);
        assert_eq!([0, 10, 15, 20, 99].map(|second| curve.at(at(second))), [10, 10, 20, 0, 0]);
        // (from, to, at most, area): the ramp from 10 to 30 has 200; below 20 it is 5 s of a ramp to 20 (75) and 5 s at 20.
        let table = [
            (0, 10, None, 100),
            (10, 20, None, 200),
            (0, 30, None, 300),
            (10, 20, Some(20), 175),
            (15, 20, Some(5), 25),
        ];
        for (from, to, most, area) in table {
            assert_eq!(curve.integral(at(from), at(to), most), area * SECOND, "{from} to {to}, {most:?} at most");
        }
        let falling = Curve::through(vec![(at(0), 30), (at(10), 10)]);
        assert_eq!(falling.integral(at(0), at(10), Some(20)), 175 * SECOND);
        assert_eq!(Curve::steps(&[(at(0), 1), (at(10), 3)]).integral(at(5), at(15), None), 20 * SECOND);
        assert_eq!(Curve::default().integral(at(0), at(10), None), 0);
    }
}
