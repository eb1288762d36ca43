//! One pass over one autoscaler, without the API: from metrics to a size and a status
//! (`pkg/controller/podautoscaler/horizontal.go`, `reconcileAutoscaler`).

use super::normalize::{Bounds, Memory};
use super::replicas::{self, Proposal, Samples, Scene, Tolerances};
use crate::model::autoscaling::{
    AutoscalerStatus, HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget, MetricValue,
};
use crate::model::{Condition, Name, Pod, Truth};
use crate::time::SimTime;
use std::cmp::Ordering;
use std::sync::Arc;

/// `--horizontal-pod-autoscaler-tolerance`.
const TOLERANCE: f64 = 0.1;

/// Why nothing may be computed from the target's pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The target's scale says nothing of its pods.
    NoSelector,
    /// Another autoscaler has some of them, too; in upstream's words.
    Ambiguous(String),
}

/// Where metrics come from: the three metrics APIs. An error is what the API would say.
pub trait Metrics {
    /// Why nothing may be computed from the target's pods, if that is so.
    fn refusal(&self) -> Option<Refusal> {
        None
    }
    /// `cpu` or `memory` of the target's pods, or of one container of each.
    ///
    /// # Errors
    /// There are none.
    fn resource(&self, resource: &str, container: Option<&str>) -> Result<Samples, String>;
    /// A metric that each pod has, lent: the calculation leaves out pods and adds what it assumes, as upstream's does
    /// in the map that it is given.
    ///
    /// # Errors
    /// There is none.
    fn pods(&mut self, metric: &str) -> Result<&mut Samples, String>;
    /// A metric of one object, in thousandths.
    ///
    /// # Errors
    /// There is none.
    fn object(&self, metric: &str, kind: &str, name: &str) -> Result<i64, String>;
    /// A metric of something outside, in thousandths, all its series together.
    ///
    /// # Errors
    /// There is none.
    fn external(&self, metric: &str, selector: &str) -> Result<i64, String>;
}

/// An event of the autoscaler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// Reason.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

/// What one pass comes to.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The new status, as it is after the new size was accepted.
    pub status: AutoscalerStatus,
    /// The new size, if it changes, and why.
    pub rescale: Option<(i32, String)>,
    /// Events, in order.
    pub notes: Vec<Note>,
    /// What the pass failed with; it may have scaled all the same.
    pub error: Option<String>,
}

/// The target as the scale subresource shows it.
#[derive(Clone, Copy, Debug)]
pub struct Scale<'a> {
    /// `spec.replicas`.
    pub spec: i32,
    /// `status.replicas`.
    pub status: i32,
    /// Its pods, by name.
    pub pods: &'a [Arc<Pod>],
}

/// One pass. `memory` is this autoscaler's own.
pub fn judge(
    hpa: &HorizontalPodAutoscaler,
    memory: &mut Memory,
    scale: Scale<'_>,
    metrics: &mut dyn Metrics,
    now: SimTime,
) -> Judgement {
    let mut pass = Pass { hpa, scale, now, status: hpa.status.clone(), notes: Vec::new(), error: None };
    let good = "the HPA controller was able to get the target's current scale";
    pass.condition("AbleToScale", Truth::True, "SucceededGetScale", good);
    memory.begin(scale.spec, now);
    let (desired, why) = match pass.out_of_bounds() {
        Some(given) => given,
        None => match pass.proposal(metrics) {
            Some(proposal) => pass.normalized(memory, proposal),
            None => {
                pass.status.current = scale.spec;
                return pass.done(None);
            }
        },
    };
    let rescale = (desired != scale.spec).then_some((desired, why));
    pass.status.current = scale.spec;
    pass.status.desired = desired;
    if let Some((size, why)) = &rescale {
        let size = *size;
        let text = format!("the HPA controller was able to update the target scale to {size}");
        pass.condition("AbleToScale", Truth::True, "SucceededRescale", text);
        pass.note(false, "SuccessfulRescale", format!("New size: {size}; reason: {why}"));
        memory.scaled(hpa.behavior.as_ref(), scale.spec, size, now);
        pass.status.last_scale = Some(now);
    }
    pass.done(rescale)
}

/// What becomes of a pass whose new size the API server refused: everything but the size.
pub fn refused(was: &AutoscalerStatus, judged: &mut AutoscalerStatus, error: &str, now: SimTime) {
    let text = format!("the HPA controller was unable to update the target scale: {error}");
    (judged.desired, judged.last_scale) = (was.desired, was.last_scale);
    let before = was.conditions.iter().find(|condition| condition.kind == "AbleToScale");
    let since = before.filter(|known| known.status == Truth::False).map_or(now, |known| known.last_transition);
    let failed = Condition::new("AbleToScale".into(), Truth::False, "FailedUpdateScale".into(), text, since);
    match judged.conditions.iter_mut().find(|condition| condition.kind == "AbleToScale") {
        Some(known) => *known = failed,
        None => judged.conditions.push(failed),
    }
}

struct Pass<'a> {
    hpa: &'a HorizontalPodAutoscaler,
    scale: Scale<'a>,
    now: SimTime,
    status: AutoscalerStatus,
    notes: Vec<Note>,
    error: Option<String>,
}

impl Pass<'_> {
    fn done(self, rescale: Option<(i32, String)>) -> Judgement {
        Judgement { status: self.status, rescale, notes: self.notes, error: self.error }
    }

    fn note(&mut self, warning: bool, reason: &'static str, message: String) {
        self.notes.push(Note { warning, reason, message });
    }

    /// `setConditionInList`: a new status is a transition.
    fn condition(&mut self, kind: &'static str, status: Truth, reason: &'static str, message: impl Into<Name>) {
        let (conditions, message) = (&mut self.status.conditions, message.into());
        match conditions.iter_mut().find(|condition| condition.kind == kind) {
            Some(known) => {
                if known.status != status {
                    known.last_transition = self.now;
                }
                (known.status, known.reason, known.message) = (status, Name::from(reason), message);
            }
            None => conditions.push(Condition::new(Name::from(kind), status, Name::from(reason), message, self.now)),
        }
    }

    /// The size, without a look at any metric, of a target that is switched off or out of its bounds.
    fn out_of_bounds(&mut self) -> Option<(i32, String)> {
        let (current, least, most) = (self.scale.spec, self.hpa.least(), self.hpa.max_replicas);
        if current == 0 && least != 0 {
            let why = "scaling is disabled since the replica count of the target is zero";
            self.condition("ScalingActive", Truth::False, "ScalingDisabled", why);
            self.status.metrics = Vec::new();
            return Some((0, String::new()));
        }
        let why = |bound: &str| format!("Current number of replicas {bound}");
        let given = match current {
            _ if current > most => Some((most, why("above Spec.MaxReplicas"))),
            _ if current < least => Some((least, why("below Spec.MinReplicas"))),
            _ => None,
        };
        if given.is_some() {
            self.status.metrics = Vec::new();
        }
        given
    }

    /// The largest proposal and the metric that made it (`computeReplicasForMetrics`).
    fn proposal(&mut self, metrics: &mut dyn Metrics) -> Option<(i32, String)> {
        if let Some(refusal) = metrics.refusal() {
            self.refuse(refusal);
            return None;
        }
        let mut best: (i32, String) = (0, String::new());
        let mut failed: Vec<(Failure, &'static str)> = Vec::new();
        let mut values = Vec::new();
        let specs = self.hpa.metrics.clone();
        for spec in &specs {
            match self.of_metric(spec, metrics) {
                Ok(found) => {
                    values.push(Some(MetricValue { utilization: found.utilization, value: found.value }));
                    if best.0 == 0 || found.replicas > best.0 {
                        best = (found.replicas, metric_name(spec));
                    }
                }
                Err(failure) => {
                    let reason = failure.reason;
                    self.note(true, reason, failure.inner.clone());
                    values.push(None);
                    failed.push((failure, reason));
                }
            }
        }
        self.status.metrics = values;
        let summary = failed.first().map(|(first, _)| {
            format!(
                "invalid metrics ({} invalid out of {}), first error is: {}",
                failed.len(),
                specs.len(),
                first.outer()
            )
        });
        if failed.len() >= specs.len() || (!failed.is_empty() && best.0 < self.scale.spec) {
            let (first, reason) = failed.swap_remove(0);
            let why = format!("the HPA was unable to compute the replica count: {}", first.inner);
            self.condition("ScalingActive", Truth::False, reason, why);
            let summary = summary.unwrap_or_default();
            self.note(true, "FailedComputeMetricsReplicas", summary.clone());
            self.error = Some(self.failed_to_compute(&summary));
            return None;
        }
        self.error = summary;
        let text = format!("the HPA was able to successfully calculate a replica count from {}", best.1);
        self.condition("ScalingActive", Truth::True, "ValidMetricFound", text);
        Some(best)
    }

    /// Nothing may be computed (`validateAndParseSelector`).
    fn refuse(&mut self, refusal: Refusal) {
        let (event, why, reason, message) = match refusal {
            Refusal::NoSelector => (
                "SelectorRequired",
                "selector is required".to_string(),
                "InvalidSelector",
                "the HPA target's scale is missing a selector".to_string(),
            ),
            Refusal::Ambiguous(why) => ("AmbiguousSelector", why.clone(), "AmbiguousSelector", why),
        };
        self.note(true, event, why.clone());
        self.condition("ScalingActive", Truth::False, reason, message);
        self.status.metrics = Vec::new();
        self.note(true, "FailedComputeMetricsReplicas", why.clone());
        self.error = Some(self.failed_to_compute(&why));
    }

    fn failed_to_compute(&self, why: &str) -> String {
        let (kind, name) = (&self.hpa.target_kind, &self.hpa.target_name);
        let reference = format!("{kind}/{}/{name}", self.hpa.meta.namespace);
        format!("failed to compute desired number of replicas based on listed metrics for {reference}: {why}")
    }

    fn of_metric(&self, spec: &MetricSpec, metrics: &mut dyn Metrics) -> Result<Proposal, Failure> {
        let scene =
            Scene { now: self.now, current: self.scale.spec, pods: self.scale.pods, tolerances: tolerances(self.hpa) };
        let of_resource = |resource: &Name, container: Option<&str>| {
            let mut samples = metrics
                .resource(resource, container)
                .map_err(|why| format!("unable to get metrics for resource {resource}: {why}"))?;
            match spec.target {
                MetricTarget::Utilization(target) => {
                    replicas::utilization(&scene, &mut samples, resource, container, target)
                }
                MetricTarget::AverageValue(target) | MetricTarget::Value(target) => {
                    replicas::average(&scene, &mut samples, resource, target)
                }
            }
        };
        let in_all = |value: i64| match spec.target {
            MetricTarget::Value(target) => replicas::total(&scene, value, target),
            MetricTarget::AverageValue(target) => {
                Ok(replicas::for_each(scene.tolerances, self.scale.status, value, target))
            }
            MetricTarget::Utilization(_) => Err("this metric has no utilization".to_string()),
        };
        let found = match &spec.source {
            MetricSource::Resource(resource) => of_resource(resource, None),
            MetricSource::ContainerResource(resource, container) => of_resource(resource, Some(container)),
            MetricSource::Pods(metric) => {
                let samples = metrics.pods(metric).map_err(|why| format!("unable to get metric {metric}: {why}"));
                let target = if let MetricTarget::AverageValue(target) = spec.target { target } else { 0 };
                samples.and_then(|samples| replicas::average(&scene, samples, "", target))
            }
            MetricSource::Object(metric, kind, name, _) => metrics
                .object(metric, kind, name)
                .map_err(|why| {
                    format!("unable to get metric {metric}: {kind} on {} {name}/{why}", self.hpa.meta.namespace)
                })
                .and_then(in_all),
            MetricSource::External(metric, selector) => metrics
                .external(metric, selector)
                .map_err(|why| {
                    let namespace = &self.hpa.meta.namespace;
                    format!("unable to get external metric {namespace}/{metric}/{selector}: {why}")
                })
                .and_then(in_all),
        };
        found.map_err(|why| Failure::new(spec, why))
    }

    fn normalized(&mut self, memory: &mut Memory, (proposed, metric): (i32, String)) -> (i32, String) {
        let bounds = Bounds { current: self.scale.spec, least: self.hpa.least(), most: self.hpa.max_replicas };
        let why = match proposed.cmp(&bounds.current) {
            Ordering::Greater => format!("{metric} above target"),
            Ordering::Less => "All metrics below target".to_string(),
            Ordering::Equal => String::new(),
        };
        let done = memory.normalize(bounds, proposed, self.hpa.behavior.as_ref(), self.now);
        let (status, reason, message) = done.able;
        self.condition("AbleToScale", status, reason, message);
        let (status, reason, message) = done.limited;
        self.condition("ScalingLimited", status, reason, message);
        (done.replicas, why)
    }
}

/// Why one metric gave no proposal.
struct Failure {
    reason: &'static str,
    /// As the condition and the event of the metric say it.
    inner: String,
    /// What the summary puts before it.
    prefix: String,
}

impl Failure {
    fn new(spec: &MetricSpec, why: String) -> Failure {
        let what = if matches!(spec.target, MetricTarget::Utilization(_)) { "utilization" } else { "usage" };
        let each = matches!(spec.target, MetricTarget::AverageValue(_));
        let (reason, inner, prefix) = match &spec.source {
            MetricSource::Resource(resource) => (
                "FailedGetResourceMetric",
                format!("failed to get {resource} {what}: {why}"),
                format!("failed to get {resource} resource metric value"),
            ),
            MetricSource::ContainerResource(resource, container) => (
                "FailedGetContainerResourceMetric",
                format!("failed to get {resource} {what}: {why}"),
                format!("failed to get {container} container metric value"),
            ),
            MetricSource::Pods(_) => ("FailedGetPodsMetric", why, "failed to get pods metric value".to_string()),
            MetricSource::Object(metric, ..) => {
                let prefix = "failed to get object metric value";
                let each = if each { format!(": failed to get {metric} object metric") } else { String::new() };
                ("FailedGetObjectMetric", why, format!("{prefix}{each}"))
            }
            MetricSource::External(metric, _) => {
                let prefix = format!("failed to get {metric} external metric value");
                let then = if each { format!("{metric} external metric") } else { format!("external metric {metric}") };
                ("FailedGetExternalMetric", why, format!("{prefix}: failed to get {then}"))
            }
        };
        Failure { reason, inner, prefix }
    }

    fn outer(&self) -> String {
        format!("{}: {}", self.prefix, self.inner)
    }
}

/// How events and conditions name a metric. Upstream names some after another kind of metric: the average use of one
/// container after that of the pod, and an object's value for each pod after an external one.
fn metric_name(spec: &MetricSpec) -> String {
    const SHARE: &str = "utilization (percentage of request)";
    match (&spec.source, spec.target) {
        (MetricSource::Resource(resource), MetricTarget::Utilization(_)) => format!("{resource} resource {SHARE}"),
        (MetricSource::ContainerResource(resource, _), MetricTarget::Utilization(_)) => {
            format!("{resource} container resource {SHARE}")
        }
        (MetricSource::Resource(resource) | MetricSource::ContainerResource(resource, _), _) => {
            format!("{resource} resource")
        }
        (MetricSource::Pods(metric), _) => format!("pods metric {metric}"),
        (MetricSource::Object(metric, _, _, selector), MetricTarget::AverageValue(_))
        | (MetricSource::External(metric, selector), _) => format!("external metric {metric}({selector})"),
        (MetricSource::Object(metric, kind, ..), _) => format!("{kind} metric {metric}"),
    }
}

/// `behavior.scaleUp.tolerance` and `scaleDown.tolerance`, else the controller's own.
fn tolerances(hpa: &HorizontalPodAutoscaler) -> Tolerances {
    let own = |given: Option<i64>| given.map_or(TOLERANCE, |millionths| millionths as f64 / 1e6);
    let behavior = hpa.behavior.as_ref();
    Tolerances {
        down: own(behavior.and_then(|behavior| behavior.down.tolerance)),
        up: own(behavior.and_then(|behavior| behavior.up.tolerance)),
    }
}
