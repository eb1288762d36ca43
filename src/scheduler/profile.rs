//! A profile: which plugins act where, in which order, with which weight
//! (`pkg/scheduler/apis/config/types.go`, `pkg/scheduler/apis/config/v1/default_plugins.go`).

use super::plugin::{Plugin, Point};
use super::plugins;
use super::preemption::CandidateLimits;
use crate::model::Name;
use crate::name;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A profile.
#[derive(Clone)]
pub struct Profile {
    /// The pods it schedules are those with this `schedulerName`.
    pub scheduler_name: Name,
    /// `percentageOfNodesToScore`; 0 adapts to the size of the cluster.
    pub percentage_of_nodes_to_score: i32,
    /// The plugins.
    pub plugins: Vec<Rc<dyn Plugin>>,
    /// For each extension point the plugins in order, by index.
    pub order: BTreeMap<Point, Vec<usize>>,
    /// Score weights by plugin index.
    pub weights: Vec<i64>,
    /// How far preemption looks.
    pub candidates: CandidateLimits,
}

impl Default for Profile {
    fn default() -> Self {
        Profile::new(name!("default-scheduler"), plugins::defaults())
    }
}

impl Profile {
    /// A profile in which every plugin acts wherever it can, in this order (upstream's `multiPoint`).
    pub fn new(scheduler_name: Name, plugins: Vec<(Rc<dyn Plugin>, i64)>) -> Self {
        let mut order: BTreeMap<Point, Vec<usize>> = BTreeMap::new();
        for (at, (plugin, _)) in plugins.iter().enumerate() {
            for point in plugin.points() {
                order.entry(*point).or_default().push(at);
            }
        }
        let (plugins, weights) = plugins.into_iter().unzip();
        let candidates = CandidateLimits::default();
        Profile { scheduler_name, percentage_of_nodes_to_score: 0, plugins, order, weights, candidates }
    }

    /// The plugin's place in the profile.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.plugins.iter().position(|plugin| plugin.name() == name)
    }

    /// Puts `plugin` in the place of the one with its name: the same plugin with other arguments.
    pub fn replace(&mut self, plugin: Rc<dyn Plugin>) {
        match self.index(plugin.name()) {
            Some(at) => self.plugins[at] = plugin,
            None => panic!("the profile has no plugin {}", plugin.name()),
        }
    }

    /// Takes the plugin (or all, with `*`) from an extension point.
    pub fn disable(&mut self, point: Point, name: &str) {
        let plugins = &self.plugins;
        if let Some(list) = self.order.get_mut(&point) {
            list.retain(|at| name != "*" && plugins[*at].name() != name);
        }
    }

    /// Adds the plugin at the end of an extension point.
    pub fn enable(&mut self, point: Point, name: &str, weight: i64) {
        let at = self.index(name).unwrap_or_else(|| panic!("the profile has no plugin {name}"));
        self.order.entry(point).or_default().push(at);
        if point == Point::Score {
            self.weights[at] = weight;
        }
    }

    /// Lets `plugin` act behind all others at these extension points, where it does not act yet; `weight` is that
    /// of its score.
    pub fn hook(&mut self, plugin: Rc<dyn Plugin>, points: &[Point], weight: i64) {
        let name = plugin.name();
        if self.index(name).is_none() {
            self.plugins.push(plugin);
            self.weights.push(weight);
        }
        for point in points {
            let acts = self.at(*point).any(|(_, other)| other.name() == name);
            let can = self.index(name).is_some_and(|at| self.plugins[at].points().contains(point));
            if can && !acts {
                self.enable(*point, name, weight);
            }
        }
    }

    /// The plugins of an extension point, in order, with their indices.
    pub fn at(&self, point: Point) -> impl Iterator<Item = (usize, &dyn Plugin)> {
        self.order.get(&point).into_iter().flatten().map(|at| (*at, self.plugins[*at].as_ref()))
    }
}
