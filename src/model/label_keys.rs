//! `matchLabelKeys` and `mismatchLabelKeys`: at a pod's creation the pod's own values of these labels become
//! requirements of the terms' selectors (`pkg/registry/core/pod/strategy.go`).

use super::selector::Operator;
use super::{Labels, Name, PodSpec, Selector, hash};

impl PodSpec {
    /// This wish with the label keys merged for a pod with these labels; `None` when nothing changes.
    /// `raw` stays as it is: the JSON form merges when it is written.
    pub fn merged_label_keys(&self, labels: &Labels) -> Option<PodSpec> {
        let affinity_asks = self.affinity.as_ref().is_some_and(|affinity| {
            let mut terms = affinity.pod_terms();
            terms.any(|term| !term.match_label_keys.is_empty() || !term.mismatch_label_keys.is_empty())
        });
        if !affinity_asks && self.spread.iter().all(|constraint| constraint.match_label_keys.is_empty()) {
            return None;
        }
        let mut merged = self.clone();
        let mut added = Vec::new();
        for term in merged.affinity.iter_mut().flat_map(|affinity| affinity.pod_terms_mut()) {
            merge(&mut term.selector, &term.match_label_keys, Operator::In, labels, &mut added);
            merge(&mut term.selector, &term.mismatch_label_keys, Operator::NotIn, labels, &mut added);
        }
        for constraint in &mut merged.spread {
            merge(&mut constraint.selector, &constraint.match_label_keys, Operator::In, labels, &mut added);
        }
        if added.is_empty() {
            return None;
        }
        // Pods of one template with different values wish for different things.
        merged.hash = hash::content_hash(&serde_json::json!([self.hash, added]));
        Some(merged)
    }
}

/// Adds a requirement for each key that the pod has; a missing selector stays missing.
fn merge(selector: &mut Option<Selector>, keys: &[Name], operator: Operator, labels: &Labels, added: &mut Vec<String>) {
    let Some(selector) = selector else { return };
    for key in keys {
        let Some(value) = labels.get(key) else { continue };
        let values = vec![value.clone()];
        let requirement = super::selector::Requirement { key: key.clone(), operator, values };
        if !selector.requirements.contains(&requirement) {
            added.push(format!("{key}={value}"));
            selector.requirements.push(requirement);
            selector.requirements.sort();
        }
    }
}
