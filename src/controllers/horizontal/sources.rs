//! What the three metrics APIs say about the pods of one target (`pkg/controller/podautoscaler/metrics/client.go`).

use super::judge::{Metrics, Refusal};
use super::replicas::{Sample, Samples};
use crate::metrics::MetricsApi;
use crate::metrics::meters::{GaugeKey, GaugeKind};
use crate::model::pod::Usage;
use crate::model::{Name, Pod};
use crate::store::View;
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// The window of a custom metric that does not say (`metricServerDefaultMetricWindow`).
const CUSTOM_WINDOW: SimDuration = SimDuration::from_secs(60);

/// The metrics of one pass.
pub struct Sources<'a> {
    api: &'a dyn MetricsApi,
    view: View<'a>,
    now: SimTime,
    namespace: &'a Name,
    pods: &'a [Arc<Pod>],
    /// Why nothing may be computed from these pods.
    refusal: Option<Refusal>,
    /// What was lent last.
    lent: Samples,
}

impl<'a> Sources<'a> {
    /// Of these pods.
    pub fn new(
        api: &'a dyn MetricsApi,
        view: View<'a>,
        now: SimTime,
        namespace: &'a Name,
        pods: &'a [Arc<Pod>],
        refusal: Option<Refusal>,
    ) -> Self {
        Sources { api, view, now, namespace, pods, refusal, lent: Samples::new() }
    }

    fn key(&self, metric: &str, kind: GaugeKind) -> GaugeKey {
        GaugeKey { namespace: self.namespace.clone(), metric: Name::from(metric), kind }
    }
}

/// A resource in thousandths.
fn of(usage: Usage, resource: &str) -> Option<i64> {
    match resource {
        "cpu" => Some(usage.milli_cpu),
        "memory" => Some(usage.memory.saturating_mul(1000)),
        _ => None,
    }
}

impl Metrics for Sources<'_> {
    fn refusal(&self) -> Option<Refusal> {
        self.refusal.clone()
    }

    fn resource(&self, resource: &str, container: Option<&str>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        let mut any = false;
        for pod in self.pods {
            let Some(metrics) = self.api.pod(self.view, pod, self.now) else { continue };
            any = true;
            let named = |(name, _): &&(Name, Usage)| container.is_none_or(|wanted| name == wanted);
            let mut found = metrics.containers.iter().filter(named).peekable();
            if let (Some(wanted), None) = (container, found.peek()) {
                let (namespace, name) = (self.namespace, &pod.meta.name);
                return Err(format!("container {wanted} not present in metrics for pod {namespace}/{name}"));
            }
            if let Some(value) = found.map(|(_, usage)| of(*usage, resource)).sum::<Option<i64>>() {
                samples.insert(pod.meta.name.clone(), Sample { time: metrics.time, window: metrics.window, value });
            }
        }
        if any { Ok(samples) } else { Err("no metrics returned from resource metrics API".to_string()) }
    }

    fn pods(&mut self, metric: &str) -> Result<&mut Samples, String> {
        let key = self.key(metric, GaugeKind::Pods);
        let sample = |pod: &Arc<Pod>| {
            let value = self.api.gauge_of_pod(&key, pod, self.now)?;
            Some((pod.meta.name.clone(), Sample { time: self.now, window: CUSTOM_WINDOW, value }))
        };
        let found: Samples = self.pods.iter().filter_map(sample).collect();
        if found.is_empty() {
            let why = format!("the server could not find the metric {metric} for pods");
            return Err(format!("unable to fetch metrics from custom metrics API: {why}"));
        }
        self.lent = found;
        Ok(&mut self.lent)
    }

    fn object(&self, metric: &str, kind: &str, name: &str) -> Result<i64, String> {
        let key = self.key(metric, GaugeKind::Object(Name::from(kind), Name::from(name)));
        self.api.gauge(&key, self.now).ok_or_else(|| {
            let why = format!("the server could not find the metric {metric} for {kind} {name}");
            format!("unable to fetch metrics from custom metrics API: {why}")
        })
    }

    fn external(&self, metric: &str, _: &str) -> Result<i64, String> {
        let found = self.api.gauge(&self.key(metric, GaugeKind::External), self.now);
        found.ok_or_else(|| "no metrics returned from external metrics API".to_string())
    }
}
