//! `kubectl drain` (`staging/src/k8s.io/kubectl/pkg/drain/`, `staging/src/k8s.io/kubectl/pkg/cmd/drain/drain.go`).
//!
//! A worked example: node `a` has `web-1` and `web-2`, and a budget that allows one disruption. The node is cordoned,
//! both evictions are asked for at once; `web-1`'s is granted, `web-2`'s refused and tried again every five seconds,
//! until a replacement of `web-1` is ready. Every granted pod is looked at once a second until it is gone; when all
//! are, the node is drained.

use crate::model::{Key, Kind, Name, Pod, Resource, Selector, Uid};
use crate::store::{DeleteOptions, Preconditions, StoreError, View, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long before a refused eviction is tried again.
const RETRY: SimDuration = SimDuration::from_secs(5);
/// How often it looks whether a pod is gone.
const POLL: SimDuration = SimDuration::from_secs(1);

const DAEMON_SET_FATAL: &str = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)";
const DAEMON_SET_WARNING: &str = "ignoring DaemonSet-managed Pods";
const LOCAL_STORAGE_FATAL: &str = "cannot delete Pods with local storage (use --delete-emptydir-data to override)";
const UNMANAGED_FATAL: &str = "cannot delete Pods that declare no controller (use --force to override)";
const UNMANAGED_WARNING: &str = "deleting Pods that declare no controller";

/// The flags.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DrainOptions {
    /// `--grace-period`.
    pub grace_seconds: Option<i64>,
    /// `--timeout`; none is no timeout.
    pub timeout: Option<SimDuration>,
    /// `--ignore-daemonsets`.
    pub ignore_daemon_sets: bool,
    /// `--force`: pods without a controller too.
    pub force: bool,
    /// `--delete-emptydir-data`.
    pub delete_empty_dir_data: bool,
    /// `--pod-selector`.
    pub pod_selector: Option<Selector>,
    /// `--disable-eviction`: delete instead, whatever the budgets say.
    pub disable_eviction: bool,
}

/// A drain under way.
#[derive(Debug)]
pub struct Drain {
    node: Name,
    options: DrainOptions,
    /// When it gives up.
    deadline: Option<SimTime>,
    /// Pods that are to go, and how far they are.
    pods: BTreeMap<Key, Leaving>,
    errors: Vec<String>,
    /// What it has printed and nobody has written down.
    printed: Vec<(SimTime, Name)>,
    over: bool,
    failed: bool,
}

#[derive(Debug)]
struct Leaving {
    uid: Uid,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// To be asked for, from this instant on.
    Due(SimTime),
    /// Asked for.
    Asked,
    /// Granted: waiting for the pod to vanish.
    Waiting,
    /// Gone, or given up.
    Done,
}

/// What is to be done about a pod.
#[derive(Debug)]
pub enum Next {
    /// This write; its answer goes to [`Drain::answered`].
    Ask(Write),
    /// Look again after this long.
    Look(SimDuration),
    /// Nothing more.
    Nothing,
}

/// What a filter makes of a pod.
enum Fate {
    Goes,
    GoesWithWarning(&'static str),
    Stays,
    StaysWithWarning(&'static str),
    Forbids(String),
}

impl Drain {
    /// Begins with a node that has just been cordoned: finds the pods that must go, or why it cannot be done.
    pub fn begin(view: View<'_>, node: &Name, options: DrainOptions, now: SimTime) -> Drain {
        let deadline = options.timeout.filter(|timeout| *timeout > SimDuration::ZERO).map(|timeout| now + timeout);
        let mut drain = Drain {
            node: node.clone(),
            options,
            deadline,
            pods: BTreeMap::new(),
            errors: Vec::new(),
            printed: Vec::new(),
            over: false,
            failed: false,
        };
        let found = drain.pods_to_go(view);
        if !found.errors.is_empty() {
            drain.errors = found.errors;
        } else {
            if !found.warnings.is_empty() {
                drain.print(now, format!("Warning: {}", found.warnings.join("; ")));
            }
            let due = Stage::Due(now);
            drain.pods = found.pods.into_iter().map(|(key, uid)| (key, Leaving { uid, stage: due })).collect();
        }
        drain.finish(view, now);
        drain
    }

    /// The pods that are to go and have not been asked for.
    pub fn pods(&self) -> impl Iterator<Item = &Key> {
        self.pods.keys()
    }

    /// Whether it is over, well or badly.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether it is over and something stayed.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// What was printed since the last call.
    pub fn take_printed(&mut self) -> Vec<(SimTime, Name)> {
        std::mem::take(&mut self.printed)
    }

    fn print(&mut self, now: SimTime, line: String) {
        self.printed.push((now, Name::from(line)));
    }

    /// Goes on with one pod.
    pub fn proceed(&mut self, view: View<'_>, key: &Key, now: SimTime) -> Next {
        let Some(leaving) = self.pods.get(key) else { return Next::Nothing };
        let (uid, stage) = (leaving.uid, leaving.stage);
        match stage {
            Stage::Due(at) if at > now => Next::Look(at - now),
            Stage::Due(_) => {
                if !self.options.disable_eviction {
                    self.print(now, format!("evicting pod {}/{}", key.namespace, key.name));
                    if self.timed_out(now) {
                        self.fail(key, format!("error when evicting {}: {}", quoted(key), self.timeout_text()));
                        self.finish(view, now);
                        return Next::Nothing;
                    }
                }
                self.set(key, Stage::Asked);
                Next::Ask(self.request(key))
            }
            Stage::Waiting => {
                if view.fetch_key::<Pod>(key).is_some_and(|pod| pod.meta.uid == uid) {
                    if !self.timed_out(now) {
                        return Next::Look(POLL);
                    }
                    let (name, namespace) = (key.name.as_str(), key.namespace.as_str());
                    let timeout = self.timeout_text();
                    let why = match self.options.disable_eviction {
                        true => timeout,
                        false => format!(
                            "error when waiting for pod {name:?} in namespace {namespace:?} to terminate: {timeout}"
                        ),
                    };
                    self.fail(key, why);
                } else {
                    let done = if self.options.disable_eviction { "deleted" } else { "evicted" };
                    self.print(now, format!("pod/{} {done}", key.name));
                    self.set(key, Stage::Done);
                }
                self.finish(view, now);
                Next::Nothing
            }
            Stage::Asked => Next::Nothing,
            Stage::Done => {
                self.finish(view, now);
                Next::Nothing
            }
        }
    }

    /// Takes the answer to what was asked for a pod; the pod must be looked at again.
    pub fn answered(&mut self, key: &Key, answer: Result<(), &StoreError>, now: SimTime) {
        let Some(Stage::Asked) = self.pods.get(key).map(|leaving| leaving.stage) else { return };
        match answer {
            Ok(()) => self.set(key, Stage::Waiting),
            // It is gone already: nothing is said about it.
            Err(StoreError::NotFound(_)) => self.set(key, Stage::Done),
            Err(error) if error.code() == 429 && !self.options.disable_eviction => {
                self.print(now, format!("error when evicting {} (will retry after 5s): {error}", quoted(key)));
                self.set(key, Stage::Due(now + RETRY));
            }
            Err(error) if self.options.disable_eviction => self.fail(key, error.to_string()),
            Err(error) => self.fail(key, format!("error when evicting {}: {error}", quoted(key))),
        }
    }

    fn set(&mut self, key: &Key, stage: Stage) {
        if let Some(leaving) = self.pods.get_mut(key) {
            leaving.stage = stage;
        }
    }

    fn fail(&mut self, key: &Key, why: String) {
        self.errors.push(why);
        self.set(key, Stage::Done);
    }

    fn request(&self, key: &Key) -> Write {
        let grace_seconds = self.options.grace_seconds;
        let options = DeleteOptions { grace_seconds, propagation: None, preconditions: Preconditions::default() };
        match self.options.disable_eviction {
            true => Write::Delete(key.clone(), options),
            false => Write::Evict { pod: key.clone(), options },
        }
    }

    fn timed_out(&self, now: SimTime) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    fn timeout_text(&self) -> String {
        format!("global timeout reached: {}", go_duration(self.options.timeout.unwrap_or_default()))
    }

    /// When nothing is left to wait for: says how it ended.
    pub fn finish(&mut self, view: View<'_>, now: SimTime) {
        if self.over || self.pods.values().any(|leaving| leaving.stage != Stage::Done) {
            return;
        }
        self.over = true;
        let node = self.node.clone();
        if self.errors.is_empty() {
            return self.print(now, format!("node/{node} drained"));
        }
        self.failed = true;
        let errors = std::mem::take(&mut self.errors);
        let why = aggregate(&errors);
        if !self.pods.is_empty() {
            let pending = self.pods_to_go(view).pods;
            if !pending.is_empty() {
                let node = node.as_str();
                self.print(now, format!("There are pending pods in node {node:?} when an error occurred: {why}"));
            }
            for (pod, _) in pending {
                self.print(now, format!("pod/{}", pod.name));
            }
        }
        self.print(
            now,
            format!("error: unable to drain node {:?} due to error: {why}, continuing command...", node.as_str()),
        );
        self.print(now, "There are pending nodes to be drained:".to_string());
        self.print(now, format!(" {node}"));
        for error in errors {
            self.print(now, error);
        }
    }

    /// Sorts the node's pods into those that go and those that stay, with what there is to say (`filters.go`).
    fn pods_to_go(&self, view: View<'_>) -> Found {
        let selected = |pod: &&Arc<Pod>| {
            self.options.pod_selector.as_ref().is_none_or(|selector| selector.matches(&pod.meta.labels))
        };
        let mut pods: Vec<&Arc<Pod>> = view.pods_on(&self.node).filter(selected).collect();
        pods.sort_by_key(|pod| pod.key());
        let mut found = Found::default();
        let mut warnings: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pod in pods {
            let named = format!("{}/{}", pod.meta.namespace, pod.meta.name);
            match self.fate(view, pod) {
                Fate::Goes => found.pods.push((pod.key(), pod.meta.uid)),
                Fate::GoesWithWarning(warning) => {
                    found.pods.push((pod.key(), pod.meta.uid));
                    warnings.entry(warning).or_default().push(named);
                }
                Fate::Stays => {}
                Fate::StaysWithWarning(warning) => warnings.entry(warning).or_default().push(named),
                Fate::Forbids(why) => errors.entry(why).or_default().push(named),
            }
        }
        found.warnings = warnings.into_iter().map(|(what, pods)| format!("{what}: {}", pods.join(", "))).collect();
        found.errors = errors.into_iter().map(|(why, pods)| format!("{why}: {}", pods.join(", "))).collect();
        found
    }

    fn fate(&self, view: View<'_>, pod: &Pod) -> Fate {
        let ended = pod.status.phase.terminal();
        let owner = pod.meta.controller();
        if let Some(owner) = owner.filter(|owner| owner.kind == Kind::DaemonSet && !ended) {
            let key = Key::new(Kind::DaemonSet, pod.meta.namespace.clone(), owner.name.clone());
            match view.get(&key) {
                // Its owner is gone: it goes like any pod.
                None if self.options.force => {}
                None => return Fate::Forbids(format!("cannot delete {}", StoreError::NotFound(key))),
                Some(_) if self.options.ignore_daemon_sets => return Fate::StaysWithWarning(DAEMON_SET_WARNING),
                Some(_) => return Fate::Forbids(DAEMON_SET_FATAL.to_string()),
            }
        }
        if pod.is_mirror() {
            return Fate::Stays;
        }
        if has_empty_dir(pod) && !ended && !self.options.delete_empty_dir_data {
            return Fate::Forbids(LOCAL_STORAGE_FATAL.to_string());
        }
        match owner {
            None if ended => Fate::Goes,
            None if self.options.force => Fate::GoesWithWarning(UNMANAGED_WARNING),
            None => Fate::Forbids(UNMANAGED_FATAL.to_string()),
            Some(_) => Fate::Goes,
        }
    }
}

#[derive(Default)]
struct Found {
    pods: Vec<(Key, Uid)>,
    warnings: Vec<String>,
    errors: Vec<String>,
}

fn has_empty_dir(pod: &Pod) -> bool {
    let volumes = pod.spec.raw.get("volumes").and_then(serde_json::Value::as_array);
    volumes.into_iter().flatten().any(|volume| volume.get("emptyDir").is_some_and(|dir| !dir.is_null()))
}

/// `pods/"web-1" -n "default"`.
fn quoted(key: &Key) -> String {
    format!("pods/{:?} -n {:?}", key.name.as_str(), key.namespace.as_str())
}

/// Several errors as one (`staging/src/k8s.io/apimachinery/pkg/util/errors/errors.go`).
fn aggregate(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// A length of time as Go prints it: `22s`, `1m30s`, `1h0m0s`.
fn go_duration(length: SimDuration) -> String {
    let nanoseconds = length.0;
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let fraction = match rest {
        0 => String::new(),
        _ => format!(".{rest:09}").trim_end_matches('0').to_string(),
    };
    let (hours, minutes, left) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{left}{fraction}s"),
        (0, _) => format!("{minutes}m{left}{fraction}s"),
        _ => format!("{hours}h{minutes}m{left}{fraction}s"),
    }
}
