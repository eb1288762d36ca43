//! What config maps and secrets say to a pod: its environment, fixed when a container starts, and its files, which
//! follow later (`pkg/kubelet/kubelet_pods.go`, `makeEnvironmentVariables`; `pkg/volume/configmap/configmap.go`).

use crate::model::core::{ConfigMap, Secret};
use crate::model::pod::ConfigSeen;
use crate::model::pod_spec::{ConfigSource, EnvSource, VolumeSource};
use crate::model::{Container, Name, Pod};
use crate::store::View;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The variables of a container, by name.
pub type Environment = BTreeMap<Name, Name>;

/// A config map or secret as it is now.
pub struct Found {
    /// Its values by key.
    pub data: Arc<BTreeMap<Name, Name>>,
    /// Its version.
    pub revision: u64,
    /// Whether it never changes.
    pub immutable: bool,
}

/// The object that a source names.
pub fn find(source: &ConfigSource, namespace: &Name, view: View<'_>) -> Option<Found> {
    match source.secret {
        false => view.fetch::<ConfigMap>(namespace, &source.name).map(|map| Found {
            data: map.data.clone(),
            revision: map.meta.resource_version,
            immutable: map.immutable,
        }),
        true => view.fetch::<Secret>(namespace, &source.name).map(|secret| Found {
            data: secret.data.clone(),
            revision: secret.meta.resource_version,
            immutable: secret.immutable,
        }),
    }
}

fn not_found(source: &ConfigSource) -> String {
    let kind = if source.secret { "secret" } else { "configmap" };
    format!("{kind} {:?} not found", source.name.as_str())
}

/// The environment of a container, and what was read for it.
///
/// # Errors
/// The message of `CreateContainerConfigError`.
pub fn environment(
    container: &Container,
    namespace: &Name,
    view: View<'_>,
) -> Result<(Environment, Vec<ConfigSeen>), String> {
    let mut variables = Environment::new();
    let mut seen = Vec::new();
    for variable in &container.env {
        let Some(source) = variable.config() else {
            if let EnvSource::Value(name, value) = variable {
                variables.insert(name.clone(), value.clone());
            }
            continue;
        };
        let Some(found) = find(source, namespace, view) else {
            if source.optional {
                continue;
            }
            return Err(not_found(source));
        };
        let one = saw(source, &found, container.name.clone());
        if !seen.contains(&one) {
            seen.push(one);
        }
        match variable {
            EnvSource::All(prefix, _) => {
                let each = found.data.iter().map(|(key, value)| (Name::from(format!("{prefix}{key}")), value.clone()));
                variables.extend(each);
            }
            EnvSource::Key(name, _) => {
                let key = source.keys.first().cloned().unwrap_or_default();
                match found.data.get(&key) {
                    Some(value) => drop(variables.insert(name.clone(), value.clone())),
                    None if source.optional => {}
                    None => {
                        let kind = if source.secret { "Secret" } else { "ConfigMap" };
                        return Err(format!("couldn't find key {key} in {kind} {namespace}/{}", source.name));
                    }
                }
            }
            EnvSource::Value(..) => {}
        }
    }
    Ok((variables, seen))
}

fn saw(source: &ConfigSource, found: &Found, reader: Name) -> ConfigSeen {
    ConfigSeen { kind: source.kind(), name: source.name.clone(), reader, revision: found.revision }
}

/// The volumes of a pod that are made of config maps and secrets and that a container mounts; whether each is
/// mounted whole somewhere, so that it follows changes.
fn volumes(pod: &Pod) -> impl Iterator<Item = (&Name, &Vec<ConfigSource>, bool)> {
    let mounts = || pod.spec.init_containers.iter().chain(&pod.spec.containers).flat_map(|one| &one.mounts);
    pod.spec.volumes.iter().filter_map(move |volume| {
        let VolumeSource::Config(sources) = &volume.source else { return None };
        let mut mounted = mounts().filter(|mount| mount.volume == volume.name).peekable();
        mounted.peek()?;
        Some((&volume.name, sources, mounted.any(|mount| !mount.sub_path)))
    })
}

/// Whether the pod's files or variables come from a config map or secret.
pub fn reads_config(pod: &Pod) -> bool {
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    volumes(pod).next().is_some() || containers.flat_map(|one| &one.env).any(|variable| variable.config().is_some())
}

/// Every config map and secret that the pod's files come from.
pub fn file_sources(pod: &Pod) -> impl Iterator<Item = &ConfigSource> {
    volumes(pod).flat_map(|(_, sources, _)| sources)
}

/// The files of a pod as they are mounted now; of those mounted before (`have`), the ones that follow no changes
/// stay as they were.
///
/// # Errors
/// What is missing: the messages of `FailedMount`.
pub fn files(pod: &Pod, have: &[ConfigSeen], view: View<'_>) -> Result<Vec<ConfigSeen>, Vec<String>> {
    let (mut seen, mut missing) = (Vec::new(), Vec::new());
    for (volume, sources, follows) in volumes(pod) {
        let mut errors = Vec::new();
        for source in sources {
            let before = have.iter().find(|one| one.reader == *volume && one.name == source.name);
            if let Some(before) = before.filter(|_| !follows) {
                seen.push(before.clone());
                continue;
            }
            match find(source, &pod.meta.namespace, view) {
                None if source.optional => {}
                None => errors.push(not_found(source)),
                Some(found) => {
                    let absent = source.keys.iter().find(|key| !found.data.contains_key(*key));
                    match absent.filter(|_| !source.optional) {
                        Some(key) if source.secret => {
                            errors.push(format!("references non-existent secret key: {key}"));
                        }
                        Some(key) => errors.push(format!("configmap references non-existent config key: {key}")),
                        None => seen.push(saw(source, &found, volume.clone())),
                    }
                }
            }
        }
        let why = match errors.as_slice() {
            [] => continue,
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        missing.push(format!("MountVolume.SetUp failed for volume {:?} : {why}", volume.as_str()));
    }
    if missing.is_empty() { Ok(seen) } else { Err(missing) }
}
