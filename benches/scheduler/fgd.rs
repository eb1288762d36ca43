//! One run of the GPU fragmentation experiment, on the trace and the arrivals that its test reads.

use kubesim::experiment::fgd::trace::{self, TraceNode, TracePod};
use kubesim::experiment::fgd::{Policy, run};
use kubesim::rng::Seed;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The trace.
pub struct Experiment {
    nodes: Vec<TraceNode>,
    pods: Vec<TracePod>,
    arrivals: String,
}

fn text(name: &str) -> String {
    let path = Path::new("tests/golden").join(name);
    let mut text = String::new();
    match name.ends_with(".gz") {
        true => flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap(),
        false => File::open(path).unwrap().read_to_string(&mut text).unwrap(),
    };
    text
}

impl Experiment {
    /// Reads it.
    pub fn read() -> Self {
        let nodes = trace::nodes(&text("openb/openb_node_list_gpu_node.csv")).unwrap();
        Experiment {
            nodes: trace::in_order(&nodes, &text("fgd/nodeorder_default_seed42.txt.gz")).unwrap(),
            pods: trace::pods(&text("openb/openb_pod_list_default.csv.gz")).unwrap(),
            arrivals: text("fgd/arrivals_default_seed42.txt.gz"),
        }
    }

    /// Places all pods as FGD does.
    pub fn run(&self) {
        let arrivals = trace::arrivals(&self.pods, &self.arrivals).unwrap();
        let run = run(Policy::Fgd, &self.nodes, &self.pods, &arrivals, &mut Seed(42).stream("bench", "fgd"));
        assert_eq!(run.placements.len(), arrivals.len());
    }
}
