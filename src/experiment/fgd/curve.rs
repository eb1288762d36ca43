//! An experiment as the curves of the paper: allocation and fragmentation by arrived load.

use super::Run;

/// The mean over all pods that arrived at one percent of the cluster's GPUs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CurvePoint {
    /// GPU demand so far, dropped pods included, in percent of the capacity.
    pub arrived_percent: i64,
    /// GPU in use, in percent of the capacity.
    pub allocated_percent: f64,
    /// Fragmentation, in percent of the capacity.
    pub fragments_percent: f64,
    /// Fragmentation, in percent of what is idle.
    pub fragments_of_idle_percent: f64,
}

/// The curve of a run, one point per percent that occurs.
pub fn curve(run: &Run) -> Vec<CurvePoint> {
    let capacity = run.capacity as f64;
    let percent = |moment: &super::Moment| (100.0 * moment.arrived as f64 / capacity).round_ties_even() as i64;
    let mut points = Vec::new();
    for group in run.moments.chunk_by(|a, b| percent(a) == percent(b)) {
        let mean = |value: &dyn Fn(&super::Moment) -> f64| group.iter().map(value).sum::<f64>() / group.len() as f64;
        points.push(CurvePoint {
            arrived_percent: percent(&group[0]),
            allocated_percent: mean(&|moment| 100.0 * moment.allocated as f64 / capacity),
            fragments_percent: mean(&|moment| 100.0 * moment.fragments / capacity),
            fragments_of_idle_percent: mean(&|moment| {
                100.0 * moment.fragments / (run.capacity - moment.allocated).max(1) as f64
            }),
        });
    }
    points
}
