//! Kinds that users define: what a definition goes through, what its schema does to objects, and what becomes of
//! them. Sentences are Kubernetes'.

use crate::conformance::world::World;
use crate::support::{self, NoFiles};
use kubesim::cluster::{Cluster, Options};
use kubesim::model::core::Incident;
use kubesim::model::custom::ESTABLISHED;
use kubesim::model::{Condition, CustomResourceDefinition, Key, Kind, Object, Truth, condition};
use kubesim::scenario::load;
use kubesim::store::{Propagation, Write};
use kubesim::time::SimTime;
use kubesim::wire::custom;
use kubesim::wire::decode::object_of;
use kubesim::wire::patch::{Document, Form, Subresource};
use serde_json::{Value, json};

const NOW: SimTime = SimTime::ZERO;

fn definition(plural: &str, kind: &str) -> Value {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["schedule"], "properties": {
            "schedule": {"type": "string"},
            "targets": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items":
                {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}},
            "zones": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "steps": {"type": "array", "items": {"type": "string"}},
            "from": {"type": "object", "x-kubernetes-map-type": "atomic", "properties":
                {"name": {"type": "string"}, "key": {"type": "string"}}},
            "replicas": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind, "shortNames": ["bk"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale":
                    {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}}]}})
}

fn backup(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Backup", "metadata": {"name": name, "namespace": "default"},
        "spec": spec})
}

fn conditions(world: &World, key: &Key) -> Vec<(String, String, String)> {
    let Some(Object::CustomResourceDefinition(found)) = world.live().get(key) else { return Vec::new() };
    let row = |c: &Condition| (c.kind.to_string(), c.status.as_str().to_string(), c.reason.to_string());
    found.conditions.iter().map(row).collect()
}

/// A world in which backups are served, and their kind.
fn world() -> (World, Key, Kind) {
    let mut world = World::new();
    let crd = world.create(definition("backups", "Backup"));
    world.until(1);
    let Some(Object::CustomResourceDefinition(found)) = world.live().get(&crd) else { panic!("{crd} is there") };
    let kind = world.live().kind_of(found).unwrap();
    (world, crd, kind)
}

#[test]
fn names_are_accepted_and_then_the_kind_is_served() {
    let (mut world, crd, _) = world();
    let row = |kind: &str, status: &str, reason: &str| (kind.to_string(), status.to_string(), reason.to_string());
    let served = [row("NamesAccepted", "True", "NoConflicts"), row("Established", "True", "InitialNamesAccepted")];
    assert_eq!(conditions(&world, &crd), served);
    let json = world.json(&crd);
    assert_eq!(json["status"]["acceptedNames"]["listKind"], "BackupList");
    assert_eq!(json["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(json["metadata"]["generation"], 1);
    // A second one wants the same kind and short name; it gets them when the first is gone.
    let other = world.create(definition("savings", "Backup"));
    world.until(2);
    let refused = [row("NamesAccepted", "False", "ListKindConflict"), row("Established", "False", "NotAccepted")];
    assert_eq!(conditions(&world, &other), refused);
    world.delete(&crd, Propagation::Background);
    world.until(20);
    assert_eq!(conditions(&world, &other), served);
}

#[test]
fn a_schema_prunes_fills_and_refuses() {
    let (mut world, _, _) = world();
    let key = world.create(backup("a", json!({"schedule": "daily", "color": "red"})));
    let made = world.json(&key);
    assert_eq!(made["spec"], json!({"schedule": "daily", "replicas": 2}));
    assert_eq!((made["apiVersion"].as_str(), made["kind"].as_str()), (Some("example.com/v1"), Some("Backup")));
    let refused = |spec: Value, why: &str| {
        let object = object_of(&backup("b", spec), world.live().custom_kinds()).unwrap();
        let mut store = support::store();
        let crd = kubesim::wire::decode::object(&definition("backups", "Backup")).unwrap();
        store.commit(NOW, Write::Create(crd), "test").unwrap();
        let mut crd = store.live().list::<CustomResourceDefinition>().next().unwrap().as_ref().clone();
        let established = Condition::new(ESTABLISHED, Truth::True, "".into(), "", NOW);
        condition::set(&mut crd.conditions, established);
        store.commit(NOW, Write::UpdateStatus(crd.into()), "test").unwrap();
        let answer = store.commit(NOW, Write::Create(object), "test").map(drop);
        assert_eq!(answer.unwrap_err().to_string(), format!("Backup.example.com \"b\" is invalid: {why}"));
    };
    refused(json!({}), "spec.schedule: Required value");
    refused(
        json!({"schedule": 7}),
        "spec.schedule: Invalid value: \"integer\": spec.schedule in body must be of type string: \"integer\"",
    );
    refused(
        json!({"schedule": "x", "replicas": 9}),
        "spec.replicas: Invalid value: 9: spec.replicas in body should be less than or equal to 5",
    );
}

#[test]
fn what_schemas_refuse() {
    let rows = [
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            "x: Unsupported value: \"c\": supported values: \"a\", \"b\"",
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            "x: Invalid value: \"b\": x in body should match '^a+$'",
        ),
        (json!({"type": "string", "maxLength": 2}), json!("abc"), "x: Too long: may not be more than 2 bytes"),
        (
            json!({"type": "string", "minLength": 1}),
            json!(""),
            "x: Invalid value: \"\": x in body should be at least 1 chars long",
        ),
        (
            json!({"type": "integer"}),
            json!(1.5),
            "x: Invalid value: \"number\": x in body must be of type integer: \"number\"",
        ),
        (
            json!({"type": "number", "exclusiveMinimum": true, "minimum": 0}),
            json!(0),
            "x: Invalid value: 0: x in body should be greater than 0",
        ),
        (
            json!({"type": "integer", "multipleOf": 4}),
            json!(6),
            "x: Invalid value: 6: x in body should be a multiple of 4",
        ),
        (
            json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
            json!(["a", "b"]),
            "x: Too many: 2: must have at most 1 items",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object"}}),
            json!([{"n": 1}, {"n": 1}]),
            "x[1]: Duplicate value: {\"n\":1}",
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            "x: Invalid value: \"boolean\": x in body must be of type integer,string: \"boolean\"",
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("soon"),
            "x: Invalid value: \"soon\": x in body must be of type date-time: \"soon\"",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"k": 1}),
            "x.k: Invalid value: \"integer\": x.k in body must be of type string: \"integer\"",
        ),
        (
            json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"a": 1, "b": 1}),
            "<nil>: Invalid value: \"\": \"x\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
        ),
        (
            json!({"type": "string"}),
            json!(null),
            "x: Invalid value: \"null\": x in body must be of type string: \"null\"",
        ),
    ];
    for (schema, value, why) in rows {
        let root = json!({"type": "object", "properties": {"x": schema}});
        let errors: Vec<String> = custom::check(&root, &json!({"x": value})).iter().map(ToString::to_string).collect();
        assert_eq!(errors, [why], "{schema}");
    }
    let fine = json!({"type": "object", "properties": {"x": {"type": "string", "nullable": true}, "y": {"x-kubernetes-int-or-string": true}}});
    assert_eq!(custom::check(&fine, &json!({"x": null, "y": "50%"})), []);
}

#[test]
fn what_schemas_leave_and_add() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "object", "default": {}, "properties": {"n": {"type": "integer", "default": 1}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"b": {"type": "object"}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string", "default": "d"}}}}}});
    let mut value =
        json!({"free": {"any": {"thing": 1}, "b": {"lost": 1}}, "list": [{"e": 1}], "gone": true, "a": null});
    let unknown: Vec<String> = custom::prune(&schema, &mut value).into_iter().map(|unknown| unknown.path).collect();
    assert_eq!(unknown, ["free.b.lost", "list[0].e", "gone"]);
    custom::fill(&schema, &mut value);
    assert_eq!(value, json!({"free": {"any": {"thing": 1}, "b": {}}, "list": [{"c": "d"}], "a": {"n": 1}}));
}

#[test]
fn requests_change_what_they_are_for() {
    let (mut world, _, _) = world();
    let key = world.create(backup("a", json!({"schedule": "daily"})));
    let generation = |world: &World| world.json(&key)["metadata"]["generation"].as_i64();
    world.patch(&key, json!({"spec": {"replicas": 3}, "status": {"replicas": 7}})).unwrap();
    assert_eq!((generation(&world), world.json(&key)["status"].clone()), (Some(2), Value::Null));
    world.patch_status(&key, json!({"spec": {"replicas": 4}, "status": {"replicas": 3, "color": "red"}})).unwrap();
    let now = world.json(&key);
    assert_eq!((&now["spec"]["replicas"], &now["status"]), (&json!(3), &json!({"replicas": 3})));
    assert_eq!(generation(&world), Some(2));
    let scale = Document::new(Form::Merge, json!({"spec": {"replicas": 5}}), "kubectl");
    world.send(&key, Document { subresource: Subresource::Scale, ..scale }).unwrap();
    assert_eq!((&world.json(&key)["spec"]["replicas"], generation(&world)), (&json!(5), Some(3)));
    world.send(&key, Document::new(Form::Json, json!([{"op": "remove", "path": "/spec/replicas"}]), "test")).unwrap();
    assert_eq!(world.json(&key)["spec"]["replicas"], 2, "what is removed gets its default back");
    let why = world.send(&key, Document::new(Form::Strategic, json!({"spec": {}}), "test")).unwrap_err();
    assert!(why.starts_with("the body of the request was in an unknown format"), "{why}");
    let apply = |manager: &str, force: bool| {
        Document::new(Form::Apply { force }, backup("a", json!({"schedule": "weekly"})), manager)
    };
    let why = world.send(&key, apply("ci", false)).unwrap_err();
    assert_eq!(
        why,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using example.com/v1: .spec.schedule"
    );
    world.send(&key, apply("ci", true)).unwrap();
    assert_eq!(world.json(&key)["spec"]["schedule"], "weekly");
}

/// What two managers apply, side by side (`staging/src/k8s.io/kube-openapi`: list and map types of a schema): items of a
/// list of maps and values of a set are owned one by one, plain lists and atomic maps as a whole.
#[test]
fn a_schema_says_how_lists_are_applied() {
    let (mut world, _, _) = world();
    let key = world.create(backup("a", json!({"schedule": "0 1 * * *"})));
    let apply =
        |manager: &str, spec: Value, force: bool| Document::new(Form::Apply { force }, backup("a", spec), manager);
    let first = json!({"targets": [{"name": "x", "size": 1}], "zones": ["a"], "steps": ["one"], "from": {"name": "n"}});
    world.send(&key, apply("first", first, false)).unwrap();
    let beside = json!({"targets": [{"name": "y", "size": 2}], "zones": ["b"]});
    world.send(&key, apply("second", beside, false)).unwrap();
    let spec = |world: &World| world.json(&key)["spec"].clone();
    assert_eq!(spec(&world)["targets"], json!([{"name": "x", "size": 1}, {"name": "y", "size": 2}]));
    assert_eq!(spec(&world)["zones"], json!(["a", "b"]));
    // Each of these is somebody else's.
    let rows = [
        (json!({"targets": [{"name": "x", "size": 3}]}), ".spec.targets[name=\"x\"].size"),
        (json!({"steps": ["two"]}), ".spec.steps"),
        (json!({"from": {"key": "k"}}), ".spec.from"),
    ];
    for (spec, path) in rows {
        let why = world.send(&key, apply("third", spec, false)).unwrap_err();
        assert_eq!(why, format!("Apply failed with 1 conflict: conflict with \"first\": {path}"));
    }
    // What the first states no more goes, and what is the second's stays.
    world.send(&key, apply("first", json!({"steps": ["one"]}), false)).unwrap();
    assert_eq!(spec(&world)["targets"], json!([{"name": "y", "size": 2}]));
    assert_eq!(spec(&world)["zones"], json!(["b"]));
    assert_eq!(spec(&world).get("from"), None);
}

#[test]
fn objects_go_with_owner_namespace_and_definition() {
    let (mut world, crd, kind) = world();
    world.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    let owner = world.create(backup("owner", json!({"schedule": "x"})));
    let mut owned =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "namespace": "default"}});
    owned["metadata"]["ownerReferences"] = json!([world.owner(&owner, true)]);
    let owned = world.create(owned);
    let mut other = backup("other", json!({"schedule": "x"}));
    other["metadata"]["ownerReferences"] = json!([world.owner(&owned, true)]);
    let other = world.create(other);
    let mut shop = backup("a", json!({"schedule": "x"}));
    shop["metadata"]["namespace"] = json!("shop");
    let shop = world.create(shop);
    world.until(2);
    world.delete(&owner, Propagation::Background);
    world.delete(&Key::cluster(Kind::Namespace, "shop"), Propagation::Background);
    world.until(15);
    for key in [&owner, &owned, &other, &shop, &Key::cluster(Kind::Namespace, "shop")] {
        assert!(world.live().get(key).is_none(), "{key}");
    }
    // A finalizer holds the last object, and that one its definition.
    let mut held = backup("held", json!({"schedule": "x"}));
    held["metadata"]["finalizers"] = json!(["example.com/wait"]);
    let held = world.create(held);
    world.delete(&crd, Propagation::Background);
    world.until(18);
    assert_eq!(conditions(&world, &crd)[2].2, "InstanceDeletionInProgress");
    assert!(world.live().get(&held).is_some_and(|object| object.meta().deleting()));
    let why = world.try_create(backup("late", json!({"schedule": "x"}))).unwrap_err();
    assert_eq!(why, "create not allowed while custom resource definition is terminating");
    world.patch(&held, json!({"metadata": {"finalizers": null}})).unwrap();
    world.until(30);
    assert!(world.live().get(&crd).is_none() && world.live().objects(kind).next().is_none());
    assert!((20.0..26.0).contains(&world.gone(&crd).unwrap()), "looked for every 5 s: {:?}", world.gone(&crd));
    let why = world.try_create(backup("late", json!({"schedule": "x"}))).unwrap_err();
    assert_eq!(why, "the server could not find the requested resource");
}

/// Runs a cluster for half a minute and gives what its commands printed.
fn printed(manifests: Value, timeline: Value) -> Vec<String> {
    let text = json!({"name": "x", "duration": "30s", "cluster": {"pools": [{"name": "n", "count": 1,
        "capacity": {"cpu": 2, "memory": "4Gi"}}]}, "manifests": {"inline": manifests}, "timeline": timeline});
    let scenario = load::load("x.yaml", &text.to_string(), &[], &NoFiles).unwrap_or_else(|error| panic!("{error}"));
    let mut cluster = Cluster::new(&scenario, &Options::of(&scenario), Vec::new()).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    let view = cluster.runtime().store.live();
    let mut said: Vec<(String, String)> = view
        .list::<Incident>()
        .map(|one| {
            let lines: Vec<&str> = one.output.iter().map(|(_, line)| line.as_str()).collect();
            (one.meta.name.to_string(), [&[one.description.as_str()], lines.as_slice()].concat().join(": "))
        })
        .collect();
    said.sort();
    said.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn kubectl_knows_custom_kinds_by_what_is_served() {
    let both = json!([definition("backups", "Backup"), backup("a", json!({"schedule": "x"}))]);
    // In the manifests of the start objects wait for their definitions.
    let timeline = json!([{"at": "10s", "scale": {"object": "bk/a", "replicas": 4}},
        {"at": "11s", "delete": {"object": "backups.example.com/a"}}]);
    let expected = [
        "kubectl scale backup/a --replicas=4",
        "kubectl delete backup/a",
        "kubectl apply customresourcedefinition/backups.example.com",
        "kubectl apply backup/a",
    ];
    assert_eq!(printed(both.clone(), timeline), expected);
    // One file with both is a trap; the second time it works.
    let timeline = json!([{"at": "1s", "apply": {"inline": both}}, {"at": "9s", "apply": {"inline": both}}]);
    let trap = "kubectl apply (2 objects): error: resource mapping not found for name: \"a\" namespace: \"default\" from \
                \"x.yaml\": no matches for kind \"Backup\" in version \"example.com/v1\"\nensure CRDs are installed first";
    assert_eq!(printed(json!([]), timeline), [trap, "kubectl apply (2 objects)"]);
    let timeline = json!([{"at": "1s", "delete": {"object": "backup/a"}}, {"at": "9s", "apply": {"inline": both}}]);
    let unknown = "kubectl delete backup/a: error: the server doesn't have a resource type \"backup\"";
    assert_eq!(printed(json!([]), timeline)[0], unknown);
}

/// A kind with a scale is scaled by a HorizontalPodAutoscaler: its pods are those that its status selects.
#[test]
fn a_horizontal_autoscaler_scales_custom_kinds() {
    let fleet = |selector_path: bool| {
        let mut crd = definition("fleets", "Fleet");
        let version = &mut crd["spec"]["versions"][0];
        version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["selector"] =
            json!({"type": "string"});
        if selector_path {
            version["subresources"]["scale"]["labelSelectorPath"] = json!(".status.selector");
        }
        crd["spec"]["names"]["shortNames"] = json!(["fl"]);
        crd
    };
    let pods = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}]}}}});
    let autoscaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "f"},
        "spec": {"scaleTargetRef": {"apiVersion": "example.com/v1", "kind": "Fleet", "name": "f"}, "minReplicas": 1,
            "maxReplicas": 4, "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 50}}}]}});
    let mut object = backup("f", json!({"schedule": "x"}));
    object["kind"] = json!("Fleet");
    // Its controller would say this: two pods, and which.
    let said = json!([{"at": "5s", "patch": {"object": "fl/f", "type": "merge", "subresource": "status",
        "patch": {"status": {"replicas": 2, "selector": "app=web"}}}}]);
    let look = |crd: Value| {
        let text = json!({"name": "x", "duration": "2m", "cluster": {"pools": [{"name": "n", "count": 1,
            "capacity": {"cpu": 4, "memory": "8Gi"}}]}, "behavior": [{"cpu": {"absolute": "90m"}}],
            "manifests": {"inline": [crd, object, pods, autoscaler]}, "timeline": said});
        let scenario = load::load("x.yaml", &text.to_string(), &[], &NoFiles).unwrap_or_else(|error| panic!("{error}"));
        let mut cluster = Cluster::new(&scenario, &Options::of(&scenario), Vec::new()).unwrap();
        cluster.run(&mut |_, _| true).unwrap();
        let view = cluster.runtime().store.live();
        let kind = view.custom_kinds().of_group("example.com", "Fleet").unwrap();
        let Some(Object::Custom(found)) = view.objects(kind).next() else { panic!("a fleet") };
        let hpa = view.list::<kubesim::model::autoscaling::HorizontalPodAutoscaler>().next().unwrap();
        let active = condition::find(&hpa.status.conditions, "ScalingActive").map(|one| one.reason.to_string());
        (found.body["spec"]["replicas"].clone(), active.unwrap_or_default())
    };
    // 90m of 100m are used and half is wanted: 2 * 0.9 / 0.5 = 3.6 pods, rounded up.
    assert_eq!(look(fleet(true)), (json!(4), "ValidMetricFound".to_string()));
    // Without a path to the selector it is not known whose pods they are.
    assert_eq!(look(fleet(false)), (json!(2), "InvalidSelector".to_string()));
}
