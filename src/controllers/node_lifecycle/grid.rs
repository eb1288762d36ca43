//! Instants that come at a fixed distance, and begin anew when one of them took longer.
//!
//! The monitor sleeps five seconds between its passes (`wait.UntilWithContext`), so a pass that waits for its writes
//! moves all later ones: passes at 0 s, 5 s and 10 s, the last one until 13 s, then at 18 s, 23 s and so on.

use crate::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// Stretches remembered: nobody asks about an instant that is further back than a lease and a few passes.
const STRETCHES_MAX: usize = 32;

/// Equal steps from `first` to `last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stretch {
    first: SimTime,
    last: SimTime,
}

/// The instants.
#[derive(Clone, Debug)]
pub struct Grid {
    step: SimDuration,
    stretches: VecDeque<Stretch>,
}

impl Grid {
    /// Instants from `first` on.
    pub fn new(first: SimTime, step: SimDuration) -> Self {
        Grid { step, stretches: VecDeque::from([Stretch { first, last: SimTime::MAX }]) }
    }

    /// The one at `last` was the last of its kind; the next is at `first`, and so on from there.
    pub fn begin_anew(&mut self, last: SimTime, first: SimTime) {
        if let Some(before) = self.stretches.back_mut() {
            before.last = last;
        }
        if self.stretches.len() == STRETCHES_MAX {
            self.stretches.pop_front();
        }
        self.stretches.push_back(Stretch { first, last: SimTime::MAX });
    }

    /// The first instant that is not before `time`.
    pub fn at(&self, time: SimTime) -> SimTime {
        let later = self.stretches.partition_point(|stretch| stretch.first <= time);
        let within = later.checked_sub(1).map(|index| self.stretches[index]);
        let next = within.map(|stretch| {
            let since = (time - stretch.first).0;
            let steps = since / self.step.0 + i64::from(since % self.step.0 != 0);
            (stretch.first + self.step * steps, stretch.last)
        });
        match next {
            Some((at, last)) if at <= last => at,
            _ => self.stretches[later].first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pass_moves_the_later_ones() {
        let second = SimTime::from_secs;
        let mut grid = Grid::new(second(0), SimDuration::from_secs(5));
        grid.begin_anew(second(10), second(18));
        grid.begin_anew(second(23), second(30));
        let table = [(-3, 0), (0, 0), (1, 5), (10, 10), (11, 18), (19, 23), (24, 30), (31, 35), (40, 40)];
        for (time, expected) in table {
            assert_eq!(grid.at(second(time)), second(expected), "{time}");
        }
    }
}
