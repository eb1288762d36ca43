//! Random nodes, pods and things that happen, as small numbers that shrink well, and the objects made of them.

use kubesim::model::node::NodeImage;
use kubesim::model::pod_spec::{
    Affinity, ContainerPort, PodAffinityTerm, PreferredNode, SpreadConstraint, WeightedPodAffinityTerm,
};
use kubesim::model::selector::{NodeSelectorTerm, Operator, Requirement};
use kubesim::model::{
    Labels, Name, Node, NodeSelector, Pod, PodSpec, Resources, Selector, Taint, TaintEffect, Toleration, Uid, builder,
    hash,
};
use proptest::prelude::*;
use std::sync::Arc;

pub const KEYS: [&str; 3] = ["kubernetes.io/hostname", "topology.kubernetes.io/zone", "disk"];
pub const NAMESPACES: [&str; 2] = ["default", "other"];
const GPU: &str = "example.com/gpu";

#[derive(Clone, Debug)]
pub struct NodeRecipe {
    pub zone: usize,
    pub disk: usize,
    pub taint: usize,
    pub cordoned: bool,
    pub named: bool,
    pub cpu: i64,
    pub gib: i64,
    pub pods: i64,
    pub gpus: i64,
    pub images: usize,
}

pub fn node_recipe() -> impl Strategy<Value = NodeRecipe> {
    let size =
        (prop_oneof![Just(1000i64), Just(2000), Just(4000)], 1i64..5, prop_oneof![Just(2i64), Just(5), Just(110)]);
    let labels = (0usize..4, 0usize..3, prop::bool::weighted(0.9));
    (labels, 0usize..8, prop::bool::weighted(0.1), size, 0i64..3, 0usize..8).prop_map(
        |((zone, disk, named), taint, cordoned, (cpu, gib, pods), gpus, images)| NodeRecipe {
            zone,
            disk,
            taint,
            cordoned,
            named,
            cpu,
            gib,
            pods,
            gpus,
            images,
        },
    )
}

pub fn node(name: &str, recipe: &NodeRecipe) -> Arc<Node> {
    let mut node = builder::node(name, recipe.cpu, recipe.gib << 30, recipe.pods);
    if !recipe.named {
        node.meta.labels = Labels::EMPTY;
    }
    let mut label = |key: &str, values: &[&str], at: usize| {
        if at > 0 {
            node.meta.labels = node.meta.labels.with(key, values[at - 1]);
        }
    };
    label(KEYS[1], &["z1", "z2", "z3"], recipe.zone);
    label(KEYS[2], &["ssd", "hdd"], recipe.disk);
    label("cores", &["4", "16"], recipe.disk);
    let taint = |key: &str, effect| Taint { key: Name::from(key), value: Name::from("x"), effect, added: None };
    node.taints = match recipe.taint {
        0 => vec![taint("hard", TaintEffect::NoSchedule)],
        1 => vec![taint("soft", TaintEffect::PreferNoSchedule)],
        2 => vec![taint("soft", TaintEffect::PreferNoSchedule), taint("softer", TaintEffect::PreferNoSchedule)],
        3 => vec![taint("out", TaintEffect::NoExecute)],
        _ => Vec::new(),
    };
    node.unschedulable = recipe.cordoned;
    node.allocatable.set(&Name::from(GPU), recipe.gpus);
    let image =
        |at: usize| NodeImage { names: vec![Name::from(format!("image-{at}:latest"))], size: 400_000_000 << at };
    node.images = Arc::new((0..3).filter(|at| recipe.images >> at & 1 == 1).map(image).collect());
    Arc::new(node)
}

/// One inter-pod term: kind (required or preferred, near or far), label value, domain, namespaces, weight.
#[derive(Clone, Debug)]
pub struct TermRecipe(usize, usize, usize, usize, i32);

#[derive(Clone, Debug)]
pub struct SpreadRecipe {
    skew: i32,
    key: usize,
    hard: bool,
    app: usize,
    min_domains: i32,
    affinity: bool,
    taints: bool,
}

#[derive(Clone, Debug)]
pub struct PodRecipe {
    app: usize,
    namespace: usize,
    cpu: i64,
    mib: i64,
    gpus: i64,
    image: usize,
    tolerations: usize,
    selector: usize,
    required: usize,
    preferred: usize,
    port: u16,
    spread: Vec<SpreadRecipe>,
    terms: Vec<TermRecipe>,
    pub important: bool,
}

pub fn pod_recipe() -> impl Strategy<Value = PodRecipe> {
    let spread = (1i32..4, 0usize..3, any::<bool>(), 0usize..3, 0i32..4, any::<bool>(), any::<bool>()).prop_map(
        |(skew, key, hard, app, min_domains, affinity, taints)| SpreadRecipe {
            skew,
            key,
            hard,
            app,
            min_domains,
            affinity,
            taints,
        },
    );
    let term = (0usize..4, 0usize..3, 0usize..3, 0usize..4, 1i32..100)
        .prop_map(|(kind, app, key, namespaces, weight)| TermRecipe(kind, app, key, namespaces, weight));
    let size = (prop_oneof![Just(0i64), Just(100), Just(700)], prop_oneof![Just(0i64), Just(300), Just(900)]);
    let size = (size, prop_oneof![6 => Just(0i64), 1 => 1i64..3], 0usize..4);
    let rules = (0usize..8, prop_oneof![5 => Just(0usize), 1 => 1usize..3], 0usize..12, 0usize..4);
    let port = prop_oneof![6 => Just(0u16), 1 => 8080u16..8082];
    let lists = (prop::collection::vec(spread, 0..3), prop::collection::vec(term, 0..3));
    let who = (0usize..3, prop_oneof![4 => Just(0usize), 1 => Just(1usize)], prop::bool::weighted(0.3));
    (who, size, rules, port, lists).prop_map(
        |((app, namespace, important), ((cpu, mib), gpus, image), rules, port, (spread, terms))| PodRecipe {
            app,
            namespace,
            cpu,
            mib,
            gpus,
            image,
            tolerations: rules.0,
            selector: rules.1,
            required: rules.2,
            preferred: rules.3,
            port,
            spread,
            terms,
            important,
        },
    )
}

const APPS: [&str; 3] = ["web", "db", "cache"];

fn app(at: usize) -> Option<Selector> {
    // The last one: any app at all.
    let any = Requirement { key: Name::from("app"), operator: Operator::Exists, values: Vec::new() };
    match at {
        2 => Some(Selector { requirements: vec![any] }),
        at => Some(Selector::from_labels(&Labels::from_iter([("app", APPS[at])]))),
    }
}

fn expression(key: &str, operator: Operator, value: &str) -> Requirement {
    let values = if value.is_empty() { Vec::new() } else { vec![Name::from(value)] };
    Requirement { key: Name::from(key), operator, values }
}

fn node_terms(recipe: usize) -> Option<NodeSelector> {
    let term = |expressions, fields| NodeSelectorTerm { expressions, fields };
    let named = |name: &str| vec![expression("metadata.name", Operator::In, name)];
    let terms = match recipe {
        1 => vec![term(vec![expression(KEYS[2], Operator::In, "ssd")], Vec::new())],
        2 => vec![
            term(vec![expression("cores", Operator::Gt, "8")], Vec::new()),
            term(vec![expression(KEYS[1], Operator::In, "z1")], Vec::new()),
        ],
        3 => vec![term(vec![expression(KEYS[2], Operator::DoesNotExist, "")], Vec::new())],
        4 => vec![term(Vec::new(), named("n1")), term(vec![expression(KEYS[1], Operator::Exists, "")], named("n0"))],
        5 => vec![term(vec![expression(KEYS[1], Operator::NotIn, "z1")], Vec::new()), term(Vec::new(), Vec::new())],
        _ => return None,
    };
    Some(NodeSelector { terms })
}

fn affinity(recipe: &PodRecipe) -> Affinity {
    let mut affinity = Affinity { node_required: node_terms(recipe.required), ..Affinity::default() };
    let wish = |weight, key, operator, value| PreferredNode {
        weight,
        term: NodeSelector {
            terms: vec![NodeSelectorTerm { expressions: vec![expression(key, operator, value)], fields: Vec::new() }],
        },
    };
    affinity.node_preferred = match recipe.preferred {
        1 => vec![wish(7, KEYS[2], Operator::In, "ssd")],
        2 => vec![wish(30, KEYS[1], Operator::In, "z2"), wish(50, "cores", Operator::Lt, "8")],
        _ => Vec::new(),
    };
    for TermRecipe(kind, who, key, namespaces, weight) in &recipe.terms {
        let term = PodAffinityTerm {
            selector: app(*who),
            namespaces: if *namespaces == 1 { vec![Name::from(NAMESPACES[1])] } else { Vec::new() },
            namespace_selector: match namespaces {
                2 => Some(Selector::default()),
                3 => Some(Selector::from_labels(&Labels::from_iter([("team", "one")]))),
                _ => None,
            },
            topology_key: Name::from(KEYS[*key]),
            match_label_keys: Vec::new(),
            mismatch_label_keys: Vec::new(),
        };
        match kind {
            0 => affinity.pod_required.push(term),
            1 => affinity.anti_required.push(term),
            2 => affinity.pod_preferred.push(WeightedPodAffinityTerm { weight: *weight, term }),
            _ => affinity.anti_preferred.push(WeightedPodAffinityTerm { weight: *weight, term }),
        }
    }
    affinity
}

fn spec(recipe: &PodRecipe) -> PodSpec {
    let mut spec = builder::spec(&format!("image-{}", recipe.image), recipe.cpu, recipe.mib << 20);
    if recipe.gpus > 0 {
        let mut more = Resources::default();
        more.set(&Name::from(GPU), recipe.gpus);
        spec.containers[0].requests.add(&more);
    }
    if recipe.port > 0 {
        spec.containers[0].ports.push(ContainerPort {
            name: Name::new(),
            container_port: recipe.port,
            host_port: recipe.port,
            host_ip: Name::new(),
            protocol: Name::from("TCP"),
        });
    }
    let tolerate = |key: &str, effect| Toleration {
        key: Name::from(key),
        exists: true,
        value: Name::new(),
        effect,
        seconds: None,
    };
    let all = [
        tolerate("hard", Some(TaintEffect::NoSchedule)),
        tolerate("soft", None),
        tolerate("node.kubernetes.io/unschedulable", Some(TaintEffect::NoSchedule)),
    ];
    let chosen = all.into_iter().enumerate().filter(|(at, _)| recipe.tolerations >> at & 1 == 1);
    spec.tolerations = chosen.map(|(_, toleration)| toleration).collect();
    spec.node_selector = match recipe.selector {
        1 => Labels::from_iter([(KEYS[2], "ssd")]),
        2 => Labels::from_iter([(KEYS[1], "z1"), (KEYS[2], "hdd")]),
        _ => Labels::EMPTY,
    };
    let affinity = affinity(recipe);
    spec.affinity = (affinity != Affinity::default()).then(|| Box::new(affinity));
    spec.spread = recipe.spread.iter().map(spread).collect();
    spec.priority = if recipe.important { 10 } else { 0 };
    spec.compute_requests();
    spec.hash = hash::content_hash(&serde_json::json!(format!("{recipe:?}")));
    spec
}

fn spread(recipe: &SpreadRecipe) -> SpreadConstraint {
    SpreadConstraint {
        max_skew: recipe.skew,
        topology_key: Name::from(KEYS[recipe.key]),
        hard: recipe.hard,
        selector: app(recipe.app),
        min_domains: (recipe.hard && recipe.min_domains > 0).then_some(recipe.min_domains),
        honor_affinity: recipe.affinity,
        honor_taints: recipe.taints,
        match_label_keys: Vec::new(),
    }
}

/// The `number`th pod of a case.
pub fn pod(number: usize, recipe: &PodRecipe) -> Pod {
    let mut pod = builder::pod(&format!("p{number}"), spec(recipe)).label("app", APPS[recipe.app]);
    pod.meta.namespace = Name::from(NAMESPACES[recipe.namespace]);
    pod.meta.uid = Uid(number as u128 + 1);
    pod
}

/// Something that happens. Numbers choose among what is there.
#[derive(Clone, Debug)]
pub enum Event {
    /// A pod of this template has its turn: whether everything is to be explained, whether it is bound then, and
    /// whether it is nominated for a node.
    Turn { template: usize, explain: bool, bind: bool, nominated: Option<usize> },
    /// Someone else binds a pod.
    Bound { template: usize, node: usize },
    /// A pod goes.
    Gone(usize),
    /// A pod is being deleted.
    Leaving(usize),
    /// A pod gets another `app`.
    Relabelled(usize, usize),
    /// A node changes, or comes.
    Node(usize, NodeRecipe),
    /// A node goes; its pods stay behind.
    NodeGone(usize),
    /// Room was made for a pod of this template on a node.
    Nominated { template: usize, node: usize },
    /// Nobody is nominated any more.
    NoneNominated,
}

pub fn event() -> impl Strategy<Value = Event> {
    let any = || 0usize..1000;
    prop_oneof![
        12 => (any(), prop::bool::weighted(0.3), prop::bool::weighted(0.9), prop::option::weighted(0.1, any()))
            .prop_map(|(template, explain, bind, nominated)| Event::Turn { template, explain, bind, nominated }),
        2 => (any(), any()).prop_map(|(template, node)| Event::Bound { template, node }),
        2 => any().prop_map(Event::Gone),
        1 => any().prop_map(Event::Leaving),
        1 => (any(), 0usize..3).prop_map(|(pod, app)| Event::Relabelled(pod, app)),
        2 => (any(), node_recipe()).prop_map(|(node, recipe)| Event::Node(node, recipe)),
        1 => any().prop_map(Event::NodeGone),
        1 => (any(), any()).prop_map(|(template, node)| Event::Nominated { template, node }),
        1 => Just(Event::NoneNominated),
    ]
}

pub fn relabelled(pod: &Pod, app: usize) -> Pod {
    pod.clone().label("app", APPS[app])
}

/// A whole case.
#[derive(Clone, Debug)]
pub struct Case {
    pub nodes: usize,
    pub palette: Vec<NodeRecipe>,
    pub templates: Vec<PodRecipe>,
    pub percentage: usize,
    pub services: bool,
    pub events: Vec<Event>,
}

/// Up to a dozen nodes, or enough for a search that does not look at all of them.
pub fn case() -> impl Strategy<Value = Case> {
    let nodes = prop_oneof![9 => 1usize..13, 1 => 100usize..140];
    let palette = prop::collection::vec(node_recipe(), 1..7);
    let templates = prop::collection::vec(pod_recipe(), 1..4);
    let percentage = prop_oneof![Just(0usize), Just(80), Just(100)];
    let events = prop::collection::vec(event(), 1..40);
    (nodes, palette, templates, percentage, any::<bool>(), events).prop_map(
        |(nodes, palette, templates, percentage, services, events)| Case {
            nodes,
            palette,
            templates,
            percentage,
            services,
            events,
        },
    )
}
