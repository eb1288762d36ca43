//! What a NetworkPolicy says (`staging/src/k8s.io/api/networking/v1/types.go`).

use super::selector::label_selector;
use crate::model::network_policy::{Block, PolicyPeer, PolicyPort, PolicyRule, PolicyRules};
use crate::model::{Name, Selector};
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

/// The rules of a policy that is kept as written; none if it cannot be understood, which the API server would have
/// refused.
pub fn network_policy(raw: &Value) -> Option<PolicyRules> {
    let spec: networking::NetworkPolicySpec = serde_json::from_value(raw.get("spec")?.clone()).ok()?;
    // Without `policyTypes`: ingress always, egress if there are rules for it.
    let types =
        spec.policy_types.unwrap_or_else(|| match spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()) {
            true => vec!["Ingress".to_string(), "Egress".to_string()],
            false => vec!["Ingress".to_string()],
        });
    let has = |name: &str| types.iter().any(|have| have == name);
    let ingress = spec.ingress.unwrap_or_default().into_iter().map(|rule| one(rule.from, rule.ports));
    let egress = spec.egress.unwrap_or_default().into_iter().map(|rule| one(rule.to, rule.ports));
    let (ingress, egress): (Option<Vec<_>>, Option<Vec<_>>) = (ingress.collect(), egress.collect());
    Some(PolicyRules {
        pods: spec.pod_selector.as_ref().map_or(Some(Selector::default()), chosen)?,
        ingress: has("Ingress").then_some(ingress?),
        egress: has("Egress").then_some(egress?),
    })
}

fn chosen(selector: &LabelSelector) -> Option<Selector> {
    label_selector(Some(selector)).ok()?
}

fn one(
    peers: Option<Vec<networking::NetworkPolicyPeer>>,
    ports: Option<Vec<networking::NetworkPolicyPort>>,
) -> Option<PolicyRule> {
    let peers: Option<Vec<PolicyPeer>> = peers.unwrap_or_default().into_iter().map(peer).collect();
    let ports: Option<Vec<PolicyPort>> = ports.unwrap_or_default().into_iter().map(port).collect();
    Some(PolicyRule { peers: peers?, ports: ports? })
}

fn peer(peer: networking::NetworkPolicyPeer) -> Option<PolicyPeer> {
    if let Some(block) = peer.ip_block {
        let except: Option<Vec<Block>> = block.except.iter().flatten().map(|text| Block::parse(text)).collect();
        return Some(PolicyPeer::Block(Block::parse(&block.cidr)?, except?));
    }
    let selector = |written: Option<LabelSelector>| match written {
        None => Some(None),
        Some(written) => chosen(&written).map(Some),
    };
    Some(PolicyPeer::Pods { namespaces: selector(peer.namespace_selector)?, pods: selector(peer.pod_selector)? })
}

fn port(port: networking::NetworkPolicyPort) -> Option<PolicyPort> {
    let number = |number: i32| u16::try_from(number).ok();
    Some(match (port.port, port.end_port) {
        (None, _) => PolicyPort::Numbers(0, u16::MAX),
        (Some(IntOrString::Int(from)), to) => PolicyPort::Numbers(number(from)?, number(to.unwrap_or(from))?),
        (Some(IntOrString::String(name)), _) => PolicyPort::Name(Name::from(name)),
    })
}
