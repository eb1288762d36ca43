//! Against what the real code answered: classes of service, selectors, tolerations.

use crate::support::{golden_dir, read_jsonl_gz};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kubesim::model::field_selector::FieldSelector;
use kubesim::model::selector_parse::LabelQuery;
use kubesim::model::{Labels, Meta, Node, Taint, TaintEffect, access};
use kubesim::wire::decode;
use serde_json::Value;

fn rows(file: &str) -> Vec<Value> {
    read_jsonl_gz(&golden_dir().join("controllers").join(file))
}

fn labels(value: &Value) -> Labels {
    value.as_object().unwrap().iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect()
}

#[test]
fn quality_of_service() {
    for row in rows("qos.jsonl.gz") {
        let spec = decode::stored_pod_spec(&row["pod_spec"]).unwrap();
        assert_eq!(spec.qos().as_str(), row["out"]["qos"], "{row}");
    }
}

/// What a row expects, against the canonical text or the error, and the answers.
fn check_query(row: &Value, query: Result<LabelQuery, String>) {
    let out = &row["out"];
    match query {
        Err(error) => assert_eq!(out["err"], error, "{row}"),
        Ok(query) => {
            assert_eq!(out["canonical"], query.to_string(), "{row}");
            let selector = query.into_selector();
            for case in out["matches"].as_array().unwrap() {
                assert_eq!(selector.matches(&labels(&case[0])), case[1], "{case} in {row}");
            }
        }
    }
}

#[test]
fn selectors() {
    for row in rows("selectors.jsonl.gz") {
        let selector = &row["selector"];
        match row["kind"].as_str().unwrap() {
            "parse" => check_query(&row, LabelQuery::parse(selector.as_str().unwrap())),
            "label_selector" if selector.is_null() => {
                // No selector at all matches nothing.
                assert!(row["out"]["matches"].as_array().unwrap().iter().all(|case| case[1] == false), "{row}");
            }
            "label_selector" => {
                let typed: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
                check_query(&row, decode::label_query(&typed));
            }
            "field" => check_fields(&row, selector.as_str().unwrap()),
            "node_selector" => check_node_selector(&row),
            other => panic!("unknown kind {other}"),
        }
    }
}

fn check_fields(row: &Value, text: &str) {
    match FieldSelector::parse(text) {
        Err(error) => assert_eq!(row["out"]["err"], error, "{row}"),
        Ok(selector) => {
            assert_eq!(row["out"]["canonical"], selector.to_string(), "{row}");
            for case in row["out"]["matches"].as_array().unwrap() {
                assert_eq!(selector.matches(|field| case[0][field].as_str()), case[1], "{case} in {row}");
            }
        }
    }
}

fn check_node_selector(row: &Value) {
    let typed: core::NodeSelector = serde_json::from_value(row["selector"].clone()).unwrap();
    match decode::node_selector(&typed) {
        Err(error) => assert_eq!(row["out"]["err"], error, "{row}"),
        Ok(selector) => {
            for case in row["out"]["matches"].as_array().unwrap() {
                let mut node: Node = kubesim::model::builder::node(case[0].as_str().unwrap(), 0, 0, 0);
                node.meta = Meta { labels: labels(&case[1]), ..node.meta };
                assert_eq!(selector.matches(&node), case[2], "{case} in {row}");
            }
        }
    }
}

#[test]
fn tolerations() {
    for row in rows("tolerations.jsonl.gz") {
        let list = |field: &str| row[field].as_array().cloned().unwrap_or_default();
        // The comparison operators are behind a gate that is off: such a toleration tolerates nothing.
        let tolerations: Vec<_> = list("tolerations").iter().map(|t| decode::toleration(t).ok()).collect();
        let taints: Vec<Taint> = list("taints").iter().map(taint).collect();
        let out = &row["out"];
        for (i, toleration) in tolerations.iter().enumerate() {
            for (j, taint) in taints.iter().enumerate() {
                let tolerates = toleration.as_ref().is_some_and(|toleration| toleration.tolerates(taint));
                assert_eq!(tolerates, out["tolerates"][i][j], "toleration {i}, taint {j} in {row}");
            }
        }
        let tolerations: Vec<_> = tolerations.into_iter().flatten().collect();
        let hard = [TaintEffect::NoSchedule, TaintEffect::NoExecute];
        let found = access::untolerated(&taints, &tolerations, &hard);
        let expected = out.get("first_untolerated_hard").map(taint);
        assert_eq!(found, expected.as_ref(), "{row}");
        let all = access::untolerated(&taints, &tolerations, &[TaintEffect::NoExecute]).is_none();
        assert_eq!(all, out["no_execute_all_tolerated"], "{row}");
    }
}

fn taint(value: &Value) -> Taint {
    let text = |field: &str| value[field].as_str().unwrap_or_default().into();
    let effect = TaintEffect::parse(value["effect"].as_str().unwrap()).unwrap();
    Taint { key: text("key"), value: text("value"), effect, added: None }
}
