//! Virtual time: integer nanoseconds since the start of a run, and lengths of time.
//!
//! Durations are read and printed in Kubernetes' own notation, that of Go's `time.ParseDuration`
//! (`300ms`, `1.5s`, `1h30m`). Nothing here reads a clock: virtual zero is anchored to a fixed
//! calendar instant so that objects can carry RFC 3339 timestamps.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// The calendar instant of virtual zero: 2026-01-01T00:00:00Z, in Unix seconds.
pub const EPOCH_UNIX_SECONDS: i64 = 1_767_225_600;

/// An instant of virtual time: nanoseconds since the start of the run. Never negative in a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct SimTime(pub i64);

/// A length of virtual time in nanoseconds. May be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct SimDuration(pub i64);

impl SimTime {
    /// The start of the run.
    pub const ZERO: SimTime = SimTime(0);
    /// Later than everything.
    pub const MAX: SimTime = SimTime(i64::MAX);

    /// The instant `seconds` after the start.
    pub const fn from_secs(seconds: i64) -> Self {
        SimTime(seconds * SECOND)
    }

    /// Seconds since the start, for reports only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    /// Whole seconds since the start, rounded down: the precision of `metav1.Time` on the wire.
    pub const fn whole_seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// This instant cut to whole seconds, as the API server stores timestamps.
    pub const fn truncated(self) -> Self {
        SimTime(self.0 - self.0.rem_euclid(SECOND))
    }

    /// RFC 3339 with whole seconds (`metav1.Time`).
    pub fn rfc3339(self) -> String {
        let seconds = EPOCH_UNIX_SECONDS + self.whole_seconds();
        jiff::Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default()
    }

    /// `hh:mm:ss.mmm` since the start, as the trace and the reports show it; before it with a minus sign.
    pub fn clock(self) -> String {
        let ms = self.0.abs() / 1_000_000;
        let sign = if self.0 < 0 && ms > 0 { "-" } else { "" };
        let (s, ms) = (ms / 1000, ms % 1000);
        format!("{sign}{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: SimDuration = SimDuration(0);

    /// `n` seconds.
    pub const fn from_secs(n: i64) -> Self {
        SimDuration(n * SECOND)
    }
    /// `n` milliseconds.
    pub const fn from_millis(n: i64) -> Self {
        SimDuration(n * 1_000_000)
    }
    /// `n` microseconds.
    pub const fn from_micros(n: i64) -> Self {
        SimDuration(n * 1_000)
    }
    /// `seconds`, rounded to the nearest nanosecond; for sampled distributions.
    pub fn from_secs_f64(seconds: f64) -> Self {
        SimDuration((seconds * SECOND as f64).round() as i64)
    }
    /// Seconds, for reports and distributions only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }
    /// This length multiplied by a sampled factor.
    pub fn scaled(self, factor: f64) -> Self {
        SimDuration((self.0 as f64 * factor).round() as i64)
    }

    /// Reads Go's duration notation: one or more `<decimal><unit>` with units `ns us µs ms s m h`,
    /// an optional sign, or a bare `0`. `d` (24 h) is accepted too, since scenarios last days.
    ///
    /// # Errors
    /// A sentence that says what is wrong and lists the units.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |what: &str| {
            Err(format!(
                "{what}; write a number with a unit, such as 300ms, 1.5s, 10m, 1h30m (units: ns us ms s m h d)"
            ))
        };
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(SimDuration::ZERO);
        }
        if rest.is_empty() {
            return bad("empty duration");
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
            let (digits, tail) = rest.split_at(number);
            let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, next) = tail.split_at(unit_len);
            let scale: i128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => 86_400_000_000_000,
                "" => return bad(&format!("missing unit in duration {text:?}")),
                _ => return bad(&format!("unknown unit {unit:?} in duration {text:?}")),
            };
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 18 {
                return bad(&format!("invalid duration {text:?}"));
            }
            let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(i128::MAX / (1 << 60)) };
            total += whole * scale;
            let (mut digit_scale, mut part) = (scale, 0);
            for digit in fraction.bytes().take(18) {
                part += i128::from(digit - b'0') * digit_scale;
                digit_scale /= 10;
                if digit_scale == 0 {
                    break;
                }
            }
            total += part / 10;
            rest = next;
        }
        let total = if negative { -total } else { total };
        match i64::try_from(total) {
            Ok(ns) => Ok(SimDuration(ns)),
            Err(_) => bad(&format!("duration {text:?} is too long")),
        }
    }
}

impl fmt::Display for SimDuration {
    /// Go's `Duration.String`: `1h30m0s`, `1.5s`, `300ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let decimal = |value: u64, unit: u64| -> String {
            let (whole, rest) = (value / unit, value % unit);
            if rest == 0 {
                return whole.to_string();
            }
            let width = unit.ilog10() as usize;
            format!("{whole}.{rest:0width$}").trim_end_matches('0').to_string()
        };
        match ns {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{ns}ns"),
            1_000..1_000_000 => write!(f, "{}µs", decimal(ns, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(ns, 1_000_000)),
            _ => {
                let (hours, rest) = (ns / 3_600_000_000_000, ns % 3_600_000_000_000);
                let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", decimal(rest, 1_000_000_000))
            }
        }
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.clock())
    }
}

impl Add<SimDuration> for SimTime {
    type Output = SimTime;
    fn add(self, d: SimDuration) -> SimTime {
        SimTime(self.0.saturating_add(d.0))
    }
}
impl AddAssign<SimDuration> for SimTime {
    fn add_assign(&mut self, d: SimDuration) {
        *self = *self + d;
    }
}
impl Sub<SimDuration> for SimTime {
    type Output = SimTime;
    fn sub(self, d: SimDuration) -> SimTime {
        SimTime(self.0.saturating_sub(d.0))
    }
}
impl Sub for SimTime {
    type Output = SimDuration;
    fn sub(self, earlier: SimTime) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
}
impl Add for SimDuration {
    type Output = SimDuration;
    fn add(self, d: SimDuration) -> SimDuration {
        SimDuration(self.0.saturating_add(d.0))
    }
}
impl AddAssign for SimDuration {
    fn add_assign(&mut self, d: SimDuration) {
        *self = *self + d;
    }
}
impl Sub for SimDuration {
    type Output = SimDuration;
    fn sub(self, d: SimDuration) -> SimDuration {
        SimDuration(self.0.saturating_sub(d.0))
    }
}
impl Mul<i64> for SimDuration {
    type Output = SimDuration;
    fn mul(self, n: i64) -> SimDuration {
        SimDuration(self.0.saturating_mul(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_go_does() {
        // (input, nanoseconds, Go's String())
        let table: &[(&str, i64, &str)] = &[
            ("0", 0, "0s"),
            ("300ms", 300_000_000, "300ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("90s", 90_000_000_000, "1m30s"),
            ("-2m", -120_000_000_000, "-2m0s"),
            ("1.000000001s", 1_000_000_001, "1.000000001s"),
            ("2d", 172_800_000_000_000, "48h0m0s"),
            ("15us", 15_000, "15µs"),
        ];
        for (text, ns, printed) in table {
            let read = SimDuration::parse(text).unwrap();
            assert_eq!(read.0, *ns, "{text}");
            assert_eq!(read.to_string(), *printed, "{text}");
        }
        for text in ["", "5", "5 min", "s", "1.2.3s", "1x", "99999999999999999999h", "--1s"] {
            assert!(SimDuration::parse(text).is_err(), "{text} must be refused");
        }
    }

    #[test]
    fn instants_print_as_kubernetes_prints_them() {
        let t = SimTime(3_661_250_000_000);
        assert_eq!(t.clock(), "01:01:01.250");
        assert_eq!(t.rfc3339(), "2026-01-01T01:01:01Z");
    }
}
