//! How fast the provider is, what it has, and where.
//!
//! The defaults are those that the driver for Amazon's disks waits by: creation takes 1.5 s (median) to 4 s (99 %),
//! most attachments and detachments 1 to 4 s (`github.com/kubernetes-sigs/aws-ebs-csi-driver`, `pkg/cloud/cloud.go`).

use crate::model::{Key, Labels, Name, Node};
use crate::rng::{Delay, Seed};
use crate::scenario::cloud::Disks;
use crate::time::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// The node label by which disks are bound to a place.
pub const ZONE: Name = crate::name!("topology.kubernetes.io/zone");

/// Disks that one machine takes, by driver (`https://kubernetes.io/docs/concepts/storage/storage-limits/`).
const PER_NODE: [(&str, u32); 3] = [("ebs.csi.aws.com", 39), ("pd.csi.storage.gke.io", 16), ("disk.csi.azure.com", 16)];

/// What is asked of the provider.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Request {
    /// A new disk.
    Create,
    /// Away with it.
    Delete,
    /// Attach it to a machine.
    Attach,
    /// Detach it.
    Detach,
    /// Make it larger.
    Resize,
}

/// The provider.
#[derive(Clone, Debug)]
pub struct Provider {
    entries: Vec<Disks>,
}

impl Provider {
    /// The provider that a scenario describes.
    pub fn new(entries: &[Disks]) -> Self {
        Provider { entries: entries.to_vec() }
    }

    /// All that is said of a driver.
    fn about(&self, driver: &str) -> Disks {
        let mut all = Disks::default();
        for entry in self.entries.iter().filter(|entry| entry.driver.as_deref().is_none_or(|name| name == driver)) {
            all.overlay(entry);
        }
        all
    }

    fn time(&self, driver: &str, request: Request) -> Delay {
        let about = self.about(driver);
        let some_seconds = Delay::Uniform(SimDuration::from_secs(1), SimDuration::from_secs(4));
        let (given, usual) = match request {
            // The 99th percentile of a log-normal lies 2.326 sigma above the median: ln(4 / 1.5) / 2.326.
            Request::Create => (about.create_time, Delay::LogNormal(SimDuration::from_millis(1500), 0.42)),
            Request::Delete => (about.delete_time, some_seconds),
            Request::Attach => (about.attach_time, some_seconds),
            Request::Detach => (about.detach_time, some_seconds),
            Request::Resize => (about.resize_time, some_seconds),
        };
        given.map_or(usual, Delay::from)
    }

    /// How many disks of a driver one machine takes, if that is limited.
    pub fn per_node(&self, driver: &str) -> Option<u32> {
        let usual = PER_NODE.iter().find(|(known, _)| *known == driver).map(|(_, limit)| *limit);
        self.about(driver).per_node.or(usual)
    }

    /// Whether a zone has no more disks.
    pub fn is_full(&self, driver: &str, zone: &str) -> bool {
        self.about(driver).full_zones.is_some_and(|full| full.iter().any(|name| name == zone))
    }
}

/// Where a node is, for disks: the labels that bind them.
pub fn place(node: &Node) -> Labels {
    node.meta.labels.iter().filter(|(key, _)| *key == ZONE).cloned().collect()
}

/// A request that the provider is working on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Work {
    request: Request,
    done: SimTime,
    fails: bool,
}

/// How a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Just begun; done after this long.
    Begun(SimDuration),
    /// Under way for this much longer.
    UnderWay(SimDuration),
    /// Done.
    Done,
    /// It failed; asking again begins anew.
    Failed,
}

/// The requests that one part of a driver has made, by the object they are for.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    work: BTreeMap<Key, Work>,
    tries: BTreeMap<Key, u32>,
}

impl Requests {
    /// Makes a request for an object, or asks how it stands. What another request for the object was about does not
    /// count any more.
    pub fn ask(
        &mut self,
        provider: &Provider,
        driver: &str,
        request: Request,
        of: &Key,
        (now, seed): (SimTime, Seed),
    ) -> Progress {
        if let Some(work) = self.work.get(of).copied().filter(|work| work.request == request) {
            if now < work.done {
                return Progress::UnderWay(work.done - now);
            }
            self.work.remove(of);
            return if work.fails { Progress::Failed } else { Progress::Done };
        }
        let tries = self.tries.entry(of.clone()).or_default();
        *tries += 1;
        let mut stream = seed.stream("disk", &format!("{request:?} {of}#{tries}"));
        let time = provider.time(driver, request).sample(&mut stream);
        let rate = provider.about(driver).failure_rate.map_or(0.0, |rate| rate.0);
        let fails = rate > 0.0 && stream.unit() < rate;
        self.work.insert(of.clone(), Work { request, done: now + time, fails });
        Progress::Begun(time)
    }

    /// An object is gone: nothing is under way for it.
    pub fn forget(&mut self, of: &Key) {
        self.work.remove(of);
        self.tries.remove(of);
    }
}
