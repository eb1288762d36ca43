//! Pod security levels, service accounts and priorities of new pods.

use super::small_world::{World, answer, pod};
use kubesim::model::{Key, Kind};
use kubesim::store::{DeleteOptions, Write};
use serde_json::{Value, json};

fn world(level: &str) -> World {
    let mut world = World::new();
    let labels = json!({"pod-security.kubernetes.io/enforce": level});
    world
        .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "labels": labels}}))
        .unwrap();
    world
}

fn create(level: &str, spec: Value) -> String {
    let mut manifest = pod("p", json!({}));
    manifest["metadata"]["namespace"] = json!("ns");
    for (field, value) in spec.as_object().unwrap() {
        match field.as_str() {
            "c" => manifest["spec"]["containers"][0]["securityContext"] = value.clone(),
            "ports" | "livenessProbe" => manifest["spec"]["containers"][0][field] = value.clone(),
            field => manifest["spec"][field] = value.clone(),
        }
    }
    answer(world(level).create(manifest)).replace("pods \"p\" is forbidden: violates PodSecurity ", "")
}

#[test]
fn should_enforce_the_level_of_the_namespace() {
    let good = json!({"c": {"allowPrivilegeEscalation": false, "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}});
    let host = json!({"hostNetwork": true, "hostPID": true});
    let table = [
        ("privileged", host.clone(), "ok"),
        ("baseline", json!({}), "ok"),
        ("baseline", host, "\"baseline:latest\": host namespaces (hostNetwork=true, hostPID=true)"),
        (
            "baseline",
            json!({"c": {"privileged": true}}),
            "\"baseline:latest\": privileged (container \"c\" must not set securityContext.privileged=true)",
        ),
        (
            "baseline",
            json!({"c": {"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}}),
            "\"baseline:latest\": non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in \
             securityContext.capabilities.add)",
        ),
        (
            "baseline",
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}], "ports": [{"containerPort": 80, "hostPort": 80}]}),
            "\"baseline:latest\": hostPath volumes (volume \"v\"), hostPort (container \"c\" uses hostPort 80)",
        ),
        (
            "baseline",
            json!({"c": {"appArmorProfile": {"type": "Unconfined"}, "seLinuxOptions": {"type": "spc_t", "user": "u"}}}),
            "\"baseline:latest\": forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \
             \"Unconfined\"), seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \
             \"spc_t\"; user may not be set)",
        ),
        (
            "baseline",
            json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}),
            "\"baseline:latest\": hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            "baseline",
            json!({"livenessProbe": {"tcpSocket": {"port": 80, "host": "127.0.0.1"}}}),
            "\"baseline:latest\": probe or lifecycle host (container \"c\" uses probe or lifecycle host \"127.0.0.1\")",
        ),
        ("restricted", good, "ok"),
        (
            "restricted",
            json!({}),
            "\"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set \
             securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"c\" must set \
             securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set \
             securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set \
             securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
        ),
    ];
    for (level, spec, expected) in table {
        assert_eq!(create(level, spec.clone()), expected, "{level} {spec}");
    }
}

#[test]
fn should_have_one_default_priority_class() {
    let class = |name: &str, default: bool| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": 7, "globalDefault": default})
    };
    let mut world = World::new();
    assert_eq!(answer(world.create(class("a", true))), "ok");
    assert_eq!(answer(world.create(class("b", false))), "ok");
    let refusal = "priorityclasses.scheduling.k8s.io \"c\" is forbidden: PriorityClass a is already marked as default. \
                   Only one default can exist";
    assert_eq!(answer(world.create(class("c", true))), refusal);
}

/// Two pods of one template, before and after their class is deleted.
#[test]
fn should_look_up_the_priority_class_of_every_pod() {
    let mut world = World::new();
    let class =
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "mid"}, "value": 5});
    world.create(class).unwrap();
    let of = |name: &str| {
        let mut pod = pod(name, json!({}));
        pod["spec"]["priorityClassName"] = json!("mid");
        pod
    };
    assert_eq!(answer(world.create(of("a"))), "ok");
    world.write(Write::Delete(Key::cluster(Kind::PriorityClass, "mid"), DeleteOptions::default())).unwrap();
    let refusal = "pods \"b\" is forbidden: no PriorityClass with name mid was found";
    assert_eq!(answer(world.create(of("b"))), refusal);
}

#[test]
fn should_want_the_service_account_and_the_priority_class_to_exist() {
    let table = [
        (
            json!({"serviceAccountName": "robot"}),
            "pods \"p\" is forbidden: error looking up service account default/robot: serviceaccount \"robot\" not found",
        ),
        (json!({"priorityClassName": "high"}), "pods \"p\" is forbidden: no PriorityClass with name high was found"),
        (json!({"priorityClassName": "system-node-critical"}), "ok"),
        (json!({"serviceAccountName": "default"}), "ok"),
    ];
    for (fields, expected) in table {
        let mut manifest = pod("p", json!({}));
        for (field, value) in fields.as_object().unwrap() {
            manifest["spec"][field] = value.clone();
        }
        assert_eq!(answer(World::new().create(manifest)), expected, "{fields}");
    }
}
