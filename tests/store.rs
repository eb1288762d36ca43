//! The API server: rules of single writes, and properties of any sequence of them.

use crate::support::store;
use kubesim::engine::TokenBucket;
use kubesim::model::core::Namespace;
use kubesim::model::{Condition, Key, Kind, Meta, Name, Object, Phase, Pod, PodStatus, Resource, Truth, Uid, builder};
use kubesim::store::{DeleteOptions, EventRecord, Patch, Preconditions, Store, StoreError, Verb, Write};
use kubesim::time::SimTime;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn pod_key(name: &str) -> Key {
    Key::new(Kind::Pod, "default", name)
}

fn create_pod(store: &mut Store, name: &str) -> Arc<Pod> {
    let pod = builder::pod(name, builder::spec("img", 100, 64)).label("app", "web");
    store.commit(SimTime::ZERO, Write::Create(pod.into_object()), "test").unwrap();
    get(store, name)
}

fn get(store: &Store, name: &str) -> Arc<Pod> {
    store.live().fetch_key::<Pod>(&pod_key(name)).unwrap().clone()
}

fn patch(key: &Key, patch: Patch) -> Write {
    Write::Patch(key.clone(), patch, Preconditions::default())
}

fn delete(name: &str, grace_seconds: Option<i64>) -> Write {
    Write::Delete(pod_key(name), DeleteOptions { grace_seconds, ..DeleteOptions::default() })
}

#[test]
fn creation_gives_identity_and_defaults() {
    let mut store = store();
    let pod = create_pod(&mut store, "a");
    assert_ne!(pod.meta.uid, Uid::default());
    assert_eq!(pod.meta.generation, 1);
    assert_eq!(pod.meta.resource_version, store.revision());
    assert_eq!(pod.meta.uid.to_string().as_bytes()[14], b'4', "a version-4 uuid");
    // Admission adds the two five-minute tolerations.
    let seconds: Vec<_> = pod.spec.tolerations.iter().map(|t| (t.key.as_str(), t.seconds)).collect();
    assert_eq!(seconds, [("node.kubernetes.io/not-ready", Some(300)), ("node.kubernetes.io/unreachable", Some(300))]);
}

#[test]
fn refusals_have_kubernetes_texts() {
    let mut store = store();
    create_pod(&mut store, "a");
    let pod = get(&store, "a");
    let again = builder::pod("a", builder::spec("img", 1, 1)).into_object();
    let mut elsewhere = builder::pod("b", builder::spec("img", 1, 1));
    elsewhere.meta.namespace = Name::from("nowhere");
    let mut stale = Pod::clone(&pod);
    stale.meta.resource_version -= 1;
    let mut classy = builder::spec("img", 1, 1);
    classy.priority_class = Name::from("gold");
    let table: Vec<(Write, u16, String)> = vec![
        (Write::Create(again), 409, r#"pods "a" already exists"#.into()),
        (Write::Create(elsewhere.into_object()), 404, r#"namespaces "nowhere" not found"#.into()),
        (
            Write::Update(stale.into_object()),
            409,
            r#"Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the latest version and try again"#.into(),
        ),
        (delete("ghost", None), 404, r#"pods "ghost" not found"#.into()),
        (
            Write::Create(builder::pod("c", classy).into_object()),
            403,
            r#"pods "c" is forbidden: no PriorityClass with name gold was found"#.into(),
        ),
        (
            Write::Delete(Key::cluster(Kind::Namespace, "default"), DeleteOptions::default()),
            403,
            r#"namespaces "default" is forbidden: this namespace may not be deleted"#.into(),
        ),
        (
            Write::Delete(pod_key("a"), DeleteOptions { preconditions: Preconditions::uid(Uid(7)), ..Default::default() }),
            409,
            format!(
                r#"Operation cannot be fulfilled on pods "a": Precondition failed: UID in precondition: {}, UID in object meta: {}"#,
                Uid(7), pod.meta.uid
            ),
        ),
    ];
    for (write, code, text) in table {
        let error = store.commit(SimTime::ZERO, write, "test").unwrap_err();
        assert_eq!((error.code(), error.to_string()), (code, text));
    }
}

#[test]
fn binding_happens_once() {
    let mut store = store();
    let pod = create_pod(&mut store, "a");
    let bind = |uid| Write::Bind { pod: pod_key("a"), uid, node: Name::from("n1"), note: None };
    store.commit(SimTime::ZERO, bind(pod.meta.uid), "test").unwrap();
    let bound = get(&store, "a");
    assert_eq!(bound.node.as_deref(), Some("n1"));
    assert_eq!(bound.status.conditions[0].kind, "PodScheduled");
    let error = store.commit(SimTime::ZERO, bind(pod.meta.uid), "test").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"Operation cannot be fulfilled on pods "a": pod a is already assigned to node "n1""#
    );
}

#[test]
fn deletion_follows_grace_and_finalizers() {
    let at = SimTime::from_secs;
    let mut store = store();
    // Not bound: goes at once.
    create_pod(&mut store, "unbound");
    store.commit(at(1), delete("unbound", None), "test").unwrap();
    assert!(store.live().get(&pod_key("unbound")).is_none());
    // Bound: 30 s by default, shortened by a later request, never lengthened.
    let pod = create_pod(&mut store, "bound");
    store
        .commit(
            at(1),
            Write::Bind { pod: pod_key("bound"), uid: pod.meta.uid, node: Name::from("n"), note: None },
            "test",
        )
        .unwrap();
    store.commit(at(10), delete("bound", None), "test").unwrap();
    let deletion = get(&store, "bound").meta.deletion.unwrap();
    assert_eq!((deletion.at, deletion.grace_seconds), (at(40), 30));
    assert_eq!(get(&store, "bound").meta.generation, 2, "the deletion mark counts as a change of the wish");
    store.commit(at(12), delete("bound", Some(60)), "test").unwrap();
    assert_eq!(get(&store, "bound").meta.deletion.unwrap().at, at(40));
    store.commit(at(12), delete("bound", Some(5)), "test").unwrap();
    let deletion = get(&store, "bound").meta.deletion.unwrap();
    assert_eq!((deletion.at, deletion.grace_seconds), (at(15), 5));
    store.commit(at(13), delete("bound", Some(0)), "test").unwrap();
    assert!(store.live().get(&pod_key("bound")).is_none());
    // With a finalizer: stays until it is gone.
    let mut held = builder::pod("held", builder::spec("img", 1, 1));
    held.meta.finalizers = vec![Name::from("example.com/hold")];
    store.commit(at(20), Write::Create(held.into_object()), "test").unwrap();
    store.commit(at(21), delete("held", None), "test").unwrap();
    assert_eq!(get(&store, "held").meta.deletion.unwrap().grace_seconds, 0);
    let free = patch(&pod_key("held"), Patch::RemoveFinalizer(Name::from("example.com/hold")));
    store.commit(at(22), free, "test").unwrap();
    assert!(store.live().get(&pod_key("held")).is_none());
}

#[test]
fn a_write_that_changes_nothing_is_dropped() {
    let mut store = store();
    create_pod(&mut store, "a");
    let before = store.revision();
    let label = || patch(&pod_key("a"), Patch::Labels(vec![(Name::from("app"), Some(Name::from("web")))]));
    store.commit(SimTime::ZERO, label(), "test").unwrap();
    assert_eq!(store.revision(), before);
}

#[test]
fn the_kubelets_report_keeps_the_conditions_of_others() {
    let mut store = store();
    create_pod(&mut store, "a");
    let doomed = Condition::new(
        Name::from("DisruptionTarget"),
        Truth::True,
        Name::from("DeletionByTaintManager"),
        "Taint manager: deleting due to NoExecute taint",
        SimTime::ZERO,
    );
    store.commit(SimTime::ZERO, patch(&pod_key("a"), Patch::Conditions(vec![doomed])), "test").unwrap();
    let report = PodStatus {
        phase: Phase::Running,
        conditions: vec![Condition::new(Name::from("Ready"), Truth::True, Name::new(), "", SimTime::ZERO)],
        ..PodStatus::default()
    };
    store.commit(SimTime::ZERO, patch(&pod_key("a"), Patch::PodStatus(Box::new(report))), "test").unwrap();
    let pod = get(&store, "a");
    let kinds: Vec<&str> = pod.status.conditions.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(kinds, ["DisruptionTarget", "Ready"]);
    assert!(pod.is_ready());
}

#[test]
fn events_are_counted_and_noise_is_silenced() {
    let mut store = store();
    let record = |message: &str| {
        Write::Event(EventRecord {
            regarding: pod_key("a"),
            uid: Uid(1),
            warning: true,
            reason: Name::from("BackOff"),
            message: Name::from(message),
            source: Name::from("kubelet"),
        })
    };
    for second in 0..3 {
        store.commit(SimTime::from_secs(second), record("same"), "test").unwrap();
    }
    let events: Vec<_> = store.live().list::<kubesim::model::core::Event>().cloned().collect();
    assert_eq!((events.len(), events[0].count, events[0].last), (1, 3, SimTime::from_secs(2)));
    // The spam filter lets 25 through and one more every 300 s: 22 are left of the burst.
    for _ in 0..40 {
        store.commit(SimTime::from_secs(3), record("same"), "test").unwrap();
    }
    assert_eq!(store.live().list::<kubesim::model::core::Event>().next().unwrap().count, 25);
    // The 18 that were swallowed count with the next that passes, 300 s after the first token was taken.
    store.commit(SimTime::from_secs(302), record("same"), "test").unwrap();
    assert_eq!(store.live().list::<kubesim::model::core::Event>().next().unwrap().count, 44);
    // An hour after the last time it is gone, at the latest when the next event is written.
    store.commit(SimTime::from_secs(3903), record("later"), "test").unwrap();
    let left: Vec<_> = store.live().list::<kubesim::model::core::Event>().map(|e| e.message.clone()).collect();
    assert_eq!(left, ["later"]);
}

/// One random request.
#[derive(Clone, Debug)]
enum Ask {
    Create(u8),
    Label(u8, u8),
    Bind(u8, u8),
    Ready(u8),
    Delete(u8, bool),
    Trim,
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let name = 0u8..6;
    let one = prop_oneof![
        name.clone().prop_map(Ask::Create),
        (name.clone(), 0u8..3).prop_map(|(n, v)| Ask::Label(n, v)),
        (name.clone(), 0u8..3).prop_map(|(n, v)| Ask::Bind(n, v)),
        name.clone().prop_map(Ask::Ready),
        (name, any::<bool>()).prop_map(|(n, now)| Ask::Delete(n, now)),
        Just(Ask::Trim),
    ];
    prop::collection::vec(one, 0..60)
}

fn request(ask: &Ask, store: &Store) -> Option<Write> {
    let name = |n: &u8| format!("p{n}");
    let uid = |n: &u8| store.live().get(&pod_key(&name(n))).map(|object| object.meta().uid);
    Some(match ask {
        Ask::Create(n) => {
            Write::Create(builder::pod(&name(n), builder::spec("img", 1, 1)).label("app", "web").into_object())
        }
        Ask::Label(n, v) => {
            patch(&pod_key(&name(n)), Patch::Labels(vec![(Name::from("app"), Some(Name::from(format!("v{v}"))))]))
        }
        Ask::Bind(n, v) => {
            Write::Bind { pod: pod_key(&name(n)), uid: uid(n)?, node: Name::from(format!("n{v}")), note: None }
        }
        Ask::Ready(n) => patch(
            &pod_key(&name(n)),
            Patch::Conditions(vec![Condition::new(Name::from("Ready"), Truth::True, Name::new(), "", SimTime::ZERO)]),
        ),
        Ask::Delete(n, now) => delete(&name(n), now.then_some(0)),
        Ask::Trim => return None,
    })
}

/// What a view shows, as plain data: lists in order, and the index look-ups for every node and label.
fn picture(view: kubesim::store::View<'_>) -> Vec<String> {
    let mut lines: Vec<String> =
        view.list::<Pod>().map(|pod| format!("{:?}", (&pod.meta, &pod.node, &pod.status))).collect();
    for n in 0..3 {
        let on: Vec<_> = view.pods_on(&Name::from(format!("n{n}"))).map(|pod| pod.meta.name.clone()).collect();
        let scan: Vec<_> = view
            .list::<Pod>()
            .filter(|pod| pod.node.as_deref() == Some(&format!("n{n}")))
            .map(|pod| pod.meta.name.clone())
            .collect();
        assert_eq!(on, scan, "the node index agrees with a scan");
        lines.push(format!("{on:?}"));
    }
    for value in ["web", "v0", "v1", "v2"] {
        let labels = [("app", value)].into_iter().collect();
        let selector = kubesim::model::Selector::from_labels(&labels);
        let found: Vec<_> =
            view.pods_selected(&Name::from("default"), &selector).iter().map(|pod| pod.meta.name.clone()).collect();
        let scan: Vec<_> = view
            .list::<Pod>()
            .filter(|pod| pod.meta.labels.get("app").is_some_and(|v| v == value))
            .map(|pod| pod.meta.name.clone())
            .collect();
        assert_eq!(found, scan, "the label index agrees with a scan");
        lines.push(format!("{found:?}"));
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Folding the log from empty gives the store; revisions are dense; an old view never changes while it
    /// is kept; every index agrees with a scan.
    #[test]
    fn the_log_is_the_store(asks in asks()) {
        let mut store = store();
        let mut folded: BTreeMap<Key, Object> = BTreeMap::new();
        let mut seen = store.revision();
        let mut old: Vec<(u64, Vec<String>)> = Vec::new();
        for (at, ask) in asks.iter().enumerate() {
            if let Ask::Trim = ask {
                let horizon = old.get(old.len() / 2).map_or(store.revision(), |(revision, _)| *revision);
                store.trim(horizon);
                old.retain(|(revision, _)| *revision >= horizon);
            } else if let Some(write) = request(ask, &store) {
                match store.commit(SimTime::from_secs(at as i64), write, "test") {
                    Ok(_) | Err(StoreError::NotFound(_) | StoreError::AlreadyExists(_) | StoreError::Conflict(..)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            for revision in seen + 1..=store.revision() {
                let change = store.log().get(revision).expect("new changes are kept");
                prop_assert_eq!(change.revision, revision);
                match change.verb {
                    Verb::Deleted => prop_assert!(folded.remove(&change.key).is_some()),
                    Verb::Added => prop_assert!(folded.insert(change.key.clone(), change.new.clone().unwrap()).is_none()),
                    Verb::Modified => {
                        let before = folded.insert(change.key.clone(), change.new.clone().unwrap());
                        prop_assert_eq!(before, change.old.clone());
                    }
                }
            }
            seen = store.revision();
            let live: BTreeMap<Key, Object> =
                store.live().objects(Kind::Pod).map(|object| (object.key(), object.clone())).collect();
            prop_assert_eq!(&live, &folded);
            old.push((seen, picture(store.live())));
            for (revision, then) in &old {
                prop_assert_eq!(&picture(store.view(*revision)), then, "the view at {} changed", revision);
            }
        }
    }

    /// However requests arrive, a bucket never lets through more than burst + rate × time.
    #[test]
    fn a_bucket_keeps_its_rate(gaps in prop::collection::vec(0i64..200, 1..100)) {
        let mut bucket = TokenBucket::new(20_000, 5);
        let mut now = 0;
        let mut taken: Vec<i64> = Vec::new();
        for gap in gaps {
            now += gap * 1_000_000;
            taken.push(bucket.take(SimTime(now)).0);
        }
        for (from, first) in taken.iter().enumerate() {
            for (to, last) in taken.iter().enumerate().skip(from) {
                // One token every 50 ms.
                prop_assert!((to - from) as i64 <= 5 + (last - first) / 50_000_000);
            }
        }
    }
}

#[test]
fn finalizers_are_added_once_and_events_stay_out_of_namespaces_that_end() {
    let mut store = store();
    let pod = create_pod(&mut store, "a");
    let hold = Name::from("example.com/hold");
    for _ in 0..2 {
        store.commit(SimTime::ZERO, patch(&pod.key(), Patch::AddFinalizer(hold.clone())), "test").unwrap();
    }
    assert_eq!(get(&store, "a").meta.finalizers, [hold]);
    let meta = Meta::named("", "shop");
    let namespace = Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() };
    store.commit(SimTime::ZERO, Write::Create(namespace.into_object()), "test").unwrap();
    let event = || {
        Write::Event(EventRecord {
            regarding: Key::new(Kind::Pod, "shop", "p"),
            uid: Uid(1),
            warning: false,
            reason: Name::from("Killing"),
            message: Name::from("Stopping container c"),
            source: Name::from("kubelet"),
        })
    };
    store.commit(SimTime::ZERO, event(), "test").unwrap();
    let namespace = Key::cluster(Kind::Namespace, "shop");
    store.commit(SimTime::ZERO, Write::Delete(namespace, DeleteOptions::default()), "test").unwrap();
    let refused = store.commit(SimTime::ZERO, event(), "test").unwrap_err();
    assert!(matches!(refused, StoreError::NamespaceTerminating(_)), "{refused}");
}
