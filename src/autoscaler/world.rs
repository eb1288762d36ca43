//! What the autoscaler sees: groups, their machines and nodes, and a copy of the cluster to try things in.

use super::Group;
use crate::model::provision::Provision;
use crate::model::sets::DaemonSet;
use crate::model::{Kind, Machine, Meta, Name, Node, Pod, PodStatus, Truth, Uid};
use crate::scenario::autoscaler::Autoscaler;
use crate::scheduler::predicates::Predicates;
use crate::store::View;
use crate::time::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `--max-node-startup-time`: so long a new node may take to become ready.
const STARTUP: SimDuration = SimDuration::from_secs(900);

/// The taint of a node that is being removed.
pub const TO_BE_DELETED: Name = crate::name!("ToBeDeletedByClusterAutoscaler");
/// The taint of a node that may soon be removed.
pub const CANDIDATE: Name = crate::name!("DeletionCandidateOfClusterAutoscaler");

/// A node.
#[derive(Clone, Debug)]
pub struct Seen {
    /// As the API has it.
    pub node: Arc<Node>,
    /// Its group, if it belongs to one.
    pub group: Option<usize>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it has yet to become ready for the first time.
    pub starting: bool,
}

/// A group as it stands.
#[derive(Clone, Debug, Default)]
pub struct GroupSeen {
    /// Machines that it has or has asked for.
    pub target: u32,
    /// Machines that could not be had, and why.
    pub failed: Vec<(Arc<Machine>, Name)>,
    /// Machines that should have registered by now.
    pub overdue: Vec<Arc<Machine>>,
    /// Nodes that are ready or were.
    pub present: u32,
    /// Ready nodes.
    pub ready: u32,
}

/// A node as a group would make it, with what would run there from the start.
#[derive(Clone, Debug)]
pub struct Template {
    /// The node.
    pub node: Node,
    /// Pods of daemon sets.
    pub pods: Vec<Pod>,
}

/// The cluster.
pub struct World {
    /// Nodes by name.
    pub nodes: BTreeMap<Name, Seen>,
    /// Groups, in order of the configuration.
    pub groups: Vec<GroupSeen>,
    /// A copy to try things in: nodes with their pods, and those on their way.
    pub predicates: Predicates,
    /// Templates, in order of the groups.
    pub templates: Vec<Template>,
    /// When the next machine becomes overdue.
    pub next_give_up: Option<SimTime>,
}

impl World {
    /// As `view` shows it, without the nodes that are being removed.
    pub fn new(
        view: View<'_>,
        now: SimTime,
        groups: &[Group],
        settings: &Autoscaler,
        removing: &BTreeSet<Name>,
    ) -> World {
        let mut world = World {
            nodes: BTreeMap::new(),
            groups: vec![GroupSeen::default(); groups.len()],
            predicates: Predicates::new(view),
            templates: Vec::new(),
            next_give_up: None,
        };
        world.see_nodes(view, now, groups, removing);
        world.see_machines(view, now, groups, settings);
        let cutoff = settings.expendable_pods_priority_cutoff;
        for (name, seen) in world.nodes.iter().filter(|(_, seen)| !seen.starting) {
            world.predicates.set_node(&clean(&seen.node));
            let counts = |pod: &&Arc<Pod>| !pod.status.phase.terminal() && pod.spec.priority >= cutoff;
            view.pods_on(name).filter(counts).for_each(|pod| world.predicates.place(pod, name));
        }
        for (at, group) in groups.iter().enumerate() {
            let template = world.template(view, at, group);
            let coming = world.groups[at].target.saturating_sub(world.groups[at].present);
            for number in 0..coming {
                world.add_copy(&template, &Name::from(format!("template-node-for-{}-upcoming-{number}", group.name)));
            }
            world.templates.push(template);
        }
        world
    }

    fn see_nodes(&mut self, view: View<'_>, now: SimTime, groups: &[Group], removing: &BTreeSet<Name>) {
        for node in view.list::<Node>().filter(|node| !removing.contains(&node.meta.name)) {
            let name = &node.meta.name;
            let machine = view.fetch::<Machine>(&Name::new(), name);
            let pool = machine.filter(|machine| Provision::of(machine) == Provision::Done).map(|one| &one.pool);
            let group = pool.and_then(|pool| groups.iter().position(|group| group.name == *pool));
            let ready = node.ready() == Truth::True;
            let changed = crate::model::condition::find(&node.conditions, "Ready").map(|ready| ready.last_transition);
            let never = changed.is_none_or(|changed| changed - node.meta.created < SimDuration::from_secs(120));
            let starting = !ready && never && node.meta.created + STARTUP > now && group.is_some();
            if let Some(group) = group.map(|at| &mut self.groups[at]) {
                group.present += u32::from(!starting);
                group.ready += u32::from(ready);
            }
            self.nodes.insert(name.clone(), Seen { node: node.clone(), group, ready, starting });
        }
    }

    fn see_machines(&mut self, view: View<'_>, now: SimTime, groups: &[Group], settings: &Autoscaler) {
        for machine in view.list::<Machine>() {
            let Some(at) = groups.iter().position(|group| group.name == machine.pool) else { continue };
            let group = &mut self.groups[at];
            match Provision::of(machine) {
                Provision::Leaving => continue,
                Provision::Failed(why) => {
                    group.failed.push((machine.clone(), why));
                    continue;
                }
                Provision::Asked | Provision::Done => {}
            }
            let given_up = machine.meta.created + settings.max_node_provision_time.0;
            let registered = view.node(&machine.meta.name).is_some();
            if !registered && given_up <= now {
                group.overdue.push(machine.clone());
                continue;
            }
            group.target += 1;
            if !registered {
                self.next_give_up = Some(self.next_give_up.map_or(given_up, |at| at.min(given_up)));
            }
        }
    }

    /// A ready node of the group without the pods that would not be on a new one, or what the provider would make
    /// (`processors/nodeinfosprovider/mixed_nodeinfos_processor.go`).
    fn template(&mut self, view: View<'_>, at: usize, group: &Group) -> Template {
        let example = self.nodes.values().find(|seen| seen.group == Some(at) && seen.ready).map(|seen| &seen.node);
        // `simulator/nodes.go`, `podsExpectedOnFreshNode`.
        let expected = |pod: &&Arc<Pod>| {
            let daemon = pod.meta.controller().is_some_and(|owner| owner.kind == Kind::DaemonSet);
            pod.is_mirror() || daemon && !pod.meta.deleting()
        };
        if let Some(node) = example {
            let pods = view.pods_on(&node.meta.name).filter(expected).map(|pod| Pod::clone(pod)).collect();
            return Template { node: Node::clone(&clean(node)), pods };
        }
        let mut node = Node::clone(&(group.make)(group.next).node);
        node.conditions.clear();
        let name = node.meta.name.clone();
        self.predicates.set_node(&Arc::new(node.clone()));
        let pods = daemon_pods(view, &mut self.predicates, &name);
        self.predicates.remove_node(&name);
        Template { node, pods }
    }

    /// Adds a node of that name as the template has it.
    pub fn add_copy(&mut self, template: &Template, name: &Name) {
        let mut node = template.node.clone();
        node.meta.name = name.clone();
        node.meta.labels = node.meta.labels.with("kubernetes.io/hostname", name.clone());
        self.predicates.set_node(&Arc::new(node));
        for pod in &template.pods {
            let mut pod = pod.clone();
            pod.meta.name = Name::from(format!("{}-on-{name}", pod.meta.name));
            pod.node = Some(name.clone());
            self.predicates.place(&Arc::new(pod), name);
        }
    }

    /// Takes such a node away again, with everything on it.
    pub fn remove_copy(&mut self, name: &Name) {
        for pod in self.predicates.pods_on(name) {
            self.predicates.unplace(&pod);
        }
        self.predicates.remove_node(name);
    }
}

/// A node without the taints that the autoscaler itself puts on.
fn clean(node: &Arc<Node>) -> Arc<Node> {
    let own = |key: &Name| [TO_BE_DELETED, CANDIDATE].contains(key);
    if !node.taints.iter().any(|taint| own(&taint.key)) {
        return node.clone();
    }
    let mut node = Node::clone(node);
    node.taints.retain(|taint| !own(&taint.key));
    Arc::new(node)
}

/// The pods that daemon sets would make on a node that is there.
pub fn daemon_pods(view: View<'_>, predicates: &mut Predicates, node: &Name) -> Vec<Pod> {
    let pods = view.list::<DaemonSet>().map(|set| {
        let mut pod = daemon(set);
        pod.meta.name = Name::from(format!("{}-on-{node}", pod.meta.name));
        pod
    });
    pods.filter(|pod| predicates.fits(&Arc::new(pod.clone()), node).is_ok()).collect()
}

/// The pod that a daemon set would make.
fn daemon(set: &DaemonSet) -> Pod {
    let mut meta = Meta::named(set.meta.namespace.clone(), set.meta.name.clone());
    (meta.labels, meta.uid) = (set.template.labels.clone(), Uid(0));
    Pod { meta, spec: set.template.spec.clone(), node: None, status: PodStatus::default() }
}
