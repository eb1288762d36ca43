//! Requests: who asks which service how often, and how long pods take to answer.
//!
//! ```yaml
//! traffic:
//!   servers:
//!   - service: web
//!     serviceTime: {exponential: {mean: 20ms}}
//!     concurrency: 8
//!     queue: 100
//!   clients:
//!   - name: users
//!     service: web
//!     arrivals: {poisson: 200/s}
//!     timeout: 1s
//! ```

use schemars::JsonSchema;
use serde::Deserialize;

use super::arrivals::Arrivals;
use super::selector::Selector;
use super::units::{Distribution, Duration, Factor, Quantity};
use crate::model::pod_spec::ContainerPort;
use crate::model::proxy::{IpvsScheduler, ProxyMode};
use crate::model::{Container, Pod};

/// Requests, and the network that they go through.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Traffic {
    /// Whether requests are followed one by one.
    pub mode: Mode,
    /// How kube-proxy works on every node.
    pub proxy: Proxy,
    /// How far things are apart.
    pub network: Distances,
    /// How the cluster's names are resolved.
    pub dns: Dns,
    /// How load balancers outside judge nodes.
    pub load_balancer: LoadBalancer,
    /// How the pods behind services work on requests. A service that is not named here takes 10 ms for each of up to
    /// 100 requests at once.
    pub servers: Vec<Server>,
    /// Who asks.
    pub clients: Vec<Client>,
    /// Services that Ingresses of the manifests name, once those are read.
    #[serde(skip)]
    pub behind_ingresses: Vec<(String, String)>,
    /// Services that stand for others of the cluster (`type: ExternalName`), with those.
    #[serde(skip)]
    pub aliases: Vec<((String, String), (String, String))>,
    /// The pods behind the services of the manifests that are asked.
    #[serde(skip)]
    pub serving: Vec<Serving>,
}

/// Which pods a service asks, by its manifest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Serving {
    /// Its namespace.
    pub namespace: String,
    /// Its selector.
    pub selector: Vec<(String, String)>,
    /// Its ports at the pods, by number or name.
    pub ports: Vec<String>,
}

impl Serving {
    /// The container of a pod that answers, if the service asks the pod: the one with the port, or else the first.
    pub fn container<'a>(&self, pod: &'a Pod) -> Option<&'a Container> {
        let has =
            |(key, value): &(String, String)| pod.meta.labels.get(key.as_str()).is_some_and(|have| *have == *value);
        if *self.namespace != *pod.meta.namespace || self.selector.is_empty() || !self.selector.iter().all(has) {
            return None;
        }
        let listens = |container: &&Container| {
            let named = |port: &String| {
                let is = |own: &ContainerPort| *own.name == **port || own.container_port.to_string() == *port;
                container.ports.iter().any(is)
            };
            self.ports.iter().any(named)
        };
        pod.spec.containers.iter().find(listens).or(pod.spec.containers.first())
    }
}

/// How requests are simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// One by one up to ten million requests in the run, else as flows, if everything used is known to flows.
    #[default]
    Auto,
    /// One by one.
    Exact,
    /// As flows: in the mean as one by one, without chance.
    Fluid,
}

impl Traffic {
    /// Whether a service is asked, as far as the scenario says.
    pub fn asks(&self, namespace: &str, service: &str) -> bool {
        let is = |of: &str, name: &str| of == namespace && name == service;
        self.clients.iter().any(|client| is(&client.namespace, &client.service))
            || self.behind_ingresses.iter().any(|(of, name)| is(of, name))
            || self.aliases.iter().any(|(_, (of, name))| is(of, name))
            || self.servers.iter().any(|server| {
                is(&server.namespace, &server.service)
                    || server.calls.iter().any(|call| is(&call.namespace, &call.service))
            })
    }

    /// What flows do not know: its place below `traffic`, and what it is.
    pub fn only_exact(&self) -> Option<(String, &'static str)> {
        let manner = |retries: bool, hedge: bool, breaker: bool| match (retries, hedge, breaker) {
            (true, ..) => Some(("retries", "retries")),
            (_, true, _) => Some(("hedgeAfter", "hedging")),
            (.., true) => Some(("circuitBreaker", "circuit breakers")),
            _ => None,
        };
        let clients = self.clients.iter().enumerate().filter_map(|(at, client)| {
            let kept = client.connections.map(|_| ("connections", "connections that stay open"));
            let kept = kept.or(client.ingress.as_ref().map(|_| ("ingress", "ingress controllers")));
            let found =
                manner(client.retries.is_some(), client.hedge_after.is_some(), client.circuit_breaker.is_some())
                    .or(kept);
            let traced = matches!(client.arrivals, Some(Arrivals::Trace(_)));
            let found = found.or(traced.then_some(("arrivals.trace", "recorded instants")));
            found.map(|(field, what)| (format!("clients[{at}].{field}"), what))
        });
        let calls = |(at, server): (usize, &Server)| {
            let memory =
                (server.memory_per_request.0.whole() > 0).then_some(("memoryPerRequest", "memory of requests"));
            let calls = (!server.calls.is_empty()).then_some(("calls", "calls between services"));
            calls.or(memory).map(|(field, what)| (format!("servers[{at}].{field}"), what))
        };
        let counted = matches!(self.proxy.scheduler, IpvsScheduler::Lc | IpvsScheduler::Sed | IpvsScheduler::Nq);
        let scheduler = (self.proxy.mode == ProxyMode::Ipvs && counted)
            .then(|| ("proxy.scheduler".to_string(), "schedulers that count connections"));
        scheduler.or_else(|| clients.chain(self.servers.iter().enumerate().filter_map(calls)).next())
    }
}

/// kube-proxy (`pkg/proxy/apis/config/types.go`).
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Proxy {
    /// How it programs the node.
    pub mode: ProxyMode,
    /// How ipvs chooses.
    pub scheduler: IpvsScheduler,
    /// From the start of one sync to the next, at least (`minSyncPeriod`).
    pub min_sync_period: Duration,
    /// How long one sync takes.
    pub sync_time: Distribution<Duration>,
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy {
            mode: ProxyMode::Iptables,
            scheduler: IpvsScheduler::Rr,
            min_sync_period: Duration::secs(1),
            sync_time: Distribution::Constant(Duration::millis(30)),
        }
    }
}

/// Names (CoreDNS). A headless service has no address of its own: its name stands for the addresses of its ready pods,
/// and who resolved it once uses what was found until that is too old.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Dns {
    /// How long an answer is used. kubeadm's CoreDNS says 30s.
    pub ttl: Duration,
    /// How long it is believed that a name has no addresses. CoreDNS says 5s.
    pub negative_ttl: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Dns { ttl: Duration::secs(30), negative_ttl: Duration::secs(5) }
    }
}

/// Load balancers outside, in front of services of type LoadBalancer.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LoadBalancer {
    /// How often a node is asked whether it is well.
    pub health_check_period: Duration,
    /// After so many failed checks in a row it gets nothing any more.
    pub unhealthy_threshold: u32,
}

impl Default for LoadBalancer {
    fn default() -> Self {
        LoadBalancer { health_check_period: Duration::secs(10), unhealthy_threshold: 2 }
    }
}

/// One-way latencies.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Distances {
    /// Within a node.
    pub same_node: Distribution<Duration>,
    /// Within a zone.
    pub same_zone: Distribution<Duration>,
    /// Between zones.
    pub other_zone: Distribution<Duration>,
    /// Between a client outside and the node where its packets come in.
    pub outside: Distribution<Duration>,
}

impl Default for Distances {
    fn default() -> Self {
        let micros = |n: i64| Distribution::Constant(Duration(crate::time::SimDuration::from_micros(n)));
        Distances { same_node: micros(50), same_zone: micros(250), other_zone: micros(800), outside: micros(10_000) }
    }
}

/// How the pods of one service work on requests.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Server {
    /// The service.
    pub service: String,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// How long a request takes that has as much of a processor as it can use. Default 10ms.
    #[serde(default = "default_service_time")]
    pub service_time: Distribution<Duration>,
    /// The share of that time in which it needs a processor; in the rest it waits for something else. Where the
    /// requests at work need more than the container's limit (or node), all of them take longer.
    #[serde(default = "one")]
    pub cpu_share: Factor,
    /// Requests worked on at once in one pod. Default 100.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
    /// Requests that wait in one pod at most; further ones are refused as overload. Default 1000.
    #[serde(default = "default_queue")]
    pub queue: u32,
    /// Memory that each request takes while it is in the pod.
    #[serde(default)]
    pub memory_per_request: Quantity,
    /// The share of requests that are answered with an error.
    #[serde(default)]
    pub error_rate: Factor,
    /// What the process does on SIGTERM.
    #[serde(default)]
    pub shutdown: Shutdown,
    /// A process that has just begun to listen is slow: caches are cold, code is not compiled.
    #[serde(default)]
    pub slow_start: Option<SlowStart>,
    /// Services that it asks itself, after its own work and before it answers. The request keeps its place among those
    /// worked on, but needs no processor meanwhile.
    #[serde(default)]
    pub calls: Vec<Downstream>,
    /// Whether it asks all of them at once instead of one after the other.
    #[serde(default)]
    pub parallel_calls: bool,
}

/// How slow a process is at first.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowStart {
    /// How many times as long a request takes in the first moment.
    pub factor: Factor,
    /// After this long it is as fast as ever; in between it gets faster evenly.
    pub over: Duration,
}

fn default_namespace() -> String {
    "default".to_string()
}
fn default_service_time() -> Distribution<Duration> {
    Distribution::Constant(Duration::millis(10))
}
fn one() -> Factor {
    Factor(1.0)
}
fn default_concurrency() -> u32 {
    100
}
fn default_queue() -> u32 {
    1000
}

impl Default for Server {
    fn default() -> Self {
        Server {
            service: String::new(),
            namespace: default_namespace(),
            service_time: default_service_time(),
            cpu_share: one(),
            concurrency: default_concurrency(),
            queue: default_queue(),
            memory_per_request: Quantity::default(),
            error_rate: Factor(0.0),
            shutdown: Shutdown::default(),
            slow_start: None,
            calls: Vec::new(),
            parallel_calls: false,
        }
    }
}

/// What a server does when it gets SIGTERM. When it ends is a matter of `behavior.terminationTime`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Shutdown {
    /// It refuses new connections and answers what it has until it ends.
    #[default]
    Graceful,
    /// It drops everything at once.
    Abrupt,
    /// It goes on as before until it ends.
    Ignored,
}

/// Someone who asks a service.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Client {
    /// A name for reports.
    pub name: String,
    /// The service; absent with `ingress`.
    #[serde(default)]
    pub service: String,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// It asks from outside for a host and a path, and the rules of Ingresses say which service that is.
    #[serde(default)]
    pub ingress: Option<IngressTarget>,
    /// The name of the service's port, where it has several; the first if absent.
    #[serde(default)]
    pub port: Option<String>,
    /// Where requests come from.
    #[serde(default)]
    pub from: From,
    /// Different clients behind this entry, each with an address of its own: for session affinity and hashing.
    #[serde(default = "default_sources")]
    pub sources: u32,
    /// When requests come: an open loop, in which nobody waits for answers.
    #[serde(default)]
    pub arrivals: Option<Arrivals>,
    /// Users who wait for an answer and think before they ask again: a closed loop.
    #[serde(default)]
    pub users: Option<Users>,
    /// How long one attempt may take. Default 10s.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// How long it waits for a connection. Default 1s.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Duration,
    /// Whether and how a failed request is tried again. Absent: it is not.
    #[serde(default)]
    pub retries: Option<Retries>,
    /// After this long without an answer the request is sent once more; the first answer counts.
    #[serde(default)]
    pub hedge_after: Option<Duration>,
    /// When it stops asking for a while. Absent: it does not.
    #[serde(default)]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// Connections that stay open and stay with the pod that they were opened to. Absent: every request has its own.
    #[serde(default)]
    pub connections: Option<Connections>,
    /// When it begins to ask. Default: from the start.
    #[serde(default)]
    pub start: Duration,
    /// When it stops. Default: never.
    #[serde(default)]
    pub end: Option<Duration>,
}

/// A host and a path behind an ingress controller.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressTarget {
    /// The host.
    pub host: String,
    /// The path. Default `/`.
    #[serde(default = "default_path")]
    pub path: String,
}

fn default_path() -> String {
    "/".to_string()
}
fn default_sources() -> u32 {
    1
}
fn default_timeout() -> Duration {
    Duration::secs(10)
}
fn default_connect_timeout() -> Duration {
    Duration::secs(1)
}

/// How failed requests are tried again.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// Before the second attempt; each further one waits twice as long. Half of it is drawn at random. Default 100ms.
    #[serde(default = "default_backoff")]
    pub backoff: Duration,
    /// It waits no longer than this. Default 10s.
    #[serde(default = "default_timeout")]
    pub max_backoff: Duration,
    /// Retries that each request pays for: 0.1 allows one retry for ten requests. Absent: as many as there are.
    #[serde(default)]
    pub budget: Option<Factor>,
}

fn default_backoff() -> Duration {
    Duration::millis(100)
}

/// Not asking someone who does not answer.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CircuitBreaker {
    /// Failed attempts in a row that open it.
    pub failures: u32,
    /// How long nothing is asked; then one attempt decides. Default 10s.
    #[serde(default = "default_timeout")]
    pub open_for: Duration,
}

/// Connections that stay open.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connections {
    /// How many; requests use them in turn.
    pub count: u32,
    /// A connection older than this is opened anew. Absent: never.
    #[serde(default)]
    pub max_age: Option<Duration>,
}

/// A request that a server makes to another service before it answers.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Downstream {
    /// The service.
    pub service: String,
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The share of requests that need it. Default: all.
    #[serde(default = "one")]
    pub probability: Factor,
    /// Whether the answer is good without it.
    #[serde(default)]
    pub optional: bool,
    /// How long one attempt may take. Default 10s.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// How long it waits for a connection. Default 1s.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Duration,
    /// Whether and how a failed request is tried again. Absent: it is not.
    #[serde(default)]
    pub retries: Option<Retries>,
    /// After this long without an answer the request is sent once more; the first answer counts.
    #[serde(default)]
    pub hedge_after: Option<Duration>,
    /// When it stops asking for a while: one breaker for all pods of the server. Absent: it does not.
    #[serde(default)]
    pub circuit_breaker: Option<CircuitBreaker>,
}

/// Where requests come from.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum From {
    /// From outside through the load balancer or a node port, as the service's type says; for a service without
    /// either, as with `cluster`.
    #[default]
    Outside,
    /// From the nodes of the cluster in turn, as pods spread over all of them would.
    Cluster,
    /// From the pods that match.
    Pods(Selector),
}

/// Users who wait for their answers.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Users {
    /// How many.
    pub count: u32,
    /// From an answer to the next request.
    pub think_time: Distribution<Duration>,
}
