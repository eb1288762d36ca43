//! What an autoscaler scales, as the scale subresource shows it (`pkg/controller/podautoscaler/horizontal.go`,
//! `scaleForResourceMappings`).

use crate::model::autoscaling::HorizontalPodAutoscaler;
use crate::model::{Key, Kind, Object, Selector, Uid, selector_parse};
use crate::store::View;

/// A target.
#[derive(Clone, Debug)]
pub struct Target {
    /// What it is.
    pub key: Key,
    /// Which one it is.
    pub uid: Uid,
    /// `spec.replicas`.
    pub spec: i32,
    /// `status.replicas`.
    pub status: i32,
    /// `status.selector`.
    pub selector: Selector,
}

impl Target {
    /// The target of an autoscaler.
    ///
    /// # Errors
    /// There is no such object, or its kind has no scale; in the API server's words.
    pub fn of(hpa: &HorizontalPodAutoscaler, view: View<'_>) -> Result<Target, String> {
        let (group, _) = hpa.target_version.rsplit_once('/').unwrap_or(("", &hpa.target_version));
        let is = |kind: &Kind| kind.as_str() == hpa.target_kind && kind.group() == group;
        let custom = || view.custom_kinds().of_group(group, &hpa.target_kind).filter(|kind| view.serves(*kind));
        let served = Kind::ALL.iter().copied().find(is).or_else(custom);
        let Some(kind) = served.filter(|kind| kind.is_api()) else {
            return Err(format!("no matches for kind {:?} in group {group:?}", hpa.target_kind.as_str()));
        };
        let namespace = if kind.namespaced() { hpa.meta.namespace.clone() } else { Default::default() };
        let key = Key::new(kind, namespace, hpa.target_name.clone());
        let Some(object) = view.get(&key) else {
            return Err(format!("{} {:?} not found", kind.qualified_plural(), key.name.as_str()));
        };
        let (spec, status, selector) = match object {
            Object::Deployment(one) => (one.replicas, one.status.replicas, one.selector.clone()),
            Object::ReplicaSet(one) => (one.replicas, one.status.replicas, one.selector.clone()),
            Object::StatefulSet(one) => (one.replicas, one.status.replicas, one.selector.clone()),
            Object::ReplicationController(one) => {
                (one.replicas, one.status.replicas, Selector::from_labels(&one.selector))
            }
            Object::Custom(one) => {
                let scale = view.custom_scale(one)?;
                // A text that is no selector selects nothing, as none does.
                (scale.spec, scale.status, selector_parse::parse(&scale.selector).unwrap_or_default())
            }
            _ => return Err("the server could not find the requested resource".to_string()),
        };
        Ok(Target { key, uid: object.meta().uid, spec, status, selector })
    }
}
