//! Addresses and ports of services, and what a change of type does to them. Sentences are Kubernetes'
//! (`pkg/registry/core/service/storage/alloc.go`, `pkg/registry/core/service/strategy.go`).

use crate::patches::{check, live, refused, send, with};
use kubesim::model::{Key, Kind};
use kubesim::store::{DeleteOptions, Store, Write};
use kubesim::time::SimTime;
use kubesim::wire::decode;
use kubesim::wire::patch::{Document, Form};
use serde_json::{Value, json};

fn service(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

fn create(store: &mut Store, object: &Value) -> Result<Key, String> {
    let write = Write::Create(decode::object(object).unwrap());
    store.commit(SimTime::from_secs(8), write, "test").map(|written| written.key).map_err(|error| error.to_string())
}

#[test]
fn what_is_given_is_not_given_again() {
    let node = |ports: Value| json!({"type": "NodePort", "ports": ports});
    let rows = [
        (
            json!({"clusterIP": "10.96.0.50", "ports": [{"port": 80}]}),
            "spec.clusterIPs: Invalid value: [\"10.96.0.50\"]: failed to allocate IP 10.96.0.50: provided IP is already allocated",
        ),
        (
            // That of `kubernetes.default`.
            json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}),
            "spec.clusterIPs: Invalid value: [\"10.96.0.1\"]: failed to allocate IP 10.96.0.1: provided IP is already allocated",
        ),
        (
            json!({"clusterIP": "192.168.5.5", "ports": [{"port": 80}]}),
            "spec.clusterIPs: Invalid value: [\"192.168.5.5\"]: failed to allocate IP 192.168.5.5: the provided network does not match the current range",
        ),
        (
            node(json!([{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30001}])),
            "spec.ports[1].nodePort: Invalid value: 30001: provided port is already allocated",
        ),
        (
            node(json!([{"port": 80, "nodePort": 80}])),
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
    ];
    let first = json!({"type": "NodePort", "clusterIP": "10.96.0.50", "ports": [{"port": 80, "nodePort": 30001}]});
    let mut store = with(&[service("a", first)]);
    for (spec, why) in &rows {
        let answer = create(&mut store, &service("b", spec.clone()));
        assert_eq!(answer.unwrap_err(), format!("Service \"b\" is invalid: {why}"), "{spec}");
    }
    // What a service had is free when it has gone.
    let key = Key::new(Kind::Service, "default", "a");
    store.commit(SimTime::from_secs(8), Write::Delete(key, DeleteOptions::default()), "test").unwrap();
    create(&mut store, &service("b", rows[0].0.clone())).unwrap();
    create(&mut store, &service("c", rows[3].0.clone())).unwrap();
}

#[test]
fn giving_passes_over_what_is_taken() {
    let manifests = [
        service(
            "a",
            json!({"clusterIP": "10.96.0.10", "type": "NodePort", "ports": [{"port": 80, "nodePort": 30086}]}),
        ),
        service("b", json!({"type": "NodePort", "ports": [{"port": 80}]})),
        // Rows of one port share theirs, and a balancer can do without.
        service(
            "dns",
            json!({"type": "NodePort", "ports": [
                {"name": "udp", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53}, {"name": "http", "port": 80}]}),
        ),
        service("lb", json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]})),
    ];
    let expected = [
        ("a", "10.96.0.10", json!([30086])),
        ("b", "10.96.0.11", json!([30087])),
        ("dns", "10.96.0.12", json!([30088, 30088, 30089])),
        ("lb", "10.96.0.13", json!([null])),
    ];
    let store = with(&manifests);
    for (name, ip, ports) in expected {
        let spec = &live(&store, &Key::new(Kind::Service, "default", name))["spec"];
        let given: Vec<&Value> = spec["ports"].as_array().unwrap().iter().map(|port| &port["nodePort"]).collect();
        assert_eq!((&spec["clusterIP"], json!(given)), (&json!(ip), ports), "{name}");
    }
}

#[test]
fn a_change_of_type_drops_what_no_longer_applies() {
    let node = service("s", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30500}]}));
    let balanced = service(
        "s",
        json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/a", "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 31000, "ports": [{"port": 80}]}),
    );
    let plain = service("s", json!({"ports": [{"port": 80}]}));
    let rows = [
        (
            &node,
            json!({"type": "ClusterIP"}),
            vec![
                ("/spec/ports/0/nodePort", Value::Null),
                ("/spec/externalTrafficPolicy", Value::Null),
                ("/spec/clusterIP", json!("10.96.0.10")),
            ],
        ),
        (
            &balanced,
            json!({"type": "ClusterIP"}),
            vec![
                ("/spec/ports/0/nodePort", Value::Null),
                ("/spec/externalTrafficPolicy", Value::Null),
                ("/spec/healthCheckNodePort", Value::Null),
                ("/spec/loadBalancerClass", Value::Null),
                ("/spec/allocateLoadBalancerNodePorts", Value::Null),
            ],
        ),
        (
            &balanced,
            json!({"allocateLoadBalancerNodePorts": false}),
            vec![("/spec/ports/0/nodePort", Value::Null), ("/spec/externalTrafficPolicy", json!("Local"))],
        ),
        (
            &plain,
            json!({"type": "ExternalName", "externalName": "example.com"}),
            vec![
                ("/spec/clusterIP", Value::Null),
                ("/spec/clusterIPs", Value::Null),
                ("/spec/ipFamilies", Value::Null),
            ],
        ),
        (&plain, json!({"type": "NodePort"}), vec![("/spec/ports/0/nodePort", json!(30086))]),
    ];
    for (object, spec, expected) in rows {
        check(object, Form::Merge, json!({"spec": spec}), &expected);
    }
    // What the client changed at the same time is not dropped, but refused.
    let rows = [
        (
            &node,
            json!({"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30501}]}),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            &node,
            json!({"type": "ClusterIP", "externalTrafficPolicy": "Local"}),
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ),
        (
            &balanced,
            json!({"loadBalancerClass": "example.com/b"}),
            "spec.loadBalancerClass: Invalid value: \"example.com/b\": may not change once set",
        ),
    ];
    for (object, spec, why) in rows {
        refused(object, Form::Merge, json!({"spec": spec}), &format!("Service \"s\" is invalid: {why}"));
    }
}

#[test]
fn a_replacement_keeps_ports_by_name() {
    let ports = json!([{"name": "a", "port": 80, "nodePort": 30100}, {"name": "b", "port": 81, "nodePort": 30101}]);
    let mut store = with(&[service("s", json!({"type": "NodePort", "ports": ports}))]);
    let key = Key::new(Kind::Service, "default", "s");
    // `b` has moved to another port, `c` takes that of `a` for its own, and `a` gets another.
    let ports =
        json!([{"name": "a", "port": 80}, {"name": "b", "port": 82}, {"name": "c", "port": 83, "nodePort": 30100}]);
    let replacement = service("s", json!({"type": "NodePort", "ports": ports}));
    send(&mut store, &key, Document::new(Form::Replace, replacement, "test")).unwrap();
    let ports = &live(&store, &key)["spec"]["ports"];
    let given: Vec<&Value> = ports.as_array().unwrap().iter().map(|port| &port["nodePort"]).collect();
    assert_eq!(json!(given), json!([30086, 30101, 30100]));
}
