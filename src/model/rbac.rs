//! Roles and who has them (`staging/src/k8s.io/api/rbac/v1/types.go`).

use super::{Meta, Name, Selector};
use std::sync::Arc;

/// What may be done with what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyRule {
    /// `get`, `list`, …, or `*`.
    pub verbs: Vec<Name>,
    /// API groups; the core group is empty, `*` is all.
    pub groups: Vec<Name>,
    /// Resources, with their subresource after a slash; `*` is all.
    pub resources: Vec<Name>,
    /// Names of objects; none is all.
    pub names: Vec<Name>,
    /// Paths that are no resources.
    pub urls: Vec<Name>,
}

/// What may be done in a namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct Role {
    /// Metadata.
    pub meta: Meta,
    /// The rules.
    pub rules: Arc<Vec<PolicyRule>>,
}

/// What may be done in the cluster, or in every namespace that a binding names.
#[derive(Clone, PartialEq, Debug)]
pub struct ClusterRole {
    /// Metadata.
    pub meta: Meta,
    /// The rules.
    pub rules: Arc<Vec<PolicyRule>>,
    /// Roles whose rules are taken over; with any, the role's own are overwritten.
    pub aggregates: Vec<Selector>,
}

/// Who is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`.
    pub kind: SubjectKind,
    /// The name.
    pub name: Name,
    /// A service account's namespace.
    pub namespace: Name,
}

/// The kinds of subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubjectKind {
    /// A person.
    User,
    /// Everyone of a group.
    Group,
    /// A service account.
    ServiceAccount,
}

impl SubjectKind {
    /// All of them.
    pub const ALL: [SubjectKind; 3] = [Self::User, Self::Group, Self::ServiceAccount];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// The role that a binding gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleRef {
    /// A ClusterRole rather than a Role.
    pub cluster: bool,
    /// Its name.
    pub name: Name,
}

/// Who has a role in a namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct RoleBinding {
    /// Metadata.
    pub meta: Meta,
    /// Who.
    pub subjects: Vec<Subject>,
    /// Which.
    pub role: RoleRef,
}

/// Who has a role in the cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct ClusterRoleBinding {
    /// Metadata.
    pub meta: Meta,
    /// Who.
    pub subjects: Vec<Subject>,
    /// Which.
    pub role: RoleRef,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct User {
    /// The name: `jane`, or `system:serviceaccount:<namespace>:<name>`.
    pub name: Name,
    /// Groups, with those that come by themselves.
    pub groups: Vec<Name>,
}

impl User {
    /// A user of that name and these groups. Who is known is in `system:authenticated`; a service account is also in
    /// the groups of all accounts and of those of its namespace
    /// (`staging/src/k8s.io/apiserver/pkg/authentication/serviceaccount/util.go`).
    pub fn new(name: &str, groups: &[String]) -> User {
        let mut all: Vec<Name> = groups.iter().map(|group| Name::from(group.as_str())).collect();
        if let Some((namespace, _)) = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
        {
            all.push(crate::name!("system:serviceaccounts"));
            all.push(Name::from(format!("system:serviceaccounts:{namespace}")));
        }
        all.push(crate::name!("system:authenticated"));
        User { name: Name::from(name), groups: all }
    }
}
