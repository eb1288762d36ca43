//! Claims that are made for a pod and go with it (`pkg/controller/volume/ephemeral/controller.go`): one for each
//! `ephemeral` volume, called `<pod>-<volume>` and owned by the pod, so that garbage collection removes it.

use crate::controllers::shared::controller_reference;
use crate::model::pod_spec::VolumeSource;
use crate::model::{Key, Kind, Name, Object, PersistentVolumeClaim, Pod};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use crate::wire::decode;
use serde_json::{Value, json};
use std::sync::Arc;

/// The ephemeral volume controller.
#[derive(Debug, Default)]
pub struct EphemeralVolumes;

/// Its machinery (`--concurrent-ephemeralvolume-syncs`).
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 5, ..ActorSettings::default() }
}

impl Controller for EphemeralVolumes {
    fn name(&self) -> &'static str {
        "ephemeral-volume-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Pod, Kind::PersistentVolumeClaim]
    }

    fn follows(&self, change: &Change) -> bool {
        match change.object() {
            Object::Pod(pod) => pod.claims().any(|(_, ephemeral)| ephemeral),
            _ => change.new.is_none(),
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.object() {
            Object::Pod(_) => wake.add(change.key.clone()),
            // A claim that went while its pod still needs it is made again.
            Object::PersistentVolumeClaim(claim) => {
                let pod = claim.meta.controller().filter(|owner| owner.kind == Kind::Pod);
                let pod = pod.map(|owner| Key::new(Kind::Pod, claim.meta.namespace.clone(), owner.name.clone()));
                pod.filter(|pod| view.get(pod).is_some()).into_iter().for_each(|pod| wake.add(pod));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(pod) = cx.view.fetch_key::<Pod>(key).filter(|pod| !pod.meta.deleting()).cloned() else {
            return Requeue::Done;
        };
        for volume in pod.spec.volumes.iter().filter(|volume| volume.source == VolumeSource::Ephemeral) {
            let name = Name::from(format!("{}-{}", pod.meta.name, volume.name));
            match cx.view.fetch::<PersistentVolumeClaim>(&key.namespace, &name) {
                None => cx.write_all(claim(&pod, &volume.name, name).into_iter().collect()),
                Some(have) if have.meta.controller().is_none_or(|owner| owner.uid != pod.meta.uid) => {
                    // Somebody else's claim stands in the way; a person has to look.
                    return Requeue::Backoff;
                }
                Some(_) => {}
            }
        }
        Requeue::Done
    }
}

/// The claim of a volume, as its template says.
fn claim(pod: &Arc<Pod>, volume: &Name, name: Name) -> Option<Write> {
    let volumes = pod.spec.raw.get("volumes")?.as_array()?;
    let written = volumes.iter().find(|written| written["name"] == volume.as_str())?;
    let template = written.pointer("/ephemeral/volumeClaimTemplate")?;
    let mut object = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": template["spec"]});
    let given = |field: &str| template["metadata"].get(field).cloned().unwrap_or(Value::Null);
    object["metadata"] = json!({"name": name.as_str(), "namespace": pod.meta.namespace.as_str(),
        "labels": given("labels"), "annotations": given("annotations")});
    let mut object = decode::object(&object).ok()?;
    object.meta_mut().owners.push(controller_reference(Kind::Pod, &pod.meta));
    Some(Write::Create(object))
}
