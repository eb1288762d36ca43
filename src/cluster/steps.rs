//! From the scenario's manifests and timeline to what the scripted user does.

use crate::error::{Error, Problem, Result};
use crate::model::custom::CustomKinds;
use crate::model::rbac::User;
use crate::model::{Key, Kind, Name, Taint};
use crate::scenario::kubectl::KindName;
use crate::scenario::timeline::{self, Action, Cascade, Delete, Drain, DryRun, PatchType};
use crate::scenario::units::{ObjectRef, Quantity};
use crate::scenario::{ManifestDocument, Manifests, Scenario};
use crate::script::apply::Manifest;
use crate::script::drain::DrainOptions;
use crate::script::steps::Deleted;
use crate::script::{Entry, Step, template};
use crate::store::Propagation;
use crate::time::SimTime;
use crate::wire::decode;
use crate::wire::patch::{Document, Form, Subresource};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every step with its index in the timeline; the manifests of the scenario come last, at time zero.
///
/// # Errors
/// Manifests that the API server would refuse to read.
pub fn steps(scenario: &Scenario) -> Result<Vec<Entry>> {
    let mut steps = Vec::new();
    for (index, entry) in scenario.timeline.iter().enumerate() {
        if let Some(step) = step(&entry.action, &scenario.kinds)? {
            let user = entry.user.as_ref().map(|user| Arc::new(User::new(&user.name, &user.groups)));
            steps.push(Entry { index, at: entry.at, step, user });
        }
    }
    if !scenario.manifests.objects.is_empty() {
        let all = manifests(&scenario.manifests, &scenario.kinds)?;
        // Objects of custom kinds are a command of their own, which waits until their kinds are served.
        let (custom, built_in): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| matches!(one.key.kind, Kind::Custom(_)));
        for (place, (manifests, waits)) in [(built_in, false), (custom, true)].into_iter().enumerate() {
            if !manifests.is_empty() {
                let step = Step::Apply { manifests, dry_run: false, waits };
                steps.push(Entry { index: scenario.timeline.len() + place, at: SimTime::ZERO, step, user: None });
            }
        }
    }
    Ok(steps)
}

fn manifests(written: &Manifests, kinds: &CustomKinds) -> Result<Vec<Manifest>> {
    written.objects.iter().map(|document| manifest(document, kinds)).collect()
}

fn manifest(document: &ManifestDocument, kinds: &CustomKinds) -> Result<Manifest> {
    let mut object = decode::object_of(&document.value, kinds).map_err(|errors| {
        let place = |path: &str| Some(document.places.find(path));
        Error::Input(
            errors
                .into_iter()
                .map(|error| Problem {
                    place: place(&error.path),
                    path: error.path,
                    message: error.message,
                    help: None,
                })
                .collect(),
        )
    })?;
    if object.kind().namespaced() && object.meta().namespace.is_empty() {
        object.meta_mut().namespace = crate::name!("default");
    }
    Ok(Manifest::new(object, &document.value).of_file(&document.file))
}

/// A manifest for the server to apply, which need not be a whole object.
fn part(document: &ManifestDocument, kinds: &CustomKinds) -> Result<Manifest> {
    match decode::kind_of(&document.value, kinds) {
        Some(kind) => Ok(Manifest::partial(kind, &document.value).of_file(&document.file)),
        None => manifest(document, kinds),
    }
}

fn key(object: &ObjectRef, namespace: &str) -> Key {
    let namespace = if object.kind.namespaced() { namespace } else { "" };
    Key::new(object.kind, namespace, object.name.as_str())
}

fn node(name: &str) -> Key {
    Key::cluster(Kind::Node, name)
}

fn drain_options(drain: &Drain) -> DrainOptions {
    DrainOptions {
        grace_seconds: drain.grace_period.map(|grace| grace.0.0 / 1_000_000_000),
        timeout: drain.timeout.map(|timeout| timeout.0),
        ignore_daemon_sets: drain.ignore_daemonsets,
        force: drain.force,
        delete_empty_dir_data: drain.delete_emptydir_data,
        pod_selector: drain.pod_selector.clone().map(|selector| selector.0),
        disable_eviction: drain.disable_eviction,
    }
}

/// Names and their values, or none where they are removed.
fn pairs(map: &BTreeMap<String, Option<String>>) -> Vec<(Name, Option<Name>)> {
    map.iter().map(|(key, value)| (Name::from(key.as_str()), value.as_deref().map(Name::from))).collect()
}

fn deleted(delete: &Delete) -> Deleted {
    match (&delete.object, &delete.kind) {
        (None, Some(KindName(ObjectRef { kind, .. }))) => Deleted::Selected {
            kind: *kind,
            namespace: Name::from(if kind.namespaced() { delete.namespace.as_str() } else { "" }),
            selector: delete.selector.as_ref().map(|selector| selector.0.clone()),
        },
        (Some(object), _) => Deleted::One(key(object, &delete.namespace)),
        (None, None) => unreachable!("loading checked that a delete says what"),
    }
}

fn scaled(scale: &timeline::Scale) -> Step {
    let body = json!({"spec": {"replicas": scale.replicas}});
    let document =
        Document { subresource: Subresource::Scale, ..Document::new(Form::Merge, body, crate::name!("kubectl")) };
    Step::Change {
        key: key(&scale.object, &scale.namespace),
        document: Arc::new(document),
        command: format!("scale {{}} --replicas={}", scale.replicas),
        dry_run: scale.dry_run == DryRun::Server,
    }
}

fn set((object, namespace): (&ObjectRef, &str), container: &Option<String>, change: template::Change) -> Step {
    Step::Set { key: key(object, namespace), container: container.as_deref().map(Name::from), change }
}

fn patched(patch: &timeline::Patch) -> Step {
    let (form, word) = match patch.form {
        PatchType::Strategic => (Form::Strategic, ""),
        PatchType::Merge => (Form::Merge, " --type=merge"),
        PatchType::Json => (Form::Json, " --type=json"),
    };
    let mut document = Document::new(form, patch.patch.clone(), crate::name!("kubectl-patch"));
    let mut command = format!("patch {{}}{word}");
    if let Some(part) = patch.subresource {
        let (subresource, word) = match part {
            timeline::Subresource::Status => (Subresource::Status, "status"),
            timeline::Subresource::Scale => (Subresource::Scale, "scale"),
            timeline::Subresource::Resize => (Subresource::Resize, "resize"),
        };
        document.subresource = subresource;
        command.push_str(&format!(" --subresource={word}"));
    }
    Step::Change {
        key: key(&patch.object, &patch.namespace),
        document: Arc::new(document),
        command,
        dry_run: patch.dry_run == DryRun::Server,
    }
}

/// The user's step for an action; none for a fault.
fn step(action: &Action, kinds: &CustomKinds) -> Result<Option<Step>> {
    let seconds = |grace: Option<crate::scenario::units::Duration>| grace.map(|grace| grace.0.0 / 1_000_000_000);
    Ok(Some(match action {
        Action::Apply(apply) if apply.server_side => Step::ServerSideApply {
            manifests: apply.manifests.objects.iter().map(|one| part(one, kinds)).collect::<Result<_>>()?,
            manager: Name::from(apply.field_manager.as_deref().unwrap_or("kubectl")),
            force: apply.force_conflicts,
            dry_run: apply.dry_run == DryRun::Server,
        },
        Action::Apply(apply) => {
            let dry_run = apply.dry_run == DryRun::Server;
            Step::Apply { manifests: manifests(&apply.manifests, kinds)?, dry_run, waits: false }
        }
        Action::Replace(written) => Step::Replace(manifests(written, kinds)?),
        Action::Delete(delete) => Step::Delete {
            what: deleted(delete),
            grace_seconds: seconds(delete.grace_period),
            propagation: match delete.cascade {
                Cascade::Background => Propagation::Background,
                Cascade::Foreground => Propagation::Foreground,
                Cascade::Orphan => Propagation::Orphan,
            },
            dry_run: delete.dry_run == DryRun::Server,
        },
        Action::Scale(scale) => scaled(scale),
        Action::SetImage(change) => {
            let image = template::Change::Image(Name::from(change.image.as_str()));
            set((&change.object, &change.namespace), &change.container, image)
        }
        Action::SetEnv(change) => {
            set((&change.object, &change.namespace), &change.container, template::Change::Env(pairs(&change.env)))
        }
        Action::SetResources(change) => {
            let amounts = |list: &BTreeMap<String, Quantity>| {
                list.iter().map(|(name, amount)| (Name::from(name.as_str()), amount.0.to_string())).collect()
            };
            let resources = template::Change::Resources(amounts(&change.requests), amounts(&change.limits));
            set((&change.object, &change.namespace), &change.container, resources)
        }
        Action::Patch(patch) => patched(patch),
        Action::Annotate(annotate) => {
            let body = json!({"metadata": {"annotations": annotate.annotations}});
            Step::Change {
                key: key(&annotate.object, &annotate.namespace),
                document: Arc::new(Document::new(Form::Merge, body, crate::name!("kubectl-annotate"))),
                command: "annotate {}".to_string(),
                dry_run: false,
            }
        }
        Action::RolloutUndo(undo) => Step::Undo { key: key(&undo.object, &undo.namespace), revision: undo.to_revision },
        Action::RolloutPause(target) => Step::Pause { key: key(&target.object, &target.namespace), paused: true },
        Action::RolloutResume(target) => Step::Pause { key: key(&target.object, &target.namespace), paused: false },
        Action::RolloutRestart(target) => Step::Restart { key: key(&target.object, &target.namespace) },
        Action::Cordon(target) => Step::Cordon { key: node(&target.node), unschedulable: true },
        Action::Uncordon(target) => Step::Cordon { key: node(&target.node), unschedulable: false },
        Action::Drain(drain) => Step::Drain { key: node(&drain.node), options: drain_options(drain) },
        Action::Label(label) => Step::Label { key: key(&label.object, &label.namespace), labels: pairs(&label.labels) },
        Action::Taint(taint) => Step::Taint {
            key: node(&taint.node),
            add: taint.add.iter().map(Taint::from).collect(),
            remove: taint.remove.iter().map(|key| Name::from(key.as_str())).collect(),
        },
        Action::Fault(_) => return Ok(None),
    }))
}
