//! A node that is shut down in an orderly way, as `systemctl reboot` does, and comes back when the fault is over.
//!
//! ```yaml
//! - at: 2m
//!   for: 5m
//!   nodeShutdown: {node: worker-1}
//! ```
//!
//! A kubelet with `shutdownGracePeriod` says NotReady, refuses pods and stops its own, critical ones last; then the power
//! goes. Without it (the default) the power goes at once.

use super::target::{NodeTarget, on_nodes};
use super::{Checks, Form};
use crate::model::machine::Trouble;

on_nodes! {
    /// Nodes are shut down in an orderly way.
    pub struct NodeShutdown {}
}

impl Form for NodeShutdown {
    fn kind(&self) -> &'static str {
        "node-shutdown"
    }
    fn nodes(&self) -> Option<NodeTarget> {
        Some(self.target())
    }
    fn troubles(&self) -> Vec<Trouble> {
        vec![Trouble::ShuttingDown]
    }
    fn describe(&self, who: &str) -> String {
        format!("shut down: {who}")
    }
    fn check(&self, _: &mut Checks<'_>) {}
}
