//! Vertical pod autoscalers: objects of a custom kind, whose schema has seen to it that they are well formed.

use super::meta::condition;
use crate::model::quantity::{Quantity, parse_quantity};
use crate::model::vertical::{
    Amounts, ContainerPolicy, EvictionRequirement, RESOURCES, Recommended, UpdateMode, VerticalPodAutoscaler,
};
use crate::model::{Condition, CustomResource, Name};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

/// One of these objects.
pub fn vertical(object: &CustomResource) -> VerticalPodAutoscaler {
    let (spec, status) = (&object.body["spec"], &object.status);
    let update = &spec["updatePolicy"];
    let recommendation = &status["recommendation"];
    VerticalPodAutoscaler {
        meta: object.meta.clone(),
        bounds: Default::default(),
        target: ["apiVersion", "kind", "name"].map(|field| text(&spec["targetRef"][field])),
        mode: match update["updateMode"].as_str() {
            Some("Off") => UpdateMode::Off,
            Some("Initial") => UpdateMode::Initial,
            Some("InPlaceOrRecreate") => UpdateMode::InPlaceOrRecreate,
            Some("InPlace") => UpdateMode::InPlace,
            _ => UpdateMode::Recreate,
        },
        min_replicas: update["minReplicas"].as_i64().and_then(|count| i32::try_from(count).ok()),
        requirements: list(&update["evictionRequirements"]).iter().map(requirement).collect(),
        policies: list(&spec["resourcePolicy"]["containerPolicies"]).iter().map(policy).collect(),
        recommendation: recommendation
            .is_object()
            .then(|| list(&recommendation["containerRecommendations"]).iter().map(recommended).collect()),
        conditions: list(&status["conditions"]).iter().map(one_condition).collect(),
    }
}

fn text(value: &Value) -> Name {
    Name::from(value.as_str().unwrap_or_default())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn which(names: &Value) -> [bool; 2] {
    RESOURCES.map(|resource| list(names).iter().any(|name| name == resource))
}

fn requirement(from: &Value) -> EvictionRequirement {
    let higher = from["changeRequirement"] == "TargetHigherThanRequests";
    EvictionRequirement { resources: which(&from["resources"]), higher }
}

fn policy(from: &Value) -> ContainerPolicy {
    let controlled = &from["controlledResources"];
    ContainerPolicy {
        container: text(&from["containerName"]),
        off: from["mode"] == "Off",
        min: amounts(&from["minAllowed"]),
        max: amounts(&from["maxAllowed"]),
        controlled: controlled.is_array().then(|| which(controlled)),
        requests_only: from["controlledValues"] == "RequestsOnly",
    }
}

fn recommended(from: &Value) -> Recommended {
    Recommended {
        container: text(&from["containerName"]),
        target: amounts(&from["target"]),
        lower: amounts(&from["lowerBound"]),
        upper: amounts(&from["upperBound"]),
        uncapped: amounts(&from["uncappedTarget"]),
    }
}

fn amounts(from: &Value) -> Amounts {
    let read = |name: &str| -> Option<Quantity> {
        match &from[name] {
            Value::String(text) => parse_quantity(text).ok(),
            Value::Number(number) => parse_quantity(&number.to_string()).ok(),
            _ => None,
        }
    };
    [read("cpu").map(Quantity::milli), read("memory").map(Quantity::whole)]
}

fn one_condition(from: &Value) -> Condition {
    let word = |field: &str| from[field].as_str().map(ToString::to_string);
    let changed: Option<Time> = serde_json::from_value(from["lastTransitionTime"].clone()).ok();
    let (kind, status) = (word("type").unwrap_or_default(), word("status").unwrap_or_default());
    condition((&kind, &status), &word("reason"), &word("message"), &changed, &None)
}
