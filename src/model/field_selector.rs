//! Field selectors: `status.phase!=Failed,spec.nodeName=n1`
//! (`staging/src/k8s.io/apimachinery/pkg/fields/selector.go`).

use super::Name;
use std::fmt;

/// One comparison of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldTerm {
    /// The field, such as `metadata.name`.
    pub field: Name,
    /// The value, without escapes.
    pub value: Name,
    /// `=` rather than `!=`.
    pub equal: bool,
}

/// Terms that must all hold; none at all matches everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldSelector {
    /// The terms, sorted as text.
    pub terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// Reads the text form.
    ///
    /// # Errors
    /// The sentence that Kubernetes prints.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let terms = parts.into_iter().filter(|part| !part.is_empty()).map(|part| {
            let unknown = || format!("invalid selector: '{text}'; can't understand '{part}'");
            let at = part.find('=').ok_or_else(unknown)?;
            let not_equal = at > 0 && part.as_bytes()[at - 1] == b'!';
            let field = if not_equal { &part[..at - 1] } else { &part[..at] };
            let value = &part[at + 1..];
            let value = if not_equal { value } else { value.strip_prefix('=').unwrap_or(value) };
            Ok(FieldTerm { field: Name::from(field), value: unescape(value)?.into(), equal: !not_equal })
        });
        Ok(FieldSelector { terms: terms.collect::<Result<_, String>>()? })
    }

    /// Whether an object whose fields `get` gives satisfies every term; a field it lacks is empty.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| (get(&term.field).unwrap_or_default() == term.value) == term.equal)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let operator = if term.equal { "=" } else { "!=" };
            let value = term.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{comma}{}{operator}{value}", term.field)?;
        }
        Ok(())
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let shown: String = other.into_iter().collect();
                    return Err(format!("invalid field selector: invalid escape sequence: \\{shown}"));
                }
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {}", u32::from(c))),
            _ => plain.push(c),
        }
    }
    Ok(plain)
}
