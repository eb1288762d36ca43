//! Tolerations, node affinity, pod affinity, spread constraints.

use k8s_openapi::api::core::v1::{
    Affinity, NodeSelectorTerm, PodAffinityTerm, PodSpec, Toleration, TopologySpreadConstraint,
};

use super::Findings;
use crate::wire::names;

/// What a taint does, as the API server lists it.
pub(super) const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

impl Findings {
    pub(super) fn scheduling(&mut self, path: &str, spec: &PodSpec) {
        let selector = format!("{path}.nodeSelector");
        self.labels(&selector, &selector, spec.node_selector.as_ref());
        for (index, toleration) in spec.tolerations.iter().flatten().enumerate() {
            self.toleration(&format!("{path}.tolerations[{index}]"), toleration);
        }
        if let Some(affinity) = &spec.affinity {
            self.affinity(&format!("{path}.affinity"), affinity);
        }
        for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
            self.spread(&format!("{path}.topologySpreadConstraints[{index}]"), constraint);
        }
        let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
        self.spread_twice(&format!("{path}.topologySpreadConstraints"), constraints);
    }

    fn toleration(&mut self, path: &str, toleration: &Toleration) {
        let key = toleration.key.as_deref().unwrap_or("");
        let operator = toleration.operator.as_deref().unwrap_or("");
        let effect = toleration.effect.as_deref().unwrap_or("");
        if !key.is_empty() {
            self.invalid_each(&format!("{path}.key"), key, names::qualified_name(key));
        } else if operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            self.invalid(format!("{path}.operator"), operator, detail);
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            self.invalid(format!("{path}.effect"), effect, detail);
        }
        match operator {
            "" | "Equal" => {
                let value = toleration.value.as_deref().unwrap_or("");
                let faults = names::label_value(value).join(";");
                if !faults.is_empty() {
                    self.invalid(format!("{path}.operator"), value, faults);
                }
            }
            "Exists" => {
                if let Some(value) = toleration.value.as_ref().filter(|value| !value.is_empty()) {
                    self.invalid(format!("{path}.operator"), value, "value must be empty when `operator` is 'Exists'");
                }
            }
            _ => self.one_of(format!("{path}.operator"), toleration.operator.as_ref(), &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            self.one_of(format!("{path}.effect"), toleration.effect.as_ref(), EFFECTS);
        }
    }

    fn affinity(&mut self, path: &str, affinity: &Affinity) {
        if let Some(node) = &affinity.node_affinity {
            let path = format!("{path}.nodeAffinity");
            if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
                let path = format!("{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
                if required.node_selector_terms.is_empty() {
                    self.required(path.as_str(), "must have at least one node selector term");
                }
                for (index, term) in required.node_selector_terms.iter().enumerate() {
                    self.node_term(&format!("{path}[{index}]"), term);
                }
            }
            let preferred = node.preferred_during_scheduling_ignored_during_execution.iter().flatten();
            for (index, preferred) in preferred.enumerate() {
                let path = format!("{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
                self.weight(&path, preferred.weight);
                self.node_term(&format!("{path}.preference"), &preferred.preference);
            }
        }
        let pod = affinity.pod_affinity.as_ref().map(|pod| {
            let weighted = &pod.preferred_during_scheduling_ignored_during_execution;
            ("podAffinity", &pod.required_during_scheduling_ignored_during_execution, weighted)
        });
        let anti = affinity.pod_anti_affinity.as_ref().map(|anti| {
            let weighted = &anti.preferred_during_scheduling_ignored_during_execution;
            ("podAntiAffinity", &anti.required_during_scheduling_ignored_during_execution, weighted)
        });
        for (name, required, preferred) in pod.into_iter().chain(anti) {
            for (index, term) in required.iter().flatten().enumerate() {
                let path = format!("{path}.{name}.requiredDuringSchedulingIgnoredDuringExecution[{index}]");
                self.pod_term(&path, term);
            }
            for (index, weighted) in preferred.iter().flatten().enumerate() {
                let path = format!("{path}.{name}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
                self.weight(&path, weighted.weight);
                self.pod_term(&format!("{path}.podAffinityTerm"), &weighted.pod_affinity_term);
            }
        }
    }

    fn weight(&mut self, path: &str, weight: i32) {
        if !(1..=100).contains(&weight) {
            self.invalid_value(format!("{path}.weight"), &weight, "must be in the range 1-100");
        }
    }

    fn node_term(&mut self, path: &str, term: &NodeSelectorTerm) {
        for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
            let path = format!("{path}.matchExpressions[{index}]");
            let count = expression.values.as_ref().map_or(0, Vec::len);
            match expression.operator.as_str() {
                "In" | "NotIn" if count == 0 => {
                    let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                    self.required(format!("{path}.values"), detail);
                }
                "Exists" | "DoesNotExist" if count > 0 => {
                    let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    self.forbidden(format!("{path}.values"), detail);
                }
                "Gt" | "Lt" if count != 1 => {
                    let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                    self.required(format!("{path}.values"), detail);
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
                other => {
                    self.invalid(format!("{path}.operator"), other, "not a valid selector operator");
                }
            }
            self.invalid_each(&format!("{path}.key"), &expression.key, names::qualified_name(&expression.key));
        }
    }

    fn pod_term(&mut self, path: &str, term: &PodAffinityTerm) {
        if let Some(selector) = &term.label_selector {
            self.label_selector(&format!("{path}.labelSelector"), selector);
        }
        if term.topology_key.is_empty() {
            self.required(format!("{path}.topologyKey"), "can not be empty");
        } else {
            let faults = names::qualified_name(&term.topology_key);
            self.invalid_each(&format!("{path}.topologyKey"), &term.topology_key, faults);
        }
    }

    fn spread(&mut self, path: &str, constraint: &TopologySpreadConstraint) {
        if constraint.max_skew <= 0 {
            self.invalid_value(format!("{path}.maxSkew"), &constraint.max_skew, "must be greater than zero");
        }
        match constraint.topology_key.as_str() {
            "" => self.required(format!("{path}.topologyKey"), "can not be empty"),
            key => self.invalid_each(&format!("{path}.topologyKey"), key, names::qualified_name(key)),
        }
        let choices = &["DoNotSchedule", "ScheduleAnyway"];
        self.one_of(format!("{path}.whenUnsatisfiable"), Some(&constraint.when_unsatisfiable), choices);
        if let Some(domains) = constraint.min_domains {
            let path = format!("{path}.minDomains");
            if domains <= 0 {
                self.invalid_value(path.as_str(), &domains, "must be greater than zero");
            }
            if constraint.when_unsatisfiable == "ScheduleAnyway" {
                let detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway";
                self.invalid_value(path, &domains, detail);
            }
        }
        for (field, policy) in [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ] {
            self.one_of(format!("{path}.{field}"), policy.as_ref(), &["Honor", "Ignore"]);
        }
        if let Some(selector) = &constraint.label_selector {
            self.label_selector(&format!("{path}.labelSelector"), selector);
        }
    }

    /// One topology is spread over once in one way.
    fn spread_twice(&mut self, path: &str, constraints: &[TopologySpreadConstraint]) {
        for (index, one) in constraints.iter().enumerate() {
            let same = |other: &&TopologySpreadConstraint| {
                other.topology_key == one.topology_key && other.when_unsatisfiable == one.when_unsatisfiable
            };
            for _ in constraints[index + 1..].iter().filter(same) {
                let pair = format!("{{{}, {}}}", one.topology_key, one.when_unsatisfiable);
                self.duplicate(format!("{path}[{index}].{{topologyKey, whenUnsatisfiable}}"), &pair);
            }
        }
    }
}
