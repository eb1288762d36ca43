//! Expectations of requests: counts, shares, latencies.

use super::expect::{Value, list};
use crate::metrics::Record;
use crate::metrics::traffic::FlowTraffic;
use crate::scenario::expect::{Expectation, Measure};
use crate::time::{SimDuration, SimTime};

/// The measured value, if the measure is one of requests.
pub(super) fn whole(record: &Record, one: &Expectation) -> Option<Result<Value, String>> {
    let of: fn(&FlowTraffic, SimDuration) -> Option<Value> = match one.measure {
        Measure::Requests => |flow, _| Some(count(flow.ends.all())),
        Measure::FailedRequests => |flow, _| Some(count(flow.ends.failed())),
        Measure::ErrorRate => |flow, _| Some(number(flow.ends.error_rate())),
        Measure::Throughput => |flow, length| Some(number(flow.throughput(length))),
        Measure::LatencyMean => |flow, _| flow.latencies.mean().map(Value::Time),
        Measure::LatencyP50 => |flow, _| flow.latencies.quantile(0.5).map(Value::Time),
        Measure::LatencyP90 => |flow, _| flow.latencies.quantile(0.9).map(Value::Time),
        Measure::LatencyP99 => |flow, _| flow.latencies.quantile(0.99).map(Value::Time),
        Measure::LatencyP999 => |flow, _| flow.latencies.quantile(0.999).map(Value::Time),
        Measure::LatencyMax => |flow, _| flow.latencies.max().map(Value::Time),
        Measure::ZoneCrossing => |flow, _| Some(number(flow.distances.crossing())),
        Measure::LoadVariation => |flow, _| flow.balance().map(|(variation, _)| number(variation)),
        Measure::LoadPeak => |flow, _| flow.balance().map(|(_, peak)| number(peak)),
        _ => return None,
    };
    Some(
        flow(record, one).and_then(|flow| of(flow, record.end - SimTime::ZERO).ok_or("no request was answered".into())),
    )
}

fn count(number: u64) -> Value {
    Value::Number(i128::from(number) * 1_000_000_000)
}

fn number(value: f64) -> Value {
    Value::Number((value * 1e9) as i128)
}

fn flow<'a>(record: &'a Record, one: &Expectation) -> Result<&'a FlowTraffic, String> {
    let name = one.argument.as_deref().unwrap_or_default();
    let traffic = record.traffic.as_ref().ok_or("there is no traffic")?;
    traffic.flow(&one.namespace, name).ok_or_else(|| {
        let all = traffic.services.iter().chain(&traffic.clients).take(5);
        let names: Vec<String> = all.map(|flow| flow.name.to_string()).collect();
        format!("no requests to or of {name} in namespace {}; there was {}", one.namespace, list(&names))
    })
}
