//! The recommender: a sample of every container each minute, and what it should request
//! (`vertical-pod-autoscaler/pkg/recommender/routines/recommender.go`).

use super::estimate::recommend;
use super::usage::{Aggregate, Peaks, Scales};
use super::{next, phase, the_loop};
use crate::metrics::MetricsApi;
use crate::model::condition;
use crate::model::pod::{ContainerState, ContainerStatus, Terminated};
use crate::model::vertical::{Recommended, VerticalPodAutoscaler, requests};
use crate::model::{Condition, CustomResource, Key, Kind, Labels, Name, Object, Phase, Pod, Selector, Truth, Uid};
use crate::rng::Seed;
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use crate::time::{SimDuration, SimTime};
use crate::wire::encode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NAME: Name = crate::name!("vpa-recommender");

/// Containers of one name whose pods have the same labels.
type Group = (Name, Name, Labels);

/// A container that was killed for its memory.
struct Kill {
    pod: Arc<Pod>,
    container: Name,
    requested: i64,
    at: SimTime,
}

/// The recommender.
pub struct Recommender {
    api: Box<dyn MetricsApi>,
    phase: SimDuration,
    scales: Scales,
    aggregates: BTreeMap<Group, Aggregate>,
    peaks: BTreeMap<(Uid, Name), Peaks>,
    kills: Vec<Kill>,
}

impl Recommender {
    /// One that asks this metrics API.
    pub fn new(api: Box<dyn MetricsApi>, seed: Seed) -> Self {
        Recommender {
            api,
            phase: phase(seed, &NAME),
            scales: Scales::default(),
            aggregates: BTreeMap::new(),
            peaks: BTreeMap::new(),
            kills: Vec::new(),
        }
    }

    /// Samples of all containers of these pods.
    fn sample(&mut self, pods: &[&Arc<Pod>], view: View<'_>, now: SimTime) {
        for pod in pods {
            let metrics = self.api.pod(view, pod, now);
            for container in &pod.spec.containers {
                let (aggregate, peaks) = self.of(pod, &container.name, now);
                let measured = metrics.as_ref().and_then(|metrics| {
                    let (_, usage) = metrics.containers.iter().find(|(name, _)| *name == container.name)?;
                    Some((metrics.time, *usage))
                });
                if let Some((at, usage)) = measured {
                    peaks.cpu(aggregate, usage.milli_cpu, at);
                    peaks.memory(aggregate, usage.memory, at);
                }
            }
        }
    }

    fn of(&mut self, pod: &Pod, container: &Name, now: SimTime) -> (&mut Aggregate, &mut Peaks) {
        let group = (pod.meta.namespace.clone(), container.clone(), pod.meta.labels.clone());
        let scales = &self.scales;
        let aggregate = self.aggregates.entry(group).or_insert_with(|| Aggregate::new(scales, now));
        (aggregate, self.peaks.entry((pod.meta.uid, container.clone())).or_default())
    }

    /// What is recommended for the containers that a vertical pod autoscaler looks after.
    fn recommendation(&self, vertical: &VerticalPodAutoscaler, selector: &Selector, now: SimTime) -> Vec<Recommended> {
        let mut by_name: BTreeMap<&Name, Aggregate> = BTreeMap::new();
        for ((namespace, container, labels), aggregate) in &self.aggregates {
            let off = vertical.policy(container).is_some_and(|policy| policy.off);
            if *namespace == vertical.meta.namespace && selector.matches(labels) && !off {
                let sum = by_name.entry(container).or_insert_with(|| Aggregate::new(&self.scales, now));
                sum.merge(aggregate);
            }
        }
        let count = by_name.len();
        let of = |(name, aggregate): (&Name, Aggregate)| {
            let mut found = recommend(name, &aggregate, count);
            if let Some(controlled) = vertical.policy(name).and_then(|policy| policy.controlled) {
                for amounts in [&mut found.target, &mut found.lower, &mut found.upper, &mut found.uncapped] {
                    for at in 0..2 {
                        amounts[at] = amounts[at].filter(|_| controlled[at]);
                    }
                }
            }
            vertical.allowed(found)
        };
        by_name.into_iter().map(of).collect()
    }

    /// Forgets containers that are gone, and samples that are too old.
    fn forget(&mut self, seen: &BTreeSet<Uid>, now: SimTime) {
        self.peaks.retain(|(uid, _), _| seen.contains(uid));
        self.aggregates.retain(|_, aggregate| !aggregate.expired(now));
    }

    fn look(&mut self, cx: &mut Cx<'_>) {
        let verticals = cx.view.verticals();
        let mut seen = BTreeSet::new();
        let mut targets = Vec::new();
        for vertical in &verticals {
            let target = cx.view.vertical_target(vertical).map(|(_, selector)| selector);
            let pods: Vec<&Arc<Pod>> = match &target {
                Ok(selector) => cx.view.pods_selected(&vertical.meta.namespace, selector),
                Err(_) => Vec::new(),
            };
            let pods: Vec<&Arc<Pod>> = pods.into_iter().filter(|pod| pod.status.phase != Phase::Pending).collect();
            let new: Vec<&Arc<Pod>> = pods.iter().filter(|pod| seen.insert(pod.meta.uid)).copied().collect();
            self.sample(&new, cx.view, cx.now);
            targets.push((target, pods.len()));
        }
        for kill in std::mem::take(&mut self.kills).into_iter().filter(|kill| seen.contains(&kill.pod.meta.uid)) {
            let (aggregate, peaks) = self.of(&kill.pod, &kill.container, cx.now);
            peaks.killed(aggregate, kill.requested, kill.at);
        }
        self.forget(&seen, cx.now);
        for (vertical, (target, pods)) in verticals.iter().zip(targets) {
            let recommendation =
                target.as_ref().map_or(Vec::new(), |selector| self.recommendation(vertical, selector, cx.now));
            let mut new = VerticalPodAutoscaler { recommendation: Some(recommendation), ..vertical.clone() };
            conditions(&mut new, target.err(), pods, cx.now);
            report(vertical, &new, cx);
        }
    }
}

/// What there is to say of it (`updateConditionsLocked`, `LoadVPAs`).
fn conditions(of: &mut VerticalPodAutoscaler, missing: Option<String>, pods: usize, now: SimTime) {
    let provided = of.recommendation.as_ref().is_some_and(|list| !list.is_empty());
    let (reason, message) = if pods == 0 { ("NoPodsMatched", "No pods match this VPA object") } else { ("", "") };
    let mut say = |kind: &str, stands: Option<bool>, reason: &str, message: &str| match stands {
        None => of.conditions.retain(|known| known.kind != kind),
        Some(stands) => {
            let status = Truth::from(stands);
            condition::set(&mut of.conditions, Condition::new(kind.into(), status, reason.into(), message, now));
        }
    };
    let unread = missing.map(|why| format!("Cannot read targetRef. Reason: {why}"));
    say("ConfigUnsupported", unread.is_some().then_some(true), "", unread.as_deref().unwrap_or_default());
    say("NoPodsMatched", (pods == 0).then_some(true), reason, message);
    match provided {
        true => say("RecommendationProvided", Some(true), "", ""),
        false => say("RecommendationProvided", Some(false), reason, message),
    }
    of.conditions.sort_by(|a, b| a.kind.cmp(&b.kind));
}

/// Writes the status if it says anything new.
fn report(old: &VerticalPodAutoscaler, new: &VerticalPodAutoscaler, cx: &mut Cx<'_>) {
    if old == new {
        return;
    }
    let found = cx.view.by_uid(old.meta.uid);
    if let Some(Object::Custom(object)) = found {
        let status = Arc::new(encode::vertical_status(new));
        let mut updated = CustomResource { status, ..CustomResource::clone(object) };
        updated.meta.resource_version = 0;
        cx.write_anyway(Write::UpdateStatus(Object::Custom(Arc::new(updated))));
    }
}

/// A container that has just been killed for its memory (`pkg/recommender/input/oom/observer.go`).
fn kills(old: &Pod, new: &Arc<Pod>) -> Vec<Kill> {
    let ended = |status: &ContainerStatus| match &status.state {
        ContainerState::Terminated(how) => Some(how.clone()),
        _ => None,
    };
    let killed = |how: &Terminated| how.reason == "OOMKilled";
    let of = |status: &ContainerStatus| {
        let before = old.status.containers.iter().find(|before| before.name == status.name)?;
        let restarted = status.restart_count > before.restart_count;
        let now = ended(status).filter(|how| killed(how) && (ended(before).is_none() || restarted));
        let was = || {
            let running = |one: &ContainerStatus| matches!(one.state, ContainerState::Running { .. });
            let last = status.last.clone().filter(|how| killed(how));
            last.filter(|_| restarted && running(status) && running(before))
        };
        let how = now.or_else(was)?;
        let container = new.spec.containers.iter().find(|one| one.name == status.name)?;
        let requested = requests(container)[1].unwrap_or(0);
        Some(Kill { pod: new.clone(), container: status.name.clone(), requested, at: how.finished })
    };
    new.status.containers.iter().filter_map(of).collect()
}

impl Controller for Recommender {
    fn name(&self) -> &'static str {
        "vpa-recommender"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::ANY_CUSTOM, Kind::Pod]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match (&change.old, &change.new) {
            (Some(Object::Pod(old)), Some(Object::Pod(new))) => self.kills.extend(kills(old, new)),
            (_, Some(Object::Pod(_)) | None) => {}
            _ if change.writer == self.name() => {}
            _ => wake.add_after(the_loop(NAME), next(wake.now(), self.phase)),
        }
    }

    fn reconcile(&mut self, _: &Key, cx: &mut Cx<'_>) -> Requeue {
        if cx.view.verticals().is_empty() {
            self.kills.clear();
            return Requeue::Done;
        }
        self.look(cx);
        Requeue::After(next(cx.now, self.phase))
    }
}
