//! A kubelet's configuration, in the words of `KubeletConfiguration`
//! (`staging/src/k8s.io/kubelet/config/v1beta1/types.go`).
//!
//! ```yaml
//! pools:
//! - name: small
//!   count: 3
//!   kubelet:
//!     evictionHard: {memory.available: 500Mi, nodefs.available: 10%}
//!     evictionSoft: {memory.available: 1Gi}
//!     evictionSoftGracePeriod: {memory.available: 90s}
//!     shutdownGracePeriod: 60s
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::manifests::Manifests;
use super::units::{Duration, Quantity};
use crate::error::did_you_mean;
use crate::model::machine::{KubeletSetup, Level, Signal, Threshold};
use crate::model::quantity::parse_quantity;
use crate::time::SimDuration;

/// What one kubelet does differently from the defaults.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeletConfig {
    /// Below these amounts pods are evicted at once: `memory.available`, `nodefs.available`, `nodefs.inodesFree`,
    /// `imagefs.available`, `imagefs.inodesFree`, `pid.available`, as amounts or percentages. Default: memory 100Mi,
    /// nodefs 10%, imagefs 15%, inodes 5%.
    pub eviction_hard: Option<BTreeMap<String, String>>,
    /// Below these amounts pods are evicted after the grace period of the signal.
    pub eviction_soft: BTreeMap<String, String>,
    /// For how long a soft threshold must be met.
    pub eviction_soft_grace_period: BTreeMap<String, Duration>,
    /// How many seconds a pod gets to stop after a soft threshold. Default 0.
    pub eviction_max_pod_grace_period: Option<u32>,
    /// How much more than needed is freed once an eviction begins.
    pub eviction_minimum_reclaim: BTreeMap<String, String>,
    /// How long a pressure condition stays after the pressure. Default 5m.
    pub eviction_pressure_transition_period: Option<Duration>,
    /// Above this share of the disk unused images are removed. Default 85.
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub image_gc_high_threshold_percent: Option<u8>,
    /// Down to this share. Default 80.
    #[serde(rename = "imageGCLowThresholdPercent")]
    pub image_gc_low_threshold_percent: Option<u8>,
    /// Younger images stay. Default 2m.
    #[serde(rename = "imageMinimumGCAge")]
    pub image_minimum_gc_age: Option<Duration>,
    /// One image at a time. Default: as `timing.kubelet` says.
    pub serialize_image_pulls: Option<bool>,
    /// So many images at a time, if they are not pulled one by one. Default: as many as are asked for.
    pub max_parallel_image_pulls: Option<u32>,
    /// How long a shutdown of the node waits for its pods. Default 0: the feature is off.
    pub shutdown_grace_period: Option<Duration>,
    /// The part of it that is kept for critical pods.
    pub shutdown_grace_period_critical_pods: Option<Duration>,
    /// How many processes the machine can run. Default 32768.
    pub pid_max: Option<u32>,
    /// How many files its disk can hold. Default: one for each 16 KiB, as ext4 has it.
    pub inodes: Option<Quantity>,
    /// Pods that the kubelet runs of itself, from the folder of its `staticPodPath`: files, or pods written in place.
    pub static_pods: Manifests,
}

/// A fault of the configuration: field, message, help.
pub type Fault = (String, String, String);

impl KubeletConfig {
    /// The thresholds, hard ones first, and what is wrong with them.
    fn thresholds(&self) -> (Vec<Threshold>, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut levels = |field: &str, map: &BTreeMap<String, String>| -> Vec<(Signal, Option<Level>)> {
            let read = |(name, text): (&String, &String)| match (signal(name), level(text)) {
                (Ok(signal), Ok(level)) => Some((signal, level)),
                (signal, level) => {
                    let path = format!("{field}.{name}");
                    let faulty = signal.map(|_| ()).and(level.map(|_| ()));
                    let (message, help) = faulty.err().unwrap_or_default();
                    faults.push((path, message, help));
                    None
                }
            };
            map.iter().filter_map(read).collect()
        };
        let reclaim = levels("evictionMinimumReclaim", &self.eviction_minimum_reclaim);
        let soft = levels("evictionSoft", &self.eviction_soft);
        let hard = self.eviction_hard.as_ref().map(|map| levels("evictionHard", map));
        let more = |signal| reclaim.iter().find(|(of, _)| *of == signal).and_then(|(_, level)| *level);
        let mut all = Vec::new();
        for (signal, below) in hard.into_iter().flatten() {
            all.extend(below.map(|below| Threshold { signal, below, grace: SimDuration::ZERO, reclaim: more(signal) }));
        }
        if self.eviction_hard.is_none() {
            all = KubeletSetup::default().thresholds;
            all.iter_mut().for_each(|threshold| threshold.reclaim = more(threshold.signal));
        }
        for (signal, below) in soft {
            match self.eviction_soft_grace_period.get(signal.as_str()) {
                Some(grace) => {
                    all.extend(below.map(|below| Threshold { signal, below, grace: grace.0, reclaim: more(signal) }))
                }
                None => faults.push((
                    format!("evictionSoft.{}", signal.as_str()),
                    format!("the soft threshold of {} has no grace period", signal.as_str()),
                    format!("add evictionSoftGracePeriod: {{{}: 90s}}", signal.as_str()),
                )),
            }
        }
        (all, faults)
    }

    /// What is wrong with it.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.thresholds().1;
        for name in self.eviction_soft_grace_period.keys() {
            if !self.eviction_soft.contains_key(name) {
                let message = format!("there is no soft threshold of {name:?}");
                let help = format!("add evictionSoft: {{{name}: …}}, or remove the grace period");
                faults.push((format!("evictionSoftGracePeriod.{name}"), message, help));
            }
        }
        let setup = self.setup();
        if setup.image_gc_high_percent > 100 || setup.image_gc_low_percent >= setup.image_gc_high_percent {
            let message = format!(
                "images are removed above {} % down to {} %",
                setup.image_gc_high_percent, setup.image_gc_low_percent
            );
            let help = "the low threshold must be less than the high one, and both at most 100";
            faults.push(("imageGCHighThresholdPercent".to_string(), message, help.to_string()));
        }
        if setup.shutdown_grace_critical > setup.shutdown_grace {
            let message = "critical pods have more time than all pods together".to_string();
            let help = "raise shutdownGracePeriod, or lower shutdownGracePeriodCriticalPods".to_string();
            faults.push(("shutdownGracePeriodCriticalPods".to_string(), message, help));
        }
        if self.serialize_image_pulls == Some(true) && self.max_parallel_image_pulls.is_some_and(|most| most > 1) {
            let message = "images are pulled one by one, and several at a time".to_string();
            let help = "remove serializeImagePulls or maxParallelImagePulls".to_string();
            faults.push(("maxParallelImagePulls".to_string(), message, help));
        }
        faults
    }

    /// The setup that it makes; the machine's own part is left at its default.
    pub fn setup(&self) -> KubeletSetup {
        let plain = KubeletSetup::default();
        let time = |written: Option<Duration>, default: SimDuration| written.map_or(default, |time| time.0);
        let percent = |written: Option<u8>, default: i64| written.map_or(default, i64::from);
        KubeletSetup {
            thresholds: self.thresholds().0,
            eviction_grace_seconds: i64::from(self.eviction_max_pod_grace_period.unwrap_or(0)),
            pressure_transition: time(self.eviction_pressure_transition_period, plain.pressure_transition),
            image_gc_high_percent: percent(self.image_gc_high_threshold_percent, plain.image_gc_high_percent),
            image_gc_low_percent: percent(self.image_gc_low_threshold_percent, plain.image_gc_low_percent),
            image_gc_age: time(self.image_minimum_gc_age, plain.image_gc_age),
            parallel_pulls: match (self.serialize_image_pulls, self.max_parallel_image_pulls) {
                (Some(true), _) => Some(1),
                (_, Some(most)) => Some(most),
                (Some(false), None) => None,
                (None, None) => Some(0),
            },
            shutdown_grace: time(self.shutdown_grace_period, plain.shutdown_grace),
            shutdown_grace_critical: time(self.shutdown_grace_period_critical_pods, plain.shutdown_grace_critical),
            pids: self.pid_max.map_or(plain.pids, i64::from),
            inodes: self.inodes.map_or(plain.inodes, |count| count.0.whole()),
            static_pods: self.static_pods.objects.iter().map(|document| Arc::new(document.value.clone())).collect(),
            ..plain
        }
    }
}

fn signal(name: &str) -> Result<Signal, (String, String)> {
    let names = Signal::ALL.map(Signal::as_str);
    Signal::ALL.into_iter().find(|signal| signal.as_str() == name).ok_or_else(|| {
        let help = match did_you_mean(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the signals are {}", names.join(", ")),
        };
        (format!("unknown eviction signal {name:?}"), help)
    })
}

/// An amount or a percentage; 0% and 100% switch the threshold off.
fn level(text: &str) -> Result<Option<Level>, (String, String)> {
    let fault = || {
        let help = "write an amount such as 500Mi, or a share such as 10%".to_string();
        (format!("invalid threshold {text:?}"), help)
    };
    if let Some(percent) = text.strip_suffix('%') {
        let share: f32 = percent.trim().parse().map_err(|_| fault())?;
        return match share {
            share if share == 0.0 || share == 100.0 => Ok(None),
            share if (0.0..100.0).contains(&share) => Ok(Some(Level::percent(share))),
            _ => Err(fault()),
        };
    }
    match parse_quantity(text) {
        Ok(amount) if amount.whole() > 0 => Ok(Some(Level::Amount(amount.whole()))),
        _ => Err(fault()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let config = KubeletConfig {
            eviction_hard: Some(map(&[("memory.available", "500Mi"), ("nodefs.available", "0%")])),
            eviction_soft: map(&[("memory.available", "1Gi"), ("pid.available", "10%")]),
            eviction_soft_grace_period: [("memory.available".to_string(), Duration::secs(90))].into(),
            eviction_minimum_reclaim: map(&[("memory.available", "200Mi"), ("memory.avail", "1")]),
            ..KubeletConfig::default()
        };
        let thresholds = config.setup().thresholds;
        let reclaim = Some(Level::Amount(200 << 20));
        let memory = |below: i64, grace| Threshold {
            signal: Signal::MemoryAvailable,
            below: Level::Amount(below << 20),
            grace: SimDuration::from_secs(grace),
            reclaim,
        };
        assert_eq!(thresholds, [memory(500, 0), memory(1024, 90)]);
        let faults: Vec<String> =
            config.faults().into_iter().map(|(path, _, help)| format!("{path}: {help}")).collect();
        assert_eq!(
            faults,
            [
                "evictionMinimumReclaim.memory.avail: did you mean `memory.available`?",
                "evictionSoft.pid.available: add evictionSoftGracePeriod: {pid.available: 90s}",
            ]
        );
        assert_eq!(KubeletConfig::default().setup(), KubeletSetup::default());
    }
}
