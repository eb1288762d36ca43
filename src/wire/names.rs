//! The syntax of names and labels, with Kubernetes' sentences.
//!
//! `staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go`.

const LABEL_REGEX: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_REGEX: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED_REGEX: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn too_long(most: usize) -> String {
    format!("must be no more than {most} characters")
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

/// What is wrong with a DNS-1123 subdomain (`IsDNS1123Subdomain`).
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 253 {
        faults.push(too_long(253));
    }
    if !text.split('.').all(label_shaped) {
        let sentence = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                        and must start and end with an alphanumeric character";
        faults.push(regex_error(sentence, SUBDOMAIN_REGEX, &["example.com"]));
    }
    faults
}

fn qualified_shaped(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.bytes().all(inner) && ends(text.bytes().next()) && ends(text.bytes().last())
}

/// What is wrong with the key of a label or annotation (`IsQualifiedName`).
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_string());
            } else {
                faults.extend(dns_subdomain(prefix).into_iter().map(|why| format!("prefix part {why}")));
            }
            name
        }
        _ => {
            let sentence = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start \
                            and end with an alphanumeric character";
            let examples = ["MyName", "my.name", "123-abc"];
            let sentence = regex_error(sentence, QUALIFIED_REGEX, &examples);
            return vec![format!(
                "{sentence} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_string());
    } else if name.len() > 63 {
        faults.push(format!("name part {}", too_long(63)));
    }
    if !qualified_shaped(name) {
        let sentence = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
                        with an alphanumeric character";
        faults.push(regex_error(sentence, QUALIFIED_REGEX, &["MyName", "my.name", "123-abc"]));
    }
    faults
}

/// What is wrong with the value of a label (`IsValidLabelValue`).
pub fn label_value(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 63 {
        faults.push(too_long(63));
    }
    if !text.is_empty() && !qualified_shaped(text) {
        let sentence = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                        and must start and end with an alphanumeric character";
        let regex = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
        faults.push(regex_error(sentence, regex, &["MyValue", "my_value", "12345"]));
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
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(
            dns_label("A")[0],
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        );
    }
}
