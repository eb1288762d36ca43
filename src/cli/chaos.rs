//! `sim chaos FILE --runs N`: random faults until something breaks, and the smallest schedule that breaks it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use super::files::Folder;
use super::progress::Runs;
use super::source::{self, Source};
use super::{EXPECTATION_FAILED, FINE, print, progress};
use crate::error::{Error, Result};
use crate::experiment::Watch;
use crate::experiment::chaos::{self, Plan, write};
use crate::report::{chaos as report, files};
use crate::scenario::load;

/// More runs than this are refused.
const MOST_RUNS: usize = 10_000_000;

/// The arguments of `sim chaos`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which scenario; faults are added to its timeline. `--seed` is the seed of the search.
    #[command(flatten)]
    pub source: Source,
    /// How many random schedules
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub runs: usize,
    /// Kinds of faults to draw from, such as nodeCrash,drain [default: all that the scenario has targets for]
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    pub faults: Vec<String>,
    /// Most faults in one schedule
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub most: usize,
    /// Runs at a time [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Write results into this folder instead of results/<scenario>-chaos
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// The form of the report on standard output
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub output: Output,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// The form of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For a person, 80 columns
    Table,
    /// JSON, one object
    Json,
}

/// Searches; the exit code says whether something broke.
///
/// # Errors
/// Wrong input, a file that cannot be written, an interruption.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    if !(1..=MOST_RUNS).contains(&arguments.runs) {
        return Err(Error::input(format!("--runs {}: expected between 1 and {MOST_RUNS}", arguments.runs)));
    }
    if arguments.most == 0 {
        return Err(Error::input("--most 0: a schedule has one fault at least"));
    }
    let (name, text) = source::read(&arguments.source.file)?;
    let folder = Folder::of(&arguments.source.file);
    let assignments = &arguments.source.assignments;
    let scenario = load::load(&name, &text, assignments, &folder)?;
    let seed = arguments.source.seed.unwrap_or(scenario.seed);
    let plan = Plan {
        scenario: &scenario,
        runs: arguments.runs,
        kinds: arguments.faults.clone(),
        faults_max: arguments.most,
        seed,
        jobs: arguments.jobs,
    };
    progress::listen();
    let bar = Runs::new(plan.runs, arguments.quiet);
    let watch = Watch { go_on: &|| !progress::interrupted(), finished: &|| bar.one_more() };
    let search = chaos::search(&plan, &watch);
    let took = bar.finish();
    let search = search?;
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("results").join(format!("{}-chaos", scenario.name)));
    let mut contents = vec![
        files::ready("chaos.json", report::json(&search).into_bytes()),
        files::ready(
            "chaos.txt",
            anstream::adapter::strip_str(&report::render(&search, &out)).to_string().into_bytes(),
        ),
    ];
    for (at, found) in search.found.iter().enumerate() {
        let mut head = vec![
            format!("Found by `sim chaos`: {}", found.sentence()),
            format!(
                "In {} of {} runs; smallest schedule: {} of {} faults.",
                found.runs,
                search.runs.1,
                found.schedule.len(),
                found.faults
            ),
        ];
        head.extend(report::look_for(found).map(str::to_string));
        let file = write::scenario((&name, &text), assignments, &folder, (found.seed, &found.schedule), &head)?;
        contents.push(files::ready(report::file_name(at), file.into_bytes()));
    }
    files::write(&out, &contents)?;
    print(&match arguments.output {
        Output::Table => report::render(&search, &out),
        Output::Json => report::json(&search),
    })?;
    if !arguments.quiet {
        eprintln!("results in {}, {} runs in {:.1} s", out.display(), search.runs.1, took.as_secs_f64());
    }
    match (search.interrupted, search.found.is_empty() && search.broken_at_rest.is_empty()) {
        (true, _) => Err(Error::Interrupted),
        (false, true) => Ok(FINE),
        (false, false) => Ok(EXPECTATION_FAILED),
    }
}
