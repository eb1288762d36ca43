//! Requests a second of wall time: one service over 100 pods, event by event, on one core.
//!
//! `cargo bench --bench traffic` runs two million requests and more through a whole cluster (its start included: about
//! one hundredth of the time) and prints elements, that is requests, a second.
//!
//! `cargo bench --bench traffic -- theory` holds waiting times against queueing theory instead, with as many requests
//! as 1 % needs (some minutes), and fails if one is further off.

// Wall time is what a bench is for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group};
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

fn load_text(text: &str) -> Scenario {
    load("traffic.yaml", text, &[], &Nothing).unwrap()
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
    load_text(&text)
}

fn requests(scenario: &Scenario) -> u64 {
    let mut cluster = Cluster::new(scenario, &Options::of(scenario), Vec::new()).unwrap();
    cluster.run(&mut |_, _| true).unwrap();
    let record = cluster.take_traffic().unwrap();
    let web = &record.services[0];
    assert_eq!((web.pods.len(), web.ends.failed()), (100, 0));
    web.ends.all()
}

/// Mean time in the system in theory, for a mean service time of 1 and squared coefficient of variation `cs2`: exact
/// for one at a time (Pollaczek and Khinchine) and for exponential service (Erlang C).
fn expected(load: f64, places: u32, cs2: f64) -> f64 {
    let offered = load * f64::from(places);
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..places {
        term *= offered / f64::from(n);
        sum += term;
    }
    let last = term * offered / f64::from(places) / (1.0 - load);
    1.0 + last / (sum + last) / (f64::from(places) * (1.0 - load)) * (1.0 + cs2) / 2.0
}

/// M/M/1, M/M/5, M/D/1 and M/G/1 at loads 0.5, 0.8 and 0.95. The variance of the mean of n waiting times of M/M/1 at
/// 0.95 is 1683/n of its square, so 150 million make 1 % three standard errors; the others need less. (Of five at 0.5 hardly any waits: there it is
/// the mean of the service times drawn that must be so exact.)
fn theory() {
    const SERVICE: f64 = 100e-6;
    let shapes = [
        ("M/M", "{exponential: {mean: 100000ns}}", 1.0),
        ("M/D", "100000ns", 0.0),
        // A median of 83.5 us by exp(0.6^2 / 2) gives the mean of 100 us.
        ("M/G", "{lognormal: {median: 83527ns, sigma: 0.6}}", (0.36f64).exp() - 1.0),
    ];
    let mut wrong = 0;
    for (name, time, cs2) in shapes {
        for (places, load, millions) in
            [(1, 0.5, 2.0), (1, 0.8, 12.0), (1, 0.95, 150.0), (5, 0.5, 60.0), (5, 0.8, 16.0), (5, 0.95, 150.0)]
        {
            // There is no exact answer for several places and other than exponential service.
            if places > 1 && cs2 != 1.0 {
                continue;
            }
            let rate = load * f64::from(places) / SERVICE;
            let seconds = (millions * 1e6 / rate) as i64;
            let text = format!(
                "name: theory\nduration: {}s\ncluster:\n  pools:\n  - {{name: node, count: 1, capacity: {{cpu: 8, memory: \
                 16Gi}}}}\nbehavior:\n- startTime: 1s\nmanifests:\n  inline:\n  - {{apiVersion: v1, kind: Pod, metadata: \
                 {{name: web, labels: {{app: web}}}}, spec: {{containers: [{{name: c, image: 'web:1'}}]}}}}\n  - \
                 {{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{selector: {{app: web}}, ports: \
                 [{{port: 80}}]}}}}\ntraffic:\n  mode: exact\n  servers:\n  - {{service: web, serviceTime: {time}, \
                 cpuShare: 0, concurrency: {places}, queue: 1000000}}\n  clients:\n  - {{name: users, service: web, from: \
                 cluster, start: 60s, timeout: 1h, arrivals: {{poisson: {rate}/s}}}}\n",
                60 + seconds
            );
            let scenario = load_text(&text);
            let mut cluster = Cluster::new(&scenario, &Options::of(&scenario), Vec::new()).unwrap();
            cluster.run(&mut |_, _| true).unwrap();
            let record = cluster.take_traffic().unwrap();
            let have = record.services[0].pods[0].mean.as_secs_f64() / SERVICE - 1.0;
            let right = expected(load, places, cs2) - 1.0;
            let off = have / right - 1.0;
            wrong += u32::from(off.abs() >= 0.01);
            println!(
                "{name}/{places} at {load:4}: waits {have:8.4} service times, {right:8.4} in theory: {:+.2} %",
                100.0 * off
            );
        }
    }
    assert_eq!(wrong, 0, "within 1 % of theory");
}

fn traffic(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("requests");
    group.sample_size(10);
    for (name, proxy) in [("iptables", "{mode: iptables}"), ("ipvs-rr", "{mode: ipvs, scheduler: rr}")] {
        let scenario = scenario(proxy);
        group.throughput(Throughput::Elements(requests(&scenario)));
        group.bench_function(name, |bencher| bencher.iter(|| requests(&scenario)));
    }
    group.finish();
}

criterion_group!(benches, traffic);

fn main() {
    match std::env::args().any(|argument| argument == "theory") {
        true => theory(),
        false => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
