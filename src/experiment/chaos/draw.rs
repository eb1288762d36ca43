//! Random schedules: which faults, whom they hit, when, and how long.
//!
//! Every schedule draws its own subset of the kinds (a kind that is always there hides what happens without it), then
//! faults of those kinds at whole seconds of the search's window. The window ends early enough for the cluster to
//! recover before the end of the run.

use crate::error::{Error, Result};
use crate::model::Kind;
use crate::rng::Stream;
use crate::scenario::{FaultAction, Scenario, faults};
use crate::time::{SimDuration, SimTime};
use crate::wire::places::Places;
use crate::wire::typed::suggestion;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::{Coverage, Tried, read};

/// How long a fault may last.
const LENGTHS: [i64; 8] = [5, 20, 60, 120, 300, 420, 600, 900];
/// At least this much of a run is left after the last fault has begun, if the run is long enough.
const REST: SimDuration = SimDuration::from_secs(20 * 60);

/// One fault of a schedule, or one operation of people: what is added to the timeline.
#[derive(Clone, PartialEq, Debug)]
pub struct Deed {
    /// Its key in a scenario: `nodeCrash`.
    pub kind: String,
    /// Whom it hits, for coverage: `node worker-1`.
    pub target: String,
    /// The entries of the timeline.
    pub entries: Vec<Value>,
    /// When it is over.
    pub until: SimTime,
}

impl Deed {
    /// The same, a little plainer: at a whole minute, without what need not be said. Never the same.
    pub(super) fn plainer(&self) -> Vec<Deed> {
        let mut found = Vec::new();
        let time = |entry: &Value| entry["at"].as_str().and_then(|text| SimDuration::parse(text).ok());
        if let Some(at) = self.entries.first().and_then(time)
            && at.0 % 60_000_000_000 != 0
        {
            let earlier = SimDuration(at.0 % 60_000_000_000);
            let mut deed = self.clone();
            for entry in &mut deed.entries {
                if let Some(at) = time(entry) {
                    entry["at"] = json!((at - earlier).to_string());
                }
            }
            found.push(deed);
        }
        for (at, entry) in self.entries.iter().enumerate() {
            if entry[&self.kind]["reboot"] == true {
                let mut deed = self.clone();
                if let Some(fault) = deed.entries[at][&self.kind].as_object_mut() {
                    fault.remove("reboot");
                }
                found.push(deed);
            }
        }
        found
    }
}

/// Of what kind a target is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Node,
    Pool,
    Zone,
    Domain,
    Pods,
    Service,
    Cluster,
    Drain,
    Restart,
}

/// What can be drawn for a scenario.
pub struct Menu {
    kinds: Vec<(String, Vec<Target>)>,
    nodes: Vec<(String, Option<String>, Option<String>)>,
    pools: Vec<String>,
    zones: Vec<String>,
    domains: Vec<String>,
    /// Labels and namespace of each workload's pods, and its name if it can be restarted.
    pods: Vec<(String, String, Option<String>)>,
    /// Services, with their namespaces.
    services: Vec<(String, String)>,
    from: SimTime,
    to: SimTime,
}

impl Menu {
    /// What a scenario offers, of these kinds; of all if there are none.
    ///
    /// # Errors
    /// A kind that there is not, or that this scenario has no target for.
    pub fn of(scenario: &Scenario, kinds: &[String]) -> Result<Menu> {
        let setups = scenario.cluster.setups();
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, value) in setups.iter().flat_map(|setup| &setup.labels) {
            labels.entry(key.clone()).or_default().insert(value.clone());
        }
        let first = SimTime::ZERO + SimDuration((scenario.duration.0.0 / 10).min(120_000_000_000));
        let last = (scenario.end() - REST).0.max(scenario.end().0 / 2);
        let mut menu = Menu {
            kinds: Vec::new(),
            nodes: setups.iter().map(|s| (s.name.clone(), s.pool.clone(), s.zone.clone())).collect(),
            pools: scenario.cluster.pools.iter().map(|pool| pool.name.clone()).collect(),
            zones: scenario.cluster.zones().into_iter().map(str::to_string).collect(),
            domains: labels.into_iter().filter(|(_, values)| values.len() > 1).map(|(key, _)| key).collect(),
            pods: workloads(scenario),
            services: scenario.manifests.objects.iter().filter_map(service).collect(),
            from: first,
            to: SimTime(last).max(first + SimDuration::from_secs(1)),
        };
        menu.kinds = menu.offers(scenario);
        let known: Vec<&str> = menu.kinds.iter().map(|(kind, _)| kind.as_str()).collect();
        for kind in kinds {
            if !known.contains(&kind.as_str()) {
                let help = suggestion(kind, &known, "those it can draw here are");
                return Err(Error::input(format!("--faults {kind}: not a fault that can be drawn; {help}")));
            }
        }
        menu.kinds.retain(|(kind, _)| kinds.is_empty() || kinds.contains(kind));
        Ok(menu)
    }

    /// Every kind with the targets that it takes: those with which it passes the checks of a scenario.
    fn offers(&self, scenario: &Scenario) -> Vec<(String, Vec<Target>)> {
        let bare = Scenario { timeline: Vec::new(), faults: Vec::new(), ..scenario.clone() };
        let takes = |kind: &str, target: &Target| {
            let Some((_, body)) = self.target(*target, 0) else { return false };
            let Ok(entry) = read(&json!({"at": "0s", kind: body})) else { return false };
            let probe = Scenario { timeline: vec![entry], ..bare.clone() };
            faults::problems(&probe, &Places::new("", "")).is_empty()
        };
        // The plainest first: one that is taken with nothing said hits what it likes.
        let ways =
            [Target::Node, Target::Zone, Target::Pool, Target::Domain, Target::Pods, Target::Service, Target::Cluster];
        let mut kinds: Vec<(String, Vec<Target>)> = FaultAction::keys()
            .into_iter()
            .map(|key| {
                let targets: Vec<Target> = ways.into_iter().filter(|target| takes(&key, target)).collect();
                (key, targets)
            })
            .collect();
        kinds.push(("drain".to_string(), vec![Target::Drain]));
        if self.pods.iter().any(|(.., name)| name.is_some()) {
            kinds.push(("rolloutRestart".to_string(), vec![Target::Restart]));
        }
        kinds.retain(|(_, targets)| !targets.is_empty());
        kinds
    }

    /// The `at`-th target of a kind: its name, and the body of the fault.
    fn target(&self, target: Target, at: usize) -> Option<(String, Value)> {
        fn pick<T>(list: &[T], at: usize) -> Option<&T> {
            list.get(at.checked_rem(list.len())?)
        }
        Some(match target {
            Target::Node | Target::Drain => {
                let (name, ..) = pick(&self.nodes, at)?;
                (format!("node {name}"), json!({"node": name}))
            }
            Target::Zone => {
                let zone = pick(&self.zones, at)?;
                (format!("zone {zone}"), json!({"zone": zone}))
            }
            Target::Pool => {
                let pool = pick(&self.pools, at)?;
                (format!("pool {pool}"), json!({"pool": pool, "count": 1 + at / self.pools.len() % 3}))
            }
            Target::Domain => {
                let domain = pick(&self.domains, at)?;
                (format!("domain {domain}"), json!({"domain": domain}))
            }
            Target::Pods => {
                let (selector, namespace, _) = pick(&self.pods, at)?;
                let mut body = json!({"selector": selector, "count": 1 + at / self.pods.len() % 3});
                if namespace != "default" {
                    body["namespace"] = json!(namespace);
                }
                (format!("pods {selector}"), body)
            }
            Target::Service => {
                let (namespace, name) = pick(&self.services, at)?;
                (format!("service {name}"), json!({"service": name, "namespace": namespace}))
            }
            Target::Cluster => ("the cluster".to_string(), json!({})),
            Target::Restart => {
                let all: Vec<_> = self.pods.iter().filter(|(.., name)| name.is_some()).collect();
                let (_, namespace, name) = pick(&all, at)?;
                let name = name.clone()?;
                (name.clone(), json!({"object": name, "namespace": namespace}))
            }
        })
    }

    /// A random schedule.
    pub fn draw(&self, faults_max: usize, stream: &mut Stream) -> Vec<Deed> {
        let count = 1 + stream.below(faults_max.max(1) as u64) as usize;
        let mut kinds: Vec<&(String, Vec<Target>)> = self.kinds.iter().filter(|_| stream.below(2) == 0).collect();
        if kinds.is_empty() {
            kinds.push(&self.kinds[stream.below(self.kinds.len() as u64) as usize]);
        }
        let mut deeds: Vec<(i64, Deed)> = (0..count)
            .filter_map(|_| {
                let (kind, targets) = kinds[stream.below(kinds.len() as u64) as usize];
                self.deed(kind, targets, stream)
            })
            .collect();
        deeds.sort_by_key(|(at, _)| *at);
        deeds.into_iter().map(|(_, deed)| deed).collect()
    }

    fn deed(&self, kind: &str, targets: &[Target], stream: &mut Stream) -> Option<(i64, Deed)> {
        // Small targets more often than large ones.
        let way = (stream.below(targets.len() as u64)).min(stream.below(targets.len() as u64)) as usize;
        let (name, mut body) = self.target(targets[way], stream.below(1 << 20) as usize)?;
        let second = 1_000_000_000;
        let (from, to) = (self.from.0 / second, self.to.0 / second);
        let at = from + stream.below((to - from).max(1) as u64) as i64;
        let length = LENGTHS[stream.below(LENGTHS.len() as u64) as usize];
        let power_cut = stream.below(2) == 0;
        if kind == "nodeCrash" && power_cut {
            body["reboot"] = json!(true);
        }
        let mut entry = Map::new();
        let text = |seconds: i64| json!(SimDuration::from_secs(seconds).to_string());
        entry.insert("at".to_string(), text(at));
        let lasts = FaultAction::keys().iter().any(|key| key == kind) && {
            let probe = json!({"at": "0s", "for": "1s", kind: &body});
            read(&probe).is_ok_and(|entry| match &entry.action {
                crate::scenario::Action::Fault(fault) => {
                    let form = fault.form();
                    !form.momentary() && !form.goes_its_own_way() && form.length().is_none()
                }
                _ => false,
            })
        };
        if lasts {
            entry.insert("for".to_string(), text(length));
        }
        entry.insert(kind.to_string(), body.clone());
        let mut entries = vec![Value::Object(entry)];
        if targets[way] == Target::Drain {
            // Drained nodes are given back.
            entries.push(json!({"at": text(at + length), "uncordon": {"node": body["node"]}}));
        }
        let until = SimTime::from_secs(if lasts || entries.len() > 1 { at + length } else { at });
        Some((at, Deed { kind: kind.to_string(), target: name, entries, until }))
    }

    /// What was tried by the runs that were done; each with whether it broke something.
    pub(super) fn coverage(&self, done: &[(usize, bool)], schedule: &dyn Fn(usize) -> Vec<Deed>) -> Coverage {
        let mut coverage = Coverage::default();
        let mut targets: BTreeSet<(String, String)> = BTreeSet::new();
        let (mut pairs, mut machines, mut minutes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        coverage.kinds = self.kinds.iter().map(|(kind, _)| (kind.clone(), Tried::default())).collect();
        for (index, broke) in done {
            let deeds = schedule(*index);
            let together: BTreeSet<&String> = deeds.iter().map(|deed| &deed.kind).collect();
            for deed in &deeds {
                coverage.kinds.entry(deed.kind.clone()).or_default().times += 1;
                targets.insert((deed.kind.clone(), deed.target.clone()));
                let (what, name) = deed.target.split_once(' ').unwrap_or_default();
                machines.extend(self.nodes.iter().enumerate().filter_map(|(at, (node, pool, zone))| {
                    let hit = match what {
                        "node" => node == name,
                        "zone" => zone.as_deref() == Some(name),
                        "pool" => pool.as_deref() == Some(name),
                        _ => false,
                    };
                    hit.then_some(at)
                }));
                let at = deed.entries[0]["at"].as_str().and_then(|text| SimDuration::parse(text).ok());
                minutes.extend(at.map(|at| at.0 / 60_000_000_000));
            }
            for kind in &together {
                coverage.kinds.entry((*kind).clone()).or_default().broke += usize::from(*broke);
                pairs.extend(together.iter().filter(|other| *other > kind).map(|o| ((*kind).clone(), (*o).clone())));
            }
        }
        for (kind, _) in targets {
            coverage.kinds.entry(kind).or_default().targets += 1;
        }
        let kinds = self.kinds.len();
        let window = (self.to.0 / 60_000_000_000) - self.from.0 / 60_000_000_000 + 1;
        coverage.pairs = (pairs.len(), kinds * kinds.saturating_sub(1) / 2);
        coverage.machines = (machines.len(), self.nodes.len());
        coverage.minutes = (minutes.len(), window as usize);
        coverage
    }
}

/// Labels (as a selector), namespace and restartable name of each workload of the manifests.
fn workloads(scenario: &Scenario) -> Vec<(String, String, Option<String>)> {
    let of = |document: &crate::scenario::ManifestDocument| {
        let value = &document.value;
        let labels = value.pointer("/spec/selector/matchLabels")?.as_object()?;
        let kind = Kind::parse(value["kind"].as_str()?)?;
        let selector: Vec<String> = labels.iter().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?))).collect();
        let restarts = matches!(kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet);
        let name = value.pointer("/metadata/name")?.as_str()?;
        if !restarts && kind != Kind::ReplicaSet {
            return None;
        }
        let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default");
        let object = format!("{}/{name}", kind.as_str().to_lowercase());
        Some((selector.join(","), namespace.to_string(), restarts.then_some(object)))
    };
    scenario.manifests.objects.iter().filter_map(of).collect()
}

fn service(document: &crate::scenario::ManifestDocument) -> Option<(String, String)> {
    let value = &document.value;
    let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default");
    let name = value.pointer("/metadata/name")?.as_str()?;
    (Kind::parse(value["kind"].as_str()?)? == Kind::Service).then(|| (namespace.to_string(), name.to_string()))
}
