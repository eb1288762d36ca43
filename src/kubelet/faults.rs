//! What faults do to containers and to their images, as the incidents in the log tell.

use super::pod_worker::{Env, PodWorker};
use super::{Kubelet, Order};
use crate::model::core::Incident;
use crate::model::curve::Curve;
use crate::model::{Effect, Labels, Name, Pod, Selector};
use crate::runtime::Wake;
use crate::time::{SimDuration, SimTime};
use std::sync::Arc;

/// Containers that start while it lasts take longer.
#[derive(Clone, Debug)]
pub struct SlowStart {
    incident: Name,
    selector: Option<Selector>,
    namespace: Option<Name>,
    extra: SimDuration,
}

/// Memory that a container loses, as long as the fault lasts.
#[derive(Clone, Debug)]
pub struct Leak {
    /// The incident.
    pub incident: Name,
    /// Which container; all of them if absent.
    pub container: Option<Name>,
    /// So many bytes
    pub by: i64,
    /// in this time,
    pub each: SimDuration,
    /// up to this.
    pub most: i64,
}

impl SlowStart {
    fn concerns(&self, pod: &Pod) -> bool {
        let labels: &Labels = &pod.meta.labels;
        self.namespace.as_ref().is_none_or(|namespace| *namespace == pod.meta.namespace)
            && self.selector.as_ref().is_none_or(|selector| selector.matches(labels))
    }
}

/// How much longer a pod's containers take to start.
pub fn extra_start(slow: &[SlowStart], pod: &Pod) -> SimDuration {
    slow.iter().filter(|slow| slow.concerns(pod)).fold(SimDuration::ZERO, |sum, slow| sum + slow.extra)
}

impl Kubelet {
    /// A fault begins, or is over.
    pub(super) fn incident(&mut self, incident: &Incident, begins: bool, wake: &mut Wake<'_>) {
        let name = &incident.meta.name;
        let at = if begins { incident.started } else { incident.ended.unwrap_or(wake.now()) };
        let order = match &incident.fault.effect {
            Effect::End { container, exit_code } if begins => {
                Order::Crash { container: container.clone(), exit_code: *exit_code }
            }
            Effect::Hang { container } => Order::Hang { container: container.clone(), begins },
            Effect::Leak { container, by, each, most } if begins => Order::Leak(Leak {
                incident: name.clone(),
                container: container.clone(),
                by: *by,
                each: *each,
                most: *most,
            }),
            Effect::Leak { .. } => Order::LeakOver(name.clone()),
            Effect::SlowStart { selector, namespace, extra } => {
                self.slow_starts.retain(|slow| slow.incident != *name);
                if begins {
                    let (selector, namespace) = (selector.clone(), namespace.clone());
                    self.slow_starts.push(SlowStart { incident: name.clone(), selector, namespace, extra: *extra });
                }
                return;
            }
            Effect::BadImage { pattern } if begins => return self.registry.lose(name, pattern),
            Effect::Registry(fault) if begins => return self.registry.fault(name, *fault),
            Effect::BadImage { .. } | Effect::Registry(_) => return self.registry.fault_over(name),
            _ => return,
        };
        for pod in incident.fault.pods.iter().filter(|pod| self.workers.contains_key(pod)) {
            self.orders.entry(pod.clone()).or_default().push((at, order.clone()));
            wake.add(pod.clone());
        }
    }
}

impl PodWorker {
    /// Containers answer nothing any more, or do again. One that ends meanwhile and starts anew is well.
    pub fn hang(&mut self, env: &Env<'_>, container: Option<&Name>, begins: bool, at: SimTime) {
        for index in 0..self.instances.len() {
            let wish = env.container(index);
            let instance = &mut self.instances[index];
            if container.is_some_and(|name| *name != wish.name) || !instance.running() {
                continue;
            }
            let run = &mut instance.run;
            match begins {
                true => {
                    run.hung_since = if run.hung == 0 { at } else { run.hung_since };
                    run.hung += 1;
                }
                false if run.hung > 0 => {
                    run.hung -= 1;
                    if run.hung == 0 {
                        let lost = at - run.hung_since;
                        run.ends = run.ends.map(|end| end + lost);
                    }
                }
                false => continue,
            }
            instance.plan_end(env.node, env.settings);
            instance.unsettle(wish, at);
        }
    }

    /// Containers begin to leak.
    pub fn leak(&mut self, env: &Env<'_>, leak: &Leak, at: SimTime) {
        self.leaks.push(leak.clone());
        for index in 0..self.instances.len() {
            self.leak_into(env, index, std::slice::from_ref(leak), at);
        }
    }

    /// The leaks that a container has from its start at `at` on.
    pub(super) fn leak_anew(&mut self, env: &Env<'_>, index: usize, at: SimTime) {
        let leaks = self.leaks.clone();
        self.leak_into(env, index, &leaks, at);
    }

    fn leak_into(&mut self, env: &Env<'_>, index: usize, leaks: &[Leak], at: SimTime) {
        let name = &env.container(index).name;
        for leak in leaks.iter().filter(|leak| leak.container.as_ref().is_none_or(|wanted| wanted == name)) {
            self.use_memory(env, index, at, |curve, age| curve.grow(age, leak.by, leak.each, leak.most));
        }
    }

    /// Containers leak no more; what is lost stays lost.
    pub fn leak_over(&mut self, env: &Env<'_>, incident: &Name, at: SimTime) {
        let Some(place) = self.leaks.iter().position(|leak| leak.incident == *incident) else { return };
        let over = self.leaks.remove(place);
        for index in 0..self.instances.len() {
            if over.container.as_ref().is_none_or(|wanted| *wanted == env.container(index).name) {
                self.use_memory(env, index, at, |curve, age| curve.grow(age, 0, SimDuration(1), 0));
            }
        }
    }

    /// A running container uses memory in another way from `at` on.
    fn use_memory(&mut self, env: &Env<'_>, index: usize, at: SimTime, change: impl Fn(&mut Curve, SimDuration)) {
        let limit = self.granted(env.pod, index).limits.memory;
        let instance = &mut self.instances[index];
        let super::instance::State::Running { started } = instance.state else { return };
        let used = instance.behavior.as_ref().map_or(0, |behavior| behavior.usage.memory);
        let mut curve = instance.run.memory.as_ref().map_or_else(|| Curve::constant(used), |curve| Curve::clone(curve));
        change(&mut curve, at - started);
        instance.run.memory = Some(Arc::new(curve));
        instance.run.out_of_memory = instance.run.over_limit(used, limit, started, at);
        instance.remeter = true;
        instance.plan_end(env.node, env.settings);
    }
}
