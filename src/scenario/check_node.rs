//! What types cannot say of kubelets' configurations and of what containers use.

use super::Scenario;
use crate::error::Problem;
use crate::wire::places::Places;

/// Everything that is wrong with them.
pub fn problems(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, kubelet) in scenario.cluster.kubelets() {
        for (field, message, help) in kubelet.faults() {
            // Names of signals have dots; they stand in one map.
            let (field, signal) = field.split_once('.').unwrap_or((field.as_str(), ""));
            let path = format!("{path}.{field}");
            let path = match signal {
                "" => path,
                signal => crate::wire::places::join(&path, &crate::wire::places::Step::Key(signal)),
            };
            problems.push(places.problem(&path, message, help));
        }
    }
    for (index, entry) in scenario.behavior.iter().enumerate() {
        let growths = [
            ("memoryGrowth", &entry.memory_growth),
            ("diskGrowth", &entry.disk_growth),
            ("fileGrowth", &entry.file_growth),
        ];
        for (field, growth) in growths {
            if let Some((at, message, help)) = growth.as_ref().and_then(|growth| growth.fault()) {
                problems.push(places.problem(&format!("behavior[{index}].{field}{at}"), message, help));
            }
        }
        if entry.processes == Some(0) {
            let path = format!("behavior[{index}].processes");
            problems.push(places.problem(&path, "a container without a process does not run", "write 1 or more"));
        }
    }
    problems
}
