//! Static pods: what a kubelet runs because a file on its machine says so (`pkg/kubelet/config/file.go`).
//!
//! The API server is not asked. It learns of such a pod by a mirror, which the kubelet makes once its node is registered,
//! keeps up to date, and makes anew whenever somebody deletes it (`pkg/kubelet/kubelet.go`, `tryReconcileMirrorPods`).
//!
//! A worked example: the folder of machine `m-0` holds a pod `agent`. The machine starts while every API server is
//! down: `agent` runs all the same. When they are back, the node registers and `kube-system/agent-m-0` appears, Running
//! since long. `kubectl delete pod agent-m-0` takes the mirror away; the next one comes at once, and no container ends.

use super::pod_worker::PodWorker;
use super::{Kubelet, current_status};
use crate::model::pod::{CONFIG_MIRROR, CONFIG_SOURCE};
use crate::model::{Key, Kind, Machine, Name, Node, Object, OwnerReference, Pod, PodStatus, Resource, Uid, hash};
use crate::rng::{Delay, Seed};
use crate::runtime::{Cx, Wake};
use crate::store::patch::is_foreign;
use crate::store::{DeleteOptions, Patch, Preconditions, Revision, StoreError, View, Write, Written};
use crate::time::{SimDuration, SimTime};
use crate::wire::decode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// By which a kubelet tells whether a mirror is that of its pod.
const CONFIG_HASH: Name = crate::name!("kubernetes.io/config.hash");
/// When the kubelet first saw the file.
const CONFIG_SEEN: Name = crate::name!("kubernetes.io/config.seen");

/// The static pods of all nodes.
#[derive(Debug, Default)]
pub(super) struct StaticPods(BTreeMap<Key, StaticPod>);

/// One of them.
#[derive(Debug)]
pub(super) struct StaticPod {
    node: usize,
    /// The pod as its kubelet knows it, with the status that it last had to report.
    pod: Arc<Pod>,
    /// A request to make its mirror, or to replace it, is under way.
    asked: bool,
    /// What the API server answered to the last such request.
    made: Revision,
}

impl StaticPods {
    /// Reads the folder of a machine.
    pub(super) fn read(&mut self, node: usize, machine: &Machine) {
        for manifest in &machine.setup.static_pods {
            let Some(pod) = on_node(manifest, machine) else { continue };
            let pod = StaticPod { node, pod: Arc::new(pod), asked: false, made: 0 };
            self.0.insert(pod.pod.key(), pod);
        }
    }

    /// Those of a machine that is no more are forgotten; their names.
    pub(super) fn leave(&mut self, node: usize) -> Vec<Key> {
        let keys: Vec<Key> = self.of(node).cloned().collect();
        keys.iter().for_each(|key| _ = self.0.remove(key));
        keys
    }

    /// Those of a node.
    pub(super) fn of(&self, node: usize) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |(_, one)| one.node == node).map(|(key, _)| key)
    }

    /// A pod as its kubelet knows it: its own, or that of the API.
    pub(super) fn pod<'a>(&'a self, view: View<'a>, key: &Key) -> Option<&'a Arc<Pod>> {
        self.0.get(key).map(|own| &own.pod).or_else(|| view.fetch_key::<Pod>(key))
    }

    /// Brings what others wrote to the mirror to the kubelet's own pod. Tells whether there is such a pod.
    pub(super) fn look(&mut self, view: View<'_>, key: &Key) -> bool {
        let Some(own) = self.0.get_mut(key) else { return false };
        if let Some(mirror) = own.mirror(view, key) {
            let others = mirror.status.conditions.iter().filter(is_foreign).cloned();
            let pod = Arc::make_mut(&mut own.pod);
            pod.meta.uid = mirror.meta.uid;
            pod.status.conditions.retain(|condition| !is_foreign(&condition));
            pod.status.conditions.splice(0..0, others);
        }
        true
    }
}

/// The pod of a manifest on a machine (`pkg/kubelet/config/common.go`, `applyDefaults`): its name ends with the node's,
/// and no taint drives it away. The scenario has seen to it that it is a pod.
fn on_node(manifest: &Value, machine: &Machine) -> Option<Pod> {
    let node = &machine.meta.name;
    let mut value = manifest.clone();
    let spec = value.get_mut("spec")?.as_object_mut()?;
    spec.insert("nodeName".into(), json!(node.as_str()));
    let everything = json!({"operator": "Exists", "effect": "NoExecute"});
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([])).as_array_mut()?;
    if !tolerations.contains(&everything) {
        tolerations.push(everything);
    }
    let Ok(Object::Pod(pod)) = decode::object(&value) else { return None };
    let mut pod = Arc::unwrap_or_clone(pod);
    let meta = &mut pod.meta;
    meta.name = Name::from(format!("{}-{}", meta.name, node.to_lowercase()));
    if meta.namespace.is_empty() {
        meta.namespace = crate::name!("default");
    }
    meta.generation = 1;
    let content = Seed(hash::content_hash(&value)).bits_of("static pod", &[node.as_bytes()]);
    meta.uid = Uid::from_random(content);
    let mark = |key: Name, text: String| (key, Name::from(text));
    let marks = [
        mark(CONFIG_HASH, format!("{content:032x}")),
        mark(CONFIG_SEEN, crate::wire::encode::rfc3339(machine.up_since)),
        mark(CONFIG_SOURCE, "file".to_string()),
    ];
    meta.annotations = marks.into_iter().fold(meta.annotations.clone(), |all, (key, text)| all.with(key, text));
    pod.node = Some(node.clone());
    pod.status = PodStatus::default();
    Some(pod)
}

impl StaticPod {
    /// The pod of its name in the API, if that is a mirror at all.
    fn mirror<'a>(&self, view: View<'a>, key: &Key) -> Option<&'a Arc<Pod>> {
        view.fetch_key::<Pod>(key).filter(|pod| pod.is_mirror() && pod.node == self.pod.node)
    }

    fn is_mirrored_by(&self, mirror: &Pod) -> bool {
        mirror.meta.annotations.get(&CONFIG_MIRROR) == self.pod.meta.annotations.get(&CONFIG_HASH)
    }

    /// The mirror to be made, owned by the node (`pkg/kubelet/pod/mirror_client.go`).
    fn reflection(&self, node: &Node) -> Pod {
        let mut mirror = Pod::clone(&self.pod);
        let hash = mirror.meta.annotations.get(&CONFIG_HASH).cloned().unwrap_or_default();
        mirror.meta.annotations = mirror.meta.annotations.with(CONFIG_MIRROR, hash);
        let (name, uid) = (node.meta.name.clone(), node.meta.uid);
        let owner = OwnerReference { kind: Kind::Node, name, uid, controller: true, block_owner_deletion: false };
        mirror.meta.owners = vec![owner];
        (mirror.meta.uid, mirror.status) = (Uid::default(), PodStatus::default());
        mirror
    }

    /// Reports the pod to its mirror, or sees that there is one. Tells whether the last one that was made is not to be
    /// seen yet: then somebody has to look again, should it never be.
    pub(super) fn report(&mut self, worker: &mut PodWorker, host: Option<Ipv4Addr>, cx: &mut Cx<'_>) -> bool {
        if let Some(status) = current_status(worker, &self.pod, host, cx.now) {
            Arc::make_mut(&mut self.pod).status = status;
        }
        let (view, key) = (cx.view, self.pod.key());
        let mirror = self.mirror(view, &key);
        if let Some(mirror) = mirror.filter(|mirror| !mirror.meta.deleting() && self.is_mirrored_by(mirror)) {
            let patch = Patch::PodStatus(Box::new(self.pod.status.clone()));
            let mut reported = Object::Pod(mirror.clone());
            patch.apply(&mut reported);
            if reported != Object::Pod(mirror.clone()) {
                cx.write(Write::Patch(key, patch, Preconditions::uid(mirror.meta.uid)));
            }
            return false;
        }
        let node = self.pod.node.as_ref().and_then(|name| view.node(name)).filter(|node| !node.meta.deleting());
        let Some(node) = node.filter(|_| !self.asked) else { return false };
        if view.revision() < self.made {
            return true;
        }
        let delete = mirror.map(|mirror| {
            let preconditions = Preconditions::uid(mirror.meta.uid);
            Write::Delete(key, DeleteOptions { grace_seconds: Some(0), propagation: None, preconditions })
        });
        let create = Write::Create(Object::Pod(Arc::new(self.reflection(node))));
        cx.background(delete.into_iter().chain([create]).collect());
        self.asked = true;
        false
    }
}

impl Kubelet {
    /// A mirror has come: what is known of its pod goes by its uid from now on.
    pub(super) fn follow_mirror(&mut self, key: &Key, uid: Uid) {
        let Some(worker) = self.workers.get_mut(key).filter(|worker| worker.uid != uid) else { return };
        let before = std::mem::replace(&mut worker.uid, uid);
        worker.instances.iter_mut().for_each(|instance| instance.metered = None);
        self.meters.forget(before);
        self.listeners.iter().for_each(|listeners| listeners.report(before, Default::default()));
    }

    /// A kubelet that has started since it ended a pod as a whole runs that anew: its file is still there. Forgets the end.
    pub(super) fn begins_anew(&mut self, key: &Key) -> bool {
        let Some(worker) = self.workers.get(key) else { return false };
        if !worker.concluded() || worker.verdict.is_none() {
            return false;
        }
        let node = &self.nodes[worker.node];
        let begins = node.up && worker.since != node.since;
        if let Some(own) = self.statics.0.get_mut(key).filter(|_| begins) {
            Arc::make_mut(&mut own.pod).status = PodStatus::default();
        }
        begins
    }

    /// A request to make a mirror is over. One that was refused is made again with a later sync of the pod.
    pub(super) fn mirror_settled(&mut self, key: &Key, result: &Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        let Some(own) = self.statics.0.get_mut(key).filter(|own| own.asked) else { return };
        own.asked = false;
        match result {
            Ok(written) => own.made = written.iter().map(|written| written.revision).max().unwrap_or_default(),
            Err(_) => wake.add_after(key.clone(), self.next_sync(key, wake.now())),
        }
    }

    /// How long a pod worker that has nothing to do waits at `now` (`pkg/kubelet/pod_workers.go`,
    /// `workerResyncIntervalJitterFactor`).
    pub(super) fn next_sync(&self, key: &Key, now: SimTime) -> SimDuration {
        let shortest = self.settings.sync_frequency;
        match self.settings.resync_jitter {
            jitter if jitter > 0.0 => {
                let draws = &mut self.seed.stream("mirror", &format!("{key}@{}", now.0));
                Delay::Uniform(shortest, shortest + shortest.scaled(jitter)).sample(draws)
            }
            _ => shortest,
        }
    }

    /// The static pod of that name.
    pub(super) fn static_pod(&mut self, key: &Key) -> Option<&mut StaticPod> {
        self.statics.0.get_mut(key)
    }
}
