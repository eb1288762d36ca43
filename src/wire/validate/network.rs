//! Ingresses, their classes and network policies (`pkg/apis/networking/validation/validation.go`).

use super::{ErrorType, FieldError, Findings, Validate};
use crate::wire::names;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressClass, IngressSpec};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::net::IpAddr;

const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];

impl Validate for Ingress {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        let spec = self.spec.clone().unwrap_or_default();
        findings.ingress_spec(&spec);
        findings.0
    }
}

impl Validate for IngressClass {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, false, names::dns_subdomain);
        let controller = self.spec.as_ref().and_then(|spec| spec.controller.as_deref()).unwrap_or_default();
        if controller.is_empty() {
            findings.required("spec.controller", "");
        } else if !controller.contains('/') {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            findings.invalid("spec.controller", controller, detail);
        }
        findings.0
    }
}

impl Validate for NetworkPolicy {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        if let Some(spec) = &self.spec {
            findings.policy_spec(spec);
        }
        findings.0
    }
}

impl Findings {
    fn ingress_spec(&mut self, spec: &IngressSpec) {
        let rules = spec.rules.as_deref().unwrap_or_default();
        if rules.is_empty() && spec.default_backend.is_none() {
            self.invalid_value("spec", &spec.rules, "either `defaultBackend` or `rules` must be specified");
        }
        if let Some(backend) = &spec.default_backend {
            self.ingress_backend("spec.defaultBackend", backend);
        }
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("spec.rules[{index}]");
            let host = rule.host.as_deref().unwrap_or_default();
            if host.parse::<IpAddr>().is_ok() {
                self.invalid(format!("{path}.host"), host, "must be a DNS name, not an IP address");
            } else if !host.is_empty() {
                self.invalid_each(&format!("{path}.host"), host, names::dns_subdomain(host.trim_start_matches("*.")));
            }
            let Some(http) = &rule.http else { continue };
            if http.paths.is_empty() {
                self.required(format!("{path}.http.paths"), "");
            }
            for (at, one) in http.paths.iter().enumerate() {
                self.ingress_path(&format!("{path}.http.paths[{at}]"), one);
            }
        }
    }

    fn ingress_path(&mut self, path: &str, one: &HTTPIngressPath) {
        let written = one.path.as_deref().unwrap_or_default();
        match one.path_type.as_str() {
            "" => self.required(format!("{path}.pathType"), "pathType must be specified"),
            kind if !PATH_TYPES.contains(&kind) => {
                let value = format!("{kind:?}");
                self.add(format!("{path}.pathType"), ErrorType::not_supported(value, PATH_TYPES), "");
            }
            "ImplementationSpecific" if written.is_empty() => {}
            _ if !written.starts_with('/') => {
                self.invalid(format!("{path}.path"), written, "must be an absolute path");
            }
            "ImplementationSpecific" => {}
            _ => {
                for wrong in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|wrong| written.contains(wrong)) {
                    self.invalid(format!("{path}.path"), written, format!("must not contain '{wrong}'"));
                }
            }
        }
        self.ingress_backend(&format!("{path}.backend"), &one.backend);
    }

    fn ingress_backend(&mut self, path: &str, backend: &IngressBackend) {
        match (&backend.service, &backend.resource) {
            (Some(_), Some(_)) => {
                self.invalid(path, "", "cannot set both resource and service backends");
            }
            (None, None) => self.required(path, "resource or service backend is required"),
            (None, Some(_)) => {}
            (Some(service), None) => {
                let name = format!("{path}.service.name");
                match service.name.is_empty() {
                    true => self.required(name, ""),
                    false => self.invalid_each(&name, &service.name, names::dns_label(&service.name)),
                }
                let port = service.port.clone().unwrap_or_default();
                match (port.name.is_some_and(|name| !name.is_empty()), port.number.unwrap_or(0)) {
                    (true, number) if number != 0 => {
                        self.invalid(path, "", "cannot set both port name & port number");
                    }
                    (false, 0) => self.required(path, "port name or number is required"),
                    (false, number) => self.port(format!("{path}.service.port.number"), number),
                    (true, _) => {}
                }
            }
        }
    }

    fn policy_spec(&mut self, spec: &NetworkPolicySpec) {
        let rules = spec.ingress.iter().flatten().map(|rule| (&rule.from, &rule.ports));
        for (index, (peers, ports)) in rules.enumerate() {
            self.policy_rule(&format!("spec.ingress[{index}]"), ("from", peers.as_deref()), ports.as_deref());
        }
        let rules = spec.egress.iter().flatten().map(|rule| (&rule.to, &rule.ports));
        for (index, (peers, ports)) in rules.enumerate() {
            self.policy_rule(&format!("spec.egress[{index}]"), ("to", peers.as_deref()), ports.as_deref());
        }
        for (index, kind) in spec.policy_types.iter().flatten().enumerate() {
            self.one_of(format!("spec.policyTypes[{index}]"), Some(kind), &["Egress", "Ingress"]);
        }
    }

    fn policy_rule(
        &mut self,
        path: &str,
        (field, peers): (&str, Option<&[NetworkPolicyPeer]>),
        ports: Option<&[NetworkPolicyPort]>,
    ) {
        for (index, port) in ports.unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.ports[{index}]");
            self.one_of(format!("{path}.protocol"), port.protocol.as_ref(), super::service::PROTOCOLS);
            match (&port.port, port.end_port) {
                (Some(IntOrString::Int(from)), end) => {
                    self.port(format!("{path}.port"), *from);
                    if let Some(end) = end.filter(|end| end < from) {
                        let detail = "must be greater than or equal to `port`";
                        self.invalid_value(format!("{path}.endPort"), &end, detail);
                    }
                }
                (Some(IntOrString::String(name)), _) => {
                    self.invalid_each(&format!("{path}.port"), name, names::port_name(name));
                }
                (None, Some(_)) => self.required(format!("{path}.port"), "must be specified when `endPort` is set"),
                (None, None) => {}
            }
        }
        for (index, peer) in peers.unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
            match &peer.ip_block {
                Some(_) if selects => {
                    self.forbidden(path, "may not specify both ipBlock and another peer");
                }
                Some(block) if crate::model::network_policy::Block::parse(&block.cidr).is_none() => {
                    let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
                    self.invalid(format!("{path}.ipBlock.cidr"), &block.cidr, detail);
                }
                None if !selects => self.required(path, "must specify a peer"),
                _ => {}
            }
        }
    }
}
