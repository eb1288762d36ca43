//! Before the first container of a pod: its volumes are attached and mounted (`pkg/kubelet/volumemanager/`,
//! `pkg/volume/util/operationexecutor/operation_generator.go`).
//!
//! A worked example: the pod's claim is bound → with its next status the node says that it is about to use the
//! volume → the attach and detach controller has attached it, and the node's `volumesAttached` says so → the volume
//! is mounted → the sandbox is made. A config map that is missing holds the pod up here, too.
//!
//! One thing to know: what fails is tried again after half a second, then a second, two, four, up to two minutes; a
//! volume that is attached in between is not noticed sooner.

use super::config;
use super::pod_worker::{Env, PodWorker, Stage};
use crate::model::pod::ConfigSeen;
use crate::model::storage::{CSIDriver, ClaimPhase};
use crate::model::{Name, PersistentVolume, PersistentVolumeClaim};
use crate::rng::Delay;
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// First wait after a failure (`pkg/util/goroutinemap/exponentialbackoff/exponential_backoff.go`).
const BACKOFF: SimDuration = SimDuration::from_millis(500);
/// Longest such wait.
const BACKOFF_MAX: SimDuration = SimDuration::from_secs(122);
/// What a pod's worker waits after a sync that failed (`backOffPeriod`), up to half as much again.
const SYNC_BACKOFF: SimDuration = SimDuration::from_secs(10);

/// The volumes of one pod.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    /// What the node says it uses for this pod, by unique name.
    pub in_use: Vec<Name>,
    /// Failures in a row.
    failures: u32,
    /// The files from config maps and secrets, as mounted.
    pub files: Vec<ConfigSeen>,
    /// When the files are looked at again, if something changed.
    pub refresh: Option<SimTime>,
    /// The last instant at which the worker looked at its files by itself, and how many there were.
    synced: Option<(SimTime, u32)>,
}

/// What a pod waits for before it gets its sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// The node has to say that it uses a volume.
    Report,
    /// The next try.
    Retry(SimTime),
    /// The mount is done then.
    Mount(SimTime),
}

/// A try's end.
enum Try {
    /// Everything can be mounted; whether there are volumes of claims.
    Good(bool),
    /// The node has not said that it uses the volume.
    Unreported,
    /// A volume is not attached yet.
    Unattached,
    /// Something is missing.
    Missing(Vec<String>),
    /// A claim cannot be used.
    Bad(String),
}

impl PodWorker {
    /// Begins with the volumes; without any it goes straight to the sandbox.
    pub fn begin_volumes(&mut self, env: &mut Env<'_>, now: SimTime) {
        let claims = env.pod.claims().next().is_some();
        if !claims && !config::reads_config(env.pod) {
            return self.begin_sandbox(env, now);
        }
        self.try_volumes(env, now);
    }

    /// Something about the node or the pod's claims changed: a pod that waits for a report may go on.
    pub fn volumes_changed(&mut self, env: &mut Env<'_>, now: SimTime) {
        if let Stage::Volumes { waiting: Waiting::Report } = self.stage {
            self.try_volumes(env, now);
        }
    }

    /// What the pod waited for is due.
    pub(super) fn volumes_due(&mut self, env: &mut Env<'_>, waiting: Waiting, now: SimTime) {
        match waiting {
            Waiting::Mount(_) => self.begin_sandbox(env, now),
            Waiting::Report | Waiting::Retry(_) => self.try_volumes(env, now),
        }
    }

    fn try_volumes(&mut self, env: &mut Env<'_>, now: SimTime) {
        let waiting = match self.volumes(env) {
            Try::Good(false) => return self.begin_sandbox(env, now),
            Try::Good(true) => Waiting::Mount(now + env.draw(env.settings.mount, "mount", "", self.sandboxes)),
            Try::Unreported => Waiting::Report,
            Try::Unattached => Waiting::Retry(now + self.volume_backoff()),
            Try::Missing(messages) => {
                for message in messages {
                    env.warn(crate::name!("FailedMount"), message);
                }
                Waiting::Retry(now + self.volume_backoff())
            }
            Try::Bad(message) => {
                env.warn(crate::name!("FailedMount"), message);
                let longest = SYNC_BACKOFF + SYNC_BACKOFF.scaled(0.5);
                let wait = env.draw(Delay::Uniform(SYNC_BACKOFF, longest), "volume-sync", "", self.mounts.failures);
                self.mounts.failures += 1;
                Waiting::Retry(now + wait)
            }
        };
        self.stage = Stage::Volumes { waiting };
    }

    fn volume_backoff(&mut self) -> SimDuration {
        let doubled = BACKOFF.0 << self.mounts.failures.min(16);
        self.mounts.failures += 1;
        SimDuration(doubled).min(BACKOFF_MAX)
    }

    /// Looks at all volumes at once.
    fn volumes(&mut self, env: &mut Env<'_>) -> Try {
        let mut bound = Vec::new();
        for (name, _) in env.pod.claims() {
            match usable(&env.pod.meta.namespace, &name, env) {
                Ok(volume) => bound.push(volume),
                Err(why) => return Try::Bad(unprocessed(env, &name, &why)),
            }
        }
        let attachable = |volume: &Arc<PersistentVolume>| {
            let driver = env.view.fetch::<CSIDriver>(&Name::new(), &volume.driver);
            volume.unique_name().filter(|_| driver.is_none_or(|driver| driver.attach_required))
        };
        let wanted: Vec<Name> = bound.iter().filter_map(attachable).collect();
        if self.mounts.in_use != wanted {
            env.node.use_volumes(&self.mounts.in_use, &wanted);
            self.mounts.in_use = wanted;
        }
        match config::files(env.pod, &self.mounts.files, env.view) {
            Ok(files) => self.mounts.files = files,
            Err(missing) => return Try::Missing(missing),
        }
        let node = env.view.node(&env.node.name);
        let all = |has: fn(&crate::model::Node) -> &Vec<Name>| {
            node.is_some_and(|node| self.mounts.in_use.iter().all(|name| has(node).contains(name)))
        };
        if !self.mounts.in_use.is_empty() {
            if !all(|node| &node.volumes_in_use) {
                return Try::Unreported;
            }
            if !all(|node| &node.volumes_attached) {
                return Try::Unattached;
            }
        }
        self.mounts.failures = 0;
        Try::Good(!bound.is_empty())
    }

    /// A config map or secret changed: the files follow when the worker next looks at its pod, every 60 to 90 s
    /// (`pkg/kubelet/pod_workers.go`, `completeWork`).
    pub fn config_changed(&mut self, env: &Env<'_>, now: SimTime) {
        if self.stopping() || !self.sandbox || self.mounts.refresh.is_some() {
            return;
        }
        if config::files(env.pod, &self.mounts.files, env.view).is_ok_and(|files| files == self.mounts.files) {
            return;
        }
        let (mut at, mut count) = self.mounts.synced.unwrap_or((self.start_time, 0));
        while at <= now {
            let longest = env.settings.sync_frequency + env.settings.sync_frequency.scaled(env.settings.resync_jitter);
            at += env.draw(Delay::Uniform(env.settings.sync_frequency, longest), "config-sync", "", count);
            count += 1;
        }
        self.mounts.synced = Some((at, count));
        self.mounts.refresh = Some(at);
    }

    /// The files are brought up to date.
    pub(super) fn refresh_files(&mut self, env: &mut Env<'_>) {
        self.mounts.refresh = None;
        match config::files(env.pod, &self.mounts.files, env.view) {
            Ok(files) => {
                self.publish |= files != self.mounts.files;
                self.mounts.files = files;
            }
            Err(missing) => {
                for message in missing {
                    env.warn(crate::name!("FailedMount"), message);
                }
            }
        }
    }
}

/// The volume of a claim that can be used (`pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go`,
/// `getPVCExtractPV`).
fn usable(namespace: &Name, name: &Name, env: &Env<'_>) -> Result<Arc<PersistentVolume>, String> {
    let Some(claim) = env.view.fetch::<PersistentVolumeClaim>(namespace, name) else {
        let missing = format!("persistentvolumeclaims {:?} not found", name.as_str());
        return Err(format!("failed to fetch PVC from API server: {missing}"));
    };
    if claim.meta.deleting() {
        return Err("PVC is being deleted".to_string());
    }
    if claim.phase != ClaimPhase::Bound || claim.volume.is_empty() {
        return Err("PVC is not bound".to_string());
    }
    let volume = env.view.fetch::<PersistentVolume>(&Name::new(), &claim.volume);
    volume.cloned().ok_or_else(|| format!("persistentvolumes {:?} not found", claim.volume.as_str()))
}

/// The message about a pod whose claim cannot be used.
fn unprocessed(env: &Env<'_>, claim: &Name, why: &str) -> String {
    let namespace = &env.pod.meta.namespace;
    let volumes = env.pod.spec.volumes.iter().filter(|volume| match &volume.source {
        crate::model::pod_spec::VolumeSource::Claim(name) => name == claim,
        crate::model::pod_spec::VolumeSource::Ephemeral => *claim == format!("{}-{}", env.pod.meta.name, volume.name),
        _ => false,
    });
    let names: Vec<&str> = volumes.map(|volume| volume.name.as_str()).collect();
    let list = names.join(" ");
    format!(
        "Unable to attach or mount volumes: unmounted volumes=[{list}], unattached volumes=[], failed to process volumes=[{list}]: error processing PVC {namespace}/{claim}: {why}"
    )
}
