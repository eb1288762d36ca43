//! Containers that end: all of a pod's, or one. The kubelet of the pod's node sees the incident and acts on it.
//!
//! ```yaml
//! - at: 90s
//!   podCrash: {selector: app=web, count: 2}
//! - at: 2m
//!   containerCrash: {pod: web-0, container: proxy, exitCode: 1}
//! ```

use crate::model::core::Fault;
use crate::model::{Key, Kind, Name, Phase, Pod, Resource};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::scenario::TimelineEntry;
use crate::scenario::timeline::{Action, ContainerCrash, PodCrash};
use crate::store::incident::{begun, entry_index, entry_key};
use crate::store::{Change, View};
use crate::time::SimTime;
use std::sync::Arc;

/// The exit code of a kill, unless the scenario says otherwise.
const KILLED: i32 = 137;

/// One crash of the timeline.
struct Crash {
    index: usize,
    at: SimTime,
    /// Which pods, how many of them, and the exit code.
    written: PodCrash,
    /// `None` is the whole pod; an inner `None` the first container.
    container: Option<Option<String>>,
}

/// The crashes of containers that a timeline asks for.
pub struct Crashes {
    crashes: Vec<Crash>,
}

impl Crashes {
    /// Those that the timeline asks for.
    pub fn new(timeline: &[TimelineEntry]) -> Self {
        let crashes = timeline.iter().enumerate().filter_map(|(index, entry)| {
            // The whole pod is the case without a container of its own.
            let (written, container) = match &entry.action {
                Action::PodCrash(crash) => (crash.clone(), None),
                Action::ContainerCrash(ContainerCrash { pod, selector, namespace, container, count, exit_code }) => {
                    let (pod, selector, namespace) = (pod.clone(), selector.clone(), namespace.clone());
                    let (count, exit_code) = (*count, *exit_code);
                    (PodCrash { pod, selector, namespace, count, exit_code }, Some(container.clone()))
                }
                _ => return None,
            };
            Some(Crash { index, at: entry.at, written, container })
        });
        Crashes { crashes: crashes.collect() }
    }
}

impl Controller for Crashes {
    fn name(&self) -> &'static str {
        "fault/crash"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for crash in &self.crashes {
            wake.add_after(entry_key(crash.index), crash.at - wake.now());
        }
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let index = entry_index(key);
        let Some(crash) = self.crashes.iter().find(|crash| crash.index == index) else { return Requeue::Done };
        let victims = victims(key, crash, cx);
        let exit_code = crash.written.exit_code.unwrap_or(KILLED);
        let container = crash.container.as_ref().map(|name| container_name(name.as_deref(), &victims));
        let pods: Vec<Key> = victims.iter().map(|pod| pod.key()).collect();
        let list = pods.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>().join(", ");
        let (fault, description) = match container {
            None => {
                (Fault::PodCrash { pods, exit_code }, format!("all containers of {list} end with code {}", exit_code))
            }
            Some(container) => {
                let description = format!("container {container} of {list} ends with code {}", exit_code);
                (Fault::ContainerCrash { pods, container, exit_code }, description)
            }
        };
        cx.write(begun(key, fault, description, cx.now, Some(cx.now)));
        Requeue::Done
    }
}

/// Running pods only: there is nothing to crash in others.
fn victims<'a>(key: &Key, crash: &Crash, cx: &Cx<'a>) -> Vec<&'a Arc<Pod>> {
    let namespace = Name::from(crash.written.namespace.as_str());
    let concerned = |pod: &&Arc<Pod>| {
        let labels = &pod.meta.labels;
        pod.status.phase == Phase::Running
            && crash.written.pod.as_ref().is_none_or(|name| pod.meta.name == name.as_str())
            && crash.written.selector.as_ref().is_none_or(|s| s.matches(|label| labels.get(label).map(Name::as_str)))
    };
    let candidates: Vec<_> = cx.live().list_in::<Pod>(&namespace).filter(concerned).collect();
    let count = crash.written.count.unwrap_or(1) as usize;
    cx.seed.stream("crash", &key.name).choose(candidates, Some(count))
}

fn container_name(written: Option<&str>, victims: &[&Arc<Pod>]) -> Name {
    match (written, victims.first().and_then(|pod| pod.spec.containers.first())) {
        (Some(name), _) => Name::from(name),
        (None, Some(first)) => first.name.clone(),
        (None, None) => Name::new(),
    }
}
