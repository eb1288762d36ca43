//! A number over time: its change-points, and exact integrals of it.
//!
//! The value holds from one point to the next. Integrals are in value × nanoseconds and 128 bits wide, so
//! sums are exact and do not depend on an order.

use crate::time::{SimDuration, SimTime};

/// A number over time. Zero before its first point.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    /// Change-points in order of time, one per instant: the value from then on.
    pub points: Vec<(SimTime, i64)>,
}

impl Series {
    /// The value is `value` from `now` on. Of several values at one instant the last counts.
    pub fn set(&mut self, now: SimTime, value: i64) {
        if let Some(last) = self.points.last_mut()
            && last.0 == now
        {
            last.1 = value;
            let before = self.points.len().checked_sub(2).map_or(0, |at| self.points[at].1);
            if before == value {
                self.points.pop();
            }
            return;
        }
        if self.last() != value {
            self.points.push((now, value));
        }
    }

    /// The value changes by `delta` from `now` on.
    pub fn add(&mut self, now: SimTime, delta: i64) {
        if delta != 0 {
            self.set(now, self.last() + delta);
        }
    }

    /// The newest value.
    pub fn last(&self) -> i64 {
        self.points.last().map_or(0, |point| point.1)
    }

    /// The value at `time`, with what happened at that very instant.
    pub fn at(&self, time: SimTime) -> i64 {
        match self.points.partition_point(|point| point.0 <= time) {
            0 => 0,
            n => self.points[n - 1].1,
        }
    }

    /// The value just before `time`.
    pub fn before(&self, time: SimTime) -> i64 {
        match self.points.partition_point(|point| point.0 < time) {
            0 => 0,
            n => self.points[n - 1].1,
        }
    }

    /// The pieces of constant value between `from` and `to`: start, length, value.
    pub fn pieces(&self, from: SimTime, to: SimTime) -> impl Iterator<Item = (SimTime, SimDuration, i64)> + use<'_> {
        let first = self.points.partition_point(|point| point.0 <= from);
        let after = self.points[first..].iter().copied().take_while(move |point| point.0 < to);
        let mut starts = std::iter::once((from, self.at(from))).chain(after).peekable();
        std::iter::from_fn(move || {
            let (start, value) = starts.next()?;
            let end = starts.peek().map_or(to, |next| next.0);
            Some((start, end - start, value))
        })
        .filter(|piece| piece.1 > SimDuration::ZERO)
    }

    /// Value × nanoseconds between `from` and `to`.
    pub fn integral(&self, from: SimTime, to: SimTime) -> i128 {
        self.pieces(from, to).map(|(_, length, value)| i128::from(length.0) * i128::from(value)).sum()
    }

    /// The time-weighted mean between `from` and `to`; zero for no time at all.
    pub fn mean(&self, from: SimTime, to: SimTime) -> f64 {
        share(self.integral(from, to), i128::from((to - from).0))
    }

    /// The smallest value between `from` and `to` (both included).
    pub fn min(&self, from: SimTime, to: SimTime) -> i64 {
        self.values(from, to).min().unwrap_or(0)
    }

    /// The largest value between `from` and `to` (both included).
    pub fn max(&self, from: SimTime, to: SimTime) -> i64 {
        self.values(from, to).max().unwrap_or(0)
    }

    fn values(&self, from: SimTime, to: SimTime) -> impl Iterator<Item = i64> + use<'_> {
        let first = self.points.partition_point(|point| point.0 <= from);
        let later = self.points[first..].iter().take_while(move |point| point.0 <= to).map(|point| point.1);
        std::iter::once(self.at(from)).chain(later)
    }
}

/// `part / whole`, or zero of nothing. For reports only.
pub fn share(part: i128, whole: i128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The pieces in which none of several series changes between `from` and `to`: length and values.
pub fn together<const N: usize>(
    series: [&Series; N],
    from: SimTime,
    to: SimTime,
) -> impl Iterator<Item = (SimTime, SimDuration, [i64; N])> + use<'_, N> {
    let mut at = series.map(|one| one.points.partition_point(|point| point.0 <= from));
    let mut now = from;
    std::iter::from_fn(move || {
        while now < to {
            let start = now;
            let values = std::array::from_fn(|i| at[i].checked_sub(1).map_or(0, |n| series[i].points[n].1));
            let next = (0..N).filter_map(|i| series[i].points.get(at[i])).map(|point| point.0).min();
            now = next.unwrap_or(to).min(to);
            for i in 0..N {
                while series[i].points.get(at[i]).is_some_and(|point| point.0 <= now) {
                    at[i] += 1;
                }
            }
            if now > start {
                return Some((start, now - start, values));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(i64, i64)]) -> Series {
        let mut series = Series::default();
        for (second, value) in points {
            series.set(SimTime::from_secs(*second), *value);
        }
        series
    }

    fn s(seconds: i64) -> SimTime {
        SimTime::from_secs(seconds)
    }

    #[test]
    fn points_are_kept_only_where_the_value_changes() {
        let kept = series(&[(1, 0), (2, 3), (3, 3), (4, 5), (4, 3), (6, 1)]);
        assert_eq!(kept.points, vec![(s(2), 3), (s(6), 1)]);
    }

    #[test]
    fn integrals_means_and_extremes() {
        let three = series(&[(0, 3), (10, 1), (20, 3)]);
        // (from, to, value x seconds, min, max)
        let table = [(0, 30, 3 * 10 + 10 + 3 * 10, 1, 3), (5, 15, 3 * 5 + 5, 1, 3), (12, 13, 1, 1, 1), (7, 7, 0, 3, 3)];
        for (from, to, sum, min, max) in table {
            assert_eq!(three.integral(s(from), s(to)), i128::from(sum) * 1_000_000_000, "{from}..{to}");
            assert_eq!((three.min(s(from), s(to)), three.max(s(from), s(to))), (min, max), "{from}..{to}");
        }
        assert_eq!(three.mean(s(0), s(20)), 2.0);
        assert_eq!((three.before(s(10)), three.at(s(10))), (3, 1));
        assert_eq!(Series::default().mean(s(0), s(5)), 0.0);
    }

    #[test]
    fn several_series_are_walked_side_by_side() {
        let (a, b) = (series(&[(0, 1), (10, 2)]), series(&[(4, 7), (10, 8), (40, 9)]));
        let walked: Vec<_> = together([&a, &b], s(2), s(20)).collect();
        let seconds = SimDuration::from_secs;
        assert_eq!(walked, vec![(s(2), seconds(2), [1, 0]), (s(4), seconds(6), [1, 7]), (s(10), seconds(10), [2, 8])]);
    }
}
