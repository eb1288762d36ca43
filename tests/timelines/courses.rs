//! The courses of rollouts, recorded against ours. Sizes in the middle of a rollout vary in the real system;
//! what holds in every run is compared: reasons, waves, limits and the end.

use super::rollout::Course;
use serde_json::Value;

/// One recording's courses and the parameters it was made with.
pub struct Recorded<'a> {
    pub params: &'a Value,
    pub courses: Vec<Course>,
}

/// Actions whose number of waves does not vary.
const STEADY: [&str; 2] = ["update-minReady", "strategy"];

/// What differs between our courses and all recorded ones, in words.
pub fn differences(recorded: &[Recorded], params: &Value, ours: &[Course]) -> Vec<String> {
    ours.iter().flat_map(|course| difference(recorded, params, course)).collect()
}

fn difference(recorded: &[Recorded], params: &Value, ours: &Course) -> Vec<String> {
    let of_action = |one: &Recorded| one.courses.iter().find(|course| course.action == ours.action).cloned();
    let all: Vec<Course> = recorded.iter().filter_map(of_action).collect();
    // Numbers depend on the parameters, so only recordings with the same ones tell them.
    let alike: Vec<Course> = recorded.iter().filter(|one| one.params == params).filter_map(of_action).collect();
    let mut out = Vec::new();
    let mut say = |what: &str, have: String, want: String| {
        out.push(format!("{}: {what} {have}, recorded {want}", ours.action));
    };
    if !all.iter().any(|course| course.reasons == ours.reasons) {
        let want: Vec<_> = all.iter().map(|course| &course.reasons).collect();
        say("Progressing reasons", format!("{:?}", ours.reasons), format!("{want:?}"));
    }
    let steady = STEADY.iter().any(|mark| ours.action.starts_with(mark));
    let (least, most) = (alike.iter().map(|c| c.waves).min(), alike.iter().map(|c| c.waves).max());
    if steady && !(least..=most).contains(&Some(ours.waves)) {
        say("waves", ours.waves.to_string(), format!("{least:?} to {most:?}"));
    }
    let worst = |limit: fn(&Course) -> Option<i64>| all.iter().filter_map(limit).max().unwrap_or(0).max(0);
    for (what, limit) in [
        ("sizes above replicas + maxSurge:", (|c: &Course| c.over_limit) as fn(&Course) -> Option<i64>),
        ("ready pods below replicas - maxUnavailable:", |c: &Course| c.under_limit),
    ] {
        if limit(ours).is_some_and(|have| have > worst(limit)) {
            say(what, format!("{:?}", limit(ours)), worst(limit).to_string());
        }
    }
    let agreed = alike.iter().all(|course| course.settled && course.end == alike[0].end);
    if agreed && alike.first().is_some_and(|course| course.end != ours.end) {
        say("ends with", ours.end.clone(), alike[0].end.clone());
    }
    out
}
