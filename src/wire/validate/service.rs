//! Services (`ValidateService`).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::{FieldError, Findings, Validate};
use crate::wire::names;

/// The protocols of a port.
pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

impl Validate for Service {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_label);
        match &self.spec {
            Some(spec) => findings.service_spec(spec),
            None => findings.required("spec.ports", ""),
        }
        findings.0
    }
}

impl Findings {
    fn service_spec(&mut self, spec: &ServiceSpec) {
        let ports = spec.ports.as_deref().unwrap_or_default();
        let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
        let headless = spec.cluster_ip.as_deref() == Some("None");
        if ports.is_empty() && !headless && kind != "ExternalName" {
            self.required("spec.ports", "");
        }
        let mut names_seen = BTreeSet::new();
        let mut pairs_seen = BTreeSet::new();
        let mut node_ports_seen = BTreeSet::new();
        for (index, port) in ports.iter().enumerate() {
            let path = format!("spec.ports[{index}]");
            match port.name.as_deref().unwrap_or("") {
                "" if ports.len() > 1 => self.required(format!("{path}.name"), ""),
                "" => {}
                name => {
                    self.invalid_each(&format!("{path}.name"), name, names::dns_label(name));
                    if !names_seen.insert(name) {
                        self.duplicate(format!("{path}.name"), name);
                    }
                }
            }
            self.port(format!("{path}.port"), port.port);
            self.one_of(format!("{path}.protocol"), port.protocol.as_ref(), PROTOCOLS);
            if let Some(target) = &port.target_port {
                self.target_port(&format!("{path}.targetPort"), target);
            }
            if let Some(number) = port.node_port.filter(|number| *number != 0) {
                self.node_port(&format!("{path}.nodePort"), number, kind);
            }
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let node_port = port.node_port.filter(|number| *number != 0);
            if let Some(number) = node_port.filter(|number| !node_ports_seen.insert((protocol, *number))) {
                self.add(format!("{path}.nodePort"), super::ErrorType::Duplicate(number.to_string()), "");
            }
            if !pairs_seen.insert((protocol, port.port)) {
                let pair = serde_json::json!({ "port": port.port, "protocol": protocol });
                self.add(path, super::ErrorType::Duplicate(pair.to_string()), "");
            }
        }
        self.labels("spec.selector", "spec.selector", spec.selector.as_ref());
        self.one_of("spec.type", spec.type_.as_ref(), TYPES);
        self.one_of("spec.sessionAffinity", spec.session_affinity.as_ref(), &["ClientIP", "None"]);
        for (field, policy) in [
            ("externalTrafficPolicy", &spec.external_traffic_policy),
            ("internalTrafficPolicy", &spec.internal_traffic_policy),
        ] {
            self.one_of(format!("spec.{field}"), policy.as_ref(), &["Cluster", "Local"]);
        }
        if headless && ["LoadBalancer", "NodePort"].contains(&kind) {
            let detail = format!("may not be set to 'None' for {kind} services");
            self.invalid("spec.clusterIPs[0]", "None", detail).at = Some("spec.clusterIP".to_string());
        }
        let outside = ["LoadBalancer", "NodePort"].contains(&kind)
            || (kind == "ClusterIP" && spec.external_ips.as_ref().is_some_and(|addresses| !addresses.is_empty()));
        if let Some(policy) = spec.external_traffic_policy.as_ref().filter(|policy| !policy.is_empty() && !outside) {
            let detail = "may only be set for externally-accessible services";
            self.invalid("spec.externalTrafficPolicy", policy, detail);
        }
        if kind == "ExternalName" && spec.external_name.as_ref().is_none_or(String::is_empty) {
            self.required("spec.externalName", "");
        }
    }

    fn node_port(&mut self, path: &str, number: i32, kind: &str) {
        if kind == "ClusterIP" {
            self.forbidden(path, "may not be used when `type` is 'ClusterIP'");
        } else if kind != "ExternalName" && !(30_000..=32_767).contains(&number) {
            let detail = "provided port is not in the valid range. The range of valid ports is 30000-32767";
            self.invalid_value(path, &number, detail);
        }
    }
}
