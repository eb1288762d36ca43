//! Definitions of custom kinds: their names are accepted, then they are established, and when one is deleted its
//! objects go first (`staging/src/k8s.io/apiextensions-apiserver/pkg/controller/{status,establish,finalizer}/`). Part of
//! the API server, not of the controller manager.
//!
//! A worked example: `backups.example.com` is created → nobody in its group has its names: `NamesAccepted` → seen by
//! the next look: `Established`, and objects are served. It is deleted → its objects are deleted, and looked for every
//! five seconds until none is left → the finalizer goes, and with it the definition.

use crate::model::custom::{CLEANUP, CustomNames, ESTABLISHED, NAMES_ACCEPTED, TERMINATING};
use crate::model::{Condition, CustomResourceDefinition, Key, Kind, Name, Object, Resource, Truth, condition};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, DeleteOptions, Patch, Preconditions, View, Write};
use crate::time::SimDuration;
use std::collections::BTreeSet;

/// How often objects that take their time are looked for.
const POLL: SimDuration = SimDuration::from_secs(5);

/// The controllers of definitions.
#[derive(Debug, Default)]
pub struct CustomResourceDefinitions;

/// Their machinery: a client inside the API server, without limits.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, milli_qps: 0, ..ActorSettings::default() }
}

impl Controller for CustomResourceDefinitions {
    fn name(&self) -> &'static str {
        "apiextensions-apiserver"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::CustomResourceDefinition]
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        wake.add(change.key.clone());
        // Names that are free again may be what another one waits for.
        let names = |object: &Object| match object {
            Object::CustomResourceDefinition(one) => Some((one.group.clone(), one.accepted.clone())),
            _ => None,
        };
        let (old, new) = (change.old.as_ref().and_then(names), change.new.as_ref().and_then(names));
        if let Some((group, _)) = old.clone().filter(|_| old != new) {
            let others = view.list::<CustomResourceDefinition>().filter(|other| other.group == group);
            others.for_each(|other| wake.add(other.key()));
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(definition) = cx.view.fetch_key::<CustomResourceDefinition>(key) else { return Requeue::Done };
        if definition.meta.deleting() && definition.meta.finalizers.contains(&CLEANUP) {
            return clean_up(definition, cx);
        }
        let mut new = CustomResourceDefinition::clone(definition);
        if definition.names != definition.accepted {
            accept_names(&mut new, cx);
        } else if condition::is_true(&definition.conditions, &NAMES_ACCEPTED) && !definition.is_established() {
            let message = "the initial names have been accepted";
            set(&mut new, ESTABLISHED, (Truth::True, crate::name!("InitialNamesAccepted"), message), cx);
        }
        if new != **definition {
            cx.write(Write::UpdateStatus(new.into_object()));
        }
        Requeue::Done
    }
}

fn set(
    definition: &mut CustomResourceDefinition,
    kind: Name,
    (status, reason, message): (Truth, Name, &str),
    cx: &Cx<'_>,
) {
    condition::say(&mut definition.conditions, Condition::new(kind, status, reason, message, cx.now));
}

/// What the other definitions of the group have taken: resources and kinds.
fn taken(definition: &CustomResourceDefinition, cx: &Cx<'_>) -> (BTreeSet<Name>, BTreeSet<Name>) {
    let (mut resources, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for other in cx.view.list::<CustomResourceDefinition>().filter(|other| other.group == definition.group) {
        let CustomNames { plural, singular, kind, list_kind, short_names, .. } = &other.accepted;
        resources.extend([plural, singular].into_iter().chain(short_names).cloned());
        kinds.extend([kind, list_kind].into_iter().cloned());
    }
    (resources, kinds)
}

/// Gives a definition those of its names that are free (`naming_controller.go`, `calculateNamesAndConditions`).
fn accept_names(definition: &mut CustomResourceDefinition, cx: &Cx<'_>) {
    let (resources, kinds) = taken(definition, cx);
    let (asked, had) = (definition.names.clone(), definition.accepted.clone());
    let mut refused: Option<(Name, String)> = None;
    let mut take = |asked: &Name, had: &mut Name, used: &BTreeSet<Name>, reason: Name| {
        if asked != had && used.contains(asked) {
            refused = Some((reason, format!("{:?} is already in use", asked.as_str())));
        } else {
            *had = asked.clone();
        }
    };
    let names = &mut definition.accepted;
    take(&asked.plural, &mut names.plural, &resources, crate::name!("PluralConflict"));
    take(&asked.singular, &mut names.singular, &resources, crate::name!("SingularConflict"));
    let own = |name: &Name| had.short_names.contains(name) || *name == had.plural || *name == had.singular;
    let clashes: Vec<String> = asked
        .short_names
        .iter()
        .filter(|name| !own(name) && resources.contains(*name))
        .map(|name| format!("{:?} is already in use", name.as_str()))
        .collect();
    take(&asked.kind, &mut names.kind, &kinds, crate::name!("KindConflict"));
    take(&asked.list_kind, &mut names.list_kind, &kinds, crate::name!("ListKindConflict"));
    match clashes.as_slice() {
        [] => names.short_names.clone_from(&asked.short_names),
        [one] => refused = refused.or_else(|| Some((crate::name!("ShortNamesConflict"), one.clone()))),
        several => {
            let all = format!("[{}]", several.join(", "));
            refused = refused.or(Some((crate::name!("ShortNamesConflict"), all)));
        }
    }
    names.categories.clone_from(&asked.categories);
    let accepted = refused.is_none();
    match refused {
        Some((reason, message)) => set(definition, NAMES_ACCEPTED, (Truth::False, reason, &message), cx),
        None => {
            let fine = (Truth::True, crate::name!("NoConflicts"), "no conflicts found");
            set(definition, NAMES_ACCEPTED, fine, cx);
        }
    }
    if !definition.is_established() {
        let state = match accepted {
            true => (Truth::False, crate::name!("Installing"), "the initial names have been accepted"),
            false => (Truth::False, crate::name!("NotAccepted"), "not all names are accepted"),
        };
        set(definition, ESTABLISHED, state, cx);
    }
}

/// Deletes the objects of a deleted definition, then lets it go (`crd_finalizer.go`, `sync`).
fn clean_up(definition: &CustomResourceDefinition, cx: &mut Cx<'_>) -> Requeue {
    let mut new = definition.clone();
    let objects: Vec<&Object> =
        cx.live().kind_of(definition).into_iter().flat_map(|kind| cx.live().objects(kind)).collect();
    let left = definition.is_established() && !objects.is_empty();
    let state = if left {
        (Truth::True, crate::name!("InstanceDeletionInProgress"), "CustomResource deletion is in progress")
    } else if definition.is_established() {
        (Truth::False, crate::name!("InstanceDeletionCompleted"), "removed all instances")
    } else {
        (Truth::False, crate::name!("NeverEstablished"), "resource was never established")
    };
    set(&mut new, TERMINATING, state, cx);
    if new != *definition {
        cx.write(Write::UpdateStatus(new.into_object()));
    }
    if !left {
        cx.write(Write::Patch(
            definition.key(),
            Patch::RemoveFinalizer(CLEANUP),
            Preconditions::uid(definition.meta.uid),
        ));
        return Requeue::Done;
    }
    let staying = objects.into_iter().filter(|object| !object.meta().deleting());
    cx.write_all(staying.map(|object| Write::Delete(object.key(), DeleteOptions::default())).collect());
    Requeue::After(POLL)
}
