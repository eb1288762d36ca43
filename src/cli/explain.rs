//! `sim explain FILE --pod NAME`: why a pod is on its node.

use clap::{Args, ValueEnum};

use super::progress::{self, Progress};
use super::source::Source;
use super::verify::stopped;
use super::{FINE, print};
use crate::cluster::{Cluster, Options};
use crate::error::{Error, Problem, Result, did_you_mean};
use crate::model::{Name, Pod};
use crate::report;

/// The arguments of `sim explain`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which scenario.
    #[command(flatten)]
    pub source: Source,
    /// The pod's name, or a prefix of it
    #[arg(long, value_name = "NAME")]
    pub pod: String,
    /// The pod's namespace
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// For a pod that fits nowhere, try the smallest single changes that would let it in
    #[arg(long)]
    pub what_if: bool,
    /// The form on standard output
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub output: Output,
}

/// The form of an explanation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For a person, 80 columns
    Table,
    /// JSON, one object
    Json,
}

/// Prints each node with each plugin's verdict and score at the moment the pod was placed.
///
/// # Errors
/// Wrong input, or no such pod.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let scenario = arguments.source.load()?;
    let explain = vec![Name::from(arguments.pod.as_str())];
    let options = Options { explain, what_if: arguments.what_if, ..Options::of(&scenario) };
    let mut cluster = Cluster::new(&scenario, &options, Vec::new())?;
    progress::listen();
    let mut progress = Progress::until(scenario.end(), false);
    let ran = cluster.run(&mut |now, stats| progress.tick(now, stats));
    progress.finish();
    ran.map_err(stopped)?;
    let all = cluster.explanations().take();
    let wanted: Vec<_> = all.iter().filter(|one| one.namespace == arguments.namespace.as_str()).collect();
    if wanted.is_empty() {
        return Err(unknown(arguments, &cluster));
    }
    match arguments.output {
        Output::Json => print(&report::explain_json::json(&wanted))?,
        Output::Table => {
            for (at, explanation) in wanted.iter().enumerate() {
                let gap = if at > 0 { "\n" } else { "" };
                print(&format!("{gap}{}", report::explain::text(explanation)))?;
            }
        }
    }
    Ok(FINE)
}

/// No attempt to place such a pod was seen: say which pods there are.
fn unknown(arguments: &Arguments, cluster: &Cluster) -> Error {
    let (wanted, namespace) = (&arguments.pod, Name::from(arguments.namespace.as_str()));
    let view = cluster.runtime().store.live();
    let names: Vec<&str> = view.list_in::<Pod>(&namespace).map(|pod| pod.meta.name.as_str()).collect();
    let help = match (did_you_mean(wanted, names.iter().copied()), names.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => format!("there are no pods in namespace {namespace}"),
        (None, some) => {
            format!("pods at the end of the run: {}", some.iter().take(5).copied().collect::<Vec<_>>().join(", "))
        }
    };
    let message = format!("the scheduler never tried to place a pod {namespace}/{wanted}");
    Error::Input(vec![Problem { place: None, path: String::new(), message, help: Some(help) }])
}
