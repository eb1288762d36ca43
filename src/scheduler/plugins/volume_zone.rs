//! VolumeZone: a volume that carries zone labels goes to nodes of that zone
//! (`pkg/scheduler/framework/plugins/volumezone/volume_zone.go`).

use crate::model::{Name, Object, PersistentVolume};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{Candidates, Code, Cycle, Plugin, Point, PreFilter, Reasons, State, state_of};
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::storage::not_found;

/// The plugin.
pub struct VolumeZone;

/// The labels that count, and the newer name of each.
const LABELS: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// A label of one of the pod's volumes: label, its newer name, values.
#[derive(Clone, PartialEq, Debug)]
struct Place {
    label: &'static str,
    newer: &'static str,
    values: Vec<String>,
}

/// The zone labels of a volume; several values are joined by `__`, and a list with an empty one is ignored
/// (`staging/src/k8s.io/cloud-provider/volume/helpers/zones.go`).
fn places(volume: &PersistentVolume) -> Vec<Place> {
    let place = |(label, newer): &(&'static str, &'static str)| {
        let values: Vec<String> =
            volume.meta.labels.get(label)?.split("__").map(|value| value.trim().to_string()).collect();
        let whole = values.iter().all(|value| !value.is_empty());
        whole.then_some(Place { label, newer, values })
    };
    LABELS.iter().filter_map(place).collect()
}

/// The places of all of the pod's volumes, or why they cannot be told.
fn all_places(cycle: Cycle<'_>) -> Result<Vec<Place>, Name> {
    let storage = &cycle.snapshot.listers.storage;
    let mut found = Vec::new();
    for name in &cycle.pod.spec.claims {
        if name.is_empty() {
            return Err(name!("PersistentVolumeClaim had no name"));
        }
        let claim = storage.claim(cycle.pod.namespace(), name);
        let claim = claim.ok_or_else(|| not_found("persistentvolumeclaim", name))?;
        if claim.volume.is_empty() {
            let class = claim.class();
            if class.is_empty() {
                return Err(name!("PersistentVolumeClaim had no pv name and storageClass name"));
            }
            match storage.class(&class) {
                None => return Err(not_found("storageclass.storage.k8s.io", &class)),
                Some(class) if class.wait_for_first_consumer => continue,
                Some(_) => return Err(name!("PersistentVolume had no name")),
            }
        }
        let volume = storage.volume(&claim.volume).ok_or_else(|| not_found("persistentvolume", &claim.volume))?;
        found.extend(places(volume));
    }
    Ok(found)
}

impl Plugin for VolumeZone {
    fn name(&self) -> &'static str {
        "VolumeZone"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter]
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        match all_places(cycle) {
            Ok(places) if places.is_empty() => PreFilter::Skip,
            Ok(places) => PreFilter::Run(Some(Box::new(places))),
            Err(reason) => PreFilter::Reject(Code::Unresolvable, Reasons::from_elem(reason, 1)),
        }
    }

    fn filter(&self, cycle: Cycle<'_>, state: &State, nodes: &mut Candidates<'_>) {
        let Some(places) = state_of::<Vec<Place>>(state) else { return };
        nodes.retain(Code::Unresolvable, name!("node(s) had no available volume zone"), |node| {
            let labels = &cycle.snapshot.node(node).meta.labels;
            let nowhere = LABELS.iter().all(|(label, _)| labels.get(label).is_none());
            let there = |place: &Place| {
                let value = labels.get(place.label).or_else(|| labels.get(place.newer));
                value.is_some_and(|value| place.values.iter().any(|one| one == value.as_str()))
            };
            nowhere || places.iter().all(there)
        });
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::NodeAdd(_) => Hint::Queue,
            Occasion::NodeUpdate { what, .. } => Hint::from(what.labels),
            Occasion::Storage { old, new: Some(new) } => match (old, new) {
                (None, Object::StorageClass(class)) => Hint::from(class.wait_for_first_consumer),
                (_, Object::PersistentVolumeClaim(claim)) => {
                    let own = *pod.namespace() == claim.meta.namespace && pod.spec.claims.contains(&claim.meta.name);
                    Hint::from(own)
                }
                (None, Object::PersistentVolume(_)) => Hint::Queue,
                (Some(Object::PersistentVolume(old)), Object::PersistentVolume(new)) => {
                    Hint::from(places(old) != places(new))
                }
                _ => Hint::Skip,
            },
            _ => Hint::Skip,
        }
    }
}
