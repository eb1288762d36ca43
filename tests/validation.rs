//! What people write wrong, kind by kind, and the API server's sentence for it
//! (`pkg/apis/*/validation/validation.go`): each row changes one thing in a valid object.

use kubesim::wire::places::Places;
use kubesim::wire::strict;
use kubesim::wire::yaml::read_value;
use serde_json::Value;

/// Where, the value in YAML, and all that is said about it, a line each.
type Row = (&'static str, &'static str, &'static str);

/// Sets the value at each path of a valid object, and compares what is wrong then.
fn refused(valid: &str, table: &[Row]) {
    let object = read_value(valid).unwrap();
    assert_eq!(strict::faults(&object), Vec::<String>::new(), "the object itself is valid");
    for (path, value, sentences) in table {
        let mut wrong = object.clone();
        *place(&mut wrong, path) = read_value(value).unwrap();
        let expected: Vec<&str> = sentences.lines().map(str::trim).collect();
        assert_eq!(strict::faults(&wrong), expected, "{path}: {value}");
    }
}

/// The value at `spec.ports.0.port`, made if it is not there.
fn place<'a>(object: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').fold(object, |at, step| match step.parse::<usize>() {
        Ok(index) => &mut at[index],
        Err(_) => &mut at[step],
    })
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: 'web:1', ports: [{containerPort: 80}], resources: {}}]}
";

#[test]
fn containers() {
    refused(
        POD,
        &[
            ("spec.containers", "[]", "spec.containers: Required value"),
            (
                "spec.containers.0.name",
                "Web_1",
                "spec.containers[0].name: Invalid value: \"Web_1\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                "spec.containers",
                "[{name: a, image: i}, {name: a, image: i}]",
                "spec.containers[1].name: Duplicate value: \"a\"",
            ),
            ("spec.initContainers", "[{name: web, image: i}]", "spec.initContainers[0].name: Duplicate value: \"web\""),
            ("spec.containers.0.image", "''", "spec.containers[0].image: Required value"),
            (
                "spec.containers.0.image",
                "'web:1 '",
                "spec.containers[0].image: Invalid value: \"web:1 \": must not have leading or trailing whitespace",
            ),
            (
                "spec.containers.0.imagePullPolicy",
                "Sometimes",
                "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            ),
            (
                "spec.containers.0.terminationMessagePolicy",
                "Log",
                "spec.containers[0].terminationMessagePolicy: Unsupported value: \"Log\": supported values: \"File\", \"FallbackToLogsOnError\"",
            ),
            (
                "spec.containers.0.ports.0.containerPort",
                "70000",
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (
                "spec.containers.0.ports.0.containerPort",
                "0",
                "spec.containers[0].ports[0].containerPort: Required value",
            ),
            (
                "spec.containers.0.ports.0.protocol",
                "tcp",
                "spec.containers[0].ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ),
            (
                "spec.containers.0.ports.0.name",
                "this-name-is-too-long",
                "spec.containers[0].ports[0].name: Invalid value: \"this-name-is-too-long\": must be no more than 15 bytes",
            ),
            (
                "spec.containers.0.ports",
                "[{containerPort: 80, hostPort: 80}, {containerPort: 81, hostPort: 80}]",
                "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\"",
            ),
            (
                "spec",
                "{hostNetwork: true, containers: [{name: a, image: i, ports: [{containerPort: 80, hostPort: 81}]}]}",
                "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
            ),
            (
                "spec.containers.0.securityContext",
                "{runAsUser: -1}",
                "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ),
        ],
    );
}

#[test]
fn variables_and_mounts() {
    refused(
        POD,
        &[
            ("spec.containers.0.env", "[{name: '', value: a}]", "spec.containers[0].env[0].name: Required value"),
            (
                "spec.containers.0.env",
                "[{name: 'A=B', value: a}]",
                "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            ),
            (
                "spec.containers.0.env",
                "[{name: A, value: a, valueFrom: {configMapKeyRef: {name: c, key: k}}}]",
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            ),
            (
                "spec.containers.0.env",
                "[{name: A, valueFrom: {configMapKeyRef: {name: c, key: k}, secretKeyRef: {name: s, key: k}}}]",
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
            ),
            (
                "spec.containers.0.env",
                "[{name: A, valueFrom: {secretKeyRef: {name: s, key: ''}}}]",
                "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value",
            ),
            (
                "spec.containers.0.env",
                "[{name: A, valueFrom: {fieldRef: {fieldPath: spec.hostname}}}]",
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.hostname\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            ),
            (
                "spec.containers.0.env",
                "[{name: A, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}]",
                "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"limits.gpu\": supported values: \"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", \"requests.ephemeral-storage\", \"requests.memory\"",
            ),
            (
                "spec.containers.0.envFrom",
                "[{prefix: A_}]",
                "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
            ),
            (
                "spec.containers.0.envFrom",
                "[{configMapRef: {name: ''}}]",
                "spec.containers[0].envFrom[0].configMapRef.name: Required value",
            ),
            (
                "spec.containers.0.volumeMounts",
                "[{name: data, mountPath: /data}]",
                "spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
            ),
            (
                "spec",
                "{volumes: [{name: d}], containers: [{name: a, image: i, volumeMounts: [{name: d, mountPath: /d}, {name: d, mountPath: /d}]}]}",
                "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/d\": must be unique",
            ),
            (
                "spec",
                "{volumes: [{name: d}], containers: [{name: a, image: i, volumeMounts: [{name: d, mountPath: ''}]}]}",
                "spec.containers[0].volumeMounts[0].mountPath: Required value",
            ),
            (
                "spec",
                "{volumes: [{name: d}], containers: [{name: a, image: i, volumeMounts: [{name: d, mountPath: /d, subPath: ../x}]}]}",
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'",
            ),
            (
                "spec",
                "{volumes: [{name: d}], containers: [{name: a, image: i, volumeMounts: [{name: d, mountPath: /d, mountPropagation: Bidirectional}]}]}",
                "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
            ),
            ("spec.volumes", "[{name: d}, {name: d}]", "spec.volumes[1].name: Duplicate value: \"d\""),
            ("spec.volumes", "[{name: d, configMap: {}}]", "spec.volumes[0].configMap.name: Required value"),
            ("spec.volumes", "[{name: d, secret: {}}]", "spec.volumes[0].secret.secretName: Required value"),
            (
                "spec.volumes",
                "[{name: d, persistentVolumeClaim: {claimName: ''}}]",
                "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
            ),
            (
                "spec.volumes",
                "[{name: d, emptyDir: {}, configMap: {name: c}}]",
                "spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type",
            ),
            (
                "spec.volumes",
                "[{name: d, hostPath: {path: /a/../b}}]",
                "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            ),
            (
                "spec.volumes",
                "[{name: d, hostPath: {path: /a, type: Dir}}]",
                "spec.volumes[0].hostPath.type: Unsupported value: \"Dir\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            ),
            (
                "spec.volumes",
                "[{name: d, configMap: {name: c, defaultMode: 644}}]",
                "spec.volumes[0].configMap.defaultMode: Invalid value: 644: must be a number between 0 and 0777 (octal), both inclusive",
            ),
            (
                "spec.volumes",
                "[{name: d, nfs: {server: s, path: a}}]",
                "spec.volumes[0].nfs.path: Invalid value: \"a\": must be an absolute path",
            ),
        ],
    );
}

#[test]
fn probes_hooks_and_resources() {
    refused(
        POD,
        &[
            ("spec.containers.0.readinessProbe", "{periodSeconds: 3}", "spec.containers[0].readinessProbe: Required value: must specify a handler type"),
            ("spec.containers.0.livenessProbe", "{tcpSocket: {port: 80}, httpGet: {port: 80}}", "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"),
            ("spec.containers.0.livenessProbe", "{exec: {}}", "spec.containers[0].livenessProbe.exec.command: Required value"),
            ("spec.containers.0.livenessProbe", "{tcpSocket: {port: 80}, successThreshold: 2}", "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"),
            ("spec.containers.0.livenessProbe", "{tcpSocket: {port: 80}, periodSeconds: -1}", "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0"),
            ("spec.containers.0.readinessProbe", "{tcpSocket: {port: 80}, terminationGracePeriodSeconds: 5}", "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes"),
            ("spec.initContainers", "[{name: a, image: i, livenessProbe: {tcpSocket: {port: 80}}}]", "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"),
            ("spec.containers.0.lifecycle", "{preStop: {}}", "spec.containers[0].lifecycle.preStop: Required value: must specify a handler type"),
            ("spec.containers.0.lifecycle", "{preStop: {sleep: {seconds: 60}}}", "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 60: must be non-negative and less than terminationGracePeriodSeconds (30)"),
            ("spec.containers.0.resources", "{requests: {cpu: '1'}, limits: {cpu: 500m}}", "spec.containers[0].resources.requests: Invalid value: \"1\": must be less than or equal to cpu limit of 500m"),
            ("spec.containers.0.resources", "{requests: {memory: -1Mi}}", "spec.containers[0].resources.requests[memory]: Invalid value: \"-1Mi\": must be greater than or equal to 0"),
            ("spec.containers.0.resources", "{requests: {gpu: '1'}}", "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified
                spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers"),
            ("spec.containers.0.resources", "{requests: {nvidia.com/gpu: 1}}", "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"),
            ("spec.containers.0.resources", "{limits: {nvidia.com/gpu: 500m}, requests: {nvidia.com/gpu: 500m}}", "spec.containers[0].resources.limits[nvidia.com/gpu]: Invalid value: \"500m\": must be an integer
                spec.containers[0].resources.requests[nvidia.com/gpu]: Invalid value: \"500m\": must be an integer"),
        ],
    );
}

#[test]
fn pods() {
    refused(
        POD,
        &[
            ("metadata.name", "''", "metadata.name: Required value: name or generateName is required"),
            (
                "metadata.labels",
                "{app: 'a b'}",
                "metadata.labels: Invalid value: \"a b\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
            (
                "metadata.finalizers",
                "[keep]",
                "metadata.finalizers[0]: Invalid value: \"keep\": name is neither a standard finalizer name nor is it fully qualified",
            ),
            (
                "spec.restartPolicy",
                "Sometimes",
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ),
            (
                "spec.dnsPolicy",
                "Cluster",
                "spec.dnsPolicy: Unsupported value: \"Cluster\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
            ),
            (
                "spec.dnsPolicy",
                "None",
                "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
            ),
            (
                "spec.terminationGracePeriodSeconds",
                "-1",
                "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "spec.activeDeadlineSeconds",
                "0",
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            ),
            (
                "spec.preemptionPolicy",
                "Always",
                "spec.preemptionPolicy: Unsupported value: \"Always\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ),
            ("spec.schedulingGates", "[{name: a}, {name: a}]", "spec.schedulingGates[1]: Duplicate value: \"a\""),
            (
                "spec.tolerations",
                "[{operator: Equal, value: a}]",
                "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ),
            (
                "spec.tolerations",
                "[{key: a, operator: Exists, value: b}]",
                "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
            ),
            (
                "spec.tolerations",
                "[{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 30}]",
                "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            ),
            (
                "spec.tolerations",
                "[{key: a, operator: Exists, effect: NoRun}]",
                "spec.tolerations[0].effect: Unsupported value: \"NoRun\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            ),
            (
                "spec.affinity",
                "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
            ),
            (
                "spec.affinity",
                "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In}]}]}}}",
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ),
            (
                "spec.affinity",
                "{podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, podAffinityTerm: {topologyKey: zone}}]}}",
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100",
            ),
            (
                "spec.affinity",
                "{podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: ''}]}}",
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
            ),
            (
                "spec.topologySpreadConstraints",
                "[{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]",
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            ),
            (
                "spec.topologySpreadConstraints",
                "[{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: Never}]",
                "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Never\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
            ),
            (
                "spec.topologySpreadConstraints",
                "[{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, minDomains: 2}]",
                "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
            ),
            (
                "spec.topologySpreadConstraints",
                "[{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}, {maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]",
                "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{zone, DoNotSchedule}\"",
            ),
        ],
    );
}

#[test]
fn deployments() {
    let valid = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'web:1'}]}}
";
    refused(
        valid,
        &[
            ("spec.replicas", "-1", "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            (
                "spec.template.metadata.labels",
                "{app: other}",
                "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`",
            ),
            ("spec.selector", "{}", "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
            (
                "spec.template.spec.restartPolicy",
                "Never",
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
            (
                "spec.strategy",
                "{rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}",
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ),
            (
                "spec.strategy",
                "{type: Recreate, rollingUpdate: {}}",
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ),
            (
                "spec.strategy",
                "{rollingUpdate: {maxUnavailable: 110%}}",
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"110%\": must not be greater than 100%",
            ),
            (
                "spec.strategy",
                "{rollingUpdate: {maxSurge: 10 %}}",
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"10 %\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            ),
            (
                "spec.progressDeadlineSeconds",
                "0",
                "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds",
            ),
            (
                "spec.revisionHistoryLimit",
                "-1",
                "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "spec.template.spec.activeDeadlineSeconds",
                "5",
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
            ),
        ],
    );
}

#[test]
fn stateful_sets_and_daemon_sets() {
    let stateful = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: 'db:1'}]}}
";
    refused(
        stateful,
        &[
            (
                "spec.podManagementPolicy",
                "Ordered",
                "spec.podManagementPolicy: Invalid value: \"Ordered\": must be 'OrderedReady' or 'Parallel'",
            ),
            (
                "spec.updateStrategy",
                "{type: OnDelete, rollingUpdate: {partition: 1}}",
                "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'",
            ),
            (
                "spec.updateStrategy",
                "{rollingUpdate: {partition: -1}}",
                "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "spec.persistentVolumeClaimRetentionPolicy",
                "{whenScaled: Drop}",
                "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Drop\": supported values: \"Delete\", \"Retain\"",
            ),
            (
                "spec.ordinals",
                "{start: -1}",
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
            ),
        ],
    );
    let daemon = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: agent, image: 'agent:1'}]}}
";
    refused(
        daemon,
        &[
            (
                "spec.updateStrategy",
                "{type: Rolling}",
                "spec.updateStrategy: Unsupported value: \"Rolling\": supported values: \"RollingUpdate\", \"OnDelete\"",
            ),
            (
                "spec.updateStrategy",
                "{rollingUpdate: {maxSurge: 1}}",
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
            ),
            (
                "spec.updateStrategy",
                "{rollingUpdate: {maxUnavailable: 0}}",
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ),
        ],
    );
}

#[test]
fn jobs_and_cron_jobs() {
    let job = "
apiVersion: batch/v1
kind: Job
metadata: {name: sum}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: sum, image: 'sum:1'}]}}}
";
    refused(
        job,
        &[
            (
                "spec.template.spec.restartPolicy",
                "Always",
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            ("spec.parallelism", "-1", "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
            ("spec.backoffLimit", "-1", "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
            (
                "spec.completionMode",
                "Index",
                "spec.completionMode: Unsupported value: \"Index\": supported values: \"Indexed\", \"NonIndexed\"",
            ),
            ("spec.completionMode", "Indexed", "spec.completions: Required value: when completion mode is Indexed"),
            (
                "spec.backoffLimitPerIndex",
                "1",
                "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            ),
            (
                "spec.ttlSecondsAfterFinished",
                "-1",
                "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0",
            ),
        ],
    );
    let cron = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: 0 3 * * *
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: sum, image: 'sum:1'}]}}}}
";
    refused(
        cron,
        &[
            ("spec.schedule", "''", "spec.schedule: Required value"),
            (
                "spec.schedule",
                "0 3 * *",
                "spec.schedule: Invalid value: \"0 3 * *\": expected exactly 5 fields, found 4: [0 3 * *]",
            ),
            (
                "spec.schedule",
                "TZ=Europe/Berlin 0 3 * * *",
                "spec.schedule: Invalid value: \"TZ=Europe/Berlin 0 3 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (
                "spec.timeZone",
                "Europe/Berln",
                "spec.timeZone: Invalid value: \"Europe/Berln\": unknown time zone Europe/Berln",
            ),
            (
                "spec.concurrencyPolicy",
                "Never",
                "spec.concurrencyPolicy: Unsupported value: \"Never\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            ),
            (
                "spec.startingDeadlineSeconds",
                "-1",
                "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "metadata.name",
                "a-name-of-fifty-three-characters-is-one-too-many-here",
                "metadata.name: Invalid value: \"a-name-of-fifty-three-characters-is-one-too-many-here\": must be no more than 52 characters",
            ),
        ],
    );
}

#[test]
fn services_and_configuration() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";
    refused(
        service,
        &[
            ("spec.ports", "[]", "spec.ports: Required value"),
            ("spec.ports.0.port", "0", "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
            (
                "spec.ports.0.targetPort",
                "'8080'",
                "spec.ports[0].targetPort: Invalid value: \"8080\": must contain at least one letter (a-z)",
            ),
            (
                "spec.ports",
                "[{port: 80}, {port: 81}]",
                "spec.ports[0].name: Required value
                spec.ports[1].name: Required value",
            ),
            (
                "spec.type",
                "Loadbalancer",
                "spec.type: Unsupported value: \"Loadbalancer\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ),
            (
                "spec.ports.0.nodePort",
                "30080",
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ),
            (
                "spec",
                "{type: NodePort, clusterIP: None, ports: [{port: 80}]}",
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ),
            (
                "spec.externalTrafficPolicy",
                "Local",
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ),
            (
                "spec.sessionAffinity",
                "Cookie",
                "spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\"",
            ),
        ],
    );
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: b}}";
    refused(
        map,
        &[(
            "data",
            "{'a b': c}",
            "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        )],
    );
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: s}}";
    refused(secret, &[("type", "kubernetes.io/tls", "data[tls.crt]: Required value\ndata[tls.key]: Required value")]);
    let class = "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}";
    refused(
        class,
        &[
            ("value", "2000000000", "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
            (
                "preemptionPolicy",
                "Always",
                "preemptionPolicy: Unsupported value: \"Always\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ),
        ],
    );
}

#[test]
fn policies() {
    let budget = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b}, spec: {selector: {}}}";
    refused(
        budget,
        &[
            ("spec.minAvailable", "-1", "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"),
            (
                "spec.maxUnavailable",
                "101%",
                "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                "spec.unhealthyPodEvictionPolicy",
                "Never",
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
        ],
    );
    let quota =
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: 3, count/jobs.batch: 2}}}";
    refused(
        quota,
        &[
            (
                "spec.hard",
                "{podz: 3}",
                "spec.hard[podz]: Invalid value: \"podz\": must be a standard resource type or fully qualified
                spec.hard[podz]: Invalid value: \"podz\": must be a standard resource for quota",
            ),
            ("spec.hard", "{pods: 1500m}", "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"),
            (
                "spec.hard",
                "{requests.cpu: -1}",
                "spec.hard[requests.cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
            ("spec.scopes", "[Running]", "spec.scopes[0]: Invalid value: \"Running\": unsupported scope"),
            (
                "spec.scopes",
                "[Terminating, NotTerminating]",
                "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes",
            ),
        ],
    );
    let limits = "{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: Container}]}}";
    refused(
        limits,
        &[
            (
                "spec.limits.0",
                "{type: Container, min: {cpu: 2}, max: {cpu: 1}}",
                "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            ),
            (
                "spec.limits.0",
                "{type: Pod, default: {cpu: 2}}",
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            ),
            ("spec.limits", "[{type: Pod}, {type: Pod}]", "spec.limits[1].type: Duplicate value: \"Pod\""),
        ],
    );
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}, rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}";
    refused(
        role,
        &[
            ("rules.0.verbs", "[]", "rules[0].verbs: Required value: verbs must contain at least one value"),
            (
                "rules.0.resources",
                "[]",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ),
        ],
    );
    let claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    refused(
        claim,
        &[
            ("spec.accessModes", "[]", "spec.accessModes: Required value: at least 1 access mode is required"),
            (
                "spec.accessModes",
                "[RWO]",
                "spec.accessModes: Unsupported value: \"RWO\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            ),
            ("spec.resources", "{}", "spec.resources[storage]: Required value"),
        ],
    );
}

#[test]
fn accounts_in_bindings_of_the_cluster_need_a_namespace() {
    // (the binding, the role, what is wrong with an account without a namespace)
    let rows =
        [("RoleBinding", "Role", ""), ("ClusterRoleBinding", "ClusterRole", "subjects[0].namespace: Required value")];
    for (kind, role, wrong) in rows {
        let binding = format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: {kind}, metadata: {{name: b}}, \
             subjects: [{{kind: ServiceAccount, name: bot}}], \
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role}, name: r}}}}"
        );
        assert_eq!(strict::faults(&read_value(&binding).unwrap()).join("\n"), wrong, "{kind}");
    }
}

#[test]
fn kinds_that_are_not_simulated_are_known_by_their_group() {
    let rows = [
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", true),
        ("apiregistration.k8s.io/v1", "APIService", true),
        ("certificates.k8s.io/v1", "CertificateSigningRequest", true),
        ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", true),
        ("resource.k8s.io/v1", "ResourceClaimTemplate", true),
        ("storage.k8s.io/v1", "VolumeAttributesClass", true),
        ("v1", "PodTemplate", true),
        ("example.com/v1", "ResourceClaim", false),
    ];
    for (version, kind, known) in rows {
        let object = read_value(&format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: x}}}}")).unwrap();
        let problem = strict::unknown_kind(&object, &Places::new("x.yaml", ""));
        let message = match known {
            true => format!("kind {kind:?} is not simulated yet"),
            false => format!("no matches for kind {kind:?} in version {version:?}"),
        };
        assert_eq!(problem.message, message);
        assert_eq!(strict::is_custom(&object), !known, "{kind}");
    }
}
