//! When a kubelet finds its node short of something, and what it says and does then
//! (`pkg/kubelet/eviction/eviction_manager.go`, `synchronize`; `pkg/kubelet/eviction/helpers.go`).
//!
//! It looks every ten seconds. A hard threshold counts at once, a soft one after its grace period; what was met counts
//! until so much more is free as `evictionMinimumReclaim` says. A condition such as MemoryPressure is true from the
//! first look that found the shortage until five minutes after the last one. This file is the memory of that and the
//! arithmetic; who is evicted stands in `evict.rs`.

use super::eviction_rank::Pressure;
use crate::model::machine::{Level, Signal, Threshold};
use crate::model::quantity::Quantity;
use crate::time::{SimDuration, SimTime};

/// How often the kubelet looks (`evictionMonitoringPeriod`).
pub const PERIOD: SimDuration = SimDuration::from_secs(10);

/// What was observed of one signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// What is left.
    pub available: i64,
    /// Of how much.
    pub capacity: i64,
}

/// What is observed of every signal.
pub trait Observe {
    /// Of this one.
    fn of(&self, signal: Signal) -> Observation;
}

impl<F: Fn(Signal) -> Observation> Observe for F {
    fn of(&self, signal: Signal) -> Observation {
        self(signal)
    }
}

/// The memory of one kubelet.
#[derive(Clone, Debug, Default)]
pub struct PressureState {
    /// Thresholds met, and since which look without a break.
    first_met: Vec<(usize, SimTime)>,
    /// Those of them whose grace period was over at the last look.
    acting: Vec<usize>,
    /// When each condition was last found.
    last_found: [Option<SimTime>; 3],
    /// Which conditions hold: memory, disk, pid.
    pub conditions: [bool; 3],
}

/// The condition that a signal makes.
fn condition(signal: Signal) -> Pressure {
    match signal {
        Signal::MemoryAvailable => Pressure::Memory,
        Signal::PidAvailable => Pressure::Pid,
        _ => Pressure::Disk,
    }
}

/// Whether a threshold is met; with `reclaim`, whether it still is once it had been.
fn met(threshold: &Threshold, seen: Observation, reclaim: bool) -> bool {
    let more = threshold.reclaim.filter(|_| reclaim).map_or(0, |more| more.of(seen.capacity));
    seen.available < threshold.below.of(seen.capacity) + more
}

impl PressureState {
    /// One look at `now`: which thresholds call for eviction, memory first.
    pub fn look(
        &mut self,
        thresholds: &[Threshold],
        seen: &dyn Observe,
        transition: SimDuration,
        now: SimTime,
    ) -> Vec<usize> {
        let is_met = |at: &usize, reclaim: bool| met(&thresholds[*at], seen.of(thresholds[*at].signal), reclaim);
        let mut current: Vec<usize> = (0..thresholds.len()).filter(|at| is_met(at, false)).collect();
        current.extend(self.acting.iter().copied().filter(|at| is_met(at, true)));
        current.sort_unstable();
        current.dedup();
        let since = |at: usize| self.first_met.iter().find(|(had, _)| *had == at).map_or(now, |(_, since)| *since);
        self.first_met = current.iter().map(|at| (*at, since(*at))).collect();
        for at in &current {
            self.last_found[condition(thresholds[*at].signal) as usize] = Some(now);
        }
        for (holds, last) in self.conditions.iter_mut().zip(self.last_found) {
            *holds = last.is_some_and(|last| now - last < transition);
        }
        let graced = self.first_met.iter().filter(|(at, since)| now - *since >= thresholds[*at].grace);
        self.acting = graced.map(|(at, _)| *at).collect();
        let mut acting = self.acting.clone();
        acting.sort_by_key(|at| thresholds[*at].signal != Signal::MemoryAvailable);
        acting
    }

    /// Whether the state could change at a look that finds no threshold met.
    pub fn at_rest(&self) -> bool {
        self.first_met.is_empty() && self.conditions == [false; 3]
    }

    /// After images were removed: whether nothing is met any more, the minimum to reclaim included.
    pub fn relieved(thresholds: &[Threshold], seen: &dyn Observe) -> bool {
        !thresholds.iter().any(|threshold| met(threshold, seen.of(threshold.signal), true))
    }

    /// The conditions that hold, as an admission message lists them.
    pub fn names(&self) -> Vec<&'static str> {
        let names = ["MemoryPressure", "DiskPressure", "PIDPressure"];
        names.into_iter().zip(self.conditions).filter(|(_, holds)| *holds).map(|(name, _)| name).collect()
    }
}

/// Which ranking a signal asks for.
pub fn ranking(signal: Signal) -> Pressure {
    match signal {
        Signal::NodeFsInodesFree | Signal::ImageFsInodesFree => Pressure::Inodes,
        other => condition(other),
    }
}

/// The first sentences of an eviction's message.
pub fn low_message(threshold: &Threshold, acting: &[&Threshold], seen: &dyn Observe) -> String {
    let resource = threshold.signal.resource();
    let mut message = format!("The node was low on resource: {resource}. ");
    if let Some(first) = acting.iter().find(|other| other.signal.resource() == resource) {
        let seen = seen.of(first.signal);
        // Counted things have decimal amounts; a share is of bytes, whatever it is a share of
        // (`pkg/kubelet/eviction/api/types.go`, `GetThresholdQuantity`).
        let counted = matches!(first.signal.resource(), "pids" | "inodes");
        let amount =
            |amount: i64, decimal: bool| if decimal { Quantity::units(amount) } else { Quantity::bytes(amount) };
        let share = matches!(first.below, Level::Share { .. });
        let (below, left) = (amount(first.below.of(seen.capacity), counted && !share), amount(seen.available, counted));
        message.push_str(&format!("Threshold quantity: {below}, available: {left}. "));
    }
    message
}

/// The sentence about a container that uses more than it requests.
pub fn container_message(container: &str, used: i64, request: i64, resource: &str) -> String {
    let (used, request) = (Quantity::bytes(used), Quantity::bytes(request));
    format!("Container {container} was using {used}, request is {request}, has larger consumption of {resource}. ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::Level;

    /// Looks every ten seconds at a node of 1000 bytes with so many available: what acts and which conditions hold.
    fn history(thresholds: &[Threshold], available: &[i64]) -> Vec<String> {
        let mut state = PressureState::default();
        let look = |(at, available): (usize, &i64)| {
            let seen = |_| Observation { available: *available, capacity: 1000 };
            let now = SimTime::from_secs(10 * at as i64);
            let acting = state.look(thresholds, &seen, SimDuration::from_secs(30), now);
            format!("{acting:?} {}", state.names().join(","))
        };
        available.iter().enumerate().map(look).collect()
    }

    fn threshold(signal: Signal, below: i64, grace: i64, reclaim: Option<i64>) -> Threshold {
        let grace = SimDuration::from_secs(grace);
        Threshold { signal, below: Level::Amount(below), grace, reclaim: reclaim.map(Level::Amount) }
    }

    #[test]
    fn hard_soft_and_reclaim() {
        let memory = |below, grace, reclaim| threshold(Signal::MemoryAvailable, below, grace, reclaim);
        // Hard, less than 100: the condition stays for 30 s after the last look that found it.
        assert_eq!(
            history(&[memory(100, 0, None)], &[100, 99, 100, 100, 100, 100]),
            ["[] ", "[0] MemoryPressure", "[] MemoryPressure", "[] MemoryPressure", "[] ", "[] "]
        );
        // With 50 more to reclaim it acts until 150 are there.
        assert_eq!(
            history(&[memory(100, 0, Some(50))], &[99, 120, 149, 150]),
            ["[0] MemoryPressure", "[0] MemoryPressure", "[0] MemoryPressure", "[] MemoryPressure"]
        );
        // Soft: 20 s without a break; the condition is there at once.
        assert_eq!(
            history(&[memory(100, 20, None)], &[99, 99, 100, 99, 99, 99]),
            [
                "[] MemoryPressure",
                "[] MemoryPressure",
                "[] MemoryPressure",
                "[] MemoryPressure",
                "[] MemoryPressure",
                "[0] MemoryPressure"
            ]
        );
        // Memory before disk, whatever the order of the thresholds.
        let both = [threshold(Signal::ImageFsAvailable, 100, 0, None), memory(100, 0, None)];
        assert_eq!(history(&both, &[50]), ["[1, 0] MemoryPressure,DiskPressure"]);
    }

    #[test]
    fn messages() {
        let memory = threshold(Signal::MemoryAvailable, 100 << 20, 0, None);
        let seen = |_| Observation { available: 80 << 20, capacity: 8 << 30 };
        let message = low_message(&memory, &[&memory], &seen) + &container_message("c", 300 << 20, 100 << 20, "memory");
        assert_eq!(
            message,
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. Container c was using \
             300Mi, request is 100Mi, has larger consumption of memory. "
        );
        let none = container_message("c", 1500, 0, "ephemeral-storage");
        assert_eq!(none, "Container c was using 1500, request is 0, has larger consumption of ephemeral-storage. ");
    }
}
