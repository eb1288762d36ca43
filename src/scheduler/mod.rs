//! The scheduler: kube-scheduler's decisions as a controller.
//!
//! One turn, top to bottom, is [`Scheduler::attempt`]: take the next pod, decide, assume, reserve, permit,
//! bind in the background; or say why not and put it back (`pkg/scheduler/schedule_one.go`). What the
//! scheduler hears goes to the snapshot and the queue first ([`hear`]).
//!
//! One thing to know: a pod counts on its node from the moment it is assumed. The bound pod that the watch
//! brings takes its place; a refused binding takes it back.

pub mod config;
pub mod cycle;
pub mod explain;
pub mod fit_error;
pub mod gpu;
mod hear;
pub mod hint;
mod in_flight;
pub mod listers;
mod memory;
pub mod node_order;
pub mod nominated;
pub mod plugin;
pub mod plugins;
pub mod pod_info;
mod pre_bind;
pub mod predicates;
pub mod preemption;
pub mod profile;
pub mod queue;
pub mod snapshot;
pub mod storage;
pub mod strategies;
pub mod tally;
pub mod what_if;

use crate::model::{Condition, Key, Kind, Name, Node, Object, Pod, Truth, condition};
use crate::name;
use crate::rng::Seed;
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Patch, Preconditions, StoreError, View, Write, Written};
use crate::time::{SimDuration, SimTime};
use cycle::{Framework, Outcome, select_host};
use explain::{Explanation, Explanations};
use fit_error::FitError;
use hint::{Hint, Occasion};
use nominated::Nominated;
use plugin::{NodeId, Permit, Plugin, Point, QueueRank, Reasons};
use pod_info::PodInfo;
use preemption::{Candidate, Preemption};
use profile::Profile;
use queue::{PodKey, QueueSettings, QueuedPod, Rules, SchedulingQueue};
use rustc_hash::FxHashMap;
use snapshot::Snapshot;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use what_if::WhatIf;

/// How a scheduler is set up.
#[derive(Clone)]
pub struct Options {
    /// Its profiles; the first one's QueueSort orders the queue.
    pub profiles: Vec<Profile>,
    /// Times of the queue.
    pub queue: QueueSettings,
    /// Turns in one reconcile. 1 where a turn takes time (the runtime's `work_time`).
    pub turns: usize,
    /// Pods, by name or the beginning of it, whose decisions are to be explained.
    pub explain: Vec<Name>,
    /// The run's seed: where preemption begins to look is drawn from it.
    pub seed: Seed,
    /// What would let those in that fit nowhere, if that is wanted.
    pub what_if: Option<Pools>,
}

/// A node of each pool and zone, as one more would join.
pub type Pools = Arc<[(Name, Arc<Node>)]>;

impl Default for Options {
    fn default() -> Self {
        let profiles = vec![Profile::default()];
        Options {
            profiles,
            queue: QueueSettings::default(),
            turns: 1,
            explain: Vec::new(),
            seed: Seed(1),
            what_if: None,
        }
    }
}

/// A pod that is counted on a node where it is not bound yet.
struct Assumed {
    pod: QueuedPod,
    node: Name,
    /// The annotation that the binding writes.
    note: Option<(Name, Name)>,
    /// Held by Permit until then; `None` once the binding is under way.
    held_until: Option<SimTime>,
    /// Who holds it.
    held_by: &'static str,
}

/// How a binding ended.
enum News {
    /// The pod has its node.
    Bound(Arc<Pod>, Name),
    /// The API server refused.
    Refused(Box<QueuedPod>, String),
}

/// kube-scheduler.
pub struct Scheduler {
    frameworks: Vec<Framework>,
    /// Whether a plugin looks at what containers use.
    measures: bool,
    /// Whether a plugin wants to be told of every pod.
    follows_pods: bool,
    snapshot: Snapshot,
    queue: SchedulingQueue,
    nominated: Nominated,
    assumed: FxHashMap<PodKey, Assumed>,
    /// Those of them whose binding is being prepared.
    preparing: BTreeMap<PodKey, pre_bind::Preparing>,
    /// Bindings that ended since the last reconcile, to be reported by it.
    news: Vec<News>,
    turns: usize,
    /// When the last turn was.
    last_turn: Option<SimTime>,
    explain: Vec<Name>,
    what_if: Option<Pools>,
    explanations: Explanations,
}

/// What the profiles say about waiting pods.
struct ProfileRules<'a>(&'a [Framework]);

impl ProfileRules<'_> {
    /// The one that orders the queue.
    fn sort(&self) -> Option<&dyn Plugin> {
        self.0.iter().flat_map(|framework| framework.profile.at(Point::QueueSort)).map(|(_, plugin)| plugin).next()
    }
}

impl Rules for ProfileRules<'_> {
    fn rank(&self, pod: &PodInfo, own: QueueRank) -> QueueRank {
        self.sort().map_or(own, |plugin| plugin.rank(&pod.pod, own))
    }

    fn compare(&self, a: QueueRank, b: QueueRank) -> Ordering {
        self.sort().map_or(Ordering::Equal, |plugin| plugin.compare(a, b))
    }

    fn gate(&self, pod: &PodInfo) -> Option<&'static str> {
        let framework = self.0.iter().find(|f| f.profile.scheduler_name == pod.spec.spec.scheduler_name)?;
        let mut gates = framework.profile.at(Point::PreEnqueue);
        gates.find(|(_, plugin)| plugin.pre_enqueue(&pod.pod).is_some()).map(|(_, plugin)| plugin.name())
    }

    fn helps(&self, pod: &QueuedPod, occasion: &Occasion<'_>) -> Hint {
        self.asks(pod, occasion)
    }

    fn ignores(&self, plugin: &str, occasion: &Occasion<'_>) -> bool {
        let mut known = self.0.iter().filter_map(|f| f.profile.index(plugin).map(|at| &f.profile.plugins[at]));
        known.all(|plugin| plugin.ignores(occasion))
    }
}

const FAILED_SCHEDULING: Name = name!("FailedScheduling");

impl Scheduler {
    /// A scheduler that knows nothing yet.
    pub fn new(options: Options) -> Self {
        let mut snapshot = Snapshot::default();
        let any = |asks: fn(&dyn Plugin) -> bool| {
            options.profiles.iter().any(|profile| profile.plugins.iter().any(|plugin| asks(&**plugin)))
        };
        let (measures, follows_pods) = (any(|plugin| plugin.measures()), any(|plugin| plugin.follows_pods()));
        let framework = |profile: Profile| {
            let offsets = Some(options.seed.stream("scheduler/preemption", &profile.scheduler_name));
            Framework { offsets, ..Framework::new(profile, &mut snapshot) }
        };
        let frameworks = options.profiles.into_iter().map(framework).collect();
        Scheduler {
            frameworks,
            measures,
            follows_pods,
            snapshot,
            queue: SchedulingQueue::new(options.queue),
            nominated: Nominated::default(),
            assumed: FxHashMap::default(),
            preparing: BTreeMap::new(),
            news: Vec::new(),
            turns: options.turns.max(1),
            last_turn: None,
            explain: options.explain,
            what_if: options.what_if,
            explanations: Explanations::default(),
        }
    }

    /// The same scheduler, its explanations going to `explanations`: several schedulers may share one place.
    #[must_use]
    pub fn explaining_to(mut self, explanations: Explanations) -> Self {
        self.explanations = explanations;
        self
    }

    /// Where the explanations of the pods named in the options will be found.
    pub fn explanations(&self) -> Explanations {
        self.explanations.clone()
    }

    /// The key under which it runs.
    fn key() -> Key {
        Key::cluster(Kind::Lease, name!("kube-scheduler"))
    }

    /// One turn.
    fn attempt(&mut self, cx: &mut Cx<'_>) {
        let Some(queued) = self.queue.pop(&ProfileRules(&self.frameworks)) else { return };
        let key = queue::key_of(&queued.info);
        let pod = queued.info.pod.clone();
        if pod.meta.deleting() {
            let message = format!("skip schedule deleting pod: {}/{}", key.0, key.1);
            cx.event(&Object::Pod(pod.clone()), true, pod.spec.scheduler_name.clone(), FAILED_SCHEDULING, message);
            self.queue.delete(&key);
            return;
        }
        let Some(at) = self.framework_of(&pod) else { return };
        let explain = self.explain.iter().any(|wanted| pod.meta.name.starts_with(wanted.as_str()));
        let decision = self.frameworks[at].decide(&mut self.snapshot, &self.nominated, &queued.info, explain);
        match decision.outcome {
            Outcome::Unfit(fit) => {
                if let Some(record) = decision.record {
                    let mut explanation = Explanation::unfit(cx.now, &queued, *record, fit.to_string());
                    explanation.what_if = self.what_if(at, &queued.info, &fit, decision.preemption.as_deref());
                    self.explanations.add(explanation);
                }
                self.no_place(cx, queued, *fit, decision.preemption);
            }
            Outcome::Fits(scored) => {
                let winner = select_host(&scored).expect("a pod that fits has a node");
                if let Some(record) = decision.record {
                    let names =
                        scored.iter().map(|(node, total)| (self.snapshot.name(*node).clone(), *total)).collect();
                    self.explanations.add(Explanation::fits(cx.now, &queued, *record, names, winner));
                }
                self.take_place(cx, queued, scored[winner].0, at);
            }
        }
    }

    /// What would let the pod in, if that is wanted and no preemption will.
    fn what_if(&mut self, at: usize, pod: &PodInfo, fit: &FitError, found: Option<&Preemption>) -> Option<WhatIf> {
        let pools = self.what_if.as_ref().filter(|_| found.is_none_or(|found| found.chosen.is_none()))?;
        Some(what_if::explore(&self.frameworks[at], &mut self.snapshot, &self.nominated, pod, fit, pools))
    }

    fn framework_of(&self, pod: &Pod) -> Option<usize> {
        self.frameworks.iter().position(|framework| framework.profile.scheduler_name == pod.spec.scheduler_name)
    }

    /// Assume, reserve, permit, and off to the binding.
    fn take_place(&mut self, cx: &mut Cx<'_>, queued: QueuedPod, node: NodeId, at: usize) {
        let note = self.frameworks[at].assign(&self.snapshot, &queued.info, node);
        let node = self.snapshot.name(node).clone();
        let key = queue::key_of(&queued.info);
        let mut bound = Pod::clone(&queued.info.pod);
        bound.node = Some(node.clone());
        if let Some((key, value)) = &note {
            bound.meta.annotations = bound.meta.annotations.with(key.clone(), value.clone());
        }
        let info = PodInfo { pod: Arc::new(bound), spec: queued.info.spec.clone() };
        self.snapshot.place(info, &node);
        self.nominated.remove(&key.0, &key.1);
        let reserved: Result<(), (&'static str, Reasons)> =
            self.frameworks[at].profile.at(Point::Reserve).try_for_each(|(_, plugin)| {
                plugin.reserve(&queued.info, &node).map_err(|reasons| (plugin.name(), reasons))
            });
        self.assumed.insert(key.clone(), Assumed { pod: queued, node, note, held_until: None, held_by: "" });
        match reserved {
            Err((plugin, reasons)) => self.give_up(cx, &key, Some(plugin), &reasons.join(", ")),
            Ok(()) => self.ask_permission(cx, &key, at),
        }
    }

    /// Permit: bind now, hold, or give up. Held pods are asked again after every turn.
    fn ask_permission(&mut self, cx: &mut Cx<'_>, key: &PodKey, at: usize) {
        let Some(assumed) = self.assumed.get_mut(key) else { return };
        let mut hold: Option<(SimDuration, &'static str)> = None;
        let mut rejected: Option<(&'static str, Reasons)> = None;
        for (_, plugin) in self.frameworks[at].profile.at(Point::Permit) {
            match plugin.permit(&assumed.pod.info, &assumed.node) {
                Permit::Allow => {}
                Permit::Wait(longest) => {
                    let new = (longest, plugin.name());
                    hold = Some(hold.filter(|(other, _)| *other <= longest).unwrap_or(new));
                }
                Permit::Reject(reasons) => rejected = Some((plugin.name(), reasons)),
            }
        }
        if let Some((plugin, reasons)) = rejected {
            return self.give_up(cx, key, Some(plugin), &reasons.join(", "));
        }
        match hold {
            Some((longest, by)) => {
                assumed.held_until.get_or_insert(cx.now + longest);
                assumed.held_by = by;
            }
            None => {
                assumed.held_until = None;
                self.prepare(cx, key, at);
            }
        }
    }

    /// Off to the API server.
    fn bind(&mut self, cx: &mut Cx<'_>, key: &PodKey) {
        let Some(assumed) = self.assumed.get(key) else { return };
        let pod = &assumed.pod.info.pod;
        let (node, note) = (assumed.node.clone(), assumed.note.clone());
        cx.background(vec![Write::Bind { pod: pod_key(pod), uid: pod.meta.uid, node, note }]);
    }

    /// The pod fits nowhere: make room if that helps, say so, and put it where it waits for better times.
    fn no_place(&mut self, cx: &mut Cx<'_>, queued: QueuedPod, fit: FitError, found: Option<Box<Preemption>>) {
        let pod = &queued.info.pod;
        let found = found.filter(|found| found.eligible);
        let chosen = found.as_ref().and_then(|found| found.chosen.map(|at| &found.candidates[at]));
        let mut nomination = None;
        if let Some(candidate) = chosen {
            let node = self.snapshot.name(candidate.node).clone();
            self.evict(cx, pod, &node, candidate);
            self.nominated.add(pod, &node);
            nomination = Some(Patch::NominatedNode(Some(node)));
        } else if found.is_some() && pod.status.nominated_node.is_some() {
            self.nominated.remove(&pod.meta.namespace, &pod.meta.name);
            nomination = Some(Patch::NominatedNode(None));
        }
        report_failure(cx, &queued, &fit.to_string(), name!("Unschedulable"), nomination);
        let key = queue::key_of(&queued.info);
        self.queue.failed(&key, fit.plugins(), cx.now, &ProfileRules(&self.frameworks));
    }

    /// Sends the victims away, and takes their nomination from pods of lower priority that wait for the node
    /// (`pkg/scheduler/framework/preemption/executor.go`).
    fn evict(&mut self, cx: &mut Cx<'_>, pod: &Pod, node: &Name, candidate: &Candidate) {
        for victim in &candidate.victims {
            let victim = &victim.pod;
            let source = pod.spec.scheduler_name.clone();
            let message = format!("{source}: preempting to accommodate a higher priority pod");
            let target =
                Condition::new(name!("DisruptionTarget"), Truth::True, name!("PreemptionByScheduler"), message, cx.now);
            let still_this = Preconditions::uid(victim.meta.uid);
            let options = DeleteOptions { preconditions: still_this, ..DeleteOptions::default() };
            let patch = Write::Patch(pod_key(victim), Patch::Conditions(vec![target]), still_this);
            cx.background(vec![patch, Write::Delete(pod_key(victim), options)]);
            let message = format!("Preempted by pod {} on node {node}", pod.meta.uid);
            cx.event(&Object::Pod(victim.clone()), false, source, name!("Preempted"), message);
        }
        for other in self.nominated.lower(node, pod.spec.priority) {
            self.nominated.remove(&other.meta.namespace, &other.meta.name);
            let still_this = Preconditions::uid(other.meta.uid);
            cx.background(vec![Write::Patch(pod_key(&other), Patch::NominatedNode(None), still_this)]);
        }
    }

    fn report(&mut self, cx: &mut Cx<'_>, news: News) {
        match news {
            News::Bound(pod, node) => {
                let source = pod.spec.scheduler_name.clone();
                let message = format!("Successfully assigned {}/{} to {node}", pod.meta.namespace, pod.meta.name);
                cx.event(&Object::Pod(pod), false, source, name!("Scheduled"), message);
            }
            News::Refused(queued, message) => {
                report_failure(cx, &queued, &message, name!("SchedulerError"), None);
            }
        }
    }

    /// An assumed pod will not be bound: take it off its node and let it try again.
    fn give_up(&mut self, cx: &mut Cx<'_>, key: &PodKey, blamed: Option<&'static str>, message: &str) {
        let reason = if blamed.is_some() { name!("Unschedulable") } else { name!("SchedulerError") };
        if let Some(queued) = self.forget(key, blamed, cx.now) {
            report_failure(cx, &queued, message, reason, None);
        }
    }

    /// Takes an assumed pod off its node and puts it back in the queue.
    fn forget(&mut self, key: &PodKey, blamed: Option<&'static str>, now: SimTime) -> Option<QueuedPod> {
        let assumed = self.assumed.remove(key)?;
        self.snapshot.unplace(&key.0, &key.1);
        self.unreserve(&assumed);
        let rules = ProfileRules(&self.frameworks);
        self.queue.failed(key, blamed.into_iter().collect(), now, &rules);
        let mut gone = Pod::clone(&assumed.pod.info.pod);
        gone.node = Some(assumed.node);
        // To others it is a pod that goes; not to itself (`handleBindingCycleError`).
        self.queue.wake(&Occasion::PodDelete(&Arc::new(gone)), Some(key), now, &rules);
        Some(assumed.pod)
    }

    fn unreserve(&self, assumed: &Assumed) {
        if let Some(at) = self.framework_of(&assumed.pod.info.pod) {
            for (_, plugin) in self.frameworks[at].profile.at(Point::Reserve) {
                plugin.unreserve(&assumed.pod.info, &assumed.node);
            }
        }
    }

    /// Held pods are asked again; those held too long give up.
    fn review_held(&mut self, cx: &mut Cx<'_>) {
        let mut held: Vec<(PodKey, SimTime)> =
            self.assumed.iter().filter_map(|(key, a)| a.held_until.map(|until| (key.clone(), until))).collect();
        held.sort();
        for (key, until) in held {
            let Some(assumed) = self.assumed.get(&key) else { continue };
            let (by, at) = (assumed.held_by, self.framework_of(&assumed.pod.info.pod));
            let Some(at) = at else { continue };
            if until <= cx.now {
                self.give_up(cx, &key, Some(by), "timeout waiting for permission");
            } else {
                self.ask_permission(cx, &key, at);
            }
        }
    }

    /// When it has to run again if nothing is heard.
    fn next_wake(&self) -> Option<SimTime> {
        let held = self.assumed.values().filter_map(|assumed| assumed.held_until).min();
        held.into_iter().chain(self.queue.next_flush()).chain(self.next_look()).min()
    }

    fn ask_to_run(&self, wake: &mut Wake<'_>) {
        if self.queue.has_next() || !self.news.is_empty() {
            wake.add(Self::key());
        } else if let Some(at) = self.next_wake() {
            wake.add_after(Self::key(), at - wake.now());
        }
    }
}

impl Controller for Scheduler {
    fn name(&self) -> &'static str {
        "kube-scheduler"
    }

    fn watches(&self) -> &'static [Kind] {
        &[
            Kind::Pod,
            Kind::Node,
            Kind::Namespace,
            Kind::Service,
            Kind::ReplicaSet,
            Kind::StatefulSet,
            Kind::ReplicationController,
            Kind::PersistentVolume,
            Kind::PersistentVolumeClaim,
            Kind::StorageClass,
            Kind::CSINode,
            Kind::PodDisruptionBudget,
        ]
    }

    fn events_share_client(&self) -> bool {
        false
    }

    fn follows(&self, change: &Change) -> bool {
        match (hear::live(&change.old), hear::live(&change.new)) {
            (Some(old), Some(new)) if old.node.is_some() => self.follows_pods || self.minds_bound(old, new),
            (None, None) => change.key.kind != Kind::Pod,
            _ => true,
        }
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        if self.hear(change, wake.now()) {
            self.ask_to_run(wake);
        }
    }

    fn reconcile(&mut self, _: &Key, cx: &mut Cx<'_>) -> Requeue {
        for news in std::mem::take(&mut self.news) {
            self.report(cx, news);
        }
        self.queue.flush(cx.now, &ProfileRules(&self.frameworks));
        // Where turns take no time, one after the other would be many reconciles at one instant.
        let turns = if self.last_turn == Some(cx.now) { usize::MAX } else { self.turns };
        for _ in 0..turns {
            if !self.queue.has_next() {
                break;
            }
            self.last_turn = Some(cx.now);
            self.attempt(cx);
        }
        if self.assumed.values().any(|assumed| assumed.held_until.is_some()) {
            self.review_held(cx);
        }
        if !self.preparing.is_empty() {
            self.review_preparing(cx);
        }
        match self.queue.has_next() {
            true => Requeue::After(SimDuration::ZERO),
            false => self.next_wake().map_or(Requeue::Done, |at| Requeue::After(at - cx.now)),
        }
    }

    fn settled(&mut self, _: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        let key = match result {
            // A binding is the only batch of one write about an assumed pod.
            Ok(written) => written.first().filter(|_| written.len() == 1).map(|written| &written.key),
            Err(error) => error.key(),
        };
        if let (Some(key), Err(error)) = (key.filter(|key| key.kind != Kind::Pod), result) {
            self.preparation_refused(key, error, wake.now());
            return self.ask_to_run(wake);
        }
        let key = key.filter(|key| key.kind == Kind::Pod);
        let Some(key) = key.map(|key| (key.namespace.clone(), key.name.clone())) else { return };
        // A condition that was refused is no loss: the pod is not assumed and will be reported on again.
        let Some(assumed) = self.assumed.get(&key).filter(|assumed| assumed.held_until.is_none()) else { return };
        match result {
            Ok(_) => self.news.push(News::Bound(assumed.pod.info.pod.clone(), assumed.node.clone())),
            Err(error) => {
                let message = format!("running Bind plugin \"DefaultBinder\": {error}");
                let queued = self.forget(&key, None, wake.now());
                self.news.extend(queued.map(|queued| News::Refused(Box::new(queued), message)));
            }
        }
        self.ask_to_run(wake);
    }
}

fn pod_key(pod: &Pod) -> Key {
    Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone())
}

/// Says why the pod is not placed: an event, the condition where it is news, and the nomination if it changes.
fn report_failure(cx: &mut Cx<'_>, queued: &QueuedPod, message: &str, reason: Name, nomination: Option<Patch>) {
    let pod = &queued.info.pod;
    let source = pod.spec.scheduler_name.clone();
    cx.event(&Object::Pod(pod.clone()), true, source, FAILED_SCHEDULING, cut(message));
    let known = condition::find(&pod.status.conditions, "PodScheduled");
    let unchanged = |c: &Condition| c.status == Truth::False && c.reason == reason && c.message == message;
    let mut patches = Vec::new();
    if !known.is_some_and(unchanged) {
        let scheduled = Condition::new(name!("PodScheduled"), Truth::False, reason, message, cx.now);
        patches.push(Patch::Conditions(vec![scheduled]));
    }
    patches.extend(nomination);
    if !patches.is_empty() {
        let still_this = Preconditions::uid(pod.meta.uid);
        cx.background(patches.into_iter().map(|patch| Write::Patch(pod_key(pod), patch, still_this)).collect());
    }
}

/// An event's message: at most 1024 characters.
fn cut(message: &str) -> String {
    const LONGEST: usize = 1024;
    match message.char_indices().nth(LONGEST) {
        None => message.to_string(),
        Some(_) => message.chars().take(LONGEST - 4).chain(" ...".chars()).collect(),
    }
}
