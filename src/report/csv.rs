//! Tables for spreadsheets and data frames: one header with units, times in seconds, empty for none.

use crate::metrics::record::PHASES;
use crate::metrics::{Record, Series, Usage};
use crate::time::SimTime;
use std::borrow::Cow;
use std::io::{self, Write};

/// A table on its way to where it is written.
pub(super) struct Sheet<'a>(csv::Writer<&'a mut dyn Write>);

impl<'a> Sheet<'a> {
    pub(super) fn new(out: &'a mut dyn Write, head: &[&str]) -> io::Result<Sheet<'a>> {
        let mut sheet = Sheet(csv::WriterBuilder::new().from_writer(out));
        sheet.row(head)?;
        Ok(sheet)
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<()> {
        for cell in cells {
            self.0.write_field(&*guarded(cell.as_ref()))?;
        }
        Ok(self.0.write_record(None::<&[u8]>)?)
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A table as text.
pub fn text(table: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    table(&mut bytes).expect("writing to memory cannot fail");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A cell that a spreadsheet would take for a formula gets an apostrophe in front. Numbers are left alone.
fn guarded(cell: &str) -> Cow<'_, str> {
    let risky = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if risky { format!("'{cell}").into() } else { cell.into() }
}

/// To the microsecond, without zeros at the end.
fn seconds(time: SimTime) -> String {
    let micros = (time.0.unsigned_abs() + 500) / 1_000;
    let sign = if time.0 < 0 && micros > 0 { "-" } else { "" };
    let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
    match part {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part:06}").trim_end_matches('0').to_string(),
    }
}

fn maybe(time: Option<SimTime>) -> String {
    time.map(seconds).unwrap_or_default()
}

/// `timeseries.csv`: long form, one row per change of a value; it holds until the next.
pub fn timeseries(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet::new(out, &["time_s", "object", "metric", "value"])?;
    let mut all: Vec<(String, &str, &Series)> = Vec::new();
    for row in &record.workloads {
        let object = format!("{}/{}/{}", row.kind, row.namespace, row.name);
        let parts: [(&str, &Series); 8] = [
            ("replicas_desired", &row.desired),
            ("replicas_current", &row.current),
            ("replicas_updated", &row.updated),
            ("replicas_ready", &row.ready),
            ("replicas_available", &row.available),
            ("replicas_unavailable", &row.unavailable),
            ("replicas_serving", &row.serving),
            ("container_restarts", &row.restarts),
        ];
        all.extend(parts.map(|(metric, series)| (object.clone(), metric, series)));
    }
    for row in &record.jobs {
        let object = format!("Job/{}/{}", row.namespace, row.name);
        let parts = [("pods_active", &row.active), ("pods_succeeded", &row.succeeded), ("pods_failed", &row.failed)];
        all.extend(parts.map(|(metric, series)| (object.clone(), metric, series)));
    }
    for row in &record.services {
        all.push((format!("Service/{}/{}", row.namespace, row.name), "endpoints_ready", &row.ready));
    }
    for (phase, series) in PHASES.iter().zip(&record.phases) {
        all.push((format!("Phase/{phase}"), "pods", series));
    }
    for node in &record.nodes {
        let object = format!("Node/{}", node.name);
        let parts: [(&str, &Series); 8] = [
            ("up", &node.up),
            ("ready", &node.ready),
            ("pods", &node.pods),
            ("cpu_allocatable_millicores", &node.allocatable_cpu),
            ("cpu_requested_millicores", &node.requested_cpu),
            ("cpu_used_millicores", &node.used_cpu),
            ("memory_requested_bytes", &node.requested_memory),
            ("memory_used_bytes", &node.used_memory),
        ];
        all.extend(parts.map(|(metric, series)| (object.clone(), metric, series)));
    }
    for (metric, series) in
        ["imbalance_cpu_millionths", "imbalance_memory_millionths"].into_iter().zip(&record.imbalance)
    {
        all.push(("Cluster".to_string(), metric, series));
    }
    for (object, metric, series) in all {
        let first = (SimTime::ZERO, series.at(SimTime::ZERO));
        let later = series.points.iter().copied().filter(|point| point.0 > SimTime::ZERO && point.0 <= record.end);
        for (time, value) in std::iter::once(first).chain(later) {
            sheet.row([&*seconds(time), &object, metric, &value.to_string()])?;
        }
    }
    sheet.end()
}

/// `events.csv`: Kubernetes events, and what was done to the cluster, in order of time.
pub fn events(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet::new(out, &["first_s", "last_s", "count", "type", "reason", "object", "source", "message"])?;
    let actions = record.incidents.iter().map(|one| (one.started, Err(one)));
    let mut rows: Vec<_> = actions.chain(record.events.iter().map(|one| (one.first, Ok(one)))).collect();
    rows.sort_by_key(|row| row.0);
    for (first, row) in rows {
        let first = seconds(first);
        match row {
            Err(one) => {
                let kind = if one.is_fault() { "Fault" } else { "Action" };
                sheet.row([&first, &*maybe(one.ended), "1", kind, "", "", "scenario", &one.description])?;
            }
            Ok(one) => {
                let kind = if one.warning { "Warning" } else { "Normal" };
                let (last, count) = (seconds(one.last), one.count.to_string());
                sheet.row([
                    &first,
                    &*last,
                    &count,
                    kind,
                    &one.reason,
                    &one.object.to_string(),
                    &one.source,
                    &one.message,
                ])?;
            }
        }
    }
    sheet.end()
}

/// `pods.csv`: the life of each pod.
pub fn pods(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet::new(
        out,
        &[
            "namespace",
            "name",
            "workload",
            "owner",
            "node",
            "image",
            "priority",
            "cpu_request_millicores",
            "memory_request_bytes",
            "created_s",
            "scheduled_s",
            "image_pulled_s",
            "started_s",
            "ready_s",
            "endpoint_s",
            "deleted_s",
            "gone_s",
            "queue_delay_s",
            "restarts",
            "phase",
            "reason",
            "evicted",
        ],
    )?;
    for pod in &record.pods {
        let workload = pod.workload.map(|at| &record.workloads[at]);
        sheet.row([
            pod.namespace.to_string(),
            pod.name.to_string(),
            workload.map(|row| format!("{}/{}", row.kind, row.name)).unwrap_or_default(),
            pod.owner.to_string(),
            pod.node.to_string(),
            pod.image.to_string(),
            pod.priority.to_string(),
            pod.milli_cpu.to_string(),
            pod.memory.to_string(),
            seconds(pod.created),
            maybe(pod.scheduled),
            maybe(pod.pulled),
            maybe(pod.started),
            maybe(pod.first_ready()),
            maybe(pod.first_endpoint()),
            maybe(pod.deleted),
            maybe(pod.gone),
            pod.queue_delay().map(|delay| seconds(SimTime(delay.0))).unwrap_or_default(),
            pod.restarts.to_string(),
            pod.phase().as_str().to_string(),
            pod.reason.to_string(),
            pod.evicted.to_string(),
        ])?;
    }
    sheet.end()
}

/// `nodes.csv`: one row per node, shares between 0 and 1.
pub fn nodes(record: &Record, usage: &Usage, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet::new(
        out,
        &[
            "name",
            "pool",
            "zone",
            "control_plane",
            "pods_mean",
            "pods_max",
            "cpu_requested_share",
            "cpu_used_share",
            "memory_requested_share",
            "memory_used_share",
            "cpu_stranded_share",
            "memory_stranded_share",
            "up_share",
            "ready_share",
            "price_per_hour",
            "cost",
        ],
    )?;
    for (node, row) in record.nodes.iter().zip(&usage.nodes) {
        let share = |value: f64| format!("{value:.6}");
        sheet.row([
            node.name.to_string(),
            node.pool.to_string(),
            node.zone.to_string(),
            node.control_plane.to_string(),
            format!("{:.3}", row.pods_mean),
            row.pods_max.to_string(),
            share(row.requested[0]),
            share(row.used[0]),
            share(row.requested[1]),
            share(row.used[1]),
            share(row.stranded[0]),
            share(row.stranded[1]),
            share(row.up),
            share(node.ready.mean(SimTime::ZERO, record.end)),
            format!("{:.6}", node.price_per_hour_micros as f64 / 1e6),
            format!("{:.6}", row.cost_micros as f64 / 1e6),
        ])?;
    }
    sheet.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::node_crash;

    #[test]
    fn seconds_to_the_microsecond() {
        let table =
            [(0, "0"), (1_500_000_000, "1.5"), (499, "0"), (500, "0.000001"), (-20_000_000_000, "-20"), (-1, "0")];
        for (nanos, expected) in table {
            assert_eq!(seconds(SimTime(nanos)), expected);
        }
        assert_eq!(seconds(SimTime(59_999_999_500)), "60");
        assert_eq!(seconds(SimTime(-19_992_349_000)), "-19.992349");
    }

    #[test]
    fn formulas_are_disarmed_and_numbers_are_not() {
        let table = [("=1+1", "'=1+1"), ("@x", "'@x"), ("-5", "-5"), ("-x", "'-x"), ("web", "web"), ("", "")];
        for (cell, expected) in table {
            assert_eq!(guarded(cell), expected);
        }
    }

    #[test]
    fn tables_of_a_crash() {
        let record = node_crash().finish(600.0);
        let series = text(|out| timeseries(&record, out));
        assert!(series.starts_with("time_s,object,metric,value\n0,Deployment/default/web,replicas_desired,0\n"));
        assert!(series.contains("\n60,Deployment/default/web,replicas_serving,2\n"), "{series}");
        assert!(series.contains("\n100.2,Service/default/web,endpoints_ready,2\n"), "{series}");
        let pods = text(|out| pods(&record, out));
        assert!(
            pods.contains("default,web-4,Deployment/web,web-1,c,web:1,0,500,1073741824,400.1,400.2,402.2,402.5,405,405.1,,,0.1,0,Running,,false\n"),
            "{pods}"
        );
        let events = text(|out| events(&record, out));
        assert!(events.contains("60,,1,Fault,,,scenario,node b crashes\n"), "{events}");
        let nodes = text(|out| nodes(&record, &Usage::of(&record), out));
        assert!(nodes.contains("\nb,workers,a,false,"), "{nodes}");
    }
}
