//! What types cannot say: names, ranges, and that everything refers to something that exists.

use std::collections::{BTreeMap, BTreeSet};

use super::Scenario;
use super::check_traffic;
use super::cluster::CONTROL_PLANE;
use super::expect::{Argument, When};
use super::manifests::ManifestDocument;
use super::scheduler::MAX_SCHEDULERS;
use super::timeline::Action;
use super::timing::COMPONENTS;
use super::units::ObjectRef;
use crate::error::{Problem, those_there_are};
use crate::model::Kind;
use crate::model::custom::CustomKinds;
use crate::time::SimTime;
use crate::wire::places::Places;
use crate::wire::typed::suggestion;

/// Collects problems with their places.
struct Checker<'a> {
    scenario: &'a Scenario,
    places: &'a Places,
    problems: Vec<Problem>,
}

/// What can be checked without the manifests.
pub fn before_manifests(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let mut checker = Checker { scenario, places, problems: Vec::new() };
    checker.head();
    checker.cluster();
    checker.timing();
    checker.schedulers();
    for index in 0..scenario.timeline.len() {
        checker.entry(index);
    }
    checker.problems.extend(super::check_node::problems(scenario, places));
    checker.problems
}

/// What refers to objects of the manifests.
pub fn references(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let mut checker = Checker { scenario, places, problems: Vec::new() };
    checker.duplicates();
    checker.objects();
    checker.expectations();
    checker.behaviors();
    checker.objectives();
    checker.scheduler_names();
    let services: Vec<(String, String)> = scenario
        .documents()
        .map(|document| identity(document, &scenario.kinds))
        .filter_map(|(kind, namespace, name)| (kind == "Service").then_some((namespace, name)))
        .collect();
    checker.problems.extend(check_traffic::references(scenario, places, &services));
    checker.problems.extend(super::faults::references(scenario, places, &services));
    checker.problems
}

/// Warnings: pods and pod templates that ask for a scheduler which is not there.
pub fn unserved(scenario: &Scenario) -> Vec<Problem> {
    let served: BTreeSet<String> = scenario.scheduler.names().into_iter().flat_map(|(_, names)| names).collect();
    let mut warnings = Vec::new();
    for document in scenario.documents() {
        for parent in ["spec", "spec.template.spec"] {
            let pointer = format!("/{}/schedulerName", parent.replace('.', "/"));
            let asked = document.value.pointer(&pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
            if !asked.is_empty() && !served.contains(asked) {
                let names: Vec<&str> = served.iter().map(String::as_str).collect();
                let help = suggestion(asked, &names, "add it under `scheduler.schedulers`; those there are");
                let message = format!("no scheduler serves {asked:?}: the pods stay pending");
                warnings.push(document.places.problem(&format!("{parent}.schedulerName"), message, help));
            }
        }
    }
    warnings
}

/// Whether `text` is a DNS-1123 label of at most `most` characters.
fn is_label(text: &str, most: usize) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends = |b: Option<u8>| b.is_some_and(|b| b != b'-');
    text.len() <= most && text.bytes().all(inner) && ends(text.bytes().next()) && ends(text.bytes().last())
}

/// Kinds with a subresource `scale`.
const SCALED: &[Kind] = &[Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController];

/// Kinds whose containers `kubectl set` changes.
const WITH_CONTAINERS: &[Kind] = &[
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicationController,
    Kind::Job,
    Kind::CronJob,
    Kind::Pod,
];

/// Kinds whose pods serve for ever.
const WORKLOADS: &[&str] = &["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"];

const LABEL_HELP: &str =
    "use 1 to 63 lower-case letters, digits and dashes, starting and ending with a letter or digit";

impl Checker<'_> {
    fn add(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.places.problem(path, message, help));
    }

    fn head(&mut self) {
        let scenario = self.scenario;
        if !is_label(&scenario.name, 63) {
            self.add("name", format!("invalid name {:?}", scenario.name), LABEL_HELP);
        }
        if scenario.duration.0.0 <= 0 {
            self.add("duration", "the duration must be positive", "write how much virtual time passes, such as 10m");
        }
        if scenario.duration > scenario.limits.max_duration {
            let message = format!(
                "{} is more than the limit `maxDuration` ({})",
                scenario.duration.0, scenario.limits.max_duration.0
            );
            self.add("duration", message, "shorten it, or raise it with `--set limits.maxDuration=…`");
        }
    }

    fn cluster(&mut self) {
        let cluster = &self.scenario.cluster;
        let most = self.scenario.limits.max_nodes;
        if cluster.node_count() > most {
            let count = super::limits::grouped(cluster.node_count());
            let message =
                format!("{count} nodes are more than the limit `maxNodes` ({})", super::limits::grouped(most));
            self.add(
                self.largest_pool().as_str(),
                message,
                "lower `count`, or raise it with `--set limits.maxNodes=…`",
            );
        }
        if cluster.node_count() == 0 && cluster.karpenter.node_pools.is_empty() {
            self.add("cluster", "the cluster has no nodes", "add a pool: pools: [{name: small, count: 3}]");
        }
        if cluster.control_plane.replicas > 7
            || (cluster.control_plane.replicas.is_multiple_of(2) && cluster.control_plane.replicas != 0)
        {
            let message = format!("{} control-plane replicas", cluster.control_plane.replicas);
            self.add("cluster.controlPlane.replicas", message, "use an odd number from 1 to 7, or 0 for a managed one");
        }
        self.price("cluster.controlPlane", cluster.control_plane.price_per_hour);
        let mut names = BTreeMap::new();
        for (index, pool) in cluster.pools.iter().enumerate() {
            let path = format!("cluster.pools[{index}]");
            self.machine(&path, &pool.name, &pool.capacity, &pool.reserved, pool.price_per_hour, pool.labels.iter());
            if let Some(first) = names.insert(pool.name.clone(), path.clone()) {
                self.add(
                    &format!("{path}.name"),
                    format!("two pools are called {:?}", pool.name),
                    format!("the other is {first}; rename one"),
                );
            }
            if pool.name == CONTROL_PLANE {
                let help = "choose another name; `cluster.controlPlane` describes the control plane";
                self.add(&format!("{path}.name"), "this name is reserved for the control plane", help);
            }
            for (zone, name) in pool.zones.iter().enumerate() {
                if !is_label(name, 63) {
                    self.add(&format!("{path}.zones[{zone}]"), format!("invalid zone {name:?}"), LABEL_HELP);
                }
            }
        }
        for (index, node) in cluster.nodes.iter().enumerate() {
            let path = format!("cluster.nodes[{index}]");
            self.machine(&path, &node.name, &node.capacity, &node.reserved, node.price_per_hour, node.labels.iter());
            let in_pool = super::Cluster { nodes: Vec::new(), ..cluster.clone() }.has_node(&node.name);
            if in_pool || cluster.nodes[..index].iter().any(|other| other.name == node.name) {
                self.add(
                    &format!("{path}.name"),
                    format!("two nodes are called {:?}", node.name),
                    "rename one of them",
                );
            }
        }
    }

    fn price(&mut self, path: &str, price: f64) {
        if let Some((message, help)) = super::cluster::price_fault(price) {
            self.add(&format!("{path}.pricePerHour"), message, help);
        }
    }

    fn largest_pool(&self) -> String {
        let pools = self.scenario.cluster.pools.iter().enumerate();
        pools
            .max_by_key(|(_, pool)| pool.count)
            .map_or("cluster.nodes".to_string(), |(i, _)| format!("cluster.pools[{i}].count"))
    }

    fn machine<'b>(
        &mut self,
        path: &str,
        name: &str,
        capacity: &super::cluster::Capacity,
        reserved: &super::cluster::Reserved,
        price: f64,
        labels: impl Iterator<Item = (&'b String, &'b String)>,
    ) {
        if !is_label(name, 50) {
            self.add(&format!("{path}.name"), format!("invalid name {name:?}"), LABEL_HELP.replace("63", "50"));
        }
        let amounts = [
            ("cpu", capacity.cpu, capacity.cpu.0.milli(), "4"),
            ("memory", capacity.memory, capacity.memory.0.whole(), "16Gi"),
        ];
        for (field, amount, value, example) in amounts {
            if value <= 0 {
                self.add(
                    &format!("{path}.capacity.{field}"),
                    format!("{} is not positive", amount.0),
                    format!("write an amount such as {example}"),
                );
            }
        }
        let memory = capacity.memory.0.whole();
        if memory > 0 && memory < 64 << 20 {
            let message = format!("{memory} bytes of memory are less than 64Mi");
            self.add(
                &format!("{path}.capacity.memory"),
                message,
                format!("did you forget the unit? write {}Gi or {}Mi", capacity.memory.0, capacity.memory.0),
            );
        } else {
            let thresholds = super::cluster::thresholds(&Default::default(), reserved);
            let (cpu, left, _) = capacity.allocatable(reserved, &thresholds);
            if cpu == 0 || left == 0 {
                self.add(
                    &format!("{path}.reserved"),
                    "the reservations leave nothing for pods",
                    "lower them or raise the capacity",
                );
            }
        }
        self.price(path, price);
        for (key, value) in labels {
            let label_path = crate::wire::places::join(&format!("{path}.labels"), &crate::wire::places::Step::Key(key));
            if let Some(why) = crate::wire::names::label_fault(key, value) {
                self.add(&label_path, why, "use at most 63 letters, digits, `-`, `_` and `.`");
            }
        }
    }

    fn timing(&mut self) {
        let names: Vec<&str> = COMPONENTS.iter().map(|(name, ..)| *name).collect();
        for (name, timing) in &self.scenario.timing.components {
            let path = format!("timing.components.{name}");
            if !names.contains(&name.as_str()) {
                self.problems.push(Problem {
                    place: Some(self.places.find_key(&path)),
                    path: path.clone(),
                    message: format!("unknown component {name:?}"),
                    help: Some(suggestion(name, &names, "the components are")),
                });
            }
            if timing.workers == Some(0) {
                self.add(&format!("{path}.workers"), "a component without workers does nothing", "write 1 or more");
            }
            if timing.burst == Some(0) && timing.qps != Some(0) {
                self.add(&format!("{path}.burst"), "a burst of 0 lets no request through", "write 1 or more");
            }
        }
        if self.scenario.timing.node_monitor.period.0.0 <= 0 {
            self.add("timing.nodeMonitor.period", "the period must be positive", "write a duration such as 5s");
        }
        if self.scenario.timing.registry.bandwidth.0.whole() <= 0 {
            self.add(
                "timing.registry.bandwidth",
                "the bandwidth must be positive",
                "write bytes a second, such as 50Mi",
            );
        }
    }

    fn schedulers(&mut self) {
        let count = self.scenario.scheduler.schedulers.len();
        if count > MAX_SCHEDULERS {
            let message = format!("{count} schedulers are more than the limit `maxSchedulers` ({MAX_SCHEDULERS})");
            self.add("scheduler.schedulers", message, "give one scheduler several profiles");
        }
    }

    /// Every name is served once, and by the scheduler that the scenario says.
    fn scheduler_names(&mut self) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let wanted = self.scenario.scheduler.schedulers.iter().map(|other| other.scheduler_name.as_ref());
        let wanted: Vec<Option<&String>> = std::iter::once(None).chain(wanted).collect();
        for ((path, names), wanted) in self.scenario.scheduler.names().into_iter().zip(wanted) {
            if let Some(wanted) = wanted.filter(|wanted| !names.contains(wanted)) {
                let help =
                    suggestion(wanted, &names.iter().map(String::as_str).collect::<Vec<_>>(), "its profiles are");
                self.add(&path, format!("no profile of its configuration serves {wanted:?}"), help);
            }
            let own: BTreeSet<String> = names.into_iter().collect();
            for name in own {
                if let Some(other) = seen.insert(name.clone(), path.clone()) {
                    let help = "give each scheduler a schedulerName of its own";
                    self.add(&path, format!("{name:?} is already served by {other}"), help);
                }
            }
        }
    }

    fn entry(&mut self, index: usize) {
        let scenario = self.scenario;
        let entry = &scenario.timeline[index];
        let path = format!("timeline[{index}]");
        self.instant(&format!("{path}.at"), entry.at);
        match &entry.action {
            Action::Cordon(target) => self.node(&format!("{path}.cordon.node"), &target.node),
            Action::Uncordon(target) => self.node(&format!("{path}.uncordon.node"), &target.node),
            Action::Drain(drain) => self.node(&format!("{path}.drain.node"), &drain.node),
            Action::Taint(taint) => self.node(&format!("{path}.taint.node"), &taint.node),
            Action::Scale(scale) if u64::from(scale.replicas) > scenario.limits.max_pods => {
                let limit = super::limits::grouped(scenario.limits.max_pods);
                let message = format!("{} replicas are more than the limit `maxPods` ({limit})", scale.replicas);
                self.add(
                    &format!("{path}.scale.replicas"),
                    message,
                    "lower it, or raise it with `--set limits.maxPods=…`",
                );
            }
            _ => {}
        }
    }

    fn instant(&mut self, path: &str, at: SimTime) {
        if at < SimTime::ZERO {
            self.add(path, "the instant is before the start", "write a time of 0s or more");
        } else if at > self.scenario.end() {
            let message =
                format!("{} is after the end of the run ({})", (at - SimTime::ZERO), self.scenario.duration.0);
            self.add(path, message, "choose an earlier time, or make `duration` longer");
        }
    }

    fn node(&mut self, path: &str, name: &str) {
        if !self.scenario.cluster.has_node(name) {
            let nodes = self.scenario.cluster.setups();
            let control_plane: Vec<String> =
                (0..self.scenario.cluster.control_plane.replicas).map(|i| format!("{CONTROL_PLANE}-{i}")).collect();
            let names = nodes.iter().map(|node| node.name.as_str());
            let names: Vec<&str> = names.chain(control_plane.iter().map(String::as_str)).collect();
            self.unknown(path, "node", name, &names);
        }
    }

    /// "unknown X": with the nearest name, or the first few that exist.
    fn unknown(&mut self, path: &str, what: &str, name: &str, known: &[&str]) {
        self.add(path, format!("unknown {what} {name:?}"), those_there_are(what, name, known));
    }

    /// Two objects of one name in the manifests of the start: the second would silently replace the first.
    fn duplicates(&mut self) {
        let mut seen = BTreeMap::new();
        let mut found = Vec::new();
        for document in &self.scenario.manifests.objects {
            let id = identity(document, &self.scenario.kinds);
            let place = document.places.find("metadata.name");
            if let Some((file, line)) = seen.get(&id) {
                let (kind, _, name) = &id;
                found.push(document.places.problem(
                    "metadata.name",
                    format!("{kind} {name:?} is already there"),
                    format!("the other stands at {file}:{line}; rename or remove one"),
                ));
            }
            seen.insert(id, (place.file, place.line));
        }
        self.problems.extend(found);
    }

    fn objects(&mut self) {
        let scenario = self.scenario;
        let known: BTreeSet<(String, String, String)> =
            scenario.documents().map(|document| identity(document, &scenario.kinds)).collect();
        for (index, entry) in scenario.timeline.iter().enumerate() {
            let (key, object, namespace) = match &entry.action {
                Action::Delete(a) => match &a.object {
                    Some(object) => ("delete", object, &a.namespace),
                    None => continue,
                },
                Action::Scale(a) => ("scale", &a.object, &a.namespace),
                Action::SetImage(a) => ("setImage", &a.object, &a.namespace),
                Action::Patch(a) => ("patch", &a.object, &a.namespace),
                Action::RolloutUndo(a) => ("rolloutUndo", &a.object, &a.namespace),
                Action::RolloutPause(a) => ("rolloutPause", &a.object, &a.namespace),
                Action::RolloutResume(a) => ("rolloutResume", &a.object, &a.namespace),
                Action::RolloutRestart(a) => ("rolloutRestart", &a.object, &a.namespace),
                Action::Label(a) => ("label", &a.object, &a.namespace),
                Action::Annotate(a) => ("annotate", &a.object, &a.namespace),
                Action::SetEnv(a) => ("setEnv", &a.object, &a.namespace),
                Action::SetResources(a) => ("setResources", &a.object, &a.namespace),
                _ => continue,
            };
            let path = format!("timeline[{index}].{key}.object");
            let allowed: &[Kind] = match &entry.action {
                Action::Scale(_) => SCALED,
                Action::SetImage(_) | Action::SetEnv(_) | Action::SetResources(_) => WITH_CONTAINERS,
                Action::Delete(_) | Action::Patch(_) | Action::Label(_) | Action::Annotate(_) => &[],
                Action::RolloutUndo(_) | Action::RolloutRestart(_) => {
                    &[Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet]
                }
                _ => &[Kind::Deployment],
            };
            let scaled = matches!((&entry.action, object.kind), (Action::Scale(_), Kind::Custom(_)));
            if !allowed.is_empty() && !allowed.contains(&object.kind) && !scaled {
                let message = format!("`{key}` does not work on a {}", object.kind);
                self.add(
                    &path,
                    message,
                    format!("name a {}", allowed.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ")),
                );
            } else {
                self.object(&path, object, namespace, &known);
            }
        }
    }

    fn object(&mut self, path: &str, object: &ObjectRef, namespace: &str, known: &BTreeSet<(String, String, String)>) {
        match object.kind {
            Kind::Node => return self.node(path, &object.name),
            // Pods and what controllers make have names that nobody knows beforehand.
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::ReplicationController => {}
            Kind::Service | Kind::ConfigMap | Kind::Secret | Kind::Namespace | Kind::Custom(_) => {}
            _ => return,
        }
        let namespace = if object.kind.namespaced() { namespace } else { "" };
        let id = (object.kind.to_string(), namespace.to_string(), object.name.clone());
        let built_in = object.kind == Kind::Namespace && ["default", "kube-system"].contains(&object.name.as_str());
        if !known.contains(&id) && !built_in {
            let names: Vec<&str> = known
                .iter()
                .filter(|(kind, ns, _)| kind == object.kind.as_str() && ns == namespace)
                .map(|(_, _, name)| name.as_str())
                .collect();
            self.unknown(path, &object.kind.as_str().to_lowercase(), &object.name, &names);
        }
    }

    fn behaviors(&mut self) {
        for (index, entry) in self.scenario.behavior.iter().enumerate() {
            if entry.failure_probability.is_some_and(|likely| !(0.0..=1.0).contains(&likely.0)) {
                let path = format!("behavior[{index}].failureProbability");
                self.add(&path, "a probability is between 0 and 1", "write a share such as 0.1 or 10%");
            }
        }
    }

    fn objectives(&mut self) {
        let scenario = self.scenario;
        let known: BTreeSet<(String, String, String)> =
            scenario.documents().map(|document| identity(document, &scenario.kinds)).collect();
        for (index, slo) in scenario.slo.iter().enumerate() {
            let bare = slo.workload.split_once('/').map_or(slo.workload.as_str(), |(_, name)| name);
            let there = known.iter().filter(|(kind, ns, _)| WORKLOADS.contains(&kind.as_str()) && *ns == slo.namespace);
            let names: Vec<&str> = there.map(|(.., name)| name.as_str()).collect();
            if !names.contains(&bare) {
                self.unknown(&format!("slo[{index}].workload"), "workload", bare, &names);
            }
        }
    }

    fn expectations(&mut self) {
        let scenario = self.scenario;
        let known: BTreeSet<(String, String, String)> =
            scenario.documents().map(|document| identity(document, &scenario.kinds)).collect();
        let clients: Vec<&str> =
            scenario.traffic.iter().flat_map(|traffic| &traffic.clients).map(|one| one.name.as_str()).collect();
        for (index, expectation) in scenario.expect.iter().enumerate() {
            let path = format!("expect[{index}]");
            let kinds: &[&str] = match expectation.form().argument {
                Argument::Workload | Argument::OptionalWorkload => WORKLOADS,
                Argument::Flow if expectation.argument.as_deref().is_some_and(|name| clients.contains(&name)) => &[],
                Argument::Service | Argument::Flow => &["Service"],
                Argument::Job => &["Job", "CronJob"],
                _ => &[],
            };
            if let (Some(argument), false) = (&expectation.argument, kinds.is_empty()) {
                let name = argument.split_once('/').map_or(argument.as_str(), |(_, name)| name);
                let candidates: Vec<&str> = known
                    .iter()
                    .filter(|(kind, ns, _)| kinds.contains(&kind.as_str()) && *ns == expectation.namespace)
                    .map(|(_, _, name)| name.as_str())
                    .collect();
                let elsewhere = known.iter().find(|(kind, _, other)| kinds.contains(&kind.as_str()) && other == name);
                match elsewhere {
                    _ if candidates.contains(&name) => {}
                    Some((_, namespace, _)) => {
                        let looked = &expectation.namespace;
                        let message = format!("{name:?} is not in namespace {looked:?} but in {namespace:?}");
                        self.add(&path, message, format!("write ({argument}, {namespace})"));
                    }
                    None => self.unknown(&path, &kinds[0].to_lowercase(), name, &candidates),
                }
            }
            match expectation.when {
                When::AtEnd => {}
                When::At(at) => self.instant(&path, at),
                When::Always { from, to } | When::Eventually { from, to } => {
                    from.into_iter().chain(to).for_each(|at| self.instant(&path, at));
                    if let (Some(from), Some(to)) = (from, to)
                        && from >= to
                    {
                        self.add(
                            &path,
                            "the span ends before it begins",
                            "write the earlier time first: from 1m to 5m",
                        );
                    }
                }
            }
        }
    }
}

/// Kind, namespace (empty for cluster-wide kinds) and name of an object.
pub(super) fn identity(document: &ManifestDocument, kinds: &CustomKinds) -> (String, String, String) {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let kind = text(&document.value["kind"]);
    let custom =
        text(&document.value["apiVersion"]).split_once('/').and_then(|(group, _)| kinds.of_group(group, &kind));
    let cluster_wide = custom.or_else(|| Kind::parse(&kind)).is_some_and(|kind| !kind.namespaced());
    let metadata = &document.value["metadata"];
    let namespace = match metadata["namespace"].as_str() {
        _ if cluster_wide => String::new(),
        Some(namespace) if !namespace.is_empty() => namespace.to_string(),
        _ => "default".to_string(),
    };
    (kind, namespace, text(&metadata["name"]))
}
