//! Kinds that are kept as written: read through their Kubernetes type, so that type errors are found.

use super::Decoded;
use super::meta::{meta, namespaced};
use super::small::rest;
use crate::model::plain::*;
use k8s_openapi::api::{core, networking, node};

macro_rules! plain {
    ($($name:ident: $kind:ident, $from:ty, $meta:ident;)*) => {$(
        pub(super) fn $name(from: $from) -> Decoded<$kind> {
            Ok($kind { meta: $meta(&from.metadata)?, raw: rest(&from, &[])? })
        }
    )*};
}

plain! {
    ingress: Ingress, networking::v1::Ingress, namespaced;
    ingress_class: IngressClass, networking::v1::IngressClass, meta;
    network_policy: NetworkPolicy, networking::v1::NetworkPolicy, namespaced;
    endpoints: Endpoints, core::v1::Endpoints, namespaced;
    runtime_class: RuntimeClass, node::v1::RuntimeClass, meta;
}
