//! Experiments: one scenario under several strategies on many seeds, and placements of recorded traces ([`fgd`]).
//!
//! ```text
//! Plan ──▶ sweep (whole runs, in parallel) ──▶ Vec<Run> ──▶ Comparison (pairs by seed, intervals, verdicts)
//! ```
//!
//! One thing to know: a seed means the same failures, start times and lengths to every strategy, because each random
//! number comes from a stream of its own. So two strategies are compared seed by seed, and what the seeds
//! have in common cancels out.

pub mod chaos;
pub mod comparison;
pub mod fgd;
pub mod measures;
pub mod statistics;
pub mod sweep;

pub use comparison::{Comparison, Difference, Row, Verdict};
pub use measures::{Better, MEASURES, Measure, Unit};
pub use statistics::{Estimate, Resamples};
pub use sweep::{Plan, Run, Watch, run};
