//! Faults that happen again and again, by chance or by a trace.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::Scenario;
use super::super::units::{Distribution, Duration};
use super::trace::Trace;
use super::{FaultAction, with_faults};
use crate::error::Problem;
use crate::rng::Delay;
use crate::time::{SimDuration, SimTime};
use crate::wire::places::Places;

/// Most occurrences of all rules in one run.
pub const MAX_OCCURRENCES: usize = 1_000_000;

/// The shortest time on average from one occurrence to the next.
const SHORTEST: SimDuration = SimDuration::from_secs(1);

/// One entry of `faults`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "WrittenRule")]
pub struct FaultRule {
    /// When it happens.
    pub when: When,
    /// How long each time; for ever if absent.
    pub lasts: Option<Distribution<Duration>>,
    /// What.
    pub fault: FaultAction,
}

/// When a fault happens.
#[derive(Clone, PartialEq, Debug)]
pub enum When {
    /// Again and again, after random times.
    Every {
        /// From one to the next; with `each`, from the end of one to the beginning of the next.
        interval: Distribution<Duration>,
        /// What has a clock of its own: `node`, or a domain (`zone`, `pool`, a label). Absent: the rule has one.
        each: Option<String>,
        /// Not before.
        from: SimTime,
        /// Not after.
        until: Option<SimTime>,
        /// At most so often (each clock).
        times: Option<u32>,
    },
    /// As it was recorded.
    Trace(Trace),
}

macro_rules! written {
    ({} { $($(#[doc = $text:literal])+ $key:ident: $variant:ident($content:ty),)* }) => {
        /// One entry as it is written: when, and exactly one fault.
        #[derive(Deserialize, JsonSchema, Default)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        #[schemars(rename = "FaultRule")]
        struct WrittenRule {
            /// From one to the next: a length, or a distribution to draw it from. `{exponential: 30d}` is a constant
            /// rate of one in thirty days.
            every: Option<Distribution<Duration>>,
            /// Recorded failures instead of chance: a file, or a file with options.
            trace: Option<Trace>,
            /// What has a clock of its own: `node`, `zone`, `pool`, or a label of nodes such as `rack`: all nodes of one
            /// value of that label fail together. The next failure is counted from the end of the last. Absent: the rule
            /// has one clock, and whom it hits is drawn each time.
            each: Option<String>,
            /// Not before; 0s if absent.
            after: Option<Duration>,
            /// Not after; the end of the run if absent.
            until: Option<Duration>,
            /// At most so often; with `each`, of each clock.
            times: Option<u32>,
            /// How long each lasts: a length or a distribution. For ever if absent.
            #[serde(rename = "for")]
            lasts: Option<Distribution<Duration>>,
            $( $(#[doc = $text])+ $key: Option<$content>, )*
        }

        impl WrittenRule {
            /// The faults that were given.
            fn faults(&mut self) -> Vec<FaultAction> {
                let mut given = Vec::new();
                $( given.extend(self.$key.take().map(FaultAction::$variant)); )*
                given
            }
        }
    };
}
with_faults!(written! {});

impl TryFrom<WrittenRule> for FaultRule {
    type Error = String;
    fn try_from(mut written: WrittenRule) -> Result<Self, String> {
        let mut faults = written.faults();
        let fault = match (faults.pop(), faults.is_empty()) {
            (Some(fault), true) => fault,
            (None, _) => return Err("a rule without a fault; add one, such as nodeCrash: {pool: small}".to_string()),
            (Some(_), false) => return Err("more than one fault; write a rule of its own for each".to_string()),
        };
        let time = |length: Duration| SimTime(length.0.0);
        let clocked = written.each.is_some()
            || written.after.is_some()
            || written.until.is_some()
            || written.times.is_some()
            || written.lasts.is_some();
        let interval = match (written.every, written.trace) {
            (Some(interval), None) => interval,
            (None, Some(_)) if clocked => {
                return Err("a trace says itself when and how long; remove each, after, until, times, for".to_string());
            }
            (None, Some(trace)) => return Ok(FaultRule { when: When::Trace(trace), lasts: None, fault }),
            (Some(_), Some(_)) => return Err("both `every` and `trace`; write a rule of its own for each".to_string()),
            (None, None) => {
                return Err("missing field `every`; say how often: every: {exponential: 30d}".to_string());
            }
        };
        let when = When::Every {
            interval,
            each: written.each,
            from: written.after.map_or(SimTime::ZERO, time),
            until: written.until.map(time),
            times: written.times,
        };
        Ok(FaultRule { when, lasts: written.lasts, fault })
    }
}

impl JsonSchema for FaultRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FaultRule".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenRule::json_schema(generator)
    }
}

impl FaultRule {
    /// How long each time, wherever it is written.
    pub fn length(&self) -> Option<Distribution<Duration>> {
        self.lasts.or_else(|| self.fault.form().length())
    }

    /// What is wrong with when it happens.
    pub(super) fn check(&self, scenario: &Scenario, path: &str, places: &Places, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: String, help: &str| {
            problems.push(places.problem(&format!("{path}.{field}"), message, help));
        };
        let When::Every { interval, each, from, until, times } = &self.when else { return };
        let mean = Delay::from(*interval).mean();
        if mean < SHORTEST.0 as f64 {
            let mean = SimDuration(mean as i64);
            let message = format!("from one to the next it is {mean} on average, and must be {SHORTEST} at least");
            add("every", message, "write a duration such as 12h");
        }
        if let Some(each) = each {
            if self.fault.form().nodes().is_none() {
                let message = format!("`each` counts machines, and {} does not hit machines", self.fault.key());
                add("each", message, "remove it");
            }
            let counted = self.fault.form().nodes().is_some_and(|nodes| {
                nodes.domain.is_some() || each == "node" && (nodes.count.is_some() || nodes.share.is_some())
            });
            if counted {
                let message = "`each` says already which machines fail together".to_string();
                add("each", message, "remove `domain`, `count` or `share` of the fault");
            }
        }
        if *from >= scenario.end() {
            let message = format!("it begins after the end of the run ({})", scenario.duration.0);
            add("after", message, "choose an earlier time, or make `duration` longer");
        }
        if until.is_some_and(|until| until <= *from) {
            add("until", "it ends before it begins".to_string(), "write a later time");
        }
        if *times == Some(0) {
            add("times", "a fault that never happens".to_string(), "write 1 or more");
        }
    }
}
