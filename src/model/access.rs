//! Small questions that several parts ask of the nouns.

use super::{Node, PodSpec, Taint, TaintEffect, Toleration};

impl Toleration {
    /// Whether it tolerates `taint` (`staging/src/k8s.io/api/core/v1/toleration.go`). An empty key matches every
    /// key; that it must come with `Exists` is for validation to see to.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && (self.exists || self.value == taint.value)
    }
}

impl PodSpec {
    /// Whether a node satisfies the node selector and the required node affinity
    /// (`staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go`, `RequiredNodeAffinity`).
    pub fn wants(&self, node: &Node) -> bool {
        let required = self.affinity.as_ref().and_then(|affinity| affinity.node_required.as_ref());
        self.node_selector.subset_of(&node.meta.labels) && required.is_none_or(|selector| selector.matches(node))
    }
}

/// The first taint with one of `effects` that no toleration covers.
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration], effects: &[TaintEffect]) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| effects.contains(&taint.effect))
        .find(|taint| !tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}
