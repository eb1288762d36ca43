//! The scheduler in the runtime: places, waits, retries, and what a user sees of it.

use crate::support::store;
use kubesim::model::core::{Event, PriorityClass};
use kubesim::model::{Key, Kind, Meta, Name, Node, Object, Pod, Resource, TaintEffect, Truth, builder, condition};
use kubesim::rng::{Delay, Seed};
use kubesim::runtime::{ActorSettings, Runtime};
use kubesim::scheduler::cycle::Framework;
use kubesim::scheduler::nominated::Nominated;
use kubesim::scheduler::plugins::{self, coscheduling::Coscheduling};
use kubesim::scheduler::profile::Profile;
use kubesim::scheduler::snapshot::Snapshot;
use kubesim::scheduler::{Options, Scheduler, strategies};
use kubesim::store::{DeleteOptions, Patch, Preconditions, Write};
use kubesim::time::{SimDuration, SimTime};
use kubesim::wire::decode;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

/// A cluster with one namespace and a scheduler that hears and writes at once.
struct Bed(Runtime);

impl Bed {
    fn new(options: Options) -> Bed {
        Bed::with(Scheduler::new(options))
    }

    fn with(scheduler: Scheduler) -> Bed {
        let mut runtime = Runtime::new(store(), Seed(1), SimTime::ZERO, Default::default(), false);
        let settings = ActorSettings {
            watch_delay: Delay::Constant(SimDuration::ZERO),
            request_latency: Delay::Constant(SimDuration::ZERO),
            milli_qps: 0,
            workers: 1,
            ..ActorSettings::default()
        };
        runtime.add(Box::new(scheduler), settings);
        Bed(runtime)
    }

    /// A write at the present moment, seen by the scheduler before the next step.
    fn write(&mut self, write: Write) {
        self.0.commit_now(write, "test").unwrap();
    }

    fn create(&mut self, object: impl Into<Object>) {
        self.write(Write::Create(object.into()));
    }

    /// A node that is ready: without the taint that admission gives to new ones.
    fn join(&mut self, node: Node) {
        let key = node.key();
        self.create(node);
        let remove = vec![(Name::from("node.kubernetes.io/not-ready"), TaintEffect::NoSchedule)];
        let ready = Patch::Taints { add: Vec::new(), remove };
        self.write(Write::Patch(key, ready, Preconditions::default()));
    }

    fn run_until(&mut self, seconds: f64) {
        let end = SimTime::ZERO + SimDuration::from_secs_f64(seconds);
        self.0.run_until(end, &mut |_, _| true).unwrap();
    }

    fn pod(&self, name: &str) -> Arc<Pod> {
        self.0.store.live().fetch_key::<Pod>(&pod_key(name)).unwrap().clone()
    }

    fn place(&self, name: &str) -> Option<String> {
        self.pod(name).node.as_ref().map(|node| node.to_string())
    }

    fn events(&self, name: &str) -> Vec<(String, String)> {
        let events = self.0.store.live().list::<Event>().filter(|event| event.regarding == pod_key(name));
        events.map(|event| (event.reason.to_string(), event.message.to_string())).collect()
    }
}

fn pod_key(name: &str) -> Key {
    Key::new(Kind::Pod, "default", name)
}

fn pod(name: &str, milli_cpu: i64) -> Pod {
    builder::pod(name, builder::spec("image", milli_cpu, 1 << 20))
}

fn node(name: &str, milli_cpu: i64) -> Node {
    builder::node(name, milli_cpu, 8 << 30, 110)
}

#[test]
fn a_pod_is_bound_to_the_emptier_node_and_told_so() {
    let mut bed = Bed::new(Options::default());
    bed.join(node("small", 1000));
    bed.join(node("large", 4000));
    bed.create(pod("a", 500));
    bed.run_until(1.0);
    assert_eq!(bed.place("a").as_deref(), Some("large"));
    let scheduled = ("Scheduled".to_string(), "Successfully assigned default/a to large".to_string());
    assert_eq!(bed.events("a"), [scheduled]);
    assert!(condition::is_true(&bed.pod("a").status.conditions, "PodScheduled"));
}

#[test]
fn assumed_pods_count_at_once() {
    let mut bed = Bed::new(Options { turns: 10, ..Options::default() });
    bed.join(node("one", 1000));
    for name in ["a", "b", "c"] {
        bed.create(pod(name, 400));
    }
    bed.run_until(0.5);
    let placed = ["a", "b", "c"].map(|name| bed.place(name).is_some());
    assert_eq!(placed, [true, true, false], "2 x 400m fit in 1000m, 3 do not");
    let message = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes \
                   are available: 1 No preemption victims found for incoming pod.";
    assert_eq!(bed.events("c")[0].1, message);
    let conditions = bed.pod("c").status.conditions.clone();
    let scheduled = condition::find(&conditions, "PodScheduled").unwrap();
    assert_eq!((scheduled.status, scheduled.reason.as_str()), (Truth::False, "Unschedulable"));
}

/// A node comes at 0.25 s. The pod failed at 0.1 s: its backoff of 1 s ends at 1.1 s, cut to 1 s, which
/// holds until the flush at 2 s; but nobody is active, so it need not wait.
#[test]
fn a_node_that_helps_brings_the_pod_back() {
    let mut bed = Bed::new(Options::default());
    bed.join(node("small", 100));
    bed.run_until(0.1);
    bed.create(pod("a", 500));
    bed.run_until(0.2);
    assert_eq!(bed.place("a"), None);
    bed.join(node("no-help", 200));
    bed.run_until(0.25);
    assert_eq!(bed.events("a").len(), 1, "a node on which it does not fit does not wake it");
    bed.join(node("large", 4000));
    bed.run_until(0.3);
    assert_eq!(bed.place("a").as_deref(), Some("large"));
}

#[test]
fn a_pod_that_leaves_makes_room() {
    let mut bed = Bed::new(Options::default());
    bed.join(node("one", 1000));
    bed.create(pod("a", 800));
    bed.run_until(0.1);
    bed.create(pod("b", 800));
    bed.run_until(0.2);
    assert_eq!(bed.place("b"), None);
    bed.write(Write::Delete(pod_key("a"), DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() }));
    bed.run_until(0.3);
    assert_eq!(bed.place("b").as_deref(), Some("one"));
}

/// Without any node no plugin is to blame: errors back off 1, 2, 4, 8, 10, 10 … seconds. The first turn is
/// at 0; an expiry, cut to whole seconds, holds through its second: turns at 2, 5, 10, 19, 30.
#[test]
fn errors_back_off() {
    let mut bed = Bed::new(Options::default());
    bed.create(pod("a", 100));
    bed.run_until(31.0);
    let all = bed.0.store.live().list::<Event>().find(|event| event.regarding == pod_key("a")).unwrap().clone();
    assert_eq!(all.message, "no nodes available to schedule pods");
    assert_eq!(all.count, 6);
    assert_eq!(all.last, SimTime::from_secs(30));
}

fn high_priority() -> PriorityClass {
    let meta = Meta::named("", "high");
    PriorityClass { meta, value: 10, global_default: false, preempts: true, description: Name::new() }
}

fn important(name: &str, milli_cpu: i64) -> Pod {
    let mut pod = pod(name, milli_cpu);
    Arc::make_mut(&mut pod.spec).priority_class = Name::from("high");
    pod
}

/// The victim is told, deleted with its own grace, and the pod waits for its node until it is gone.
#[test]
fn a_higher_priority_takes_the_place() {
    let mut bed = Bed::new(Options::default());
    bed.create(high_priority());
    bed.join(node("one", 1000));
    bed.create(pod("low", 800));
    bed.run_until(0.5);
    assert_eq!(bed.place("low").as_deref(), Some("one"));
    bed.create(important("high", 801));
    bed.run_until(1.0);
    let victim = bed.pod("low");
    assert_eq!(victim.meta.deletion.map(|deletion| deletion.grace_seconds), Some(30));
    let target = condition::find(&victim.status.conditions, "DisruptionTarget").unwrap();
    assert_eq!(target.reason, "PreemptionByScheduler");
    assert_eq!(target.message, "default-scheduler: preempting to accommodate a higher priority pod");
    let uid = bed.pod("high").meta.uid;
    assert_eq!(bed.events("low")[1], ("Preempted".into(), format!("Preempted by pod {uid} on node one")));
    assert_eq!(bed.pod("high").status.nominated_node.as_deref(), Some("one"));
    assert_eq!(bed.place("high"), None);
    bed.write(Write::Delete(pod_key("low"), DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() }));
    bed.run_until(1.5);
    assert_eq!(bed.place("high").as_deref(), Some("one"));
}

#[test]
fn higher_priority_goes_first() {
    let mut bed = Bed::new(Options { turns: 10, ..Options::default() });
    bed.join(node("one", 1000));
    bed.create(pod("low", 800));
    bed.create(high_priority());
    bed.create(important("high", 801));
    bed.run_until(0.5);
    assert_eq!((bed.place("low"), bed.place("high").as_deref()), (None, Some("one")));
}

#[test]
fn gated_and_foreign_pods_wait() {
    let mut bed = Bed::new(Options::default());
    bed.join(node("one", 1000));
    let mut gated = pod("gated", 101);
    Arc::make_mut(&mut gated.spec).scheduling_gates = vec![Name::from("example.com/hold")];
    bed.create(gated);
    let mut foreign = pod("foreign", 102);
    Arc::make_mut(&mut foreign.spec).scheduler_name = Name::from("someone-else");
    bed.create(foreign);
    bed.run_until(400.0);
    assert_eq!((bed.place("gated"), bed.place("foreign")), (None, None));
    assert!(bed.events("gated").is_empty() && bed.events("foreign").is_empty());
}

#[test]
fn decisions_are_explained_on_request() {
    let scheduler = Scheduler::new(Options { explain: vec![Name::from("a")], ..Options::default() });
    let basket = scheduler.explanations();
    let mut bed = Bed::with(scheduler);
    bed.join(node("one", 1000));
    bed.join(node("two", 1000));
    bed.create(pod("a", 100));
    bed.run_until(1.0);
    let explained = basket.take();
    assert_eq!(explained.len(), 1);
    assert_eq!(explained[0].tied(), ["one", "two"], "equal nodes tie, and the first one wins");
    assert_eq!(explained[0].totals[explained[0].winner.unwrap()].0, "one");
    let text = kubesim::report::explain::text(&explained[0]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

/// Nodes of 4, 2 and 8 CPUs, joined in this order; three pods of 1 CPU, one after another.
#[test]
fn strategies_choose_their_nodes() {
    let cases = [
        ("first-fit", ["one", "one", "one"]),
        ("round-robin", ["one", "two", "three"]),
        // Left over with the pod: 3, 1 and 7 CPUs; then 3, 0, 7; then the second node is full.
        ("best-fit", ["two", "two", "one"]),
        // 7 CPUs left over, then 6, then 5: always the most.
        ("worst-fit", ["three", "three", "three"]),
    ];
    for (name, expected) in cases {
        let profile = (strategies::find(name).unwrap().profile)(Seed(1));
        let mut bed = Bed::new(Options { profiles: vec![profile], ..Options::default() });
        for (node_name, milli_cpu) in [("one", 4000), ("two", 2000), ("three", 8000)] {
            bed.join(node(node_name, milli_cpu));
        }
        for (at, pod_name) in ["a", "b", "c"].into_iter().enumerate() {
            bed.create(pod(pod_name, 1000));
            bed.run_until(at as f64 + 1.0);
        }
        assert_eq!(["a", "b", "c"].map(|pod| bed.place(pod).unwrap()), expected, "{name}");
    }
}

/// A cluster where Coscheduling takes part and orders the queue.
fn gang_bed() -> Bed {
    let mut plugins = plugins::defaults();
    plugins.retain(|(plugin, _)| plugin.name() != "PrioritySort");
    plugins.push((Rc::new(Coscheduling::default()), 0));
    let profile = Profile::new(Name::from("default-scheduler"), plugins);
    Bed::new(Options { profiles: vec![profile], ..Options::default() })
}

/// A pod of one CPU that starts with two others of its gang, or not.
fn member(gang: &str, name: &str) -> Pod {
    let group = "pod-group.scheduling.sigs.k8s.io/";
    pod(name, 1000).label(&format!("{group}name"), gang).label(&format!("{group}min-available"), "3")
}

#[test]
fn a_gang_starts_together() {
    let mut bed = gang_bed();
    bed.join(node("one", 2000));
    bed.create(member("train", "a"));
    bed.create(member("train", "b"));
    bed.run_until(5.0);
    assert_eq!(["a", "b"].map(|name| bed.place(name)), [None, None], "two of three are not looked at");
    let text = "0/1 nodes are available: pre-filter pod b cannot find enough sibling pods, current pods number: 2, \
                minMember of group: 3.";
    assert!(bed.events("b").last().unwrap().1.starts_with(text), "{:?}", bed.events("b"));
    bed.join(node("two", 1000));
    bed.create(member("train", "c"));
    bed.run_until(7.0);
    assert_eq!(["a", "b", "c"].map(|name| bed.place(name).is_some()), [true; 3]);
}

/// The third member fits nowhere: after 60 s the first two give their places back, and have their turn again.
#[test]
fn a_gang_that_waits_in_vain_gives_its_places_back() {
    let mut bed = gang_bed();
    bed.join(node("one", 2000));
    ["a", "b", "c"].into_iter().for_each(|name| bed.create(member("train", name)));
    let gave_up = |bed: &Bed| ["a", "b"].map(|name| bed.events(name).iter().any(|(_, text)| text == TIMEOUT));
    const TIMEOUT: &str = "timeout waiting for permission";
    bed.run_until(59.0);
    assert_eq!(gave_up(&bed), [false, false]);
    bed.run_until(62.0);
    assert_eq!(gave_up(&bed), [true, true]);
    assert_eq!(["a", "b", "c"].map(|name| bed.place(name)), [None, None, None]);
}

/// Two gangs come mixed, and there is room for one: that which came first has it. In the order of the pods each would
/// hold a part of what the other needs.
#[test]
fn gangs_take_turns() {
    let mut bed = gang_bed();
    for name in ["x-1", "y-1", "x-2", "y-2", "x-3", "y-3"] {
        bed.create(member(&name[..1], name));
        bed.run_until(bed.0.now().as_secs_f64() + 0.1);
    }
    bed.join(node("one", 3000));
    bed.run_until(15.0);
    assert_eq!(["x-1", "x-2", "x-3"].map(|name| bed.place(name).is_some()), [true; 3]);
    assert_eq!(["y-1", "y-2", "y-3"].map(|name| bed.place(name).is_some()), [false; 3]);
}

#[test]
fn claims_keep_pods_waiting_until_their_volumes_are_there() {
    let mut bed = Bed::new(Options::default());
    bed.join(node("one", 4000).label("topology.kubernetes.io/zone", "a"));
    let decoded = |value: Value| decode::object(&value).unwrap();
    let claim = |annotations: Value, volume: &str| {
        decoded(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "default", "annotations": annotations},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}},
                "storageClassName": "slow", "volumeName": volume}}))
    };
    bed.create(decoded(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "db:1"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}})));
    bed.run_until(1.0);
    let last = |bed: &Bed| bed.events("db").last().unwrap().1.clone();
    assert_eq!(last(&bed), "0/1 nodes are available: persistentvolumeclaim \"data\" not found. not found");

    bed.create(claim(json!({}), ""));
    bed.run_until(10.0);
    let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
    assert_eq!(last(&bed), unbound);

    // Bound by hand to a volume that only another zone reaches, until that zone has a node.
    bed.create(decoded(json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "far"},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}, "storageClassName": "slow",
            "csi": {"driver": "csi.example.com", "volumeHandle": "far"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]}]}}}})));
    let complete = json!({"pv.kubernetes.io/bind-completed": "yes"});
    bed.write(Write::Update(claim(complete, "far")));
    bed.run_until(30.0);
    let far = "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity. no new claims to \
               deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(last(&bed), far);
    bed.join(node("two", 4000).label("topology.kubernetes.io/zone", "b"));
    bed.run_until(60.0);
    assert_eq!(bed.place("db").as_deref(), Some("two"));
}

/// 150 nodes, each with one pod that could go: 100 of them are looked at, from a random one on. All are alike, so of
/// those looked at the first by name is taken: `n000`, unless the 100 begin behind it and end before it comes again.
#[test]
fn preemption_begins_anywhere() {
    let mut chosen = std::collections::BTreeSet::new();
    for seed in 1..=8 {
        let mut snapshot = Snapshot::default();
        let mut framework = Framework::new(Profile::default(), &mut snapshot);
        for at in 0..150 {
            let name = format!("n{at:03}");
            snapshot.set_node(&Arc::new(node(&name, 1000)));
            let low = snapshot.compile(&Arc::new(pod(&format!("low-{at}"), 800)));
            snapshot.place(low, &Name::from(name));
        }
        let mut high = pod("high", 500);
        Arc::make_mut(&mut high.spec).priority = 10;
        let stream = || Seed(seed).stream("scheduler/preemption", "default-scheduler");
        framework.offsets = Some(stream());
        let high = snapshot.compile(&Arc::new(high));
        let found = framework.decide(&mut snapshot, &Nominated::default(), &high, false).preemption.unwrap();
        assert_eq!((found.potential.len(), found.candidates.len()), (150, 100));
        let offset = stream().below(150);
        let expected = if (1..=50).contains(&offset) { format!("n{offset:03}") } else { "n000".to_string() };
        let node = snapshot.name(found.candidates[found.chosen.unwrap()].node);
        assert_eq!(*node, expected, "seed {seed}, offset {offset}");
        chosen.insert(node.to_string());
    }
    assert!(chosen.len() > 1, "{chosen:?}");
}
