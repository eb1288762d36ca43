//! Kinds of object and the key that names one.

use super::Name;
use super::custom::CustomKind;
use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $plural:literal, $group:literal, $version:literal, $namespaced:literal;)*) => {
        /// Every kind the store serves. `Machine` and `Incident` are the simulation's own and never leave it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
            /// A kind that a CustomResourceDefinition names.
            Custom(CustomKind),
        }

        impl Kind {
            /// All kinds but custom ones, in order of declaration.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// Its number in order of declaration; that of all custom kinds is one.
            pub const fn code(self) -> u64 {
                enum Code { $($kind,)* Custom }
                match self { $(Kind::$kind => Code::$kind as u64,)* Kind::Custom(_) => Code::Custom as u64 }
            }

            /// `Deployment`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Kind::$kind => stringify!($kind),)* Kind::Custom(kind) => kind.words().kind.as_str() }
            }
            /// `deployments`.
            pub const fn plural(self) -> &'static str {
                match self { $(Kind::$kind => $plural,)* Kind::Custom(kind) => kind.words().plural.as_str() }
            }
            /// `apps`; empty for the core group.
            pub const fn group(self) -> &'static str {
                match self { $(Kind::$kind => $group,)* Kind::Custom(kind) => kind.words().group.as_str() }
            }
            /// `v1`.
            pub const fn version(self) -> &'static str {
                match self { $(Kind::$kind => $version,)* Kind::Custom(kind) => kind.words().version.as_str() }
            }
            /// Whether its objects live in a namespace.
            pub const fn namespaced(self) -> bool {
                match self { $(Kind::$kind => $namespaced,)* Kind::Custom(kind) => kind.words().namespaced }
            }
        }
    };
}

kinds! {
    /// A namespace.
    Namespace, "namespaces", "", "v1", false;
    /// A node as the API server knows it.
    Node, "nodes", "", "v1", false;
    /// A pod.
    Pod, "pods", "", "v1", true;
    /// A deployment.
    Deployment, "deployments", "apps", "v1", true;
    /// A replica set.
    ReplicaSet, "replicasets", "apps", "v1", true;
    /// A service.
    Service, "services", "", "v1", true;
    /// A slice of a service's endpoints.
    EndpointSlice, "endpointslices", "discovery.k8s.io", "v1", true;
    /// A lease: node heartbeats and leader election.
    Lease, "leases", "coordination.k8s.io", "v1", true;
    /// An event as `kubectl get events` shows it.
    Event, "events", "", "v1", true;
    /// A config map.
    ConfigMap, "configmaps", "", "v1", true;
    /// A secret.
    Secret, "secrets", "", "v1", true;
    /// A service account.
    ServiceAccount, "serviceaccounts", "", "v1", true;
    /// A priority class.
    PriorityClass, "priorityclasses", "scheduling.k8s.io", "v1", false;
    /// The simulation's own: the machine behind a node, its power and its network.
    Machine, "machines", "sim", "v1", false;
    /// The simulation's own: something that was done to the cluster by a fault or by hand.
    Incident, "incidents", "sim", "v1", false;
    /// A volume.
    PersistentVolume, "persistentvolumes", "", "v1", false;
    /// A claim on a volume.
    PersistentVolumeClaim, "persistentvolumeclaims", "", "v1", true;
    /// A class of volumes.
    StorageClass, "storageclasses", "storage.k8s.io", "v1", false;
    /// The storage drivers of a node.
    CSINode, "csinodes", "storage.k8s.io", "v1", false;
    /// A disruption budget.
    PodDisruptionBudget, "poddisruptionbudgets", "policy", "v1", true;
    /// A stateful set.
    StatefulSet, "statefulsets", "apps", "v1", true;
    /// A replication controller.
    ReplicationController, "replicationcontrollers", "", "v1", true;
    /// A daemon set.
    DaemonSet, "daemonsets", "apps", "v1", true;
    /// A job.
    Job, "jobs", "batch", "v1", true;
    /// A cron job.
    CronJob, "cronjobs", "batch", "v1", true;
    /// A past template of a stateful set or daemon set.
    ControllerRevision, "controllerrevisions", "apps", "v1", true;
    /// Limits and defaults of a namespace.
    LimitRange, "limitranges", "", "v1", true;
    /// A quota of a namespace.
    ResourceQuota, "resourcequotas", "", "v1", true;
    /// What may be done in a namespace.
    Role, "roles", "rbac.authorization.k8s.io", "v1", true;
    /// What may be done in the cluster.
    ClusterRole, "clusterroles", "rbac.authorization.k8s.io", "v1", false;
    /// Who has a role in a namespace.
    RoleBinding, "rolebindings", "rbac.authorization.k8s.io", "v1", true;
    /// Who has a role in the cluster.
    ClusterRoleBinding, "clusterrolebindings", "rbac.authorization.k8s.io", "v1", false;
    /// A kind that a user defines.
    CustomResourceDefinition, "customresourcedefinitions", "apiextensions.k8s.io", "v1", false;
    /// A volume attached to a node.
    VolumeAttachment, "volumeattachments", "storage.k8s.io", "v1", false;
    /// A storage driver of the cluster.
    CSIDriver, "csidrivers", "storage.k8s.io", "v1", false;
    /// A horizontal pod autoscaler.
    HorizontalPodAutoscaler, "horizontalpodautoscalers", "autoscaling", "v2", true;
    /// Rules by which requests enter the cluster.
    Ingress, "ingresses", "networking.k8s.io", "v1", true;
    /// Who serves an ingress.
    IngressClass, "ingressclasses", "networking.k8s.io", "v1", false;
    /// Which flows are allowed.
    NetworkPolicy, "networkpolicies", "networking.k8s.io", "v1", true;
    /// The endpoints of a service, in the old form.
    Endpoints, "endpoints", "", "v1", true;
    /// How containers are run.
    RuntimeClass, "runtimeclasses", "node.k8s.io", "v1", false;
}

impl Kind {
    /// All custom kinds, for those who watch them.
    pub const ANY_CUSTOM: Kind = Kind::Custom(CustomKind::ANY);

    /// Under which kind its changes are watched: all custom kinds are one.
    pub const fn watched(self) -> Kind {
        match self {
            Kind::Custom(_) => Kind::ANY_CUSTOM,
            kind => kind,
        }
    }

    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_string(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// `deployments.apps`, or `pods` for the core group: the form in the API server's messages.
    pub fn qualified_plural(self) -> String {
        match self.group() {
            "" => self.plural().to_string(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// Whether the API serves it; the simulation's own kinds are not Kubernetes'.
    pub const fn is_api(self) -> bool {
        !matches!(self, Kind::Machine | Kind::Incident)
    }

    /// Reads `Pod`, `pod`, `pods` or a usual short name.
    pub fn parse(text: &str) -> Option<Kind> {
        let lower = text.to_ascii_lowercase();
        let short = match lower.as_str() {
            "po" => "pods",
            "no" => "nodes",
            "ns" => "namespaces",
            "deploy" => "deployments",
            "rs" => "replicasets",
            "svc" => "services",
            "cm" => "configmaps",
            "sa" => "serviceaccounts",
            "pc" => "priorityclasses",
            "ev" => "events",
            "pv" => "persistentvolumes",
            "pvc" => "persistentvolumeclaims",
            "sc" => "storageclasses",
            "pdb" => "poddisruptionbudgets",
            "sts" => "statefulsets",
            "rc" => "replicationcontrollers",
            "ds" => "daemonsets",
            "cj" => "cronjobs",
            "limits" => "limitranges",
            "quota" => "resourcequotas",
            "crd" => "customresourcedefinitions",
            "hpa" => "horizontalpodautoscalers",
            "ing" => "ingresses",
            "va" => "volumeattachments",
            "netpol" => "networkpolicies",
            "ep" => "endpoints",
            other => other,
        };
        Kind::ALL.iter().copied().find(|kind| kind.plural() == short || kind.as_str().eq_ignore_ascii_case(short))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some kinds, as bits; all custom kinds are one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct KindSet(u64);

const _: () = assert!(Kind::ANY_CUSTOM.code() < 64, "a KindSet has a bit for each kind");

impl KindSet {
    /// Whether `kind` is among them.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 >> kind.code() & 1 == 1
    }
}

impl<'a> FromIterator<&'a Kind> for KindSet {
    fn from_iter<I: IntoIterator<Item = &'a Kind>>(kinds: I) -> Self {
        KindSet(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind.code()))
    }
}

/// What names an object: kind, namespace (empty for cluster-scoped kinds) and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The namespace, or empty.
    pub namespace: Name,
    /// The name.
    pub name: Name,
}

impl Key {
    /// The key of `kind` `namespace/name`.
    pub fn new(kind: Kind, namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Key { kind, namespace: namespace.into(), name: name.into() }
    }

    /// The key of a cluster-scoped object.
    pub fn cluster(kind: Kind, name: impl Into<Name>) -> Self {
        Key { kind, namespace: Name::new(), name: name.into() }
    }
}

impl fmt::Display for Key {
    /// `Pod/default/web-1`, or `Node/a` for cluster-scoped kinds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{}/{}", self.kind, self.name),
            namespace => write!(f, "{}/{namespace}/{}", self.kind, self.name),
        }
    }
}
