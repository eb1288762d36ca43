//! Expectations of what faults may cost: availability, error budgets, mean times.

use super::expect::{Value, workload_index};
use crate::metrics::{Record, Resilience};
use crate::scenario::Expectation;
use crate::scenario::expect::Measure;
use crate::time::SimDuration;

/// The one value of a measure.
pub(super) fn whole(record: &Record, one: &Expectation) -> Result<Value, String> {
    let found = Resilience::of(record);
    let count = |number: usize| Ok(Value::Number(number as i128 * 1_000_000_000));
    let share = |millionths: i64| Value::Number(i128::from(millionths) * 1000);
    let mean = |time: Option<SimDuration>, what: &str| time.map(Value::Time).ok_or_else(|| what.to_string());
    match one.measure {
        Measure::PodsLost => return count(found.lost),
        Measure::Headroom => return count(found.headroom),
        Measure::Mttd => return mean(found.detect, "no fault was detected"),
        Measure::Mttr => return mean(found.recover, "nothing was taken, or nothing was recovered from"),
        Measure::Mtbf => return mean(found.between, "no fault took anything"),
        _ => {}
    }
    let at = workload_index(record, one, one.argument.as_deref().unwrap_or_default())?;
    let row = found.row(at).ok_or("it never was at full strength")?;
    match one.measure {
        Measure::Availability => Ok(share(row.served)),
        Measure::WholeAvailability => Ok(share(row.whole)),
        Measure::BudgetAvailability => {
            row.budget.map(share).ok_or_else(|| "no disruption budget selects it".to_string())
        }
        Measure::BlastRadius => Ok(share(row.blast)),
        _ => row.burnt.map(|(_, burnt)| share(burnt)).ok_or_else(|| "`slo` promises nothing of it".to_string()),
    }
}
