//! Changes of a pod's wish, in the compiled form and in the JSON kept beside it at once: what controllers write into
//! the pods that they make.

use super::pod_spec::{Affinity, Volume, VolumeSource};
use super::selector::{NodeSelectorTerm, Operator, Requirement};
use super::{Name, NodeSelector, PodSpec, Toleration, hash};
use serde_json::{Map, Value, json};
use std::sync::Arc;

impl PodSpec {
    /// This wish changed: `change` gets the compiled form and the JSON.
    fn edited(&self, change: impl FnOnce(&mut PodSpec, &mut Map<String, Value>)) -> PodSpec {
        let mut spec = self.clone();
        let mut raw = Value::clone(&self.raw);
        if let Some(fields) = raw.as_object_mut() {
            change(&mut spec, fields);
        }
        spec.hash = hash::content_hash(&raw);
        spec.raw = Arc::new(raw);
        spec
    }

    /// With a host name, a subdomain, and claims as volumes, `(volume, claim)`, in place of volumes of those names.
    #[must_use]
    pub fn with_identity(&self, hostname: &Name, subdomain: &Name, claims: &[(Name, Name)]) -> PodSpec {
        self.edited(|spec, fields| {
            spec.hostname = hostname.clone();
            spec.subdomain = subdomain.clone();
            fields.insert("hostname".into(), json!(hostname.as_str()));
            if !subdomain.is_empty() {
                fields.insert("subdomain".into(), json!(subdomain.as_str()));
            }
            if claims.is_empty() {
                return;
            }
            let replaced = |name: &str| claims.iter().any(|(volume, _)| volume == name);
            spec.volumes.retain(|volume| !replaced(&volume.name));
            let volume = |(name, claim): &(Name, Name)| Volume {
                name: name.clone(),
                source: VolumeSource::Claim(claim.clone()),
            };
            spec.volumes.splice(0..0, claims.iter().map(volume));
            let written = |(name, claim): &(Name, Name)| {
                json!({"name": name.as_str(), "persistentVolumeClaim": {"claimName": claim.as_str()}})
            };
            let list = fields.entry("volumes").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.retain(|volume| !volume["name"].as_str().is_some_and(replaced));
                list.splice(0..0, claims.iter().map(written));
            }
        })
    }

    /// With these tolerations, unless they are there.
    #[must_use]
    pub fn with_tolerations(&self, more: &[Toleration]) -> PodSpec {
        self.edited(|spec, fields| {
            for toleration in more.iter().filter(|toleration| !self.tolerations.contains(toleration)) {
                spec.tolerations.push(toleration.clone());
                let mut written = json!({"key": toleration.key.as_str(), "operator": "Exists"});
                if let Some(effect) = toleration.effect {
                    written["effect"] = json!(effect.as_str());
                }
                let list = fields.entry("tolerations").or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(written);
                }
            }
        })
    }

    /// For this node alone: in place of all required node affinity
    /// (`pkg/controller/daemon/util/daemonset_util.go`, `ReplaceDaemonSetPodNodeNameNodeAffinity`).
    #[must_use]
    pub fn for_node(&self, node: &Name) -> PodSpec {
        self.edited(|spec, fields| {
            let key = crate::name!("metadata.name");
            let name = Requirement { key, operator: Operator::In, values: vec![node.clone()] };
            let term = NodeSelectorTerm { expressions: Vec::new(), fields: vec![name] };
            let mut affinity = spec.affinity.as_deref().cloned().unwrap_or_default();
            affinity.node_required = Some(NodeSelector { terms: vec![term] });
            spec.affinity = Some(Box::new(affinity));
            let required = json!({"nodeSelectorTerms": [{"matchFields": [
                {"key": "metadata.name", "operator": "In", "values": [node.as_str()]}]}]});
            let affinity = fields.entry("affinity").or_insert_with(|| json!({}));
            affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = required;
        })
    }

    /// The one node that the wish is for, if its required affinity names one
    /// (`pkg/controller/daemon/util/daemonset_util.go`, `GetTargetNodeName`).
    pub fn target_node(&self) -> Option<&Name> {
        let required = self.affinity.as_deref().and_then(|affinity: &Affinity| affinity.node_required.as_ref())?;
        let [term] = required.terms.as_slice() else { return None };
        let [field] = term.fields.as_slice() else { return None };
        match (field.key.as_str(), field.operator, field.values.as_slice()) {
            ("metadata.name", Operator::In, [name]) => Some(name),
            _ => None,
        }
    }
}
