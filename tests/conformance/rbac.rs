//! Roles and bindings.

use super::small_world::{World, answer, key, person};
use kubesim::model::rbac::User;
use kubesim::model::{Key, Kind};
use kubesim::store::{DeleteOptions, Patch, Preconditions, Write};
use serde_json::{Value, json};
use std::sync::Arc;

fn binding(name: &str, user: &str, role: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}})
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

fn world() -> World {
    let mut world = World::new();
    for (user, role) in [("vera", "view"), ("ed", "edit"), ("ada", "admin"), ("lost", "nowhere")] {
        world.create(binding(user, user, role)).unwrap();
    }
    world
}

#[test]
fn should_let_the_default_roles_do_what_they_are_for() {
    // (user, what creating a ConfigMap gets)
    let cannot = |verb: &str, of: &str, user: &str| {
        format!(
            "{of} is forbidden: User \"{user}\" cannot {verb} resource \"configmaps\" in API group \"\" in the namespace \"default\""
        )
    };
    let table = [
        ("ed", "ok".to_string()),
        ("ada", "ok".to_string()),
        ("vera", cannot("create", "configmaps", "vera")),
        ("nobody", cannot("get", "configmaps \"nobody\"", "nobody")),
        (
            "lost",
            cannot("get", "configmaps \"lost\"", "lost")
                + ": RBAC: clusterrole.rbac.authorization.k8s.io \"nowhere\" not found",
        ),
    ];
    for (user, expected) in table {
        let text = answer(world().create_as(user, map(user)));
        assert_eq!(text, expected, "{user}");
    }
}

#[test]
fn should_keep_a_namespaces_editor_from_the_cluster() {
    let mut world = world();
    let user = person("ed");
    let node = Write::Patch(key(Kind::Node, "n"), Patch::Unschedulable(true), Preconditions::default());
    assert_eq!(
        answer(world.write(Write::As(user.clone(), Box::new(node)))),
        "nodes \"n\" is forbidden: User \"ed\" cannot get resource \"nodes\" in API group \"\" at the cluster scope"
    );
    world.create(map("here")).unwrap();
    let delete = Write::Delete(key(Kind::ConfigMap, "here"), DeleteOptions::default());
    assert_eq!(
        answer(world.write(Write::As(person("vera"), Box::new(delete.clone())))),
        "configmaps \"here\" is forbidden: User \"vera\" cannot delete resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(answer(world.write(Write::As(user, Box::new(delete)))), "ok");
}

#[test]
fn should_keep_a_kubelet_to_its_own_node() {
    let mut world = world();
    world.web_pod("mine", true);
    for name in ["n", "other"] {
        world.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})).unwrap();
    }
    let kubelet = |node: &str| Arc::new(User::new(&format!("system:node:{node}"), &["system:nodes".to_string()]));
    let change = |key: Key, patch: Patch| Write::Patch(key, patch, Preconditions::default());
    let label = |name: &str| Patch::Labels(vec![(name.into(), Some("x".into()))]);
    let taint = Patch::Taints { add: Vec::new(), remove: Vec::new() };
    let pod = || key(Kind::Pod, "mine");
    let status = Patch::Conditions(Vec::new());
    let evict = Write::Evict { pod: pod(), options: DeleteOptions::default() };
    // (kubelet of, what it asks for, the answer)
    let table = [
        (
            "other",
            change(key(Kind::Node, "n"), Patch::Unschedulable(true)),
            "nodes \"n\" is forbidden: node \"other\" is not allowed to modify node \"n\"",
        ),
        ("n", change(key(Kind::Node, "n"), Patch::Unschedulable(true)), "ok"),
        (
            "n",
            change(key(Kind::Node, "n"), taint),
            "nodes \"n\" is forbidden: node \"n\" is not allowed to modify taints",
        ),
        (
            "n",
            change(key(Kind::Node, "n"), label("node-role.kubernetes.io/x")),
            "nodes \"n\" is forbidden: node \"n\" is not allowed to modify labels: node-role.kubernetes.io/x",
        ),
        ("n", change(key(Kind::Node, "n"), label("example.com/x")), "ok"),
        (
            "other",
            change(pod(), status.clone()),
            "pods \"mine\" is forbidden: node \"other\" can only update pod status for pods with spec.nodeName set to itself",
        ),
        ("n", change(pod(), status), "ok"),
        ("other", evict, "pods \"mine\" is forbidden: node other can only evict pods with spec.nodeName set to itself"),
        (
            "other",
            Write::Delete(pod(), DeleteOptions::default()),
            "pods \"mine\" is forbidden: node \"other\" can only delete pods with spec.nodeName set to itself",
        ),
        (
            "n",
            Write::Delete(key(Kind::Node, "n"), DeleteOptions::default()),
            "nodes \"n\" is forbidden: User \"system:node:n\" cannot delete resource \"nodes\" in API group \"\" at the cluster scope",
        ),
    ];
    for (node, write, expected) in table {
        assert_eq!(answer(world.write(Write::As(kubelet(node), Box::new(write)))), expected);
    }
}

#[test]
fn should_aggregate_roles_by_label() {
    let mut world = world();
    let limit = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": []}});
    assert!(answer(world.create_as("ed", limit.clone())).contains("cannot create resource \"limitranges\""));
    world
        .create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "limits", "labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
            "rules": [{"apiGroups": [""], "resources": ["limitranges"], "verbs": ["create"]}]}))
        .unwrap();
    world.wait(1);
    assert_eq!(answer(world.create_as("ed", limit)), "ok");
}

#[test]
fn should_let_nobody_give_what_he_does_not_have() {
    let mut world = world();
    let role = |verbs: Value, resource: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
            "rules": [{"apiGroups": ["apps"], "resources": [resource], "verbs": verbs}]})
    };
    assert_eq!(answer(world.create_as("ada", role(json!(["get", "create"]), "deployments"))), "ok");
    assert_eq!(
        answer(world.create_as("ada", binding("up", "ada", "cluster-admin"))),
        "rolebindings.rbac.authorization.k8s.io \"up\" is forbidden: user \"ada\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"
    );
    assert_eq!(answer(world.create_as("ada", binding("down", "bob", "view"))), "ok");
}
