//! `sim schema`: the JSON Schema of the scenario file.

use super::{FINE, print};
use crate::error::Result;

/// Prints the schema.
///
/// # Errors
/// Standard output cannot be written.
pub fn execute() -> Result<u8> {
    print(&crate::scenario::schema::schema())?;
    Ok(FINE)
}
