//! How fast kubelets are. The defaults are those of a real cluster; other constants make other kubelets,
//! such as the work-free one of the recorded timelines ([`KubeletSettings::work_free`]).

use crate::rng::Delay;
use crate::scenario::Timing;
use crate::time::SimDuration;

/// Periods and latencies of every kubelet (`pkg/kubelet/apis/config/v1beta1/defaults.go`).
#[derive(Clone, Debug)]
pub struct KubeletSettings {
    /// From the kubelet's start to its first Ready status.
    pub ready_delay: SimDuration,
    /// How often the node status is computed (`nodeStatusUpdateFrequency`).
    pub node_status_period: SimDuration,
    /// What the node's lease promises.
    pub lease_duration: SimDuration,
    /// Between two looks at the container runtime (`pkg/kubelet/pleg/generic.go`): an exit is seen at the
    /// next. Zero: at once.
    pub relist: SimDuration,
    /// Sandbox and volumes, before the first container.
    pub sandbox: Delay,
    /// Staging and publishing the volumes of a pod's claims once they are attached: the device, its file system.
    pub mount: Delay,
    /// Creating and starting one container.
    pub container_start: Delay,
    /// From seeing an exit to acting on it.
    pub restart_delay: SimDuration,
    /// From seeing an exit to showing CrashLoopBackOff.
    pub crash_loop_shown: SimDuration,
    /// First back-off of a container that ended again.
    pub crash_loop_initial: SimDuration,
    /// Longest such back-off (`crashLoopBackOff.maxContainerRestartPeriod`).
    pub crash_loop_max: SimDuration,
    /// A run that ended this long after the last back-off began starts over.
    pub crash_loop_reset: SimDuration,
    /// From a failed pull to showing ImagePullBackOff.
    pub image_back_off_shown: SimDuration,
    /// First back-off of a failed pull.
    pub image_back_off_initial: SimDuration,
    /// Longest such back-off.
    pub image_back_off_max: SimDuration,
    /// A worker that waits for a back-off wakes up to this fraction later (`pkg/kubelet/pod_workers.go`).
    pub resync_jitter: f64,
    /// A waiting worker looks again at least this often (`syncFrequency`).
    pub sync_frequency: SimDuration,
    /// Least time between SIGTERM and SIGKILL
    /// (`pkg/kubelet/kuberuntime/kuberuntime_container.go`, `minimumGracePeriodInSeconds`).
    pub stop_least: SimDuration,
    /// Ending a pod of which no container was tried.
    pub stop_unstarted: SimDuration,
    /// Ending a pod of which no container runs any more or could be started.
    pub stop_waiting: SimDuration,
    /// From the last exit of a pod that is stopped to its final status.
    pub final_status_delay: SimDuration,
    /// From the final status of a deleted pod to its removal: volumes, cgroup, flushing of the status.
    pub removal_delay: SimDuration,
    /// Bytes a second of one image pull; 0 is no limit.
    pub pull_bandwidth: i64,
    /// Bytes a second of all pulls of all nodes together; 0 is no limit.
    pub registry_bandwidth: i64,
    /// How many pulls a node may make in how much time.
    pub rate_limit: Option<(u32, SimDuration)>,
    /// From asking the registry to its first byte.
    pub pull_latency: Delay,
    /// One pull at a time (`serializeImagePulls`).
    pub serial_pulls: bool,
    /// Whether pulls that go on side by side are limited to 5 a second (`registryPullQPS`).
    pub pull_limit: bool,
    /// Bytes of an image of which nothing is said.
    pub default_image_size: i64,
    /// Whether `status.images` of the node is kept up to date.
    pub report_images: bool,
    /// Whether events are recorded.
    pub events: bool,
}

impl Default for KubeletSettings {
    fn default() -> Self {
        KubeletSettings {
            ready_delay: SimDuration::ZERO,
            node_status_period: SimDuration::from_secs(10),
            lease_duration: SimDuration::from_secs(40),
            relist: SimDuration::from_secs(1),
            sandbox: Delay::Uniform(SimDuration::from_millis(300), SimDuration::from_millis(700)),
            mount: Delay::Uniform(SimDuration::from_millis(500), SimDuration::from_secs(2)),
            container_start: Delay::Uniform(SimDuration::from_millis(100), SimDuration::from_millis(300)),
            restart_delay: SimDuration::ZERO,
            crash_loop_shown: SimDuration::from_secs(1),
            crash_loop_initial: SimDuration::from_secs(10),
            crash_loop_max: SimDuration::from_secs(300),
            crash_loop_reset: SimDuration::from_secs(600),
            image_back_off_shown: SimDuration::from_secs(10),
            image_back_off_initial: SimDuration::from_secs(10),
            image_back_off_max: SimDuration::from_secs(300),
            resync_jitter: 0.5,
            sync_frequency: SimDuration::from_secs(60),
            stop_least: SimDuration::from_secs(2),
            stop_unstarted: SimDuration::from_millis(100),
            stop_waiting: SimDuration::from_millis(100),
            final_status_delay: SimDuration::ZERO,
            removal_delay: SimDuration::from_secs(1),
            pull_bandwidth: 50 << 20,
            registry_bandwidth: 0,
            rate_limit: None,
            pull_latency: Delay::Uniform(SimDuration::from_millis(200), SimDuration::from_millis(600)),
            serial_pulls: true,
            pull_limit: true,
            default_image_size: 100 << 20,
            report_images: true,
            events: true,
        }
    }
}

impl KubeletSettings {
    /// The constants of a kubelet that does no container work: what the recorded timelines were made with.
    /// Together with [`super::behavior::AnnotatedBehavior`] it is that kubelet.
    pub fn work_free() -> Self {
        let never = SimDuration::from_secs(1_000_000_000);
        KubeletSettings {
            relist: SimDuration::ZERO,
            sandbox: Delay::Constant(SimDuration::ZERO),
            mount: Delay::Constant(SimDuration::ZERO),
            container_start: Delay::Constant(SimDuration::ZERO),
            restart_delay: SimDuration::from_secs(1),
            image_back_off_initial: never,
            image_back_off_max: never,
            resync_jitter: 0.0,
            stop_least: SimDuration::ZERO,
            stop_waiting: SimDuration::from_secs(1),
            removal_delay: SimDuration::from_millis(200),
            pull_bandwidth: 0,
            pull_latency: Delay::Constant(SimDuration::ZERO),
            serial_pulls: false,
            pull_limit: false,
            report_images: false,
            events: false,
            ..KubeletSettings::default()
        }
    }

    /// What a scenario's `timing` says; the rest is the default.
    pub fn from_timing(timing: &Timing) -> Self {
        let (kubelet, registry) = (&timing.kubelet, &timing.registry);
        KubeletSettings {
            node_status_period: kubelet.node_status_update_frequency.0,
            lease_duration: kubelet.lease_duration.0,
            relist: kubelet.relist_period.0,
            sandbox: kubelet.sandbox_time.into(),
            mount: kubelet.mount_time.into(),
            container_start: kubelet.container_start_time.into(),
            crash_loop_initial: kubelet.crash_loop_initial_backoff.0,
            crash_loop_max: kubelet.crash_loop_max_backoff.0,
            serial_pulls: kubelet.serialize_image_pulls,
            pull_bandwidth: registry.bandwidth.0.whole(),
            registry_bandwidth: registry.total_bandwidth.map_or(0, |bandwidth| bandwidth.0.whole()),
            rate_limit: registry.rate_limit.map(|limit| (limit.pulls, limit.per.0)),
            pull_latency: registry.latency.into(),
            default_image_size: registry.default_image_size.0.whole(),
            ..KubeletSettings::default()
        }
    }
}
