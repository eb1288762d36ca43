//! What may not stand in the folder of a kubelet's static pods: anything but pods, two of one name, and pods that need
//! something of the API server (`pkg/kubelet/config/common.go`, `pkg/api/v1/pod/util.go`, `HasAPIObjectReference`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::manifests::ManifestDocument;
use crate::error::Problem;
use crate::wire::decode;
use crate::wire::places::{Step, join};

/// Fields by which a pod refers to objects, and their resources.
const REFERENCES: [(&str, &str); 12] = [
    ("clusterTrustBundle", "clustertrustbundles"),
    ("configMap", "configmaps"),
    ("configMapKeyRef", "configmaps"),
    ("configMapRef", "configmaps"),
    ("ephemeral", "persistentvolumeclaims"),
    ("imagePullSecrets", "secrets"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("resourceClaims", "resourceclaims"),
    ("secret", "secrets"),
    ("secretKeyRef", "secrets"),
    ("secretRef", "secrets"),
    ("serviceAccountName", "serviceaccounts"),
];

/// Fields below which names are the user's own.
const FREE: [&str; 3] = ["affinity", "nodeSelector", "resources"];

/// Everything that is wrong with the objects of one folder.
pub fn problems(folder: &[ManifestDocument]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for ManifestDocument { places, value, .. } in folder {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = text("/kind");
        if kind != "Pod" {
            let help = "put other objects under `manifests`, where the API server gets them";
            problems.push(places.problem("kind", format!("a kubelet runs pods from files, found a {kind}"), help));
            continue;
        }
        let namespace = Some(text("/metadata/namespace")).filter(|one| !one.is_empty()).unwrap_or("default");
        if !names.insert((namespace, text("/metadata/name"))) {
            let message = format!("a second static pod {:?} on one node", text("/metadata/name"));
            problems.push(places.problem("metadata.name", message, "give it a name of its own"));
        }
        if let Some((path, resource)) = reference(&value["spec"], "spec".to_string()) {
            let help = "its kubelet runs it without the API server; use hostPath, emptyDir or plain values";
            problems.push(places.problem(&path, format!("static pods may not reference {resource}"), help));
        }
        let unreadable = decode::object(value).err().unwrap_or_default();
        problems
            .extend(unreadable.into_iter().map(|error| places.problem(&error.path, error.message, "see the field")));
    }
    problems
}

/// The first reference to an object below `path`.
fn reference(value: &Value, path: String) -> Option<(String, &'static str)> {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| !FREE.contains(&name.as_str())).find_map(|(name, value)| {
                let below = join(&path, &Step::Key(name));
                let known = REFERENCES.iter().find(|(field, _)| field == name && !value.is_null());
                known.map(|(_, resource)| (below.clone(), *resource)).or_else(|| reference(value, below))
            })
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, value)| reference(value, format!("{path}[{at}]")))
        }
        _ => None,
    }
}
