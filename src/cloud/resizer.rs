//! Makes volumes larger (`github.com/kubernetes-csi/external-resizer`, `pkg/controller/controller.go`;
//! `pkg/controller/volume/expand/expand_controller.go`).
//!
//! A worked example: a bound claim of a class with `allowVolumeExpansion` asks for 20Gi instead of 10Gi → the disk
//! grows, then the volume's capacity → the file system grows with it while it is mounted, and the claim has 20Gi.

use super::disks::{Progress, Provider, Request, Requests};
use crate::model::storage::ClaimPhase;
use crate::model::{Key, Kind, Name, Object, PersistentVolume, PersistentVolumeClaim, Resource};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use std::sync::Arc;

/// The resizer of every driver.
#[derive(Debug)]
pub struct Resizer {
    provider: Provider,
    requests: Requests,
}

impl Resizer {
    /// That of a provider.
    pub fn new(provider: Provider) -> Self {
        Resizer { provider, requests: Requests::default() }
    }
}

fn grows(claim: &PersistentVolumeClaim) -> bool {
    claim.phase == ClaimPhase::Bound && claim.request > claim.capacity
}

impl Controller for Resizer {
    fn name(&self) -> &'static str {
        "csi-resizer"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::PersistentVolume, Kind::PersistentVolumeClaim]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match &change.new {
            Some(Object::PersistentVolumeClaim(claim)) if grows(claim) => wake.add(change.key.clone()),
            None => self.requests.forget(&change.key),
            Some(_) => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(claim) = cx.view.fetch_key::<PersistentVolumeClaim>(key).filter(|claim| grows(claim)).cloned() else {
            return Requeue::Done;
        };
        let volume = cx.view.fetch::<PersistentVolume>(&Name::new(), &claim.volume).cloned();
        match volume {
            Some(volume) if !volume.driver.is_empty() && volume.is_for(&claim) => self.grow(&claim, &volume, cx),
            _ => Requeue::Done,
        }
    }
}

impl Resizer {
    fn grow(&mut self, claim: &Arc<PersistentVolumeClaim>, volume: &Arc<PersistentVolume>, cx: &mut Cx<'_>) -> Requeue {
        let object = Object::PersistentVolumeClaim(claim.clone());
        let source = Name::from(format!("external-resizer {}", volume.driver));
        if volume.capacity < claim.request {
            match self.requests.ask(&self.provider, &volume.driver, Request::Resize, &claim.key(), (cx.now, cx.seed)) {
                Progress::Begun(time) => {
                    let message = format!("External resizer is resizing volume {}", volume.meta.name);
                    cx.event(&object, false, source, crate::name!("Resizing"), message);
                    return Requeue::After(time);
                }
                Progress::UnderWay(time) => return Requeue::After(time),
                Progress::Failed => {
                    let name = volume.meta.name.as_str();
                    let message = format!(
                        "resize volume {name:?} by resizer {:?} failed: rpc error: code = Internal desc = the provider could not resize the disk",
                        volume.driver.as_str()
                    );
                    cx.event(&object, true, source, crate::name!("VolumeResizeFailed"), message);
                    return Requeue::Backoff;
                }
                Progress::Done => {
                    let mut larger = PersistentVolume::clone(volume);
                    larger.capacity = claim.request;
                    cx.write(Write::Update(larger.into_object()));
                }
            }
        }
        let mut has = PersistentVolumeClaim::clone(claim);
        has.capacity = claim.request;
        cx.write(Write::UpdateStatus(has.into_object()));
        let message = "Resize volume succeeded";
        cx.event(&object, false, source, crate::name!("VolumeResizeSuccessful"), message);
        Requeue::Done
    }
}
