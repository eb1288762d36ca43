//! What a kubelet may do: the users of group `system:nodes` read and write what is theirs
//! (`plugin/pkg/auth/authorizer/node/node_authorizer.go`, `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`,
//! `NodeRules`, `plugin/pkg/admission/noderestriction/admission.go`).
//!
//! A worked example: somebody got hold of the kubelet's certificate of node `a`. As `system:node:a` he cordons node `b`:
//! `nodes "b" is forbidden: node "a" is not allowed to modify node "b"`.

use super::access::denied;
use super::errors::StoreError;
use super::patch::Patch;
use super::slots::Store;
use super::write::Write;
use crate::model::pod::CONFIG_MIRROR;
use crate::model::rbac::User;
use crate::model::{Key, Kind, Name, Object};
use crate::wire::patch::Subresource;

const GROUP: &str = "system:nodes";
const USER: &str = "system:node:";
/// Labels of itself that a kubelet may set beside those of no Kubernetes domain
/// (`staging/src/k8s.io/kubelet/pkg/apis/well_known_labels.go`).
const OWN_LABELS: [&str; 9] = [
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// The node whose kubelet a user is.
pub(super) fn node_of(user: &User) -> Option<Name> {
    let name = user.name.strip_prefix(USER)?;
    user.groups.iter().any(|group| group == GROUP).then(|| Name::from(name))
}

impl Store {
    /// Refuses what the kubelet of `node` may not write.
    pub(super) fn restrict_node(&self, user: &User, node: &Name, write: &Write) -> Result<(), StoreError> {
        let key = write.key();
        let refuse = |why: String| Err(StoreError::Forbidden(key.clone(), why));
        match (key.kind, write) {
            (_, Write::DryRun(write)) => self.restrict_node(user, node, write),
            (Kind::Node, Write::Delete(..) | Write::DeleteCollection { .. }) => denied(user, "delete", &key),
            (Kind::Node, _) if key.name != *node => {
                refuse(format!("node {:?} is not allowed to modify node {:?}", node.as_str(), key.name.as_str()))
            }
            (Kind::Node, _) => self.restrict_self(node, &key, write),
            (Kind::Pod, _) => self.restrict_pod(user, node, &key, write),
            (Kind::Lease, _) if key.namespace != "kube-node-lease" => {
                let why = "can only access leases in the \"kube-node-lease\" system namespace";
                refuse(why.to_string())
            }
            (Kind::Lease, _) if key.name != *node => {
                refuse("can only access node lease with the same name as the requesting node".to_string())
            }
            (Kind::CSINode, _) if key.name != *node => {
                refuse("can only access CSINode with the same name as the requesting node".to_string())
            }
            (Kind::Lease | Kind::CSINode, _) | (_, Write::Event(_)) => Ok(()),
            (Kind::PersistentVolumeClaim, Write::Document(_, document, _))
                if document.subresource == Subresource::Status =>
            {
                Ok(())
            }
            (_, Write::Create(_)) => denied(user, "create", &key),
            (_, Write::Delete(..)) => denied(user, "delete", &key),
            _ => denied(user, "patch", &key),
        }
    }

    /// Labels that steer pods, and taints, are not the node's own affair.
    fn restrict_self(&self, node: &Name, key: &Key, write: &Write) -> Result<(), StoreError> {
        let refuse = |what: &str| {
            let why = format!("node {:?} is not allowed to modify {what}", node.as_str());
            Err(StoreError::Forbidden(key.clone(), why))
        };
        match write {
            Write::Patch(_, Patch::Taints { .. }, _) => refuse("taints"),
            Write::Patch(_, Patch::Labels(edits), _) => {
                let foreign = |label: &str| {
                    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
                    let is_kubernetes = |suffix: &str| domain == suffix || domain.ends_with(&format!(".{suffix}"));
                    let kubelets = domain == "kubelet.kubernetes.io" || domain == "node.kubernetes.io";
                    (is_kubernetes("kubernetes.io") || is_kubernetes("k8s.io"))
                        && !kubelets
                        && !OWN_LABELS.contains(&label)
                };
                let mut names: Vec<&str> =
                    edits.iter().map(|(label, _)| label.as_str()).filter(|one| foreign(one)).collect();
                names.sort_unstable();
                match names.is_empty() {
                    true => Ok(()),
                    false => refuse(&format!("labels: {}", names.join(", "))),
                }
            }
            _ => Ok(()),
        }
    }

    /// A kubelet deletes, evicts and reports the pods of its node, and makes none but mirrors.
    fn restrict_pod(&self, user: &User, node: &Name, key: &Key, write: &Write) -> Result<(), StoreError> {
        let refuse = |why: String| Err(StoreError::Forbidden(key.clone(), why));
        let node = node.as_str();
        let bound = match self.live().get(key) {
            Some(Object::Pod(pod)) => pod.node.as_deref() == Some(node),
            _ if matches!(write, Write::Create(_)) => true,
            _ => return Err(StoreError::NotFound(key.clone())),
        };
        let is_status = match write {
            Write::UpdateStatus(_) => true,
            Write::Patch(_, patch, _) => patch.is_status(),
            Write::Document(_, document, _) => document.subresource == Subresource::Status,
            _ => false,
        };
        match write {
            Write::Create(object) if object.meta().annotations.get(&CONFIG_MIRROR).is_none() => {
                let mirror = CONFIG_MIRROR;
                refuse(format!(
                    "pod does not have {:?} annotation, node {node:?} can only create mirror pods",
                    mirror.as_str()
                ))
            }
            Write::Create(Object::Pod(pod)) if pod.spec.node_name.as_deref() != Some(node) => {
                refuse(format!("node {node:?} can only create pods with spec.nodeName set to itself"))
            }
            Write::Delete(..) if !bound => {
                refuse(format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
            }
            Write::Evict { .. } if !bound => {
                refuse(format!("node {node} can only evict pods with spec.nodeName set to itself"))
            }
            _ if is_status && !bound => {
                refuse(format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"))
            }
            Write::Create(_) | Write::Delete(..) | Write::Evict { .. } => Ok(()),
            _ if is_status => Ok(()),
            Write::Bind { .. } => denied(user, "create", key),
            _ => denied(user, "patch", key),
        }
    }
}
