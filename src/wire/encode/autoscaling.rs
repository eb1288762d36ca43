//! Horizontal pod autoscalers.

use super::meta::{list, meta, text, time};
use super::{from_raw, nonzero};
use crate::model::autoscaling::{HorizontalPodAutoscaler, MetricTarget, MetricValue};
use k8s_openapi::api::autoscaling::v2 as autoscaling;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

pub(super) fn autoscaler(from: &HorizontalPodAutoscaler) -> autoscaling::HorizontalPodAutoscaler {
    let mut spec: autoscaling::HorizontalPodAutoscalerSpec = from_raw(Some(&from.raw));
    spec.min_replicas = Some(from.least());
    spec.max_replicas = from.max_replicas;
    let status = &from.status;
    let written = spec.metrics.as_deref().unwrap_or_default();
    let metrics: Vec<autoscaling::MetricStatus> = (written.iter().zip(&from.metrics).zip(&status.metrics))
        // A metric that could not be had leaves an entry without words.
        .map(|((written, spec), value)| {
            value.map_or_else(Default::default, |value| metric(written, spec.target, value))
        })
        .collect();
    let status = autoscaling::HorizontalPodAutoscalerStatus {
        observed_generation: status.observed_generation,
        last_scale_time: status.last_scale.map(time),
        current_replicas: nonzero(status.current),
        desired_replicas: status.desired,
        current_metrics: nonzero(metrics),
        conditions: list(&status.conditions, |c| autoscaling::HorizontalPodAutoscalerCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
        }),
    };
    autoscaling::HorizontalPodAutoscaler { metadata: meta(&from.meta), spec, status: Some(status) }
}

/// What a metric was, beside what names it.
fn metric(written: &autoscaling::MetricSpec, target: MetricTarget, value: MetricValue) -> autoscaling::MetricStatus {
    let amount = Some(Quantity(format!("{}m", value.value)));
    let current = match target {
        MetricTarget::Value(_) => autoscaling::MetricValueStatus { value: amount, ..Default::default() },
        _ => autoscaling::MetricValueStatus {
            average_utilization: value.utilization,
            average_value: amount,
            ..Default::default()
        },
    };
    autoscaling::MetricStatus {
        type_: written.type_.clone(),
        resource: written
            .resource
            .as_ref()
            .map(|one| autoscaling::ResourceMetricStatus { name: one.name.clone(), current: current.clone() }),
        container_resource: written.container_resource.as_ref().map(|one| autoscaling::ContainerResourceMetricStatus {
            name: one.name.clone(),
            container: one.container.clone(),
            current: current.clone(),
        }),
        pods: written
            .pods
            .as_ref()
            .map(|one| autoscaling::PodsMetricStatus { metric: one.metric.clone(), current: current.clone() }),
        object: written.object.as_ref().map(|one| autoscaling::ObjectMetricStatus {
            metric: one.metric.clone(),
            // Upstream leaves the object out of what it reports of its value for each pod.
            described_object: match target {
                MetricTarget::AverageValue(_) => Default::default(),
                _ => one.described_object.clone(),
            },
            current: current.clone(),
        }),
        external: written
            .external
            .as_ref()
            .map(|one| autoscaling::ExternalMetricStatus { metric: one.metric.clone(), current }),
    }
}
