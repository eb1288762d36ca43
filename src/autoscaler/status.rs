//! What the autoscaler says of itself: the ConfigMap `cluster-autoscaler-status`
//! (`clusterstate/api/types.go`, `clusterstate/clusterstate.go`, `clusterstate/utils/status.go`).
//!
//! Upstream writes it after every look, for the times of the looks in it. Here it is written when anything else in it is
//! another: the times are those of the look that found so.
//!
//! A worked example: three nodes are ready and nobody waits → `Healthy`, `NoActivity`, `NoCandidates`. A pool is asked for
//! a fourth one → its `cloudProviderTarget` is 4, one is `unregistered`, and the scale-up is `InProgress`, until it is there.

use super::world::World;
use super::{ClusterAutoscaler, UNREADY_OK, UNREADY_PERCENT, the_loop};
use crate::model::core::ConfigMap;
use crate::model::{Meta, Name, Resource};
use crate::runtime::Cx;
use crate::store::Write;
use crate::time::SimTime;
use crate::wire::encode;
use serde_json::json;
use std::fmt::{self, Write as _};
use std::sync::Arc;

const LAST_UPDATED: Name = crate::name!("cluster-autoscaler.kubernetes.io/last-updated");

/// Nodes of the cluster, or of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counts {
    ready: usize,
    not_started: usize,
    being_deleted: usize,
    unready: usize,
    unregistered: usize,
    long_unregistered: usize,
}

/// The cluster, or a group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Scope {
    counts: Counts,
    /// A group's name, and its size as asked for, at least, at most.
    group: Option<(Name, [u32; 3])>,
    growing: bool,
    /// Why it is left alone.
    backoff: Option<Name>,
    candidates: usize,
}

/// What was said last.
#[derive(Clone, Debug, Default)]
pub struct Said {
    scopes: Vec<Scope>,
    /// Since when health, scale-up and scale-down of each are what they are.
    since: Vec<[SimTime; 3]>,
}

impl Scope {
    fn healthy(&self) -> bool {
        let Counts { ready, not_started, unready, .. } = self.counts;
        unready <= UNREADY_OK || unready * 100 <= UNREADY_PERCENT * (ready + unready + not_started)
    }

    /// The status of its health, scale-up and scale-down.
    fn statuses(&self) -> [&'static str; 3] {
        let up = match () {
            () if self.growing => "InProgress",
            () if self.backoff.is_some() => "Backoff",
            () => "NoActivity",
        };
        [
            if self.healthy() { "Healthy" } else { "Unhealthy" },
            up,
            if self.candidates > 0 { "CandidatesPresent" } else { "NoCandidates" },
        ]
    }

    /// Its three conditions, each line after `margin`.
    fn print(&self, margin: &str, since: &[SimTime; 3], now: SimTime, out: &mut String) -> fmt::Result {
        let Counts { ready, not_started, being_deleted, unready, unregistered, long_unregistered } = self.counts;
        let times = |at: usize| {
            let [probe, transition] = [now, since[at]].map(encode::rfc3339);
            format!("{margin}  lastProbeTime: \"{probe}\"\n{margin}  lastTransitionTime: \"{transition}\"\n")
        };
        let [health, up, down] = self.statuses();
        writeln!(out, "{margin}health:\n{margin}  status: {health}\n{margin}  nodeCounts:\n{margin}    registered:")?;
        let total = ready + not_started + being_deleted + unready;
        writeln!(out, "{margin}      total: {total}\n{margin}      ready: {ready}")?;
        writeln!(out, "{margin}      notStarted: {not_started}")?;
        if being_deleted > 0 {
            writeln!(out, "{margin}      beingDeleted: {being_deleted}")?;
        }
        writeln!(out, "{margin}      unready:\n{margin}        total: {unready}\n{margin}        resourceUnready: 0")?;
        writeln!(out, "{margin}    longUnregistered: {long_unregistered}\n{margin}    unregistered: {unregistered}")?;
        if let Some((_, [target, min, max])) = &self.group {
            writeln!(
                out,
                "{margin}  cloudProviderTarget: {target}\n{margin}  minSize: {min}\n{margin}  maxSize: {max}"
            )?;
        }
        write!(out, "{}{margin}scaleUp:\n{margin}  status: {up}\n", times(0))?;
        if let Some(why) = self.backoff.as_ref().filter(|_| up == "Backoff") {
            writeln!(out, "{margin}  backoffInfo:\n{margin}    errorCode: cloudProviderError")?;
            writeln!(out, "{margin}    errorMessage: '{}'", why.replace('\'', "''"))?;
        }
        write!(out, "{}{margin}scaleDown:\n{margin}  status: {down}\n", times(1))?;
        if self.candidates > 0 {
            writeln!(out, "{margin}  candidates: {}", self.candidates)?;
        }
        out.push_str(&times(2));
        Ok(())
    }
}

/// An instant as Go prints one.
fn printed(at: SimTime) -> String {
    format!("{} +0000 UTC", encode::rfc3339(at).trim_end_matches('Z').replace('T', " "))
}

impl Said {
    /// Takes over what is so now; whether that is anything new.
    fn update(&mut self, scopes: Vec<Scope>, now: SimTime) -> bool {
        if scopes == self.scopes {
            return false;
        }
        let kept = |at: usize, scope: &Scope| {
            let before = self.scopes.get(at).zip(self.since.get(at));
            let statuses = scope.statuses();
            [0, 1, 2].map(|aspect| match before {
                Some((old, since)) if old.statuses()[aspect] == statuses[aspect] => since[aspect],
                _ => now,
            })
        };
        self.since = scopes.iter().enumerate().map(|(at, scope)| kept(at, scope)).collect();
        self.scopes = scopes;
        true
    }

    fn text(&self, now: SimTime) -> String {
        let mut out = format!("time: {}\nautoscalerStatus: Running\nclusterWide:\n", printed(now));
        for (at, (scope, since)) in self.scopes.iter().zip(&self.since).enumerate() {
            if at == 1 {
                out.push_str("nodeGroups:\n");
            }
            if let Some((name, _)) = &scope.group {
                out.push_str(&format!("- name: {name}\n"));
            }
            // Into text nothing fails.
            scope.print("  ", since, now, &mut out).unwrap_or_default();
        }
        out
    }
}

impl ClusterAutoscaler {
    /// The cluster, then its groups.
    fn scopes(&self, world: &World, cx: &Cx<'_>) -> Vec<Scope> {
        let mut all = vec![Scope::default(); self.groups.len() + 1];
        for seen in world.nodes.values() {
            for at in std::iter::once(0).chain(seen.group.map(|group| group + 1)) {
                let counts = &mut all[at].counts;
                *match (seen.ready, seen.starting) {
                    (true, _) => &mut counts.ready,
                    (false, true) => &mut counts.not_started,
                    (false, false) => &mut counts.unready,
                } += 1;
            }
        }
        for (at, group) in self.groups.iter().enumerate() {
            let (seen, scope) = (&world.groups[at], &mut all[at + 1]);
            let being_deleted = self.removals.of_group(&group.name).filter(|name| cx.view.node(name).is_some()).count();
            let registered = scope.counts.ready + scope.counts.not_started + scope.counts.unready;
            scope.counts.being_deleted = being_deleted;
            scope.counts.unregistered = (seen.target as usize).saturating_sub(registered);
            scope.counts.long_unregistered = seen.overdue.len();
            scope.group = Some((group.name.clone(), [seen.target, group.min, group.max]));
            scope.growing = seen.target as usize > registered - scope.counts.not_started;
            scope.backoff = self.backoffs.why(&group.name, cx.now);
            let its = |name: &&Name| world.nodes.get(*name).is_some_and(|seen| seen.group == Some(at));
            scope.candidates = self.scale_down.candidates().filter(its).count();
            let (counts, candidates, growing) = (scope.counts, scope.candidates, scope.growing);
            all[0].counts.being_deleted += counts.being_deleted;
            all[0].counts.unregistered += counts.unregistered;
            all[0].counts.long_unregistered += counts.long_unregistered;
            all[0].candidates += candidates;
            all[0].growing |= growing;
        }
        all
    }

    /// Says how things are, if that is anything new, or if nobody can read it any more.
    pub(super) fn say(&mut self, world: &World, cx: &mut Cx<'_>) {
        let scopes = self.scopes(world, cx);
        let new = self.said.update(scopes, cx.now);
        let there = cx.view.fetch_key::<ConfigMap>(&the_loop()).map(|map| map.meta.clone());
        if !new && there.is_some() {
            return;
        }
        let text = self.said.text(cx.now);
        let data = [(crate::name!("status"), Name::from(text.as_str()))].into_iter().collect();
        let mut meta = there.clone().unwrap_or_else(|| Meta::named(the_loop().namespace, the_loop().name));
        meta.annotations = meta.annotations.with(LAST_UPDATED, printed(cx.now).as_str());
        meta.resource_version = 0;
        let raw = Arc::new(json!({"data": {"status": text}}));
        let map = ConfigMap { meta, data: Arc::new(data), immutable: false, raw }.into_object();
        cx.write(if there.is_some() { Write::Update(map) } else { Write::Create(map) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_upstream_writes_it() {
        let counts = Counts { ready: 3, unregistered: 1, ..Counts::default() };
        let cluster = Scope { counts, growing: true, ..Scope::default() };
        let group = Scope { group: Some((crate::name!("worker"), [4, 1, 9])), ..cluster.clone() };
        let waits = Scope {
            group: Some((crate::name!("burst"), [0, 0, 4])),
            backoff: Some(crate::name!("rpc error: it's full")),
            ..Scope::default()
        };
        let mut said = Said::default();
        let at = |second: i64| SimTime::from_secs(second);
        assert!(said.update(vec![cluster.clone(), group.clone(), waits.clone()], at(10)));
        assert!(!said.update(vec![cluster, group.clone(), waits.clone()], at(20)));
        let done = Scope { counts: Counts { ready: 4, ..Counts::default() }, growing: false, ..group };
        let cluster = Scope { group: None, ..done.clone() };
        assert!(said.update(vec![cluster, done, waits], at(30)));
        let read: serde_json::Value = serde_yaml::from_str(&said.text(at(30))).unwrap();
        let time = |second: i64| json!(encode::rfc3339(at(second)));
        let worker = &read["nodeGroups"][0];
        assert_eq!(worker["name"], "worker");
        assert_eq!(
            worker["health"]["nodeCounts"]["registered"],
            json!({"total": 4, "ready": 4, "notStarted": 0,
            "unready": {"total": 0, "resourceUnready": 0}})
        );
        assert_eq!([&worker["health"]["cloudProviderTarget"], &worker["health"]["maxSize"]], [&json!(4), &json!(9)]);
        // Its health is as it was at 10 s, the scale-up is over since 30 s.
        assert_eq!(
            [&worker["health"]["lastTransitionTime"], &worker["scaleUp"]["lastTransitionTime"]],
            [&time(10), &time(30)]
        );
        assert_eq!([&worker["scaleUp"]["status"], &worker["scaleDown"]["status"]], ["NoActivity", "NoCandidates"]);
        assert_eq!(worker["scaleUp"]["lastProbeTime"], time(30));
        let burst = &read["nodeGroups"][1]["scaleUp"];
        assert_eq!(burst["status"], "Backoff");
        assert_eq!(
            burst["backoffInfo"],
            json!({"errorCode": "cloudProviderError", "errorMessage": "rpc error: it's full"})
        );
        assert_eq!([&read["autoscalerStatus"], &read["clusterWide"]["scaleUp"]["status"]], ["Running", "NoActivity"]);
    }
}
