//! When a container that ended is started again: restart policy and CrashLoopBackOff
//! (`pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `doBackOff`;
//! `staging/src/k8s.io/client-go/util/flowcontrol/backoff.go`).
//!
//! Example: exits of a container that ends at once are followed by a start after 0, 10, 20, 40, 80, 160,
//! 300, 300 … seconds.

use super::settings::KubeletSettings;
use crate::model::pod_spec::RestartRule;
use crate::model::{Container, RestartPolicy};
use crate::time::{SimDuration, SimTime};

/// One container's memory of its restarts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestartBackoff {
    /// The back-off in force and when it was last lengthened.
    pub entry: Option<(SimDuration, SimTime)>,
}

impl RestartBackoff {
    /// Whether a container that ended at `ended` may start at `now`; if so the next back-off is longer. If
    /// not, when it may.
    ///
    /// # Errors
    /// The instant at which it may start.
    pub fn try_start(&mut self, ended: SimTime, now: SimTime, settings: &KubeletSettings) -> Result<(), SimTime> {
        let fresh = self.entry.filter(|(_, updated)| ended - *updated <= settings.crash_loop_reset);
        let next = match fresh {
            Some((backoff, _)) if now - ended < backoff => return Err(ended + backoff),
            Some((backoff, _)) => (backoff * 2).min(settings.crash_loop_max),
            None => settings.crash_loop_initial.min(settings.crash_loop_max),
        };
        self.entry = Some((next, now));
        Ok(())
    }

    /// The back-off in force.
    pub fn current(&self) -> SimDuration {
        self.entry.map_or(SimDuration::ZERO, |(backoff, _)| backoff)
    }
}

/// Whether a container that ended with `exit_code` is to run again, in a pod of that policy
/// (`pkg/api/v1/pod/util.go`, `ContainerShouldRestart`).
pub fn restarts(container: &Container, policy: RestartPolicy, init: bool, exit_code: i32) -> bool {
    let asks = |rule: &RestartRule| rule.codes.contains(&exit_code) == rule.among;
    match container.restart_policy.unwrap_or(policy) {
        _ if container.sidecar => true,
        // An init container has done its work when it ends well.
        _ if init && exit_code == 0 => false,
        _ if container.restart_rules.iter().any(asks) => true,
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => exit_code != 0,
        RestartPolicy::Never => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_and_starts_over() {
        let settings = KubeletSettings::default();
        let mut backoff = RestartBackoff::default();
        let mut now = SimTime::from_secs(100);
        // Ends at once after every start: waits of 0, 10, 20 … capped at 300 s.
        for wait in [0, 10, 20, 40, 80, 160, 300, 300] {
            let ended = now;
            let mut tries = 0;
            while let Err(later) = backoff.try_start(ended, now, &settings) {
                now = later;
                tries += 1;
            }
            assert_eq!(now - ended, SimDuration::from_secs(wait));
            assert_eq!(tries, i32::from(wait > 0), "it is told once when to come back");
        }
        // 600 s after the last start it still counts, 601 s after it is forgotten.
        let mut remembered = backoff;
        assert!(
            remembered
                .try_start(now + SimDuration::from_secs(600), now + SimDuration::from_secs(601), &settings)
                .is_err()
        );
        assert_eq!(
            backoff.try_start(now + SimDuration::from_secs(601), now + SimDuration::from_secs(601), &settings),
            Ok(())
        );
        assert_eq!(backoff.current(), SimDuration::from_secs(10));
    }

    #[test]
    fn policies() {
        use RestartPolicy::{Always, Never, OnFailure};
        // (policy, sidecar, init, exit code, runs again)
        let table = [
            (Always, false, false, 0, true),
            (Always, false, false, 1, true),
            (OnFailure, false, false, 0, false),
            (OnFailure, false, false, 1, true),
            (Never, false, false, 1, false),
            (Never, true, true, 0, true),
            (Always, false, true, 0, false),
            (Always, false, true, 1, true),
            (Never, false, true, 1, false),
        ];
        for (policy, sidecar, init, code, expected) in table {
            let mut container = crate::model::builder::spec("i", 1, 1).containers.remove(0);
            container.sidecar = sidecar;
            assert_eq!(restarts(&container, policy, init, code), expected, "{policy:?} {sidecar} {init} {code}");
        }
        // A container's own policy before the pod's, and its rules before that: (own, in 42 or not, code, runs again).
        let own = [
            (Some(Always), None, 0, true),
            (Some(OnFailure), None, 1, true),
            (Some(OnFailure), None, 0, false),
            (Some(Never), Some(true), 42, true),
            (Some(Never), Some(true), 1, false),
            (Some(Never), Some(false), 42, false),
            (Some(Never), Some(false), 0, true),
        ];
        for (own, among, code, expected) in own {
            let mut container = crate::model::builder::spec("i", 1, 1).containers.remove(0);
            container.restart_policy = own;
            container.restart_rules = among.map(|among| RestartRule { among, codes: vec![42] }).into_iter().collect();
            assert_eq!(restarts(&container, Never, false, code), expected, "{own:?} {among:?} {code}");
        }
    }
}
