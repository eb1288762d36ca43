//! How many pods a second the scheduler places, in the cases of upstream's `test/integration/scheduler_perf`, by
//! their names and at their sizes ([`cases`]).
//!
//! ```text
//! cargo bench --bench scheduler                         # criterion, all cases
//! cargo bench --bench scheduler -- TopologySpreading    # those with this in their name
//! cargo bench --bench scheduler -- --table              # each once, as a table: results/scheduler-perf/
//! ```
//!
//! What is measured is the simulator's own loop on one core with nobody but the scheduler acting: the watch brings
//! the created pods, each goes into the queue and has its turn (PreFilter to Score with adaptive sampling and
//! tie-breaking as upstream), is assumed, bound by a write to the store, told of by an event, and heard of again as a
//! bound pod. Making the nodes and the pods that are there before is not measured, nor is writing the measured pods.
//! The virtual time between two turns is what upstream's threshold allows, so that whatever comes and goes by the
//! clock meanwhile comes as often per measured pod as in upstream's slowest passing run.
//!
//! The last case is the GPU fragmentation experiment: one run of the policy FGD over its trace.

// Wall time, files and arguments are what a bench is for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

mod bed;
mod cases;
mod fgd;
mod table;
mod templates;

use bed::Bed;
use cases::CASES;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use std::time::Duration;

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--table") {
        let wanted = words.iter().find(|word| !word.starts_with('-')).cloned().unwrap_or_default();
        return table::print(&wanted);
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("scheduler_perf");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_millis(1));
    for case in CASES {
        group.throughput(Throughput::Elements(case.measured.total() as u64));
        group.bench_function(format!("{}/{}", case.name, case.workload.replace('/', "_")), |bencher| {
            bencher.iter_batched_ref(|| Bed::new(case), Bed::measure, BatchSize::PerIteration);
        });
    }
    group.throughput(Throughput::Elements(1));
    let experiment = fgd::Experiment::read();
    group.bench_function("GPU fragmentation experiment", |bencher| bencher.iter(|| experiment.run()));
    group.finish();
    criterion.final_summary();
}
