//! How many replicas a metric asks for (`pkg/controller/podautoscaler/replica_calculator.go`).
//!
//! A worked example: two pods request 500m each and use 400m each, the target is 50 %. Utilization is 80 %, the ratio
//! 1.6, and two pods at 1.6 times the target are four: ceil(1.6 * 2). Had one of them no sample, it would count as
//! idle: (400 + 0) / 1000 is 40 %, on the other side of the target, so nothing is done.
//!
//! Ratios are floating point, as upstream has them: the same few operations in the same order give the same bits
//! everywhere.

use crate::model::condition::find;
use crate::model::{Container, Name, Phase, Pod, Truth};
use crate::time::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `--horizontal-pod-autoscaler-cpu-initialization-period`.
const CPU_INITIALIZATION: SimDuration = SimDuration::from_secs(300);
/// `--horizontal-pod-autoscaler-initial-readiness-delay`.
const INITIAL_READINESS: SimDuration = SimDuration::from_secs(30);

/// What one pod was measured at. Memory counts in thousandths of a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When the measurement ended.
    pub time: SimTime,
    /// How long it took.
    pub window: SimDuration,
    /// In thousandths.
    pub value: i64,
}

/// Samples by pod.
pub type Samples = BTreeMap<Name, Sample>;

/// How far from 1 a ratio may be without consequence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tolerances {
    /// Below.
    pub down: f64,
    /// Above.
    pub up: f64,
}

impl Tolerances {
    fn hold(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// What a metric asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// Replicas.
    pub replicas: i32,
    /// The value found, in thousandths: on average over the pods with samples, or in all.
    pub value: i64,
    /// Percent of the request, for utilizations.
    pub utilization: Option<i32>,
}

/// A proposal, or why there is none.
pub type Proposed = Result<Proposal, String>;

/// What does not change from metric to metric.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Now.
    pub now: SimTime,
    /// `spec.replicas` of the target.
    pub current: i32,
    /// The target's pods, by name.
    pub pods: &'a [Arc<Pod>],
    /// The tolerances of this autoscaler.
    pub tolerances: Tolerances,
}

/// Pods by what their sample is worth.
#[derive(Default)]
struct Groups {
    ready: usize,
    unready: BTreeSet<Name>,
    missing: BTreeSet<Name>,
    ignored: BTreeSet<Name>,
}

/// `groupPods`.
fn group(scene: &Scene, samples: &Samples, resource: &str) -> Groups {
    let mut groups = Groups::default();
    for pod in scene.pods {
        let name = pod.meta.name.clone();
        if pod.meta.deleting() || pod.status.phase == Phase::Failed {
            groups.ignored.insert(name);
        } else if pod.status.phase == Phase::Pending {
            groups.unready.insert(name);
        } else if let Some(sample) = samples.get(&name) {
            if resource == "cpu" && cpu_unready(pod, sample, scene.now) {
                groups.unready.insert(name);
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.insert(name);
        }
    }
    groups
}

/// Whether a pod's processor use says nothing yet: it is still starting.
fn cpu_unready(pod: &Pod, sample: &Sample, now: SimTime) -> bool {
    let (Some(ready), Some(start)) = (find(&pod.status.conditions, "Ready"), pod.status.start_time) else {
        return true;
    };
    let not_ready = ready.status == Truth::False;
    if start + CPU_INITIALIZATION > now {
        return not_ready || sample.time < ready.last_transition + sample.window;
    }
    not_ready && start + INITIAL_READINESS > ready.last_transition
}

/// Leaves the samples that count, and says which pods those are.
fn sift(scene: &Scene, samples: &mut Samples, resource: &str) -> Result<Groups, String> {
    if scene.pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_string());
    }
    let groups = group(scene, samples, resource);
    samples.retain(|name, _| !groups.ignored.contains(name) && !groups.unready.contains(name));
    match samples.is_empty() {
        true => Err("did not receive metrics for targeted pods (pods might be unready)".to_string()),
        false => Ok(groups),
    }
}

/// A share of the request (`GetResourceReplicas`). `container`: only this one of each pod. What is assumed of pods
/// without sample is added to `samples`, what does not count is taken out.
///
/// # Errors
/// No pods, no samples that count, or a container without request.
pub fn utilization(
    scene: &Scene,
    samples: &mut Samples,
    resource: &str,
    container: Option<&str>,
    target: i32,
) -> Proposed {
    let groups = sift(scene, samples, resource)?;
    let requests = requests(scene.pods, resource, container)?;
    let (ratio, found, value) = utilization_ratio(samples, &requests, target)?;
    // A missing pod counts as using all of its request when that speaks against shrinking, as idle when it speaks
    // against growing.
    let full = i64::from(target.max(100));
    let assume = |name: &Name, low: bool| if low { requests.get(name).map_or(0, |n| n * full / 100) } else { 0 };
    let rules = Assumptions { assume: &assume, spare_even: true };
    let again = |samples: &Samples| utilization_ratio(samples, &requests, target).map(|(ratio, ..)| ratio);
    let replicas = settle(scene, &groups, samples, ratio, rules, again)?;
    Ok(Proposal { replicas, value, utilization: Some(found) })
}

/// An amount for each pod on average: a resource, or a metric of the pods, whose `resource` is empty
/// (`calcPlainMetricReplicas`). It changes `samples` like [`utilization`].
///
/// # Errors
/// No pods, or no samples that count.
pub fn average(scene: &Scene, samples: &mut Samples, resource: &str, target: i64) -> Proposed {
    let groups = sift(scene, samples, resource)?;
    let usage = |samples: &Samples| samples.values().map(|sample| sample.value).sum::<i64>() / samples.len() as i64;
    let ratio = |samples: &Samples| usage(samples) as f64 / target as f64;
    let (value, first) = (usage(samples), ratio(samples));
    let assume = |_: &Name, low: bool| if low { target } else { 0 };
    let rules = Assumptions { assume: &assume, spare_even: false };
    let replicas = settle(scene, &groups, samples, first, rules, |samples| Ok(ratio(samples)))?;
    Ok(Proposal { replicas, value, utilization: None })
}

/// What is assumed of pods without sample.
struct Assumptions<'a> {
    /// The value of a pod, at a ratio below 1 or not.
    assume: &'a dyn Fn(&Name, bool) -> i64,
    /// Whether nothing is assumed at a ratio of exactly 1.
    spare_even: bool,
}

/// From the ratio of the pods with samples to replicas, with assumptions about the others.
fn settle(
    scene: &Scene,
    groups: &Groups,
    samples: &mut Samples,
    ratio: f64,
    rules: Assumptions,
    again: impl Fn(&Samples) -> Result<f64, String>,
) -> Result<i32, String> {
    let grow_with_unready = !groups.unready.is_empty() && ratio > 1.0;
    if !grow_with_unready && groups.missing.is_empty() {
        return Ok(match scene.tolerances.hold(ratio) {
            true => scene.current,
            false => (ratio * groups.ready as f64).ceil() as i32,
        });
    }
    let assumed = |value| Sample { time: SimTime::ZERO, window: SimDuration::ZERO, value };
    if ratio != 1.0 || !rules.spare_even {
        let missing = groups.missing.iter();
        samples.extend(missing.map(|name| (name.clone(), assumed((rules.assume)(name, ratio < 1.0)))));
    }
    if grow_with_unready {
        samples.extend(groups.unready.iter().map(|name| (name.clone(), assumed(0))));
    }
    let then = again(samples)?;
    let turned = (ratio < 1.0 && then > 1.0) || (ratio > 1.0 && then < 1.0);
    if scene.tolerances.hold(then) || turned {
        return Ok(scene.current);
    }
    let replicas = (then * samples.len() as f64).ceil() as i32;
    let against = (then < 1.0 && replicas > scene.current) || (then > 1.0 && replicas < scene.current);
    Ok(if against { scene.current } else { replicas })
}

/// Ratio, utilization in percent, and the average of the samples (`metrics/utilization.go`).
fn utilization_ratio(
    samples: &Samples,
    requests: &BTreeMap<Name, i64>,
    target: i32,
) -> Result<(f64, i32, i64), String> {
    let known = samples.iter().filter_map(|(name, sample)| Some((sample.value, *requests.get(name)?)));
    let (used, asked, count) =
        known.fold((0i64, 0i64, 0i64), |(used, asked, n), (value, request)| (used + value, asked + request, n + 1));
    if asked == 0 {
        return Err("no metrics returned matched known pods".to_string());
    }
    let percent = (i128::from(used) * 100 / i128::from(asked)) as i32;
    Ok((f64::from(percent) / f64::from(target), percent, used / count))
}

/// What each pod requests, in thousandths.
fn requests(pods: &[Arc<Pod>], resource: &str, container: Option<&str>) -> Result<BTreeMap<Name, i64>, String> {
    pods.iter().map(|pod| Ok((pod.meta.name.clone(), request(pod, resource, container)?))).collect()
}

fn request(pod: &Pod, resource: &str, container: Option<&str>) -> Result<i64, String> {
    let milli = |amount: i64| if resource == "cpu" { amount } else { amount * 1000 };
    // A pod that requests anything as a whole counts as the scheduler counts it, whatever its containers request
    // (`calculatePodLevelRequests`).
    if container.is_none() && pod.spec.pod_level.as_ref().is_some_and(|level| !level.requested.is_empty()) {
        return Ok(milli(pod.spec.requests.get(resource)));
    }
    let sidecars = pod.spec.init_containers.iter().filter(|one| one.sidecar);
    let mut all = pod.spec.containers.iter().chain(sidecars).peekable();
    let of = |one: &Container| match one.requested.iter().any(|name| name == resource) {
        true => Ok(milli(one.requests.get(resource))),
        false => Err(format!("missing request for {resource} in container {} of Pod {}", one.name, pod.meta.name)),
    };
    match container {
        None => all.map(of).sum(),
        Some(wanted) => all
            .find(|one| one.name == wanted)
            .map_or_else(|| Err(format!("container {wanted} not found in Pod {}", pod.meta.name)), of),
    }
}

/// A metric of one object or of something outside, in all (`GetObjectMetricReplicas`, `GetExternalMetricReplicas`).
///
/// # Errors
/// No pods, while there should be some.
pub fn total(scene: &Scene, value: i64, target: i64) -> Proposed {
    let ratio = value as f64 / target as f64;
    let answer = |replicas| Ok(Proposal { replicas, value, utilization: None });
    if scene.current == 0 {
        return answer(ratio.ceil() as i32);
    }
    if scene.tolerances.hold(ratio) {
        return answer(scene.current);
    }
    if scene.pods.is_empty() {
        let why = "no pods returned by selector while calculating replica count";
        return Err(format!("unable to calculate ready pods: {why}"));
    }
    let ready = scene.pods.iter().filter(|pod| pod.status.phase == Phase::Running && pod.is_ready()).count();
    answer((ratio * ready as f64).ceil() as i32)
}

/// The same for each of `count` replicas (`GetObjectPerPodMetricReplicas`, `GetExternalPerPodMetricReplicas`).
pub fn for_each(tolerances: Tolerances, count: i32, value: i64, target: i64) -> Proposal {
    let ratio = value as f64 / (target as f64 * f64::from(count));
    let replicas = if tolerances.hold(ratio) { count } else { (value as f64 / target as f64).ceil() as i32 };
    let each = if count == 0 { 0 } else { (value as f64 / f64::from(count)).ceil() as i64 };
    Proposal { replicas, value: each, utilization: None }
}
