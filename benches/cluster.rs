//! Whole runs: the first scenario under criterion, and one large cluster measured once.
//!
//! `cargo bench --bench cluster` prints, for 1,000 nodes and 30,000 plain pods: wall time, events a second, bytes a
//! pod, and what a quiet day costs on top.

// Wall time and memory are what a bench is for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group};
use kubesim::cluster::{Cluster, Options};
use kubesim::scenario::Scenario;
use kubesim::scenario::load::{SourceFiles, load};
use kubesim::time::SimTime;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

const NODES: u32 = 1_000;
const DEPLOYMENTS: u32 = 30;
const REPLICAS: u32 = 1_000;

struct Disk;

impl SourceFiles for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(Path::new("scenarios").join(path)).map_err(|error| error.to_string())
    }
    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

fn file(name: &str) -> Scenario {
    let text = std::fs::read_to_string(Path::new("scenarios").join(name)).unwrap();
    load(name, &text, &[], &Disk).unwrap()
}

/// `NODES` nodes and `DEPLOYMENTS` × `REPLICAS` plain pods, created as fast as a controller manager with raised
/// client limits can.
fn large(duration: &str) -> Scenario {
    let mut text = format!(
        "name: large\nduration: {duration}\ncluster:\n  pools:\n  - {{name: node, count: {NODES}, zones: [a, b, c], \
         capacity: {{cpu: 32, memory: 128Gi}}}}\ntiming:\n  components:\n    \
         replicaset-controller: {{qps: 1000, burst: 2000}}\n    kube-scheduler: {{qps: 1000, burst: 2000}}\n\
         behavior:\n- startTime: 1s\nmanifests:\n  inline:\n"
    );
    for index in 0..DEPLOYMENTS {
        writeln!(
            text,
            "  - {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web-{index}}}, spec: {{replicas: {REPLICAS}, \
             selector: {{matchLabels: {{app: web-{index}}}}}, template: {{metadata: {{labels: {{app: web-{index}}}}}, \
             spec: {{containers: [{{name: c, image: 'web:1', resources: {{requests: {{cpu: 100m, memory: 64Mi}}}}}}]}}}}}}}}"
        )
        .unwrap();
    }
    load("large.yaml", &text, &[], &Disk).unwrap()
}

fn run(scenario: &Scenario) -> Cluster {
    let mut cluster = Cluster::new(scenario, &Options::of(scenario), Vec::new()).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    cluster
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

fn large_cluster() {
    let before = resident_bytes();
    let started = Instant::now();
    let cluster = run(&large("10m"));
    let wall = started.elapsed().as_secs_f64();
    let stats = cluster.runtime().stats();
    let store = &cluster.runtime().store;
    let ready = store.live().list::<kubesim::model::Pod>().filter(|pod| pod.is_ready()).count() as u64;
    let bytes = resident_bytes().saturating_sub(before);
    println!("large: {NODES} nodes, {ready} pods ready after 10 virtual minutes");
    println!("large: {wall:.2} s, {} events, {:.0} events/s", stats.events, stats.events as f64 / wall);
    println!("large: {} bytes/pod resident", bytes / ready.max(1));
    drop(cluster);
    let started = Instant::now();
    let day = run(&large("24h"));
    let extra = started.elapsed().as_secs_f64() - wall;
    println!("quiet day: {extra:+.2} s, {} events more", day.runtime().stats().events - stats.events);
    assert_eq!(ready, u64::from(DEPLOYMENTS * REPLICAS));
    assert!(day.runtime().now() >= SimTime::from_secs(86_400));
}

fn scenarios(criterion: &mut Criterion) {
    for name in ["hello.yaml", "node-failure.yaml"] {
        let scenario = file(name);
        criterion.bench_function(name, |bencher| bencher.iter(|| run(&scenario)));
    }
}

criterion_group!(benches, scenarios);

fn main() {
    large_cluster();
    benches();
}
