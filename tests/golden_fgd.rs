//! Six policies on a GPU-sharing cluster against the recordings of the simulator of "Beware of
//! Fragmentation" (USENIX ATC'23): every placement, the end states and the published curves.
//!
//! `KUBESIM_GOLDEN` names the folder above `fgd/`: any arrivals, node orders and placements of that form are
//! read. The trace itself is looked for in `openb/` there, in `data/openb/` beside it, and in `tests/golden`.

use kubesim::experiment::fgd::curve::{CurvePoint, curve};
use kubesim::experiment::fgd::trace::{self, TraceNode, TracePod};
use kubesim::experiment::fgd::{Placement, Policy, Run, run};
use kubesim::model::{Name, Pod, builder};
use kubesim::rng::Seed;
use kubesim::scheduler::cycle::{Framework, Outcome};
use kubesim::scheduler::gpu::typical::typical;
use kubesim::scheduler::nominated::Nominated;
use kubesim::scheduler::plugin::Plugin;
use kubesim::scheduler::plugins::best_fit::{BestFit, Space};
use kubesim::scheduler::plugins::dot_prod::DotProd;
use kubesim::scheduler::plugins::fgd::Fgd;
use kubesim::scheduler::plugins::gpu_clustering::GpuClustering;
use kubesim::scheduler::plugins::gpu_packing::GpuPacking;
use kubesim::scheduler::pod_info::PodInfo;
use kubesim::scheduler::snapshot::Snapshot;
use kubesim::scheduler::strategies;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

#[allow(clippy::disallowed_methods)] // The one place where a test is told where recordings are.
fn golden() -> PathBuf {
    std::env::var("KUBESIM_GOLDEN").map_or_else(|_| PathBuf::from("tests/golden"), PathBuf::from)
}

/// The text of a file, packed or not.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    match File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text).unwrap(),
        Err(_) => flate2::read::GzDecoder::new(File::open(packed).ok()?).read_to_string(&mut text).unwrap(),
    };
    Some(text)
}

fn openb(name: &str) -> String {
    let folders = [golden().join("openb"), golden().join("../data/openb"), PathBuf::from("tests/golden/openb")];
    folders.iter().find_map(|folder| text(&folder.join(name))).unwrap_or_else(|| panic!("no {name}"))
}

fn recording(name: &str) -> Option<String> {
    text(&golden().join("fgd").join(name))
}

struct Case {
    trace: String,
    seed: u64,
    nodes: Vec<TraceNode>,
    pods: Vec<TracePod>,
    arrivals: String,
}

/// Every pair of trace and seed with recorded arrivals.
fn cases() -> Vec<Case> {
    let mut names: Vec<String> = std::fs::read_dir(golden().join("fgd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().to_string())
        .filter_map(|name| Some(name.strip_prefix("arrivals_")?.split('.').next()?.to_string()))
        .collect();
    names.sort();
    let case = |name: &String| {
        let (trace, seed) = name.rsplit_once("_seed").unwrap();
        let nodes = trace::nodes(&openb("openb_node_list_gpu_node.csv")).unwrap();
        Case {
            nodes: trace::in_order(&nodes, &recording(&format!("nodeorder_{name}.txt")).unwrap()).unwrap(),
            pods: trace::pods(&openb(&format!("openb_pod_list_{trace}.csv"))).unwrap(),
            arrivals: recording(&format!("arrivals_{name}.txt")).unwrap(),
            trace: trace.to_string(),
            seed: seed.parse().unwrap(),
        }
    };
    names.iter().map(case).collect()
}

fn experiment(case: &Case, policy: Policy) -> Run {
    let arrivals = trace::arrivals(&case.pods, &case.arrivals).unwrap();
    run(policy, &case.nodes, &case.pods, &arrivals, &mut Seed(case.seed).stream("test", policy.as_str()))
}

/// A line of a recording: order, pod, node, devices.
fn line(order: usize, pod: &str, placement: Option<&Placement>, nodes: &[TraceNode]) -> String {
    let Some(placement) = placement else { return format!("{order},{pod},,") };
    let devices: Vec<String> = placement.devices.iter().map(u8::to_string).collect();
    format!("{order},{pod},{},{}", nodes[placement.node].name, devices.join("-"))
}

/// Rows of a table by their first three columns.
fn table(name: &str) -> BTreeMap<[String; 3], Vec<Vec<f64>>> {
    let mut rows: BTreeMap<[String; 3], Vec<Vec<f64>>> = BTreeMap::new();
    for row in recording(name).unwrap_or_default().lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let values = cells[3..].iter().filter_map(|cell| cell.parse().ok()).collect();
        rows.entry([cells[0].into(), cells[1].into(), cells[2].into()]).or_default().push(values);
    }
    rows
}

/// Pods, unscheduled, arrived, allocated, unallocated, fragments, ratio.
fn end_state(run: &Run) -> [f64; 7] {
    let last = run.moments.last().unwrap();
    let idle = run.capacity - last.allocated;
    let dropped = run.placements.iter().filter(|placement| placement.is_none()).count();
    let amounts = [run.moments.len() as i64, dropped as i64, last.arrived, last.allocated, idle].map(|n| n as f64);
    let [pods, dropped, arrived, allocated, idle] = amounts;
    [pods, dropped, arrived, allocated, idle, last.fragments, 100.0 * last.fragments / idle]
}

/// The largest difference between a curve and a recorded one, in percentage points.
fn distance(curve: &[CurvePoint], recorded: &[Vec<f64>]) -> f64 {
    let by_percent: BTreeMap<i64, &CurvePoint> = curve.iter().map(|point| (point.arrived_percent, point)).collect();
    let mut largest: f64 = 0.0;
    for row in recorded {
        let Some(point) = by_percent.get(&(row[0] as i64)) else { return f64::INFINITY };
        let ours = [point.allocated_percent, point.fragments_percent, point.fragments_of_idle_percent];
        for (ours, theirs) in ours.iter().zip(&row[1..]) {
            largest = largest.max((ours - theirs).abs());
        }
    }
    largest
}

#[test]
fn golden_fgd() {
    let (curves, finals) = (table("curves.csv"), table("final.csv"));
    let mut failures = Vec::new();
    println!(
        "{:<10} {:>4} {:<14} {:>6} {:>6} {:>9}  first difference",
        "trace", "seed", "policy", "pods", "agree", "curve"
    );
    for case in cases() {
        for policy in Policy::DETERMINISTIC {
            let (trace, seed, name) = (&case.trace, case.seed, policy.as_str());
            let Some(recorded) = recording(&format!("placements_{trace}_seed{seed}_{name}.csv")) else { continue };
            let run = experiment(&case, policy);
            let lines = case.arrivals.lines().zip(&run.placements).enumerate();
            let ours = lines.map(|(at, (pod, placement))| line(at, pod, placement.as_ref(), &case.nodes));
            let ours: Vec<String> = ours.collect();
            let theirs: Vec<&str> = recorded.lines().skip(1).collect();
            let agree = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count();
            let first = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
            let first = first.map(|(ours, theirs)| format!("{ours} but recorded {theirs}")).unwrap_or_default();
            let key = [trace.clone(), name.to_string(), seed.to_string()];
            let far = curves.get(&key).map_or(0.0, |recorded| distance(&curve(&run), recorded));
            println!("{trace:<10} {seed:>4} {name:<14} {:>6} {agree:>6} {far:>9.4}  {first}", theirs.len());
            if agree != theirs.len() || ours.len() != theirs.len() || far > 0.01 {
                failures.push(format!("{trace} {seed} {name}"));
            }
            if let Some([recorded]) = finals.get(&key).map(Vec::as_slice) {
                let near = |(ours, theirs): (&f64, &f64)| (ours - theirs).abs() <= 0.006;
                assert!(end_state(&run).iter().zip(recorded).all(near), "{key:?}: {:?} {recorded:?}", end_state(&run));
            }
        }
    }
    assert!(failures.is_empty(), "placements or curves differ: {failures:?}");
}

/// The policy as a plugin of a profile, with the experiment's largest machine and workload.
fn plugin(policy: Policy, workload: &[TracePod]) -> Rc<dyn Plugin> {
    let largest = Space { milli_cpu: 128_000, memory: 0, gpu: 8_000 };
    match policy {
        Policy::Random => unreachable!("not deterministic"),
        Policy::DotProd => Rc::new(DotProd::new(largest)),
        Policy::GpuClustering => Rc::new(GpuClustering::default()),
        Policy::GpuPacking => Rc::new(GpuPacking::default()),
        Policy::BestFit => Rc::new(BestFit::new(largest)),
        Policy::Fgd => Rc::new(Fgd::new(typical(workload.iter().map(|pod| &pod.ask)))),
    }
}

fn snapshot(nodes: &[TraceNode]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for node in nodes {
        let mut object = builder::node(&node.name, node.milli_cpu, node.memory << 20, 1001);
        object.allocatable.set(&Name::from("alibabacloud.com/gpu-count"), node.devices as i64);
        object = object.label("alibabacloud.com/gpu-card-model", &node.model);
        snapshot.set_node(&Arc::new(object));
    }
    snapshot
}

fn pod_object(name: &str, pod: &TracePod) -> Pod {
    let mut object = builder::pod(name, builder::spec("app", pod.ask.milli_cpu, pod.memory << 20));
    let mut note = |key: &str, value: String| object.meta.annotations = object.meta.annotations.with(key, value);
    if pod.ask.count > 0 {
        note("alibabacloud.com/gpu-milli", pod.ask.milli.to_string());
        note("alibabacloud.com/gpu-count", pod.ask.count.to_string());
        note("alibabacloud.com/gpu-card-model", pod.ask.models.join("|"));
    }
    object
}

#[test]
fn plugins_place_as_the_experiment_does() {
    const PODS: usize = 500;
    // A corner of the cluster, so that it fills up.
    const NODES: usize = 60;
    let mut case = cases().remove(0);
    case.nodes.truncate(NODES);
    let names: Vec<&str> = case.arrivals.lines().take(PODS).collect();
    let arrivals = trace::arrivals(&case.pods, &names.join("\n")).unwrap();
    for policy in Policy::DETERMINISTIC {
        let expected = run(policy, &case.nodes, &case.pods, &arrivals, &mut Seed(1).stream("test", "none"));
        let mut snapshot = snapshot(&case.nodes);
        let rank: BTreeMap<Name, usize> = case.nodes.iter().enumerate().map(|(at, n)| (n.name.clone(), at)).collect();
        let mut framework = Framework::new(strategies::by(plugin(policy, &case.pods)), &mut snapshot);
        for (order, (pod, placement)) in arrivals.iter().zip(&expected.placements).enumerate() {
            let info = snapshot.compile(&Arc::new(pod_object(names[order], pod)));
            let decision = framework.decide(&mut snapshot, &Nominated::default(), &info, false);
            let Outcome::Fits(scored) = decision.outcome else {
                assert_eq!(None, placement.as_ref(), "{policy:?} {order}");
                continue;
            };
            let best = scored.iter().map(|(_, total)| *total).max().unwrap();
            let ties = scored.iter().filter(|(_, total)| *total == best).map(|(node, _)| *node);
            let node = ties.min_by_key(|node| rank[snapshot.name(*node)]).unwrap();
            let name = snapshot.name(node).clone();
            let mut bound = Pod::clone(&info.pod);
            if let Some((key, value)) = framework.assign(&snapshot, &info, node) {
                bound.meta.annotations = bound.meta.annotations.with(key, value);
            }
            let index = bound.meta.annotations.get("alibabacloud.com/gpu-index").map_or("", |text| text.as_str());
            let ours = format!("{order},{},{name},{index}", names[order]);
            assert_eq!(ours, line(order, names[order], placement.as_ref(), &case.nodes), "{policy:?}");
            snapshot.place(PodInfo { pod: Arc::new(bound), spec: info.spec.clone() }, &name);
        }
    }
}
