//! What expectations can measure: one line each, with what it takes and gives.

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Measure {
    /// Wanted replicas of a workload.
    Replicas,
    /// Pods of a workload that are ready.
    Ready,
    /// Pods of a workload that are available.
    Available,
    /// Wanted replicas that are not available.
    Unavailable,
    /// Pods of a workload of its newest template.
    Updated,
    /// Container restarts of a workload's pods.
    Restarts,
    /// The state of the rollout of a Deployment, StatefulSet or DaemonSet: `complete`, `progressing`, `failed`, `paused`.
    Rollout,
    /// Ready endpoints of a Service.
    Endpoints,
    /// The phase of a pod.
    Phase,
    /// Pods.
    Pods,
    /// Pods in phase Pending.
    PendingPods,
    /// Pods in phase Running.
    RunningPods,
    /// Nodes.
    Nodes,
    /// Nodes that are ready.
    ReadyNodes,
    /// From a fault until every workload (or the given one) is at full strength again; the longest of all faults.
    RecoveryTime,
    /// From a fault until the node counts as Unknown; the longest.
    DetectionTime,
    /// From a fault until the last replacement pod is ready; the longest.
    ReplacementTime,
    /// Missing replicas times the seconds they were missing, of a workload.
    UnavailableSeconds,
    /// Pods evicted.
    Evictions,
    /// Kubernetes events with the given reason.
    Events,
    /// Requests of the timeline's users that were refused with the given reason, such as `Forbidden`.
    Refusals,
    /// What the cluster cost.
    Cost,
    /// The part of all loads that no pod could take, between 0 and 1.
    LoadLost,
    /// Requested share of a resource, averaged over time.
    Utilization,
    /// What a job does, or the last job of a cron job: `running`, `suspended`, `complete`, `failed`.
    Job,
    /// Jobs that a cron job has made.
    Jobs,
    /// Pods of a job, or jobs of a cron job, that ended well.
    Succeeded,
    /// Pods of a job, or jobs of a cron job, that ended badly.
    Failed,
    /// Pods of a job, or jobs of a cron job, that run.
    Active,
    /// From a job's creation to its end; of a cron job's jobs the longest.
    JobDuration,
    /// Time that pods of a job, or of a cron job's jobs, ran in vain.
    WorkLost,
    /// Requests to a service, or of a client, that ended.
    Requests,
    /// Those of them that failed.
    FailedRequests,
    /// The share that failed.
    ErrorRate,
    /// Answered requests a second, over the run.
    Throughput,
    /// Mean latency of answered requests.
    LatencyMean,
    /// The latency that half of the answered requests do not exceed.
    LatencyP50,
    /// The same for 90 %.
    LatencyP90,
    /// The same for 99 %.
    LatencyP99,
    /// The same for 99.9 %.
    LatencyP999,
    /// The longest latency of an answered request.
    LatencyMax,
    /// The share of a service's requests from inside the cluster that left their zone.
    ZoneCrossing,
    /// How unevenly requests are spread over the pods: standard deviation by mean.
    LoadVariation,
    /// The busiest pod's requests by the mean.
    LoadPeak,
    /// The share of a workload's replica time that was served.
    Availability,
    /// The share of time in which all of a workload's replicas served.
    WholeAvailability,
    /// The share of time in which as many of a workload's replicas served as its disruption budget wants.
    BudgetAvailability,
    /// The share of a workload's error budget (`slo`) that is burnt.
    ErrorBudgetBurnt,
    /// The worst share of a workload's replicas that one fault took.
    BlastRadius,
    /// Pods that faults took for good.
    PodsLost,
    /// Mean time from a fault to its detection.
    Mttd,
    /// Mean time from a fault that took replicas to full strength.
    Mttr,
    /// Mean time from one such fault to the next.
    Mtbf,
    /// Nodes that can still be lost at the end without leaving a pod without room.
    Headroom,
}

/// What a measure takes and gives.
#[derive(Clone, Copy, Debug)]
pub struct MeasureForm {
    /// Its name in an expression.
    pub name: &'static str,
    /// Which one it is.
    pub measure: Measure,
    /// What its argument is.
    pub argument: Argument,
    /// What it yields.
    pub yields: Yields,
    /// Whether it has a value at every instant, or one for the whole run.
    pub instant: bool,
}

/// The argument of a measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// None.
    None,
    /// A workload: `web` or `deployment/web`, optionally followed by its namespace.
    Workload,
    /// The same, or nothing for all of them.
    OptionalWorkload,
    /// A Service, optionally followed by its namespace.
    Service,
    /// A pod, optionally followed by its namespace.
    Pod,
    /// Any word, such as the reason of an event.
    Word,
    /// `cpu` or `memory`.
    Resource,
    /// A job or a cron job: `batch` or `cronjob/report`, optionally followed by its namespace.
    Job,
    /// A service with traffic, or a client of `traffic.clients`, optionally followed by the service's namespace.
    Flow,
}

/// The kind of value a measure yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Yields {
    /// A number.
    Number,
    /// A length of time.
    Time,
    /// A word, compared with `==` and `!=` only.
    Word,
}

const fn form(name: &'static str, measure: Measure, argument: Argument, yields: Yields, instant: bool) -> MeasureForm {
    MeasureForm { name, measure, argument, yields, instant }
}

/// Every measure by name.
pub const MEASURES: &[MeasureForm] = &[
    form("replicas", Measure::Replicas, Argument::Workload, Yields::Number, true),
    form("ready", Measure::Ready, Argument::Workload, Yields::Number, true),
    form("available", Measure::Available, Argument::Workload, Yields::Number, true),
    form("unavailable", Measure::Unavailable, Argument::Workload, Yields::Number, true),
    form("updated", Measure::Updated, Argument::Workload, Yields::Number, true),
    form("restarts", Measure::Restarts, Argument::Workload, Yields::Number, true),
    form("rollout", Measure::Rollout, Argument::Workload, Yields::Word, true),
    form("endpoints", Measure::Endpoints, Argument::Service, Yields::Number, true),
    form("phase", Measure::Phase, Argument::Pod, Yields::Word, true),
    form("pods", Measure::Pods, Argument::None, Yields::Number, true),
    form("pending_pods", Measure::PendingPods, Argument::None, Yields::Number, true),
    form("running_pods", Measure::RunningPods, Argument::None, Yields::Number, true),
    form("nodes", Measure::Nodes, Argument::None, Yields::Number, true),
    form("ready_nodes", Measure::ReadyNodes, Argument::None, Yields::Number, true),
    form("recovery_time", Measure::RecoveryTime, Argument::OptionalWorkload, Yields::Time, false),
    form("detection_time", Measure::DetectionTime, Argument::None, Yields::Time, false),
    form("replacement_time", Measure::ReplacementTime, Argument::OptionalWorkload, Yields::Time, false),
    form("unavailable_seconds", Measure::UnavailableSeconds, Argument::Workload, Yields::Number, false),
    form("evictions", Measure::Evictions, Argument::None, Yields::Number, false),
    form("events", Measure::Events, Argument::Word, Yields::Number, false),
    form("refusals", Measure::Refusals, Argument::Word, Yields::Number, false),
    form("cost", Measure::Cost, Argument::None, Yields::Number, false),
    form("load_lost", Measure::LoadLost, Argument::None, Yields::Number, false),
    form("utilization", Measure::Utilization, Argument::Resource, Yields::Number, false),
    form("job", Measure::Job, Argument::Job, Yields::Word, true),
    form("jobs", Measure::Jobs, Argument::Job, Yields::Number, true),
    form("succeeded", Measure::Succeeded, Argument::Job, Yields::Number, true),
    form("failed", Measure::Failed, Argument::Job, Yields::Number, true),
    form("active", Measure::Active, Argument::Job, Yields::Number, true),
    form("job_duration", Measure::JobDuration, Argument::Job, Yields::Time, false),
    form("work_lost", Measure::WorkLost, Argument::Job, Yields::Time, false),
    form("requests", Measure::Requests, Argument::Flow, Yields::Number, false),
    form("failed_requests", Measure::FailedRequests, Argument::Flow, Yields::Number, false),
    form("error_rate", Measure::ErrorRate, Argument::Flow, Yields::Number, false),
    form("throughput", Measure::Throughput, Argument::Flow, Yields::Number, false),
    form("latency_mean", Measure::LatencyMean, Argument::Flow, Yields::Time, false),
    form("latency_p50", Measure::LatencyP50, Argument::Flow, Yields::Time, false),
    form("latency_p90", Measure::LatencyP90, Argument::Flow, Yields::Time, false),
    form("latency_p99", Measure::LatencyP99, Argument::Flow, Yields::Time, false),
    form("latency_p999", Measure::LatencyP999, Argument::Flow, Yields::Time, false),
    form("latency_max", Measure::LatencyMax, Argument::Flow, Yields::Time, false),
    form("zone_crossing", Measure::ZoneCrossing, Argument::Flow, Yields::Number, false),
    form("load_variation", Measure::LoadVariation, Argument::Flow, Yields::Number, false),
    form("load_peak", Measure::LoadPeak, Argument::Flow, Yields::Number, false),
    form("availability", Measure::Availability, Argument::Workload, Yields::Number, false),
    form("whole_availability", Measure::WholeAvailability, Argument::Workload, Yields::Number, false),
    form("budget_availability", Measure::BudgetAvailability, Argument::Workload, Yields::Number, false),
    form("error_budget_burnt", Measure::ErrorBudgetBurnt, Argument::Workload, Yields::Number, false),
    form("blast_radius", Measure::BlastRadius, Argument::Workload, Yields::Number, false),
    form("pods_lost", Measure::PodsLost, Argument::None, Yields::Number, false),
    form("mttd", Measure::Mttd, Argument::None, Yields::Time, false),
    form("mttr", Measure::Mttr, Argument::None, Yields::Time, false),
    form("mtbf", Measure::Mtbf, Argument::None, Yields::Time, false),
    form("headroom", Measure::Headroom, Argument::None, Yields::Number, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_one_form() {
        for (index, form) in MEASURES.iter().enumerate() {
            assert!(MEASURES[..index].iter().all(|f| f.measure != form.measure && f.name != form.name));
        }
        assert_eq!(MEASURES.len(), Measure::Headroom as usize + 1);
    }
}
