//! NetworkPolicies on flows: may this one open a connection to that pod?
//!
//! A pod that no policy concerns takes and makes every connection. One that some do takes what at least one of them
//! allows. What is not allowed vanishes: the client waits for its timeout. Connections that are open stay open.
//!
//! A worked example: a policy without rules on `app: db`, and one that lets `app: web` in on port 5432. A pod of `web`
//! gets through, every other one does not, and nobody on another port.

use crate::model::network_policy::{PolicyPeer, PolicyPort, PolicyRule, PolicyRules};
use crate::model::pod_spec::PodSpec;
use crate::model::{Labels, Name, Object, Uid};
use crate::store::Change;
use crate::wire::decode;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// A pod.
    Pod(Uid),
    /// An address that is no pod's.
    Address(u32),
}

#[derive(Debug)]
struct PodSeen {
    namespace: Name,
    labels: Labels,
    spec: Arc<PodSpec>,
}

/// All policies, and the pods and namespaces that they choose by label.
#[derive(Debug, Default)]
pub struct Policies {
    policies: BTreeMap<(Name, Name), PolicyRules>,
    namespaces: BTreeMap<Name, Labels>,
    pods: FxHashMap<Uid, PodSeen>,
    /// Verdicts so far; forgotten whenever something changes that they may rest on.
    known: FxHashMap<(End, Uid, u16), bool>,
}

impl Policies {
    /// Takes in a change of the cluster.
    pub fn change(&mut self, change: &Change) {
        let there = change.new.is_some();
        match change.object() {
            Object::NetworkPolicy(policy) => {
                let key = (policy.meta.namespace.clone(), policy.meta.name.clone());
                match decode::network_policy(&policy.raw).filter(|_| there) {
                    Some(rules) => _ = self.policies.insert(key, rules),
                    None => _ = self.policies.remove(&key),
                }
                self.known.clear();
            }
            Object::Namespace(namespace) => {
                let labels = namespace.meta.labels.clone();
                if self.namespaces.insert(namespace.meta.name.clone(), labels.clone()) != Some(labels) {
                    self.known.clear();
                }
            }
            Object::Pod(pod) => {
                let (namespace, labels) = (pod.meta.namespace.clone(), pod.meta.labels.clone());
                if !there {
                    self.pods.remove(&pod.meta.uid);
                } else if self.pods.get(&pod.meta.uid).is_none_or(|known| known.labels != labels) {
                    self.pods.insert(pod.meta.uid, PodSeen { namespace, labels, spec: pod.spec.clone() });
                    self.known.clear();
                }
            }
            _ => {}
        }
    }

    /// Namespace and labels of a pod.
    pub fn labels(&self, pod: Uid) -> Option<(&Name, &Labels)> {
        self.pods.get(&pod).map(|pod| (&pod.namespace, &pod.labels))
    }

    /// Whether a connection from one end to a pod's port may be opened.
    pub fn allow(&mut self, from: End, to: Uid, port: u16) -> bool {
        if self.policies.is_empty() {
            return true;
        }
        if let Some(verdict) = self.known.get(&(from, to, port)) {
            return *verdict;
        }
        let verdict = self.judge(from, to, port);
        self.known.insert((from, to, port), verdict);
        verdict
    }

    fn judge(&self, from: End, to: Uid, port: u16) -> bool {
        let Some(target) = self.pods.get(&to) else { return true };
        let source = match from {
            End::Pod(uid) => self.pods.get(&uid),
            End::Address(_) => None,
        };
        let matches = |rule: &PolicyRule, namespace: &Name, other: Other<'_>| {
            (rule.peers.is_empty() || rule.peers.iter().any(|peer| self.is(peer, namespace, other)))
                && (rule.ports.is_empty() || rule.ports.iter().any(|one| self.port(one, target, port)))
        };
        let asker = match (source, from) {
            (Some(pod), _) => Other::Pod(pod),
            (None, End::Address(address)) => Other::Address(address),
            // A pod that is gone asks nothing any more.
            (None, End::Pod(_)) => return true,
        };
        let into = self.concerning(target).filter_map(|(key, policy)| Some((key, policy.ingress.as_ref()?)));
        let out = source.into_iter().flat_map(|pod| self.concerning(pod));
        let out = out.filter_map(|(key, policy)| Some((key, policy.egress.as_ref()?)));
        one_allows(into, |rule, namespace| matches(rule, namespace, asker))
            && one_allows(out, |rule, namespace| matches(rule, namespace, Other::Pod(target)))
    }

    fn concerning<'a>(&'a self, pod: &'a PodSeen) -> impl Iterator<Item = (&'a Name, &'a PolicyRules)> {
        let all = self.policies.iter().filter(move |((namespace, _), _)| *namespace == pod.namespace);
        all.filter(|(_, policy)| policy.pods.matches(&pod.labels)).map(|((namespace, _), policy)| (namespace, policy))
    }

    fn is(&self, peer: &PolicyPeer, namespace: &Name, other: Other<'_>) -> bool {
        match other {
            Other::Address(address) => peer.is_address(address),
            Other::Pod(pod) => {
                let labels = self.namespaces.get(&pod.namespace).cloned().unwrap_or(Labels::EMPTY);
                peer.is_pod(pod.namespace == *namespace, &labels, &pod.labels)
            }
        }
    }

    fn port(&self, written: &PolicyPort, target: &PodSeen, port: u16) -> bool {
        match written {
            PolicyPort::Numbers(from, to) => (*from..=*to).contains(&port),
            PolicyPort::Name(name) => {
                let mut ports = target.spec.containers.iter().flat_map(|container| &container.ports);
                ports.any(|one| one.name == *name && one.container_port == port)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Other<'a> {
    Pod(&'a PodSeen),
    Address(u32),
}

/// Without policies everything is allowed; with some, what one of their rules allows.
fn one_allows<'a>(
    policies: impl Iterator<Item = (&'a Name, &'a Vec<PolicyRule>)>,
    matches: impl Fn(&PolicyRule, &Name) -> bool,
) -> bool {
    let mut any = false;
    for (namespace, rules) in policies {
        any = true;
        if rules.iter().any(|rule| matches(rule, namespace)) {
            return true;
        }
    }
    !any
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::core::Namespace;
    use crate::model::plain::NetworkPolicy;
    use crate::model::{Key, Meta, builder};
    use crate::store::Verb;
    use crate::time::SimTime;
    use serde_json::{Value, json};

    /// Pods web, db and shop (in namespace other, labelled team=x), and these policies.
    fn policies(specs: &[Value]) -> Policies {
        let mut policies = Policies::default();
        let mut tell = |object: Object| {
            let meta = object.meta();
            let key = Key { kind: object.kind(), namespace: meta.namespace.clone(), name: meta.name.clone() };
            let (time, verb) = (SimTime::ZERO, Verb::Added);
            policies.change(&Change { revision: 1, time, key, verb, old: None, new: Some(object), writer: "test" });
        };
        for (name, team) in [("default", "y"), ("other", "x")] {
            let mut meta = Meta::named("", name);
            meta.labels = Labels::from_iter([("team", team)]);
            tell(Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() }.into());
        }
        for (uid, namespace, app) in [(1, "default", "web"), (2, "default", "db"), (3, "other", "shop")] {
            let mut pod = builder::pod(app, builder::spec("img", 100, 0)).label("app", app);
            pod.meta.namespace = Name::from(namespace);
            pod.meta.uid = Uid(uid);
            tell(pod.into());
        }
        for (at, spec) in specs.iter().enumerate() {
            let meta = Meta::named("default", format!("policy-{at}"));
            tell(NetworkPolicy { meta, raw: Arc::new(json!({"spec": spec})) }.into());
        }
        policies
    }

    #[test]
    fn flows_are_allowed_as_policies_say() {
        let db = json!({"matchLabels": {"app": "db"}});
        let closed = json!({"podSelector": db});
        let from_web = json!({"podSelector": db, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
            "ports": [{"port": 5432}]}]});
        let from_team =
            json!({"podSelector": db, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}]}]});
        let from_block = json!({"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "198.18.0.0/15", "except": ["198.19.0.0/16"]}}]}]});
        let no_egress = json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]});
        let (web, shop, inside, cut) =
            (End::Pod(Uid(1)), End::Pod(Uid(3)), End::Address(0xc612_0001), End::Address(0xc613_0001));
        // (policies, from, port of db, allowed)
        let table = [
            (vec![], shop, 80, true),
            (vec![&closed], web, 5432, false),
            (vec![&closed, &from_web], web, 5432, true),
            (vec![&closed, &from_web], web, 80, false),
            (vec![&from_web], shop, 5432, false),
            (vec![&from_team], shop, 80, true),
            (vec![&from_team], web, 80, false),
            (vec![&from_block], inside, 80, true),
            (vec![&from_block], cut, 80, false),
            (vec![&from_block], web, 80, false),
            (vec![&no_egress], web, 80, false),
            (vec![&no_egress], shop, 80, true),
        ];
        for (specs, from, port, expected) in table {
            let specs: Vec<Value> = specs.into_iter().cloned().collect();
            assert_eq!(policies(&specs).allow(from, Uid(2), port), expected, "{specs:?} {from:?} {port}");
        }
    }
}
