//! From the scenario's manifests and timeline to what the scripted user does.

use crate::error::{Error, Problem, Result};
use crate::model::{Key, Kind, Name, Taint};
use crate::scenario::timeline::{Action, Cascade};
use crate::scenario::units::ObjectRef;
use crate::scenario::{ManifestDocument, Manifests, Scenario};
use crate::script::Step;
use crate::script::apply::Manifest;
use crate::store::Propagation;
use crate::time::SimTime;
use crate::wire::decode;
use std::sync::Arc;

/// Every step with its index in the timeline; the manifests of the scenario come last, at time zero.
///
/// # Errors
/// Manifests that the API server would refuse to read.
pub fn steps(scenario: &Scenario) -> Result<Vec<(usize, SimTime, Step)>> {
    let mut steps = Vec::new();
    for (index, entry) in scenario.timeline.iter().enumerate() {
        if let Some(step) = step(&entry.action)? {
            steps.push((index, entry.at, step));
        }
    }
    if !scenario.manifests.objects.is_empty() {
        steps.push((scenario.timeline.len(), SimTime::ZERO, Step::Apply(manifests(&scenario.manifests)?)));
    }
    Ok(steps)
}

fn manifests(written: &Manifests) -> Result<Vec<Manifest>> {
    written.objects.iter().map(manifest).collect()
}

fn manifest(document: &ManifestDocument) -> Result<Manifest> {
    let mut object = decode::object(&document.value).map_err(|errors| {
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
    let replicas_given = document.value.pointer("/spec/replicas").is_some();
    Ok(Manifest { object, replicas_given })
}

fn key(object: &ObjectRef, namespace: &str) -> Key {
    let namespace = if object.kind.namespaced() { namespace } else { "" };
    Key::new(object.kind, namespace, object.name.as_str())
}

fn node(name: &str) -> Key {
    Key::cluster(Kind::Node, name)
}

/// The user's step for an action; none for a fault.
fn step(action: &Action) -> Result<Option<Step>> {
    let seconds = |grace: Option<crate::scenario::units::Duration>| grace.map(|grace| grace.0.0 / 1_000_000_000);
    Ok(Some(match action {
        Action::Apply(written) => Step::Apply(manifests(written)?),
        Action::Delete(delete) => Step::Delete {
            key: key(&delete.object, &delete.namespace),
            grace_seconds: seconds(delete.grace_period),
            propagation: match delete.cascade {
                Cascade::Background => Propagation::Background,
                Cascade::Foreground => Propagation::Foreground,
                Cascade::Orphan => Propagation::Orphan,
            },
        },
        Action::Scale(scale) => {
            let replicas = i32::try_from(scale.replicas).unwrap_or(i32::MAX);
            Step::Scale { key: key(&scale.object, &scale.namespace), replicas }
        }
        Action::SetImage(set) => Step::SetImage {
            key: key(&set.object, &set.namespace),
            container: set.container.as_deref().map(Name::from),
            image: Name::from(set.image.as_str()),
        },
        Action::Patch(patch) => Step::MergePatch {
            key: key(&patch.object, &patch.namespace),
            patch: Arc::new(serde_json::Value::Object(patch.patch.clone())),
        },
        Action::RolloutUndo(undo) => Step::Undo { key: key(&undo.object, &undo.namespace), revision: undo.to_revision },
        Action::RolloutPause(target) => Step::Pause { key: key(&target.object, &target.namespace), paused: true },
        Action::RolloutResume(target) => Step::Pause { key: key(&target.object, &target.namespace), paused: false },
        Action::RolloutRestart(target) => Step::Restart { key: key(&target.object, &target.namespace) },
        Action::Cordon(target) => Step::Cordon { key: node(&target.node), unschedulable: true },
        Action::Uncordon(target) => Step::Cordon { key: node(&target.node), unschedulable: false },
        Action::Drain(drain) => Step::Drain { key: node(&drain.node), grace_seconds: seconds(drain.grace_period) },
        Action::Label(label) => Step::Label {
            key: key(&label.object, &label.namespace),
            labels: label
                .labels
                .iter()
                .map(|(key, value)| (Name::from(key.as_str()), value.as_deref().map(Name::from)))
                .collect(),
        },
        Action::Taint(taint) => Step::Taint {
            key: node(&taint.node),
            add: taint.add.iter().map(Taint::from).collect(),
            remove: taint.remove.iter().map(|key| Name::from(key.as_str())).collect(),
        },
        Action::NodeCrash(_) | Action::PodCrash(_) | Action::ContainerCrash(_) => return Ok(None),
    }))
}
