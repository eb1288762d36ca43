//! Horizontal pod autoscalers, with the defaults of `pkg/apis/autoscaling/v2/defaults.go`.

use super::container::unsupported;
use super::meta::{condition, conditions, name, namespaced, some_time};
use super::{Decoded, FieldError, Within};
use crate::model::Name;
use crate::model::autoscaling::{
    AutoscalerStatus, HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget, MetricValue, PolicySelect,
    ScalingBehavior, ScalingPolicy, ScalingRules,
};
use crate::model::quantity::parse_quantity;
use crate::time::SimDuration;
use k8s_openapi::api::autoscaling::v2 as autoscaling;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::sync::Arc;

/// Without any metric: `DefaultCPUUtilization`.
const DEFAULT_UTILIZATION: i32 = 80;

pub(super) fn autoscaler(from: autoscaling::HorizontalPodAutoscaler) -> Decoded<HorizontalPodAutoscaler> {
    let meta = namespaced(&from.metadata)?;
    let spec = from.spec;
    let raw = serde_json::to_value(&spec).map_err(|error| FieldError::new("spec", error.to_string()))?;
    let mut metrics = super::each(&spec.metrics, "metrics", metric).within("spec")?;
    if metrics.is_empty() {
        let source = MetricSource::Resource(crate::name!("cpu"));
        metrics.push(MetricSpec { source, target: MetricTarget::Utilization(DEFAULT_UTILIZATION) });
    }
    Ok(HorizontalPodAutoscaler {
        meta,
        target_version: name(&spec.scale_target_ref.api_version),
        target_kind: Name::from(spec.scale_target_ref.kind.as_str()),
        target_name: Name::from(spec.scale_target_ref.name.as_str()),
        min_replicas: spec.min_replicas,
        max_replicas: spec.max_replicas,
        metrics,
        behavior: spec.behavior.as_ref().map(behavior).transpose().within("spec.behavior")?,
        status: status(from.status.unwrap_or_default())?,
        raw: Arc::new(raw),
    })
}

fn metric(from: &autoscaling::MetricSpec) -> Decoded<MetricSpec> {
    let missing =
        |field: &str| FieldError::new(field, "Required value: must populate information for the given metric source");
    let (source, written) = match from.type_.as_str() {
        "Resource" => {
            let given = from.resource.as_ref().ok_or_else(|| missing("resource"))?;
            (MetricSource::Resource(Name::from(given.name.as_str())), &given.target)
        }
        "ContainerResource" => {
            let given = from.container_resource.as_ref().ok_or_else(|| missing("containerResource"))?;
            let (resource, container) = (Name::from(given.name.as_str()), Name::from(given.container.as_str()));
            (MetricSource::ContainerResource(resource, container), &given.target)
        }
        "Pods" => {
            let given = from.pods.as_ref().ok_or_else(|| missing("pods"))?;
            (MetricSource::Pods(Name::from(given.metric.name.as_str())), &given.target)
        }
        "Object" => {
            let given = from.object.as_ref().ok_or_else(|| missing("object"))?;
            let of = &given.described_object;
            let [metric, kind, object] = [&given.metric.name, &of.kind, &of.name].map(|text| Name::from(text.as_str()));
            (MetricSource::Object(metric, kind, object, printed(given.metric.selector.as_ref())), &given.target)
        }
        "External" => {
            let given = from.external.as_ref().ok_or_else(|| missing("external"))?;
            let selector = printed(given.metric.selector.as_ref());
            (MetricSource::External(Name::from(given.metric.name.as_str()), selector), &given.target)
        }
        other => {
            let kinds = ["ContainerResource", "External", "Object", "Pods", "Resource"];
            return Err(unsupported("type", other, &kinds));
        }
    };
    Ok(MetricSpec { source, target: target(written).within("target")? })
}

fn target(from: &autoscaling::MetricTarget) -> Decoded<MetricTarget> {
    if let Some(percent) = from.average_utilization {
        return Ok(MetricTarget::Utilization(percent));
    }
    if let Some(amount) = &from.average_value {
        return Ok(MetricTarget::AverageValue(milli(amount).within("averageValue")?));
    }
    match &from.value {
        Some(amount) => Ok(MetricTarget::Value(milli(amount).within("value")?)),
        None => Err(FieldError::new("", "Required value: must set one of averageUtilization, averageValue and value")),
    }
}

fn milli(amount: &Quantity) -> Decoded<i64> {
    parse_quantity(&amount.0).map(|quantity| quantity.milli()).map_err(|why| FieldError::new("", why))
}

/// A selector as `%+v` prints it.
fn printed(selector: Option<&LabelSelector>) -> Name {
    let Some(selector) = selector else { return crate::name!("nil") };
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},"));
    let expressions = selector.match_expressions.iter().flatten().map(|one| {
        let values = one.values.as_deref().unwrap_or_default().join(" ");
        format!("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},", one.key, one.operator)
    });
    let (labels, expressions): (String, String) = (labels.collect(), expressions.collect());
    Name::from(format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    ))
}

fn behavior(from: &autoscaling::HorizontalPodAutoscalerBehavior) -> Decoded<ScalingBehavior> {
    let policy = |percent, value| ScalingPolicy { percent, value, period: SimDuration::from_secs(15) };
    let up = ScalingRules {
        window: Some(SimDuration::ZERO),
        select: PolicySelect::Max,
        policies: vec![policy(false, 4), policy(true, 100)],
        tolerance: None,
    };
    let down = ScalingRules { window: None, policies: vec![policy(true, 100)], ..up.clone() };
    Ok(ScalingBehavior {
        up: rules(from.scale_up.as_ref(), up).within("scaleUp")?,
        down: rules(from.scale_down.as_ref(), down).within("scaleDown")?,
    })
}

/// What is written, and the default of what is not.
fn rules(from: Option<&autoscaling::HPAScalingRules>, default: ScalingRules) -> Decoded<ScalingRules> {
    let Some(from) = from else { return Ok(default) };
    let select = match from.select_policy.as_deref() {
        None | Some("Max") => PolicySelect::Max,
        Some("Min") => PolicySelect::Min,
        Some("Disabled") => PolicySelect::Disabled,
        Some(other) => return Err(unsupported("selectPolicy", other, &["Disabled", "Max", "Min"])),
    };
    let policies = super::each(&from.policies, "policies", |policy| {
        let percent = match policy.type_.as_str() {
            "Percent" => true,
            "Pods" => false,
            other => return Err(unsupported("type", other, &["Percent", "Pods"])),
        };
        let period = SimDuration::from_secs(i64::from(policy.period_seconds));
        Ok(ScalingPolicy { percent, value: policy.value, period })
    })?;
    let window = from.stabilization_window_seconds.map(|seconds| SimDuration::from_secs(i64::from(seconds)));
    let tolerance = from.tolerance.as_ref().map(|amount| milli(amount).map(|milli| milli * 1000)).transpose();
    Ok(ScalingRules {
        window: window.or(default.window),
        select,
        policies: if policies.is_empty() { default.policies } else { policies },
        tolerance: tolerance.within("tolerance")?,
    })
}

fn status(from: autoscaling::HorizontalPodAutoscalerStatus) -> Decoded<AutoscalerStatus> {
    let value = |metric: &autoscaling::MetricStatus| {
        let of = |current: &autoscaling::MetricValueStatus| {
            let amount = current.average_value.as_ref().or(current.value.as_ref());
            let value = amount.map_or(Ok(0), milli).unwrap_or(0);
            MetricValue { utilization: current.average_utilization, value }
        };
        let resource = metric.resource.as_ref().map(|one| of(&one.current));
        let container = || metric.container_resource.as_ref().map(|one| of(&one.current));
        let pods = || metric.pods.as_ref().map(|one| of(&one.current));
        let object = || metric.object.as_ref().map(|one| of(&one.current));
        let external = || metric.external.as_ref().map(|one| of(&one.current));
        resource.or_else(container).or_else(pods).or_else(object).or_else(external)
    };
    Ok(AutoscalerStatus {
        observed_generation: from.observed_generation,
        last_scale: some_time(&from.last_scale_time),
        current: from.current_replicas.unwrap_or(0),
        desired: from.desired_replicas,
        metrics: from.current_metrics.iter().flatten().map(value).collect(),
        conditions: conditions!(from.conditions),
    })
}
