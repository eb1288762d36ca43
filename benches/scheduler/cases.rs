//! The cases of upstream's `test/integration/scheduler_perf/**/performance-config.yaml` (those with a threshold that
//! its CI enforces), with upstream's names, sizes and thresholds.

use super::templates as t;
use serde_json::Value;

/// One case.
pub struct Case {
    /// Upstream's name of the case.
    pub name: &'static str,
    /// Upstream's name of the workload.
    pub workload: &'static str,
    /// Fewest pods a second that upstream's CI accepts.
    pub floor: f64,
    /// Fewest that we accept.
    pub target: f64,
    /// Nodes.
    pub nodes: Nodes,
    /// Pods that are there before.
    pub before: &'static [Pods],
    /// What comes and goes meanwhile.
    pub churn: Churn,
    /// The pods whose scheduling is measured.
    pub measured: Pods,
}

/// The nodes of a case.
pub struct Nodes {
    /// How many from the default template.
    pub count: usize,
    /// Zones, given in turn; none are labelled if empty.
    pub zones: &'static [&'static str],
    /// One more with room for everything.
    pub roomy: bool,
    /// Each has a CSI driver.
    pub csi: bool,
}

/// Pods of one kind.
#[derive(Clone, Copy)]
pub struct Pods {
    /// How many, in each namespace.
    pub count: usize,
    /// Namespaces with this name, or this one numbered from 0.
    pub namespace: &'static str,
    /// How many namespaces; 0 is one without a number.
    pub namespaces: usize,
    /// What they ask for.
    pub wish: Wish,
}

impl Pods {
    /// How many in all.
    pub fn total(&self) -> usize {
        self.count * self.namespaces.max(1)
    }
}

/// What pods ask for.
#[derive(Clone, Copy)]
pub enum Wish {
    /// All the same.
    Equal(fn() -> Value),
    /// The same, and the namespace has a service that selects them.
    Served(fn() -> Value),
    /// Each with a volume and claim of its own, of a CSI driver or in-tree.
    Claim {
        /// Of a CSI driver.
        csi: bool,
    },
}

/// What comes and goes while pods are scheduled.
#[derive(Clone, Copy)]
pub enum Churn {
    /// Nothing.
    None,
    /// One more such pod every 200 ms.
    Create(fn() -> Value),
    /// A node, a pod and a service, every second created or deleted in turn.
    Recreate,
}

const PLAIN: Nodes = Nodes { count: 5000, zones: &[], roomy: false, csi: false };
const ONE_ZONE: Nodes = Nodes { zones: &["zone1"], ..PLAIN };
const THREE_ZONES: Nodes = Nodes { zones: &["moon-1", "moon-2", "moon-3"], ..PLAIN };

const fn pods(count: usize, namespace: &'static str, wish: fn() -> Value) -> Pods {
    Pods { count, namespace, namespaces: 0, wish: Wish::Equal(wish) }
}

const fn claims(count: usize, namespace: &'static str, csi: bool) -> Pods {
    Pods { count, namespace, namespaces: 0, wish: Wish::Claim { csi } }
}

const fn at_least(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

const fn case(
    name: &'static str,
    workload: &'static str,
    floor: f64,
    nodes: Nodes,
    before: &'static [Pods],
    measured: Pods,
) -> Case {
    let target = at_least(5_000.0, 20.0 * floor);
    Case { name, workload, floor, target, nodes, before, churn: Churn::None, measured }
}

const fn churned(churn: Churn, case: Case) -> Case {
    Case { churn, ..case }
}

/// All cases.
pub const CASES: &[Case] = &[
    Case {
        target: 50_000.0,
        ..case(
            "SchedulingBasic",
            "5000Nodes_10000Pods",
            680.0,
            PLAIN,
            &[pods(1000, "before", t::plain)],
            pods(10_000, "measured", t::plain),
        )
    },
    case(
        "SchedulingPodAntiAffinity",
        "5000Nodes_2000Pods",
        60.0,
        PLAIN,
        &[pods(1000, "sched-0", t::pod_anti_affinity)],
        pods(2000, "sched-1", t::pod_anti_affinity),
    ),
    case(
        "SchedulingPodAffinity",
        "5000Nodes_5000Pods",
        35.0,
        ONE_ZONE,
        &[pods(5000, "sched-0", t::pod_affinity)],
        pods(5000, "sched-1", t::pod_affinity),
    ),
    case(
        "SchedulingPreferredPodAffinity",
        "5000Nodes_5000Pods",
        90.0,
        PLAIN,
        &[pods(5000, "sched-0", t::preferred_pod_affinity)],
        pods(5000, "sched-1", t::preferred_pod_affinity),
    ),
    case(
        "SchedulingPreferredPodAntiAffinity",
        "5000Nodes_5000Pods",
        90.0,
        PLAIN,
        &[pods(5000, "sched-0", t::preferred_pod_anti_affinity)],
        pods(5000, "sched-1", t::preferred_pod_anti_affinity),
    ),
    case(
        "SchedulingNodeAffinity",
        "5000Nodes_10000Pods",
        220.0,
        ONE_ZONE,
        &[pods(5000, "before", t::node_affinity)],
        pods(10_000, "measured", t::node_affinity),
    ),
    case(
        "MixedSchedulingBasePod",
        "5000Nodes_5000Pods",
        140.0,
        ONE_ZONE,
        &[
            pods(2000, "sched-0", t::plain),
            pods(2000, "sched-0", t::pod_affinity),
            pods(2000, "sched-0", t::pod_anti_affinity),
            pods(2000, "sched-0", t::preferred_pod_affinity),
            pods(2000, "sched-0", t::preferred_pod_anti_affinity),
        ],
        pods(5000, "measured", t::plain),
    ),
    case(
        "SchedulingRequiredPodAntiAffinityWithNSSelector",
        "5000Nodes_2000Pods",
        24.0,
        Nodes { count: 6000, ..PLAIN },
        &[Pods { namespaces: 100, ..pods(40, "init-ns", t::anti_affinity_over_namespaces) }],
        Pods { namespaces: 1, ..pods(2000, "measure-ns", t::anti_affinity_over_namespaces) },
    ),
    case(
        "TopologySpreading",
        "5000Nodes_5000Pods",
        460.0,
        THREE_ZONES,
        &[pods(5000, "before", t::plain)],
        pods(5000, "measured", t::hard_spread),
    ),
    case(
        "PreferredTopologySpreading",
        "5000Nodes_5000Pods",
        340.0,
        THREE_ZONES,
        &[pods(5000, "before", t::plain)],
        pods(5000, "measured", t::soft_spread),
    ),
    case(
        "DefaultTopologySpreading",
        "5000Nodes_50000Pods",
        160.0,
        THREE_ZONES,
        &[pods(5000, "before", t::plain)],
        Pods { wish: Wish::Served(t::labelled), ..pods(50_000, "service-ns", t::labelled) },
    ),
    churned(
        Churn::Create(t::high_priority),
        case(
            "PreemptionAsync",
            "5000Nodes_AsyncAPICallsEnabled",
            570.0,
            PLAIN,
            &[pods(20_000, "before", t::low_priority)],
            pods(5000, "measured", t::plain),
        ),
    ),
    churned(
        Churn::Create(t::too_large),
        case(
            "Unschedulable",
            "5kNodes/100Init/10kPods",
            590.0,
            PLAIN,
            &[pods(100, "before", t::plain)],
            pods(10_000, "measured", t::plain),
        ),
    ),
    churned(
        Churn::Create(t::too_large),
        case(
            "Unschedulable",
            "5kNodes/20kInit/10kPods",
            600.0,
            PLAIN,
            &[pods(20_000, "before", t::plain)],
            pods(10_000, "measured", t::plain),
        ),
    ),
    churned(
        Churn::Recreate,
        case("SchedulingWithMixedChurn", "5000Nodes_10000Pods", 710.0, PLAIN, &[], pods(10_000, "measured", t::plain)),
    ),
    case(
        "SchedulingDaemonset",
        "15000Nodes",
        1100.0,
        Nodes { count: 15_000, roomy: true, ..PLAIN },
        &[],
        pods(30_000, "measured", t::daemon),
    ),
    case(
        "SchedulingSecrets",
        "5000Nodes_10000Pods",
        790.0,
        PLAIN,
        &[pods(1000, "before", t::with_secret)],
        pods(10_000, "measured", t::with_secret),
    ),
    case(
        "SchedulingInTreePVs",
        "5000Nodes_2000Pods",
        290.0,
        PLAIN,
        &[claims(1000, "before", false)],
        claims(2000, "measured", false),
    ),
    case(
        "SchedulingMigratedInTreePVs",
        "5000Nodes_5000Pods",
        100.0,
        Nodes { csi: true, ..PLAIN },
        &[claims(5000, "before", false)],
        claims(5000, "measured", false),
    ),
    case(
        "SchedulingCSIPVs",
        "5000Nodes_5000Pods",
        100.0,
        Nodes { csi: true, ..PLAIN },
        &[claims(5000, "before", true)],
        claims(5000, "measured", true),
    ),
];
