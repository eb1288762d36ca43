//! Kubernetes YAML and JSON at the edge: the only place that knows field names.

pub mod convert;
pub mod custom;
pub mod decode;
pub mod encode;
pub mod managed;
pub mod names;
pub mod patch;
pub mod places;
pub mod prepare;
pub mod strict;
pub mod typed;
pub mod validate;
pub mod yaml;
