//! Schedules and the runs that cron jobs owe.

use super::{agree, differs, list, text};
use kubesim::controllers::cron_job::sync::job_name;
use kubesim::controllers::cron_job::times::{History, Missed, Runs, at};
use kubesim::model::schedule::Schedule;
use serde_json::{Value, json};

#[test]
fn cronjob() {
    agree("cronjob", |case| {
        let number = |field: &str| case[field].as_i64();
        let history = History {
            created: number("created").expect("a creation"),
            last_schedule: number("lastSchedule"),
            starting_deadline: number("startingDeadlineSeconds"),
        };
        let now = number("now").expect("a time");
        let out = &case["out"];
        let schedule = match Schedule::of(text(&case["schedule"]), case["timeZone"].as_str()) {
            Ok(schedule) => schedule,
            Err(why) => return differs(&json!(why), &out["parseErr"]),
        };
        let with_deadline = history.runs(&schedule, now, true);
        let mut next = Vec::new();
        let mut run = schedule.next(now);
        while let Some(at) = run.filter(|_| next.len() < 12) {
            next.push(at);
            run = schedule.next(at);
        }
        let ours = json!([
            runs(&with_deadline),
            runs(&history.runs(&schedule, now, false)),
            with_deadline.most_recent.map(|due| job_name("c", due)),
            next,
        ]);
        let recorded = [shown(&out["inclDeadline"]), shown(&out["exclDeadline"]), out["jobName"].clone()];
        let recorded = json!([recorded[0], recorded[1], recorded[2], list(&out["next"])]);
        let wait = history.until_next(&schedule, at(now)).map(|wait| json!(wait.0));
        let waits = wait.map_or_else(
            || (out["requeueNs"].as_i64() > Some(0)).then(String::new),
            |wait| differs(&wait, &out["requeueNs"]),
        );
        differs(&ours, &recorded).or(waits)
    });
}

fn runs(runs: &Runs) -> Value {
    let missed = match runs.missed {
        Missed::None => "none",
        Missed::Few => "few",
        Missed::Many => "many",
    };
    json!([runs.earliest, runs.most_recent, missed, runs.error])
}

fn shown(recorded: &Value) -> Value {
    json!([recorded["earliest"], recorded["mostRecent"], recorded["missed"], recorded["err"]])
}
