//! What configurations come to, as tables.

use super::registry::UPSTREAM;
use super::{API_VERSION, Configuration, KIND, read_text};
use crate::model::builder;
use crate::rng::Seed;
use crate::scheduler::plugin::{Cycle, Point};
use crate::scheduler::plugins;
use crate::scheduler::preemption::CandidateLimits;
use crate::scheduler::profile::Profile;
use crate::scheduler::snapshot::Snapshot;
use crate::time::SimDuration;
use std::sync::Arc;

fn read(body: &str) -> Configuration {
    let text = format!("apiVersion: {API_VERSION}\nkind: {KIND}\n{body}");
    read_text("config.yaml", &text, Seed(1)).unwrap_or_else(|problems| panic!("{body}: {problems:?}"))
}

/// The plugins of a point with their score weights, shortened: `Fit` for `NodeResourcesFit`.
fn list(profile: &Profile, point: Point) -> String {
    let short = |name: &str| name.trim_start_matches("NodeResources").to_string();
    let one = |(at, plugin): (usize, &dyn crate::scheduler::plugin::Plugin)| match point {
        Point::Score => format!("{}={}", short(plugin.name()), profile.weights[at]),
        _ => short(plugin.name()),
    };
    profile.at(point).map(one).collect::<Vec<_>>().join(" ")
}

/// The table of upstream's plugins and the default profile say the same.
#[test]
fn defaults_agree() {
    let ours: Vec<(String, i64)> =
        plugins::defaults().iter().map(|(plugin, weight)| (plugin.name().to_string(), *weight)).collect();
    let known = |name: &str| ours.iter().any(|(ours, _)| ours == name);
    let table: Vec<(String, i64)> = UPSTREAM
        .iter()
        .filter(|(name, ..)| known(name))
        .map(|(name, weight, _)| ((*name).to_string(), weight.map_or(0, i64::from)))
        .collect();
    let names = |list: &[(String, i64)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&table));
    // A weight counts only where a plugin scores.
    for (((name, ours), (_, table)), (plugin, _)) in ours.iter().zip(&table).zip(plugins::defaults()) {
        assert!(!plugin.points().contains(&Point::Score) || *ours == (*table).max(1), "{name}: {ours} and {table}");
    }
    let (read, default) = (read("").profiles.remove(0), Profile::default());
    assert_eq!(read.scheduler_name, default.scheduler_name);
    for point in [Point::PreEnqueue, Point::QueueSort, Point::PreFilter, Point::Filter, Point::PostFilter] {
        assert_eq!(list(&read, point), list(&default, point), "{point:?}");
    }
    for point in [Point::PreScore, Point::Score, Point::Reserve, Point::Permit, Point::PreBind, Point::Bind] {
        assert_eq!(list(&read, point), list(&default, point), "{point:?}");
    }
}

/// (plugin sets of a profile, what scores, in order with weights): `expandMultiPointPlugins`. The volume plugin, which
/// scores only behind a gate, is switched off throughout.
#[test]
fn plugin_sets_are_merged_as_upstream_does() {
    let table = [
        // Re-weighted at the point itself: first, since it overrides what multiPoint has.
        (
            "score: {enabled: [{name: ImageLocality, weight: 7}]}",
            "ImageLocality=7 TaintToleration=3 NodeAffinity=2 Fit=1 PodTopologySpread=2 InterPodAffinity=2 \
             BalancedAllocation=1",
        ),
        // Disabled and enabled again: last.
        (
            "score: {disabled: [{name: NodeAffinity}], enabled: [{name: NodeAffinity, weight: 9}]}",
            "TaintToleration=3 Fit=1 PodTopologySpread=2 InterPodAffinity=2 BalancedAllocation=1 ImageLocality=1 \
             NodeAffinity=9",
        ),
        // All disabled: only what is enabled, and no weight is weight 1.
        ("score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}", "Fit=1"),
        // multiPoint changes a default in place.
        (
            "multiPoint: {enabled: [{name: NodeResourcesFit, weight: 5}], disabled: [{name: ImageLocality}]}",
            "TaintToleration=3 NodeAffinity=2 Fit=5 PodTopologySpread=2 InterPodAffinity=2 BalancedAllocation=1",
        ),
        // The point's own weight counts before that of multiPoint.
        (
            "multiPoint: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}, {name: DefaultBinder}, \
             {name: NodeAffinity, weight: 4}, {name: TaintToleration}]}\n    score: {enabled: [{name: NodeAffinity, \
             weight: 6}]}",
            "NodeAffinity=6 TaintToleration=1",
        ),
        // Disabled at one point, a plugin still acts at the others.
        (
            "score: {disabled: [{name: PodTopologySpread}, {name: InterPodAffinity}]}",
            "TaintToleration=3 NodeAffinity=2 Fit=1 BalancedAllocation=1 ImageLocality=1",
        ),
    ];
    for (sets, expected) in table {
        let mut profile = read(&format!("profiles:\n- plugins:\n    {sets}\n")).profiles.remove(0);
        profile.disable(Point::Score, "VolumeBinding");
        profile.disable(Point::Score, "DynamicResources");
        assert_eq!(list(&profile, Point::Score), expected, "{sets}");
    }
}

#[test]
fn numbers_reach_the_scheduler() {
    let read = read(concat!(
        "percentageOfNodesToScore: 30\npodInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 20\nparallelism: 16\n",
        "leaderElection: {leaderElect: false, leaseDuration: 1m30s}\nclientConnection: {qps: 12.5, burst: 7}\n",
        "profiles:\n- schedulerName: default-scheduler\n- schedulerName: batch\n  percentageOfNodesToScore: 0\n",
        "  pluginConfig:\n  - name: DefaultPreemption\n    args: {minCandidateNodesPercentage: 20}\n",
    ));
    let percentages: Vec<i32> = read.profiles.iter().map(|profile| profile.percentage_of_nodes_to_score).collect();
    assert_eq!(percentages, [30, 0], "the profile's own number counts, 0 too");
    assert_eq!(read.profiles[1].scheduler_name, "batch");
    assert_eq!(read.profiles[1].candidates, CandidateLimits { percentage: 20, absolute: 100 });
    assert_eq!((read.initial_backoff, read.max_backoff), (Some(seconds(2)), Some(seconds(20))));
    assert_eq!((read.milli_qps, read.burst), (12_500, 7));
    assert!(read.warnings[0].message.contains("parallelism 1"), "{:?}", read.warnings);
    // (qps as written, thousandths a second): absent is 50, negative no limit.
    for (written, expected) in [("0", 50_000), ("-1", 0), ("0.0001", 1), ("100", 100_000)] {
        let body = format!("clientConnection: {{qps: {written}}}\n");
        assert_eq!(self::read(&body).milli_qps, expected, "{written}");
    }
}

fn seconds(n: i64) -> SimDuration {
    SimDuration::from_secs(n)
}

/// An in-process hook acts behind the plugins of every profile.
#[test]
fn hooks_stand_in_for_extenders() {
    let body = "extenders:\n- {urlPrefix: 'hook://ImageLocality', prioritizeVerb: score, weight: 3}\n\
                profiles:\n- plugins: {multiPoint: {disabled: [{name: ImageLocality}]}}\n";
    let profile = read(body).profiles.remove(0);
    assert!(list(&profile, Point::Score).ends_with("ImageLocality=3"), "{}", list(&profile, Point::Score));
}

/// (body, part of the warning): legal, and without effect.
#[test]
fn what_has_no_effect_is_said() {
    let table = [
        (
            "profiles:\n- plugins: {score: {disabled: [{name: ImageLocalty}]}}\n",
            "no plugin \"ImageLocalty\" to disable",
        ),
        (
            "profiles:\n- pluginConfig: [{name: Coscheduling, args: {permitWaitingTimeSeconds: 60}}]\n",
            "has no plugin \"Coscheduling\"",
        ),
        ("profiles:\n- pluginConfig: [{name: NodeName, args: {a: 1}}]\n", "takes no arguments"),
    ];
    for (body, expected) in table {
        let warnings = read(body).warnings;
        assert!(warnings.iter().any(|w| w.message.contains(expected) && w.place.is_some()), "{body}: {warnings:?}");
    }
}

/// (arguments, the score of an empty node of 4 CPUs for a pod of 2): what is expected of the pod's 2000m leaves
/// 4000 - 85 % or 4000 - 50 % of it; memory is all left, and the score the mean of both.
#[test]
fn arguments_of_strategies_take_effect() {
    let mut snapshot = Snapshot::default();
    snapshot.set_node(&Arc::new(builder::node("node", 4000, 16 << 30, 110)));
    snapshot.refresh();
    let pod = snapshot.compile(&Arc::new(builder::pod("pod", builder::spec("image", 2000, 0))));
    for (args, expected) in [("{}", (57 + 100) / 2), ("{estimatedScalingFactors: {cpu: 50}}", (75 + 100) / 2)] {
        let body = format!(
            "profiles:\n- pluginConfig: [{{name: LoadAware, args: {args}}}]\n  plugins:\n    multiPoint: \
             {{enabled: [{{name: LoadAware}}]}}\n"
        );
        let profile = read(&body).profiles.remove(0);
        let plugin = profile.plugins.iter().find(|plugin| plugin.name() == "LoadAware").expect("it is enabled");
        let mut score = [0];
        plugin.score(Cycle { pod: &pod, snapshot: &snapshot }, &None, snapshot.order(), &mut score);
        assert_eq!(score, [expected], "{args}");
    }
}
