//! The JSON Schema of the scenario file, made from its types: editors complete and check with it.

use super::Scenario;

/// The schema as it is printed by `sim schema` and kept in `scenarios/scenario.schema.json`.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Scenario);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
