//! A discrete-event engine that has never heard of Kubernetes: a queue in total order and a fingerprint.

pub mod bucket;
pub mod fingerprint;
pub mod queue;

pub use bucket::TokenBucket;
pub use fingerprint::Fingerprint;
pub use queue::EventQueue;
