//! What the API server adds and refuses on the way in: limits of the simulation, the admission plugins of
//! `pkg/kubeapiserver/options/plugins.go` that matter here, and immutable fields.

use super::errors::StoreError;
use super::slots::Store;
use crate::model::Resource;
use crate::model::batch::JobStatus;
use crate::model::core::{PriorityClass, ServiceAccount};
use crate::model::{Condition, Key, Kind, Labels, Name, Node, Object, Pod, PodSpec, PodStatus, Taint, TaintEffect};
use crate::model::{Toleration, Truth, hash};
use serde_json::{Value, json};
use std::sync::Arc;

/// Seconds a pod stays on a node that is not ready or unreachable
/// (`plugin/pkg/admission/defaulttolerationseconds/admission.go`).
const DEFAULT_TOLERATION_SECONDS: i64 = 300;

impl Store {
    pub(super) fn check_limits(&self, object: &Object) -> Result<(), StoreError> {
        let all: u64 = self.live.values().sum();
        let rows = [
            ("maxNodes", Kind::Node, self.limits.nodes, self.count(Kind::Node)),
            ("maxPods", Kind::Pod, self.limits.pods, self.count(Kind::Pod)),
            ("maxObjects", object.kind(), self.limits.objects, all),
        ];
        for (name, kind, limit, count) in rows {
            if limit > 0 && kind == object.kind() && count >= limit {
                let (key, prefix) = (object.key(), &object.meta().generate_name);
                return Err(StoreError::Limit(format!("limit `{name}` ({limit}) reached by {key}{prefix}")));
            }
        }
        Ok(())
    }

    /// Completes a new object, or refuses it.
    pub(super) fn admit(&mut self, object: &mut Object) -> Result<(), StoreError> {
        match object {
            Object::Pod(pod) => self.admit_pod(Arc::make_mut(pod)),
            Object::Node(node) => {
                admit_node(Arc::make_mut(node));
                Ok(())
            }
            Object::Service(service) => self.give_addresses(None, Arc::make_mut(service)),
            Object::Namespace(namespace) => {
                let namespace = Arc::make_mut(namespace);
                let name = namespace.meta.name.clone();
                namespace.meta.labels = namespace.meta.labels.with(crate::name!("kubernetes.io/metadata.name"), name);
                namespace.spec_finalizers = vec![crate::name!("kubernetes")];
                namespace.terminating = false;
                Ok(())
            }
            Object::Job(job) => {
                let job = Arc::make_mut(job);
                job.spec = Arc::new(job.spec.labelled(&job.meta.name, job.meta.uid));
                job.status = JobStatus::default();
                Ok(())
            }
            Object::PersistentVolumeClaim(claim) => {
                self.limit_claim(claim)?;
                self.admit_claim(Arc::make_mut(claim));
                Ok(())
            }
            Object::PriorityClass(class) => self.only_default(class),
            Object::CustomResourceDefinition(definition) => {
                super::custom::admit_definition(Arc::make_mut(definition));
                Ok(())
            }
            Object::PersistentVolume(volume) => {
                super::storage::admit_volume(Arc::make_mut(volume));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a pod's priority comes to rests on the classes there are.
    pub(super) fn forget_admitted(&mut self, kind: Kind) {
        if kind == Kind::PriorityClass {
            self.admitted.clear();
        }
    }

    fn admit_pod(&mut self, pod: &mut Pod) -> Result<(), StoreError> {
        self.limit_pod(pod)?;
        self.right_size(pod);
        let cache_key = (pod.spec.hash ^ u64::from(pod.is_mirror()), pod.meta.labels.clone());
        pod.spec = match self.admitted.get(&cache_key) {
            Some(admitted) => admitted.clone(),
            None => {
                let admitted = Arc::new(self.admitted_spec(pod)?);
                self.admitted.insert(cache_key, admitted.clone());
                admitted
            }
        };
        self.check_account(pod)?;
        self.secure_pod(pod)?;
        pod.status = PodStatus::default();
        pod.node = pod.spec.node_name.clone();
        if !pod.spec.scheduling_gates.is_empty() {
            pod.status.conditions.push(Condition::new(
                crate::name!("PodScheduled"),
                Truth::False,
                crate::name!("SchedulingGated"),
                "Scheduling is blocked due to non-empty scheduling gates",
                pod.meta.created,
            ));
        }
        Ok(())
    }

    /// Admission plugin ServiceAccount: a pod's account must exist. For the account that every namespace gets, the
    /// server waits until its controller has made it; so it is not asked for here.
    fn check_account(&self, pod: &Pod) -> Result<(), StoreError> {
        let (namespace, name) = (&pod.meta.namespace, &pod.spec.service_account);
        if pod.is_mirror() && pod.spec.raw.get("serviceAccountName").is_some() {
            let why = "a mirror pod may not reference service accounts";
            return Err(StoreError::Forbidden(pod.key(), why.to_string()));
        }
        if name.is_empty() || name == "default" || self.live().fetch::<ServiceAccount>(namespace, name).is_some() {
            return Ok(());
        }
        let missing = Key::new(Kind::ServiceAccount, namespace.clone(), name.clone());
        let missing = StoreError::NotFound(missing).to_string().replacen("serviceaccounts", "serviceaccount", 1);
        Err(StoreError::Forbidden(pod.key(), format!("error looking up service account {namespace}/{name}: {missing}")))
    }

    fn admitted_spec(&self, pod: &Pod) -> Result<PodSpec, StoreError> {
        let merged = pod.spec.merged_label_keys(&pod.meta.labels);
        // `raw` stays unmerged, so what the labels added must reach the hash by itself.
        let mixed_in = merged.as_ref().map_or(0, |merged| merged.hash);
        let mut spec = merged.unwrap_or_else(|| PodSpec::clone(&pod.spec));
        self.resolve_priority(pod, &mut spec)?;
        let mut raw = Value::clone(&spec.raw);
        if let Some(fields) = raw.as_object_mut() {
            fields.insert("priority".into(), json!(spec.priority));
            let policy = if spec.preempts { "PreemptLowerPriority" } else { "Never" };
            fields.insert("preemptionPolicy".into(), json!(policy));
            if !spec.priority_class.is_empty() {
                fields.insert("priorityClassName".into(), json!(spec.priority_class.as_str()));
            }
            // That of a mirror stays as it is (`plugin/pkg/admission/serviceaccount/admission.go`, `shouldIgnore`).
            if !pod.is_mirror() {
                let account = fields.entry("serviceAccountName").or_insert_with(|| json!("default")).clone();
                fields.entry("serviceAccount").or_insert(account);
            }
            for toleration in missing_default_tolerations(&spec) {
                let list = fields.entry("tolerations").or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(json!({"key": toleration.key.as_str(), "operator": "Exists", "effect": "NoExecute",
                        "tolerationSeconds": DEFAULT_TOLERATION_SECONDS}));
                }
                spec.tolerations.push(toleration);
            }
        }
        spec.hash = hash::content_hash(&raw) ^ mixed_in;
        spec.raw = Arc::new(raw);
        Ok(spec)
    }

    /// Admission plugin Priority (`plugin/pkg/admission/priority/admission.go`).
    fn resolve_priority(&self, pod: &Pod, spec: &mut PodSpec) -> Result<(), StoreError> {
        let written = spec.raw.get("priority").and_then(Value::as_i64);
        let policy_written = spec.raw.get("preemptionPolicy").is_some();
        let (class, value, preempts) = match spec.priority_class.as_str() {
            "" => match self.default_priority_class() {
                Some(class) => (class.meta.name.clone(), class.value, class.preempts),
                None => (Name::new(), 0, true),
            },
            "system-cluster-critical" => (spec.priority_class.clone(), 2_000_000_000, true),
            "system-node-critical" => (spec.priority_class.clone(), 2_000_001_000, true),
            name => match self.live().fetch::<PriorityClass>(&Name::new(), &spec.priority_class) {
                Some(class) => (spec.priority_class.clone(), class.value, class.preempts),
                None => {
                    let key = Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone());
                    return Err(StoreError::Forbidden(key, format!("no PriorityClass with name {name} was found")));
                }
            },
        };
        if let Some(written) = written.filter(|written| *written != i64::from(value)) {
            let key = Key::new(Kind::Pod, pod.meta.namespace.clone(), pod.meta.name.clone());
            let why = format!(
                "the integer value of priority ({written}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
            );
            return Err(StoreError::Forbidden(key, why));
        }
        spec.priority_class = class;
        spec.priority = value;
        spec.preempts = if policy_written { spec.preempts } else { preempts };
        Ok(())
    }

    /// Only one class is for pods that name none (`plugin/pkg/admission/priority/admission.go`,
    /// `validatePriorityClass`).
    pub(super) fn only_default(&self, class: &PriorityClass) -> Result<(), StoreError> {
        match self.default_priority_class().filter(|_| class.global_default) {
            Some(other) if other.meta.name != class.meta.name => {
                let other = &other.meta.name;
                let why = format!("PriorityClass {other} is already marked as default. Only one default can exist");
                Err(StoreError::Forbidden(class.key(), why))
            }
            _ => Ok(()),
        }
    }

    fn default_priority_class(&self) -> Option<&Arc<PriorityClass>> {
        self.live().list::<PriorityClass>().filter(|class| class.global_default).min_by_key(|class| class.value)
    }

    pub(super) fn validate_update(&self, old: &Object, new: &Object) -> Result<(), StoreError> {
        let mut errors = Vec::new();
        if old.meta().deleting() {
            let added: Vec<&Name> =
                new.meta().finalizers.iter().filter(|name| !old.meta().finalizers.contains(name)).collect();
            if !added.is_empty() {
                let list = added.iter().map(|name| format!("{:?}", name.as_str())).collect::<Vec<_>>().join(", ");
                errors.push(format!("metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"));
            }
        }
        if let Object::PriorityClass(class) = new {
            self.only_default(class)?;
        }
        errors.extend(super::workloads::refusals(old, new));
        let selectors = match (old, new) {
            (Object::Deployment(a), Object::Deployment(b)) => Some((&a.selector, &b.selector)),
            (Object::ReplicaSet(a), Object::ReplicaSet(b)) => Some((&a.selector, &b.selector)),
            _ => None,
        };
        if let Some((before, after)) = selectors
            && before != after
        {
            errors.push(format!("spec.selector: Invalid value: {:?}: field is immutable", after.to_string()));
        }
        self.validate_storage(old, new, &mut errors)?;
        let replicas = match new {
            Object::Deployment(d) => d.replicas,
            Object::ReplicaSet(rs) => rs.replicas,
            _ => 0,
        };
        if replicas < 0 {
            errors.push(format!("spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"));
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Invalid(new.key(), errors)),
        }
    }
}

/// A new node is not ready until its kubelet says so (admission plugin TaintNodesByCondition).
fn admit_node(node: &mut Node) {
    let not_ready = Taint {
        key: crate::name!("node.kubernetes.io/not-ready"),
        value: Name::new(),
        effect: TaintEffect::NoSchedule,
        added: None,
    };
    if !node.taints.iter().any(|taint| taint.key == not_ready.key && taint.effect == not_ready.effect) {
        node.taints.push(not_ready);
    }
    if node.meta.labels == Labels::EMPTY {
        node.meta.labels = Labels::EMPTY.with("kubernetes.io/hostname", node.meta.name.clone());
    }
}

/// Admission plugin DefaultTolerationSeconds: five minutes on a node that is not ready or unreachable,
/// unless the pod says otherwise.
fn missing_default_tolerations(spec: &PodSpec) -> Vec<Toleration> {
    let covered = |key: &str| {
        spec.tolerations.iter().any(|toleration| {
            (toleration.key.is_empty() || toleration.key == key)
                && toleration.effect.is_none_or(|effect| effect == TaintEffect::NoExecute)
        })
    };
    [crate::name!("node.kubernetes.io/not-ready"), crate::name!("node.kubernetes.io/unreachable")]
        .into_iter()
        .filter(|key| !covered(key))
        .map(|key| Toleration {
            key,
            exists: true,
            value: Name::new(),
            effect: Some(TaintEffect::NoExecute),
            seconds: Some(DEFAULT_TOLERATION_SECONDS),
        })
        .collect()
}
