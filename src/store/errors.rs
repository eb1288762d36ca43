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
    /// An answer that is none of the usual ones, or one from before validation.
    Refused(Key, Box<Refusal>),
    /// A named limit of the simulation; ends the run.
    Limit(String),
}

/// The code of an answer that nobody gave: the client could not reach the API server.
pub const UNREACHABLE: u16 = 0;

/// An answer with a code and a text of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// The message.
    pub message: String,
    /// `details.causes[0].message`; may be empty.
    pub cause: String,
    /// When to try again: `Retry-After`.
    pub retry_after_seconds: Option<i64>,
}

impl Refusal {
    /// A refusal with that code and message.
    pub fn new(code: u16, message: &str) -> Self {
        Refusal { code, message: message.to_string(), cause: String::new(), retry_after_seconds: None }
    }

    /// With a cause.
    #[must_use]
    pub fn because(self, cause: String) -> Self {
        Refusal { cause, ..self }
    }

    /// With the advice when to try again.
    #[must_use]
    pub fn retry_after(self, seconds: i64) -> Self {
        Refusal { retry_after_seconds: Some(seconds), ..self }
    }

    /// As the answer to a write of that object.
    pub fn of(self, key: Key) -> StoreError {
        StoreError::Refused(key, Box::new(self))
    }
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
            | StoreError::Refused(key, _) => Some(key),
            StoreError::Limit(_) => None,
        }
    }

    /// What `kubectl` prints (`staging/src/k8s.io/kubectl/pkg/cmd/util/helpers.go`, `StandardErrorMessage`).
    pub fn as_printed(&self) -> String {
        let reason = match self {
            StoreError::Refused(_, refusal) if refusal.code == UNREACHABLE => {
                // `staging/src/k8s.io/kubectl/pkg/cmd/util/helpers.go`, `StandardErrorMessage`
                return "The connection to the server 10.96.0.1:443 was refused - did you specify the right host or port?"
                    .to_string();
            }
            StoreError::Refused(_, refusal) if refusal.message.starts_with("etcdserver: ") => {
                return format!("Error from server: {self}");
            }
            StoreError::Refused(_, refusal) if refusal.code == 503 => "ServiceUnavailable",
            StoreError::NotFound(_) => "NotFound",
            StoreError::AlreadyExists(_) => "AlreadyExists",
            StoreError::Conflict(..) => "Conflict",
            StoreError::Forbidden(..) | StoreError::NamespaceTerminating(_) => "Forbidden",
            StoreError::Refused(_, refusal) => match refusal.code {
                403 => "Forbidden",
                404 => "NotFound",
                405 => "MethodNotAllowed",
                // What kubectl itself says of a conflict of server-side apply (`pkg/cmd/apply/apply.go`).
                409 => return format!("error: {self}"),
                415 => "UnsupportedMediaType",
                422 => return format!("The request is invalid: {self}"),
                429 => "TooManyRequests",
                400..500 => "BadRequest",
                _ => "InternalError",
            },
            StoreError::Invalid(..) => return format!("The {self}"),
            StoreError::Limit(_) => return self.to_string(),
        };
        format!("Error from server ({reason}): {self}")
    }

    /// HTTP status code.
    pub fn code(&self) -> u16 {
        match self {
            StoreError::NotFound(_) => 404,
            StoreError::AlreadyExists(_) | StoreError::Conflict(..) => 409,
            StoreError::Forbidden(..) | StoreError::NamespaceTerminating(_) => 403,
            StoreError::Invalid(..) => 422,
            StoreError::Refused(_, refusal) => refusal.code,
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
            StoreError::Limit(message) => f.write_str(message),
            StoreError::Refused(_, refusal) => f.write_str(&refusal.message),
        }
    }
}

fn qualified_kind(kind: Kind) -> String {
    match kind.group() {
        "" => kind.to_string(),
        group => format!("{kind}.{group}"),
    }
}
