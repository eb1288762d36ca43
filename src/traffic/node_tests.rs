//! What the pods of one node are to each other and to their node: they share its processors, and die of their memory.

use super::tests::{Play, s};
use crate::metrics::traffic::End;
use crate::model::pod::Usage;
use crate::model::{Labels, Name, Uid, builder};
use crate::time::SimTime;
use serde_json::{Value, json};

/// A pod's container: request and limit in thousandths of a core, limit of memory; 0 for none.
#[derive(Clone, Copy)]
struct Has(i64, i64, i64);

/// `users` ask once, within `think` after 1 s and dealt out in turn, pods with such containers on a node with so many
/// cores.
fn burst(milli_cores: i64, pods: &[Has], server: &Value, (users, think): (u32, &str)) -> Play {
    let more = json!({"proxy": {"mode": "ipvs", "minSyncPeriod": "0s", "syncTime": "0s"}});
    // Who is answered asks no more: the client is over by then.
    let client =
        json!({"users": {"count": users, "thinkTime": think}, "start": "1s", "end": "1.001s", "timeout": "5s"});
    let mut play = Play::of(more, server.clone(), client, 0, 3.0);
    play.write(0.0, builder::node("a", milli_cores, 1 << 40, 110));
    for (number, Has(request, limit, memory)) in pods.iter().enumerate() {
        let mut spec = builder::spec("web:1", *request, 0);
        (spec.containers[0].limits.milli_cpu, spec.containers[0].limits.memory) = (*limit, *memory);
        let mut pod = builder::pod(&format!("web-{number}"), spec);
        pod.meta.uid = Uid(number as u128 + 1);
        pod.meta.labels = Labels::from_iter([("app", "web")]);
        pod.node = Some(Name::from("a"));
        play.write(0.0, pod);
        play.process(number as u8, 0.0, None, None);
    }
    play.endpoints(0.0, &(0..pods.len() as u8).collect::<Vec<_>>());
    play
}

/// When the answers come, in milliseconds after all asked at once, by pod.
fn answered(milli_cores: i64, pods: &[Has], server: &Value) -> Vec<f64> {
    // Each of the two nodes deals out its half in turn.
    let users = 2 * pods.len() as u32;
    let web = burst(milli_cores, pods, server, (users, "0s")).web();
    assert_eq!(web.ends.of(End::Success), u64::from(users));
    let mut pods = web.pods;
    pods.sort_by(|one, other| one.pod.cmp(&other.pod));
    pods.iter().map(|pod| pod.mean.as_secs_f64() * 1000.0).collect()
}

#[test]
fn servers_of_a_node_share_its_processors() {
    // Two requests in each pod, of 10 ms. (cores, pods, share of the time that needs a processor, milliseconds)
    let table: [(i64, &[Has], f64, &[f64]); 7] = [
        // Enough for both.
        (4000, &[Has(100, 0, 0), Has(300, 0, 0)], 1.0, &[10.0, 10.0]),
        // A quarter and three quarters: the second has 1.5 of the 2 cores that it wants and takes 10 / 0.75 ms. The first
        // has done 3.33 ms by then, and goes on alone: 13.33 + 6.67 ms.
        (2000, &[Has(100, 0, 0), Has(300, 0, 0)], 1.0, &[20.0, 13.3]),
        (2000, &[Has(500, 0, 0), Has(500, 0, 0)], 1.0, &[20.0, 20.0]),
        // The second stops at its limit, the first has the rest: one core each.
        (2000, &[Has(100, 0, 0), Has(300, 1000, 0)], 1.0, &[20.0, 20.0]),
        // Three of equal weight have a third each.
        (2000, &[Has(200, 0, 0), Has(200, 0, 0), Has(200, 0, 0)], 1.0, &[30.0, 30.0, 30.0]),
        // Requests that need a processor half of the time want one core in each pod: that suffices.
        (2000, &[Has(100, 0, 0), Has(300, 0, 0)], 0.5, &[10.0, 10.0]),
        // One core for both: again a quarter and three quarters of what they want.
        (1000, &[Has(100, 0, 0), Has(300, 0, 0)], 0.5, &[20.0, 13.3]),
    ];
    for (cores, pods, share, expected) in table {
        let got = answered(cores, pods, &json!({"serviceTime": "10ms", "cpuShare": share, "concurrency": 2}));
        let close = got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 0.12);
        assert!(close && got.len() == expected.len(), "{cores} {share}: {got:?} instead of {expected:?}");
    }
}

#[test]
fn other_containers_of_the_node_have_their_part() {
    // A neighbour with the same request that wants half of the core leaves half: 20 ms; one that wants all of it, too.
    for (neighbour, expected) in [(0, 10.0), (500, 20.0), (1000, 20.0), (200, 12.5)] {
        let mut play = burst(1000, &[Has(500, 0, 0)], &json!({"serviceTime": "10ms"}), (1, "0s"));
        let mut other = builder::pod("batch", builder::spec("batch:1", 500, 0));
        (other.meta.uid, other.node) = (Uid(99), Some(Name::from("a")));
        play.write(0.5, other);
        let usage = Usage { milli_cpu: neighbour, memory: 0 };
        play.meters().start(Uid(99), &crate::name!("c"), s(0.5), usage);
        let took = play.web().latencies.max().unwrap().as_secs_f64() * 1000.0;
        assert!((took - expected).abs() < 0.12, "beside {neighbour}m: {took} ms instead of {expected}");
    }
}

#[test]
fn who_is_slowed_down_is_timed_out_at_the_instant() {
    // Users wait 15 ms. Alone a pod's two requests take 10 ms, so nobody watches the time; with those in the other pod they
    // have half of the processors and would take 20 ms. All give up after 15 ms, and ask no more.
    let server = json!({"serviceTime": "10ms", "concurrency": 2});
    let more = json!({"proxy": {"mode": "ipvs", "minSyncPeriod": "0s", "syncTime": "0s"}});
    let client = json!({"users": {"count": 4, "thinkTime": "0s"}, "start": "1s", "end": "1.001s", "timeout": "15ms"});
    let mut play = Play::of(more, server, client, 2, 3.0);
    play.write(0.0, builder::node("a", 2000, 1 << 40, 110));
    let web = play.web();
    assert_eq!((web.ends.of(End::Timeout), web.ends.all()), (4, 4));
    // As precise as latencies are kept.
    let longest = web.failures.max().unwrap().as_secs_f64();
    assert!((0.015..0.01502).contains(&longest), "{longest}");
}

#[test]
fn requests_beyond_the_memory_kill_the_container() {
    const MIB: i64 = 1 << 20;
    // The container uses 20 MiB by itself, each request 10 MiB, and its limit is 100 MiB: eight fit exactly. Some are at
    // work and the others wait.
    let server = json!({"serviceTime": "10ms", "concurrency": 5, "memoryPerRequest": "10Mi"});
    for (users, limit, killed) in [(8, 100 * MIB, false), (9, 100 * MIB, true), (9, 0, false), (8, 100 * MIB - 1, true)]
    {
        let mut play = burst(4000, &[Has(100, 0, limit)], &server, (users, "1ms"));
        play.meters().start(Uid(1), &crate::name!("c"), SimTime::ZERO, Usage { milli_cpu: 0, memory: 20 * MIB });
        play.until(2.0);
        let told = play.killed(Uid(1));
        let web = play.web();
        let expected = if killed { (End::Reset, 1) } else { (End::Success, 0) };
        assert_eq!((web.ends.of(expected.0), told.len()), (u64::from(users), expected.1), "{users} {limit}");
        assert!(told.iter().all(|(container, at)| *container == "c" && (s(1.0)..s(1.001)).contains(at)), "{told:?}");
    }
}

#[test]
fn meters_see_the_memory_of_requests() {
    // 3 requests of 10 MiB for 5 s: the meter is told at the end of each second.
    let server = json!({"serviceTime": "5s", "memoryPerRequest": "10Mi"});
    let client = json!({"users": {"count": 3, "thinkTime": "0s"}, "start": "1s", "end": "1.001s", "timeout": "9s"});
    let mut play = Play::new(server, client, 1, 10.0);
    // Of a pod that was never seen the container is not known.
    let container = Name::new();
    play.meters().start(Uid(1), &container, SimTime::ZERO, Usage { milli_cpu: 0, memory: 7 });
    play.until(9.0);
    let table = [(0.5, 7), (4.0, 7 + (30 << 20)), (8.0, 7)];
    for (at, bytes) in table {
        assert_eq!(play.meters().memory(Uid(1), &container, s(at)), Some(bytes), "at {at} s");
    }
}
