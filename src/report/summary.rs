//! `summary.json`: the figures of a run for programs. The form is stable; a change of meaning raises
//! [`SCHEMA_VERSION`]. Times are seconds of virtual time, shares are between 0 and 1, absent values are `null`.

use crate::metrics::recovery::Spread;
use crate::metrics::{Record, Recovery, Usage, UsageRow};
use crate::outcome::Outcome;
use crate::time::{SimDuration, SimTime};
use serde::Serialize;

/// The form's version.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole summary.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are their own documentation: this is the file's form")]
pub struct Summary<'a> {
    pub schema_version: u32,
    pub program: String,
    pub scenario: &'a str,
    pub description: &'a str,
    pub seed: u64,
    pub fingerprint: &'a str,
    pub passed: bool,
    pub complete: bool,
    pub stopped: Option<&'a str>,
    pub virtual_seconds: f64,
    pub events: u64,
    pub reconciles: u64,
    pub writes: u64,
    pub refused: u64,
    pub expectations: Vec<Expected<'a>>,
    pub violations: &'a [String],
    pub incidents: Vec<Happened<'a>>,
    pub recoveries: Vec<Recovered<'a>>,
    pub resilience: super::resilience::Row,
    pub workloads: Vec<Workload<'a>>,
    pub jobs: Vec<super::jobs::JobRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<super::traffic::TrafficRow<'a>>,
    pub pods: Pods,
    pub utilization: Utilization<'a>,
    pub cost: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<super::scaling::Scaling<'a>>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct Expected<'a> {
    pub text: &'a str,
    pub passed: bool,
    pub detail: &'a str,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct Happened<'a> {
    pub kind: &'static str,
    pub description: &'a str,
    pub started: f64,
    pub ended: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<Printed<'a>>,
}

#[derive(Serialize, Debug)]
#[expect(missing_docs, reason = "as above")]
pub struct Printed<'a> {
    pub at: f64,
    pub line: &'a str,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above; all times but `started` are counted from the incident")]
pub struct Recovered<'a> {
    pub incident: &'a str,
    pub started: f64,
    pub detection: Option<f64>,
    pub decision: Option<f64>,
    pub time_to_replace: Option<f64>,
    pub time_to_full_strength: Option<f64>,
    pub unavailable_replica_seconds: f64,
    pub pods_lost: usize,
    pub pods_restarted: usize,
    pub pods_rescheduled: usize,
    pub work_lost: f64,
    pub blast_radius: f64,
    pub steps: Vec<StepRow>,
    pub pods: Vec<PodRow<'a>>,
    pub workloads: Vec<ImpactRow<'a>>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct StepRow {
    pub step: &'static str,
    pub count: usize,
    pub min: Option<f64>,
    pub median: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct PodRow<'a> {
    pub pod: &'a str,
    pub replacement: Option<&'a str>,
    pub node: Option<&'a str>,
    pub endpoint_removed: Option<f64>,
    pub evicted: Option<f64>,
    pub replacement_created: Option<f64>,
    pub scheduled: Option<f64>,
    pub image_pulled: Option<f64>,
    pub started: Option<f64>,
    pub ready: Option<f64>,
    pub endpoint_added: Option<f64>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct ImpactRow<'a> {
    pub workload: &'a str,
    pub serving_before: i64,
    pub serving_lowest: i64,
    pub full_strength: Option<f64>,
    pub unavailable_replica_seconds: f64,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct Workload<'a> {
    pub kind: &'static str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub desired: i64,
    pub ready: i64,
    pub available: i64,
    pub serving: i64,
    pub serving_lowest: i64,
    pub unavailable_replica_seconds: f64,
    pub restarts: i64,
    pub rollouts: Vec<RolloutRow<'a>>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct RolloutRow<'a> {
    pub image: &'a str,
    pub started: f64,
    pub completed: Option<f64>,
    pub stalled: Option<f64>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct Pods {
    pub created: usize,
    pub pending: i64,
    pub running: i64,
    pub succeeded: i64,
    pub failed: i64,
    pub terminating: i64,
    pub evicted: usize,
    pub restarts: u64,
    pub queue_delay_median: Option<f64>,
    pub queue_delay_max: Option<f64>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct Utilization<'a> {
    pub workers: Share<'a>,
    pub pools: Vec<Share<'a>>,
    pub nodes: Vec<Share<'a>>,
    pub imbalance_cpu: f64,
    pub imbalance_memory: f64,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as above")]
pub struct Share<'a> {
    pub name: &'a str,
    pub nodes: usize,
    pub pods_mean: f64,
    pub requested_cpu: f64,
    pub requested_memory: f64,
    pub used_cpu: f64,
    pub used_memory: f64,
    pub packing_cpu: f64,
    pub packing_memory: f64,
    pub stranded_cpu: f64,
    pub stranded_memory: f64,
    pub up: f64,
    pub cost: f64,
}

impl<'a> Summary<'a> {
    /// Of an outcome; `usage` is [`Usage::of`] its record.
    pub fn of(outcome: &'a Outcome, usage: &'a Usage) -> Summary<'a> {
        let record = &outcome.record;
        let expected = |one: &'a crate::outcome::ExpectationResult| Expected {
            text: &one.text,
            passed: one.passed,
            detail: &one.detail,
        };
        Summary {
            schema_version: SCHEMA_VERSION,
            program: format!("kubesim {}", env!("CARGO_PKG_VERSION")),
            scenario: &outcome.scenario_name,
            description: &outcome.description,
            seed: outcome.seed,
            fingerprint: &outcome.fingerprint,
            passed: outcome.passed(),
            complete: outcome.stopped.is_none(),
            stopped: outcome.stopped.as_deref(),
            virtual_seconds: outcome.end.as_secs_f64(),
            events: outcome.stats.events,
            reconciles: outcome.stats.reconciles,
            writes: outcome.stats.writes,
            refused: outcome.stats.refused,
            expectations: outcome.expectations.iter().map(expected).collect(),
            violations: &outcome.violations,
            incidents: record.incidents.iter().map(happened).collect(),
            recoveries: record.recoveries.iter().map(|recovery| recovered(record, recovery)).collect(),
            resilience: super::resilience::row(record),
            workloads: record.workloads.iter().map(|row| workload(record, row)).collect(),
            jobs: record.jobs.iter().map(super::jobs::row).collect(),
            traffic: super::traffic::summary(record),
            pods: pods(record),
            utilization: Utilization {
                workers: share("", &usage.all),
                pools: usage.pools.iter().map(|row| share(&row.name, row)).collect(),
                nodes: usage.nodes.iter().map(|row| share(&row.name, row)).collect(),
                imbalance_cpu: usage.imbalance[0],
                imbalance_memory: usage.imbalance[1],
            },
            cost: record.cost_micros() as f64 / 1e6,
            scaling: super::scaling::summary(record),
        }
    }
}

/// `summary.json`.
pub fn json(outcome: &Outcome) -> String {
    let usage = Usage::of(&outcome.record);
    let text = serde_json::to_string_pretty(&Summary::of(outcome, &usage));
    text.expect("plain data becomes JSON") + "\n"
}

/// The same as YAML.
pub fn yaml(outcome: &Outcome) -> String {
    let usage = Usage::of(&outcome.record);
    serde_yaml::to_string(&Summary::of(outcome, &usage)).expect("plain data becomes YAML")
}

fn seconds(time: SimTime) -> f64 {
    time.as_secs_f64()
}

fn happened(incident: &crate::metrics::IncidentRecord) -> Happened<'_> {
    Happened {
        kind: incident.fault.kind,
        description: &incident.description,
        started: seconds(incident.started),
        ended: incident.ended.map(seconds),
        output: incident.output.iter().map(|(time, line)| Printed { at: seconds(*time), line }).collect(),
    }
}

fn recovered<'a>(record: &'a Record, recovery: &Recovery) -> Recovered<'a> {
    let since = |time: Option<SimTime>| time.map(|time| (time - recovery.started).as_secs_f64());
    let length = |length: Option<SimDuration>| length.map(SimDuration::as_secs_f64);
    let step = |step: crate::metrics::recovery::Step| {
        let of = |part: fn(Spread) -> SimDuration| step.spread.map(|spread| part(spread).as_secs_f64());
        StepRow {
            step: step.id,
            count: step.spread.map_or(0, |spread| spread.count),
            min: of(|spread| spread.min),
            median: of(|spread| spread.median),
            max: of(|spread| spread.max),
        }
    };
    let pod = |row: &crate::metrics::PodRecovery| {
        let replacement = row.replacement.map(|at| &record.pods[at]);
        PodRow {
            pod: &record.pods[row.pod].name,
            replacement: replacement.map(|pod| pod.name.as_str()),
            node: replacement.map(|pod| pod.node.as_str()).filter(|node| !node.is_empty()),
            endpoint_removed: since(row.endpoint_removed),
            evicted: since(row.evicted),
            replacement_created: since(row.created),
            scheduled: since(row.scheduled),
            image_pulled: since(row.pulled),
            started: since(row.started),
            ready: since(row.ready),
            endpoint_added: since(row.endpoint_added),
        }
    };
    let impact = |impact: &crate::metrics::Impact| ImpactRow {
        workload: &record.workloads[impact.workload].name,
        serving_before: impact.before,
        serving_lowest: impact.lowest,
        full_strength: since(impact.full_strength),
        unavailable_replica_seconds: impact.unavailable as f64 / 1e9,
    };
    Recovered {
        incident: &record.incidents[recovery.incident].description,
        started: seconds(recovery.started),
        detection: length(recovery.detection()),
        decision: length(recovery.decision()),
        time_to_replace: length(recovery.time_to_replace()),
        time_to_full_strength: length(recovery.time_to_full_strength()),
        unavailable_replica_seconds: recovery.unavailable() as f64 / 1e9,
        pods_lost: recovery.lost(),
        pods_restarted: recovery.restarted(),
        pods_rescheduled: recovery.rescheduled(),
        work_lost: recovery.work_lost().as_secs_f64(),
        blast_radius: recovery.blast() as f64 / 1e6,
        steps: recovery.steps().into_iter().map(step).collect(),
        pods: recovery.pods.iter().map(pod).collect(),
        workloads: recovery.impacts.iter().map(impact).collect(),
    }
}

fn workload<'a>(record: &Record, row: &'a crate::metrics::WorkloadRecord) -> Workload<'a> {
    let rollout = |rollout: &'a crate::metrics::Rollout| RolloutRow {
        image: &rollout.image,
        started: seconds(rollout.started),
        completed: rollout.completed.map(seconds),
        stalled: rollout.stalled.map(seconds),
    };
    let whole = row.first_whole();
    Workload {
        kind: row.kind.as_str(),
        namespace: &row.namespace,
        name: &row.name,
        desired: row.desired.last(),
        ready: row.ready.last(),
        available: row.available.last(),
        serving: row.serving.last(),
        serving_lowest: whole.map_or(0, |from| row.serving.min(from, record.end)),
        unavailable_replica_seconds: whole.map_or(0, |from| row.missing(from, record.end)) as f64 / 1e9,
        restarts: row.restarts.last(),
        rollouts: row.rollouts.iter().map(rollout).collect(),
    }
}

fn pods(record: &Record) -> Pods {
    let delays = record.pods.iter().filter_map(|pod| pod.queue_delay()).collect();
    let spread = Spread::of(delays);
    let [pending, running, succeeded, failed, terminating] = [0, 1, 2, 3, 4].map(|at: usize| record.phases[at].last());
    Pods {
        created: record.pods.len(),
        pending,
        running,
        succeeded,
        failed,
        terminating,
        evicted: record.pods.iter().filter(|pod| pod.evicted).count(),
        restarts: record.pods.iter().map(|pod| u64::from(pod.restarts)).sum(),
        queue_delay_median: spread.map(|spread| spread.median.as_secs_f64()),
        queue_delay_max: spread.map(|spread| spread.max.as_secs_f64()),
    }
}

fn share<'a>(name: &'a str, row: &UsageRow) -> Share<'a> {
    Share {
        name,
        nodes: row.nodes,
        pods_mean: row.pods_mean,
        requested_cpu: row.requested[0],
        requested_memory: row.requested[1],
        used_cpu: row.used[0],
        used_memory: row.used[1],
        packing_cpu: row.packing[0],
        packing_memory: row.packing[1],
        stranded_cpu: row.stranded[0],
        stranded_memory: row.stranded[1],
        up: row.up,
        cost: row.cost_micros as f64 / 1e6,
    }
}
