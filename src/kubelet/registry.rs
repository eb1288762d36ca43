//! The registry that all nodes pull from: how much it gives at a time, whom it turns away, and when it is not there.
//!
//! A registry with a `totalBandwidth` of five pulls serves five at a time, first come, first served; a `rateLimit` counts
//! the pulls of each node in a window that begins with its first one, as public registries do by address.
//!
//! A fault concerns the pulls that are asked for while it lasts. What is under way or in line goes through.

use super::settings::KubeletSettings;
use crate::model::Name;
use crate::model::machine::RegistryFault;
use crate::scenario::behavior::glob_matches;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;

/// How long a connection is tried that nobody answers (containerd's `dialTimeout`).
const DIAL_TIMEOUT: SimDuration = SimDuration::from_secs(30);

/// Why a pull failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PullFailure {
    /// The registry has no such image.
    NotFound,
    /// The registry answers that it cannot.
    Unavailable,
    /// The registry does not answer.
    Silent,
    /// Too many pulls.
    TooMany,
    /// More pulls at once than `registryPullQPS` allows.
    Throttled,
    /// The node has no room for the image.
    NoSpace,
}

/// The registry.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// The faults in force, by incident.
    faults: Vec<(Name, RegistryFault)>,
    /// Patterns of the images that it has lost, by incident.
    lost: Vec<(Name, Name)>,
    /// When each of the pulls that it serves at a time is through.
    lanes: Vec<SimTime>,
    /// The window of each node: since when, and how many pulls.
    windows: FxHashMap<Name, (SimTime, u32)>,
}

impl Registry {
    /// A fault begins.
    pub fn fault(&mut self, incident: &Name, fault: RegistryFault) {
        self.faults.push((incident.clone(), fault));
    }

    /// It is over.
    pub fn fault_over(&mut self, incident: &Name) {
        self.faults.retain(|(name, _)| name != incident);
        self.lost.retain(|(name, _)| name != incident);
    }

    /// It loses the images of a pattern.
    pub fn lose(&mut self, incident: &Name, pattern: &Name) {
        self.lost.push((incident.clone(), pattern.clone()));
    }

    /// Whether it has lost an image.
    pub fn has_lost(&self, image: &str) -> bool {
        self.lost.iter().any(|(_, pattern)| glob_matches(pattern, image))
    }

    /// Whether it turns a node's pull away at `at`, and how long that takes beyond its answer.
    pub fn refuses(
        &mut self,
        node: &Name,
        settings: &KubeletSettings,
        at: SimTime,
    ) -> Option<(PullFailure, SimDuration)> {
        for (_, fault) in &self.faults {
            match fault {
                RegistryFault::Silent => return Some((PullFailure::Silent, DIAL_TIMEOUT)),
                RegistryFault::Unavailable => return Some((PullFailure::Unavailable, SimDuration::ZERO)),
                RegistryFault::TooMany => return Some((PullFailure::TooMany, SimDuration::ZERO)),
                RegistryFault::Slow(_) => {}
            }
        }
        let (most, span) = settings.rate_limit?;
        let window = self.windows.entry(node.clone()).or_insert((at, 0));
        if at - window.0 >= span {
            *window = (at, 0);
        }
        if window.1 >= most {
            return Some((PullFailure::TooMany, SimDuration::ZERO));
        }
        window.1 += 1;
        None
    }

    /// When `bytes` asked for at `at` are there, on a disk that takes them at `disk` thousandths of its speed.
    pub fn transfer(&mut self, bytes: i64, disk: i64, settings: &KubeletSettings, at: SimTime) -> SimTime {
        let slow = self.faults.iter().fold(1000, |speed, (_, fault)| match fault {
            RegistryFault::Slow(share) => speed * share / 1000,
            _ => speed,
        });
        let each = match settings.registry_bandwidth {
            0 => settings.pull_bandwidth,
            all => settings.pull_bandwidth.min(all),
        };
        let time = if each <= 0 {
            SimDuration::ZERO
        } else {
            let nanoseconds = i128::from(bytes.max(0)) * 1_000_000_000 / i128::from(each);
            let nanoseconds = nanoseconds * 1_000_000 / i128::from((slow * disk).max(1));
            SimDuration(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
        };
        if settings.registry_bandwidth == 0 || each <= 0 {
            return at + time;
        }
        let lanes = usize::try_from(settings.registry_bandwidth / each).unwrap_or(1).max(1);
        self.lanes.resize(lanes, SimTime(i64::MIN));
        let first = self.lanes.iter_mut().min().expect("at least one lane");
        *first = (*first).max(at) + time;
        *first
    }
}

/// What the runtime tells of a pull that failed.
pub fn error_text(image: &str, failure: PullFailure) -> String {
    let full = super::images::full(image);
    let pull = format!("failed to pull and unpack image \"{full}\"");
    let resolve = format!("{pull}: failed to resolve reference \"{full}\"");
    let (path, tag) = full.rsplit_once(':').unwrap_or((full.as_str(), "latest"));
    let (host, path) = path.split_once('/').unwrap_or((path, ""));
    let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
    let url = format!("https://{host}/v2/{path}/manifests/{tag}");
    match failure {
        PullFailure::NotFound => format!("rpc error: code = NotFound desc = {resolve}: {full}: not found"),
        PullFailure::Unavailable => format!(
            "rpc error: code = Unknown desc = {resolve}: unexpected status from HEAD request to {url}: 503 Service \
             Unavailable"
        ),
        PullFailure::Silent => format!(
            "rpc error: code = Unknown desc = {resolve}: failed to do request: Head \"{url}\": dial tcp {host}:443: i/o \
             timeout"
        ),
        PullFailure::TooMany => format!(
            "rpc error: code = Unknown desc = {resolve}: unexpected status from HEAD request to {url}: 429 Too Many \
             Requests: toomanyrequests: You have reached your unauthenticated pull rate limit. \
             https://www.docker.com/increase-rate-limit"
        ),
        PullFailure::Throttled => "pull QPS exceeded".to_string(),
        PullFailure::NoSpace => {
            format!(
                "rpc error: code = Unknown desc = {pull}: failed to extract layer: no space left on device: unknown"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_windows_and_faults() {
        let settings = KubeletSettings {
            pull_bandwidth: 100,
            registry_bandwidth: 200,
            rate_limit: Some((2, SimDuration::from_secs(60))),
            ..KubeletSettings::default()
        };
        let at = SimTime::from_secs;
        let mut registry = Registry::default();
        // Two at a time, ten seconds each; the third waits for the first.
        let ends = [0, 1, 2].map(|second| registry.transfer(1000, 1000, &settings, at(second)));
        assert_eq!(ends, [at(10), at(11), at(20)]);
        // A disk at half its speed, a registry at a tenth: 200 s.
        registry.fault(&crate::name!("i"), RegistryFault::Slow(100));
        assert_eq!(registry.transfer(1000, 500, &settings, at(100)), at(300));
        registry.fault_over(&crate::name!("i"));
        // Two pulls a minute, by node.
        let node = crate::name!("n");
        let mut ask = |second: i64| registry.refuses(&node, &settings, at(second)).map(|(failure, _)| failure);
        let many = Some(PullFailure::TooMany);
        assert_eq!([0, 59, 59, 60].map(&mut ask), [None, None, many, None]);
        registry.fault(&crate::name!("i"), RegistryFault::Silent);
        let silent = registry.refuses(&crate::name!("m"), &settings, at(0));
        assert_eq!(silent, Some((PullFailure::Silent, SimDuration::from_secs(30))));
    }

    #[test]
    fn texts() {
        let text = error_text("app:2", PullFailure::Unavailable);
        assert!(text.ends_with("https://registry-1.docker.io/v2/library/app/manifests/2: 503 Service Unavailable"));
        assert!(
            error_text("reg.example.com/a/b:1", PullFailure::TooMany)
                .contains("https://reg.example.com/v2/a/b/manifests/1: 429")
        );
    }
}
