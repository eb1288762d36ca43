//! What types cannot say of traffic: that services exist, that rates and shares make sense, that clients differ.

use super::arrivals::{Arrivals, Rate};
use super::traffic::{CircuitBreaker, Client, From, Mode, Retries, Server, Traffic};
use super::units::Duration;
use super::{Scenario, faults};
use crate::error::Problem;
use crate::wire::places::Places;
use crate::wire::typed::suggestion;
use std::collections::BTreeMap;

struct Checker<'a> {
    traffic: &'a Traffic,
    places: &'a Places,
    problems: Vec<Problem>,
}

/// What can be checked without the manifests.
pub fn problems(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let Some(traffic) = &scenario.traffic else { return Vec::new() };
    let mut checker = Checker { traffic, places, problems: Vec::new() };
    checker.clients();
    checker.servers();
    checker.mode();
    if traffic.mode == Mode::Fluid && faults::of_network(scenario) {
        let help = "leave `mode` out, or write mode: exact";
        checker.add("traffic.mode", "flows (`mode: fluid`) do not know faults of the network", help);
    }
    checker.problems
}

/// Services that are named and not there; `known` are the manifests' services as `(namespace, name)`.
pub fn references(scenario: &Scenario, places: &Places, known: &[(String, String)]) -> Vec<Problem> {
    let Some(traffic) = &scenario.traffic else { return Vec::new() };
    let mut checker = Checker { traffic, places, problems: Vec::new() };
    for (index, client) in traffic.clients.iter().enumerate() {
        match &client.ingress {
            None => {
                let path = format!("traffic.clients[{index}].service");
                checker.service(&path, (&client.namespace, &client.service), known);
            }
            Some(_) if traffic.behind_ingresses.is_empty() => {
                let path = format!("traffic.clients[{index}].ingress");
                checker.add(&path, "no Ingress in the manifests has a backend", "add an Ingress and its IngressClass");
            }
            Some(_) => {}
        }
    }
    for (index, server) in traffic.servers.iter().enumerate() {
        checker.service(&format!("traffic.servers[{index}].service"), (&server.namespace, &server.service), known);
        for (at, call) in server.calls.iter().enumerate() {
            let path = format!("traffic.servers[{index}].calls[{at}].service");
            checker.service(&path, (&call.namespace, &call.service), known);
        }
    }
    checker.circles();
    checker.problems
}

impl Checker<'_> {
    fn add(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.places.problem(path, message, help));
    }

    fn service(&mut self, path: &str, (namespace, name): (&str, &str), known: &[(String, String)]) {
        if known.iter().any(|(ns, service)| ns == namespace && service == name) {
            return;
        }
        match known.iter().find(|(_, service)| service == name) {
            Some((elsewhere, _)) => {
                let message = format!("service {name:?} is not in namespace {namespace:?} but in {elsewhere:?}");
                self.add(path, message, format!("add namespace: {elsewhere}"));
            }
            None => {
                let names: Vec<&str> = known.iter().map(|(_, service)| service.as_str()).collect();
                let help = suggestion(name, &names, "the services of the manifests are");
                self.add(path, format!("no service {name:?} in the manifests"), help);
            }
        }
    }

    /// Services that ask each other in a circle would never be done.
    fn circles(&mut self) {
        let servers = &self.traffic.servers;
        let asks = |from: usize| {
            let called = servers[from].calls.iter().map(|call| (&call.namespace, &call.service));
            called.filter_map(|key| servers.iter().position(|one| (&one.namespace, &one.service) == key))
        };
        for start in 0..servers.len() {
            let (mut seen, mut next) = (vec![false; servers.len()], vec![start]);
            while let Some(at) = next.pop() {
                for called in asks(at) {
                    if !std::mem::replace(&mut seen[called], true) {
                        next.push(called);
                    }
                }
            }
            if seen[start] {
                let message = format!("{:?} comes to ask itself", servers[start].service);
                return self.add(&format!("traffic.servers[{start}].calls"), message, "break the circle of calls");
            }
        }
    }

    fn mode(&mut self) {
        if let (Mode::Fluid, Some((place, what))) = (self.traffic.mode, self.traffic.only_exact()) {
            let help = "leave `mode` out, or write mode: exact";
            self.add(&format!("traffic.{place}"), format!("flows (`mode: fluid`) do not know {what}"), help);
        }
    }

    fn clients(&mut self) {
        let mut names = BTreeMap::new();
        if self.traffic.clients.is_empty() {
            self.add("traffic", "nobody asks anything", "add a client under `clients`");
        }
        for (index, client) in self.traffic.clients.iter().enumerate() {
            let path = format!("traffic.clients[{index}]");
            if let Some(first) = names.insert(client.name.as_str(), path.clone()) {
                let message = format!("two clients are called {:?}", client.name);
                self.add(&format!("{path}.name"), message, format!("the other is {first}; rename one"));
            }
            self.client(&path, client);
        }
    }

    fn client(&mut self, path: &str, client: &Client) {
        match (&client.ingress, client.service.is_empty()) {
            (None, true) => {
                self.add(path, "a client needs someone to ask", "write service: NAME or ingress: {host: NAME}")
            }
            (Some(_), false) => {
                let help = "keep `service` to ask it directly, `ingress` to ask through an ingress controller";
                self.add(&format!("{path}.ingress"), "both `service` and `ingress` are given", help);
            }
            (Some(_), true) if client.from != From::Outside => {
                self.add(&format!("{path}.from"), "an ingress is asked from outside", "remove `from`");
            }
            (Some(target), true) if !target.path.starts_with('/') => {
                self.add(&format!("{path}.ingress.path"), "a path begins with /", format!("write /{}", target.path));
            }
            _ => {}
        }
        match (&client.arrivals, &client.users) {
            (None, None) => self.add(
                path,
                "a client needs a loop",
                "write arrivals: {poisson: 100/s} or users: {count: 10, thinkTime: 1s}",
            ),
            (Some(_), Some(_)) => {
                let help = "keep arrivals for an open loop, users for a closed one; make two clients for both";
                self.add(path, "both `arrivals` and `users` are given", help);
            }
            (Some(arrivals), None) => self.arrivals(&format!("{path}.arrivals"), arrivals),
            (None, Some(users)) if users.count == 0 => {
                self.add(&format!("{path}.users.count"), "no users", "write a number from 1 on");
            }
            (None, Some(_)) => {}
        }
        for (field, time) in [("timeout", client.timeout), ("connectTimeout", client.connect_timeout)] {
            if time.0.0 <= 0 {
                self.add(&format!("{path}.{field}"), "it must be positive", "write a time such as 1s");
            }
        }
        self.manner(path, (client.retries, client.hedge_after, client.circuit_breaker));
        if client.connections.is_some_and(|connections| !(1..=100_000).contains(&connections.count)) {
            self.add(
                &format!("{path}.connections.count"),
                "connections are 1 to 100000",
                "write a number in that range",
            );
        }
        if client.end.is_some_and(|end| end <= client.start) {
            self.add(&format!("{path}.end"), "the client ends before it begins", "write an end after `start`");
        }
        if !(1..=65_536).contains(&client.sources) {
            self.add(&format!("{path}.sources"), "sources are 1 to 65536", "write a number in that range");
        }
    }

    fn manner(
        &mut self,
        path: &str,
        (retries, hedge, breaker): (Option<Retries>, Option<Duration>, Option<CircuitBreaker>),
    ) {
        if retries.is_some_and(|retries| !(1..=100).contains(&retries.attempts)) {
            let help = "write all attempts, the first one included: 3 tries twice again";
            self.add(&format!("{path}.retries.attempts"), "attempts are 1 to 100", help);
        }
        if let Some(after) = hedge {
            self.positive(&format!("{path}.hedgeAfter"), after);
        }
        if breaker.is_some_and(|breaker| breaker.failures == 0) {
            self.add(&format!("{path}.circuitBreaker.failures"), "it would always be open", "write a number from 1 on");
        }
    }

    fn arrivals(&mut self, path: &str, arrivals: &Arrivals) {
        let highest = match arrivals {
            Arrivals::Constant(rate) | Arrivals::Poisson(rate) => *rate,
            Arrivals::Bursty(bursty) => {
                for (field, time) in [("lowTime", bursty.low_time), ("highTime", bursty.high_time)] {
                    self.positive(&format!("{path}.bursty.{field}"), time);
                }
                Rate(bursty.low.0.max(bursty.high.0))
            }
            Arrivals::Diurnal(diurnal) => {
                self.positive(&format!("{path}.diurnal.period"), diurnal.period);
                self.share(&format!("{path}.diurnal.amplitude"), diurnal.amplitude.0);
                Rate(diurnal.mean.0 * (1.0 + diurnal.amplitude.0))
            }
            Arrivals::Steps(steps) => {
                if steps.windows(2).any(|pair| pair[0].at >= pair[1].at) {
                    self.add(&format!("{path}.steps"), "steps are not in order of time", "write earlier steps first");
                }
                steps.iter().map(|step| step.rate).fold(Rate(0.0), |most, rate| if rate > most { rate } else { most })
            }
            Arrivals::Replay(replay) => {
                self.positive(&format!("{path}.replay.interval"), replay.interval);
                // The numbers are not read yet.
                return;
            }
            Arrivals::Trace(trace) => {
                if trace.speed.0 <= 0.0 {
                    self.add(&format!("{path}.trace.speed"), "it must be positive", "write a number such as 1");
                }
                return;
            }
            Arrivals::Ramp(ramp) => {
                self.positive(&format!("{path}.ramp.over"), ramp.over);
                Rate(ramp.from.0.max(ramp.to.0))
            }
        };
        if highest.0 <= 0.0 {
            self.add(path, "the rate is zero", "write a rate such as 100/s");
        } else if highest.0 > RATE_MAX {
            let message =
                format!("{} requests a second are more than the {RATE_MAX} that one client may send", highest.0);
            self.add(path, message, "lower the rate, or spread it over several clients");
        }
    }

    fn positive(&mut self, path: &str, time: Duration) {
        if time.0.0 <= 0 {
            self.add(path, "it must be positive", "write a time such as 1m");
        }
    }

    fn share(&mut self, path: &str, share: f64) {
        if !(0.0..=1.0).contains(&share) {
            self.add(path, format!("{share} is no share"), "write a number from 0 to 1");
        }
    }

    fn servers(&mut self) {
        let mut named = BTreeMap::new();
        for (index, server) in self.traffic.servers.iter().enumerate() {
            let path = format!("traffic.servers[{index}]");
            let Server { namespace, service, .. } = server;
            if let Some(first) = named.insert((namespace, service), path.clone()) {
                let help = format!("the other is {first}; keep one");
                self.add(&format!("{path}.service"), format!("service {service:?} is described twice"), help);
            }
            if server.concurrency == 0 {
                self.add(&format!("{path}.concurrency"), "a server that works on nothing", "write a number from 1 on");
            }
            for (at, call) in server.calls.iter().enumerate() {
                let path = format!("{path}.calls[{at}]");
                self.share(&format!("{path}.probability"), call.probability.0);
                self.manner(&path, (call.retries, call.hedge_after, call.circuit_breaker));
            }
            if let Some(slow) = server.slow_start.filter(|slow| slow.factor.0 < 1.0) {
                let message = format!("a factor of {} makes it fast", slow.factor.0);
                self.add(&format!("{path}.slowStart.factor"), message, "write a number from 1 on, such as 3");
            }
            self.share(&format!("{path}.cpuShare"), server.cpu_share.0);
            self.share(&format!("{path}.errorRate"), server.error_rate.0);
        }
    }
}

/// Requests a second of one client: more than any of its events could tell apart.
const RATE_MAX: f64 = 1e8;
