//! Startup, liveness and readiness probes (`pkg/kubelet/prober/worker.go`, `prober_manager.go`).
//!
//! Every probe has a ticker. An attempt is made at each tick while its answer can still matter; once a
//! container answers well and the result says so, nothing can change and the ticker is let go.

use super::instance::Answer;
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
    /// The tick at which it would be asked next, were it not let go.
    let_go: Option<SimTime>,
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

const KINDS: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];

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

    /// The next attempt of a kubelet that works since then; with `all` also one that can change nothing. What it missed
    /// is due together: which was missed first tells only a ticker that was not let go.
    pub fn next(&self, since: SimTime, all: bool) -> Option<(SimTime, ProbeKind)> {
        let counted = self.tickers.iter().zip(KINDS).filter(|(ticker, _)| all || !ticker.settled);
        counted.filter_map(|(ticker, kind)| Some((ticker.next?.max(since), kind))).min()
    }

    /// Something happens to the container at `now`: probes that nobody was waiting for can answer otherwise. One that
    /// was due at that very instant came first.
    pub fn unsettle(&mut self, container: &Container, now: SimTime) {
        for (ticker, kind) in self.tickers.iter_mut().zip(KINDS) {
            if let (Some(at), Some(probe)) = (ticker.let_go.take(), spec(container, kind)) {
                ticker.next = Some(tick_from(at, probe.period, now + SimDuration(1)));
            }
            ticker.settled = false;
        }
    }

    /// The kubelet did not work from `from` to `to`: what it would have asked meanwhile it asks then.
    pub fn paused(&mut self, container: &Container, from: SimTime, to: SimTime) {
        for (ticker, kind) in self.tickers.iter_mut().zip(KINDS) {
            if let (Some(at), Some(probe)) = (ticker.let_go, spec(container, kind)) {
                let missed = tick_from(at, probe.period, from);
                ticker.let_go = Some(if missed <= to { to } else { missed });
            }
        }
    }

    /// No more startup and liveness probes: the container is being stopped.
    pub fn stop(&mut self) {
        for ticker in &mut self.tickers[..2] {
            (ticker.next, ticker.let_go) = (None, None);
        }
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
        ticker.let_go = None;
        let settled = ticker.settled && !eager;
        let over = changed && kind != ProbeKind::Readiness && (kind == ProbeKind::Startup || !good);
        if settled && !over {
            ticker.let_go = ticker.next;
        }
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
pub fn failure_message(kind: ProbeKind, container: &Container, answer: Answer, address: &str) -> String {
    let probe = spec(container, kind).expect("only a probe that exists fails");
    let target = probe.target.replacen("{}", address, 1);
    let late = answer == Answer::Late;
    let output = match probe.handler {
        ProbeHandler::Exec if late => format!("command {target:?} timed out"),
        ProbeHandler::Exec => String::new(),
        ProbeHandler::Http if late => {
            format!("Get {target:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        }
        ProbeHandler::Http => "HTTP probe failed with statuscode: 503".to_string(),
        ProbeHandler::Tcp => format!("dial tcp {target}: connect: connection refused"),
        ProbeHandler::Grpc if late => format!("timeout: health rpc did not complete within {}", probe.timeout),
        ProbeHandler::Grpc => "service unhealthy (responded with \"NOT_SERVING\")".to_string(),
    };
    format!("{} probe failed: {output}", kind.as_str())
}

/// How long an attempt may take. The kernel takes TCP connections for a process that does nothing: they never come
/// too late.
pub fn timeout(container: &Container, kind: ProbeKind) -> SimDuration {
    let patient = SimDuration(i64::MAX);
    spec(container, kind).filter(|probe| probe.handler != ProbeHandler::Tcp).map_or(patient, |probe| probe.timeout)
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
            target: crate::name!("http://{}:8080/"),
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
        while let Some((at, kind)) = probes.next(SimTime::ZERO, true).filter(|(at, _)| *at <= second(end)) {
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
