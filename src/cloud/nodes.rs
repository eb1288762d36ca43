//! Which drivers a node has: the CSINode that its kubelet keeps (`pkg/volume/csi/nodeinfomanager/nodeinfomanager.go`).
//!
//! A driver's part on the nodes runs everywhere, as the daemon set of a real driver does.

use super::disks::{Provider, ZONE, place};
use crate::model::storage::{CSIDriverOnNode, NO_PROVISIONER, csi_driver};
use crate::model::{CSINode, Key, Kind, Labels, Meta, Name, Object, OwnerReference, Resource};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use std::collections::BTreeSet;

/// Keeps the CSINode of every node.
#[derive(Debug)]
pub struct NodeDrivers {
    provider: Provider,
    drivers: BTreeSet<Name>,
}

impl NodeDrivers {
    /// Those of a provider, with drivers that are there from the start.
    pub fn new(provider: Provider, drivers: BTreeSet<Name>) -> Self {
        NodeDrivers { provider, drivers }
    }
}

/// The driver that an object brings with it.
pub(super) fn brings(object: &Object) -> Option<Name> {
    let driver = match object {
        Object::StorageClass(class) => csi_driver(&class.provisioner),
        Object::PersistentVolume(volume) => volume.driver.clone(),
        Object::CSIDriver(driver) => driver.meta.name.clone(),
        _ => return None,
    };
    let known = !driver.is_empty() && driver != NO_PROVISIONER && !driver.starts_with("kubernetes.io/");
    known.then_some(driver)
}

impl Controller for NodeDrivers {
    fn name(&self) -> &'static str {
        "csi-node-driver"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Node, Kind::StorageClass, Kind::PersistentVolume, Kind::CSIDriver, Kind::CSINode]
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match (&change.new, change.key.kind) {
            (Some(new), Kind::Node) => {
                let placed = |object: &Object| object.node().map(|node| place(node));
                if !self.drivers.is_empty() && change.old.as_ref().and_then(placed) != placed(new) {
                    wake.add(change.key.clone());
                }
            }
            (None, Kind::Node | Kind::CSINode) if !self.drivers.is_empty() => {
                wake.add(Key::cluster(Kind::Node, change.key.name.clone()));
            }
            (Some(new), _) if brings(new).is_some_and(|driver| self.drivers.insert(driver)) => {
                view.objects(Kind::Node).for_each(|node| wake.add(node.key()));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(node) = cx.view.node(&key.name).cloned() else { return Requeue::Done };
        let have = cx.view.fetch::<CSINode>(&Name::new(), &key.name);
        let mut drivers = have.map(|have| have.drivers.clone()).unwrap_or_default();
        let place: Labels = place(&node);
        for name in &self.drivers {
            // What somebody wrote by hand stands.
            if drivers.iter().all(|driver| driver.name != *name) {
                let topology_keys = place.iter().map(|_| ZONE).collect();
                let count = self.provider.per_node(name).and_then(|limit| i32::try_from(limit).ok());
                drivers.push(CSIDriverOnNode { name: name.clone(), node_id: key.name.clone(), topology_keys, count });
            }
        }
        match have {
            Some(have) if have.drivers == drivers => {}
            Some(have) => cx.write(Write::Update(CSINode { drivers, ..CSINode::clone(have) }.into_object())),
            None => {
                let mut meta = Meta::named("", key.name.clone());
                let (name, uid) = (node.meta.name.clone(), node.meta.uid);
                let owner =
                    OwnerReference { kind: Kind::Node, name, uid, controller: false, block_owner_deletion: false };
                meta.owners.push(owner);
                cx.write(Write::Create(CSINode { meta, drivers }.into_object()));
            }
        }
        Requeue::Done
    }
}
