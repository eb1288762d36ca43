//! What the LimitRanges of a namespace make of recommendations
//! (`vertical-pod-autoscaler/pkg/utils/vpa/{capping,limit_and_request_scaling}.go`,
//! `pkg/utils/limitrange/limit_range_calculator.go`).
//!
//! A worked example: a container requests 100m with a limit of 250m, and a LimitRange allows limits of 500m at most. Since
//! the limit keeps its distance, the request may be 100m * 500m / 250m = 200m at most, whatever is recommended.

use super::quota::{self, LimitRange};
use super::vertical::{Amounts, RESOURCES, Recommended, limits, requests};
use super::{Container, PodSpec};
use std::sync::Arc;

/// What a namespace allows, for each container and for a pod as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// Of containers.
    pub container: Option<Item>,
    /// Of pods.
    pub pod: Option<Item>,
}

/// Least, most, and limits of containers that name none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Item {
    min: Amounts,
    max: Amounts,
    default: Amounts,
}

fn known(amount: Option<i64>) -> Option<i64> {
    amount.filter(|amount| *amount != 0)
}

/// `amount * result / base`, as far as numbers go.
fn scaled(amount: i64, base: i64, result: i64, round_up: bool) -> i64 {
    let product = i128::from(amount) * i128::from(result);
    let base = i128::from(base.max(1));
    let share = if round_up { (product + base - 1) / base } else { product / base };
    i64::try_from(share).unwrap_or(i64::MAX)
}

impl Item {
    /// The narrowest of all items of that kind (`GetContainerLimitRangeItem`, `GetPodLimitRangeItem`).
    fn of<'a>(ranges: impl Iterator<Item = &'a Arc<LimitRange>>, kind: &str) -> Option<Item> {
        let read = |amounts: &quota::Amounts| {
            let of = |name: &str| amounts.get(name).copied();
            [of(RESOURCES[0]).map(|cpu| cpu.milli()), of(RESOURCES[1]).map(|memory| memory.whole())]
        };
        let items = ranges.flat_map(|range| &range.limits).filter(|item| item.kind == kind);
        let said = |item: &&quota::LimitItem| !(item.min.is_empty() && item.max.is_empty() && item.default.is_empty());
        items.filter(said).fold(None, |all: Option<Item>, item| {
            let (mut all, min, max) = (all.unwrap_or_default(), read(&item.min), read(&item.max));
            for at in 0..2 {
                all.min[at] = all.min[at].max(min[at]);
                all.max[at] = all.max[at].into_iter().chain(max[at]).min();
            }
            if !item.default.is_empty() {
                all.default = read(&item.default);
            }
            Some(all)
        })
    }

    /// The request at which a container's limit is at `bound` (`GetBoundaryRequest`).
    fn at_bound(&self, container: &Container, at: usize, bound: Option<i64>) -> Option<i64> {
        let limit = known(limits(container)[at]).or(known(self.default[at]))?;
        match known(requests(container)[at]) {
            None => bound,
            Some(request) => bound.map(|bound| scaled(request, limit, bound, false)),
        }
    }
}

/// The limit that is to a new request as the old one is to the old request (`getProportionalResourceLimit`).
pub fn proportional(container: &Container, at: usize, wanted: i64, default: Option<i64>) -> Option<i64> {
    let limit = known(limits(container)[at]).or(known(default))?;
    Some(match known(requests(container)[at]) {
        Some(request) if request != limit => scaled(limit, request, wanted, false),
        _ => wanted,
    })
}

impl Bounds {
    /// Those of a namespace with such LimitRanges.
    pub fn of<'a>(ranges: impl Iterator<Item = &'a Arc<LimitRange>> + Clone) -> Bounds {
        Bounds { container: Item::of(ranges.clone(), "Container"), pod: Item::of(ranges, "Pod") }
    }

    /// The limit of containers that name none.
    pub fn default(&self, at: usize) -> Option<i64> {
        self.container.as_ref().and_then(|item| item.default[at])
    }

    /// What a container may get (`applyContainerLimitRange`): its request and its limit must be within the range.
    pub fn for_container(&self, amounts: &mut Amounts, container: &Container) {
        let Some(item) = &self.container else { return };
        for (at, amount) in amounts.iter_mut().enumerate() {
            let Some(amount) = amount else { continue };
            let least = known(item.at_bound(container, at, item.min[at]).max(item.min[at]));
            let most = known(item.at_bound(container, at, item.max[at]));
            *amount = (*amount).max(least.unwrap_or(i64::MIN)).min(most.unwrap_or(i64::MAX));
        }
    }

    /// What the containers of a pod may get together (`capProportionallyToPodLimitRange`).
    pub fn for_pod(&self, mut all: Vec<Recommended>, spec: &PodSpec) -> Vec<Recommended> {
        let Some(item) = &self.pod else { return all };
        for container in spec.containers.iter().filter(|one| !one.requested.is_empty()) {
            if all.iter().all(|one| one.container != container.name) {
                let target = requests(container);
                all.push(Recommended { container: container.name.clone(), target, ..Recommended::default() });
            }
        }
        let parts: [fn(&mut Recommended) -> &mut Amounts; 3] =
            [|one| &mut one.upper, |one| &mut one.target, |one| &mut one.lower];
        for part in parts {
            for at in 0..2 {
                spread(item, spec, &mut all, |one| &mut part(one)[at], at);
            }
        }
        all
    }
}

/// Brings the sums of one resource within a pod's range, each container in proportion (`applyPodLimitRange`).
fn spread(
    item: &Item,
    spec: &PodSpec,
    all: &mut [Recommended],
    amount: impl Fn(&mut Recommended) -> &mut Option<i64>,
    at: usize,
) {
    let (min, max) = (item.min[at].unwrap_or(0), item.max[at].unwrap_or(0));
    let (mut limit, mut wanted) = (0i64, 0i64);
    for container in &spec.containers {
        let found = all.iter_mut().find(|one| one.container == container.name);
        let part = found.and_then(|one| *amount(one)).unwrap_or(0);
        limit = limit.saturating_add(proportional(container, at, part, item.default[at]).unwrap_or(0));
        wanted = wanted.saturating_add(part);
    }
    let (base, result, up) = match () {
        () if min > wanted && limit != 0 && wanted != 0 => (wanted, min, at == 1),
        () if min > wanted || limit == 0 => return,
        () if max != 0 && max < limit => (limit, max, false),
        () if min > limit => (limit, min, false),
        () => return,
    };
    for one in all {
        let amount = amount(one);
        *amount = amount.map(|part| scaled(part, base, result, up));
    }
}
