//! One pod: how many requests are in it from instant to instant.
//!
//! Requests in a pod tend towards the long run of the rate that they come at: at once, as long as nobody waits for long;
//! where a backlog builds up or is worked off, by what comes less what is done: all that the pod can, or, on the way to a
//! long queue that does not grow for ever, what it does in the long run with so many in it (the pointwise stationary
//! fluid flow approximation). Behind a backlog, who is answered now
//! waited since the instant by which as many had come as are answered by now.

use super::spread::Wait;
use super::station::{Station, Steady};
use crate::metrics::traffic::End;
use crate::time::SimTime;
use std::collections::VecDeque;

/// Who sends requests to a pod: one for each client and distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub client: u32,
    /// By [`super::super::stats::Distance`], and one way in seconds.
    pub distance: usize,
    pub latency: f64,
    /// The share of the client's requests that it is.
    pub share: f64,
    /// The rate that it had when it last had one.
    pub weight: f64,
}

/// One pod.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub sources: Vec<Source>,
    /// Requests in it.
    pub inside: f64,
    /// The process that they are in began to listen then.
    pub began: Option<SimTime>,
    pub plan: Plan,
    /// All that came and all that were done, and, where there is a backlog, how many had come by when (in seconds).
    came: f64,
    done: f64,
    curve: VecDeque<(f64, f64)>,
}

/// What a pod does until something changes.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Plan {
    /// Requests a second that are let in, those that come, and how random they come.
    pub rate: f64,
    pub coming: f64,
    pub arrivals: f64,
    /// Where all of them end at once, if so.
    pub turned_away: Option<End>,
    pub station: Option<Station>,
    pub steady: Steady,
    /// A backlog is built up or worked off: what is done each second now, what share finds no room, and how fast it
    /// nears the long run, in seconds.
    pub backlog: Option<Backlog>,
}

/// Of a pod whose queue is not what it will be in the long run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Backlog {
    pub done: f64,
    pub refused: f64,
    pub lasts: f64,
}

/// What became of a pod's requests in a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// Requests done.
    pub done: f64,
    /// The share of those that came that found no room.
    pub refused: f64,
    /// Seconds at work, and the wait before.
    pub work: f64,
    pub wait: Wait,
}

/// Beyond so many times its concurrency from the long run, a queue takes its time.
const AWAY: f64 = 2.0;

impl Plan {
    /// How `inside` requests will go on.
    pub(super) fn watch(&mut self, inside: f64) {
        self.backlog = None;
        let Some(station) = &self.station else { return };
        if (inside - self.steady.inside).abs() < AWAY * f64::from(station.concurrency) {
            return;
        }
        let now = station.steady(station.rate_of(inside.max(1e-6), self.arrivals), self.arrivals);
        // A backlog that is worked off, or grows for ever, leaves no place idle.
        let busy = inside > self.steady.inside || self.rate >= station.capacity();
        let done = if busy { station.capacity() } else { now.done };
        let net = self.rate * (1.0 - now.refused) - done;
        let lasts = (self.steady.inside - inside).abs() / net.abs().max(1e-9);
        self.backlog = Some(Backlog { done, refused: now.refused, lasts });
    }

    /// Processors in use.
    pub(super) fn cpu(&self) -> f64 {
        let done = self.backlog.map_or(self.steady.done, |backlog| backlog.done);
        self.station.map_or(0.0, |station| done * station.service * station.cpu_share)
    }
}

impl Pool {
    /// Goes on for `length` seconds from `from`.
    pub(super) fn pass(&mut self, from: f64, length: f64) -> Passed {
        let nothing = Passed { done: 0.0, refused: 0.0, work: 0.0, wait: Wait::Random { share: 0.0, mean: 0.0 } };
        let Plan { rate, station: Some(station), steady, backlog, .. } = self.plan else { return nothing };
        let refused = backlog.map_or(steady.refused, |backlog| backlog.refused);
        let came = rate * length * (1.0 - refused);
        let next = match backlog {
            Some(backlog) => {
                let next = self.inside + came - backlog.done * length;
                // Not beyond where it goes.
                let (least, most) = (steady.inside.min(self.inside), steady.inside.max(self.inside));
                next.clamp(least, most)
            }
            // Without a backlog it is there after a few service times.
            None => {
                let nearing = libm::exp(-length / (station.service + station.away));
                steady.inside + (self.inside - steady.inside) * nearing
            }
        };
        let next = next.clamp(0.0, self.inside + came);
        let done = self.inside + came - next;
        let before = self.inside;
        (self.inside, self.came, self.done) = (next, self.came + came, self.done + done);
        let (work, wait) = match backlog {
            Some(_) => self.behind_backlog(from, length, (before, came), &station),
            None => {
                self.curve.clear();
                calm(&station, &steady)
            }
        };
        Passed { done, refused, work, wait }
    }

    fn behind_backlog(&mut self, from: f64, length: f64, (before, came): (f64, f64), station: &Station) -> (f64, Wait) {
        if self.curve.is_empty() {
            // Those who were in it came evenly, as far as one can tell.
            let wait = before / station.capacity().max(1e-9);
            self.curve.push_back((from - wait, self.came - came - before));
            self.curve.push_back((from, self.came - came));
        }
        self.curve.push_back((from + length, self.came));
        let answered = self.done - 0.5 * self.plan.backlog.map_or(0.0, |backlog| backlog.done) * length;
        while self.curve.len() > 2 && self.curve[1].1 <= answered {
            self.curve.pop_front();
        }
        let ((at, had), (until, have)) = (self.curve[0], self.curve[1]);
        let part = ((answered - had) / (have - had).max(1e-9)).clamp(0.0, 1.0);
        let sojourn = from + 0.5 * length - (at + (until - at) * part);
        let work = station.held(f64::from(station.concurrency));
        (work, Wait::behind((sojourn - work).max(0.0), station.capacity(), station.variation))
    }

    /// The process is gone, and what is in it.
    pub(super) fn empty(&mut self) -> f64 {
        self.curve.clear();
        self.done = self.came;
        std::mem::take(&mut self.inside)
    }
}

/// Without a backlog: by Little's law.
fn calm(station: &Station, steady: &Steady) -> (f64, Wait) {
    let busy = steady.inside - steady.waiting;
    let work = if steady.done > 0.0 { busy / steady.done } else { station.held(1.0) };
    if steady.done <= 0.0 {
        return (work, Wait::Random { share: 0.0, mean: 0.0 });
    }
    let waited = steady.waiting / steady.done;
    match steady.refused > 0.02 || steady.delayed > 0.995 {
        // The queue is full most of the time.
        true => (work, Wait::behind(waited, steady.done, station.variation)),
        false => (work, Wait::Random { share: steady.delayed, mean: waited / steady.delayed.max(1e-9) }),
    }
}
