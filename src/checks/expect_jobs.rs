//! The measures of jobs and cron jobs. `succeeded(batch)` counts the pods of the job `batch`; where `batch` is a cron job
//! it counts its jobs.

use super::expect::{Steps, Value, from_start, list, numbers, sum};
use crate::metrics::{JobRecord, JobState, Record, Series};
use crate::model::Kind;
use crate::scenario::expect::{Expectation, Measure};
use crate::time::SimDuration;

/// What an argument names.
struct Named<'a> {
    /// The job of that name, made last; or the jobs of the cron job.
    jobs: Vec<&'a JobRecord>,
    /// Whether it is a cron job.
    cron: bool,
}

fn named<'a>(record: &'a Record, one: &Expectation) -> Result<Named<'a>, String> {
    let text = one.argument.as_deref().unwrap_or_default();
    let (kind, name) = text.split_once('/').map_or((None, text), |(kind, name)| (Kind::parse(kind), name));
    let here = || record.jobs.iter().filter(|row| row.namespace == one.namespace.as_str());
    let job = here().rfind(|row| row.name == name).filter(|_| kind != Some(Kind::CronJob));
    let of_cron: Vec<&JobRecord> = here().filter(|row| row.cron == name).collect();
    match job {
        Some(job) => Ok(Named { jobs: vec![job], cron: false }),
        None if kind == Some(Kind::Job) || (of_cron.is_empty() && one.measure != Measure::Jobs) => {
            let names: Vec<String> =
                record.jobs.iter().take(5).map(|row| format!("{}/{}", row.namespace, row.name)).collect();
            Err(format!("no job {name} in namespace {}; there was {}", one.namespace, list(&names)))
        }
        None => Ok(Named { jobs: of_cron, cron: true }),
    }
}

/// How many of the jobs are in such a state, over time.
fn count(jobs: &[&JobRecord], wanted: fn(JobState) -> bool) -> Series {
    let each: Vec<Series> = jobs
        .iter()
        .map(|row| {
            let mut series = Series::default();
            row.states.iter().for_each(|(time, state)| series.set(*time, i64::from(wanted(*state))));
            series
        })
        .collect();
    sum(each.iter())
}

/// Measures with a value at every instant.
pub fn steps(record: &Record, one: &Expectation) -> Result<Steps, String> {
    let named = named(record, one)?;
    let of_pods = |series: fn(&JobRecord) -> &Series| numbers(&sum(named.jobs.iter().map(|row| series(row))));
    Ok(match (one.measure, named.cron) {
        (Measure::Job, _) => {
            let turns = named.jobs.iter().flat_map(|row| &row.states);
            let mut turns: Vec<_> = turns.map(|(time, state)| (*time, Value::Word(state.as_str()))).collect();
            turns.sort_by_key(|turn| turn.0);
            from_start(Value::Word(""), turns.into_iter())
        }
        (Measure::Jobs, _) => numbers(&count(&named.jobs, |_| true)),
        (Measure::Succeeded, true) => numbers(&count(&named.jobs, |state| state == JobState::Complete)),
        (Measure::Failed, true) => numbers(&count(&named.jobs, |state| state == JobState::Failed)),
        (Measure::Active, true) => numbers(&count(&named.jobs, |state| state == JobState::Running)),
        (Measure::Succeeded, false) => of_pods(|row| &row.succeeded),
        (Measure::Failed, false) => of_pods(|row| &row.failed),
        _ => of_pods(|row| &row.active),
    })
}

/// Measures with one value for the whole run.
pub fn whole(record: &Record, one: &Expectation) -> Result<Value, String> {
    let named = named(record, one)?;
    if one.measure == Measure::WorkLost {
        return Ok(Value::Time(named.jobs.iter().fold(SimDuration::ZERO, |sum, row| sum + row.lost)));
    }
    let ended = |row: &&JobRecord| row.duration().ok_or_else(|| format!("{} has not ended", row.name));
    let durations: Vec<SimDuration> = match named.cron {
        // The last ones may still run.
        true => named.jobs.iter().filter_map(|row| row.duration()).collect(),
        false => named.jobs.iter().map(ended).collect::<Result<_, _>>()?,
    };
    durations.into_iter().max().map(Value::Time).ok_or_else(|| "no job has ended".to_string())
}
