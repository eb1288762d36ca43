//! Label selectors and node selectors.

use super::{Decoded, FieldError};
use crate::model::selector::{NodeSelectorTerm, Operator, Requirement};
use crate::model::selector_parse::{LabelQuery, QueryRequirement, Spelling, aggregate, checked};
use crate::model::{Name, NodeSelector, Selector};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// A label selector with the spelling that Kubernetes prints: `=` for `matchLabels`, operators for the rest
/// (`staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go`).
///
/// # Errors
/// The first requirement's errors, as Kubernetes prints them.
pub fn label_query(selector: &LabelSelector) -> Result<LabelQuery, String> {
    let mut requirements = Vec::new();
    for (key, value) in selector.match_labels.iter().flatten() {
        let requirement = checked("", key, Operator::In, std::slice::from_ref(value)).map_err(|all| aggregate(&all))?;
        requirements.push(QueryRequirement { requirement, spelling: Spelling::Equals });
    }
    for expression in selector.match_expressions.iter().flatten() {
        let operator = match operator(&expression.operator) {
            Some(operator) if !matches!(operator, Operator::Gt | Operator::Lt) => operator,
            _ => return Err(format!("{:?} is not a valid label selector operator", expression.operator)),
        };
        let values = expression.values.as_deref().unwrap_or_default();
        let requirement = checked("", &expression.key, operator, values).map_err(|all| aggregate(&all))?;
        requirements.push(QueryRequirement { requirement, spelling: Spelling::Plain });
    }
    Ok(LabelQuery::new(requirements))
}

/// A label selector; none stays none, which matches nothing.
///
/// # Errors
/// The first requirement's errors.
pub fn label_selector(selector: Option<&LabelSelector>) -> Result<Option<Selector>, FieldError> {
    let selector = selector.map(label_query).transpose().map_err(|error| FieldError::new("", error))?;
    Ok(selector.map(LabelQuery::into_selector))
}

/// A node selector (`.../component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go`).
///
/// # Errors
/// Every requirement's errors, as Kubernetes prints them.
pub fn node_selector(selector: &core::NodeSelector) -> Result<NodeSelector, String> {
    let mut terms = Vec::new();
    let mut errors = Vec::new();
    for (at, term) in selector.node_selector_terms.iter().enumerate() {
        terms.push(node_term(&format!("nodeSelectorTerms[{at}]"), term, &mut errors));
    }
    match errors.is_empty() {
        true => Ok(NodeSelector { terms }),
        false => Err(aggregate(&errors)),
    }
}

/// A single term as a selector of its own, for preferences.
pub(super) fn preference(term: &core::NodeSelectorTerm) -> Decoded<NodeSelector> {
    let mut errors = Vec::new();
    let term = node_term("preference", term, &mut errors);
    match errors.is_empty() {
        true => Ok(NodeSelector { terms: vec![term] }),
        false => Err(FieldError::new("", aggregate(&errors))),
    }
}

fn node_term(path: &str, term: &core::NodeSelectorTerm, errors: &mut Vec<String>) -> NodeSelectorTerm {
    let mut read = NodeSelectorTerm::default();
    for (at, expression) in term.match_expressions.iter().flatten().enumerate() {
        let path = format!("{path}.matchExpressions[{at}]");
        match operator(&expression.operator) {
            None => errors.push(unsupported(
                &path,
                &expression.operator,
                "\"DoesNotExist\", \"Exists\", \"Gt\", \"In\", \"Lt\", \"NotIn\"",
            )),
            Some(operator) => {
                match checked(&path, &expression.key, operator, expression.values.as_deref().unwrap_or_default()) {
                    Ok(requirement) => read.expressions.push(requirement),
                    Err(all) => errors.extend(all),
                }
            }
        }
    }
    for (at, field) in term.match_fields.iter().flatten().enumerate() {
        let path = format!("{path}.matchFields[{at}]");
        match (operator(&field.operator), field.values.as_deref().unwrap_or_default()) {
            (Some(operator @ (Operator::In | Operator::NotIn)), [value]) => read.fields.push(Requirement {
                key: Name::from(field.key.as_str()),
                operator,
                values: vec![Name::from(value.as_str())],
            }),
            (Some(Operator::In | Operator::NotIn), _) => {
                errors.push(format!("{path}.values: Required value: must have one element"));
            }
            _ => errors.push(unsupported(&path, &field.operator, "\"In\", \"NotIn\"")),
        }
    }
    read
}

fn unsupported(path: &str, operator: &str, known: &str) -> String {
    format!("{path}.operator: Unsupported value: {operator:?}: supported values: {known}")
}

fn operator(text: &str) -> Option<Operator> {
    Some(match text {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::Gt,
        "Lt" => Operator::Lt,
        _ => return None,
    })
}
