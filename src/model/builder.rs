//! Short ways to make objects: for tests, benches and generated workloads.

use super::pod_spec::{Container, PodSpec, PullPolicy, RestartPolicy};
use super::service::{Service, ServiceType};
use super::{Labels, Meta, Name, Node, Object, Pod, PodStatus, Resource, Resources, hash};
use serde_json::json;
use std::sync::Arc;

/// A pod wish of one container.
pub fn spec(image: &str, milli_cpu: i64, memory: i64) -> PodSpec {
    let raw = json!({"containers": [{"name": "c", "image": image,
        "resources": {"requests": {"cpu": format!("{milli_cpu}m"), "memory": memory.to_string()}}}]});
    let requests = Resources { milli_cpu, memory, ..Resources::default() };
    let requested = [("cpu", milli_cpu), ("memory", memory)];
    let container = Container {
        name: crate::name!("c"),
        image: Name::from(image),
        pull_policy: PullPolicy::IfNotPresent,
        requests: requests.clone(),
        limits: Resources::default(),
        requested: requested.iter().filter(|(_, n)| *n > 0).map(|(name, _)| Name::from(*name)).collect(),
        limited: Vec::new(),
        ports: Vec::new(),
        sidecar: false,
        restart_policy: None,
        restart_rules: Vec::new(),
        readiness: None,
        liveness: None,
        startup: None,
        env: Vec::new(),
        mounts: Vec::new(),
        restart_on_resize: [false; 2],
        post_start: None,
        pre_stop: None,
    };
    PodSpec {
        hash: hash::content_hash(&raw),
        raw: Arc::new(raw),
        containers: vec![container],
        init_containers: Vec::new(),
        volumes: Vec::new(),
        node_name: None,
        node_selector: Labels::EMPTY,
        affinity: None,
        tolerations: Vec::new(),
        spread: Vec::new(),
        scheduler_name: crate::name!("default-scheduler"),
        priority_class: Name::new(),
        priority: 0,
        preempts: true,
        restart_policy: RestartPolicy::Always,
        grace_seconds: 30,
        active_deadline_seconds: None,
        host_network: false,
        scheduling_gates: Vec::new(),
        readiness_gates: Vec::new(),
        hostname: Name::new(),
        subdomain: Name::new(),
        service_account: crate::name!("default"),
        overhead: Resources::default(),
        pod_level: None,
        requests,
    }
}

/// A pod in namespace `default`.
pub fn pod(name: &str, spec: PodSpec) -> Pod {
    Pod { meta: Meta::named("default", name), spec: Arc::new(spec), node: None, status: PodStatus::default() }
}

/// A node with that much of everything, in no zone.
pub fn node(name: &str, milli_cpu: i64, memory: i64, pods: i64) -> Node {
    let size = Resources { milli_cpu, memory, pods, ephemeral_storage: 100 << 30, ..Resources::default() };
    let mut meta = Meta::named("", name);
    meta.labels = Labels::from_iter([("kubernetes.io/hostname", name)]);
    Node {
        meta,
        unschedulable: false,
        taints: Vec::new(),
        provider_id: Name::new(),
        capacity: size.clone(),
        allocatable: size,
        images: Arc::default(),
        conditions: Vec::new(),
        address: None,
        volumes_attached: Vec::new(),
        volumes_in_use: Vec::new(),
        raw: None,
    }
}

/// A service of type ClusterIP in that namespace that selects nothing yet and has no ports.
pub fn service(namespace: &str, name: &str) -> Service {
    Service {
        meta: Meta::named(namespace, name),
        kind: ServiceType::ClusterIp,
        selector: None,
        ports: Vec::new(),
        headless: false,
        cluster_ip: None,
        publish_not_ready: false,
        client_ip_affinity: false,
        affinity_seconds: 0,
        external_local: false,
        internal_local: false,
        traffic_distribution: Name::new(),
        ingress: Vec::new(),
        raw: None,
    }
}

impl Pod {
    /// With a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.meta.labels = self.meta.labels.with(key, value);
        self
    }

    /// Bound to a node.
    #[must_use]
    pub fn on(mut self, node: &str) -> Self {
        self.node = Some(Name::from(node));
        self
    }
}

impl Node {
    /// With a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.meta.labels = self.meta.labels.with(key, value);
        self
    }
}

impl<T: Resource> From<T> for Object {
    fn from(resource: T) -> Object {
        resource.into_object()
    }
}
