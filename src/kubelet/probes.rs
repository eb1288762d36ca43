//! Startup, liveness and readiness probes (`pkg/kubelet/prober/worker.go`, `prober_manager.go`).
//!
//! Every probe has a ticker. An attempt is made at each tick while its answer can still matter; once a
//! container answers well and the result says so, nothing can change and the ticker is let go.

use crate::model::pod_spec::ProbeHandler;
use crate::model::{Container, Probe};
use crate::time::{SimDuration, SimTime};

/// Which probe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ProbeKind {
    /// Holds the others back until it succeeds.
    Startup,
    /// Its failure kills the container.
    Liveness,
    /// Its result is the container's readiness.
    Readiness,
}

impl ProbeKind {
    /// As events name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
        }
    }
}

/// One probe of one running container.
#[derive(Clone, Debug, Default)]
struct Ticker {
    anchor: SimTime,
    next: Option<SimTime>,
    good: u32,
    bad: u32,
    /// Further attempts change nothing: only an eager run makes them.
    settled: bool,
}

/// The probes of one run of a container.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    tickers: [Ticker; 3],
    /// The startup probe succeeded, or there is none.
    pub started: bool,
    /// The readiness probe's result; true without one, once started.
    pub ready: bool,
    container_started: SimTime,
}

/// What an attempt did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Whether the container answered well.
    pub good: bool,
    /// Whether the result changed: for startup and liveness a bad one kills.
    pub changed: bool,
}

fn spec(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => container.startup.as_ref(),
        ProbeKind::Liveness => container.liveness.as_ref(),
        ProbeKind::Readiness => container.readiness.as_ref(),
    }
}

/// The first tick of a ticker at or after `from`.
fn tick_from(anchor: SimTime, period: SimDuration, from: SimTime) -> SimTime {
    let period = period.0.max(1);
    let ticks = ((from - anchor).0.max(0) + period - 1) / period;
    anchor + SimDuration(ticks * period)
}

impl Probes {
    /// The probes of a container that started at `started` and was seen running at `now`. The workers'
    /// tickers run since `anchors` (startup, liveness): they are made with the pod, not the container.
    pub fn begin(container: &Container, started: SimTime, now: SimTime, anchors: [SimTime; 2]) -> Self {
        let mut probes = Probes { container_started: started, ..Probes::default() };
        probes.tickers[0].anchor = anchors[0];
        probes.tickers[1].anchor = anchors[1];
        match &container.startup {
            Some(probe) => {
                let from = now.max(started + probe.initial_delay);
                probes.tickers[0].next = Some(tick_from(anchors[0], probe.period, from));
            }
            None => probes.open(container, now),
        }
        probes
    }

    /// The container has started: liveness and readiness are asked from now on. The status that says so
    /// triggers the readiness probe at once and resets its ticker.
    fn open(&mut self, container: &Container, now: SimTime) {
        self.started = true;
        self.ready = container.readiness.is_none();
        if let Some(probe) = &container.liveness {
            let from = now.max(self.container_started + probe.initial_delay);
            self.tickers[1].next = Some(tick_from(self.tickers[1].anchor, probe.period, from));
        }
        if let Some(probe) = &container.readiness {
            let from = now.max(self.container_started + probe.initial_delay);
            self.tickers[2].anchor = now;
            self.tickers[2].next = Some(tick_from(now, probe.period, from));
        }
    }

    /// The next attempt; with `all` also one that can change nothing.
    pub fn next(&self, all: bool) -> Option<(SimTime, ProbeKind)> {
        let kinds = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];
        let counted = self.tickers.iter().zip(kinds).filter(|(ticker, _)| all || !ticker.settled);
        counted.filter_map(|(ticker, kind)| Some((ticker.next?, kind))).min()
    }

    /// No more startup and liveness probes: the container is being stopped.
    pub fn stop(&mut self) {
        self.tickers[0].next = None;
        self.tickers[1].next = None;
    }

    /// Makes an attempt at `now`, which the container answers well or not. `eager` keeps the ticker going
    /// when nothing can change any more.
    pub fn attempt(
        &mut self,
        container: &Container,
        kind: ProbeKind,
        now: SimTime,
        good: bool,
        eager: bool,
    ) -> Attempt {
        let probe = spec(container, kind).expect("only a probe that exists has a ticker");
        let ticker = &mut self.tickers[kind as usize];
        ticker.next = Some(now + probe.period);
        if good {
            ticker.good = ticker.good.saturating_add(1);
            ticker.bad = 0;
        } else {
            ticker.bad = ticker.bad.saturating_add(1);
            ticker.good = 0;
        }
        let reached = if good { ticker.good >= probe.success_threshold } else { ticker.bad >= probe.failure_threshold };
        let changed = reached
            && match kind {
                ProbeKind::Startup => true,
                ProbeKind::Liveness => !good,
                ProbeKind::Readiness => self.ready != good,
            };
        ticker.settled = good && reached;
        let settled = ticker.settled && !eager;
        let over = changed && kind != ProbeKind::Readiness && (kind == ProbeKind::Startup || !good);
        if settled || over {
            ticker.next = None;
        }
        match kind {
            ProbeKind::Readiness if changed => self.ready = good,
            ProbeKind::Startup if changed && good => self.open(container, now),
            _ => {}
        }
        Attempt { good, changed }
    }
}

/// The event text of an attempt that failed.
pub fn failure_message(kind: ProbeKind, handler: ProbeHandler, address: &str) -> String {
    let output = match handler {
        ProbeHandler::Exec => String::new(),
        ProbeHandler::Http => "HTTP probe failed with statuscode: 503".to_string(),
        ProbeHandler::Tcp => format!("dial tcp {address}: connect: connection refused"),
        ProbeHandler::Grpc => "service unhealthy (responded with \"NOT_SERVING\")".to_string(),
    };
    format!("{} probe failed: {output}", kind.as_str())
}

/// How a probe of that kind asks.
pub fn handler(container: &Container, kind: ProbeKind) -> ProbeHandler {
    spec(container, kind).map_or(ProbeHandler::Exec, |probe| probe.handler)
}

/// The grace period of the kill that a probe causes, if it has its own.
pub fn own_grace(container: &Container, kind: ProbeKind) -> Option<i64> {
    spec(container, kind).and_then(|probe| probe.termination_grace_seconds)
}

/// A probe's period.
pub fn period(container: &Container, kind: ProbeKind) -> Option<SimDuration> {
    spec(container, kind).map(|probe| probe.period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::builder;

    fn probe(initial: i64, period: i64, success: u32, failure: u32) -> Probe {
        Probe {
            handler: ProbeHandler::Http,
            initial_delay: SimDuration::from_secs(initial),
            period: SimDuration::from_secs(period),
            timeout: SimDuration::from_secs(1),
            success_threshold: success,
            failure_threshold: failure,
            termination_grace_seconds: None,
        }
    }

    /// Attempts in seconds until `end`, with `*` where the result changed, for a container that started and
    /// was seen at 10 s, serves from `serves` on, and whose pod's tickers run since 7 s.
    fn history(container: &Container, serves: i64, end: i64, eager: bool) -> Vec<String> {
        let second = SimTime::from_secs;
        let mut probes = Probes::begin(container, second(10), second(10), [second(7); 2]);
        let mut lines = Vec::new();
        while let Some((at, kind)) = probes.next(true).filter(|(at, _)| *at <= second(end)) {
            let good = at >= second(serves);
            let attempt = probes.attempt(container, kind, at, good, eager);
            let mark = if attempt.changed { "*" } else { "" };
            lines.push(format!("{}{}{}{mark}", &kind.as_str()[..1], at.whole_seconds(), if good { "+" } else { "-" }));
            if attempt.changed && !good && kind != ProbeKind::Readiness {
                probes.stop();
            }
        }
        lines
    }

    #[test]
    fn attempts_at_upstreams_instants() {
        let none = builder::spec("i", 1, 1).containers.remove(0);
        let ready = |p: Probe| Container { readiness: Some(p), ..none.clone() };
        let live = |p: Probe| Container { liveness: Some(p), ..none.clone() };
        // Readiness: at once, then every period from there.
        assert_eq!(history(&ready(probe(0, 5, 1, 3)), 18, 99, false), ["R10-", "R15-", "R20+*"]);
        // Skipped until 12 s have passed: 10 + 12 = 22, next tick of 10, 15, 20, 25. Two successes.
        assert_eq!(history(&ready(probe(12, 5, 2, 3)), 0, 99, false), ["R25+", "R30+*"]);
        // Liveness ticks since 7 s: 12, 17, 22; the third failure kills.
        assert_eq!(history(&live(probe(0, 5, 1, 3)), 90, 99, false), ["L12-", "L17-", "L22-*"]);
        assert_eq!(history(&live(probe(0, 5, 1, 3)), 13, 99, false), ["L12-", "L17+"]);
        // Startup first, then readiness at the same instant.
        let both = Container { startup: Some(probe(0, 2, 1, 30)), ..ready(probe(0, 5, 1, 3)) };
        assert_eq!(history(&both, 14, 99, false), ["S11-", "S13-", "S15+*", "R15+*"]);
        // A startup probe that fails too often.
        let slow = Container { startup: Some(probe(0, 2, 1, 3)), ..none.clone() };
        assert_eq!(history(&slow, 50, 99, false), ["S11-", "S13-", "S15-*"]);
        // Eager: it goes on ticking, and nothing changes.
        assert_eq!(history(&ready(probe(0, 5, 1, 3)), 0, 20, true), ["R10+*", "R15+", "R20+"]);
    }
}
