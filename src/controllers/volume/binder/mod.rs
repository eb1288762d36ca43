//! Claims and volumes find each other (`pkg/controller/volume/persistentvolume/pv_controller.go`).
//!
//! A worked example: a claim of a class whose volumes are made at once → the claim is marked for the class's driver,
//! event ExternalProvisioning → the driver makes a volume that is promised to the claim → the volume becomes Bound,
//! then the claim. The claim is deleted → the volume becomes Released → its reclaim policy decides.
//!
//! One thing to know: upstream looks at every claim and volume every 15 s, and that is the only way in which an
//! unbound claim hears of a new volume. Here the same instants count for those that are not bound.

mod claim;
mod matching;
mod volume;

use crate::model::storage::ClaimPhase;
use crate::model::{Key, Kind, Name, Object, PersistentVolume, PersistentVolumeClaim};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, View};
use crate::time::{SimDuration, SimTime};

/// `--pvclaimbinder-sync-period`.
const PERIOD: SimDuration = SimDuration::from_secs(15);
/// The component in events.
const SOURCE: Name = crate::name!("persistentvolume-controller");

/// The persistent volume controller.
#[derive(Debug, Default)]
pub struct VolumeBinder {
    /// One of the instants at which everything is looked at; drawn when it is first needed.
    instant: Option<SimTime>,
}

/// Its machinery: one worker for claims and one for volumes.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 2, ..ActorSettings::default() }
}

impl Controller for VolumeBinder {
    fn name(&self) -> &'static str {
        "persistentvolume-binder-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::PersistentVolume, Kind::PersistentVolumeClaim]
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.object() {
            Object::PersistentVolumeClaim(claim) => {
                wake.add(change.key.clone());
                // The volume learns that its claim is gone, or bound.
                let names = [Some(claim), change.old.as_ref().and_then(Object::as_kind)];
                for claim in names.into_iter().flatten().filter(|claim| !claim.volume.is_empty()) {
                    wake.add(volume_key(&claim.volume));
                }
                if change.new.is_none() {
                    promised_to(view, claim).for_each(|volume| wake.add(volume_key(&volume.meta.name)));
                }
            }
            Object::PersistentVolume(_) => wake.add(change.key.clone()),
            _ => {}
        }
        if let (Kind::PersistentVolume, Some(claim)) = (change.key.kind, promise(change))
            && (change.new.is_none() || view.get(&claim).is_some())
        {
            wake.add(claim);
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        match key.kind {
            Kind::PersistentVolumeClaim => {
                let Some(claim) = cx.view.fetch_key::<PersistentVolumeClaim>(key).cloned() else {
                    return Requeue::Done;
                };
                claim::sync(&claim, cx);
                match claim.phase {
                    ClaimPhase::Bound => Requeue::Done,
                    ClaimPhase::Pending | ClaimPhase::Lost => Requeue::After(self.until_next(cx)),
                }
            }
            _ => {
                if let Some(volume) = cx.view.fetch_key::<PersistentVolume>(key).cloned() {
                    volume::sync(&volume, cx);
                }
                Requeue::Done
            }
        }
    }
}

impl VolumeBinder {
    /// From now to the next instant of the period.
    fn until_next(&mut self, cx: &Cx<'_>) -> SimDuration {
        let instant = *self.instant.get_or_insert_with(|| {
            let mut stream = cx.seed.stream("phase", "persistentvolume-binder-controller");
            cx.now + SimDuration(stream.below(PERIOD.0.unsigned_abs()) as i64)
        });
        SimDuration(PERIOD.0 - (cx.now - instant).0.rem_euclid(PERIOD.0))
    }
}

fn volume_key(name: &Name) -> Key {
    Key::cluster(Kind::PersistentVolume, name.clone())
}

/// The claim that a changed volume is promised to.
fn promise(change: &Change) -> Option<Key> {
    let Object::PersistentVolume(volume) = change.object() else { return None };
    let claim = volume.claim.as_ref()?;
    Some(Key::new(Kind::PersistentVolumeClaim, claim.namespace.clone(), claim.name.clone()))
}

/// The volumes that are promised to a claim.
fn promised_to<'a>(
    view: View<'a>,
    claim: &'a PersistentVolumeClaim,
) -> impl Iterator<Item = &'a std::sync::Arc<PersistentVolume>> + use<'a> {
    view.list::<PersistentVolume>().filter(move |volume| volume.is_for(claim))
}
