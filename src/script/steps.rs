//! The steps: what each does, and how people would type it.

use super::drain::DrainOptions;
use super::{Progress, apply, send, template};
use crate::model::rbac::User;
use crate::model::sets::RevisionData;
use crate::model::workload::keys;
use crate::model::{ControllerRevision, Key, Kind, Name, Node, Object, PodTemplate, ReplicaSet};
use crate::model::{Selector, Taint, TaintEffect, Uid};
use crate::runtime::Cx;
use crate::store::access::may_list;
use crate::store::{DeleteOptions, Patch, Preconditions, Propagation, StoreError, Write};
use crate::wire::encode;
use crate::wire::patch::{Document, Form};
use std::sync::Arc;

/// What `kubectl delete` is given.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// One object.
    One(Key),
    /// Those of a kind that a selector finds when the command runs.
    Selected {
        /// The kind.
        kind: Kind,
        /// Where.
        namespace: Name,
        /// Which; all of them if absent.
        selector: Option<Selector>,
    },
}

impl Deleted {
    /// As it is typed.
    fn describe(&self) -> String {
        match self {
            Deleted::One(key) => name(key),
            Deleted::Selected { kind, selector: Some(selector), .. } => format!("{} -l {selector}", kind.plural()),
            Deleted::Selected { kind, selector: None, .. } => format!("{} --all", kind.plural()),
        }
    }

    /// What it means now: those of several that the user finds, if he may look for them.
    fn keys(&self, user: Option<&User>, cx: &Cx<'_>) -> Result<Vec<Key>, StoreError> {
        match self {
            Deleted::One(key) => Ok(vec![key.clone()]),
            Deleted::Selected { kind, namespace, selector } => {
                user.map_or(Ok(()), |user| may_list(cx.live(), user, *kind, namespace))?;
                let wanted = |object: &&Object| {
                    let meta = object.meta();
                    meta.namespace == *namespace && selector.as_ref().is_none_or(|wanted| wanted.matches(&meta.labels))
                };
                let mut keys: Vec<Key> = cx.live().objects(*kind).filter(wanted).map(Object::key).collect();
                keys.sort();
                Ok(keys)
            }
        }
    }
}

/// `deployment/web`.
fn name(key: &Key) -> String {
    format!("{}/{}", key.kind.as_str().to_lowercase(), key.name)
}

/// One thing done with `kubectl`.
#[derive(Clone, Debug)]
pub enum Step {
    /// `kubectl apply -f`.
    Apply {
        /// The objects.
        manifests: Vec<apply::Manifest>,
        /// `--dry-run=server`.
        dry_run: bool,
        /// Whether objects wait until their kinds are served.
        waits: bool,
    },
    /// `kubectl apply --server-side -f`.
    ServerSideApply {
        /// The objects.
        manifests: Vec<apply::Manifest>,
        /// `--field-manager`.
        manager: Name,
        /// `--force-conflicts`.
        force: bool,
        /// `--dry-run=server`.
        dry_run: bool,
    },
    /// `kubectl replace -f`.
    Replace(Vec<apply::Manifest>),
    /// `kubectl delete`.
    Delete {
        /// What.
        what: Deleted,
        /// `--grace-period`.
        grace_seconds: Option<i64>,
        /// `--cascade`.
        propagation: Propagation,
        /// `--dry-run=server`.
        dry_run: bool,
    },
    /// `kubectl patch`, `scale`, `annotate`: a change in JSON.
    Change {
        /// What.
        key: Key,
        /// The change.
        document: Arc<Document>,
        /// The command without the object: `patch {} --type=json`.
        command: String,
        /// `--dry-run=server`.
        dry_run: bool,
    },
    /// `kubectl set image`, `env`, `resources`.
    Set {
        /// What.
        key: Key,
        /// Which container; all of them if absent.
        container: Option<Name>,
        /// What changes.
        change: template::Change,
    },
    /// `kubectl rollout undo`.
    Undo {
        /// The workload.
        key: Key,
        /// `--to-revision`; 0 is the one before.
        revision: u32,
    },
    /// `kubectl rollout pause` and `resume`.
    Pause {
        /// The Deployment.
        key: Key,
        /// Pause, or resume.
        paused: bool,
    },
    /// `kubectl rollout restart`.
    Restart {
        /// The workload.
        key: Key,
    },
    /// `kubectl cordon` and `uncordon`.
    Cordon {
        /// The node.
        key: Key,
        /// Cordon, or uncordon.
        unschedulable: bool,
    },
    /// `kubectl drain`.
    Drain {
        /// The node.
        key: Key,
        /// The flags.
        options: DrainOptions,
    },
    /// `kubectl label`.
    Label {
        /// What.
        key: Key,
        /// Labels to set, or to remove.
        labels: Vec<(Name, Option<Name>)>,
    },
    /// `kubectl taint`.
    Taint {
        /// The node.
        key: Key,
        /// To add.
        add: Vec<Taint>,
        /// Keys to remove, whatever the effect.
        remove: Vec<Name>,
    },
}

impl Step {
    /// The object it concerns, if it is one.
    pub fn target(&self) -> Option<Key> {
        match self {
            Step::Apply { manifests, .. } | Step::ServerSideApply { manifests, .. } | Step::Replace(manifests) => {
                let mut keys = apply::keys(manifests);
                keys.next().filter(|_| manifests.len() == 1)
            }
            Step::Delete { what: Deleted::Selected { .. }, .. } => None,
            Step::Delete { what: Deleted::One(key), .. }
            | Step::Change { key, .. }
            | Step::Set { key, .. }
            | Step::Undo { key, .. }
            | Step::Pause { key, .. }
            | Step::Restart { key }
            | Step::Cordon { key, .. }
            | Step::Drain { key, .. }
            | Step::Label { key, .. }
            | Step::Taint { key, .. } => Some(key.clone()),
        }
    }

    /// The command as people would type it.
    pub fn describe(&self) -> String {
        let objects = |manifests: &[apply::Manifest]| match manifests {
            [one] => name(&one.key),
            several => format!("({} objects)", several.len()),
        };
        let dry = |dry: &bool| if *dry { " --dry-run=server" } else { "" };
        match self {
            Step::Apply { manifests, dry_run, .. } => format!("kubectl apply {}{}", objects(manifests), dry(dry_run)),
            Step::ServerSideApply { manifests, manager, force, dry_run } => {
                let force = if *force { " --force-conflicts" } else { "" };
                let manager = if manager == "kubectl" { String::new() } else { format!(" --field-manager={manager}") };
                format!("kubectl apply --server-side{manager}{force} {}{}", objects(manifests), dry(dry_run))
            }
            Step::Replace(manifests) => format!("kubectl replace {}", objects(manifests)),
            Step::Delete { what, dry_run, .. } => format!("kubectl delete {}{}", what.describe(), dry(dry_run)),
            Step::Change { key, command, dry_run, .. } => {
                format!("kubectl {}{}", command.replace("{}", &name(key)), dry(dry_run))
            }
            Step::Set { key, container, change } => {
                let container = container.as_deref().unwrap_or("*");
                match change {
                    template::Change::Image(image) => format!("kubectl set image {} {container}={image}", name(key)),
                    template::Change::Env(variables) => {
                        let set = |(name, value): &(Name, Option<Name>)| match value {
                            Some(value) => format!("{name}={value}"),
                            None => format!("{name}-"),
                        };
                        let variables: Vec<String> = variables.iter().map(set).collect();
                        format!("kubectl set env {} {}", name(key), variables.join(" "))
                    }
                    template::Change::Resources(..) => format!("kubectl set resources {}", name(key)),
                }
            }
            Step::Undo { key, revision: 0 } => format!("kubectl rollout undo {}", name(key)),
            Step::Undo { key, revision } => format!("kubectl rollout undo {} --to-revision={revision}", name(key)),
            Step::Pause { key, paused: true } => format!("kubectl rollout pause {}", name(key)),
            Step::Pause { key, paused: false } => format!("kubectl rollout resume {}", name(key)),
            Step::Restart { key } => format!("kubectl rollout restart {}", name(key)),
            Step::Cordon { key, unschedulable: true } => format!("kubectl cordon {}", key.name),
            Step::Cordon { key, unschedulable: false } => format!("kubectl uncordon {}", key.name),
            Step::Drain { key, .. } => format!("kubectl drain {}", key.name),
            Step::Label { key, .. } => format!("kubectl label {}", name(key)),
            Step::Taint { key, .. } => format!("kubectl taint node {}", key.name),
        }
    }

    /// Whether the command goes on after its first requests.
    pub(super) fn lasts(&self) -> bool {
        matches!(self, Step::Drain { .. })
    }

    /// Asks for the writes; gives what the command prints before they are answered.
    pub(super) fn perform(&self, progress: &Progress, user: Option<&User>, cx: &mut Cx<'_>) -> Option<String> {
        match self {
            Step::Apply { manifests, dry_run, .. } => apply::apply(manifests, *dry_run, progress, cx),
            Step::ServerSideApply { manifests, manager, force, dry_run } => {
                let left: Vec<apply::Manifest> =
                    manifests.iter().filter(|one| !progress.refused.contains(&one.key)).cloned().collect();
                apply::server_side(&left, manager, *force, *dry_run, cx);
            }
            Step::Replace(manifests) => apply::replace(manifests, progress, cx),
            _ if !progress.refused.is_empty() => {}
            Step::Delete { what, grace_seconds, propagation, dry_run } => {
                let options = DeleteOptions {
                    grace_seconds: *grace_seconds,
                    propagation: Some(*propagation),
                    preconditions: Preconditions::default(),
                };
                match what.keys(user, cx) {
                    Ok(keys) => keys.into_iter().for_each(|key| send(cx, Write::Delete(key, options), *dry_run)),
                    Err(refused) => return Some(refused.as_printed()),
                }
            }
            Step::Change { key, document, dry_run, .. } => {
                send(cx, Write::Document(key.clone(), document.clone(), Preconditions::default()), *dry_run);
            }
            Step::Set { key, container, change } => {
                let live = cx.live().get(key).map(encode::object).unwrap_or_default();
                let body = template::patch(key.kind, &live, container.as_deref(), change);
                let document = Document::new(Form::Strategic, body, crate::name!("kubectl-set"));
                cx.write(Write::Document(key.clone(), Arc::new(document), Preconditions::default()));
            }
            Step::Undo { key, revision } => undo(cx, key, *revision),
            Step::Pause { key, paused } => patch(cx, key, Patch::Paused(*paused)),
            Step::Restart { key } => {
                let stamp = cx.now.rfc3339();
                change_template(cx, key, |old| {
                    template::with_annotation(old, "kubectl.kubernetes.io/restartedAt", &stamp)
                });
            }
            Step::Cordon { key, unschedulable } => patch(cx, key, Patch::Unschedulable(*unschedulable)),
            Step::Drain { key, .. } => return Some(cordon(cx, key)),
            Step::Label { key, labels } => patch(cx, key, Patch::Labels(labels.clone())),
            Step::Taint { key, add, remove } => {
                let remove =
                    remove.iter().flat_map(|key| TaintEffect::ALL.map(|effect| (key.clone(), effect))).collect();
                patch(cx, key, Patch::Taints { add: add.clone(), remove });
            }
        }
        None
    }
}

fn patch(cx: &mut Cx<'_>, key: &Key, patch: Patch) {
    cx.write(Write::Patch(key.clone(), patch, Preconditions::default()));
}

fn change_template(
    cx: &mut Cx<'_>,
    key: &Key,
    change: impl Fn(&crate::model::PodTemplate) -> crate::model::PodTemplate,
) {
    let old = match cx.live().get(key) {
        Some(Object::Deployment(deployment)) => deployment.template.clone(),
        Some(Object::ReplicaSet(set)) => set.template.clone(),
        Some(Object::StatefulSet(set)) => set.template.clone(),
        Some(Object::DaemonSet(set)) => set.template.clone(),
        Some(Object::ReplicationController(set)) => set.template.clone(),
        _ => return,
    };
    patch(cx, key, Patch::Template(Arc::new(change(&old))));
}

/// `kubectl rollout undo`: the template of the wanted revision
/// (`staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go`).
fn undo(cx: &mut Cx<'_>, key: &Key, revision: u32) {
    let Some(object) = cx.live().get(key) else { return };
    let mut past = match object.kind() {
        Kind::Deployment => past_of_deployment(cx, object.meta().uid),
        _ => past_of_set(cx, object.meta().uid),
    };
    past.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let wanted = match revision {
        0 => past.into_iter().nth(1),
        n => past.into_iter().find(|(number, _)| *number == i64::from(n)),
    };
    if let Some((_, template)) = wanted {
        patch(cx, key, Patch::Template(template));
    }
}

/// The templates of a Deployment's replica sets, without their hash labels.
fn past_of_deployment(cx: &Cx<'_>, uid: Uid) -> Vec<(i64, Arc<PodTemplate>)> {
    let sets = cx.live().controlled::<ReplicaSet>(uid);
    let template = |set: &Arc<ReplicaSet>| {
        let mut old = PodTemplate::clone(&set.template);
        old.labels = old.labels.without(&keys::POD_TEMPLATE_HASH);
        Some((set.meta.annotations.get(&keys::REVISION)?.parse().ok()?, Arc::new(old)))
    };
    sets.filter_map(template).collect()
}

/// The templates that the revisions of a StatefulSet or DaemonSet keep.
fn past_of_set(cx: &Cx<'_>, uid: Uid) -> Vec<(i64, Arc<PodTemplate>)> {
    let revisions = cx.live().controlled::<ControllerRevision>(uid);
    let template = |revision: &Arc<ControllerRevision>| match &revision.data {
        RevisionData::Template(template) => Some((revision.revision, template.clone())),
        RevisionData::Other(_) => None,
    };
    revisions.filter_map(template).collect()
}

/// The beginning of a drain: the node is cordoned, if it is not.
fn cordon(cx: &mut Cx<'_>, key: &Key) -> String {
    match cx.live().fetch_key::<Node>(key).is_some_and(|node| node.unschedulable) {
        true => format!("node/{} already cordoned", key.name),
        false => {
            patch(cx, key, Patch::Unschedulable(true));
            format!("node/{} cordoned", key.name)
        }
    }
}
