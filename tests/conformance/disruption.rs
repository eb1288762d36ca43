//! Disruption budgets and the eviction subresource.

use super::small_world::{World, answer};
use kubesim::model::{Kind, Pod, PodDisruptionBudget, condition};
use kubesim::store::{StoreError, Write};
use serde_json::{Value, json};

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

fn budget(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec})
}

/// Three ready pods under a budget.
fn world(spec: Value) -> World {
    let mut world = World::new();
    for name in ["web-1", "web-2", "web-3"] {
        world.web_pod(name, true);
    }
    world.create(budget("web", spec)).unwrap();
    world.wait(1);
    world
}

#[test]
fn should_create_a_budget_and_report_its_status() {
    // Three pods are ready. (budget, expected, desired, healthy, allowed)
    let table = [
        (json!({"minAvailable": 2}), 3, 2, 3, 1),
        (json!({"minAvailable": 3}), 3, 3, 3, 0),
        (json!({"minAvailable": 5}), 3, 5, 3, 0),
        (json!({"minAvailable": 0}), 3, 0, 3, 3),
    ];
    for (spec, expected, desired, healthy, allowed) in table {
        let world = world(spec.clone());
        let status = &world.get::<PodDisruptionBudget>("web").status;
        let have = (status.expected_pods, status.desired_healthy, status.current_healthy, status.disruptions_allowed);
        assert_eq!(have, (expected, desired, healthy, allowed), "{spec}");
        assert_eq!(condition::is_true(&status.conditions, "DisruptionAllowed"), allowed > 0, "{spec}");
    }
}

#[test]
fn should_evict_as_many_as_the_budget_allows_and_no_more() {
    let mut world = world(json!({"minAvailable": 2}));
    assert_eq!(answer(world.evict("web-1", false)), "ok");
    let pod = world.get::<Pod>("web-1");
    let target = condition::find(&pod.status.conditions, "DisruptionTarget").unwrap();
    assert_eq!((target.reason.as_str(), target.message.as_str()), ("EvictionByEvictionAPI", "Eviction API: evicting"));
    assert!(pod.meta.deleting());
    let Err(StoreError::Refused(_, refusal)) = world.evict("web-2", false) else { panic!("it must be refused") };
    assert_eq!((refusal.code, refusal.message.as_str(), refusal.retry_after_seconds), (429, REFUSED, Some(0)));
    world.wait(1);
    let Err(StoreError::Refused(_, refusal)) = world.evict("web-2", false) else { panic!("it must be refused") };
    assert_eq!(refusal.cause, "The disruption budget web needs 2 healthy pods and has 2 currently");
    world.delete_now(Kind::Pod, "web-1");
    world.web_pod("web-4", true);
    assert_eq!(answer(world.evict("web-2", false)), "ok", "a replacement is ready");
}

#[test]
fn should_not_evict_before_a_changed_budget_is_processed() {
    let mut world = world(json!({"minAvailable": 2}));
    let mut budget = PodDisruptionBudget::clone(&world.get("web"));
    budget.min_available = Some(kubesim::model::workload::IntOrPercent::Int(1));
    world.write(Write::Update(budget.into())).unwrap();
    let Err(StoreError::Refused(_, refusal)) = world.evict("web-1", false) else { panic!("it must be refused") };
    assert_eq!(refusal.cause, "The disruption budget web is still being processed by the server.");
    assert_eq!(refusal.retry_after_seconds, Some(10));
    world.wait(1);
    assert_eq!(answer(world.evict("web-1", false)), "ok");
    assert_eq!(answer(world.evict("web-2", false)), "ok");
}

#[test]
fn should_refuse_what_several_budgets_cover_and_let_go_what_none_covers() {
    let mut world = world(json!({"minAvailable": 0}));
    world.create(budget("other", json!({"minAvailable": 0}))).unwrap();
    world.wait(1);
    let Err(StoreError::Refused(_, refusal)) = world.evict("web-1", false) else { panic!("it must be refused") };
    let several = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    assert_eq!((refusal.code, refusal.message.as_str()), (500, several));
    world.delete_now(Kind::PodDisruptionBudget, "other");
    world.delete_now(Kind::PodDisruptionBudget, "web");
    assert_eq!(answer(world.evict("web-1", false)), "ok");
}

#[test]
fn should_treat_unhealthy_pods_as_the_budget_says() {
    // Two of three pods are ready. (least, policy, what the unready pod's eviction gets)
    let table = [
        (2, "IfHealthyBudget", "ok"),
        (3, "IfHealthyBudget", REFUSED),
        (3, "AlwaysAllow", "ok"),
        (2, "AlwaysAllow", "ok"),
    ];
    for (least, policy, expected) in table {
        let mut world = World::new();
        world.web_pod("web-1", true);
        world.web_pod("web-2", true);
        world.web_pod("web-3", false);
        world.create(budget("web", json!({"minAvailable": least, "unhealthyPodEvictionPolicy": policy}))).unwrap();
        world.wait(1);
        assert_eq!(answer(world.evict("web-3", false)), expected, "{least} {policy}");
    }
}

#[test]
fn should_change_nothing_in_a_dry_run() {
    let mut world = world(json!({"minAvailable": 2}));
    let before = world.runtime.store.revision();
    assert_eq!(answer(world.evict("web-1", true)), "ok");
    assert_eq!(world.runtime.store.revision(), before);
}
