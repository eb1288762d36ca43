//! What of a change goes into the fingerprint: when, which object, and everything in it that anyone acts on.

use crate::engine::Fingerprint;
use crate::model::provision::Provision;
use crate::model::quota::Amounts;
use crate::model::rbac::PolicyRule;
use crate::model::service::EndpointSlice;
use crate::model::sets::RevisionData;
use crate::model::{Condition, Job, Meta, Node, Object, Pod, Resources, hash};
use crate::runtime::Observer;
use crate::store::{Change, Store};
use crate::time::SimTime;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

/// Folds every change as it happens. The handle is shared with whoever prints the result.
#[derive(Clone, Default)]
pub struct Digest(pub Rc<RefCell<Fingerprint>>);

impl Observer for Digest {
    fn change(&mut self, change: &Change, _: &Store) {
        let mut print = self.0.borrow_mut();
        fold_change(&mut print, change);
        print.end_entry();
    }

    fn plant(&mut self, digest: u64) {
        let mut print = self.0.borrow_mut();
        print.word(digest);
        print.end_entry();
    }
}

/// Folds one change.
pub fn fold_change(print: &mut Fingerprint, change: &Change) {
    print.word(change.time.0 as u64);
    print.word(change.revision << 8 | change.verb as u64);
    print.word(change.key.kind.code());
    print.text(&change.key.namespace);
    print.text(&change.key.name);
    print.text(change.writer);
    if let Some(object) = &change.new {
        fold_meta(print, object.meta());
        fold_object(print, change.old.as_ref(), object);
    }
}

/// What became different in a slice: folding a hundred endpoints for each that changes would cost more than the change.
fn fold_slice(print: &mut Fingerprint, old: Option<&Object>, slice: &EndpointSlice) {
    let old = old.and_then(Object::as_kind::<EndpointSlice>).map(|old| &**old);
    let (start, gone, come) = EndpointSlice::difference(old, Some(slice));
    print.word(start as u64);
    print.word(gone.len() as u64);
    for endpoint in come {
        print.word(u64::from(u32::from(endpoint.address)));
        print.word(u64::from(endpoint.ready) | u64::from(endpoint.serving) << 1 | u64::from(endpoint.terminating) << 2);
        print.text(&endpoint.pod);
    }
}

fn fold_meta(print: &mut Fingerprint, meta: &Meta) {
    print.word(meta.uid.0 as u64);
    print.word(meta.generation as u64);
    print.word(meta.created.0 as u64);
    print.word(meta.deletion.map_or(u64::MAX, |deletion| deletion.at.0 as u64));
    for (key, value) in meta.labels.iter().chain(meta.annotations.iter()) {
        print.text(key);
        print.text(value);
    }
    for owner in &meta.owners {
        print.word(owner.uid.0 as u64);
    }
    for finalizer in &meta.finalizers {
        print.text(finalizer);
    }
    for entry in meta.managed.iter().flat_map(|owners| owners.iter()) {
        print.text(&entry.manager);
        print.word(entry.time.0 as u64);
        entry.fields.paths().iter().for_each(|path| print.text(path));
    }
}

fn fold_object(print: &mut Fingerprint, old: Option<&Object>, object: &Object) {
    match object {
        Object::EndpointSlice(slice) => fold_slice(print, old, slice),
        Object::Pod(pod) => fold_pod(print, pod),
        Object::Node(node) => fold_node(print, node),
        Object::Deployment(d) => {
            let s = &d.status;
            let counts = [d.replicas, s.replicas, s.updated, s.ready, s.available, s.unavailable, i32::from(d.paused)];
            fold_counts(print, &counts);
            print.word(d.template.spec.hash);
            print.word(s.observed_generation as u64);
            fold_conditions(print, &s.conditions);
        }
        Object::ReplicaSet(rs) => {
            let s = &rs.status;
            fold_counts(print, &[rs.replicas, s.replicas, s.fully_labeled, s.ready, s.available]);
            print.word(rs.template.spec.hash);
            print.word(s.observed_generation as u64);
            fold_conditions(print, &s.conditions);
        }
        Object::Service(service) => {
            print.word(service.cluster_ip.map_or(0, |ip| u64::from(u32::from(ip))));
            print.word(service.ingress.len() as u64);
        }
        Object::Event(event) => {
            print.text(&event.reason);
            print.text(&event.message);
            print.word(u64::from(event.count));
        }
        Object::Namespace(namespace) => print.word(u64::from(namespace.terminating)),
        Object::Machine(machine) => {
            print.word(u64::from(machine.up) | u64::from(machine.boot) << 1);
            print.word(machine.up_since.0 as u64);
            let provision = Provision::text(machine);
            if !provision.is_empty() {
                print.text(provision);
            }
            // Troubles are small plain data; their debug text says everything.
            machine.troubles.0.iter().for_each(|trouble| write!(print, "{trouble:?}").expect("hashing cannot fail"));
            // One hold is what `up` says; more are told apart.
            machine.holds.iter().skip(1).for_each(|hold| print.text(&hold.incident));
        }
        Object::Lease(lease) => print.text(&lease.holder),
        Object::PriorityClass(class) => print.word(class.value as u64),
        Object::Incident(incident) => {
            print.text(&incident.description);
            incident.output.iter().for_each(|(_, line)| print.text(line));
            if !incident.fault.nodes.is_empty() {
                print.word(incident.fault.nodes.len() as u64);
            }
        }
        Object::PersistentVolume(volume) => {
            print.word(volume.phase as u64);
            print.text(volume.claim.as_ref().map_or("", |claim| &claim.name));
            print.word(volume.capacity as u64);
        }
        Object::PersistentVolumeClaim(claim) => {
            print.word(claim.phase as u64);
            print.text(&claim.volume);
            print.word(claim.capacity as u64);
        }
        Object::VolumeAttachment(attachment) => {
            print.text(&attachment.node);
            print.text(&attachment.volume);
            print.word(u64::from(attachment.attached));
            print.text(&attachment.attach_error);
        }
        Object::PodDisruptionBudget(budget) => {
            let s = &budget.status;
            fold_counts(print, &[s.disruptions_allowed, s.current_healthy, s.desired_healthy, s.expected_pods]);
            s.disrupted.iter().for_each(|(pod, _)| print.text(pod));
            fold_conditions(print, &s.conditions);
        }
        Object::ResourceQuota(quota) => {
            let status = quota.status.hard.iter().chain(&quota.status.used).chain([&quota.hard]);
            status.for_each(|amounts| fold_amounts(print, amounts));
        }
        Object::LimitRange(range) => {
            for item in &range.limits {
                print.text(&item.kind);
                let lists = [&item.min, &item.max, &item.default, &item.default_request, &item.max_ratio];
                lists.into_iter().for_each(|amounts| fold_amounts(print, amounts));
            }
        }
        Object::Role(role) => fold_rules(print, &role.rules),
        Object::ClusterRole(role) => fold_rules(print, &role.rules),
        Object::RoleBinding(binding) => print.text(&binding.role.name),
        Object::ClusterRoleBinding(binding) => print.text(&binding.role.name),
        Object::StatefulSet(set) => {
            let s = &set.status;
            fold_counts(print, &[set.replicas, s.replicas, s.ready, s.available, s.current, s.updated]);
            print.word(set.template.spec.hash);
            print.word(s.observed_generation as u64);
            print.text(&s.current_revision);
            print.text(&s.update_revision);
        }
        Object::ReplicationController(controller) => {
            let s = &controller.status;
            fold_counts(print, &[controller.replicas, s.replicas, s.fully_labeled, s.ready, s.available]);
            print.word(controller.template.spec.hash);
            print.word(s.observed_generation as u64);
            fold_conditions(print, &s.conditions);
        }
        Object::DaemonSet(set) => {
            let s = &set.status;
            fold_counts(print, &[s.desired, s.current, s.misscheduled, s.ready, s.updated, s.available, s.unavailable]);
            print.word(set.template.spec.hash);
            print.word(s.observed_generation as u64);
        }
        Object::ControllerRevision(revision) => {
            print.word(revision.revision as u64);
            if let RevisionData::Template(template) = &revision.data {
                print.word(template.spec.hash);
            }
        }
        Object::Job(job) => fold_job(print, job),
        Object::CronJob(cron) => {
            print.text(&cron.schedule);
            print.word(u64::from(cron.suspend));
            print.word(cron.template.spec.template.spec.hash);
            cron.status.active.iter().for_each(|(_, uid)| print.word(uid.0 as u64));
            print.word(cron.status.last_schedule.map_or(0, |at| at.0 as u64));
        }
        Object::HorizontalPodAutoscaler(autoscaler) => {
            let s = &autoscaler.status;
            fold_counts(print, &[autoscaler.least(), autoscaler.max_replicas, s.current, s.desired]);
            fold_conditions(print, &s.conditions);
        }
        Object::CustomResourceDefinition(definition) => {
            fold_conditions(print, &definition.conditions);
            print.word(hash::content_hash(&definition.raw));
        }
        Object::Custom(custom) => {
            print.text(&custom.kind.words().group);
            print.text(&custom.kind.words().plural);
            print.word(hash::content_hash(&custom.body));
            print.word(hash::content_hash(&custom.status));
        }
        // Their content is data that nothing in the simulation computes.
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::ServiceAccount(_)
        | Object::StorageClass(_)
        | Object::CSINode(_)
        | Object::CSIDriver(_)
        | Object::Ingress(_)
        | Object::IngressClass(_)
        | Object::NetworkPolicy(_)
        | Object::Endpoints(_)
        | Object::RuntimeClass(_) => {}
    }
}

fn fold_job(print: &mut Fingerprint, job: &Job) {
    let (spec, s) = (&job.spec, &job.status);
    let wish = [spec.parallelism, spec.completions.unwrap_or(-1), i32::from(spec.suspend)];
    fold_counts(print, &wish);
    print.word(spec.template.spec.hash);
    fold_counts(print, &[s.active, s.ready.unwrap_or(0), s.terminating.unwrap_or(0), s.succeeded, s.failed]);
    print.text(&s.completed_indexes);
    print.text(s.failed_indexes.as_deref().unwrap_or(""));
    print.word(s.uncounted.as_ref().map_or(0, |uncounted| uncounted.len() as u64));
    fold_conditions(print, &s.conditions);
}

fn fold_pod(print: &mut Fingerprint, pod: &Pod) {
    print.word(pod.spec.hash);
    print.text(pod.node.as_deref().unwrap_or(""));
    print.word(pod.status.phase as u64);
    print.text(&pod.status.reason);
    print.text(pod.status.nominated_node.as_deref().unwrap_or(""));
    fold_conditions(print, &pod.status.conditions);
    for seen in &pod.status.config {
        print.text(&seen.name);
        print.text(&seen.reader);
        print.word(seen.revision);
    }
    for container in pod.status.containers.iter().chain(&pod.status.init_containers) {
        print.word(
            u64::from(container.restart_count) << 2 | u64::from(container.ready) << 1 | u64::from(container.started),
        );
        print.word(container.usage.milli_cpu as u64);
        print.word(container.usage.memory as u64);
        if let Some(granted) = &container.allocated {
            fold_resources(print, &granted.0);
            fold_resources(print, &granted.1);
        }
        // States are small plain data; their debug text says everything.
        write!(print, "{:?}", container.state).expect("hashing cannot fail");
    }
}

fn fold_node(print: &mut Fingerprint, node: &Node) {
    print.word(u64::from(node.unschedulable));
    for taint in &node.taints {
        print.text(&taint.key);
        print.word(taint.effect as u64);
    }
    fold_resources(print, &node.allocatable);
    print.word(node.images.len() as u64);
    node.volumes_attached.iter().chain(&node.volumes_in_use).for_each(|volume| print.text(volume));
    fold_conditions(print, &node.conditions);
}

fn fold_amounts(print: &mut Fingerprint, amounts: &Amounts) {
    for (name, amount) in amounts {
        print.text(name);
        print.word(amount.nano as u64);
    }
}

fn fold_rules(print: &mut Fingerprint, rules: &[PolicyRule]) {
    for rule in rules {
        let words = rule.verbs.iter().chain(&rule.groups).chain(&rule.resources).chain(&rule.names).chain(&rule.urls);
        words.for_each(|word| print.text(word));
    }
}

fn fold_resources(print: &mut Fingerprint, resources: &Resources) {
    print.word(resources.milli_cpu as u64);
    print.word(resources.memory as u64);
    print.word(resources.pods as u64);
}

fn fold_conditions(print: &mut Fingerprint, conditions: &[Condition]) {
    for condition in conditions {
        print.text(&condition.kind);
        print.word(condition.status as u64);
        print.text(&condition.reason);
        print.word(condition.last_transition.0 as u64);
    }
}

fn fold_counts(print: &mut Fingerprint, counts: &[i32]) {
    for count in counts {
        print.word(*count as u64);
    }
}

/// The history of a run up to an instant, for finding the first difference between two runs: one line for
/// each change whose number lies in a window.
pub struct Window {
    /// From this entry on, counted from 0.
    pub from: u64,
    /// Up to this entry, exclusive.
    pub to: u64,
    seen: u64,
    /// `(fingerprint of the change alone, line)`.
    pub lines: Rc<RefCell<Vec<(u128, String)>>>,
}

impl Window {
    /// A window on entries `from..to`.
    pub fn new(from: u64, to: u64) -> Self {
        Window { from, to, seen: 0, lines: Rc::default() }
    }
}

impl Observer for Window {
    fn change(&mut self, change: &Change, _: &Store) {
        if (self.from..self.to).contains(&self.seen) {
            let mut alone = Fingerprint::default();
            fold_change(&mut alone, change);
            let SimTime(nanoseconds) = change.time;
            let line = format!(
                "{} ({nanoseconds} ns) revision {}: {} {} by {}",
                change.time,
                change.revision,
                change.verb.as_str(),
                change.key,
                change.writer
            );
            self.lines.borrow_mut().push((alone.value(), line));
        }
        self.seen += 1;
    }
}
