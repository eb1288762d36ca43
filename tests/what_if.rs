//! What would let a pod in: one small cluster for each reason, and the changes that must be named, smallest first.

use kubesim::model::{Name, Node, Object, builder};
use kubesim::scheduler::cycle::{Framework, Outcome};
use kubesim::scheduler::nominated::Nominated;
use kubesim::scheduler::profile::Profile;
use kubesim::scheduler::snapshot::Snapshot;
use kubesim::scheduler::what_if::{WhatIf, explore};
use kubesim::wire::{decode, yaml};
use std::sync::Arc;

fn object(text: &str) -> Object {
    let value = yaml::read_value(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    decode::object(&value).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

/// `node: a, cpu 2, …` and so on are written short; everything else is a manifest.
fn expand(text: &str) -> String {
    let short = |kind: &str, rest: &str| {
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        (kind.to_string(), name.to_string(), rest.to_string())
    };
    let (kind, name, rest) = match text.split_once(' ') {
        Some(("node", rest)) => short("node", rest),
        Some(("pod", rest)) => short("pod", rest),
        _ => return text.to_string(),
    };
    let (labels, spec) = rest.split_once('|').unwrap_or(("", &rest));
    let (labels, spec) = (labels.trim(), spec.trim());
    if kind == "node" {
        let (spec, more) = spec.split_once(';').unwrap_or((spec, "pods: 10"));
        return format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, \
             {labels}}}}}, spec: {{{spec}}}, status: {{allocatable: {{cpu: 2, memory: 4Gi, {more}}}}}}}"
        );
    }
    let (spec, more) = spec.split_once(';').unwrap_or((spec, ""));
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, labels: {{{labels}}}}}, spec: \
         {{{spec}{} containers: [{{name: c, image: i, {more}}}]}}}}",
        if spec.is_empty() { "" } else { "," }
    )
}

/// The cluster of these objects, and what would let the last of them, a pod, in.
fn answer(objects: &[&str], pools: &[(Name, Arc<Node>)]) -> WhatIf {
    let mut snapshot = Snapshot::default();
    let mut last = None;
    for text in objects {
        match object(&expand(text)) {
            Object::Node(node) => snapshot.set_node(&node),
            Object::Pod(pod) => match pod.spec.node_name.clone() {
                Some(node) => {
                    let info = snapshot.compile(&pod);
                    snapshot.place(info, &node);
                }
                None => last = Some(pod),
            },
            other => snapshot.listers.set(&other),
        }
    }
    let pod = snapshot.compile(&last.expect("a pod without a node"));
    let nominated = Nominated::default();
    let mut framework = Framework::new(Profile::default(), &mut snapshot);
    let Outcome::Unfit(fit) = framework.decide(&mut snapshot, &nominated, &pod, false).outcome else {
        panic!("it fits: {objects:?}")
    };
    let before = fit.to_string();
    let answer = explore(&framework, &mut snapshot, &nominated, &pod, &fit, pools);
    let Outcome::Unfit(fit) = framework.decide(&mut snapshot, &nominated, &pod, false).outcome else {
        panic!("looking changed the cluster: {objects:?}")
    };
    assert_eq!(fit.to_string(), before, "looking changes nothing");
    answer
}

fn check(objects: &[&str], expected: &[&str]) {
    let answer = answer(objects, &[]);
    let named: Vec<String> =
        answer.changes.iter().map(|c| format!("{}: {} @{}", c.class.as_str(), c.text, c.node)).collect();
    assert_eq!(named, expected, "{objects:?}");
    assert!(answer.tried >= answer.changes.len() && !answer.cut);
}

const GPU: &str = "node a | taints: [{key: dedicated, value: gpu, effect: NoSchedule}]";

#[test]
fn taints_and_cordons() {
    check(
        &[GPU, "pod p"],
        &[
            "toleration: let the pod tolerate dedicated=gpu:NoSchedule @a",
            "taint: remove the taint dedicated=gpu:NoSchedule from node a @a",
        ],
    );
    // Either taint alone would not do. A node more of this kind has both of them, too.
    check(
        &[
            "node a | taints: [{key: k1, effect: NoSchedule}, {key: k2, effect: NoExecute}, {key: k3, effect: PreferNoSchedule}]",
            "pod p",
        ],
        &["toleration: let the pod tolerate every taint @a"],
    );
    check(
        &["node a | unschedulable: true", "pod p"],
        &[
            "toleration: let the pod tolerate node.kubernetes.io/unschedulable:NoSchedule @a",
            "taint: uncordon node a @a",
            "node: add a node like a @a-0",
        ],
    );
}

#[test]
fn node_selectors_and_affinity() {
    check(
        &["node a", "node b disk: hdd |", "pod p | nodeSelector: {disk: ssd}"],
        &["label: label node a with disk=ssd @a", "rule: remove disk=ssd from the pod's nodeSelector @a"],
    );
    // Zones are facts: the one of a node is not changed. Two pairs are missing, so no label alone helps.
    check(
        &["node a topology.kubernetes.io/zone: z1 |", "pod p | nodeSelector: {topology.kubernetes.io/zone: z2}"],
        &["rule: remove topology.kubernetes.io/zone=z2 from the pod's nodeSelector @a"],
    );
    check(&["node a", "pod p | nodeSelector: {disk: ssd, cpu: fast}"], &[]);
    let terms = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
                 [{matchExpressions: [{key: cores, operator: Gt, values: ['8']}, {key: spot, operator: DoesNotExist}]}]}}}";
    check(
        &["node a cores: '16', spot: 'yes' |", "node b cores: '4' |", &format!("pod p | {terms}")],
        &[
            "label: remove the label spot from node a @a",
            "label: label node b with cores=9 @b",
            "rule: remove !spot from term 0 of the pod's required node affinity @a",
            "rule: remove cores>8 from term 0 of the pod's required node affinity @b",
            "rule: remove the pod's required node affinity @a",
        ],
    );
    let named = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
                 [{matchFields: [{key: metadata.name, operator: In, values: [gone]}]}]}}}";
    check(&["node a", &format!("pod p | {named}")], &["rule: remove the pod's required node affinity @a"]);
}

/// Node a has 2 CPUs of which 1500m are taken, b has 2 with 500m taken. 1600m for the pod: 100m too much for b,
/// which is 6.25 % of the request and 5 % of the node.
#[test]
fn resources() {
    let used = |name: &str, node: &str, cpu: &str| {
        format!("pod {name} | nodeName: {node} ; resources: {{requests: {{cpu: {cpu}}}}}")
    };
    check(
        &[
            "node a",
            "node b",
            &used("one", "a", "1500m"),
            &used("two", "b", "500m"),
            "pod p | ; resources: {requests: {cpu: 1600m}}",
        ],
        &[
            "request: lower the cpu request of container c from 1600m to 1500m @b",
            "capacity: give node b 2100m of allocatable cpu instead of 2 @b",
            "node: add a node like a @a-0",
        ],
    );
    // Both cpu and memory are short: no single change of what exists, and no node of this kind, is enough.
    check(&["node a", "pod p | ; resources: {requests: {cpu: 3, memory: 5Gi}}"], &[]);
    check(
        &["node a | ; pods: 1", "pod x | nodeName: a", "pod p"],
        &["capacity: let node a take 2 pods instead of 1 @a", "node: add a node like a @a-0"],
    );
    check(
        &["node a | ; pods: 10, example.com/fpga: 1", "pod p | ; resources: {limits: {example.com/fpga: 3}}"],
        &[
            "request: lower the example.com/fpga request of container c from 3 to 1 @a",
            "capacity: give node a 3 of allocatable example.com/fpga instead of 1 @a",
        ],
    );
    check(
        &["node a", "pod p | resources: {requests: {cpu: 3}}"],
        &[
            "request: lower the pod's cpu request from 3 to 2 @a",
            "capacity: give node a 3 of allocatable cpu instead of 2 @a",
        ],
    );
}

#[test]
fn host_ports() {
    let port = "; ports: [{containerPort: 80, hostPort: 8080}]";
    check(
        &["node a", &format!("pod x | nodeName: a {port}"), &format!("pod p | {port}")],
        &["rule: remove the pod's hostPort 8080 @a", "node: add a node like a @a-0"],
    );
}

/// Two in zone 1, none in zone 2, where the only node is full: a third one in zone 1 makes the skew 3.
#[test]
fn spread() {
    let zone = |name: &str, zone: &str, more: &str| format!("node {name} topology.kubernetes.io/zone: {zone} | {more}");
    let constraint = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, \
                      whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]";
    let web = |name: &str, more: &str| format!("pod {name} app: web | {more}{constraint}");
    check(
        &[
            &zone("a", "z1", ""),
            &zone("b", "z2", "; pods: 0"),
            &web("one", "nodeName: a, "),
            &web("two", "nodeName: a, "),
            &web("p", ""),
        ],
        &[
            "rule: raise maxSkew of the pod's spread over topology.kubernetes.io/zone from 1 to 3 @a",
            "rule: make the pod's spread over topology.kubernetes.io/zone ScheduleAnyway @a",
            "capacity: let node b take 1 pods instead of 0 @b",
        ],
    );
    // A node without the label joins the only domain there is, which another node makes.
    check(
        &["node a", &zone("b", "z1", "; pods: 0"), &web("p", "")],
        &[
            "label: label node a with topology.kubernetes.io/zone=z1 @a",
            "rule: make the pod's spread over topology.kubernetes.io/zone ScheduleAnyway @a",
            "capacity: let node b take 1 pods instead of 0 @b",
        ],
    );
}

#[test]
fn pod_affinity() {
    let term = |kind: &str, app: &str| {
        format!(
            "affinity: {{{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: \
             kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: {app}}}}}}}]}}}}"
        )
    };
    // The first of a group that wants itself near may go anywhere.
    check(
        &["node a", &format!("pod p | {}", term("podAffinity", "db"))],
        &[
            "label: give the pod the label app=db @a",
            "rule: remove the pod's required affinity to app=db on kubernetes.io/hostname @a",
        ],
    );
    check(
        &["node a", "pod x app: web | nodeName: a", &format!("pod p | {}", term("podAntiAffinity", "web"))],
        &[
            "rule: remove the pod's required anti-affinity to app=web on kubernetes.io/hostname @a",
            "node: add a node like a @a-0",
        ],
    );
    // Others keep it away: what they know it by can go.
    check(
        &["node a", &format!("pod x | nodeName: a, {}", term("podAntiAffinity", "web")), "pod p app: web, tier: one |"],
        &["label: remove the label app=web from the pod @a", "node: add a node like a @a-0"],
    );
}

#[test]
fn volumes() {
    let class = |mode: &str| {
        format!(
            "{{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{name: fast}}, provisioner: \
             csi.example.com, volumeBindingMode: {mode}}}"
        )
    };
    let claim = |more: &str, annotations: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: data, namespace: default, annotations: \
             {{{annotations}}}}}, spec: {{storageClassName: fast, resources: {{requests: {{storage: 1Gi}}}}, {more}}}}}"
        )
    };
    let pod = "pod p | volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]";
    check(
        &["node a", &class("WaitForFirstConsumer"), pod],
        &["storage: create the claim default/data of class fast @a"],
    );
    check(
        &["node a", &class("Immediate"), &claim("accessModes: [ReadWriteOnce]", ""), pod],
        &[
            "storage: create a volume of class fast with 1Gi for the claim default/data @a",
            "storage: let class fast wait for the first consumer (volumeBindingMode) @a",
        ],
    );
    let volume = |more: &str, labels: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: vol, labels: {{{labels}}}}}, spec: {{capacity: \
             {{storage: 1Gi}}, accessModes: [ReadWriteOnce], storageClassName: fast, csi: {{driver: csi.example.com, \
             volumeHandle: v1}}, {more}}}}}"
        )
    };
    let bound = claim("accessModes: [ReadWriteOnce], volumeName: vol", "pv.kubernetes.io/bind-completed: 'yes'");
    let affinity = "nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: In, \
                    values: [near]}]}]}}";
    check(&["node a", &volume(affinity, ""), &bound, pod], &["storage: remove the node affinity of volume vol @a"]);
    check(
        &["node a topology.kubernetes.io/zone: z1 |", &volume("", "topology.kubernetes.io/zone: z2"), &bound, pod],
        &["storage: remove the label topology.kubernetes.io/zone=z2 from volume vol @a"],
    );
    check(&["node a", &bound, pod], &["storage: create the volume vol, which the claim default/data is bound to @a"]);
    let one = claim("accessModes: [ReadWriteOncePod], volumeName: vol", "pv.kubernetes.io/bind-completed: 'yes'");
    let user = "pod x | nodeName: a, volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]";
    check(
        &["node a", &volume("", ""), &one, user, pod],
        &["storage: let several pods use the claim default/data: ReadWriteMany instead of ReadWriteOncePod @a"],
    );
    let drivers = "{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: a}, spec: {drivers: [{name: \
                   csi.example.com, nodeID: a, allocatable: {count: 0}}]}}";
    check(
        &["node a", drivers, &volume("", ""), &bound, pod],
        &[
            "storage: raise the volume limit of driver csi.example.com on node a from 0 to 1 @a",
            // The new node has no driver that limits it.
            "node: add a node like a @a-0",
        ],
    );
}

/// Pools that have no node yet count, too, each in the zones that it has.
#[test]
fn one_more_of_a_pool() {
    let zone = |name: &str, zone: &str| {
        let node = builder::node(name, 4000, 8 << 30, 110).label("topology.kubernetes.io/zone", zone);
        (Name::from("big"), Arc::new(node))
    };
    let pools = [
        (Name::from("small"), Arc::new(builder::node("small-1", 2000, 4 << 30, 110))),
        zone("big-0", "z1"),
        zone("big-1", "z2"),
    ];
    let in_zone = "nodeSelector: {topology.kubernetes.io/zone: z2} ; resources: {requests: {cpu: 3}}";
    let found = answer(&["node small-0", &format!("pod p | {in_zone}")], &pools);
    let named: Vec<&str> = found.changes.iter().map(|change| change.text.as_str()).collect();
    assert_eq!(named, ["add a node to pool big in zone z2"]);
    // Without any node at all there are no reasons, but a node helps.
    let found = answer(&["pod p"], &pools);
    let named: Vec<&str> = found.changes.iter().map(|change| change.text.as_str()).collect();
    assert_eq!(named, ["add a node to pool big in zone z1", "add a node to pool small"]);
}
