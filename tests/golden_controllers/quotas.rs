//! What pods use of quotas, and whether quotas let them in.

use super::{agree, at, differs, list, text};
use kubesim::model::quantity::parse_quantity;
use kubesim::model::quota::{Amounts, QuotaStatus, ResourceQuota, ScopeOperator, ScopeRequirement};
use kubesim::model::{Deletion, Key, Kind, Meta, Name, Object, Phase, Pod, PodStatus};
use kubesim::store::StoreError;
use kubesim::store::quota::{admission, pods, scopes};
use kubesim::time::{EPOCH_UNIX_SECONDS, SimDuration, SimTime};
use kubesim::wire::decode;
use serde_json::{Value, json};
use std::sync::Arc;

fn pod(spec: &Value) -> Pod {
    let spec = decode::stored_pod_spec(spec).unwrap_or_else(|errors| panic!("{spec}: {errors:?}"));
    Pod { meta: Meta::named("ns", "p"), spec: Arc::new(spec), node: None, status: PodStatus::default() }
}

fn printed(amounts: &Amounts) -> Value {
    amounts.iter().map(|(name, amount)| (name.to_string(), json!(amount.to_string()))).collect()
}

fn scope(name: &str, operator: ScopeOperator, values: &[Value]) -> ScopeRequirement {
    ScopeRequirement { scope: name.into(), operator, values: values.iter().map(|value| text(value).into()).collect() }
}

/// The instant of an RFC 3339 text.
fn instant(written: &Value) -> SimTime {
    let unix = unix_seconds(text(written));
    SimTime::ZERO + SimDuration::from_secs(unix - EPOCH_UNIX_SECONDS)
}

/// `2026-01-01T11:59:30Z`: all recordings are of these two days.
fn unix_seconds(written: &str) -> i64 {
    let number = |from: usize, to: usize| written[from..to].parse::<i64>().expect("a number");
    assert_eq!(&written[..8], "2026-01-", "recordings are of the first days of 2026");
    1_767_225_600 + (number(8, 10) - 1) * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19)
}

#[test]
fn quota_usage() {
    agree("quota_usage", |case| {
        let mut pod = pod(&case["pod"]["spec"]);
        let meta = &case["pod"]["metadata"];
        if !meta["deletionTimestamp"].is_null() {
            let grace_seconds = meta["deletionGracePeriodSeconds"].as_i64().unwrap();
            pod.meta.deletion = Some(Deletion { at: instant(&meta["deletionTimestamp"]), grace_seconds });
        }
        pod.status.phase = match text(&case["pod"]["status"]["phase"]) {
            "Succeeded" => Phase::Succeeded,
            "Failed" => Phase::Failed,
            "Running" => Phase::Running,
            _ => Phase::Pending,
        };
        let asked = [
            scope("Terminating", ScopeOperator::Exists, &[]),
            scope("NotTerminating", ScopeOperator::Exists, &[]),
            scope("BestEffort", ScopeOperator::Exists, &[]),
            scope("NotBestEffort", ScopeOperator::Exists, &[]),
            scope("CrossNamespacePodAffinity", ScopeOperator::Exists, &[]),
            scope("PriorityClass", ScopeOperator::In, &[json!("high"), json!("low")]),
        ];
        let matching = asked.iter().filter(|scope| scopes::matches_pod(scope, &pod.spec));
        let matching: Vec<&str> = matching.map(|scope| scope.scope.as_str()).collect();
        let usage = printed(&pods::pod_usage(&pod, at(&case["now"])));
        differs(&json!({"matching_scopes": matching, "usage": usage}), &case["out"])
    });
}

#[test]
fn quota_admit() {
    agree("quota_admit", |case| {
        let quotas: Vec<Arc<ResourceQuota>> = list(&case["quotas"]).iter().map(|quota| Arc::new(read(quota))).collect();
        let new = Object::from(pod(&case["pod_spec"]));
        let ours = match admission::check(&quotas, &new, None, SimTime::ZERO) {
            Err(why) => {
                let key = Key::new(Kind::Pod, "ns", "p");
                json!({"err": StoreError::Forbidden(key, why).to_string()})
            }
            Ok(changed) => {
                let used = quotas.iter().enumerate().map(|(at, quota)| {
                    let after = changed.iter().find(|(index, _)| *index == at).map_or(&**quota, |(_, after)| after);
                    printed(after.status.used.as_ref().expect("a quota with a status"))
                });
                json!({"used": used.collect::<Vec<_>>()})
            }
        };
        differs(&ours, &case["out"])
    });
}

fn read(quota: &Value) -> ResourceQuota {
    let amounts = |value: &Value| -> Amounts {
        let entries = value.as_object().into_iter().flatten();
        entries.map(|(name, amount)| (Name::from(name.as_str()), parse_quantity(text(amount)).unwrap())).collect()
    };
    let mut scopes: Vec<ScopeRequirement> =
        list(&quota["scopes"]).iter().map(|name| scope(text(name), ScopeOperator::Exists, &[])).collect();
    let plain_scopes = scopes.len();
    for expression in list(&quota["scopeSelector"]["matchExpressions"]) {
        let operator = ScopeOperator::ALL.into_iter().find(|one| one.as_str() == text(&expression["operator"]));
        scopes.push(scope(text(&expression["scopeName"]), operator.unwrap(), list(&expression["values"])));
    }
    let hard = amounts(&quota["hard"]);
    ResourceQuota {
        meta: Meta::named("ns", text(&quota["name"])),
        hard: hard.clone(),
        scopes,
        plain_scopes,
        status: QuotaStatus { hard: Some(hard), used: Some(amounts(&quota["used"])) },
    }
}
