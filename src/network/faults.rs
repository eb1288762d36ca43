//! What goes wrong between two nodes, between two services, and with names: faults as packets meet them.
//!
//! A worked example: half of the packets of `n-1` are lost. A client there opens a connection: its SYN is lost, and the
//! second, a second later, as well; the third arrives after 3 s, its answer does, too. The request is lost once, which
//! TCP sees after 200 ms. The answer to the client is 3.2 s late, and a client that waits two seconds for a connection
//! never sees it.

use crate::model::core::Incident;
use crate::model::fault::{Cut, Link, Side};
use crate::model::{Effect, Labels, Name};
use crate::rng::Stream;
use crate::time::SimDuration;

/// The first wait for the answer to a SYN (RFC 6298, 2: one second), doubled each time.
const SYN_TIMEOUT: SimDuration = SimDuration::from_secs(1);
/// The least wait for an acknowledgement (Linux, `TCP_RTO_MIN`), doubled each time.
const SEGMENT_TIMEOUT: SimDuration = SimDuration::from_millis(200);
/// Linux sends a SYN seven times in all (`tcp_syn_retries`); a segment more often than anybody waits.
const MOST_TRIES: u32 = 7;

/// One end of a packet's way.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The node's name.
    pub node: &'a Name,
    /// Its zone.
    pub zone: &'a Name,
    /// Namespace and labels of the pod, if it is one that is known.
    pub pod: Option<(&'a Name, &'a Labels)>,
}

/// What becomes of the packets of one exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Way {
    /// Nothing arrives.
    pub cut: bool,
    /// So much later, each way.
    pub latency: SimDuration,
    /// So much later in all, for what had to be sent again.
    pub again: SimDuration,
    /// Of that, until the connection was open.
    pub connecting: SimDuration,
}

/// The faults of the network that are in force.
#[derive(Clone, Debug, Default)]
pub struct NetworkFaults {
    sides: Vec<(Name, Vec<Name>, Name)>,
    links: Vec<(Name, Vec<Name>, Link)>,
    cuts: Vec<(Name, Cut)>,
    no_names: Vec<Name>,
}

impl NetworkFaults {
    /// Takes in an incident: it begins, or is over.
    pub fn change(&mut self, incident: &Incident) {
        let name = &incident.meta.name;
        self.sides.retain(|(had, ..)| had != name);
        self.links.retain(|(had, ..)| had != name);
        self.cuts.retain(|(had, _)| had != name);
        self.no_names.retain(|had| had != name);
        if incident.ended.is_some() {
            return;
        }
        let (name, nodes) = (name.clone(), incident.fault.nodes.clone());
        match &incident.fault.effect {
            Effect::Partition(Side::Zone(zone)) => self.sides.push((name, nodes, zone.clone())),
            Effect::Link(link) => self.links.push((name, nodes, *link)),
            Effect::Cut(cut) => self.cuts.push((name, cut.clone())),
            Effect::NoNames => self.no_names.push(name),
            _ => {}
        }
    }

    /// Whether packets between two places may fare otherwise than ever.
    pub fn any(&self) -> bool {
        !(self.sides.is_empty() && self.links.is_empty() && self.cuts.is_empty())
    }

    /// Whether names are not resolved.
    pub fn no_names(&self) -> bool {
        !self.no_names.is_empty()
    }

    /// The way of an exchange between two ends: a request and its answer, over a connection that is `open` or has to be
    /// opened first.
    pub fn way(&self, from: End<'_>, to: End<'_>, open: bool, stream: &mut Stream) -> Way {
        let mut way = Way::default();
        let apart = from.node != to.node;
        let side = |(_, nodes, zone): &(Name, Vec<Name>, Name)| {
            (nodes.contains(from.node) && to.zone == zone) || (nodes.contains(to.node) && from.zone == zone)
        };
        way.cut = apart && self.sides.iter().any(side) || self.cuts.iter().any(|(_, cut)| cut.parts(from.pod, to.pod));
        let mut arrives = 1.0;
        for (_, nodes, link) in &self.links {
            if !apart || !(nodes.contains(from.node) || nodes.contains(to.node)) {
                continue;
            }
            way.latency += link.latency;
            if link.jitter.0 > 0 {
                way.latency += SimDuration(stream.below(link.jitter.0.unsigned_abs() + 1) as i64);
            }
            arrives *= 1.0 - f64::from(link.loss) / 1e6;
        }
        if arrives < 1.0 && !way.cut {
            if !open {
                // Both the SYN and its answer have to arrive.
                match sent_again(arrives * arrives, SYN_TIMEOUT, stream) {
                    Some(time) => way.connecting = time,
                    None => way.cut = true,
                }
            }
            for _ in 0..2 {
                way.again += sent_again(arrives, SEGMENT_TIMEOUT, stream).unwrap_or(SimDuration(i64::MAX / 8));
            }
            way.again += way.connecting;
        }
        way
    }
}

impl Cut {
    /// Whether it parts these two, whoever of them asks.
    fn parts(&self, a: Option<(&Name, &Labels)>, b: Option<(&Name, &Labels)>) -> bool {
        let is = |end: Option<(&Name, &Labels)>, labels: &Labels| {
            end.is_some_and(|(namespace, have)| *namespace == self.namespace && labels.subset_of(have))
        };
        let one_way = |a, b| is(a, &self.pods) && self.from.as_ref().is_none_or(|from| is(b, from));
        one_way(a, b) || one_way(b, a)
    }
}

/// How long it takes until something arrives that is sent again after `first`, then after twice that, and so on; `None`
/// if it never does.
fn sent_again(arrives: f64, first: SimDuration, stream: &mut Stream) -> Option<SimDuration> {
    let (mut time, mut wait) = (SimDuration::ZERO, first);
    for _ in 0..MOST_TRIES {
        if stream.unit() < arrives {
            return Some(time);
        }
        time += wait;
        wait += wait;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fault, Meta};
    use crate::rng::Seed;
    use crate::time::SimTime;

    fn faults(nodes: &[&str], effect: Effect) -> NetworkFaults {
        let fault = Fault {
            kind: "test",
            nodes: nodes.iter().map(|one| Name::from(*one)).collect(),
            effect,
            ..Fault::default()
        };
        let (meta, started) = (Meta::named("", "incident-0"), SimTime::ZERO);
        let incident = Incident { meta, fault, description: Name::new(), started, ended: None, output: Vec::new() };
        let mut faults = NetworkFaults::default();
        faults.change(&incident);
        let mut over = faults.clone();
        over.change(&Incident { ended: Some(started), ..incident });
        assert!(!over.any() && !over.no_names());
        faults
    }

    /// `zone/node/app`.
    fn way(faults: &NetworkFaults, from: &str, to: &str) -> Way {
        let parts = |text: &str| -> Vec<Name> { text.split('/').map(Name::from).collect() };
        let (a, b, namespace) = (parts(from), parts(to), Name::from("default"));
        let labels = |app: &Name| Labels::from_iter([("app", app.as_str())]);
        let (la, lb) = (labels(&a[2]), labels(&b[2]));
        let from = End { zone: &a[0], node: &a[1], pod: Some((&namespace, &la)) };
        let to = End { zone: &b[0], node: &b[1], pod: Some((&namespace, &lb)) };
        faults.way(from, to, false, &mut Seed(1).stream("test", ""))
    }

    #[test]
    fn zones_and_services_are_cut_in_both_directions() {
        let zones = || Effect::Partition(Side::Zone(Name::from("b")));
        let app = |app: &str| Labels::from_iter([("app", app)]);
        let cut = |from: Option<&str>| {
            Effect::Cut(Cut { namespace: Name::from("default"), pods: app("db"), from: from.map(app) })
        };
        // (what is cut, from, to, whether nothing arrives)
        let table = [
            (zones(), "a/n-0/web", "b/n-1/db", true),
            (zones(), "b/n-1/web", "a/n-0/db", true),
            (zones(), "c/n-2/web", "b/n-1/db", false),
            (zones(), "a/n-0/web", "c/n-2/db", false),
            (zones(), "b/n-1/web", "b/n-3/db", false),
            (cut(Some("api")), "a/n-0/api", "a/n-0/db", true),
            (cut(Some("api")), "a/n-0/db", "b/n-1/api", true),
            (cut(Some("api")), "a/n-0/web", "b/n-1/db", false),
            (cut(None), "a/n-0/web", "b/n-1/db", true),
            (cut(None), "a/n-0/web", "b/n-1/api", false),
        ];
        for (effect, from, to, expected) in table {
            assert_eq!(way(&faults(&["n-0"], effect.clone()), from, to).cut, expected, "{effect:?} {from} {to}");
        }
    }

    #[test]
    fn packets_are_late_and_sent_again() {
        let link = |latency, loss| {
            let latency = SimDuration::from_millis(latency);
            Effect::Link(Link { latency, jitter: SimDuration::ZERO, loss })
        };
        let late = way(&faults(&["n-0"], link(80, 0)), "a/n-0/web", "b/n-1/db");
        assert_eq!(late, Way { latency: SimDuration::from_millis(80), ..Way::default() });
        // Not on the node itself, nor between others.
        assert_eq!(way(&faults(&["n-0"], link(80, 0)), "a/n-0/web", "a/n-0/db"), Way::default());
        assert_eq!(way(&faults(&["n-0"], link(80, 0)), "a/n-2/web", "b/n-1/db"), Way::default());
        // What never arrives is sent after 1, 2, 4, … s.
        let mut stream = Seed(1).stream("test", "");
        assert_eq!(sent_again(0.0, SYN_TIMEOUT, &mut stream), None);
        let times: Vec<i64> = (0..200)
            .filter_map(|_| sent_again(0.5, SYN_TIMEOUT, &mut stream))
            .map(|time| time.0 / 1_000_000_000)
            .collect();
        assert!(times.iter().all(|time| [0, 1, 3, 7, 15, 31, 63].contains(time)), "{times:?}");
        // Half of them at once: 100 of 200, within four standard deviations of 7.
        let at_once = times.iter().filter(|time| **time == 0).count();
        assert!((72..=128).contains(&at_once), "{at_once}");
    }
}
