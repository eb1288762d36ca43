//! Plugin arguments: read, checked with kube-scheduler's sentences, and put into plugins
//! (`pkg/scheduler/apis/config/validation/validation_pluginargs.go`, `pkg/scheduler/apis/config/v1/defaults.go`).

use super::faults::Faults;
use super::strategy_args;
use super::types::{
    AffinityArgs, BalancedArgs, FitArgs, InterPodArgs, PreemptionArgs, ResourceSpec, ResourcesArgs, ScoringStrategy,
    ShapePoint, SpreadArgs, VolumeArgs,
};
use crate::model::Name;
use crate::scheduler::plugin::Plugin;
use crate::scheduler::plugins::balanced_allocation::BalancedAllocation;
use crate::scheduler::plugins::inter_pod_affinity::InterPodAffinity;
use crate::scheduler::plugins::node_affinity::NodeAffinity;
use crate::scheduler::plugins::resource_allocation::ResourceWeight;
use crate::scheduler::plugins::resources_fit::{ResourcesFit, Strategy};
use crate::scheduler::plugins::topology_spread::TopologySpread;
use crate::scheduler::preemption::CandidateLimits;
use crate::time::SimDuration;
use crate::wire::validate::ErrorType;
use crate::wire::{decode, names};
use serde_json::Value;
use std::rc::Rc;

/// What arguments come to.
pub(super) enum Configured {
    /// The plugin with these arguments.
    Plugin(Rc<dyn Plugin>),
    /// How far preemption looks.
    Preemption(CandidateLimits),
    /// Nothing that decides.
    Nothing,
}

/// Plugins that take arguments.
pub(super) const WITH_ARGUMENTS: &[&str] = &[
    "Coscheduling",
    "DefaultPreemption",
    "DynamicResources",
    "InterPodAffinity",
    "LoadAware",
    "NodeAffinity",
    "NodeResourcesBalancedAllocation",
    "NodeResourcesFit",
    "PodTopologySpread",
    "VolumeBinding",
];

/// Reads the arguments of plugin `name`, which stand at `path`. Wrong ones give nothing and are reported.
pub(super) fn configure(name: &str, args: &Value, path: &str, faults: &mut Faults<'_>) -> Configured {
    let (kind, wanted) = (args["kind"].as_str().unwrap_or_default(), format!("{name}Args"));
    if !kind.is_empty() && kind != wanted {
        let group = "kubescheduler.config.k8s.io";
        let message = format!("args for plugin {name} were not of type {wanted}.{group}, got {kind}.{group}");
        faults.say(&format!("{path}.kind"), message, format!("write kind: {wanted}, or leave it out"));
        return Configured::Nothing;
    }
    let plugin: Option<Rc<dyn Plugin>> = match name {
        "NodeResourcesFit" => faults.read(path, args).map(|args| fit(&args, path, faults) as _),
        "NodeResourcesBalancedAllocation" => faults.read(path, args).map(|args| balanced(&args, path, faults) as _),
        "NodeAffinity" => faults.read(path, args).and_then(|args| affinity(&args, path, faults)).map(|p| p as _),
        "PodTopologySpread" => faults.read(path, args).and_then(|args| spread(&args, path, faults)).map(|p| p as _),
        "InterPodAffinity" => faults.read(path, args).map(|args| inter_pod(&args, path, faults) as _),
        "Coscheduling" => faults.read(path, args).map(|args| strategy_args::coscheduling(&args, path, faults) as _),
        "LoadAware" => faults.read(path, args).map(|args| strategy_args::load_aware(&args, path, faults) as _),
        "DefaultPreemption" => {
            let limits = faults.read(path, args).map(|args| preemption(&args, path, faults));
            return limits.map_or(Configured::Nothing, Configured::Preemption);
        }
        "VolumeBinding" => {
            if let Some(args) = faults.read(path, args) {
                volume_binding(&args, path, faults);
            }
            None
        }
        "DynamicResources" => {
            if let Some(args) = faults.read(path, args) {
                dynamic_resources(&args, path, faults);
            }
            None
        }
        _ => None,
    };
    plugin.map_or(Configured::Nothing, Configured::Plugin)
}

fn resource_weights(written: &[ResourceSpec]) -> Vec<ResourceWeight> {
    let weight = |r: &ResourceSpec| ResourceWeight {
        name: Name::from(r.name.as_str()),
        weight: if r.weight == 0 { 1 } else { r.weight },
    };
    if written.is_empty() { ResourceWeight::cpu_and_memory() } else { written.iter().map(weight).collect() }
}

fn fit(args: &FitArgs, path: &str, faults: &mut Faults<'_>) -> Rc<ResourcesFit> {
    for (at, resource) in args.ignored_resources.iter().enumerate() {
        label_name(&format!("{path}.ignoredResources[{at}]"), resource, faults);
    }
    for (at, group) in args.ignored_resource_groups.iter().enumerate() {
        let path = format!("{path}.ignoredResourceGroups[{at}]");
        if group.contains('/') {
            let help = "write only the part before the slash, such as example.com";
            faults.invalid(&path, format!("{group:?}"), "resource group name can't contain '/'", help);
        }
        label_name(&path, group, faults);
    }
    let path = format!("{path}.scoringStrategy");
    let default = ScoringStrategy { kind: "LeastAllocated".into(), ..ScoringStrategy::default() };
    let written = args.scoring_strategy.as_ref().unwrap_or(&default);
    let names = |list: &[String]| list.iter().map(|name| Name::from(name.as_str())).collect();
    ResourcesFit {
        strategy: strategy(written, &path, faults),
        resources: resource_weights(&written.resources),
        ignored_resources: names(&args.ignored_resources),
        ignored_groups: names(&args.ignored_resource_groups),
    }
    .into()
}

fn strategy(written: &ScoringStrategy, path: &str, faults: &mut Faults<'_>) -> Strategy {
    const TYPES: [&str; 3] = ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];
    if !TYPES.contains(&written.kind.as_str()) {
        let kind = ErrorType::not_supported(format!("{:?}", written.kind), &TYPES);
        faults.add(&format!("{path}.type"), kind, "", "");
    }
    for (at, resource) in written.resources.iter().enumerate() {
        if resource.weight < 0 || resource.weight > 100 {
            let detail = format!("resource weight of {} not in valid range (0, 100]", resource.name);
            let path = format!("{path}.resources[{at}].weight");
            faults.invalid(&path, resource.weight, &detail, "write a weight from 1 to 100");
        }
    }
    let ratio = format!("{path}.requestedToCapacityRatio");
    match (&written.requested_to_capacity_ratio, written.kind.as_str()) {
        (None, "RequestedToCapacityRatio") => {
            let help =
                "add requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}";
            faults.add(&ratio, ErrorType::Required, "must be specified when type is RequestedToCapacityRatio", help);
        }
        (Some(ratio_written), "RequestedToCapacityRatio") => {
            shape(&ratio_written.shape, &format!("{ratio}.shape"), faults);
            let points = ratio_written.shape.iter().map(|p| (i64::from(p.utilization), i64::from(p.score)));
            return Strategy::RequestedToCapacityRatio(points.collect());
        }
        (Some(_), _) => {
            let help = "remove it, or write type: RequestedToCapacityRatio";
            faults.add(&ratio, ErrorType::Forbidden, "must be nil when type is not RequestedToCapacityRatio", help);
        }
        (None, _) => {}
    }
    if written.kind == "MostAllocated" { Strategy::MostAllocated } else { Strategy::LeastAllocated }
}

fn shape(points: &[ShapePoint], path: &str, faults: &mut Faults<'_>) {
    if points.is_empty() {
        let help = "write points such as {utilization: 0, score: 0}";
        return faults.add(path, ErrorType::Required, "at least one point must be specified", help);
    }
    if let Some(at) = (1..points.len()).find(|at| points[at - 1].utilization >= points[*at].utilization) {
        let detail = "values must be sorted in increasing order";
        let help = "put the points in order of utilization, each once";
        faults.invalid(&format!("{path}[{at}].utilization"), points[at].utilization, detail, help);
    }
    for (at, point) in points.iter().enumerate() {
        if !(0..=100).contains(&point.utilization) {
            let path = format!("{path}[{at}].utilization");
            faults.invalid(&path, point.utilization, "not in valid range [0, 100]", "write a percentage from 0 to 100");
        }
        if !(0..=10).contains(&point.score) {
            let path = format!("{path}[{at}].score");
            faults.invalid(&path, point.score, "not in valid range [0, 10]", "write a score from 0 to 10");
        }
    }
}

fn balanced(args: &BalancedArgs, path: &str, faults: &mut Faults<'_>) -> Rc<BalancedAllocation> {
    for (at, resource) in args.resources.iter().enumerate() {
        let path = format!("{path}.resources[{at}]");
        if args.resources[..at].iter().any(|other| other.name == resource.name) {
            faults.add(&format!("{path}.name"), ErrorType::Duplicate(format!("{:?}", resource.name)), "", "");
        }
        if ![0, 1].contains(&resource.weight) {
            let help = "all resources count alike here; write 1 or leave it out";
            faults.invalid(&format!("{path}.weight"), resource.weight, "must be 1", help);
        }
    }
    BalancedAllocation { resources: resource_weights(&args.resources) }.into()
}

fn affinity(args: &AffinityArgs, path: &str, faults: &mut Faults<'_>) -> Option<Rc<NodeAffinity>> {
    if args.added_affinity.is_null() {
        return Some(Rc::default());
    }
    match decode::node_affinity(&args.added_affinity) {
        Ok(read) => {
            let plugin = NodeAffinity { added_required: read.node_required, added_preferred: read.node_preferred };
            Some(plugin.into())
        }
        Err(problems) => {
            faults.fields(&format!("{path}.addedAffinity"), problems);
            None
        }
    }
}

fn spread(args: &SpreadArgs, path: &str, faults: &mut Faults<'_>) -> Option<Rc<TopologySpread>> {
    let known = faults.problems.len();
    let at_type = format!("{path}.defaultingType");
    let system = matches!(args.defaulting_type.as_str(), "" | "System");
    if !system && args.defaulting_type != "List" {
        let kind = ErrorType::not_supported(format!("{:?}", args.defaulting_type), &["System", "List"]);
        faults.add(&at_type, kind, "", "");
    } else if system && !args.default_constraints.is_empty() {
        let detail = "when .defaultConstraints are not empty";
        faults.invalid(&at_type, "\"System\"", detail, "write defaultingType: List, or remove defaultConstraints");
    }
    let list = format!("{path}.defaultConstraints");
    let mut defaults = Vec::new();
    for (at, value) in args.default_constraints.iter().enumerate() {
        let path = format!("{list}[{at}]");
        match decode::spread_constraint(value) {
            Ok(constraint) => defaults.push(constraint),
            Err(problems) => {
                faults.fields(&path, problems);
                continue;
            }
        }
        constraint(value, &path, faults);
        let key = |value: &Value| (value["topologyKey"].clone(), value["whenUnsatisfiable"].clone());
        if args.default_constraints[..at].iter().any(|other| key(other) == key(value)) {
            let text = |field: &str| value[field].as_str().unwrap_or_default().to_string();
            let printed = format!("\"{{{}, {}}}\"", text("topologyKey"), text("whenUnsatisfiable"));
            faults.add(&path, ErrorType::Duplicate(printed), "", "");
        }
    }
    let plugin = if system { TopologySpread::default() } else { TopologySpread { defaults, system: false } };
    (faults.problems.len() == known).then(|| plugin.into())
}

fn constraint(value: &Value, path: &str, faults: &mut Faults<'_>) {
    let max_skew = value["maxSkew"].as_i64().unwrap_or(0);
    if max_skew <= 0 {
        let path = format!("{path}.maxSkew");
        faults.invalid(&path, max_skew, "not in valid range (0, inf)", "write 1 or more");
    }
    let at_key = format!("{path}.topologyKey");
    match value["topologyKey"].as_str().unwrap_or_default() {
        "" => {
            let help = "name a node label, such as topology.kubernetes.io/zone";
            faults.add(&at_key, ErrorType::Required, "can not be empty", help);
        }
        key => label_name(&at_key, key, faults),
    }
    let at_when = format!("{path}.whenUnsatisfiable");
    match value["whenUnsatisfiable"].as_str().unwrap_or_default() {
        "" => faults.add(&at_when, ErrorType::Required, "can not be empty", "write ScheduleAnyway or DoNotSchedule"),
        "DoNotSchedule" | "ScheduleAnyway" => {}
        other => {
            let supported = vec!["DoNotSchedule", "ScheduleAnyway"];
            faults.add(&at_when, ErrorType::not_supported(format!("{other:?}"), &supported), "", "");
        }
    }
    if !value["labelSelector"].is_null() {
        let detail = "constraint must not define a selector, as they deduced for each pod";
        faults.add(&format!("{path}.labelSelector"), ErrorType::Forbidden, detail, "");
    }
}

fn inter_pod(args: &InterPodArgs, path: &str, faults: &mut Faults<'_>) -> Rc<InterPodAffinity> {
    let weight = args.hard_pod_affinity_weight.unwrap_or(1);
    if !(0..=100).contains(&weight) {
        let path = format!("{path}.hardPodAffinityWeight");
        faults.invalid(&path, weight, "not in valid range [0, 100]", "write a weight from 0 to 100");
    }
    let ignore_preferred_terms_of_existing_pods = args.ignore_preferred_terms_of_existing_pods;
    InterPodAffinity { hard_weight: i64::from(weight), ignore_preferred_terms_of_existing_pods }.into()
}

fn preemption(args: &PreemptionArgs, path: &str, faults: &mut Faults<'_>) -> CandidateLimits {
    let (percentage, absolute) =
        (args.min_candidate_nodes_percentage.unwrap_or(10), args.min_candidate_nodes_absolute.unwrap_or(100));
    let (at_percentage, at_absolute) =
        (format!("{path}.minCandidateNodesPercentage"), format!("{path}.minCandidateNodesAbsolute"));
    if !(0..=100).contains(&percentage) {
        faults.invalid(&at_percentage, percentage, "not in valid range [0, 100]", "write a percentage from 0 to 100");
    }
    if absolute < 0 {
        faults.invalid(&at_absolute, absolute, "not in valid range [0, inf)", "write 0 or more");
    }
    if percentage == 0 && absolute == 0 {
        let help = "let one of the two be at least 1";
        let detail = |other: &str| format!("cannot be zero at the same time as {other}");
        faults.invalid(&at_percentage, 0, &detail("minCandidateNodesAbsolute"), help);
        faults.invalid(&at_absolute, 0, &detail("minCandidateNodesPercentage"), help);
    }
    let size = |number: i32| usize::try_from(number).unwrap_or(0);
    CandidateLimits { percentage: size(percentage), absolute: size(absolute) }
}

fn volume_binding(args: &VolumeArgs, path: &str, faults: &mut Faults<'_>) {
    if let Some(timeout) = args.bind_timeout_seconds.filter(|timeout| *timeout < 0) {
        let detail = "invalid BindTimeoutSeconds, should not be a negative value";
        faults.invalid(&format!("{path}.bindTimeoutSeconds"), timeout, detail, "write 0 or more");
    }
    if let Some(points) = &args.shape {
        let shown: Vec<String> =
            points.iter().map(|p| format!("{{\"Utilization\":{},\"Score\":{}}}", p.utilization, p.score)).collect();
        let detail = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring";
        faults.invalid(&format!("{path}.shape"), format!("[{}]", shown.join(",")), detail, "remove it");
    }
}

fn dynamic_resources(args: &ResourcesArgs, path: &str, faults: &mut Faults<'_>) {
    if let Some(timeout) = args.filter_timeout.filter(|timeout| timeout.0 < SimDuration::ZERO) {
        let shown = format!("\"{}\"", timeout.0);
        faults.invalid(
            &format!("{path}.filterTimeout"),
            shown,
            "must be zero or positive",
            "write a length such as 10s",
        );
    }
    if let Some(timeout) = args.binding_timeout.filter(|timeout| timeout.0 < SimDuration::from_secs(1)) {
        let shown = format!("\"{}\"", timeout.0);
        faults.invalid(&format!("{path}.bindingTimeout"), shown, "must be at least 1 second", "write 1s or more");
    }
}

/// A label's name, as `ValidateLabelName` has it.
pub(super) fn label_name(path: &str, name: &str, faults: &mut Faults<'_>) {
    for fault in names::qualified_name(name) {
        faults.invalid(path, format!("{name:?}"), &fault, "");
    }
}
