//! The Vertical Pod Autoscaler: requests that follow what containers use
//! (`https://github.com/kubernetes/autoscaler`, `vertical-pod-autoscaler/`).
//!
//! ```text
//! recommender.rs  every minute: samples, and what follows from them, into the status
//!   histogram.rs    samples that are forgotten by and by          (pure)
//!   usage.rs        CPU samples, peaks of memory, kills           (pure)
//!   estimate.rs     target, lower and upper bound                 (pure)
//! updater.rs      every minute: which pods must change
//!   priority.rs     how much a pod is off                         (pure)
//!   restriction.rs  how many pods of a set may be disturbed       (pure)
//! ```
//!
//! The third part, the admission webhook, gives new pods their requests: `src/store/vertical.rs`. All three work as soon as
//! the kind is defined; its definition is upstream's, applied like any other.
//!
//! A worked example: three pods request 100m each and use 400m. A minute after their first samples 476m are recommended,
//! and after a few more the lower bound passes 100m. The updater evicts one of the three; the pod that takes its place
//! requests 476m; when it runs, the next goes.

pub mod estimate;
pub mod histogram;
pub mod priority;
pub mod recommender;
pub mod restriction;
pub mod updater;
pub mod usage;

use crate::metrics::MetricsApi;
use crate::model::{Key, Kind, Name};
use crate::rng::Seed;
use crate::runtime::{ActorSettings, Controller};
use crate::time::{SimDuration, SimTime};
use recommender::Recommender;
use updater::Updater;

/// `--recommender-interval` and `--updater-interval`.
const INTERVAL: SimDuration = SimDuration::from_secs(60);

/// The recommender and the updater.
pub fn all(api: Box<dyn MetricsApi>, seed: Seed) -> Vec<(Box<dyn Controller>, ActorSettings)> {
    let own = ActorSettings { milli_qps: 5_000, burst: 10, ..ActorSettings::default() };
    vec![(Box::new(Recommender::new(api, seed)), own), (Box::new(Updater::new(seed)), own)]
}

/// The key of a loop that looks at everything.
fn the_loop(name: Name) -> Key {
    Key::new(Kind::Lease, "kube-system", name)
}

/// When in its interval a loop looks.
fn phase(seed: Seed, name: &str) -> SimDuration {
    SimDuration::from_secs_f64(seed.stream(name, "").uniform(0.0, INTERVAL.as_secs_f64()))
}

/// The next look after `now`.
fn next(now: SimTime, phase: SimDuration) -> SimDuration {
    let into = (now.0 - phase.0).rem_euclid(INTERVAL.0);
    SimDuration(INTERVAL.0 - into)
}
