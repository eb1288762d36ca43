//! Custom kinds of a scenario: the definitions among its manifests, and what refers to them.
//!
//! A worked example: `manifests` has the definition `backups.example.com` and an object of kind `Backup`. The object is
//! checked by the schema of its version, with the place of every fault, and `delete: {object: backup/nightly}` finds it.

use super::Scenario;
use super::manifests::ManifestDocument;
use super::timeline::Action;
use super::units::ObjectRef;
use crate::error::Problem;
use crate::model::custom::CustomKinds;
use crate::model::{CustomResourceDefinition, Object};
use crate::wire::places::Places;
use crate::wire::{custom, decode, strict};
use std::sync::Arc;

/// The definitions among some documents.
#[derive(Default)]
pub struct Definitions(Vec<Arc<CustomResourceDefinition>>);

impl Definitions {
    /// Those of these documents.
    pub fn among<'a>(documents: impl Iterator<Item = &'a ManifestDocument>) -> Definitions {
        let written = documents.filter(|document| document.value["kind"] == "CustomResourceDefinition");
        let read = written.filter_map(|document| match decode::object(&document.value) {
            Ok(Object::CustomResourceDefinition(definition)) => Some(definition),
            _ => None,
        });
        Definitions(read.collect())
    }

    /// Their kinds.
    pub fn kinds(&self) -> CustomKinds {
        let mut kinds = CustomKinds::default();
        for definition in &self.0 {
            kinds.learn(definition);
        }
        kinds
    }

    /// Everything that is wrong with an object of no kind that is built in. Of several definitions of its kind, which a
    /// timeline may bring one after the other, one must do.
    pub fn problems(&self, document: &ManifestDocument) -> Vec<Problem> {
        let (value, places) = (&document.value, &document.places);
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let Some((group, version)) = text("apiVersion").split_once('/').filter(|_| strict::is_custom(value)) else {
            return Vec::new();
        };
        let of_kind = self.0.iter().filter(|one| one.group == group && one.names.kind == text("kind"));
        let served = of_kind.filter(|one| one.version(version).is_some_and(|version| version.served));
        let tried = served.map(|one| custom::problems(one, version, value, places));
        let Some(least) = tried.min_by_key(Vec::len) else { return vec![strict::unknown_kind(value, places)] };
        least
    }
}

/// Learns the custom kinds of a scenario, checks their objects, and binds what names them.
pub fn bind(scenario: &mut Scenario, places: &Places) -> Vec<Problem> {
    let (definitions, mut problems) = {
        let definitions = Definitions::among(scenario.documents());
        let problems: Vec<Problem> = scenario.documents().flat_map(|document| definitions.problems(document)).collect();
        (definitions, problems)
    };
    scenario.kinds = definitions.kinds();
    for (index, entry) in scenario.timeline.iter_mut().enumerate() {
        if let Action::Delete(delete) = &mut entry.action
            && let Some(kind) = &mut delete.kind
            && let Err(why) = kind.0.bind(&scenario.kinds)
        {
            let why = why.replace("/x", "");
            problems.push(problem(places, &format!("timeline[{index}].delete.kind"), &why));
        }
        let Some((key, object)) = named(&mut entry.action) else { continue };
        if let Err(why) = object.bind(&scenario.kinds) {
            problems.push(problem(places, &format!("timeline[{index}].{key}.object"), &why));
        }
    }
    problems
}

fn problem(places: &Places, path: &str, why: &str) -> Problem {
    let (message, help) = why.split_once("; ").unwrap_or((why, ""));
    places.problem(path, message, help)
}

/// The object that an action names, and the word under which it stands.
fn named(action: &mut Action) -> Option<(&'static str, &mut ObjectRef)> {
    Some(match action {
        Action::Delete(action) => ("delete", action.object.as_mut()?),
        Action::Scale(action) => ("scale", &mut action.object),
        Action::SetImage(action) => ("setImage", &mut action.object),
        Action::Patch(action) => ("patch", &mut action.object),
        Action::RolloutUndo(action) => ("rolloutUndo", &mut action.object),
        Action::RolloutPause(action) => ("rolloutPause", &mut action.object),
        Action::RolloutResume(action) => ("rolloutResume", &mut action.object),
        Action::RolloutRestart(action) => ("rolloutRestart", &mut action.object),
        Action::Label(action) => ("label", &mut action.object),
        Action::Annotate(action) => ("annotate", &mut action.object),
        Action::SetEnv(action) => ("setEnv", &mut action.object),
        Action::SetResources(action) => ("setResources", &mut action.object),
        _ => return None,
    })
}
