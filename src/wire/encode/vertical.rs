//! The status of a vertical pod autoscaler.

use super::meta::time;
use super::value;
use crate::model::Condition;
use crate::model::quantity::Quantity;
use crate::model::vertical::{Amounts, Recommended, VerticalPodAutoscaler};
use serde_json::{Map, Value, json};

/// The whole status.
pub fn vertical_status(from: &VerticalPodAutoscaler) -> Value {
    let mut status = json!({"conditions": from.conditions.iter().map(condition).collect::<Vec<_>>(),
        "observedGeneration": from.meta.generation});
    if let Some(recommendation) = &from.recommendation {
        let containers: Vec<Value> = recommendation.iter().map(recommended).collect();
        status["recommendation"] = json!({"containerRecommendations": containers});
    }
    status
}

fn condition(from: &Condition) -> Value {
    let mut fields = json!({"type": from.kind.as_str(), "status": from.status.as_str(),
        "lastTransitionTime": value(&time(from.last_transition))});
    for (field, text) in [("reason", &from.reason), ("message", &from.message)] {
        if !text.is_empty() {
            fields[field] = json!(text.as_str());
        }
    }
    fields
}

fn recommended(from: &Recommended) -> Value {
    json!({"containerName": from.container.as_str(), "target": amounts(&from.target),
        "lowerBound": amounts(&from.lower), "upperBound": amounts(&from.upper),
        "uncappedTarget": amounts(&from.uncapped)})
}

/// `cpu` and `memory` as quantities.
pub fn amounts(from: &Amounts) -> Value {
    let cpu = from[0].map(|milli| ("cpu".to_string(), json!(Quantity::from_milli(milli).to_string())));
    let memory = from[1].map(|bytes| ("memory".to_string(), json!(Quantity::bytes(bytes).to_string())));
    Value::Object([cpu, memory].into_iter().flatten().collect::<Map<String, Value>>())
}
