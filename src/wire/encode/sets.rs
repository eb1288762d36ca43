//! Stateful sets, daemon sets and controller revisions.

use super::meta::{list, meta, text, time};
use super::workload::{int_or_percent, template, written_selector};
use super::{nonzero, storage, value};
use crate::model::sets::{DaemonSetUpdate, RevisionData, StatefulSetUpdate};
use crate::model::{Condition, ControllerRevision, DaemonSet, StatefulSet};
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

pub(super) fn stateful_set(from: &StatefulSet) -> apps::StatefulSet {
    let policy = |delete: bool| Some(if delete { "Delete" } else { "Retain" }.to_string());
    let spec = apps::StatefulSetSpec {
        replicas: Some(from.replicas),
        selector: written_selector(&from.raw, &from.selector),
        template: template(&from.template),
        volume_claim_templates: list(&from.claim_templates, |claim| storage::claim(claim)),
        service_name: text(&from.service_name),
        pod_management_policy: Some(if from.parallel { "Parallel" } else { "OrderedReady" }.to_string()),
        update_strategy: Some(stateful_set_update(from.update)),
        revision_history_limit: Some(from.revision_history_limit),
        min_ready_seconds: nonzero(from.min_ready_seconds),
        persistent_volume_claim_retention_policy: from.retention.map(|retention| {
            apps::StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: policy(retention.delete_when_deleted),
                when_scaled: policy(retention.delete_when_scaled),
            }
        }),
        ordinals: from.start.map(|start| apps::StatefulSetOrdinals { start: Some(start) }),
    };
    let status = &from.status;
    let status = apps::StatefulSetStatus {
        observed_generation: nonzero(status.observed_generation),
        replicas: status.replicas,
        ready_replicas: nonzero(status.ready),
        available_replicas: Some(status.available),
        current_replicas: nonzero(status.current),
        updated_replicas: nonzero(status.updated),
        current_revision: text(&status.current_revision),
        update_revision: text(&status.update_revision),
        collision_count: status.collision_count,
        conditions: list(&status.conditions, |c: &Condition| apps::StatefulSetCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
        }),
    };
    apps::StatefulSet { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

fn stateful_set_update(from: StatefulSetUpdate) -> apps::StatefulSetUpdateStrategy {
    let (type_, rolling) = match from {
        StatefulSetUpdate::OnDelete => ("OnDelete", None),
        StatefulSetUpdate::RollingUpdate(rolling) => ("RollingUpdate", rolling),
    };
    apps::StatefulSetUpdateStrategy {
        type_: Some(type_.to_string()),
        rolling_update: rolling.map(|rolling| apps::RollingUpdateStatefulSetStrategy {
            partition: Some(rolling.partition),
            max_unavailable: rolling.max_unavailable.map(int_or_percent),
        }),
    }
}

pub(super) fn daemon_set(from: &DaemonSet) -> apps::DaemonSet {
    let strategy = match from.update {
        DaemonSetUpdate::OnDelete => {
            apps::DaemonSetUpdateStrategy { type_: Some("OnDelete".to_string()), rolling_update: None }
        }
        DaemonSetUpdate::RollingUpdate { max_unavailable, max_surge } => apps::DaemonSetUpdateStrategy {
            type_: Some("RollingUpdate".to_string()),
            rolling_update: Some(apps::RollingUpdateDaemonSet {
                max_unavailable: Some(int_or_percent(max_unavailable)),
                max_surge: Some(int_or_percent(max_surge)),
            }),
        },
    };
    let spec = apps::DaemonSetSpec {
        selector: written_selector(&from.raw, &from.selector),
        template: template(&from.template),
        update_strategy: Some(strategy),
        revision_history_limit: Some(from.revision_history_limit),
        min_ready_seconds: nonzero(from.min_ready_seconds),
    };
    let status = &from.status;
    let status = apps::DaemonSetStatus {
        observed_generation: nonzero(status.observed_generation),
        desired_number_scheduled: status.desired,
        current_number_scheduled: status.current,
        number_misscheduled: status.misscheduled,
        number_ready: status.ready,
        updated_number_scheduled: nonzero(status.updated),
        number_available: nonzero(status.available),
        number_unavailable: nonzero(status.unavailable),
        collision_count: status.collision_count,
        conditions: list(&status.conditions, |c: &Condition| apps::DaemonSetCondition {
            type_: c.kind.to_string(),
            status: c.status.as_str().to_string(),
            reason: text(&c.reason),
            message: text(&c.message),
            last_transition_time: Some(time(c.last_transition)),
        }),
    };
    apps::DaemonSet { metadata: meta(&from.meta), spec: Some(spec), status: Some(status) }
}

pub(super) fn controller_revision(from: &ControllerRevision) -> apps::ControllerRevision {
    let data = match &from.data {
        RevisionData::Other(data) => Value::clone(data),
        RevisionData::Template(kept) => {
            let mut kept = value(&template(kept));
            kept["$patch"] = json!("replace");
            json!({"spec": {"template": kept}})
        }
    };
    let data = (!data.is_null()).then_some(RawExtension(data));
    apps::ControllerRevision { metadata: meta(&from.meta), revision: from.revision, data }
}
