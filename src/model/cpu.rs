//! Who gets how much of a node's processors: the kernel's fair shares by weight, throttled at the limits
//! (`pkg/kubelet/cm/helpers_linux.go`, `MilliCPUToShares`; CFS bandwidth control).
//!
//! Three containers on a node of 2 cores, each asking for all it can get: requests of 500m, 500m and 1 (with a limit
//! of 1200m). By weight they get 500m, 500m and 1000m. Were the first idle, the other two would share what it leaves
//! by weight, 667m and 1333m, but the third stops at its limit, so that the second has 800m.

/// What one container wants of the processors, in thousandths of a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Demand {
    /// What it would use if nobody stopped it.
    pub wanted: i64,
    /// Its request, which is its weight.
    pub request: i64,
    /// Its limit; 0 for none.
    pub limit: i64,
}

impl Demand {
    /// What it can use at most: a container at its limit is throttled.
    pub fn most(&self) -> i64 {
        if self.limit > 0 { self.wanted.min(self.limit) } else { self.wanted }
    }

    /// Its weight against its neighbours: 1024 for a core, 2 at least.
    pub fn weight(&self) -> i64 {
        (self.request * 1024 / 1000).max(2)
    }
}

/// What each container gets of `capacity` thousandths of a core. While the processors suffice everyone has what it
/// can use; when they do not, by weight, and what one leaves is shared by the others.
pub fn shares(capacity: i64, demands: &[Demand]) -> Vec<i64> {
    let mut given: Vec<i64> = demands.iter().map(Demand::most).collect();
    if given.iter().sum::<i64>() <= capacity {
        return given;
    }
    let mut left = capacity.max(0);
    let mut open: Vec<usize> = (0..demands.len()).filter(|at| given[*at] > 0).collect();
    loop {
        let weights: i64 = open.iter().map(|at| demands[*at].weight()).sum();
        let part = |at: usize| i128::from(left) * i128::from(demands[at].weight()) / i128::from(weights.max(1));
        let (content, hungry): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|at| i128::from(demands[**at].most()) <= part(**at));
        if content.is_empty() {
            let parts: Vec<i64> = hungry.iter().map(|at| part(*at) as i64).collect();
            hungry.iter().zip(parts).for_each(|(at, part)| given[*at] = part);
            return given;
        }
        left -= content.iter().map(|at| given[*at]).sum::<i64>();
        open = hungry;
    }
}

/// How fast the work of a container goes that gets `given` of what it wants, on a node whose processors run at
/// `speed` thousandths of what they should: in thousandths of full speed, at least 1.
pub fn pace(demand: &Demand, given: i64, speed: i64) -> i64 {
    let share = if demand.wanted > 0 { given.min(demand.wanted) * 1000 / demand.wanted } else { 1000 };
    (share * speed / 1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_weight_up_to_wish_and_limit() {
        let d = |wanted, request, limit| Demand { wanted, request, limit };
        let table: [(i64, &[Demand], &[i64]); 6] = [
            // Enough for all.
            (1000, &[d(300, 100, 0), d(500, 0, 0)], &[300, 500]),
            // Throttled at the limit although there is room.
            (4000, &[d(3000, 500, 1000)], &[1000]),
            // Weights 102 and 1024 (100m and 1): 1000 * 102 / 1126 = 90, 1000 * 1024 / 1126 = 909.
            (1000, &[d(1000, 100, 0), d(1000, 1000, 0)], &[90, 909]),
            // The second wants less than its part: the first has the rest.
            (1000, &[d(1000, 500, 0), d(100, 500, 0)], &[900, 100]),
            // Without a request the weight is 2: 1000 * 2 / 514 = 3.
            (1000, &[d(1000, 0, 0), d(1000, 500, 0)], &[3, 996]),
            (1000, &[], &[]),
        ];
        for (capacity, demands, expected) in table {
            assert_eq!(shares(capacity, demands), expected, "{capacity} {demands:?}");
        }
    }

    #[test]
    fn what_one_leaves_the_others_share() {
        let wants = |wanted, request, limit| Demand { wanted, request, limit };
        let all = [wants(4000, 500, 0), wants(4000, 500, 0), wants(4000, 1000, 1200)];
        assert_eq!(shares(2000, &all), [500, 500, 1000]);
        let one_idle = [wants(0, 500, 0), wants(4000, 500, 0), wants(4000, 1000, 1200)];
        assert_eq!(shares(2000, &one_idle), [0, 800, 1200]);
    }

    #[test]
    fn paces() {
        let wants = |wanted| Demand { wanted, request: 0, limit: 0 };
        // (wanted, given, speed of the node, pace)
        let table =
            [(1000, 1000, 1000, 1000), (1000, 250, 1000, 250), (1000, 250, 500, 125), (0, 0, 500, 500), (9, 0, 9, 1)];
        for (wanted, given, speed, expected) in table {
            assert_eq!(pace(&wants(wanted), given, speed), expected, "{wanted} {given} {speed}");
        }
    }
}
