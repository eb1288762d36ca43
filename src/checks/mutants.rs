//! For each invariant a run that breaks it, and beside it the nearest one that does not. All begin with a ready
//! worker `a` and a deployment `web` of nine pods that are not bound.

use super::tests::Rig;
use crate::metrics::testing::{pod_key, s};
use crate::model::builder::{pod, spec};
use crate::model::core::Namespace;
use crate::model::pod_spec::ContainerPort;
use crate::model::{
    Condition, ContainerState, Deployment, Key, Kind, Meta, Name, Object, OwnerReference, Phase, Pod, Resource,
    TaintEffect, Terminated, Uid, condition,
};
use crate::runtime::Observer;
use crate::store::{Change, DeleteOptions, FOREGROUND, Patch, Preconditions, Propagation, StoreError, Verb, Write};
use std::sync::Arc;

/// A run.
type Play = fn(&mut Rig);

fn start(rig: &mut Rig, names: &[&str]) {
    names.iter().for_each(|name| rig.play.bind(2.0, name, "a"));
    names.iter().for_each(|name| rig.play.running(2.0, name, true));
}

fn nine(rig: &mut Rig, count: usize) {
    let names = ["web-1", "web-2", "web-3", "web-4", "web-5", "web-6", "web-7", "web-8", "web-9"];
    start(rig, &names[..count]);
}

fn set_key() -> Key {
    Key::new(Kind::ReplicaSet, "default", "web-1")
}

fn node_key() -> Key {
    Key::cluster(Kind::Node, "a")
}

fn ask(rig: &mut Rig, at: f64, replicas: i32) {
    let write = Write::Patch(set_key(), Patch::Replicas(replicas), Preconditions::default());
    rig.play.write(at, write, "deployment-controller");
}

fn remove(rig: &mut Rig, at: f64, names: &[&str]) {
    for name in names {
        rig.play.write(at, Write::Delete(pod_key(name), Default::default()), "replicaset-controller");
    }
}

/// A pod that has to leave after 300 s, which so often is refused, and that stays.
fn doomed(rig: &mut Rig, refusals: usize, end: f64) {
    rig.play.bind(2.0, "web-1", "a");
    rig.play.taint(10.0, "a", TaintEffect::NoExecute);
    rig.play.power(10.0, "a", false);
    rig.play.node_ready(10.0, "a", crate::model::Truth::Unknown);
    let (key, error) = (pod_key("web-1"), StoreError::NotFound(pod_key("web-1")));
    for _ in 0..refusals {
        rig.checker.borrow_mut().refused(s(310.0), "taint-eviction-controller", &key, &error);
    }
    rig.finish(end);
}

fn host_port_pod(name: &str, host_port: u16) -> Pod {
    let mut wish = spec("x", 100, 1 << 20);
    let (name_of_port, host_ip, protocol) = (Name::new(), Name::new(), crate::name!("TCP"));
    wish.containers[0].ports.push(ContainerPort {
        name: name_of_port,
        container_port: 80,
        host_port,
        host_ip,
        protocol,
    });
    wish.hash += u64::from(host_port);
    pod(name, wish)
}

fn host_ports(rig: &mut Rig, ports: [u16; 2]) {
    for (name, port) in ["x", "y"].into_iter().zip(ports) {
        rig.play.create(2.0, host_port_pod(name, port));
    }
    start(rig, &["x", "y"]);
}

/// The container of `web-1` ends at each `end` and runs again at each `start`.
fn crashes(rig: &mut Rig, turns: &[(f64, f64)]) {
    start(rig, &["web-1"]);
    let mut since = s(2.0);
    for (count, (end, start)) in turns.iter().enumerate() {
        let ended = Terminated {
            exit_code: 1,
            reason: crate::name!("Error"),
            message: Name::new(),
            started: since,
            finished: s(*end),
        };
        since = s(*start);
        let mut status = rig.play.get_pod("web-1").status;
        let container = &mut status.containers[0];
        container.restart_count = count as u32 + 1;
        container.last = Some(Box::new(ended));
        container.state = ContainerState::Running { started: since };
        rig.play.patch(*start, pod_key("web-1"), Patch::PodStatus(Box::new(status)));
    }
}

fn ready_status(rig: &mut Rig, ready: bool, phase: Phase) {
    start(rig, &["web-1"]);
    rig.forged_pod("web-1", |pod| {
        pod.status.phase = phase;
        pod.status.containers[0].ready = ready;
        let condition = Condition::new(crate::name!("Ready"), true.into(), Name::new(), "", s(3.0));
        condition::set(&mut pod.status.conditions, condition);
    });
}

fn owned(rig: &mut Rig, owners: &[Uid], controller: bool) {
    let mut body = pod("owned", spec("x", 1, 1));
    let owner = rig.play.owner(Kind::ReplicaSet, "web-1");
    body.meta.owners = vec![OwnerReference { controller: true, ..owner.clone() }];
    let more = |uid: &Uid| OwnerReference { uid: *uid, controller, ..owner.clone() };
    body.meta.owners.extend(owners.iter().map(more));
    rig.play.create(2.0, body);
}

fn namespace(rig: &mut Rig, terminating: bool) {
    let meta = Meta::named("", "shop");
    let body = Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() };
    rig.play.create(2.0, body);
    if terminating {
        let key = Key::cluster(Kind::Namespace, "shop");
        rig.play.write(3.0, Write::Delete(key, DeleteOptions::default()), "test");
    }
    rig.forged(|change| {
        let mut body = pod("late", spec("x", 1, 1));
        body.meta.namespace = crate::name!("shop");
        body.meta.uid = Uid(9);
        *change = made(change, body.into());
    });
}

fn made(like: &Change, object: Object) -> Change {
    Change { key: object.key(), verb: Verb::Added, old: None, new: Some(object), ..like.clone() }
}

fn owner_goes(rig: &mut Rig, block_owner_deletion: bool) {
    let mut child = pod("child", spec("x", 1, 1));
    let owner = rig.play.owner(Kind::ReplicaSet, "web-1");
    child.meta.owners = vec![OwnerReference { block_owner_deletion, ..owner }];
    // The nine pods of the set block it too: they go first.
    let names: Vec<String> = (1..=9).map(|at| format!("web-{at}")).collect();
    rig.play.create(2.0, child);
    let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    rig.play.write(3.0, Write::Delete(set_key(), options), "test");
    names.iter().for_each(|name| rig.play.delete(4.0, name, Some(0)));
    let lets_go = Write::Patch(set_key(), Patch::RemoveFinalizer(FOREGROUND), Preconditions::default());
    rig.play.write(60.0, lets_go, "generic-garbage-collector");
}

fn endpoint(rig: &mut Rig, forge: fn(&mut crate::model::service::Endpoint)) {
    start(rig, &["web-1"]);
    rig.play.service(2.0, "web");
    rig.play.endpoints(60.0, "web", &["web-1"]);
    rig.forged(|change| {
        let Some(Object::EndpointSlice(slice)) = &mut change.new else { panic!("an endpoint slice") };
        let old = Arc::unwrap_or_clone(slice.clone());
        change.verb = Verb::Modified;
        let endpoints = Arc::new(Vec::new());
        let before = crate::model::service::EndpointSlice { endpoints, ..old };
        change.old = Some(before.into_object());
        forge(Arc::make_mut(&mut Arc::make_mut(&mut Arc::make_mut(slice).endpoints)[0]));
    });
}

/// Seven pods are ready from the start, one from that instant; `minReadySeconds` is 20.
fn ready_since(rig: &mut Rig, at: f64) {
    let key = Key::new(Kind::Deployment, "default", "web");
    let mut deployment = Deployment::clone(rig.play.store.live().fetch_key::<Deployment>(&key).unwrap());
    deployment.min_ready_seconds = 20;
    rig.play.write(1.0, Write::Update(deployment.into()), "test");
    nine(rig, 7);
    rig.play.bind(2.0, "web-8", "a");
    rig.play.running(3.0, "web-8", false);
    rig.play.running(at, "web-8", true);
    remove(rig, 40.0, &["web-1"]);
}

fn report(rig: &mut Rig, counts: [i32; 4]) {
    nine(rig, 8);
    rig.play.running(2.0, "web-8", false);
    rig.play.report(3.0, "web", counts);
    rig.finish(60.0);
}

/// Number, a run that breaks it, one that does not.
pub(super) const CASES: &[(u8, Play, Play)] = &[
    (1, |rig| rig.forged(|change| change.time = s(-100.0)), |rig| rig.play.event(1.0, "web-1", "x", "")),
    (
        1,
        |rig| rig.checker.borrow_mut().reconciled(s(0.5), "x", &pod_key("x"), 1),
        |rig| rig.checker.borrow_mut().reconciled(s(1.0), "x", &pod_key("x"), 1),
    ),
    (2, |rig| rig.forged(|change| change.revision += 1), |rig| rig.play.event(2.0, "web-1", "x", "")),
    (2, |rig| rig.forged(|change| change.revision -= 1), |rig| rig.play.event(2.0, "web-1", "x", "")),
    (3, |rig| rig.forged(|change| change.verb = Verb::Added), |rig| rig.play.create(2.0, pod("x", spec("x", 1, 1)))),
    (
        3,
        |rig| {
            let uid = rig.play.get_pod("web-1").meta.uid;
            rig.forged(|change| {
                let mut twin = pod("twin", spec("x", 1, 1));
                twin.meta.uid = uid;
                *change = made(change, twin.into());
            });
        },
        |rig| {
            rig.play.delete(2.0, "web-1", None);
            rig.play.pod(3.0, "web-1", "web");
        },
    ),
    (
        4,
        |rig| {
            rig.forged(|change| {
                // Based on the first version of all.
                let mut old = change.object().clone();
                old.meta_mut().resource_version = 1;
                (change.verb, change.old) = (Verb::Modified, Some(old));
            });
        },
        |rig| {
            rig.forged(|change| (change.verb, change.old) = (Verb::Modified, change.new.clone()));
        },
    ),
    (
        5,
        |rig| {
            // A write that the log's readers were not told of.
            let write = Write::Create(pod("hidden", spec("x", 1, 1)).into());
            rig.play.store.commit(s(2.0), write, "test").unwrap();
            rig.finish(3.0);
        },
        |rig| {
            rig.play.create(2.0, pod("seen", spec("x", 1, 1)));
            rig.finish(3.0);
        },
    ),
    (
        7,
        |rig| {
            let mut checker = rig.checker.borrow_mut();
            checker.delivered(s(1.0), "x", 0, 4);
            checker.delivered(s(1.0), "x", 3, 5);
        },
        |rig| {
            let mut checker = rig.checker.borrow_mut();
            checker.delivered(s(1.0), "x", 0, 4);
            checker.delivered(s(1.0), "x", 4, 5);
        },
    ),
    (
        7,
        |rig| {
            let mut checker = rig.checker.borrow_mut();
            let newest = rig.play.store.revision();
            checker.seated("x");
            checker.addressed("x", newest);
            checker.delivered(s(1.0), "x", newest, newest);
        },
        |rig| {
            let mut checker = rig.checker.borrow_mut();
            let newest = rig.play.store.revision();
            checker.seated("x");
            checker.delivered(s(1.0), "x", newest, newest);
        },
    ),
    (
        8,
        |rig| {
            rig.checker.borrow_mut().landed(s(1.0), "x", &set_key(), 7);
            rig.checker.borrow_mut().reconciled(s(1.0), "x", &set_key(), 6);
        },
        |rig| {
            rig.checker.borrow_mut().landed(s(1.0), "x", &set_key(), 7);
            rig.checker.borrow_mut().reconciled(s(1.0), "x", &set_key(), 7);
            rig.checker.borrow_mut().reconciled(s(1.0), "y", &set_key(), 6);
            rig.checker.borrow_mut().reconciled(s(1.0), "x", &node_key(), 6);
        },
    ),
    (
        9,
        |rig| {
            start(rig, &["web-1"]);
            rig.play.delete(3.0, "web-1", None);
            rig.forged_pod("web-1", |pod| pod.meta.deletion = None);
        },
        |rig| {
            start(rig, &["web-1"]);
            rig.play.delete(3.0, "web-1", None);
            rig.play.delete(4.0, "web-1", Some(5));
            rig.play.delete(5.0, "web-1", Some(0));
        },
    ),
    (
        9,
        |rig| {
            start(rig, &["web-1"]);
            rig.play.delete(3.0, "web-1", None);
            rig.forged_pod("web-1", |pod| pod.meta.deletion.as_mut().unwrap().at = s(99.0));
        },
        |rig| {
            start(rig, &["web-1"]);
            rig.play.delete(3.0, "web-1", None);
            rig.forged_pod("web-1", |pod| pod.meta.deletion.as_mut().unwrap().at = s(4.0));
        },
    ),
    (
        9,
        |rig| {
            let mut held = pod("held", spec("x", 1, 1));
            held.meta.finalizers = vec![crate::name!("example.com/hold")];
            rig.play.create(2.0, held);
            rig.forged(|change| {
                (change.verb, change.old, change.new) = (Verb::Deleted, change.new.take(), None);
            });
        },
        |rig| {
            let mut held = pod("held", spec("x", 1, 1));
            held.meta.finalizers = vec![crate::name!("example.com/hold")];
            rig.play.create(2.0, held);
            rig.play.delete(3.0, "held", None);
            rig.play.patch(4.0, pod_key("held"), Patch::RemoveFinalizer(crate::name!("example.com/hold")));
        },
    ),
    (
        11,
        |rig| {
            start(rig, &["web-1"]);
            rig.forged_pod("web-1", |pod| pod.node = Some(crate::name!("b")));
        },
        |rig| start(rig, &["web-1"]),
    ),
    (
        11,
        |rig| {
            rig.forged_pod("web-1", |pod| {
                pod.meta.deletion = Some(crate::model::Deletion { at: s(2.0), grace_seconds: 30 });
                pod.node = Some(crate::name!("a"));
            });
        },
        |rig| {
            start(rig, &["web-1"]);
            rig.play.delete(3.0, "web-1", None);
        },
    ),
    (
        12,
        |rig| {
            start(rig, &["web-1"]);
            rig.forged_pod("web-1", |pod| pod.status.phase = Phase::Pending);
        },
        |rig| {
            start(rig, &["web-1"]);
            rig.play.running(4.0, "web-1", false);
            rig.forged_pod("web-1", |pod| pod.status.phase = Phase::Failed);
        },
    ),
    (13, |rig| ready_status(rig, false, Phase::Running), |rig| ready_status(rig, true, Phase::Running)),
    (13, |rig| ready_status(rig, true, Phase::Succeeded), |rig| rig.play.running(2.0, "web-1", false)),
    // Pod garbage collection calls a pod Failed without its kubelet.
    (
        13,
        |rig| ready_status(rig, true, Phase::Failed),
        |rig| {
            start(rig, &["web-1"]);
            rig.forged_pod("web-1", |pod| {
                pod.status.phase = Phase::Failed;
                let reason = crate::name!("DeletionByPodGC");
                let condition = Condition::new(crate::name!("DisruptionTarget"), true.into(), reason, "", s(3.0));
                condition::set(&mut pod.status.conditions, condition);
            });
        },
    ),
    // Waits of 0, 10 and 20 s.
    (
        14,
        |rig| crashes(rig, &[(3.0, 3.0), (4.0, 14.0), (15.0, 33.0)]),
        |rig| crashes(rig, &[(3.0, 3.0), (4.0, 14.0), (15.0, 35.0)]),
    ),
    // A run of 300 s may start over: 0, then 10.
    (
        14,
        |rig| crashes(rig, &[(3.0, 3.0), (250.0, 250.0)]),
        |rig| crashes(rig, &[(3.0, 3.0), (303.0, 303.0), (304.0, 314.0)]),
    ),
    (
        14,
        |rig| {
            crashes(rig, &[(3.0, 3.0)]);
            rig.play.running(5.0, "web-1", true);
        },
        |rig| crashes(rig, &[(3.0, 3.0)]),
    ),
    (
        15,
        |rig| {
            let uid = rig.play.get_pod("web-1").meta.uid;
            let bind = Write::Bind { pod: pod_key("web-1"), uid, node: crate::name!("a"), note: None };
            rig.play.store.commit(s(2.0), bind, "test").unwrap();
            rig.finish(3.0);
        },
        |rig| {
            rig.play.bind(2.0, "web-1", "a");
            rig.finish(3.0);
        },
    ),
    // Eight pods of 500m fill the four cores of `a`; a ninth may be bound, not admitted.
    (
        16,
        |rig| nine(rig, 9),
        |rig| {
            nine(rig, 8);
            rig.play.bind(3.0, "web-9", "a");
        },
    ),
    (17, |rig| host_ports(rig, [8080, 8080]), |rig| host_ports(rig, [8080, 8081])),
    // 300 s of toleration and 90 s to act end at 400 s.
    (18, |rig| doomed(rig, 0, 401.0), |rig| doomed(rig, 0, 399.0)),
    // An eviction that was refused four times is tried once more, and then no more.
    (18, |rig| doomed(rig, 4, 401.0), |rig| doomed(rig, 5, 401.0)),
    // A node went, and its pods stay for more than 90 s.
    (
        18,
        |rig| {
            rig.play.bind(2.0, "web-1", "a");
            rig.play.write(10.0, Write::Delete(node_key(), DeleteOptions::default()), "test");
            rig.finish(101.0);
        },
        |rig| {
            rig.play.bind(2.0, "web-1", "a");
            rig.play.write(10.0, Write::Delete(node_key(), DeleteOptions::default()), "test");
            rig.finish(99.0);
        },
    ),
    // A bind may be under way when the node is cordoned; another taint later does not make the bar younger.
    (
        19,
        |rig| {
            rig.play.patch(2.0, node_key(), Patch::Unschedulable(true));
            rig.play.taint(30.0, "a", TaintEffect::NoSchedule);
            rig.play.bind(33.0, "web-1", "a");
        },
        |rig| {
            rig.play.patch(2.0, node_key(), Patch::Unschedulable(true));
            rig.play.bind(31.0, "web-1", "a");
            rig.play.patch(32.0, node_key(), Patch::Unschedulable(false));
            rig.play.bind(99.0, "web-2", "a");
        },
    ),
    // Nine pods, eight bound, seven ready.
    (27, |rig| report(rig, [9, 9, 8, 7]), |rig| report(rig, [9, 9, 7, 7])),
    (27, |rig| report(rig, [9, 9, 7, 8]), |rig| report(rig, [9, 9, 7, 7])),
    (27, |rig| report(rig, [9, 8, 7, 7]), |rig| report(rig, [9, 9, 7, 7])),
    // Fewer pods than wished for.
    (
        27,
        |rig| {
            rig.play.delete(2.0, "web-9", None);
            report(rig, [8, 8, 7, 7]);
        },
        |rig| {
            rig.play.delete(2.0, "web-9", None);
            rig.play.patch(2.0, Key::new(Kind::Deployment, "default", "web"), Patch::Replicas(8));
            ask(rig, 2.0, 8);
            report(rig, [8, 8, 7, 7]);
        },
    ),
    // 9 pods and a quarter more, rounded up, are 12. Just after a scaling anything goes.
    (28, |rig| ask(rig, 40.0, 13), |rig| ask(rig, 40.0, 12)),
    (
        28,
        |rig| {
            rig.play.patch(20.0, Key::new(Kind::Deployment, "default", "web"), Patch::Replicas(3));
            ask(rig, 51.0, 11);
        },
        |rig| {
            rig.play.patch(20.0, Key::new(Kind::Deployment, "default", "web"), Patch::Replicas(3));
            ask(rig, 21.0, 11);
        },
    ),
    (
        28,
        |rig| rig.play.pod(60.0, "web-10", "web"),
        |rig| {
            rig.play.delete(50.0, "web-1", None);
            rig.play.pod(60.0, "web-10", "web");
        },
    ),
    // Ready for 20 s is available; timestamps know only seconds.
    (29, |rig| ready_since(rig, 21.1), |rig| ready_since(rig, 20.9)),
    // 9 wished, a quarter may miss: 7 must stay.
    (
        29,
        |rig| {
            nine(rig, 8);
            remove(rig, 40.0, &["web-1", "web-2"]);
        },
        |rig| {
            nine(rig, 8);
            remove(rig, 40.0, &["web-1"]);
        },
    ),
    // What a fault took a moment ago excuses what was decided before.
    (
        29,
        |rig| {
            nine(rig, 8);
            rig.play.running(5.0, "web-8", false);
            remove(rig, 40.0, &["web-1"]);
        },
        |rig| {
            nine(rig, 8);
            rig.play.running(39.0, "web-8", false);
            remove(rig, 40.0, &["web-1"]);
        },
    ),
    (30, |rig| owned(rig, &[Uid(7)], true), |rig| owned(rig, &[Uid(7)], false)),
    (
        31,
        |rig| {
            owned(rig, &[Uid(7)], false);
            rig.finish(60.0);
        },
        |rig| {
            owned(rig, &[Uid(7)], false);
            rig.finish(20.0);
        },
    ),
    (31, |rig| owner_goes(rig, true), |rig| owner_goes(rig, false)),
    (38, |rig| namespace(rig, true), |rig| namespace(rig, false)),
    (40, |rig| endpoint(rig, |endpoint| endpoint.pod_uid = Uid(7)), |rig| endpoint(rig, |_| {})),
    (40, |rig| endpoint(rig, |endpoint| endpoint.ready = false), |rig| endpoint(rig, |_| {})),
    (40, |rig| endpoint(rig, |endpoint| endpoint.terminating = true), |rig| endpoint(rig, |_| {})),
    (
        40,
        |rig| {
            rig.play.service(2.0, "web");
            nine(rig, 1);
            rig.finish(60.0);
        },
        |rig| {
            rig.play.service(2.0, "web");
            nine(rig, 1);
            rig.play.endpoints(3.0, "web", &["web-1"]);
            rig.finish(60.0);
        },
    ),
    (
        45,
        |rig| {
            rig.finish(60.0);
            rig.findings.borrow_mut().busy_at_end(&[("x", pod_key("web-1"))]);
        },
        |rig| {
            rig.finish(20.0);
            rig.findings.borrow_mut().busy_at_end(&[("x", pod_key("web-1"))]);
        },
    ),
    (
        45,
        |rig| {
            rig.checker.borrow_mut().reconciled(s(49.0), "x", &pod_key("web-1"), 9);
            rig.finish(60.0);
            rig.findings.borrow_mut().busy_at_end(&[("x", pod_key("web-1"))]);
        },
        |rig| {
            rig.checker.borrow_mut().reconciled(s(51.0), "x", &pod_key("web-1"), 9);
            rig.finish(60.0);
            rig.findings.borrow_mut().busy_at_end(&[("x", pod_key("web-1"))]);
        },
    ),
    (
        46,
        |rig| {
            rig.play.power(2.0, "a", false);
            rig.finish(63.0);
        },
        |rig| {
            rig.play.power(2.0, "a", false);
            rig.finish(61.0);
        },
    ),
    (
        46,
        |rig| rig.finish(61.0),
        |rig| {
            rig.play.leases(&["a"]);
            rig.finish(61.0);
        },
    ),
];
