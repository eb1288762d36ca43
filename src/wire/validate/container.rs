//! Containers: ports, variables, mounts, probes and hooks (`validateContainerCommon`).

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvFromSource, EnvVar, EnvVarSource, HTTPGetAction, LifecycleHandler, Probe,
    SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeSet;

use super::{ErrorType, Findings, names};

/// What variables can be made of the pod's own fields.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// And of the container's resources.
const ENV_RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const PROPAGATIONS: &[&str] = &["Bidirectional", "HostToContainer", "None"];

/// What a container stands in.
pub(super) struct Within<'a> {
    /// The volumes of its pod.
    pub volumes: &'a BTreeSet<&'a str>,
    /// How long its pod has to end.
    pub grace_seconds: i64,
    /// A pod, not the template of one.
    pub pod: bool,
}

impl Findings {
    /// What all containers have in common.
    pub(super) fn container(&mut self, path: &str, container: &Container, within: &Within<'_>) {
        match container.name.as_str() {
            "" => self.required(format!("{path}.name"), ""),
            name => self.invalid_each(&format!("{path}.name"), name, names::dns_label(name)),
        }
        match container.image.as_deref().unwrap_or("") {
            "" => self.required(format!("{path}.image"), ""),
            image if within.pod && image.trim() != image => {
                self.invalid(format!("{path}.image"), image, "must not have leading or trailing whitespace");
            }
            _ => {}
        }
        let told = container.termination_message_policy.as_ref();
        self.one_of(format!("{path}.terminationMessagePolicy"), told, &["File", "FallbackToLogsOnError"]);
        self.container_ports(path, container.ports.as_deref().unwrap_or_default());
        for (index, variable) in container.env.iter().flatten().enumerate() {
            self.variable(&format!("{path}.env[{index}]"), variable);
        }
        for (index, source) in container.env_from.iter().flatten().enumerate() {
            self.variables(&format!("{path}.envFrom"), index, source);
        }
        self.mounts(&format!("{path}.volumeMounts"), container, within.volumes);
        let policies = &["Always", "IfNotPresent", "Never"];
        self.one_of(format!("{path}.imagePullPolicy"), container.image_pull_policy.as_ref(), policies);
        if let Some(resources) = &container.resources {
            self.resources(&format!("{path}.resources"), resources);
        }
        if let Some(context) = &container.security_context {
            self.security(&format!("{path}.securityContext"), context);
        }
    }

    /// Probes and hooks, of containers that run as long as their pod.
    pub(super) fn long_running(&mut self, path: &str, container: &Container, within: &Within<'_>) {
        if let Some(lifecycle) = &container.lifecycle {
            for (name, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
                if let Some(hook) = hook {
                    self.hook(&format!("{path}.lifecycle.{name}"), hook, within.grace_seconds);
                }
            }
        }
        self.probe(&format!("{path}.livenessProbe"), container.liveness_probe.as_ref(), true);
        self.probe(&format!("{path}.readinessProbe"), container.readiness_probe.as_ref(), false);
        self.probe(&format!("{path}.startupProbe"), container.startup_probe.as_ref(), true);
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

    fn variable(&mut self, path: &str, variable: &EnvVar) {
        match variable.name.as_str() {
            "" => self.required(format!("{path}.name"), ""),
            name => self.invalid_each(&format!("{path}.name"), name, names::env_name(name)),
        }
        let Some(source) = &variable.value_from else { return };
        let path = format!("{path}.valueFrom");
        let sources = self.variable_source(&path, source);
        let detail = match sources {
            0 => {
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            }
            _ if variable.value.as_ref().is_some_and(|value| !value.is_empty()) => {
                "may not be specified when `value` is not empty"
            }
            1 => return,
            _ => "may not have more than one field specified at a time",
        };
        self.invalid(path, "", detail);
    }

    /// How many sources there are.
    fn variable_source(&mut self, path: &str, source: &EnvVarSource) -> usize {
        if let Some(field) = &source.field_ref {
            let path = format!("{path}.fieldRef");
            let name = field.field_path.as_str();
            match name.split_once("['").map(|(map, _)| map) {
                None if name.is_empty() => self.required(format!("{path}.fieldPath"), ""),
                None => self.one_of(format!("{path}.fieldPath"), Some(&field.field_path), ENV_FIELDS),
                Some("metadata.labels" | "metadata.annotations") => {}
                Some(map) => {
                    self.invalid(path, map, "does not support subscript");
                }
            }
        }
        if let Some(field) = &source.resource_field_ref {
            let path = format!("{path}.resourceFieldRef.resource");
            let huge = ["limits.hugepages-", "requests.hugepages-"];
            match field.resource.as_str() {
                "" => self.required(path, ""),
                name if huge.iter().any(|prefix| name.starts_with(prefix)) => {}
                _ => self.one_of(path, Some(&field.resource), ENV_RESOURCES),
            }
        }
        let config_map = source.config_map_key_ref.as_ref().map(|one| ("configMapKeyRef", &one.name, &one.key));
        let secret = source.secret_key_ref.as_ref().map(|one| ("secretKeyRef", &one.name, &one.key));
        for (field, name, key) in config_map.into_iter().chain(secret) {
            self.invalid_each(&format!("{path}.{field}.name"), name, names::dns_subdomain(name));
            if key.is_empty() {
                self.required(format!("{path}.{field}.key"), "");
            }
        }
        let others = [source.field_ref.is_some(), source.resource_field_ref.is_some(), source.file_key_ref.is_some()];
        let keys = [source.config_map_key_ref.is_some(), source.secret_key_ref.is_some()];
        others.into_iter().chain(keys).filter(|given| *given).count()
    }

    fn variables(&mut self, path: &str, index: usize, source: &EnvFromSource) {
        let at = format!("{path}[{index}]");
        if let Some(prefix) = source.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            self.invalid_each(&format!("{at}.prefix"), prefix, names::env_name(prefix));
        }
        let config_map = source.config_map_ref.as_ref().map(|one| ("configMapRef", one.name.as_str()));
        let secret = source.secret_ref.as_ref().map(|one| ("secretRef", one.name.as_str()));
        for (field, name) in config_map.into_iter().chain(secret) {
            match name {
                "" => self.required(format!("{at}.{field}.name"), ""),
                name => self.invalid_each(&format!("{at}.{field}.name"), name, names::dns_subdomain(name)),
            }
        }
        // Printed without the index, as upstream does.
        let detail = match (config_map.is_some(), secret.is_some()) {
            (false, false) => "must specify one of: `configMapRef` or `secretRef`",
            (true, true) => "may not have more than one field specified at a time",
            _ => return,
        };
        self.invalid(path, "", detail).at = Some(at);
    }

    fn mounts(&mut self, path: &str, container: &Container, volumes: &BTreeSet<&str>) {
        let mut seen = BTreeSet::new();
        for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let at = format!("{path}[{index}]");
            if mount.name.is_empty() {
                self.required(format!("{at}.name"), "");
            }
            if !volumes.contains(mount.name.as_str()) {
                self.add(format!("{at}.name"), ErrorType::NotFound(format!("{:?}", mount.name)), "");
            }
            if mount.mount_path.is_empty() {
                self.required(format!("{at}.mountPath"), "");
            }
            if !seen.insert(mount.mount_path.as_str()) {
                self.invalid(format!("{at}.mountPath"), &mount.mount_path, "must be unique");
            }
            self.sub_paths(path, &at, mount);
            self.propagation(path, mount, container);
        }
    }

    /// Their faults are printed without the index, as upstream does, but for both at once.
    fn sub_paths(&mut self, path: &str, at: &str, mount: &VolumeMount) {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (plain, expanded) = (given(&mount.sub_path), given(&mount.sub_path_expr));
        if let Some(text) = &plain {
            self.descending_path(&format!("{path}.subPath"), text);
        }
        if let Some(text) = &expanded {
            if plain.is_some() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                self.invalid(format!("{at}.subPathExpr"), text, detail);
            }
            self.descending_path(&format!("{path}.subPathExpr"), text);
        }
    }

    fn propagation(&mut self, path: &str, mount: &VolumeMount, container: &Container) {
        let path = format!("{path}.mountPropagation");
        let privileged = container.security_context.as_ref().and_then(|context| context.privileged) == Some(true);
        self.one_of(path.as_str(), mount.mount_propagation.as_ref(), PROPAGATIONS);
        if mount.mount_propagation.as_deref() == Some("Bidirectional") && !privileged {
            self.forbidden(path, "Bidirectional mount propagation is available only to privileged containers");
        }
    }

    /// Exactly one way to ask: the first is looked at, the others are one too many.
    fn handler(&mut self, path: &str, given: &[(&str, bool)]) {
        let mut given = given.iter().filter(|(_, given)| *given);
        if given.next().is_none() {
            self.required(path, "must specify a handler type");
        }
        for (name, _) in given {
            self.forbidden(format!("{path}.{name}"), "may not specify more than 1 handler type");
        }
    }

    fn hook(&mut self, path: &str, hook: &LifecycleHandler, grace_seconds: i64) {
        self.handler(
            path,
            &[
                ("exec", hook.exec.is_some()),
                ("httpGet", hook.http_get.is_some()),
                ("tcpSocket", hook.tcp_socket.is_some()),
                ("sleep", hook.sleep.is_some()),
            ],
        );
        self.command(path, hook.exec.as_ref().map(|exec| exec.command.as_deref()));
        if let Some(http) = &hook.http_get {
            self.http(&format!("{path}.httpGet"), http);
        }
        if let Some(sleep) = hook.sleep.as_ref().filter(|sleep| !(0..=grace_seconds).contains(&sleep.seconds)) {
            let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})");
            self.invalid_value(format!("{path}.sleep"), &sleep.seconds, &detail);
        }
    }

    fn command(&mut self, path: &str, command: Option<Option<&[String]>>) {
        if command.is_some_and(|command| command.is_none_or(<[String]>::is_empty)) {
            self.required(format!("{path}.exec.command"), "");
        }
    }

    fn http(&mut self, path: &str, http: &HTTPGetAction) {
        self.target_port(&format!("{path}.port"), &http.port);
        self.one_of(format!("{path}.scheme"), http.scheme.as_ref(), &["HTTP", "HTTPS"]);
    }

    fn probe(&mut self, path: &str, probe: Option<&Probe>, only_one_success: bool) {
        let Some(probe) = probe else { return };
        self.handler(
            path,
            &[
                ("exec", probe.exec.is_some()),
                ("httpGet", probe.http_get.is_some()),
                ("tcpSocket", probe.tcp_socket.is_some()),
                ("grpc", probe.grpc.is_some()),
            ],
        );
        self.command(path, probe.exec.as_ref().map(|exec| exec.command.as_deref()));
        if let Some(http) = &probe.http_get {
            self.http(&format!("{path}.httpGet"), http);
        }
        if let Some(tcp) = &probe.tcp_socket {
            self.target_port(&format!("{path}.tcpSocket.port"), &tcp.port);
        }
        if let Some(grpc) = &probe.grpc {
            self.port(format!("{path}.grpc.port"), grpc.port);
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
        let grace = format!("{path}.terminationGracePeriodSeconds");
        if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
            self.invalid_value(grace.as_str(), &seconds, "must be greater than 0");
        }
        // Liveness and startup probes may have one, but need only one success.
        if only_one_success && probe.success_threshold.is_some_and(|number| number > 1) {
            self.invalid_value(format!("{path}.successThreshold"), &probe.success_threshold, "must be 1");
        } else if let Some(seconds) = probe.termination_grace_period_seconds.filter(|_| !only_one_success) {
            self.invalid_value(grace, &seconds, "must not be set for readinessProbes");
        }
    }

    /// A port by number or by name.
    pub(super) fn target_port(&mut self, path: &str, port: &IntOrString) {
        match port {
            IntOrString::Int(number) => self.port(path, *number),
            IntOrString::String(name) => self.invalid_each(path, name, names::port_name(name)),
        }
    }

    fn security(&mut self, path: &str, context: &SecurityContext) {
        self.id(format!("{path}.runAsUser"), context.run_as_user);
        self.id(format!("{path}.runAsGroup"), context.run_as_group);
    }

    /// The number of a user or a group.
    pub(super) fn id(&mut self, path: String, id: Option<i64>) {
        if let Some(id) = id.filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
            self.invalid_value(path, &id, "must be between 0 and 2147483647, inclusive");
        }
    }
}
