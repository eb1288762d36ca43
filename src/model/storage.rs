//! Volumes: volumes, claims, classes, drivers, and which volume is attached to which node.

use super::{Labels, Meta, Name, NodeSelector, Selector, Uid};
use serde_json::Value;
use std::sync::Arc;

/// The annotation that named a class before there was a field for it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
/// The annotation of a claim whose binding is complete (`staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go`).
pub const BIND_COMPLETED: Name = crate::name!("pv.kubernetes.io/bind-completed");
/// The annotation of a claim for which the scheduler has chosen a node.
pub const SELECTED_NODE: Name = crate::name!("volume.kubernetes.io/selected-node");
/// The annotation of the class that claims without one get.
pub const DEFAULT_CLASS: Name = crate::name!("storageclass.kubernetes.io/is-default-class");
/// The annotation of a CSINode that lists in-tree plugins moved to CSI drivers.
pub const MIGRATED_PLUGINS: Name = crate::name!("storage.alpha.kubernetes.io/migrated-plugins");
/// The annotation of a volume or claim whose binding a controller decided, not a person.
pub const BOUND_BY_CONTROLLER: Name = crate::name!("pv.kubernetes.io/bound-by-controller");
/// The annotation of a volume that names who made it.
pub const PROVISIONED_BY: Name = crate::name!("pv.kubernetes.io/provisioned-by");
/// The annotation of a claim that names who is to make its volume.
pub const PROVISIONER: Name = crate::name!("volume.kubernetes.io/storage-provisioner");
/// The same by its old name; both are written.
pub const OLD_PROVISIONER: Name = crate::name!("volume.beta.kubernetes.io/storage-provisioner");
/// Keeps a claim while a pod uses it.
pub const CLAIM_PROTECTION: Name = crate::name!("kubernetes.io/pvc-protection");
/// Keeps a volume while a claim is bound to it.
pub const VOLUME_PROTECTION: Name = crate::name!("kubernetes.io/pv-protection");
/// The provisioner of classes whose volumes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The CSI driver behind a provisioner: its own name, or what took the place of a plugin that Kubernetes once had
/// (`staging/src/k8s.io/csi-translation-lib/plugins/`).
pub fn csi_driver(provisioner: &Name) -> Name {
    match provisioner.as_str() {
        "kubernetes.io/aws-ebs" => crate::name!("ebs.csi.aws.com"),
        "kubernetes.io/gce-pd" => crate::name!("pd.csi.storage.gke.io"),
        "kubernetes.io/azure-disk" => crate::name!("disk.csi.azure.com"),
        "kubernetes.io/azure-file" => crate::name!("file.csi.azure.com"),
        "kubernetes.io/cinder" => crate::name!("cinder.csi.openstack.org"),
        "kubernetes.io/vsphere-volume" => crate::name!("csi.vsphere.vmware.com"),
        "kubernetes.io/portworx-volume" => crate::name!("pxd.portworx.com"),
        _ => provisioner.clone(),
    }
}

/// What a volume is promised to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimReference {
    /// Namespace of the claim.
    pub namespace: Name,
    /// Name of the claim.
    pub name: Name,
    /// Uid of the claim; zero while any claim of that name may take it.
    pub uid: Uid,
}

/// A volume's place in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum VolumePhase {
    /// Not looked at yet.
    #[default]
    Pending,
    /// Free.
    Available,
    /// Bound to a claim.
    Bound,
    /// Its claim is gone.
    Released,
    /// Could not be reclaimed.
    Failed,
}

impl VolumePhase {
    /// All phases.
    pub const ALL: [VolumePhase; 5] = [Self::Pending, Self::Available, Self::Bound, Self::Released, Self::Failed];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Available => "Available",
            Self::Bound => "Bound",
            Self::Released => "Released",
            Self::Failed => "Failed",
        }
    }
}

/// What becomes of a volume whose claim is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReclaimPolicy {
    /// It stays, with its data, until a person looks after it.
    #[default]
    Retain,
    /// It is deleted, and what is behind it too.
    Delete,
    /// It is emptied and free again (deprecated).
    Recycle,
}

impl ReclaimPolicy {
    /// All policies.
    pub const ALL: [ReclaimPolicy; 3] = [Self::Retain, Self::Delete, Self::Recycle];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retain => "Retain",
            Self::Delete => "Delete",
            Self::Recycle => "Recycle",
        }
    }
}

/// A persistent volume.
#[derive(Clone, PartialEq, Debug)]
pub struct PersistentVolume {
    /// Metadata.
    pub meta: Meta,
    /// `spec.capacity.storage` in bytes.
    pub capacity: i64,
    /// `ReadWriteOnce` and so on.
    pub access_modes: Vec<Name>,
    /// Class; may be empty.
    pub class: Name,
    /// `volumeMode: Block` rather than `Filesystem`.
    pub block: bool,
    /// Who it is promised or bound to.
    pub claim: Option<ClaimReference>,
    /// Nodes that can reach it; `None` for all.
    pub node_affinity: Option<NodeSelector>,
    /// CSI driver; empty for other sources.
    pub driver: Name,
    /// The driver's name of the volume.
    pub handle: Name,
    /// What becomes of it when its claim is gone.
    pub reclaim: ReclaimPolicy,
    /// `status.phase`.
    pub phase: VolumePhase,
    /// `status.message`: why it failed; empty usually.
    pub message: Name,
    /// `{spec, status}` as written, without what the fields above can change.
    pub raw: Arc<Value>,
}

impl PersistentVolume {
    /// Whether the volume is promised to this claim
    /// (`staging/src/k8s.io/component-helpers/storage/volume/helpers.go`, `IsVolumeBoundToClaim`).
    pub fn is_for(&self, claim: &PersistentVolumeClaim) -> bool {
        self.claim.as_ref().is_some_and(|reference| {
            reference.namespace == claim.meta.namespace
                && reference.name == claim.meta.name
                && (reference.uid == Uid::default() || reference.uid == claim.meta.uid)
        })
    }

    /// Whether one node at a time may have it (`pkg/volume/util/util.go`, `isMultiAttachForbidden` of the attach
    /// and detach controller): an access mode of many is not among its modes.
    pub fn one_node(&self) -> bool {
        let many = |mode: &Name| mode == "ReadWriteMany" || mode == "ReadOnlyMany";
        !self.access_modes.is_empty() && !self.access_modes.iter().any(many)
    }

    /// The name under which nodes report it (`pkg/volume/util/util.go`, `GetUniqueVolumeName`); `None` if it needs
    /// no attaching, because no driver is behind it.
    pub fn unique_name(&self) -> Option<Name> {
        let attachable = !self.driver.is_empty();
        attachable.then(|| Name::from(format!("kubernetes.io/csi/{}^{}", self.driver, self.handle)))
    }

    /// Its class, by the old annotation or the field.
    pub fn class(&self) -> &Name {
        self.meta.annotations.get(CLASS_ANNOTATION).unwrap_or(&self.class)
    }
}

/// A claim's place in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClaimPhase {
    /// Not bound.
    #[default]
    Pending,
    /// Bound.
    Bound,
    /// Its volume is gone.
    Lost,
}

impl ClaimPhase {
    /// All phases.
    pub const ALL: [ClaimPhase; 3] = [Self::Pending, Self::Bound, Self::Lost];

    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Bound => "Bound",
            Self::Lost => "Lost",
        }
    }
}

/// A persistent volume claim.
#[derive(Clone, PartialEq, Debug)]
pub struct PersistentVolumeClaim {
    /// Metadata.
    pub meta: Meta,
    /// `spec.resources.requests.storage` in bytes.
    pub request: i64,
    /// `ReadWriteOnce` and so on.
    pub access_modes: Vec<Name>,
    /// `spec.storageClassName`; `None` asks for the default class, empty for volumes without one.
    pub class: Option<Name>,
    /// `spec.volumeName`; empty while unbound.
    pub volume: Name,
    /// Labels that the volume must have.
    pub selector: Option<Selector>,
    /// `volumeMode: Block` rather than `Filesystem`.
    pub block: bool,
    /// `status.phase`.
    pub phase: ClaimPhase,
    /// `status.capacity.storage` in bytes: what it got; 0 while unbound.
    pub capacity: i64,
    /// `status.accessModes`: what its volume can do.
    pub bound_modes: Vec<Name>,
    /// `{spec, status}` as written, without what the fields above can change.
    pub raw: Arc<Value>,
}

impl PersistentVolumeClaim {
    /// Its class, by the old annotation or the field; empty for none.
    pub fn class(&self) -> Name {
        let class = self.meta.annotations.get(CLASS_ANNOTATION).or(self.class.as_ref());
        class.cloned().unwrap_or_default()
    }

    /// Whether the binding is complete.
    pub fn bound(&self) -> bool {
        !self.volume.is_empty() && self.meta.annotations.get(&BIND_COMPLETED).is_some()
    }

    /// Whether one pod at a time may use it.
    pub fn one_pod(&self) -> bool {
        self.access_modes.iter().any(|mode| mode == "ReadWriteOncePod")
    }
}

/// A storage class.
#[derive(Clone, PartialEq, Debug)]
pub struct StorageClass {
    /// Metadata.
    pub meta: Meta,
    /// Who makes the volumes.
    pub provisioner: Name,
    /// `volumeBindingMode: WaitForFirstConsumer` rather than `Immediate`.
    pub wait_for_first_consumer: bool,
    /// Where volumes can be made: one of the terms must hold; none at all for everywhere.
    pub allowed_topologies: NodeSelector,
    /// What becomes of its volumes when their claims are gone.
    pub reclaim: ReclaimPolicy,
    /// `allowVolumeExpansion`: whether claims of it may grow.
    pub expands: bool,
    /// The object without metadata, as written.
    pub raw: Arc<Value>,
}

impl StorageClass {
    /// Whether claims without a class get this one.
    pub fn is_default(&self) -> bool {
        self.meta.annotations.get(&DEFAULT_CLASS).is_some_and(|value| value == "true")
    }

    /// Whether a volume of this class can be made for a node with these labels
    /// (`staging/src/k8s.io/component-helpers/scheduling/corev1/helpers.go`, `MatchTopologySelectorTerms`).
    pub fn allows(&self, labels: &Labels) -> bool {
        let terms = &self.allowed_topologies.terms;
        let holds = |expressions: &[super::selector::Requirement]| {
            !expressions.is_empty() && expressions.iter().all(|requirement| requirement.matches(labels))
        };
        terms.is_empty() || terms.iter().any(|term| holds(&term.expressions))
    }
}

/// A CSI driver on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSIDriverOnNode {
    /// The driver.
    pub name: Name,
    /// The driver's name of the node.
    pub node_id: Name,
    /// Node labels that decide where its volumes can be.
    pub topology_keys: Vec<Name>,
    /// How many volumes it can attach; `None` for no limit.
    pub count: Option<i32>,
}

/// The CSI drivers on the node of the same name.
#[derive(Clone, PartialEq, Debug)]
pub struct CSINode {
    /// Metadata.
    pub meta: Meta,
    /// The drivers.
    pub drivers: Vec<CSIDriverOnNode>,
}

impl CSINode {
    /// How many volumes of `driver` the node takes, if that is limited.
    pub fn limit(&self, driver: &str) -> Option<i32> {
        self.drivers.iter().find(|known| known.name == driver)?.count
    }
}

/// A driver of the cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct CSIDriver {
    /// Metadata; the name is the driver's.
    pub meta: Meta,
    /// `spec.attachRequired`: whether its volumes are attached to a node before they are mounted.
    pub attach_required: bool,
    /// The object without metadata, as written.
    pub raw: Arc<Value>,
}

/// A volume that is to be attached to a node, and whether it is.
#[derive(Clone, PartialEq, Debug)]
pub struct VolumeAttachment {
    /// Metadata.
    pub meta: Meta,
    /// The driver.
    pub attacher: Name,
    /// The node.
    pub node: Name,
    /// The volume; empty if it is written into the attachment itself.
    pub volume: Name,
    /// `status.attached`.
    pub attached: bool,
    /// `status.attachError.message`; empty for none.
    pub attach_error: Name,
    /// `status.detachError.message`; empty for none.
    pub detach_error: Name,
    /// `{spec, status}` as written, without the fields above.
    pub raw: Arc<Value>,
}
