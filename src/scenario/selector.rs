//! Label selectors of the scenario, in the one-line notation of `kubectl -l`: `app=web,tier!=db,zone in (a,b),!legacy`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

use crate::model::selector::{self, parse};

/// All of its requirements must hold; without any it matches everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector(pub selector::Selector);

impl Selector {
    /// Whether labels, given as a look-up, satisfy the selector.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.requirements.iter().all(|requirement| requirement.matches_value(label(&requirement.key)))
    }

    /// Reads the notation of `kubectl -l`.
    ///
    /// # Errors
    /// Kubernetes' sentence, with an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        let example = "; write it as kubectl -l takes it, such as app=web,tier!=db";
        parse(text)
            .map(Selector)
            .map_err(|why| format!("invalid selector {text:?}: {}{example}", why.replace("; ", ", ")))
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Selector::parse(&text).map_err(de::Error::custom)
    }
}
impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A label selector as kubectl -l takes it.",
            "type": "string",
            "examples": ["app=web", "app=web,tier!=db", "zone in (a,b)"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_as_kubectl_does() {
        let labels = |key: &str| match key {
            "app" => Some("web"),
            "zone" => Some("a"),
            _ => None,
        };
        // (selector, matches {app: web, zone: a})
        let table = [
            ("", true),
            ("app=web", true),
            ("app==web,zone in (a,b)", true),
            ("app!=web", false),
            ("tier!=db", true),
            ("zone notin (b,c)", true),
            ("!app", false),
            ("app,!tier", true),
        ];
        for (text, expected) in table {
            assert_eq!(Selector::parse(text).unwrap().matches(labels), expected, "{text}");
        }
        for wrong in ["=web", "app=we b", "app in a", "app web", "app=a=b=c,,"] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }
}
