//! metrics-server: what autoscalers know of what pods use, seconds to a minute late.
//!
//! ```text
//! container ── every 10 to 15 s ──▶ kubelet ── every 15 s ──▶ metrics-server ──▶ resource metrics API
//! ```
//!
//! A kubelet reads its containers' meters at a pace of its own. metrics-server asks all kubelets every 15 seconds
//! (`--metric-resolution`) and keeps the last two readings of each container; its processor use is the difference of the
//! two, its memory the newer one (`github.com/kubernetes-sigs/metrics-server`, `pkg/storage/pod.go`). A pod is there when
//! all its containers have two readings; a container younger than the resolution counts from its start, once it is 10
//! seconds old. The machine of a pod must have answered.
//!
//! Nothing is scraped: the readings of an instant are computed when someone asks.
//!
//! A worked example: a container starts at 3 s, its kubelet reads it every 12 s: at 15, 27, 39. metrics-server asks at
//! 7, 22, 37: at 22 it gets the reading of 15, which is 12 s after the start and so counts at once, with a window of 12 s;
//! at 37 that of 27.

use super::meters::{GaugeKey, Meters};
use crate::model::pod::Usage;
use crate::model::{Container, Machine, Name, Pod};
use crate::rng::Seed;
use crate::store::View;
use crate::time::{SimDuration, SimTime};

/// `--metric-resolution`.
const RESOLUTION: SimDuration = SimDuration::from_secs(15);
/// A kubelet reads a container at least this far apart (`pkg/kubelet/cadvisor/cadvisor_linux.go`).
const READING_MIN: f64 = 10.0;
/// And at most this far.
const READING_MAX: f64 = 15.0;

/// What is known of one pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodMetrics {
    /// When the measurement ended.
    pub time: SimTime,
    /// How long it took.
    pub window: SimDuration,
    /// By container.
    pub containers: Vec<(Name, Usage)>,
}

/// The metrics APIs: of resources, custom and external.
pub trait MetricsApi {
    /// What is known of a pod's resources at `now`.
    fn pod(&self, view: View<'_>, pod: &Pod, now: SimTime) -> Option<PodMetrics>;

    /// A metric of an object or of something outside, in thousandths.
    fn gauge(&self, key: &GaugeKey, now: SimTime) -> Option<i64>;

    /// A metric of one pod, in thousandths.
    fn gauge_of_pod(&self, key: &GaugeKey, pod: &Pod, now: SimTime) -> Option<i64>;
}

/// metrics-server and adapters for the other metrics.
#[derive(Clone, Debug)]
pub struct MetricsServer {
    meters: Meters,
    seed: Seed,
    /// When in its period it asks.
    phase: SimDuration,
}

impl MetricsServer {
    /// One that reads these meters.
    pub fn new(meters: Meters, seed: Seed) -> Self {
        let phase = seed.stream("metrics-server", "").uniform(0.0, RESOLUTION.as_secs_f64());
        MetricsServer { meters, seed, phase: SimDuration::from_secs_f64(phase) }
    }

    /// The last time at which kubelets were asked.
    fn asked(&self, now: SimTime) -> SimTime {
        now - SimDuration((now.0 - self.phase.0).rem_euclid(RESOLUTION.0))
    }

    /// How far apart the readings of a container are.
    fn pace(&self, pod: &Pod, container: &Name) -> SimDuration {
        let entity = format!("{}/{}/{container}", pod.meta.namespace, pod.meta.name);
        let seconds = self.seed.stream("housekeeping", &entity).uniform(READING_MIN, READING_MAX);
        SimDuration::from_secs_f64(seconds)
    }

    /// The last two readings of a container that were known at `asked`.
    fn readings(&self, pod: &Pod, container: &Name, asked: SimTime) -> Option<[SimTime; 2]> {
        let started = self.meters.started(pod.meta.uid, container).filter(|started| *started < asked)?;
        let pace = self.pace(pod, container);
        let reading = |asked: SimTime| match (asked - started).0.div_euclid(pace.0) {
            // The reading at the very start says nothing.
            number if number > 0 => Some(started + pace * number),
            _ => None,
        };
        let last = reading(asked)?;
        let before = reading(asked - RESOLUTION).filter(|before| *before < last);
        match before {
            Some(before) => Some([before, last]),
            None => (last - started < RESOLUTION).then_some([started, last]),
        }
    }
}

/// The containers that a kubelet tells of: those that are to run as long as the pod does.
fn lasting(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.containers.iter().chain(pod.spec.init_containers.iter().filter(|one| one.sidecar))
}

impl MetricsApi for MetricsServer {
    fn pod(&self, view: View<'_>, pod: &Pod, now: SimTime) -> Option<PodMetrics> {
        let asked = self.asked(now);
        let machine = view.fetch::<Machine>(&Name::new(), pod.node.as_ref()?)?;
        let answered = if machine.up { machine.up_since <= asked } else { machine.down_since > asked };
        let mut metrics: Option<PodMetrics> = None;
        let uid = pod.meta.uid;
        for container in lasting(pod).filter(|one| answered && self.meters.running(uid, &one.name)) {
            let [before, last] = self.readings(pod, &container.name, asked)?;
            let total = |at: SimTime| self.meters.cpu_total(uid, &container.name, at).unwrap_or(0);
            let (core_ns, window) = (total(last) - total(before), last - before);
            // Nanocores; whoever asks for thousandths gets them rounded up.
            let nano = i128::from(core_ns) * 1_000_000_000 / i128::from(window.0);
            let milli_cpu = (nano + 999_999) / 1_000_000;
            let memory = self.meters.memory(uid, &container.name, last).unwrap_or(0);
            let known = metrics.get_or_insert(PodMetrics { time: last, window, containers: Vec::new() });
            if last < known.time {
                (known.time, known.window) = (last, window);
            }
            known.containers.push((container.name.clone(), Usage { milli_cpu: milli_cpu as i64, memory }));
        }
        metrics
    }

    fn gauge(&self, key: &GaugeKey, now: SimTime) -> Option<i64> {
        self.meters.gauge(key, now)
    }

    fn gauge_of_pod(&self, key: &GaugeKey, pod: &Pod, now: SimTime) -> Option<i64> {
        self.meters.gauge_of_pod(key, pod.meta.uid, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uid;
    use crate::model::builder::{pod, spec};

    #[test]
    fn readings_come_in_pairs() {
        let meters = Meters::default();
        let server = MetricsServer::new(meters.clone(), Seed(7));
        let mut pod = pod("web-1", spec("app", 100, 1 << 20));
        pod.meta.uid = Uid(5);
        let app = crate::name!("app");
        let pace = server.pace(&pod, &app);
        assert!((10.0..15.0).contains(&pace.as_secs_f64()), "{pace:?}");
        let started = SimTime::from_secs(100);
        meters.start(pod.meta.uid, &app, started, Usage { milli_cpu: 100, memory: 1 });
        let half = SimDuration(pace.0 / 2);
        // Before its first reading nothing is known; then it counts from its start, later from the reading before.
        let [first, second, tenth] = [1, 2, 10].map(|number| started + pace * number);
        let table = [
            (started + half, None),
            (first, Some([started, first])),
            (first + half, Some([started, first])),
            (tenth + half, Some([9, 10].map(|number| started + pace * number))),
        ];
        for (asked, expected) in table {
            let mut have = server.readings(&pod, &app, asked);
            // 15 s before `asked` there may have been one reading fewer than two.
            if let (Some([before, _]), Some([wanted, _])) = (&mut have, expected)
                && *before < wanted
            {
                assert!(wanted - *before <= pace, "{asked:?}");
                *before = wanted;
            }
            assert_eq!(have, expected, "{asked:?}");
        }
        assert!(second < tenth);
        // Questions between two rounds get the answer of the last round.
        let now = SimTime::from_secs(1000);
        let asked = server.asked(now);
        assert!(asked <= now && now - asked < RESOLUTION);
        assert_eq!(server.asked(asked), asked);
        assert_eq!(server.asked(asked + SimDuration(RESOLUTION.0 - 1)), asked);
    }
}
