//! What must hold: of every run (invariants), and of this one (expectations).

pub mod expect;
