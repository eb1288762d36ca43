//! Containers, probes, ports and tolerations.

use super::meta::{name, some_name};
use super::quantity::resources;
use super::{Decoded, FieldError, Within, each};
use crate::model::pod_spec::{ConfigSource, ContainerPort, EnvSource, Hook, Mount, ProbeHandler, RestartRule};
use crate::model::{Container, Name, Probe, PullPolicy, RestartPolicy, TaintEffect, Toleration};
use crate::time::SimDuration;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// `Unsupported value`, with the values that are supported.
pub(super) fn unsupported(field: &str, value: &str, known: &[&str]) -> FieldError {
    let known = known.iter().map(|known| format!("{known:?}")).collect::<Vec<_>>().join(", ");
    FieldError::new(field, format!("Unsupported value: {value:?}: supported values: {known}"))
}

pub(super) fn container(from: &core::Container) -> Decoded<Container> {
    let nothing = core::ResourceRequirements::default();
    let amounts = from.resources.as_ref().unwrap_or(&nothing);
    let (requests, requested) = resources(amounts.requests.as_ref()).within("resources.requests")?;
    let (limits, limited) = resources(amounts.limits.as_ref()).within("resources.limits")?;
    let image = from.image.as_deref().unwrap_or_default();
    let pull_policy = match from.image_pull_policy.as_deref().unwrap_or_default() {
        "Always" => PullPolicy::Always,
        "IfNotPresent" => PullPolicy::IfNotPresent,
        "Never" => PullPolicy::Never,
        "" if super::defaults::default_pull_policy(image) == "Always" => PullPolicy::Always,
        "" => PullPolicy::IfNotPresent,
        other => return Err(unsupported("imagePullPolicy", other, &["Always", "IfNotPresent", "Never"])),
    };
    let hooks = from.lifecycle.as_ref();
    let ports = from.ports.as_deref().unwrap_or_default();
    let probe = |from: &core::Probe| probe(from, ports);
    Ok(Container {
        name: Name::from(from.name.as_str()),
        image: Name::from(image),
        pull_policy,
        requests,
        limits,
        requested,
        limited,
        ports: each(&from.ports, "ports", port)?,
        sidecar: false,
        restart_policy: from.restart_policy.as_deref().filter(|policy| !policy.is_empty()).map(policy).transpose()?,
        restart_rules: from.restart_policy_rules.iter().flatten().filter_map(rule).collect(),
        readiness: from.readiness_probe.as_ref().map(&probe).transpose().within("readinessProbe")?,
        liveness: from.liveness_probe.as_ref().map(&probe).transpose().within("livenessProbe")?,
        startup: from.startup_probe.as_ref().map(&probe).transpose().within("startupProbe")?,
        env: from.env_from.iter().flatten().filter_map(env_from).chain(from.env.iter().flatten().map(env)).collect(),
        mounts: from.volume_mounts.iter().flatten().map(mount).collect(),
        restart_on_resize: ["cpu", "memory"].map(|resource| {
            let mut policies = from.resize_policy.iter().flatten();
            policies.any(|policy| policy.resource_name == resource && policy.restart_policy == "RestartContainer")
        }),
        post_start: hooks.and_then(|hooks| hooks.post_start.as_ref()).map(hook),
        pre_stop: hooks.and_then(|hooks| hooks.pre_stop.as_ref()).map(hook),
    })
}

/// An init container, which may be a sidecar.
pub(super) fn init_container(from: &core::Container) -> Decoded<Container> {
    let container = container(from)?;
    Ok(Container { sidecar: container.restart_policy == Some(RestartPolicy::Always), ..container })
}

/// A restart policy.
pub(super) fn policy(from: &str) -> Decoded<RestartPolicy> {
    match from {
        "Always" => Ok(RestartPolicy::Always),
        "OnFailure" => Ok(RestartPolicy::OnFailure),
        "Never" => Ok(RestartPolicy::Never),
        other => Err(unsupported("restartPolicy", other, &["Always", "OnFailure", "Never"])),
    }
}

fn rule(from: &core::ContainerRestartRule) -> Option<RestartRule> {
    let codes = from.exit_codes.as_ref().filter(|_| from.action == "Restart")?;
    Some(RestartRule { among: codes.operator == "In", codes: codes.values.clone().unwrap_or_default() })
}

fn mount(from: &core::VolumeMount) -> Mount {
    let part = |path: &Option<String>| path.as_deref().is_some_and(|path| !path.is_empty());
    Mount { volume: Name::from(from.name.as_str()), sub_path: part(&from.sub_path) || part(&from.sub_path_expr) }
}

fn config(secret: bool, object: &str, optional: Option<bool>, key: Option<&str>) -> ConfigSource {
    let keys = key.into_iter().map(Name::from).collect();
    ConfigSource { secret, name: Name::from(object), optional: optional.unwrap_or(false), keys }
}

fn env_from(from: &core::EnvFromSource) -> Option<EnvSource> {
    let source = match (&from.config_map_ref, &from.secret_ref) {
        (Some(map), _) => config(false, &map.name, map.optional, None),
        (_, Some(secret)) => config(true, &secret.name, secret.optional, None),
        _ => return None,
    };
    Some(EnvSource::All(name(&from.prefix), source))
}

fn env(from: &core::EnvVar) -> EnvSource {
    let variable = Name::from(from.name.as_str());
    let source = from.value_from.as_ref();
    if let Some(key) = source.and_then(|source| source.config_map_key_ref.as_ref()) {
        return EnvSource::Key(variable, config(false, &key.name, key.optional, Some(&key.key)));
    }
    if let Some(key) = source.and_then(|source| source.secret_key_ref.as_ref()) {
        return EnvSource::Key(variable, config(true, &key.name, key.optional, Some(&key.key)));
    }
    EnvSource::Value(variable, name(&from.value))
}

fn port(from: &core::ContainerPort) -> Decoded<ContainerPort> {
    Ok(ContainerPort {
        name: name(&from.name),
        container_port: port_number(from.container_port, "containerPort")?,
        host_port: port_number(from.host_port.unwrap_or(0), "hostPort")?,
        host_ip: name(&from.host_ip),
        protocol: some_name(&from.protocol).unwrap_or(crate::name!("TCP")),
    })
}

pub(super) fn port_number(number: i32, field: &str) -> Decoded<u16> {
    u16::try_from(number)
        .map_err(|_| FieldError::new(field, format!("Invalid value: {number}: must be between 1 and 65535, inclusive")))
}

fn hook(from: &core::LifecycleHandler) -> Hook {
    Hook { sleep: from.sleep.as_ref().map(|sleep| SimDuration::from_secs(sleep.seconds)) }
}

/// The number of a port that may be given by the name of one of the container's.
fn port_of(written: &IntOrString, ports: &[core::ContainerPort]) -> i32 {
    match written {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = ports.iter().find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port);
            named.or_else(|| name.parse().ok()).unwrap_or(0)
        }
    }
}

fn probe(from: &core::Probe, ports: &[core::ContainerPort]) -> Decoded<Probe> {
    let host = |host: &Option<String>| host.clone().filter(|host| !host.is_empty()).unwrap_or("{}".to_string());
    let (handler, target) = if let Some(exec) = &from.exec {
        (ProbeHandler::Exec, exec.command.as_deref().unwrap_or_default().join(" "))
    } else if let Some(http) = &from.http_get {
        let scheme = http.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let path = http.path.as_deref().unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let port = port_of(&http.port, ports);
        (ProbeHandler::Http, format!("{scheme}://{}:{port}{slash}{path}", host(&http.host)))
    } else if let Some(tcp) = &from.tcp_socket {
        (ProbeHandler::Tcp, format!("{}:{}", host(&tcp.host), port_of(&tcp.port, ports)))
    } else if let Some(grpc) = &from.grpc {
        (ProbeHandler::Grpc, format!("{{}}:{}", grpc.port))
    } else {
        return Err(FieldError::new("", "Required value: must specify a handler type"));
    };
    let at_least = |field: &str, value: Option<i32>, default: i32| match value {
        None | Some(0) => Ok(default),
        Some(value) if value > 0 => Ok(value),
        Some(value) => {
            Err(FieldError::new(field, format!("Invalid value: {value}: must be greater than or equal to 0")))
        }
    };
    let seconds = |n: i32| SimDuration::from_secs(i64::from(n));
    Ok(Probe {
        handler,
        target: Name::from(target),
        initial_delay: seconds(at_least("initialDelaySeconds", from.initial_delay_seconds, 0)?),
        period: seconds(at_least("periodSeconds", from.period_seconds, 10)?),
        timeout: seconds(at_least("timeoutSeconds", from.timeout_seconds, 1)?),
        success_threshold: at_least("successThreshold", from.success_threshold, 1)?.unsigned_abs(),
        failure_threshold: at_least("failureThreshold", from.failure_threshold, 3)?.unsigned_abs(),
        termination_grace_seconds: from.termination_grace_period_seconds,
    })
}

pub(super) fn toleration(from: &core::Toleration) -> Decoded<Toleration> {
    let exists = match from.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => false,
        "Exists" => true,
        other => return Err(unsupported("operator", other, &["Equal", "Exists"])),
    };
    let effect = match from.effect.as_deref().unwrap_or_default() {
        "" => None,
        text => Some(effect(text)?),
    };
    Ok(Toleration { key: name(&from.key), exists, value: name(&from.value), effect, seconds: from.toleration_seconds })
}

/// A taint's effect.
pub(super) fn effect(text: &str) -> Decoded<TaintEffect> {
    TaintEffect::parse(text)
        .ok_or_else(|| unsupported("effect", text, &["NoExecute", "NoSchedule", "PreferNoSchedule"]))
}
