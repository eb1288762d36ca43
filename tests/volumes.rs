//! Volumes, config maps and secrets in a running cluster: what Kubernetes' own storage tests describe (`test/e2e/storage/`,
//! `test/e2e/common/storage/`, `test/e2e/common/node/`), in our words, each on a small cluster.

use kubesim::cluster::{Cluster, Options};
use kubesim::model::core::Event;
use kubesim::model::{ContainerState, Name, PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttachment};
use kubesim::scenario::load::{SourceFiles, load};
use kubesim::time::SimTime;

/// The manifests of a test as the only file.
struct Manifests<'a>(&'a str);

impl SourceFiles for Manifests<'_> {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.to_string())
    }

    fn glob(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Two zones of one node each, constant delays, and the given manifests at time zero.
struct World {
    cluster: Cluster,
}

/// The cluster with a disk for each driver that the manifests name.
fn cluster(manifests: &str) -> String {
    let named = |line: &&&str| manifests.contains(line.split([' ', ',']).nth(1).expect("a driver's name"));
    let own = ["{driver: roomy.example.com, fullZones: []}", "{driver: small.example.com, fullZones: [], perNode: 1}"];
    let own: String = own.iter().filter(named).map(|line| format!(", {line}")).collect();
    format!(
        "cluster:
  pools: [{{name: a, count: 1, zones: [zone-a]}}, {{name: b, count: 1, zones: [zone-b]}}]
  cloud: {{disks: [{{createTime: 2s, deleteTime: 2s, attachTime: 2s, detachTime: 2s, resizeTime: 2s, fullZones: [zone-a]}}{own}]}}
"
    )
}

impl World {
    /// As it is `seconds` after the manifests were applied, with what the timeline did meanwhile.
    fn at(seconds: i64, manifests: &str, timeline: &str) -> World {
        let text =
            format!("name: test\nduration: 1h\nmanifests: [all.yaml]\n{}timeline: [{timeline}]", cluster(manifests));
        let scenario = load("test.yaml", &text, &[], &Manifests(manifests)).unwrap_or_else(|error| panic!("{error}"));
        let options = Options { until: Some(SimTime::from_secs(seconds)), ..Options::of(&scenario) };
        let mut cluster = Cluster::new(&scenario, &options, Vec::new()).unwrap();
        cluster.run(&mut |_, _| true).unwrap();
        World { cluster }
    }

    fn events(&self, reason: &str) -> Vec<String> {
        let events = self.cluster.runtime().store.live().list::<Event>();
        events.filter(|event| event.reason == reason).map(|event| event.message.to_string()).collect()
    }

    fn claim(&self, name: &str) -> Option<(&'static str, i64)> {
        let view = self.cluster.runtime().store.live();
        let claim = view.fetch::<PersistentVolumeClaim>(&Name::from("default"), &Name::from(name))?;
        Some((claim.phase.as_str(), claim.capacity >> 30))
    }

    /// Names and phases of all volumes, and whom they are promised to.
    fn volumes(&self) -> Vec<(String, &'static str, String)> {
        let view = self.cluster.runtime().store.live();
        let claim = |volume: &PersistentVolume| volume.claim.as_ref().map_or(String::new(), |to| to.name.to_string());
        let row = |volume: &std::sync::Arc<PersistentVolume>| {
            (volume.meta.name.to_string(), volume.phase.as_str(), claim(volume))
        };
        view.list::<PersistentVolume>().map(row).collect()
    }

    /// A pod's node, and what its first container does.
    fn pod(&self, name: &str) -> (String, String) {
        let view = self.cluster.runtime().store.live();
        let Some(pod) = view.fetch::<Pod>(&Name::from("default"), &Name::from(name)) else {
            return (String::new(), "gone".to_string());
        };
        let state = match pod.status.containers.first().map(|container| &container.state) {
            None => String::new(),
            Some(ContainerState::Waiting { reason, message }) if message.is_empty() => reason.to_string(),
            Some(ContainerState::Waiting { reason, message }) => format!("{reason}: {message}"),
            Some(ContainerState::Running { .. }) => "running".to_string(),
            Some(ContainerState::Terminated(how)) => how.reason.to_string(),
        };
        (pod.node.as_ref().map(ToString::to_string).unwrap_or_default(), state)
    }

    fn attached(&self) -> Vec<(String, bool)> {
        let view = self.cluster.runtime().store.live();
        view.list::<VolumeAttachment>().map(|one| (one.node.to_string(), one.attached)).collect()
    }

    /// Who reads what: the reader and the object's name, with the number of different versions in the list.
    fn versions(&self, pod: &str, reader: &str) -> Vec<u64> {
        let view = self.cluster.runtime().store.live();
        let pod = view.fetch::<Pod>(&Name::from("default"), &Name::from(pod)).unwrap();
        pod.status.config.iter().filter(|seen| seen.reader == reader).map(|seen| seen.revision).collect()
    }
}

fn class(name: &str, driver: &str, more: &str) -> String {
    format!(
        "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: {name}}}\nprovisioner: {driver}\n{more}\n"
    )
}

fn claim(name: &str, class: &str, gibibytes: i64, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{accessModes: [ReadWriteOnce], \
         storageClassName: {class:?}, resources: {{requests: {{storage: {gibibytes}Gi}}}}{more}}}\n"
    )
}

fn volume(name: &str, class: &str, gibibytes: i64, modes: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}, labels: {{disk: {name}}}}}\nspec: {{accessModes: \
         [{modes}], storageClassName: {class:?}, capacity: {{storage: {gibibytes}Gi}}, nfs: {{server: s, path: /}}{more}}}\n"
    )
}

/// A pod of one container; `volume` is its volume `data`, `container` more of the container.
fn pod(name: &str, volume: &str, container: &str, more: &str) -> String {
    let volumes = if volume.is_empty() { String::new() } else { format!(", volumes: [{{name: data, {volume}}}]") };
    let mounts =
        if volume.is_empty() { String::new() } else { ", volumeMounts: [{name: data, mountPath: /data}]".to_string() };
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: \"i:1\"{mounts}{container}}}]{volumes}{more}}}\n"
    )
}

fn uses(claim: &str) -> String {
    format!("persistentVolumeClaim: {{claimName: {claim}}}")
}

/// "PersistentVolumes: should bind a claim to the volume that fits best", and the claims that find none.
#[test]
fn claims_bind_to_the_smallest_volume_that_fits() {
    let volumes = [
        volume("large", "", 100, "ReadWriteOnce", ""),
        volume("middle", "", 20, "ReadWriteOnce", ""),
        volume("small", "", 5, "ReadWriteOnce", ""),
        volume("many", "", 12, "ReadWriteOnce, ReadWriteMany", ""),
        volume("other-class", "slow", 10, "ReadWriteOnce", ""),
        volume("kept", "", 10, "ReadWriteOnce", ", claimRef: {namespace: default, name: chosen}"),
    ]
    .concat();
    // Claim: size, more of its spec, the volume it gets. A volume that can do no more than asked goes before a
    // smaller one that can.
    let table = [
        ("one", 10, "", Some("middle")),
        ("two", 50, "", Some("large")),
        ("three", 1, ", selector: {matchLabels: {disk: many}}", Some("many")),
        ("four", 200, "", None),
        ("chosen", 1, "", Some("kept")),
        ("five", 1, ", volumeName: small", Some("small")),
    ];
    for (name, size, more, expected) in table {
        let world = World::at(30, &(volumes.clone() + &claim(name, "", size, more)), "");
        let bound = world.volumes().into_iter().find(|(_, phase, to)| *phase == "Bound" && to == name);
        assert_eq!(bound.map(|(volume, ..)| volume).as_deref(), expected, "{name}");
        let phase = if expected.is_some() { "Bound" } else { "Pending" };
        assert_eq!(world.claim(name).unwrap().0, phase, "{name}");
    }
}

/// "PersistentVolumes: events tell why a claim waits".
#[test]
fn claims_that_wait_say_why() {
    let waits = "volumeBindingMode: WaitForFirstConsumer";
    let classes = class("later", "roomy.example.com", waits)
        + &class("hand", "kubernetes.io/no-provisioner", "")
        + &class(
            "full",
            "full.example.com",
            "allowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/zone, values: [zone-a]}]}]",
        );
    // Class, reason, message.
    let table = [
        ("", "FailedBinding", "no persistent volumes available for this claim and no storage class is set"),
        ("missing", "ProvisioningFailed", "storageclass.storage.k8s.io \"missing\" not found"),
        ("hand", "ProvisioningFailed", "no volume plugin matched name: kubernetes.io/no-provisioner"),
        ("later", "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        (
            "full",
            "ProvisioningFailed",
            "failed to provision volume with StorageClass \"full\": rpc error: code = ResourceExhausted desc = no more disks in zone \"zone-a\"",
        ),
        (
            "full",
            "ExternalProvisioning",
            "Waiting for a volume to be created either by the external provisioner 'full.example.com' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
        ),
    ];
    for (class, reason, message) in table {
        let world = World::at(20, &(classes.clone() + &claim("data", class, 1, "")), "");
        assert_eq!(world.claim("data"), Some(("Pending", 0)), "{class}");
        assert_eq!(world.events(reason), [message], "{class}");
    }
}

/// "Dynamic Provisioning: should provision storage with delayed binding in the node's zone", and deletion, retention.
#[test]
fn volumes_are_made_where_the_pod_goes_and_go_with_their_claim() {
    let waits = "volumeBindingMode: WaitForFirstConsumer";
    for (policy, left) in [("Delete", vec![]), ("Retain", vec!["Released"])] {
        let reclaim = format!("{waits}\nreclaimPolicy: {policy}");
        let manifests = class("fast", "roomy.example.com", &reclaim)
            + &claim("data", "fast", 8, "")
            + &pod("db", &uses("data"), "", ", nodeSelector: {topology.kubernetes.io/zone: zone-b}");
        let world = World::at(60, &manifests, "");
        assert_eq!(world.pod("db"), ("b-0".to_string(), "running".to_string()));
        assert_eq!(world.claim("data"), Some(("Bound", 8)));
        assert_eq!(world.attached(), [("b-0".to_string(), true)]);
        let name = &world.volumes()[0].0;
        assert_eq!(world.events("ProvisioningSucceeded"), [format!("Successfully provisioned volume {name}")]);
        // A claim in use stays until its pod is gone; the volume is detached before it is deleted.
        let gone = "{at: 1m, delete: {object: pvc/data}}";
        assert_eq!(World::at(80, &manifests, gone).claim("data"), Some(("Bound", 8)), "protected");
        let world = World::at(200, &manifests, &format!("{gone}, {{at: 90s, delete: {{object: pod/db}}}}"));
        assert_eq!(world.claim("data"), None);
        assert_eq!(world.volumes().iter().map(|(_, phase, _)| *phase).collect::<Vec<_>>(), left, "{policy}");
        assert_eq!(world.attached(), []);
    }
}

/// "PersistentVolumes: a volume by hand that nobody can reclaim becomes Failed"; "PV Protection"; a claim that lost its volume.
#[test]
fn volumes_by_hand_after_their_claim() {
    // Policy, what becomes of the volume, the event about it.
    let table = [
        ("Retain", "Released", ""),
        (
            "Delete",
            "Failed",
            "error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched",
        ),
        ("Recycle", "Failed", "No recycler plugin found for the volume!"),
    ];
    for (policy, phase, message) in table {
        let more = format!(", persistentVolumeReclaimPolicy: {policy}");
        let manifests = volume("v", "", 5, "ReadWriteOnce", &more) + &claim("data", "", 5, "");
        let world = World::at(60, &manifests, "{at: 30s, delete: {object: pvc/data}}");
        assert_eq!(world.volumes(), [("v".to_string(), phase, "data".to_string())], "{policy}");
        let told = [world.events("VolumeFailedDelete"), world.events("VolumeFailedRecycle")].concat();
        assert_eq!(told.join(""), message, "{policy}");
        let kept = World::at(60, &manifests, "{at: 30s, delete: {object: pv/v}}");
        assert_eq!(kept.volumes(), [("v".to_string(), "Bound", "data".to_string())], "protected while bound");
    }
}

/// "Volume expand: should resize a volume when its class allows it".
#[test]
fn claims_grow_if_their_class_allows_it() {
    let patch = "{at: 30s, patch: {object: pvc/data, patch: {spec: {resources: {requests: {storage: 12Gi}}}}}}";
    for (allowed, size) in [(true, 12), (false, 8)] {
        let manifests = class("fast", "roomy.example.com", &format!("allowVolumeExpansion: {allowed}"))
            + &claim("data", "fast", 8, "");
        let world = World::at(60, &manifests, patch);
        assert_eq!(world.claim("data"), Some(("Bound", size)), "allowed: {allowed}");
        assert_eq!(world.events("VolumeResizeSuccessful").len(), usize::from(allowed));
    }
}

/// "Attach limit": a node takes only so many disks of a driver.
#[test]
fn a_node_takes_only_so_many_disks() {
    let later = "volumeBindingMode: WaitForFirstConsumer";
    let zone = ", nodeSelector: {topology.kubernetes.io/zone: zone-b}";
    let manifests = class("few", "small.example.com", later)
        + &claim("one", "few", 1, "")
        + &claim("two", "few", 1, "")
        + &pod("first", &uses("one"), "", zone);
    let world = World::at(60, &(manifests.clone() + &pod("second", &uses("two"), "", zone)), "");
    let running = ["first", "second"].map(|name| world.pod(name).1 == "running");
    assert_eq!(running.iter().filter(|running| **running).count(), 1, "one disk, one pod");
    assert!(world.events("FailedScheduling")[0].contains("1 node(s) exceed max volume count"));
}

/// "Non-graceful node shutdown: a volume leaves a dead node after six minutes, or at once when it is out of service".
#[test]
fn a_dead_node_keeps_its_volume_for_six_minutes() {
    let later = "volumeBindingMode: WaitForFirstConsumer";
    let manifests = class("fast", "roomy.example.com", later)
        + &claim("data", "fast", 1, "")
        + &pod("db", &uses("data"), "", ", nodeSelector: {topology.kubernetes.io/zone: zone-b}");
    let crash = "{at: 1m, nodeCrash: {node: b-0}}";
    let forced = format!("{crash}, {{at: 3m, delete: {{object: pod/db, gracePeriod: 0s}}}}");
    let tainted = format!(
        "{forced}, {{at: 4m, taint: {{node: b-0, add: [{{key: node.kubernetes.io/out-of-service, value: nodeshutdown, effect: NoExecute}}]}}}}"
    );
    // Timeline, second, whether the disk is still attached: 3m + 6m + 2 s of detaching.
    let table = [(crash, 3000, true), (&forced, 535, true), (&forced, 550, false), (&tainted, 250, false)];
    for (timeline, second, attached) in table {
        let world = World::at(second, &manifests, timeline);
        assert_eq!(!world.attached().is_empty(), attached, "{timeline} at {second} s");
    }
}

/// "ConfigMap/Secret volumes and environment: a missing one keeps the pod waiting, an optional one does not".
#[test]
fn what_is_missing_holds_a_pod_up() {
    let env = |kind: &str, more: &str| {
        format!(", env: [{{name: X, valueFrom: {{{kind}KeyRef: {{name: settings, key: x{more}}}}}}}]")
    };
    let map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {y: \"1\"}\n";
    // Volume, container, what else there is, state at 10 s, reason and message of the event.
    let creating = "ContainerCreating";
    let table = [
        (
            "configMap: {name: settings}",
            String::new(),
            "",
            creating.to_string(),
            "FailedMount",
            "MountVolume.SetUp failed for volume \"data\" : configmap \"settings\" not found",
        ),
        (
            "secret: {secretName: settings}",
            String::new(),
            "",
            creating.to_string(),
            "FailedMount",
            "MountVolume.SetUp failed for volume \"data\" : secret \"settings\" not found",
        ),
        (
            "configMap: {name: settings, items: [{key: x, path: x}]}",
            String::new(),
            map,
            creating.to_string(),
            "FailedMount",
            "MountVolume.SetUp failed for volume \"data\" : configmap references non-existent config key: x",
        ),
        ("configMap: {name: settings, optional: true}", String::new(), "", "running".to_string(), "FailedMount", ""),
        (
            "",
            env("configMap", ""),
            "",
            "CreateContainerConfigError: configmap \"settings\" not found".to_string(),
            "Failed",
            "Error: configmap \"settings\" not found",
        ),
        (
            "",
            env("secret", ""),
            "",
            "CreateContainerConfigError: secret \"settings\" not found".to_string(),
            "Failed",
            "Error: secret \"settings\" not found",
        ),
        (
            "",
            env("configMap", ""),
            map,
            "CreateContainerConfigError: couldn't find key x in ConfigMap default/settings".to_string(),
            "Failed",
            "Error: couldn't find key x in ConfigMap default/settings",
        ),
        ("", env("configMap", ", optional: true"), "", "running".to_string(), "Failed", ""),
        ("emptyDir: {}", String::new(), "", "running".to_string(), "FailedMount", ""),
    ];
    for (volume, container, there, state, reason, message) in table {
        let world = World::at(10, &(there.to_string() + &pod("web", volume, &container, "")), "");
        assert_eq!(world.pod("web").1, state, "{volume}{container}");
        assert_eq!(world.events(reason).join(""), message, "{volume}{container}");
    }
}

/// "ConfigMap: updates should be reflected in volume", not in the environment, not with subPath, not if immutable.
#[test]
fn files_follow_changes_within_ninety_seconds_and_variables_do_not() {
    let map = |more: &str| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{x: \"1\"}}\n{more}\n")
    };
    let change = "{at: 1m, patch: {object: configmap/settings, patch: {data: {x: \"2\"}}}}";
    let variable = ", env: [{name: X, valueFrom: {configMapKeyRef: {name: settings, key: x}}}]";
    let part = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: \"i:1\", volumeMounts: \
                [{name: data, mountPath: /x, subPath: x}]}], volumes: [{name: data, configMap: {name: settings}}]}\n";
    let whole = pod("web", "configMap: {name: settings}", variable, "");
    // The pod, who reads, whether the new version is seen 90 s after the change.
    for (pod, reader, follows) in [(&whole, "data", true), (&whole, "c", false), (&part.to_string(), "data", false)] {
        let manifests = map("") + pod;
        let before = World::at(60, &manifests, change).versions("web", reader);
        let after = World::at(151, &manifests, change).versions("web", reader);
        assert_eq!((before.len(), after.len()), (1, 1), "{reader}");
        assert_eq!(after != before, follows, "{reader} of {pod}");
    }
}

/// "PVC in use by a pod that names its node": a claim that is not bound is no volume.
#[test]
fn a_claim_that_is_not_bound_is_no_volume() {
    let manifests = claim("data", "", 1, "") + &pod("db", &uses("data"), "", ", nodeName: a-0");
    let world = World::at(20, &manifests, "");
    assert_eq!(world.pod("db"), ("a-0".to_string(), "ContainerCreating".to_string()));
    let message = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process \
                   volumes=[data]: error processing PVC default/data: PVC is not bound";
    assert_eq!(world.events("FailedMount"), [message]);
}

/// "Ephemeral volumes: should create a claim for the pod, and delete it with the pod".
#[test]
fn ephemeral_volumes_come_and_go_with_their_pod() {
    let template = "ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], storageClassName: fast, \
                    resources: {requests: {storage: 3Gi}}}}}";
    let zone = ", nodeSelector: {topology.kubernetes.io/zone: zone-b}";
    let manifests =
        class("fast", "roomy.example.com", "volumeBindingMode: WaitForFirstConsumer") + &pod("db", template, "", zone);
    let world = World::at(60, &manifests, "");
    assert_eq!((world.claim("db-data"), world.pod("db").1.as_str()), (Some(("Bound", 3)), "running"));
    let world = World::at(150, &manifests, "{at: 1m, delete: {object: pod/db}}");
    assert_eq!((world.claim("db-data"), world.volumes()), (None, vec![]));
}
