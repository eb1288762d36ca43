//! The schedulers of a scenario, each with its configuration.

use super::{Configuration, read_for};
use crate::error::{Error, Problem, Result};
use crate::model::Name;
use crate::rng::Seed;
use crate::scenario::Scenario;

/// The configuration of every scheduler of the scenario, kube-scheduler first, for a run with this seed. That each profile has a name of its
/// own was found when the scenario was loaded.
///
/// # Errors
/// Everything that is wrong with them.
pub fn of_scenario(scenario: &Scenario, seed: Seed) -> Result<Vec<Configuration>> {
    let written = &scenario.scheduler;
    let first = std::iter::once((written.config.as_ref(), None));
    let others = written.schedulers.iter().map(|other| (other.config.as_ref(), other.scheduler_name.as_deref()));
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for (config, name) in first.chain(others) {
        match config.and_then(|config| config.document.as_ref()) {
            None => all.push(all_defaults(name)),
            Some(document) => match read_for(&document.value, &document.places, name, seed) {
                Ok(configuration) => all.push(configuration),
                Err(found) => problems.extend(found),
            },
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(Error::Input(problems)) }
}

/// Whether the scenario's schedulers can be built, and what has no effect in their configurations.
///
/// # Errors
/// As [`of_scenario`].
pub fn check(scenario: &Scenario) -> Result<Vec<Problem>> {
    Ok(of_scenario(scenario, scenario.seed())?.into_iter().flat_map(|configuration| configuration.warnings).collect())
}

fn all_defaults(name: Option<&str>) -> Configuration {
    let mut configuration = Configuration::default();
    if let Some(name) = name {
        configuration.profiles[0].scheduler_name = Name::from(name);
    }
    configuration
}
