//! Which plugins a profile can name, and where they act upstream
//! (`pkg/scheduler/framework/plugins/registry.go`).

use crate::rng::Seed;
use crate::scheduler::plugin::{Plugin, Point};
use crate::scheduler::plugins;
use std::rc::Rc;

use Point::{Bind, Filter, Permit, PostFilter, PreBind, PreEnqueue, PreFilter, PreScore, QueueSort, Reserve, Score};

/// Every plugin of kube-scheduler in the order of its default profile, with its default weight and its
/// extension points (`pkg/scheduler/apis/config/v1/default_plugins.go`). A plugin that is not simulated, or not at
/// one of these points, has nothing to say there.
pub(super) const UPSTREAM: &[(&str, Option<i32>, &[Point])] = &[
    ("SchedulingGates", None, &[PreEnqueue]),
    ("PrioritySort", None, &[QueueSort]),
    ("NodeUnschedulable", None, &[Filter]),
    ("NodeName", None, &[Filter]),
    ("TaintToleration", Some(3), &[Filter, PreScore, Score]),
    ("NodeAffinity", Some(2), &[PreFilter, Filter, PreScore, Score]),
    ("NodePorts", None, &[PreFilter, Filter]),
    ("NodeResourcesFit", Some(1), &[PreFilter, Filter, PreScore, Score]),
    ("VolumeRestrictions", None, &[PreFilter, Filter]),
    ("NodeVolumeLimits", None, &[PreFilter, Filter]),
    ("VolumeBinding", None, &[PreFilter, Filter, PreScore, Score, Reserve, PreBind]),
    ("VolumeZone", None, &[PreFilter, Filter]),
    ("PodTopologySpread", Some(2), &[PreFilter, Filter, PreScore, Score]),
    ("InterPodAffinity", Some(2), &[PreFilter, Filter, PreScore, Score]),
    ("DynamicResources", Some(2), &[PreEnqueue, PreFilter, Filter, PostFilter, Score, Reserve, PreBind]),
    ("DefaultPreemption", None, &[PreEnqueue, PostFilter]),
    ("NodeResourcesBalancedAllocation", Some(1), &[PreScore, Score]),
    ("ImageLocality", Some(1), &[Score]),
    ("NodeDeclaredFeatures", None, &[PreFilter, Filter]),
    ("DefaultBinder", None, &[Bind]),
];

/// Upstream's plugins that exist but are in no default profile.
const BEHIND_GATES: &[(&str, &[Point])] = &[("GangScheduling", &[PreEnqueue, Reserve, Permit])];

/// A plugin that a profile can name.
pub(super) struct Known {
    pub(super) name: String,
    /// Where it may be enabled.
    pub(super) points: &'static [Point],
    /// What is simulated of it.
    pub(super) plugin: Option<Rc<dyn Plugin>>,
}

/// All plugins that a profile can name, each with its default arguments, for a run with this seed.
pub(super) fn known(seed: Seed) -> Vec<Known> {
    let mut ours: Vec<Rc<dyn Plugin>> = plugins::defaults().into_iter().map(|(plugin, _)| plugin).collect();
    ours.extend(plugins::extras(seed));
    let upstream = UPSTREAM.iter().map(|(name, _, points)| (*name, *points)).chain(BEHIND_GATES.iter().copied());
    let mut all: Vec<Known> = Vec::new();
    for (name, points) in upstream {
        let plugin = ours.iter().position(|plugin| plugin.name() == name).map(|at| ours.remove(at));
        all.push(Known { name: name.to_string(), points, plugin });
    }
    let rest = ours.into_iter();
    all.extend(rest.map(|plugin| Known {
        name: plugin.name().to_string(),
        points: plugin.points(),
        plugin: Some(plugin),
    }));
    all
}
