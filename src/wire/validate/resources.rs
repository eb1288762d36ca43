//! Requests and limits (`ValidateContainerResourceRequirements`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::Findings;
use crate::model::quantity::{Quantity, parse_quantity};
use crate::wire::names;

/// Whether a resource is of the kind that only whole numbers of can be given, and never more than there are.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

impl Findings {
    pub(super) fn resources(&mut self, path: &str, resources: &ResourceRequirements) {
        let limits = self.amounts(&format!("{path}.limits"), resources.limits.as_ref());
        let requests = self.amounts(&format!("{path}.requests"), resources.requests.as_ref());
        for (name, request) in &requests {
            match limits.get(name) {
                Some(limit) if is_extended(name) && request != limit => {
                    let detail = format!("must be equal to {name} limit of {limit}");
                    self.request(path, name, *request, detail);
                }
                Some(limit) if request > limit => {
                    self.request(
                        path,
                        name,
                        *request,
                        format!("must be less than or equal to {name} limit of {limit}"),
                    );
                }
                None if is_extended(name) => {
                    self.required(format!("{path}.limits"), "Limit must be set for non overcommitable resources");
                }
                _ => {}
            }
        }
    }

    fn request(&mut self, path: &str, name: &str, request: Quantity, detail: String) {
        let error = self.invalid(format!("{path}.requests"), &request.to_string(), detail);
        error.at = Some(format!("{path}.requests[{name}]"));
    }

    /// Checks each amount and gives those that could be read.
    pub(super) fn amounts<'a>(
        &mut self,
        path: &str,
        amounts: Option<&'a BTreeMap<String, Written>>,
    ) -> BTreeMap<&'a str, Quantity> {
        let mut read = BTreeMap::new();
        for (name, written) in amounts.into_iter().flatten() {
            let path = format!("{path}[{name}]");
            let standard =
                ["cpu", "memory", "ephemeral-storage"].contains(&name.as_str()) || name.starts_with("hugepages-");
            for detail in names::qualified_name(name) {
                self.invalid(path.as_str(), name, detail);
            }
            if !standard && !name.contains('/') {
                self.invalid(path.as_str(), name, "must be a standard resource type or fully qualified");
                self.invalid(path.as_str(), name, "must be a standard resource for containers");
            }
            match parse_quantity(&written.0) {
                Err(why) => {
                    self.invalid(path, &written.0, why);
                }
                Ok(amount) => {
                    if amount.nano < 0 {
                        let detail = "must be greater than or equal to 0";
                        self.invalid(path.as_str(), &amount.to_string(), detail);
                    } else if is_extended(name) && amount.nano % 1_000_000_000 != 0 {
                        self.invalid(path.as_str(), &amount.to_string(), "must be an integer");
                    }
                    read.insert(name.as_str(), amount);
                }
            }
        }
        read
    }
}
