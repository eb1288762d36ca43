//! Requests a second of wall time: one service over 100 pods, event by event, on one core.
//!
//! `cargo bench --bench traffic` runs two million requests and more through a whole cluster (its start included: about
//! one hundredth of the time) and prints elements, that is requests, a second.

// Wall time is what a bench is for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kubesim::cluster::{Cluster, Options};
use kubesim::scenario::Scenario;
use kubesim::scenario::load::{SourceFiles, load};

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Nothing;

impl SourceFiles for Nothing {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("{path} is not there"))
    }
    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// 100 pods on 20 nodes, up after 20 s; then 100,000 requests a second at random for 20 s, of 1 ms each.
fn scenario(proxy: &str) -> Scenario {
    let text = format!(
        "name: traffic\nduration: 80s\ncluster:\n  pools:\n  - {{name: node, count: 20, zones: [a, b, c], \
         capacity: {{cpu: 32, memory: 128Gi}}}}\nbehavior:\n- startTime: 1s\nmanifests:\n  inline:\n  \
         - {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: 100, \
         selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, \
         spec: {{containers: [{{name: c, image: 'web:1', resources: {{requests: {{cpu: 100m, memory: 64Mi}}}}}}]}}}}}}}}\n  \
         - {{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}}}\n\
         traffic:\n  proxy: {proxy}\n  servers:\n  - {{service: web, serviceTime: {{exponential: {{mean: 1ms}}}}, \
         concurrency: 8, queue: 100}}\n  clients:\n  - {{name: users, service: web, from: cluster, start: 60s, \
         arrivals: {{poisson: 100000/s}}}}\n"
    );
    load("traffic.yaml", &text, &[], &Nothing).unwrap()
}

fn requests(scenario: &Scenario) -> u64 {
    let mut cluster = Cluster::new(scenario, &Options::of(scenario), Vec::new()).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    let record = cluster.take_traffic().unwrap();
    let web = &record.services[0];
    assert_eq!((web.pods.len(), web.ends.failed()), (100, 0));
    web.ends.all()
}

fn traffic(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("requests");
    group.sample_size(10);
    for (name, proxy) in [("iptables", "{mode: iptables}"), ("ipvs-lc", "{mode: ipvs, scheduler: lc}")] {
        let scenario = scenario(proxy);
        group.throughput(Throughput::Elements(requests(&scenario)));
        group.bench_function(name, |bencher| bencher.iter(|| requests(&scenario)));
    }
    group.finish();
}

criterion_group!(benches, traffic);
criterion_main!(benches);
