//! What a scheduler plugin is: the extension points of kube-scheduler's framework
//! (`staging/src/k8s.io/kube-scheduler/framework/interface.go`), in bulk form.
//!
//! A plugin is asked about many nodes at once, so that the loop is its own and the framework makes one
//! call per plugin instead of one per node. A node that a plugin rejects is not shown to the next one:
//! the first rejection counts, as upstream.

use super::hint::{Hint, Occasion};
use super::pod_info::PodInfo;
use super::snapshot::Snapshot;
use crate::model::{Name, Pod};
use crate::store::Write;
use smallvec::SmallVec;
use std::any::Any;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A node's slot in the snapshot's columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index into columns.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// The highest normalized score (`framework.MaxNodeScore`).
pub const MAX_NODE_SCORE: i64 = 100;

/// Why a node or a pod is out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// Preemption may help.
    Unschedulable,
    /// Nothing that preemption can do helps (`UnschedulableAndUnresolvable`).
    Unresolvable,
}

impl Code {
    /// As upstream prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Unschedulable => "Unschedulable",
            Code::Unresolvable => "UnschedulableAndUnresolvable",
        }
    }
}

/// Texts of a rejection; nearly always one.
pub type Reasons = SmallVec<[Name; 1]>;

/// A rejection: code, plugin, reasons.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// Whether preemption may help.
    pub code: Code,
    /// The plugin that rejected; empty where the framework itself did.
    pub plugin: &'static str,
    /// The texts, in the plugin's order.
    pub reasons: Reasons,
}

/// A rejection by number, valid within the [`Verdicts`] that gave it. Zero is "no objection".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Why(u16);

impl Why {
    /// No objection.
    pub const FITS: Why = Why(0);

    /// Whether no plugin objected.
    pub const fn fits(self) -> bool {
        self.0 == 0
    }
}

/// The distinct rejections of a pod, by number. There are few of them however many nodes there are.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    kinds: Vec<Rejection>,
}

impl Verdicts {
    /// The number of this rejection.
    pub fn number(&mut self, plugin: &'static str, code: Code, reasons: Reasons) -> Why {
        let new = Rejection { code, plugin, reasons };
        let at = self.kinds.iter().position(|known| *known == new).unwrap_or_else(|| {
            self.kinds.push(new);
            self.kinds.len() - 1
        });
        Why(u16::try_from(at + 1).expect("a pod's distinct rejections are bounded by plugins and resources"))
    }

    /// The rejection with this number; `None` for [`Why::FITS`].
    pub fn get(&self, why: Why) -> Option<&Rejection> {
        usize::from(why.0).checked_sub(1).map(|at| &self.kinds[at])
    }
}

/// Nodes that no plugin has rejected so far, in order of evaluation.
pub struct Candidates<'a> {
    nodes: &'a mut Vec<NodeId>,
    why: &'a mut [Why],
    verdicts: &'a mut Verdicts,
    plugin: &'static str,
}

impl<'a> Candidates<'a> {
    /// `why` has one entry per node slot.
    pub fn new(
        nodes: &'a mut Vec<NodeId>,
        why: &'a mut [Why],
        verdicts: &'a mut Verdicts,
        plugin: &'static str,
    ) -> Self {
        Candidates { nodes, why, verdicts, plugin }
    }

    /// Rejects the nodes for which `test` is false, all for the same reason.
    pub fn retain(&mut self, code: Code, reason: Name, mut test: impl FnMut(NodeId) -> bool) {
        let why = &mut *self.why;
        let verdicts = &mut *self.verdicts;
        let plugin = self.plugin;
        let mut number = Why::FITS;
        self.nodes.retain(|node| {
            let fits = test(*node);
            if !fits {
                if number.fits() {
                    number = verdicts.number(plugin, code, Reasons::from_elem(reason.clone(), 1));
                }
                why[node.at()] = number;
            }
            fits
        });
    }

    /// Rejects the nodes for which `test` says which of `kinds` is in the way.
    pub fn retain_by(&mut self, kinds: &[(Code, Name)], mut test: impl FnMut(NodeId) -> Option<usize>) {
        let why = &mut *self.why;
        let verdicts = &mut *self.verdicts;
        let plugin = self.plugin;
        let mut numbers: SmallVec<[Why; 4]> = SmallVec::from_elem(Why::FITS, kinds.len());
        self.nodes.retain(|node| match test(*node) {
            None => true,
            Some(kind) => {
                if numbers[kind].fits() {
                    let (code, reason) = &kinds[kind];
                    numbers[kind] = verdicts.number(plugin, *code, Reasons::from_elem(reason.clone(), 1));
                }
                why[node.at()] = numbers[kind];
                false
            }
        });
    }

    /// Rejects the nodes for which `test` names reasons.
    pub fn retain_or(&mut self, mut test: impl FnMut(NodeId) -> Option<(Code, Reasons)>) {
        let why = &mut *self.why;
        let verdicts = &mut *self.verdicts;
        let plugin = self.plugin;
        self.nodes.retain(|node| match test(*node) {
            None => true,
            Some((code, reasons)) => {
                why[node.at()] = verdicts.number(plugin, code, reasons);
                false
            }
        });
    }
}

/// What a plugin prepared for one cycle (upstream's `CycleState`).
pub trait CycleState: Any {
    /// A copy, for trying things out.
    fn duplicate(&self) -> Box<dyn CycleState>;
    /// For the plugin to take back its own type.
    fn as_any(&self) -> &dyn Any;
    /// For the plugin to take back its own type.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<T: Any + Clone> CycleState for T {
    fn duplicate(&self) -> Box<dyn CycleState> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// A plugin's state of this cycle, if it made one.
pub type State = Option<Box<dyn CycleState>>;

/// The plugin's own type behind `state`.
pub fn state_of<T: 'static>(state: &State) -> Option<&T> {
    state.as_deref().and_then(|state| state.as_any().downcast_ref())
}

/// The plugin's own type behind `state`, to change.
pub fn state_of_mut<T: 'static>(state: &mut State) -> Option<&mut T> {
    state.as_deref_mut().and_then(|state| state.as_any_mut().downcast_mut())
}

/// One pod's turn: who, and the cluster as the scheduler sees it.
#[derive(Clone, Copy)]
pub struct Cycle<'a> {
    /// The pod to place.
    pub pod: &'a PodInfo,
    /// The cluster.
    pub snapshot: &'a Snapshot,
}

/// What PreFilter says.
pub enum PreFilter {
    /// Nothing to filter for this pod: the plugin's filter is not called.
    Skip,
    /// Go on with this state.
    Run(State),
    /// Go on, and only these nodes come into question.
    Nodes(State, BTreeSet<Name>),
    /// The pod cannot be placed at all now.
    Reject(Code, Reasons),
}

/// What PreScore says.
pub enum PreScore {
    /// The plugin has no opinion on this pod.
    Skip,
    /// Score with this state.
    Run(State),
}

/// What Permit says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Permit {
    /// Bind it.
    Allow,
    /// Hold it at most this long.
    Wait(crate::time::SimDuration),
    /// Not now.
    Reject(Reasons),
}

/// What PreBind says.
pub enum PreBind {
    /// There is nothing to prepare.
    Go,
    /// The pod is bound when [`Plugin::prepared`] says so.
    Wait {
        /// What has to be written for that.
        writes: Vec<Write>,
        /// How long to wait for it.
        longest: crate::time::SimDuration,
    },
}

/// The places where a plugin can act (`pkg/scheduler/apis/config/types.go`, `Plugins`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)] // Upstream's names, one for one.
pub enum Point {
    PreEnqueue,
    QueueSort,
    PreFilter,
    Filter,
    PostFilter,
    PreScore,
    Score,
    Reserve,
    Permit,
    PreBind,
    Bind,
    PostBind,
}

/// A pod in the queue, as QueueSort sees it.
#[derive(Clone, Copy, Debug)]
pub struct QueueRank {
    /// Priority.
    pub priority: i32,
    /// When it entered the queue (again).
    pub since: crate::time::SimTime,
    /// Whether of two that are otherwise alike the one with the smaller name comes first, not who was sooner.
    pub by_name: bool,
}

/// A scheduler plugin. Every method has the answer of a plugin that does not take part. What a plugin remembers
/// is its own and of one run: a profile is made for each.
pub trait Plugin {
    /// Its name in profiles and messages.
    fn name(&self) -> &'static str;

    /// Where it takes part.
    fn points(&self) -> &'static [Point];

    /// Whether verdicts and raw scores depend on nothing but the pod's spec and the node's own row. Such
    /// answers are kept and shared by equal pods until the node changes.
    fn local(&self) -> bool {
        false
    }

    /// Whether its raw scores stand as they are: then it has no [`Plugin::normalize`].
    fn scores_are_final(&self) -> bool {
        false
    }

    /// Whether no waiting pod that it rejected can be helped by an occasion of this sort, whatever its details: then
    /// [`Plugin::helps`] is not asked pod by pod.
    fn ignores(&self, _occasion: &Occasion<'_>) -> bool {
        false
    }

    /// Whether it looks at what containers use: then each new measurement of a bound pod is taken in.
    fn measures(&self) -> bool {
        false
    }

    /// Node labels that the plugin needs as domains whatever the pods say.
    fn topology_keys(&self) -> Vec<Name> {
        Vec::new()
    }

    /// QueueSort: what of a pod is compared, if it is not its own time in the queue.
    fn rank(&self, _pod: &Pod, own: QueueRank) -> QueueRank {
        own
    }

    /// QueueSort: which of two waiting pods comes first.
    fn compare(&self, _a: QueueRank, _b: QueueRank) -> Ordering {
        Ordering::Equal
    }

    /// PreEnqueue: `Some(message)` keeps the pod out of the active queue.
    fn pre_enqueue(&self, _pod: &Pod) -> Option<String> {
        None
    }

    /// Whether it wants to be told of every pod, by [`Plugin::pod_changed`].
    fn follows_pods(&self) -> bool {
        false
    }

    /// A pod appeared (`old` is `None`), changed, or went or ended (`new` is `None`), bound or not.
    fn pod_changed(&self, _old: Option<&Pod>, _new: Option<&Pod>, _now: crate::time::SimTime) {}

    /// PreFilter: look at the pod once, before all nodes.
    fn pre_filter(&self, _cycle: Cycle<'_>) -> PreFilter {
        PreFilter::Run(None)
    }

    /// PreFilter extension: the state as if `other` were on `node` too (it is already in the snapshot).
    fn add_pod(&self, _cycle: Cycle<'_>, _state: &mut State, _other: &PodInfo, _node: NodeId) {}

    /// PreFilter extension: the state as if `other` had left `node`.
    fn remove_pod(&self, _cycle: Cycle<'_>, _state: &mut State, _other: &PodInfo, _node: NodeId) {}

    /// Filter: reject nodes.
    fn filter(&self, _cycle: Cycle<'_>, _state: &State, _nodes: &mut Candidates<'_>) {}

    /// PostFilter: what to tell the user of a pod that fits nowhere. (Preemption itself is the framework's.)
    /// `cut_short` says that a rejection ended PreFilter before all plugins had looked at the pod.
    ///
    /// # Errors
    /// The plugin failed: its message is all that the user is told, and no other plugin is asked.
    fn post_filter(&self, _cycle: Cycle<'_>, _cut_short: bool) -> Result<Option<Name>, Name> {
        Ok(None)
    }

    /// PreScore: look at the feasible nodes once.
    fn pre_score(&self, _cycle: Cycle<'_>, _feasible: &[NodeId]) -> PreScore {
        PreScore::Run(None)
    }

    /// Score: one raw number per node; `out` is as long as `nodes` and zero.
    fn score(&self, _cycle: Cycle<'_>, _state: &State, _nodes: &[NodeId], _out: &mut [i64]) {}

    /// NormalizeScore: turn raw numbers into 0–100.
    fn normalize(&self, _cycle: Cycle<'_>, _state: &State, _nodes: &[NodeId], _scores: &mut [i64]) {}

    /// Reserve, while the cluster is still as the decision saw it: the plugin learns where the pod goes, and may
    /// name an annotation that the binding writes on it. Of one profile, the first that does is heard.
    fn assign(&self, _cycle: Cycle<'_>, _node: NodeId) -> Option<(Name, Name)> {
        None
    }

    /// Reserve: the pod is assumed on `node`. `Err` undoes it.
    ///
    /// # Errors
    /// The reasons why the pod cannot be placed there after all.
    fn reserve(&self, _pod: &PodInfo, _node: &Name) -> Result<(), Reasons> {
        Ok(())
    }

    /// Unreserve: the binding failed.
    fn unreserve(&self, _pod: &PodInfo, _node: &Name) {}

    /// Permit: allow, hold or reject.
    fn permit(&self, _pod: &PodInfo, _node: &Name) -> Permit {
        Permit::Allow
    }

    /// PreBind: what has to be there before the pod is bound to `node`.
    fn pre_bind(&self, _cycle: Cycle<'_>, _node: &Name) -> PreBind {
        PreBind::Go
    }

    /// PreBind: whether what it waits for is there.
    ///
    /// # Errors
    /// Why it will never be.
    fn prepared(&self, _cycle: Cycle<'_>, _node: &Name) -> Result<bool, String> {
        Ok(true)
    }

    /// Bind: whether this plugin writes the binding.
    fn binds(&self) -> bool {
        false
    }

    /// EventsToRegister and QueueingHintFn in one: whether a pod that this plugin rejected may be
    /// schedulable after `occasion`.
    fn helps(&self, _pod: &PodInfo, _occasion: &Occasion<'_>) -> Hint {
        Hint::Skip
    }
}

/// Spreads raw scores over 0–100 by the largest of them, the other way round if `reverse`
/// (`pkg/scheduler/framework/plugins/helper/normalize_score.go`).
pub fn default_normalize(reverse: bool, scores: &mut [i64]) {
    let max = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        *score = match (max, reverse) {
            (0, true) => MAX_NODE_SCORE,
            (0, false) => *score,
            (_, true) => MAX_NODE_SCORE - MAX_NODE_SCORE * *score / max,
            (_, false) => MAX_NODE_SCORE * *score / max,
        };
    }
}
