//! Label selectors in the one-line notation of `kubectl -l`: `app=web,tier!=db,zone in (a,b),!legacy`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

/// One condition on one label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Requirement {
    /// `key=value`, `key in (a,b)`: present with one of the values.
    In(String, Vec<String>),
    /// `key!=value`, `key notin (a,b)`: absent or with another value.
    NotIn(String, Vec<String>),
    /// `key`: present.
    Exists(String),
    /// `!key`: absent.
    DoesNotExist(String),
}

/// All of its requirements must hold; without any it matches everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector(pub Vec<Requirement>);

impl Selector {
    /// Whether labels, given as a look-up, satisfy the selector.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let one_of = |key: &str, values: &[String]| label(key).is_some_and(|value| values.iter().any(|v| v == value));
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => one_of(key, values),
            Requirement::NotIn(key, values) => !one_of(key, values),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::DoesNotExist(key) => label(key).is_none(),
        })
    }

    /// Reads the notation of `kubectl -l`.
    ///
    /// # Errors
    /// What is wrong, with an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<&str> = Vec::new();
        let (mut start, mut depth) = (0, 0);
        for (index, c) in text.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(&text[start..index]);
                    start = index + 1;
                }
                _ => {}
            }
        }
        parts.push(&text[start..]);
        if text.trim().is_empty() {
            return Ok(Selector::default());
        }
        parts.into_iter().map(|part| requirement(part.trim())).collect::<Result<_, _>>().map(Selector)
    }
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let bad = || format!("invalid selector {text:?}; write it as kubectl -l takes it, such as app=web,tier!=db");
    let key = |key: &str| {
        let key = key.trim();
        let valid = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if valid { Ok(key.to_string()) } else { Err(bad()) }
    };
    let value = |value: &str| {
        let value = value.trim();
        let valid = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if valid { Ok(value.to_string()) } else { Err(bad()) }
    };
    let set = |list: &str| -> Result<Vec<String>, String> {
        let inner = list.trim().strip_prefix('(').and_then(|l| l.strip_suffix(')')).ok_or_else(bad)?;
        inner.split(',').map(value).collect()
    };
    if let Some((left, right)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(key(left)?, vec![value(right)?]));
    }
    if let Some((left, right)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(key(left)?, vec![value(right)?]));
    }
    if let Some((left, right)) = text.split_once(" notin ") {
        return Ok(Requirement::NotIn(key(left)?, set(right)?));
    }
    if let Some((left, right)) = text.split_once(" in ") {
        return Ok(Requirement::In(key(left)?, set(right)?));
    }
    match text.strip_prefix('!') {
        Some(rest) => Ok(Requirement::DoesNotExist(key(rest)?)),
        None => Ok(Requirement::Exists(key(text)?)),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            match requirement {
                Requirement::In(key, values) if values.len() == 1 => write!(f, "{key}={}", values[0])?,
                Requirement::NotIn(key, values) if values.len() == 1 => write!(f, "{key}!={}", values[0])?,
                Requirement::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::DoesNotExist(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
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
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.matches(labels), expected, "{text}");
            assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }
        for wrong in ["=web", "app=we b", "app in a", "app web", "app=a=b=c,,"] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }
}
