//! The order in which nodes are tried: zones in order of first appearance, one node from each in turn
//! (`pkg/scheduler/backend/cache/node_tree.go`).

use super::plugin::NodeId;
use crate::model::{Labels, Name, Node};
use std::sync::Arc;

const ZONE: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
const REGION: [&str; 2] = ["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"];

/// Region and zone; both empty without labels.
pub type ZoneKey = (Name, Name);

/// The zone of a node (`staging/src/k8s.io/component-helpers/node/topology/helpers.go`, `GetZoneKey`).
pub fn zone_key(node: &Node) -> ZoneKey {
    let find =
        |keys: [&str; 2], labels: &Labels| keys.iter().find_map(|key| labels.get(key)).cloned().unwrap_or_default();
    (find(REGION, &node.meta.labels), find(ZONE, &node.meta.labels))
}

/// Zones with their nodes in order of addition, and the interleaved list, made when it is asked for.
#[derive(Clone, Debug, Default)]
pub struct NodeOrder {
    zones: Vec<(ZoneKey, Vec<NodeId>)>,
    list: Arc<Vec<NodeId>>,
    stale: bool,
}

impl NodeOrder {
    /// Adds a node at the end of its zone.
    pub fn add(&mut self, zone: ZoneKey, node: NodeId) {
        self.stale = true;
        match self.zones.iter_mut().find(|(known, _)| *known == zone) {
            Some((_, nodes)) => nodes.push(node),
            None => self.zones.push((zone, vec![node])),
        }
    }

    /// Removes a node; a zone that becomes empty loses its place.
    pub fn remove(&mut self, zone: &ZoneKey, node: NodeId) {
        self.stale = true;
        if let Some(at) = self.zones.iter().position(|(known, _)| known == zone) {
            self.zones[at].1.retain(|other| *other != node);
            if self.zones[at].1.is_empty() {
                self.zones.remove(at);
            }
        }
    }

    /// Brings the list up to date. To be called before [`Self::list`].
    pub fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let list = Arc::make_mut(&mut self.list);
        list.clear();
        let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
        for turn in 0..longest {
            list.extend(self.zones.iter().filter_map(|(_, nodes)| nodes.get(turn)));
        }
    }

    /// All nodes in the order of evaluation.
    pub fn list(&self) -> &Arc<Vec<NodeId>> {
        debug_assert!(!self.stale, "refresh before reading");
        &self.list
    }
}
