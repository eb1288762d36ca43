//! Nothing begins in a namespace that ends, and nothing is left in one that is gone (invariant 38).

use super::Findings;
use crate::model::core::Namespace;
use crate::model::{Kind, Name};
use crate::store::{Change, Store, Verb};

/// 38.
pub fn change(change: &Change, store: &Store, findings: &mut Findings) {
    match (change.verb, change.key.kind) {
        (Verb::Added, kind) if kind.namespaced() => {
            let namespace = store.live().fetch::<Namespace>(&Name::new(), &change.key.namespace);
            if namespace.is_none_or(|namespace| namespace.terminating) {
                let message = format!("{} was made in a namespace that ends or is not there", change.key);
                findings.violate(38, &[&change.key], message);
            }
        }
        (Verb::Deleted, Kind::Namespace) => {
            if let Some(left) = store.live().in_namespace(&change.key.name).next() {
                let message = format!("{} is gone and {} is still in it", change.key, left.key());
                findings.violate(38, &[&change.key, &left.key()], message);
            }
        }
        _ => {}
    }
}
