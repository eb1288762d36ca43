//! Every fault that there is, as a random scenario has it.

use serde_json::{Value, json};

/// On what a fault falls, as the plan knows it: a node, pods by labels, their namespace, a Deployment.
pub struct Place {
    pub node: Value,
    pub pods: Value,
    pub namespace: &'static str,
    /// `deployment/w0`, if that is what was drawn.
    pub deployment: Option<String>,
    /// Its service, if it has one.
    pub service: Option<String>,
}

/// How long a fault lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// It is over at once, or says itself how long.
    Own,
    /// As long as its entry says.
    For,
}

/// The keys of all faults that can be drawn.
pub const KEYS: [&str; 32] = [
    "nodeCrash",
    "partition",
    "slowNetwork",
    "servicePartition",
    "dnsOutage",
    "zoneOutage",
    "powerOutage",
    "spotReclaim",
    "maintenance",
    "cascadingFailure",
    "quotaExhaustion",
    "badRollout",
    "componentDown",
    "apiServer",
    "slowStore",
    "webhookTimeout",
    "cloudOutage",
    "podCrash",
    "containerCrash",
    "containerHang",
    "memoryLeak",
    "slowStart",
    "kubeletCrash",
    "nodeReboot",
    "nodeShutdown",
    "slowNode",
    "clockSkew",
    "diskFull",
    "memoryHog",
    "registryOutage",
    "registryThrottle",
    "badImage",
];

/// The body of a fault, of which `n` chooses the form, and its length; `None` if it cannot fall there.
pub fn body(key: &str, place: &Place, n: u32) -> Option<(Value, Length)> {
    use Length::{For, Own};
    let node = |more: Value| with(&place.node, more);
    let pods = |more: Value| with(&place.pods, more);
    let seconds = |n: u32| format!("{n}s");
    let one_of = |names: &[&'static str]| names[n as usize % names.len()];
    Some(match key {
        "nodeCrash" => (node(json!({"reboot": n % 2 == 1})), For),
        "partition" => (node(json!({"from": one_of(&["controlPlane", "everything"])})), For),
        "slowNetwork" => (node(json!({"latency": "100ms", "loss": "5%"})), For),
        "servicePartition" => (json!({"service": place.service.clone()?, "namespace": place.namespace}), For),
        "dnsOutage" => (json!({}), For),
        "clockSkew" if n.is_multiple_of(2) => (node(json!({"ahead": seconds(10 * n + 1)})), For),
        "clockSkew" => (node(json!({"behind": seconds(20 * n)})), For),
        "zoneOutage" => (json!({}), For),
        "powerOutage" => (json!({"domain": "rack"}), For),
        "spotReclaim" => (node(json!({"notice": seconds(20 * n), "replacementAfter": "30s"})), Own),
        "maintenance" => (node(json!({"rebootTime": seconds(20 + n), "drainTimeout": "60s"})), Own),
        "cascadingFailure" => (json!({"pool": "p*", "load": "60%", "recoverAfter": seconds(30 + 30 * n)}), For),
        "quotaExhaustion" => (json!({"namespace": place.namespace}), For),
        "badRollout" => {
            let more = json!({"requests": {"cpu": "1000"}, "namespace": place.namespace});
            (with(&json!({"object": place.deployment.clone()?}), more), For)
        }
        "componentDown" => {
            let component = one_of(&["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
            (json!({"component": component, "signal": if n < 4 { "kill" } else { "term" }}), For)
        }
        "apiServer" if n.is_multiple_of(2) => (json!({"latency": seconds(n + 1)}), For),
        "apiServer" => (json!({"errorRate": "30%"}), For),
        "slowStore" => (json!({"writeLatency": format!("{}ms", 100 * (n + 1))}), For),
        "webhookTimeout" => {
            (json!({"kinds": ["Pod"], "timeout": seconds(1 + n), "failurePolicy": one_of(&["Fail", "Ignore"])}), For)
        }
        "cloudOutage" => (json!({}), For),
        "podCrash" => (pods(json!({"count": n.max(1)})), Own),
        "containerCrash" => (pods(json!({"exitCode": n})), Own),
        "containerHang" => (pods(json!({"count": n.max(1)})), For),
        "memoryLeak" => (pods(json!({"rate": "1Gi/m"})), For),
        "slowStart" => (json!({"extra": seconds(10 + n)}), For),
        "kubeletCrash" => (node(json!({})), For),
        "nodeReboot" => (node(json!({"takes": seconds(5 + 15 * n)})), Own),
        "nodeShutdown" => (node(json!({})), For),
        "slowNode" => (node(json!({"cpu": one_of(&["50%", "5%", "0.5%"]), "disk": "20%"})), For),
        "diskFull" => (node(json!({})), For),
        "memoryHog" => (node(json!({"takes": one_of(&["7500Mi", "8100Mi"])})), For),
        "registryOutage" => (json!({"answers": one_of(&["unavailable", "nothing"])}), For),
        "registryThrottle" if n.is_multiple_of(2) => (json!({"bandwidth": "1%"}), For),
        "registryThrottle" => (json!({"tooManyRequests": true}), For),
        "badImage" => (json!({"image": "registry.example.com/*"}), For),
        _ => return None,
    })
}

/// `base` with the fields of `more`.
pub fn with(base: &Value, more: Value) -> Value {
    let mut base = base.clone();
    if let (Some(fields), Value::Object(more)) = (base.as_object_mut(), more) {
        fields.extend(more);
    }
    base
}
