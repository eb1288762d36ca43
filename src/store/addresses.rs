//! Virtual addresses and node ports of services: which are given, and which is next
//! (`pkg/registry/core/service/storage/alloc.go`, `pkg/registry/core/service/ipallocator`,
//! `pkg/registry/core/service/portallocator`).
//!
//! A worked example: a service that asks for node port 30001 gets it, unless another has it: `spec.ports[0].nodePort:
//! Invalid value: 30001: provided port is already allocated`. One that asks for none gets the next that nobody has.

use super::errors::{Refusal, StoreError};
use super::slots::Store;
use crate::model::service::{Service, ServiceType};
use crate::model::{Key, Object, Resource};
use rustc_hash::FxHashSet;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The addresses of `10.96.0.0/12`, without those of the network and of everybody. The first is that of the API server.
const RANGE: RangeInclusive<u32> = to_u32([10, 96, 0, 1])..=to_u32([10, 111, 255, 254]);
/// Where giving begins: below are addresses for the cluster's own services.
const FIRST: u32 = to_u32([10, 96, 0, 10]);
/// The node ports (`--service-node-port-range`).
const PORTS: RangeInclusive<u16> = 30_000..=32_767;
/// Below are ports for those who ask for one: a thirty-second of all, and 16 to 128 (`calculateRangeOffset`).
const FIRST_PORT: u16 = 30_086;
/// What is already given, of addresses and of ports.
const IP_TAKEN: &str = "provided IP is already allocated";
const PORT_TAKEN: &str = "provided port is already allocated";

const fn to_u32(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes)
}

/// What the services of the cluster have.
#[derive(Debug)]
pub(super) struct Addresses {
    ips: FxHashSet<u32>,
    ports: FxHashSet<u16>,
    /// Where the search for the next begins.
    pub(super) next: (u32, u16),
}

impl Default for Addresses {
    fn default() -> Self {
        let ips = [*RANGE.start()].into_iter().collect();
        Addresses { ips, ports: FxHashSet::default(), next: (FIRST, FIRST_PORT) }
    }
}

impl Addresses {
    /// A service has another version now, or is there no longer.
    pub(super) fn follow(&mut self, old: Option<&Object>, new: Option<&Object>) {
        if let Some(Object::Service(old)) = old {
            if let Some(ip) = old.cluster_ip {
                self.ips.remove(&u32::from(ip));
            }
            for port in &old.ports {
                self.ports.remove(&port.node_port);
            }
        }
        if let Some(Object::Service(new)) = new {
            self.ips.extend(new.cluster_ip.map(u32::from));
            self.ports.extend(new.ports.iter().map(|port| port.node_port).filter(|port| *port != 0));
        }
    }

    fn next_ip(&mut self) -> Option<Ipv4Addr> {
        let from = self.next.0;
        let free = (from..=*RANGE.end()).chain(*RANGE.start()..from).find(|ip| !self.ips.contains(ip))?;
        self.next.0 = if free == *RANGE.end() { *RANGE.start() } else { free + 1 };
        Some(Ipv4Addr::from(free))
    }

    /// The next port that nobody has, and that is not among those `given` in this request.
    fn next_port(&mut self, given: &[u16]) -> Option<u16> {
        let from = self.next.1;
        let free = |port: &u16| !self.ports.contains(port) && !given.contains(port);
        let upper = (from..=*PORTS.end()).chain(FIRST_PORT..from);
        let free = upper.chain(*PORTS.start()..FIRST_PORT).find(free)?;
        self.next.1 = if (FIRST_PORT..*PORTS.end()).contains(&free) { free + 1 } else { FIRST_PORT };
        Some(free)
    }

    /// Whether an address may be given. A request that is only asked does not look who has it.
    fn check_ip(&self, ip: Ipv4Addr, dry: bool) -> Result<(), &'static str> {
        match u32::from(ip) {
            ip if !RANGE.contains(&ip) => Err("the provided network does not match the current range"),
            ip if !dry && self.ips.contains(&ip) => Err(IP_TAKEN),
            _ => Ok(()),
        }
    }

    fn check_port(&self, port: u16, given: &[u16]) -> Result<(), &'static str> {
        match port {
            port if !PORTS.contains(&port) => {
                Err("provided port is not in the valid range. The range of valid ports is 30000-32767")
            }
            port if self.ports.contains(&port) || given.contains(&port) => Err(PORT_TAKEN),
            _ => Ok(()),
        }
    }

    /// The port of one row: what it asks for, or the next.
    fn port(&mut self, key: &Key, index: usize, asked: u16, given: &mut Vec<u16>) -> Result<u16, StoreError> {
        let port = match asked {
            0 => self.next_port(given).ok_or_else(|| full(key, "nodePort"))?,
            asked => {
                let refused = |why| format!("spec.ports[{index}].nodePort: Invalid value: {asked}: {why}");
                let checked = self.check_port(asked, given);
                checked.map_err(|why| StoreError::Invalid(key.clone(), vec![refused(why)]))?;
                asked
            }
        };
        given.push(port);
        Ok(port)
    }

    /// The node ports of a new service: rows of one port, such as DNS over TCP and UDP, share theirs (`initNodePorts`).
    fn first_ports(&mut self, service: &mut Service) -> Result<(), StoreError> {
        let (key, mut given) = (service.key(), Vec::new());
        let mut shared: Vec<(u16, u16)> = Vec::new();
        for index in 0..service.ports.len() {
            let (port, asked) = (service.ports[index].port, service.ports[index].node_port);
            if asked == 0 && !allocates(service) {
                continue;
            }
            let known = shared.iter().find(|(other, _)| *other == port).map(|(_, given)| *given);
            service.ports[index].node_port = match known {
                None => {
                    let wanted = service.ports.iter().find(|row| row.port == port && row.node_port != 0);
                    let node_port = self.port(&key, index, wanted.map_or(0, |row| row.node_port), &mut given)?;
                    shared.push((port, node_port));
                    node_port
                }
                Some(known) if asked == 0 || asked == known => known,
                Some(_) => self.port(&key, index, asked, &mut given)?,
            };
        }
        Ok(())
    }

    /// The node ports of a service that had others, or none (`updateNodePorts`).
    fn other_ports(&mut self, old: &Service, service: &mut Service) -> Result<(), StoreError> {
        let (key, mut given) = (service.key(), Vec::new());
        for index in 0..service.ports.len() {
            let asked = service.ports[index].node_port;
            let kept = old.ports.iter().any(|have| have.node_port == asked) || given.contains(&asked);
            if (asked == 0 && allocates(service)) || (asked != 0 && !kept) {
                service.ports[index].node_port = self.port(&key, index, asked, &mut given)?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Gives a service the addresses and ports that its type wants; `old` is the service before an update.
    pub(super) fn give_addresses(&mut self, old: Option<&Service>, service: &mut Service) -> Result<(), StoreError> {
        if service.kind == ServiceType::ExternalName {
            return Ok(());
        }
        if !service.headless {
            let key = || service.key();
            match service.cluster_ip {
                None => {
                    let ip = self.addresses.next_ip().ok_or_else(|| full(&key(), "serviceIP"))?;
                    service.cluster_ip = Some(ip);
                }
                Some(ip) if old.is_some_and(|old| old.cluster_ip == Some(ip)) => {}
                Some(ip) => self.addresses.check_ip(ip, self.dry).map_err(|why| {
                    let why = format!("failed to allocate IP {ip}: {why}");
                    StoreError::Invalid(key(), vec![format!("spec.clusterIPs: Invalid value: [\"{ip}\"]: {why}")])
                })?,
            }
        }
        match old {
            _ if service.kind == ServiceType::ClusterIp => Ok(()),
            None => self.addresses.first_ports(service),
            Some(old) => self.addresses.other_ports(old, service),
        }
    }

    /// The same for one that replaces another.
    pub(super) fn give_others(&mut self, old: &Object, new: &mut Object) -> Result<(), StoreError> {
        match (old, new) {
            (Object::Service(old), Object::Service(new)) => self.give_addresses(Some(old), Arc::make_mut(new)),
            _ => Ok(()),
        }
    }
}

/// Nothing is left to give.
fn full(key: &Key, what: &str) -> StoreError {
    Refusal::new(500, &format!("Internal error occurred: failed to allocate a {what}: range is full")).of(key.clone())
}

/// Whether a service has ports on the nodes without asking for them (`needsNodePort`).
fn allocates(service: &Service) -> bool {
    match service.kind {
        ServiceType::NodePort => true,
        ServiceType::LoadBalancer => {
            let said = service.raw.as_ref().and_then(|raw| raw.get("allocateLoadBalancerNodePorts")?.as_bool());
            said.unwrap_or(true)
        }
        ServiceType::ClusterIp | ServiceType::ExternalName => false,
    }
}

/// A service keeps what it was given where a client leaves it out (`pkg/registry/core/service/storage/storage.go`,
/// `patchAllocatedValues`).
pub(super) fn keep_allocated(old: &Object, new: &mut Object) {
    let (Object::Service(old), Object::Service(service)) = (old, new) else { return };
    let service = Arc::make_mut(service);
    let has_ip = |service: &Service| service.kind != ServiceType::ExternalName;
    if has_ip(old) && has_ip(service) && service.cluster_ip.is_none() && !service.headless {
        (service.cluster_ip, service.headless) = (old.cluster_ip, old.headless);
    }
    if !allocates(old) || !allocates(service) {
        return;
    }
    let still: Vec<u16> = service.ports.iter().map(|port| port.node_port).filter(|port| *port != 0).collect();
    for port in service.ports.iter_mut().filter(|port| port.node_port == 0) {
        let before = old.ports.iter().rev().find(|have| have.name == port.name);
        port.node_port = before.map(|have| have.node_port).filter(|port| !still.contains(port)).unwrap_or_default();
    }
}
