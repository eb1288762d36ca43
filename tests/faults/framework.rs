//! Whom a fault hits, when it begins, when it ends: the same for all faults.

use super::world::{down, hits, outcome, record, scenario, web};
use kubesim::cluster::{Options, run};

#[test]
fn machines_are_chosen_by_name_pool_zone_labels_domain_count_and_share() {
    // (the fault, whom it hits; `Err` of a number where chance decides)
    let table: [(&str, Result<&[&str], usize>); 12] = [
        ("node: n-1", Ok(&["n-1"])),
        ("node: 'n-*'", Ok(&["n-0", "n-1", "n-2", "n-3"])),
        ("node: 'n-*', zone: zone-b", Ok(&["n-1", "n-3"])),
        ("pool: spot", Ok(&["spot-0", "spot-1"])),
        ("pool: spot, zone: zone-a", Ok(&["spot-0"])),
        ("zone: zone-a", Ok(&["control-plane-0", "n-0", "n-2", "spot-0"])),
        ("selector: disk=ssd", Ok(&["n-0", "n-3"])),
        ("selector: 'disk!=ssd', zone: zone-a", Ok(&["control-plane-0", "n-2", "spot-0"])),
        ("domain: rack, selector: rack=r0", Ok(&["n-0", "n-2"])),
        // Three workers, and the master where it stands.
        ("domain: zone", Err(4)),
        // Half of the six workers; a tenth of them is one.
        ("share: 50%", Err(3)),
        ("share: 0.1", Err(1)),
    ];
    for (fault, expected) in table {
        let text = format!("timeline: [{{at: 10s, nodeCrash: {{{fault}}}}}]");
        let hit = hits(&record("20s", &text)).remove(0).0;
        match expected {
            Ok(names) => {
                let mut hit = hit;
                hit.sort();
                assert_eq!(hit, names, "{fault}");
            }
            Err(count) => assert_eq!(hit.len(), count, "{fault}: {hit:?}"),
        }
    }
}

#[test]
fn pods_are_chosen_by_name_labels_place_count_and_share() {
    // Six replicas spread over six workers: three of them in zone-a.
    let table = [
        ("selector: app=web", 1),
        ("selector: app=web, count: 4", 4),
        ("selector: app=web, share: 50%", 3),
        ("selector: app=web, zone: zone-a, count: 9", 3),
        ("selector: app=web, node: 'spot-*', count: 9", 2),
        ("pod: 'web-*'", 6),
        ("pod: 'web-*', share: 20%", 2),
    ];
    for (fault, count) in table {
        let text = format!("{}timeline: [{{at: 1m, podCrash: {{{fault}}}}}]", web(6));
        assert_eq!(hits(&record("70s", &text))[0].0.len(), count, "{fault}");
    }
}

#[test]
fn of_two_faults_on_one_machine_the_last_to_end_brings_it_back() {
    // The zone is down from 60 to 180, the node from 90 to 240: it is back at 240, its neighbour at 180.
    let record = record(
        "6m",
        "timeline:
- {at: 60s, for: 2m, nodeCrash: {zone: zone-a}}
- {at: 90s, for: 150s, nodeCrash: {node: n-0}}
- {at: 200s, nodeCrash: {node: n-1, recoverAfter: 30s}}",
    );
    assert_eq!(down(&record, "n-0"), [(60.0, 240.0)]);
    assert_eq!(down(&record, "n-2"), [(60.0, 180.0)]);
    assert_eq!(down(&record, "n-1"), [(200.0, 230.0)]);
    assert_eq!(hits(&record).iter().map(|hit| hit.1).collect::<Vec<_>>(), [Some(120.0), Some(150.0), Some(30.0)]);
}

#[test]
fn a_rule_has_one_clock_and_draws_its_victims_each_time() {
    // Every 100 s from 50 s on: at 150, 250, 350, 450, and no more than three times.
    let rule = "faults: [{every: 100s, after: 50s, times: 3, for: 20s, nodeCrash: {node: 'n-*', count: 1}}]";
    let record = record("10m", rule);
    let starts: Vec<f64> = record.incidents.iter().map(|incident| incident.started.as_secs_f64()).collect();
    assert_eq!(starts, [150.0, 250.0, 350.0]);
    let hits = hits(&record);
    assert!(hits.iter().all(|(nodes, lasted)| nodes.len() == 1 && *lasted == Some(20.0)), "{hits:?}");
}

#[test]
fn each_node_or_domain_has_a_clock_of_its_own() {
    // A constant lifetime of 100 s and a repair of 50 s: each rack fails at 100 and 250, all its nodes together.
    let record = record(
        "350s",
        "faults: [{every: 100s, each: rack, for: 50s, nodeCrash: {}}]".replace("{}", "{node: 'n-*'}").as_str(),
    );
    for node in ["n-0", "n-1", "n-2", "n-3"] {
        assert_eq!(down(&record, node), [(100.0, 150.0), (250.0, 300.0)], "{node}");
    }
    let mut first: Vec<Vec<String>> = hits(&record).into_iter().take(3).map(|hit| hit.0).collect();
    first.sort();
    assert_eq!(first, [vec!["n-0".to_string(), "n-2".to_string()], vec!["n-1".to_string()], vec!["n-3".to_string()]]);
}

#[test]
fn one_node_more_moves_no_other_failure() {
    let starts = |pool: u32| {
        let text = format!(
            "name: test\nduration: 20d\ncluster: {{pools: [{{name: p, count: {pool}}}]}}\n\
             faults: [{{every: {{weibull: {{scale: 5d, shape: 0.8}}}}, each: node, for: {{lognormal: {{median: 1h, \
             sigma: 1}}}}, nodeCrash: {{pool: p}}}}]"
        );
        let files = super::world::Files("");
        let scenario = kubesim::scenario::load::load("test.yaml", &text, &[], &files).unwrap();
        let (outcome, _) = run(&scenario, &Options::of(&scenario), &mut |_, _| true).unwrap();
        (0..2).map(|node| down(&outcome.record, &format!("p-{node}"))).collect::<Vec<_>>()
    };
    let small = starts(2);
    assert!(small.iter().all(|spans| !spans.is_empty()), "in four mean lifetimes something fails: {small:?}");
    assert_eq!(small, starts(3));
}

#[test]
fn ticking_what_could_be_computed_changes_nothing() {
    let parts = format!(
        "{}timeline: [{{at: 30s, for: {{uniform: [1m, 2m]}}, nodeCrash: {{domain: rack, reboot: true}}}}]\n\
         faults: [{{every: {{exponential: 1m}}, for: 30s, nodeCrash: {{count: 1}}}}, \
         {{every: {{exponential: 90s}}, podCrash: {{selector: app=web, share: 50%}}}}]",
        web(4)
    );
    let scenario = scenario("10m", &parts);
    let print = |eager: bool| {
        let options = Options { eager, ..Options::of(&scenario) };
        run(&scenario, &options, &mut |_, _| true).unwrap().0.fingerprint
    };
    assert_eq!(print(false), print(true));
    assert!(outcome("10m", &parts).record.incidents.len() > 8);
}

/// Node names of a trace are those of the cluster: a typing error is no fault that never happens.
#[test]
fn a_trace_names_nodes_that_there_are() {
    let text = format!(
        "name: test\nduration: 20s\n{}faults: [{{trace: failures.csv, nodeCrash: {{pool: spot}}}}]\n",
        super::world::CLUSTER
    );
    let read = |trace: &str| {
        let loaded = kubesim::scenario::load::load("test.yaml", &text, &[], &super::world::Files(trace));
        loaded.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(read("start,node\n1,spot-0\n2,n-3\n3,control-plane-0\n"), Ok(()));
    let expected = "failures.csv:3:3: error: node: unknown node \"spot-7\"; did you mean `spot-0`?";
    assert_eq!(read("start,node\n1,spot-0\n2,spot-7\n3,spot-7\n"), Err(expected.to_string()));
}
