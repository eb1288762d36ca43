//! The steps: what each does, and how people would type it.

use super::{apply, template};
use crate::model::workload::keys;
use crate::model::{Deployment, ReplicaSet};
use crate::model::{Key, Name, Node, Object, Pod, Resource, Taint, TaintEffect};
use crate::runtime::{Cx, Requeue};
use crate::store::{DeleteOptions, Patch, Preconditions, Propagation, Write};
use crate::time::SimDuration;
use std::sync::Arc;

/// How long `kubectl drain` waits before it tries again.
const DRAIN_RETRY: SimDuration = SimDuration::from_secs(5);

/// One thing done with `kubectl`.
#[derive(Clone, Debug)]
pub enum Step {
    /// `kubectl apply -f`.
    Apply(Vec<apply::Manifest>),
    /// `kubectl delete`.
    Delete {
        /// What.
        key: Key,
        /// `--grace-period`.
        grace_seconds: Option<i64>,
        /// `--cascade`.
        propagation: Propagation,
    },
    /// `kubectl scale`.
    Scale {
        /// What.
        key: Key,
        /// To how many.
        replicas: i32,
    },
    /// `kubectl set image`.
    SetImage {
        /// What.
        key: Key,
        /// Which container; all of them if absent.
        container: Option<Name>,
        /// The image.
        image: Name,
    },
    /// `kubectl patch --type merge`.
    MergePatch {
        /// What.
        key: Key,
        /// The patch.
        patch: Arc<serde_json::Value>,
    },
    /// `kubectl rollout undo`.
    Undo {
        /// The Deployment.
        key: Key,
        /// `--to-revision`; 0 is the one before.
        revision: u32,
    },
    /// `kubectl rollout pause` and `resume`.
    Pause {
        /// The Deployment.
        key: Key,
        /// Pause, or resume.
        paused: bool,
    },
    /// `kubectl rollout restart`.
    Restart {
        /// The Deployment.
        key: Key,
    },
    /// `kubectl cordon` and `uncordon`.
    Cordon {
        /// The node.
        key: Key,
        /// Cordon, or uncordon.
        unschedulable: bool,
    },
    /// `kubectl drain --ignore-daemonsets --force`.
    Drain {
        /// The node.
        key: Key,
        /// `--grace-period`.
        grace_seconds: Option<i64>,
    },
    /// `kubectl label`.
    Label {
        /// What.
        key: Key,
        /// Labels to set, or to remove.
        labels: Vec<(Name, Option<Name>)>,
    },
    /// `kubectl taint`.
    Taint {
        /// The node.
        key: Key,
        /// To add.
        add: Vec<Taint>,
        /// Keys to remove, whatever the effect.
        remove: Vec<Name>,
    },
}

impl Step {
    /// The object it concerns, if it is one.
    pub fn target(&self) -> Option<Key> {
        match self {
            Step::Apply(manifests) => match manifests.as_slice() {
                [one] => Some(one.object.key()),
                _ => None,
            },
            Step::Delete { key, .. }
            | Step::Scale { key, .. }
            | Step::SetImage { key, .. }
            | Step::MergePatch { key, .. }
            | Step::Undo { key, .. }
            | Step::Pause { key, .. }
            | Step::Restart { key }
            | Step::Cordon { key, .. }
            | Step::Drain { key, .. }
            | Step::Label { key, .. }
            | Step::Taint { key, .. } => Some(key.clone()),
        }
    }

    /// The command as people would type it.
    pub fn describe(&self) -> String {
        let name = |key: &Key| format!("{}/{}", key.kind.as_str().to_lowercase(), key.name);
        match self {
            Step::Apply(manifests) => match manifests.as_slice() {
                [one] => format!("kubectl apply {}", name(&one.object.key())),
                several => format!("kubectl apply ({} objects)", several.len()),
            },
            Step::Delete { key, .. } => format!("kubectl delete {}", name(key)),
            Step::Scale { key, replicas } => format!("kubectl scale {} --replicas={replicas}", name(key)),
            Step::SetImage { key, container, image } => {
                format!("kubectl set image {} {}={image}", name(key), container.as_deref().unwrap_or("*"))
            }
            Step::MergePatch { key, .. } => format!("kubectl patch {}", name(key)),
            Step::Undo { key, revision: 0 } => format!("kubectl rollout undo {}", name(key)),
            Step::Undo { key, revision } => format!("kubectl rollout undo {} --to-revision={revision}", name(key)),
            Step::Pause { key, paused: true } => format!("kubectl rollout pause {}", name(key)),
            Step::Pause { key, paused: false } => format!("kubectl rollout resume {}", name(key)),
            Step::Restart { key } => format!("kubectl rollout restart {}", name(key)),
            Step::Cordon { key, unschedulable: true } => format!("kubectl cordon {}", key.name),
            Step::Cordon { key, unschedulable: false } => format!("kubectl uncordon {}", key.name),
            Step::Drain { key, .. } => format!("kubectl drain {}", key.name),
            Step::Label { key, .. } => format!("kubectl label {}", name(key)),
            Step::Taint { key, .. } => format!("kubectl taint node {}", key.name),
        }
    }

    /// Asks for the writes; answers when to go on.
    pub(super) fn perform(&self, cx: &mut Cx<'_>) -> Requeue {
        match self {
            Step::Apply(manifests) => return apply::apply(manifests, cx),
            Step::Delete { key, grace_seconds, propagation } => {
                let options = DeleteOptions {
                    grace_seconds: *grace_seconds,
                    propagation: Some(*propagation),
                    preconditions: Preconditions::default(),
                };
                cx.write(Write::Delete(key.clone(), options));
            }
            Step::Scale { key, replicas } => patch(cx, key, Patch::Replicas(*replicas)),
            Step::SetImage { key, container, image } => {
                change_template(cx, key, |old| template::with_image(old, container.as_deref(), image));
            }
            Step::MergePatch { key, patch } => apply::merge_patch(key, patch, cx),
            Step::Undo { key, revision } => undo(cx, key, *revision),
            Step::Pause { key, paused } => patch(cx, key, Patch::Paused(*paused)),
            Step::Restart { key } => {
                let stamp = cx.now.rfc3339();
                change_template(cx, key, |old| {
                    template::with_annotation(old, "kubectl.kubernetes.io/restartedAt", &stamp)
                });
            }
            Step::Cordon { key, unschedulable } => patch(cx, key, Patch::Unschedulable(*unschedulable)),
            Step::Drain { key, grace_seconds } => return drain(cx, key, *grace_seconds),
            Step::Label { key, labels } => patch(cx, key, Patch::Labels(labels.clone())),
            Step::Taint { key, add, remove } => {
                let remove =
                    remove.iter().flat_map(|key| TaintEffect::ALL.map(|effect| (key.clone(), effect))).collect();
                patch(cx, key, Patch::Taints { add: add.clone(), remove });
            }
        }
        Requeue::Done
    }
}

fn patch(cx: &mut Cx<'_>, key: &Key, patch: Patch) {
    cx.write(Write::Patch(key.clone(), patch, Preconditions::default()));
}

fn change_template(
    cx: &mut Cx<'_>,
    key: &Key,
    change: impl Fn(&crate::model::PodTemplate) -> crate::model::PodTemplate,
) {
    let old = match cx.live().get(key) {
        Some(Object::Deployment(deployment)) => deployment.template.clone(),
        Some(Object::ReplicaSet(set)) => set.template.clone(),
        _ => return,
    };
    patch(cx, key, Patch::Template(Arc::new(change(&old))));
}

/// `kubectl rollout undo`: the template of the wanted revision's replica set, without its hash label
/// (`staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go`).
fn undo(cx: &mut Cx<'_>, key: &Key, revision: u32) {
    let Some(deployment) = cx.live().fetch_key::<Deployment>(key).cloned() else { return };
    let mut sets: Vec<(u32, Arc<ReplicaSet>)> = cx
        .live()
        .controlled::<ReplicaSet>(deployment.meta.uid)
        .filter_map(|set| Some((set.meta.annotations.get(&keys::REVISION)?.parse().ok()?, set.clone())))
        .collect();
    sets.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let wanted = match revision {
        0 => sets.get(1),
        n => sets.iter().find(|(number, _)| *number == n),
    };
    let Some((_, set)) = wanted else { return };
    let mut old = crate::model::PodTemplate::clone(&set.template);
    old.labels = old.labels.without(&keys::POD_TEMPLATE_HASH);
    patch(cx, key, Patch::Template(Arc::new(old)));
}

/// Cordons, then deletes every pod that is not gone yet; looks again until none is left.
fn drain(cx: &mut Cx<'_>, key: &Key, grace_seconds: Option<i64>) -> Requeue {
    let Some(node) = cx.live().fetch_key::<Node>(key).cloned() else { return Requeue::Done };
    if !node.unschedulable {
        patch(cx, key, Patch::Unschedulable(true));
    }
    let pods: Vec<Arc<Pod>> = cx.live().pods_on(&node.meta.name).cloned().collect();
    let leaving = pods.iter().filter(|pod| !pod.meta.deleting());
    let deletes = leaving
        .map(|pod| {
            let preconditions = Preconditions::uid(pod.meta.uid);
            Write::Delete(pod.key(), DeleteOptions { grace_seconds, propagation: None, preconditions })
        })
        .collect();
    cx.write_all(deletes);
    if pods.is_empty() { Requeue::Done } else { Requeue::After(DRAIN_RETRY) }
}
