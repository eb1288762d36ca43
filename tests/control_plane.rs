//! What each fault of the control plane does, and how the cluster recovers: one scenario each, with times that follow
//! from Kubernetes' defaults.
//!
//! The numbers behind them. A candidate for a lease looks every 2 s to 4.4 s (retry period 2 s, jitter 1.2) and counts the
//! lease duration of 15 s from the look at which it saw the last renewal. A leader renews every 2 s and gives up after
//! 10 s without an answer. A process is ready 0.3 s (scheduler) or 0.5 s (controller manager) after its start, and the
//! controllers begin 1.3 s after their manager leads. A web pod is ready at the latest 12 s after it was bound: image, two
//! seconds of start, and a probe every two.

use kubesim::checks::Checks;
use kubesim::cluster::{self, Options};
use kubesim::scenario::load::load;

/// A scenario with these masters and this timeline, and what must hold.
struct Case {
    name: &'static str,
    masters: u32,
    timeline: &'static str,
    expect: &'static [&'static str],
}

const CASES: &[Case] = &[
    // Killed at 60 s for 60 s: ready again at 120.3 s, first look then, 15 s, and the next look within 4.4 s: it leads
    // between 135.3 s and 139.7 s.
    Case {
        name: "scheduler killed",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, componentDown: {component: kube-scheduler}}
- {at: 70s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["pending_pods == 3 at 135s", "pending_pods == 0 at 142s", "ready(web) == 9 at 152s"],
    },
    // The same where a provider runs the control plane.
    Case {
        name: "managed scheduler killed",
        masters: 0,
        timeline: "
- {at: 60s, for: 60s, componentDown: {component: kube-scheduler}}
- {at: 70s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["pending_pods == 3 at 135s", "pending_pods == 0 at 142s"],
    },
    // Stopped: it gives its lease back, and the one that is started at 120 s leads at its first look.
    Case {
        name: "scheduler stopped",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, componentDown: {component: kube-scheduler, signal: term}}
- {at: 70s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["pending_pods == 3 at 120s", "pending_pods == 0 at 123s", "ready(web) == 9 at 133s"],
    },
    // The controller manager never gives it back: started at 120 s, it leads between 135.5 s and 139.9 s.
    Case {
        name: "controller manager stopped",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, componentDown: {component: kube-controller-manager, signal: term}}
- {at: 70s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["pods == 6 at 136s", "pods == 9 at 143s", "ready(web) == 9 at 155s"],
    },
    // Killed for no length of time: the kubelet starts it again a second later. Ready at 61.8 s, first look then, 15 s,
    // and the next look within 4.4 s: it leads between 76.8 s and 81.2 s.
    Case {
        name: "scheduler killed and brought back",
        masters: 1,
        timeline: "
- {at: 60s, componentDown: {component: kube-scheduler}}
- {at: 70s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["pending_pods == 3 at 76s", "pending_pods == 0 at 84s", "ready(web) == 9 at 94s"],
    },
    // The first machine, that of both leaders, falls silent at 60 s: the last renewal is up to 2 s old, it is seen
    // within 4.4 s, 15 s, and a look within 4.4 s: the others lead between 73 s and 83.8 s, the controllers 1.3 s later.
    Case {
        name: "machine of the leaders",
        masters: 3,
        timeline: "
- {at: 60s, for: 10m, nodeCrash: {node: control-plane-0}}
- {at: 62s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["pods == 6 at 73s", "pods == 9 at 88s", "ready(web) == 9 at 100s"],
    },
    // The leaders use the API server of their own machine: without it they cannot renew, and the standbys, who can, see
    // the lease run out as above. Everyone else uses another.
    Case {
        name: "the leaders' API server",
        masters: 3,
        timeline: "
- {at: 60s, for: 60s, componentDown: {component: kube-apiserver, node: control-plane-0}}
- {at: 62s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["replicas(web) == 9 at 63s", "pods == 6 at 73s", "pods == 9 at 88s", "ready(web) == 9 at 100s"],
    },
    // One member of three that dies is no matter to who writes, but for an election of at most 2 s.
    Case {
        name: "a minority of etcd",
        masters: 3,
        timeline: "
- {at: 60s, for: 2m, componentDown: {component: etcd, node: control-plane-1}}
- {at: 61s, scale: {object: deployment/web, replicas: 9}}",
        expect: &["pods == 9 at 65s", "ready(web) == 9 at 77s"],
    },
    // Two of three: no majority, and every write times out after 7 s. The leaders give up by 72 s; the standbys lead
    // within 4.4 s when there is a leader of the store again: half a second of start and an election of at most 2 s
    // after 150 s. What kubectl asked for meanwhile was refused.
    Case {
        name: "a majority of etcd",
        masters: 3,
        timeline: "
- {at: 60s, for: 90s, componentDown: {component: etcd, count: 2}}
- {at: 70s, scale: {object: deployment/web, replicas: 9}}
- {at: 160s, scale: {object: deployment/web, replicas: 8}}",
        expect: &[
            "replicas(web) == 6 at 159s",
            "endpoints(web) == 6 always from 45s to 159s",
            "ready(web) == 8 at 180s",
        ],
    },
    // No API server from 60 s to 120 s, and 2.2 s of start: the controller manager has ended by 72 s and its supervisor
    // tries again after 1 s, 10 s, 20 s and 40 s: the last of these at 145 s or a little later, then 15 s to 19.4 s of
    // the lease, 0.5 s before and 1.3 s after.
    Case {
        name: "no API server",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, componentDown: {component: kube-apiserver}}
- {at: 70s, scale: {object: deployment/web, replicas: 9}}
- {at: 125s, scale: {object: deployment/web, replicas: 8}}",
        expect: &[
            "replicas(web) == 6 at 124s",
            "endpoints(web) == 6 always from 45s to 159s",
            "pods == 6 at 158s",
            "pods == 8 at 170s",
        ],
    },
    // Half a second more for each request: a pod is created, bound and reported as running by requests one after the
    // other, so it takes at least 2 s longer.
    Case {
        name: "a slow API server",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, apiServer: {latency: 500ms}}
- {at: 70s, scale: {object: deployment/web, replicas: 7}}",
        expect: &["pods == 6 at 71s", "pods == 7 at 74s", "ready(web) == 6 at 74s", "ready(web) == 7 at 90s"],
    },
    // Half of the requests fail: everything is asked for again, and arrives.
    Case {
        name: "an API server with errors",
        masters: 1,
        timeline: "
- {at: 75s, for: 60s, apiServer: {errorRate: 50%}}
- {at: 74s, scale: {object: deployment/web, replicas: 12}}",
        expect: &["ready(web) == 12 at 130s", "endpoints(web) >= 6 always after 45s"],
    },
    // A disk that takes 2 s for each write: pods come 2 s for each step later.
    Case {
        name: "a slow disk",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, slowStore: {writeLatency: 2s}}
- {at: 70s, scale: {object: deployment/web, replicas: 7}}",
        expect: &["pods == 6 at 75s", "pods == 7 at 80s", "ready(web) == 7 at 110s"],
    },
    // A webhook that fails closed: no pod is made for a minute. The retries double from 5 ms, each after the 10 s of the
    // timeout, so one begins at most 10 s before the end and the next goes through.
    Case {
        name: "a webhook that fails closed",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, webhookTimeout: {kinds: [Pod], timeout: 10s}}
- {at: 70s, scale: {object: deployment/web, replicas: 7}}",
        expect: &["pods == 6 at 119s", "pods == 7 at 135s", "ready(web) == 7 at 150s"],
    },
    // One that fails open costs its timeout.
    Case {
        name: "a webhook that fails open",
        masters: 1,
        timeline: "
- {at: 60s, for: 60s, webhookTimeout: {kinds: [Pod], timeout: 10s, failurePolicy: Ignore}}
- {at: 70s, scale: {object: deployment/web, replicas: 7}}",
        expect: &["pods == 6 at 80s", "pods == 7 at 82s", "ready(web) == 7 at 95s"],
    },
    // Without a control plane for four minutes a dead worker is not noticed. The new leader has seen nobody yet: it gives
    // everyone 50 s from its first pass.
    Case {
        name: "nobody judges",
        masters: 3,
        timeline: "
- {at: 60s, for: 4m, nodeCrash: {pool: control-plane}}
- {at: 62s, nodeCrash: {node: worker-1}}",
        expect: &[
            "ready_nodes == 7 at 345s",
            "ready_nodes == 6 at 375s",
            "endpoints(web) >= 6 always from 45s to 345s",
        ],
    },
];

fn scenario(case: &Case) -> String {
    let expect: Vec<String> = case.expect.iter().map(|line| format!("- {line}")).collect();
    format!(
        "name: case\nseed: 5\nduration: 8m\ncluster:\n  controlPlane: {{replicas: {}}}\n  pools:\n  - {{name: worker, \
         count: 4, capacity: {{cpu: 8, memory: 32Gi}}}}\nmanifests: [manifests/web.yaml]\nbehavior:\n- {{imageSize: \
         50Mi, startTime: 2s, terminationTime: 1s}}\ntimeline:{}\nexpect:\n{}\n",
        case.masters,
        case.timeline,
        expect.join("\n")
    )
}

#[test]
fn every_fault_of_the_control_plane_shows_and_heals() {
    let mut wrong = Vec::new();
    for case in CASES {
        let text = scenario(case);
        let folder = kubesim::cli::files::Folder::of("scenarios/case.yaml");
        let scenario = load("case.yaml", &text, &[], &folder).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let mut prints = Vec::new();
        for eager in [false, true] {
            let options = Options { checks: Checks::All, eager, ..Options::of(&scenario) };
            let (outcome, stop) = cluster::run(&scenario, &options, &mut |_, _| true).unwrap();
            assert_eq!(stop, None, "{}", case.name);
            let failed = outcome.expectations.iter().filter(|one| !one.passed);
            wrong.extend(failed.map(|one| format!("{}: {one:?}", case.name)));
            wrong.extend(outcome.violations.iter().map(|text| format!("{}: {text}", case.name)));
            prints.push(outcome.fingerprint);
        }
        if prints[0] != prints[1] {
            wrong.push(format!("{}: looks that are not taken would have changed something", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
