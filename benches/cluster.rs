//! Whole runs: small scenarios under criterion, and two clusters measured once.
//!
//! `cargo bench --bench cluster` prints, for 1,000 nodes and 30,000 pods and for `benches/large.yaml` (5,000 nodes,
//! 150,000 pods behind Services): wall time, events a second, bytes a pod, and what a quiet day costs on top.

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

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
fn medium(duration: &str) -> Scenario {
    let mut text = format!(
        "name: medium\nduration: {duration}\ncluster:\n  pools:\n  - {{name: node, count: {NODES}, zones: [a, b, c], \
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
    load("medium.yaml", &text, &[], &Disk).unwrap()
}

fn run(scenario: &Scenario) -> Cluster {
    let mut cluster = Cluster::new(scenario, &Options::of(scenario), Vec::new()).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    cluster
}

/// A line of the process's status that counts kilobytes, in bytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|have| have.strip_prefix(line)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Runs `loaded` until all is quiet, then `day`, the same for longer.
fn measure(name: &str, loaded: &Scenario, day: &Scenario, pods: u64) {
    let before = memory("VmRSS:");
    let started = Instant::now();
    let cluster = run(loaded);
    let wall = started.elapsed().as_secs_f64();
    let stats = cluster.runtime().stats();
    let store = &cluster.runtime().store;
    let ready = store.live().list::<kubesim::model::Pod>().filter(|pod| pod.is_ready()).count() as u64;
    let nodes = store.live().list::<kubesim::model::Node>().count();
    let bytes = memory("VmRSS:").saturating_sub(before);
    println!("{name}: {nodes} nodes, {ready} pods ready at virtual {}", cluster.runtime().now());
    println!("{name}: {wall:.2} s, {} events, {:.0} events/s", stats.events, stats.events as f64 / wall);
    println!("{name}: {} bytes/pod resident, {} MiB at most", bytes / ready.max(1), memory("VmHWM:") >> 20);
    drop(cluster);
    let started = Instant::now();
    let day = run(day);
    let extra = started.elapsed().as_secs_f64() - wall;
    println!("{name}: a quiet day on top {extra:+.2} s, {} events more", day.runtime().stats().events - stats.events);
    assert_eq!(ready, pods);
    assert!(day.runtime().now() >= SimTime::from_secs(86_400));
}

fn clusters() {
    measure("medium", &medium("10m"), &medium("24h"), u64::from(DEPLOYMENTS * REPLICAS));
    let text = std::fs::read_to_string("benches/large.yaml").unwrap();
    let large = |duration: &str| load("large.yaml", &text, &[format!("duration={duration}")], &Disk).unwrap();
    measure("large", &large("3h"), &large("24h"), 150_000);
}

fn scenarios(criterion: &mut Criterion) {
    for name in ["hello.yaml", "node-failure.yaml"] {
        let scenario = file(name);
        criterion.bench_function(name, |bencher| bencher.iter(|| run(&scenario)));
    }
}

criterion_group!(benches, scenarios);

fn main() {
    clusters();
    benches();
}
