//! `KubeSchedulerConfiguration` v1 files, read as they are, with kube-scheduler's own sentences about what is
//! wrong in them (`pkg/scheduler/apis/config/`).
//!
//! [`read`] goes through a file from top to bottom: its form (`types`), its values (`validate`, `args`), its
//! profiles (`profiles`) and extenders (`extenders`). [`of_scenario`] does so for the schedulers of a scenario.

mod args;
mod extenders;
mod faults;
mod profiles;
mod registry;
mod scenario;
mod strategy_args;
mod types;
mod validate;

#[cfg(test)]
mod tests;

use super::profile::Profile;
use crate::error::Problem;
use crate::rng::Seed;
use crate::time::SimDuration;
use crate::wire::places::Places;
use crate::wire::typed::suggestion;
use crate::wire::yaml::{self, DuplicateKeys};
use faults::Faults;
use serde_json::Value;
use types::Written;

pub use scenario::{check, of_scenario};

/// The only version that is read.
pub const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";
/// The kind of a configuration file.
pub const KIND: &str = "KubeSchedulerConfiguration";

/// One scheduler's configuration. What the file does not say has kube-scheduler's default.
#[derive(Clone)]
pub struct Configuration {
    /// Its profiles, in order.
    pub profiles: Vec<Profile>,
    /// `podInitialBackoffSeconds`, if the file says it.
    pub initial_backoff: Option<SimDuration>,
    /// `podMaxBackoffSeconds`, if the file says it.
    pub max_backoff: Option<SimDuration>,
    /// Thousandths of a request a second of its client; 0 for no limit.
    pub milli_qps: i64,
    /// Requests at once of its client.
    pub burst: i64,
    /// What is legal but has no effect here.
    pub warnings: Vec<Problem>,
}

impl Default for Configuration {
    fn default() -> Self {
        Configuration {
            profiles: vec![Profile::default()],
            initial_backoff: None,
            max_backoff: None,
            milli_qps: 50_000,
            burst: 100,
            warnings: Vec::new(),
        }
    }
}

/// Reads the text of a configuration file. `file` is its name for messages.
///
/// # Errors
/// Everything that is wrong in it, with places.
pub fn read_text(file: &str, text: &str, seed: Seed) -> Result<Configuration, Vec<Problem>> {
    let documents = yaml::read(file, text, DuplicateKeys::Refuse).map_err(|problem| vec![*problem])?.documents;
    let mut documents = documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) => read(&document.value, &document.places, seed),
        (Some(_), Some(second)) => {
            let help = "put it into a file of its own";
            Err(vec![second.places.problem("", "a configuration is one document, found a second", help)])
        }
        (None, _) => Err(vec![Places::new(file, text).problem("", "the configuration is empty", HEAD_HELP)]),
    }
}

const HEAD_HELP: &str = "begin with apiVersion: kubescheduler.config.k8s.io/v1 and kind: KubeSchedulerConfiguration";

/// Reads one configuration. `seed` is for strategies that draw lots.
///
/// # Errors
/// Everything that is wrong in it, with places.
pub fn read(value: &Value, places: &Places, seed: Seed) -> Result<Configuration, Vec<Problem>> {
    read_for(value, places, None, seed)
}

/// Like [`read`]; a single profile without a name serves `scheduler_name` instead of `default-scheduler`.
fn read_for(
    value: &Value,
    places: &Places,
    scheduler_name: Option<&str>,
    seed: Seed,
) -> Result<Configuration, Vec<Problem>> {
    let mut faults = Faults::new(places);
    let wrong_head = head(value, places);
    if !wrong_head.is_empty() {
        return Err(wrong_head);
    }
    let Some(mut written) = faults.read::<Written>("", value) else { return Err(faults.problems) };
    if written.profiles.is_empty() {
        written.profiles.push(types::WrittenProfile::default());
    }
    if let [only] = &mut written.profiles[..] {
        only.scheduler_name.get_or_insert_with(|| scheduler_name.unwrap_or("default-scheduler").to_string());
    }
    validate::validate(&written, &mut faults);
    let percentage = written.percentage_of_nodes_to_score.unwrap_or(0);
    let mut built = Vec::new();
    for (at, profile) in written.profiles.iter().enumerate() {
        let name = profile.scheduler_name.as_deref().unwrap_or_default();
        built.push(profiles::build(profile, name, percentage, &format!("profiles[{at}]"), seed, &mut faults));
    }
    extenders::attach(&written.extenders, &mut built, seed, &mut faults);
    note(&written, &mut faults);
    if !faults.problems.is_empty() {
        return Err(faults.problems);
    }
    let client = &written.client_connection;
    Ok(Configuration {
        profiles: built,
        initial_backoff: written.pod_initial_backoff_seconds.map(SimDuration::from_secs),
        max_backoff: written.pod_max_backoff_seconds.map(SimDuration::from_secs),
        milli_qps: milli_qps(client.qps),
        burst: if client.burst == 0 { 100 } else { i64::from(client.burst) },
        warnings: faults.warnings,
    })
}

/// Requests a second as written; not written (0) is 50, and a negative number is no limit.
fn milli_qps(written: f64) -> i64 {
    match written {
        0.0 => 50_000,
        qps if qps < 0.0 => 0,
        qps => ((qps * 1000.0).round() as i64).max(1),
    }
}

/// What is wrong with `apiVersion` and `kind`.
fn head(value: &Value, places: &Places) -> Vec<Problem> {
    if !value.is_object() {
        return vec![places.problem("", "a configuration is a map of fields", HEAD_HELP)];
    }
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    for (field, name) in [("kind", "Kind"), ("apiVersion", "apiVersion")] {
        if text(field).is_empty() {
            return vec![places.problem(field, format!("Object '{name}' is missing"), HEAD_HELP)];
        }
    }
    let message = format!("no kind {:?} is registered for version {:?}", text("kind"), text("apiVersion"));
    if text("kind") != KIND {
        return vec![places.problem("kind", message, suggestion(text("kind"), &[KIND], "write"))];
    }
    if text("apiVersion") != API_VERSION {
        return vec![places.problem("apiVersion", message, format!("write {API_VERSION}"))];
    }
    Vec::new()
}

/// What is read but changes nothing here.
fn note(written: &Written, faults: &mut Faults<'_>) {
    if written.parallelism.is_some_and(|parallelism| parallelism > 1) {
        let message = "decisions are taken as with parallelism 1: more workers would leave ties to chance";
        faults.warn("parallelism", message, "write parallelism: 1, or leave it out");
    }
    let ignored = |extender: &types::Extender| extender.managed_resources.iter().any(|r| r.ignored_by_scheduler);
    for at in (0..written.extenders.len()).filter(|at| ignored(&written.extenders[*at])) {
        let path = format!("extenders[{at}].managedResources");
        let message = "`ignoredByScheduler` has no effect on hooks";
        faults.warn(&path, message, "name the resource in ignoredResources of NodeResourcesFit");
    }
}
