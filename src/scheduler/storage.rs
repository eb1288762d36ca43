//! Volumes, claims, classes and drivers as the scheduler hears of them.

use super::pod_info::PodInfo;
use crate::model::{CSINode, Key, Kind, Name, Object, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Look-up tables of everything about volumes.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    volumes: FxHashMap<Name, Arc<PersistentVolume>>,
    by_class: BTreeMap<Name, BTreeSet<Name>>,
    claims: FxHashMap<(Name, Name), Arc<PersistentVolumeClaim>>,
    classes: FxHashMap<Name, Arc<StorageClass>>,
    csi_nodes: FxHashMap<Name, Arc<CSINode>>,
    /// By driver, the smallest limit that any node ever had.
    least_limits: FxHashMap<Name, i32>,
}

/// Why a pod's claim cannot be looked up, as the API server would say it.
pub(super) fn not_found(kind: &str, name: &str) -> Name {
    Name::from(format!("{kind} {name:?} not found"))
}

/// Whether `claim` is one of the pod's.
pub(super) fn uses(pod: &PodInfo, claim: &PersistentVolumeClaim) -> bool {
    pod.spec.has_claims
        && *pod.namespace() == claim.meta.namespace
        && pod.pod.claims().any(|(name, _)| name == claim.meta.name)
}

/// A volume on a node as attach limits count it: the driver, and the volume's name or that of the claim that
/// has no volume yet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Attachment {
    pub driver: Name,
    volume: Name,
    claim: Option<(Name, Name)>,
}

impl Storage {
    /// Takes a new version of an object in; false if its kind is none of these.
    pub fn set(&mut self, object: &Object) -> bool {
        let name = object.meta().name.clone();
        match object {
            Object::PersistentVolume(new) => {
                self.forget_volume(&name);
                self.by_class.entry(new.class().clone()).or_default().insert(name.clone());
                self.volumes.insert(name, new.clone());
            }
            Object::PersistentVolumeClaim(new) => {
                self.claims.insert((new.meta.namespace.clone(), name), new.clone());
            }
            Object::StorageClass(new) => drop(self.classes.insert(name, new.clone())),
            Object::CSINode(new) => {
                for (driver, limit) in new.drivers.iter().filter_map(|d| Some((&d.name, d.count?))) {
                    let least = self.least_limits.entry(driver.clone()).or_insert(limit);
                    *least = limit.min(*least);
                }
                self.csi_nodes.insert(name, new.clone());
            }
            _ => return false,
        }
        true
    }

    /// An object went; false if its kind is none of these.
    pub fn forget(&mut self, key: &Key) -> bool {
        match key.kind {
            Kind::PersistentVolume => self.forget_volume(&key.name),
            Kind::PersistentVolumeClaim => drop(self.claims.remove(&(key.namespace.clone(), key.name.clone()))),
            Kind::StorageClass => drop(self.classes.remove(&key.name)),
            Kind::CSINode => drop(self.csi_nodes.remove(&key.name)),
            _ => return false,
        }
        true
    }

    fn forget_volume(&mut self, name: &Name) {
        if let Some(old) = self.volumes.remove(name)
            && let Some(class) = self.by_class.get_mut(old.class())
        {
            class.remove(name);
        }
    }

    /// A volume.
    pub fn volume(&self, name: &Name) -> Option<&Arc<PersistentVolume>> {
        self.volumes.get(name)
    }

    /// The volumes of a class, by name.
    pub fn volumes_of(&self, class: &Name) -> impl Iterator<Item = &Arc<PersistentVolume>> {
        self.by_class.get(class).into_iter().flatten().map(|name| &self.volumes[name])
    }

    /// A claim.
    pub fn claim(&self, namespace: &Name, name: &Name) -> Option<&Arc<PersistentVolumeClaim>> {
        self.claims.get(&(namespace.clone(), name.clone()))
    }

    /// A class.
    pub fn class(&self, name: &Name) -> Option<&Arc<StorageClass>> {
        self.classes.get(name)
    }

    /// Every class, by name.
    pub fn classes(&self) -> impl Iterator<Item = &Arc<StorageClass>> {
        self.classes.values().map(|class| (&class.meta.name, class)).collect::<BTreeMap<_, _>>().into_values()
    }

    /// What is known under this key, if its kind is one of these.
    pub fn get(&self, key: &Key) -> Option<Object> {
        let claim = || self.claim(&key.namespace, &key.name).cloned().map(Object::PersistentVolumeClaim);
        match key.kind {
            Kind::PersistentVolume => self.volume(&key.name).cloned().map(Object::PersistentVolume),
            Kind::PersistentVolumeClaim => claim(),
            Kind::StorageClass => self.class(&key.name).cloned().map(Object::StorageClass),
            Kind::CSINode => self.csi_node(&key.name).cloned().map(Object::CSINode),
            _ => None,
        }
    }

    /// The drivers of a node.
    pub fn csi_node(&self, name: &Name) -> Option<&Arc<CSINode>> {
        self.csi_nodes.get(name)
    }

    /// No node takes fewer volumes of `driver` than this, if any limits them.
    pub(super) fn least_limit(&self, driver: &Name) -> Option<i32> {
        self.least_limits.get(driver).copied()
    }

    /// What the pod attaches to its node through CSI drivers
    /// (`pkg/scheduler/framework/plugins/nodevolumelimits/csi.go`). Volumes of in-tree plugins that moved to
    /// CSI drivers are not counted.
    pub(super) fn attachments(&self, pod: &Pod, into: &mut BTreeSet<Attachment>) {
        for (name, _) in pod.claims() {
            let Some(claim) = self.claim(&pod.meta.namespace, &name) else { continue };
            let attachment = match self.volume(&claim.volume) {
                Some(volume) => {
                    Attachment { driver: volume.driver.clone(), volume: volume.handle.clone(), claim: None }
                }
                None => {
                    let class = self.class(&claim.class());
                    let driver = class.map(|class| class.provisioner.clone()).unwrap_or_default();
                    Attachment { driver, volume: Name::new(), claim: Some((pod.meta.namespace.clone(), name)) }
                }
            };
            if !attachment.driver.is_empty() {
                into.insert(attachment);
            }
        }
    }
}
