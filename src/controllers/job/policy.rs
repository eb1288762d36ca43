//! What failed pods and succeeded indexes mean for the job (`pkg/controller/job/pod_failure_policy.go`,
//! `pkg/controller/job/success_policy.go`).

use super::indexes::Indexes;
use crate::model::batch::{FailureAction, FailureRule, FailureTest, SuccessRule};
use crate::model::{ContainerState, ContainerStatus, Pod};

/// What the first matching rule says of a failed pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Why the job fails, if it does.
    pub fail_job: Option<String>,
    /// Whether the failure counts.
    pub counts: bool,
    /// What the rule does; `None` where no rule matched.
    pub action: Option<FailureAction>,
}

/// Judges a failed pod (`matchPodFailurePolicy`).
pub fn judge(rules: Option<&[FailureRule]>, pod: &Pod) -> Verdict {
    for (at, rule) in rules.into_iter().flatten().enumerate() {
        let action = rule.action.as_str();
        let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
        let message = match &rule.test {
            FailureTest::ExitCodes { container, not_in, values } => {
                let wanted = |status: &&ContainerStatus| container.as_ref().is_none_or(|name| *name == status.name);
                let mut statuses = pod.status.containers.iter().chain(&pod.status.init_containers).filter(wanted);
                let fits = |code: &i32| values.contains(code) != *not_in;
                statuses.find_map(|status| failing_code(status).filter(fits).map(|code| (&status.name, code))).map(
                    |(container, code)| {
                        format!(
                            "Container {container} for pod {namespace}/{name} failed with exit code {code} matching {action} rule at index {at}"
                        )
                    },
                )
            }
            FailureTest::Conditions(patterns) => {
                let stands = |kind: &str, status| {
                    pod.status.conditions.iter().any(|have| have.kind == kind && have.status == status)
                };
                patterns.iter().find(|(kind, status)| stands(kind, *status)).map(|(kind, _)| {
                    format!("Pod {namespace}/{name} has condition {kind} matching {action} rule at index {at}")
                })
            }
        };
        if let Some(message) = message {
            return Verdict {
                fail_job: (rule.action == FailureAction::FailJob).then_some(message),
                counts: rule.action != FailureAction::Ignore,
                action: Some(rule.action),
            };
        }
    }
    Verdict { fail_job: None, counts: true, action: None }
}

/// The code of a container that ended badly.
fn failing_code(status: &ContainerStatus) -> Option<i32> {
    match &status.state {
        ContainerState::Terminated(ended) if ended.exit_code != 0 => Some(ended.exit_code),
        _ => None,
    }
}

/// The message of the first rule that the succeeded indexes satisfy (`matchSuccessPolicy`).
pub fn enough(rules: Option<&[SuccessRule]>, completions: i32, succeeded: &Indexes) -> Option<String> {
    if succeeded.total() == 0 {
        return None;
    }
    let satisfied = |rule: &SuccessRule| match (&rule.indexes, rule.count) {
        (Some(indexes), count) => {
            let wanted = Indexes::parse(indexes, completions);
            // What both have is what their union has once only.
            let have = (succeeded.total() + wanted.total()) - succeeded.merged(wanted.runs()).total();
            wanted.total() > 0 && (have == wanted.total() || count.is_some_and(|count| have >= i64::from(count)))
        }
        (None, Some(count)) => succeeded.total() >= i64::from(count),
        (None, None) => false,
    };
    let at = rules?.iter().position(satisfied)?;
    Some(format!("Matched rules at index {at}"))
}
