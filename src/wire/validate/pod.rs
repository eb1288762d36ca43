//! Pods and pod templates (`ValidatePodSpec`).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::container::Within;
use super::{FieldError, Findings, Validate};
use crate::wire::names;

/// How long pods have to end that do not say it.
const GRACE_SECONDS: i64 = 30;
/// The most name servers a pod may ask.
const NAMESERVERS_MAX: usize = 3;

impl Validate for Pod {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        match &self.spec {
            Some(spec) => findings.pod_spec("spec", spec, true),
            None => findings.required("spec.containers", ""),
        }
        findings.0
    }
}

impl Findings {
    /// The spec of a pod, or of the template of one.
    pub(super) fn pod_spec(&mut self, path: &str, spec: &PodSpec, pod: bool) {
        let volumes = self.volumes(path, spec);
        let grace_seconds = spec.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS);
        let within = Within { volumes: &volumes, grace_seconds, pod };
        self.containers(path, spec, &within);
        self.init_containers(path, spec, &within);
        self.host_network(path, spec);
        let restarts = &["Always", "OnFailure", "Never"];
        self.one_of(format!("{path}.restartPolicy"), spec.restart_policy.as_ref(), restarts);
        let dns = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
        self.one_of(format!("{path}.dnsPolicy"), spec.dns_policy.as_ref(), dns);
        self.not_negative(format!("{path}.terminationGracePeriodSeconds"), spec.termination_grace_period_seconds);
        if let Some(context) = &spec.security_context {
            let ids = [
                ("runAsUser", context.run_as_user),
                ("runAsGroup", context.run_as_group),
                ("fsGroup", context.fs_group),
            ];
            for (name, id) in ids {
                self.id(format!("{path}.securityContext.{name}"), id);
            }
        }
        self.dns_config(path, spec);
        self.gates(path, spec);
        if let Some(seconds) = spec.active_deadline_seconds
            && !(1..=i64::from(i32::MAX)).contains(&seconds)
        {
            let detail = "must be between 1 and 2147483647, inclusive";
            self.invalid_value(format!("{path}.activeDeadlineSeconds"), &seconds, detail);
        }
        self.pod_names(path, spec);
        let policies = &["PreemptLowerPriority", "Never"];
        self.one_of(format!("{path}.preemptionPolicy"), spec.preemption_policy.as_ref(), policies);
        self.scheduling(path, spec);
    }

    /// Names of other objects are subdomains; names in the DNS are labels.
    fn pod_names(&mut self, path: &str, spec: &PodSpec) {
        let objects = [
            ("serviceAccountName", &spec.service_account_name),
            ("nodeName", &spec.node_name),
            ("priorityClassName", &spec.priority_class_name),
            ("runtimeClassName", &spec.runtime_class_name),
        ];
        for (field, name) in objects {
            if let Some(name) = name.as_ref().filter(|name| !name.is_empty()) {
                self.invalid_each(&format!("{path}.{field}"), name, names::dns_subdomain(name));
            }
        }
        for (field, name) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
            if let Some(name) = name.as_ref().filter(|name| !name.is_empty()) {
                self.invalid_each(&format!("{path}.{field}"), name, names::dns_label(name));
            }
        }
    }

    fn containers(&mut self, path: &str, spec: &PodSpec, within: &Within<'_>) {
        let path = format!("{path}.containers");
        if spec.containers.is_empty() {
            self.required(path.as_str(), "");
        }
        let mut seen = BTreeSet::new();
        for (index, container) in spec.containers.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.container(&path, container, within);
            if !seen.insert(container.name.as_str()) {
                self.duplicate(format!("{path}.name"), &container.name);
            }
            self.long_running(&path, container, within);
            self.restart_rules(&path, container);
        }
        self.host_ports(&path, &spec.containers);
    }

    /// A container's own policy, and the rules that come before it (`validateContainerRestartPolicy`).
    fn restart_rules(&mut self, path: &str, container: &Container) {
        let policies = ["Always", "OnFailure", "Never"];
        self.one_of(format!("{path}.restartPolicy"), container.restart_policy.as_ref(), &policies);
        for (at, rule) in container.restart_policy_rules.iter().flatten().enumerate() {
            let path = format!("{path}.restartPolicyRules[{at}]");
            self.one_of(format!("{path}.action"), Some(&rule.action), &["Restart", "RestartAllContainers"]);
            match &rule.exit_codes {
                Some(codes) => {
                    self.one_of(format!("{path}.exitCodes.operator"), Some(&codes.operator), &["In", "NotIn"]);
                }
                None => self.required(format!("{path}.exitCodes"), ""),
            }
        }
    }

    fn init_containers(&mut self, path: &str, spec: &PodSpec, within: &Within<'_>) {
        let path = format!("{path}.initContainers");
        let mut seen: BTreeSet<&str> = spec.containers.iter().map(|container| container.name.as_str()).collect();
        for (index, container) in spec.init_containers.iter().flatten().enumerate() {
            let at = format!("{path}[{index}]");
            self.container(&at, container, within);
            if !container.name.is_empty() && !seen.insert(&container.name) {
                self.duplicate(format!("{at}.name"), &container.name);
            }
            self.host_ports(&path, std::slice::from_ref(container));
            self.restart_rules(&at, container);
            if container.restart_policy.as_deref() == Some("Always") {
                self.long_running(&at, container, within);
                continue;
            }
            let probes = [
                ("lifecycle", container.lifecycle.is_some()),
                ("livenessProbe", container.liveness_probe.is_some()),
                ("readinessProbe", container.readiness_probe.is_some()),
                ("startupProbe", container.startup_probe.is_some()),
            ];
            for (name, _) in probes.into_iter().filter(|(_, given)| *given) {
                let detail = "may not be set for init containers without restartPolicy=Always";
                self.forbidden(format!("{at}.{name}"), detail);
            }
        }
    }

    /// Two containers cannot have one port of the node (`AccumulateUniqueHostPorts`).
    fn host_ports(&mut self, path: &str, containers: &[Container]) {
        let mut seen = BTreeSet::new();
        for (at, container) in containers.iter().enumerate() {
            for (index, port) in container.ports.iter().flatten().enumerate() {
                let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
                let protocol = port.protocol.as_deref().unwrap_or("TCP");
                let taken = format!("{protocol}/{}/{number}", port.host_ip.as_deref().unwrap_or_default());
                if seen.contains(&taken) {
                    self.duplicate(format!("{path}[{at}].ports[{index}].hostPort"), &taken);
                }
                seen.insert(taken);
            }
        }
    }

    /// On the node's own network a port of the container is one of the node.
    fn host_network(&mut self, path: &str, spec: &PodSpec) {
        for (at, container) in spec.containers.iter().enumerate().filter(|_| spec.host_network == Some(true)) {
            for (index, port) in container.ports.iter().flatten().enumerate() {
                // An absent one is that of the container.
                let Some(host) = port.host_port.filter(|host| *host != 0 && *host != port.container_port) else {
                    continue;
                };
                let path = format!("{path}.containers[{at}].ports[{index}].hostPort");
                self.invalid_value(path, &host, "must match `containerPort` when `hostNetwork` is true");
            }
        }
    }

    fn dns_config(&mut self, path: &str, spec: &PodSpec) {
        let path = format!("{path}.dnsConfig");
        let servers = spec.dns_config.as_ref().and_then(|config| config.nameservers.as_deref()).unwrap_or_default();
        if spec.dns_policy.as_deref() == Some("None") {
            if spec.dns_config.is_none() {
                self.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
                return;
            }
            if servers.is_empty() {
                let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
                self.required(format!("{path}.nameservers"), detail);
                return;
            }
        }
        if servers.len() > NAMESERVERS_MAX {
            let detail = format!("must not have more than {NAMESERVERS_MAX} nameservers");
            self.invalid_value(format!("{path}.nameservers"), &servers, &detail);
        }
    }

    fn gates(&mut self, path: &str, spec: &PodSpec) {
        for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
            let path = format!("{path}.readinessGates[{index}].conditionType");
            self.invalid_each(&path, &gate.condition_type, names::qualified_name(&gate.condition_type));
        }
        let mut seen = BTreeSet::new();
        for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
            let path = format!("{path}.schedulingGates[{index}]");
            self.invalid_each(&path, &gate.name, names::qualified_name(&gate.name));
            if !seen.insert(gate.name.as_str()) {
                self.duplicate(path, &gate.name);
            }
        }
    }
}
