//! What a schema refuses (`pkg/apiserver/validation/validation.go` of `staging/src/k8s.io/apiextensions-apiserver`,
//! `k8s.io/kube-openapi/pkg/validation/{validate,errors}`).

use super::{INT_OR_STRING, LIST_KEYS, LIST_TYPE, field, format, is_set, item};
use crate::wire::validate::{ErrorType, FieldError};
use regex::Regex;
use serde_json::{Map, Value};

/// Everything that is wrong with a value by its schema.
pub fn check(schema: &Value, value: &Value) -> Vec<FieldError> {
    let mut refusals = Refusals::default();
    refusals.value(schema, value, "");
    refusals.0
}

/// What is wrong with a pattern.
pub fn pattern_fault(pattern: &str) -> Option<String> {
    Regex::new(pattern).err().map(|error| error.to_string().lines().last().unwrap_or_default().trim().to_string())
}

#[derive(Default)]
struct Refusals(Vec<FieldError>);

/// The type of a value as messages name it.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number % 1.0 == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value as a field error prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// A bound as Go prints a float.
fn number(value: &Value) -> String {
    value.as_f64().map(|number| number.to_string()).unwrap_or_default()
}

impl Refusals {
    fn add(&mut self, path: &str, kind: ErrorType, detail: String) {
        self.0.push(FieldError { path: path.to_string(), at: None, at_key: false, kind, detail });
    }

    /// `<path> in body <what>`.
    fn invalid(&mut self, path: &str, value: &Value, what: String) {
        let shown = match value {
            Value::Null => "\"\"".to_string(),
            value => shown(value),
        };
        self.add(path, ErrorType::Invalid(shown), format!("{path} in body {what}"));
    }

    /// A rule of several schemas: upstream loses where it stands.
    fn whole(&mut self, path: &str, what: &str) {
        let detail = format!("{path:?} {what}");
        let kind = ErrorType::Invalid("\"\"".to_string());
        self.0.push(FieldError { path: "<nil>".into(), at: Some(path.into()), at_key: false, kind, detail });
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if !schema.is_object() || value.is_null() && is_set(schema, "nullable") {
            return;
        }
        self.type_of(schema, value, path);
        if let Some(listed) = schema["enum"].as_array().filter(|listed| !listed.contains(value)) {
            let listed = listed.iter().map(|value| value.as_str().map_or(value.to_string(), str::to_string)).collect();
            self.add(path, ErrorType::NotSupported(shown(value), listed), String::new());
        }
        match value {
            Value::String(text) => self.text(schema, text, value, path),
            Value::Number(_) => self.number(schema, value, path),
            Value::Array(items) => self.list(schema, items, path),
            Value::Object(fields) => self.map(schema, fields, path),
            _ => {}
        }
        self.combinations(schema, value, path);
    }

    fn type_of(&mut self, schema: &Value, value: &Value, path: &str) {
        let is = type_of(value);
        let (fits, wanted) = match schema["type"].as_str() {
            _ if is_set(schema, INT_OR_STRING) => (matches!(is, "integer" | "string"), "integer,string"),
            None | Some("") => return,
            Some("number") => (matches!(is, "integer" | "number"), "number"),
            Some(wanted) => (is == wanted, wanted),
        };
        if !fits {
            let detail = format!("{path} in body must be of type {wanted}: {is:?}");
            self.add(path, ErrorType::Invalid(format!("{is:?}")), detail);
        }
    }

    fn text(&mut self, schema: &Value, text: &str, value: &Value, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            self.add(path, ErrorType::TooLong, format!("may not be more than {most} bytes"));
        }
        if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
            self.invalid(path, value, format!("should be at least {least} chars long"));
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
        {
            self.invalid(path, value, format!("should match '{pattern}'"));
        }
        if let Some(format) = schema["format"].as_str().filter(|format| !format::has(format, text)) {
            self.invalid(path, value, format!("must be of type {format}: {text:?}"));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(is) = value.as_f64() else { return };
        let bound = |name: &str| schema[name].as_f64();
        if let Some(most) = bound("maximum") {
            let open = is_set(schema, "exclusiveMaximum");
            if is > most || open && is == most {
                let or_equal = if open { "" } else { " or equal to" };
                self.invalid(path, value, format!("should be less than{or_equal} {}", number(&schema["maximum"])));
            }
        }
        if let Some(least) = bound("minimum") {
            let open = is_set(schema, "exclusiveMinimum");
            if is < least || open && is == least {
                let or_equal = if open { "" } else { " or equal to" };
                self.invalid(path, value, format!("should be greater than{or_equal} {}", number(&schema["minimum"])));
            }
        }
        if bound("multipleOf").is_some_and(|step| step > 0.0 && (is / step) % 1.0 != 0.0) {
            self.invalid(path, value, format!("should be a multiple of {}", number(&schema["multipleOf"])));
        }
    }

    /// The number of items or fields.
    fn count(&mut self, schema: &Value, (count, what): (usize, &str), path: &str) {
        let bound = |start: &str| schema[format!("{start}{}{}", what[..1].to_uppercase(), &what[1..])].as_u64();
        if let Some(most) = bound("max").filter(|most| count as u64 > *most) {
            self.add(path, ErrorType::TooMany(count), format!("must have at most {most} items"));
        }
        if let Some(least) = bound("min").filter(|least| (count as u64) < *least) {
            self.invalid(path, &Value::from(count), format!("should have at least {least} {what}"));
        }
    }

    fn list(&mut self, schema: &Value, items: &[Value], path: &str) {
        self.count(schema, (items.len(), "items"), path);
        let keys: Vec<&str> = schema[LIST_KEYS].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let id = |value: &Value| match schema[LIST_TYPE].as_str() {
            Some("set") => Some(value.clone()),
            Some("map") => {
                let pairs = keys.iter().map(|key| ((*key).to_string(), value[*key].clone()));
                Some(Value::Object(pairs.collect::<Map<_, _>>()))
            }
            _ => None,
        };
        let mut seen = Vec::new();
        for (index, value) in items.iter().enumerate() {
            let path = item(path, index);
            self.value(&schema["items"], value, &path);
            let Some(id) = id(value) else { continue };
            match seen.contains(&id) {
                true => self.add(&path, ErrorType::Duplicate(shown(&id)), String::new()),
                false => seen.push(id),
            }
        }
    }

    fn map(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        self.count(schema, (fields.len(), "properties"), path);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let elsewhere = path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name);
            if !fields.contains_key(name) && !elsewhere {
                self.add(&field(path, name), ErrorType::Required, String::new());
            }
        }
        for (name, value) in fields {
            let schema = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
            self.value(schema, value, &field(path, name));
        }
    }

    fn combinations(&mut self, schema: &Value, value: &Value, path: &str) {
        let try_out = |schema: &Value| {
            let mut refusals = Refusals::default();
            refusals.value(schema, value, path);
            refusals.0
        };
        let all = |name: &str| schema[name].as_array().map(|list| list.iter().map(try_out).collect::<Vec<_>>());
        if let Some(tried) = all("allOf").filter(|tried| tried.iter().any(|errors| !errors.is_empty())) {
            let none = if tried.iter().all(|errors| !errors.is_empty()) { ". None validated" } else { "" };
            self.0.extend(tried.into_iter().flatten());
            self.whole(path, &format!("must validate all the schemas (allOf){none}"));
        }
        // The texts on integers and strings of one field say it all.
        let any = all("anyOf").filter(|_| !is_set(schema, INT_OR_STRING));
        if let Some(tried) = any.filter(|tried| tried.iter().all(|errors| !errors.is_empty())) {
            self.whole(path, "must validate at least one schema (anyOf)");
            self.0.extend(tried.into_iter().min_by_key(Vec::len).unwrap_or_default());
        }
        if let Some(tried) = all("oneOf") {
            let fit = tried.iter().filter(|errors| errors.is_empty()).count();
            if fit != 1 {
                let found =
                    if fit == 0 { "Found none valid".into() } else { format!("Found {fit} valid alternatives") };
                self.whole(path, &format!("must validate one and only one schema (oneOf). {found}"));
                let nearest = tried.into_iter().filter(|errors| !errors.is_empty()).min_by_key(Vec::len);
                self.0.extend(nearest.filter(|_| fit == 0).unwrap_or_default());
            }
        }
        if schema["not"].is_object() && try_out(&schema["not"]).is_empty() {
            self.whole(path, "must not validate the schema (not)");
        }
    }
}
