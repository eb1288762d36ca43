//! One integration binary: a file per behaviour.
mod scenarios;
mod support;
mod wire;
mod store;
mod tidy;
