//! A kubelet that does not work, while everything else on its node does; and a node that is rebooted.
//!
//! ```yaml
//! - at: 2m
//!   for: 3m
//!   kubeletCrash: {node: worker-1}          # the process is gone, or hangs: nobody can tell
//! - at: 10m
//!   nodeReboot: {node: worker-2, takes: 90s}
//! ```
//!
//! With the kubelet gone the containers run on and serve; the node is Unknown after 50 s. When it is back it looks at
//! the runtime and says what happened meanwhile. A reboot is a new boot id, event `Rebooted`, and every container anew.

use super::super::units::{Distribution, Duration};
use super::target::{NodeTarget, on_nodes};
use super::{Checks, Form, Holding};

/// How long a machine takes to boot if nothing is said.
const REBOOT: Duration = Duration::secs(60);

on_nodes! {
    /// Kubelets end, or hang: their containers run on.
    pub struct KubeletCrash {}
}

on_nodes! {
    /// Machines are rebooted without a warning.
    pub struct NodeReboot {
        /// Until the kubelet works again, as `for` beside the fault. Default 60s.
        pub takes: Option<Distribution<Duration>>,
    }
}

impl Form for KubeletCrash {
    fn kind(&self) -> &'static str {
        "kubelet-crash"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn holds(&self) -> Option<Holding> {
        Some(Holding { runs: true, reboots: false })
    }
    fn describe(&self, who: &str) -> String {
        format!("the kubelet does not work: {who}")
    }
    fn check(&self, _: &mut Checks<'_>) {}
}

impl Form for NodeReboot {
    fn kind(&self) -> &'static str {
        "node-reboot"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn lasts(&self) -> Option<(&'static str, Distribution<Duration>)> {
        self.takes.map(|takes| ("takes", takes))
    }
    fn length(&self) -> Option<Distribution<Duration>> {
        Some(self.takes.unwrap_or(Distribution::Constant(REBOOT)))
    }
    fn holds(&self) -> Option<Holding> {
        Some(Holding { runs: false, reboots: true })
    }
    fn describe(&self, who: &str) -> String {
        format!("reboot: {who}")
    }
    fn check(&self, _: &mut Checks<'_>) {}
}
