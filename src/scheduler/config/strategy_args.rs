//! Arguments of the plugins beside upstream's, by the names that they have in the projects they follow.

use super::faults::Faults;
use super::types::{CoschedulingArgs, LoadAwareArgs};
use crate::scheduler::plugins::coscheduling::Coscheduling;
use crate::scheduler::plugins::load_aware::LoadAware;
use crate::time::SimDuration;
use std::rc::Rc;

/// `CoschedulingArgs` of scheduler-plugins (`apis/config/types.go`).
pub(super) fn coscheduling(args: &CoschedulingArgs, path: &str, faults: &mut Faults<'_>) -> Rc<Coscheduling> {
    let seconds = args.permit_waiting_time_seconds.unwrap_or(60);
    if seconds < 0 {
        let path = format!("{path}.permitWaitingTimeSeconds");
        faults.invalid(&path, seconds, "must be greater than or equal to 0", "write 0 or more");
    }
    Rc::new(Coscheduling::waiting(SimDuration::from_secs(seconds)))
}

/// `LoadAwareSchedulingArgs` of Koordinator (`pkg/scheduler/apis/config/types.go`), as far as it estimates.
pub(super) fn load_aware(args: &LoadAwareArgs, path: &str, faults: &mut Faults<'_>) -> Rc<LoadAware> {
    let default = LoadAware::default();
    let (mut cpu_percent, mut memory_percent) = (default.cpu_percent, default.memory_percent);
    let factors = [
        ("cpu", args.estimated_scaling_factors.cpu, &mut cpu_percent),
        ("memory", args.estimated_scaling_factors.memory, &mut memory_percent),
    ];
    for (name, written, percent) in factors {
        let Some(written) = written else { continue };
        if !(1..=100).contains(&written) {
            let path = format!("{path}.estimatedScalingFactors.{name}");
            faults.invalid(
                &path,
                written,
                "not in valid range (0, 100]",
                "write the percentage of a request that is used",
            );
        }
        *percent = written;
    }
    Rc::new(LoadAware { cpu_percent, memory_percent })
}
