//! Every namespace has a service account `default` (`pkg/controller/serviceaccount/serviceaccounts_controller.go`).
//!
//! A worked example: namespace `shop` is created → it is looked at → `shop/default` is missing → it is created.

use crate::model::core::{Namespace, ServiceAccount};
use crate::model::{Key, Kind, Meta, Name, Resource};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};

const DEFAULT: Name = crate::name!("default");

/// The service account controller.
#[derive(Debug, Default)]
pub struct ServiceAccountController;

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, ..ActorSettings::default() }
}

impl Controller for ServiceAccountController {
    fn name(&self) -> &'static str {
        "service-account-controller"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Namespace, Kind::ServiceAccount]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::Namespace if change.new.is_some() => wake.add(change.key.clone()),
            Kind::ServiceAccount if change.new.is_none() && change.key.name == DEFAULT => {
                wake.add(Key::cluster(Kind::Namespace, change.key.namespace.clone()));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let active = cx.view.fetch_key::<Namespace>(key).is_some_and(|namespace| !namespace.meta.deleting());
        if active && cx.view.fetch::<ServiceAccount>(&key.name, &DEFAULT).is_none() {
            let account = ServiceAccount { meta: Meta::named(key.name.clone(), DEFAULT), raw: None };
            cx.write(Write::Create(account.into_object()));
        }
        Requeue::Done
    }
}
