//! From the plugin sets of a written profile to a [`Profile`]: defaults merged in, `multiPoint` expanded
//! (`pkg/scheduler/apis/config/v1/default_plugins.go`, `mergePlugins`;
//! `pkg/scheduler/framework/runtime/framework.go`, `NewFramework`, `expandMultiPointPlugins`).
//!
//! Worked example: `score: {disabled: [X], enabled: [{name: X, weight: 5}]}` takes X from its place among the
//! defaults and puts it last, with weight 5; without `disabled` it comes first.

use super::args::{self, Configured};
use super::faults::Faults;
use super::registry::{self, Known, UPSTREAM};
use super::types::{PluginSet, Plugins, WrittenPlugin, WrittenProfile};
use crate::model::Name;
use crate::rng::Seed;
use crate::scheduler::plugin::{Plugin, Point};
use crate::scheduler::preemption::CandidateLimits;
use crate::scheduler::profile::Profile;
use crate::wire::typed::suggestion;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

impl Plugins {
    /// The sets by extension point, in the order in which kube-scheduler goes through them, with their fields.
    pub(super) fn by_point(&self) -> [(Point, &'static str, &PluginSet); 12] {
        [
            (Point::PreFilter, "preFilter", &self.pre_filter),
            (Point::Filter, "filter", &self.filter),
            (Point::PostFilter, "postFilter", &self.post_filter),
            (Point::Reserve, "reserve", &self.reserve),
            (Point::PreScore, "preScore", &self.pre_score),
            (Point::Score, "score", &self.score),
            (Point::PreBind, "preBind", &self.pre_bind),
            (Point::Bind, "bind", &self.bind),
            (Point::PostBind, "postBind", &self.post_bind),
            (Point::Permit, "permit", &self.permit),
            (Point::PreEnqueue, "preEnqueue", &self.pre_enqueue),
            (Point::QueueSort, "queueSort", &self.queue_sort),
        ]
    }
}

/// The default plugins with what the profile's `multiPoint` changes: re-configured ones keep their place.
fn multi_point(custom: &PluginSet) -> Vec<WrittenPlugin> {
    let disabled: BTreeSet<&str> = custom.disabled.iter().map(|plugin| plugin.name.as_str()).collect();
    let mut replaced = BTreeSet::new();
    let mut merged = Vec::new();
    for (name, weight, _) in UPSTREAM.iter().filter(|(name, ..)| !disabled.contains("*") && !disabled.contains(name)) {
        // Of two entries of one name the last counts here; the other is appended and found to be double.
        match custom.enabled.iter().rposition(|plugin| plugin.name == *name) {
            Some(at) => {
                replaced.insert(at);
                merged.push(custom.enabled[at].clone());
            }
            None => merged.push(WrittenPlugin { name: (*name).to_string(), weight: *weight }),
        }
    }
    let rest = custom.enabled.iter().enumerate().filter(|(at, _)| !replaced.contains(at));
    merged.extend(rest.map(|(_, plugin)| plugin.clone()));
    merged
}

/// What one written profile becomes.
struct Builder<'a, 'f> {
    path: &'a str,
    scheduler_name: &'a str,
    faults: &'a mut Faults<'f>,
    known: Vec<Known>,
}

impl Builder<'_, '_> {
    fn find(&self, name: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.name == name)
    }

    fn unknown(&mut self, path: &str, point: Point, name: &str) {
        let names: Vec<&str> = self.known.iter().map(|known| known.name.as_str()).collect();
        let help = suggestion(name, &names, "the plugins are");
        self.faults.say(path, format!("{point:?}Plugin {name:?} does not exist"), help);
    }

    /// The names enabled at one extension point itself (`updatePluginList`).
    fn own_list(&mut self, point: Point, field: &str, set: &PluginSet) -> Vec<String> {
        let mut list: Vec<String> = Vec::new();
        for (at, plugin) in set.enabled.iter().enumerate() {
            let (name, path) = (&plugin.name, format!("{}.plugins.{field}.enabled[{at}].name", self.path));
            let Some(known) = self.find(name) else {
                self.unknown(&path, point, name);
                continue;
            };
            if !known.points.contains(&point) {
                let points: Vec<String> = known.points.iter().map(|point| format!("{point:?}")).collect();
                let message = format!("plugin {name:?} does not extend {point:?}Plugin plugin");
                self.faults.say(&path, message, format!("it acts at {}", points.join(", ")));
            } else if list.contains(name) {
                let message = format!("plugin {name:?} already registered as \"{point:?}Plugin\"");
                self.faults.say(&path, message, "remove one of the two");
            } else {
                list.push(name.clone());
            }
        }
        list
    }

    /// The whole list of an extension point: overridden plugins, those of `multiPoint`, then the rest.
    fn whole_list(&self, point: Point, set: &PluginSet, own: Vec<String>, multi: &[WrittenPlugin]) -> Vec<String> {
        let disabled: BTreeSet<&str> = set.disabled.iter().map(|plugin| plugin.name.as_str()).collect();
        if disabled.contains("*") {
            return own;
        }
        let (mut overriding, mut expanded) = (BTreeSet::new(), Vec::new());
        for plugin in multi {
            let name = plugin.name.as_str();
            let acts = self.find(name).is_some_and(|known| known.points.contains(&point));
            if !acts || disabled.contains(name) {
                continue;
            }
            match own.iter().any(|other| other == name) {
                true => drop(overriding.insert(name)),
                false => expanded.push(plugin.name.clone()),
            }
        }
        let (first, last): (Vec<String>, Vec<String>) =
            own.into_iter().partition(|name| overriding.contains(name.as_str()));
        first.into_iter().chain(expanded).chain(last).collect()
    }

    fn multi_list(&mut self, written: &PluginSet) -> Vec<WrittenPlugin> {
        for (at, plugin) in written.enabled.iter().enumerate() {
            let path = format!("{}.plugins.multiPoint.enabled[{at}].name", self.path);
            if self.find(&plugin.name).is_none() {
                self.unknown(&path, Point::PreFilter, &plugin.name);
            } else if written.enabled[..at].iter().any(|other| other.name == plugin.name) {
                let point = self.find(&plugin.name).and_then(|known| known.points.first()).copied();
                let message = format!(
                    "plugin {:?} already registered as \"{:?}Plugin\"",
                    plugin.name,
                    point.unwrap_or(Point::PreFilter)
                );
                self.faults.say(&path, message, "remove one of the two");
            }
        }
        multi_point(written)
    }

    /// Names that are switched off without being anywhere are most likely misspelt.
    fn warn_of_disabled(&mut self, field: &str, set: &PluginSet) {
        for (at, plugin) in set.disabled.iter().enumerate().filter(|(_, plugin)| plugin.name != "*") {
            if self.find(&plugin.name).is_none() {
                let names: Vec<&str> = self.known.iter().map(|known| known.name.as_str()).collect();
                let help = suggestion(&plugin.name, &names, "the plugins are");
                let path = format!("{}.plugins.{field}.disabled[{at}].name", self.path);
                self.faults.warn(&path, format!("there is no plugin {:?} to disable", plugin.name), help);
            }
        }
    }

    /// Every plugin of the profile with its arguments, and how far preemption looks.
    fn instances(
        &mut self,
        written: &WrittenProfile,
        needed: &BTreeSet<String>,
    ) -> (BTreeMap<String, Rc<dyn Plugin>>, CandidateLimits) {
        let mut plugins: BTreeMap<String, Rc<dyn Plugin>> = BTreeMap::new();
        for known in self.known.iter().filter(|known| needed.contains(&known.name)) {
            plugins.extend(known.plugin.clone().map(|plugin| (known.name.clone(), plugin)));
        }
        let mut candidates = CandidateLimits::default();
        for (at, config) in written.plugin_config.iter().enumerate() {
            let path = format!("{}.pluginConfig[{at}]", self.path);
            if !needed.contains(&config.name) {
                let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
                let help = suggestion(&config.name, &needed, "the profile's plugins are");
                let message = format!("the profile has no plugin {:?}: its arguments do nothing", config.name);
                self.faults.warn(&format!("{path}.name"), message, help);
            }
            if config.args.is_null() {
                continue;
            }
            match args::configure(&config.name, &config.args, &format!("{path}.args"), self.faults) {
                Configured::Plugin(plugin) => {
                    if let Some(place) = plugins.get_mut(&config.name) {
                        *place = plugin;
                    }
                }
                Configured::Preemption(limits) => candidates = limits,
                Configured::Nothing if !args::WITH_ARGUMENTS.contains(&config.name.as_str()) => {
                    let message = format!("the plugin {:?} takes no arguments", config.name);
                    self.faults.warn(&format!("{path}.args"), message, "remove them");
                }
                Configured::Nothing => {}
            }
        }
        (plugins, candidates)
    }
}

/// Builds the profile that stands at `path`, with `percentage` where it does not say its own.
pub(super) fn build(
    written: &WrittenProfile,
    scheduler_name: &str,
    percentage: i32,
    path: &str,
    seed: Seed,
    faults: &mut Faults<'_>,
) -> Profile {
    let mut builder = Builder { path, scheduler_name, faults, known: registry::known(seed) };
    let multi = builder.multi_list(&written.plugins.multi_point);
    builder.warn_of_disabled("multiPoint", &written.plugins.multi_point);
    let mut lists: BTreeMap<Point, Vec<String>> = BTreeMap::new();
    let mut needed: BTreeSet<String> = multi.iter().map(|plugin| plugin.name.clone()).collect();
    for (point, field, set) in written.plugins.by_point() {
        builder.warn_of_disabled(field, set);
        let own = builder.own_list(point, field, set);
        needed.extend(own.iter().cloned());
        lists.insert(point, builder.whole_list(point, set, own, &multi));
    }
    let (plugins, candidates) = builder.instances(written, &needed);
    builder.complete(&lists);
    // The order of the default profile first, so that indices are the same whatever is switched on.
    let names: Vec<&String> =
        builder.known.iter().map(|known| &known.name).filter(|name| plugins.contains_key(*name)).collect();
    let index = |name: &String| names.iter().position(|known| *known == name);
    let mut order: BTreeMap<Point, Vec<usize>> = BTreeMap::new();
    for (point, list) in &lists {
        let acting = list.iter().filter(|name| plugins.get(*name).is_some_and(|p| p.points().contains(point)));
        order.insert(*point, acting.filter_map(index).collect());
    }
    let weighted: Vec<&WrittenPlugin> = written.plugins.score.enabled.iter().chain(&multi).collect();
    let weight = |name: &&String| {
        let entry = weighted.iter().find(|plugin| plugin.name == **name);
        entry.and_then(|plugin| plugin.weight).filter(|weight| *weight != 0).map_or(1, i64::from)
    };
    Profile {
        scheduler_name: Name::from(scheduler_name),
        percentage_of_nodes_to_score: written.percentage_of_nodes_to_score.unwrap_or(percentage),
        weights: names.iter().map(weight).collect(),
        plugins: names.iter().map(|name| plugins[*name].clone()).collect(),
        order,
        candidates,
    }
}

impl Builder<'_, '_> {
    /// A profile needs one QueueSort and a Bind plugin.
    fn complete(&mut self, lists: &BTreeMap<Point, Vec<String>>) {
        let count = |point: Point| lists.get(&point).map_or(0, Vec::len);
        let sorts = count(Point::QueueSort);
        let plugins = format!("{}.plugins", self.path);
        if sorts != 1 {
            let name = self.scheduler_name;
            let message = format!(
                "only one queue sort plugin required for profile with scheduler name {name:?}, but got {sorts}"
            );
            self.faults.say(&format!("{plugins}.queueSort"), message, "enable exactly one, such as PrioritySort");
        }
        if count(Point::Bind) == 0 {
            let message =
                format!("at least one bind plugin is needed for profile with scheduler name {:?}", self.scheduler_name);
            self.faults.say(&format!("{plugins}.bind"), message, "enable DefaultBinder");
        }
    }
}
