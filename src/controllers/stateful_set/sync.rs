//! One sync of a stateful set: from what is there to what must be written
//! (`pkg/controller/statefulset/stateful_set_control.go`, `updateStatefulSet`).
//!
//! A worked example: `db` wishes 3 and has `db-0` ready and `db-1` starting. OrderedReady waits for `db-1`; Parallel
//! makes `db-2` at once.

use super::super::shared::{PodControl, history, pod_control, slow_start};
use super::identity;
use super::status;
use crate::model::sets::{StatefulSetStatus, StatefulSetUpdate, keys};
use crate::model::{ControllerRevision, Name, PersistentVolumeClaim, Phase, Pod, PodTemplate, Resource, StatefulSet};
use crate::runtime::{Order, Told};
use crate::store::{EventRecord, Patch, Preconditions, StoreError, Write};
use crate::time::SimTime;
use std::sync::Arc;

/// What a sync looks at.
pub struct Input<'a> {
    /// The instant.
    pub now: SimTime,
    /// The set.
    pub set: &'a StatefulSet,
    /// Its pods.
    pub pods: &'a [Arc<Pod>],
    /// Its revision of before.
    pub current: &'a ControllerRevision,
    /// The revision of its template.
    pub update: &'a ControllerRevision,
    /// Hash collisions so far.
    pub collisions: i32,
    /// Claims by name.
    pub claim: &'a dyn Fn(&Name) -> Option<Arc<PersistentVolumeClaim>>,
    /// Whether the feature gate `MaxUnavailableStatefulSet` is on.
    pub max_unavailable: bool,
    /// Makes the events.
    pub control: &'a PodControl,
}

/// What a sync wants.
#[derive(Debug, Default)]
pub struct Plan {
    /// Writes, group after group.
    pub groups: Vec<Vec<Order>>,
    /// Events besides those of the writes.
    pub events: Vec<EventRecord>,
    /// The status to report.
    pub status: StatefulSetStatus,
    /// Whether it could not do what it should, and must try again.
    pub failed: bool,
}

/// A pod that is there, or one to be made.
struct Replica {
    pod: Arc<Pod>,
    ordinal: i32,
    created: bool,
}

/// What is to be done about one replica, in three steps.
#[derive(Default)]
struct Work {
    before: Vec<Order>,
    pod: Vec<Order>,
    after: Vec<Order>,
    /// In an ordered set, nothing more is done this time.
    stop: bool,
    failed: bool,
}

/// One sync.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut sync = Sync { input, plan: Plan::default(), first_unavailable: None };
    let (replicas, condemned) = sync.split();
    let counts = |current_less: i32| {
        let pods = replicas.iter().chain(&condemned).filter(|replica| replica.created).map(|replica| &*replica.pod);
        status::of(input, pods, current_less)
    };
    sync.plan.status = status::of(input, input.pods.iter().map(|pod| &**pod), 0);
    if input.set.meta.deleting() {
        return sync.plan;
    }
    let unavailable = |replica: &&Replica| is_unavailable(input, &replica.pod);
    let first = replicas.iter().find(unavailable).or_else(|| condemned.iter().rev().find(unavailable));
    sync.first_unavailable = first.map(|replica| replica.ordinal);
    sync.plan.status = counts(0);
    if sync.keep(&replicas) || sync.fix_claims(&condemned) || sync.condemn(&condemned) {
        return sync.plan;
    }
    let deleted = sync.roll(&replicas);
    sync.plan.status = counts(deleted);
    sync.plan
}

/// Not available, or on its way out.
fn is_unavailable(input: &Input<'_>, pod: &Pod) -> bool {
    pod.meta.deleting() || !pod.is_available(input.set.min_ready_seconds, input.now)
}

pub(super) fn is_running_and_ready(pod: &Pod) -> bool {
    pod.status.phase == Phase::Running && pod.is_ready()
}

struct Sync<'a, 'b> {
    input: &'a Input<'b>,
    plan: Plan,
    first_unavailable: Option<i32>,
}

impl Sync<'_, '_> {
    /// The wished pods by ordinal, missing ones made up, and the others, highest ordinal first.
    fn split(&self) -> (Vec<Replica>, Vec<Replica>) {
        let Input { set, pods, .. } = *self.input;
        let known =
            |pod: &Arc<Pod>| Some(Replica { ordinal: identity::ordinal(set, pod)?, pod: pod.clone(), created: true });
        let (mut replicas, mut condemned): (Vec<_>, Vec<_>) =
            pods.iter().filter_map(known).partition(|replica| identity::in_range(set, replica.ordinal));
        let first = set.first_ordinal();
        for ordinal in first..first.saturating_add(set.replicas) {
            if !replicas.iter().any(|replica| replica.ordinal == ordinal) {
                replicas.push(Replica { pod: Arc::new(self.missing(ordinal)), ordinal, created: false });
            }
        }
        replicas.sort_by_key(|replica| replica.ordinal);
        condemned.sort_by_key(|replica| std::cmp::Reverse(replica.ordinal));
        (replicas, condemned)
    }

    /// The pod for a missing place: below the partition it is of the current revision (`newVersionedStatefulSetPod`).
    fn missing(&self, ordinal: i32) -> Pod {
        let Input { set, current, update, .. } = *self.input;
        let kept = match set.update {
            StatefulSetUpdate::OnDelete => 0,
            StatefulSetUpdate::RollingUpdate(None) => set.status.current,
            StatefulSetUpdate::RollingUpdate(Some(rolling)) => rolling.partition,
        };
        let revision = if ordinal < set.first_ordinal().saturating_add(kept) { current } else { update };
        let template: &PodTemplate = history::template_of(revision).unwrap_or(&set.template);
        identity::new_pod(set, template, revision, ordinal)
    }

    /// Sees to every wished pod, one after the other or all at once; whether the sync ends here.
    fn keep(&mut self, replicas: &[Replica]) -> bool {
        if !self.input.set.parallel {
            for replica in replicas {
                let work = self.keep_one(replica, true);
                let (stop, failed) = (work.stop, work.failed);
                self.take(vec![work]);
                if stop || failed {
                    return true;
                }
            }
            return false;
        }
        for batch in slow_start(replicas.iter().collect()) {
            let works: Vec<Work> = batch.into_iter().map(|replica| self.keep_one(replica, false)).collect();
            let failed = works.iter().any(|work| work.failed);
            self.take(works);
            if failed {
                return true;
            }
        }
        false
    }

    /// Enters what is to be done side by side.
    fn take(&mut self, works: Vec<Work>) {
        let (mut before, mut pods, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for work in works {
            self.plan.failed |= work.failed;
            before.extend(work.before);
            pods.extend(work.pod);
            after.extend(work.after);
        }
        self.plan.groups.extend([before, pods, after].into_iter().filter(|group| !group.is_empty()));
    }

    /// `processReplica`.
    fn keep_one(&mut self, replica: &Replica, ordered: bool) -> Work {
        let Input { set, now, .. } = *self.input;
        let pod = &replica.pod;
        let mut work = Work { stop: true, ..Work::default() };
        if pod.status.phase.terminal() {
            if !pod.meta.deleting() {
                work.pod.push(self.delete(pod));
            }
            return work;
        }
        if !replica.created {
            let stale = |claim: &PersistentVolumeClaim| identity::is_stale(set, claim, &pod.meta);
            let claims = identity::claims(set, replica.ordinal);
            if claims.iter().filter_map(|claim| (self.input.claim)(&claim.meta.name)).any(|claim| stale(&claim)) {
                return work;
            }
            self.ensure_claims(replica, &mut work);
            if !work.failed {
                work.pod.push(self.create(pod));
            }
            return work;
        }
        if pod.status.phase == Phase::Pending {
            self.ensure_claims(replica, &mut work);
            if work.failed {
                return work;
            }
        }
        let waits = pod.meta.deleting() || !is_running_and_ready(pod) || !pod.is_available(set.min_ready_seconds, now);
        if waits && ordered {
            return work;
        }
        work.stop = false;
        self.correct(replica, &mut work);
        work
    }

    /// Creates missing claims and corrects their owners; fails while one is on its way out.
    fn ensure_claims(&mut self, replica: &Replica, work: &mut Work) {
        let (set, pod) = (self.input.set, &replica.pod);
        for claim in identity::claims(set, replica.ordinal) {
            match (self.input.claim)(&claim.meta.name) {
                None => {
                    let owners = identity::corrected_owners(set, &pod.meta, replica.ordinal, &claim);
                    let key = identity::claim_key(set, &claim.meta.name);
                    work.before.push(self.create_claim(claim, &pod.meta.name));
                    for owner in owners.into_iter().flatten() {
                        work.after
                            .push(Write::Patch(key.clone(), Patch::AddOwner(owner), Preconditions::default()).into());
                    }
                }
                Some(there) if there.meta.deleting() => {
                    let error = format!("pvc {} is being deleted", there.meta.name);
                    self.plan.events.push(self.failure(&pod.meta.name, "Create", &error));
                    work.failed = true;
                }
                Some(there) => work.after.extend(self.corrected(replica, &there)),
            }
        }
    }

    /// The write that gives a claim the owners it should have, and the event if somebody else controls it.
    fn corrected(&mut self, replica: &Replica, claim: &Arc<PersistentVolumeClaim>) -> Option<Order> {
        let set = self.input.set;
        let owners = identity::corrected_owners(set, &replica.pod.meta, replica.ordinal, claim)?;
        if identity::has_other_controller(set, &replica.pod.meta, claim) {
            let message = format!(
                "PersistentVolumeClaim {} has a conflicting OwnerReference that acts as a managing controller, the retention policy is ignored for this claim",
                claim.meta.name
            );
            self.plan.events.push(self.input.control.event(true, crate::name!("ConflictingController"), message));
        }
        let mut updated = PersistentVolumeClaim::clone(claim);
        updated.meta.owners = owners;
        Some(Write::Update(updated.into_object()).into())
    }

    /// Gives a pod its labels back, and its claims their owners (`UpdateStatefulPod`).
    fn correct(&mut self, replica: &Replica, work: &mut Work) {
        let (set, pod) = (self.input.set, &replica.pod);
        let claims: Vec<_> = identity::claims(set, replica.ordinal)
            .iter()
            .filter_map(|claim| (self.input.claim)(&claim.meta.name))
            .collect();
        for claim in claims {
            work.before.extend(self.corrected(replica, &claim));
        }
        if !identity::storage_matches(set, pod, replica.ordinal) {
            self.ensure_claims(replica, work);
        }
        if !identity::identity_matches(pod) {
            let labels = vec![
                (keys::POD_NAME, Some(pod.meta.name.clone())),
                (keys::POD_INDEX, Some(Name::from(replica.ordinal.to_string()))),
            ];
            let write = Write::Patch(pod.key(), Patch::Labels(labels), Preconditions::uid(pod.meta.uid));
            work.pod.push(Order::telling(write, self.told(&pod.meta.name, "Update")));
        }
    }

    /// The claims of pods that go: they may have to go with them.
    fn fix_claims(&mut self, condemned: &[Replica]) -> bool {
        for batch in self.batches(condemned) {
            let mut writes = Vec::new();
            for replica in batch {
                for claim in identity::claims(self.input.set, replica.ordinal) {
                    let there = (self.input.claim)(&claim.meta.name);
                    writes.extend(there.and_then(|claim| self.corrected(replica, &claim)));
                }
            }
            if !writes.is_empty() {
                self.plan.groups.push(writes);
            }
        }
        false
    }

    fn batches<'r>(&self, replicas: &'r [Replica]) -> Vec<Vec<&'r Replica>> {
        match self.input.set.parallel {
            true => slow_start(replicas.iter().collect()),
            false => replicas.iter().map(|replica| vec![replica]).collect(),
        }
    }

    /// Deletes pods beyond the wished number; whether the sync ends here (`processCondemned`).
    fn condemn(&mut self, condemned: &[Replica]) -> bool {
        let ordered = !self.input.set.parallel;
        for batch in self.batches(condemned) {
            let mut deletes = Vec::new();
            for replica in batch {
                let pod = &replica.pod;
                let healthy = is_running_and_ready(pod) && !is_unavailable(self.input, pod);
                let first = self.first_unavailable == Some(replica.ordinal);
                if ordered && (pod.meta.deleting() || (!healthy && !first)) {
                    return true;
                }
                if !pod.meta.deleting() {
                    deletes.push(self.delete(pod));
                }
            }
            let any = !deletes.is_empty();
            self.plan.groups.extend(any.then_some(deletes));
            if ordered {
                return true;
            }
        }
        false
    }

    /// Deletes pods of old revisions, from the highest down; how many of the current revision that takes.
    fn roll(&mut self, replicas: &[Replica]) -> i32 {
        let Input { set, update, .. } = *self.input;
        let rolling = match set.update {
            StatefulSetUpdate::OnDelete => return 0,
            StatefulSetUpdate::RollingUpdate(rolling) => rolling,
        };
        let partition = usize::try_from(rolling.map_or(0, |rolling| rolling.partition)).unwrap_or(0);
        let targets = || replicas.iter().skip(partition).rev();
        let outdated = |replica: &Replica| {
            replica.pod.meta.labels.get(&keys::REVISION_HASH) != Some(&update.meta.name) && !replica.pod.meta.deleting()
        };
        if self.input.max_unavailable {
            let unavailable = replicas.iter().filter(|replica| is_unavailable(self.input, &replica.pod)).count();
            let limit = rolling.and_then(|rolling| rolling.max_unavailable);
            let limit = limit.map_or(1, |limit| limit.down(set.replicas).max(1));
            let room = usize::try_from(limit).unwrap_or(1).saturating_sub(unavailable);
            let deletes: Vec<Order> = targets()
                .filter(|replica| outdated(replica))
                .take(room)
                .map(|replica| self.delete(&replica.pod))
                .collect();
            let count = deletes.len() as i32;
            self.plan.groups.extend(deletes.into_iter().map(|delete| vec![delete]));
            return count;
        }
        for replica in targets() {
            if outdated(replica) {
                let delete = self.delete(&replica.pod);
                self.plan.groups.push(vec![delete]);
                return 1;
            }
            if is_unavailable(self.input, &replica.pod) {
                return 0;
            }
        }
        0
    }

    // ---- orders ----

    fn create(&self, pod: &Pod) -> Order {
        let told = Told {
            quiet: |error| matches!(error, StoreError::AlreadyExists(_)),
            ..self.told(&pod.meta.name, "Create")
        };
        Order::telling(Write::Create(pod.clone().into_object()), told)
    }

    fn delete(&self, pod: &Pod) -> Order {
        Order::telling(pod_control::delete(pod), self.told(&pod.meta.name, "Delete"))
    }

    fn create_claim(&self, claim: PersistentVolumeClaim, pod: &Name) -> Order {
        let (set, name) = (&self.input.set.meta.name, claim.meta.name.clone());
        let control = self.input.control;
        let done = format!("Create Claim {name} Pod {pod} in StatefulSet {set} success");
        let refused = format!("Create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {{}}");
        let told = Told {
            done: vec![control.event(false, crate::name!("SuccessfulCreate"), done)],
            refused: vec![
                control.event(true, crate::name!("FailedCreate"), refused),
                self.failure(pod, "Create", &format!("failed to create PVC {name}: {{}}")),
            ],
            quiet: |error| matches!(error, StoreError::AlreadyExists(_)),
        };
        Order::telling(Write::Create(claim.into_object()), told)
    }

    /// What is told about a pod (`recordPodEvent`).
    fn told(&self, pod: &Name, verb: &str) -> Told {
        let message = format!("{verb} Pod {pod} in StatefulSet {} successful", self.input.set.meta.name);
        Told {
            done: vec![self.input.control.event(false, Name::from(format!("Successful{verb}")), message)],
            refused: vec![self.failure(pod, verb, "{}")],
            quiet: |_| false,
        }
    }

    fn failure(&self, pod: &Name, verb: &str, error: &str) -> EventRecord {
        let message = format!("{verb} Pod {pod} in StatefulSet {} failed error: {error}", self.input.set.meta.name);
        self.input.control.event(true, Name::from(format!("Failed{verb}")), message)
    }
}
