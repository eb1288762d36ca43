//! From the text of a scenario to a [`Scenario`] in which everything refers to something that exists.
//!
//! Reading goes: YAML, `--set`, types, manifests, cross-references. Files come through [`SourceFiles`]: nothing here
//! opens one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Scenario;
use super::amount::Amount;
use super::arrivals::Arrivals;
use super::check;
use super::check_disks;
use super::check_kubectl;
use super::check_traffic;
use super::cluster::Cluster;
use super::custom;
use super::expect::Expectation;
use super::faults::{self, When, trace::Trace};
use super::loads::MetricOf;
use super::manifests::{ManifestDocument, Manifests};
use super::scheduler::{SchedulerConfig, WrittenConfig};
use super::set::set;
use super::static_pods;
use super::timeline::Action;
use super::traffic::Serving;
use crate::error::{Error, Problem, Result};
use crate::wire::decode;
use crate::wire::places::Places;
use crate::wire::typed::{self, FieldProblem};
use crate::wire::yaml::{self, DuplicateKeys};
use crate::wire::{strict, yaml::Document};

/// The files beside a scenario. Paths are relative to it.
pub trait SourceFiles {
    /// The text of a file.
    ///
    /// # Errors
    /// The system's reason, such as `No such file or directory`.
    fn read(&self, path: &str) -> std::result::Result<String, String>;

    /// The paths that match a pattern in which `*` stands for any text within a name, sorted.
    fn glob(&self, pattern: &str) -> Vec<String>;

    /// The name under which messages show a file.
    fn display(&self, path: &str) -> String {
        path.to_string()
    }
}

/// Reads a scenario. `file` is its name for messages; `assignments` are `path=value` from the command line.
///
/// # Errors
/// [`Error::Input`] with everything that is wrong, as far as it can be found at once.
pub fn load(file: &str, text: &str, assignments: &[String], files: &dyn SourceFiles) -> Result<Scenario> {
    let Document { value, places } = assigned(file, text, assignments)?;
    let read = typed::read::<Scenario>(&value);
    let mut scenario = read.map_err(|problems| {
        Error::Input(problems.into_iter().map(|problem| placed(&value, &places, problem)).collect())
    })?;
    let mut problems = check::before_manifests(&scenario, &places);
    problems.extend(check_kubectl::problems(&scenario, &places));
    problems.extend(super::autoscaler::problems(&scenario.cluster, &places));
    let cluster = &scenario.cluster;
    problems.extend(super::karpenter::problems(&cluster.karpenter, &cluster.pools, &places));
    let external = scenario.load.iter().flat_map(|load| &load.metrics).filter(|one| one.of == MetricOf::External);
    let external: Vec<&str> = external.map(|metric| metric.name.as_str()).collect();
    let scaled = scenario.scaled_objects.iter().enumerate();
    problems.extend(scaled.flat_map(|(i, one)| one.problems(&format!("scaledObjects[{i}]"), &places, &external)));
    let loads = scenario.load.iter().enumerate();
    problems.extend(loads.flat_map(|(index, load)| load.problems(&format!("load[{index}]"), &places)));
    problems.extend(check_traffic::problems(&scenario, &places));
    problems.extend(faults::problems(&scenario, &places));
    let mut warnings = Vec::new();
    let mut resolver = Resolver { files, problems: &mut problems, warnings: &mut warnings };
    resolver.resolve(&mut scenario.manifests, "manifests", &places, &value, strict::check);
    for (index, entry) in scenario.timeline.iter_mut().enumerate() {
        let (manifests, key, check): (_, _, Check) = match &mut entry.action {
            // What the server applies may be a part of an object: it looks at the whole when it has merged it.
            Action::Apply(apply) if apply.server_side => (&mut apply.manifests, "apply", strict::check_part),
            Action::Apply(apply) => (&mut apply.manifests, "apply", strict::check),
            Action::Replace(manifests) => (manifests, "replace", strict::check),
            _ => continue,
        };
        resolver.resolve(manifests, &format!("timeline[{index}].{key}"), &places, &value, check);
    }
    for (path, kubelet) in scenario.cluster.kubelets_mut() {
        let path = format!("{path}.staticPods");
        resolver.resolve(&mut kubelet.static_pods, &path, &places, &value, strict::check);
        resolver.problems.extend(static_pods::problems(&kubelet.static_pods.objects));
    }
    for (index, rule) in scenario.faults.iter_mut().enumerate() {
        if let When::Trace(trace) = &mut rule.when {
            resolver.trace(trace, &format!("faults[{index}].trace"), &places, &scenario.cluster);
        }
    }
    for (path, config) in scenario.scheduler.configs_mut() {
        resolver.configuration(config, &path, &places);
    }
    for (index, load) in scenario.load.iter_mut().enumerate() {
        for (at, amount) in load.amounts_mut() {
            resolver.amount(amount, &format!("load[{index}].{at}"), &places);
        }
    }
    problems.extend(custom::bind(&mut scenario, &places));
    problems.extend(check_disks::problems(&scenario, &places));
    replays(&mut scenario, files, &places, &mut problems);
    names(&mut scenario);
    scenario.warnings = warnings;
    // Objects that could not be read would only make every reference to them look wrong, too.
    if problems.is_empty() {
        problems = check::references(&scenario, &places);
    }
    scenario.warnings.extend(check::unserved(&scenario));
    if problems.is_empty() { Ok(scenario) } else { Err(Error::Input(problems)) }
}

/// The scenario as it is written, with what the command line changes in it.
///
/// # Errors
/// Text that is no YAML; assignments that lead nowhere.
pub fn value(file: &str, text: &str, assignments: &[String]) -> Result<Value> {
    assigned(file, text, assignments).map(|document| document.value)
}

fn assigned(file: &str, text: &str, assignments: &[String]) -> Result<Document> {
    let Document { mut value, mut places } = only_document(file, text)?;
    for assignment in assignments {
        set(&mut value, &mut places, assignment).map_err(|problem| Error::Input(vec![*problem]))?;
    }
    Ok(Document { value, places })
}

/// What names of services stand for: those behind Ingresses, and those that are aliases.
fn names(scenario: &mut Scenario) {
    let (mut behind, mut others, mut aliases, mut serving) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for document in scenario.documents() {
        let (kind, namespace, name) = check::identity(document, &scenario.kinds);
        match kind.as_str() {
            "Ingress" => {
                let rules = decode::ingress_rules(&document.value);
                let named = rules.iter().flat_map(|rules| rules.services());
                behind.extend(named.map(|service| (namespace.clone(), service.to_string())));
            }
            "Service" => {
                let external = document.value.pointer("/spec/externalName").and_then(Value::as_str).unwrap_or_default();
                let mut labels = external.trim_end_matches('.').split('.');
                if let (Some(other), Some(elsewhere), Some("svc")) = (labels.next(), labels.next(), labels.next()) {
                    aliases.push(((namespace.clone(), name.clone()), (elsewhere.to_string(), other.to_string())));
                }
                serving.push((name.clone(), pods_behind(&namespace, &document.value["spec"])));
                others.push((namespace, name));
            }
            _ => {}
        }
    }
    // Ingresses may be changed to name others of their namespace.
    others.retain(|(namespace, _)| behind.iter().any(|(of, _)| of == namespace));
    let mut seen = BTreeSet::new();
    let behind = behind.into_iter().chain(others).filter(|key| seen.insert(key.clone())).collect();
    if let Some(traffic) = &mut scenario.traffic {
        (traffic.behind_ingresses, traffic.aliases) = (behind, aliases);
        serving.retain(|(name, one)| traffic.asks(&one.namespace, name));
        traffic.serving = serving.into_iter().map(|(_, one)| one).collect();
    }
}

/// Which pods a service of that specification asks.
fn pods_behind(namespace: &str, spec: &Value) -> Serving {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let selector = spec["selector"].as_object().into_iter().flatten();
    let ports = spec["ports"].as_array().into_iter().flatten();
    let at_pod = |port: &Value| text(port.get("targetPort").unwrap_or(&port["port"]));
    Serving {
        namespace: namespace.to_string(),
        selector: selector.map(|(key, value)| (key.clone(), text(value))).collect(),
        ports: ports.map(at_pod).collect(),
    }
}

/// Reads the recordings of clients.
fn replays(scenario: &mut Scenario, files: &dyn SourceFiles, places: &Places, problems: &mut Vec<Problem>) {
    let clients = scenario.traffic.iter_mut().flat_map(|traffic| &mut traffic.clients);
    for (index, client) in clients.enumerate() {
        let (kind, file, read) = match &mut client.arrivals {
            Some(Arrivals::Replay(replay)) => {
                let file = replay.file.clone();
                ("replay", file.clone(), files.read(&file).and_then(|text| replay.read(&text)))
            }
            Some(Arrivals::Trace(trace)) => {
                let file = trace.file.clone();
                ("trace", file.clone(), files.read(&file).and_then(|text| trace.read(&text)))
            }
            _ => continue,
        };
        let path = format!("traffic.clients[{index}].arrivals.{kind}.file");
        if let Err(why) = read {
            let help =
                "a CSV file with a header and a row for each interval (replay) or request (trace); see docs/traffic.md";
            problems.push(places.problem(&path, format!("cannot replay {file:?}: {why}"), help));
        }
    }
}

fn only_document(file: &str, text: &str) -> Result<Document> {
    let read = yaml::read(file, text, DuplicateKeys::Refuse).map_err(|problem| Error::Input(vec![*problem]))?;
    let help = "start from scenarios/hello.yaml, or see `sim schema`";
    let mut documents = read.documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) if document.value.is_object() => Ok(document),
        (Some(_), Some(second)) => {
            let help = "put the rest into a file of its own";
            Err(Error::Input(vec![second.places.problem("", "a scenario is one document, found a second", help)]))
        }
        (Some(document), None) => {
            Err(Error::Input(vec![document.places.problem("", "a scenario is a map of fields", help)]))
        }
        (None, _) => Err(Error::Input(vec![Places::new(file, text).problem("", "the scenario is empty", help)])),
    }
}

/// A field's problem with its place. A fault inside an expectation is placed at the word that is wrong.
fn placed(value: &Value, places: &Places, problem: FieldProblem) -> Problem {
    let mut problem = problem.placed(places, "see `sim schema` for what may stand here");
    if let Some(place) = &mut problem.place
        && problem.path.starts_with("expect[")
        && let Some(text) = lookup(value, &problem.path).and_then(Value::as_str)
        && let Err(fault) = Expectation::parse(text)
    {
        let quoted = place.source_line.chars().nth(place.column - 1).is_some_and(|c| c == '"' || c == '\'');
        let before = fault.offset + usize::from(quoted);
        let room = place.source_line.chars().count() + 1;
        if place.column + before <= room {
            place.column += before;
            place.width = fault.width.clamp(1, (room - place.column).max(1));
        }
    }
    problem
}

/// The value at a path.
fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    crate::wire::places::steps(path).into_iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        Value::Object(entries) => entries.get(step),
        _ => None,
    })
}

/// Reads the manifests that a scenario names.
struct Resolver<'a> {
    files: &'a dyn SourceFiles,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<Problem>,
}

impl Resolver<'_> {
    /// Reads the files and inline objects of `manifests`, which stands at `path` of the scenario.
    fn resolve(&mut self, manifests: &mut Manifests, path: &str, places: &Places, scenario: &Value, check: Check) {
        let list = if lookup(scenario, path).is_some_and(Value::is_array) {
            path.to_string()
        } else {
            format!("{path}.files")
        };
        let mut seen = BTreeSet::new();
        for (index, pattern) in manifests.files.iter().enumerate() {
            let at = format!("{list}[{index}]");
            let found = if pattern.contains('*') { self.files.glob(pattern) } else { vec![pattern.clone()] };
            if found.is_empty() {
                let help = "patterns are relative to the scenario file; `*` does not cross folders";
                self.problems.push(places.problem(&at, format!("no file matches {pattern:?}"), help));
            }
            for file in found {
                // A file that two patterns match is applied once.
                if seen.insert(file.clone()) {
                    self.read(&file, &at, places, &mut manifests.objects, check);
                }
            }
        }
        for (index, value) in manifests.inline.iter().enumerate() {
            let places = places.below(&format!("{path}.inline[{index}]"));
            self.take(Document { value: value.clone(), places }, &mut manifests.objects, check);
        }
    }

    fn read(&mut self, file: &str, at: &str, places: &Places, objects: &mut Vec<ManifestDocument>, check: Check) {
        let text = match self.files.read(file) {
            Ok(text) => text,
            Err(why) => {
                let help = "paths are relative to the scenario file";
                self.problems.push(places.problem(at, format!("cannot read {file:?}: {why}"), help));
                return;
            }
        };
        match read_checked(&self.files.display(file), &text, check) {
            Ok((documents, warnings)) => {
                self.warnings.extend(warnings);
                objects.extend(documents);
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// Reads a trace of failures, which the scenario names at `path`.
    fn trace(&mut self, trace: &mut Trace, path: &str, places: &Places, cluster: &Cluster) {
        let file = trace.options.file.clone();
        match self.files.read(&file) {
            Err(why) => {
                let help = "paths are relative to the scenario file; unpack compressed traces";
                self.problems.push(places.problem(path, format!("cannot read {file:?}: {why}"), help));
            }
            Ok(text) => {
                if let Err(why) = trace.read(&text) {
                    let help = "docs/faults.md tells the forms of traces";
                    self.problems.push(places.problem(path, format!("{file}: {why}"), help));
                }
                let display = self.files.display(&file);
                self.problems.extend(trace.strangers(&display, &text, cluster));
            }
        }
    }

    /// Reads the configuration of a scheduler, which stands at `path` of the scenario or in a file of its own.
    fn configuration(&mut self, config: &mut SchedulerConfig, path: &str, places: &Places) {
        let document = match &config.written {
            WrittenConfig::Inline(value) => Document { value: value.clone(), places: places.below(path) },
            WrittenConfig::File(file) => match self.only_file(file, path, places) {
                Ok(document) => document,
                Err(problem) => return self.problems.push(*problem),
            },
        };
        let Document { value, places } = document;
        config.document = Some(ManifestDocument { file: places.file.to_string(), places, value });
    }

    /// Reads the rows of an amount that comes from a file.
    fn amount(&mut self, amount: &mut Amount, path: &str, places: &Places) {
        let Some(csv) = amount.csv_mut() else { return };
        let path = format!("{path}.csv.file");
        let read = self.files.read(&csv.file).map_err(|why| (why, "paths are relative to the scenario file"));
        let form = "a row is a time in seconds and a number, such as 60,12.5";
        if let Err((why, help)) = read.and_then(|text| csv.read(&text).map_err(|why| (why, form))) {
            self.problems.push(places.problem(&path, format!("cannot read {:?}: {why}", csv.file), help));
        }
    }

    /// The only document of a file that the scenario names at `path`.
    fn only_file(&self, file: &str, path: &str, places: &Places) -> std::result::Result<Document, Box<Problem>> {
        let help = "paths are relative to the scenario file";
        let unreadable = |why| Box::new(places.problem(path, format!("cannot read {file:?}: {why}"), help));
        let text = self.files.read(file).map_err(unreadable)?;
        let display = self.files.display(file);
        let mut documents = yaml::read(&display, &text, DuplicateKeys::Refuse)?.documents;
        match (documents.pop(), documents.len()) {
            (Some(document), 0) => Ok(document),
            (Some(second), _) => {
                let message = "a configuration is one document, found a second";
                Err(Box::new(second.places.problem("", message, "put it into a file of its own")))
            }
            (None, _) => {
                let help = "see docs/scheduler-configuration.md for an example";
                Err(Box::new(Places::new(&display, &text).problem("", "the configuration is empty", help)))
            }
        }
    }

    fn take(&mut self, document: Document, objects: &mut Vec<ManifestDocument>, check: Check) {
        match accept(document, check) {
            Ok(documents) => objects.extend(documents),
            Err(problems) => self.problems.extend(problems),
        }
    }
}

/// What finds everything that is wrong with a document.
type Check = fn(&Value, &Places) -> Vec<Problem>;

/// The objects of a file and the warnings about it, or everything that is wrong in it.
pub type Checked = std::result::Result<(Vec<ManifestDocument>, Vec<Problem>), Vec<Problem>>;

/// Reads a file of Kubernetes manifests: any number of documents, lists flattened, each strictly checked.
///
/// # Errors
/// Everything that is wrong in it.
pub fn read_manifests(file: &str, text: &str) -> Checked {
    read_checked(file, text, strict::check)
}

fn read_checked(file: &str, text: &str, check: Check) -> Checked {
    let read = yaml::read(file, text, DuplicateKeys::LastWins).map_err(|problem| vec![*problem])?;
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for document in read.documents {
        match accept(document, check) {
            Ok(documents) => objects.extend(documents),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok((objects, read.warnings)) } else { Err(problems) }
}

/// One document as the objects it holds.
fn accept(document: Document, check: Check) -> std::result::Result<Vec<ManifestDocument>, Vec<Problem>> {
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for Document { value, places } in strict::flatten(document) {
        // What may be of a kind that a definition brings is checked when all definitions are read.
        if !strict::is_custom(&value) {
            problems.extend(check(&value, &places));
        }
        objects.push(ManifestDocument { file: places.file.to_string(), places, value });
    }
    if problems.is_empty() { Ok(objects) } else { Err(problems) }
}
