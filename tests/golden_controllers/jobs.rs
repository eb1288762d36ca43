//! Decisions of the job controller: waits after failures, policies, indexes, who goes first.

use super::{agree, at, differs, int, list, text, unix};
use kubesim::controllers::job::backoff::{BackoffRecord, finished_at};
use kubesim::controllers::job::count::{Count, past_backoff_limit};
use kubesim::controllers::job::indexes::{Indexes, indexes_of};
use kubesim::controllers::job::{manage, policy};
use kubesim::model::batch::{FailureRule, Job};
use kubesim::model::builder::{pod, spec};
use kubesim::model::{
    Condition, ContainerState, ContainerStatus, Deletion, Name, Object, Phase, Pod, RestartPolicy, Terminated, Truth,
};
use kubesim::name;
use kubesim::time::SimTime;
use kubesim::wire::decode;
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn job() {
    agree("job", |case| match text(&case["kind"]) {
        "backoff" => backoff(case),
        "finished_time" => differs(&json!(unix(finished_at(&ended_pod(case)))), &case["out"]),
        "failure_policy" => failure_policy(case),
        "success_policy" => success_policy(case),
        "index_parse" => index_parse(case),
        "indexed" => indexed(case),
        "past_backoff_on_failure" => past_backoff(case),
        "removal" => removal(case),
        other => Some(format!("unknown kind {other}")),
    });
}

fn backoff(case: &Value) -> Option<String> {
    let mut record = BackoffRecord::default();
    for step in list(&case["steps"]) {
        let times = |field: &str| list(&step[field]).iter().map(at).collect::<Vec<SimTime>>();
        record = record.after(&times("succeededAt"), &times("failedAt"));
        let mut ours = json!({"failures": record.failures, "remainingNs": record.remaining(at(&step["now"])).0});
        if let Some(last) = record.last_failure {
            ours["lastFailure"] = json!(unix(last));
        }
        if let Some(why) = differs(&ours, &sorted(&step["out"])) {
            return Some(why);
        }
    }
    None
}

/// With the fields in the order in which the test writes them.
fn sorted(out: &Value) -> Value {
    let mut ordered = json!({"failures": out["failures"], "remainingNs": out["remainingNs"]});
    if let Some(last) = out.get("lastFailure") {
        ordered["lastFailure"] = last.clone();
    }
    ordered
}

fn status(state: ContainerState) -> ContainerStatus {
    ContainerStatus {
        name: name!("c"),
        state,
        last: None,
        ready: false,
        started: false,
        restart_count: 0,
        allocated: None,
        usage: Default::default(),
    }
}

fn ended(finished: SimTime) -> ContainerState {
    let (started, empty) = (SimTime::ZERO, Name::new());
    ContainerState::Terminated(Box::new(Terminated {
        exit_code: 1,
        reason: empty.clone(),
        message: empty,
        started,
        finished,
    }))
}

fn ended_pod(case: &Value) -> Pod {
    let mut pod = pod("pod", spec("app", 0, 0));
    pod.meta.created = at(&case["created"]);
    if !case["deletionTimestamp"].is_null() {
        let grace_seconds = case["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        pod.meta.deletion = Some(Deletion { at: at(&case["deletionTimestamp"]), grace_seconds });
    }
    for finished in list(&case["containersFinishedAt"]) {
        let running = ContainerState::Running { started: SimTime::ZERO };
        pod.status.containers.push(status(if finished.is_null() { running } else { ended(at(finished)) }));
    }
    if let [truth, since] = list(&case["readyCondition"]) {
        let truth = if text(truth) == "True" { Truth::True } else { Truth::False };
        pod.status.conditions.push(Condition::new(name!("Ready"), truth, Name::new(), "", at(since)));
    }
    pod
}

/// A job of this spec, with a template.
fn job_of(spec: Value, status: Value) -> Job {
    let mut object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"},
        "spec": spec, "status": status});
    object["spec"]["template"] = json!({"spec": {"containers": [{"name": "c", "image": "app"}]}});
    match decode::object(&object) {
        Ok(Object::Job(job)) => Job::clone(&job),
        other => panic!("{object}: {other:?}"),
    }
}

fn failure_policy(case: &Value) -> Option<String> {
    let rules: Vec<FailureRule> = match case["policy"].is_null() {
        true => Vec::new(),
        false => job_of(json!({"podFailurePolicy": case["policy"]}), json!({})).spec.pod_failure_policy.clone()?,
    };
    let mut object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": "ns"},
        "spec": {"containers": [{"name": "main", "image": "app"}]}});
    object["status"] = case["podStatus"].clone();
    let Ok(Object::Pod(pod)) = decode::object(&object) else { return Some(format!("{object} is no pod")) };
    let verdict = policy::judge(Some(&rules), &pod);
    let ours = json!([verdict.action.map(|action| action.as_str()), verdict.counts, verdict.fail_job]);
    let out = &case["out"];
    differs(&ours, &json!([out["action"], out["countFailed"], out["jobFailMessage"]]))
}

fn success_policy(case: &Value) -> Option<String> {
    let completions = int(&case["completions"]);
    let job = job_of(json!({"successPolicy": case["policy"]}), json!({}));
    let succeeded = Indexes::parse(text(&case["succeeded"]), completions);
    let message = policy::enough(job.spec.success_policy.as_deref(), completions, &succeeded);
    let ours = json!([message.is_some(), message.unwrap_or_default()]);
    differs(&ours, &json!([case["out"]["matched"], case["out"]["message"]]))
}

fn index_parse(case: &Value) -> Option<String> {
    let indexes = Indexes::parse(text(&case["indexes"]), int(&case["completions"]));
    differs(&json!([indexes.to_string(), indexes.total()]), &json!([case["out"]["formatted"], case["out"]["total"]]))
}

fn phase(text: &str) -> Phase {
    match text {
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        _ => Phase::Pending,
    }
}

/// A pod with this index text; empty for none.
fn index_pod(number: usize, index: &str, of: &str) -> Pod {
    let mut pod = pod(&format!("p{number}"), spec("app", 0, 0)).on("node");
    if !index.is_empty() {
        pod.meta.annotations = pod.meta.annotations.with("batch.kubernetes.io/job-completion-index", index);
    }
    pod.status.phase = phase(of);
    pod.meta.uid = kubesim::model::Uid(number as u128 + 1);
    pod
}

fn indexed(case: &Value) -> Option<String> {
    let completions = int(&case["completions"]);
    let wish = json!({"completions": completions, "completionMode": "Indexed"});
    let job = Arc::new(job_of(wish, json!({"completedIndexes": case["completedIndexes"]})));
    let pods: Vec<Arc<Pod>> = list(&case["pods"])
        .iter()
        .enumerate()
        .map(|(number, one)| {
            let mut pod = index_pod(number, text(&one["index"]), text(&one["phase"]));
            if one["finalizer"] == true {
                pod.meta.finalizers.push(name!("batch.kubernetes.io/job-tracking"));
            }
            Arc::new(pod)
        })
        .collect();
    let count = Count::of(&job, pods.iter().collect(), BackoffRecord::default());
    let active = indexes_of(count.active.iter().map(|pod| &***pod));
    let wanted = case["pendingWanted"].as_u64().unwrap() as usize;
    let pending = count.known_indexes.with(active).first_missing(wanted, completions);
    let ours = json!([count.known_indexes.to_string(), count.succeeded_indexes.to_string(), pending]);
    let out = &case["out"];
    differs(&ours, &json!([out["succeeded"], out["newSucceeded"], list(&out["firstPending"])]))
}

fn past_backoff(case: &Value) -> Option<String> {
    let policy = match text(&case["restartPolicy"]) {
        "OnFailure" => RestartPolicy::OnFailure,
        _ => RestartPolicy::Never,
    };
    let alive = |pod: &&Value| matches!(text(&pod["phase"]), "Running" | "Pending");
    let restarts = |pod: &Value| int(&pod["restarts"]) + int(&pod["initRestarts"]);
    let restarts: i32 = list(&case["pods"]).iter().filter(alive).map(restarts).sum();
    differs(&json!(past_backoff_limit(policy, int(&case["backoffLimit"]), restarts as u32)), &case["out"])
}

fn removal(case: &Value) -> Option<String> {
    let pods: Vec<Arc<Pod>> = list(&case["pods"])
        .iter()
        .enumerate()
        .map(|(number, one)| {
            let mut pod = index_pod(number, text(&one["index"]), text(&one["phase"]));
            pod.meta.created = at(&one["created"]);
            let ready = match text(&one["ready"]) {
                "True" => Some(Truth::True),
                "False" => Some(Truth::False),
                _ => None,
            };
            pod.status
                .conditions
                .extend(ready.map(|truth| Condition::new(name!("Ready"), truth, Name::new(), "", SimTime::ZERO)));
            Arc::new(pod)
        })
        .collect();
    let active: Vec<&Arc<Pod>> = pods.iter().collect();
    let completions = (case["indexed"] == true).then(|| int(&case["completions"]));
    let doomed = manage::removal(&active, completions, case["remove"].as_u64().unwrap() as usize);
    let mut names: Vec<&str> = doomed.iter().map(|pod| pod.meta.name.as_str()).collect();
    names.sort_unstable();
    let mut recorded: Vec<&str> = list(&case["out"]).iter().map(text).collect();
    recorded.sort_unstable();
    differs(&json!(names), &json!(recorded))
}
