//! Volumes, claims, storage classes, CSI nodes and disruption budgets (`pkg/apis/core/validation/validation.go`,
//! `pkg/apis/storage/validation/validation.go`, `pkg/apis/policy/validation/validation.go`).

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

use super::{ErrorType, FieldError, Findings, Validate};
use crate::wire::names;

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];

impl Findings {
    fn access_modes(&mut self, modes: Option<&Vec<String>>, missing: &str) {
        let modes = modes.map(Vec::as_slice).unwrap_or_default();
        if modes.is_empty() {
            self.required("spec.accessModes", missing);
        }
        for mode in modes {
            self.one_of("spec.accessModes", Some(mode), ACCESS_MODES);
        }
        if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
            self.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes");
        }
    }

    /// The amount of storage, which must be there and positive.
    fn storage(&mut self, path: &str, amounts: Option<&BTreeMap<String, Quantity>>) {
        let Some(written) = amounts.and_then(|amounts| amounts.get("storage")) else {
            self.required(path, "");
            return;
        };
        match crate::model::quantity::parse_quantity(&written.0) {
            Ok(amount) if amount.milli() <= 0 => {
                self.invalid(path, &written.0, "must be greater than zero");
            }
            Ok(_) => {}
            Err(why) => {
                self.invalid(path, &written.0, why);
            }
        }
    }
}

impl Validate for PersistentVolume {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        let spec = self.spec.clone().unwrap_or_default();
        findings.access_modes(spec.access_modes.as_ref(), "");
        match spec.capacity.as_ref().is_none_or(BTreeMap::is_empty) {
            true => findings.required("spec.capacity", ""),
            false => findings.storage("spec.capacity[storage]", spec.capacity.as_ref()),
        }
        findings.one_of(
            "spec.persistentVolumeReclaimPolicy",
            spec.persistent_volume_reclaim_policy.as_ref(),
            &["Delete", "Recycle", "Retain"],
        );
        let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
        if required.is_some_and(|selector| selector.node_selector_terms.is_empty()) {
            findings
                .required("spec.nodeAffinity.required.nodeSelectorTerms", "must have at least one node selector term");
        }
        if spec.local.is_some() && required.is_none() {
            findings.required("spec.nodeAffinity", "Local volume requires node affinity");
        }
        if !has_source(&spec) {
            findings.required("spec", "must specify a volume type");
        }
        findings.one_of("spec.volumeMode", spec.volume_mode.as_ref(), VOLUME_MODES);
        findings.0
    }
}

/// Whether any volume source is given: what is left when everything else is taken away.
fn has_source(spec: &PersistentVolumeSpec) -> bool {
    let without = PersistentVolumeSpec {
        access_modes: None,
        capacity: None,
        claim_ref: None,
        mount_options: None,
        node_affinity: None,
        persistent_volume_reclaim_policy: None,
        storage_class_name: None,
        volume_attributes_class_name: None,
        volume_mode: None,
        ..spec.clone()
    };
    without != PersistentVolumeSpec::default()
}

impl Validate for PersistentVolumeClaim {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let spec = self.spec.clone().unwrap_or_default();
        if let Some(selector) = &spec.selector {
            findings.label_selector("spec.selector", selector);
        }
        findings.access_modes(spec.access_modes.as_ref(), "at least 1 access mode is required");
        let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        findings.storage("spec.resources[storage]", requests);
        if let Some(class) = spec.storage_class_name.as_deref().filter(|class| !class.is_empty()) {
            findings.invalid_each("spec.storageClassName", class, names::dns_subdomain(class));
        }
        findings.one_of("spec.volumeMode", spec.volume_mode.as_ref(), VOLUME_MODES);
        findings.0
    }
}

impl Validate for StorageClass {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        if self.provisioner.is_empty() {
            findings.required("provisioner", "");
        }
        findings.one_of("reclaimPolicy", self.reclaim_policy.as_ref(), &["Delete", "Retain"]);
        let modes = &["Immediate", "WaitForFirstConsumer"];
        findings.one_of("volumeBindingMode", self.volume_binding_mode.as_ref(), modes);
        for (at, term) in self.allowed_topologies.iter().flatten().enumerate() {
            for (nth, expression) in term.match_label_expressions.iter().flatten().enumerate() {
                let path = format!("allowedTopologies[{at}].matchLabelExpressions[{nth}]");
                if expression.values.is_empty() {
                    findings.required(format!("{path}.values"), "");
                }
                findings.invalid_each(&format!("{path}.key"), &expression.key, names::qualified_name(&expression.key));
            }
        }
        findings.0
    }
}

impl Validate for CSINode {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        for (at, driver) in self.spec.drivers.iter().enumerate() {
            let path = format!("spec.drivers[{at}]");
            if driver.name.is_empty() {
                findings.required(format!("{path}.name"), "");
            }
            if self.spec.drivers[..at].iter().any(|other| other.name == driver.name) {
                findings.duplicate(format!("{path}.name"), &driver.name);
            }
            if driver.node_id.is_empty() {
                findings.required(format!("{path}.nodeID"), "");
            }
            let count = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count);
            findings.not_negative(format!("{path}.allocatable.count"), count);
        }
        findings.0
    }
}

/// The most characters of a driver's name.
const DRIVER_MAX: usize = 63;

impl Findings {
    /// The name of a driver (`ValidateCSIDriverName`).
    pub(super) fn driver(&mut self, path: &str, driver: &str) {
        if driver.is_empty() {
            self.required(path, "");
            return;
        }
        if driver.len() > DRIVER_MAX {
            self.add(path, ErrorType::TooLong, format!("may not be more than {DRIVER_MAX} bytes"));
        }
        self.invalid_each(path, driver, names::dns_subdomain(&driver.to_lowercase()));
    }
}

impl Validate for CSIDriver {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        findings.driver("metadata.name", self.metadata.name.as_deref().unwrap_or_default());
        let policies = &["File", "None", "ReadWriteOnceWithFSType"];
        findings.one_of("spec.fsGroupPolicy", self.spec.fs_group_policy.as_ref(), policies);
        for mode in self.spec.volume_lifecycle_modes.iter().flatten() {
            findings.one_of("spec.volumeLifecycleModes", Some(mode), &["Ephemeral", "Persistent"]);
        }
        findings.0
    }
}

impl Validate for VolumeAttachment {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        let spec = &self.spec;
        findings.driver("spec.attacher", &spec.attacher);
        match (&spec.source.persistent_volume_name, &spec.source.inline_volume_spec) {
            (None, None) => {
                findings
                    .required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
            }
            (Some(_), Some(_)) => {
                findings
                    .forbidden("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
            }
            (Some(name), None) if name.is_empty() => {
                findings.required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName");
            }
            _ => {}
        }
        findings.invalid_each("spec.nodeName", &spec.node_name, names::dns_subdomain(&spec.node_name));
        findings.0
    }
}

impl Validate for PodDisruptionBudget {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let spec = self.spec.clone().unwrap_or_default();
        if spec.min_available.is_some() && spec.max_unavailable.is_some() {
            findings.invalid_value("spec", &spec, "minAvailable and maxUnavailable cannot be both set");
        }
        for (field, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
            let path = format!("spec.{field}");
            findings.number_or_percent(&path, value.as_ref());
            value.iter().for_each(|value| findings.at_most_all(&path, value));
        }
        if let Some(selector) = &spec.selector {
            findings.label_selector("spec.selector", selector);
        }
        let policies = &["AlwaysAllow", "IfHealthyBudget"];
        findings.one_of("spec.unhealthyPodEvictionPolicy", spec.unhealthy_pod_eviction_policy.as_ref(), policies);
        findings.0
    }
}
