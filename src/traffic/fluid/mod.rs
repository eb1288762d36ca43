//! Requests as flows: for runs with so many that one by one would take too long.
//!
//! ```text
//! route.rs    who sends how much where      pool.rs   one pod from instant to instant
//! station.rs  a pod in the long run         spread.rs how long requests take
//! step.rs     from one change to the next   account.rs what became of them
//! ```
//!
//! Between two instants at which something changes (a rate, what a proxy knows, a process, a machine, a backlog), every
//! pod gets requests at a constant rate. What it makes of them follows from queueing theory instead of from draws, so
//! a second costs as much at ten requests as at ten million. The cluster is the same as event by event: who is asked
//! comes from each node's own proxy, and what listens there from the kubelets.
//!
//! A worked example: 800 requests a second at random over 10 pods that take 10 ms for each, one at a time. Each pod
//! gets 80 a second, has 4 in it in the mean and answers after 50 ms. At 1,200 a second each queue grows by 20 requests
//! a second, until it is full or the clients give up.

mod account;
mod pool;
mod route;
mod spread;
mod station;
mod step;

#[cfg(test)]
mod tests;

pub(super) use self::account::{Account, PodAccount};

use self::pool::Pool;
use self::spread::Spread;
use super::Model;
use super::stats::Stats;
use crate::metrics::traffic::End;
use crate::time::{SimDuration, SimTime};

/// A client's requests that reach no pod.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Loss {
    end: End,
    /// Seconds until the client knows.
    after: f64,
    share: f64,
}

impl Loss {
    fn put(all: &mut Vec<Loss>, loss: Loss) {
        if loss.share <= 1e-12 {
            return;
        }
        match all.iter_mut().find(|one| (one.end, one.after) == (loss.end, loss.after)) {
            Some(known) => known.share += loss.share,
            None => all.push(loss),
        }
    }
}

/// One who asks.
#[derive(Debug, Default)]
struct Inflow {
    rate: f64,
    losses: Vec<Loss>,
    /// How long users wait in the mean, in seconds.
    response: f64,
    /// In the stretch that passes now: ends, and their seconds.
    ended: (f64, f64),
}

/// All flows.
#[derive(Debug)]
pub(super) struct Fluid {
    /// Everything is counted up to here.
    now: SimTime,
    /// Nothing changes until then, if nobody changes anything.
    next: SimTime,
    /// What pods do has to be planned anew.
    stale: bool,
    reroute_at: SimTime,
    clients: Vec<Inflow>,
    pools: Vec<Pool>,
    /// By flow, as counts are kept; the services' also by pod.
    accounts: Vec<Account>,
    pods: Vec<Vec<PodAccount>>,
    services: usize,
    spreads: Vec<Spread>,
    waits: Vec<(f64, f64)>,
    window: SimDuration,
}

impl Fluid {
    pub(super) fn new(clients: usize, models: &[Model], stats: &Stats) -> Fluid {
        let flows = stats.flows.len();
        Fluid {
            now: SimTime::ZERO,
            next: SimTime::ZERO,
            stale: true,
            reroute_at: SimTime::ZERO,
            clients: (0..clients).map(|_| Inflow::default()).collect(),
            pools: Vec::new(),
            accounts: vec![Account::default(); flows],
            pods: vec![Vec::new(); models.len()],
            services: models.len(),
            spreads: models.iter().map(|model| Spread::of(model.time)).collect(),
            waits: spread::waits(),
            window: stats.window,
        }
    }

    /// There are so many pods.
    fn grow(&mut self, pods: usize) {
        if self.pools.len() < pods {
            self.pools.resize_with(pods, Pool::default);
            self.pods.iter_mut().for_each(|list| list.resize(pods, PodAccount::default()));
        }
    }

    /// Puts what there is into the counts of the run.
    pub(super) fn fill(&self, stats: &mut Stats) {
        for (at, account) in self.accounts.iter().enumerate() {
            let pods = self.pods.get(at).map_or(&[][..], |pods| pods);
            stats.fill(at, account, pods);
        }
        // Every request ended or is in some pod.
        let open: f64 = self.accounts[..self.services].iter().map(Account::open).sum();
        let begun: f64 = self.accounts[..self.services].iter().map(|account| account.begun).sum();
        let inside: f64 = self.pools.iter().map(|pool| pool.inside).sum();
        assert!((open - inside).abs() <= 1.0 + 1e-6 * begun, "{begun} begun, {open} not ended, {inside} in pods");
    }

    /// A hash of what the flows came to.
    pub(super) fn digest(&self) -> u64 {
        let parts = self.accounts.iter().flat_map(|account| std::iter::once(account.begun).chain(account.ends));
        parts.fold(0, |hash: u64, part| (hash ^ part.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
    }
}
