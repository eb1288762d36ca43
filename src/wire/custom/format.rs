//! The formats of texts that are checked (`k8s.io/kube-openapi/pkg/validation/strfmt`).

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::Date;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a text has a format; formats that only describe are had by every text.
pub(super) fn has(format: &str, text: &str) -> bool {
    match format {
        "date-time" => text.parse::<Timestamp>().is_ok(),
        "date" => text.parse::<Date>().is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            let most = address.parse::<IpAddr>().map(|address| if address.is_ipv4() { 32 } else { 128 });
            most.is_ok_and(|most| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
        }),
        "uuid" => {
            let digits = text.chars().filter(|c| *c != '-').count();
            digits == 32 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
        }
        _ => true,
    }
}
