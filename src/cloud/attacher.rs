//! Attaches disks to machines and detaches them (`github.com/kubernetes-csi/external-attacher`,
//! `pkg/controller/csi_handler.go`).
//!
//! A worked example: somebody writes a VolumeAttachment of volume and node → the disk is attached some seconds later,
//! and the status says so → the VolumeAttachment is deleted → the disk is detached, then the object goes.

use super::disks::{Progress, Provider, Request, Requests};
use crate::model::{Key, Kind, Name, Object, PersistentVolume, Resource, VolumeAttachment};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, Patch, Preconditions, View, Write};
use std::sync::Arc;

/// The attacher of every driver.
#[derive(Debug)]
pub struct Attacher {
    provider: Provider,
    requests: Requests,
}

impl Attacher {
    /// That of a provider.
    pub fn new(provider: Provider) -> Self {
        Attacher { provider, requests: Requests::default() }
    }
}

/// The finalizer by which a driver keeps attachments and volumes (`GetFinalizerName`).
fn finalizer(driver: &str) -> Name {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    Name::from(format!("external-attacher/{}", driver.chars().map(plain).collect::<String>()))
}

impl Controller for Attacher {
    fn name(&self) -> &'static str {
        "csi-attacher"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::VolumeAttachment, Kind::PersistentVolume, Kind::Node]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match (change.object(), &change.new) {
            (Object::VolumeAttachment(attachment), new) => {
                wake.add(change.key.clone());
                if new.is_none() {
                    self.requests.forget(&change.key);
                    wake.add(Key::cluster(Kind::PersistentVolume, attachment.volume.clone()));
                }
            }
            (Object::PersistentVolume(volume), Some(_)) if volume.meta.deleting() => wake.add(change.key.clone()),
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        if key.kind == Kind::PersistentVolume {
            release(key, cx);
            return Requeue::Done;
        }
        match cx.view.fetch_key::<VolumeAttachment>(key).cloned() {
            Some(attachment) if attachment.meta.deleting() => self.detach(&attachment, cx),
            Some(attachment) if !attachment.attached => self.attach(&attachment, cx),
            _ => Requeue::Done,
        }
    }
}

/// Lets go of a volume that is being deleted and is attached nowhere.
fn release(key: &Key, cx: &mut Cx<'_>) {
    let Some(volume) = cx.view.fetch_key::<PersistentVolume>(key) else { return };
    let ours = finalizer(&volume.driver);
    let attached = cx.view.list::<VolumeAttachment>().any(|attachment| attachment.volume == key.name);
    if volume.meta.deleting() && !attached && volume.meta.finalizers.contains(&ours) {
        let preconditions = Preconditions::uid(volume.meta.uid);
        cx.write(Write::Patch(key.clone(), Patch::RemoveFinalizer(ours), preconditions));
    }
}

impl Attacher {
    fn attach(&mut self, attachment: &Arc<VolumeAttachment>, cx: &mut Cx<'_>) -> Requeue {
        let (ours, key) = (finalizer(&attachment.attacher), attachment.key());
        let Some(volume) = cx.view.fetch::<PersistentVolume>(&Name::new(), &attachment.volume).cloned() else {
            let why = format!("persistentvolume {:?} not found", attachment.volume.as_str());
            return fail(attachment, why, cx);
        };
        for (key, meta) in [(key.clone(), &attachment.meta), (volume.key(), &volume.meta)] {
            if !meta.finalizers.contains(&ours) {
                let preconditions = Preconditions::uid(meta.uid);
                cx.write(Write::Patch(key, Patch::AddFinalizer(ours.clone()), preconditions));
            }
        }
        if let Some(why) = self.refusal(attachment, &volume, cx.view) {
            return fail(attachment, why, cx);
        }
        match self.requests.ask(&self.provider, &attachment.attacher, Request::Attach, &key, (cx.now, cx.seed)) {
            Progress::Begun(time) | Progress::UnderWay(time) => Requeue::After(time),
            Progress::Failed => {
                let why = "rpc error: code = Internal desc = the provider could not attach the disk".to_string();
                fail(attachment, why, cx)
            }
            Progress::Done => {
                let mut done = VolumeAttachment::clone(attachment);
                (done.attached, done.attach_error, done.meta.resource_version) = (true, Name::new(), 0);
                cx.write(Write::UpdateStatus(done.into_object()));
                Requeue::Done
            }
        }
    }

    /// Why the provider does not even try: the disk is elsewhere, or the machine has as many as it takes.
    fn refusal(&self, attachment: &VolumeAttachment, volume: &PersistentVolume, view: View<'_>) -> Option<String> {
        let others = || view.list::<VolumeAttachment>().filter(|other| other.attached);
        let elsewhere = others().find(|other| other.volume == attachment.volume && other.node != attachment.node);
        if let Some(other) = elsewhere.filter(|_| volume.one_node()) {
            return Some(format!(
                "rpc error: code = FailedPrecondition desc = volume {:?} is already attached to node {:?}",
                volume.handle.as_str(),
                other.node.as_str()
            ));
        }
        let limit = self.provider.per_node(&attachment.attacher)?;
        let there = others().filter(|other| other.node == attachment.node && other.attacher == attachment.attacher);
        (there.count() >= limit as usize).then(|| {
            format!(
                "rpc error: code = ResourceExhausted desc = node {:?} has as many disks as it takes ({limit})",
                attachment.node.as_str()
            )
        })
    }

    fn detach(&mut self, attachment: &Arc<VolumeAttachment>, cx: &mut Cx<'_>) -> Requeue {
        let (ours, key) = (finalizer(&attachment.attacher), attachment.key());
        if !attachment.meta.finalizers.contains(&ours) {
            return Requeue::Done;
        }
        match self.requests.ask(&self.provider, &attachment.attacher, Request::Detach, &key, (cx.now, cx.seed)) {
            Progress::Begun(time) | Progress::UnderWay(time) => Requeue::After(time),
            Progress::Failed => {
                let why = "rpc error: code = Internal desc = the provider could not detach the disk";
                let mut failed = VolumeAttachment::clone(attachment);
                failed.detach_error = Name::from(why);
                cx.write(Write::UpdateStatus(failed.into_object()));
                Requeue::Backoff
            }
            Progress::Done => {
                let preconditions = Preconditions::uid(attachment.meta.uid);
                cx.write(Write::Patch(key, Patch::RemoveFinalizer(ours), preconditions));
                Requeue::Done
            }
        }
    }
}

/// Says in the attachment why it is not done, and tries again later.
fn fail(attachment: &VolumeAttachment, why: String, cx: &mut Cx<'_>) -> Requeue {
    if attachment.attach_error != why.as_str() {
        let mut failed = VolumeAttachment::clone(attachment);
        (failed.attach_error, failed.meta.resource_version) = (Name::from(why), 0);
        cx.write(Write::UpdateStatus(failed.into_object()));
    }
    Requeue::Backoff
}
