//! Cron schedules as `robfig/cron` v3 reads and follows them (`cron.ParseStandard`, `SpecSchedule.Next`).
//!
//! A worked example: `30 6 1,15 * 1` is half past six on the first, the fifteenth and every Monday: where both days are
//! restricted, either is enough. `@every 90m` counts from the last time instead.

mod zone;

use crate::time::SimDuration;
pub use zone::{Wall, Zone};

/// When something is due.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// By the clock.
    Clock {
        /// Minutes, hours, days of the month, months, days of the week: a bit for each value.
        fields: [u64; 5],
        /// Whose clock.
        zone: Zone,
    },
    /// So many seconds after the last time.
    Every(i64),
}

/// The bit of a field that was written `*`.
const STAR: u64 = 1 << 63;
/// Years without a match after which there is none.
const MOST_YEARS: i64 = 5;
const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What a field may hold: lowest, highest, and names from the lowest on.
type Bounds = (u64, u64, &'static [&'static str]);
const BOUNDS: [Bounds; 5] = [(0, 59, &[]), (0, 23, &[]), (1, 31, &[]), (1, 12, MONTHS), (0, 6, DAYS)];

impl Schedule {
    /// Reads a schedule; without a zone of its own it goes by UTC.
    ///
    /// # Errors
    /// The library's sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_string());
        }
        let (mut zone, mut rest) = (Zone::utc(), text);
        if let Some(after) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
            let (name, spec) = after.split_once(' ').unwrap_or((after, ""));
            zone = Zone::load(name).map_err(|why| format!("provided bad location {name}: {why}"))?;
            rest = spec.trim();
        }
        if rest.starts_with('@') {
            return descriptor(rest, zone);
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        if words.len() != BOUNDS.len() {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", words.len(), words.join(" ")));
        }
        let mut fields = [0; 5];
        for (at, word) in words.iter().enumerate() {
            for piece in word.split(',').filter(|piece| !piece.is_empty()) {
                fields[at] |= range(piece, BOUNDS[at])?;
            }
        }
        Ok(Schedule::Clock { fields, zone })
    }

    /// Reads the schedule of a cron job: a zone within the schedule wins over the one beside it
    /// (`pkg/controller/cronjob/cronjob_controllerv2.go`, `formatSchedule`).
    ///
    /// # Errors
    /// As [`Schedule::parse`].
    pub fn of(text: &str, zone: Option<&str>) -> Result<Self, String> {
        match zone.filter(|zone| !text.contains("TZ") && Zone::load(zone).is_ok()) {
            Some(zone) => Schedule::parse(&format!("TZ={zone} {text}")),
            None => Schedule::parse(text),
        }
    }

    /// The first Unix second after `unix` at which it is due; none within five years is none at all.
    pub fn next(&self, unix: i64) -> Option<i64> {
        match self {
            Schedule::Every(seconds) => Some(unix + seconds),
            Schedule::Clock { fields, zone } => next_by_clock(fields, zone, unix + 1),
        }
    }
}

fn descriptor(text: &str, zone: Zone) -> Result<Schedule, String> {
    let [_, hours, days, months, weekdays] = BOUNDS.map(|(low, high, _)| bits(low, high, 1) | STAR);
    let (zero, first) = (1 << 0, 1 << 1);
    let fields = match text {
        "@yearly" | "@annually" => [zero, zero, first, first, weekdays],
        "@monthly" => [zero, zero, first, months, weekdays],
        "@weekly" => [zero, zero, days, months, zero],
        "@daily" | "@midnight" => [zero, zero, days, months, weekdays],
        "@hourly" => [zero, hours, days, months, weekdays],
        _ => {
            let Some(length) = text.strip_prefix("@every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let length = go_duration(length).map_err(|why| format!("failed to parse duration {text}: {why}"))?;
            return Ok(Schedule::Every((length.0 / 1_000_000_000).max(1)));
        }
    };
    Ok(Schedule::Clock { fields, zone })
}

/// Go's durations have no days.
fn go_duration(text: &str) -> Result<SimDuration, String> {
    match SimDuration::parse(text) {
        Ok(length) if !text.contains('d') => Ok(length),
        _ => Err(format!("time: invalid duration {text:?}")),
    }
}

fn bits(low: u64, high: u64, step: u64) -> u64 {
    (low..=high).step_by(usize::try_from(step).unwrap_or(usize::MAX)).fold(0, |all, value| all | 1 << value)
}

/// One piece between commas: `*`, `5`, `1-5`, each perhaps with `/step`.
fn range(text: &str, (low, high, names): Bounds) -> Result<u64, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let limits: Vec<&str> = parts[0].split('-').collect();
    let (mut start, mut end, mut star) = (low, high, STAR);
    if !matches!(limits[0], "*" | "?") {
        star = 0;
        start = number_or_name(limits[0], low, names)?;
        end = match limits.as_slice() {
            [_] => start,
            [_, last] => number_or_name(last, low, names)?,
            _ => return Err(format!("too many hyphens: {text}")),
        };
    }
    let step = match parts.as_slice() {
        [_] => 1,
        [_, step] => {
            let step = number(step)?;
            // `5/15` is `5-59/15`.
            if limits.len() == 1 {
                end = high;
            }
            if step > 1 {
                star = 0;
            }
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if start < low {
        return Err(format!("beginning of range ({start}) below minimum ({low}): {text}"));
    }
    if end > high {
        return Err(format!("end of range ({end}) above maximum ({high}): {text}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(bits(start, end, step) | star)
}

fn number_or_name(text: &str, low: u64, names: &[&str]) -> Result<u64, String> {
    match names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
        Some(at) => Ok(low + at as u64),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let why = if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        "value out of range"
    } else {
        "invalid syntax"
    };
    let wrong = |_| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}");
    let value: i64 = text.parse().map_err(wrong)?;
    u64::try_from(value).map_err(|_| format!("negative number ({value}) not allowed: {text}"))
}

/// Whether a field names a value.
fn has(field: u64, value: i64) -> bool {
    field & 1 << value != 0
}

fn day_matches(fields: &[u64; 5], wall: Wall) -> bool {
    let (of_month, of_week) = (has(fields[2], wall.day), has(fields[4], wall.weekday));
    match (fields[2] | fields[4]) & STAR {
        0 => of_month || of_week,
        _ => of_month && of_week,
    }
}

/// Moves the hands to the first match at or after `unix`, field by field; one that runs over begins anew.
fn next_by_clock(fields: &[u64; 5], zone: &Zone, mut unix: i64) -> Option<i64> {
    let last_year = zone.wall(unix).year + MOST_YEARS;
    // The first move of any hand sets the smaller ones back.
    let mut moved = false;
    'wrap: loop {
        let mut wall = zone.wall(unix);
        if wall.year > last_year {
            return None;
        }
        while !has(fields[3], wall.month) {
            if !std::mem::replace(&mut moved, true) {
                wall = Wall { day: 1, hour: 0, minute: 0, second: 0, ..wall };
                wall = zone.wall(zone.unix(wall));
            }
            unix = zone.unix(Wall { month: wall.month + 1, ..wall });
            wall = zone.wall(unix);
            if wall.month == 1 {
                continue 'wrap;
            }
        }
        while !day_matches(fields, wall) {
            if !std::mem::replace(&mut moved, true) {
                wall = zone.wall(zone.unix(Wall { hour: 0, minute: 0, second: 0, ..wall }));
            }
            unix = zone.unix(Wall { day: wall.day + 1, ..wall });
            // Where midnight does not exist, or exists twice.
            unix += match zone.wall(unix).hour {
                hour if hour > 12 => (24 - hour) * 3600,
                hour => -hour * 3600,
            };
            wall = zone.wall(unix);
            if wall.day == 1 {
                continue 'wrap;
            }
        }
        while !has(fields[1], wall.hour) {
            if !std::mem::replace(&mut moved, true) {
                unix = zone.unix(Wall { minute: 0, second: 0, ..wall });
            }
            unix += 3600;
            wall = zone.wall(unix);
            if wall.hour == 0 {
                continue 'wrap;
            }
        }
        while !has(fields[0], wall.minute) {
            if !std::mem::replace(&mut moved, true) {
                unix -= unix.rem_euclid(60);
            }
            unix += 60;
            wall = zone.wall(unix);
            if wall.minute == 0 {
                continue 'wrap;
            }
        }
        while wall.second != 0 {
            moved = true;
            unix += 1;
            wall = zone.wall(unix);
            if wall.second == 0 {
                continue 'wrap;
            }
        }
        return Some(unix);
    }
}
