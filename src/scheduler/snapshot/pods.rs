//! Pods on nodes: counted, taken off, grouped, and put back after trying something out.

use super::{Group, GroupId, GroupKey, Row, Scalars, Snapshot, scalar_at};
use crate::model::Name;
use crate::scheduler::plugin::NodeId;
use crate::scheduler::pod_info::{HostPort, PodInfo};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All of a node that [`Snapshot::restore`] needs.
#[derive(Clone, Debug)]
pub struct Saved {
    node: NodeId,
    row: Row,
    scalars: Scalars,
    ports: Vec<HostPort>,
    pods: Vec<Arc<PodInfo>>,
    generation: u64,
}

impl Snapshot {
    /// Where the pod is counted, if it is.
    pub fn placed(&self, namespace: &Name, name: &Name) -> Option<(NodeId, &Arc<PodInfo>)> {
        self.placed.get(&(namespace.clone(), name.clone())).map(|(node, info)| (*node, info))
    }

    /// Counts `pod` on `node`, in the place of any earlier version of it.
    pub fn place(&mut self, pod: PodInfo, node: &Name) {
        let key = (pod.pod.meta.namespace.clone(), pod.pod.meta.name.clone());
        if let Some((id, old)) = self.placed.get(&key)
            && self.by_name.get(node) == Some(id)
            && counts_the_same(old, &pod)
        {
            let (id, old) = (*id, old.clone());
            return self.exchange(id, &old, key, pod);
        }
        self.unplace(&key.0, &key.1);
        let id = self.slot(node);
        let pod = Arc::new(pod);
        self.add_to_node(id, &pod);
        self.placed.insert(key, (id, pod));
    }

    /// Puts a new version of a pod, which no node-local plugin can tell from the old one, in the place of that.
    fn exchange(&mut self, id: NodeId, old: &Arc<PodInfo>, key: (Name, Name), pod: PodInfo) {
        let pod = Arc::new(pod);
        let list = &mut self.pods[id.at()];
        let at = list.iter().rposition(|other| Arc::ptr_eq(other, old)).expect("a placed pod is on its node");
        list.remove(at);
        list.push(pod.clone());
        if Self::group_key(old) != Self::group_key(&pod) {
            self.leave_group(id, old);
            self.join_group(id, &pod);
        }
        self.placed.insert(key, (id, pod));
    }

    /// No longer counts the pod. Whether it was counted.
    pub fn unplace(&mut self, namespace: &Name, name: &Name) -> bool {
        let Some((id, pod)) = self.placed.remove(&(namespace.clone(), name.clone())) else { return false };
        self.remove_from_node(id, &pod);
        if self.nodes[id.at()].is_none() {
            let name = self.by_name.iter().find(|(_, slot)| **slot == id).map(|(name, _)| name.clone());
            self.release_if_empty(id, &name.unwrap_or_default());
        }
        true
    }

    /// Adds the pod to the sums of `node` without remembering where it is: for trying things out.
    pub fn add_to_node(&mut self, id: NodeId, pod: &Arc<PodInfo>) {
        self.count(id, pod, 1);
        for port in &pod.spec.host_ports {
            if !self.ports[id.at()].contains(port) {
                self.ports[id.at()].push(port.clone());
            }
        }
        for claim in &pod.spec.claims {
            *self.claim_uses.entry((pod.namespace().clone(), claim.clone())).or_default() += 1;
        }
        self.pods[id.at()].push(pod.clone());
        self.join_group(id, pod);
        self.touch(id);
    }

    fn join_group(&mut self, id: NodeId, pod: &PodInfo) {
        let group = self.group_id(pod);
        let table = &mut self.group_table[group.0 as usize];
        table.count += 1;
        *table.nodes.entry(id).or_default() += 1;
        self.journal.note(id, group, self.group_table[group.0 as usize].birth, 1);
    }

    fn leave_group(&mut self, id: NodeId, pod: &PodInfo) {
        let group = self.group_id(pod);
        self.journal.note(id, group, self.group_table[group.0 as usize].birth, -1);
        let table = &mut self.group_table[group.0 as usize];
        table.count -= 1;
        let here = table.nodes.get_mut(&id).expect("its group is counted there");
        *here -= 1;
        if *here == 0 {
            table.nodes.remove(&id);
        }
        self.release_group(group, pod);
    }

    /// Whether a pod on a node names this claim.
    pub fn claim_in_use(&self, namespace: &Name, name: &Name) -> bool {
        self.claim_uses.contains_key(&(namespace.clone(), name.clone()))
    }

    fn release_claims(&mut self, pod: &PodInfo) {
        for name in &pod.spec.claims {
            let key = (pod.namespace().clone(), name.clone());
            let uses = self.claim_uses.get_mut(&key).expect("a claim of a pod on a node is in use");
            *uses -= 1;
            if *uses == 0 {
                self.claim_uses.remove(&key);
            }
        }
    }

    /// Takes the pod off the sums of `node`.
    pub fn remove_from_node(&mut self, id: NodeId, pod: &Arc<PodInfo>) {
        self.count(id, pod, -1);
        self.ports[id.at()].retain(|port| !pod.spec.host_ports.contains(port));
        // Most often one of the last to come.
        let at = self.pods[id.at()].iter().rposition(|other| Arc::ptr_eq(other, pod));
        self.pods[id.at()].remove(at.expect("a pod leaves the node it was put on"));
        self.leave_group(id, pod);
        self.release_claims(pod);
        self.touch(id);
    }

    fn count(&mut self, id: NodeId, pod: &PodInfo, sign: i64) {
        let spec = &pod.spec;
        let row = &mut self.rows[id.at()];
        row.pod_count += sign;
        row.used_milli_cpu += sign * spec.requests.milli_cpu;
        row.used_memory += sign * spec.requests.memory;
        row.used_ephemeral_storage += sign * spec.requests.ephemeral_storage;
        row.nonzero_milli_cpu += sign * spec.nonzero.0;
        row.nonzero_memory += sign * spec.nonzero.1;
        if spec.has_claims {
            row.volumes += sign * spec.spec.volumes.len() as i64;
        }
        for (resource, amount) in &spec.requests.scalar {
            let at = scalar_at(&mut self.scalars[id.at()], *resource);
            self.scalars[id.at()][at].2 += sign * amount;
        }
    }

    fn group_key(pod: &PodInfo) -> GroupKey {
        let terms = if pod.spec.has_pod_terms() { pod.spec.id } else { 0 };
        (pod.namespace().clone(), pod.labels().clone(), pod.pod.meta.deleting(), terms)
    }

    fn group_id(&mut self, pod: &PodInfo) -> GroupId {
        let key = Self::group_key(pod);
        if let Some(id) = self.group_ids.get(&key) {
            return *id;
        }
        let terms = pod.spec.has_pod_terms().then(|| pod.spec.clone());
        let has_terms = terms.is_some();
        self.births += 1;
        let (namespace, labels, terminating) = (key.0.clone(), key.1.clone(), key.2);
        let group =
            Group { namespace, labels, terminating, terms, count: 0, nodes: BTreeMap::new(), birth: self.births };
        let id = match self.free_groups.pop() {
            Some(id) => {
                self.group_table[id.0 as usize] = group;
                id
            }
            None => {
                self.group_table.push(group);
                GroupId(self.group_table.len() as u32 - 1)
            }
        };
        if has_terms {
            self.term_groups.push(id);
        }
        self.group_ids.insert(key, id);
        id
    }

    fn release_group(&mut self, id: GroupId, pod: &PodInfo) {
        if self.group_table[id.0 as usize].count == 0 {
            self.group_ids.remove(&Self::group_key(pod));
            self.free_groups.push(id);
            self.term_groups.retain(|other| *other != id);
        }
    }

    /// What [`Self::restore`] needs to undo changes of `node`'s pods.
    pub fn save(&self, node: NodeId) -> Saved {
        let at = node.at();
        Saved {
            node,
            row: self.rows[at].clone(),
            scalars: self.scalars[at].clone(),
            ports: self.ports[at].clone(),
            pods: self.pods[at].clone(),
            generation: self.generation[at],
        }
    }

    /// Puts `node` back as it was. Pods that were added since must have been removed, or the reverse.
    pub fn restore(&mut self, saved: Saved) {
        let at = saved.node.at();
        let now: Vec<_> = self.pods[at].clone();
        for pod in now.iter().filter(|pod| !saved.pods.iter().any(|other| Arc::ptr_eq(pod, other))) {
            self.remove_from_node(saved.node, pod);
        }
        for pod in saved.pods.iter().filter(|pod| !now.iter().any(|other| Arc::ptr_eq(pod, other))) {
            self.add_to_node(saved.node, pod);
        }
        self.rows[at] = saved.row;
        self.scalars[at] = saved.scalars;
        self.ports[at] = saved.ports;
        self.pods[at] = saved.pods;
        // It is what it was; generations in between are never used again.
        self.generation[at] = saved.generation;
    }
}

/// Whether nothing that a node's sums or a node-local plugin look at differs.
fn counts_the_same(old: &PodInfo, new: &PodInfo) -> bool {
    Arc::ptr_eq(&old.spec, &new.spec)
        && old.pod.meta.annotations == new.pod.meta.annotations
        && old.pod.meta.deleting() == new.pod.meta.deleting()
        && old.pod.usage() == new.pod.usage()
        && old.pod.status.phase == new.pod.status.phase
}
