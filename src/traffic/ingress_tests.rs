//! Names that lead elsewhere: through an ingress controller, to an alias, or to nobody for a while.

use super::tests::Play;
use crate::metrics::traffic::{End, TrafficRecord};
use crate::model::Meta;
use crate::model::plain::{Ingress, IngressClass};
use crate::model::service::ServiceType;
use serde_json::{Value, json};
use std::sync::Arc;

fn class() -> IngressClass {
    IngressClass {
        meta: Meta::named("", "nginx"),
        raw: Arc::new(json!({"spec": {"controller": "k8s.io/ingress-nginx"}})),
    }
}

fn ingress(tls: bool, service: &str) -> Ingress {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    let mut spec = json!({"ingressClassName": "nginx", "rules": [
        {"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]});
    if tls {
        spec["tls"] = json!([{"hosts": ["shop.example.com"]}]);
    }
    Ingress { meta: Meta::named("default", "shop"), raw: Arc::new(json!({"spec": spec})) }
}

/// 100 requests a second for ten seconds, through an ingress that is there from the start.
fn play(tls: bool, client: Value, pods: u8) -> Play {
    let mut written = json!({"service": "", "ingress": {"host": "shop.example.com"}, "arrivals": {"constant": 100}});
    client.as_object().unwrap().iter().for_each(|(key, value)| written[key] = value.clone());
    let more = json!({"network": {"sameNode": "0s", "sameZone": "0s", "otherZone": "0s", "outside": "10ms"}});
    let mut play = Play::behind(&["web", "other"], more, json!({"serviceTime": "1ms"}), written, pods, 10.005);
    play.write(0.0, class());
    play.write(0.0, ingress(tls, "web"));
    play
}

fn ends(record: &TrafficRecord, service: usize) -> Vec<(&'static str, u64)> {
    let ends = &record.services[service].ends;
    let parts = crate::metrics::traffic::ENDS.map(|end| (end.as_str(), ends.of(end)));
    parts.into_iter().filter(|part| part.1 > 0).collect()
}

#[test]
fn an_ingress_leads_from_a_host_to_pods() {
    // The controller goes by the rules a second after they are there: requests at 0.01 … 0.99 s find nothing. The rest
    // are answered after 10 + 1 + 10 ms; of those up to 10.00 s the last two are under way.
    let record = play(false, json!({}), 2).finish();
    assert_eq!(ends(&record, 0), [("success", 899), ("no_endpoint", 99)]);
    assert_eq!(record.services[0].latencies.max().unwrap().0 / 1_000_000, 21);
    // In turn over the pods.
    let pods = record.services[0].pods.iter().map(|pod| pod.ends.of(End::Success)).collect::<Vec<_>>();
    assert!(pods.iter().all(|pod| (448..=450).contains(pod)), "{pods:?}");
    // TLS takes a round trip more.
    let record = play(true, json!({}), 2).finish();
    assert_eq!(record.services[0].latencies.max().unwrap().0 / 1_000_000, 41);
    // Another host finds nothing.
    let record = play(false, json!({"ingress": {"host": "example.com"}}), 2).finish();
    assert_eq!(ends(&record, 0), [("no_endpoint", 1_000)]);
}

#[test]
fn an_ingress_that_changes_leads_elsewhere_and_dead_pods_are_passed_over() {
    // At 5 s the rules name another service, which has no endpoints; a second later the controller goes by them. Its
    // refusals take 20 ms, so those of 9.99 s and 10 s are under way.
    let mut changed = play(false, json!({}), 2);
    changed.write(5.0, ingress(false, "other"));
    let record = changed.finish();
    assert_eq!(ends(&record, 0), [("success", 500), ("no_endpoint", 99)]);
    assert_eq!(ends(&record, 1), [("no_endpoint", 399)]);
    // A process ends at 5 s while its endpoint stays: asked directly, half would be refused. The controller asks the
    // next pod.
    let mut dead = play(false, json!({}), 2);
    dead.engine.advance(crate::time::SimTime::from_secs(4), u64::MAX);
    dead.process(0, 0.0, Some(5.0), Some(5.0));
    let record = dead.finish();
    let ends = ends(&record, 0);
    assert!(ends.len() == 2 && ends[1] == ("no_endpoint", 99) && ends[0].1 >= 896, "{ends:?}");
    let attempts = record.services[0].attempts;
    // Half of the 501 from 5 s on met it, or, where tries and first asks alternate, every one of them.
    assert!((1_240..=1_510).contains(&attempts), "{attempts}");
}

#[test]
fn a_name_outside_is_answered_outside() {
    let client = json!({"arrivals": {"constant": 10}});
    let more = json!({"network": {"outside": "10ms"}});
    let mut play = Play::of(more, json!({"serviceTime": "5ms"}), client, 1, 10.05);
    play.service(0.0, |service| service.kind = ServiceType::ExternalName);
    let web = play.web();
    assert_eq!((web.ends.of(End::Success), web.distances.outside), (100, 100));
    assert_eq!(web.latencies.max().unwrap().0 / 1_000_000, 25);
}

#[test]
fn that_a_name_has_no_addresses_is_believed_for_a_while() {
    // A headless service whose first endpoint comes at 12 s. Nodes a and b ask in turn, from 0.01 s and 0.02 s on, and
    // believe for 5 s that there is nobody: they ask again at 5.01, 10.01 and 15.01 s, and at 5.02, 10.02 and 15.02 s.
    let client = json!({"arrivals": {"constant": 100}});
    let mut play = Play::new(json!({"serviceTime": "1ms"}), client, 1, 30.005);
    play.endpoints(0.0, &[]);
    play.service(0.0, |service| service.headless = true);
    play.endpoints(12.0, &[0]);
    let web = play.web();
    assert_eq!((web.ends.of(End::NoEndpoint), web.ends.of(End::Success)), (1_500, 1_500));
}

#[test]
fn an_address_stays_with_its_pod_until_its_time_is_over() {
    // Four addresses, each asking every fourth second in the mean, on one node at a time. While requests keep coming
    // within the time, nobody changes; with a time of 1 s the choice is made anew again and again.
    let pods_of_one = |seconds: i32| {
        let client = json!({"arrivals": {"constant": 0.25}});
        let mut play = Play::new(json!({"serviceTime": "1ms"}), client, 4, 400.5);
        play.service(0.0, |service| (service.client_ip_affinity, service.affinity_seconds) = (true, seconds));
        play.web().pods.len()
    };
    // One address comes in by two nodes, each of which remembers a pod of its own.
    assert!(pods_of_one(10) <= 2);
    assert_eq!(pods_of_one(1), 4);
}
