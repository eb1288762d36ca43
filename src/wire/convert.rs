//! Older versions of kinds that the API server still serves, as the version that is stored.

use serde_json::{Value, json};

/// Turns an object of a version that is only served into the one that everything here knows.
///
/// `autoscaling/v1` has one target, the processor use of all pods (`pkg/apis/autoscaling/v1/conversion.go`).
pub fn to_stored(object: &mut Value) {
    if object["apiVersion"] != "autoscaling/v1" || object["kind"] != "HorizontalPodAutoscaler" {
        return;
    }
    object["apiVersion"] = json!("autoscaling/v2");
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(percent) = spec.shift_remove("targetCPUUtilizationPercentage") {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        spec.insert("metrics".into(), json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_has_one_target() {
        let mut old = json!({
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 60},
        });
        to_stored(&mut old);
        assert_eq!(old["apiVersion"], "autoscaling/v2");
        assert_eq!(old["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 60);
        assert!(old["spec"].get("targetCPUUtilizationPercentage").is_none());
    }
}
