//! Progress on standard error, and Ctrl-C.

use crate::runtime::Stats;
use crate::time::SimTime;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A run shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C end a run with what it has. A second one ends the process.
pub fn listen() {
    // A second command in one process finds the handler set: that is as good.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Whether a bar may be shown.
fn wanted(quiet: bool) -> bool {
    !quiet && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none()
}

/// A bar that appears once a run takes long enough for a person to wonder.
pub struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    wanted: bool,
    end: SimTime,
}

impl Progress {
    /// For a run until `end`; silent if `quiet` or if standard error is no terminal.
    pub fn until(end: SimTime, quiet: bool) -> Self {
        Progress { started: Instant::now(), bar: None, wanted: wanted(quiet), end }
    }

    /// Shows how far the run is; answers whether to go on.
    pub fn tick(&mut self, now: SimTime, stats: Stats) -> bool {
        if self.wanted && self.started.elapsed() >= PATIENCE {
            let bar = self.bar.get_or_insert_with(|| bar(self.end));
            bar.set_position(now.whole_seconds().max(0) as u64);
            bar.set_message(format!("{} events", stats.events));
        }
        !interrupted()
    }

    /// Removes the bar; how long the run took.
    pub fn finish(self) -> Duration {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

fn bar(end: SimTime) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} s virtual  {msg}  {elapsed}");
    ProgressBar::new(end.whole_seconds().max(1) as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A bar over many runs.
pub struct Runs {
    started: Instant,
    bar: ProgressBar,
}

impl Runs {
    /// Over so many runs; silent if `quiet` or if standard error is no terminal.
    pub fn new(runs: usize, quiet: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs  {elapsed}, {eta} left");
        let bar = if wanted(quiet) { ProgressBar::new(runs as u64) } else { ProgressBar::hidden() };
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.tick();
        Runs { started: Instant::now(), bar }
    }

    /// A run is over.
    pub fn one_more(&self) {
        self.bar.inc(1);
    }

    /// Removes the bar; how long all took.
    pub fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}
