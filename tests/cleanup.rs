//! The controllers that clean up, each alone in a small runtime with a kubelet that only ends pods.

use kubesim::controllers::garbage_collector::{self, GarbageCollector};
use kubesim::controllers::namespace::{self, NamespaceController};
use kubesim::controllers::pod_gc::{self, PodGarbageCollector};
use kubesim::controllers::service_account::{self, ServiceAccountController};
use kubesim::controllers::service_load_balancer::{self, ServiceController};
use kubesim::model::core::{ConfigMap, Event, Namespace, ServiceAccount};
use kubesim::model::service::{Service, ServiceType};
use kubesim::model::workload::{DeploymentStatus, ReplicaSetStatus, Strategy};
use kubesim::model::{Deployment, Key, Kind, Labels, Meta, Name, Object, OwnerReference, Phase, Pod, PodTemplate};
use kubesim::model::{ReplicaSet, Resource, Selector, Uid, builder, condition};
use kubesim::rng::{Delay, Seed};
use kubesim::runtime::{ActorSettings, Controller, Cx, Observer, Requeue, Runtime, RuntimeLimits, Wake};
use kubesim::store::{Change, DeleteOptions, Patch, Preconditions, Propagation, Store, Verb, View, Write};
use kubesim::time::{SimDuration, SimTime};
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Ends bound pods this long after their deletion was asked for.
struct EndsPods(SimDuration);

impl Controller for EndsPods {
    fn name(&self) -> &'static str {
        "kubelet"
    }
    fn watches(&self) -> &'static [Kind] {
        &[Kind::Pod]
    }
    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        let deleting = |object: &Option<Object>| object.as_ref().is_some_and(|object| object.meta().deleting());
        if deleting(&change.new) && !deleting(&change.old) {
            wake.add_after(change.key.clone(), self.0);
        }
    }
    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        if cx.live().get(key).is_some() {
            let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
            cx.write(Write::Delete(key.clone(), options));
        }
        Requeue::Done
    }
}

/// Every change: when, what, by whom.
#[derive(Clone, Default)]
struct Changes(Rc<RefCell<Vec<(SimTime, Verb, Key)>>>);

impl Observer for Changes {
    fn change(&mut self, change: &Change, _: &Store) {
        self.0.borrow_mut().push((change.time, change.verb, change.key.clone()));
    }
}

impl Changes {
    /// When the object went.
    fn gone(&self, key: &Key) -> Option<SimTime> {
        self.0.borrow().iter().find(|(_, verb, k)| *verb == Verb::Deleted && k == key).map(|(time, ..)| *time)
    }
    /// In which order the named objects went.
    fn gone_in_order(&self) -> Vec<String> {
        let changes = self.0.borrow();
        changes.iter().filter(|(_, verb, _)| *verb == Verb::Deleted).map(|(.., key)| key.name.to_string()).collect()
    }
}

struct Test {
    runtime: Runtime,
    changes: Changes,
}

impl Test {
    fn new(actors: Vec<(Box<dyn Controller>, ActorSettings)>) -> Self {
        Self::with(actors, false)
    }

    fn with(actors: Vec<(Box<dyn Controller>, ActorSettings)>, eager: bool) -> Self {
        let store = Store::new(Seed(7), Default::default());
        let mut runtime = Runtime::new(store, Seed(7), SimTime::ZERO, RuntimeLimits::default(), eager);
        let changes = Changes::default();
        runtime.observe(Box::new(changes.clone()));
        for (actor, settings) in actors {
            runtime.add(actor, settings);
        }
        let mut test = Test { runtime, changes };
        for name in ["default", "shop"] {
            let meta = Meta::named("", name);
            test.create(Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() });
        }
        test
    }

    fn create(&mut self, object: impl Resource) -> Key {
        self.write(Write::Create(object.into_object()))
    }

    fn write(&mut self, write: Write) -> Key {
        self.runtime.commit_now(write, "test").unwrap().key
    }

    fn delete(&mut self, key: &Key, propagation: Propagation) {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.write(Write::Delete(key.clone(), options));
    }

    fn run(&mut self, seconds: i64) {
        self.runtime.run_until(SimTime::from_secs(seconds), &mut |_, _| true).unwrap();
    }

    fn uid(&self, key: &Key) -> Uid {
        self.runtime.store.live().get(key).unwrap().meta().uid
    }

    fn owner(&self, key: &Key) -> OwnerReference {
        OwnerReference {
            kind: key.kind,
            name: key.name.clone(),
            uid: self.uid(key),
            controller: true,
            block_owner_deletion: true,
        }
    }
}

fn seconds(time: SimTime) -> f64 {
    time.as_secs_f64()
}

fn pod(namespace: &str, name: &str, node: &str) -> Pod {
    let mut pod = builder::pod(name, builder::spec("img", 100, 64)).label("app", "web");
    pod.meta.namespace = Name::from(namespace);
    if !node.is_empty() {
        let mut spec = kubesim::model::PodSpec::clone(&pod.spec);
        spec.node_name = Some(Name::from(node));
        pod.spec = Arc::new(spec);
    }
    pod
}

fn config_map(namespace: &str, name: &str) -> ConfigMap {
    let meta = Meta::named(namespace, name);
    ConfigMap { meta, data: Arc::default(), immutable: false, raw: Arc::new(json!({})) }
}

#[test]
fn namespaces_go_when_they_are_empty() {
    // Name, config maps, bound pods and the seconds they take to end, when the namespace is gone (seconds).
    // Pods need a second pass five seconds after the first wrote what remains; a pod that is still there then
    // (conditions unchanged) brings the third pass after half its grace and one: 10.1 + 30/2 + 1.
    let cases = [
        ("empty", 0, 0, 0, 5.0, 5.2),
        ("twenty config maps", 20, 0, 0, 5.0, 5.3),
        ("pods that end in 2 s", 0, 3, 2, 10.0, 11.0),
        ("pods that end in 4 s", 5, 3, 4, 10.0, 11.0),
        ("pods that end in 12 s", 0, 3, 12, 26.0, 26.6),
    ];
    for (case, config_maps, pods, ends, earliest, latest) in cases {
        let mut test = Test::new(vec![
            (Box::new(NamespaceController), namespace::settings()),
            (Box::new(ServiceAccountController), service_account::settings()),
            (Box::new(EndsPods(SimDuration::from_secs(ends))), ActorSettings::default()),
        ]);
        for n in 0..config_maps {
            test.create(config_map("shop", &format!("c{n}")));
        }
        for n in 0..pods {
            test.create(pod("shop", &format!("p{n}"), "node"));
        }
        let key = Key::cluster(Kind::Namespace, "shop");
        test.run(100);
        test.delete(&key, Propagation::Background);
        test.run(200);
        let gone = test.changes.gone(&key).map(|time| seconds(time) - 100.0);
        assert!(gone.is_some_and(|gone| (earliest..=latest).contains(&gone)), "{case}: gone at {gone:?}");
        assert_eq!(test.runtime.store.live().in_namespace(&Name::from("shop")).count(), 0, "{case}");
        assert!(test.runtime.busy_keys().is_empty(), "{case}");
    }
}

#[test]
fn a_namespace_says_what_keeps_it() {
    let mut test = Test::new(vec![(Box::new(NamespaceController), namespace::settings())]);
    let mut held = config_map("shop", "held");
    held.meta.finalizers = vec![Name::from("example.com/hold")];
    let held = test.create(held);
    let key = Key::cluster(Kind::Namespace, "shop");
    test.delete(&key, Propagation::Background);
    test.run(20);
    let namespace = test.runtime.store.live().fetch_key::<Namespace>(&key).unwrap().clone();
    let said: Vec<(&str, &str, &str)> = ["NamespaceContentRemaining", "NamespaceFinalizersRemaining"]
        .iter()
        .map(|kind| condition::find(&namespace.conditions, kind).unwrap())
        .map(|c| (c.status.as_str(), c.reason.as_str(), c.message.as_str()))
        .collect();
    let finalizers = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances";
    assert_eq!(
        said,
        [
            ("True", "SomeResourcesRemain", "Some resources are remaining: configmaps. has 1 resource instances"),
            ("True", "SomeFinalizersRemain", finalizers),
        ]
    );
    let release = Patch::RemoveFinalizer(Name::from("example.com/hold"));
    test.write(Write::Patch(held, release, Preconditions::default()));
    test.run(40);
    assert!(test.changes.gone(&key).is_some());
}

fn template() -> Arc<PodTemplate> {
    Arc::new(PodTemplate {
        labels: Labels::from_iter([("app", "web")]),
        annotations: Labels::EMPTY,
        finalizers: Vec::new(),
        spec: Arc::new(builder::spec("img", 100, 64)),
    })
}

/// A deployment with a replica set with two bound pods.
fn family(test: &mut Test) -> [Key; 4] {
    let selector = Selector::from_labels(&Labels::from_iter([("app", "web")]));
    let deployment = test.create(Deployment {
        meta: Meta::named("shop", "deployment"),
        replicas: 2,
        selector: selector.clone(),
        template: template(),
        strategy: Strategy::Recreate,
        min_ready_seconds: 0,
        revision_history_limit: 10,
        progress_deadline_seconds: None,
        paused: false,
        status: DeploymentStatus::default(),
        raw: None,
    });
    let mut meta = Meta::named("shop", "set");
    meta.owners = vec![test.owner(&deployment)];
    let set = test.create(ReplicaSet {
        meta,
        replicas: 2,
        selector,
        template: template(),
        min_ready_seconds: 0,
        status: ReplicaSetStatus::default(),
        raw: None,
    });
    let owned = |test: &mut Test, name: &str| {
        let mut pod = pod("shop", name, "node");
        pod.meta.owners = vec![test.owner(&set)];
        test.create(pod)
    };
    let (a, b) = (owned(test, "a"), owned(test, "b"));
    [deployment, set, a, b]
}

fn collector() -> Test {
    Test::new(vec![
        (Box::new(GarbageCollector), garbage_collector::settings()),
        (Box::new(EndsPods(SimDuration::from_secs(1))), ActorSettings::default()),
    ])
}

#[test]
fn deletion_cascades_as_asked() {
    let cases: [(Propagation, &[&str]); 3] = [
        (Propagation::Background, &["deployment", "set", "a", "b"]),
        (Propagation::Foreground, &["a", "b", "set", "deployment"]),
        (Propagation::Orphan, &["deployment"]),
    ];
    for (propagation, order) in cases {
        let mut test = collector();
        let [deployment, set, a, b] = family(&mut test);
        test.run(10);
        test.delete(&deployment, propagation);
        test.run(10);
        test.runtime.run_until(SimTime::from_secs(10) + SimDuration::from_millis(100), &mut |_, _| true).unwrap();
        let live = test.runtime.store.live();
        let marked = |key: &Key| live.get(key).unwrap().meta().deleting();
        assert_eq!([marked(&a), marked(&b)], [propagation != Propagation::Orphan; 2], "{propagation:?}");
        test.run(20);
        let mut gone = test.changes.gone_in_order();
        // The two pods end in any order.
        if let Some(at) = gone.windows(2).position(|two| two == ["b", "a"]) {
            gone.swap(at, at + 1);
        }
        assert_eq!(gone, order, "{propagation:?}");
        if propagation == Propagation::Orphan {
            let live = test.runtime.store.live();
            assert!(live.get(&set).unwrap().meta().owners.is_empty());
            assert_eq!(live.get(&a).unwrap().meta().owners.len(), 1);
        }
        assert!(test.runtime.busy_keys().is_empty());
    }
}

#[test]
fn owners_that_are_gone_are_forgotten_while_another_stays() {
    let mut test = collector();
    let (first, second) = (test.create(config_map("shop", "first")), test.create(config_map("shop", "second")));
    let mut shared = config_map("shop", "shared");
    shared.meta.owners = vec![test.owner(&first), OwnerReference { controller: false, ..test.owner(&second) }];
    let shared = test.create(shared);
    let mut stranger = config_map("shop", "stranger");
    stranger.meta.owners = vec![OwnerReference { uid: Uid(12), ..test.owner(&first) }];
    let stranger = test.create(stranger);
    test.run(1);
    assert!(test.changes.gone(&stranger).is_some(), "its owner was never there");
    test.delete(&first, Propagation::Background);
    test.run(2);
    let left: Vec<Name> =
        test.runtime.store.live().get(&shared).unwrap().meta().owners.iter().map(|owner| owner.name.clone()).collect();
    assert_eq!(left, ["second"]);
    test.delete(&second, Propagation::Background);
    test.run(3);
    assert!(test.changes.gone(&shared).is_some());
}

#[test]
fn pods_of_a_missing_node_go_after_the_quarantine() {
    let mut instants = Vec::new();
    for eager in [false, true] {
        let actors: Vec<(Box<dyn Controller>, ActorSettings)> =
            vec![(Box::new(PodGarbageCollector::default()), pod_gc::settings())];
        let mut test = Test::with(actors, eager);
        let node = test.create(builder::node("node", 1000, 1 << 30, 10));
        let key = test.create(pod("shop", "p", "node"));
        test.run(1000);
        assert_eq!(test.runtime.stats().reconciles > 1, eager, "nothing to find, nobody looks");
        test.delete(&node, Propagation::Background);
        test.run(1100);
        // At most 20 s to the instant that notices, 40 s of quarantine.
        let gone = seconds(test.changes.gone(&key).unwrap()) - 1000.0;
        assert!((40.0..=60.1).contains(&gone), "gone after {gone}");
        instants.push(gone);
    }
    assert_eq!(instants[0], instants[1], "looking more often finds nothing else");
}

#[test]
fn the_oldest_ended_pods_go_first() {
    let mut test = Test::new(vec![(Box::new(PodGarbageCollector::keeping(2)), pod_gc::settings())]);
    for (at, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        test.run(at as i64);
        let key = test.create(pod("shop", name, "node"));
        let mut pod = Pod::clone(test.runtime.store.live().fetch_key::<Pod>(&key).unwrap());
        pod.status.phase = if name == "c" { Phase::Failed } else { Phase::Succeeded };
        pod.status.reason = if name == "c" { Name::from("Evicted") } else { Name::new() };
        test.write(Write::UpdateStatus(pod.into_object()));
    }
    test.create(builder::node("node", 1000, 1 << 30, 10));
    test.run(30);
    let mut gone = test.changes.gone_in_order();
    gone.sort();
    assert_eq!(gone, ["a", "c"], "the evicted one and the oldest");
}

#[test]
fn every_namespace_has_its_default_account() {
    let mut test = Test::new(vec![(Box::new(ServiceAccountController), service_account::settings())]);
    test.run(1);
    let key = Key::new(Kind::ServiceAccount, "shop", "default");
    let there = |test: &Test| test.runtime.store.live().fetch_key::<ServiceAccount>(&key).is_some();
    assert!(there(&test));
    test.delete(&key, Propagation::Background);
    assert!(!there(&test));
    test.run(2);
    assert!(there(&test));
}

fn load_balancer(name: &str) -> Service {
    Service { kind: ServiceType::LoadBalancer, ..builder::service("shop", name) }
}

#[test]
fn load_balancers_get_their_address_when_the_cloud_is_ready() {
    let cloud = Delay::Constant(SimDuration::from_secs(3));
    let mut test = Test::new(vec![(Box::new(ServiceController::new(cloud)), service_load_balancer::settings())]);
    let (a, b) = (test.create(load_balancer("a")), test.create(load_balancer("b")));
    let has = |test: &Test, key: &Key| {
        let service = test.runtime.store.live().fetch_key::<Service>(key);
        service.map(|service| service.ingress.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    };
    // One worker: the second is built after the first, three seconds each.
    for (at, first, second) in [(2, "", ""), (4, "203.0.113.1", ""), (7, "203.0.113.1", "203.0.113.2")] {
        test.run(at);
        assert_eq!([has(&test, &a).as_deref(), has(&test, &b).as_deref()], [Some(first), Some(second)], "at {at} s");
    }
    test.delete(&a, Propagation::Background);
    test.run(9);
    assert!(has(&test, &a).is_some(), "kept until the load balancer is gone");
    test.run(11);
    assert_eq!(has(&test, &a), None);
    let events: Vec<(String, String, String)> = test
        .runtime
        .store
        .live()
        .list::<Event>()
        .filter(|event| event.regarding == a)
        .map(|event| (event.source.to_string(), event.reason.to_string(), event.message.to_string()))
        .collect();
    let row = |reason: &str, message: &str| ("service-controller".to_string(), reason.into(), message.into());
    assert_eq!(
        events,
        [
            row("EnsuringLoadBalancer", "Ensuring load balancer"),
            row("EnsuredLoadBalancer", "Ensured load balancer"),
            row("DeletingLoadBalancer", "Deleting load balancer"),
            row("DeletedLoadBalancer", "Deleted load balancer"),
        ]
    );
}
