//! How one backend of many is chosen for a new connection.
//!
//! * iptables: a chain of rules whose i-th of n matches with probability 1/(n-i): all equally likely
//!   (`pkg/proxy/iptables/proxier.go`).
//! * nftables: `numgen random mod n`: the same (`pkg/proxy/nftables/proxier.go`).
//! * ipvs: the kernel's schedulers (`net/netfilter/ipvs/ip_vs_*.c`), exact for equal weights.

use crate::model::proxy::{IpvsScheduler as Scheduler, ProxyMode};
use crate::rng::Stream;
use rustc_hash::FxHashMap;

/// How a node chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    /// All equally likely.
    Random,
    /// As ipvs does.
    Ipvs(Scheduler),
}

/// What a node remembers of one service between choices.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The backend that round robin gave last.
    last: Option<u32>,
    /// Connections by backend, as far as a scheduler counts them.
    active: FxHashMap<u32, u32>,
}

/// Buckets of the hashing schedulers (`IP_VS_SH_TAB_BITS`).
const TABLE_BITS: u32 = 8;

/// `hash_32` of the kernel (`include/linux/hash.h`).
fn hash_32(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(0x61C8_8647) >> (32 - bits)
}

impl Balance {
    /// That of a mode; only ipvs has schedulers.
    pub fn of(mode: ProxyMode, scheduler: Scheduler) -> Balance {
        match mode {
            ProxyMode::Ipvs => Balance::Ipvs(scheduler),
            ProxyMode::Iptables | ProxyMode::Nftables => Balance::Random,
        }
    }

    /// Whether connections have to be counted.
    pub fn counts(self) -> bool {
        matches!(self, Balance::Ipvs(Scheduler::Lc | Scheduler::Sed | Scheduler::Nq))
    }

    /// A backend for a new connection from `source` to `service` (addresses); `backends` is not empty.
    pub fn choose(
        self,
        backends: &[u32],
        memory: &mut Memory,
        (source, service): (u32, u32),
        stream: &mut Stream,
    ) -> u32 {
        // Buckets are dealt out to the backends in turn.
        let bucket = |address: u32| backends[hash_32(address, TABLE_BITS) as usize % backends.len()];
        let chosen = match self {
            Balance::Random => backends[stream.below(backends.len() as u64) as usize],
            Balance::Ipvs(Scheduler::Rr) => {
                let before = memory.last.and_then(|last| backends.iter().position(|one| *one == last));
                backends[before.map_or(0, |before| (before + 1) % backends.len())]
            }
            Balance::Ipvs(Scheduler::Dh) => bucket(service),
            Balance::Ipvs(Scheduler::Sh) => bucket(source),
            Balance::Ipvs(Scheduler::Lc | Scheduler::Sed) => memory.least(backends),
            Balance::Ipvs(Scheduler::Nq) => {
                let idle = backends.iter().find(|one| memory.of(**one) == 0);
                idle.copied().unwrap_or_else(|| memory.least(backends))
            }
        };
        memory.last = Some(chosen);
        if self.counts() {
            *memory.active.entry(chosen).or_default() += 1;
        }
        chosen
    }
}

impl Memory {
    fn of(&self, backend: u32) -> u32 {
        self.active.get(&backend).copied().unwrap_or(0)
    }

    fn least(&self, backends: &[u32]) -> u32 {
        backends.iter().copied().min_by_key(|one| self.of(*one)).expect("there is a backend")
    }

    /// A connection is over.
    pub fn closed(&mut self, backend: u32) {
        if let Some(active) = self.active.get_mut(&backend) {
            *active = active.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    /// What `n` choices among `backends` come to; a connection lasts as many choices as its backend's number says.
    fn counts(balance: Balance, backends: &[u32], n: usize) -> Vec<usize> {
        let (mut memory, mut stream) = (Memory::default(), Seed(1).stream("balance", "test"));
        let mut counts = vec![0; backends.len()];
        for source in 0..n {
            let chosen = balance.choose(backends, &mut memory, (0x0af4_0000 + source as u32, 0x0a60_000a), &mut stream);
            counts[backends.iter().position(|one| *one == chosen).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn iptables_is_uniform() {
        // Chi-square with 9 degrees of freedom: 27.88 is exceeded by one true uniform split in a thousand.
        let (n, k) = (100_000, 10);
        let expected = (n / k) as f64;
        let split = counts(Balance::Random, &(0..10).collect::<Vec<_>>(), n);
        let chi: f64 = split.iter().map(|have| (*have as f64 - expected).powi(2) / expected).sum();
        assert!(chi < 27.88, "{chi}: {split:?}");
    }

    #[test]
    fn ipvs_is_exact() {
        let three = [7, 8, 9];
        assert_eq!(counts(Balance::Ipvs(Scheduler::Rr), &three, 10), [4, 3, 3]);
        // Nothing is ever closed, so all count and the least is the next.
        assert_eq!(counts(Balance::Ipvs(Scheduler::Lc), &three, 10), [4, 3, 3]);
        assert_eq!(counts(Balance::Ipvs(Scheduler::Nq), &three, 11), [4, 4, 3]);
        // One destination address, one backend.
        assert_eq!(counts(Balance::Ipvs(Scheduler::Dh), &three, 10).iter().filter(|n| **n > 0).count(), 1);
        assert!(counts(Balance::Ipvs(Scheduler::Sh), &three, 300).iter().all(|n| (60..=140).contains(n)));
    }

    #[test]
    fn least_connections_follows_what_is_closed() {
        let (mut memory, mut stream) = (Memory::default(), Seed(1).stream("balance", "test"));
        let mut next =
            |memory: &mut Memory| Balance::Ipvs(Scheduler::Lc).choose(&[1, 2, 3], memory, (0, 0), &mut stream);
        assert_eq!([(); 3].map(|()| next(&mut memory)), [1, 2, 3]);
        memory.closed(2);
        assert_eq!(next(&mut memory), 2);
        memory.closed(3);
        memory.closed(1);
        assert_eq!([(); 2].map(|()| next(&mut memory)), [1, 3]);
    }

    #[test]
    fn round_robin_goes_on_where_it_was() {
        let (mut memory, mut stream) = (Memory::default(), Seed(1).stream("balance", "test"));
        let mut next =
            |backends: &[u32]| Balance::Ipvs(Scheduler::Rr).choose(backends, &mut memory, (0, 0), &mut stream);
        assert_eq!([next(&[1, 2, 3]), next(&[1, 2, 3]), next(&[1, 2, 3, 4]), next(&[1, 2, 3, 4])], [1, 2, 3, 4]);
        // The last one is gone: from the beginning.
        assert_eq!([next(&[1, 2]), next(&[1, 2])], [1, 2]);
    }
}
