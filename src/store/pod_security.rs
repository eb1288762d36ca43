//! Admission plugin PodSecurity: the level that a namespace's labels demand
//! (`staging/src/k8s.io/pod-security-admission/policy/`).
//!
//! A worked example: namespace `prod` carries `pod-security.kubernetes.io/enforce: baseline`. A pod with
//! `hostNetwork: true` is refused: `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`.

use super::errors::StoreError;
use super::slots::Store;
use super::view::View;
use crate::model::core::Namespace;
use crate::model::{Labels, Meta, Name, Object, Pod, PodSpec, PodTemplate, Resource};
use serde_json::Value;
use std::sync::Arc;

/// A namespace's label that says for which level pods are refused; with `-version`, for which version of it.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
/// The same, for which users are warned. (`audit` would only go to a log that nobody reads here.)
const WARN: &str = "pod-security.kubernetes.io/warn";
/// The old form of a container's AppArmor profile.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SELINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
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
        match verdict(self.live(), &pod.meta, &pod.spec, ENFORCE) {
            Some(broken) => Err(StoreError::Forbidden(pod.key(), format!("violates {broken}"))),
            None => Ok(()),
        }
    }
}

/// What a client that sends this object is warned of: pods and templates of pods that its namespace's level for
/// warnings does not allow. What is refused anyway is no warning.
pub fn warning(view: View<'_>, object: &Object) -> Option<String> {
    let of_template = |template: &Arc<PodTemplate>| {
        let meta = Meta { annotations: template.annotations.clone(), ..object.meta().clone() };
        verdict(view, &meta, &template.spec, WARN)
    };
    let broken = match object {
        Object::Pod(pod) if verdict(view, &pod.meta, &pod.spec, ENFORCE).is_some() => None,
        Object::Pod(pod) => verdict(view, &pod.meta, &pod.spec, WARN),
        Object::Deployment(of) => of_template(&of.template),
        Object::ReplicaSet(of) => of_template(&of.template),
        Object::StatefulSet(of) => of_template(&of.template),
        Object::DaemonSet(of) => of_template(&of.template),
        Object::ReplicationController(of) => of_template(&of.template),
        Object::Job(of) => of_template(&of.spec.template),
        Object::CronJob(of) => of_template(&of.template.spec.template),
        _ => None,
    }?;
    Some(format!("Warning: would violate {broken}"))
}

/// `PodSecurity "baseline:latest": …`, if a pod breaks the level that a label of its namespace names.
fn verdict(view: View<'_>, meta: &Meta, spec: &PodSpec, label: &str) -> Option<String> {
    let namespace = view.fetch::<Namespace>(&Name::new(), &meta.namespace)?;
    let level = match namespace.meta.labels.get(label)?.as_str() {
        "privileged" => Level::Privileged,
        "baseline" => Level::Baseline,
        // What cannot be read is taken for the strictest to enforce, and for nothing to warn of.
        "restricted" => Level::Restricted,
        _ if label == ENFORCE => Level::Restricted,
        _ => Level::Privileged,
    };
    let broken = violations(&meta.annotations, &spec.raw, level);
    if broken.is_empty() {
        return None;
    }
    let version = namespace.meta.labels.get(&format!("{label}-version")).map_or("latest", Name::as_str);
    let named = if level == Level::Baseline { "baseline" } else { "restricted" };
    Some(format!("PodSecurity \"{named}:{version}\": {}", broken.join(", ")))
}

/// What a pod breaks at a level, in the order of the checks.
fn violations(annotations: &Labels, spec: &Value, level: Level) -> Vec<String> {
    let mut broken = Vec::new();
    if level >= Level::Baseline {
        baseline(annotations, spec, level == Level::Restricted, &mut broken);
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

/// The pod and the containers that `breaks`.
fn setters<'a>(spec: &'a Value, breaks: impl Fn(&'a Value) -> bool) -> Vec<String> {
    let pod = breaks(spec).then(|| "pod".to_string());
    pod.into_iter().chain(those(spec, breaks)).collect()
}

/// Everyone who may have a security context.
fn holders(spec: &Value) -> impl Iterator<Item = &Value> {
    std::iter::once(spec).chain(containers(spec))
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// `policy/check_appArmorProfile.go`.
fn app_armor(annotations: &Labels, spec: &Value) -> Option<(String, String)> {
    let unconfined = |holder: &Value| security(holder, "appArmorProfile")["type"] == "Unconfined";
    let mut who = setters(spec, unconfined);
    let mut values: Vec<String> = who.first().map(|_| "Unconfined".to_string()).into_iter().collect();
    let fine = |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let noted = annotations.iter().filter(|(key, value)| key.starts_with(APP_ARMOR) && !fine(value));
    let mut noted: Vec<String> = noted.map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    noted.sort();
    match noted.len() {
        0 => {}
        1 => who.push("annotation".to_string()),
        _ => who.push("annotations".to_string()),
    }
    values.extend(noted);
    let noun = if values.len() == 1 { "profile" } else { "profiles" };
    let detail = format!("{} must not set AppArmor profile type to \"{}\"", who.join(" and "), values.join("\", \""));
    (!who.is_empty()).then(|| (format!("forbidden AppArmor {noun}"), detail))
}

/// `policy/check_seLinuxOptions.go`.
fn se_linux(spec: &Value) -> Option<String> {
    let option = |holder: &'_ Value, field: &str| {
        security(holder, "seLinuxOptions")[field].as_str().unwrap_or_default().to_string()
    };
    let bad_type = |holder: &Value| !SELINUX_TYPES.contains(&option(holder, "type").as_str());
    let sets = |holder: &Value, field: &str| !option(holder, field).is_empty();
    let who = setters(spec, |holder| bad_type(holder) || sets(holder, "user") || sets(holder, "role"));
    if who.is_empty() {
        return None;
    }
    let types: Vec<String> =
        holders(spec).filter(|holder| bad_type(holder)).map(|holder| option(holder, "type")).collect();
    let types: Vec<String> = sorted(types.iter().map(String::as_str)).iter().map(|name| format!("{name:?}")).collect();
    let mut data: Vec<String> = counted("type", &types).into_iter().collect();
    for field in ["user", "role"] {
        if holders(spec).any(|holder| sets(holder, field)) {
            data.push(format!("{field} may not be set"));
        }
    }
    Some(format!("{} set forbidden securityContext.seLinuxOptions: {}", who.join(" and "), data.join("; ")))
}

/// `policy/check_hostProbesAndhostLifecycle.go`.
fn probe_hosts(spec: &Value) -> Option<String> {
    let hosts = |container: &'_ Value| -> Vec<String> {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| &container[probe]);
        let hooks = ["postStart", "preStop"].map(|hook| &container["lifecycle"][hook]);
        let handlers = probes.into_iter().chain(hooks).flat_map(|one| [&one["httpGet"], &one["tcpSocket"]]);
        handlers
            .filter_map(|handler| handler["host"].as_str())
            .filter(|host| !host.is_empty())
            .map(String::from)
            .collect()
    };
    let found: Vec<&Value> = containers(spec).into_iter().filter(|container| !hosts(container).is_empty()).collect();
    let names = sorted(found.iter().filter_map(|container| container["name"].as_str()));
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let who = counted("container", &names)?;
    let all: Vec<String> = found.into_iter().flat_map(hosts).collect();
    let all: Vec<String> = sorted(all.iter().map(String::as_str)).iter().map(|host| format!("{host:?}")).collect();
    let uses = if names.len() == 1 { "uses" } else { "use" };
    Some(format!("{who} {uses} {}", counted("probe or lifecycle host", &all)?))
}

fn baseline(annotations: &Labels, spec: &Value, overridden: bool, broken: &mut Vec<String>) {
    let mut say = |reason: &str, detail: String| broken.push(format!("{reason} ({detail})"));
    if let Some((reason, detail)) = app_armor(annotations, spec) {
        say(&reason, detail);
    }
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
    if let Some(detail) = probe_hosts(spec) {
        say("probe or lifecycle host", detail);
    }
    if let Some(who) = those(spec, |c| security(c, "privileged") == true) {
        say("privileged", format!("{who} must not set securityContext.privileged=true"));
    }
    if let Some(who) = those(spec, |c| security(c, "procMount").as_str().is_some_and(|mount| mount != "Default")) {
        say("procMount", format!("{who} must not set securityContext.procMount to \"Unmasked\""));
    }
    if let Some(detail) = se_linux(spec) {
        say("seLinuxOptions", detail);
    }
    if !overridden {
        let who = setters(spec, |holder| security(holder, "seccompProfile")["type"] == "Unconfined");
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
    let who = setters(spec, |holder| security(holder, "windowsOptions")["hostProcess"] == true);
    if !who.is_empty() {
        let who = who.join(" and ");
        say("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"));
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
    let who = setters(spec, |holder| security(holder, "runAsUser") == 0);
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
