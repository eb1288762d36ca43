//! What types cannot say of `cluster.cloud.disks`: shares, and that drivers and zones exist.

use super::Scenario;
use crate::error::Problem;
use crate::wire::places::Places;
use crate::wire::typed::suggestion;
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything that is wrong there.
pub fn problems(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let (drivers, zones) = (drivers(scenario), scenario.cluster.zones());
    let mut problems = Vec::new();
    for (index, disks) in scenario.cluster.cloud.disks.iter().enumerate() {
        let path = |field: &str| format!("cluster.cloud.disks[{index}].{field}");
        if let Some(driver) = disks.driver.as_deref().filter(|driver| !drivers.contains(*driver)) {
            let known: Vec<&str> = drivers.iter().map(String::as_str).collect();
            let help = match known.as_slice() {
                [] => "no StorageClass, PersistentVolume or CSIDriver of the manifests names a driver".to_string(),
                known => suggestion(driver, known, "the drivers of the manifests are"),
            };
            problems.push(places.problem(&path("driver"), format!("unknown driver {driver:?}"), help));
        }
        if let Some(rate) = disks.failure_rate.filter(|rate| !(0.0..=1.0).contains(&rate.0)) {
            let message = format!("{} is no share", rate.0);
            problems.push(places.problem(&path("failureRate"), message, "write a share from 0 to 1 such as 0.1"));
        }
        for (at, zone) in
            disks.full_zones.iter().flatten().enumerate().filter(|(_, zone)| !zones.contains(&zone.as_str()))
        {
            let help = suggestion(zone, &zones, "the zones of the pools are");
            let path = format!("{}[{at}]", path("fullZones"));
            problems.push(places.problem(&path, format!("unknown zone {zone:?}"), help));
        }
    }
    problems
}

/// Every driver that an object of the manifests names.
fn drivers(scenario: &Scenario) -> BTreeSet<String> {
    let named = |value: &Value| match value["kind"].as_str()? {
        "StorageClass" => value["provisioner"].as_str().map(String::from),
        "PersistentVolume" => value["spec"]["csi"]["driver"].as_str().map(String::from),
        "CSIDriver" => value["metadata"]["name"].as_str().map(String::from),
        _ => None,
    };
    scenario.documents().filter_map(|document| named(&document.value)).collect()
}
