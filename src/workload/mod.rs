//! What pods have to do: the loads of a scenario, shared by the pods that run and are ready.
//!
//! A worked example: `load: [{selector: app=web, cpu: {steps: [[0s, 1], [10m, 3]]}}]`. Four pods are ready: each
//! takes 250m. Ten minutes later each takes 750m, or its limit if that is less. The autoscaler sees it, makes eight
//! pods of the four, and as soon as they are ready each takes 375m.
//!
//! Nothing is written to the API and nothing ticks: a pod that becomes ready or stops being so is one entry in the
//! meters.

use crate::metrics::Meters;
use crate::metrics::meters::load::LoadId;
use crate::metrics::meters::{Gauge, GaugeKey, GaugeKind, Queue};
use crate::model::curve::Curve;
use crate::model::{Key, Kind, Name, Phase, Pod, Selector, Uid};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::scenario::amount::{Amount, Unit};
use crate::scenario::loads::{self, MetricOf};
use crate::store::{Change, View};
use std::collections::BTreeMap;

/// One load and whose it is.
#[derive(Debug)]
struct Entry {
    namespace: Name,
    selector: Selector,
    container: Option<Name>,
    load: LoadId,
    /// Who shares it now, with the container that has the work.
    crew: BTreeMap<Uid, Name>,
}

/// Keeps the meters told who shares which load.
#[derive(Debug)]
pub struct Loads {
    meters: Meters,
    entries: Vec<Entry>,
}

/// The actor of a scenario's loads, if it has any. It acts in the world, not through the API.
pub fn all(loads: &[loads::Load], meters: &Meters) -> Option<(Box<dyn Controller>, ActorSettings)> {
    let entries: Vec<Entry> = loads.iter().map(|load| entry(load, meters)).collect();
    let actor = Loads { meters: meters.clone(), entries };
    (!loads.is_empty()).then(|| (Box::new(actor) as Box<dyn Controller>, ActorSettings::immediate()))
}

fn entry(written: &loads::Load, meters: &Meters) -> Entry {
    let curve = |amount: &Option<Amount>, unit: Unit| amount.as_ref().map_or_else(Curve::default, |a| a.curve(unit));
    let load = meters.add_load(curve(&written.cpu, Unit::Milli), curve(&written.memory, Unit::Whole));
    meters.name_load(load, Name::from(written.selector.0.to_string()));
    let namespace = Name::from(written.namespace.as_str());
    for metric in &written.metrics {
        let kind = match (&metric.of, &metric.object) {
            (MetricOf::Object, Some(object)) => {
                GaugeKind::Object(Name::from(object.kind.as_str()), Name::from(object.name.as_str()))
            }
            (MetricOf::Pods, _) => GaugeKind::Pods,
            _ => GaugeKind::External,
        };
        let key = GaugeKey { namespace: namespace.clone(), metric: Name::from(metric.name.as_str()), kind };
        let gauge = match &metric.queue {
            Some(queue) => Gauge::Queue(Queue::new(load, queue.arrivals.curve(Unit::Milli), queue.per_pod.0.milli())),
            None => Gauge::Drawn { load, amount: curve(&metric.value, Unit::Milli) },
        };
        meters.add_gauge(key, gauge);
    }
    Entry {
        namespace,
        selector: written.selector.0.clone(),
        container: written.container.as_deref().map(Name::from),
        load,
        crew: BTreeMap::new(),
    }
}

/// Whether requests would be sent to the pod.
fn serves(pod: &Pod) -> bool {
    pod.status.phase == Phase::Running && pod.is_ready() && !pod.meta.deleting()
}

impl Controller for Loads {
    fn name(&self) -> &'static str {
        "load"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Pod]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, _: &mut Wake<'_>) {
        let Some(pod) = change.object().pod() else { return };
        let (uid, at) = (pod.meta.uid, change.time);
        // A pod has its part in the first load that selects it.
        let mut taken = false;
        for entry in self.entries.iter_mut().filter(|entry| entry.namespace == pod.meta.namespace) {
            let takes = !taken && change.new.is_some() && serves(pod) && entry.selector.matches(&pod.meta.labels);
            taken |= takes;
            match (takes, entry.crew.contains_key(&uid)) {
                (true, false) => {
                    let wanted = entry.container.as_ref();
                    let mut containers = pod.spec.containers.iter();
                    let Some(container) = containers.find(|one| wanted.is_none_or(|wanted| one.name == *wanted)) else {
                        continue;
                    };
                    let capacity = match container.limits.milli_cpu {
                        0 => container.requests.milli_cpu,
                        limit => limit,
                    };
                    self.meters.note_capacity(entry.load, capacity);
                    self.meters.join(entry.load, uid, &container.name, container.limits.milli_cpu, at);
                    entry.crew.insert(uid, container.name.clone());
                }
                (false, true) => {
                    if let Some(container) = entry.crew.remove(&uid) {
                        self.meters.leave(entry.load, uid, &container, at);
                    }
                }
                _ => {}
            }
        }
    }

    fn reconcile(&mut self, _: &Key, _: &mut Cx<'_>) -> Requeue {
        Requeue::Done
    }
}
