//! Our reading of YAML is `kubectl`'s: each `tests/yaml/NAME.json` is what
//! `kubectl annotate --local -f NAME.yaml sim-golden=x -o json` (v1.32) printed.

use std::fs;

use kubesim::wire::strict::flatten;
use kubesim::wire::yaml::{DuplicateKeys, read};
use serde_json::Value;

/// Numbers compare by value: Go prints every number beyond `i64` as a float.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => ours == theirs,
    }
}

/// Takes out the annotation that made `kubectl` print the object, and the map that had to be made for it.
fn without_annotation(mut object: Value, had_annotations: bool) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata["annotations"].as_object_mut().unwrap().remove("sim-golden");
    if !had_annotations {
        metadata.remove("annotations");
    }
    object
}

#[test]
fn yaml_means_what_it_means_to_kubectl() {
    let mut checked = 0;
    for entry in fs::read_dir("tests/yaml").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let name = path.display().to_string();
        let documents = read(&name, &fs::read_to_string(&path).unwrap(), DuplicateKeys::LastWins)
            .unwrap_or_else(|problem| panic!("{problem}"))
            .documents;
        let ours: Vec<Value> = documents.into_iter().flat_map(flatten).map(|document| document.value).collect();
        let json = fs::read_to_string(path.with_extension("json")).unwrap();
        let printed = serde_json::Deserializer::from_str(&json).into_iter::<Value>().map(Result::unwrap);
        let printed = printed.flat_map(|value| match value["kind"].as_str() {
            Some("List") => value["items"].as_array().unwrap().clone(),
            _ => vec![value],
        });
        let theirs: Vec<Value> = printed.collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            let theirs = without_annotation(theirs, ours["metadata"]["annotations"].is_object());
            assert!(same(&ours, &theirs), "{name}\nours:   {ours:#}\ntheirs: {theirs:#}");
        }
        checked += 1;
    }
    assert!(checked >= 15, "only {checked} files found");
}
