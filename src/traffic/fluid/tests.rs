//! Flows against requests one by one: the same means.

use crate::metrics::traffic::{End, FlowTraffic};
use crate::traffic::tests::Play;
use serde_json::{Value, json};

/// The same, one by one and as flows.
fn both(
    more: &Value,
    server: &Value,
    client: &Value,
    (pods, seconds): (u8, f64),
    act: impl Fn(&mut Play),
) -> [FlowTraffic; 2] {
    ["exact", "fluid"].map(|mode| {
        let mut written = more.clone();
        written["mode"] = json!(mode);
        let mut play = Play::of(written, server.clone(), client.clone(), pods, seconds);
        act(&mut play);
        play.web()
    })
}

fn near(what: &str, [exact, fluid]: [f64; 2], within: f64) {
    assert!((exact - fluid).abs() <= within * exact.abs().max(1e-9), "{what}: {exact} one by one, {fluid} as flows");
}

fn mean(flow: &FlowTraffic) -> f64 {
    flow.latencies.mean().map_or(0.0, |mean| mean.as_secs_f64())
}

fn cpu(flow: &FlowTraffic) -> f64 {
    flow.pods.iter().map(|pod| pod.cpu.as_secs_f64()).sum()
}

#[test]
fn means_agree_within_two_percent() {
    let exponential = json!({"exponential": {"mean": "10ms"}});
    let lognormal = json!({"lognormal": {"median": "8ms", "sigma": 0.6}});
    // (service time, mean in seconds, at once, queue, pods, load, share of the clients' timeout or none)
    let table = [
        (&exponential, 0.010, 4, 1000, 4, 0.3, "10s"),
        (&exponential, 0.010, 4, 1000, 4, 0.6, "10s"),
        (&exponential, 0.010, 4, 1000, 4, 0.8, "10s"),
        (&lognormal, 0.00957, 8, 1000, 4, 0.5, "10s"),
        (&lognormal, 0.00957, 8, 1000, 4, 0.8, "10s"),
        (&json!("10ms"), 0.010, 4, 1000, 4, 0.8, "10s"),
        // Twice as much as they can do: queues are full, half is refused.
        (&exponential, 0.010, 4, 100, 4, 2.0, "10s"),
        (&lognormal, 0.00957, 8, 20, 4, 1.2, "10s"),
        // And clients that do not wait so long.
        (&exponential, 0.010, 2, 10, 4, 0.6, "30ms"),
    ];
    for (time, mean_time, at_once, queue, pods, load, timeout) in table {
        let rate = load * f64::from(at_once) * f64::from(pods) / mean_time;
        let seconds = 60_000.0 / rate;
        let server = json!({"serviceTime": time, "concurrency": at_once, "queue": queue});
        // Where there is too much, chance in what comes is chance in what fails: 0.4 % more make 2 % more errors.
        let shape = if load > 1.0 { "constant" } else { "poisson" };
        let client = json!({"arrivals": {shape: rate}, "timeout": timeout});
        let [exact, fluid] = both(&json!({}), &server, &client, (pods as u8, seconds), |_| {});
        let what = |figure: &str| format!("{figure} of {time} with {at_once} at {load} and {timeout}");
        let good = |flow: &FlowTraffic| flow.ends.of(End::Success) as f64;
        // 60,000 requests at random have a deviation of 0.4 % themselves.
        near(&what("requests"), [&exact, &fluid].map(|flow| flow.begun as f64), 0.015);
        near(&what("answers"), [&exact, &fluid].map(good), 0.02);
        near(&what("mean"), [&exact, &fluid].map(mean), 0.02);
        near(&what("processor time"), [&exact, &fluid].map(cpu), 0.02);
        let errors = [&exact, &fluid].map(|flow| flow.ends.error_rate());
        assert!((errors[0] - errors[1]).abs() < 0.02 * errors[0].max(0.05), "{}: {errors:?}", what("errors"));
        let p90 = [&exact, &fluid].map(|flow| flow.latencies.quantile(0.9).unwrap().as_secs_f64());
        near(&what("90th percentile"), p90, 0.05);
    }
}

#[test]
fn a_shared_processor_users_and_turns_agree() {
    // Two processors' worth of requests at most, on one: all go on more slowly.
    let server = json!({"serviceTime": {"exponential": {"mean": "10ms"}}, "concurrency": 50, "queue": 0});
    let client = json!({"arrivals": {"poisson": 280}});
    let share = |play: &mut Play| {
        for server in &mut play.engine.servers {
            (server.cores, server.crowded) = (1.0, true);
        }
    };
    let [exact, fluid] = both(&json!({}), &server, &client, (4, 300.0), share);
    near("mean of a shared processor", [mean(&exact), mean(&fluid)], 0.03);
    near("its time", [cpu(&exact), cpu(&fluid)], 0.02);
    // 600 users who think for a second, for 4 pods with 100 a second each: more than they can answer, so each pod is
    // busy all the time and users wait 600/400 - 1 = 0.5 s.
    let users = json!({"users": {"count": 600, "thinkTime": {"exponential": {"mean": "1s"}}}});
    let server = json!({"serviceTime": {"exponential": {"mean": "10ms"}}, "concurrency": 1});
    let [exact, fluid] = both(&json!({}), &server, &users, (4, 200.0), |_| {});
    near("answers to users", [&exact, &fluid].map(|flow| flow.ends.of(End::Success) as f64), 0.02);
    near("what users wait", [mean(&exact), mean(&fluid)], 0.04);
    // Dealt out in turn, requests queue less than at random.
    let client = json!({"arrivals": {"poisson": 320}});
    let in_turn = json!({"proxy": {"mode": "ipvs", "minSyncPeriod": "0s", "syncTime": "0s"}});
    let [exact, fluid] = both(&in_turn, &server, &client, (4, 300.0), |_| {});
    near("mean in turn", [mean(&exact), mean(&fluid)], 0.10);
}

#[test]
fn what_goes_wrong_goes_wrong_as_often() {
    let server = json!({"serviceTime": {"exponential": {"mean": "10ms"}}, "concurrency": 8, "errorRate": 0.05});
    let client = json!({"arrivals": {"poisson": 1000}, "timeout": "2s", "connectTimeout": "500ms"});
    // One of four pods ends at 20 s, and its endpoint is gone at 23 s; the machine falls silent at 40 s, and all
    // endpoints are gone at 45 s.
    let [exact, fluid] = both(&json!({}), &server, &client, (4, 60.0), |play| {
        play.engine.advance(crate::time::SimTime::from_secs(10), u64::MAX);
        play.process(3, 0.0, Some(20.0), Some(20.0));
        play.endpoints(23.0, &[0, 1, 2]);
        play.machine(40.0, false);
        play.endpoints(45.0, &[]);
    });
    // 3,000 · 1/4, 5,000, 15,000 and 5 % of the other 39,250; chance alone moves 750 by 3.7 %.
    for (end, within) in
        [(End::Refused, 0.12), (End::ConnectTimeout, 0.04), (End::NoEndpoint, 0.03), (End::ServerError, 0.07)]
    {
        near(end.as_str(), [&exact, &fluid].map(|flow| flow.ends.of(end) as f64), within);
    }
    near("answers", [&exact, &fluid].map(|flow| flow.ends.of(End::Success) as f64), 0.02);
    assert!((735..=765).contains(&fluid.ends.of(End::Refused)), "{:?}", fluid.ends);
    assert!((4_990..=5_010).contains(&fluid.ends.of(End::ConnectTimeout)), "{:?}", fluid.ends);
}

#[test]
fn a_backlog_grows_and_is_worked_off() {
    // 4 pods answer 400 a second. 600 come from 20 s to 30 s: 2,000 too many, which take 2,000/(400 - 200) = 10 s
    // until 40 s. The last of them waits for 5 s: 2,000 before it at 400 a second. (Those 6,000 have a deviation of 77,
    // so that of the 2,000 is 4 %, and that of all that is waited is 8 %.)
    let server = json!({"serviceTime": "10ms", "concurrency": 1, "queue": 1000});
    let steps = json!([{"at": "0s", "rate": 200}, {"at": "20s", "rate": 600}, {"at": "30s", "rate": 200}]);
    let client = json!({"arrivals": {"steps": steps}});
    let [exact, fluid] = both(&json!({}), &server, &client, (4, 60.0), |_| {});
    near("answers", [&exact, &fluid].map(|flow| flow.ends.of(End::Success) as f64), 0.015);
    near("mean", [mean(&exact), mean(&fluid)], 0.15);
    let longest = fluid.latencies.max().unwrap().as_secs_f64();
    assert!((4.7..5.3).contains(&longest), "{longest}");
    // By arithmetic: of 4,000 + 6,000 + 6,000 requests those of the 20 s between wait 2.5 s in the mean.
    near("the mean of a triangle", [8_000.0 * 2.5 / 16_000.0 + 0.008, mean(&fluid)], 0.03);
}
