//! Horizontal pod autoscalers (`pkg/apis/autoscaling/validation/validation.go`).

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingRules, HorizontalPodAutoscaler, MetricIdentifier, MetricSpec, MetricTarget,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::{FieldError, Findings, Validate};
use crate::model::quantity::parse_quantity;
use crate::wire::names;

const SOURCES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
/// The longest stabilization window and the longest period of a policy, in seconds.
const WINDOW_MAX: i32 = 3600;
const PERIOD_MAX: i32 = 1800;

impl Findings {
    fn metric(&mut self, path: &str, metric: &MetricSpec) {
        if metric.type_.is_empty() {
            return self.required(format!("{path}.type"), "must specify a metric source type");
        }
        if !SOURCES.contains(&metric.type_.as_str()) {
            return self.one_of(format!("{path}.type"), Some(&metric.type_), &SOURCES);
        }
        let expected = format!("{}{}", metric.type_[..1].to_lowercase(), &metric.type_[1..]);
        let present = [
            ("containerResource", metric.container_resource.is_some()),
            ("external", metric.external.is_some()),
            ("object", metric.object.is_some()),
            ("pods", metric.pods.is_some()),
            ("resource", metric.resource.is_some()),
        ];
        for (field, there) in present {
            match (field == expected, there) {
                (true, false) => {
                    let detail = "must populate information for the given metric source";
                    self.required(format!("{path}.{field}"), detail);
                }
                (false, true) => {
                    self.forbidden(format!("{path}.{field}"), "must populate the given metric source only");
                }
                _ => {}
            }
        }
        self.sources(path, metric);
    }

    fn sources(&mut self, path: &str, metric: &MetricSpec) {
        if let Some(source) = &metric.resource {
            let path = format!("{path}.resource");
            self.named(&path, &source.name, "must specify a resource name");
            self.resource_target(&path, &source.target);
        }
        if let Some(source) = &metric.container_resource {
            let path = format!("{path}.containerResource");
            self.named(&path, &source.name, "must specify a resource name");
            if source.container.is_empty() {
                self.required(format!("{path}.container"), "must specify a container name");
            }
            self.resource_target(&path, &source.target);
        }
        if let Some(source) = &metric.pods {
            let path = format!("{path}.pods");
            self.identifier(&path, &source.metric);
            self.target(&path, &source.target);
            if source.target.average_value.is_none() {
                let detail = "must specify a positive target averageValue";
                self.required(format!("{path}.target.averageValue"), detail);
            }
        }
        if let Some(source) = &metric.object {
            let path = format!("{path}.object");
            self.reference(
                &format!("{path}.describedObject"),
                &source.described_object.kind,
                &source.described_object.name,
            );
            self.identifier(&path, &source.metric);
            self.total_target(&path, &source.target);
        }
        if let Some(source) = &metric.external {
            let path = format!("{path}.external");
            self.identifier(&path, &source.metric);
            self.total_target(&path, &source.target);
        }
    }

    fn named(&mut self, path: &str, name: &str, detail: &str) {
        if name.is_empty() {
            self.required(format!("{path}.name"), detail);
        }
    }

    fn identifier(&mut self, path: &str, metric: &MetricIdentifier) {
        self.named(&format!("{path}.metric"), &metric.name, "must specify a metric name");
        for (bad, word) in [("/", "'/'"), ("%", "'%'")] {
            if metric.name.contains(bad) {
                self.invalid(format!("{path}.metric.name"), &metric.name, format!("may not contain {word}"));
            }
        }
        if let Some(selector) = &metric.selector {
            self.label_selector(&format!("{path}.metric.selector"), selector);
        }
    }

    fn reference(&mut self, path: &str, kind: &str, name: &str) {
        for (field, value) in [("kind", kind), ("name", name)] {
            if value.is_empty() {
                self.required(format!("{path}.{field}"), "");
            }
        }
    }

    fn resource_target(&mut self, path: &str, target: &MetricTarget) {
        self.target(path, target);
        match (&target.average_utilization, &target.average_value) {
            (None, None) => {
                let detail = "must set either a target raw value or a target utilization";
                self.required(format!("{path}.target.averageUtilization"), detail);
            }
            (Some(_), Some(_)) => {
                let detail = "may not set both a target raw value and a target utilization";
                self.forbidden(format!("{path}.target.averageValue"), detail);
            }
            _ => {}
        }
    }

    fn total_target(&mut self, path: &str, target: &MetricTarget) {
        self.target(path, target);
        if target.value.is_none() && target.average_value.is_none() {
            let detail = "must set either a target value for metric or a per-pod target";
            self.required(format!("{path}.target.averageValue"), detail);
        }
        if target.value.is_some() && target.average_value.is_some() {
            let detail = "may not set both a target value for metric and a per-pod target";
            self.forbidden(format!("{path}.target.value"), detail);
        }
    }

    fn target(&mut self, path: &str, target: &MetricTarget) {
        let path = format!("{path}.target");
        if target.type_.is_empty() {
            self.required(format!("{path}.type"), "must specify a metric target type");
        } else if !["Utilization", "Value", "AverageValue"].contains(&target.type_.as_str()) {
            let detail = "must be either Utilization, Value, or AverageValue";
            self.invalid(format!("{path}.type"), &target.type_, detail);
        }
        for (field, amount) in [("value", &target.value), ("averageValue", &target.average_value)] {
            self.positive(&format!("{path}.{field}"), amount.as_ref());
        }
        if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
            self.invalid_value(format!("{path}.averageUtilization"), &percent, "must be greater than 0");
        }
    }

    fn positive(&mut self, path: &str, amount: Option<&Written>) {
        let Some(written) = amount else { return };
        match parse_quantity(&written.0) {
            Err(why) => {
                self.invalid(path, &written.0, why);
            }
            Ok(amount) if amount.nano <= 0 => {
                self.invalid(path, &written.0, "must be positive");
            }
            Ok(_) => {}
        }
    }

    fn scaling_rules(&mut self, path: &str, rules: Option<&HPAScalingRules>) {
        let Some(rules) = rules else { return };
        if let Some(window) = rules.stabilization_window_seconds {
            let path = format!("{path}.stabilizationWindowSeconds");
            if window < 0 {
                self.invalid_value(path, &window, "must be greater than or equal to zero");
            } else if window > WINDOW_MAX {
                self.invalid_value(path, &window, "must be less than or equal to 3600");
            }
        }
        self.one_of(format!("{path}.selectPolicy"), rules.select_policy.as_ref(), &["Disabled", "Max", "Min"]);
        let policies_path = format!("{path}.policies");
        if rules.policies.as_ref().is_some_and(Vec::is_empty) {
            self.required(policies_path.as_str(), "must specify at least one Policy");
        }
        for (index, policy) in rules.policies.iter().flatten().enumerate() {
            let path = format!("{policies_path}[{index}]");
            self.one_of(format!("{path}.type"), Some(&policy.type_), &["Percent", "Pods"]);
            if policy.value <= 0 {
                self.invalid_value(format!("{path}.value"), &policy.value, "must be greater than zero");
            }
            let at = format!("{path}.periodSeconds");
            if policy.period_seconds <= 0 {
                self.invalid_value(at, &policy.period_seconds, "must be greater than zero");
            } else if policy.period_seconds > PERIOD_MAX {
                self.invalid_value(at, &policy.period_seconds, "must be less than or equal to 1800");
            }
        }
        if let Some(tolerance) = &rules.tolerance
            && parse_quantity(&tolerance.0).is_ok_and(|tolerance| tolerance.nano < 0)
        {
            let detail = "must be greater than or equal to 0";
            self.invalid(format!("{path}.tolerance"), &tolerance.0, detail);
        }
    }
}

impl Validate for HorizontalPodAutoscaler {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let spec = &self.spec;
        // Zero needs a feature gate that is off by default, `HPAScaleToZero`.
        if let Some(least) = spec.min_replicas.filter(|least| *least < 1) {
            findings.invalid_value("spec.minReplicas", &least, "must be greater than or equal to 1");
        }
        if spec.max_replicas < 1 {
            findings.invalid_value("spec.maxReplicas", &spec.max_replicas, "must be greater than 0");
        }
        if spec.min_replicas.is_some_and(|least| spec.max_replicas < least) {
            let detail = "must be greater than or equal to `minReplicas`";
            findings.invalid_value("spec.maxReplicas", &spec.max_replicas, detail);
        }
        findings.reference("spec.scaleTargetRef", &spec.scale_target_ref.kind, &spec.scale_target_ref.name);
        for (index, metric) in spec.metrics.iter().flatten().enumerate() {
            findings.metric(&format!("spec.metrics[{index}]"), metric);
        }
        if let Some(behavior) = &spec.behavior {
            findings.scaling_rules("spec.behavior.scaleUp", behavior.scale_up.as_ref());
            findings.scaling_rules("spec.behavior.scaleDown", behavior.scale_down.as_ref());
        }
        findings.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn faults(change: impl Fn(&mut Value)) -> Vec<String> {
        let mut object = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 2, "maxReplicas": 10,
                "metrics": [{
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                }],
                "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            },
        });
        change(&mut object);
        let read: HorizontalPodAutoscaler = serde_json::from_value(object).unwrap();
        read.validate().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn autoscalers_are_refused_in_the_api_servers_words() {
        assert_eq!(faults(|_| {}), Vec::<String>::new());
        let metric = "spec.metrics[0]";
        // (field, value, what is said)
        let table = [
            ("/spec/minReplicas", json!(0), "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1".into()),
            (
                "/spec/maxReplicas",
                json!(1),
                "spec.maxReplicas: Invalid value: 1: must be greater than or equal to `minReplicas`".into(),
            ),
            ("/spec/scaleTargetRef/name", json!(""), "spec.scaleTargetRef.name: Required value".into()),
            (
                "/spec/metrics/0/resource/target/averageUtilization",
                json!(0),
                format!("{metric}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0"),
            ),
            (
                "/spec/metrics/0/resource/target",
                json!({"type": "Utilization"}),
                format!(
                    "{metric}.resource.target.averageUtilization: Required value: must set either a target raw value or \
                     a target utilization"
                ),
            ),
            (
                "/spec/behavior/scaleDown/policies/0/periodSeconds",
                json!(1801),
                "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"
                    .into(),
            ),
            (
                "/spec/behavior/scaleDown/policies",
                json!([]),
                "spec.behavior.scaleDown.policies: Required value: must specify at least one Policy".into(),
            ),
        ];
        for (field, value, said) in table {
            let have = faults(|object| *object.pointer_mut(field).unwrap() = value.clone());
            assert_eq!(have, [said], "{field}");
        }
        let two = faults(|object| object["spec"]["metrics"][0]["type"] = json!("Pods"));
        let expected = [
            format!("{metric}.pods: Required value: must populate information for the given metric source"),
            format!("{metric}.resource: Forbidden: must populate the given metric source only"),
        ];
        assert_eq!(two, expected);
    }
}
