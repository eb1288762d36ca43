//! One integration binary: a file per behaviour.
mod golden_endpointslice;
mod golden_scheduler;
mod bad;
mod cli;
mod scenarios;
mod scheduler;
mod store;
mod support;
mod tidy;
mod wire;
mod yaml;
