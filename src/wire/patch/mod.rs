//! Changes of objects in their JSON form: what an HTTP `PATCH` carries, applied as the API server applies it
//! (`staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go`).
//!
//! A worked example: a [`Document`] of form `Strategic` with the body `{"spec": {"replicas": 3}}` on a Deployment. The
//! live object is written as JSON, the body is merged into it, the result is read back with defaults and validated.

pub mod json;
pub mod merge;
pub mod shape;
pub mod strategic;
pub mod three_way;

use crate::model::{Kind, Name};
use serde_json::Value;
use shape::Place;

/// The form of a patch: its media type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
    /// `application/apply-patch+yaml`: what a manager states of an object, see [`crate::wire::managed`].
    Apply {
        /// Take over fields that others own.
        force: bool,
    },
    /// A whole object in place of the one that is there, as a `PUT` carries it.
    Replace,
}

/// Which part of an object a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Subresource {
    /// The object itself: everything but its status.
    #[default]
    None,
    /// `/status`: only its status.
    Status,
    /// `/scale`: `spec.replicas`, as an object of kind `Scale`.
    Scale,
    /// `/resize`: the resources of a pod's containers.
    Resize,
}

/// A change in JSON.
#[derive(Clone, PartialEq, Debug)]
pub struct Document {
    /// How the body is meant.
    pub form: Form,
    /// The body.
    pub body: Value,
    /// What it is for.
    pub subresource: Subresource,
    /// `fieldManager`.
    pub manager: Name,
}

impl Document {
    /// A change of the object itself.
    pub fn new(form: Form, body: Value, manager: impl Into<Name>) -> Self {
        Document { form, body, subresource: Subresource::None, manager: manager.into() }
    }
}

/// Why a request is refused before it comes to validation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// The API server's sentence.
    pub message: String,
}

impl Refusal {
    /// 400.
    pub fn bad_request(message: &str) -> Self {
        Refusal { code: 400, message: message.to_string() }
    }

    /// 422: the API server keeps the cause to its log; people who learn from a simulation should see it.
    pub fn unprocessable(cause: &str) -> Self {
        Refusal {
            code: 422,
            message: format!("the server rejected our request due to an error in our request: {cause}"),
        }
    }

    /// 500.
    pub fn internal(message: &str) -> Self {
        Refusal { code: 500, message: message.to_string() }
    }
}

/// The answer to a strategic merge patch of a custom object: nobody knows its merge keys.
const NO_STRATEGIC: &str = "the body of the request was in an unknown format - accepted media types include: \
                            application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";

/// The JSON of an object after `document` was applied to it.
///
/// # Errors
/// What the API server answers to a patch that cannot be applied.
pub fn apply(kind: Kind, live: &Value, document: &Document) -> Result<Value, Refusal> {
    match document.form {
        Form::Json => json::apply(live, &document.body),
        Form::Merge => Ok(merge::apply(live, &document.body)),
        Form::Strategic if matches!(kind, Kind::Custom(_)) => {
            Err(Refusal { code: 415, message: NO_STRATEGIC.to_string() })
        }
        Form::Strategic => strategic::apply(live, &document.body, Place::Top(kind)),
        Form::Replace | Form::Apply { .. } => Ok(document.body.clone()),
    }
}
