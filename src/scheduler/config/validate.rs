//! kube-scheduler's validation of a configuration
//! (`pkg/scheduler/apis/config/validation/validation.go`,
//! `staging/src/k8s.io/component-base/config/validation/validation.go`).

use super::extenders;
use super::faults::Faults;
use super::types::{LeaderElection, PluginSet, Written, WrittenProfile};
use crate::scenario::units::Duration;
use crate::time::SimDuration;
use crate::wire::validate::ErrorType;

/// Everything but plugin arguments, which are checked where they are read.
pub(super) fn validate(written: &Written, faults: &mut Faults<'_>) {
    if written.client_connection.burst < 0 {
        let burst = written.client_connection.burst;
        faults.invalid(
            "clientConnection.burst",
            burst,
            "must be non-negative",
            "write 0 for the default of 100, or more",
        );
    }
    leader_election(&written.leader_election, faults);
    if let Some(parallelism) = written.parallelism.filter(|parallelism| *parallelism <= 0) {
        let detail = "should be an integer value greater than zero";
        faults.invalid("parallelism", parallelism, detail, "write 1 or more");
    }
    profiles(&written.profiles, faults);
    percentage("percentageOfNodesToScore", written.percentage_of_nodes_to_score, faults);
    let initial = written.pod_initial_backoff_seconds.unwrap_or(1);
    let longest = written.pod_max_backoff_seconds.unwrap_or(10);
    if initial <= 0 {
        faults.invalid("podInitialBackoffSeconds", initial, "must be greater than 0", "write 1 or more");
    }
    if longest < initial {
        let detail = "must be greater than or equal to PodInitialBackoffSeconds";
        let help = format!("write {initial} or more, or lower podInitialBackoffSeconds");
        faults.invalid("podMaxBackoffSeconds", longest, detail, &help);
    }
    extenders::validate(&written.extenders, faults);
}

fn percentage(path: &str, percentage: Option<i32>, faults: &mut Faults<'_>) {
    if let Some(percentage) = percentage.filter(|percentage| !(0..=100).contains(percentage)) {
        let help = "write a percentage from 1 to 100, or 0 to let it follow the size of the cluster";
        faults.invalid(path, percentage, "not in valid range [0-100]", help);
    }
}

fn leader_election(written: &LeaderElection, faults: &mut Faults<'_>) {
    if !written.leader_elect.unwrap_or(true) {
        return;
    }
    let or = |given: Option<Duration>, default: i64| match given {
        Some(length) if length.0 != SimDuration::ZERO => length.0,
        _ => SimDuration::from_secs(default),
    };
    let lengths = [
        ("leaseDuration", or(written.lease_duration, 15)),
        ("renewDeadline", or(written.renew_deadline, 10)),
        ("retryPeriod", or(written.retry_period, 2)),
    ];
    for (field, length) in lengths.iter().filter(|(_, length)| *length <= SimDuration::ZERO) {
        let path = format!("leaderElection.{field}");
        faults.invalid(&path, format!("\"{length}\""), "must be greater than zero", "write a length such as 15s");
    }
    let (lease, renew) = (lengths[0].1, lengths[1].1);
    if lease <= renew {
        // The value printed is the other one's: so does kube-scheduler.
        let help = format!("write more than {renew}, or lower renewDeadline");
        let detail = "must be greater than `RenewDeadline`";
        faults.invalid("leaderElection.leaseDuration", format!("\"{renew}\""), detail, &help);
    }
    if !matches!(written.resource_lock.as_str(), "" | "leases") {
        let shown = format!("{:?}", written.resource_lock);
        let detail = "resourceLock value must be \"leases\"";
        faults.invalid("leaderElection.resourceLock", shown, detail, "write leases, or leave it out");
    }
}

fn profiles(profiles: &[WrittenProfile], faults: &mut Faults<'_>) {
    for (at, profile) in profiles.iter().enumerate() {
        let path = format!("profiles[{at}]");
        let name = profile.scheduler_name.as_deref().unwrap_or_default();
        if name.is_empty() {
            let help = "add `schedulerName:`; pods choose the profile by it";
            faults.add(&format!("{path}.schedulerName"), ErrorType::Required, "", help);
        }
        percentage(&format!("{path}.percentageOfNodesToScore"), profile.percentage_of_nodes_to_score, faults);
        for (index, config) in profile.plugin_config.iter().enumerate() {
            if profile.plugin_config[..index].iter().any(|other| other.name == config.name) {
                let path = format!("{path}.pluginConfig[{index}]");
                faults.add(&path, ErrorType::Duplicate(format!("{:?}", config.name)), "", "");
            }
        }
        let earlier = |other: &WrittenProfile| other.scheduler_name.as_deref().unwrap_or_default() == name;
        if let Some(other) = profiles[..at].iter().rposition(earlier) {
            let shown = format!("profiles[{other}].schedulerName");
            let help = "give each profile a name of its own";
            faults.add(&format!("{path}.schedulerName"), ErrorType::Duplicate(shown), "", help);
        }
    }
    common_queue_sort(profiles, faults);
}

/// Pods of all profiles wait in one queue, so its order must be one.
fn common_queue_sort(profiles: &[WrittenProfile], faults: &mut Faults<'_>) {
    let Some(first) = profiles.first() else { return };
    let count = first.plugins.queue_sort.enabled.len();
    if count > 1 {
        let path = "profiles[0].plugins.queueSort.enabled";
        faults.invalid(path, count, "only one queue sort plugin can be enabled", "leave one of them");
    }
    for (at, profile) in profiles.iter().enumerate().skip(1) {
        let set = &profile.plugins.queue_sort;
        if *set != first.plugins.queue_sort {
            let detail = "must be the same for all profiles";
            let path = format!("profiles[{at}].plugins.queueSort");
            faults.invalid(&path, printed(set), detail, "write the same queueSort in every profile");
        }
    }
}

/// The set as kube-scheduler prints it.
fn printed(set: &PluginSet) -> String {
    let plugins = |list: &[super::types::WrittenPlugin]| {
        let one = |plugin: &super::types::WrittenPlugin| {
            format!("{{\"Name\":{:?},\"Weight\":{}}}", plugin.name, plugin.weight.unwrap_or(0))
        };
        match list.is_empty() {
            true => "null".to_string(),
            false => format!("[{}]", list.iter().map(one).collect::<Vec<_>>().join(",")),
        }
    };
    format!("{{\"Enabled\":{},\"Disabled\":{}}}", plugins(&set.enabled), plugins(&set.disabled))
}
