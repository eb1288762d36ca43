//! Every namespace has a ConfigMap `kube-root-ca.crt` with which pods trust the API server
//! (`pkg/controller/certificates/rootcacertpublisher/publisher.go`).
//!
//! A worked example: namespace `shop` is created → it is looked at → the ConfigMap is missing → it is created. Somebody
//! changes its data → it is put right.

use crate::model::core::{ConfigMap, Namespace};
use crate::model::{Key, Kind, Meta, Name, Resource};
use crate::runtime::{ActorSettings, Controller, Cx, Requeue, Wake};
use crate::store::{Change, View, Write};
use serde_json::json;
use std::sync::Arc;

const NAME: Name = crate::name!("kube-root-ca.crt");
const DESCRIPTION: Name = crate::name!("kubernetes.io/description");
const DESCRIBES: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
                         endpoints such as the internal service IP or kubernetes.default.svc. No other usage is \
                         guaranteed across distributions of Kubernetes clusters.";

/// The publisher of the cluster's root certificate.
#[derive(Debug, Default)]
pub struct RootCaPublisher;

/// Its machinery.
pub fn settings() -> ActorSettings {
    ActorSettings { workers: 1, ..ActorSettings::default() }
}

/// What it publishes. A simulated cluster has no keys.
fn published(meta: Meta) -> ConfigMap {
    let (file, text) = ("ca.crt", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    let data = [(Name::from(file), Name::from(text))].into_iter().collect();
    ConfigMap { meta, data: Arc::new(data), immutable: false, raw: Arc::new(json!({"data": {file: text}})) }
}

impl Controller for RootCaPublisher {
    fn name(&self) -> &'static str {
        "root-ca-cert-publisher"
    }

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Namespace, Kind::ConfigMap]
    }

    fn wake(&mut self, change: &Change, _: View<'_>, wake: &mut Wake<'_>) {
        match change.key.kind {
            Kind::Namespace if change.new.is_some() => wake.add(change.key.clone()),
            // What it wrote itself needs no second look.
            Kind::ConfigMap if change.key.name == NAME && change.old.is_some() => {
                wake.add(Key::cluster(Kind::Namespace, change.key.namespace.clone()));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) -> Requeue {
        let active = cx.view.fetch_key::<Namespace>(key).is_some_and(|namespace| !namespace.meta.deleting());
        if !active {
            return Requeue::Done;
        }
        match cx.view.fetch::<ConfigMap>(&key.name, &NAME) {
            None => {
                let mut meta = Meta::named(key.name.clone(), NAME);
                meta.annotations = meta.annotations.with(DESCRIPTION, DESCRIBES);
                cx.write(Write::Create(published(meta).into_object()));
            }
            Some(map) => {
                let right = published(map.meta.clone());
                if map.data != right.data {
                    cx.write(Write::Update(right.into_object()));
                }
            }
        }
        Requeue::Done
    }
}
