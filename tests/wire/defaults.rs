//! Kubernetes' defaults (`pkg/apis/core/v1/defaults.go`, `pkg/apis/apps/v1/defaults.go`), one row a rule.

use super::{check, decoded, yaml};
use kubesim::model::Labels;
use kubesim::wire::decode;

#[test]
fn of_pods() {
    check(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: nginx}]}}",
        "apiVersion: v1
kind: Pod
metadata: {name: a, namespace: default}
spec:
  restartPolicy: Always
  dnsPolicy: ClusterFirst
  terminationGracePeriodSeconds: 30
  schedulerName: default-scheduler
  enableServiceLinks: true
  securityContext: {}
  containers:
  - {name: c, image: nginx, imagePullPolicy: Always, terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File, resources: {}}
status: {phase: Pending, qosClass: BestEffort}",
    );
}

#[test]
fn of_pull_policies() {
    let table = [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/team/app", "Always"),
        ("registry:5000/team/app:v1", "IfNotPresent"),
        ("nginx@sha256:0000000000000000000000000000000000000000000000000000000000000000", "IfNotPresent"),
    ];
    for (image, policy) in table {
        check(
            &format!("{{apiVersion: v1, kind: Pod, spec: {{containers: [{{name: c, image: '{image}'}}]}}}}"),
            &format!("{{spec: {{containers: [{{imagePullPolicy: {policy}}}]}}}}"),
        );
    }
}

#[test]
fn of_requests_ports_probes_and_volumes() {
    check(
        "apiVersion: v1
kind: Pod
spec:
  hostNetwork: true
  serviceAccountName: robot
  containers:
  - name: c
    image: a:1
    resources: {requests: {cpu: 0.5}, limits: {cpu: 1000m, memory: 1024Mi, example.com/gpu: 1}}
    ports: [{containerPort: 80}, {containerPort: 81, hostPort: 8081, protocol: UDP}]
    readinessProbe: {httpGet: {port: 80}}
    livenessProbe: {exec: {command: [x]}, periodSeconds: 3}
    startupProbe: {grpc: {port: 1}}
    env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
  volumes:
  - {name: a}
  - {name: b, configMap: {name: m}}
  - {name: s, secret: {secretName: m}}
  - {name: h, hostPath: {path: /x}}
  - {name: e, emptyDir: {sizeLimit: 2048Mi}}
  - {name: p, projected: {sources: [{serviceAccountToken: {path: t}}]}}",
        "spec:
  serviceAccount: robot
  containers:
  - resources: {requests: {cpu: 500m, memory: 1Gi, example.com/gpu: '1'}, limits: {cpu: '1', memory: 1Gi, example.com/gpu: '1'}}
    ports: [{containerPort: 80, hostPort: 80, protocol: TCP}, {containerPort: 81, hostPort: 8081, protocol: UDP}]
    readinessProbe: {httpGet: {port: 80, path: /, scheme: HTTP}, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3}
    livenessProbe: {timeoutSeconds: 1, periodSeconds: 3, successThreshold: 1, failureThreshold: 3}
    startupProbe: {grpc: {port: 1, service: ''}}
    env: [{valueFrom: {fieldRef: {apiVersion: v1}}}]
  volumes:
  - {emptyDir: {}}
  - {configMap: {defaultMode: 420}}
  - {secret: {defaultMode: 420}}
  - {hostPath: {type: ''}}
  - {emptyDir: {sizeLimit: 2Gi}}
  - {projected: {defaultMode: 420, sources: [{serviceAccountToken: {expirationSeconds: 3600}}]}}
status: {qosClass: Burstable}",
    );
}

#[test]
fn of_pod_level_resources() {
    // The containers ask for cpu together (300m), nobody asks for memory: that request is the limit.
    check(
        "apiVersion: v1
kind: Pod
spec:
  resources: {limits: {cpu: 1, memory: 1Gi}}
  containers:
  - {name: a, image: a:1, resources: {requests: {cpu: 100m}}}
  - {name: b, image: a:1, resources: {requests: {cpu: 200m}}}",
        "{spec: {resources: {requests: {cpu: 300m, memory: 1Gi}}}, status: {qosClass: Burstable}}",
    );
}

#[test]
fn of_deployments() {
    // A template gets no requests from limits and no service links: only a pod does.
    check(
        "apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: shop}
spec:
  selector: {matchLabels: {app: d}}
  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: a:1, resources: {limits: {cpu: 1}}}]}}",
        "metadata: {namespace: shop}
spec:
  replicas: 1
  revisionHistoryLimit: 10
  progressDeadlineSeconds: 600
  minReadySeconds: null
  paused: null
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      enableServiceLinks: null
      restartPolicy: Always
      containers: [{resources: {limits: {cpu: '1'}, requests: null}}]",
    );
}

#[test]
fn of_services() {
    let table = [
        (
            "{ports: [{port: 80}], selector: {a: b}}",
            "{type: ClusterIP, sessionAffinity: None, internalTrafficPolicy: Cluster, externalTrafficPolicy: null, ipFamilyPolicy: SingleStack, ports: [{port: 80, targetPort: 80, protocol: TCP}]}",
        ),
        (
            "{type: LoadBalancer, ports: [{port: 80, targetPort: http}], sessionAffinity: ClientIP}",
            "{externalTrafficPolicy: Cluster, allocateLoadBalancerNodePorts: true, ports: [{targetPort: http}], sessionAffinityConfig: {clientIP: {timeoutSeconds: 10800}}}",
        ),
        (
            "{type: NodePort, externalTrafficPolicy: Local}",
            "{externalTrafficPolicy: Local, allocateLoadBalancerNodePorts: null}",
        ),
        (
            "{type: ExternalName, externalName: a.b}",
            "{externalName: a.b, internalTrafficPolicy: null, ipFamilyPolicy: null}",
        ),
        ("{clusterIP: None}", "{clusterIP: None, clusterIPs: [None], sessionAffinity: None}"),
    ];
    for (spec, expected) in table {
        check(&format!("{{apiVersion: v1, kind: Service, spec: {spec}}}"), &format!("{{spec: {expected}}}"));
    }
}

#[test]
fn of_the_other_kinds() {
    let table = [
        (
            "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
            "{metadata: {namespace: null, labels: {kubernetes.io/metadata.name: a}}, spec: {finalizers: [kubernetes]}, status: {phase: Active}}",
        ),
        (
            "{apiVersion: v1, kind: Node, metadata: {name: a}, status: {capacity: {cpu: 4, memory: 16384Mi, pods: 110}}}",
            "{status: {allocatable: {cpu: '4', memory: 16Gi, pods: '110'}}}",
        ),
        // `aGk=` is `hi`; plain text wins over data of the same key.
        (
            "{apiVersion: v1, kind: Secret, data: {a: Yg==, b: Yg==}, stringData: {a: hi}}",
            "{type: Opaque, data: {a: aGk=, b: Yg==}, stringData: null}",
        ),
        ("{apiVersion: v1, kind: ConfigMap, data: {a: x}, immutable: true}", "{data: {a: x}, immutable: true}"),
        (
            "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: p}, value: 7}",
            "{value: 7, preemptionPolicy: PreemptLowerPriority, metadata: {namespace: null}}",
        ),
        (
            "{apiVersion: apps/v1, kind: ReplicaSet, spec: {selector: {}, template: {spec: {containers: []}}}}",
            "{spec: {replicas: 1}, status: {replicas: 0}}",
        ),
    ];
    for (manifest, expected) in table {
        check(manifest, expected);
    }
}

#[test]
fn of_requests_that_count() {
    // (containers, init containers, overhead; milli-CPU, MiB)
    let request = |cpu: &str, memory: &str| format!("resources: {{requests: {{cpu: {cpu}, memory: {memory}}}}}");
    let (small, large) = (request("100m", "64Mi"), request("1", "32Mi"));
    let table = [
        (format!("containers: [{{name: a, {small}}}, {{name: b, {large}}}]"), 1100, 96),
        // One init step larger in cpu than the 100m that run later.
        (format!("containers: [{{name: a, {small}}}]\ninitContainers: [{{name: i, {large}}}]"), 1000, 64),
        // A sidecar runs beside: 100m + 1000m.
        (
            format!(
                "containers: [{{name: a, {small}}}]\ninitContainers: [{{name: i, restartPolicy: Always, {large}}}]"
            ),
            1100,
            96,
        ),
        // The step after a sidecar counts with it: 1000m + 1000m, 32Mi + 32Mi against 64Mi + 32Mi.
        (
            format!(
                "containers: [{{name: a, {small}}}]\ninitContainers: [{{name: s, restartPolicy: Always, {large}}}, {{name: i, {large}}}]"
            ),
            2000,
            96,
        ),
        (format!("containers: [{{name: a, {small}}}]\noverhead: {{cpu: 50m, memory: 1Mi}}"), 150, 65),
        ("containers: [{name: a, resources: {limits: {cpu: 250m, memory: 8Mi}}}]".to_string(), 250, 8),
        (format!("containers: [{{name: a, {small}}}]\nresources: {{requests: {{cpu: 2, memory: 1Gi}}}}"), 2000, 1024),
    ];
    for (spec, milli_cpu, mebibytes) in table {
        let read = decode::pod_spec(&yaml(&spec), &Labels::EMPTY).unwrap();
        assert_eq!((read.requests.milli_cpu, read.requests.memory >> 20), (milli_cpu, mebibytes), "{spec}");
    }
}

#[test]
fn of_label_keys() {
    let manifest = "apiVersion: v1
kind: Pod
metadata: {labels: {app: web, version: v1}}
spec:
  containers: [{name: c, image: a:1}]
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [version, absent]}
  affinity:
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
      - {topologyKey: zone, labelSelector: {matchLabels: {app: web}}, mismatchLabelKeys: [version]}
      - {topologyKey: zone, matchLabelKeys: [version]}";
    check(
        manifest,
        "spec:
  topologySpreadConstraints:
  - labelSelector: {matchLabels: {app: web}, matchExpressions: [{key: version, operator: In, values: [v1]}]}
  affinity:
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
      - labelSelector: {matchExpressions: [{key: version, operator: NotIn, values: [v1]}]}
      - {labelSelector: null}",
    );
    // A template's wish is merged when a pod is made of it, and then says the same.
    let value = yaml(manifest);
    let pod = decoded(&value).pod().unwrap().clone();
    let template = decode::pod_spec(&value["spec"], &Labels::EMPTY).unwrap();
    let merged = template.merged_label_keys(&pod.meta.labels).unwrap();
    assert_ne!(merged.hash, template.hash);
    assert_eq!((&merged.affinity, &merged.spread), (&pod.spec.affinity, &pod.spec.spread));
    assert_eq!(merged.merged_label_keys(&pod.meta.labels), None);
}
