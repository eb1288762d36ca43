//! One integration binary: a file per behaviour.
mod golden_scheduler;
mod scenarios;
mod support;
mod wire;
mod store;
mod tidy;
