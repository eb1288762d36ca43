//! Services and endpoint slices.

use super::{Labels, Meta, Name, Uid};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// `spec.type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceType {
    /// A virtual address inside the cluster.
    ClusterIp,
    /// Also a port on every node.
    NodePort,
    /// Also an external load balancer.
    LoadBalancer,
    /// A DNS alias.
    ExternalName,
}

impl ServiceType {
    /// As Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceType::ClusterIp => "ClusterIP",
            ServiceType::NodePort => "NodePort",
            ServiceType::LoadBalancer => "LoadBalancer",
            ServiceType::ExternalName => "ExternalName",
        }
    }
}

/// A target port: a number, or the name of a container port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By name, looked up in each pod.
    Name(Name),
}

/// One port of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServicePort {
    /// Name; may be empty.
    pub name: Name,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Name,
    /// Application protocol; may be empty.
    pub app_protocol: Name,
    /// The service's port.
    pub port: u16,
    /// The pods' port.
    pub target: TargetPort,
    /// The nodes' port; 0 for none.
    pub node_port: u16,
}

/// A service.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Metadata.
    pub meta: Meta,
    /// Type.
    pub kind: ServiceType,
    /// Which pods; `None` for services whose endpoints are made by hand.
    pub selector: Option<Labels>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// `clusterIP: None`.
    pub headless: bool,
    /// The virtual address; given at creation.
    pub cluster_ip: Option<Ipv4Addr>,
    /// `publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// `sessionAffinity: ClientIP`.
    pub client_ip_affinity: bool,
    /// Affinity timeout in seconds.
    pub affinity_seconds: i32,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `trafficDistribution`; empty for none.
    pub traffic_distribution: Name,
    /// `status.loadBalancer.ingress`.
    pub ingress: Vec<Ipv4Addr>,
    /// What the original `spec` says beyond the fields above.
    pub raw: Option<Arc<Value>>,
}

/// A resolved port of a slice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointPort {
    /// The service port's name; may be empty.
    pub name: Name,
    /// Protocol.
    pub protocol: Name,
    /// Application protocol; may be empty.
    pub app_protocol: Name,
    /// The number.
    pub port: u16,
}

/// One endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Address.
    pub address: Ipv4Addr,
    /// Takes new connections.
    pub ready: bool,
    /// Could serve: ready without regard to termination.
    pub serving: bool,
    /// Its pod is being deleted.
    pub terminating: bool,
    /// Node.
    pub node: Option<Name>,
    /// Zone; may be empty.
    pub zone: Name,
    /// Host name; may be empty.
    pub hostname: Name,
    /// The pod.
    pub pod: Name,
    /// The pod's uid.
    pub pod_uid: Uid,
    /// Hinted zones.
    pub hint_zones: Vec<Name>,
    /// Hinted nodes.
    pub hint_nodes: Vec<Name>,
}

/// A slice of endpoints; the service is its owner and named by label `kubernetes.io/service-name`.
#[derive(Clone, PartialEq, Debug)]
pub struct EndpointSlice {
    /// Metadata.
    pub meta: Meta,
    /// Ports that all endpoints share.
    pub ports: Arc<Vec<EndpointPort>>,
    /// Endpoints. A slice is written anew for each of its hundred that changes, so the others are shared.
    pub endpoints: Arc<Vec<Arc<Endpoint>>>,
}

impl EndpointSlice {
    /// Where two versions of a slice differ: how many endpoints come before that in both, and what stands there in the
    /// one and in the other.
    pub fn difference<'a>(
        old: Option<&'a EndpointSlice>,
        new: Option<&'a EndpointSlice>,
    ) -> (usize, &'a [Arc<Endpoint>], &'a [Arc<Endpoint>]) {
        let list = |slice: Option<&'a EndpointSlice>| slice.map_or(&[][..], |slice| slice.endpoints.as_slice());
        let (old, new) = (list(old), list(new));
        // An `Arc` equals itself without a look inside.
        let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let (old, new) = (&old[start..], &new[start..]);
        let end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        (start, &old[..old.len() - end], &new[..new.len() - end])
    }
}

/// Label that names a slice's service.
pub const SERVICE_NAME: Name = crate::name!("kubernetes.io/service-name");
