//! Parts of Kubernetes objects that stand alone in configuration files, read strictly.

use super::{FieldError, affinity};
use crate::model::pod_spec::{Affinity, SpreadConstraint};
use crate::wire::typed::{self, FieldProblem};
use k8s_openapi::api::core::v1 as core;
use serde_json::Value;

/// Reads a `NodeAffinity`: the result has nothing but node terms.
///
/// # Errors
/// Unknown fields, values of a wrong type, and terms that Kubernetes refuses.
pub fn node_affinity(value: &Value) -> Result<Affinity, Vec<FieldProblem>> {
    let node: core::NodeAffinity = typed::read(value)?;
    let written = core::Affinity { node_affinity: Some(node), ..core::Affinity::default() };
    affinity::affinity(&written).map_err(|error| vec![placed(error, "nodeAffinity.")])
}

/// Reads a topology spread constraint.
///
/// # Errors
/// Unknown fields, values of a wrong type, and a selector that Kubernetes refuses.
pub fn spread_constraint(value: &Value) -> Result<SpreadConstraint, Vec<FieldProblem>> {
    let written: core::TopologySpreadConstraint = typed::read(value)?;
    affinity::spread(&written).map_err(|error| vec![placed(error, "")])
}

/// The error at the field that its sentence begins with, if it names one.
fn placed(error: FieldError, parent: &str) -> FieldProblem {
    let path = error.path.strip_prefix(parent).unwrap_or(&error.path).to_string();
    let unsupported = error.message.contains("supported values: ");
    let help = if unsupported { "write one of the supported values".to_string() } else { String::new() };
    match error.message.split_once(": ") {
        Some((field, rest))
            if !field.contains(' ') && field.contains('[') && !rest.contains(", nodeSelectorTerms[") =>
        {
            FieldProblem { path: format!("{path}.{field}"), at_key: false, message: rest.to_string(), help }
        }
        _ => FieldProblem { path, at_key: false, message: error.message, help },
    }
}
