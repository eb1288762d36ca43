//! From what metrics ask for to what is done: stabilization, rates, bounds (`pkg/controller/podautoscaler/horizontal.go`).
//!
//! A worked example: with default behaviour and 4 pods, metrics ask for 20. Up: of "4 pods more" and "twice as many"
//! in 15 seconds the larger counts, so 8 are allowed now, and 16 a quarter of a minute later. Down: the highest
//! recommendation of the last five minutes wins, so a short dip changes nothing.

use crate::model::Truth;
use crate::model::autoscaling::{PolicySelect, ScalingBehavior, ScalingRules};
use crate::time::{SimDuration, SimTime};

/// `--horizontal-pod-autoscaler-downscale-stabilization`.
pub const DOWNSCALE_STABILIZATION: SimDuration = SimDuration::from_secs(300);

/// What an autoscaler remembers between its passes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// What was recommended when. Slots of old ones are used again.
    recommendations: Vec<(i32, SimTime)>,
    /// By how many replicas it grew when.
    ups: Vec<(i32, SimTime)>,
    /// By how many it shrank when.
    downs: Vec<(i32, SimTime)>,
}

/// Reason and message of a condition, and its status.
pub type Verdict = (Truth, &'static str, &'static str);

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Normalized {
    /// Replicas.
    pub replicas: i32,
    /// AbleToScale.
    pub able: Verdict,
    /// ScalingLimited.
    pub limited: Verdict,
}

/// The bounds of an autoscaler and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Replicas now.
    pub current: i32,
    /// At least.
    pub least: i32,
    /// At most.
    pub most: i32,
}

const READY: Verdict = (Truth::True, "ReadyForNewScale", "recommended size matches current size");
const UP_STABILIZED: Verdict = (
    Truth::True,
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const DOWN_STABILIZED: Verdict = (
    Truth::True,
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const WITHIN: (&str, &str) = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_FEW: (&str, &str) = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const TOO_MANY: (&str, &str) = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const UP_LIMIT: (&str, &str) =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: (&str, &str) =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");

impl Memory {
    /// At first sight the present size counts as recommended.
    pub fn begin(&mut self, current: i32, now: SimTime) {
        if self.recommendations.is_empty() {
            self.recommendations.push((current, now));
        }
    }

    /// Keeps a recommendation in the last slot that is `stale`, else in a new one.
    fn keep(&mut self, desired: i32, now: SimTime, stale: impl Fn(SimTime) -> bool) {
        match self.recommendations.iter_mut().rev().find(|(_, at)| stale(*at)) {
            Some(slot) => *slot = (desired, now),
            None => self.recommendations.push((desired, now)),
        }
    }

    /// Notes a change that was made. Only behaviours look at these.
    pub fn scaled(&mut self, behavior: Option<&ScalingBehavior>, from: i32, to: i32, now: SimTime) {
        let Some(behavior) = behavior else { return };
        let (events, rules) = match to > from {
            true => (&mut self.ups, &behavior.up),
            false => (&mut self.downs, &behavior.down),
        };
        let longest = rules.policies.iter().map(|policy| policy.period).max().unwrap_or(SimDuration::ZERO);
        let event = ((to - from).abs(), now);
        match events.iter_mut().rev().find(|(_, at)| *at < now - longest) {
            Some(slot) => *slot = event,
            None => events.push(event),
        }
    }

    /// Takes back the change noted at `now`: it was refused.
    pub fn not_scaled(&mut self, now: SimTime) {
        self.ups.retain(|(_, at)| *at != now);
        self.downs.retain(|(_, at)| *at != now);
    }

    /// What becomes of `desired`.
    pub fn normalize(
        &mut self,
        bounds: Bounds,
        desired: i32,
        behavior: Option<&ScalingBehavior>,
        now: SimTime,
    ) -> Normalized {
        let (stable, reason) = match behavior {
            None => (self.stabilize(desired, now), DOWN_STABILIZED),
            Some(behavior) => self.stabilize_by(bounds, desired, behavior, now),
        };
        let (replicas, (reason_limited, message)) = match behavior {
            None => bounded(bounds, stable),
            Some(behavior) => self.paced(bounds, stable, behavior, now),
        };
        Normalized {
            replicas,
            able: if stable == desired { READY } else { reason },
            limited: (Truth::from(replicas != stable), reason_limited, message),
        }
    }

    /// Without behaviours: the highest recommendation of the last five minutes.
    fn stabilize(&mut self, desired: i32, now: SimTime) -> i32 {
        let cutoff = now - DOWNSCALE_STABILIZATION;
        let recent = self.recommendations.iter().filter(|(_, at)| *at >= cutoff).map(|(replicas, _)| *replicas);
        let highest = recent.max().map_or(desired, |highest| highest.max(desired));
        self.keep(desired, now, |at| at < cutoff);
        highest
    }

    /// With behaviours: not above the lowest of the window up, not below the highest of the window down.
    fn stabilize_by(
        &mut self,
        bounds: Bounds,
        desired: i32,
        behavior: &ScalingBehavior,
        now: SimTime,
    ) -> (i32, Verdict) {
        let up_from = now - behavior.up.window.unwrap_or(SimDuration::ZERO);
        let down_from = now - behavior.down.window.unwrap_or(DOWNSCALE_STABILIZATION);
        let since = |cutoff: SimTime| {
            self.recommendations.iter().filter(move |(_, at)| *at > cutoff).map(|(replicas, _)| *replicas)
        };
        let lowest = since(up_from).fold(desired, i32::min);
        let highest = since(down_from).fold(desired, i32::max);
        self.keep(desired, now, |at| at < up_from && at < down_from);
        let mut stable = bounds.current;
        if stable < lowest {
            stable = lowest;
        }
        if stable > highest {
            stable = highest;
        }
        (stable, if desired >= bounds.current { UP_STABILIZED } else { DOWN_STABILIZED })
    }

    /// As fast as the policies allow, and within the bounds.
    fn paced(
        &self,
        bounds: Bounds,
        desired: i32,
        behavior: &ScalingBehavior,
        now: SimTime,
    ) -> (i32, (&'static str, &'static str)) {
        if desired > bounds.current {
            let limit = self.up_limit(bounds.current, &behavior.up, now).max(bounds.current);
            let (most, reason) = if bounds.most > limit { (limit, UP_LIMIT) } else { (bounds.most, TOO_MANY) };
            if desired > most {
                return (most, reason);
            }
        } else if desired < bounds.current {
            let limit = self.down_limit(bounds.current, &behavior.down, now).min(bounds.current);
            let (least, reason) = if bounds.least < limit { (limit, DOWN_LIMIT) } else { (bounds.least, TOO_FEW) };
            if desired < least {
                return (least, reason);
            }
        }
        (desired, WITHIN)
    }

    /// Replicas at the beginning of the period that ends now.
    fn began_with(&self, current: i32, period: SimDuration, now: SimTime) -> i32 {
        let within = |events: &[(i32, SimTime)]| -> i32 {
            events.iter().filter(|(_, at)| *at > now - period).map(|(change, _)| change).sum()
        };
        current - within(&self.ups) + within(&self.downs)
    }

    fn up_limit(&self, current: i32, rules: &ScalingRules, now: SimTime) -> i32 {
        let allowed = rules.policies.iter().map(|policy| {
            let start = self.began_with(current, policy.period, now);
            match policy.percent {
                // Rounded up, or a small set would never grow.
                true => (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
                false => start + policy.value,
            }
        });
        match rules.select {
            PolicySelect::Disabled => current,
            PolicySelect::Max => allowed.max().unwrap_or(current),
            PolicySelect::Min => allowed.min().unwrap_or(current),
        }
    }

    fn down_limit(&self, current: i32, rules: &ScalingRules, now: SimTime) -> i32 {
        let allowed = rules.policies.iter().map(|policy| {
            let start = self.began_with(current, policy.period, now);
            match policy.percent {
                true => (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32,
                false => start - policy.value,
            }
        });
        match rules.select {
            PolicySelect::Disabled => current,
            PolicySelect::Max => allowed.min().unwrap_or(current),
            PolicySelect::Min => allowed.max().unwrap_or(current),
        }
    }
}

/// Without behaviours: within the bounds, and at most twice as many (or four) at a time.
fn bounded(bounds: Bounds, desired: i32) -> (i32, (&'static str, &'static str)) {
    let limit = bounds.current.saturating_mul(2).max(4);
    let (most, reason) = if bounds.most > limit { (limit, UP_LIMIT) } else { (bounds.most, TOO_MANY) };
    match desired {
        _ if desired < bounds.least => (bounds.least, TOO_FEW),
        _ if desired > most => (most, reason),
        _ => (desired, WITHIN),
    }
}
