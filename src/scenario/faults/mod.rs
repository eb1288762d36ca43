//! What can go wrong, as a scenario writes it. What it does to the world stands in [`crate::faults`].
//!
//! The same fault can stand in the timeline, at an instant, or in `faults`, again and again:
//!
//! ```yaml
//! timeline:
//! - at: 2m
//!   for: 8m                                  # or a distribution; without it, for ever
//!   nodeCrash: {zone: zone-a, count: 2, reboot: true}
//! faults:
//! - every: {exponential: 12h}                # one clock for the rule: each time, two nodes are drawn
//!   for: {lognormal: {median: 20m, sigma: 1}}
//!   nodeCrash: {pool: worker, count: 2}
//! - every: {exponential: 30d}
//!   each: node                               # a clock for each node; also zone, pool, or a label: rack
//!   nodeCrash: {pool: worker}
//! - trace: failures.csv                      # as they were recorded; see `trace.rs`
//!   nodeCrash: {pool: worker}
//! ```
//!
//! # A new fault
//!
//! 1. A file here with its form, made by `on_nodes!` or `on_pods!` (who is hit, beside the fields of its own), and
//!    [`Form`] for it: kind, whom it hits, what is wrong with it, and its [`Effect`] as the log will show it.
//! 2. One line in [`with_faults`], which gives it its key in timelines and in `faults`, and its place in the schema.
//!
//! That is all where an effect on record is enough: whoever it concerns (kubelet, network, API server) watches
//! `Incident`s and reads `fault.nodes`, `fault.pods`, `fault.effect` while [`crate::model::core::Incident::ended`] is
//! `None`. [`Form::holds`] takes hold of machines, [`Form::troubles`] gives them troubles, both until the fault ends. A
//! fault that does more has a file in [`crate::faults`] and a line there.

pub mod api_server;
pub mod clock_skew;
pub mod cloud_outage;
pub mod component_down;
pub mod container;
pub mod kubelet_crash;
pub mod mistakes;
pub mod network;
pub mod node_crash;
pub mod node_full;
pub mod outage;
pub mod overload;
pub mod partition;
pub mod pod_crash;
pub mod registry;
pub mod rule;
pub mod shutdown;
pub mod slow_node;
pub mod slow_store;
pub mod target;
pub mod trace;
pub mod upkeep;
pub mod webhook_timeout;

use super::Scenario;
use super::behavior::glob_matches;
use super::cluster::CONTROL_PLANE;
use super::units::{Distribution, Duration};
use crate::error::{Problem, those_there_are};
use crate::model::Effect;
use crate::model::machine::Trouble;
use crate::rng::Delay;
use crate::wire::places::Places;
use target::{NodeTarget, PodTarget};

pub use rule::{FaultRule, When};

/// Every fault once: its key in the file, its variant, its form.
macro_rules! with_faults {
    ($callback:ident! { $($before:tt)* }) => {
        $callback! {
            { $($before)* }
            {
                /// Machines lose power or network: their kubelets fall silent.
                node_crash: NodeCrash($crate::scenario::faults::node_crash::NodeCrash),
                /// The network between machines and the control plane, or between zones, is cut.
                partition: Partition($crate::scenario::faults::partition::Partition),
                /// Packets from and to machines are late or lost.
                slow_network: SlowNetwork($crate::scenario::faults::network::SlowNetwork),
                /// The pods behind two services do not reach each other.
                service_partition: ServicePartition($crate::scenario::faults::network::ServicePartition),
                /// The cluster's DNS does not answer.
                dns_outage: DnsOutage($crate::scenario::faults::network::DnsOutage),
                /// A zone fails with all its machines.
                zone_outage: ZoneOutage($crate::scenario::faults::outage::ZoneOutage),
                /// The power of a rack, or whatever a label of nodes stands for, fails.
                power_outage: PowerOutage($crate::scenario::faults::outage::PowerOutage),
                /// Spot machines are taken back: after a notice they are gone for good.
                spot_reclaim: SpotReclaim($crate::scenario::faults::upkeep::SpotReclaim),
                /// Planned maintenance, node after node: cordon, drain, reboot, uncordon.
                maintenance: Maintenance($crate::scenario::faults::upkeep::Maintenance),
                /// While it is in force, machines die of too much load.
                cascading_failure: CascadingFailure($crate::scenario::faults::overload::CascadingFailure),
                /// A namespace's quota of pods is used up.
                quota_exhaustion: QuotaExhaustion($crate::scenario::faults::mistakes::QuotaExhaustion),
                /// A bad configuration is rolled out to a workload, and taken back when the fault ends.
                bad_rollout: BadRollout($crate::scenario::faults::mistakes::BadRollout),
                /// Processes of the control plane end: killed, or asked to stop.
                component_down: ComponentDown($crate::scenario::faults::component_down::ComponentDown),
                /// The API server is slow, or answers some requests with an error.
                api_server: ApiServer($crate::scenario::faults::api_server::ApiServerFault),
                /// The disk of etcd is slow: every write waits.
                slow_store: SlowStore($crate::scenario::faults::slow_store::SlowStore),
                /// An admission webhook does not answer.
                webhook_timeout: WebhookTimeout($crate::scenario::faults::webhook_timeout::WebhookTimeout),
                /// The provider's interface does not answer.
                cloud_outage: CloudOutage($crate::scenario::faults::cloud_outage::CloudOutage),
                /// All containers of a pod end at once with an error.
                pod_crash: PodCrash($crate::scenario::faults::pod_crash::PodCrash),
                /// One container ends.
                container_crash: ContainerCrash($crate::scenario::faults::pod_crash::ContainerCrash),
                /// Containers answer nothing and do not end.
                container_hang: ContainerHang($crate::scenario::faults::container::ContainerHang),
                /// Containers use more and more memory.
                memory_leak: MemoryLeak($crate::scenario::faults::container::MemoryLeak),
                /// Containers that start take longer until they serve.
                slow_start: SlowStart($crate::scenario::faults::container::SlowStart),
                /// Kubelets end, or hang: their containers run on.
                kubelet_crash: KubeletCrash($crate::scenario::faults::kubelet_crash::KubeletCrash),
                /// Machines are rebooted without a warning.
                node_reboot: NodeReboot($crate::scenario::faults::kubelet_crash::NodeReboot),
                /// Nodes are shut down in an orderly way, and come back.
                node_shutdown: NodeShutdown($crate::scenario::faults::shutdown::NodeShutdown),
                /// The processors or disks of machines are slow.
                slow_node: SlowNode($crate::scenario::faults::slow_node::SlowNode),
                /// The clocks of machines are wrong.
                clock_skew: ClockSkew($crate::scenario::faults::clock_skew::ClockSkew),
                /// Something fills the disks of machines.
                disk_full: DiskFull($crate::scenario::faults::node_full::DiskFull),
                /// Something fills the memory of machines.
                memory_hog: MemoryHog($crate::scenario::faults::node_full::MemoryHog),
                /// The image registry is not there.
                registry_outage: RegistryOutage($crate::scenario::faults::registry::RegistryOutage),
                /// The image registry gives less than it should.
                registry_throttle: RegistryThrottle($crate::scenario::faults::registry::RegistryThrottle),
                /// The image registry has lost images.
                bad_image: BadImage($crate::scenario::faults::registry::BadImage),
            }
        }
    };
}
pub(crate) use with_faults;

macro_rules! actions {
    ({} { $($(#[doc = $text:literal])+ $key:ident: $variant:ident($content:ty),)* }) => {
        /// One fault, as written.
        #[derive(Clone, PartialEq, Debug)]
        pub enum FaultAction {
            $( $(#[doc = $text])+ $variant($content), )*
        }

        impl FaultAction {
            /// Its form.
            pub fn form(&self) -> &dyn Form {
                match self {
                    $( FaultAction::$variant(form) => form, )*
                }
            }

            /// Its key in a scenario: `nodeCrash`.
            pub fn key(&self) -> String {
                match self {
                    $( FaultAction::$variant(_) => camel_case(stringify!($key)), )*
                }
            }

            /// The keys of all faults.
            pub fn keys() -> Vec<String> {
                vec![$( camel_case(stringify!($key)), )*]
            }
        }
    };
}
with_faults!(actions! {});

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_string();
    words.fold(first, |text, word| text + &word[..1].to_uppercase() + &word[1..])
}

/// What all forms have in common.
pub trait Form {
    /// Its kind, as reports name it: `node-crash`.
    fn kind(&self) -> &'static str;

    /// The actor that does it, as the log names it; those of one name are one actor.
    fn actor(&self) -> &'static str {
        "fault"
    }

    /// Which machines it hits, if it hits machines.
    fn nodes(&self) -> Option<NodeTarget> {
        None
    }

    /// Which pods it hits, if it hits pods.
    fn pods(&self) -> Option<PodTarget> {
        None
    }

    /// Whether it may hit the whole cluster: nothing has to say whom.
    fn at_large(&self) -> bool {
        false
    }

    /// Whether it is over as soon as it has happened: then `for` makes no sense.
    fn momentary(&self) -> bool {
        false
    }
    /// Over at once if nothing says how long it lasts: what it ended comes back by itself.
    fn brief(&self) -> bool {
        false
    }

    /// Whether it ends when what it began is done, and not after a time: then `for` makes no sense either.
    fn goes_its_own_way(&self) -> bool {
        false
    }

    /// How long it lasts by a field of its own, with the name of the field; `for` beside the fault says the same.
    fn lasts(&self) -> Option<(&'static str, Distribution<Duration>)> {
        None
    }

    /// How long it lasts if `for` beside it does not say: what its own field says, or what is usual.
    fn length(&self) -> Option<Distribution<Duration>> {
        self.lasts().map(|(_, length)| length)
    }

    /// What it does, as the log shows it.
    fn effect(&self) -> Effect {
        Effect::Plain
    }

    /// Whether it takes hold of the machines that it hits, and how.
    fn holds(&self) -> Option<Holding> {
        None
    }

    /// What is wrong with the machines that it hits while it lasts.
    fn troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }

    /// Whether it hits machines of the control plane like any others, even where they are not named.
    fn control_plane(&self) -> bool {
        false
    }

    /// What happens, for people; `who` is what it hits: `node worker-2`, `3 nodes: …`; empty if it hits the cluster.
    fn describe(&self, who: &str) -> String {
        format!("{}: {who}", self.kind().replace('-', " "))
    }

    /// What is wrong with its own fields.
    fn check(&self, checks: &mut Checks<'_>);

    /// Which of the objects that it names are not there; `services` are those of the manifests, namespace and name.
    fn references(&self, services: &[(String, String)], checks: &mut Checks<'_>) {
        let _ = (services, checks);
    }
}

/// How a fault holds machines: their kubelets are not heard while it lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holding {
    /// Their containers run on, and what they serve can be reached.
    pub runs: bool,
    /// On return all containers start anew.
    pub reboots: bool,
}

/// Where the checks of a fault's form put what they find.
pub struct Checks<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Where the fault stands: `timeline[2].nodeCrash`.
    pub path: String,
    places: &'a Places,
    problems: Vec<Problem>,
}

/// Every fault of a scenario, in the timeline and as rules: where it stands, and how long it lasts.
fn every(scenario: &Scenario) -> impl Iterator<Item = (String, &FaultAction, Option<Distribution<Duration>>)> {
    let timed = scenario.timeline.iter().enumerate().filter_map(|(index, entry)| match &entry.action {
        super::Action::Fault(fault) => Some((format!("timeline[{index}]"), fault, entry.lasts)),
        _ => None,
    });
    let rules =
        scenario.faults.iter().enumerate().map(|(index, rule)| (format!("faults[{index}]"), &rule.fault, rule.lasts));
    timed.chain(rules)
}

/// Whether packets may fare badly in a scenario.
pub fn of_network(scenario: &Scenario) -> bool {
    every(scenario).any(|(_, fault, _)| {
        matches!(fault, FaultAction::SlowNetwork(_) | FaultAction::ServicePartition(_) | FaultAction::DnsOutage(_))
    })
}

/// Which objects the faults of a scenario name that are not there.
pub fn references(scenario: &Scenario, places: &Places, services: &[(String, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, fault, _) in every(scenario) {
        let path = format!("{path}.{}", fault.key());
        let mut checks = Checks { scenario, path, places, problems: Vec::new() };
        fault.form().references(services, &mut checks);
        problems.append(&mut checks.problems);
    }
    problems
}

/// Everything that is wrong with the faults of a scenario as they are written.
pub fn problems(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, fault, lasts) in every(scenario) {
        let own = format!("{path}.{}", fault.key());
        let mut checks = Checks { scenario, path: own, places, problems: Vec::new() };
        checks.length(&path, fault.form(), lasts);
        checks.target(fault.form());
        fault.form().check(&mut checks);
        problems.append(&mut checks.problems);
    }
    for (index, rule) in scenario.faults.iter().enumerate() {
        rule.check(scenario, &format!("faults[{index}]"), places, &mut problems);
    }
    problems
}

impl Checks<'_> {
    /// Something is wrong at a field of the fault; at the fault itself if `field` is empty.
    pub fn add(&mut self, field: &str, message: impl Into<String>, help: impl Into<String>) {
        let path = if field.is_empty() { self.path.clone() } else { format!("{}.{field}", self.path) };
        self.problems.push(self.places.problem(&path, message, help));
    }

    /// An unknown name, with the nearest that exists.
    pub fn unknown(&mut self, field: &str, what: &str, name: &str, known: &[&str]) {
        self.add(field, format!("unknown {what} {name:?}"), those_there_are(what, name, known));
    }

    fn length(&mut self, entry: &str, form: &dyn Form, lasts: Option<Distribution<Duration>>) {
        let own = form.lasts();
        if let (Some((field, _)), Some(_)) = (&own, lasts) {
            self.add(field, format!("both `for` and `{field}` say how long it lasts"), "write one of them");
        }
        if (form.momentary() || form.goes_its_own_way()) && lasts.is_some() {
            let message = match form.momentary() {
                true => "this fault is over at once, it does not last",
                false => "this fault ends by itself, when it is done",
            };
            self.problems.push(self.places.problem(&format!("{entry}.for"), message, "remove `for`"));
        }
        let (field, length) = match (own, lasts) {
            (Some((field, length)), _) => (field, length),
            (None, Some(length)) => ("for", length),
            (None, None) => return,
        };
        // A draw may be nothing, but not all of them.
        if Delay::from(length).mean() <= 0.0 {
            let path = if field == "for" { format!("{entry}.for") } else { format!("{}.{field}", self.path) };
            let message = "the time until recovery must be positive";
            self.problems.push(self.places.problem(&path, message, "write a duration such as 8m"));
        }
    }

    fn target(&mut self, form: &dyn Form) {
        if let Some(target) = form.nodes() {
            self.node_target(&target, form.at_large());
        }
        if let Some(target) = form.pods() {
            self.pod_target(&target, form.at_large());
        }
    }

    fn node_target(&mut self, target: &NodeTarget, at_large: bool) {
        let NodeTarget { node, pool, zone, selector, domain, count, share } = target;
        let said = node.is_some() || pool.is_some() || zone.is_some() || selector.is_some() || domain.is_some();
        if !said && count.is_none() && share.is_none() && !at_large {
            let key = self.path.rsplit('.').next().unwrap_or_default().to_string();
            let help = format!("write {key}: {{node: small-0}}, or pool, zone, selector, domain, count, share");
            self.add("", "nothing says which machines it hits", help);
        }
        if let Some(node) = node {
            self.node_name("node", node);
            if !node.contains('*') && (count.is_some() || share.is_some()) {
                let field = if count.is_some() { "count" } else { "share" };
                self.add(field, format!("`{field}` of one node"), "remove it, or write a pattern such as worker-*");
            }
        }
        let cluster = &self.scenario.cluster;
        if let Some(pool) = pool {
            let mut known: Vec<&str> = cluster.pools.iter().map(|pool| pool.name.as_str()).collect();
            known.extend((cluster.control_plane.replicas > 0).then_some(CONTROL_PLANE));
            if !known.iter().any(|known| glob_matches(pool, known)) {
                self.unknown("pool", "pool", pool, &known);
            }
        }
        self.zone_name(zone.as_deref());
        self.amount(*count, share.is_some());
    }

    fn pod_target(&mut self, target: &PodTarget, at_large: bool) {
        let PodTarget { pod, selector, node, zone, count, share, .. } = target;
        match (pod.is_some(), selector.is_some()) {
            (true, true) => self.add("", "both `pod` and `selector` are given", "give exactly one: selector: app=web"),
            (false, false) if node.is_none() && zone.is_none() && !at_large => {
                self.add("", "neither `pod` nor `selector` is given", "give exactly one: selector: app=web");
            }
            _ => {}
        }
        if let Some(node) = node {
            self.node_name("node", node);
        }
        self.zone_name(zone.as_deref());
        self.amount(*count, share.is_some());
    }

    /// That a node of this name, or one that the pattern finds, exists at the start.
    pub fn node_name(&mut self, field: &str, name: &str) {
        let cluster = &self.scenario.cluster;
        if cluster.has_node(name) {
            return;
        }
        let names = cluster.node_names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.iter().any(|known| glob_matches(name, known)) {
            self.unknown(field, "node", name, &names);
        }
    }

    fn zone_name(&mut self, zone: Option<&str>) {
        let known = self.scenario.cluster.zones();
        if let Some(zone) = zone.filter(|zone| !known.contains(zone)) {
            self.unknown("zone", "zone", zone, &known);
        }
    }

    fn amount(&mut self, count: Option<u32>, share: bool) {
        if count == Some(0) {
            self.add("count", "a fault of 0 does nothing", "write 1 or more, or remove `count` for all");
        }
        if count.is_some_and(|count| count > 0) && share {
            // Pods that a name or a selector finds count as one unless something else is said.
            self.add("share", "both `count` and `share` are given", "write one of them");
        }
    }
}
