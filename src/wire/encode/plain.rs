//! Kinds that are kept as written.

use super::meta::meta;
use super::value;
use crate::model::{Kind, Meta};
use serde_json::{Value, json};

/// The object as written, with its metadata as it is now.
pub(super) fn plain(kind: Kind, of: &Meta, raw: &Value) -> Value {
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.as_str(), "metadata": value(&meta(of))});
    if let (Some(fields), Some(raw)) = (object.as_object_mut(), raw.as_object()) {
        fields.extend(raw.iter().map(|(field, value)| (field.clone(), value.clone())));
    }
    object
}
