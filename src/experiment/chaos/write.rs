//! A schedule as a scenario file that stands by itself: the scenario with the faults in its timeline, every file that it
//! names put in place.

use super::draw::Deed;
use crate::error::Result;
use crate::scenario::load::{self, SourceFiles};
use serde_json::{Value, json};

/// The file, beginning with `head` as a comment.
///
/// # Errors
/// A scenario that cannot be read.
pub fn scenario(
    (file, text): (&str, &str),
    assignments: &[String],
    files: &dyn SourceFiles,
    (seed, deeds): (u64, &[Deed]),
    head: &[String],
) -> Result<String> {
    let mut value = load::value(file, text, assignments)?;
    let loaded = load::load(file, text, assignments, files)?;
    let objects = |list: &[crate::scenario::ManifestDocument]| -> Value {
        list.iter().map(|document| document.value.clone()).collect()
    };
    value["seed"] = json!(seed);
    if !loaded.manifests.objects.is_empty() {
        value["manifests"] = json!({"inline": objects(&loaded.manifests.objects)});
    }
    for (index, entry) in loaded.timeline.iter().enumerate() {
        match &entry.action {
            crate::scenario::Action::Apply(apply) => {
                let place = &mut value["timeline"][index]["apply"];
                let inline = objects(&apply.manifests.objects);
                match place.as_object_mut() {
                    Some(options) => {
                        options.remove("files");
                        options.insert("inline".to_string(), inline);
                    }
                    None => *place = json!({"inline": inline}),
                }
            }
            crate::scenario::Action::Replace(manifests) => {
                value["timeline"][index]["replace"] = json!({"inline": objects(&manifests.objects)});
            }
            _ => {}
        }
    }
    let entries = deeds.iter().flat_map(|deed| deed.entries.iter().cloned());
    match value["timeline"].as_array_mut() {
        Some(timeline) => timeline.extend(entries),
        None => value["timeline"] = entries.collect(),
    }
    let head: String = head.iter().map(|line| format!("# {line}\n")).collect();
    let body = serde_yaml::to_string(&value).expect("a scenario that was read can be written");
    Ok(head + &body)
}
