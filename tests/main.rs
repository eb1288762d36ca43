//! One integration binary: a file per behaviour.
mod golden_scheduler;
mod bad;
mod scenarios;
mod store;
mod support;
mod tidy;
mod wire;
mod yaml;
