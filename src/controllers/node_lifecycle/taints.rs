//! The taints of the node controller, and which `NoSchedule` taints a node's conditions call for
//! (`pkg/controller/nodelifecycle/node_lifecycle_controller.go`, `doNoScheduleTaintingPass`).

use crate::model::{Name, Node, Taint, TaintEffect, Truth, condition};
use crate::time::SimTime;

/// The node does not report.
pub const UNREACHABLE: Name = crate::name!("node.kubernetes.io/unreachable");
/// The node reports that it is not ready.
pub const NOT_READY: Name = crate::name!("node.kubernetes.io/not-ready");
const UNSCHEDULABLE: Name = crate::name!("node.kubernetes.io/unschedulable");

/// Condition, status, and the taint that they call for.
const BY_CONDITION: [(&str, Truth, Name); 6] = [
    ("Ready", Truth::False, NOT_READY),
    ("Ready", Truth::Unknown, UNREACHABLE),
    ("MemoryPressure", Truth::True, crate::name!("node.kubernetes.io/memory-pressure")),
    ("DiskPressure", Truth::True, crate::name!("node.kubernetes.io/disk-pressure")),
    ("NetworkUnavailable", Truth::True, crate::name!("node.kubernetes.io/network-unavailable")),
    ("PIDPressure", Truth::True, crate::name!("node.kubernetes.io/pid-pressure")),
];

/// A change of taints: to add, and to remove by key and effect.
pub type TaintChange = (Vec<Taint>, Vec<(Name, TaintEffect)>);

/// A taint without value, as of now.
pub fn taint(key: Name, effect: TaintEffect, now: SimTime) -> Taint {
    Taint { key, value: Name::new(), effect, added: Some(now) }
}

/// Whether a node carries a taint.
pub fn has(node: &Node, key: &Name, effect: TaintEffect) -> bool {
    node.taints.iter().any(|taint| taint.key == *key && taint.effect == effect)
}

/// What must change so that exactly the right `NoSchedule` taints of the node controller are there.
pub fn no_schedule_change(node: &Node, now: SimTime) -> Option<TaintChange> {
    let mut wanted: Vec<Name> = Vec::new();
    for (kind, status, key) in BY_CONDITION {
        if condition::find(&node.conditions, kind).is_some_and(|condition| condition.status == status) {
            wanted.push(key);
        }
    }
    if node.unschedulable {
        wanted.push(UNSCHEDULABLE);
    }
    let ours = |key: &Name| *key == UNSCHEDULABLE || BY_CONDITION.iter().any(|(_, _, ours)| ours == key);
    let present: Vec<&Name> = node
        .taints
        .iter()
        .filter(|taint| taint.effect == TaintEffect::NoSchedule && ours(&taint.key))
        .map(|taint| &taint.key)
        .collect();
    let missing = wanted.iter().filter(|key| !present.contains(key));
    let add: Vec<Taint> = missing.map(|key| taint(key.clone(), TaintEffect::NoSchedule, now)).collect();
    let surplus = present.iter().filter(|key| !wanted.contains(key));
    let remove: Vec<_> = surplus.map(|key| ((*key).clone(), TaintEffect::NoSchedule)).collect();
    (!add.is_empty() || !remove.is_empty()).then_some((add, remove))
}
