//! Where pods wait for their turn: active, backing off, unschedulable
//! (`pkg/scheduler/backend/queue/{scheduling_queue,active_queue,backoff_queue}.go`).
//!
//! One thing to know: a decision takes no virtual time here, but a binding does, and so does waiting for Permit.
//! What happens meanwhile is kept ([`super::in_flight`]).

use super::hint::{Hint, Occasion};
use super::in_flight::InFlight;
use super::plugin::QueueRank;
use super::pod_info::PodInfo;
use crate::model::Name;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Namespace and name.
pub type PodKey = (Name, Name);

/// Times of the queue (`pkg/scheduler/apis/config/v1/defaults.go`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueSettings {
    /// First backoff.
    pub initial_backoff: SimDuration,
    /// Longest backoff.
    pub max_backoff: SimDuration,
    /// Longest stay among the unschedulable.
    pub unschedulable_timeout: SimDuration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            initial_backoff: SimDuration::from_secs(1),
            max_backoff: SimDuration::from_secs(10),
            unschedulable_timeout: SimDuration::from_secs(300),
        }
    }
}

/// How often the unschedulable are looked through.
const FLUSH_INTERVAL: i64 = 30;
const SECOND: SimDuration = SimDuration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Active,
    /// Until this instant, cut to whole seconds.
    Backoff(SimTime),
    ErrorBackoff(SimTime),
    Unschedulable,
    /// Being decided on or bound.
    InFlight,
}

/// A pod and its history in the queue.
#[derive(Clone, Debug)]
pub struct QueuedPod {
    /// The pod in its newest version.
    pub info: PodInfo,
    /// When it was last added or failed.
    pub since: SimTime,
    /// Turns so far.
    pub attempts: u32,
    /// Turns that ended with no place.
    pub unschedulable_count: u32,
    /// Turns in a row that ended with an error that no plugin is to blame for.
    pub consecutive_errors: u32,
    /// The plugins that rejected it last time.
    pub rejectors: Vec<&'static str>,
    /// The plugin that keeps it out of the queue.
    pub gated_by: Option<&'static str>,
    place: Place,
    /// Where the events begin that happened since its turn began, while it is in flight.
    mark: Option<u64>,
    /// Changes with every move; an entry of another number is stale.
    ticket: u64,
}

/// Which comes first, and which plugin keeps a pod out: what the profile says.
pub trait Rules {
    /// What of a pod is compared.
    fn rank(&self, _pod: &PodInfo, own: QueueRank) -> QueueRank {
        own
    }
    /// Order of waiting pods.
    fn compare(&self, a: QueueRank, b: QueueRank) -> Ordering;
    /// The plugin that keeps the pod out of the queue.
    fn gate(&self, pod: &PodInfo) -> Option<&'static str>;
    /// Whether one of the plugins that rejected the pod thinks that it may fit after `occasion`.
    fn helps(&self, pod: &QueuedPod, occasion: &Occasion<'_>) -> Hint;
    /// Whether no pod that this plugin rejected needs to be asked about after such an occasion.
    fn ignores(&self, _plugin: &str, _occasion: &Occasion<'_>) -> bool {
        false
    }
}

/// A binary heap whose order is given with each call.
#[derive(Debug, Default)]
struct Heap(Vec<(QueueRank, u64, PodKey)>);

impl Heap {
    fn before(&self, a: usize, b: usize, rules: &dyn Rules) -> bool {
        let (a, b) = (&self.0[a], &self.0[b]);
        let by_name = || if a.0.by_name && b.0.by_name { a.2.cmp(&b.2) } else { Ordering::Equal };
        rules.compare(a.0, b.0).then_with(by_name).then(a.1.cmp(&b.1)) == Ordering::Less
    }

    fn push(&mut self, item: (QueueRank, u64, PodKey), rules: &dyn Rules) {
        self.0.push(item);
        let mut at = self.0.len() - 1;
        while at > 0 && self.before(at, (at - 1) / 2, rules) {
            self.0.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn pop(&mut self, rules: &dyn Rules) -> Option<(QueueRank, u64, PodKey)> {
        let last = self.0.len().checked_sub(1)?;
        self.0.swap(0, last);
        let first = self.0.pop();
        let mut at = 0;
        loop {
            let children = (2 * at + 1)..(2 * at + 3).min(self.0.len());
            let best = children.fold(at, |best, child| if self.before(child, best, rules) { child } else { best });
            if best == at {
                return first;
            }
            self.0.swap(at, best);
            at = best;
        }
    }
}

/// The order in which backoffs end.
type BackoffKey = (SimTime, std::cmp::Reverse<i32>, SimTime, u64);

/// All waiting pods.
#[derive(Debug, Default)]
pub struct SchedulingQueue {
    settings: QueueSettings,
    pods: FxHashMap<PodKey, QueuedPod>,
    active: Heap,
    active_count: usize,
    backoff: BTreeMap<BackoffKey, PodKey>,
    error_backoff: BTreeMap<BackoffKey, PodKey>,
    unschedulable: BTreeSet<(SimTime, u64, PodKey)>,
    gated: BTreeSet<PodKey>,
    in_flight: InFlight,
    /// How many of the unschedulable each plugin rejected.
    blamed: BTreeMap<&'static str, usize>,
    tickets: u64,
}

impl SchedulingQueue {
    /// An empty queue.
    pub fn new(settings: QueueSettings) -> Self {
        SchedulingQueue { settings, ..SchedulingQueue::default() }
    }

    /// Whether a pod can have its turn now.
    pub fn has_next(&self) -> bool {
        self.active_count > 0 || !self.backoff.is_empty()
    }

    /// Pods that wait or are in flight.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether it knows no pod.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// The pod's entry.
    pub fn get(&self, key: &PodKey) -> Option<&QueuedPod> {
        self.pods.get(key)
    }

    fn blame(&mut self, key: &PodKey, more: bool) {
        for plugin in self.pods.get(key).into_iter().flat_map(|pod| &pod.rejectors) {
            let count = self.blamed.entry(plugin).or_default();
            *count = if more { *count + 1 } else { *count - 1 };
            if *count == 0 {
                self.blamed.remove(plugin);
            }
        }
    }

    /// A new pod.
    pub fn add(&mut self, info: PodInfo, now: SimTime, rules: &dyn Rules) {
        let key = key_of(&info);
        self.delete(&key);
        self.pods.insert(
            key.clone(),
            QueuedPod {
                info,
                since: now,
                attempts: 0,
                unschedulable_count: 0,
                consecutive_errors: 0,
                rejectors: Vec::new(),
                gated_by: None,
                place: Place::InFlight,
                mark: None,
                ticket: 0,
            },
        );
        self.enter(&key, Place::Active, rules);
    }

    /// A new version of a waiting pod. It keeps its place unless it lies among the unschedulable and the `change`,
    /// if it is one that matters, may let it in.
    pub fn update(&mut self, info: PodInfo, change: Option<&Occasion<'_>>, now: SimTime, rules: &dyn Rules) {
        let key = key_of(&info);
        let Some(pod) = self.pods.get_mut(&key) else { return self.add(info, now, rules) };
        pod.info = info;
        let helps = |pod: &QueuedPod| change.is_some_and(|change| rules.helps(pod, change) == Hint::Queue);
        if pod.place == Place::Unschedulable && (pod.gated_by.is_some() || helps(pod)) {
            self.requeue(&key, now, rules);
        } else if let (Place::InFlight, Some(change)) = (pod.place, change) {
            self.in_flight.note(change);
        }
    }

    /// The pod is gone or bound. Whether it was known.
    pub fn delete(&mut self, key: &PodKey) -> bool {
        self.leave(key);
        self.gated.remove(key);
        let known = self.pods.remove(key);
        known.as_ref().and_then(|pod| pod.mark).inspect(|mark| self.in_flight.land(*mark));
        known.is_some()
    }

    /// The next pod's turn. When nobody is active, the first that backs off need not wait any longer.
    pub fn pop(&mut self, rules: &dyn Rules) -> Option<QueuedPod> {
        let key = loop {
            match self.active.pop(rules) {
                Some((_, ticket, key)) => match self.pods.get(&key) {
                    Some(pod) if pod.ticket == ticket && pod.place == Place::Active => break key,
                    _ => continue,
                },
                None => break self.backoff.first_key_value()?.1.clone(),
            }
        };
        self.leave(&key);
        let pod = self.pods.get_mut(&key).expect("a live entry has its pod");
        pod.attempts += 1;
        pod.mark = Some(self.in_flight.take_off());
        Some(pod.clone())
    }

    /// The pod's turn ended without a place: `rejectors` are to blame, or nobody is. What happened since its turn
    /// began may bring it back at once, after its backoff (`determineSchedulingHintForInFlightPod`).
    pub fn failed(&mut self, key: &PodKey, rejectors: Vec<&'static str>, now: SimTime, rules: &dyn Rules) {
        let Some(pod) = self.pods.get_mut(key) else { return };
        pod.since = now;
        match rejectors.is_empty() {
            true => pod.consecutive_errors += 1,
            false => {
                pod.unschedulable_count += 1;
                pod.consecutive_errors = 0;
            }
        }
        let nobody = rejectors.is_empty();
        pod.rejectors = rejectors;
        let mark = pod.mark.take();
        let missed = |mark: u64| self.in_flight.since(mark).any(|occasion| rules.helps(pod, &occasion) == Hint::Queue);
        let again = nobody || mark.is_some_and(missed);
        mark.into_iter().for_each(|mark| self.in_flight.land(mark));
        match again {
            true => self.requeue(key, now, rules),
            false => self.enter(key, Place::Unschedulable, rules),
        }
    }

    /// Something happened: pods that it helps may try again, after their backoff; `but` is not asked.
    pub fn wake(&mut self, occasion: &Occasion<'_>, but: Option<&PodKey>, now: SimTime, rules: &dyn Rules) {
        self.in_flight.note(occasion);
        if self.blamed.keys().all(|plugin| rules.ignores(plugin, occasion)) {
            return;
        }
        let waiting: Vec<PodKey> = self.unschedulable.iter().map(|(_, _, key)| key.clone()).collect();
        for key in waiting.iter().filter(|key| Some(*key) != but) {
            if self.pods.get(key).is_some_and(|pod| rules.helps(pod, occasion) == Hint::Queue) {
                self.requeue(key, now, rules);
            }
        }
    }

    /// Moves what has waited long enough: ended backoffs, and those too long among the unschedulable.
    pub fn flush(&mut self, now: SimTime, rules: &dyn Rules) {
        for errors in [false, true] {
            loop {
                let queue = if errors { &self.error_backoff } else { &self.backoff };
                let Some(((expiry, ..), key)) = queue.first_key_value() else { break };
                if *expiry >= now.truncated() {
                    break;
                }
                let key = key.clone();
                self.leave(&key);
                self.enter(&key, Place::Active, rules);
            }
        }
        while let Some((since, _, key)) = self.unschedulable.first() {
            if self.timeout_of(*since) > now {
                break;
            }
            let key = key.clone();
            self.requeue(&key, now, rules);
        }
    }

    /// When [`Self::flush`] has something to do next.
    pub fn next_flush(&self) -> Option<SimTime> {
        let backoffs = [&self.backoff, &self.error_backoff];
        let ends =
            backoffs.into_iter().filter_map(|queue| queue.first_key_value()).map(|((expiry, ..), _)| *expiry + SECOND);
        ends.chain(self.unschedulable.first().map(|(since, ..)| self.timeout_of(*since))).min()
    }

    /// The first look through the unschedulable at which a pod waiting `since` then is overdue.
    fn timeout_of(&self, since: SimTime) -> SimTime {
        let due = (since + self.settings.unschedulable_timeout).whole_seconds();
        SimTime::from_secs((due.div_euclid(FLUSH_INTERVAL) + 1) * FLUSH_INTERVAL)
    }

    /// To the active queue, or first to the end of its backoff.
    fn requeue(&mut self, key: &PodKey, now: SimTime, rules: &dyn Rules) {
        self.leave(key);
        let Some(pod) = self.pods.get(key) else { return };
        let expiry = self.backoff_expiry(pod);
        let place = match (expiry >= now.truncated(), pod.consecutive_errors > 0) {
            (false, _) => Place::Active,
            (true, false) => Place::Backoff(expiry),
            (true, true) => Place::ErrorBackoff(expiry),
        };
        self.enter(key, place, rules);
    }

    fn backoff_expiry(&self, pod: &QueuedPod) -> SimTime {
        let count = if pod.consecutive_errors > 0 { pod.consecutive_errors } else { pod.unschedulable_count };
        if count == 0 {
            // Earlier than any instant: a run may begin before zero.
            return SimTime(i64::MIN);
        }
        let doubled = self.settings.initial_backoff * (1i64 << (count - 1).min(30));
        (pod.since + doubled.min(self.settings.max_backoff)).truncated()
    }

    fn enter(&mut self, key: &PodKey, place: Place, rules: &dyn Rules) {
        let Some(pod) = self.pods.get_mut(key) else { return };
        self.tickets += 1;
        pod.ticket = self.tickets;
        pod.gated_by = if place == Place::Unschedulable { None } else { rules.gate(&pod.info) };
        pod.place = if pod.gated_by.is_some() { Place::Unschedulable } else { place };
        let own = QueueRank { priority: pod.info.pod.spec.priority, since: pod.since, by_name: false };
        let rank = rules.rank(&pod.info, own);
        let backoff_key = |expiry| (expiry, std::cmp::Reverse(own.priority), own.since, pod.ticket);
        match pod.place {
            Place::Active => {
                self.active.push((rank, pod.ticket, key.clone()), rules);
                self.active_count += 1;
            }
            Place::Backoff(expiry) => {
                self.backoff.insert(backoff_key(expiry), key.clone());
            }
            Place::ErrorBackoff(expiry) => {
                self.error_backoff.insert(backoff_key(expiry), key.clone());
            }
            Place::Unschedulable if pod.gated_by.is_some() => {
                self.gated.insert(key.clone());
            }
            Place::Unschedulable => {
                self.unschedulable.insert((pod.since, pod.ticket, key.clone()));
                self.blame(key, true);
            }
            Place::InFlight => {}
        }
    }

    fn leave(&mut self, key: &PodKey) {
        let Some(pod) = self.pods.get_mut(key) else { return };
        let place = std::mem::replace(&mut pod.place, Place::InFlight);
        let rank = (std::cmp::Reverse(pod.info.pod.spec.priority), pod.since, pod.ticket);
        let backoff_key = |expiry| (expiry, rank.0, rank.1, rank.2);
        match place {
            Place::Active => self.active_count -= 1,
            Place::Backoff(expiry) => {
                self.backoff.remove(&backoff_key(expiry));
            }
            Place::ErrorBackoff(expiry) => {
                self.error_backoff.remove(&backoff_key(expiry));
            }
            Place::Unschedulable => {
                let was_there = self.unschedulable.remove(&(pod.since, pod.ticket, key.clone()));
                self.gated.remove(key);
                if was_there {
                    self.blame(key, false);
                }
            }
            Place::InFlight => {}
        }
    }
}

/// The key of a pod.
pub fn key_of(info: &PodInfo) -> PodKey {
    (info.pod.meta.namespace.clone(), info.pod.meta.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder;
    use crate::scheduler::snapshot::Snapshot;
    use std::sync::Arc;

    struct Fifo;

    impl Rules for Fifo {
        fn compare(&self, a: QueueRank, b: QueueRank) -> Ordering {
            a.since.cmp(&b.since)
        }
        fn gate(&self, _: &PodInfo) -> Option<&'static str> {
            None
        }
        /// One plugin knows nodes, the other knows pods that go.
        fn helps(&self, pod: &QueuedPod, occasion: &Occasion<'_>) -> Hint {
            Hint::from(pod.rejectors.iter().any(|plugin| {
                matches!((*plugin, occasion), ("Nodes", Occasion::NodeAdd(_)) | ("Pods", Occasion::PodDelete(_)))
            }))
        }
    }

    /// A pod's turn begins after the first of three events and ends without a place: (what happens, who is to
    /// blame, whether it is tried again after its backoff of a second rather than at the flush after 5 minutes).
    #[test]
    fn what_happens_in_flight_is_not_missed() {
        let node = Arc::new(builder::node("n", 1, 1, 1));
        let gone = Arc::new(builder::pod("gone", builder::spec("image", 1, 1)));
        let (node, gone) = (Occasion::NodeAdd(&node), Occasion::PodDelete(&gone));
        let nothing: [&Occasion<'_>; 0] = [];
        type Occasions<'a> = &'a [&'a Occasion<'a>];
        let table: [(Occasions<'_>, Occasions<'_>, Vec<&'static str>, bool); 6] = [
            (&nothing, &[&node], vec!["Nodes"], true),
            (&nothing, &[&gone, &node, &gone], vec!["Nodes"], true),
            (&nothing, &[&gone], vec!["Nodes"], false),
            (&nothing, &[&gone], vec!["Nodes", "Pods"], true),
            // What happened before its turn, it has seen.
            (&[&node], &[&gone], vec!["Nodes"], false),
            (&nothing, &nothing, vec!["Nodes"], false),
        ];
        for (before, during, rejectors, again) in table {
            let mut queue = SchedulingQueue::new(QueueSettings::default());
            // Another pod is in flight all the time: the log goes back further than this one's turn.
            for name in ["other", "a"] {
                let pod = Arc::new(builder::pod(name, builder::spec("image", 1, 1)));
                queue.add(Snapshot::default().compile(&pod), SimTime::ZERO, &Fifo);
            }
            let other = key_of(&queue.pop(&Fifo).unwrap().info);
            before.iter().for_each(|occasion| queue.wake(occasion, None, SimTime::ZERO, &Fifo));
            let key = key_of(&queue.pop(&Fifo).unwrap().info);
            during.iter().for_each(|occasion| queue.wake(occasion, None, SimTime::ZERO, &Fifo));
            queue.failed(&key, rejectors.clone(), SimTime::ZERO, &Fifo);
            let expected = if again { 2 } else { 330 };
            assert_eq!(queue.next_flush(), Some(SimTime::from_secs(expected)), "{during:?} {rejectors:?}");
            assert_eq!(queue.in_flight.len(), before.len() + during.len());
            queue.delete(&other);
            assert_eq!(queue.in_flight.len(), 0, "nobody is in flight: nothing is kept");
        }
    }

    fn failed_once(at: SimTime, rejectors: Vec<&'static str>) -> SchedulingQueue {
        let mut queue = SchedulingQueue::new(QueueSettings::default());
        let pod = Arc::new(builder::pod("a", builder::spec("image", 1, 1)));
        queue.add(Snapshot::default().compile(&pod), at, &Fifo);
        let popped = queue.pop(&Fifo).unwrap();
        queue.failed(&key_of(&popped.info), rejectors, at, &Fifo);
        queue
    }

    /// Failed at t: the expiry is t + 1 s cut to whole seconds, and holds through its second. Unschedulable
    /// pods are overdue at the first half minute after t + 300 s. Both hold on either side of zero.
    #[test]
    fn flushes_come_in_time() {
        for (failed_at_ms, error_ends_s, timeout_s) in
            [(300, 2, 330), (0, 2, 330), (29_999, 31, 330), (30_000, 32, 360), (-19_700, -18, 300), (-31_000, -29, 270)]
        {
            let at = SimTime(failed_at_ms * 1_000_000);
            let ends = failed_once(at, Vec::new()).next_flush();
            assert_eq!(ends, Some(SimTime::from_secs(error_ends_s)), "error at {failed_at_ms} ms");
            let overdue = failed_once(at, vec!["NodeName"]).next_flush();
            assert_eq!(overdue, Some(SimTime::from_secs(timeout_s)), "rejected at {failed_at_ms} ms");
        }
    }

    #[test]
    fn a_pod_without_failures_never_backs_off() {
        let before_zero = SimTime::from_secs(-20);
        let mut queue = SchedulingQueue::new(QueueSettings::default());
        let pod = Arc::new(builder::pod("a", builder::spec("image", 1, 1)));
        queue.add(Snapshot::default().compile(&pod), before_zero, &Fifo);
        let key = key_of(&queue.pop(&Fifo).unwrap().info);
        queue.requeue(&key, before_zero, &Fifo);
        assert_eq!((queue.has_next(), queue.next_flush()), (true, None));
    }
}
