//! Decisions per second on 5,000 nodes, in the cases of upstream's `test/integration/scheduler_perf`, without
//! API server and queue: compile, decide, choose, count.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kubesim::model::pod_spec::{Affinity, PodAffinityTerm, SpreadConstraint, WeightedPodAffinityTerm};
use kubesim::model::{Labels, Meta, Name, Node, Pod, PodSpec, PodStatus, Selector, builder};
use kubesim::name;
use kubesim::scheduler::cycle::{Framework, Outcome, select_host};
use kubesim::scheduler::nominated::Nominated;
use kubesim::scheduler::profile::Profile;
use kubesim::scheduler::snapshot::Snapshot;
use std::sync::Arc;

const NODES: usize = 5_000;
const ZONE: Name = name!("topology.kubernetes.io/zone");
const HOSTNAME: Name = name!("kubernetes.io/hostname");

fn node(at: usize) -> Node {
    let zone = format!("zone-{}", at % 3);
    builder::node(&format!("node-{at}"), 4_000, 32 << 30, 110).label(&ZONE, &zone)
}

fn cluster() -> (Snapshot, Framework) {
    let mut snapshot = Snapshot::default();
    for at in 0..NODES {
        snapshot.set_node(&Arc::new(node(at)));
    }
    let framework = Framework::new(Profile::default(), &mut snapshot);
    (snapshot, framework)
}

fn green() -> Selector {
    Selector::from_labels(&Labels::from_iter([("color", "green")]))
}

fn near(topology_key: Name) -> PodAffinityTerm {
    PodAffinityTerm {
        selector: Some(green()),
        namespaces: Vec::new(),
        namespace_selector: None,
        topology_key,
        match_label_keys: Vec::new(),
        mismatch_label_keys: Vec::new(),
    }
}

fn spread(hard: bool) -> SpreadConstraint {
    SpreadConstraint {
        max_skew: 5,
        topology_key: ZONE,
        hard,
        selector: Some(green()),
        min_domains: None,
        honor_affinity: true,
        honor_taints: false,
        match_label_keys: Vec::new(),
    }
}

fn with_affinity(affinity: Affinity) -> PodSpec {
    PodSpec { affinity: Some(Box::new(affinity)), ..plain() }
}

fn plain() -> PodSpec {
    builder::spec("image", 100, 500 << 20)
}

/// The case's name, how many pods, and what they look like.
fn cases() -> Vec<(&'static str, usize, PodSpec)> {
    let weighted = |term| vec![WeightedPodAffinityTerm { weight: 1, term }];
    vec![
        ("SchedulingBasic", 10_000, plain()),
        ("TopologySpreading", 1_000, PodSpec { spread: vec![spread(true)], ..plain() }),
        ("PreferredTopologySpreading", 1_000, PodSpec { spread: vec![spread(false)], ..plain() }),
        (
            "SchedulingPodAntiAffinity",
            1_000,
            with_affinity(Affinity { anti_required: vec![near(HOSTNAME)], ..Affinity::default() }),
        ),
        (
            "SchedulingPodAffinity",
            1_000,
            with_affinity(Affinity { pod_required: vec![near(ZONE)], ..Affinity::default() }),
        ),
        (
            "SchedulingPreferredPodAntiAffinity",
            1_000,
            with_affinity(Affinity { anti_preferred: weighted(near(HOSTNAME)), ..Affinity::default() }),
        ),
    ]
}

/// Places `count` pods of this wish, one after the other.
fn schedule(snapshot: &mut Snapshot, framework: &mut Framework, spec: &Arc<PodSpec>, count: usize) {
    let nominated = Nominated::default();
    let labels = Labels::from_iter([("color", "green")]);
    for at in 0..count {
        let mut meta = Meta::named("default", format!("pod-{at}"));
        meta.labels = labels.clone();
        let pod = Arc::new(Pod { meta, spec: spec.clone(), node: None, status: PodStatus::default() });
        let info = snapshot.compile(&pod);
        match framework.decide(snapshot, &nominated, &info, false).outcome {
            Outcome::Fits(scored) => {
                let winner = scored[select_host(&scored).expect("it fits")].0;
                let node = snapshot.name(winner).clone();
                snapshot.place(info, &node);
            }
            Outcome::Unfit(fit) => panic!("{fit}"),
        }
    }
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scheduler");
    group.sample_size(10);
    for (name, count, spec) in cases() {
        let spec = Arc::new(spec);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |bench| {
            bench.iter_batched_ref(
                cluster,
                |(snapshot, framework)| schedule(snapshot, framework, &spec, count),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
