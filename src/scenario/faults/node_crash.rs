//! Machines that lose power or network, and come back.

use super::super::units::{Distribution, Duration};
use super::target::{NodeTarget, on_nodes};
use super::{Checks, Form, Holding};

on_nodes! {
    /// Machines lose power or network: their kubelets fall silent.
    pub struct NodeCrash {
        /// They come back after this long, as `for` beside the fault; never if absent.
        pub recover_after: Option<Distribution<Duration>>,
        /// On return all containers start anew: a power cut, not a cut cable.
        pub reboot: bool,
    }
}

impl Form for NodeCrash {
    fn kind(&self) -> &'static str {
        "node-crash"
    }
    fn actor(&self) -> &'static str {
        "fault/node-crash"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    /// A zone or a rack takes its masters with it.
    fn control_plane(&self) -> bool {
        self.zone.is_some() || self.domain.is_some()
    }
    fn lasts(&self) -> Option<(&'static str, Distribution<Duration>)> {
        self.recover_after.map(|after| ("recoverAfter", after))
    }
    fn holds(&self) -> Option<Holding> {
        Some(Holding { runs: false, reboots: self.reboot })
    }
    fn describe(&self, who: &str) -> String {
        let (one, several) = if self.reboot { ("loses power", "lose power") } else { ("falls silent", "fall silent") };
        match who.split_once(": ") {
            None => format!("{who} {one}"),
            Some((count, list)) => format!("{count} {several}: {list}"),
        }
    }
    fn check(&self, _: &mut Checks<'_>) {}
}
