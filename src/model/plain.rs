//! Kinds that nothing in the simulation looks into: metadata, and the rest as written.
//!
//! A kind leaves this list for a type of its own as soon as somebody acts on its fields.

use super::Meta;
use serde_json::Value;
use std::sync::Arc;

macro_rules! plain {
    ($($(#[$doc:meta])* $kind:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $kind {
            /// Metadata.
            pub meta: Meta,
            /// The object without metadata, as written.
            pub raw: Arc<Value>,
        }
    )*};
}

plain! {
    /// Rules by which requests enter the cluster.
    Ingress;
    /// Who serves an ingress.
    IngressClass;
    /// Which flows are allowed.
    NetworkPolicy;
    /// The endpoints of a service, in the old form.
    Endpoints;
    /// How containers are run.
    RuntimeClass;
}
