//! Which zones should use which endpoints.

use super::{agree, differs, list, text};
use kubesim::controllers::endpoint_slice::hints::{Hinted, Slice, Slices, add, overloaded, zone_shares};
use kubesim::model::{Condition, Name, Node, Truth, builder};
use kubesim::time::SimTime;
use serde_json::{Value, json};

#[test]
fn hints() {
    agree("hints", |case| {
        let nodes: Vec<Node> = list(&case["nodes"]).iter().map(node).collect();
        let shares = zone_shares(nodes.iter());
        let of = |kind: &str| -> Vec<Slice<&str>> {
            list(&case["slices"]).iter().filter(|slice| slice["list"] == kind).map(slice).collect()
        };
        let mut slices = Slices { create: of("create"), update: of("update"), unchanged: of("unchanged") };
        let given = add(&mut slices, shares.as_ref());
        let text = match &given {
            Ok(_) => "Normal TopologyAwareHintsEnabled Topology Aware Hints has been enabled".to_string(),
            Err(why) => format!("Warning TopologyAwareHintsDisabled {why}"),
        };
        let event = format!("{text}, addressType: IPv4");
        let too_few = given.as_ref().is_ok_and(|hints| overloaded(hints, shares.as_ref()));
        let ours = json!({"create": written(&slices.create), "update": written(&slices.update), "events": [event],
            "populated": given.is_ok(), "overloaded": if too_few { vec!["ns/svc"] } else { vec![] }});
        differs(&ours, &case["out"])
    });
}

fn node(row: &Value) -> Node {
    let mut node = builder::node(text(&row[0]), row[2].as_i64().unwrap(), 1 << 30, 110);
    let mut labels = node.meta.labels.clone();
    if !text(&row[1]).is_empty() {
        labels = labels.with("topology.kubernetes.io/zone", text(&row[1]));
    }
    if row[4] == true {
        labels = labels.with("node-role.kubernetes.io/control-plane", "");
    }
    node.meta.labels = labels;
    let ready = match text(&row[3]) {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    };
    node.conditions = vec![Condition::new("Ready".into(), ready, Name::new(), "", SimTime::ZERO)];
    node
}

fn slice(value: &Value) -> Slice<&str> {
    let endpoint = |row: &Value| Hinted {
        zone: Name::from(text(&row[0])),
        ready: row[1] == true,
        hint: Name::from(text(&row[2])),
    };
    (text(&value["name"]), list(&value["endpoints"]).iter().map(endpoint).collect())
}

fn written(slices: &[Slice<&str>]) -> Vec<Value> {
    // Go writes a list that was never begun as null.
    let hints = |endpoints: &[Hinted]| match endpoints {
        [] => Value::Null,
        some => some.iter().map(|endpoint| json!(&*endpoint.hint)).collect(),
    };
    slices.iter().map(|(name, endpoints)| json!({"name": name, "hints": hints(endpoints)})).collect()
}
