//! How much the API server can do at a time.
//!
//! Without settings it answers every request after the request's latency. With them a request that arrives waits for
//! a free core, first come, first served, and takes it for the service time: what client limits leave open, the
//! server's own capacity decides. Fairness between flows (`staging/src/k8s.io/apiserver/pkg/util/flowcontrol/`) is not
//! modelled: all requests wait in one line.

use crate::rng::{Delay, Stream};
use crate::time::{SimDuration, SimTime};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The API server's capacity.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// Requests it works on at a time; 0 for as many as come.
    pub cores: usize,
    /// How long it works on one.
    pub service_time: Delay,
}

/// The line before the API server.
pub(super) struct Server {
    service_time: Delay,
    stream: Stream,
    /// When each core is free again.
    free: BinaryHeap<Reverse<SimTime>>,
}

impl Server {
    pub(super) fn new(settings: ServerSettings, stream: Stream) -> Option<Self> {
        let free = std::iter::repeat_n(Reverse(SimTime(i64::MIN)), settings.cores).collect();
        (settings.cores > 0).then_some(Server { service_time: settings.service_time, stream, free })
    }

    /// When a request that arrives now is done. Requests must come in order of arrival.
    pub(super) fn answer(&mut self, now: SimTime) -> SimTime {
        let Reverse(free) = self.free.pop().expect("a server has a core");
        let done = free.max(now) + self.service_time.sample(&mut self.stream);
        self.free.push(Reverse(done));
        done
    }

    /// How long a request that arrives now waits for a core. Watches are served by the same cores, so what they
    /// bring comes as much later.
    pub(super) fn backlog(&self, now: SimTime) -> SimDuration {
        let free = self.free.peek().map_or(now, |Reverse(free)| *free);
        (free - now).max_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    #[test]
    fn requests_wait_for_a_core() {
        // (cores, arrivals in ms, done in ms) at 10 ms a request.
        let table: &[(usize, &[i64], &[i64])] =
            &[(1, &[0, 0, 5, 100], &[10, 20, 30, 110]), (2, &[0, 0, 5, 100], &[10, 10, 20, 110])];
        for (cores, arrivals, expected) in table {
            let settings =
                ServerSettings { cores: *cores, service_time: Delay::Constant(SimDuration::from_millis(10)) };
            let mut server = Server::new(settings, Seed(1).stream("server", "")).unwrap();
            let done = arrivals.iter().map(|at| server.answer(SimTime(at * 1_000_000)).0 / 1_000_000);
            assert_eq!(done.collect::<Vec<_>>(), *expected, "{cores} cores");
        }
        let unlimited = ServerSettings { cores: 0, service_time: Delay::Constant(SimDuration::ZERO) };
        assert!(Server::new(unlimited, Seed(1).stream("server", "")).is_none());
    }
}
