//! The syntax of names and labels, with Kubernetes' sentences.
//!
//! `staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go`.

const LABEL_REGEX: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

pub use crate::model::label_syntax::{
    label_value_errors as label_value, qualified_name_errors as qualified_name, subdomain_errors as dns_subdomain,
};

fn too_long(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

fn regex_error(sentence: &str, regex: &str, examples: &[&str]) -> String {
    let examples = examples.iter().map(|e| format!("'{e}'")).collect::<Vec<_>>().join(",  or ");
    format!("{sentence} (e.g. {examples}, regex used for validation is '{regex}')")
}

fn label_shaped(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// What is wrong with a DNS-1123 label (`IsDNS1123Label`).
pub fn dns_label(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 63 {
        faults.push(too_long(63));
    }
    if !label_shaped(text) {
        let sentence = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
                        and must start and end with an alphanumeric character";
        faults.push(regex_error(sentence, LABEL_REGEX, &["my-name", "123-abc"]));
    }
    faults
}

/// The first fault of a label, key or value, if any.
pub fn label_fault(key: &str, value: &str) -> Option<String> {
    let key_fault = qualified_name(key).into_iter().next().map(|why| format!("invalid label key {key:?}: {why}"));
    key_fault
        .or_else(|| label_value(value).into_iter().next().map(|why| format!("invalid label value {value:?}: {why}")))
}

/// What is wrong with the name of a port (`IsValidPortName`).
pub fn port_name(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 15 {
        faults.push(too_long(15));
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') || text.is_empty() {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_string());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)".to_string());
    }
    if text.contains("--") {
        faults.push("must not contain consecutive hyphens".to_string());
    }
    if text.starts_with('-') || text.ends_with('-') {
        faults.push("must not begin or end with a hyphen".to_string());
    }
    faults
}

/// What is wrong with the name of an environment variable (`IsEnvVarName`, relaxed).
pub fn env_name(text: &str) -> Vec<String> {
    if text.chars().all(|c| (' '..='~').contains(&c) && c != '=') {
        return Vec::new();
    }
    let sentence = "a valid environment variable name must consist only of printable ASCII characters other than '='";
    vec![sentence.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_is_that_of_kubernetes() {
        // (check, text, number of faults)
        type Check = fn(&str) -> Vec<String>;
        let table: &[(Check, &str, usize)] = &[
            (dns_label, "my-name", 0),
            (dns_label, "My-name", 1),
            (dns_label, "-a", 1),
            (dns_label, "a.b", 1),
            (dns_subdomain, "a.b-c", 0),
            (dns_subdomain, "a..b", 1),
            (qualified_name, "app.kubernetes.io/name", 0),
            (qualified_name, "App_1", 0),
            (qualified_name, "/name", 1),
            (qualified_name, "a/b/c", 1),
            (qualified_name, "", 2),
            (label_value, "", 0),
            (label_value, "two words", 1),
            (port_name, "http", 0),
            (port_name, "8080", 1),
            (port_name, "a--b", 1),
        ];
        for (check, text, faults) in table {
            assert_eq!(check(text).len(), *faults, "{text:?}: {:?}", check(text));
        }
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(
            dns_label("A")[0],
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        );
    }
}
