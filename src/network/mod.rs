//! The network as packets meet it: services through each node's own kube-proxy, names, distances, processes that listen.
//!
//! ```text
//! change log ──▶ Network: services, slices, nodes ──▶ each node's proxy, as late as it is ──▶ a backend for a packet
//! kubelets ──▶ Listeners: who really listens there
//! ```
//!
//! It reads and remembers; it writes nothing. Proxies cost nothing until a packet asks.

pub mod balance;
pub mod endpoints;
pub mod faults;
pub mod ingress;
pub mod listeners;
pub mod policy;
pub mod proxy;

use self::balance::Balance;
use self::endpoints::{Reachable, Scope, reachable};
use self::proxy::{Proxy, ProxyTiming, Table, Verdict};
use crate::model::ingress::BackendPort;
use crate::model::pod_spec::PodSpec;
use crate::model::proxy::IpvsScheduler;
use crate::model::service::{Endpoint, EndpointSlice, SERVICE_NAME, Service};
use crate::model::{Container, Machine, Name, Node, Object, Uid};
use crate::rng::Seed;
use crate::store::Change;
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// How the network of a cluster is set up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// How a node chooses a backend.
    pub balance: Balance,
    /// How fast proxies are.
    pub proxy: ProxyTiming,
    /// How long an answer of the cluster's DNS is used, and one that there is nothing.
    pub dns_ttl: SimDuration,
    /// See there.
    pub dns_negative_ttl: SimDuration,
}

/// Versions of a service that are kept at least this long: no proxy lags more.
const KEPT: SimDuration = SimDuration::from_secs(120);

/// A node as the network sees it.
#[derive(Clone, Debug)]
pub struct NodeSeen {
    /// Its name.
    pub name: Name,
    /// Its zone; may be empty.
    pub zone: Name,
    /// Its machine runs and can be reached.
    pub up: bool,
    /// It hears and is heard by the control plane: cut off, its proxy learns nothing new.
    pub heard: bool,
    /// Since when it does not.
    pub down_since: SimTime,
    /// Its node object exists.
    pub exists: bool,
    /// How often its machine has booted.
    pub boot: u32,
    /// How fast its processors are, in thousandths.
    pub speed: i64,
    /// It is of the control plane.
    pub control_plane: bool,
    /// Thousandths of a core that pods may use.
    pub milli_cpu: i64,
}

/// Where packets may go: one for each pod that was ever an endpoint.
#[derive(Clone, Debug)]
pub struct Target {
    /// The pod; zero for an address without pod.
    pub pod_uid: Uid,
    /// The pod's name; may be empty.
    pub pod: Name,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its node, by index.
    pub node: Option<u32>,
    /// The service that it was an endpoint of first, by number.
    pub service: u32,
    /// The port that it was asked on.
    pub port: u16,
}

impl Target {
    /// The container that listens on the port, or else the first.
    pub fn container(&self, spec: Option<&PodSpec>) -> Name {
        let Some(spec) = spec else { return Name::new() };
        let listens = |container: &&Container| container.ports.iter().any(|port| port.container_port == self.port);
        let found = spec.containers.iter().find(listens).or(spec.containers.first());
        found.map(|container| container.name.clone()).unwrap_or_default()
    }
}

/// What becomes of a new connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// It goes to this target.
    To(u32),
    /// There is no endpoint: rejected at once.
    Rejected,
    /// No endpoint that the policy allows: no answer at all.
    Dropped,
}

#[derive(Debug)]
struct Version {
    since: SimTime,
    service: Option<Arc<Service>>,
    slices: Vec<Arc<EndpointSlice>>,
}

#[derive(Debug)]
struct ServiceSeen {
    /// An empty name means the first.
    port: BackendPort,
    now: Option<Arc<Service>>,
    slices: BTreeMap<Name, Arc<EndpointSlice>>,
    versions: VecDeque<Version>,
    /// The number of the oldest version that is kept.
    first: u64,
}

/// The network.
#[derive(Debug)]
pub struct Network {
    settings: Settings,
    seed: Seed,
    /// Nodes, in order of appearance.
    pub nodes: Vec<NodeSeen>,
    node_by_name: FxHashMap<Name, u32>,
    services: Vec<ServiceSeen>,
    by_name: FxHashMap<(Name, Name), u32>,
    /// Targets, in order of appearance.
    pub targets: Vec<Target>,
    by_pod: FxHashMap<(Uid, Ipv4Addr), u32>,
    proxies: Vec<Option<Box<Proxy>>>,
    changes: Vec<SimTime>,
    /// How far behind the cluster's DNS is.
    resolver_lag: SimDuration,
    /// What is wrong with it.
    pub faults: faults::NetworkFaults,
    /// The ingress controller, by its number among the nodes.
    controller: Option<u32>,
}

impl Network {
    /// A network that has seen nothing yet.
    pub fn new(settings: Settings, seed: Seed) -> Self {
        let resolver_lag = settings.proxy.watch_delay.sample(&mut seed.stream("coredns", ""));
        Network {
            resolver_lag,
            settings,
            seed,
            nodes: Vec::new(),
            node_by_name: FxHashMap::default(),
            services: Vec::new(),
            by_name: FxHashMap::default(),
            targets: Vec::new(),
            by_pod: FxHashMap::default(),
            proxies: Vec::new(),
            changes: Vec::new(),
            faults: faults::NetworkFaults::default(),
            controller: None,
        }
    }

    /// The number of a service and of one of its ports, by which it is asked for; it need not exist yet.
    pub fn service(&mut self, namespace: &Name, name: &Name, port: &Name) -> u32 {
        let next = self.services.len() as u32;
        let id = *self.by_name.entry((namespace.clone(), name.clone())).or_insert(next);
        if id == next {
            let (port, now, slices, versions) =
                (BackendPort::Name(port.clone()), None, BTreeMap::new(), VecDeque::new());
            self.services.push(ServiceSeen { port, now, slices, versions, first: 0 });
        }
        id
    }

    /// The number among the nodes of the ingress controller: it is no node, but like one it has a picture of the
    /// endpoints, as old as its watch makes it, and sends to them directly and in turn.
    pub fn ingress_controller(&mut self) -> u32 {
        let id = self.entry(&crate::name!("ingress-controller"));
        (self.nodes[id as usize].up, self.nodes[id as usize].heard) = (true, true);
        self.controller = Some(id);
        id
    }

    /// A service is asked on another port from now on.
    pub fn ask_port(&mut self, service: u32, port: BackendPort, now: SimTime) {
        if std::mem::replace(&mut self.services[service as usize].port, port.clone()) != port {
            self.version(service, now);
        }
    }

    /// The service as it is now.
    pub fn service_now(&self, service: u32) -> Option<&Arc<Service>> {
        self.services[service as usize].now.as_ref()
    }

    /// How long an answer of the cluster's DNS is used.
    pub fn dns_ttl(&self) -> SimDuration {
        self.settings.dns_ttl
    }

    /// The number of a node.
    pub fn node(&self, name: &str) -> Option<u32> {
        self.node_by_name.get(name).copied()
    }

    /// Takes in a change of the cluster. A node whose machine went down or came up is returned, with whether it was
    /// booted anew.
    pub fn change(&mut self, change: &Change) -> Option<(u32, bool)> {
        match change.object() {
            Object::Service(service) => {
                let key = (service.meta.namespace.clone(), service.meta.name.clone());
                if let Some(id) = self.by_name.get(&key).copied() {
                    self.services[id as usize].now = change.new.as_ref().map(|_| service.clone());
                    self.version(id, change.time);
                }
            }
            Object::EndpointSlice(slice) => self.slice(slice, change),
            Object::Node(node) => self.node_changed(node, change),
            Object::Incident(incident) => self.faults.change(incident),
            Object::Machine(machine) => return self.machine_changed(machine, change),
            _ => {}
        }
        None
    }

    fn slice(&mut self, slice: &Arc<EndpointSlice>, change: &Change) {
        let Some(service) = slice.meta.labels.get(&SERVICE_NAME) else { return };
        let Some(id) = self.by_name.get(&(slice.meta.namespace.clone(), service.clone())).copied() else { return };
        let seen = &mut self.services[id as usize];
        match change.new {
            Some(_) => _ = seen.slices.insert(slice.meta.name.clone(), slice.clone()),
            None => _ = seen.slices.remove(&slice.meta.name),
        }
        let port = slice.ports.first().map_or(0, |port| port.port);
        for endpoint in slice.endpoints.iter() {
            self.target(endpoint, id, port);
        }
        self.version(id, change.time);
    }

    /// The number of an endpoint's target.
    fn target(&mut self, endpoint: &Endpoint, service: u32, port: u16) -> u32 {
        let next = self.targets.len() as u32;
        let id = *self.by_pod.entry((endpoint.pod_uid, endpoint.address)).or_insert(next);
        if id == next {
            let node = endpoint.node.as_ref().and_then(|name| self.node_by_name.get(name).copied());
            let (pod_uid, pod, address) = (endpoint.pod_uid, endpoint.pod.clone(), endpoint.address);
            self.targets.push(Target { pod_uid, pod, address, node, service, port });
        }
        id
    }

    fn version(&mut self, id: u32, since: SimTime) {
        let seen = &mut self.services[id as usize];
        let version = Version { since, service: seen.now.clone(), slices: seen.slices.values().cloned().collect() };
        seen.versions.push_back(version);
        while seen.versions.len() > 2 && seen.versions[1].since + KEPT < since {
            seen.versions.pop_front();
            seen.first += 1;
        }
        if self.changes.last() != Some(&since) {
            self.changes.push(since);
        }
    }

    fn entry(&mut self, name: &Name) -> u32 {
        let next = self.nodes.len() as u32;
        let id = *self.node_by_name.entry(name.clone()).or_insert(next);
        if id == next {
            let (zone, name) = (Name::new(), name.clone());
            let node = NodeSeen {
                name,
                zone,
                up: false,
                heard: false,
                down_since: SimTime(i64::MIN),
                exists: false,
                boot: 0,
                speed: 1000,
                control_plane: false,
                milli_cpu: 0,
            };
            self.nodes.push(node);
            self.proxies.push(None);
        }
        id
    }

    fn node_changed(&mut self, node: &Arc<Node>, change: &Change) {
        let id = self.entry(&node.meta.name) as usize;
        self.nodes[id].zone = node.zone();
        self.nodes[id].exists = change.new.is_some();
        self.nodes[id].control_plane = node.is_control_plane();
        self.nodes[id].milli_cpu = node.allocatable.milli_cpu;
    }

    fn machine_changed(&mut self, machine: &Arc<Machine>, change: &Change) -> Option<(u32, bool)> {
        let id = self.entry(&machine.meta.name);
        let up = machine.serves() && change.new.is_some();
        let node = &mut self.nodes[id as usize];
        node.speed = machine.troubles.cpu_speed();
        node.heard = machine.up;
        if node.up && !up {
            node.down_since = change.time;
        }
        let before = std::mem::replace(&mut node.up, up);
        let booted = std::mem::replace(&mut node.boot, machine.boot) != machine.boot;
        (before != up || booted).then_some((id, booted))
    }

    /// The backends among which `node`'s rules for `service` choose now.
    ///
    /// # Errors
    /// What becomes of a new connection instead.
    pub fn backends(&mut self, node: u32, service: u32, scope: Scope, now: SimTime) -> Result<&[u32], Choice> {
        self.bring_up(node, service, scope, now);
        match &self.table(node, Self::slot(service, scope)).verdict {
            Verdict::Rejected => Err(Choice::Rejected),
            Verdict::Dropped => Err(Choice::Dropped),
            Verdict::To(backends) => Ok(backends),
        }
    }

    /// Whether every proxy that was asked so far knows and has done all that it will.
    pub fn settled(&self) -> bool {
        let known = self.proxies.iter().zip(&self.nodes).filter(|(_, node)| node.heard && node.up);
        known.filter_map(|(proxy, _)| proxy.as_ref()).all(|proxy| !proxy.behind(self.changes.len()))
    }

    /// Whether the address of a client says where it goes.
    pub fn hashes(&self) -> bool {
        matches!(self.settings.balance, Balance::Ipvs(IpvsScheduler::Sh | IpvsScheduler::Dh))
    }

    /// Whether backends are chosen in turn.
    pub fn in_turn(&self) -> bool {
        self.settings.balance == Balance::Ipvs(IpvsScheduler::Rr)
    }

    /// Where a new connection from `source` goes that meets `node`'s rules for `service` now.
    pub fn choose(&mut self, node: u32, service: u32, scope: Scope, source: u32, now: SimTime) -> Choice {
        self.bring_up(node, service, scope, now);
        let slot = Self::slot(service, scope);
        let proxy = self.proxies[node as usize].as_mut().expect("it was brought up");
        let table = proxy.tables[slot].as_mut().expect("it was brought up");
        let backends = match &table.verdict {
            Verdict::Rejected => return Choice::Rejected,
            Verdict::Dropped => return Choice::Dropped,
            Verdict::To(backends) => backends,
        };
        if table.sticky > SimDuration::ZERO
            && let Some((backend, until)) = table.affinity.get_mut(&source)
            && *until > now
            && backends.contains(backend)
        {
            // Every new connection begins the time anew.
            *until = now + table.sticky;
            return Choice::To(*backend);
        }
        let addresses = (source, 0x0a60_0000 + service);
        let balance = match self.controller == Some(node) {
            true => Balance::Ipvs(IpvsScheduler::Rr),
            false => self.settings.balance,
        };
        let chosen = balance.choose(backends, &mut table.memory, addresses, &mut proxy.choices);
        if table.sticky > SimDuration::ZERO {
            table.affinity.insert(source, (chosen, now + table.sticky));
        }
        Choice::To(chosen)
    }

    /// Whether a node answers a load balancer's health check for the service: with `externalTrafficPolicy: Local` only
    /// one with an endpoint of its own does, as far as its proxy knows (`pkg/proxy/healthcheck/service_health.go`).
    pub fn healthy(&mut self, node: u32, service: u32, now: SimTime) -> bool {
        if !self.service_now(service).is_some_and(|service| service.external_local) {
            return true;
        }
        self.bring_up(node, service, Scope::External, now);
        let proxy = self.proxies[node as usize].as_ref().expect("it was brought up");
        let table = proxy.tables[Self::slot(service, Scope::External)].as_ref();
        table.is_some_and(|table| matches!(table.verdict, Verdict::To(_)))
    }

    /// Whether [`Self::closed`] wants to hear of connections.
    pub fn counts_connections(&self) -> bool {
        self.settings.balance.counts()
    }

    /// A connection that `node` had made to `target` for `service` is over.
    pub fn closed(&mut self, node: u32, service: u32, scope: Scope, target: u32) {
        let table =
            self.proxies[node as usize].as_mut().and_then(|proxy| proxy.tables[Self::slot(service, scope)].as_mut());
        if let Some(table) = table {
            table.memory.closed(target);
        }
    }

    fn slot(service: u32, scope: Scope) -> usize {
        service as usize * 2 + usize::from(scope == Scope::External)
    }

    /// Makes the node's rules for the service what they are now.
    fn bring_up(&mut self, node: u32, service: u32, scope: Scope, now: SimTime) {
        let proxy = self.proxies[node as usize].get_or_insert_with(|| {
            let name = &self.nodes[node as usize].name;
            let stream = |purpose| self.seed.stream(purpose, name);
            Box::new(Proxy::new(stream("kube-proxy"), stream("kube-proxy-choice")))
        });
        if self.nodes[node as usize].heard {
            proxy.advance(now, &self.changes, &self.settings.proxy);
        }
        let slot = Self::slot(service, scope);
        if proxy.tables.len() <= slot {
            proxy.tables.resize_with(slot + 1, || None);
        }
        let table = proxy.tables[slot].get_or_insert_default();
        let seen = &self.services[service as usize];
        // A headless service is not the proxy's: its name is resolved, and the answer used for a while.
        let headless = seen.now.as_ref().is_some_and(|service| service.headless);
        if headless && now < table.resolved_until {
            return;
        }
        let horizon = if headless { SimTime(now.0.saturating_sub(self.resolver_lag.0)) } else { proxy.seen };
        if headless {
            // As long as what was found before; what is found now is seen to below.
            let ttl =
                if table.verdict == Verdict::Rejected { self.settings.dns_negative_ttl } else { self.settings.dns_ttl };
            table.resolved_until = now + ttl;
        }
        // Number 0 is the time before the first version.
        let newer = |version: &Version| version.since > horizon;
        let behind = seen.versions.iter().rev().take_while(|version| newer(version)).count();
        let number = seen.first + (seen.versions.len() - behind) as u64;
        if number == table.version {
            return;
        }
        table.version = number;
        let version = seen.versions.get((number.max(1) - 1).saturating_sub(seen.first) as usize);
        let id = service;
        let Some((service, slices)) = version.and_then(|v| Some((v.service.clone()?, v.slices.clone()))) else {
            table.verdict = Verdict::Rejected;
            return;
        };
        let direct = self.controller == Some(node);
        let sticky = if service.client_ip_affinity && !direct { i64::from(service.affinity_seconds) } else { 0 };
        table.sticky = SimDuration::from_secs(sticky);
        let mut ports = service.ports.iter();
        let port = match &seen.port {
            // Who names no port means the first.
            BackendPort::Name(name) if name.is_empty() => ports.next().map(|port| port.name.clone()),
            BackendPort::Name(name) => Some(name.clone()),
            BackendPort::Number(number) => ports.find(|port| port.port == *number).map(|port| port.name.clone()),
        };
        let port = port.unwrap_or_default();
        let here = &self.nodes[node as usize];
        if headless || direct {
            let serves = |slice: &&Arc<EndpointSlice>| headless || slice.ports.iter().any(|have| have.name == port);
            let ready = slices.iter().filter(serves).flat_map(|slice| slice.endpoints.iter()).filter(|one| one.ready);
            let list: Vec<u32> = ready.map(|endpoint| self.target(endpoint, id, 0)).collect();
            let verdict = if list.is_empty() { Verdict::Rejected } else { Verdict::To(list) };
            // That there is nobody is believed for another time.
            let ttl = if verdict == Verdict::Rejected { self.settings.dns_negative_ttl } else { self.settings.dns_ttl };
            let table = self.table(node, slot);
            (table.verdict, table.resolved_until) = (verdict, now + ttl);
            return;
        }
        let verdict = match reachable(&service, &slices, &port, (&here.name, &here.zone), scope) {
            Reachable::Some(list) => Verdict::To(list.iter().map(|one| self.target(one, id, 0)).collect()),
            Reachable::Rejected => Verdict::Rejected,
            Reachable::Dropped => Verdict::Dropped,
        };
        self.table(node, slot).verdict = verdict;
    }

    fn table(&mut self, node: u32, slot: usize) -> &mut Table {
        let table = self.proxies[node as usize].as_mut().and_then(|proxy| proxy.tables[slot].as_mut());
        table.expect("it was brought up")
    }
}
