//! What `kubectl` does about kinds that definitions bring: it asks the API server what it serves, and says so if an
//! object is of no such kind (`staging/src/k8s.io/cli-runtime/pkg/resource/mapper.go`).
//!
//! A worked example: a file with a definition and an object of its kind is applied. kubectl looks all kinds up before it
//! sends anything, so the definition is created and the object is not: `resource mapping not found for name: … ensure
//! CRDs are installed first`. The manifests of a scenario's start are no such trap: their objects wait.

use super::apply::Manifest;
use super::{Progress, Step};
use crate::model::custom::ESTABLISHED;
use crate::model::{Key, Kind, condition};
use crate::store::{View, pod_security};
use crate::time::{SimDuration, SimTime};

/// How long the API server holds a create back after the definition was established
/// (`staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go`, `justCreated`).
const JUST_CREATED: SimDuration = SimDuration::from_secs(2);
/// How long the manifests of the start wait for their definitions, as Helm does.
const PATIENCE: SimDuration = SimDuration::from_secs(60);
const POLL: SimDuration = SimDuration::from_secs(1);

impl Step {
    fn manifests(&self) -> &[Manifest] {
        match self {
            Step::Apply { manifests, .. } | Step::ServerSideApply { manifests, .. } | Step::Replace(manifests) => {
                manifests
            }
            _ => &[],
        }
    }

    /// How long the command, given at `began`, must wait before its objects can be made.
    pub(super) fn held_back(&self, view: View<'_>, began: SimTime, now: SimTime) -> Option<SimDuration> {
        let patient = matches!(self, Step::Apply { waits: true, .. }) && now - began < PATIENCE;
        let missing = self.manifests().iter().filter(|one| view.get(&one.key).is_none());
        let waits = missing.filter_map(|one| {
            let Kind::Custom(kind) = one.key.kind else { return None };
            let definition = view.definition(kind).filter(|definition| definition.is_established());
            match definition.and_then(|one| condition::find(&one.conditions, &ESTABLISHED)) {
                Some(established) => Some(established.last_transition + JUST_CREATED - now),
                None => patient.then_some(POLL),
            }
        });
        waits.max().filter(|wait| *wait > SimDuration::ZERO)
    }

    /// What the API server says of its objects beside the answer.
    pub(super) fn warnings(&self, progress: &Progress, view: View<'_>) -> Vec<String> {
        let sent = self.manifests().iter().filter(|one| !progress.refused.contains(&one.key));
        let changed = sent.filter(|one| view.get(&one.key).is_none());
        changed.filter_map(|one| pod_security::warning(view, one.object.as_ref()?)).collect()
    }

    /// What it concerns that the API server does not know, and what is printed of each.
    pub(super) fn unmapped(&self, view: View<'_>) -> Vec<(Key, String)> {
        let of_file = self.manifests().iter().map(|one| (one.key.clone(), one.unmapped()));
        let target = self.target().filter(|_| self.manifests().is_empty()).map(|key| {
            let text = format!("error: the server doesn't have a resource type {:?}", key.kind.as_str().to_lowercase());
            (key, text)
        });
        of_file.chain(target).filter(|(key, _)| !view.serves(key.kind)).collect()
    }
}
