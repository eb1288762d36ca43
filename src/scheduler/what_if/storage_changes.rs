//! What volumes could give way in: a claim that exists, a volume that is there, a limit that is higher.

use super::{Candidate, Class, Edit, Situation};
use crate::model::storage::{BIND_COMPLETED, ClaimPhase, NO_PROVISIONER, VolumePhase};
use crate::model::{Meta, Name, Object, PersistentVolume, PersistentVolumeClaim, StorageClass};
use crate::name;
use std::sync::Arc;

/// Proposes changes around each of the pod's claims, if a plugin of volumes said something.
pub(super) fn propose(situation: &Situation<'_>, out: &mut Vec<Candidate>) {
    const PLUGINS: [&str; 4] = ["VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"];
    if !PLUGINS.iter().any(|plugin| situation.blames(plugin)) {
        return;
    }
    let storage = &situation.snapshot.listers.storage;
    for (name, ephemeral) in situation.pod.claims() {
        match storage.claim(&situation.pod.meta.namespace, &name) {
            None if ephemeral => {}
            None => missing_claim(situation, &name, out),
            Some(claim) => claim_changes(situation, claim, out),
        }
    }
    limits(situation, out);
}

fn change(object: String, text: String, objects: Vec<Object>, out: &mut Vec<Candidate>) {
    let (topic, edit) = (text.clone(), Edit::Storage(objects));
    out.push(Candidate { class: Class::Storage, size: 1, object, text, topic, edit });
}

/// A claim of each class that makes volumes where the pod goes.
fn missing_claim(situation: &Situation<'_>, name: &Name, out: &mut Vec<Candidate>) {
    let meta = Meta::named(situation.pod.meta.namespace.clone(), name.clone());
    let shown = format!("{}/{name}", meta.namespace);
    let classes = situation.snapshot.listers.storage.classes();
    for class in classes.filter(|class| class.wait_for_first_consumer && class.provisioner != NO_PROVISIONER) {
        let claim = PersistentVolumeClaim {
            meta: meta.clone(),
            request: 1,
            access_modes: vec![name!("ReadWriteOnce")],
            class: Some(class.meta.name.clone()),
            volume: Name::new(),
            selector: None,
            block: false,
            phase: ClaimPhase::Pending,
            capacity: 0,
            bound_modes: Vec::new(),
            raw: Arc::default(),
        };
        let text = format!("create the claim {shown} of class {}", class.meta.name);
        change(format!("PersistentVolumeClaim {shown}"), text, vec![Object::PersistentVolumeClaim(claim.into())], out);
    }
}

fn claim_changes(situation: &Situation<'_>, claim: &Arc<PersistentVolumeClaim>, out: &mut Vec<Candidate>) {
    let storage = &situation.snapshot.listers.storage;
    let shown = format!("{}/{}", claim.meta.namespace, claim.meta.name);
    if claim.one_pod() && situation.blames("VolumeRestrictions") {
        let access_modes = vec![name!("ReadWriteMany")];
        let new = PersistentVolumeClaim { access_modes, ..PersistentVolumeClaim::clone(claim) };
        let text = format!("let several pods use the claim {shown}: ReadWriteMany instead of ReadWriteOncePod");
        change(format!("PersistentVolumeClaim {shown}"), text, vec![Object::PersistentVolumeClaim(new.into())], out);
    }
    match storage.volume(&claim.volume) {
        Some(volume) => reach(volume, out),
        None if claim.bound() => {
            let name = &claim.volume;
            let text = format!("create the volume {name}, which the claim {shown} is bound to");
            let volume = volume_for(claim, name.clone());
            change(format!("PersistentVolume {name}"), text, vec![Object::PersistentVolume(volume.into())], out);
        }
        None => unbound(claim, storage.class(&claim.class()), &shown, out),
    }
}

/// The volume as if every node could use it.
fn reach(volume: &Arc<PersistentVolume>, out: &mut Vec<Candidate>) {
    let name = &volume.meta.name;
    let object = format!("PersistentVolume {name}");
    if volume.node_affinity.is_some() {
        let new = PersistentVolume { node_affinity: None, ..PersistentVolume::clone(volume) };
        let text = format!("remove the node affinity of volume {name}");
        change(object.clone(), text, vec![Object::PersistentVolume(new.into())], out);
    }
    for (key, value) in
        volume.meta.labels.iter().filter(|(key, _)| key.contains("topology") || key.contains("failure-domain"))
    {
        let mut new = PersistentVolume::clone(volume);
        new.meta.labels = new.meta.labels.without(key);
        let text = format!("remove the label {key}={value} from volume {name}");
        change(object.clone(), text, vec![Object::PersistentVolume(new.into())], out);
    }
}

/// A volume for a claim that has none, or a class that waits for the pod.
fn unbound(
    claim: &Arc<PersistentVolumeClaim>,
    class: Option<&Arc<StorageClass>>,
    shown: &str,
    out: &mut Vec<Candidate>,
) {
    let name = Name::from(format!("volume-for-{}", claim.meta.name));
    let waits = class.is_some_and(|class| class.wait_for_first_consumer);
    if let Some(class) = class {
        let mut new = StorageClass { wait_for_first_consumer: true, ..StorageClass::clone(class) };
        let name = &new.meta.name.clone();
        let object = format!("StorageClass {name}");
        if !waits {
            let text = format!("let class {name} wait for the first consumer (volumeBindingMode)");
            change(object, text, vec![Object::StorageClass(new.into())], out);
        } else if !new.allowed_topologies.terms.is_empty() {
            new.allowed_topologies.terms.clear();
            let text = format!("remove the allowedTopologies of class {name}");
            change(object, text, vec![Object::StorageClass(new.into())], out);
        }
    }
    let size = super::node_changes::shown("memory", claim.request);
    let mut volume = volume_for(claim, name.clone());
    let of_class = match volume.class.as_str() {
        "" => "without a class".to_string(),
        class => format!("of class {class}"),
    };
    let text = format!("create a volume {of_class} with {size} for the claim {shown}");
    let mut objects = Vec::new();
    if waits {
        volume.claim = None;
        volume.phase = VolumePhase::Available;
    } else {
        // The volume controller binds them before the pod is tried again.
        let mut bound = PersistentVolumeClaim::clone(claim);
        bound.volume = name.clone();
        bound.phase = ClaimPhase::Bound;
        bound.meta.annotations = bound.meta.annotations.with(BIND_COMPLETED, "yes");
        objects.push(Object::PersistentVolumeClaim(bound.into()));
    }
    objects.push(Object::PersistentVolume(volume.into()));
    change(format!("PersistentVolume {name}"), text, objects, out);
}

/// A volume that every node reaches and the claim can have.
fn volume_for(claim: &PersistentVolumeClaim, name: Name) -> PersistentVolume {
    let mut meta = Meta::named("", name);
    let wanted = claim.selector.iter().flat_map(|selector| &selector.requirements);
    for requirement in wanted {
        if let Some(value) = requirement.values.first() {
            meta.labels = meta.labels.with(requirement.key.clone(), value.clone());
        }
    }
    PersistentVolume {
        meta,
        capacity: claim.request,
        access_modes: claim.access_modes.clone(),
        class: claim.class(),
        block: claim.block,
        claim: None,
        node_affinity: None,
        driver: Name::new(),
        handle: Name::new(),
        phase: VolumePhase::Bound,
        reclaim: crate::model::storage::ReclaimPolicy::default(),
        message: Name::new(),
        raw: Arc::default(),
    }
}

/// Room for one more volume on a node that is full of them.
fn limits(situation: &Situation<'_>, out: &mut Vec<Candidate>) {
    for node in situation.rejected_by("NodeVolumeLimits", "") {
        let Some(drivers) = situation.snapshot.listers.storage.csi_node(&node.meta.name) else { continue };
        for (at, driver) in drivers.drivers.iter().enumerate() {
            let Some(limit) = driver.count else { continue };
            for more in 1..=4 {
                let mut new = crate::model::CSINode::clone(drivers);
                new.drivers[at].count = Some(limit + more);
                let (name, driver) = (&node.meta.name, &driver.name);
                let text = format!(
                    "raise the volume limit of driver {driver} on node {name} from {limit} to {}",
                    limit + more
                );
                let (object, topic) = (format!("CSINode {name}"), format!("limit of {driver}"));
                let edit = Edit::Storage(vec![Object::CSINode(new.into())]);
                let size = 1 + u64::from(more.unsigned_abs());
                out.push(Candidate { class: Class::Storage, size, object, text, topic, edit });
            }
        }
    }
}
