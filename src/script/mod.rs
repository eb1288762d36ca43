//! The scripted user: what people do with `kubectl`, at the instants the timeline says.
//!
//! It is an actor with a client of its own, so its requests take time and can be refused like anyone's. What the
//! command prints is kept with the incident that records the action, as far as it tells more than success.

pub mod apply;
mod custom;
pub mod drain;
pub mod operator;
pub mod steps;
pub mod template;

use crate::model::core::Incident;
use crate::model::rbac::User;
use crate::model::{Fault, Key, Kind, Name};
use crate::runtime::{Controller, Cx, Requeue, Wake};
use crate::store::incident::{begun, entry_index, entry_key};
use crate::store::{Change, Patch, Preconditions, StoreError, View, Write, Written};
use crate::time::SimTime;
use drain::{Drain, Next};
use std::collections::BTreeMap;
use std::sync::Arc;
pub use steps::Step;

/// One command to be done.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number in the timeline.
    pub index: usize,
    /// When.
    pub at: SimTime,
    /// What.
    pub step: Step,
    /// In whose name; without one everything is allowed.
    pub user: Option<Arc<User>>,
}

impl Entry {
    /// The command as people would type it.
    fn describe(&self) -> String {
        let command = self.step.describe();
        match &self.user {
            Some(user) => command.replacen("kubectl", &format!("kubectl --as={}", user.name), 1),
            None => command,
        }
    }
}

/// The user at the terminal.
pub struct Kubectl {
    /// What is done when; the manifests of the scenario come last.
    entries: Vec<Entry>,
    /// How far each command is.
    commands: BTreeMap<usize, Command>,
}

/// How far a command has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Objects for which it was refused: it goes on with the others.
    pub(crate) refused: Vec<Key>,
}

/// One command under way.
#[derive(Default)]
struct Command {
    progress: Progress,
    /// Its requests have been sent and are not to be sent again.
    sent: bool,
    /// A drain, once its node is cordoned.
    drain: Option<Drain>,
    /// Whether each pod of the drain goes its own way by now.
    spread: bool,
    /// What it has printed and is not written down yet.
    printed: Vec<(SimTime, Name)>,
}

impl Command {
    /// Whether something of it was refused for good.
    fn failed(&self) -> bool {
        !self.progress.refused.is_empty()
    }
}

impl Kubectl {
    /// A user who does these.
    pub fn new(entries: Vec<Entry>) -> Self {
        Kubectl { entries, commands: BTreeMap::new() }
    }

    fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.index == index)
    }

    /// The drain that a pod belongs to.
    fn drain_of(&mut self, pod: &Key) -> Option<(usize, &mut Drain)> {
        let drains = self.commands.iter_mut().filter_map(|(index, command)| Some((*index, command.drain.as_mut()?)));
        drains.filter(|(_, drain)| !drain.is_over()).find(|(_, drain)| drain.pods().any(|have| have == pod))
    }

    /// Goes on with a pod of a drain.
    fn proceed(&mut self, pod: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some((index, drain)) = self.drain_of(pod) else { return Requeue::Done };
        let next = drain.proceed(cx.live(), pod, cx.now);
        write_down(&entry_key(index), drain.take_printed(), drain.is_over(), cx);
        match next {
            Next::Ask(write) => {
                cx.background(vec![write]);
                if let Some(user) = self.entry(index).and_then(|entry| entry.user.as_ref()) {
                    cx.sign(user);
                }
            }
            Next::Look(delay) => return Requeue::After(delay),
            Next::Nothing => {}
        }
        Requeue::Done
    }
}

/// Adds what was printed to the record of the action.
fn write_down(key: &Key, printed: Vec<(SimTime, Name)>, over: bool, cx: &mut Cx<'_>) {
    if !printed.is_empty() {
        let ended = over.then_some(cx.now);
        cx.write(Write::Patch(key.clone(), Patch::Printed { lines: printed, ended }, Preconditions::default()));
    }
}

impl Controller for Kubectl {
    fn name(&self) -> &'static str {
        "kubectl"
    }

    fn watches(&self) -> &'static [Kind] {
        &[]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        for entry in &self.entries {
            wake.add_after(entry_key(entry.index), entry.at - wake.now());
        }
    }

    fn wake(&mut self, _: &Change, _: View<'_>, _: &mut Wake<'_>) {}

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        if key.kind == Kind::Pod {
            return self.proceed(key, cx);
        }
        let index = entry_index(key);
        let Some(entry) = self.entries.iter().find(|entry| entry.index == index) else { return Requeue::Done };
        let step = &entry.step;
        if let Some(wait) = step.held_back(cx.live(), entry.at, cx.now) {
            return Requeue::After(wait);
        }
        let command = self.commands.entry(index).or_default();
        let known = cx.live().fetch_key::<Incident>(key).is_some();
        if !known {
            let fault = Fault::user_action(step.target());
            let ended = Some(cx.now).filter(|_| !step.lasts());
            cx.write(begun(key, fault, entry.describe(), cx.now, ended));
        }
        if !std::mem::replace(&mut command.sent, true) {
            let unmapped = step.unmapped(cx.live());
            for (key, line) in unmapped {
                if command.progress.refused.contains(&key) {
                    continue;
                }
                command.printed.push((cx.now, Name::from(line)));
                command.progress.refused.push(key);
            }
            let warned = step.warnings(&command.progress, cx.live());
            command.printed.extend(warned.into_iter().map(|line| (cx.now, Name::from(line))));
            let printed = step.perform(&command.progress, entry.user.as_deref(), cx);
            if let Some(user) = &entry.user {
                cx.sign(user);
            }
            command.printed.extend(printed.into_iter().map(|line| (cx.now, Name::from(line))));
        } else if let (Step::Drain { key: node, options }, None, false) = (step, &command.drain, command.failed()) {
            let mut drain = Drain::begin(cx.live(), &node.name, options.clone(), cx.now);
            command.printed.extend(drain.take_printed());
            command.drain = Some(drain);
            // Nothing to write, but the end of it is when the pods' own keys can be asked for.
            cx.background(Vec::new());
        }
        let over = command.failed() || command.drain.as_ref().is_some_and(Drain::is_over);
        write_down(key, std::mem::take(&mut command.printed), over, cx);
        Requeue::Done
    }

    fn refused(&mut self, key: &Key, about: &Key, error: &StoreError, now: SimTime) {
        if key.kind == Kind::Pod {
            return;
        }
        let command = self.commands.entry(entry_index(key)).or_default();
        // What is refused is said once and not tried again; conflicts are, with what is there by then.
        command.sent = false;
        if !matches!(error, StoreError::Conflict(..)) {
            command.progress.refused.push(about.clone());
            command.printed.push((now, Name::from(error.as_printed())));
        }
    }

    fn settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        if key.kind == Kind::Pod {
            return self.pod_settled(key, result, wake);
        }
        let index = entry_index(key);
        let drains = self.entry(index).is_some_and(|entry| entry.step.lasts());
        let Some(command) = self.commands.get_mut(&index) else { return };
        match &command.drain {
            Some(_) if std::mem::replace(&mut command.spread, true) => {}
            Some(drain) => drain.pods().for_each(|pod| wake.add(pod.clone())),
            None if drains && result.is_ok() => wake.add(key.clone()),
            None => {}
        }
        if result.is_err() || !command.printed.is_empty() {
            wake.add(key.clone());
        }
    }
}

/// Asks for a write, or for the answer to it.
fn send(cx: &mut Cx<'_>, write: Write, dry_run: bool) {
    cx.write(if dry_run { Write::DryRun(Box::new(write)) } else { write });
}

impl Kubectl {
    /// The answer to an eviction; what was merely written down is nobody's answer.
    fn pod_settled(&mut self, key: &Key, result: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        let about = match result {
            Ok(written) => written.first().map(|written| written.key.kind),
            Err(error) => error.key().map(|key| key.kind),
        };
        let now = wake.now();
        if about != Some(Kind::Incident)
            && let Some((_, drain)) = self.drain_of(key)
        {
            drain.answered(key, result.map(|_| ()), now);
            wake.add(key.clone());
        }
    }
}
