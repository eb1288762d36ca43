//! All cases as a table of a few runs each, to be kept and shown.

use super::bed::{Bed, Taken};
use super::cases::{CASES, Case};
use super::fgd::Experiment;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

const RUNS: usize = 3;
const COMMAND: &str = "cargo bench --bench scheduler -- --table";
const FOLDER: &str = "results/scheduler-perf";

/// Pods a second by wall and by processor time.
struct Row {
    case: &'static Case,
    wall: f64,
    processor: f64,
}

/// Measures the cases with `wanted` in their name; with all of them, writes the table.
pub fn print(wanted: &str) {
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| case.name.contains(wanted)) {
        let row = measured(case);
        eprintln!("{:<48} {:>8.0} {:>8.0} pods/s, wanted {}", case.name, row.wall, row.processor, case.target);
        rows.push(row);
    }
    if !wanted.is_empty() {
        return;
    }
    let experiment = Experiment::read();
    let seconds = (0..RUNS).map(|_| {
        let started = Instant::now();
        experiment.run();
        started.elapsed().as_secs_f64()
    });
    let (markdown, csv) = (markdown(&rows, best(seconds, f64::min)), csv(&rows));
    std::fs::create_dir_all(FOLDER).unwrap();
    std::fs::write(Path::new(FOLDER).join("README.md"), &markdown).unwrap();
    std::fs::write(Path::new(FOLDER).join("table.csv"), csv).unwrap();
    print!("{markdown}");
}

fn best(values: impl Iterator<Item = f64>, better: fn(f64, f64) -> f64) -> f64 {
    values.reduce(better).unwrap_or_default()
}

/// The best of some runs: everything else that the machine does can only make one slower.
fn measured(case: &'static Case) -> Row {
    let runs: Vec<Taken> = (0..RUNS).map(|_| Bed::new(case).measure()).collect();
    let pods = case.measured.total() as f64;
    let rate = |seconds: f64| pods / seconds;
    let wall = best(runs.iter().map(|taken| rate(taken.wall.as_secs_f64())), f64::max);
    let on_processor = runs.iter().filter_map(|taken| taken.processor).map(|busy| rate(busy.as_secs_f64()));
    Row { case, wall, processor: best(on_processor, f64::max) }
}

fn markdown(rows: &[Row], experiment_seconds: f64) -> String {
    let mut text = format!(
        "# Speed of the scheduler\n\nThe cases of upstream's `test/integration/scheduler_perf`, at their sizes, with the \
         threshold that its CI enforces. Made by `{COMMAND}`, which says in `benches/scheduler/main.rs` what is \
         measured. The best of {RUNS} runs.\n\nMachine: {}.\n\n\
         | case | workload | upstream's threshold | pods/s | pods/CPU-s | times the threshold | wanted |\n\
         |---|---|--:|--:|--:|--:|--:|\n",
        machine()
    );
    for Row { case, wall, processor } in rows {
        let Case { name, workload, floor, target, .. } = case;
        let times = wall / floor;
        writeln!(text, "| {name} | {workload} | {floor} | {wall:.0} | {processor:.0} | {times:.0} | {target} |")
            .unwrap();
    }
    writeln!(
        text,
        "\nThe GPU fragmentation experiment (policy FGD, default trace, seed 42): {experiment_seconds:.2} s a run; \
         wanted: at most 1 s."
    )
    .unwrap();
    text
}

fn csv(rows: &[Row]) -> String {
    let mut text = "case,workload,threshold,pods_per_second,pods_per_cpu_second,wanted\n".to_string();
    for Row { case, wall, processor } in rows {
        let Case { name, workload, floor, target, .. } = case;
        writeln!(text, "{name},{workload},{floor},{wall:.0},{processor:.0},{target}").unwrap();
    }
    text
}

/// The processor, as Linux tells it.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let of = |text: &str, field: &str| {
        let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_once(':').map_or("unknown".to_string(), |(_, value)| value.trim().to_string())
    };
    let (processor, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let load = read("/proc/loadavg").split(' ').next().unwrap_or("unknown").to_string();
    format!(
        "{}, {cores} cores, {} of memory, load {load} at the end",
        of(&processor, "model name"),
        of(&memory, "MemTotal")
    )
}
