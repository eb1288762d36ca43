//! What objects of every kind use of a quota (`pkg/quota/v1/evaluator/core/`,
//! `staging/src/k8s.io/apiserver/pkg/quota/v1/generic/evaluator.go`).

use super::{pods, scopes};
use crate::model::quantity::Quantity;
use crate::model::quota::{Amounts, ResourceQuota, add};
use crate::model::service::{Service, ServiceType};
use crate::model::{Kind, Name, Object, PersistentVolumeClaim};
use crate::store::View;
use crate::time::SimTime;
use serde_json::Value;

/// The end of a name that counts only claims of one storage class.
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";

/// What an object uses at `now`.
pub fn usage(object: &Object, now: SimTime) -> Amounts {
    match object {
        Object::Pod(pod) => pods::pod_usage(pod, now),
        Object::Service(service) => service_usage(service),
        Object::PersistentVolumeClaim(claim) => claim_usage(claim),
        other => {
            let mut usage = Amounts::from([(counted(other.kind()), Quantity::units(1))]);
            if has_plain_name(other.kind()) {
                usage.insert(Name::from(other.kind().plural()), Quantity::units(1));
            }
            usage
        }
    }
}

/// `count/deployments.apps`.
fn counted(kind: Kind) -> Name {
    Name::from(format!("count/{}", kind.qualified_plural()))
}

/// Kinds that can also be counted without `count/`.
fn has_plain_name(kind: Kind) -> bool {
    matches!(kind, Kind::ConfigMap | Kind::ResourceQuota | Kind::ReplicationController | Kind::Secret)
}

fn service_usage(service: &Service) -> Amounts {
    let mut usage = Amounts::new();
    let mut set = |name: &str, count: usize| usage.insert(Name::from(name), Quantity::units(count as i64));
    set("count/services", 1);
    set("services", 1);
    let balanced = service.kind == ServiceType::LoadBalancer;
    let allocates = service.raw.as_ref().and_then(|raw| raw.pointer("/spec/allocateLoadBalancerNodePorts"));
    let on_nodes = match service.kind {
        ServiceType::NodePort => true,
        // Without allocation only the ports that were asked for count.
        ServiceType::LoadBalancer => allocates.and_then(Value::as_bool) != Some(false),
        _ => false,
    };
    set("services.nodeports", if on_nodes { service.ports.len() } else { 0 });
    set("services.loadbalancers", usize::from(balanced));
    usage
}

fn claim_usage(claim: &PersistentVolumeClaim) -> Amounts {
    let mut usage = Amounts::new();
    let mut set = |name: String, amount: Quantity| usage.insert(Name::from(name), amount);
    let class = claim.class();
    set("count/persistentvolumeclaims".to_string(), Quantity::units(1));
    set("persistentvolumeclaims".to_string(), Quantity::units(1));
    if !class.is_empty() {
        set(format!("{class}{OF_CLASS}persistentvolumeclaims"), Quantity::units(1));
    }
    let requested = pods::amounts(&claim.raw["spec"], "requests");
    if let Some(storage) = requested.get("storage") {
        set("requests.storage".to_string(), *storage);
        if !class.is_empty() {
            set(format!("{class}{OF_CLASS}requests.storage"), *storage);
        }
    }
    usage
}

/// Whether a name in a quota concerns objects of a kind.
pub fn concerns(kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Pod => pods::concerns_pods(name),
        Kind::Service => {
            matches!(name, "count/services" | "services" | "services.nodeports" | "services.loadbalancers")
        }
        Kind::PersistentVolumeClaim => {
            let of_all = matches!(name, "count/persistentvolumeclaims" | "persistentvolumeclaims" | "requests.storage");
            of_all || name.contains(OF_CLASS)
        }
        // Events come and go too often to be counted.
        Kind::Event => false,
        other => counted(other) == name || (has_plain_name(other) && other.plural() == name),
    }
}

/// What a namespace uses of what a quota limits (`CalculateUsage`).
pub fn total(view: View<'_>, quota: &ResourceQuota, now: SimTime) -> Amounts {
    let kinds: Vec<Kind> = view
        .kinds()
        .filter(|kind| kind.is_api() && kind.namespaced() && quota.hard.keys().any(|name| concerns(*kind, name)))
        .collect();
    let mut sum: Amounts = quota
        .hard
        .keys()
        .filter(|name| kinds.iter().any(|kind| concerns(*kind, name)))
        .map(|name| (name.clone(), Quantity::units(0)))
        .collect();
    for object in view.in_namespace(&quota.meta.namespace) {
        if kinds.contains(&object.kind()) && scopes::within(&quota.scopes, object) {
            let mut used = usage(object, now);
            used.retain(|name, _| sum.contains_key(name));
            add(&mut sum, &used);
        }
    }
    sum
}
