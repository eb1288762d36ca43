//! Attaches volumes to the nodes of the pods that use them, and detaches them afterwards
//! (`pkg/controller/volume/attachdetach/`).
//!
//! A worked example: a pod is bound to `big-1` → a VolumeAttachment is written, the driver attaches the disk, the
//! node's `volumesAttached` says so, the kubelet mounts it → the pod is gone and the kubelet has unmounted
//! (`volumesInUse`) → the VolumeAttachment is deleted. A node that is down never says that it has unmounted: its
//! volumes stay attached for six minutes after the pod is gone, unless the node is tainted out of service.
//!
//! One thing to know: a pod counts until it is deleted or has ended. A pod that is being deleted on a node that is
//! down does neither, so its volume waits for somebody to force it.

mod wishes;

use crate::model::storage::CSIDriver;
use crate::model::{
    Key, Kind, Meta, Name, Node, Object, PersistentVolume, PersistentVolumeClaim, Pod, Resource, Truth,
    VolumeAttachment, hash,
};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Patch, Preconditions, View, Write};
use crate::time::{SimDuration, SimTime};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wishes::{Wish, wishes};

/// The component in events.
const SOURCE: Name = crate::name!("attachdetach-controller");
/// Between two passes (`DefaultTimerConfig.ReconcilerLoopPeriod`).
const PERIOD: SimDuration = SimDuration::from_millis(100);
/// How long a node may take to unmount before a volume is taken from it (`ReconcilerMaxWaitForUnmountDuration`).
const MAX_WAIT_FOR_UNMOUNT: SimDuration = SimDuration::from_secs(360);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// The attach and detach controller.
#[derive(Debug, Default)]
pub struct AttachDetach {
    /// Since when a volume is to be detached: node and volume.
    unwanted: BTreeMap<(Name, Name), SimTime>,
    /// Nodes that wait for a volume which is attached elsewhere.
    blocked: BTreeMap<Name, BTreeSet<Name>>,
    /// What users have been told: node and volume, and the text.
    told: BTreeMap<(Name, Name), Name>,
}

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 10, ..ActorSettings::default() }
}

fn node_key(name: &Name) -> Key {
    Key::cluster(Kind::Node, name.clone())
}

impl Controller for AttachDetach {
    fn name(&self) -> &'static str {
        "persistentvolume-attach-detach-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[
            Kind::Pod,
            Kind::Node,
            Kind::PersistentVolume,
            Kind::PersistentVolumeClaim,
            Kind::CSIDriver,
            Kind::VolumeAttachment,
        ]
    }

    fn follows(&self, change: &Change) -> bool {
        match change.object() {
            Object::Pod(pod) => {
                let facts = |pod: &Pod| (pod.node.clone(), wishes::ended(pod));
                let old = change.old.as_ref().and_then(Object::pod);
                let same = change.new.is_some() && old.is_some_and(|old| facts(old) == facts(pod));
                !same && pod.claims().next().is_some()
            }
            Object::Node(node) => {
                let facts = |node: &Node| (node.volumes_in_use.clone(), node.ready(), out_of_service(node));
                let used = |node: &Node| !node.volumes_in_use.is_empty();
                let touched = used(node) || !node.volumes_attached.is_empty();
                let old = change.old.as_ref().and_then(Object::node);
                old.is_none_or(|old| facts(old) != facts(node) && (touched || used(old)))
            }
            object => matches!(object, Object::PersistentVolumeClaim(_) | Object::VolumeAttachment(_)),
        }
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        let mut look = |node: &Name| wake.add_after(node_key(node), PERIOD);
        match change.object() {
            Object::Pod(pod) => pod.node.iter().for_each(look),
            Object::Node(node) => look(&node.meta.name),
            Object::PersistentVolumeClaim(claim) => {
                let users = view.list_in::<Pod>(&claim.meta.namespace);
                for pod in users.filter(|pod| pod.claims().any(|(name, _)| name == claim.meta.name)) {
                    pod.node.iter().for_each(&mut look);
                }
            }
            Object::VolumeAttachment(attachment) => {
                look(&attachment.node);
                if change.new.is_none() {
                    self.blocked.remove(&attachment.volume).into_iter().flatten().for_each(|node| look(&node));
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let node = cx.view.node(&key.name).cloned();
        let wishes = wishes(&key.name, cx.view);
        let here = cx.view.list::<VolumeAttachment>().filter(|attachment| attachment.node == key.name);
        let attachments: Vec<Arc<VolumeAttachment>> = here.cloned().collect();
        self.report(&key.name, node.as_deref(), &wishes, &attachments, cx);
        let mut wait: Option<SimDuration> = None;
        for attachment in attachments.iter().filter(|attachment| !attachment.meta.deleting()) {
            let entry = (key.name.clone(), attachment.volume.clone());
            if wishes.contains_key(&attachment.volume) {
                self.unwanted.remove(&entry);
                continue;
            }
            let since = *self.unwanted.entry(entry.clone()).or_insert(cx.now);
            match may_detach(node.as_deref(), attachment, since, cx) {
                Ok(()) => {
                    self.unwanted.remove(&entry);
                    let preconditions = Preconditions::uid(attachment.meta.uid);
                    let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
                    cx.write(Write::Delete(attachment.key(), options));
                }
                Err(later) => wait = later.into_iter().chain(wait).min(),
            }
        }
        for (volume, wish) in &wishes {
            if attachments.iter().all(|attachment| attachment.volume != *volume) {
                self.attach(&key.name, wish, cx);
            }
        }
        wait.map_or(Requeue::Done, Requeue::After)
    }
}

fn out_of_service(node: &Node) -> bool {
    node.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE)
}

/// Whether a volume that nobody wants on the node any more may be taken from it; else when to ask again, unless a
/// change tells (`pkg/controller/volume/attachdetach/reconciler/reconciler.go`).
fn may_detach(
    node: Option<&Node>,
    attachment: &VolumeAttachment,
    since: SimTime,
    cx: &Cx<'_>,
) -> Result<(), Option<SimDuration>> {
    let volume = cx.view.fetch::<PersistentVolume>(&Name::new(), &attachment.volume);
    let unique = volume.and_then(|volume| volume.unique_name());
    let mounted = match (node, unique) {
        (Some(node), Some(unique)) => node.volumes_in_use.contains(&unique),
        // What a node that is gone had mounted when it went stays mounted for all that is known.
        (None, _) => attachment.attached,
        (Some(_), None) => false,
    };
    if !mounted || node.is_some_and(out_of_service) {
        return Ok(());
    }
    let waited = cx.now - since;
    if waited < MAX_WAIT_FOR_UNMOUNT {
        return Err(Some(MAX_WAIT_FOR_UNMOUNT - waited));
    }
    match node.is_some_and(|node| node.ready() == Truth::True) {
        // A healthy node is trusted to unmount in the end.
        true => Err(None),
        false => Ok(()),
    }
}

impl AttachDetach {
    /// Writes `status.volumesAttached` of the node, and tells users how their volumes stand.
    fn report(
        &mut self,
        name: &Name,
        node: Option<&Node>,
        wishes: &BTreeMap<Name, Wish>,
        attachments: &[Arc<VolumeAttachment>],
        cx: &mut Cx<'_>,
    ) {
        self.told.retain(|(node, volume), _| node != name || wishes.contains_key(volume));
        let mut attached = Vec::new();
        for attachment in attachments.iter().filter(|attachment| !attachment.meta.deleting()) {
            let Some(wish) = wishes.get(&attachment.volume) else { continue };
            let shown = wish.volume.meta.name.as_str();
            if attachment.attached {
                attached.extend(wish.volume.unique_name());
                let message = format!("AttachVolume.Attach succeeded for volume {shown:?} ");
                self.tell(name, wish, false, crate::name!("SuccessfulAttachVolume"), message, cx);
            } else if !attachment.attach_error.is_empty() {
                let message = format!("AttachVolume.Attach failed for volume {shown:?} : {}", attachment.attach_error);
                self.tell(name, wish, true, crate::name!("FailedAttachVolume"), message, cx);
            }
        }
        // A volume that is about to be detached is no longer promised to the kubelet; wishes come in order of name.
        attached.sort_unstable();
        if node.is_some_and(|node| node.volumes_attached != attached) {
            cx.write(Write::Patch(node_key(name), Patch::VolumesAttached(attached), Preconditions::default()));
        }
    }

    /// Tells the pods that want a volume, once for each text.
    fn tell(&mut self, node: &Name, wish: &Wish, warning: bool, reason: Name, message: String, cx: &mut Cx<'_>) {
        let entry = (node.clone(), wish.volume.meta.name.clone());
        let message = Name::from(message);
        if self.told.insert(entry, message.clone()).as_ref() == Some(&message) {
            return;
        }
        for pod in &wish.pods {
            cx.event(&Object::Pod(pod.clone()), warning, SOURCE, reason.clone(), message.clone());
        }
    }

    /// Asks for a volume to be attached, unless only one node at a time may have it and another has it.
    fn attach(&mut self, node: &Name, wish: &Wish, cx: &mut Cx<'_>) {
        let volume = &wish.volume;
        let name = volume.meta.name.clone();
        let others = cx.view.list::<VolumeAttachment>().filter(|other| other.volume == name && other.node != *node);
        let others: Vec<Name> = others.map(|other| other.node.clone()).collect();
        if volume.one_node() && !others.is_empty() {
            self.blocked.entry(name).or_default().insert(node.clone());
            return self.tell_multi_attach(node, wish, &others, cx);
        }
        let text = format!("{}{}{node}", volume.handle, volume.driver);
        let digest = [hash::content_hash(&json!(text)), hash::content_hash(&json!([text]))];
        let mut meta = Meta::named("", format!("csi-{:016x}{:016x}", digest[0], digest[1]));
        meta.annotations = crate::model::Labels::EMPTY;
        let attachment = VolumeAttachment {
            meta,
            attacher: volume.driver.clone(),
            node: node.clone(),
            volume: name,
            attached: false,
            attach_error: Name::new(),
            detach_error: Name::new(),
            raw: Arc::new(json!({"spec": {}, "status": {}})),
        };
        cx.write(Write::Create(attachment.into_object()));
    }

    /// `reportMultiAttachError`: each pod learns which pods of its own namespace have the volume.
    fn tell_multi_attach(&mut self, node: &Name, wish: &Wish, others: &[Name], cx: &mut Cx<'_>) {
        let shown = wish.volume.meta.name.as_str();
        let view = cx.view;
        let uses = |pod: &&Arc<Pod>| wishes::volumes_of(pod, view).any(|volume| volume.meta.name == shown);
        let holders: Vec<&Arc<Pod>> = others.iter().flat_map(|other| view.pods_on(other)).filter(uses).collect();
        let why = match wish.pods.first() {
            Some(pod) if !holders.is_empty() => {
                let near = |holder: &&&Arc<Pod>| holder.meta.namespace == pod.meta.namespace;
                let names: Vec<&str> = holders.iter().filter(near).map(|holder| holder.meta.name.as_str()).collect();
                let far = holders.len() - names.len();
                match (names.is_empty(), far) {
                    (true, far) => format!("Volume is already used by {far} pod(s) in different namespaces"),
                    (false, 0) => format!("Volume is already used by pod(s) {}", names.join(", ")),
                    (false, far) => format!(
                        "Volume is already used by pod(s) {} and {far} pod(s) in different namespaces",
                        names.join(", ")
                    ),
                }
            }
            _ => "Volume is already exclusively attached to one node and can't be attached to another".to_string(),
        };
        let entry = (node.clone(), wish.volume.meta.name.clone());
        // Upstream says it once for each wish, whatever becomes of the holders.
        if !self.told.get(&entry).is_some_and(|told| told.starts_with("Multi-Attach")) {
            let message = format!("Multi-Attach error for volume {shown:?} {why}");
            self.tell(node, wish, true, crate::name!("FailedAttachVolume"), message, cx);
        }
    }
}

/// Whether volumes of this driver are attached before they are mounted.
fn attachable(driver: &Name, view: View<'_>) -> bool {
    let object = view.fetch::<CSIDriver>(&Name::new(), driver);
    !driver.is_empty() && object.is_none_or(|driver| driver.attach_required)
}

/// The volume of a claim that is bound.
fn volume_of(claim: &PersistentVolumeClaim, view: View<'_>) -> Option<Arc<PersistentVolume>> {
    let volume = view.fetch::<PersistentVolume>(&Name::new(), &claim.volume).filter(|_| claim.bound())?;
    volume.is_for(claim).then(|| volume.clone())
}
