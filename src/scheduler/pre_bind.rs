//! Between Permit and Bind: what a pod's volumes need before the pod can be bound
//! (`pkg/scheduler/framework/plugins/volumebinding/binder.go`, `BindPodVolumes`).
//!
//! A worked example: the pod of a claim that waits for its pod is assumed on a node → the node is written into the
//! claim → a driver makes a volume there and the claim is bound → a second-wise look sees it, and the pod is bound.

use super::plugin::{Cycle, Point, PreBind};
use super::queue::PodKey;
use super::{Assumed, News, Scheduler};
use crate::model::Key;
use crate::runtime::Cx;
use crate::store::StoreError;
use crate::time::{SimDuration, SimTime};

/// Between two looks at whether a pod's volumes are there.
const POLL: SimDuration = SimDuration::from_secs(1);

/// A pod whose binding is being prepared.
pub(super) struct Preparing {
    /// When it began.
    since: SimTime,
    /// When it is given up.
    until: SimTime,
    /// When to look next; `None` while nothing has changed.
    look: Option<SimTime>,
    /// Who prepares it.
    plugin: &'static str,
    /// The objects that are written for it.
    writes: Vec<Key>,
}

impl Scheduler {
    /// Asks the plugins to prepare the binding of an assumed pod, and binds it if there is nothing to prepare.
    pub(super) fn prepare(&mut self, cx: &mut Cx<'_>, key: &PodKey, at: usize) {
        let Some(assumed) = self.assumed.get(key) else { return };
        let cycle = Cycle { pod: &assumed.pod.info, snapshot: &self.snapshot };
        for (_, plugin) in self.frameworks[at].profile.at(Point::PreBind) {
            let PreBind::Wait { writes, longest } = plugin.pre_bind(cycle, &assumed.node) else { continue };
            let preparing = Preparing {
                since: cx.now,
                until: cx.now + longest,
                look: Some(cx.now + POLL),
                plugin: plugin.name(),
                writes: writes.iter().map(|write| write.key()).collect(),
            };
            self.preparing.insert(key.clone(), preparing);
            return cx.background(writes);
        }
        self.bind(cx, key);
    }

    /// Something about volumes changed: those that wait are looked at with their next poll.
    pub(super) fn volumes_changed(&mut self, now: SimTime) {
        for preparing in self.preparing.values_mut() {
            let rest = (now - preparing.since).0.rem_euclid(POLL.0);
            let next = if rest == 0 { now } else { now + SimDuration(POLL.0 - rest) };
            preparing.look.get_or_insert(next.max(preparing.since + POLL));
        }
    }

    /// Looks at the pods whose volumes may be there by now, and gives up those that waited too long.
    pub(super) fn review_preparing(&mut self, cx: &mut Cx<'_>) {
        let due = |preparing: &Preparing| preparing.until <= cx.now || preparing.look.is_some_and(|at| at <= cx.now);
        let keys: Vec<PodKey> =
            self.preparing.iter().filter(|(_, preparing)| due(preparing)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let (Some(preparing), Some(assumed)) = (self.preparing.get_mut(&key), self.assumed.get(&key)) else {
                self.preparing.remove(&key);
                continue;
            };
            preparing.look = None;
            let (until, by) = (preparing.until, preparing.plugin);
            match self.prepared(assumed, by) {
                Ok(true) => {
                    self.preparing.remove(&key);
                    self.bind(cx, &key);
                }
                Ok(false) if cx.now < until => {}
                Ok(false) => self.fail_preparing(cx, &key, by, "context deadline exceeded"),
                Err(why) => self.fail_preparing(cx, &key, by, &why),
            }
        }
    }

    /// Whether what `by` prepares is there.
    fn prepared(&self, assumed: &Assumed, by: &str) -> Result<bool, String> {
        let Some(at) = self.framework_of(&assumed.pod.info.pod) else { return Ok(true) };
        let cycle = Cycle { pod: &assumed.pod.info, snapshot: &self.snapshot };
        let mut asked = self.frameworks[at].profile.at(Point::PreBind).filter(|(_, plugin)| plugin.name() == by);
        asked.next().map_or(Ok(true), |(_, plugin)| plugin.prepared(cycle, &assumed.node))
    }

    fn fail_preparing(&mut self, cx: &mut Cx<'_>, key: &PodKey, plugin: &'static str, why: &str) {
        self.preparing.remove(key);
        self.give_up(cx, key, None, &message(plugin, why));
    }

    /// A write for a pod that is being prepared was refused: the pod tries again.
    pub(super) fn preparation_refused(&mut self, object: &Key, error: &StoreError, now: SimTime) {
        let found = self.preparing.iter().find(|(_, preparing)| preparing.writes.contains(object));
        let Some((key, plugin)) = found.map(|(key, preparing)| (key.clone(), preparing.plugin)) else { return };
        self.preparing.remove(&key);
        let queued = self.forget(&key, None, now);
        let message = message(plugin, &error.to_string());
        self.news.extend(queued.map(|queued| News::Refused(Box::new(queued), message)));
    }

    /// When a pod that is being prepared is looked at next.
    pub(super) fn next_look(&self) -> Option<SimTime> {
        self.preparing.values().map(|preparing| preparing.look.unwrap_or(preparing.until)).min()
    }
}

fn message(plugin: &str, why: &str) -> String {
    format!("running PreBind plugin {plugin:?}: binding volumes: {why}")
}
