//! What an Ingress says (`staging/src/k8s.io/api/networking/v1/types.go`).

use crate::model::Name;
use crate::model::ingress::{Backend, BackendPort, IngressRules, OLD_CLASS, PathRule};
use crate::model::plain::Ingress;
use k8s_openapi::api::networking::v1 as networking;
use serde_json::Value;

/// The rules of an Ingress; none if it cannot be understood, which the API server would have refused.
pub fn ingress(ingress: &Ingress) -> Option<IngressRules> {
    let mut rules = rules(&ingress.raw)?;
    if rules.class.is_empty() {
        rules.class = ingress.meta.annotations.get(&OLD_CLASS).cloned().unwrap_or_default();
    }
    Some(rules)
}

/// The rules of an Ingress as written, without its annotations.
pub fn rules(raw: &Value) -> Option<IngressRules> {
    let spec: networking::IngressSpec = serde_json::from_value(raw.get("spec")?.clone()).ok()?;
    let name = |text: Option<String>| Name::from(text.unwrap_or_default());
    let rule = |rule: networking::IngressRule| {
        let paths = rule.http.map(|http| http.paths).unwrap_or_default();
        let path = |one: networking::HTTPIngressPath| {
            Some(PathRule { exact: one.path_type == "Exact", path: name(one.path), backend: backend(one.backend)? })
        };
        (name(rule.host), paths.into_iter().filter_map(path).collect())
    };
    Some(IngressRules {
        class: name(spec.ingress_class_name),
        default: spec.default_backend.and_then(backend),
        rules: spec.rules.unwrap_or_default().into_iter().map(rule).collect(),
        tls: spec.tls.into_iter().flatten().flat_map(|tls| tls.hosts.unwrap_or_default()).map(Name::from).collect(),
    })
}

/// A backend that is a service; other resources are not simulated.
fn backend(from: networking::IngressBackend) -> Option<Backend> {
    let service = from.service?;
    let port = service.port?;
    let port = match (port.name, port.number) {
        (Some(name), _) => BackendPort::Name(Name::from(name)),
        (None, number) => BackendPort::Number(u16::try_from(number?).ok()?),
    };
    Some(Backend { service: Name::from(service.name), port })
}
