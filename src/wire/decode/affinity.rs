//! Affinity, anti-affinity and topology spread constraints.

use super::meta::names;
use super::{Decoded, FieldError, Within, each, label_selector, selector};
use crate::model::pod_spec::{Affinity, PodAffinityTerm, PreferredNode, SpreadConstraint, WeightedPodAffinityTerm};
use crate::model::{Labels, Name};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

pub(super) fn affinity(from: &core::Affinity) -> Decoded<Affinity> {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let mut read = Affinity::default();
    if let Some(node) = &from.node_affinity {
        let required = node.required_during_scheduling_ignored_during_execution.as_ref();
        read.node_required = required
            .map(|terms| selector::node_selector(terms).map_err(|error| FieldError::new(REQUIRED, error)))
            .transpose()
            .within("nodeAffinity")?;
        let preferred = &node.preferred_during_scheduling_ignored_during_execution;
        read.node_preferred = each(preferred, PREFERRED, |p| {
            Ok(PreferredNode { weight: p.weight, term: selector::preference(&p.preference)? })
        })
        .within("nodeAffinity")?;
    }
    if let Some(pod) = &from.pod_affinity {
        let required = &pod.required_during_scheduling_ignored_during_execution;
        read.pod_required = each(required, REQUIRED, pod_term).within("podAffinity")?;
        let preferred = &pod.preferred_during_scheduling_ignored_during_execution;
        read.pod_preferred = each(preferred, PREFERRED, weighted).within("podAffinity")?;
    }
    if let Some(anti) = &from.pod_anti_affinity {
        let required = &anti.required_during_scheduling_ignored_during_execution;
        read.anti_required = each(required, REQUIRED, pod_term).within("podAntiAffinity")?;
        let preferred = &anti.preferred_during_scheduling_ignored_during_execution;
        read.anti_preferred = each(preferred, PREFERRED, weighted).within("podAntiAffinity")?;
    }
    Ok(read)
}

fn weighted(from: &core::WeightedPodAffinityTerm) -> Decoded<WeightedPodAffinityTerm> {
    Ok(WeightedPodAffinityTerm {
        weight: from.weight,
        term: pod_term(&from.pod_affinity_term).within("podAffinityTerm")?,
    })
}

fn pod_term(from: &core::PodAffinityTerm) -> Decoded<PodAffinityTerm> {
    Ok(PodAffinityTerm {
        selector: label_selector(from.label_selector.as_ref()).within("labelSelector")?,
        namespaces: names(&from.namespaces),
        namespace_selector: label_selector(from.namespace_selector.as_ref()).within("namespaceSelector")?,
        topology_key: Name::from(from.topology_key.as_str()),
        match_label_keys: names(&from.match_label_keys),
        mismatch_label_keys: names(&from.mismatch_label_keys),
    })
}

pub(super) fn spread(from: &core::TopologySpreadConstraint) -> Decoded<SpreadConstraint> {
    Ok(SpreadConstraint {
        max_skew: from.max_skew,
        topology_key: Name::from(from.topology_key.as_str()),
        hard: from.when_unsatisfiable == "DoNotSchedule",
        selector: label_selector(from.label_selector.as_ref()).within("labelSelector")?,
        min_domains: from.min_domains,
        honor_affinity: from.node_affinity_policy.as_deref() != Some("Ignore"),
        honor_taints: from.node_taints_policy.as_deref() == Some("Honor"),
        match_label_keys: names(&from.match_label_keys),
    })
}

/// Merges `matchLabelKeys` and `mismatchLabelKeys` into the selectors of a pod with these labels, as its
/// creation does (`pkg/registry/core/pod/strategy.go`). Merging twice changes nothing.
pub(crate) fn merge_label_keys(spec: &mut core::PodSpec, labels: &Labels) {
    if let Some(affinity) = &mut spec.affinity {
        let pod = affinity.pod_affinity.iter_mut().flat_map(|a| {
            let weighted = a.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
            let required = a.required_during_scheduling_ignored_during_execution.iter_mut().flatten();
            required.chain(weighted.map(|w| &mut w.pod_affinity_term))
        });
        let anti = affinity.pod_anti_affinity.iter_mut().flat_map(|a| {
            let weighted = a.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
            let required = a.required_during_scheduling_ignored_during_execution.iter_mut().flatten();
            required.chain(weighted.map(|w| &mut w.pod_affinity_term))
        });
        for term in pod.chain(anti) {
            merge(&mut term.label_selector, &term.match_label_keys, "In", labels);
            merge(&mut term.label_selector, &term.mismatch_label_keys, "NotIn", labels);
        }
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        merge(&mut constraint.label_selector, &constraint.match_label_keys, "In", labels);
    }
}

fn merge(selector: &mut Option<LabelSelector>, keys: &Option<Vec<String>>, operator: &str, labels: &Labels) {
    let Some(selector) = selector else { return };
    for key in keys.iter().flatten() {
        let Some(value) = labels.get(key) else { continue };
        let added = LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.to_string(),
            values: Some(vec![value.to_string()]),
        };
        let expressions = selector.match_expressions.get_or_insert_default();
        if !expressions.contains(&added) {
            expressions.push(added);
        }
    }
}
