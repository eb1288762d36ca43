//! Experiments: many decisions or many runs, and what they come to.

pub mod fgd;
