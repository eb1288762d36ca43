//! YAML text to JSON values with places, meaning what it means to `kubectl`.
//!
//! The reader is serde-saphyr; this file is the only one that knows it. `kubectl` reads YAML 1.1 scalars (`yes` is
//! true, `0644` is 420), expands merge keys, skips documents that hold only comments and lets the last of two equal
//! keys win. A golden test (`tests/yaml.rs`) compares with `kubectl`'s own conversion.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::places::{Places, Position, Spot, Step, join};
use crate::error::Problem;

/// The largest file that is read.
pub const MAX_FILE_BYTES: usize = 8 << 20;
/// The most scalars, lists and maps in a file.
pub const MAX_NODES: usize = 200_000;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// The most `*aliases` in a file.
pub const MAX_ALIASES: usize = 100;

/// What two equal keys in one map mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DuplicateKeys {
    /// The file is refused: our own formats.
    Refuse,
    /// The last one wins, as for `kubectl`, with a warning.
    LastWins,
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its content, as `kubectl` would send it.
    pub value: Value,
    /// Where everything stands.
    pub places: Places,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Documents {
    /// Its documents; those that hold only comments are left out.
    pub documents: Vec<Document>,
    /// What is suspicious but legal, such as a repeated key.
    pub warnings: Vec<Problem>,
}

/// Reads all documents of a file. `file` is its name for messages.
///
/// # Errors
/// The one thing that stopped the reader: a syntax error, a repeated key, or a limit, with its place.
pub fn read(file: &str, text: &str, duplicates: DuplicateKeys) -> Result<Documents, Box<Problem>> {
    let places = Places::new(file, text);
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; the limit is {MAX_FILE_BYTES} (8 MiB)", text.len());
        return Err(Box::new(places.problem("", message, "split it into several files")));
    }
    let trees: Vec<Tree> = serde_saphyr::from_multiple_with_options(text, options(duplicates))
        .map_err(|error| Box::new(syntax_problem(&places, &error)))?;
    let mut warnings = Vec::new();
    let mut documents = Vec::new();
    for tree in trees {
        let mut document = Document { value: Value::Null, places: places.empty() };
        document.value = lower(&tree, None, "", &mut document.places, &mut warnings);
        if !document.value.is_null() {
            documents.push(document);
        }
    }
    Ok(Documents { documents, warnings })
}

/// Reads one scalar or flow value, as it would be read inside a file: the right side of `--set path=value`.
///
/// # Errors
/// The parser's sentence.
pub fn read_value(text: &str) -> Result<Value, String> {
    let read = read("value", text, DuplicateKeys::Refuse).map_err(|problem| problem.message)?;
    Ok(read.documents.into_iter().next().map_or(Value::Null, |document| document.value))
}

fn options(duplicates: DuplicateKeys) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: MAX_ALIASES,
            max_documents: 50_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        duplicate_keys: match duplicates {
            DuplicateKeys::Refuse => DuplicateKeyPolicy::Error,
            DuplicateKeys::LastWins => DuplicateKeyPolicy::LastWins,
        },
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

/// Parser errors that a person should read in other words: part of the parser's text, our message (empty to keep the
/// parser's), and what to do.
const REPHRASED: &[(&str, &str, &str)] = &[
    ("Nodes {", "limit `yamlNodes` (200,000 values in one file) reached here", "split the file"),
    ("Depth {", "limit `yamlDepth` (64 levels) reached here", "write it with fewer levels"),
    ("recursion limit", "limit `yamlDepth` (64 levels) reached here", "write it with fewer levels"),
    ("Aliases {", "limit `yamlAliases` (100 in one file) reached here", "write the values out"),
    ("alias replay", "limit `yamlNodes` (200,000 values, with aliases written out) reached here", "use fewer aliases"),
    ("budget", "a limit on the size of one file is reached here", "split the file"),
    ("recursive references", "an anchor contains its own alias", "write the value out"),
    ("unknown anchor", "", "put `&name` before the value that `*name` stands for, or quote the text"),
    ("non-finite", "infinity and not-a-number have no JSON form", "put quotes around it if text is meant"),
    ("duplicate", "", "remove one of the two"),
    ("tabs", "", "indent with spaces"),
];

/// The parser's error, placed, in words that say what to do.
fn syntax_problem(places: &Places, error: &serde_saphyr::Error) -> Problem {
    let position = error.location().map(|location| position(&location));
    let text = error.without_snippet().to_string();
    let first = text.split(" at line ").next().unwrap_or(&text).lines().next().unwrap_or_default();
    let first = first.split(", set DuplicateKeyPolicy").next().unwrap_or(first).trim();
    let default = ("", "", "check the indentation, quotes and brackets here and on the line above");
    let (_, message, help) = REPHRASED.iter().find(|(part, ..)| first.contains(part)).unwrap_or(&default);
    Problem {
        place: Some(places.place(position.unwrap_or(Position { line: 1, column: 1, width: 1 }))),
        path: String::new(),
        message: if message.is_empty() { first } else { message }.to_string(),
        help: Some((*help).to_string()),
    }
}

fn position(location: &Location) -> Position {
    Position {
        line: usize::try_from(location.line()).unwrap_or(1).max(1),
        column: usize::try_from(location.column()).unwrap_or(1).max(1),
        width: usize::try_from(location.span().len()).unwrap_or(1).max(1),
    }
}

/// A node with its place, before it becomes a JSON value.
struct Tree {
    node: Node,
    position: Position,
}

enum Node {
    Scalar(Value),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Node>::deserialize(deserializer)?;
        Ok(Tree { node: spanned.value, position: position(&spanned.defined) })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value.to_string())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

/// Turns a node into JSON and records its places. Keys become text as `kubectl` makes them: `1: x` is `"1"`,
/// `yes: x` is `"true"`.
fn lower(tree: &Tree, key: Option<Position>, path: &str, places: &mut Places, warnings: &mut Vec<Problem>) -> Value {
    let scalar = matches!(tree.node, Node::Scalar(_));
    places.insert(path, Spot { key, value: tree.position, scalar });
    match &tree.node {
        Node::Scalar(value) => value.clone(),
        Node::List(items) => {
            let item = |(index, item)| lower(item, None, &join(path, &Step::Index(index)), places, warnings);
            Value::Array(items.iter().enumerate().map(item).collect())
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let name = match &key.node {
                    Node::Scalar(Value::String(text)) => text.clone(),
                    // Go prints a whole float without its fraction.
                    Node::Scalar(other) => other.to_string().trim_end_matches(".0").to_string(),
                    Node::List(_) | Node::Map(_) => "[complex key]".to_string(),
                };
                let below = join(path, &Step::Key(&name));
                if map.contains_key(&name) {
                    warnings.push(Problem {
                        place: Some(places.place(key.position)),
                        path: below.clone(),
                        message: format!("key {name:?} is already set in this map; this one wins"),
                        help: Some("remove one of the two".to_string()),
                    });
                }
                let value = lower(value, Some(key.position), &below, places, warnings);
                map.insert(name, value);
            }
            Value::Object(map)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Document {
        read("x.yaml", text, DuplicateKeys::LastWins).unwrap().documents.remove(0)
    }

    #[test]
    fn every_value_has_its_place() {
        let document =
            one("\u{feff}kind: Pod\r\nspec:\r\n  containers:\r\n  - image: \"a:1\"\r\n    args: [x, yy]\r\n");
        let at = |path: &str| {
            let place = document.places.find(path);
            (place.line, place.column, place.width)
        };
        assert_eq!(at("kind"), (1, 7, 3));
        assert_eq!(at("spec"), (2, 1, 4));
        assert_eq!(at("spec.containers[0].image"), (4, 12, 5));
        assert_eq!(at("spec.containers[0].args[1]"), (5, 15, 2));
        assert_eq!(at("spec.containers[0].ports[0]"), (4, 5, 1), "the nearest parent");
        assert_eq!(document.places.find_key("kind").column, 1);
        assert_eq!(document.places.find("kind").source_line, "kind: Pod");
    }

    #[test]
    fn repeated_keys_follow_the_policy() {
        let text = "a: 1\nb: 2\na: 3\n";
        let read_all = read("x.yaml", text, DuplicateKeys::LastWins).unwrap();
        assert_eq!(read_all.documents[0].value["a"], 3);
        assert_eq!(read_all.warnings[0].place.as_ref().map(|p| (p.line, p.column)), Some((3, 1)));
        let problem = read("x.yaml", text, DuplicateKeys::Refuse).unwrap_err();
        assert_eq!(problem.place.map(|p| p.line), Some(3));
    }

    #[test]
    fn hostile_files_are_refused_at_once() {
        let bomb = (1..12).fold("a0: &a0 [x]\n".to_string(), |text, n| {
            let alias = format!("*a{},", n - 1).repeat(9);
            format!("{text}a{n}: &a{n} [{}]\n", alias.trim_end_matches(','))
        });
        assert!(read("x.yaml", &bomb, DuplicateKeys::Refuse).is_err());
        assert!(read("x.yaml", &"[".repeat(100_000), DuplicateKeys::Refuse).is_err());
        assert!(read("x.yaml", "a: [1,\n", DuplicateKeys::Refuse).is_err());
    }
}
