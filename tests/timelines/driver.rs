//! Does the planned actions on our cluster, and notes when.

use super::passes::Passes;
use super::plan::{Act, Planned, When};
use super::recording::Mark;
use kubesim::control_plane::instance_name;
use kubesim::model::core::Incident;
use kubesim::model::fault::{Effect, Fault};
use kubesim::model::sets::StatefulSetUpdate;
use kubesim::model::{Key, Kind, Machine, Meta, Name, Object, Pod, Truth};
use kubesim::runtime::{Controller, Cx, Requeue, Wake};
use kubesim::store::incident::{begun, ended, entry_key};
use kubesim::store::{Change, DeleteOptions, Patch, Preconditions, Propagation, View, Write};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::decode;
use kubesim::wire::patch::{Document, Form};
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// How often it looks whether what it waits for has come.
const POLL: SimDuration = SimDuration::from_millis(20);

/// What the driver has done so far.
#[derive(Default)]
pub struct Diary {
    pub marks: Vec<Mark>,
    pub done: bool,
}

pub struct Driver {
    pub plan: Vec<Planned>,
    pub zero: SimTime,
    pub namespace: Name,
    pub diary: Rc<RefCell<Diary>>,
    pub passes: Passes,
    next: usize,
    /// When the next action is due, once that is known.
    due: Option<SimTime>,
    previous: SimTime,
    /// The Deployment or StatefulSet that was created last.
    workload: Option<Key>,
    /// Processes that were ended, each with its incident.
    down: Vec<(String, usize, Key)>,
}

impl Driver {
    pub fn new(plan: Vec<Planned>, zero: SimTime, namespace: &str, passes: Passes, diary: Rc<RefCell<Diary>>) -> Self {
        let (next, due, previous, workload, down) = (0, None, SimTime::ZERO, None, Vec::new());
        Driver { plan, zero, namespace: namespace.into(), diary, passes, next, due, previous, workload, down }
    }

    fn key() -> Key {
        Key::cluster(Kind::Incident, "driver")
    }

    /// When the next action is due, as far as that can be told.
    fn due(&self, now: SimTime, view: View<'_>) -> Option<SimTime> {
        let after = |seconds: f64| SimDuration::from_secs_f64(seconds);
        match &self.plan[self.next].when {
            When::At(t) => Some(self.zero + after(*t)),
            When::AfterPrevious(delay) => Some(self.previous + after(*delay)),
            When::AfterComplete(delay, recorded) => self.complete(view).then(|| {
                let (due, second) = (now + after(*delay), SimDuration::from_secs(1).0);
                let off = (self.zero + after(*recorded) - due).0.rem_euclid(second);
                due + SimDuration(if off > second / 2 { off - second } else { off })
            }),
            When::AfterUnknown(node, delay) => {
                let unknown = view.node(&Name::from(node.as_str())).is_some_and(|node| node.ready() == Truth::Unknown);
                unknown.then(|| now + after(*delay))
            }
        }
    }

    /// When the next crash of `node` comes, if that is the next action, and how long its detection took.
    fn next_crash(&self, wanted: &str, now: SimTime) -> Option<(SimTime, f64)> {
        let by_clock = self.plan[self.next + 1..].iter().find_map(|planned| match (&planned.act, &planned.when) {
            (Act::Power { node, up: false, detected }, When::At(t)) if node == wanted => Some((*t, *detected)),
            _ => None,
        });
        if let Some((t, detected)) = by_clock {
            return Some((self.zero + SimDuration::from_secs_f64(t), detected?));
        }
        let next = self.plan.get(self.next + 1)?;
        match (&next.act, &next.when) {
            (Act::Power { node, up: false, detected }, When::AfterPrevious(delay)) if node == wanted => {
                Some((now + SimDuration::from_secs_f64(*delay), (*detected)?))
            }
            _ => None,
        }
    }

    fn complete(&self, view: View<'_>) -> bool {
        match self.workload.as_ref().and_then(|key| view.get(key)) {
            Some(Object::Deployment(deployment)) => {
                let status = &deployment.status;
                [status.updated, status.replicas, status.available].iter().all(|count| *count == deployment.replicas)
                    && status.observed_generation == deployment.meta.generation
            }
            Some(Object::StatefulSet(set)) => {
                let (status, StatefulSetUpdate::RollingUpdate(rolling)) = (&set.status, set.update) else {
                    return false;
                };
                let rolled = match rolling.map_or(0, |rolling| rolling.partition) {
                    0 => status.current_revision == status.update_revision,
                    partition => status.updated >= set.replicas - partition,
                };
                rolled && status.available == set.replicas && status.observed_generation == set.meta.generation
            }
            _ => false,
        }
    }

    fn act(&mut self, cx: &mut Cx<'_>) {
        let planned = self.plan[self.next].clone();
        match planned.act {
            Act::Create(document) => {
                let object = self.decode(&document);
                if matches!(object.kind(), Kind::Deployment | Kind::StatefulSet) {
                    self.workload = Some(object.key());
                }
                cx.write(Write::Create(object));
            }
            Act::Update(document) => {
                let mut wish = self.decode(&document);
                let live = cx.live().get(&wish.key()).expect("it was created");
                *wish.meta_mut() = Meta { resource_version: 0, ..live.meta().clone() };
                cx.write(Write::Update(wish));
            }
            Act::FailPod(name) => {
                let key = Key::new(Kind::Pod, self.namespace.clone(), name.as_str());
                let pod = cx.live().fetch_key::<Pod>(&key).expect("the pod that is to fail");
                let mut conditions = pod.status.conditions.clone();
                conditions.iter_mut().filter(|one| one.kind == "Ready").for_each(|one| one.status = Truth::False);
                let patch = Patch::PodFailed { reason: "Evicted".into(), message: Name::new(), conditions };
                cx.write(Write::Patch(key, patch, Preconditions::default()));
            }
            Act::Patch { kind, name, patch } => {
                let kind = Kind::parse(&kind).expect("a kind");
                let key = Key::new(kind, self.namespace.clone(), name.as_str());
                let document = Document::new(Form::Merge, patch, "driver");
                cx.write(Write::Document(key, Arc::new(document), Preconditions::default()));
            }
            Act::Power { node, up, .. } => {
                let machine = cx.live().fetch::<Machine>(&Name::new(), &Name::from(node.as_str()));
                let mut machine = Machine::clone(machine.expect("the victim is one of the machines"));
                machine.up = up;
                if up {
                    let crash = self.next_crash(&node, cx.now);
                    machine.up_since = self.passes.heartbeats_since(cx.seed, &machine.meta.name, cx.now, crash);
                } else {
                    machine.down_since = cx.now;
                }
                machine.meta.resource_version = 0;
                cx.write(Write::Update(Object::Machine(Arc::new(machine))));
            }
            Act::Delete { kind, name, grace_seconds, cascade } => {
                let kind = Kind::parse(kind).expect("a kind");
                let namespace = if kind.namespaced() { self.namespace.clone() } else { Name::new() };
                let propagation = Some(match cascade.as_str() {
                    "Foreground" => Propagation::Foreground,
                    "Orphan" => Propagation::Orphan,
                    _ => Propagation::Background,
                });
                let options = DeleteOptions { grace_seconds, propagation, ..DeleteOptions::default() };
                cx.write(Write::Delete(Key::new(kind, namespace, name), options));
            }
            Act::Release { pod } => {
                let key = Key::new(Kind::Pod, self.namespace.clone(), pod);
                let held = cx.live().get(&key).map(|pod| pod.meta().finalizers.clone()).unwrap_or_default();
                for finalizer in held {
                    let patch = Patch::RemoveFinalizer(finalizer);
                    cx.write(Write::Patch(key.clone(), patch, Preconditions::default()));
                }
            }
            Act::DeleteOne { prefix } => {
                let pods = cx.live().list_in::<Pod>(&self.namespace).map(|pod| pod.meta.name.clone());
                let first = pods.filter(|name| name.starts_with(&prefix)).min().expect("a pod of that name");
                let key = Key::new(Kind::Pod, self.namespace.clone(), first);
                cx.write(Write::Delete(key, DeleteOptions::default()));
            }
            Act::Process { component, host, down: true, term } => {
                let key = entry_key(self.next);
                let all = component == "kube-apiserver";
                let nodes = if all { Vec::new() } else { vec![instance_name(host)] };
                let effect = Effect::Process { component: Name::from(component.as_str()), kill: !term };
                let fault = Fault { kind: "component-down", nodes, effect, ..Fault::default() };
                cx.write(begun(&key, fault, component.clone(), cx.now, None));
                self.down.push((component, host, key));
            }
            Act::Process { component, host, .. } => {
                let at = self.down.iter().position(|(name, at, _)| *name == component && *at == host);
                let (_, _, key) = self.down.remove(at.expect("it was stopped"));
                let incident = cx.live().fetch_key::<Incident>(&key).expect("it was written");
                cx.write(ended(incident, cx.now));
            }
            Act::Nothing => {}
        }
        if let Some((mark, detail)) = planned.mark {
            let t = (cx.now - self.zero).as_secs_f64();
            self.diary.borrow_mut().marks.push(Mark { t, mark, detail });
        }
    }

    fn decode(&self, document: &Value) -> Object {
        let mut object = decode::object(document).unwrap_or_else(|errors| panic!("{document}: {errors:?}"));
        if object.kind().namespaced() && document["metadata"]["namespace"].is_null() {
            object.meta_mut().namespace = self.namespace.clone();
        }
        object
    }
}

impl Controller for Driver {
    fn name(&self) -> &'static str {
        "driver"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        wake.add(Driver::key());
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, _: &Key, cx: &mut Cx<'_>) -> Requeue {
        if self.due.is_none() {
            self.due = self.due(cx.now, cx.live());
        }
        match self.due {
            None => return Requeue::After(POLL),
            Some(due) if due > cx.now => return Requeue::After(due - cx.now),
            Some(_) => {}
        }
        self.act(cx);
        (self.next, self.due, self.previous) = (self.next + 1, None, cx.now);
        if self.next == self.plan.len() {
            self.diary.borrow_mut().done = true;
            return Requeue::Done;
        }
        // Not at this very instant: what was asked for must have happened.
        Requeue::After(SimDuration::from_millis(1))
    }
}
