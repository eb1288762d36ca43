//! Who may do what: role-based access control (`plugin/pkg/auth/authorizer/rbac/rbac.go`,
//! `pkg/registry/rbac/validation/rule.go`). Only writes that name a user are asked; the cluster's own components may
//! do what they do.
//!
//! A worked example: `jane` has role `view` in namespace `prod`. Her `kubectl scale deployment/web` reads the
//! Deployment, which she may, and then patches it, which she may not: `deployments.apps "web" is forbidden: User "jane"
//! cannot patch resource "deployments/scale" in API group "apps" in the namespace "prod"`.

use super::errors::{Refusal, StoreError};
use super::patch::Patch;
use super::slots::Store;
use super::view::View;
use super::write::Write;
use crate::model::rbac::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, SubjectKind, User};
use crate::model::{Key, Kind, Name, Object};
use crate::wire::patch::Subresource;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `get`, `create`, `patch`, …
    pub verb: &'static str,
    /// What kind of object.
    pub kind: Kind,
    /// A part of it, such as `eviction`; empty for the whole.
    pub part: &'static str,
    /// Where; empty at the cluster scope.
    pub namespace: Name,
    /// Which; empty where it has no name yet.
    pub name: Name,
}

impl Ask {
    fn new(verb: &'static str, key: &Key, part: &'static str) -> Ask {
        let Key { kind, namespace, name } = key.clone();
        Ask { verb, kind, part, namespace, name }
    }

    /// `deployments`, or `pods/eviction`.
    fn resource(&self) -> String {
        match self.part {
            "" => self.kind.plural().to_string(),
            part => format!("{}/{part}", self.kind.plural()),
        }
    }
}

/// What `kubectl` asks of the server for a write, in order: it reads what it changes.
fn asks(write: &Write) -> Vec<Ask> {
    let key = write.key();
    match write {
        Write::Create(_) => {
            let unnamed = Key { name: Name::new(), ..key.clone() };
            vec![Ask::new("get", &key, ""), Ask::new("create", &unnamed, "")]
        }
        Write::Update(_) | Write::UpdateStatus(_) => vec![Ask::new("get", &key, ""), Ask::new("patch", &key, "")],
        Write::Patch(_, Patch::Replicas(_), _) => vec![Ask::new("get", &key, ""), Ask::new("patch", &key, "scale")],
        Write::Patch(..) => vec![Ask::new("get", &key, ""), Ask::new("patch", &key, "")],
        Write::Document(_, document, _) => {
            let part = match document.subresource {
                Subresource::None => "",
                Subresource::Status => "status",
                Subresource::Scale => "scale",
                Subresource::Resize => "resize",
            };
            vec![Ask::new("get", &key, ""), Ask::new("patch", &key, part)]
        }
        Write::DeleteCollection { .. } => vec![Ask::new("deletecollection", &key, "")],
        Write::DryRun(write) => asks(write),
        Write::Delete(..) => vec![Ask::new("delete", &key, "")],
        Write::Evict { .. } => vec![Ask::new("create", &key, "eviction")],
        Write::Bind { .. } => vec![Ask::new("create", &key, "binding")],
        _ => Vec::new(),
    }
}

impl Store {
    /// Refuses a write that its user may not do.
    pub(super) fn authorize(&self, user: &User, write: &Write) -> Result<(), StoreError> {
        let about = |error| match error {
            StoreError::Refused(_, refusal) => StoreError::Refused(write.key(), refusal),
            other => other,
        };
        match super::node_restriction::node_of(user) {
            Some(node) => self.restrict_node(user, &node, write)?,
            None => asks(write).iter().try_for_each(|ask| review(self.live(), user, ask)).map_err(about)?,
        }
        let written = match write {
            Write::Create(object) | Write::Update(object) => object,
            _ => return Ok(()),
        };
        self.check_escalation(user, written)
    }

    /// Nobody gives what he does not have, unless he may `escalate` roles or `bind` them
    /// (`pkg/registry/rbac/escalation_check.go`).
    fn check_escalation(&self, user: &User, object: &Object) -> Result<(), StoreError> {
        let view = self.live();
        let key = object.key();
        let (rules, excuse) = match object {
            Object::Role(role) => (role.rules.clone(), Ask::new("escalate", &key, "")),
            Object::ClusterRole(role) => (role.rules.clone(), Ask::new("escalate", &key, "")),
            Object::RoleBinding(binding) => granted(view, &binding.role, &key.namespace),
            Object::ClusterRoleBinding(binding) => granted(view, &binding.role, &Name::new()),
            _ => return Ok(()),
        };
        if is_master(user) || review(view, user, &excuse).is_ok() {
            return Ok(());
        }
        let (held, _) = rules_of(view, user, &key.namespace);
        let missing = uncovered(&held, &rules);
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = user.groups.iter().map(|group| format!("{:?}", group.as_str())).collect();
        let why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name.as_str(),
            groups.join(" "),
            missing.join("\n")
        );
        Err(StoreError::Forbidden(key, why))
    }
}

fn granted(view: View<'_>, role: &RoleRef, namespace: &Name) -> (Arc<Vec<PolicyRule>>, Ask) {
    let kind = if role.cluster { Kind::ClusterRole } else { Kind::Role };
    let key = Key { kind, namespace: namespace.clone(), name: role.name.clone() };
    (rules_of_role(view, role, namespace).unwrap_or_default(), Ask::new("bind", &key, ""))
}

fn is_master(user: &User) -> bool {
    user.groups.iter().any(|group| group == "system:masters")
}

/// Whether a user may do something.
///
/// # Errors
/// The API server's refusal.
pub fn review(view: View<'_>, user: &User, ask: &Ask) -> Result<(), StoreError> {
    let (rules, missing) = rules_of(view, user, &ask.namespace);
    if is_master(user) || rules.iter().any(|rule| allows(rule, ask)) {
        return Ok(());
    }
    Err(refusal(user, ask, &missing))
}

/// Whether a user may list the objects of a kind, as `kubectl` does before it changes those that a selector finds.
///
/// # Errors
/// The API server's refusal.
pub fn may_list(view: View<'_>, user: &User, kind: Kind, namespace: &Name) -> Result<(), StoreError> {
    // Kubelets list what is theirs (`plugin/pkg/auth/authorizer/node/node_authorizer.go`).
    if super::node_restriction::node_of(user).is_some() {
        return Ok(());
    }
    let key = Key { kind, namespace: namespace.clone(), name: Name::new() };
    review(view, user, &Ask::new("list", &key, ""))
}

/// The refusal of something that no role gives.
pub(super) fn denied(user: &User, verb: &'static str, key: &Key) -> Result<(), StoreError> {
    Err(refusal(user, &Ask::new(verb, key, ""), &[]))
}

fn refusal(user: &User, ask: &Ask, missing: &[String]) -> StoreError {
    let of = match ask.name.as_str() {
        "" => ask.kind.qualified_plural(),
        name => format!("{} {name:?}", ask.kind.qualified_plural()),
    };
    let place = match ask.namespace.as_str() {
        "" => "at the cluster scope".to_string(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let mut message = format!(
        "{of} is forbidden: User {:?} cannot {} resource {:?} in API group {:?} {place}",
        user.name.as_str(),
        ask.verb,
        ask.resource(),
        ask.kind.group()
    );
    if !missing.is_empty() {
        message += &format!(": RBAC: {}", aggregate(missing));
    }
    let key = Key { kind: ask.kind, namespace: ask.namespace.clone(), name: ask.name.clone() };
    Refusal::new(403, &message).of(key)
}

fn aggregate(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// All rules that hold for a user in a namespace, and the roles that are bound but missing.
fn rules_of(view: View<'_>, user: &User, namespace: &Name) -> (Vec<PolicyRule>, Vec<String>) {
    let (mut rules, mut missing) = (Vec::new(), Vec::new());
    let mut take = |role: &RoleRef, namespace: &Name| match rules_of_role(view, role, namespace) {
        Some(found) => rules.extend(found.iter().cloned()),
        None => {
            let kind = if role.cluster { "clusterrole" } else { "role" };
            missing.push(format!("{kind}.rbac.authorization.k8s.io {:?} not found", role.name.as_str()));
        }
    };
    for binding in view.list::<ClusterRoleBinding>() {
        if binding.subjects.iter().any(|subject| is_meant(subject, user, &Name::new())) {
            take(&binding.role, &Name::new());
        }
    }
    if !namespace.is_empty() {
        for binding in view.list_in::<RoleBinding>(namespace) {
            if binding.subjects.iter().any(|subject| is_meant(subject, user, namespace)) {
                take(&binding.role, namespace);
            }
        }
    }
    (rules, missing)
}

fn rules_of_role(view: View<'_>, role: &RoleRef, namespace: &Name) -> Option<Arc<Vec<PolicyRule>>> {
    match role.cluster {
        true => view.fetch::<ClusterRole>(&Name::new(), &role.name).map(|role| role.rules.clone()),
        false => view.fetch::<Role>(namespace, &role.name).map(|role| role.rules.clone()),
    }
}

fn is_meant(subject: &crate::model::rbac::Subject, user: &User, namespace: &Name) -> bool {
    match subject.kind {
        SubjectKind::User => subject.name == user.name,
        SubjectKind::Group => user.groups.contains(&subject.name),
        SubjectKind::ServiceAccount => {
            let home = if subject.namespace.is_empty() { namespace } else { &subject.namespace };
            user.name.as_str() == format!("system:serviceaccount:{home}:{}", subject.name)
        }
    }
}

fn holds(list: &[Name], wanted: &str) -> bool {
    list.iter().any(|have| have == "*" || have == wanted)
}

fn allows(rule: &PolicyRule, ask: &Ask) -> bool {
    let resource = ask.resource();
    let any_part = |have: &Name| !ask.part.is_empty() && have.strip_prefix("*/") == Some(ask.part);
    holds(&rule.verbs, ask.verb)
        && holds(&rule.groups, ask.kind.group())
        && (holds(&rule.resources, &resource) || rule.resources.iter().any(any_part))
        && (rule.names.is_empty() || rule.names.contains(&ask.name))
}

/// The parts of `wanted` that `held` does not cover, as the API server lists them.
fn uncovered(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<String> {
    let mut missing: BTreeMap<(Name, Name, Option<Name>), Vec<Name>> = BTreeMap::new();
    for rule in wanted {
        let names: Vec<Option<Name>> = match rule.names.is_empty() {
            true => vec![None],
            false => rule.names.iter().cloned().map(Some).collect(),
        };
        for (group, resource) in rule.groups.iter().flat_map(|g| rule.resources.iter().map(move |r| (g, r))) {
            for (name, verb) in names.iter().flat_map(|name| rule.verbs.iter().map(move |verb| (name, verb))) {
                let covers = |have: &PolicyRule| {
                    holds(&have.verbs, verb)
                        && holds(&have.groups, group)
                        && holds(&have.resources, resource)
                        && (have.names.is_empty() || name.as_ref().is_some_and(|name| have.names.contains(name)))
                };
                if !held.iter().any(covers) {
                    let entry = missing.entry((group.clone(), resource.clone(), name.clone())).or_default();
                    entry.push(verb.clone());
                }
            }
        }
    }
    let list = |names: &[Name]| names.iter().map(|name| format!("{:?}", name.as_str())).collect::<Vec<_>>().join(" ");
    let line = |((group, resource, name), mut verbs): ((Name, Name, Option<Name>), Vec<Name>)| {
        verbs.sort();
        verbs.dedup();
        let named = name.map(|name| format!("ResourceNames:[{:?}], ", name.as_str())).unwrap_or_default();
        format!(
            "{{APIGroups:[{}], Resources:[{}], {named}Verbs:[{}]}}",
            list(&[group]),
            list(&[resource]),
            list(&verbs)
        )
    };
    missing.into_iter().map(line).collect()
}
