//! Resource lists: quantities to integers, and their canonical text.

use super::{Decoded, FieldError};
use crate::model::quantity::{Quantity as Exact, parse_quantity};
use crate::model::{Name, Resources};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// A Kubernetes resource list.
pub(crate) type ResourceList = BTreeMap<String, Quantity>;

/// The amounts of a list (cpu in milli, everything else in units, both rounded up), and the names it sets.
pub(crate) fn resources(list: Option<&ResourceList>) -> Decoded<(Resources, Vec<Name>)> {
    let mut amounts = Resources::default();
    let mut names = Vec::new();
    for (name, quantity) in list.into_iter().flatten() {
        let key = Name::from(name.as_str());
        let exact = parse_quantity(&quantity.0).map_err(|error| FieldError::new(name.as_str(), error))?;
        amounts.set(&key, if name == "cpu" { exact.milli() } else { exact.whole() });
        names.push(key);
    }
    Ok((amounts, names))
}

/// Rewrites the quantities as the API server gives them back: rounded up to thousandths
/// (`pkg/apis/core/v1/defaults.go`, `SetDefaults_ResourceList`), in canonical form. What cannot be read stays.
pub(crate) fn canonical(list: &mut Option<ResourceList>) {
    for quantity in list.iter_mut().flat_map(BTreeMap::values_mut) {
        canonical_text(quantity);
    }
}

/// The same for a single quantity.
pub(crate) fn canonical_text(quantity: &mut Quantity) {
    if let Ok(exact) = parse_quantity(&quantity.0) {
        let rounded = Exact { format: exact.format, ..Exact::from_milli(exact.milli()) };
        // Amounts beyond what thousandths can hold are whole anyway.
        quantity.0 = if exact.milli() == i64::MAX { exact.to_string() } else { rounded.to_string() };
    }
}

/// An amount of `resource` in its base unit, as the API server would print it.
pub(crate) fn printed(resource: &str, amount: i64) -> Quantity {
    let exact = match resource {
        "cpu" => Exact::from_milli(amount),
        "memory" | "ephemeral-storage" | "storage" => Exact::bytes(amount),
        other if other.starts_with("hugepages-") => Exact::bytes(amount),
        _ => Exact::units(amount),
    };
    Quantity(exact.to_string())
}
