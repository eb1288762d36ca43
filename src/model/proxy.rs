//! How kube-proxy is configured (`pkg/proxy/apis/config/types.go`).

use schemars::JsonSchema;
use serde::Deserialize;

/// kube-proxy's mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// Chains of rules.
    #[default]
    Iptables,
    /// The kernel's load balancer.
    Ipvs,
    /// Sets and maps.
    Nftables,
}

/// ipvs' way of choosing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpvsScheduler {
    /// Round robin.
    #[default]
    Rr,
    /// Least connections.
    Lc,
    /// Hash of the destination: one service address, one backend.
    Dh,
    /// Hash of the source: one client, one backend.
    Sh,
    /// Shortest expected delay.
    Sed,
    /// Never queue: an idle backend first, else as `sed`.
    Nq,
}
