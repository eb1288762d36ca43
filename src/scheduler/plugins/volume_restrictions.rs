//! VolumeRestrictions: a disk that one node can write to, a claim that one pod can use
//! (`pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go`).

use crate::model::pod_spec::{Disk, DiskId, VolumeSource};
use crate::model::{Name, Object, Pod};
use crate::name;
use crate::scheduler::hint::{Hint, Occasion};
use crate::scheduler::plugin::{
    Candidates, Code, Cycle, NodeId, Plugin, Point, PreFilter, Reasons, State, state_of, state_of_mut,
};
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::storage::{not_found, uses};

/// The plugin.
pub struct VolumeRestrictions;

/// The pod's claims that one pod at a time may use, and how often other pods use them.
#[derive(Clone, Default)]
struct OnePodClaims {
    names: Vec<Name>,
    uses: i64,
}

impl OnePodClaims {
    /// Like upstream, this does not look at the other pod's namespace.
    fn of(&self, other: &PodInfo) -> i64 {
        other.spec.claims.iter().filter(|claim| self.names.contains(claim)).count() as i64
    }
}

fn disks(pod: &Pod) -> impl Iterator<Item = &Disk> {
    pod.spec.volumes.iter().filter_map(|volume| match &volume.source {
        VolumeSource::Disk(disk) => Some(disk),
        _ => None,
    })
}

/// Whether both disks cannot be on one node.
fn conflict(a: &Disk, b: &Disk) -> bool {
    let both_read = a.read_only && b.read_only;
    match (&a.id, &b.id) {
        (DiskId::AwsElasticBlockStore(a), DiskId::AwsElasticBlockStore(b)) => a == b,
        (DiskId::Rbd(monitors, pool, image), DiskId::Rbd(others, other_pool, other_image)) => {
            let meet = monitors.iter().any(|monitor| others.contains(monitor));
            meet && pool == other_pool && image == other_image && !both_read
        }
        (a, b) => a == b && !both_read,
    }
}

fn pods_conflict(a: &Pod, b: &Pod) -> bool {
    disks(a).any(|one| disks(b).any(|other| conflict(one, other)))
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }

    fn points(&self) -> &'static [Point] {
        &[Point::PreFilter, Point::Filter]
    }

    fn pre_filter(&self, cycle: Cycle<'_>) -> PreFilter {
        let (spec, namespace) = (&cycle.pod.spec, cycle.pod.namespace());
        let mut one_pod = OnePodClaims::default();
        for name in &spec.claims {
            match cycle.snapshot.listers.storage.claim(namespace, name) {
                None => {
                    let reason = not_found("persistentvolumeclaim", name);
                    return PreFilter::Reject(Code::Unresolvable, Reasons::from_elem(reason, 1));
                }
                Some(claim) if claim.one_pod() && !one_pod.names.contains(name) => one_pod.names.push(name.clone()),
                Some(_) => {}
            }
        }
        one_pod.uses = one_pod.names.iter().filter(|name| cycle.snapshot.claim_in_use(namespace, name)).count() as i64;
        match one_pod.uses == 0 && !spec.has_disks {
            true => PreFilter::Skip,
            false => PreFilter::Run(Some(Box::new(one_pod))),
        }
    }

    fn add_pod(&self, _: Cycle<'_>, state: &mut State, other: &PodInfo, _: NodeId) {
        if let Some(one_pod) = state_of_mut::<OnePodClaims>(state) {
            one_pod.uses += one_pod.of(other);
        }
    }

    fn remove_pod(&self, _: Cycle<'_>, state: &mut State, other: &PodInfo, _: NodeId) {
        if let Some(one_pod) = state_of_mut::<OnePodClaims>(state) {
            one_pod.uses -= one_pod.of(other);
        }
    }

    fn filter(&self, cycle: Cycle<'_>, state: &State, nodes: &mut Candidates<'_>) {
        if cycle.pod.spec.has_disks {
            let reason = name!("node(s) had no available disk");
            nodes.retain(Code::Unschedulable, reason, |node| {
                let mut there = cycle.snapshot.pods[node.at()].iter().filter(|other| other.spec.has_disks);
                !there.any(|other| pods_conflict(&cycle.pod.pod, &other.pod))
            });
        }
        if state_of::<OnePodClaims>(state).is_some_and(|one_pod| one_pod.uses > 0) {
            let reason = name!(
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
            );
            nodes.retain(Code::Unschedulable, reason, |_| false);
        }
    }

    fn helps(&self, pod: &PodInfo, occasion: &Occasion<'_>) -> Hint {
        match occasion {
            Occasion::NodeAdd(_) => Hint::Queue,
            Occasion::Storage { old: None, new: Some(Object::PersistentVolumeClaim(claim)) } => {
                Hint::from(uses(pod, claim))
            }
            Occasion::PodDelete(gone) if gone.meta.namespace == *pod.namespace() => {
                let shares = |name: &Name| {
                    gone.spec.volumes.iter().any(|volume| volume.source == VolumeSource::Claim(name.clone()))
                };
                Hint::from(pods_conflict(&pod.pod, gone) || pod.spec.claims.iter().any(shares))
            }
            _ => Hint::Skip,
        }
    }
}
