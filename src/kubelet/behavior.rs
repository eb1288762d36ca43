//! How a container behaves: what a manifest cannot state, resolved for one run of one container.

use super::config::Environment;
use super::images::Layers;
use crate::model::curve::Curve;
use crate::model::pod::Usage;
use crate::model::{Container, Name, Pod};
use crate::rng::{Seed, Stream};
use crate::scenario::Behavior;
use crate::scenario::behavior::{HookBehavior, ImagePull, Readiness};
use crate::scenario::growth::{Growth, Rate};
use crate::scenario::traffic::Serving;
use crate::scenario::units::{self, Distribution, Quantity, Unit};
use crate::time::SimDuration;
use std::sync::Arc;

/// What a kubelet keeps of a log: `containerLogMaxSize` of 10Mi, `containerLogMaxFiles` of 5.
const LOG_KEPT: i64 = 50 << 20;

/// One run of one container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainerBehavior {
    /// Before it counts as running, beside what the node takes to start any container.
    pub start_delay: SimDuration,
    /// Before its pull is through, beside what the registry takes.
    pub pull_delay: SimDuration,
    /// From its start until probes are answered well.
    pub serve_after: SimDuration,
    /// Whether it is ever ready.
    pub ready: bool,
    /// Bytes of its image, where known.
    pub image_size: Option<i64>,
    /// Its layers, where known.
    pub image_layers: Option<Layers>,
    /// Whether the registry has the image.
    pub image_exists: bool,
    /// How long it runs before it ends by itself; `None` is for ever.
    pub run_time: Option<SimDuration>,
    /// The code it ends with by itself.
    pub exit_code: i32,
    /// From SIGTERM to its end.
    pub termination_time: SimDuration,
    /// The code it ends with on SIGTERM.
    pub termination_exit_code: i32,
    /// What it uses while it runs; of memory at first.
    pub usage: Usage,
    /// How its use of memory changes, if it does.
    pub memory: Option<Arc<Curve>>,
    /// What it writes to the disk besides its log.
    pub disk: Option<Arc<Curve>>,
    /// The volume that this goes into, if it is not its own layer.
    pub disk_volume: Option<Name>,
    /// How many files it has there.
    pub files: Option<Arc<Curve>>,
    /// What is kept of its log.
    pub logs: Option<Arc<Curve>>,
    /// How many processes it runs.
    pub processes: i64,
    /// How long one probe takes at full speed.
    pub probe_time: SimDuration,
    /// Its postStart hook.
    pub post_start: HookRun,
    /// Its preStop hook, where that is no `sleep`.
    pub pre_stop: HookRun,
}

/// How a lifecycle hook goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HookRun {
    /// How long it takes.
    pub time: SimDuration,
    /// Whether it fails.
    pub fails: bool,
}

/// Tells how containers behave.
pub trait BehaviorSource {
    /// The behaviour of run number `run` (0 is the first) of a pod's container that starts with this environment.
    /// Equal questions get equal answers.
    fn resolve(
        &self,
        pod: &Pod,
        container: &Container,
        run: u32,
        environment: &Environment,
        seed: Seed,
    ) -> ContainerBehavior;
}

impl ContainerBehavior {
    /// A container that starts at once, serves, uses half of what it requests, runs on, and ends one second
    /// after SIGTERM.
    pub fn plain(container: &Container) -> Self {
        ContainerBehavior {
            start_delay: SimDuration::ZERO,
            pull_delay: SimDuration::ZERO,
            serve_after: SimDuration::ZERO,
            ready: true,
            image_size: None,
            image_layers: None,
            image_exists: true,
            run_time: None,
            exit_code: 0,
            termination_time: SimDuration::from_secs(1),
            termination_exit_code: 0,
            usage: Usage { milli_cpu: container.requests.milli_cpu / 2, memory: container.requests.memory / 2 },
            memory: None,
            disk: None,
            disk_volume: None,
            files: None,
            logs: None,
            processes: 1,
            probe_time: SimDuration::from_millis(10),
            post_start: HookRun::default(),
            pre_stop: HookRun::default(),
        }
    }
}

/// The stream of one quantity of one run: independent of all others.
fn stream(seed: Seed, purpose: &str, pod: &Pod, container: &Container, run: u32) -> Stream {
    seed.stream(purpose, &format!("{}/{}/{}#{run}", pod.meta.namespace, pod.meta.name, container.name))
}

/// The `behavior` block of a scenario.
#[derive(Clone, Debug, Default)]
pub struct ScenarioBehavior {
    /// The entries; later ones win field by field.
    pub rules: Vec<Behavior>,
    /// Pods that answer requests: what their containers use of the processor comes from these.
    pub serving: Vec<Serving>,
}

impl BehaviorSource for ScenarioBehavior {
    fn resolve(
        &self,
        pod: &Pod,
        container: &Container,
        run: u32,
        environment: &Environment,
        seed: Seed,
    ) -> ContainerBehavior {
        let mut rule = Behavior::default();
        let label = |key: &str| pod.meta.labels.get(key).map(|value| value.as_str());
        for entry in &self.rules {
            let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
            let variable = |name: &str| environment.get(name).map(|value| value.as_str());
            if entry.matching.matches(namespace, name, label, &container.name, &container.image)
                && entry.matching.matches_environment(variable)
            {
                rule.overlay(entry);
            }
        }
        let draw = |purpose: &str, time: Distribution<units::Duration>| {
            sample(&time, || stream(seed, purpose, pod, container, run)).0
        };
        let mut behavior = ContainerBehavior::plain(container);
        if let Some(time) = rule.start_time {
            let time = draw("start-time", time);
            // Without a probe nobody could tell: such a container counts as started when it can serve.
            let probed = container.readiness.is_some() || container.startup.is_some();
            match probed {
                true => behavior.serve_after = time,
                false => behavior.start_delay = time,
            }
        }
        behavior.ready = rule.ready != Some(Readiness::Never);
        behavior.image_size = rule.image_size.map(|size| size.0.whole());
        behavior.image_layers = rule
            .image_layers
            .as_ref()
            .map(|layers| layers.iter().map(|(name, size)| (Name::from(name.as_str()), size.0.whole())).collect());
        behavior.image_exists = rule.image_pull != Some(ImagePull::Fails);
        if rule.runs.is_none_or(|runs| run < runs) {
            behavior.run_time = rule.run_time.map(|time| draw("run-time", time));
        }
        behavior.exit_code = match rule.failure_probability {
            None => rule.exit_code.unwrap_or(0),
            Some(likely) if stream(seed, "exit-code", pod, container, run).unit() < likely.0 => {
                rule.exit_code.unwrap_or(1)
            }
            Some(_) => 0,
        };
        if let Some(time) = rule.termination_time {
            behavior.termination_time = draw("termination-time", time);
        }
        let amount = |purpose: &str, usage: units::Usage, request: f64| match usage {
            units::Usage::Absolute(amount) => sample(&amount, || stream(seed, purpose, pod, container, run)).0.as_f64(),
            units::Usage::OfRequest(share) => sample(&share, || stream(seed, purpose, pod, container, run)).0 * request,
        };
        let serves = |one: &Serving| one.container(pod).is_some_and(|answers| answers.name == container.name);
        if rule.cpu.is_none() && self.serving.iter().any(serves) {
            behavior.usage.milli_cpu = 0;
        }
        if let Some(usage) = rule.cpu {
            let cores = amount("cpu", usage, container.requests.milli_cpu as f64 / 1000.0);
            behavior.usage.milli_cpu = (cores * 1000.0).round() as i64;
        }
        if let Some(usage) = rule.memory {
            behavior.usage.memory = amount("memory", usage, container.requests.memory as f64).round() as i64;
        }
        if let Some(time) = rule.probe_time {
            behavior.probe_time = draw("probe-time", time);
        }
        let hook = |purpose: &str, rule: Option<HookBehavior>| {
            let time = rule.and_then(|rule| rule.time).map_or(SimDuration::ZERO, |time| draw(purpose, time));
            HookRun { time, fails: rule.is_some_and(|rule| rule.fails) }
        };
        behavior.post_start = hook("post-start", rule.post_start);
        behavior.pre_stop = hook("pre-stop", rule.pre_stop);
        use_over_time(&rule, &mut behavior);
        behavior
    }
}

/// What a container uses of memory, disk and processes while it runs.
fn use_over_time(rule: &Behavior, behavior: &mut ContainerBehavior) {
    if let Some(growth) = &rule.memory_growth {
        behavior.memory = Some(Arc::new(growth.curve(behavior.usage.memory)));
    }
    let over_time = |first: Option<Quantity>, growth: Option<&Growth>| {
        let first = first.map_or(0, |amount| amount.0.whole());
        match growth {
            Some(growth) => Some(Arc::new(growth.curve(first))),
            None => (first > 0).then(|| Arc::new(Curve::constant(first))),
        }
    };
    behavior.disk = over_time(rule.disk, rule.disk_growth.as_ref());
    behavior.files = over_time(rule.files, rule.file_growth.as_ref());
    behavior.disk_volume = rule.disk_volume.as_deref().map(Name::from);
    let log = |rate: Rate| Arc::new(Curve::ramp(0, SimDuration::ZERO, rate.amount, rate.each, LOG_KEPT));
    behavior.logs = rule.logs.map(log);
    behavior.processes = rule.processes.map_or(1, i64::from);
}

/// A draw that makes a stream only if it needs one.
fn sample<U: Unit>(distribution: &Distribution<U>, stream: impl FnOnce() -> Stream) -> U {
    match distribution {
        Distribution::Constant(value) => *value,
        other => other.sample(&mut stream()),
    }
}

/// Behaviour written on the pods themselves, as the recorded timelines have it: annotations
/// `sim/start-seconds`, `sim/run-seconds`, `sim/exit-code`, `sim/fail-indexes`, `sim/ready: never`,
/// `sim/term-seconds`; an image with `broken` in its name does not exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnnotatedBehavior;

impl BehaviorSource for AnnotatedBehavior {
    fn resolve(&self, pod: &Pod, container: &Container, run: u32, _: &Environment, seed: Seed) -> ContainerBehavior {
        let text = |key: &str| pod.meta.annotations.get(key).map(|value| value.as_str());
        let seconds = |key: &str| text(key).and_then(|text| text.parse::<f64>().ok()).map(SimDuration::from_secs_f64);
        let start = match run {
            0 => seconds("sim/start-seconds").unwrap_or_else(|| {
                let jitter = stream(seed, "start-time", pod, container, run).uniform(1.5, 2.0);
                SimDuration::from_secs_f64(jitter)
            }),
            _ => SimDuration::ZERO,
        };
        let index = text("batch.kubernetes.io/job-completion-index");
        let listed = |list: &str| index.is_some_and(|index| list.split(',').any(|one| one.trim() == index));
        let exit_code = match text("sim/fail-indexes") {
            Some(list) => i32::from(listed(list)),
            None => text("sim/exit-code").and_then(|code| code.parse().ok()).unwrap_or(0),
        };
        // What cannot be pulled fails when it would have started.
        let broken = container.image.contains("broken");
        let (start_delay, pull_delay) = if broken { (SimDuration::ZERO, start) } else { (start, SimDuration::ZERO) };
        ContainerBehavior {
            start_delay,
            pull_delay,
            ready: text("sim/ready") != Some("never"),
            image_exists: !broken,
            run_time: seconds("sim/run-seconds"),
            exit_code,
            termination_time: seconds("sim/term-seconds").unwrap_or(SimDuration::from_secs(1)),
            ..ContainerBehavior::plain(container)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder::{pod, spec};
    use crate::scenario::behavior::Match;
    use crate::scenario::units::{Duration, Factor, Usage as Amount};

    #[test]
    fn ends_differ_by_index_and_by_chance() {
        let index = |list: &str| Match { index: Some(list.parse().unwrap()), ..Match::default() };
        let fails = Behavior { matching: index("1,4-6"), exit_code: Some(3), ..Behavior::default() };
        let never = Behavior { failure_probability: Some(Factor(0.0)), ..Behavior::default() };
        let chance = Behavior { matching: index("9"), failure_probability: Some(Factor(0.25)), ..Behavior::default() };
        let source = ScenarioBehavior { rules: vec![never, fails, chance], serving: Vec::new() };
        let code = |index: &str, run: u32| {
            let pod = pod("batch-x", spec("app", 0, 0)).label("batch.kubernetes.io/job-completion-index", index);
            source.resolve(&pod, &pod.spec.containers[0], run, &Environment::default(), Seed(1)).exit_code
        };
        // The first rule's probability of 0 holds for all but index 9, whatever the code would be.
        assert_eq!(["0", "1", "5"].map(|index| code(index, 0)), [0, 0, 0]);
        // A quarter of 400 runs, within four standard deviations (8.7 each).
        let failed = (0..400).filter(|run| code("9", *run) == 1).count();
        assert!((65..=135).contains(&failed), "{failed}");
    }

    #[test]
    fn later_rules_win_and_streams_are_apart() {
        let all = Behavior {
            start_time: Some(Distribution::Uniform(Duration::secs(1), Duration::secs(2))),
            run_time: Some(Distribution::Constant(Duration::secs(9))),
            runs: Some(1),
            exit_code: Some(3),
            ..Behavior::default()
        };
        let web = Behavior {
            matching: Match { pod: Some("web-*".into()), ..Match::default() },
            ready: Some(Readiness::Never),
            cpu: Some(Amount::OfRequest(Distribution::Constant(Factor(0.2)))),
            ..Behavior::default()
        };
        let source = ScenarioBehavior { rules: vec![all, web], serving: Vec::new() };
        let resolve = |name: &str, run: u32| {
            let pod = pod(name, spec("app", 500, 1 << 20));
            source.resolve(&pod, &pod.spec.containers[0], run, &Environment::new(), Seed(1))
        };
        let (web, db) = (resolve("web-1", 0), resolve("db-1", 0));
        assert_eq!((web.ready, db.ready), (false, true));
        // A fifth of 500m, and the default of half.
        assert_eq!((web.usage.milli_cpu, db.usage.milli_cpu), (100, 250));
        assert_eq!((web.exit_code, web.run_time), (3, Some(SimDuration::from_secs(9))));
        // Only the first run ends by itself.
        assert_eq!(resolve("web-1", 1).run_time, None);
        // Without a probe the start time delays the start; each pod has its own draw, always the same.
        assert!((SimDuration::from_secs(1)..SimDuration::from_secs(2)).contains(&web.start_delay));
        assert_ne!(web.start_delay, db.start_delay);
        assert_eq!(web, resolve("web-1", 0));
    }
}
