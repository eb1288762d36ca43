//! The pods that a job makes (`pkg/controller/job/job_controller.go`, `manageJob`).

use super::super::shared::pod_of_template;
use super::count::Count;
use super::manage::inherited_failures;
use crate::model::batch::{COMPLETION_INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES, JOB_TRACKING};
use crate::model::{Kind, Name, Pod, PodSpec, PodTemplate, hash};
use serde_json::{Value, json};
use std::sync::Arc;

/// The variable in which a container finds its index.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Most characters of a generated name's beginning (`staging/src/k8s.io/apiserver/pkg/storage/names/generate.go`).
const MOST_NAME: usize = 58;

/// A pod for each index, or as many without one.
pub fn new_pods(count: &Count<'_>, indexes: &[Option<i32>]) -> Vec<Pod> {
    let mut template = PodTemplate::clone(&count.job.spec.template);
    if !template.finalizers.contains(&JOB_TRACKING) {
        template.finalizers.push(JOB_TRACKING);
    }
    if count.job.spec.indexed {
        template.spec = Arc::new(with_index_variable(&template.spec));
    }
    let plain = || pod_of_template(Kind::Job, &count.job.meta, &template);
    indexes.iter().map(|index| index.map_or_else(plain, |index| indexed(plain(), count, index))).collect()
}

fn indexed(mut pod: Pod, count: &Count<'_>, index: i32) -> Pod {
    let (name, text) = (&count.job.meta.name, Name::from(index.to_string()));
    let meta = &mut pod.meta;
    meta.annotations = meta.annotations.with(COMPLETION_INDEX, text.clone());
    meta.labels = meta.labels.with(COMPLETION_INDEX, text);
    let suffix = format!("-{index}-");
    let kept: String = name.chars().take(MOST_NAME - suffix.len()).collect();
    meta.generate_name = Name::from(format!("{kept}{suffix}"));
    if count.job.spec.backoff_limit_per_index.is_some() {
        let (counted, ignored) = inherited_failures(count, index);
        meta.annotations = meta.annotations.with(INDEX_FAILURES, counted.to_string());
        if ignored > 0 {
            meta.annotations = meta.annotations.with(INDEX_IGNORED_FAILURES, ignored.to_string());
        }
    }
    let hostname = Name::from(format!("{name}-{index}"));
    let mut spec = PodSpec::clone(&pod.spec);
    let mut raw = Value::clone(&spec.raw);
    if let Some(fields) = raw.as_object_mut() {
        fields.insert("hostname".to_string(), json!(hostname.as_str()));
    }
    spec.hash = hash::content_hash(&raw);
    (spec.raw, spec.hostname) = (Arc::new(raw), hostname);
    pod.spec = Arc::new(spec);
    pod
}

/// Every container finds its index in its environment, unless it has such a variable of its own
/// (`addCompletionIndexEnvVariable`).
fn with_index_variable(spec: &PodSpec) -> PodSpec {
    let mut raw = Value::clone(&spec.raw);
    for list in ["initContainers", "containers"] {
        for container in raw.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(fields) = container.as_object_mut() else { continue };
            let variables = fields.entry("env").or_insert_with(|| json!([]));
            if let Some(variables) = variables.as_array_mut()
                && !variables.iter().any(|variable| variable["name"] == INDEX_VARIABLE)
            {
                let path = format!("metadata.labels['{COMPLETION_INDEX}']");
                let source = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
                variables.push(json!({"name": INDEX_VARIABLE, "valueFrom": source}));
            }
        }
    }
    PodSpec { hash: hash::content_hash(&raw), raw: Arc::new(raw), ..spec.clone() }
}
