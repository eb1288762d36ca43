//! Where a request for a host and a path goes: the rules of all Ingresses, as an ingress-nginx-like controller reads
//! them (`networking/v1`; `ingress-nginx/internal/ingress/controller/controller.go`).
//!
//! A worked example: `shop.example.com` has the prefixes `/` (web) and `/api` (api). `/api/cart` goes to api, `/apis` to
//! web: prefixes count by element. An exact path is before every prefix, a longer prefix before a shorter one, an exact
//! host before a wildcard, and that before rules without a host. What nothing matches goes to a default backend.

use crate::model::ingress::{Backend, BackendPort, DEFAULT_CLASS, IngressRules, PathRule};
use crate::model::{Name, Object};
use crate::store::Change;
use crate::wire::decode;
use std::collections::BTreeMap;

/// All Ingresses and their classes.
#[derive(Debug, Default)]
pub struct Ingresses {
    rules: BTreeMap<(Name, Name), IngressRules>,
    /// Whether Ingresses that name no class have it.
    classes: BTreeMap<Name, bool>,
}

/// Where a request goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The service.
    pub namespace: Name,
    /// Its name.
    pub service: Name,
    /// Its port.
    pub port: BackendPort,
    /// Whether it is asked by TLS.
    pub tls: bool,
}

/// How well a rule fits: the host, then the path.
type Fit = (u8, usize, bool, usize);

impl Ingresses {
    /// Takes in a change of the cluster; whether routes may be others now.
    pub fn change(&mut self, change: &Change) -> bool {
        let there = change.new.is_some();
        match change.object() {
            Object::Ingress(ingress) => {
                let key = (ingress.meta.namespace.clone(), ingress.meta.name.clone());
                match decode::ingress(ingress).filter(|_| there) {
                    Some(rules) => self.rules.insert(key, rules.clone()) != Some(rules),
                    None => self.rules.remove(&key).is_some(),
                }
            }
            Object::IngressClass(class) => {
                let default = class.meta.annotations.get(&DEFAULT_CLASS).is_some_and(|value| value == "true");
                match there {
                    true => self.classes.insert(class.meta.name.clone(), default) != Some(default),
                    false => self.classes.remove(&class.meta.name).is_some(),
                }
            }
            _ => false,
        }
    }

    /// Whether a controller serves an Ingress of this class.
    pub fn serves(&self, class: &Name) -> bool {
        match class.is_empty() {
            true => self.classes.values().any(|default| *default),
            false => self.classes.contains_key(class),
        }
    }

    /// Where a request goes; nowhere if nothing matches.
    pub fn route(&self, host: &str, path: &str) -> Option<Route> {
        let served = || self.rules.iter().filter(|(_, rules)| self.serves(&rules.class));
        let mut best: Option<(Fit, &Name, &Backend)> = None;
        for ((namespace, _), rules) in served() {
            for (of, paths) in &rules.rules {
                let Some(host_fit) = host_fit(of, host) else { continue };
                for rule in paths {
                    let Some((exact, length)) = path_fit(rule, path) else { continue };
                    let fit = (host_fit.0, host_fit.1, exact, length);
                    // The first of equals: Ingresses in order of their names.
                    if best.as_ref().is_none_or(|(have, ..)| fit > *have) {
                        best = Some((fit, namespace, &rule.backend));
                    }
                }
            }
        }
        let default = || served().find_map(|((namespace, _), rules)| Some((namespace, rules.default.as_ref()?)));
        let (namespace, backend) = best.map(|(_, namespace, backend)| (namespace, backend)).or_else(default)?;
        let tls = served().any(|(_, rules)| rules.tls.iter().any(|of| host_fit(of, host).is_some()));
        Some(Route { namespace: namespace.clone(), service: backend.service.clone(), port: backend.port.clone(), tls })
    }
}

/// How well a rule's host fits: exactly, as a wildcard of one label, or because it names none.
fn host_fit(rule: &str, host: &str) -> Option<(u8, usize)> {
    if rule.is_empty() {
        return Some((0, 0));
    }
    if rule == host {
        return Some((2, rule.len()));
    }
    let under = rule.strip_prefix('*')?;
    let label = host.strip_suffix(under)?;
    (!label.is_empty() && !label.contains('.')).then_some((1, rule.len()))
}

/// Whether a path fits exactly, and how much of it.
fn path_fit(rule: &PathRule, path: &str) -> Option<(bool, usize)> {
    if rule.exact {
        return (rule.path == path).then_some((true, rule.path.len()));
    }
    let prefix = rule.path.trim_end_matches('/');
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/') || prefix.is_empty()).then_some((false, prefix.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plain::{Ingress, IngressClass};
    use crate::model::{Key, Labels, Meta};
    use crate::store::Verb;
    use crate::time::SimTime;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn tell(ingresses: &mut Ingresses, object: Object) {
        let meta = object.meta();
        let key = Key { kind: object.kind(), namespace: meta.namespace.clone(), name: meta.name.clone() };
        let (time, verb) = (SimTime::ZERO, Verb::Added);
        ingresses.change(&Change { revision: 1, time, key, verb, old: None, new: Some(object), writer: "test" });
    }

    fn class(name: &str, default: bool) -> Object {
        let mut meta = Meta::named("", name);
        meta.annotations = Labels::from_iter([(DEFAULT_CLASS.as_str(), if default { "true" } else { "false" })]);
        IngressClass { meta, raw: Arc::new(json!({"spec": {"controller": "k8s.io/ingress-nginx"}})) }.into()
    }

    fn ingress(name: &str, spec: Value) -> Object {
        Ingress { meta: Meta::named("default", name), raw: Arc::new(json!({"spec": spec})) }.into()
    }

    fn path(path: &str, kind: &str, service: &str) -> Value {
        json!({"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}})
    }

    #[test]
    fn requests_go_where_the_rules_say() {
        // The table of the documentation of `pathType`, and hosts beside it.
        let shop = json!({"ingressClassName": "nginx", "tls": [{"hosts": ["shop.example.com"]}], "rules": [
            {"host": "shop.example.com", "http": {"paths": [
                path("/", "Prefix", "web"), path("/aaa/bbb", "Prefix", "deep"), path("/foo/", "Prefix", "slash"),
                path("/exact", "Exact", "exact"), path("/exact", "Prefix", "prefix"), path("/Case", "Exact", "case")]}},
            {"host": "*.example.com", "http": {"paths": [path("/", "Prefix", "wild")]}},
            {"http": {"paths": [path("/any", "Prefix", "any")]}}]});
        let mut ingresses = Ingresses::default();
        tell(&mut ingresses, ingress("shop", shop));
        assert_eq!(ingresses.route("shop.example.com", "/"), None, "nobody serves the class");
        tell(&mut ingresses, class("nginx", false));
        let table = [
            ("shop.example.com", "/", "web"),
            ("shop.example.com", "/aaa/bbb", "deep"),
            ("shop.example.com", "/aaa/bbb/", "deep"),
            ("shop.example.com", "/aaa/bbb/ccc", "deep"),
            ("shop.example.com", "/aaa/bbbxyz", "web"),
            ("shop.example.com", "/foo", "slash"),
            ("shop.example.com", "/foo/", "slash"),
            ("shop.example.com", "/exact", "exact"),
            ("shop.example.com", "/exact/", "prefix"),
            ("shop.example.com", "/case", "web"),
            ("other.example.com", "/aaa/bbb", "wild"),
            ("a.other.example.com", "/", "-"),
            ("example.com", "/any/thing", "any"),
            ("example.com", "/anything", "-"),
        ];
        for (host, path, expected) in table {
            let route = ingresses.route(host, path);
            let service = route.as_ref().map_or("-", |route| route.service.as_str());
            assert_eq!(service, expected, "{host}{path}");
            assert_eq!(route.is_some_and(|route| route.tls), host == "shop.example.com", "{host}{path}");
        }
        // What nothing matches goes to a default backend, here of an Ingress without a class, once there is a default.
        let rest = json!({"defaultBackend": {"service": {"name": "rest", "port": {"name": "http"}}}});
        tell(&mut ingresses, ingress("rest", rest));
        assert_eq!(ingresses.route("example.com", "/"), None);
        tell(&mut ingresses, class("other", true));
        let route = ingresses.route("example.com", "/").unwrap();
        assert_eq!((route.service.as_str(), route.port), ("rest", BackendPort::Name(Name::from("http"))));
    }
}
