//! What is done to a random cluster: by people with kubectl, and by everything that can fail.

use super::super::faults::{self, Length, Place, with};
use super::loads::{Load, configuration};
use serde_json::{Map, Value, json};

/// One action: when, which, and on what.
#[derive(Clone, Debug)]
pub struct Deed {
    pub at: u64,
    pub what: usize,
    pub target: usize,
    pub amount: u32,
}

/// How many requests there are; every fault, and a machine that never comes back, are drawn beside them.
const REQUESTS: usize = 29;

fn seconds(n: u64) -> String {
    format!("{n}s")
}

fn image(n: u32) -> String {
    format!("registry.example.com/app:v{n}")
}

/// The action as an entry of the timeline, if what it is about can bear it.
pub fn entry(deed: &Deed, load: &Load, name: &str, nodes: usize) -> Option<Value> {
    let node = format!("p{}-0", deed.target % nodes);
    let what = deed.what % (REQUESTS + 1 + faults::KEYS.len());
    let (action, content, length) = match what.checked_sub(REQUESTS) {
        None => {
            let (action, content) = request(what, deed.amount, load, name, &node)?;
            (action, content, Length::Own)
        }
        Some(0) => ("nodeCrash", json!({"node": node}), Length::Own),
        Some(fault) => trouble(faults::KEYS[fault - 1], deed.amount, load, name, &node)?,
    };
    let mut entry = Map::new();
    entry.insert("at".to_string(), json!(seconds(deed.at)));
    entry.insert(action.to_string(), content);
    if length == Length::For {
        entry.insert("for".to_string(), json!(seconds(u64::from(10 + 60 * deed.amount))));
    }
    Some(Value::Object(entry))
}

/// What goes wrong, where, and for how long.
fn trouble(
    key: &'static str,
    amount: u32,
    load: &Load,
    name: &str,
    node: &str,
) -> Option<(&'static str, Value, Length)> {
    let place = Place {
        node: json!({"node": node}),
        pods: json!({"selector": format!("app={name}"), "namespace": load.namespace()}),
        namespace: load.namespace(),
        deployment: (load.kind() == "Deployment").then(|| format!("deployment/{name}")),
        service: load.is_served().then(|| name.to_string()),
    };
    let (body, length) = faults::body(key, &place, amount)?;
    Some((key, body, length))
}

/// What somebody asks the API server for.
fn request(what: usize, amount: u32, load: &Load, name: &str, node: &str) -> Option<(&'static str, Value)> {
    let kind = load.kind();
    let object = json!({"object": format!("{}/{name}", kind.to_lowercase()), "namespace": load.namespace()});
    let node = json!({"node": node});
    let deployment = kind == "Deployment";
    Some(match what {
        0 if load.sized() => ("scale", with(&object, json!({"replicas": amount}))),
        1 if load.rolled() => ("setImage", with(&object, json!({"image": image(amount)}))),
        2 if load.rolled() => ("rolloutRestart", object),
        3 if load.rolled() => ("rolloutUndo", object),
        4 if deployment => ("rolloutPause", object),
        5 if deployment => ("rolloutResume", object),
        6 => {
            let cascade = ["background", "foreground", "orphan"][amount as usize % 3];
            ("delete", with(&object, json!({"cascade": cascade})))
        }
        7 => {
            let grace = if amount > 3 { json!({"gracePeriod": seconds(u64::from(amount - 4))}) } else { json!({}) };
            let pods = json!({"kind": "pod", "selector": format!("app={name}"), "namespace": load.namespace()});
            ("delete", with(&pods, grace))
        }
        8 => ("delete", json!({"object": "namespace/apps"})),
        9 => ("delete", json!({"object": format!("node/{}", node["node"].as_str()?)})),
        10 if load.is_custom() => ("delete", json!({"object": "crd/gadgets.example.com"})),
        11 => ("cordon", node),
        12 => ("uncordon", node),
        13 => {
            let flags = json!({"timeout": seconds(60), "force": amount & 1 == 1, "deleteEmptydirData": amount & 2 == 2,
                "disableEviction": amount == 7});
            ("drain", with(&node, flags))
        }
        14 => {
            let effect = ["NoSchedule", "NoExecute", "PreferNoSchedule"][amount as usize % 3];
            ("taint", with(&node, json!({"add": [{"key": "random", "effect": effect}]})))
        }
        15 => ("taint", with(&node, json!({"remove": ["random"]}))),
        16 => {
            let labels = json!({"random": (amount > 0).then(|| amount.to_string())});
            ("label", json!({"object": format!("node/{}", node["node"].as_str()?), "labels": labels}))
        }
        17 => ("label", with(&object, json!({"labels": {"tier": format!("t{amount}")}}))),
        18 => ("annotate", with(&object, json!({"annotations": {"note": amount.to_string()}}))),
        _ => return change(what, amount, load, name, object),
    })
}

/// Patches and whole objects.
fn change(what: usize, amount: u32, load: &Load, name: &str, object: Value) -> Option<(&'static str, Value)> {
    let kind = load.kind();
    let merge = |patch: Value| ("patch", with(&object, json!({"type": "merge", "patch": patch})));
    let changed = || {
        let mut manifest = load.manifest(name);
        match kind {
            "Pod" => manifest["spec"]["containers"][0]["image"] = json!(image(amount)),
            "CronJob" => manifest["spec"]["suspend"] = json!(amount & 1 == 1),
            "Job" => manifest["spec"]["parallelism"] = json!(amount),
            "DaemonSet" => manifest["spec"]["minReadySeconds"] = json!(amount),
            // As many as the custom kind allows.
            _ => manifest["spec"]["replicas"] = json!(amount.min(6)),
        }
        manifest
    };
    Some(match what {
        19 => ("apply", json!({"inline": [changed()]})),
        20 => {
            let owner = ["ci", "people"][amount as usize & 1];
            let content = json!({"inline": [changed()], "serverSide": true, "fieldManager": owner,
                "forceConflicts": amount & 2 == 2});
            ("apply", content)
        }
        21 => ("replace", json!({"inline": [changed()]})),
        22 => ("apply", json!({"inline": [configuration(name, load.namespace(), amount)]})),
        23 if matches!(kind, "Job" | "CronJob") => merge(json!({"spec": {"suspend": amount & 1 == 1}})),
        23 if load.sized() => {
            let operations = json!([{"op": "test", "path": "/spec/replicas", "value": load.replicas},
                {"op": "replace", "path": "/spec/replicas", "value": amount}]);
            ("patch", with(&object, json!({"type": "json", "patch": operations})))
        }
        24 if load.rolled() => {
            let env = json!([{"name": "N", "value": amount.to_string()}]);
            let containers = json!([{"name": "main", "env": env}]);
            ("patch", with(&object, json!({"patch": {"spec": {"template": {"spec": {"containers": containers}}}}})))
        }
        24 if kind == "Pod" => {
            let resources = json!({"requests": {"cpu": format!("{}m", 100 + 200 * amount)}});
            let patch = json!({"spec": {"containers": [{"name": "main", "resources": resources}]}});
            ("patch", with(&object, json!({"subresource": "resize", "patch": patch})))
        }
        25 if load.guards & 2 == 2 => {
            let budget = json!({"object": format!("pdb/{name}"), "namespace": load.namespace(), "type": "merge"});
            let spec = json!({"minAvailable": null, "maxUnavailable": amount});
            ("patch", with(&budget, json!({"patch": {"spec": spec}})))
        }
        26 => {
            let hard = json!({"pods": amount.to_string(), "requests.cpu": null});
            let quota = json!({"object": "resourcequota/limits", "namespace": "apps", "type": "merge"});
            ("patch", with(&quota, json!({"patch": {"spec": {"hard": hard}}})))
        }
        27 if load.rolled() => ("setResources", with(&object, json!({"requests": {"cpu": format!("{amount}00m")}}))),
        28 => {
            let finalizers = (amount & 1 == 1).then_some(["example.com/keep"]);
            merge(json!({"metadata": {"finalizers": finalizers}}))
        }
        _ => return None,
    })
}
