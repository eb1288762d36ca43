//! What Ingresses say, in a form that requests can be held against.

use super::Name;

/// The annotation that makes an IngressClass the one of Ingresses that name none.
pub const DEFAULT_CLASS: Name = crate::name!("ingressclass.kubernetes.io/is-default-class");
/// The annotation by which Ingresses named their class before `spec.ingressClassName`.
pub const OLD_CLASS: Name = crate::name!("kubernetes.io/ingress.class");

/// The rules of one Ingress.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IngressRules {
    /// `spec.ingressClassName`, or the old annotation; empty if it names none.
    pub class: Name,
    /// What takes requests that no rule matches.
    pub default: Option<Backend>,
    /// Hosts (empty for all) and their paths.
    pub rules: Vec<(Name, Vec<PathRule>)>,
    /// Hosts that are asked by TLS.
    pub tls: Vec<Name>,
}

/// A path of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathRule {
    /// The path; empty for all.
    pub path: Name,
    /// `pathType: Exact`; otherwise it is a prefix, element by element.
    pub exact: bool,
    /// Who answers.
    pub backend: Backend,
}

/// A service and its port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Backend {
    /// The service, in the namespace of the Ingress.
    pub service: Name,
    /// Its port.
    pub port: BackendPort,
}

/// A port of a service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BackendPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(Name),
}

impl IngressRules {
    /// Every service that it names.
    pub fn services(&self) -> impl Iterator<Item = &Name> {
        let paths = self.rules.iter().flat_map(|(_, paths)| paths).map(|path| &path.backend);
        paths.chain(&self.default).map(|backend| &backend.service)
    }
}
