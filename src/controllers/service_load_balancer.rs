//! Addresses for services of type LoadBalancer: the service controller with the simulation's own cloud behind it
//! (`staging/src/k8s.io/cloud-provider/controllers/service/controller.go`).
//!
//! A worked example: a service of type LoadBalancer appears → it gets the cleanup finalizer and the event
//! `EnsuringLoadBalancer` → the cloud takes its time → the address is in its status: `EnsuredLoadBalancer`.
//!
//! There is one worker, so one load balancer is built after the other. Backend nodes are not modelled.

use crate::model::service::{Service, ServiceType};
use crate::model::{Key, Kind, Name, Object, Resource};
use crate::rng::Delay;
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, Patch, Preconditions, View, Write};
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Keeps a service until its load balancer is gone.
pub const CLEANUP: Name = crate::name!("service.kubernetes.io/load-balancer-cleanup");
const SOURCE: Name = crate::name!("service-controller");
/// Addresses for documentation (RFC 5737) are given out from here on.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// The service controller.
#[derive(Debug)]
pub struct ServiceController {
    /// How long the cloud takes to build or remove a load balancer.
    cloud: Delay,
    /// When the worker is free again.
    free: SimTime,
    next: u32,
    /// What the cloud is doing for a service, and until when.
    work: BTreeMap<Key, Work>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Work {
    builds: bool,
    done: SimTime,
}

/// Its machinery.
pub fn settings() -> ActorSettings {
    let (backoff_base, backoff_max) = (SimDuration::from_secs(5), SimDuration::from_secs(300));
    ActorSettings { workers: 1, backoff_base, backoff_max, ..ActorSettings::default() }
}

impl ServiceController {
    /// A controller whose cloud takes this long for each load balancer.
    pub fn new(cloud: Delay) -> Self {
        ServiceController { cloud, free: SimTime::ZERO, next: u32::from(FIRST_ADDRESS), work: BTreeMap::new() }
    }
}

impl Default for ServiceController {
    /// A cloud that takes some seconds.
    fn default() -> Self {
        ServiceController::new(Delay::Uniform(SimDuration::from_secs(2), SimDuration::from_secs(6)))
    }
}

impl Controller for ServiceController {
    fn name(&self) -> &'static str {
        "service-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Service]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        let concerned = |object: &Option<Object>| {
            let service = object.as_ref().and_then(Service::of);
            service.is_some_and(|service| wants(service) || service.meta.finalizers.contains(&CLEANUP))
        };
        if concerned(&change.new) || concerned(&change.old) {
            wake.add(change.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(service) = cx.view.fetch_key::<Service>(key) else {
            self.work.remove(key);
            return Requeue::Done;
        };
        let service = service.clone();
        if wants(&service) && service.ingress.is_empty() {
            return self.build(&service, cx);
        }
        if !wants(&service) && service.meta.finalizers.contains(&CLEANUP) {
            return self.remove(&service, cx);
        }
        self.work.remove(key);
        Requeue::Done
    }
}

fn wants(service: &Service) -> bool {
    service.kind == ServiceType::LoadBalancer && !service.meta.deleting()
}

impl ServiceController {
    fn build(&mut self, service: &Arc<Service>, cx: &mut Cx<'_>) -> Requeue {
        let began = self.begun(service, true);
        let done = self.work_until(service, true, cx);
        let object = Object::Service(service.clone());
        if !began {
            cx.event(&object, false, SOURCE, crate::name!("EnsuringLoadBalancer"), "Ensuring load balancer");
        }
        if !service.meta.finalizers.contains(&CLEANUP) {
            let preconditions = Preconditions::uid(service.meta.uid);
            cx.write(Write::Patch(service.key(), Patch::AddFinalizer(CLEANUP), preconditions));
        }
        if cx.now < done {
            return Requeue::After(done - cx.now);
        }
        let mut ready = Service::clone(service);
        ready.ingress = vec![Ipv4Addr::from(self.next)];
        self.next += 1;
        cx.write(Write::UpdateStatus(ready.into_object()));
        cx.event(&object, false, SOURCE, crate::name!("EnsuredLoadBalancer"), "Ensured load balancer");
        Requeue::Done
    }

    fn remove(&mut self, service: &Arc<Service>, cx: &mut Cx<'_>) -> Requeue {
        let began = self.begun(service, false);
        let done = self.work_until(service, false, cx);
        let object = Object::Service(service.clone());
        if !began {
            cx.event(&object, false, SOURCE, crate::name!("DeletingLoadBalancer"), "Deleting load balancer");
        }
        if cx.now < done {
            return Requeue::After(done - cx.now);
        }
        if !service.ingress.is_empty() && !service.meta.deleting() {
            let mut bare = Service::clone(service);
            bare.ingress = Vec::new();
            cx.write(Write::UpdateStatus(bare.into_object()));
        }
        let preconditions = Preconditions::uid(service.meta.uid);
        cx.write(Write::Patch(service.key(), Patch::RemoveFinalizer(CLEANUP), preconditions));
        cx.event(&object, false, SOURCE, crate::name!("DeletedLoadBalancer"), "Deleted load balancer");
        Requeue::Done
    }

    fn begun(&self, service: &Service, builds: bool) -> bool {
        self.work.get(&service.key()).is_some_and(|work| work.builds == builds)
    }

    /// When the cloud is done with this service; it starts as soon as it is done with those before.
    fn work_until(&mut self, service: &Service, builds: bool, cx: &Cx<'_>) -> SimTime {
        if let Some(work) = self.work.get(&service.key()).filter(|work| work.builds == builds) {
            return work.done;
        }
        let verb = if builds { "build" } else { "remove" };
        let mut stream = cx.seed.stream("load-balancer", &format!("{verb} {}", service.meta.uid));
        let done = self.free.max(cx.now) + self.cloud.sample(&mut stream);
        self.free = done;
        self.work.insert(service.key(), Work { builds, done });
        done
    }
}
