//! The controllers of volumes (`pkg/controller/volume/`).
//!
//! ```text
//! attach_detach/  volumes come to the nodes of their pods, and leave them
//! binder/         claims and volumes find each other; what becomes of a volume whose claim is gone
//! protection.rs   nothing in use is deleted
//! ephemeral.rs    claims that are made for a pod and go with it
//! ```
//!
//! Who makes, deletes and attaches the disks themselves is the driver, see [`crate::cloud`].

pub mod attach_detach;
pub mod binder;
pub mod ephemeral;
pub mod protection;
