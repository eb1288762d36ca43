//! A clean run breaks nothing, and for each invariant there is a run that breaks it beside one that just does not.

use super::mutants::CASES;
use super::{Checker, Checks, Findings, ROWS};
use crate::metrics::testing::{Play, play_node_crash, pod_key, s};
use crate::model::{Pod, Resource};
use crate::runtime::Observer;
use crate::store::{Change, Verb};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A play with a checker that watches it.
pub(super) struct Rig {
    pub(super) play: Play,
    pub(super) checker: Rc<RefCell<Checker>>,
    pub(super) findings: Rc<RefCell<Findings>>,
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
    pub(super) fn forged(&mut self, forge: impl FnOnce(&mut Change)) {
        let mut change = self.play.changes.last().unwrap().clone();
        change.revision += 1;
        forge(&mut change);
        self.checker.borrow_mut().change(&change, &self.play.store);
    }

    /// The last change of a pod, which is now another.
    pub(super) fn forged_pod(&mut self, name: &str, forge: impl FnOnce(&mut Pod)) {
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

    pub(super) fn finish(&mut self, at: f64) {
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
    rig.play.leases(&["a", "c"]);
    rig.finish(600.0);
    let findings = rig.findings.borrow();
    assert_eq!(findings.violations, Vec::new());
    assert!(findings.at_rest);
}

#[test]
fn each_invariant_has_mutants_that_break_it_and_what_is_allowed_does_not() {
    for (at, (number, mutant, clean)) in CASES.iter().enumerate() {
        let mut rig = Rig::web(9);
        clean(&mut rig);
        assert!(!rig.broken().contains(number), "case {at}, the clean side of {number}, breaks it");
        let mut rig = Rig::web(9);
        mutant(&mut rig);
        assert!(rig.broken().contains(number), "case {at}, a mutant of {number}, broke {:?}", rig.broken());
    }
    let tested: BTreeSet<u8> = CASES.iter().map(|(number, ..)| *number).collect();
    let all: BTreeSet<u8> = ROWS.iter().map(|row| row.number).collect();
    assert_eq!(tested, all, "at least one mutant for each row");
    assert_eq!(all.len(), ROWS.len(), "each number once");
}

#[test]
fn levels_say_who_looks() {
    // (level, whether a cheap invariant is seen, whether a dear one is)
    for (level, cheap, dear) in [(Checks::All, true, true), (Checks::Cheap, true, false), (Checks::Off, false, false)] {
        let rig = Rig::web(1);
        let (mut checker, findings) = Checker::new(level);
        let mut change = rig.play.changes.last().unwrap().clone();
        change.verb = Verb::Modified;
        checker.change(&change, &rig.play.store);
        // A second time: the revision does not grow (2), the object was never made (4).
        checker.change(&change, &rig.play.store);
        let broken: BTreeSet<u8> = findings.borrow().violations.iter().map(|violation| violation.number).collect();
        assert_eq!((broken.contains(&2), broken.contains(&4)), (cheap, dear), "{level:?}");
    }
}

#[test]
fn many_violations_do_not_drown_the_first() {
    let mut findings = Findings::default();
    for number in [1, 2, 3] {
        (0..50).for_each(|at| findings.violate(number, &[], format!("{at}")));
    }
    let numbers: Vec<u8> = findings.violations.iter().map(|violation| violation.number).collect();
    assert_eq!(numbers, [[1; 10], [2; 10]].concat(), "ten of each, twenty in all");
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
