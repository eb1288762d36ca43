//! The binary `sim`.
fn main() {}
