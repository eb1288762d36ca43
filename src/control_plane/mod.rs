//! The control plane as machines: on each an etcd member, an API server, a controller manager and a scheduler.
//!
//! ```text
//! machine ─┬─ etcd ──────────── a majority of the members makes a store that takes writes
//!          ├─ kube-apiserver ── behind a load balancer; serves while its own member does
//!          ├─ kube-controller-manager ─┐ use the API server of their machine;
//!          └─ kube-scheduler ──────────┘ one of each leads, by a lease that it renews
//! ```
//!
//! It acts in the world: faults and machines tell it what is down, and it tells the runtime who can act and who can reach
//! what. It writes the leases, but no renewals: while all is well nothing happens here at all.
//!
//! Simplifications: clients outside of the control plane reach a healthy API server at once when theirs is gone; a
//! machine that has fallen silent is cut off from everything, also from itself.

pub mod election;
pub mod process;

use crate::model::core::Lease;
use crate::model::fault::Effect;
use crate::model::gate::Gate;
use crate::model::{Key, Kind, Machine, Meta, Name, Object, Resource, Uid};
use crate::rng::{Delay, Seed};
use crate::runtime::{Command, Controller, Cx, Requeue, Wake};
use crate::store::{Change, EventRecord, StoreError, View, Write, Written};
use crate::time::{SimDuration, SimTime};
use election::{Election, Outcome};
use process::{COMPONENTS, Component, Phase, Process, Supervisor, lists_ready};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the gate that a store without a majority or a leader puts up.
const STORE_GATE: Name = crate::name!("etcd");
/// How long a member waits before it says that a request timed out (`server/etcdserver/v3_server.go`: five seconds and
/// two election timeouts).
const STORE_TIMEOUT: SimDuration = SimDuration::from_secs(7);
/// An election among the members: the election timeout of a second, up to twice that by chance.
const STORE_ELECTION: (SimDuration, SimDuration) = (SimDuration::from_secs(1), SimDuration::from_secs(2));
/// From power to the kubelet's start of the static pods.
const BOOT_TIME: SimDuration = SimDuration::from_secs(10);
/// What a client says that finds nobody at the API server's address.
const REFUSED: Name = crate::name!("dial tcp 10.96.0.1:443: connect: connection refused");

/// How the control plane is set.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneSettings {
    /// The machines; none for a control plane that a provider runs somewhere else.
    pub machines: Vec<Name>,
    /// Of one that runs somewhere else, how many instances there are of everything; at least one.
    pub hosted: usize,
    /// Who restarts processes.
    pub supervisor: Supervisor,
}

/// Where an instance runs of a control plane that a provider runs.
pub fn instance_name(at: usize) -> Name {
    if at == 0 { crate::name!("control-plane") } else { Name::from(format!("control-plane-{at}")) }
}

/// A machine.
#[derive(Clone, Debug)]
struct Host {
    name: Name,
    /// Not known yet before its machine was seen.
    up: Option<bool>,
    boot: u32,
    processes: BTreeMap<Component, Process>,
}

impl Host {
    fn runs(&self, component: Component) -> bool {
        self.up == Some(true) && self.processes[&component].phase == Phase::Runs
    }

    /// Whether its API server runs and has a member to ask.
    fn serves(&self) -> bool {
        self.runs(Component::ApiServer) && self.runs(Component::Etcd)
    }
}

/// What was heard and is to be dealt with.
#[derive(Clone, Debug)]
enum News {
    Machine { name: Name, up: bool, boot: u32 },
    Down { component: Component, machines: Vec<Name>, kill: bool, held: bool },
    Back { component: Component, machines: Vec<Name> },
    Gate(Name, Option<Arc<Gate>>),
}

/// The store: which member leads, or when one is elected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leadership {
    Member(usize),
    Elects(SimTime),
    NoMajority,
}

/// What the runtime has been told last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Told {
    cut: BTreeMap<&'static str, bool>,
    store: Option<Leadership>,
}

/// The actor.
pub struct ControlPlane {
    settings: ControlPlaneSettings,
    hosts: Vec<Host>,
    elections: BTreeMap<Component, Election>,
    /// When the actors of a component begin under a new leader.
    begins: BTreeMap<Component, SimTime>,
    leadership: Leadership,
    /// Elections of the store so far.
    terms: u64,
    news: Vec<News>,
    /// New leaders whose events are to be sent.
    heralds: Vec<(Component, Name)>,
    told: Told,
    /// Whether those who are there from the start have joined.
    begun: bool,
}

impl ControlPlane {
    /// One where everything runs.
    pub fn new(settings: ControlPlaneSettings) -> Self {
        let host = |name: &Name, up: Option<bool>| Host {
            name: name.clone(),
            up,
            boot: 0,
            processes: COMPONENTS.into_iter().map(|component| (component, Process::running())).collect(),
        };
        let hosts = match settings.machines.as_slice() {
            [] => (0..settings.hosted.max(1)).map(|at| host(&instance_name(at), Some(true))).collect(),
            machines => machines.iter().map(|name| host(name, None)).collect(),
        };
        let elections = COMPONENTS.into_iter().filter(|component| component.elects());
        ControlPlane {
            hosts,
            elections: elections.map(|component| (component, Election::default())).collect(),
            begins: BTreeMap::new(),
            leadership: Leadership::Member(0),
            terms: 0,
            news: Vec::new(),
            heralds: Vec::new(),
            told: Told::default(),
            begun: false,
            settings,
        }
    }

    fn key() -> Key {
        Key::new(Kind::Lease, "kube-system", "control-plane")
    }

    fn indexes(&self, machines: &[Name]) -> Vec<usize> {
        (0..self.hosts.len()).filter(|at| machines.is_empty() || machines.contains(&self.hosts[*at].name)).collect()
    }
}

/// What an incident says about the control plane.
fn heard(change: &Change) -> Option<News> {
    match (&change.old, &change.new) {
        (_, Some(Object::Machine(machine))) => {
            let Machine { meta, up, boot, .. } = &**machine;
            Some(News::Machine { name: meta.name.clone(), up: *up, boot: *boot })
        }
        (old, Some(Object::Incident(incident))) => {
            let over = incident.ended.is_some();
            match &incident.fault.effect {
                Effect::Process { component, kill } => {
                    let (component, machines) = (Component::of(component)?, incident.fault.nodes.clone());
                    match old {
                        None => Some(News::Down { component, machines, kill: *kill, held: !over }),
                        Some(_) if over => Some(News::Back { component, machines }),
                        Some(_) => None,
                    }
                }
                Effect::Hindrance(gate) | Effect::Cloud { gate: Some(gate), .. } if old.is_none() || over => {
                    Some(News::Gate(change.key.name.clone(), (!over).then(|| gate.clone())))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

impl Controller for ControlPlane {
    fn name(&self) -> &'static str {
        "control-plane"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Machine, Kind::Incident]
    }

    fn start(&mut self, wake: &mut Wake<'_>) {
        wake.add(Self::key());
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        let ours = |news: &News| match news {
            News::Machine { name, .. } => self.settings.machines.contains(name),
            _ => true,
        };
        if let Some(news) = heard(change).filter(ours) {
            self.news.push(news);
            wake.add(Self::key());
        }
    }

    fn reconcile(&mut self, _: &Key, cx: &mut Cx<'_>) -> Requeue {
        if !std::mem::replace(&mut self.begun, true) {
            let there: Vec<usize> = (0..self.hosts.len()).filter(|at| self.hosts[*at].up == Some(true)).collect();
            there.into_iter().for_each(|at| self.join_all(at, cx));
        }
        self.herald(cx);
        for news in std::mem::take(&mut self.news) {
            self.hear(news, cx);
        }
        self.processes(cx);
        self.elect_member(cx.now, cx.seed);
        self.reach(cx);
        self.elect(cx);
        self.begin(cx);
        self.tell(cx);
        match self.next(cx.eager) {
            Some(at) => Requeue::After(at - cx.now),
            None => Requeue::Done,
        }
    }

    fn settled(&mut self, _: &Key, _: Result<&[Written], &StoreError>, wake: &mut Wake<'_>) {
        if !self.heralds.is_empty() {
            wake.add(Self::key());
        }
    }
}

impl ControlPlane {
    fn hear(&mut self, news: News, cx: &mut Cx<'_>) {
        match news {
            News::Machine { name, up, boot } => {
                let Some(at) = self.hosts.iter().position(|host| host.name == name) else { return };
                let before = self.hosts[at].clone();
                self.hosts[at].up = Some(up);
                self.hosts[at].boot = boot;
                match before.up {
                    // The cluster begins with a control plane at work.
                    None => self.join_all(at, cx),
                    Some(_) if before.boot != boot => self.reboot(at, cx),
                    Some(_) => {}
                }
            }
            News::Down { component, machines, kill, held } => {
                for at in self.indexes(&machines) {
                    let up = self.hosts[at].up == Some(true);
                    self.end(at, component, !kill && up, cx);
                    let supervisor = self.settings.supervisor;
                    let process = self.hosts[at].processes.get_mut(&component).expect("one of each");
                    process.held += usize::from(held);
                    process.fail(cx.now, supervisor);
                }
            }
            News::Gate(name, Some(gate)) => cx.command(Command::Gate(name, Gate::clone(&gate))),
            News::Gate(name, None) => cx.command(Command::Open(name)),
            News::Back { component, machines } => {
                for at in self.indexes(&machines) {
                    let process = self.hosts[at].processes.get_mut(&component).expect("one of each");
                    process.held = process.held.saturating_sub(1);
                    if process.held == 0 && process.phase == Phase::Down {
                        process.start(component, cx.now);
                    }
                }
            }
        }
    }

    /// The processes of a machine that was switched on.
    fn reboot(&mut self, at: usize, cx: &mut Cx<'_>) {
        for component in COMPONENTS {
            self.end(at, component, false, cx);
            let process = self.hosts[at].processes.get_mut(&component).expect("one of each");
            if process.held == 0 {
                process.start(component, cx.now + BOOT_TIME);
            }
        }
    }

    /// A process ends; `asked`: it was asked to and can tidy up.
    fn end(&mut self, at: usize, component: Component, asked: bool, cx: &mut Cx<'_>) {
        let process = self.hosts[at].processes.get_mut(&component).expect("one of each");
        process.phase = Phase::Down;
        let Some(election) = self.elections.get_mut(&component) else { return };
        let led = election.leader() == Some(at);
        let released = election.leave(at, cx.now, asked && component.releases());
        if led {
            self.begins.remove(&component);
            cx.command(Command::Halt(component.name()));
        }
        if released {
            self.write_lease(component, Name::new(), cx);
        }
    }

    /// Processes that the supervisor restarts, that are ready, or that cannot begin.
    fn processes(&mut self, cx: &mut Cx<'_>) {
        let (now, supervisor) = (cx.now, self.settings.supervisor);
        for at in 0..self.hosts.len() {
            for component in COMPONENTS {
                let reaches = self.reaches(at);
                let up = self.hosts[at].up == Some(true);
                let process = self.hosts[at].processes.get_mut(&component).expect("one of each");
                if matches!(process.phase, Phase::Waits(due) if due <= now) && up {
                    process.start(component, now);
                }
                let (began, phase) = (process.began, process.phase);
                match (component, phase) {
                    (Component::Scheduler, Phase::Starts(Some(due))) if due <= now && !reaches => {
                        process.phase = Phase::Starts(None);
                    }
                    (Component::Scheduler, Phase::Starts(None)) if reaches => {
                        let stream = |list| cx.seed.stream("lists", &format!("scheduler-{at}@{}/{list}", began.0));
                        process.phase = Phase::Starts(Some(lists_ready(began, now, stream)));
                    }
                    (Component::ControllerManager, Phase::Starts(Some(due))) if due <= now && !reaches => {
                        process.fail(now, supervisor);
                    }
                    (_, Phase::Starts(Some(due))) if due <= now && up => {
                        process.phase = Phase::Runs;
                        self.join(at, component, cx);
                    }
                    _ => {}
                }
            }
        }
    }

    fn join_all(&mut self, at: usize, cx: &Cx<'_>) {
        COMPONENTS.into_iter().for_each(|component| self.join(at, component, cx));
    }

    /// A process that takes part in an election looks at the lease for the first time.
    fn join(&mut self, at: usize, component: Component, cx: &Cx<'_>) {
        let reaches = self.reaches(at);
        let Some(election) = self.elections.get_mut(&component) else { return };
        let name = format!("{}@{}/{}", self.hosts[at].name, cx.now.0, component.name());
        let id = Uid(cx.seed.stream("identity", &name).bits128());
        let identity = Name::from(format!("{}_{id}", self.hosts[at].name));
        election.join(at, identity, cx.seed.stream("election", &name), cx.now, reaches);
    }

    /// Whether the processes of a machine get answers from their API server.
    fn reaches(&self, at: usize) -> bool {
        self.hosts[at].serves() && matches!(self.leadership, Leadership::Member(_))
    }

    /// Who leads the members of the store.
    fn elect_member(&mut self, now: SimTime, seed: Seed) {
        let alive: Vec<usize> = (0..self.hosts.len()).filter(|at| self.hosts[*at].runs(Component::Etcd)).collect();
        let known = self.hosts.iter().all(|host| host.up.is_some());
        let majority = alive.len() * 2 > self.hosts.len() || !known;
        self.leadership = match self.leadership {
            _ if !majority => Leadership::NoMajority,
            Leadership::Member(leader) if alive.contains(&leader) || !known => Leadership::Member(leader),
            Leadership::Elects(at) if at <= now => Leadership::Member(alive[0]),
            Leadership::Elects(at) => Leadership::Elects(at),
            // One member alone elects itself when it starts.
            Leadership::NoMajority if self.hosts.len() == 1 => Leadership::Member(0),
            Leadership::Member(_) | Leadership::NoMajority => {
                self.terms += 1;
                let mut stream = seed.stream("etcd-election", &self.terms.to_string());
                let (least, most) = STORE_ELECTION;
                Leadership::Elects(now + Delay::Uniform(least, most).sample(&mut stream))
            }
        };
    }

    fn reach(&mut self, cx: &Cx<'_>) {
        for at in 0..self.hosts.len() {
            let reaches = self.reaches(at);
            self.elections.values_mut().for_each(|election| election.reach(at, cx.now, reaches));
        }
    }

    fn elect(&mut self, cx: &mut Cx<'_>) {
        let candidates: Vec<Component> = self.elections.keys().copied().collect();
        for component in candidates {
            let outcomes = self.elections.get_mut(&component).map(|one| one.advance(cx.now)).unwrap_or_default();
            for outcome in outcomes {
                match outcome {
                    Outcome::Leads(_, identity) => {
                        // The first leader of all is at work when the cluster begins.
                        if cx.live().fetch_key::<Lease>(&lease_key(component)).is_some() {
                            self.begins.insert(component, cx.now + component.warm_up());
                        }
                        self.write_lease(component, identity.clone(), cx);
                        self.heralds.push((component, identity));
                    }
                    Outcome::GivesUp(at) => {
                        self.begins.remove(&component);
                        cx.command(Command::Halt(component.name()));
                        let supervisor = self.settings.supervisor;
                        let process = self.hosts[at].processes.get_mut(&component).expect("one of each");
                        process.fail(cx.now, supervisor);
                    }
                }
            }
        }
    }

    /// New leaders whose controllers are ready begin.
    fn begin(&mut self, cx: &mut Cx<'_>) {
        let ready: Vec<Component> =
            self.begins.iter().filter(|(_, at)| **at <= cx.now).map(|(component, _)| *component).collect();
        for component in ready {
            self.begins.remove(&component);
            // Whatever kept the old leader from its API server is none of the new one's business.
            self.told.cut.insert(component.name(), false);
            cx.command(Command::Cut(component.name(), None));
            cx.command(Command::Start(component.name()));
        }
    }

    /// Tells the runtime who can reach what.
    fn tell(&mut self, cx: &mut Cx<'_>) {
        let known = self.hosts.iter().all(|host| host.up.is_some());
        let mut cut = BTreeMap::from([("", known && !self.hosts.iter().any(|host| host.runs(Component::ApiServer)))]);
        for (component, election) in &self.elections {
            let away = election.leader().is_some_and(|at| {
                let host = &self.hosts[at];
                let alone = !host.runs(Component::Etcd) && matches!(self.leadership, Leadership::Member(_));
                known && (!host.runs(Component::ApiServer) || alone)
            });
            cut.insert(component.name(), away);
        }
        for (name, away) in &cut {
            if self.told.cut.get(name).copied().unwrap_or(false) != *away {
                cx.command(Command::Cut(name, away.then_some(REFUSED)));
            }
        }
        self.told.cut = cut;
        if self.told.store.unwrap_or(Leadership::Member(0)) != self.leadership {
            cx.command(match self.leadership {
                Leadership::Member(_) => Command::Open(STORE_GATE),
                Leadership::Elects(at) => Command::Gate(STORE_GATE, Gate::slow(at - cx.now)),
                Leadership::NoMajority => {
                    let message = crate::name!("etcdserver: request timed out");
                    Command::Gate(STORE_GATE, Gate::shut(STORE_TIMEOUT, 500, message))
                }
            });
            self.told.store = Some(self.leadership);
        }
    }

    /// When something happens next by itself.
    fn next(&self, eager: bool) -> Option<SimTime> {
        let processes = self.hosts.iter().filter(|host| host.up == Some(true)).flat_map(|host| host.processes.values());
        let dues = processes.filter_map(Process::due);
        let elections = self.elections.values().filter_map(|election| election.next(eager));
        let member = match self.leadership {
            Leadership::Elects(at) => Some(at),
            _ => None,
        };
        dues.chain(elections).chain(self.begins.values().copied()).chain(member).min()
    }

    fn write_lease(&self, component: Component, holder: Name, cx: &mut Cx<'_>) {
        let key = lease_key(component);
        let taken = !holder.is_empty();
        // Who gives it back leaves it for a second (`release`).
        let duration = if taken { election::LEASE } else { SimDuration::from_secs(1) };
        let write = match cx.live().fetch_key::<Lease>(&key) {
            Some(lease) => {
                let meta = Meta { resource_version: 0, ..lease.meta.clone() };
                let transitions = lease.transitions + i32::from(taken);
                let (acquired, renewed) = (cx.now, cx.now);
                Write::Update(Lease { meta, holder, duration, acquired, renewed, transitions }.into_object())
            }
            None => {
                let meta = Meta::named(key.namespace.clone(), key.name.clone());
                let lease = Lease { meta, holder, duration, acquired: cx.now, renewed: cx.now, transitions: 0 };
                Write::Create(lease.into_object())
            }
        };
        cx.write(write);
    }

    /// Says who leads, when the lease is written.
    fn herald(&mut self, cx: &mut Cx<'_>) {
        for (component, identity) in std::mem::take(&mut self.heralds) {
            let key = lease_key(component);
            let Some(lease) = cx.live().fetch_key::<Lease>(&key) else { continue };
            cx.tell(EventRecord {
                regarding: key,
                uid: lease.meta.uid,
                warning: false,
                reason: crate::name!("LeaderElection"),
                message: Name::from(format!("{identity} became leader")),
                source: Name::from(component.reporter()),
            });
        }
    }
}

/// The lease of a component.
fn lease_key(component: Component) -> Key {
    Key::new(Kind::Lease, "kube-system", component.name())
}
