//! Small questions about pods and selectors: classes of service, label and field selectors, tolerations.

use super::{agree, differs, list, text};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kubesim::controllers::taint_eviction;
use kubesim::kubelet::oom;
use kubesim::model::field_selector::FieldSelector;
use kubesim::model::selector_parse::LabelQuery;
use kubesim::model::{Labels, Meta, Node, Taint, TaintEffect, access, builder};
use kubesim::wire::decode;
use serde_json::{Map, Value, json};

fn labels(value: &Value) -> Labels {
    value.as_object().unwrap().iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect()
}

#[test]
fn qos() {
    agree("qos", |case| {
        let pod = builder::pod("p", decode::stored_pod_spec(&case["pod_spec"]).unwrap());
        let capacity = case["memory_capacity"].as_i64().unwrap();
        let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
        let scores: Map<String, Value> =
            containers.map(|one| (one.name.to_string(), json!(oom::score_adj(&pod, one, capacity)))).collect();
        differs(&json!({"qos": pod.spec.qos().as_str(), "oom_score_adj": scores}), &case["out"])
    });
}

/// The answer of a query to the labels that the case asks about.
fn asked(case: &Value, query: Result<LabelQuery, String>) -> Value {
    let query = match query {
        Err(error) => return json!({"err": error}),
        Ok(query) => query,
    };
    let canonical = query.to_string();
    let selector = query.into_selector();
    let rows = list(&case["out"]["matches"]).iter();
    let matches: Vec<Value> = rows.map(|row| json!([row[0], selector.matches(&labels(&row[0]))])).collect();
    json!({"canonical": canonical, "matches": matches})
}

/// What kubectl prints in place of an empty selector (`metav1.FormatLabelSelector`).
const NONE: &str = "<none>";

fn of_object(case: &Value) -> Value {
    if case["selector"].is_null() {
        // No selector at all matches nothing.
        let matches: Vec<Value> = list(&case["out"]["matches"]).iter().map(|row| json!([row[0], false])).collect();
        return json!({"canonical": "", "format": NONE, "matches": matches});
    }
    let typed: LabelSelector = serde_json::from_value(case["selector"].clone()).unwrap();
    let mut ours = asked(case, decode::label_query(&typed));
    if let Some(canonical) = ours["canonical"].as_str() {
        ours["format"] = json!(if canonical.is_empty() { NONE } else { canonical });
    }
    ours
}

fn of_fields(case: &Value) -> Value {
    match FieldSelector::parse(text(&case["selector"])) {
        Err(error) => json!({"err": error}),
        Ok(selector) => {
            let rows = list(&case["out"]["matches"]).iter();
            let matches: Vec<Value> =
                rows.map(|row| json!([row[0], selector.matches(|field| row[0][field].as_str())])).collect();
            json!({"canonical": selector.to_string(), "matches": matches})
        }
    }
}

fn of_nodes(case: &Value) -> Value {
    let typed: core::NodeSelector = serde_json::from_value(case["selector"].clone()).unwrap();
    match decode::node_selector(&typed) {
        Err(error) => json!({"err": error}),
        Ok(selector) => {
            let matches = list(&case["out"]["matches"]).iter().map(|row| {
                let mut node: Node = builder::node(text(&row[0]), 0, 0, 0);
                node.meta = Meta { labels: labels(&row[1]), ..node.meta };
                json!([row[0], row[1], selector.matches(&node)])
            });
            json!({"matches": matches.collect::<Vec<_>>()})
        }
    }
}

#[test]
fn selectors() {
    agree("selectors", |case| {
        let ours = match text(&case["kind"]) {
            "parse" => asked(case, LabelQuery::parse(text(&case["selector"]))),
            "label_selector" => of_object(case),
            "field" => of_fields(case),
            "node_selector" => of_nodes(case),
            other => return Some(format!("unknown kind {other}")),
        };
        differs(&ours, &case["out"])
    });
}

#[test]
fn tolerations() {
    agree("tolerations", |case| {
        // The comparison operators are behind a gate that is off: such a toleration tolerates nothing. What they would do
        // with the gate on (`tolerates_with_comparison_gate`) is the one recorded answer that is not asked for.
        let tolerations: Vec<_> = list(&case["tolerations"]).iter().map(|one| decode::toleration(one).ok()).collect();
        let taints: Vec<Taint> = list(&case["taints"]).iter().map(taint).collect();
        let row = |toleration: &Option<kubesim::model::Toleration>| -> Vec<bool> {
            taints.iter().map(|taint| toleration.as_ref().is_some_and(|one| one.tolerates(taint))).collect()
        };
        let tolerates: Vec<Vec<bool>> = tolerations.iter().map(row).collect();
        let tolerations: Vec<_> = tolerations.into_iter().flatten().collect();
        let hard = [TaintEffect::NoSchedule, TaintEffect::NoExecute];
        let first = access::untolerated(&taints, &tolerations, &hard);
        let no_execute: Vec<&Taint> = taints.iter().filter(|one| one.effect == TaintEffect::NoExecute).collect();
        let used = taint_eviction::used(&tolerations, &no_execute);
        let seconds = used.as_ref().map(|used| used.iter().map(|one| one.seconds).collect::<Vec<_>>());
        let out = &case["out"];
        let ours = json!([tolerates, first.map(shown), used.is_some(), seconds.unwrap_or_default()]);
        let recorded = json!([
            out["tolerates"],
            out.get("first_untolerated_hard").map(|one| shown(&taint(one))),
            out["no_execute_all_tolerated"],
            list(&out["no_execute_used_seconds"])
        ]);
        differs(&ours, &recorded)
    });
}

fn shown(taint: &Taint) -> Value {
    json!([taint.key.as_str(), taint.value.as_str(), taint.effect.as_str()])
}

fn taint(value: &Value) -> Taint {
    let name = |field: &str| text(&value[field]).into();
    let effect = TaintEffect::parse(text(&value["effect"])).unwrap();
    Taint { key: name("key"), value: name("value"), effect, added: None }
}
