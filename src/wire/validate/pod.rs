//! Pods and pod templates (`ValidatePodSpec`).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod, PodSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{FieldError, Findings, Validate};
use crate::wire::names;

impl Validate for Pod {
    fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        findings.metadata(&self.metadata, true, names::dns_subdomain);
        match &self.spec {
            Some(spec) => findings.pod_spec("spec", spec),
            None => findings.required("spec.containers", ""),
        }
        findings.0
    }
}

impl Findings {
    pub(super) fn pod_spec(&mut self, path: &str, spec: &PodSpec) {
        let volumes = self.volumes(path, spec);
        let mut names_seen = BTreeSet::new();
        if spec.containers.is_empty() {
            self.required(format!("{path}.containers"), "");
        }
        for (index, container) in spec.containers.iter().enumerate() {
            self.container(&format!("{path}.containers[{index}]"), container, &volumes, &mut names_seen);
        }
        for (index, container) in spec.init_containers.iter().flatten().enumerate() {
            let at = format!("{path}.initContainers[{index}]");
            self.container(&at, container, &volumes, &mut names_seen);
            let sidecar = container.restart_policy.as_deref() == Some("Always");
            let probes = [
                ("livenessProbe", &container.liveness_probe),
                ("readinessProbe", &container.readiness_probe),
                ("startupProbe", &container.startup_probe),
            ];
            for (name, probe) in probes {
                if probe.is_some() && !sidecar {
                    let detail = "may not be set for init containers without restartPolicy=Always";
                    self.forbidden(format!("{at}.{name}"), detail);
                }
            }
        }
        self.one_of(format!("{path}.restartPolicy"), spec.restart_policy.as_ref(), &["Always", "Never", "OnFailure"]);
        let dns = &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
        self.one_of(format!("{path}.dnsPolicy"), spec.dns_policy.as_ref(), dns);
        self.not_negative(format!("{path}.terminationGracePeriodSeconds"), spec.termination_grace_period_seconds);
        if let Some(seconds) = spec.active_deadline_seconds
            && !(1..=i64::from(i32::MAX)).contains(&seconds)
        {
            let detail = "must be between 1 and 2147483647, inclusive";
            self.invalid_value(format!("{path}.activeDeadlineSeconds"), &seconds, detail);
        }
        for (field, name) in [("priorityClassName", &spec.priority_class_name), ("nodeName", &spec.node_name)] {
            if let Some(name) = name.as_ref().filter(|name| !name.is_empty()) {
                self.invalid_each(&format!("{path}.{field}"), name, names::dns_subdomain(name));
            }
        }
        self.scheduling(path, spec);
    }

    fn volumes<'a>(&mut self, path: &str, spec: &'a PodSpec) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        for (index, volume) in spec.volumes.iter().flatten().enumerate() {
            let path = format!("{path}.volumes[{index}].name");
            if volume.name.is_empty() {
                self.required(path, "");
            } else {
                self.invalid_each(&path, &volume.name, names::dns_label(&volume.name));
                if !seen.insert(volume.name.as_str()) {
                    self.duplicate(path, &volume.name);
                }
            }
        }
        seen
    }

    fn container<'a>(
        &mut self,
        path: &str,
        container: &'a Container,
        volumes: &BTreeSet<&str>,
        names_seen: &mut BTreeSet<&'a str>,
    ) {
        let name = container.name.as_str();
        if name.is_empty() {
            self.required(format!("{path}.name"), "");
        } else {
            self.invalid_each(&format!("{path}.name"), name, names::dns_label(name));
            if !names_seen.insert(name) {
                self.duplicate(format!("{path}.name"), name);
            }
        }
        match container.image.as_deref().unwrap_or("") {
            "" => self.required(format!("{path}.image"), ""),
            image if image.trim() != image => {
                self.invalid(format!("{path}.image"), image, "must not have leading or trailing whitespace");
            }
            _ => {}
        }
        let policies = &["Always", "IfNotPresent", "Never"];
        self.one_of(format!("{path}.imagePullPolicy"), container.image_pull_policy.as_ref(), policies);
        self.container_ports(path, container.ports.as_deref().unwrap_or_default());
        for (index, variable) in container.env.iter().flatten().enumerate() {
            let path = format!("{path}.env[{index}]");
            if variable.name.is_empty() {
                self.required(format!("{path}.name"), "");
            }
            self.invalid_each(&format!("{path}.name"), &variable.name, names::env_name(&variable.name));
            if variable.value_from.is_some() && variable.value.as_ref().is_some_and(|value| !value.is_empty()) {
                let detail = "may not be specified when `value` is not empty";
                self.invalid(format!("{path}.valueFrom"), "", detail);
            }
        }
        for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let path = format!("{path}.volumeMounts[{index}]");
            if mount.name.is_empty() {
                self.required(format!("{path}.name"), "");
            } else if !volumes.contains(mount.name.as_str()) {
                self.add(format!("{path}.name"), super::ErrorType::NotFound(format!("{:?}", mount.name)), "");
            }
            if mount.mount_path.is_empty() {
                self.required(format!("{path}.mountPath"), "");
            }
        }
        self.probe(&format!("{path}.livenessProbe"), container.liveness_probe.as_ref(), true);
        self.probe(&format!("{path}.readinessProbe"), container.readiness_probe.as_ref(), false);
        self.probe(&format!("{path}.startupProbe"), container.startup_probe.as_ref(), true);
        if let Some(resources) = &container.resources {
            self.resources(&format!("{path}.resources"), resources);
        }
    }

    fn container_ports(&mut self, path: &str, ports: &[ContainerPort]) {
        let mut seen = BTreeSet::new();
        for (index, port) in ports.iter().enumerate() {
            let path = format!("{path}.ports[{index}]");
            if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
                let faults = names::port_name(name);
                if faults.is_empty() && !seen.insert(name) {
                    self.duplicate(format!("{path}.name"), name);
                }
                self.invalid_each(&format!("{path}.name"), name, faults);
            }
            match port.container_port {
                0 => self.required(format!("{path}.containerPort"), ""),
                number => self.port(format!("{path}.containerPort"), number),
            }
            if let Some(number) = port.host_port.filter(|number| *number != 0) {
                self.port(format!("{path}.hostPort"), number);
            }
            self.one_of(format!("{path}.protocol"), port.protocol.as_ref(), super::service::PROTOCOLS);
        }
    }

    fn probe(&mut self, path: &str, probe: Option<&Probe>, only_one_success: bool) {
        let Some(probe) = probe else { return };
        let handlers = [
            ("exec", probe.exec.is_some()),
            ("httpGet", probe.http_get.is_some()),
            ("tcpSocket", probe.tcp_socket.is_some()),
            ("grpc", probe.grpc.is_some()),
        ];
        let mut given = handlers.iter().filter(|(_, given)| *given);
        if given.next().is_none() {
            self.required(path, "must specify a handler type");
        }
        for (name, _) in given {
            self.forbidden(format!("{path}.{name}"), "may not specify more than 1 handler type");
        }
        if let Some(http) = &probe.http_get {
            self.target_port(&format!("{path}.httpGet.port"), &http.port);
            self.one_of(format!("{path}.httpGet.scheme"), http.scheme.as_ref(), &["HTTP", "HTTPS"]);
        }
        if let Some(tcp) = &probe.tcp_socket {
            self.target_port(&format!("{path}.tcpSocket.port"), &tcp.port);
        }
        let numbers = [
            ("initialDelaySeconds", probe.initial_delay_seconds),
            ("timeoutSeconds", probe.timeout_seconds),
            ("periodSeconds", probe.period_seconds),
            ("successThreshold", probe.success_threshold),
            ("failureThreshold", probe.failure_threshold),
        ];
        for (name, number) in numbers {
            self.not_negative(format!("{path}.{name}"), number);
        }
        if let Some(number) = probe.success_threshold.filter(|n| only_one_success && *n > 1) {
            self.invalid_value(format!("{path}.successThreshold"), &number, "must be 1");
        }
    }

    /// A port by number or by name.
    pub(super) fn target_port(&mut self, path: &str, port: &IntOrString) {
        match port {
            IntOrString::Int(number) => self.port(path, *number),
            IntOrString::String(name) => self.invalid_each(path, name, names::port_name(name)),
        }
    }
}
