//! The node monitor: zones, and whole traces of silence, taints and return.

use super::{agree, at, differs, list, text};
use kubesim::controllers::node_lifecycle::monitor::{Action, Monitor, Patience, Sign};
use kubesim::controllers::node_lifecycle::taints::no_schedule_change;
use kubesim::controllers::node_lifecycle::zones::EvictionRates;
use kubesim::model::{Condition, Name, Node, Object, Truth, builder, condition};
use kubesim::store::Patch;
use kubesim::time::{SimDuration, SimTime};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn qps(milli: i64) -> Value {
    match milli {
        0 => json!(0),
        100 => json!(0.1),
        _ => json!(0.01),
    }
}

fn number_equal(a: &Value, b: &Value) -> bool {
    a.as_f64() == b.as_f64()
}

#[test]
fn node_zones() {
    agree("node_zones", |case| {
        let count = |field: &str| case[field].as_u64().unwrap() as usize;
        let mut ready = vec![Some(Truth::True); count("nodes")];
        ready[..count("not_ready")].fill(Some(Truth::False));
        if case["first_has_no_ready_condition"].as_bool().unwrap() && !ready.is_empty() {
            ready[0] = None;
        }
        let rates = EvictionRates::default();
        let (not_ready, state) = rates.judge(&ready);
        let out = &case["out"];
        if !number_equal(&qps(rates.rate(ready.len(), state)), &out["qps"]) {
            return Some(format!("rate {} in {state:?}, recorded {}", rates.rate(ready.len(), state), out["qps"]));
        }
        let ours = json!({"counted_not_ready": not_ready, "state": format!("{state:?}")});
        differs(&ours, &json!({"counted_not_ready": out["counted_not_ready"], "state": out["state"]}))
    });
}

/// Nodes, leases and pods as a recorded trace moves them.
struct World {
    now: SimTime,
    t0: SimTime,
    declared: BTreeMap<String, Value>,
    nodes: BTreeMap<Name, Arc<Node>>,
    leases: BTreeMap<Name, SimTime>,
    ready_pods: BTreeSet<Name>,
    events: Vec<String>,
    marked: Vec<String>,
    /// The node that has just renewed its lease after missing a renewal.
    returned: Option<Name>,
    /// As the last pass left them.
    zones: Value,
}

impl World {
    fn input(&mut self, event: &Value) {
        let name = Name::from(text(&event[1]));
        match text(&event[0]) {
            "node_added" => self.add(&name, at(&event[2])),
            "node_deleted" => {
                self.nodes.remove(&name);
                self.leases.remove(&name);
            }
            "lease" => {
                let before = self.leases.insert(name.clone(), at(&event[2]));
                let missed = before.is_some_and(|before| at(&event[2]) - before > SimDuration::from_secs(10));
                self.returned = missed.then_some(name);
            }
            "status" => {
                let came_back = self.returned.as_ref() == Some(&name);
                self.post(&name, text(&event[2]), event[3].as_bool().unwrap(), at(&event[4]), came_back);
            }
            "pod_ready" => {
                self.ready_pods.insert(name);
            }
            other => panic!("unknown input {other}"),
        }
    }

    fn add(&mut self, name: &Name, heartbeat: SimTime) {
        let declared = self.declared[name.as_str()].clone();
        let mut node = builder::node(name, 1000, 1, 10);
        node.meta.created = at(&declared["created"]);
        if !text(&declared["zone"]).is_empty() {
            node = node.label("topology.kubernetes.io/region", "r");
            node = node.label("topology.kubernetes.io/zone", text(&declared["zone"]));
        }
        if declared["excluded_label"].as_bool() == Some(true) {
            node = node.label("node.kubernetes.io/exclude-disruption", "");
        }
        if declared["never_posts"].as_bool() != Some(true) {
            let turned = self.t0 - SimDuration::from_secs(1000);
            node.conditions = conditions(Truth::True, false, turned);
            node.conditions.iter_mut().for_each(|condition| condition.last_update = heartbeat);
            self.ready_pods.insert(name.clone());
        }
        self.nodes.insert(name.clone(), Arc::new(node));
    }

    /// A kubelet posts its status: a transition time changes with the status, or when the kubelet comes back.
    fn post(&mut self, name: &Name, ready: &str, pressure: bool, heartbeat: SimTime, came_back: bool) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let node = Arc::make_mut(node);
        let truth = if ready == "True" { Truth::True } else { Truth::False };
        for mut new in conditions(truth, pressure, self.now) {
            let old = condition::find(&node.conditions, &new.kind);
            new.last_transition = match old {
                _ if matches!(new.kind.as_str(), "DiskPressure" | "PIDPressure") => {
                    self.t0 - SimDuration::from_secs(1000)
                }
                Some(old) if old.status == new.status && !came_back => old.last_transition,
                _ => self.now,
            };
            new.last_update = heartbeat;
            match node.conditions.iter_mut().find(|c| c.kind == new.kind) {
                Some(place) => *place = new,
                None => node.conditions.push(new),
            }
        }
    }

    fn apply(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Registered(node) => self.event("RegisteredNode", &node.meta.name, "Registered Node"),
                Action::Removed(name, _) => self.event("RemovingNode", &name, "Removing Node"),
                Action::Unknown(name, conditions) => self.patch(&name, &Patch::Conditions(conditions)),
                Action::Taint(name, (add, remove)) => self.patch(&name, &Patch::Taints { add, remove }),
                Action::NotReady(node) => {
                    let name = &node.meta.name;
                    self.events.push(format!("Normal NodeNotReady Node {name} status is now: NodeNotReady"));
                    if self.ready_pods.remove(name) {
                        self.events.push("Warning NodeNotReady Node is not ready".to_string());
                        self.marked.push(format!("pod-{name}"));
                    }
                }
            }
        }
    }

    fn event(&mut self, reason: &str, name: &Name, what: &str) {
        let way = if reason == "RemovingNode" { "from" } else { "in" };
        self.events.push(format!("Normal {reason} Node {name} event: {what} {name} {way} Controller"));
    }

    fn patch(&mut self, name: &Name, patch: &Patch) {
        let Some(node) = self.nodes.get(name) else { return };
        let mut object = Object::Node(node.clone());
        patch.apply(&mut object);
        if let Object::Node(node) = object {
            self.nodes.insert(name.clone(), node);
        }
    }

    fn rows(&self) -> BTreeMap<Name, Value> {
        let condition = |c: &Condition| {
            let turned = (c.last_transition - self.t0).0 / 1_000_000_000;
            format!("{}={}/{}@{turned}", c.kind, c.status.as_str(), c.reason)
        };
        self.nodes
            .iter()
            .map(|(name, node)| {
                let conditions: Vec<String> = node.conditions.iter().map(condition).collect();
                let mut taints: Vec<String> =
                    node.taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect.as_str())).collect();
                taints.sort();
                (name.clone(), json!({"node": name.as_str(), "taints": taints, "conditions": conditions}))
            })
            .collect()
    }
}

fn conditions(ready: Truth, memory_pressure: bool, turned: SimTime) -> Vec<Condition> {
    let x = Name::from("x");
    let ready_reason = if ready == Truth::True { "KubeletReady" } else { "KubeletNotReady" };
    vec![
        Condition::new("MemoryPressure".into(), Truth::from(memory_pressure), x.clone(), "", turned),
        Condition::new("DiskPressure".into(), Truth::False, x.clone(), "", turned),
        Condition::new("PIDPressure".into(), Truth::False, x, "", turned),
        Condition::new("Ready".into(), ready, ready_reason.into(), "", turned),
    ]
}

/// The zones after a pass as the recordings write them; rates as numbers.
fn zones(monitor: &Monitor) -> Value {
    let mut rows = Map::new();
    for (key, zone) in &monitor.zones {
        let Some(state) = zone.state.map(|state| format!("{state:?}")) else { continue };
        let mut queued: Vec<&str> = zone.queue.waiting().iter().map(Name::as_str).collect();
        queued.sort_unstable();
        rows.insert(key.to_string(), json!({"qps": qps(zone.queue.milli_qps), "queued": queued, "state": state}));
    }
    Value::Object(rows)
}

/// `null` for no list, and numbers by value: `0` and `0.0` are the same.
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), normal(value))).collect(),
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

#[test]
fn node_monitor() {
    agree("node_monitor", |case| {
        let t0 = at(&case["t0"]);
        let mut world = World {
            now: t0,
            t0,
            declared: list(&case["nodes"]).iter().map(|node| (text(&node["name"]).to_string(), node.clone())).collect(),
            nodes: BTreeMap::new(),
            leases: BTreeMap::new(),
            ready_pods: BTreeSet::new(),
            events: Vec::new(),
            marked: Vec::new(),
            returned: None,
            zones: Value::Null,
        };
        let mut monitor = Monitor::new(Patience::default());
        let (mut shown, mut recorded_zones) = (BTreeMap::new(), json!({}));
        for t in 0..case["duration"].as_i64().unwrap() {
            let row = step(&mut world, &mut monitor, case, t, &mut shown);
            let recorded = list(&case["out"]).iter().find(|out| out["t"].as_i64().unwrap_or(0) == t);
            let mut recorded = recorded.cloned().unwrap_or_else(|| json!({}));
            recorded.as_object_mut().unwrap().remove("t");
            if let Some(zones) = recorded.as_object_mut().unwrap().remove("zones") {
                recorded_zones = zones;
                // When a zone without nodes is forgotten depends on the order of a Go map.
                recorded_zones.as_object_mut().unwrap().retain(|_, zone| !text(&zone["state"]).is_empty());
            }
            if let Some(why) = differs(&normal(&world.zones), &normal(&recorded_zones)) {
                return Some(format!("zones at {t}: {why}"));
            }
            if let Some(why) = differs(&normal(&row), &normal(&recorded)) {
                return Some(format!("at {t}: {why}"));
            }
        }
        None
    });
}

fn step(world: &mut World, monitor: &mut Monitor, case: &Value, t: i64, shown: &mut BTreeMap<Name, Value>) -> Value {
    world.now = world.t0 + SimDuration::from_secs(t);
    let now = world.now;
    let inputs = list(&case["inputs"]).iter().filter(|input| input["t"].as_i64() == Some(t));
    let events: Vec<&Value> = inputs.flat_map(|input| list(&input["events"])).collect();
    world.returned = None;
    events.into_iter().for_each(|event| world.input(event));
    let mut row = json!({});
    if t % 5 == 0 {
        let nodes: Vec<Arc<Node>> = world.nodes.values().cloned().collect();
        let sign = |node: &Arc<Node>| match world.leases.get(&node.meta.name) {
            Some(at) => Sign::Renewed { at: *at, noticed: now },
            None => Sign::None,
        };
        let signs: Vec<Sign> = nodes.iter().map(sign).collect();
        let actions = monitor.pass(now, &nodes, &signs);
        world.apply(actions);
        world.zones = zones(monitor);
    }
    let names: Vec<Name> = world.nodes.keys().cloned().collect();
    for name in names {
        if let Some((add, remove)) = no_schedule_change(&world.nodes[&name], now) {
            world.patch(&name, &Patch::Taints { add, remove });
        }
    }
    let actions = monitor.taint_round(now, &|name| world.nodes.get(name).cloned());
    world.apply(actions);
    let rows = world.rows();
    let changed: Vec<Value> =
        rows.iter().filter(|(name, row)| shown.get(*name) != Some(row)).map(|(_, row)| row.clone()).collect();
    if !changed.is_empty() {
        row["nodes"] = json!(changed);
    }
    *shown = rows;
    world.events.sort();
    world.marked.sort();
    for (field, list) in [("events", &mut world.events), ("pods_marked_not_ready", &mut world.marked)] {
        if !list.is_empty() {
            row[field] = json!(std::mem::take(list));
        }
    }
    row
}
