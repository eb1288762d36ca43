//! A clean run breaks nothing, and for each invariant there is a run that breaks it.

use super::{Checker, Checks, Findings, ROWS};
use crate::metrics::testing::{Play, play_node_crash, pod_key, s};
use crate::model::builder::{pod, spec};
use crate::model::pod_spec::ContainerPort;
use crate::model::{Key, Kind, Name, Object, OwnerReference, Phase, Pod, Resource, TaintEffect, Uid};
use crate::runtime::Observer;
use crate::store::{Change, Patch, Preconditions, Verb, Write};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// A play with a checker that watches it.
struct Rig {
    play: Play,
    checker: Rc<RefCell<Checker>>,
    findings: Rc<RefCell<Findings>>,
}

impl Rig {
    fn new() -> Rig {
        let (checker, findings) = Checker::new(Checks::All);
        let checker = Rc::new(RefCell::new(checker));
        let watcher = checker.clone();
        let play = Play::watched(Box::new(move |change, store| watcher.borrow_mut().change(change, store)));
        Rig { play, checker, findings }
    }

    /// One ready worker `a`, a deployment `web` of so many pods, none of them bound yet.
    fn web(pods: i32) -> Rig {
        let mut rig = Rig::new();
        rig.play.worker(0.0, "a");
        rig.play.deployment(0.0, "web", pods);
        for at in 1..=pods {
            rig.play.pod(1.0, &format!("web-{at}"), "web");
        }
        rig
    }

    /// The last change as it might have been.
    fn forged(&mut self, forge: impl FnOnce(&mut Change)) {
        let mut change = self.play.changes.last().unwrap().clone();
        change.revision += 1;
        forge(&mut change);
        self.checker.borrow_mut().change(&change, &self.play.store);
    }

    /// The last change of a pod, which is now another.
    fn forged_pod(&mut self, name: &str, forge: impl FnOnce(&mut Pod)) {
        let old = self.play.get_pod(name);
        let mut new = old.clone();
        forge(&mut new);
        self.forged(|change| {
            change.key = pod_key(name);
            change.verb = Verb::Modified;
            change.old = Some(old.into_object());
            change.new = Some(new.into_object());
        });
    }

    fn finish(&mut self, at: f64) {
        self.checker.borrow_mut().finish(s(at), &self.play.store);
    }

    fn broken(&self) -> BTreeSet<u8> {
        self.findings.borrow().violations.iter().map(|violation| violation.number).collect()
    }
}

#[test]
fn a_clean_run_breaks_nothing() {
    let mut rig = Rig::new();
    play_node_crash(&mut rig.play);
    rig.finish(600.0);
    let findings = rig.findings.borrow();
    assert_eq!(findings.violations, Vec::new());
    assert!(findings.at_rest);
}

/// A run that breaks an invariant.
type Mutant = fn(&mut Rig);

fn host_port_pod(name: &str) -> Pod {
    let mut wish = spec("x", 100, 1 << 20);
    let port = ContainerPort {
        name: Name::new(),
        container_port: 80,
        host_port: 8080,
        host_ip: Name::new(),
        protocol: crate::name!("TCP"),
    };
    wish.containers[0].ports.push(port);
    wish.hash += 1;
    pod(name, wish)
}

const MUTANTS: &[(u8, Mutant)] = &[
    (1, |rig| rig.forged(|change| change.time = s(-100.0))),
    (2, |rig| rig.forged(|change| change.revision += 1)),
    (3, |rig| rig.forged(|change| change.verb = Verb::Added)),
    (4, |rig| {
        rig.forged(|change| {
            change.verb = Verb::Modified;
            // Based on nothing newer than the first version.
            let mut old = change.object().clone();
            old.meta_mut().resource_version = 1;
            change.old = Some(old);
        });
    }),
    (5, |rig| {
        // A write that the log's readers were not told of.
        let write = Write::Create(pod("hidden", spec("x", 1, 1)).into());
        rig.play.store.commit(s(2.0), write, "test").unwrap();
        rig.finish(3.0);
    }),
    (7, |rig| {
        let mut checker = rig.checker.borrow_mut();
        checker.delivered(s(1.0), "x", 0, 4);
        checker.delivered(s(1.0), "x", 3, 5);
    }),
    (8, |rig| {
        let key = rig.play.changes.last().unwrap().key.clone();
        rig.checker.borrow_mut().reconciled(s(1.0), "test", &key, 1);
    }),
    (9, |rig| {
        rig.play.bind(2.0, "web-1", "a");
        rig.play.delete(3.0, "web-1", None);
        rig.forged_pod("web-1", |pod| pod.meta.deletion = None);
    }),
    (11, |rig| {
        rig.play.bind(2.0, "web-1", "a");
        rig.forged_pod("web-1", |pod| pod.node = Some(crate::name!("b")));
    }),
    (12, |rig| {
        rig.play.bind(2.0, "web-1", "a");
        rig.play.running(3.0, "web-1", true);
        rig.forged_pod("web-1", |pod| pod.status.phase = Phase::Pending);
    }),
    (13, |rig| {
        rig.play.bind(2.0, "web-1", "a");
        rig.play.running(3.0, "web-1", false);
        rig.forged_pod("web-1", |pod| {
            let ready = crate::model::Condition::new(crate::name!("Ready"), true.into(), Name::new(), "", s(3.0));
            crate::model::condition::set(&mut pod.status.conditions, ready);
        });
    }),
    (14, |rig| {
        rig.play.bind(2.0, "web-1", "a");
        rig.play.running(3.0, "web-1", true);
        let mut status = rig.play.get_pod("web-1").status;
        status.containers[0].restart_count = 3;
        rig.play.patch(4.0, pod_key("web-1"), Patch::PodStatus(Box::new(status)));
        rig.play.running(5.0, "web-1", true);
    }),
    (15, |rig| {
        let uid = rig.play.get_pod("web-1").meta.uid;
        let bind = Write::Bind { pod: pod_key("web-1"), uid, node: crate::name!("a") };
        rig.play.store.commit(s(2.0), bind, "test").unwrap();
        rig.finish(3.0);
    }),
    (16, |rig| {
        // Eight pods of 500m fill the four cores of `a`.
        for at in 1..=9 {
            let name = format!("web-{at}");
            rig.play.bind(2.0, &name, "a");
            rig.play.running(2.0, &name, true);
        }
    }),
    (17, |rig| {
        for name in ["x", "y"] {
            rig.play.create(2.0, host_port_pod(name));
            rig.play.bind(2.0, name, "a");
            rig.play.running(2.0, name, true);
        }
    }),
    (18, |rig| {
        rig.play.bind(2.0, "web-1", "a");
        // 300 s of toleration and 90 s to act end at 400 s.
        rig.play.taint(10.0, "a", TaintEffect::NoExecute);
        rig.finish(401.0);
    }),
    (19, |rig| {
        rig.play.patch(2.0, Key::cluster(Kind::Node, "a"), Patch::Unschedulable(true));
        rig.play.bind(33.0, "web-1", "a");
    }),
    (27, |rig| {
        rig.play.report(2.0, "web", [9, 9, 1, 1]);
        rig.finish(60.0);
    }),
    (28, |rig| {
        let key = Key::new(Kind::ReplicaSet, "default", "web-1");
        // 9 pods and a quarter more are 12.
        let write = Write::Patch(key, Patch::Replicas(13), Preconditions::default());
        rig.play.write(20.0, write, "deployment-controller");
    }),
    (29, |rig| {
        for at in 1..=8 {
            rig.play.bind(2.0, &format!("web-{at}"), "a");
            rig.play.running(2.0, &format!("web-{at}"), true);
        }
        // 9 wished, a quarter may miss: 7 must stay, 6 do.
        for name in ["web-1", "web-2"] {
            rig.play.write(20.0, Write::Delete(pod_key(name), Default::default()), "replicaset-controller");
        }
    }),
    (30, |rig| {
        let mut body = pod("two", spec("x", 1, 1));
        let owner = rig.play.owner(Kind::ReplicaSet, "web-1");
        body.meta.owners = vec![owner.clone(), OwnerReference { uid: Uid(7), ..owner }];
        rig.play.create(2.0, body);
    }),
    (31, |rig| {
        let mut body = pod("orphan", spec("x", 1, 1));
        let owner = rig.play.owner(Kind::ReplicaSet, "web-1");
        body.meta.owners = vec![OwnerReference { uid: Uid(7), ..owner }];
        rig.play.create(2.0, body);
        rig.finish(60.0);
    }),
    (40, |rig| {
        rig.play.endpoints(2.0, "web", &["web-1"]);
        rig.forged(|change| {
            let Some(Object::EndpointSlice(slice)) = &mut change.new else { panic!("an endpoint slice") };
            Arc::make_mut(&mut Arc::make_mut(slice).endpoints)[0].pod_uid = Uid(7);
        });
    }),
    (41, |rig| {
        rig.play.service(2.0, "web");
        rig.play.bind(2.0, "web-1", "a");
        rig.play.running(3.0, "web-1", true);
        rig.finish(60.0);
    }),
    (45, |rig| {
        rig.finish(60.0);
        rig.findings.borrow_mut().busy_at_end(&[("x", pod_key("web-1"))]);
    }),
    (46, |rig| {
        rig.play.power(2.0, "a", false);
        rig.finish(100.0);
    }),
];

#[test]
fn each_invariant_has_a_mutant_that_breaks_it() {
    for (number, mutant) in MUTANTS {
        let mut rig = Rig::web(9);
        assert_eq!(rig.broken(), BTreeSet::new(), "before mutant {number}");
        mutant(&mut rig);
        assert!(rig.broken().contains(number), "mutant {number} broke only {:?}", rig.broken());
    }
    let tested: Vec<u8> = MUTANTS.iter().map(|(number, _)| *number).collect();
    let all: Vec<u8> = ROWS.iter().map(|row| row.number).collect();
    assert_eq!(tested, all, "one mutant for each row, in order");
}

#[test]
fn what_is_allowed_breaks_nothing() {
    let clean: &[Mutant] = &[
        // Eight pods fill a node exactly.
        |rig| {
            for at in 1..=8 {
                rig.play.bind(2.0, &format!("web-{at}"), "a");
                rig.play.running(2.0, &format!("web-{at}"), true);
            }
        },
        // A bind that was under way when the node was cordoned.
        |rig| {
            rig.play.patch(2.0, Key::cluster(Kind::Node, "a"), Patch::Unschedulable(true));
            rig.play.bind(10.0, "web-1", "a");
        },
        // The surge that is allowed: 9 and a quarter, rounded up.
        |rig| {
            let key = Key::new(Kind::ReplicaSet, "default", "web-1");
            let write = Write::Patch(key, Patch::Replicas(12), Preconditions::default());
            rig.play.write(20.0, write, "deployment-controller");
        },
        // A deployment that was scaled a moment ago.
        |rig| {
            let key = Key::new(Kind::Deployment, "default", "web");
            rig.play.patch(20.0, key, Patch::Replicas(3));
            let key = Key::new(Kind::ReplicaSet, "default", "web-1");
            let write = Write::Patch(key, Patch::Replicas(11), Preconditions::default());
            rig.play.write(21.0, write, "deployment-controller");
        },
        // The end of a pod.
        |rig| {
            rig.play.bind(2.0, "web-1", "a");
            rig.play.running(3.0, "web-1", true);
            rig.play.delete(4.0, "web-1", None);
            rig.play.delete(5.0, "web-1", Some(0));
        },
    ];
    for (at, run) in clean.iter().enumerate() {
        let mut rig = Rig::web(9);
        run(&mut rig);
        assert_eq!(rig.findings.borrow().violations, Vec::new(), "run {at}");
    }
}

#[test]
fn a_violation_tells_the_story_of_its_object() {
    let mut rig = Rig::web(1);
    rig.play.bind(2.0, "web-1", "a");
    rig.forged_pod("web-1", |pod| pod.node = Some(crate::name!("b")));
    let text = rig.findings.borrow().violations[0].to_string();
    assert!(text.starts_with("invariant 11 (bound-once) at 00:00:02.000 revision"), "{text}");
    assert!(text.contains("moved from a to Some(\"b\")"), "{text}");
    assert!(text.contains("ADDED Pod/default/web-1 by test"), "{text}");
    assert!(super::list().contains("bound-once"));
}
