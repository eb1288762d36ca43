//! The cluster roles that every cluster has (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`), as far as
//! people are given them: cluster-admin, admin, edit, view and what they are put together from.

use crate::model::rbac::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject, SubjectKind};
use crate::model::{Labels, Meta, Name, Object, Selector, selector};
use std::sync::Arc;

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const CORE: &[&str] = &[
    "configmaps",
    "endpoints",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "serviceaccounts",
    "services",
    "services/status",
];
const CORE_READ: &[&str] = &[
    "bindings",
    "events",
    "limitranges",
    "namespaces",
    "namespaces/status",
    "pods/log",
    "pods/status",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
];
const APPS: &[&str] = &[
    "daemonsets",
    "deployments",
    "deployments/scale",
    "replicasets",
    "replicasets/scale",
    "statefulsets",
    "statefulsets/scale",
];
const APPS_READ: &[&str] =
    &["controllerrevisions", "daemonsets/status", "deployments/status", "replicasets/status", "statefulsets/status"];
/// Groups with what can be read and written in each.
const GROUPS: &[(&str, &[&str])] = &[
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("policy", &["poddisruptionbudgets"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
];

fn names(words: &[&str]) -> Vec<Name> {
    words.iter().map(|word| Name::from(*word)).collect()
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule { groups: names(&[group]), resources: names(resources), verbs: names(verbs), ..PolicyRule::default() }
}

fn label(to: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{to}")
}

/// A role whose rules go into `to`, or that is put together from what goes into `from`.
fn role(name: &str, to: Option<&str>, from: Option<&str>, rules: Vec<PolicyRule>) -> Object {
    let mut meta = Meta::named("", name);
    meta.labels = Labels::from_iter([("kubernetes.io/bootstrapping", "rbac-defaults")]);
    if let Some(to) = to {
        meta.labels = meta.labels.with(label(to).as_str(), "true");
    }
    let aggregates = from.iter().filter_map(|from| selector::parse(&format!("{}=true", label(from))).ok());
    Object::from(ClusterRole { meta, rules: Arc::new(rules), aggregates: aggregates.collect::<Vec<Selector>>() })
}

/// The roles, and the binding that makes the group `system:masters` all-powerful.
pub fn default_roles() -> Vec<Object> {
    let everything = vec![
        rule("*", &["*"], &["*"]),
        PolicyRule { urls: names(&["*"]), verbs: names(&["*"]), ..PolicyRule::default() },
    ];
    let mut view = vec![rule("", CORE, READ), rule("", CORE_READ, READ), rule("apps", APPS, READ)];
    view.push(rule("apps", APPS_READ, READ));
    view.push(rule("discovery.k8s.io", &["endpointslices"], READ));
    view.extend(GROUPS.iter().map(|(group, resources)| rule(group, resources, READ)));
    let into_pods = ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"];
    let mut edit = vec![
        rule("", &into_pods, READ),
        rule("", &into_pods, WRITE),
        rule("", &["serviceaccounts"], &["impersonate"]),
        rule("", CORE, WRITE),
        rule("", &["pods/eviction"], &["create"]),
        rule("apps", APPS, WRITE),
    ];
    edit.extend(GROUPS.iter().map(|(group, resources)| rule(group, resources, WRITE)));
    let both: Vec<&str> = WRITE.iter().chain(READ).copied().collect();
    let admin = vec![
        rule("authorization.k8s.io", &["localsubjectaccessreviews"], &["create"]),
        rule("rbac.authorization.k8s.io", &["rolebindings", "roles"], &both),
    ];
    let masters = Subject { kind: SubjectKind::Group, name: crate::name!("system:masters"), namespace: Name::new() };
    vec![
        role("cluster-admin", None, None, everything),
        role("system:aggregate-to-admin", Some("admin"), None, admin),
        role("system:aggregate-to-edit", Some("edit"), None, edit),
        role("system:aggregate-to-view", Some("view"), None, view),
        role("admin", None, Some("admin"), Vec::new()),
        role("edit", Some("admin"), Some("edit"), Vec::new()),
        role("view", Some("edit"), Some("view"), Vec::new()),
        Object::from(ClusterRoleBinding {
            meta: Meta::named("", "cluster-admin"),
            subjects: vec![masters],
            role: RoleRef { cluster: true, name: crate::name!("cluster-admin") },
        }),
    ]
}
