//! Containers that end: all of a pod's, or one. The kubelet of the pod's node sees the incident and acts on it.

use super::{Begun, target};
use crate::model::{Effect, Fault, Key, Resource};
use crate::runtime::Cx;
use crate::scenario::faults::Form;

/// Running pods only: there is nothing to crash in others.
pub(super) fn begin(form: &dyn Form, key: &Key, cx: &mut Cx<'_>) -> Option<Begun> {
    let mut stream = cx.seed.stream("crash", &key.name);
    let victims = target::pods(&form.pods()?, cx.live(), &mut stream);
    let first = victims.first()?.spec.containers.first();
    let pods: Vec<Key> = victims.iter().map(|pod| pod.key()).collect();
    let list = pods.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>().join(", ");
    let Effect::End { container, exit_code } = form.effect() else { return None };
    let (container, description) = match container {
        None => (None, format!("all containers of {list} end with code {exit_code}")),
        Some(named) => {
            let name = if named.is_empty() { first.map(|one| one.name.clone()).unwrap_or_default() } else { named };
            let description = format!("container {name} of {list} ends with code {exit_code}");
            (Some(name), description)
        }
    };
    let fault = Fault { kind: form.kind(), pods, effect: Effect::End { container, exit_code }, ..Fault::default() };
    Some(Begun { fault, description, undo: Vec::new() })
}
