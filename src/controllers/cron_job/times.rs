//! Which run of a schedule is due, and when to look again (`pkg/controller/cronjob/utils.go`).
//!
//! A worked example: `*/5 * * * *`, last run at 12:00, now 12:17:30: 12:05, 12:10 and 12:15 were missed, the last of
//! them is due, and the next look is at 12:20 and a tenth of a second.

use crate::model::CronJob;
use crate::model::schedule::Schedule;
use crate::time::{EPOCH_UNIX_SECONDS, SimDuration, SimTime};

/// Looking again comes so long after the tick (`nextScheduleDelta`).
const AFTER_TICK: SimDuration = SimDuration::from_millis(100);
/// More missed runs than this are worth a warning.
const MANY: i64 = 100;

/// How many runs were missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missed {
    /// None but perhaps the last one.
    None,
    /// Some.
    Few,
    /// More than a hundred.
    Many,
}

/// The runs of a schedule up to now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Runs {
    /// Since when they count.
    pub earliest: i64,
    /// The last one.
    pub most_recent: Option<i64>,
    /// How many lie before it.
    pub missed: Missed,
    /// Why there is no telling.
    pub error: Option<&'static str>,
}

/// A cron job's history, in Unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// When it was made.
    pub created: i64,
    /// The last run for which a job was made.
    pub last_schedule: Option<i64>,
    /// How late a job may start.
    pub starting_deadline: Option<i64>,
}

impl History {
    /// What a cron job tells of itself.
    pub fn of(cron: &CronJob) -> Self {
        History {
            created: unix(cron.meta.created),
            last_schedule: cron.status.last_schedule.map(unix),
            starting_deadline: cron.starting_deadline_seconds,
        }
    }

    /// The last run that is due at `now`; `late` leaves out those that are too late to start
    /// (`mostRecentScheduleTime`).
    pub fn runs(self, schedule: &Schedule, now: i64, late: bool) -> Runs {
        let mut earliest = self.last_schedule.unwrap_or(self.created);
        if let Some(deadline) = self.starting_deadline.filter(|_| late) {
            earliest = earliest.max(now - deadline);
        }
        let runs = |most_recent, missed| Runs { earliest, most_recent, missed, error: None };
        let never = Runs {
            error: Some("time difference between two schedules is less than 1 second"),
            ..runs(None, Missed::None)
        };
        let Some(first) = schedule.next(earliest) else { return never };
        if now < first {
            return runs(None, Missed::None);
        }
        let Some(second) = schedule.next(first) else { return never };
        if now < second {
            return runs(Some(first), Missed::None);
        }
        let interval = second - first;
        let missed = (now - first) / interval + 1;
        // Irregular schedules may have a run less: the scan begins one interval early.
        let mut most_recent = None;
        let mut next = schedule.next(first + (missed - 2) * interval);
        while let Some(run) = next.filter(|run| *run <= now) {
            most_recent = Some(run);
            next = schedule.next(run);
        }
        runs(most_recent, if missed > MANY { Missed::Many } else { Missed::Few })
    }

    /// How long from `now` to the next look (`nextScheduleTimeDuration`).
    pub fn until_next(self, schedule: &Schedule, now: SimTime) -> Option<SimDuration> {
        let runs = self.runs(schedule, unix(now), false);
        let from = match (runs.error, runs.most_recent, runs.missed) {
            (None, Some(recent), _) => recent,
            (None, None, Missed::None) => runs.earliest,
            _ => unix(now),
        };
        schedule.next(from).map(|next| at(next) + AFTER_TICK - now)
    }
}

/// The Unix second of a virtual time.
pub fn unix(time: SimTime) -> i64 {
    EPOCH_UNIX_SECONDS + time.whole_seconds()
}

/// The virtual time of a Unix second.
pub fn at(unix: i64) -> SimTime {
    SimTime::from_secs(unix - EPOCH_UNIX_SECONDS)
}
