//! Makes and deletes volumes (`github.com/kubernetes-csi/external-provisioner`, `pkg/controller/controller.go`;
//! `github.com/kubernetes-sigs/sig-storage-lib-external-provisioner`, `controller/controller.go`).
//!
//! A worked example: a claim is marked for the driver, and for node `big-1` by the scheduler → a disk in that node's
//! zone is asked for → some seconds later the volume exists, promised to the claim and bound to the zone → the claim
//! is deleted, the volume becomes Released, its class says Delete → the disk goes, then the volume.

use super::disks::{Progress, Provider, Request, Requests, ZONE};
use crate::model::selector::{NodeSelectorTerm, Operator, Requirement};
use crate::model::storage::{
    ClaimReference, PROVISIONED_BY, PROVISIONER, ReclaimPolicy, SELECTED_NODE, VolumePhase, csi_driver,
};
use crate::model::{
    Key, Kind, Labels, Meta, Name, Node, NodeSelector, Object, PersistentVolume, PersistentVolumeClaim, Resource,
    StorageClass, VolumeAttachment,
};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Patch, Preconditions, View, Write};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Keeps a volume until its disk is deleted.
pub const FINALIZER: Name = crate::name!("external-provisioner.volume.kubernetes.io/finalizer");

/// The provisioner of every driver.
#[derive(Debug)]
pub struct Provisioner {
    provider: Provider,
    requests: Requests,
}

impl Provisioner {
    /// That of a provider.
    pub fn new(provider: Provider) -> Self {
        Provisioner { provider, requests: Requests::default() }
    }
}

impl Controller for Provisioner {
    fn name(&self) -> &'static str {
        "csi-provisioner"
    }

    fn watches(&self) -> &'static [Kind] {
        &[
            Kind::PersistentVolume,
            Kind::PersistentVolumeClaim,
            Kind::StorageClass,
            Kind::Node,
            Kind::CSINode,
            Kind::VolumeAttachment,
        ]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match &change.new {
            Some(Object::PersistentVolumeClaim(claim)) if wanted(claim) => wake.add(change.key.clone()),
            Some(Object::PersistentVolume(volume)) if superfluous(volume) => wake.add(change.key.clone()),
            None => self.requests.forget(&change.key),
            Some(_) => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        match key.kind {
            Kind::PersistentVolumeClaim => match cx.view.fetch_key::<PersistentVolumeClaim>(key).cloned() {
                Some(claim) if wanted(&claim) => self.provision(&claim, cx),
                _ => Requeue::Done,
            },
            _ => match cx.view.fetch_key::<PersistentVolume>(key).cloned() {
                Some(volume) if superfluous(&volume) => self.delete(&volume, cx),
                _ => Requeue::Done,
            },
        }
    }
}

/// Whether a volume is to be made for the claim.
fn wanted(claim: &PersistentVolumeClaim) -> bool {
    claim.volume.is_empty() && !claim.meta.deleting() && claim.meta.annotations.get(&PROVISIONER).is_some()
}

/// Whether the volume's disk is to be deleted.
fn superfluous(volume: &PersistentVolume) -> bool {
    let ours = volume.meta.annotations.get(&PROVISIONED_BY).is_some_and(|driver| *driver == volume.driver);
    ours && volume.phase == VolumePhase::Released && volume.reclaim == ReclaimPolicy::Delete
}

impl Provisioner {
    fn provision(&mut self, claim: &Arc<PersistentVolumeClaim>, cx: &mut Cx<'_>) -> Requeue {
        let name = Name::from(format!("pvc-{}", claim.meta.uid));
        let Some(class) = cx.view.fetch::<StorageClass>(&Name::new(), &claim.class()).cloned() else {
            return Requeue::Done;
        };
        let selected = claim.meta.annotations.get(&SELECTED_NODE).cloned();
        let exists = cx.view.fetch::<PersistentVolume>(&Name::new(), &name).is_some();
        if exists || (class.wait_for_first_consumer && selected.is_none()) {
            return Requeue::Done;
        }
        let driver = csi_driver(&class.provisioner);
        let object = Object::PersistentVolumeClaim(claim.clone());
        let failed = |cx: &mut Cx<'_>, why: String| {
            let class = class.meta.name.as_str();
            let message = format!("failed to provision volume with StorageClass {class:?}: {why}");
            cx.event(&object, true, driver.clone(), crate::name!("ProvisioningFailed"), message);
        };
        let zone = match zone(claim, &class, selected.as_ref(), cx.view) {
            Ok(zone) => zone,
            Err(why) => {
                failed(cx, format!("error generating accessibility requirements: {why}"));
                return Requeue::Backoff;
            }
        };
        match self.requests.ask(&self.provider, &driver, Request::Create, &claim.key(), (cx.now, cx.seed)) {
            Progress::Begun(time) => {
                let (namespace, name) = (&claim.meta.namespace, &claim.meta.name);
                let message = format!("External provisioner is provisioning volume for claim \"{namespace}/{name}\"");
                cx.event(&object, false, driver, crate::name!("Provisioning"), message);
                Requeue::After(time)
            }
            Progress::UnderWay(time) => Requeue::After(time),
            Progress::Failed => {
                failed(cx, "rpc error: code = Internal desc = the provider could not create the disk".to_string());
                Requeue::Backoff
            }
            Progress::Done if zone.as_ref().is_some_and(|zone| self.provider.is_full(&driver, zone)) => {
                let zone = zone.unwrap_or_default();
                failed(cx, format!("rpc error: code = ResourceExhausted desc = no more disks in zone {zone:?}"));
                if selected.is_none() {
                    return Requeue::Backoff;
                }
                // The scheduler is to choose again (`rescheduleProvisioning`).
                let none = Patch::Annotations(vec![(SELECTED_NODE, None)]);
                cx.write(Write::Patch(claim.key(), none, Preconditions::uid(claim.meta.uid)));
                Requeue::Done
            }
            Progress::Done => {
                let message = format!("Successfully provisioned volume {name}");
                let volume = volume(name, claim, &class, &driver, zone);
                cx.write(Write::Create(volume.into_object()));
                cx.event(&object, false, driver, crate::name!("ProvisioningSucceeded"), message);
                Requeue::Done
            }
        }
    }

    fn delete(&mut self, volume: &Arc<PersistentVolume>, cx: &mut Cx<'_>) -> Requeue {
        let attached = cx.view.list::<VolumeAttachment>().find(|attachment| attachment.volume == volume.meta.name);
        let (object, driver) = (Object::PersistentVolume(volume.clone()), volume.driver.clone());
        let failed = |cx: &mut Cx<'_>, why: String| {
            cx.event(&object, true, driver.clone(), crate::name!("VolumeFailedDelete"), why);
        };
        if let Some(attachment) = attached {
            let name = &volume.meta.name;
            failed(cx, format!("persistentvolume {name} is still attached to node {}", attachment.node));
            return Requeue::Backoff;
        }
        match self.requests.ask(&self.provider, &driver, Request::Delete, &volume.key(), (cx.now, cx.seed)) {
            Progress::Begun(time) | Progress::UnderWay(time) => Requeue::After(time),
            Progress::Failed => {
                failed(cx, "rpc error: code = Internal desc = the provider could not delete the disk".to_string());
                Requeue::Backoff
            }
            Progress::Done => {
                let preconditions = Preconditions::uid(volume.meta.uid);
                let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
                cx.write(Write::Delete(volume.key(), options));
                if volume.meta.finalizers.contains(&FINALIZER) {
                    cx.write(Write::Patch(volume.key(), Patch::RemoveFinalizer(FINALIZER), preconditions));
                }
                Requeue::Done
            }
        }
    }
}

/// The zone of a new disk: that of the selected node; else one of those that nodes are in and the class allows, dealt
/// by the claim's name so that the claims of a stateful set spread
/// (`pkg/controller/topology.go`, `GenerateAccessibilityRequirements`).
fn zone(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    selected: Option<&Name>,
    view: View<'_>,
) -> Result<Option<Name>, String> {
    if let Some(name) = selected {
        let node = view.node(name).ok_or_else(|| format!("failed to get target node: node {name:?} not found"))?;
        return Ok(zone_of(node));
    }
    let zones: BTreeSet<Name> = view.list::<Node>().filter_map(|node| zone_of(node)).collect();
    let allows = |zone: &Name| class.allows(&Labels::from_iter([(ZONE, zone.clone())]));
    let zones: Vec<Name> = zones.into_iter().filter(allows).collect();
    let at = spread(&claim.meta.name) as usize;
    match zones.len() {
        0 if class.allowed_topologies.terms.is_empty() => Ok(None),
        0 => Err("no available topology found".to_string()),
        count => Ok(Some(zones[at % count].clone())),
    }
}

fn zone_of(node: &Node) -> Option<Name> {
    node.meta.labels.get(&ZONE).cloned()
}

/// Where the dealing of zones begins for a claim of this name: `data-web-2` is two on from what `web` hashes to
/// (`getPVCNameHashAndIndexOffset`).
fn spread(claim: &str) -> u32 {
    let numbered = claim.rsplit_once('-').and_then(|(rest, last)| Some((rest, last.parse::<u32>().ok()?)));
    let (name, index) = match numbered {
        Some((rest, index)) => (rest.rsplit_once('-').map_or(rest, |(_, set)| set), index),
        None => (claim, 0),
    };
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte));
    hash.wrapping_add(index)
}

fn volume(
    name: Name,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    driver: &Name,
    zone: Option<Name>,
) -> PersistentVolume {
    let mut meta = Meta::named("", name.clone());
    meta.annotations = Labels::from_iter([(PROVISIONED_BY, driver.clone())]);
    meta.finalizers = vec![FINALIZER];
    let term = |zone: &Name| {
        let requirement = Requirement { key: ZONE, operator: Operator::In, values: vec![zone.clone()] };
        NodeSelectorTerm { expressions: vec![requirement], fields: Vec::new() }
    };
    let mut spec = json!({
        "accessModes": claim.access_modes.iter().map(|mode| mode.as_str()).collect::<Vec<_>>(),
        "csi": {"driver": driver.as_str(), "volumeHandle": name.as_str()},
        "persistentVolumeReclaimPolicy": class.reclaim.as_str(),
        "storageClassName": class.meta.name.as_str(),
        "volumeMode": if claim.block { "Block" } else { "Filesystem" },
    });
    if let Some(zone) = &zone {
        let expression = json!({"key": ZONE.as_str(), "operator": "In", "values": [zone.as_str()]});
        spec["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}});
    }
    PersistentVolume {
        meta,
        capacity: claim.request,
        access_modes: claim.access_modes.clone(),
        class: class.meta.name.clone(),
        block: claim.block,
        claim: Some(ClaimReference {
            namespace: claim.meta.namespace.clone(),
            name: claim.meta.name.clone(),
            uid: claim.meta.uid,
        }),
        node_affinity: zone.as_ref().map(|zone| NodeSelector { terms: vec![term(zone)] }),
        driver: driver.clone(),
        handle: name,
        reclaim: class.reclaim,
        phase: VolumePhase::Pending,
        message: Name::new(),
        raw: Arc::new(json!({"spec": spec, "status": {}})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_a_stateful_set_take_turns() {
        // FNV-1 of "web" is the start: 32 bits, 0x811c9dc5 times 0x01000193, then the byte, three times.
        let start = spread("data-web-0");
        for (claim, on) in [("data-web-1", 1), ("logs-web-2", 2), ("data-web-10", 10), ("web", 0)] {
            assert_eq!(spread(claim), start.wrapping_add(on), "{claim}");
        }
        assert_eq!(spread(""), 0x811c_9dc5);
        // 0x811c9dc5 * 0x01000193 mod 2^32 = 0x050c5d1f, with 'a' (0x61): 0x050c5d7e, as published for FNV-1.
        assert_eq!(spread("a"), 0x050c_5d7e);
    }
}
