//! Scaling to zero and back by an external metric, as KEDA's operator does
//! (`https://github.com/kedacore/keda`, `pkg/scaling/executor/scale_scaledobjects.go`).
//!
//! A worked example: a queue is empty and its Deployment has no pods. Three messages come. At the next look, every 30
//! seconds, the metric is above `activation` → one replica. From then on the autoscaler `keda-hpa-…` follows the metric.
//! When the queue has been empty for five minutes at a look → no replicas.

use crate::metrics::MetricsApi;
use crate::metrics::meters::{GaugeKey, GaugeKind};
use crate::model::autoscaling::{AutoscalerStatus, HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget};
use crate::model::{Key, Kind, Meta, Name, Object, Resource, Uid};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::scenario::scaled::ScaledObject;
use crate::store::{Change, Patch, Preconditions, View, Write};
use crate::time::SimTime;
use serde_json::json;
use std::sync::Arc;

const SOURCE: Name = crate::name!("keda-operator");

/// One workload and how it is scaled.
struct Entry {
    wish: ScaledObject,
    target: Key,
    /// When the metric was last seen above `activation`.
    active: Option<SimTime>,
}

/// The operator.
pub struct ScaledObjects {
    api: Box<dyn MetricsApi>,
    entries: Vec<Entry>,
}

impl ScaledObjects {
    /// One that scales these.
    pub fn new(wishes: &[ScaledObject], api: Box<dyn MetricsApi>) -> Self {
        let entry = |wish: &ScaledObject| Entry {
            target: Key::new(wish.target.kind, wish.namespace.as_str(), wish.target.name.as_str()),
            wish: wish.clone(),
            active: None,
        };
        ScaledObjects { api, entries: wishes.iter().map(entry).collect() }
    }

    /// Its seat; its client has KEDA's limits.
    pub fn seat(self) -> (Box<dyn Controller>, ActorSettings) {
        (Box::new(self), ActorSettings { milli_qps: 20_000, burst: 30, ..ActorSettings::default() })
    }
}

/// `spec.replicas` and the uid of what is scaled.
fn scale(object: &Object) -> Option<(i32, Uid)> {
    let replicas = match object {
        Object::Deployment(one) => one.replicas,
        Object::StatefulSet(one) => one.replicas,
        Object::ReplicaSet(one) => one.replicas,
        _ => return None,
    };
    Some((replicas, object.meta().uid))
}

/// The autoscaler that does what lies between one replica and many.
fn autoscaler(wish: &ScaledObject, target: &Key) -> HorizontalPodAutoscaler {
    let threshold = wish.threshold.0;
    let least = wish.min_replicas.max(1);
    let raw = json!({
        "scaleTargetRef": {"apiVersion": target.kind.api_version(), "kind": target.kind.as_str(), "name": target.name},
        "minReplicas": least, "maxReplicas": wish.max_replicas,
        "metrics": [{"type": "External", "external": {
            "metric": {"name": wish.metric},
            "target": {"type": "AverageValue", "averageValue": threshold.to_string()},
        }}],
    });
    HorizontalPodAutoscaler {
        meta: Meta::named(target.namespace.clone(), format!("keda-hpa-{}", target.name).as_str()),
        target_version: Name::from(target.kind.api_version()),
        target_kind: Name::from(target.kind.as_str()),
        target_name: target.name.clone(),
        min_replicas: Some(least),
        max_replicas: wish.max_replicas,
        metrics: vec![MetricSpec {
            source: MetricSource::External(Name::from(wish.metric.as_str()), crate::name!("nil")),
            target: MetricTarget::AverageValue(threshold.milli()),
        }],
        behavior: None,
        status: AutoscalerStatus::default(),
        raw: Arc::new(raw),
    }
}

impl Controller for ScaledObjects {
    fn name(&self) -> &'static str {
        "keda-operator"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Deployment, Kind::StatefulSet, Kind::ReplicaSet]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        let known = self.entries.iter().any(|entry| entry.target == change.key);
        if known && change.old.is_none() {
            wake.add(change.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.target == *key) else { return Requeue::Done };
        let Some(target) = cx.live().get(key).cloned() else { return Requeue::Done };
        let Some((replicas, uid)) = scale(&target) else { return Requeue::Done };
        let wish = &entry.wish;
        let own = autoscaler(wish, key);
        if cx.live().get(&own.key()).is_none() {
            cx.write(Write::Create(own.into_object()));
        }
        let metric = Name::from(wish.metric.as_str());
        let gauge = GaugeKey { namespace: key.namespace.clone(), metric, kind: GaugeKind::External };
        let value = self.api.gauge(&gauge, cx.now).unwrap_or(0);
        let active = value > wish.activation.0.milli();
        if active {
            entry.active = Some(cx.now);
        }
        let version = format!("{}.{} {}/{}", key.kind.api_version(), key.kind, key.namespace, key.name);
        let size = match replicas {
            0 if active => {
                let size = wish.min_replicas.max(1);
                let message = format!("Scaled {version} from 0 to {size}");
                cx.event(&target, false, SOURCE, crate::name!("KEDAScaleTargetActivated"), message);
                Some(size)
            }
            1.. if !active && wish.min_replicas == 0 => {
                let since = *entry.active.get_or_insert(cx.now);
                (since + wish.cooldown_period.0 < cx.now).then(|| {
                    let message = format!("Deactivated {version} from {replicas} to 0");
                    cx.event(&target, false, SOURCE, crate::name!("KEDAScaleTargetDeactivated"), message);
                    0
                })
            }
            _ => None,
        };
        if let Some(size) = size {
            cx.write(Write::Patch(key.clone(), Patch::Replicas(size), Preconditions::uid(uid)));
        }
        Requeue::After(entry.wish.polling_interval.0)
    }
}
