//! What a run came to, for people and programs: one file per format.
//!
//! ```text
//! Outcome ──▶ terminal (80 columns)
//!         ──▶ summary (JSON, YAML)
//!         ──▶ csv, plots ──▶ files (a results folder, whole or not at all)
//! ```

// Row 7: files are this module's business.
#![allow(clippy::disallowed_methods)]

pub mod chaos;
pub mod chart;
pub mod compare;
pub mod csv;
pub mod explain;
pub mod explain_json;
pub mod files;
pub mod form;
pub mod jobs;
pub mod plots;
pub mod resilience;
pub mod scaling;
pub mod summary;
pub mod tables;
pub mod terminal;
pub mod text;
pub mod trace;
mod trace_custom;
pub mod traffic;

#[cfg(test)]
mod tests;

pub use summary::Summary;
