//! An amount over time, as straight pieces between points: what a container uses of memory or disk since its start, or
//! what a load wants since the run's.
//!
//! A leak of 10 MiB a minute that begins after two minutes, from 100 MiB up to 1 GiB:
//!
//! ```text
//! Curve::ramp(100 MiB, after 2m, 10 MiB, each 1m, most 1 GiB)
//!   at 2m 100 MiB   at 12m 200 MiB   at 1000m 1 GiB   first above 200 MiB: a moment after 12m
//! ```
//!
//! Everything is in integers, so that the instant at which an amount passes a level is one instant.

use crate::time::{SimDuration, SimTime};

/// A hundred years.
const FOR_EVER: SimDuration = SimDuration::from_secs(100 * 365 * 86_400);

/// What amounts are drawn over: the time of the run, or that since something began.
pub trait Axis: Copy + Ord {
    /// Where it begins.
    const ZERO: Self;
    /// Nanoseconds since then.
    fn nanos(self) -> i64;
}

impl Axis for SimDuration {
    const ZERO: Self = SimDuration::ZERO;
    fn nanos(self) -> i64 {
        self.0
    }
}

impl Axis for SimTime {
    const ZERO: Self = SimTime::ZERO;
    fn nanos(self) -> i64 {
        self.0
    }
}

/// An amount over time. Before its first point it is what it is there, after its last what it is there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Curve<T = SimDuration> {
    /// Instants and amounts, in order of time; two of one instant are a jump.
    points: Vec<(T, i64)>,
}

impl<T> Default for Curve<T> {
    fn default() -> Self {
        Curve { points: Vec::new() }
    }
}

impl<T: Axis> Curve<T> {
    /// Always the same.
    pub fn constant(amount: i64) -> Self {
        Curve { points: vec![(T::ZERO, amount)] }
    }

    /// Through these points, in order of time.
    pub fn through(points: Vec<(T, i64)>) -> Self {
        assert!(points.is_sorted_by_key(|point| point.0), "the points of a curve come in order of time");
        Curve { points }
    }

    /// Each amount from its instant on.
    pub fn steps(steps: &[(T, i64)]) -> Self {
        let mut points = Vec::new();
        for (index, (at, amount)) in steps.iter().enumerate() {
            if let Some((_, before)) = index.checked_sub(1).map(|last| steps[last]) {
                points.push((*at, before));
            }
            points.push((*at, *amount));
        }
        Curve { points }
    }

    /// Where its lines begin and end.
    pub fn points(&self) -> &[(T, i64)] {
        &self.points
    }

    /// The amount at an instant; after the jump, at one.
    pub fn at(&self, time: T) -> i64 {
        let next = self.points.partition_point(|(at, _)| *at <= time);
        let Some((from, low)) = next.checked_sub(1).map(|last| self.points[last]) else {
            return self.points.first().map_or(0, |(_, amount)| *amount);
        };
        let Some((to, high)) = self.points.get(next).copied() else { return low };
        let (gone, whole) = (time.nanos() - from.nanos(), to.nanos() - from.nanos());
        let rise = (i128::from(high) - i128::from(low)) * i128::from(gone) / i128::from(whole);
        low + i64::try_from(rise).unwrap_or(0)
    }

    /// The straight pieces between two instants: start and end, with their amounts.
    pub fn pieces(&self, from: T, to: T) -> impl Iterator<Item = [(T, i64); 2]> + use<'_, T> {
        let first = self.points.partition_point(|point| point.0 <= from);
        let inner = self.points[first..].iter().copied().take_while(move |point| point.0 < to);
        // The last piece ends with what the curve comes to before a jump.
        let end = match self.points[first..].iter().find(|point| point.0 >= to) {
            Some(point) if point.0 == to => point.1,
            _ => self.at(to),
        };
        let mut points =
            std::iter::once((from, self.at(from))).chain(inner).chain(std::iter::once((to, end))).peekable();
        std::iter::from_fn(move || Some([points.next()?, *points.peek()?])).filter(|[a, b]| a.0 < b.0)
    }

    /// Amount × nanoseconds between two instants, of the amount or of `most` where that is less.
    pub fn integral(&self, from: T, to: T, most: Option<i64>) -> i128 {
        self.pieces(from, to).map(|piece| capped(piece.map(|(at, amount)| (at.nanos(), amount)), most)).sum()
    }
}

/// The area below a line and below `most`.
fn capped([a, b]: [(i64, i64); 2], most: Option<i64>) -> i128 {
    let area = |a: (i64, i64), b: (i64, i64)| (i128::from(a.1) + i128::from(b.1)) * i128::from(b.0 - a.0) / 2;
    let Some(most) = most else { return area(a, b) };
    let level = |from: i64, to: i64| i128::from(most) * i128::from(to - from);
    match (a.1 > most, b.1 > most) {
        (false, false) => area(a, b),
        (true, true) => level(a.0, b.0),
        (above, _) => {
            // It crosses once.
            let run = i128::from(most - a.1) * i128::from(b.0 - a.0) / i128::from(b.1 - a.1);
            let cross = a.0 + run as i64;
            match above {
                true => area((cross, most), b) + level(a.0, cross),
                false => area(a, (cross, most)) + level(cross, b.0),
            }
        }
    }
}

impl Curve {
    /// `start` until `after`, then `by` more in every `each`, up to `most`.
    pub fn ramp(start: i64, after: SimDuration, by: i64, each: SimDuration, most: i64) -> Self {
        let mut curve = Curve::constant(start);
        curve.grow(after, by, each, most);
        curve
    }

    /// From `after` on it grows by `by` in every `each`, up to `most`, whatever it would have been.
    pub fn grow(&mut self, after: SimDuration, by: i64, each: SimDuration, most: i64) {
        let begins = self.at(after);
        self.points.retain(|(at, _)| *at <= after);
        self.points.push((after, begins));
        if by > 0 && most > begins {
            let (by, each) = (i128::from(by), i128::from(each.0.max(1)));
            let whole = i128::from(most - begins) * each / by;
            // Where it is after a hundred years is where it ends, after whole steps, so that nothing is rounded.
            let steps = i128::from(FOR_EVER.0) / each;
            let (time, most) = match whole > steps * each {
                true => (steps * each, begins.saturating_add(i64::try_from(steps * by).unwrap_or(i64::MAX))),
                false => (whole, most),
            };
            self.points.push((after + SimDuration(time as i64), most));
        }
    }

    /// Whether it never changes.
    pub fn is_constant(&self) -> bool {
        self.points.windows(2).all(|pair| pair[0].1 == pair[1].1)
    }

    /// The largest amount there ever is.
    pub fn most(&self) -> i64 {
        self.points.iter().map(|(_, amount)| *amount).max().unwrap_or(0)
    }

    /// The instants at which it bends or jumps, after `time`.
    pub fn bends(&self, time: SimDuration) -> impl Iterator<Item = SimDuration> {
        self.points.iter().map(|(at, _)| *at).filter(move |at| *at > time)
    }

    /// The first instant from `from` on at which it is more than `level`.
    pub fn first_above(&self, from: SimDuration, level: i64) -> Option<SimDuration> {
        first_above(|time| self.at(time), self.bends(from).collect(), from, level)
    }
}

/// The first instant from `from` on at which `amount` is more than `level`, where `amount` is straight between
/// `bends` and constant after the last. A sum of curves is such an amount, too.
pub fn first_above(
    amount: impl Fn(SimDuration) -> i64,
    mut bends: Vec<SimDuration>,
    from: SimDuration,
    level: i64,
) -> Option<SimDuration> {
    if amount(from) > level {
        return Some(from);
    }
    bends.sort_unstable();
    bends.dedup();
    let mut low = from;
    for bend in bends.into_iter().filter(|bend| *bend > from) {
        let last = SimDuration(bend.0 - 1);
        if amount(last) > level {
            // Straight in between: it passes the level once.
            let (mut below, mut above) = (low, last);
            while below.0 + 1 < above.0 {
                let middle = SimDuration(below.0 + (above.0 - below.0) / 2);
                if amount(middle) > level { above = middle } else { below = middle }
            }
            return Some(above);
        }
        if amount(bend) > level {
            return Some(bend);
        }
        low = bend;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(i64) -> SimDuration = SimDuration::from_secs;

    #[test]
    fn amounts_and_crossings() {
        // 10 a second from second 5 on, from 100 to 300: 300 is reached at second 25.
        let ramp = Curve::ramp(100, S(5), 10, S(1), 300);
        let steps = Curve::steps(&[(S(0), 100), (S(10), 400), (S(20), 50)]);
        // (curve, second, amount)
        let amounts = [
            (&ramp, 0, 100),
            (&ramp, 5, 100),
            (&ramp, 6, 110),
            (&ramp, 25, 300),
            (&ramp, 99, 300),
            (&steps, 9, 100),
            (&steps, 10, 400),
            (&steps, 20, 50),
        ];
        for (curve, second, amount) in amounts {
            assert_eq!(curve.at(S(second)), amount, "{curve:?} at {second}");
        }
        // (curve, from, level, nanoseconds of the first instant above it): 150 + 1 is there 5.1 s after second 5.
        let crossings = [
            (&ramp, 0, 99, Some(0)),
            (&ramp, 0, 150, Some(10_100_000_000)),
            (&ramp, 0, 300, None),
            (&steps, 0, 100, Some(10_000_000_000)),
            (&steps, 20, 100, None),
            (&steps, 15, 100, Some(15_000_000_000)),
        ];
        for (curve, from, level, at) in crossings {
            assert_eq!(curve.first_above(S(from), level).map(|time| time.0), at, "{curve:?} over {level}");
        }
    }

    #[test]
    fn a_leak_may_begin_at_any_time() {
        let mut curve = Curve::steps(&[(S(0), 100), (S(10), 400), (S(20), 50)]);
        curve.grow(S(12), 1, S(1), 1000);
        // 400 at second 12, one more each second; the step at 20 is no more.
        assert_eq!([S(5), S(12), S(32), S(612), S(700)].map(|at| curve.at(at)), [100, 400, 420, 1000, 1000]);
        // One that grows without an end keeps its pace.
        let endless = Curve::ramp(0, SimDuration::ZERO, 1 << 20, S(1), 1 << 60);
        assert_eq!(endless.at(S(3600)), 3600 << 20);
        assert!(!curve.is_constant() && Curve::constant(3).is_constant());
        assert_eq!(curve.most(), 1000);
    }

    #[test]
    fn values_and_areas() {
        const SECOND: i128 = 1_000_000_000;
        let at = SimTime::from_secs;
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
        assert_eq!(Curve::<SimTime>::default().integral(at(0), at(10), None), 0);
    }
}
