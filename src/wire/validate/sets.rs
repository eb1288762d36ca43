//! StatefulSets, DaemonSets, ReplicationControllers and ControllerRevisions
//! (`pkg/apis/apps/validation/validation.go`, `pkg/apis/core/validation/validation.go`).

use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, DaemonSetUpdateStrategy, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::workload::amount;
use super::{ErrorType, FieldError, Findings, Validate};
use crate::wire::names;

impl Validate for StatefulSet {
    fn validate(&self) -> Vec<FieldError> {
        // The name becomes the host name of the pods.
        let check = Findings::stateful_set_spec;
        Findings::of(&self.metadata, names::dns_label, self.spec.as_ref(), &["spec.selector"], check)
    }
}

impl Validate for DaemonSet {
    fn validate(&self) -> Vec<FieldError> {
        Findings::of(&self.metadata, names::dns_subdomain, self.spec.as_ref(), &["spec.selector"], |findings, spec| {
            findings.selector(&spec.selector, "daemonset");
            findings.template(&spec.selector, &spec.template, "DaemonSet");
            if let Some(strategy) = &spec.update_strategy {
                findings.daemon_set_strategy(strategy);
            }
            findings.not_negative("spec.minReadySeconds", spec.min_ready_seconds);
            findings.not_negative("spec.revisionHistoryLimit", spec.revision_history_limit);
        })
    }
}

impl Validate for ReplicationController {
    fn validate(&self) -> Vec<FieldError> {
        let check = Findings::replication_controller_spec;
        Findings::of(&self.metadata, names::dns_subdomain, self.spec.as_ref(), &["spec.template"], check)
    }
}

impl Validate for ControllerRevision {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        if self.data.is_none() {
            findings.required("data", "data is mandatory");
        }
        findings.not_negative("revision", Some(self.revision));
        findings.0
    }
}

impl Findings {
    fn replication_controller_spec(&mut self, spec: &ReplicationControllerSpec) {
        self.not_negative("spec.minReadySeconds", spec.min_ready_seconds);
        let metadata = spec.template.as_ref().and_then(|template| template.metadata.as_ref());
        let labels = metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
        // A selector that is not written is that of the template.
        let selector = spec.selector.clone().filter(|selector| !selector.is_empty()).unwrap_or(labels);
        if selector.is_empty() {
            self.required("spec.selector", "");
        }
        self.not_negative("spec.replicas", spec.replicas);
        let selector = LabelSelector { match_labels: Some(selector), match_expressions: None };
        match &spec.template {
            Some(template) => self.template(&selector, template, "ReplicationController"),
            None => self.required("spec.template", ""),
        }
    }

    fn stateful_set_spec(&mut self, spec: &StatefulSetSpec) {
        let policy = spec.pod_management_policy.as_deref().unwrap_or_default();
        if !["", "OrderedReady", "Parallel"].contains(&policy) {
            self.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'");
        }
        if let Some(strategy) = &spec.update_strategy {
            self.stateful_set_strategy(strategy);
        }
        if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
            let path = "spec.persistentVolumeClaimRetentionPolicy";
            for (field, value) in [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)] {
                self.one_of(format!("{path}.{field}"), value.as_ref(), &["Delete", "Retain"]);
            }
        }
        self.not_negative("spec.replicas", spec.replicas);
        self.not_negative("spec.minReadySeconds", spec.min_ready_seconds);
        self.not_negative("spec.ordinals.start", spec.ordinals.as_ref().and_then(|ordinals| ordinals.start));
        self.selector(&spec.selector, "statefulset");
        // Each claim template is a volume of the pods.
        let mut template = spec.template.clone();
        let claims = spec.volume_claim_templates.iter().flatten().filter_map(|claim| claim.metadata.name.clone());
        if let Some(pod) = &mut template.spec {
            let volumes = pod.volumes.get_or_insert_default();
            let missing: Vec<String> =
                claims.filter(|name| volumes.iter().all(|volume| volume.name != *name)).collect();
            let volume = |name| Volume { name, empty_dir: Some(Default::default()), ..Volume::default() };
            volumes.extend(missing.into_iter().map(volume));
        }
        self.template(&spec.selector, &template, "StatefulSet");
        self.not_negative("spec.revisionHistoryLimit", spec.revision_history_limit);
    }

    fn stateful_set_strategy(&mut self, strategy: &StatefulSetUpdateStrategy) {
        let path = "spec.updateStrategy";
        match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
            ("OnDelete", Some(rolling)) => {
                let detail = "only allowed for updateStrategy 'RollingUpdate'";
                self.invalid_value(format!("{path}.rollingUpdate"), rolling, detail);
            }
            ("OnDelete" | "" | "RollingUpdate", None) => {}
            ("" | "RollingUpdate", Some(rolling)) => {
                self.not_negative(format!("{path}.rollingUpdate.partition"), rolling.partition);
                let path = format!("{path}.rollingUpdate.maxUnavailable");
                if let Some(limit) = &rolling.max_unavailable {
                    self.number_or_percent(&path, Some(limit));
                    if amount(limit) == Some(0) {
                        self.invalid_value(&path, limit, "cannot be 0");
                    }
                    self.at_most_all(&path, limit);
                }
            }
            _ => {
                self.invalid_value(path, strategy, "must be 'RollingUpdate' or 'OnDelete'");
            }
        }
    }

    fn daemon_set_strategy(&mut self, strategy: &DaemonSetUpdateStrategy) {
        let path = "spec.updateStrategy";
        match strategy.type_.as_deref().unwrap_or_default() {
            "OnDelete" => return,
            "" | "RollingUpdate" => {}
            other => {
                let supported = vec!["RollingUpdate", "OnDelete"];
                self.add(path, ErrorType::not_supported(format!("{other:?}"), &supported), "");
                return;
            }
        }
        let Some(rolling) = &strategy.rolling_update else { return };
        let (unavailable, surge) = (rolling.max_unavailable.as_ref(), rolling.max_surge.as_ref());
        for (field, value) in [("maxUnavailable", unavailable), ("maxSurge", surge)] {
            let path = format!("{path}.rollingUpdate.{field}");
            self.number_or_percent(&path, value);
            value.into_iter().for_each(|value| self.at_most_all(&path, value));
        }
        // Absent ones have the defaults 1 and 0.
        let has_unavailable = unavailable.and_then(amount) != Some(0);
        match (has_unavailable, surge.filter(|surge| amount(surge) != Some(0))) {
            (true, Some(surge)) => {
                let detail = "may not be set when maxUnavailable is non-zero";
                self.invalid_value(format!("{path}.rollingUpdate.maxSurge"), surge, detail);
            }
            (false, None) => {
                self.required(format!("{path}.rollingUpdate.maxUnavailable"), "cannot be 0 when maxSurge is 0");
            }
            _ => {}
        }
    }
}
