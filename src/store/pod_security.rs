//! Admission plugin PodSecurity: the level that a namespace's labels demand
//! (`staging/src/k8s.io/pod-security-admission/policy/`).
//!
//! A worked example: namespace `prod` carries `pod-security.kubernetes.io/enforce: baseline`. A pod with
//! `hostNetwork: true` is refused: `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`.

use super::errors::StoreError;
use super::slots::Store;
use crate::model::core::Namespace;
use crate::model::{Name, Pod, Resource};
use serde_json::Value;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
/// Capabilities that the baseline lets a container add.
const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Volumes that the restricted level allows.
const FREE_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
const SAFE_SYSCTLS: [&str; 9] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
];

/// How much a namespace demands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Store {
    /// Refuses a pod that its namespace's level does not allow.
    pub(super) fn secure_pod(&self, pod: &Pod) -> Result<(), StoreError> {
        let Some(namespace) = self.live().fetch::<Namespace>(&Name::new(), &pod.meta.namespace) else { return Ok(()) };
        let Some(written) = namespace.meta.labels.get(ENFORCE) else { return Ok(()) };
        let level = match written.as_str() {
            "privileged" => Level::Privileged,
            "baseline" => Level::Baseline,
            // What cannot be read is taken for the strictest.
            _ => Level::Restricted,
        };
        let broken = violations(&pod.spec.raw, level);
        if broken.is_empty() {
            return Ok(());
        }
        let version = namespace.meta.labels.get(VERSION).map_or("latest", Name::as_str);
        let named = if level == Level::Baseline { "baseline" } else { "restricted" };
        let why = format!("violates PodSecurity \"{named}:{version}\": {}", broken.join(", "));
        Err(StoreError::Forbidden(pod.key(), why))
    }
}

/// What a pod breaks at a level, in the order of the checks.
fn violations(spec: &Value, level: Level) -> Vec<String> {
    let mut broken = Vec::new();
    if level >= Level::Baseline {
        baseline(spec, level == Level::Restricted, &mut broken);
    }
    if level == Level::Restricted {
        restricted(spec, &mut broken);
    }
    broken
}

fn containers(spec: &Value) -> Vec<&Value> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists.iter().flat_map(|list| spec[*list].as_array().into_iter().flatten()).collect()
}

/// The names of the containers that `breaks`, with the number of the noun.
fn those<'a>(spec: &'a Value, breaks: impl Fn(&'a Value) -> bool) -> Option<String> {
    let names: Vec<String> = containers(spec).into_iter().filter(|c| breaks(c)).map(|c| quoted(&c["name"])).collect();
    counted("container", &names)
}

fn counted(noun: &str, names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [one] => Some(format!("{noun} {one}")),
        several => Some(format!("{noun}s {}", several.join(", "))),
    }
}

fn quoted(name: &Value) -> String {
    format!("{:?}", name.as_str().unwrap_or_default())
}

fn security<'a>(holder: &'a Value, field: &str) -> &'a Value {
    &holder["securityContext"][field]
}

fn capabilities<'a>(container: &'a Value, which: &str) -> impl Iterator<Item = &'a str> {
    security(container, "capabilities")[which].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn baseline(spec: &Value, overridden: bool, broken: &mut Vec<String>) {
    let mut say = |reason: &str, detail: String| broken.push(format!("{reason} ({detail})"));
    if !overridden {
        let added = |allowed: &[&str]| added_capabilities(spec, allowed);
        if let Some(detail) = added(&DEFAULT_CAPABILITIES) {
            say("non-default capabilities", detail);
        }
    }
    let shared: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|field| spec[**field] == true)
        .map(|field| format!("{field}=true"))
        .collect();
    if !shared.is_empty() {
        say("host namespaces", shared.join(", "));
    }
    let volumes = || spec["volumes"].as_array().into_iter().flatten();
    let on_host: Vec<String> = volumes().filter(|v| !v["hostPath"].is_null()).map(|v| quoted(&v["name"])).collect();
    if !overridden && let Some(detail) = counted("volume", &on_host) {
        say("hostPath volumes", detail);
    }
    if let Some(detail) = host_ports(spec) {
        say("hostPort", detail);
    }
    if let Some(who) = those(spec, |c| security(c, "privileged") == true) {
        say("privileged", format!("{who} must not set securityContext.privileged=true"));
    }
    if let Some(who) = those(spec, |c| security(c, "procMount").as_str().is_some_and(|mount| mount != "Default")) {
        say("procMount", format!("{who} must not set securityContext.procMount to \"Unmasked\""));
    }
    let unconfined = |holder: &Value| security(holder, "seccompProfile")["type"] == "Unconfined";
    if !overridden {
        let pod = unconfined(spec).then(|| "pod".to_string());
        let who: Vec<String> = pod.into_iter().chain(those(spec, unconfined)).collect();
        if !who.is_empty() {
            let who = who.join(" and ");
            say("seccompProfile", format!("{who} must not set securityContext.seccompProfile.type to \"Unconfined\""));
        }
    }
    let sysctls = security(spec, "sysctls").as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
    let unsafe_ones: Vec<&str> = sysctls.filter(|name| !SAFE_SYSCTLS.contains(name)).collect();
    if !unsafe_ones.is_empty() {
        say("forbidden sysctls", unsafe_ones.join(", "));
    }
}

fn added_capabilities(spec: &Value, allowed: &[&str]) -> Option<String> {
    let beyond = |container| capabilities(container, "add").any(|name| !allowed.contains(&name));
    let who = those(spec, beyond)?;
    let mut names: Vec<String> = containers(spec)
        .into_iter()
        .flat_map(|container| capabilities(container, "add"))
        .filter(|name| !allowed.contains(name))
        .map(|name| format!("{name:?}"))
        .collect();
    names.sort();
    names.dedup();
    Some(format!("{who} must not include {} in securityContext.capabilities.add", names.join(", ")))
}

fn host_ports(spec: &Value) -> Option<String> {
    let taken = |container: &Value| -> Vec<i64> {
        let ports = container["ports"].as_array().into_iter().flatten();
        ports.filter_map(|port| port["hostPort"].as_i64()).filter(|port| *port != 0).collect()
    };
    let verb = those(spec, |container| !taken(container).is_empty())?;
    let mut ports: Vec<i64> = containers(spec).into_iter().flat_map(taken).collect();
    ports.sort_unstable();
    ports.dedup();
    let uses = if verb.starts_with("containers ") { "use" } else { "uses" };
    let noun = if ports.len() == 1 { "hostPort" } else { "hostPorts" };
    let list: Vec<String> = ports.iter().map(ToString::to_string).collect();
    Some(format!("{verb} {uses} {noun} {}", list.join(", ")))
}

fn restricted(spec: &Value, broken: &mut Vec<String>) {
    let mut say = |reason: &str, detail: String| broken.push(format!("{reason} ({detail})"));
    if let Some(who) = those(spec, |c| security(c, "allowPrivilegeEscalation") != false) {
        let detail = format!("{who} must set securityContext.allowPrivilegeEscalation=false");
        say("allowPrivilegeEscalation != false", detail);
    }
    let keeps = |c: &Value| !capabilities(c, "drop").any(|name| name == "ALL");
    let kept = those(spec, keeps).map(|who| format!("{who} must set securityContext.capabilities.drop=[\"ALL\"]"));
    let both: Vec<String> = kept.into_iter().chain(added_capabilities(spec, &["NET_BIND_SERVICE"])).collect();
    if !both.is_empty() {
        say("unrestricted capabilities", both.join("; "));
    }
    if let Some(detail) = bound_volumes(spec) {
        say("restricted volume types", detail);
    }
    run_as_non_root(spec, &mut say);
    let root = |holder: &Value| security(holder, "runAsUser") == 0;
    let who: Vec<String> = root(spec).then(|| "pod".to_string()).into_iter().chain(those(spec, root)).collect();
    if !who.is_empty() {
        say("runAsUser=0", format!("{} must not set runAsUser=0", who.join(" and ")));
    }
    let profile = |holder: &Value| security(holder, "seccompProfile")["type"].as_str().map(str::to_string);
    let fine = |profile: &str| ["RuntimeDefault", "Localhost"].contains(&profile);
    let of_pod = profile(spec);
    let lacking = those(spec, |c| match profile(c) {
        Some(own) => !fine(&own),
        None => !of_pod.as_deref().is_some_and(fine),
    });
    if let Some(who) = lacking {
        let detail = "must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"";
        say("seccompProfile", format!("pod or {who} {detail}"));
    }
}

fn run_as_non_root(spec: &Value, say: &mut impl FnMut(&str, String)) {
    let reason = "runAsNonRoot != true";
    let explicit = those(spec, |c| security(c, "runAsNonRoot") == false);
    if let Some(who) = explicit {
        return say(reason, format!("{who} must not set securityContext.runAsNonRoot=false"));
    }
    match security(spec, "runAsNonRoot").as_bool() {
        Some(true) => {}
        Some(false) => say(reason, "pod must not set securityContext.runAsNonRoot=false".to_string()),
        None => {
            if let Some(who) = those(spec, |c| security(c, "runAsNonRoot") != true) {
                say(reason, format!("pod or {who} must set securityContext.runAsNonRoot=true"));
            }
        }
    }
}

fn bound_volumes(spec: &Value) -> Option<String> {
    let mut names = Vec::new();
    let mut kinds = Vec::new();
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let kind = volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).find(|key| *key != "name");
        if let Some(kind) = kind.filter(|kind| !FREE_VOLUMES.contains(kind)) {
            names.push(quoted(&volume["name"]));
            kinds.push(format!("{kind:?}"));
        }
    }
    kinds.sort();
    kinds.dedup();
    let who = counted("volume", &names)?;
    let uses = if names.len() == 1 { "uses" } else { "use" };
    let noun = if kinds.len() == 1 { "type" } else { "types" };
    Some(format!("{who} {uses} restricted volume {noun} {}", kinds.join(", ")))
}
