//! An ingress controller like ingress-nginx, as far as the API sees it: it takes up the Ingresses of its classes and
//! writes where they can be reached (`ingress-nginx/internal/ingress/controller/store`, `status/status.go`).
//!
//! A worked example: an Ingress of a class that exists appears → event `Sync`, `Scheduled for sync` → its status has the
//! address of the controller's load balancer. An Ingress of a class that nobody has stays without an address.
//!
//! What requests meet is in `network/ingress.rs`.

use crate::model::ingress::DEFAULT_CLASS;
use crate::model::plain::{Ingress, IngressClass};
use crate::model::{Key, Kind, Name, Object, Resource};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use crate::wire::decode;
use serde_json::{Value, json};
use std::sync::Arc;

const SOURCE: Name = crate::name!("nginx-ingress-controller");
/// The address of the load balancer in front of the controller: the last one for documentation (RFC 5737).
const ADDRESS: &str = "203.0.113.254";

/// The ingress controller.
#[derive(Debug, Default)]
pub struct IngressController;

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, ..ActorSettings::default() }
}

impl Controller for IngressController {
    fn name(&self) -> &'static str {
        "ingress-nginx"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Ingress, Kind::IngressClass]
    }

    fn wake(&mut self, change: &Change, view: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::Ingress => wake.add(change.key.clone()),
            _ => view.list::<Ingress>().for_each(|ingress| wake.add(ingress.key())),
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let Some(ingress) = cx.view.fetch_key::<Ingress>(key).cloned() else { return Requeue::Done };
        let Some(rules) = decode::ingress(&ingress) else { return Requeue::Done };
        let is_default =
            |class: &Arc<IngressClass>| class.meta.annotations.get(&DEFAULT_CLASS).is_some_and(|value| value == "true");
        let served = match rules.class.is_empty() {
            true => cx.view.list::<IngressClass>().any(is_default),
            false => cx.view.fetch::<IngressClass>(&Name::new(), &rules.class).is_some(),
        };
        let wanted = if served { json!({"ingress": [{"ip": ADDRESS}]}) } else { json!({}) };
        let have = ingress.raw.pointer("/status/loadBalancer").cloned().unwrap_or_else(|| json!({}));
        if have == wanted {
            return Requeue::Done;
        }
        if served {
            let object = Object::Ingress(ingress.clone());
            cx.event(&object, false, SOURCE, crate::name!("Sync"), "Scheduled for sync");
        }
        let mut raw = Value::clone(&ingress.raw);
        raw["status"] = json!({"loadBalancer": wanted});
        cx.write(Write::UpdateStatus(Ingress { meta: ingress.meta.clone(), raw: Arc::new(raw) }.into_object()));
        Requeue::Done
    }
}
