//! From the scenario's pools and nodes to the machines that are there when the run begins.

use super::BOOT;
use crate::autoscaler::Group;
use crate::autoscaler::karpenter::{Launch, Offering};
use crate::model::core::{Namespace, PriorityClass};
use crate::model::machine::KubeletSetup;
use crate::model::node::NodeImage;
use crate::model::{Labels, Machine, Meta, Name, Node, Object, Resources, Taint, TaintEffect};
use crate::rng::Seed;
use crate::scenario::cluster::{Capacity, Pool};
use crate::scenario::{Cluster, NodeSetup};
use crate::time::{SimDuration, SimTime};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

/// Size of an image in a pool's cache, where only its name is known.
const CACHED_IMAGE_BYTES: i64 = 100 << 20;

/// What every cluster has from the start.
pub fn bootstrap_objects() -> Vec<Object> {
    let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"].map(|name| {
        let meta = Meta::named("", name);
        Object::from(Namespace { meta, terminating: false, spec_finalizers: Vec::new(), conditions: Vec::new() })
    });
    // `pkg/apis/scheduling/v1/helpers.go`
    let classes = [
        ("system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
        ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
    ]
    .map(|(name, value, description)| {
        let meta = Meta::named("", name);
        let description = Name::from(description);
        Object::from(PriorityClass { meta, value, global_default: false, preempts: true, description })
    });
    namespaces.into_iter().chain(classes).collect()
}

/// The machines, each with the instant it comes up; those of the control plane first.
pub fn machines(cluster: &Cluster, seed: Seed) -> Vec<(SimTime, Machine)> {
    let control_plane = (0..cluster.control_plane.replicas).map(|index| {
        let mut machine = machine(&control_plane_setup(cluster, index), index as usize);
        let node = Arc::make_mut(&mut machine.node);
        node.taints.push(Taint {
            key: crate::name!("node-role.kubernetes.io/control-plane"),
            value: Name::new(),
            effect: TaintEffect::NoSchedule,
            added: None,
        });
        node.meta.labels = node.meta.labels.with("node-role.kubernetes.io/control-plane", "");
        machine
    });
    let first = cluster.control_plane.replicas as usize;
    let setups = cluster.setups();
    let workers = setups.iter().enumerate().map(|(index, setup)| machine(setup, first + index));
    let delays = std::iter::repeat_n(None, first).chain(setups.iter().map(|setup| setup.start_after));
    control_plane
        .chain(workers)
        .zip(delays)
        .map(|(mut machine, delay)| {
            let mut stream = seed.stream("machine-start", &machine.meta.name);
            let up_at = match delay {
                Some(delay) => SimTime::ZERO + delay.sample(&mut stream).0,
                None => BOOT,
            };
            // A machine that was there before has its heartbeats at some phase of their ten seconds.
            let phase = SimDuration::from_secs_f64(stream.uniform(0.0, 10.0));
            machine.up_since = if delay.is_some() { up_at } else { up_at - phase };
            (up_at, machine)
        })
        .collect()
}

/// The pools that the Cluster Autoscaler scales: whatever number of machines they will have.
pub fn groups(cluster: &Cluster) -> Vec<Group> {
    // Addresses behind those of the machines that are there from the start, so many for each pool.
    let first = cluster.control_plane.replicas as usize + cluster.setups().len();
    let scaled = cluster.pools.iter().filter_map(|pool| Some((pool, pool.autoscale?)));
    scaled
        .enumerate()
        .map(|(place, (pool, bounds))| {
            let (name, next, own) = (Name::from(pool.name.as_str()), pool.count, pool.clone());
            let address = first + (place << 18);
            let make = Rc::new(move |number: u32| machine(&own.setup(number), address + number as usize));
            Group { name, min: bounds.min, max: bounds.max, make, next }
        })
        .collect()
}

/// What a Karpenter-like provisioner may launch, and how its machines are made.
pub fn offerings(cluster: &Cluster) -> (Vec<Offering>, Launch) {
    let wish = &cluster.karpenter;
    let mut offerings = Vec::new();
    for (pool, own) in wish.node_pools.iter().enumerate() {
        for (kind, one) in wish.instance_types.iter().enumerate() {
            if own.instance_types.as_ref().is_some_and(|names| !names.contains(&one.name)) {
                continue;
            }
            let spot = one.spot_price_per_hour.filter(|_| own.spot).map(|price| (true, price));
            for (spot, price) in std::iter::once((false, one.price_per_hour)).chain(spot) {
                let labels = [
                    ("karpenter.sh/nodepool", own.name.as_str()),
                    ("karpenter.sh/capacity-type", if spot { "spot" } else { "on-demand" }),
                    ("node.kubernetes.io/instance-type", one.name.as_str()),
                ];
                let capacity = Capacity { cpu: one.cpu, memory: one.memory, ..Capacity::default() };
                let setup = NodeSetup {
                    name: format!("{}-template", own.name),
                    pool: Some(own.name.clone()),
                    capacity,
                    reserved: Default::default(),
                    zone: one.zone.clone(),
                    region: None,
                    labels: labels.map(|(key, value)| (key.to_string(), value.to_string())).into(),
                    taints: Vec::new(),
                    image_cache: Vec::new(),
                    price_per_hour: price,
                    start_after: None,
                    kubelet: Default::default(),
                };
                let machine = machine(&setup, 0);
                let price_micros = machine.price_per_hour_micros;
                offerings.push(Offering { pool, kind, spot, price_micros, machine });
            }
        }
    }
    // Addresses far behind those of other pools.
    let launch = move |offering: &Offering, number: u32| {
        let mut machine = offering.machine.clone();
        let name = Name::from(format!("{}-{number}", machine.pool));
        let place = (64 + offering.pool) << 16;
        let node = Arc::make_mut(&mut machine.node);
        node.meta.labels = node.meta.labels.with("kubernetes.io/hostname", name.clone());
        node.address = Some(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 10)) + place as u32 + number));
        (node.meta.name, machine.meta.name) = (name.clone(), name);
        machine
    };
    (offerings, Rc::new(launch))
}

/// The next node of each pool, and one for each further zone of it.
pub fn templates(cluster: &Cluster) -> Vec<(Name, Arc<Node>)> {
    let next = |pool: &Pool| {
        let setups = (pool.count..).take(pool.zones.len().max(1)).map(|index| machine(&pool.setup(index), 0).node);
        setups.map(|node| (Name::from(pool.name.as_str()), node)).collect::<Vec<_>>()
    };
    cluster.pools.iter().flat_map(next).collect()
}

fn control_plane_setup(cluster: &Cluster, index: u32) -> NodeSetup {
    let zones = cluster.zones();
    NodeSetup {
        name: format!("control-plane-{index}"),
        pool: Some("control-plane".to_string()),
        capacity: Default::default(),
        reserved: Default::default(),
        zone: zones.get(index as usize % zones.len().max(1)).map(|zone| (*zone).to_string()),
        region: None,
        labels: Default::default(),
        taints: Vec::new(),
        image_cache: Vec::new(),
        kubelet: Default::default(),
        price_per_hour: cluster.control_plane.price_per_hour,
        start_after: None,
    }
}

fn machine(setup: &NodeSetup, index: usize) -> Machine {
    let mut meta = Meta::named("", setup.name.as_str());
    meta.labels = labels(setup);
    let taints = setup.taints.iter().map(Taint::from);
    let capacity = &setup.capacity;
    let mut whole = Resources {
        milli_cpu: capacity.cpu.0.milli(),
        memory: capacity.memory.0.whole(),
        ephemeral_storage: capacity.ephemeral_storage.0.whole(),
        pods: i64::from(capacity.pods),
        ..Resources::default()
    };
    for (name, amount) in &capacity.extended {
        whole.set(&Name::from(name.as_str()), amount.0.whole());
    }
    let (milli_cpu, memory, ephemeral_storage) = capacity.allocatable(&setup.reserved, &setup.thresholds());
    let allocatable = Resources { milli_cpu, memory, ephemeral_storage, ..whole.clone() };
    let image = |name: &String| NodeImage { names: vec![Name::from(name.as_str())], size: CACHED_IMAGE_BYTES };
    let node = Node {
        meta: meta.clone(),
        unschedulable: false,
        taints: taints.collect(),
        provider_id: Name::new(),
        capacity: whole,
        allocatable,
        images: Arc::new(setup.image_cache.iter().map(image).collect()),
        conditions: Vec::new(),
        address: Some(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + index as u32 + 10)),
        volumes_attached: Vec::new(),
        volumes_in_use: Vec::new(),
        raw: None,
    };
    Machine {
        meta: Meta::named("", setup.name.as_str()),
        pool: Name::from(setup.pool.as_deref().unwrap_or_default()),
        node: Arc::new(node),
        up: true,
        up_since: BOOT,
        down_since: BOOT,
        boot: 0,
        setup: Arc::new(kubelet_setup(setup)),
        troubles: Default::default(),
        holds: Vec::new(),
        price_per_hour_micros: (setup.price_per_hour * 1_000_000.0).round() as i64,
    }
}

/// How much room `mkfs.ext4` counts for a file (`inode_ratio`).
const BYTES_PER_INODE: i64 = 16 << 10;

/// The kubelet's configuration. What is reserved for the system is what the system uses.
fn kubelet_setup(setup: &NodeSetup) -> KubeletSetup {
    let (system, kube) = (&setup.reserved.system, &setup.reserved.kube);
    let inodes = setup.capacity.ephemeral_storage.0.whole() / BYTES_PER_INODE;
    KubeletSetup {
        inodes: setup.kubelet.inodes.map_or(inodes, |count| count.0.whole()),
        thresholds: setup.thresholds(),
        system_memory: system.memory.0.whole() + kube.memory.0.whole(),
        system_disk: system.ephemeral_storage.0.whole() + kube.ephemeral_storage.0.whole(),
        ..setup.kubelet.setup()
    }
}

/// The labels that kubelet and cloud provider set, and those of the scenario.
fn labels(setup: &NodeSetup) -> Labels {
    let fixed = [
        ("kubernetes.io/hostname", setup.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", "amd64"),
    ];
    let zone = setup.zone.as_deref().map(|zone| ("topology.kubernetes.io/zone", zone));
    let region = setup.region.as_deref().map(|region| ("topology.kubernetes.io/region", region));
    let own = setup.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    fixed.into_iter().chain(zone).chain(region).chain(own).collect()
}
