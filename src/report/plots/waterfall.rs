//! The recovery from a fault, pod by pod: what each second was spent on.

use super::super::text::{fit, instant, length};
use super::Drawn;
use super::canvas::{COLOURS, Frame, INK, Pen, Sheet, unit_of};
use crate::metrics::{PodRecovery, Recovery};
use crate::outcome::Outcome;
use crate::time::SimTime;
use plotters::prelude::{DrawingBackend, RGBColor};
use plotters::style::text_anchor::HPos;

/// Pods drawn.
const SHOWN: usize = 18;

/// Colours and names of the stretches, in order.
const STRETCHES: [(RGBColor, &str); 7] = [
    (RGBColor(150, 150, 150), "unnoticed"),
    (COLOURS[1], "tolerated"),
    (COLOURS[6], "replaced"),
    (COLOURS[3], "scheduled"),
    (COLOURS[4], "image pulled"),
    (COLOURS[0], "started"),
    (COLOURS[2], "made ready"),
];

/// The fault that hit most pods.
fn chosen(outcome: &Outcome) -> Option<&Recovery> {
    let record = &outcome.record;
    let faults = record.recoveries.iter().filter(|recovery| record.incidents[recovery.incident].is_fault());
    faults
        .filter(|recovery| recovery.pods.iter().any(|pod| last(pod).is_some()))
        .max_by_key(|r| (r.pods.len(), -r.started.0))
}

fn last(pod: &PodRecovery) -> Option<SimTime> {
    pod.ready.max(pod.endpoint_added)
}

/// Whether some pod recovered from a fault.
pub fn applies(outcome: &Outcome) -> bool {
    chosen(outcome).is_some()
}

/// The instants at which the stretches of a pod end; those that are not known end with the one before.
fn ends(recovery: &Recovery, pod: &PodRecovery) -> [Option<SimTime>; 7] {
    let noticed = recovery.nodes.iter().filter_map(|node| node.unknown).max().or(pod.endpoint_removed);
    [noticed, pod.evicted, pod.created, pod.scheduled, pod.pulled, pod.started, pod.ready]
}

/// Draws it.
///
/// # Errors
/// A failure of the drawing library.
pub fn draw<B: DrawingBackend>(outcome: &Outcome, sheet: &Sheet<B>) -> Drawn {
    let record = &outcome.record;
    let Some(recovery) = chosen(outcome) else { return Ok(()) };
    let incident = &record.incidents[recovery.incident];
    let title = format!("{}: recovery, pod by pod", outcome.scenario_name);
    let explanation = format!(
        "From \"{}\" at {}. Each bar leads from the fault to the ready replacement.",
        incident.description,
        instant(incident.started)
    );
    let mut pen = Pen::new(sheet, &title, &explanation);
    let mut pods: Vec<&PodRecovery> = recovery.pods.iter().collect();
    pods.sort_by_key(|pod| (last(pod).unwrap_or(SimTime::MAX), pod.pod));
    pods.truncate(SHOWN);
    let longest = pods.iter().filter_map(|pod| last(pod)).max().unwrap_or(recovery.started);
    let span = SimTime((longest - recovery.started).0.max(1));
    let (unit, name) = unit_of(span);
    let frame =
        Frame { edges: [300, 112, 1150, 610], x: (0.0, span.as_secs_f64() / unit * 1.1), y: (0.0, pods.len() as f64) };
    pen.x_axis(&frame, &format!("time since the fault ({name})"));
    for (at, pod) in pods.iter().enumerate() {
        let slot = pods.len() as f64 - at as f64;
        let (start, end) = (frame.at(0.0, slot).1, frame.at(0.0, slot - 1.0).1);
        let thickness = ((end - start) * 3 / 4).min(40);
        let y = (start + end - thickness) / 2;
        pen.text(&fit(&record.pods[pod.pod].name, 36), (290, y + thickness / 2 - 8), 15, INK, HPos::Right);
        let mut before = recovery.started;
        for (stretch, (colour, _)) in ends(recovery, pod).into_iter().zip(STRETCHES) {
            let until = stretch.unwrap_or(before).max(before);
            let x = |time: SimTime| frame.at((time - recovery.started).as_secs_f64() / unit, 0.0).0;
            if x(until) > x(before) {
                pen.bar((x(before), y), (x(until), y + thickness), colour);
            }
            before = until;
        }
        let label = last(pod).map_or("not yet".to_string(), |at| length(at - recovery.started));
        let x = frame.at((before - recovery.started).as_secs_f64() / unit, 0.0).0;
        pen.text(&label, (x + 6, y + thickness / 2 - 8), 14, INK, HPos::Left);
    }
    let legend: Vec<_> = STRETCHES.iter().map(|(colour, name)| (*colour, (*name).to_string())).collect();
    pen.legend(&legend);
    pen.done()
}
