//! Wall clocks of the world, as Go's `time` package moves them: a wall time that a zone skips or has twice is
//! resolved as there (`time.Date`, `Time.AddDate`).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// A time zone of the database that the program carries.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

/// The hands of a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wall {
    /// Year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 is Sunday.
    pub weekday: i64,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Zone(TimeZone::UTC)
    }

    /// The zone of that name (`time.LoadLocation`).
    ///
    /// # Errors
    /// Go's sentence.
    pub fn load(name: &str) -> Result<Self, String> {
        // The database takes any case; Go does not.
        let known = |zone: &TimeZone| zone.iana_name() == Some(name);
        match name {
            "" | "UTC" => Ok(Zone::utc()),
            "Local" => Ok(Zone::utc()),
            _ => {
                let zone = TimeZoneDatabase::bundled().get(name).ok().filter(known);
                zone.map(Zone).ok_or_else(|| format!("unknown time zone {name}"))
            }
        }
    }

    fn offset(&self, unix: i64) -> i64 {
        let seconds = |time: Timestamp| i64::from(self.0.to_offset(time).seconds());
        Timestamp::from_second(unix).map_or(0, seconds)
    }

    /// The date and time at a Unix second as RFC 3339: `2026-01-01T01:05:00+01:00`, or `Z` at UTC.
    pub fn rfc3339(&self, unix: i64) -> String {
        let Wall { year, month, day, hour, minute, second, .. } = self.wall(unix);
        let zone = match self.offset(unix) / 60 {
            0 => "Z".to_string(),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
    }

    /// The same as RFC 1123 has it, with a number for the zone: `Thu, 01 Jan 2026 00:05:00 +0000`.
    pub fn rfc1123(&self, unix: i64) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let Wall { year, month, day, hour, minute, second, weekday } = self.wall(unix);
        let (weekday, month) = (DAYS[weekday as usize % 7], MONTHS[(month - 1) as usize % 12]);
        let minutes = self.offset(unix) / 60;
        let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
        let zone = format!("{sign}{:02}{:02}", minutes / 60, minutes % 60);
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} {zone}")
    }

    /// What the clock shows at a Unix second.
    pub fn wall(&self, unix: i64) -> Wall {
        let shown = Timestamp::from_second(unix + self.offset(unix)).unwrap_or(Timestamp::UNIX_EPOCH);
        let hands: DateTime = Offset::UTC.to_datetime(shown);
        Wall {
            year: i64::from(hands.year()),
            month: i64::from(hands.month()),
            day: i64::from(hands.day()),
            hour: i64::from(hands.hour()),
            minute: i64::from(hands.minute()),
            second: i64::from(hands.second()),
            weekday: i64::from(hands.weekday().to_sunday_zero_offset()),
        }
    }

    /// The Unix second at which the clock shows this; months and days beyond their range run on.
    pub fn unix(&self, wall: Wall) -> i64 {
        let (year, month) = (wall.year + (wall.month - 1).div_euclid(12), (wall.month - 1).rem_euclid(12) + 1);
        let days = days_from_civil(year, month) + wall.day - 1;
        let unix = ((days * 24 + wall.hour) * 60 + wall.minute) * 60 + wall.second;
        // The offset is guessed from the hands read as UTC, then looked up once more.
        match self.offset(unix) {
            0 => unix,
            guess => unix - self.offset(unix - guess),
        }
    }
}

/// Days from 1970-01-01 to the first of a month (proleptic Gregorian).
fn days_from_civil(year: i64, month: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
