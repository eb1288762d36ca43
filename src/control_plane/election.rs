//! Who of several processes leads: leader election by a lease
//! (`staging/src/k8s.io/client-go/tools/leaderelection/leaderelection.go`).
//!
//! A worked example: the leader renews every 2 s and is killed at 100.7 s, its last renewal at 100.1 s. A standby looks
//! every 2 s to 4.4 s; at 102.9 s it sees that renewal, and from then on it counts its own 15 s, so the first look after
//! 117.9 s, say at 119.2 s, makes it the leader. A leader that is asked to stop and gives the lease back is followed
//! at the next look.
//!
//! Looks that could find nothing new are not taken one by one: while the leader is well they are only counted.

use crate::model::Name;
use crate::rng::Stream;
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// `--leader-elect-lease-duration`
pub const LEASE: SimDuration = SimDuration::from_secs(15);
/// `--leader-elect-renew-deadline`
const RENEW_DEADLINE: SimDuration = SimDuration::from_secs(10);
/// `--leader-elect-retry-period`
const RETRY: SimDuration = SimDuration::from_secs(2);
/// `JitterFactor`
const JITTER: f64 = 1.2;
/// From one renewal to the next: the retry period, and the request.
const RENEWAL: SimDuration = SimDuration::from_millis(2005);

/// A process that would lead.
#[derive(Debug)]
struct Candidate {
    identity: Name,
    stream: Stream,
    /// Its next look at the lease.
    next: SimTime,
    /// The renewal that it saw last, and when it saw it first.
    seen: Option<(SimTime, SimTime)>,
    /// Whether its requests are answered.
    reaches: bool,
}

impl Candidate {
    /// Looks at the lease when it is time to. Whether the lease is free to be taken.
    fn look(&mut self, holder: &Holder) -> bool {
        let now = self.next;
        self.next += RETRY.scaled(1.0 + JITTER * self.stream.unit());
        let renewal = match holder {
            _ if !self.reaches => return false,
            Holder::Nobody => return true,
            Holder::Active(_, since) => last_renewal(*since, now),
            Holder::Silent(last, _) => *last,
        };
        let (_, first) = *match &mut self.seen {
            Some(known) if known.0 == renewal => known,
            other => other.insert((renewal, now)),
        };
        now >= first + LEASE
    }
}

/// Who holds the lease.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Holder {
    /// It was never taken, or was given back.
    Nobody,
    /// A leader that renews it, from an instant on.
    Active(usize, SimTime),
    /// It was renewed for the last time then. The leader that cannot renew it any more may still be there.
    Silent(SimTime, Option<usize>),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A process leads.
    Leads(usize, Name),
    /// The leader could not renew in time and must end.
    GivesUp(usize),
}

/// The election of one component's leader.
#[derive(Debug)]
pub struct Election {
    candidates: BTreeMap<usize, Candidate>,
    holder: Holder,
}

impl Default for Election {
    fn default() -> Self {
        Election { candidates: BTreeMap::new(), holder: Holder::Nobody }
    }
}

impl Election {
    /// The process that leads, whether or not it can still renew.
    pub fn leader(&self) -> Option<usize> {
        match self.holder {
            Holder::Active(by, _) | Holder::Silent(_, Some(by)) => Some(by),
            _ => None,
        }
    }

    /// A process is ready to look at the lease.
    pub fn join(&mut self, id: usize, identity: Name, stream: Stream, now: SimTime, reaches: bool) {
        self.candidates.insert(id, Candidate { identity, stream, next: now, seen: None, reaches });
    }

    /// A process has ended. Whether it gave back the lease if it held it: it must be able to reach it for that.
    pub fn leave(&mut self, id: usize, now: SimTime, release: bool) -> bool {
        self.catch_up(now);
        let Some(gone) = self.candidates.remove(&id) else { return false };
        if self.leader() != Some(id) {
            return false;
        }
        let released = release && gone.reaches;
        self.holder = match self.holder {
            _ if released => Holder::Nobody,
            Holder::Active(_, since) => Holder::Silent(last_renewal(since, now), None),
            Holder::Silent(last, _) => Holder::Silent(last, None),
            Holder::Nobody => Holder::Nobody,
        };
        released
    }

    /// A process can reach the API server from now on, or can no longer.
    pub fn reach(&mut self, id: usize, now: SimTime, reaches: bool) {
        self.catch_up(now);
        let Some(candidate) = self.candidates.get_mut(&id) else { return };
        if std::mem::replace(&mut candidate.reaches, reaches) == reaches {
            return;
        }
        match self.holder {
            Holder::Active(by, since) if by == id => {
                self.holder = Holder::Silent(last_renewal(since, now), Some(id));
            }
            // It tries every two seconds, and so is back in time.
            Holder::Silent(_, Some(by)) if by == id => self.holder = Holder::Active(id, now),
            _ => {}
        }
    }

    /// Takes the looks that lie in the past.
    fn catch_up(&mut self, now: SimTime) {
        let leader = self.leader();
        for (_, candidate) in self.candidates.iter_mut().filter(|(id, _)| leader != Some(**id)) {
            while candidate.next < now {
                candidate.look(&self.holder);
            }
        }
    }

    /// What comes next, if nothing happens to the processes. With `every` look even while the leader is well.
    pub fn next(&self, every: bool) -> Option<SimTime> {
        let waiting = self.candidates.iter().filter(|(id, _)| self.leader() != Some(**id));
        let looks = waiting.map(|(_, candidate)| candidate.next).min();
        match self.holder {
            Holder::Active(..) if !every => None,
            Holder::Silent(last, Some(_)) => Some(looks.map_or(last + GIVE_UP, |look| look.min(last + GIVE_UP))),
            _ => looks,
        }
    }

    /// What happens at `now`: the looks that are due, and a leader that gives up.
    pub fn advance(&mut self, now: SimTime) -> Vec<Outcome> {
        self.catch_up(now);
        let mut outcomes = Vec::new();
        if let Holder::Silent(last, Some(by)) = self.holder
            && now >= last + GIVE_UP
        {
            self.holder = Holder::Silent(last, None);
            self.candidates.remove(&by);
            outcomes.push(Outcome::GivesUp(by));
        }
        let ids: Vec<usize> = self.candidates.keys().copied().collect();
        for id in ids {
            if self.leader() == Some(id) {
                continue;
            }
            let Some(candidate) = self.candidates.get_mut(&id).filter(|candidate| candidate.next == now) else {
                continue;
            };
            if candidate.look(&self.holder) {
                outcomes.push(Outcome::Leads(id, candidate.identity.clone()));
                self.holder = Holder::Active(id, now);
            }
        }
        outcomes
    }
}

/// From the last renewal to the end of a leader that finds nobody to renew with: it waits, and then it tries.
const GIVE_UP: SimDuration = SimDuration(RETRY.0 + RENEW_DEADLINE.0);

/// The last renewal before `now` of a leader that renews since `since`.
fn last_renewal(since: SimTime, now: SimTime) -> SimTime {
    since + RENEWAL * ((now - since).0 / RENEWAL.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    const SECOND: i64 = 1_000_000_000;

    /// What happens to process 0, which leads from the start; process 1 stands by. When somebody leads again.
    struct Play {
        election: Election,
        log: Vec<(f64, Outcome)>,
    }

    impl Play {
        fn new(seed: u64, every: bool) -> Self {
            let mut play = Play { election: Election::default(), log: Vec::new() };
            play.join(0, seed, 0.0);
            play.run(0.0, every);
            play.join(1, seed, 1.0);
            play
        }

        fn join(&mut self, id: usize, seed: u64, at: f64) {
            let stream = Seed(seed).stream("election", &format!("{id}@{at}"));
            self.election.join(id, format!("{id}").into(), stream, time(at), true);
        }

        fn run(&mut self, until: f64, every: bool) {
            while let Some(next) = self.election.next(every).filter(|next| *next <= time(until)) {
                let happened = self.election.advance(next);
                self.log.extend(happened.into_iter().map(|outcome| (next.as_secs_f64(), outcome)));
            }
        }

        fn leads(&self, after: f64) -> Option<(f64, usize)> {
            self.log.iter().find_map(|(t, outcome)| match outcome {
                Outcome::Leads(id, _) if *t > after => Some((*t, *id)),
                _ => None,
            })
        }
    }

    fn time(seconds: f64) -> SimTime {
        SimTime((seconds * SECOND as f64) as i64)
    }

    #[test]
    fn a_standby_takes_over_and_looks_that_are_not_taken_change_nothing() {
        for seed in 0..200 {
            let mut both = Vec::new();
            for every in [false, true] {
                // Killed at 100 s: the last renewal is up to 2 s old, it is seen within 4.4 s, the lease runs for 15 s
                // from there, and the next look is at most 4.4 s later.
                let mut killed = Play::new(seed, every);
                killed.run(100.0, every);
                assert!(!killed.election.leave(0, time(100.0), false));
                killed.run(200.0, every);
                let (at, id) = killed.leads(100.0).unwrap();
                assert!(id == 1 && (113.0..=123.8).contains(&at), "{at}");
                // Given back at 100 s: the next look.
                let mut released = Play::new(seed, every);
                released.run(100.0, every);
                assert!(released.election.leave(0, time(100.0), true));
                released.run(200.0, every);
                let (soon, _) = released.leads(100.0).unwrap();
                assert!((100.0..=104.4).contains(&soon), "{soon}");
                // Cut off at 100 s: it gives up 12 s after its last renewal.
                let mut cut = Play::new(seed, every);
                cut.run(100.0, every);
                cut.election.reach(0, time(100.0), false);
                cut.run(200.0, every);
                let gives_up = |(t, outcome): &(f64, Outcome)| (*outcome == Outcome::GivesUp(0)).then_some(*t);
                let end = cut.log.iter().find_map(gives_up).unwrap();
                assert!((109.9..=112.0).contains(&end), "{end}");
                both.push((killed.log, released.log, cut.log));
            }
            assert_eq!(both[0], both[1], "seed {seed}");
        }
    }

    #[test]
    fn a_restarted_process_waits_for_its_own_old_lease() {
        for seed in 0..50 {
            let mut election = Play::new(seed, false);
            election.run(50.0, false);
            election.election.leave(1, time(50.0), false);
            election.election.leave(0, time(60.0), false);
            // However long ago the lease ran out, it counts 15 s from its own first look.
            election.join(0, seed, 160.0);
            election.run(200.0, false);
            let (at, _) = election.leads(60.0).unwrap();
            assert!((175.0..=179.4).contains(&at), "{at}");
        }
    }
}
