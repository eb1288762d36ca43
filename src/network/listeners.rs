//! Which processes listen behind a pod's address. The kubelet knows, because it starts and stops them; packets obey.
//!
//! A worked example: a pod is deleted with a preStop sleep of 5 s. Its process still listens for those 5 s, so a client
//! whose node has not heard of the deletion is served. Without the sleep it gets a refused connection. What the API
//! shows of the pod is too late for either.

use crate::model::{Name, Uid};
use crate::time::SimTime;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::rc::Rc;

/// One run of one container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// The container.
    pub container: Name,
    /// When it began to listen, or will.
    pub listens: SimTime,
    /// It takes every packet and answers none.
    pub hangs: bool,
    /// When it gets SIGTERM, if that is known.
    pub signalled: Option<SimTime>,
    /// When it ends, if that is known.
    pub ends: Option<SimTime>,
}

/// The processes of one pod.
pub type Processes = SmallVec<[Process; 1]>;

#[derive(Debug, Default)]
struct Known {
    pods: FxHashMap<Uid, Processes>,
    changed: Vec<Uid>,
    /// Containers whose requests took more memory than their limit, and when.
    killed: FxHashMap<Uid, SmallVec<[(Name, SimTime); 1]>>,
}

/// Who listens where: the kubelets tell, the network asks.
#[derive(Clone, Debug, Default)]
pub struct Listeners(Rc<RefCell<Known>>);

impl Listeners {
    /// The processes of a pod as its kubelet has them now.
    pub fn report(&self, pod: Uid, processes: Processes) {
        let mut known = self.0.borrow_mut();
        if known.pods.get(&pod).map_or(processes.is_empty(), |have| *have == processes) {
            return;
        }
        match processes.is_empty() {
            true => {
                known.pods.remove(&pod);
                known.killed.remove(&pod);
            }
            false => _ = known.pods.insert(pod, processes),
        }
        known.changed.push(pod);
    }

    /// The process of a pod's container, or of its first one if none is named.
    pub fn of(&self, pod: Uid, container: &Name) -> Option<Process> {
        let known = self.0.borrow();
        let all = known.pods.get(&pod)?;
        all.iter().find(|process| container.is_empty() || process.container == *container).cloned()
    }

    /// The kernel kills a container at `at`: its requests take more memory than it may have.
    pub fn kill(&self, pod: Uid, container: &Name, at: SimTime) {
        self.0.borrow_mut().killed.entry(pod).or_default().push((container.clone(), at));
    }

    /// Those of a pod's containers that were killed since this was asked last.
    pub fn take_killed(&self, pod: Uid) -> SmallVec<[(Name, SimTime); 1]> {
        let mut known = self.0.borrow_mut();
        if known.killed.is_empty() { SmallVec::new() } else { known.killed.remove(&pod).unwrap_or_default() }
    }

    /// Whether something changed since [`Self::changes`] was asked.
    pub fn has_changes(&self) -> bool {
        !self.0.borrow().changed.is_empty()
    }

    /// The pods whose processes changed since this was asked last, in order, with what they have now.
    pub fn changes(&self) -> Vec<(Uid, Processes)> {
        let mut known = self.0.borrow_mut();
        let changed = std::mem::take(&mut known.changed);
        changed.into_iter().map(|pod| (pod, known.pods.get(&pod).cloned().unwrap_or_default())).collect()
    }
}
