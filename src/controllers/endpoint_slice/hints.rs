//! Topology aware routing: which zone should use which endpoint
//! (`staging/src/k8s.io/endpointslice/topologycache/`).
//!
//! A worked example: two zones with two thirds and one third of the processors, six endpoints, three in each. Desired
//! are four and two, so one endpoint of the second zone is given to the first. If some zone could get so few endpoints
//! that each of them had more than 20 % too much to do, there are no hints at all.

use crate::model::{Name, Node, Truth, condition};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::fmt;

/// How much more than its share an endpoint may have to do.
const OVERLOAD_THRESHOLD: f64 = 0.2;

/// Nodes that serve no requests.
const EXCLUDED: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// The share of the processors that each zone has, if that can be told: at least two zones, and every ready worker with
/// zone and processors (`SetNodes`).
pub fn zone_shares<'a>(nodes: impl Iterator<Item = &'a Node>) -> Option<BTreeMap<Name, f64>> {
    let mut by_zone: BTreeMap<Name, i64> = BTreeMap::new();
    for node in nodes {
        let ready = condition::find(&node.conditions, "Ready").is_some_and(|ready| ready.status == Truth::True);
        if !ready || EXCLUDED.iter().any(|label| node.meta.labels.get(label).is_some()) {
            continue;
        }
        let (zone, milli_cpu) = (node.zone(), node.allocatable.milli_cpu);
        if zone.is_empty() || milli_cpu == 0 {
            return None;
        }
        *by_zone.entry(Name::from(zone)).or_default() += milli_cpu;
    }
    let total: i64 = by_zone.values().sum();
    let share = |(zone, milli_cpu): (Name, i64)| (zone, milli_cpu as f64 / total as f64);
    (by_zone.len() >= 2).then(|| by_zone.into_iter().map(share).collect())
}

/// An endpoint as far as hints go. Empty names stand for none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hinted {
    /// The zone it is in.
    pub zone: Name,
    /// Whether it is ready.
    pub ready: bool,
    /// The zone that should use it.
    pub hint: Name,
}

/// One slice: what names it, and its endpoints.
pub type Slice<S> = (S, Vec<Hinted>);

/// The slices of one service that are about to be written, and those that would stay as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slices<S> {
    /// New ones.
    pub create: Vec<Slice<S>>,
    /// Changed ones.
    pub update: Vec<Slice<S>>,
    /// The rest; some may move to the changed ones.
    pub unchanged: Vec<Slice<S>>,
}

/// Why there are no hints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Disabled {
    /// Nodes without zone or processors, or only one zone.
    NodeInformation,
    /// Fewer endpoints than zones: endpoints, zones.
    FewEndpoints(usize, usize),
    /// Some zone would get too few: endpoints, zones.
    Overload(usize, usize),
    /// An endpoint whose zone is not known.
    NoZone,
}

impl fmt::Display for Disabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disabled::NodeInformation => {
                f.write_str("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")
            }
            Disabled::FewEndpoints(endpoints, zones) => {
                write!(f, "Insufficient number of endpoints ({endpoints} endpoints, {zones} zones)")
            }
            Disabled::Overload(endpoints, zones) => write!(
                f,
                "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold \
                 ({endpoints} endpoints, {zones} zones)"
            ),
            Disabled::NoZone => f.write_str("One or more endpoints do not have a zone specified"),
        }
    }
}

/// What one zone should get.
struct Allocation {
    most: usize,
    desired: f64,
}

/// Hints by zone.
pub type ByZone = BTreeMap<Name, usize>;

/// Gives the endpoints hints, or takes them all away; the number of hints for each zone (`AddHints`).
///
/// # Errors
/// Why there can be none.
pub fn add<S>(slices: &mut Slices<S>, shares: Option<&BTreeMap<Name, f64>>) -> Result<ByZone, Disabled> {
    let all = || slices.create.iter().chain(&slices.update).chain(&slices.unchanged);
    let ready = all().flat_map(|(_, endpoints)| endpoints).filter(|endpoint| endpoint.ready).count();
    let given = allocations(ready, shares).and_then(|allocations| {
        let mut hints = keep(slices, &allocations);
        own_zone(slices, &mut hints)?;
        let (giving, receiving) = exchanges(&allocations, &hints);
        redistribute(slices, giving, receiving, &mut hints);
        Ok(hints)
    });
    if given.is_err() {
        remove(slices);
    }
    given
}

/// `getAllocations`.
fn allocations(endpoints: usize, shares: Option<&BTreeMap<Name, f64>>) -> Result<BTreeMap<Name, Allocation>, Disabled> {
    let shares = shares.ok_or(Disabled::NodeInformation)?;
    if shares.len() > endpoints {
        return Err(Disabled::FewEndpoints(endpoints, shares.len()));
    }
    let sized = shares.iter().map(|(zone, share)| {
        let desired = share * endpoints as f64;
        let least = (desired * (1.0 / (1.0 + OVERLOAD_THRESHOLD))).ceil() as usize;
        (zone, least, desired)
    });
    let sized: Vec<_> = sized.collect();
    let least_of_all: usize = sized.iter().map(|(_, least, _)| least).sum();
    if least_of_all > endpoints {
        return Err(Disabled::Overload(endpoints, shares.len()));
    }
    let spare = endpoints - least_of_all;
    let allocation = |(zone, least, desired): (&Name, usize, f64)| {
        (zone.clone(), Allocation { most: least + spare, desired: desired.max(least as f64) })
    };
    Ok(sized.into_iter().map(allocation).collect())
}

/// Counts the hints of unchanged slices; those whose hints are no good any more are to be changed too.
fn keep<S>(slices: &mut Slices<S>, allocations: &BTreeMap<Name, Allocation>) -> ByZone {
    let mut hints = ByZone::new();
    for slice in std::mem::take(&mut slices.unchanged) {
        match hints_of(&slice.1, &hints, allocations) {
            Some(found) => {
                found.into_iter().for_each(|(zone, count)| *hints.entry(zone).or_default() += count);
                slices.unchanged.push(slice);
            }
            None => slices.update.push(slice),
        }
    }
    hints
}

/// `getHintsByZone`.
fn hints_of(endpoints: &[Hinted], before: &ByZone, allocations: &BTreeMap<Name, Allocation>) -> Option<ByZone> {
    let mut found = ByZone::new();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.ready) {
        allocations.get(&endpoint.hint)?;
        *found.entry(endpoint.hint.clone()).or_default() += 1;
    }
    let fits = |(zone, count): (&Name, &usize)| {
        let have = before.get(zone).copied().unwrap_or(0);
        allocations.get(zone).is_some_and(|allocation| count + have <= allocation.most)
    };
    found.iter().all(fits).then_some(found)
}

/// The slices that are written anyway.
fn written<S>(slices: &mut Slices<S>) -> impl Iterator<Item = &mut Hinted> {
    slices.create.iter_mut().chain(&mut slices.update).flat_map(|(_, endpoints)| endpoints)
}

/// To begin with, every ready endpoint is for its own zone.
fn own_zone<S>(slices: &mut Slices<S>, hints: &mut ByZone) -> Result<(), Disabled> {
    for endpoint in written(slices).filter(|endpoint| endpoint.ready) {
        if endpoint.zone.is_empty() {
            return Err(Disabled::NoZone);
        }
        *hints.entry(endpoint.zone.clone()).or_default() += 1;
        endpoint.hint = endpoint.zone.clone();
    }
    Ok(())
}

/// How many endpoints each zone gives away and gets (`getGivingAndReceivingZones`).
/// The zones that get some come in the order in which they were found to lack the most.
fn exchanges(allocations: &BTreeMap<Name, Allocation>, hints: &ByZone) -> (ByZone, IndexMap<Name, usize>) {
    let (mut excess, mut lack) = (BTreeMap::new(), BTreeMap::new());
    for (zone, allocation) in allocations {
        let difference = hints.get(zone).copied().unwrap_or(0) as f64 - allocation.desired;
        if difference > 0.0 {
            excess.insert(zone, difference);
        } else if difference < 0.0 {
            lack.insert(zone, -difference);
        }
    }
    let (mut giving, mut receiving) = (ByZone::new(), IndexMap::new());
    while let (Some((from, give)), Some((to, take))) = (most(&excess), most(&lack)) {
        if (give < 1.0 && take < 1.0) || give < 0.5 || take < 0.5 {
            break;
        }
        *giving.entry(from.clone()).or_default() += 1;
        *receiving.entry(to.clone()).or_default() += 1;
        excess.insert(from, give - 1.0);
        lack.insert(to, take - 1.0);
    }
    (giving, receiving)
}

/// The zone with the most, if any has something.
fn most<'a>(zones: &BTreeMap<&'a Name, f64>) -> Option<(&'a Name, f64)> {
    let mut best = None;
    for (zone, amount) in zones {
        if *amount > best.map_or(0.0, |(_, most)| most) {
            best = Some((*zone, *amount));
        }
    }
    best
}

/// `redistributeHints`.
fn redistribute<S>(
    slices: &mut Slices<S>,
    mut giving: ByZone,
    mut receiving: IndexMap<Name, usize>,
    hints: &mut ByZone,
) {
    for endpoint in written(slices).filter(|endpoint| endpoint.ready) {
        let Some(give) = giving.get_mut(&endpoint.zone).filter(|give| **give > 0) else { continue };
        let Some((to, take)) = receiving.iter_mut().find(|(_, take)| **take > 0) else { return };
        endpoint.hint = to.clone();
        *give -= 1;
        *take -= 1;
        *hints.entry(to.clone()).or_default() += 1;
        *hints.entry(endpoint.zone.clone()).or_default() -= 1;
    }
}

/// Takes all hints away; slices that had some are to be changed (`RemoveHintsFromSlices`).
pub fn remove<S>(slices: &mut Slices<S>) {
    for endpoint in written(slices) {
        endpoint.hint = Name::new();
    }
    for mut slice in std::mem::take(&mut slices.unchanged) {
        match slice.1.iter().any(|endpoint| !endpoint.hint.is_empty()) {
            true => {
                slice.1.iter_mut().for_each(|endpoint| endpoint.hint = Name::new());
                slices.update.push(slice);
            }
            false => slices.unchanged.push(slice),
        }
    }
}

/// Whether some zone has fewer endpoints than it needs, after nodes came or went (`serviceOverloaded`).
pub fn overloaded(hints: &ByZone, shares: Option<&BTreeMap<Name, f64>>) -> bool {
    let total: usize = hints.values().sum();
    let least = |share: f64| (total as f64 * share * (1.0 / (1.0 + OVERLOAD_THRESHOLD))).ceil() as usize;
    match shares {
        _ if hints.is_empty() => false,
        None => true,
        Some(shares) => shares.iter().any(|(zone, share)| hints.get(zone).is_none_or(|have| *have < least(*share))),
    }
}
