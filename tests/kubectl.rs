//! The scripted user's commands in a running cluster: what they leave behind, and what they print when they are refused.

use crate::support::NoFiles;
use kubesim::cluster::{Cluster, Options};
use kubesim::model::core::Incident;
use kubesim::model::{Key, Kind};
use kubesim::scenario::load;
use kubesim::store::Store;
use kubesim::wire::encode;
use serde_json::{Value, json};

fn web(spec: Value) -> Value {
    let mut full = json!({"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}}});
    for (field, value) in spec.as_object().unwrap() {
        full[field] = value.clone();
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": full})
}

/// Runs a cluster with the manifests and timeline for a minute, and gives what is there then.
fn run(manifests: Value, timeline: Value, then: impl Fn(&Store)) {
    let text = json!({"name": "x", "duration": "1m", "seed": 1,
        "cluster": {"pools": [{"name": "n", "count": 2, "capacity": {"cpu": 8, "memory": "16Gi"}}]},
        "manifests": {"inline": manifests}, "timeline": timeline});
    let text = serde_json::to_string_pretty(&text).unwrap();
    let scenario = load::load("x.yaml", &text, &[], &NoFiles).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut cluster = Cluster::new(&scenario, &Options::of(&scenario), Vec::new()).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    then(&cluster.runtime().store);
}

fn deployment(store: &Store) -> Value {
    encode::object(store.live().get(&Key::new(Kind::Deployment, "default", "web")).unwrap())
}

/// What the commands of the timeline printed, in their order.
fn printed(store: &Store) -> Vec<String> {
    let mut said: Vec<(String, String)> = store
        .live()
        .list::<Incident>()
        .map(|incident| {
            let said = std::iter::once(&incident.description).chain(incident.output.iter().map(|(_, line)| line));
            (incident.meta.name.to_string(), said.map(|line| line.to_string()).collect::<Vec<_>>().join(": "))
        })
        .collect();
    said.sort();
    said.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn apply_is_a_three_way_merge() {
    // What the first manifest said, what somebody did meanwhile, what the second says, and what there is then.
    let scale = json!({"at": "5s", "scale": {"object": "deployment/web", "replicas": 4}});
    let rows = [
        // Never mentioned: left as it is.
        (json!({}), json!({"minReadySeconds": 1}), "/spec/replicas", json!(4)),
        // Mentioned before, not now: the default.
        (json!({"replicas": 2}), json!({}), "/spec/replicas", json!(1)),
        // Mentioned now: as it says.
        (json!({}), json!({"replicas": 3}), "/spec/replicas", json!(3)),
        // The same as before: brought back.
        (json!({"replicas": 2}), json!({"replicas": 2}), "/spec/replicas", json!(2)),
        // One variant in place of another.
        (
            json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}}),
            json!({"strategy": {"type": "Recreate"}}),
            "/spec/strategy",
            json!({"type": "Recreate"}),
        ),
    ];
    for (first, second, pointer, expected) in rows {
        let timeline = json!([scale, {"at": "10s", "apply": {"inline": [web(second.clone())]}}]);
        run(json!([web(first.clone())]), timeline, |store| {
            assert_eq!(deployment(store).pointer(pointer), Some(&expected), "{first} then {second}");
            let annotation =
                &deployment(store)["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
            let mut said = web(second.clone());
            (said["metadata"]["namespace"], said["metadata"]["annotations"]) = (json!("default"), json!({}));
            let kept: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
            assert_eq!(kept, said);
            assert_eq!(printed(store)[1], "kubectl apply deployment/web");
        });
    }
}

#[test]
fn commands_change_what_they_say() {
    let object = "deployment/web";
    let container = "/spec/template/spec/containers/0";
    let rows = [
        (
            json!({"patch": {"object": object, "type": "json", "patch": [{"op": "replace", "path": "/spec/replicas", "value": 3}]}}),
            "kubectl patch deployment/web --type=json",
            "/spec/replicas".to_string(),
            json!(3),
        ),
        (
            json!({"patch": {"object": object, "patch": {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}}}),
            "kubectl patch deployment/web",
            format!("{container}/image"),
            json!("web:2"),
        ),
        (
            json!({"patch": {"object": object, "type": "merge", "patch": {"metadata": {"labels": {"a": "b"}}}}}),
            "kubectl patch deployment/web --type=merge",
            "/metadata/labels".to_string(),
            json!({"a": "b"}),
        ),
        (
            json!({"annotate": {"object": object, "annotations": {"example.com/note": "x"}}}),
            "kubectl annotate deployment/web",
            "/metadata/annotations/example.com~1note".to_string(),
            json!("x"),
        ),
        (
            json!({"setEnv": {"object": object, "env": {"LEVEL": "debug"}}}),
            "kubectl set env deployment/web LEVEL=debug",
            format!("{container}/env"),
            json!([{"name": "LEVEL", "value": "debug"}]),
        ),
        (
            json!({"setResources": {"object": object, "container": "web", "requests": {"cpu": "200m"}}}),
            "kubectl set resources deployment/web",
            format!("{container}/resources"),
            json!({"requests": {"cpu": "200m"}}),
        ),
        (
            json!({"setImage": {"object": object, "image": "web:3"}}),
            "kubectl set image deployment/web *=web:3",
            format!("{container}/image"),
            json!("web:3"),
        ),
        (
            json!({"scale": {"object": object, "replicas": 5, "dryRun": "server"}}),
            "kubectl scale deployment/web --replicas=5 --dry-run=server",
            "/spec/replicas".to_string(),
            json!(1),
        ),
        (
            json!({"replace": {"inline": [web(json!({"replicas": 2}))]}}),
            "kubectl replace deployment/web",
            "/spec/replicas".to_string(),
            json!(2),
        ),
    ];
    for (mut action, command, pointer, expected) in rows {
        action["at"] = json!("5s");
        run(json!([web(json!({}))]), json!([action]), |store| {
            assert_eq!(deployment(store).pointer(&pointer), Some(&expected), "{command}");
            assert_eq!(printed(store)[0], command);
        });
    }
}

#[test]
fn refusals_are_printed_and_the_rest_goes_on() {
    let config = |name: &str, data: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "immutable": true, "data": {"a": data}})
    };
    let rows = [
        (
            json!({"patch": {"object": "deployment/web", "type": "json", "patch": [{"op": "test", "path": "/spec/replicas", "value": 9}]}}),
            "kubectl patch deployment/web --type=json: The request is invalid: the server rejected our request due to an error in our request: testing value /spec/replicas failed: test failed",
        ),
        (
            json!({"delete": {"object": "pod/nobody"}}),
            "kubectl delete pod/nobody: Error from server (NotFound): pods \"nobody\" not found",
        ),
        (
            json!({"apply": {"inline": [config("one", "2"), config("two", "2")]}}),
            "kubectl apply (2 objects): The ConfigMap \"one\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
        ),
        (
            json!({"apply": {"inline": [web(json!({"replicas": 9}))], "serverSide": true, "fieldManager": "ci"}}),
            "kubectl apply --server-side --field-manager=ci deployment/web: error: Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas",
        ),
        (
            json!({"apply": {"inline": [web(json!({"replicas": 9}))], "serverSide": true, "fieldManager": "ci", "forceConflicts": true}}),
            "kubectl apply --server-side --field-manager=ci --force-conflicts deployment/web",
        ),
    ];
    for (mut action, expected) in rows {
        action["at"] = json!("5s");
        run(json!([web(json!({})), config("one", "1")]), json!([action]), |store| {
            assert_eq!(printed(store)[0], expected);
            let second = store.live().get(&Key::new(Kind::ConfigMap, "default", "two")).is_some();
            assert_eq!(second, expected.contains("(2 objects)"));
        });
    }
}

#[test]
fn the_server_applies_parts_of_objects() {
    let part = |spec: Value, force: bool| {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
        json!({"at": "5s", "apply": {"serverSide": true, "forceConflicts": force, "fieldManager": "hpa", "inline": [object]}})
    };
    let command = "kubectl apply --server-side --field-manager=hpa";
    let invalid = "The Deployment.apps \"web\" is invalid";
    let rows = [
        (part(json!({"replicas": 3}), true), format!("{command} --force-conflicts deployment/web"), 3),
        // What is wrong with the whole is told when it is merged.
        (
            part(json!({"replicas": 2, "template": {"metadata": {"labels": {"app": "x"}}}}), true),
            format!(
                "{command} --force-conflicts deployment/web: {invalid}: spec.template.metadata.labels: Invalid value: {{\"app\":\"x\"}}: `selector` does not match template `labels`"
            ),
            1,
        ),
    ];
    for (action, said, replicas) in rows {
        run(json!([web(json!({"replicas": 1}))]), json!([action]), |store| {
            assert_eq!(printed(store)[0], said);
            assert_eq!(deployment(store)["spec"]["replicas"], replicas);
        });
    }
}

#[test]
fn labels_that_no_object_may_have_are_refused() {
    let part = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let rows = [
        (json!({"label": {"object": "deployment/web", "labels": {"bad key!": "x"}}}), "label", "labels"),
        (
            json!({"annotate": {"object": "deployment/web", "annotations": {"bad key!": "x"}}}),
            "annotate",
            "annotations",
        ),
    ];
    for (mut action, command, field) in rows {
        action["at"] = json!("5s");
        let why = format!("metadata.{field}: Invalid value: \"bad key!\": {part}");
        run(json!([web(json!({}))]), json!([action]), |store| {
            let expected = format!("kubectl {command} deployment/web: The Deployment.apps \"web\" is invalid: {why}");
            assert_eq!(printed(store)[0], expected);
            assert_eq!(deployment(store)["metadata"]["labels"], Value::Null);
        });
    }
}

#[test]
fn who_may_not_list_deletes_nothing_by_selector() {
    let config = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let group = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["delete"]}]});
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "b"},
        "subjects": [{"kind": "User", "name": "joe", "apiGroup": group}],
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "r"}});
    let cannot = |user: &str| {
        format!(
            "Error from server (Forbidden): configmaps is forbidden: User \"{user}\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\""
        )
    };
    let rows = [
        (
            "nobody",
            json!({"kind": "cm", "selector": "app=zz"}),
            format!("configmaps -l app=zz: {}", cannot("nobody")),
            true,
        ),
        ("joe", json!({"kind": "cm", "all": true}), format!("configmaps --all: {}", cannot("joe")), true),
        ("joe", json!({"object": "cm/a"}), "configmap/a".to_string(), false),
    ];
    for (user, delete, said, stays) in rows {
        let timeline = json!([{"at": "5s", "as": user, "delete": delete}]);
        run(json!([config("a"), role, binding]), timeline, |store| {
            assert_eq!(printed(store)[0], format!("kubectl --as={user} delete {said}"));
            assert_eq!(store.live().get(&Key::new(Kind::ConfigMap, "default", "a")).is_some(), stays, "{said}");
        });
    }
}

#[test]
fn several_objects_go_by_selector() {
    let config = |name: &str, tier: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"tier": tier}}})
    };
    let rows = [
        (json!({"kind": "configmap", "selector": "tier=x"}), "kubectl delete configmaps -l tier=x", vec!["b"]),
        (json!({"kind": "cm", "all": true}), "kubectl delete configmaps --all", vec![]),
    ];
    for (delete, command, left) in rows {
        let manifests = json!([config("a", "x"), config("b", "y"), config("c", "x")]);
        run(manifests, json!([{"at": "5s", "delete": delete}]), |store| {
            let names = store.live().objects(Kind::ConfigMap).map(|object| object.meta());
            let names: Vec<&str> = names
                .filter(|meta| meta.namespace == "default" && meta.name != "kube-root-ca.crt")
                .map(|meta| meta.name.as_str())
                .collect();
            assert_eq!(names, left, "{command}");
            assert_eq!(printed(store)[0], command);
        });
    }
}
