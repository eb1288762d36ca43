//! What the API server answers when it refuses
//! (`staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go`): the reason and Kubernetes' own text.

use crate::model::{Key, Kind};
use std::fmt;

/// A refused write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreError {
    /// 404.
    NotFound(Key),
    /// 409: the name is taken.
    AlreadyExists(Key),
    /// 409: written from an old version, or a precondition failed; the detail.
    Conflict(Key, String),
    /// 403 with the reason.
    Forbidden(Key, String),
    /// 403: the namespace is being deleted. Controllers do not count it as a failure.
    NamespaceTerminating(Key),
    /// 422 with the field errors.
    Invalid(Key, Vec<String>),
    /// Refused before validation, with HTTP status and the API server's sentence.
    Request(Key, u16, String),
    /// A named limit of the simulation; ends the run.
    Limit(String),
}

/// The conflict of an update written from an old version.
pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl StoreError {
    /// The object that the write concerned.
    pub fn key(&self) -> Option<&Key> {
        match self {
            StoreError::NotFound(key)
            | StoreError::AlreadyExists(key)
            | StoreError::Conflict(key, _)
            | StoreError::Forbidden(key, _)
            | StoreError::NamespaceTerminating(key)
            | StoreError::Invalid(key, _)
            | StoreError::Request(key, ..) => Some(key),
            StoreError::Limit(_) => None,
        }
    }

    /// HTTP status code.
    pub fn code(&self) -> u16 {
        match self {
            StoreError::NotFound(_) => 404,
            StoreError::AlreadyExists(_) | StoreError::Conflict(..) => 409,
            StoreError::Forbidden(..) | StoreError::NamespaceTerminating(_) => 403,
            StoreError::Invalid(..) => 422,
            StoreError::Request(_, code, _) => *code,
            StoreError::Limit(_) => 507,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::NotFound(key) => write!(f, "{} \"{}\" not found", key.kind.qualified_plural(), key.name),
            StoreError::AlreadyExists(key) => {
                write!(f, "{} \"{}\" already exists", key.kind.qualified_plural(), key.name)
            }
            StoreError::Conflict(key, detail) => {
                let resource = key.kind.qualified_plural();
                write!(f, "Operation cannot be fulfilled on {resource} \"{}\": {detail}", key.name)
            }
            StoreError::Forbidden(key, why) => {
                write!(f, "{} \"{}\" is forbidden: {why}", key.kind.qualified_plural(), key.name)
            }
            StoreError::NamespaceTerminating(key) => write!(
                f,
                "{} \"{}\" is forbidden: unable to create new content in namespace {} because it is being terminated",
                key.kind.qualified_plural(),
                key.name,
                key.namespace
            ),
            StoreError::Invalid(key, errors) => {
                write!(f, "{} \"{}\" is invalid: ", qualified_kind(key.kind), key.name)?;
                match errors.as_slice() {
                    [one] => f.write_str(one),
                    several => write!(f, "[{}]", several.join(", ")),
                }
            }
            StoreError::Request(_, _, message) | StoreError::Limit(message) => f.write_str(message),
        }
    }
}

fn qualified_kind(kind: Kind) -> String {
    match kind.group() {
        "" => kind.to_string(),
        group => format!("{kind}.{group}"),
    }
}
