//! One pass over a deployment: what to write, given what is there. No store, no runtime: what goes in is
//! the deployment and its replica sets, what comes out are writes, events and when to look again
//! (`pkg/controller/deployment/{deployment_controller,sync,rolling,recreate,rollback}.go`).

use super::super::shared::history::template_hash;
use super::status::{self, words};
use super::{math, revision};
use crate::model::workload::{DeploymentStatus, Strategy, keys};
use crate::model::{Deployment, Kind, Meta, Name, PodTemplate, ReplicaSet, Resource, Truth, Uid, condition};
use crate::store::{DeleteOptions, Preconditions, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a pass starts from.
pub struct Input<'a> {
    /// The virtual time.
    pub now: SimTime,
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The replica sets that it controls.
    pub sets: Vec<Arc<ReplicaSet>>,
    /// Whether a replica set of that name exists.
    pub name_taken: &'a dyn Fn(&Name) -> bool,
    /// Whether a set has pods that are not over.
    pub has_running_pods: &'a dyn Fn(Uid) -> bool,
}

/// An event: warning, reason, message.
pub type EventText = (bool, Name, String);

/// What a pass asks for.
#[derive(Debug, Default)]
pub struct Plan {
    /// Writes, one after the other.
    pub writes: Vec<Write>,
    /// Events on the deployment.
    pub events: Vec<EventText>,
    /// Look again after this long.
    pub again: Option<SimDuration>,
}

/// Decides one pass (`syncDeployment`).
pub fn plan(input: &Input<'_>) -> Plan {
    let mut pass = Pass::new(input);
    pass.run();
    pass.plan
}

/// Only the sizes of a paused or resized deployment's sets (`scale`).
pub fn scale_plan(input: &Input<'_>) -> Plan {
    let mut pass = Pass::new(input);
    pass.scale();
    pass.plan
}

/// A pass under way.
struct Pass<'a> {
    input: &'a Input<'a>,
    /// The deployment with the status written so far.
    deployment: Deployment,
    new: Option<Arc<ReplicaSet>>,
    old: Vec<Arc<ReplicaSet>>,
    deployment_written: bool,
    sets_written: BTreeSet<Name>,
    plan: Plan,
}

impl<'a> Pass<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let deployment = Deployment::clone(&input.deployment);
        let (new, old) = revision::split(&deployment, input.sets.clone());
        let (deployment_written, sets_written) = (false, BTreeSet::new());
        Pass { input, deployment, new, old, deployment_written, sets_written, plan: Plan::default() }
    }

    fn run(&mut self) {
        if self.deployment.selector.is_empty() {
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.event(true, crate::name!("SelectingAll"), message);
            if self.deployment.status.observed_generation < self.deployment.meta.generation {
                self.deployment.status.observed_generation = self.deployment.meta.generation;
                self.write_status();
            }
            return;
        }
        if self.deployment.meta.deleting() {
            self.sync_revision();
            return self.write_counts();
        }
        self.paused_condition();
        if self.deployment.paused {
            return self.scale_only();
        }
        if self.deployment.meta.annotations.get(&keys::ROLLBACK_TO).is_some() {
            return self.rollback();
        }
        let wish = self.deployment.replicas;
        let resized = |set: &Arc<ReplicaSet>| {
            set.replicas > 0 && math::number(set, &keys::DESIRED_REPLICAS).is_some_and(|desired| desired != wish)
        };
        if self.all().iter().any(resized) {
            return self.scale_only();
        }
        match self.deployment.strategy {
            Strategy::Recreate => self.recreate(),
            Strategy::RollingUpdate { .. } => self.rolling(),
        }
    }

    fn all(&self) -> Vec<Arc<ReplicaSet>> {
        self.old.iter().chain(&self.new).cloned().collect()
    }

    fn active_old(&self) -> Vec<Arc<ReplicaSet>> {
        self.old.iter().filter(|set| set.replicas > 0).cloned().collect()
    }

    // ---- writes ----

    fn event(&mut self, warning: bool, reason: Name, message: impl Into<String>) {
        self.plan.events.push((warning, reason, message.into()));
    }

    /// Writes the status. Only the first write of a pass is from a known version.
    fn write_status(&mut self) {
        let mut written = self.deployment.clone();
        if std::mem::replace(&mut self.deployment_written, true) {
            written.meta.resource_version = 0;
        }
        self.plan.writes.push(Write::UpdateStatus(written.into_object()));
    }

    fn write_set(&mut self, set: &ReplicaSet) {
        let mut written = set.clone();
        if !self.sets_written.insert(set.meta.name.clone()) {
            written.meta.resource_version = 0;
        }
        self.plan.writes.push(Write::Update(written.into_object()));
    }

    /// Gives a set a size and the annotations that go with it; true if the size changes
    /// (`scaleReplicaSet`). The set after it comes back.
    fn resize(&mut self, set: &Arc<ReplicaSet>, size: i32) -> (bool, Arc<ReplicaSet>) {
        let mut resized = ReplicaSet::clone(set);
        resized.replicas = size;
        revision::replica_annotations(&self.deployment, &mut resized);
        if resized == **set {
            return (false, set.clone());
        }
        self.write_set(&resized);
        let before = set.replicas;
        if before != size {
            let way = if size > before { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {} from {before} to {size}", set.meta.name);
            self.event(false, crate::name!("ScalingReplicaSet"), message);
        }
        (before != size, Arc::new(resized))
    }

    /// As `resize`, but leaves a set of the right size alone (`scaleReplicaSetAndRecordEvent`).
    fn scale_to(&mut self, set: &Arc<ReplicaSet>, size: i32) -> (bool, Arc<ReplicaSet>) {
        if set.replicas == size { (false, set.clone()) } else { self.resize(set, size) }
    }

    fn write_counts(&mut self) {
        let next = status::counts(&self.deployment, &self.all(), self.new.as_ref(), self.input.now);
        self.finish_status(next);
    }

    fn write_rollout(&mut self) {
        let next = status::rollout(&self.deployment, &self.all(), self.new.as_ref(), self.input.now);
        if next == self.deployment.status {
            self.plan.again = status::stuck_check(&self.deployment, &next, self.input.now);
        }
        self.finish_status(next);
    }

    fn finish_status(&mut self, next: DeploymentStatus) {
        if next != self.deployment.status {
            self.deployment.status = next;
            self.write_status();
        }
    }

    // ---- revisions ----

    /// `checkPausedConditions`
    fn paused_condition(&mut self) {
        if status::deadline(&self.deployment).is_none() {
            return;
        }
        let current = condition::find(&self.deployment.status.conditions, &words::PROGRESSING);
        let reason = current.map(|current| current.reason.clone()).unwrap_or_default();
        let (reason, message) = match (self.deployment.paused, reason == words::PAUSED) {
            _ if reason == words::TIMED_OUT => return,
            (true, false) => (words::PAUSED, "Deployment is paused"),
            (false, true) => (words::RESUMED, "Deployment is resumed"),
            _ => return,
        };
        let next = status::progressing(Truth::Unknown, reason, message.to_string(), self.input.now);
        status::set(&mut self.deployment.status.conditions, next);
        self.write_status();
    }

    fn set_deployment_revision(&mut self, revision: &Name) -> bool {
        let annotations = &mut self.deployment.meta.annotations;
        let changes = annotations.get(&keys::REVISION) != Some(revision);
        if changes {
            *annotations = annotations.with(keys::REVISION, revision.clone());
        }
        changes
    }

    /// Keeps the revision of the new set, if there is one (`getNewReplicaSet`).
    fn sync_revision(&mut self) {
        let Some(new) = self.new.clone() else { return };
        let mut updated = ReplicaSet::clone(&new);
        let number = revision::max_revision(&self.old) + 1;
        revision::annotate(&self.deployment, &mut updated, number, true);
        updated.min_ready_seconds = self.deployment.min_ready_seconds;
        if updated != *new {
            self.write_set(&updated);
            self.new = Some(Arc::new(updated));
            return;
        }
        let revision = new.meta.annotations.get(&keys::REVISION).cloned().unwrap_or_default();
        let mut changed = self.set_deployment_revision(&revision);
        let current = condition::find(&self.deployment.status.conditions, &words::PROGRESSING);
        if status::deadline(&self.deployment).is_some() && current.is_none() {
            let message = format!("Found new replica set {:?}", new.meta.name.as_str());
            let reason = crate::name!("FoundNewReplicaSet");
            let next = status::progressing(Truth::True, reason, message, self.input.now);
            status::set(&mut self.deployment.status.conditions, next);
            changed = true;
        }
        if changed {
            self.write_status();
        }
    }

    /// Creates the new set; false if its name is taken by another, which is counted instead.
    fn create_new(&mut self) -> bool {
        let deployment = &self.deployment;
        let hash = template_hash(&deployment.template, deployment.status.collision_count);
        let name = Name::from(format!("{}-{hash}", deployment.meta.name));
        if (self.input.name_taken)(&name) {
            let count = deployment.status.collision_count.unwrap_or(0);
            self.deployment.status.collision_count = Some(count + 1);
            self.write_status();
            return false;
        }
        let mut set = new_set(deployment, name, hash);
        set.replicas = math::new_set_size(deployment, math::wished(&self.old), 0);
        let number = revision::max_revision(&self.old) + 1;
        revision::annotate(deployment, &mut set, number, false);
        self.plan.writes.push(Write::Create(set.clone().into_object()));
        self.sets_written.insert(set.meta.name.clone());
        if set.replicas > 0 {
            let message = format!("Scaled up replica set {} from 0 to {}", set.meta.name, set.replicas);
            self.event(false, crate::name!("ScalingReplicaSet"), message);
        }
        let mut changed = self.set_deployment_revision(&Name::from(number.to_string()));
        if status::deadline(&self.deployment).is_some() {
            let message = format!("Created new replica set {:?}", set.meta.name.as_str());
            let reason = crate::name!("NewReplicaSetCreated");
            let next = status::progressing(Truth::True, reason, message, self.input.now);
            status::set(&mut self.deployment.status.conditions, next);
            changed = true;
        }
        if changed {
            self.write_status();
        }
        // Later writes in this pass go to whatever version the store gave it.
        self.new = Some(Arc::new(set));
        true
    }

    // ---- strategies ----

    fn rolling(&mut self) {
        match self.new {
            Some(_) => self.sync_revision(),
            None => {
                if !self.create_new() {
                    return;
                }
            }
        }
        let scaled = self.scale_new_up() || self.scale_old_down();
        if !scaled && status::complete(&self.deployment, &self.deployment.status) {
            self.clean_up();
        }
        self.write_rollout();
    }

    /// `reconcileNewReplicaSet`
    fn scale_new_up(&mut self) -> bool {
        let Some(new) = self.new.clone() else { return false };
        let size = match new.replicas.cmp(&self.deployment.replicas) {
            std::cmp::Ordering::Equal => return false,
            std::cmp::Ordering::Greater => self.deployment.replicas,
            std::cmp::Ordering::Less => math::new_set_size(&self.deployment, math::wished(&self.all()), new.replicas),
        };
        self.scale_to(&new, size).0
    }

    /// `reconcileOldReplicaSets`: first what is broken anyway, then as many as availability allows.
    fn scale_old_down(&mut self) -> bool {
        let mut old = self.active_old();
        let Some(new) = self.new.clone().filter(|_| !old.is_empty()) else { return false };
        let wish = self.deployment.replicas;
        let min_available = wish - math::max_unavailable(&self.deployment);
        let new_unavailable = new.replicas - new.status.available;
        let max_down = math::wished(&self.all()) - min_available - new_unavailable;
        if max_down <= 0 {
            return false;
        }
        let mut broken = 0;
        for set in &mut old {
            let cut = (max_down - broken).min(set.replicas - set.status.available);
            if broken >= max_down {
                break;
            }
            // A status from before an earlier cut shows more pods than the set wishes: wait for the next one.
            if cut < 0 && set.replicas > 0 {
                return false;
            }
            if cut > 0 {
                *set = self.scale_to(set, set.replicas - cut).1;
                broken += cut;
            }
        }
        let budget = math::available(&old) + new.status.available - min_available;
        let mut done = 0;
        for set in &old {
            let cut = set.replicas.min(budget - done);
            if cut > 0 {
                self.scale_to(set, set.replicas - cut);
                done += cut;
            }
        }
        broken + done > 0
    }

    fn recreate(&mut self) {
        self.sync_revision();
        let mut scaled = false;
        for set in self.active_old() {
            scaled |= self.scale_to(&set, 0).0;
        }
        if scaled || self.old_pods_running() {
            return self.write_rollout();
        }
        if self.new.is_none() && !self.create_new() {
            return;
        }
        if let Some(new) = self.new.clone() {
            self.scale_to(&new, self.deployment.replicas);
        }
        if status::complete(&self.deployment, &self.deployment.status) {
            self.clean_up();
        }
        self.write_rollout();
    }

    fn old_pods_running(&self) -> bool {
        self.old.iter().any(|set| set.status.replicas > 0 || (self.input.has_running_pods)(set.meta.uid))
    }

    /// A paused or resized deployment: sizes, but no new template (`sync`).
    fn scale_only(&mut self) {
        self.sync_revision();
        self.scale();
        if self.deployment.paused && self.deployment.meta.annotations.get(&keys::ROLLBACK_TO).is_none() {
            self.clean_up();
        }
        self.write_counts();
    }

    fn scale(&mut self) {
        let wish = self.deployment.replicas;
        let active: Vec<Arc<ReplicaSet>> = self.all().into_iter().filter(|set| set.replicas > 0).collect();
        if active.len() <= 1 {
            let only = active.first().or(self.new.as_ref()).or(self.old.last()).cloned();
            if let Some(only) = only {
                self.scale_to(&only, wish);
            }
            return;
        }
        let saturated = self.new.as_ref().is_some_and(|new| {
            let desired = math::number(new, &keys::DESIRED_REPLICAS);
            new.replicas == wish && desired == Some(wish) && new.status.available == wish
        });
        if saturated {
            for set in self.active_old() {
                self.scale_to(&set, 0);
            }
        } else if matches!(self.deployment.strategy, Strategy::RollingUpdate { .. }) {
            for (set, size) in math::proportional(&self.deployment, active) {
                self.resize(&set, size);
            }
        }
    }

    /// Deletes the oldest of the emptied sets beyond the history limit (`cleanupDeployment`).
    fn clean_up(&mut self) {
        let limit = self.deployment.revision_history_limit;
        let mut sets: Vec<Arc<ReplicaSet>> = self.old.iter().filter(|set| !set.meta.deleting()).cloned().collect();
        let excess = sets.len() as i64 - i64::from(limit);
        if limit == i32::MAX || excess <= 0 {
            return;
        }
        sets.sort_by_key(|set| (revision::revision_of(set), set.meta.created.truncated(), set.meta.name.clone()));
        for set in sets.iter().take(excess as usize) {
            let empty = set.replicas == 0 && set.status.replicas == 0;
            if empty && set.meta.generation <= set.status.observed_generation {
                let preconditions = Preconditions::uid(set.meta.uid);
                let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
                self.plan.writes.push(Write::Delete(set.key(), options));
            }
        }
    }

    // ---- rollback ----

    fn rollback(&mut self) {
        match self.new {
            Some(_) => self.sync_revision(),
            None => {
                if !self.create_new() {
                    return;
                }
            }
        }
        let asked = self.deployment.meta.annotations.get(&keys::ROLLBACK_TO).and_then(|text| text.parse().ok());
        let not_found = crate::name!("DeploymentRollbackRevisionNotFound");
        let all = self.all();
        let revision = match asked.unwrap_or(0) {
            0 => revision::last_revision(all.iter()),
            revision => revision,
        };
        if revision == 0 {
            self.event(true, not_found, "Unable to find last revision.");
        } else if let Some(set) = all.iter().find(|set| revision::revision_of(set) == revision) {
            self.roll_back_to(set, revision);
        } else {
            self.event(true, not_found, "Unable to find the revision to rollback to.");
        }
        self.deployment.meta.annotations = self.deployment.meta.annotations.without(&keys::ROLLBACK_TO);
        let mut written = self.deployment.clone();
        if self.deployment_written {
            written.meta.resource_version = 0;
        }
        self.plan.writes.push(Write::Update(written.into_object()));
    }

    fn roll_back_to(&mut self, set: &ReplicaSet, revision: i64) {
        let name = self.deployment.meta.name.clone();
        if revision::same_template(&self.deployment.template, &set.template) {
            let reason = crate::name!("DeploymentRollbackTemplateUnchanged");
            let message =
                format!("The rollback revision contains the same template as current deployment {:?}", name.as_str());
            return self.event(true, reason, message);
        }
        let labels = set.template.labels.without(&keys::POD_TEMPLATE_HASH);
        self.deployment.template = Arc::new(PodTemplate { labels, ..PodTemplate::clone(&set.template) });
        self.deployment.meta.annotations = revision::rolled_back_annotations(&self.deployment, set);
        let message = format!("Rolled back deployment {:?} to revision {revision}", name.as_str());
        self.event(false, crate::name!("DeploymentRollback"), message);
    }
}

/// A set of the deployment's template, without a size.
fn new_set(deployment: &Deployment, name: Name, hash: Name) -> ReplicaSet {
    let labels = deployment.template.labels.with(keys::POD_TEMPLATE_HASH, hash.clone());
    let mut meta = Meta::named(deployment.meta.namespace.clone(), name);
    meta.labels = labels.clone();
    meta.owners = vec![super::super::shared::controller_reference(Kind::Deployment, &deployment.meta)];
    ReplicaSet {
        meta,
        replicas: 0,
        selector: deployment.selector.and(keys::POD_TEMPLATE_HASH, hash),
        template: Arc::new(PodTemplate { labels, ..PodTemplate::clone(&deployment.template) }),
        min_ready_seconds: deployment.min_ready_seconds,
        status: crate::model::workload::ReplicaSetStatus::default(),
        raw: None,
    }
}
