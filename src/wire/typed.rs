//! A strict reader from JSON values into typed objects that knows where it is.
//!
//! Both our own scenario types and the `k8s-openapi` types announce their field names when they are read
//! (`Deserializer::deserialize_struct`). This reader compares every key with that list on the way down, so an unknown
//! field is found by construction, with its path and with the names it could have meant; nothing has to survive a
//! round trip. All unknown fields of a document are reported together with the first value of a wrong type.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::places::{Places, Step, join};
use crate::error::{Problem, did_you_mean};

/// Something wrong with one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldProblem {
    /// The path of the field.
    pub path: String,
    /// Whether the key itself is wrong, not its value.
    pub at_key: bool,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// The remedy for a bare number or truth value where text is meant; the place knows how it was written.
const QUOTE_HELP: &str = "put quotes around it";

impl FieldProblem {
    /// This problem with its place; `default_help` stands in for a missing remedy.
    pub fn placed(self, places: &Places, default_help: &str) -> Problem {
        let place = if self.at_key { places.find_key(&self.path) } else { places.find(&self.path) };
        let help = match self.help.as_str() {
            "" => default_help.to_string(),
            QUOTE_HELP => {
                let written: String = place.source_line.chars().skip(place.column - 1).take(place.width).collect();
                format!("{QUOTE_HELP}: \"{}\"", written.trim())
            }
            help => help.to_string(),
        };
        Problem { place: Some(place), path: self.path, message: self.message, help: Some(help) }
    }
}

/// Reads `value` as a `T`, refusing unknown fields.
///
/// # Errors
/// Every unknown field, and the first value of a wrong type.
pub fn read<'a, T: de::Deserialize<'a>>(value: &'a Value) -> Result<T, Vec<FieldProblem>> {
    let unknown = RefCell::new(Vec::new());
    let result = T::deserialize(Reader { value, path: String::new(), unknown: &unknown });
    let mut problems = unknown.into_inner();
    match result {
        Ok(read) if problems.is_empty() => Ok(read),
        Ok(_) => Err(problems),
        Err(error) => {
            let stop = error.at("").0;
            // What a map lacks is most likely what its unknown field was meant to be.
            let explained = problems.iter().any(|unknown| parent(&unknown.path) == stop.path);
            if !explained {
                problems.push(stop);
            }
            Err(problems)
        }
    }
}

/// The path without its last step.
fn parent(path: &str) -> &str {
    let end = path.strip_suffix(']').map_or_else(|| path.rfind('.'), |inner| inner.rfind('['));
    &path[..end.unwrap_or(0)]
}

/// The error that stops a reader, with the innermost path at which it arose.
#[derive(Debug)]
struct Stop(FieldProblem);

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.path, self.0.message)
    }
}
impl std::error::Error for Stop {}
impl de::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Stop(FieldProblem { path: String::new(), at_key: false, message: message.to_string(), help: String::new() })
    }
    fn missing_field(field: &'static str) -> Self {
        let mut stop = Self::custom(format!("missing field `{field}`"));
        stop.0.help = format!("add `{field}:` here");
        stop
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut stop = Self::custom(format!("unknown field {field:?}"));
        stop.0.help = suggestion(field, expected, "the fields here are");
        stop
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mut stop = Self::custom(format!("unknown value {variant:?}"));
        stop.0.help = suggestion(variant, expected, "expected one of");
        stop
    }
}

impl Stop {
    /// Gives the error a path if it does not have one yet, splitting off a remedy written after `; `.
    fn at(mut self, path: &str) -> Self {
        if self.0.path.is_empty() {
            self.0.path = path.to_string();
            if self.0.help.is_empty()
                && let Some((message, help)) = self.0.message.split_once("; ")
            {
                (self.0.message, self.0.help) = (message.to_string(), help.to_string());
            }
        }
        self
    }
}

/// "did you mean `x`?", or the list of what is possible.
pub fn suggestion(written: &str, candidates: &[&str], introduction: &str) -> String {
    match did_you_mean(written, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{introduction}: {}", candidates.join(", ")),
    }
}

/// The reader at one value.
struct Reader<'a, 'u> {
    value: &'a Value,
    path: String,
    unknown: &'u RefCell<Vec<FieldProblem>>,
}

impl<'a> Reader<'a, '_> {
    fn mismatch(&self, expected: &str, help: &str) -> Stop {
        let message = format!("expected {expected}, found {}", describe(self.value));
        Stop(FieldProblem { path: self.path.clone(), at_key: false, message, help: help.to_string() })
    }

    /// A number for `visitor`; its range is the visitor's business.
    fn number<V: Visitor<'a>>(self, expected: &str, visitor: V) -> Result<V::Value, Stop> {
        let Value::Number(number) = self.value else {
            let help = match self.value {
                Value::String(text) if text.parse::<f64>().is_ok() => "remove the quotes",
                _ => "write a number, such as 3",
            };
            return Err(self.mismatch(expected.split(" from ").next().unwrap_or(expected), help));
        };
        let result = match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => visitor.visit_u64(n),
            (None, Some(n)) => visitor.visit_i64(n),
            (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
        };
        result.map_err(|stop: Stop| {
            let found = match number.as_f64() {
                // 2^64, and whatever else the reader could keep as a floating-point number only.
                Some(large) if number.is_f64() && large.abs() >= u64::MAX as f64 => "one beyond 64 bits".to_string(),
                _ => number.to_string(),
            };
            let message = format!("expected {expected}, found {found}");
            let help = format!("the value must be {expected}");
            if stop.0.path.is_empty() {
                Stop(FieldProblem { path: self.path, at_key: false, message, help })
            } else {
                stop
            }
        })
    }

    fn text<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text).map_err(|stop: Stop| stop.at(&self.path)),
            Value::Number(_) | Value::Bool(_) => Err(self.mismatch("text", QUOTE_HELP)),
            _ => Err(self.mismatch("text", "write a single value here")),
        }
    }

    fn list<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Stop> {
        let items: &[Value] = match self.value {
            Value::Array(items) => items,
            // Go reads null as an empty list.
            Value::Null => &[],
            _ => return Err(self.mismatch("a list", "start each item on its own line with `- `")),
        };
        let access = Items { items, index: 0, path: self.path.clone(), unknown: self.unknown };
        visitor.visit_seq(access).map_err(|stop: Stop| stop.at(&self.path))
    }

    /// A map, or a struct with known `fields`.
    fn map<V: Visitor<'a>>(self, fields: Option<&'static [&'static str]>, visitor: V) -> Result<V::Value, Stop> {
        let entries = match self.value {
            Value::Object(entries) => Some(entries),
            Value::Null => None,
            _ => return Err(self.mismatch("a map", "write `key: value` lines, indented below")),
        };
        let access = Entries {
            entries: entries.map(Map::iter),
            fields,
            pending: None,
            path: self.path.clone(),
            unknown: self.unknown,
        };
        visitor.visit_map(access).map_err(|stop: Stop| stop.at(&self.path))
    }
}

/// A value as a person would call it.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_string(),
        Value::Bool(value) => format!("the truth value {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "a map".to_string(),
    }
}

macro_rules! numbers {
    ($($method:ident $expected:literal)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            self.number($expected, visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let path = self.path.clone();
        let result = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(n), _) => visitor.visit_u64(n),
                (None, Some(n)) => visitor.visit_i64(n),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(_) => return self.list(visitor),
            Value::Object(_) => return self.map(None, visitor),
        };
        result.map_err(|stop: Stop| stop.at(&path))
    }

    numbers! {
        deserialize_i8 "a whole number from -128 to 127"
        deserialize_i16 "a 16-bit whole number"
        deserialize_i32 "a whole number from -2147483648 to 2147483647"
        deserialize_i64 "a whole number"
        deserialize_u8 "a whole number from 0 to 255"
        deserialize_u16 "a whole number from 0 to 65535"
        deserialize_u32 "a whole number from 0 to 4294967295"
        deserialize_u64 "a whole number, 0 or more"
        deserialize_f32 "a number"
        deserialize_f64 "a number"
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.mismatch("true or false", "write true or false, without quotes")),
        }
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.text(visitor)
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.text(visitor)
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.text(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        let path = self.path.clone();
        visitor.visit_newtype_struct(self).map_err(|stop| stop.at(&path))
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.list(visitor)
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        match self.value {
            Value::Array(items) if items.len() == length => self.list(visitor),
            _ => Err(self.mismatch(&format!("a list of {length}"), &format!("write exactly {length} values: [a, b]"))),
        }
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.map(None, visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.map(Some(fields), visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let path = self.path.clone();
        match self.value {
            Value::String(text) => visitor.visit_enum(Variant { name: text, content: None }).map_err(|s| s.at(&path)),
            Value::Object(entries) if entries.len() == 1 => {
                let (name, value) = entries.iter().next().expect("the map has one entry");
                if !variants.contains(&name.as_str()) {
                    let help = suggestion(name, variants, "expected one of");
                    let message = format!("unknown field {name:?}");
                    let path = join(&path, &Step::Key(name));
                    return Err(Stop(FieldProblem { path, at_key: true, message, help }));
                }
                let below = Reader { value, path: join(&path, &Step::Key(name)), unknown: self.unknown };
                visitor.visit_enum(Variant { name, content: Some(below) }).map_err(|s| s.at(&path))
            }
            _ => Err(self.mismatch(&format!("one of {}", variants.join(", ")), "write exactly one of them")),
        }
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { char bytes byte_buf unit unit_struct tuple_struct }
}

struct Items<'a, 'u> {
    items: &'a [Value],
    index: usize,
    path: String,
    unknown: &'u RefCell<Vec<FieldProblem>>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        let Some(value) = self.items.get(self.index) else { return Ok(None) };
        let path = join(&self.path, &Step::Index(self.index));
        self.index += 1;
        let reader = Reader { value, path: path.clone(), unknown: self.unknown };
        seed.deserialize(reader).map(Some).map_err(|stop| stop.at(&path))
    }
}

struct Entries<'a, 'u> {
    entries: Option<serde_json::map::Iter<'a>>,
    fields: Option<&'static [&'static str]>,
    pending: Option<(&'a str, &'a Value)>,
    path: String,
    unknown: &'u RefCell<Vec<FieldProblem>>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        for (key, value) in self.entries.as_mut().into_iter().flatten() {
            let path = join(&self.path, &Step::Key(key));
            if let Some(fields) = self.fields
                && !fields.contains(&key.as_str())
            {
                self.unknown.borrow_mut().push(FieldProblem {
                    message: format!("unknown field {path:?}"),
                    help: suggestion(key, fields, "the fields here are"),
                    path,
                    at_key: true,
                });
                continue;
            }
            self.pending = Some((key, value));
            let key = seed.deserialize(BorrowedStrDeserializer::new(key)).map_err(|stop: Stop| stop.at(&path))?;
            return Ok(Some(key));
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        let (key, value) = self.pending.take().expect("serde asks for a value only after its key");
        let path = join(&self.path, &Step::Key(key));
        let reader = Reader { value, path: path.clone(), unknown: self.unknown };
        seed.deserialize(reader).map_err(|stop| stop.at(&path))
    }
}

struct Variant<'a, 'u> {
    name: &'a str,
    content: Option<Reader<'a, 'u>>,
}

impl<'de> EnumAccess<'de> for Variant<'de, '_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Stop> {
        Ok((seed.deserialize(StrDeserializer::<Stop>::new(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        match self.content {
            None => Ok(()),
            Some(reader) => Err(reader.mismatch("nothing", "write only the word")),
        }
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        match self.content {
            Some(reader) => seed.deserialize(reader),
            None => Err(de::Error::custom(format!("{:?} needs a value; write `{}: …`", self.name, self.name))),
        }
    }
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        match self.content {
            Some(reader) => reader.deserialize_tuple(length, visitor),
            None => Err(de::Error::custom(format!("{:?} needs a list of {length}", self.name))),
        }
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        match self.content {
            Some(reader) => reader.map(Some(fields), visitor),
            None => Err(de::Error::custom(format!("{:?} needs the fields {}", self.name, fields.join(", ")))),
        }
    }
}
