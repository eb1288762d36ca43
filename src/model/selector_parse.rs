//! Selectors as text: `app=web,tier in (a,b),!old` for labels, `spec.nodeName=n1` for fields
//! (`staging/src/k8s.io/apimachinery/pkg/labels/selector.go`, `.../pkg/fields/selector.go`).

use super::label_syntax::{label_value_errors, qualified_name_errors};
use super::selector::{Operator, Requirement, Selector};
use super::{Labels, Name};
use std::fmt;

/// How a comparison is written. `=`, `==` and `in` mean the same but print differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spelling {
    /// `=`
    Equals,
    /// `==`
    DoubleEquals,
    /// `!=`
    NotEquals,
    /// `in`, `notin`, `>`, `<`, or presence.
    Plain,
}

/// One requirement with its spelling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryRequirement {
    /// What it asks.
    pub requirement: Requirement,
    /// How it is written.
    pub spelling: Spelling,
}

/// A label selector that remembers how it was written: [`fmt::Display`] gives Kubernetes' canonical text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelQuery {
    /// Requirements, sorted by key; equal keys in the order written.
    pub requirements: Vec<QueryRequirement>,
}

impl LabelQuery {
    /// Sorts the requirements into a query.
    pub fn new(mut requirements: Vec<QueryRequirement>) -> Self {
        requirements.sort_by(|a, b| a.requirement.key.cmp(&b.requirement.key));
        LabelQuery { requirements }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// The sentence that Kubernetes prints.
    pub fn parse(text: &str) -> Result<Self, String> {
        Parser { tokens: tokens(text), at: 0 }.parse().map(LabelQuery::new)
    }

    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|r| r.requirement.matches(labels))
    }

    /// The selector without the spelling, sorted as [`Selector`] has it.
    pub fn into_selector(self) -> Selector {
        let mut requirements: Vec<Requirement> = self.requirements.into_iter().map(|r| r.requirement).collect();
        requirements.sort();
        Selector { requirements }
    }
}

impl fmt::Display for LabelQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, QueryRequirement { requirement: r, spelling }) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            let values = r.values.iter().map(Name::as_str).collect::<Vec<_>>().join(",");
            match (spelling, r.operator) {
                (Spelling::Equals, _) => write!(f, "{}={values}", r.key)?,
                (Spelling::DoubleEquals, _) => write!(f, "{}=={values}", r.key)?,
                (Spelling::NotEquals, _) => write!(f, "{}!={values}", r.key)?,
                (_, Operator::In) => write!(f, "{} in ({values})", r.key)?,
                (_, Operator::NotIn) => write!(f, "{} notin ({values})", r.key)?,
                (_, Operator::Exists) => f.write_str(&r.key)?,
                (_, Operator::DoesNotExist) => write!(f, "!{}", r.key)?,
                (_, Operator::Gt) => write!(f, "{}>{values}", r.key)?,
                (_, Operator::Lt) => write!(f, "{}<{values}", r.key)?,
            }
        }
        Ok(())
    }
}

/// Reads a label selector in its text form.
///
/// # Errors
/// The sentence that Kubernetes prints.
pub fn parse(text: &str) -> Result<Selector, String> {
    LabelQuery::parse(text).map(LabelQuery::into_selector)
}

/// Checks key and values of a requirement and makes it. `path` is the requirement's field path, or empty;
/// the values may come in any order.
///
/// # Errors
/// Every field error, as Kubernetes prints it.
pub fn checked(path: &str, key: &str, operator: Operator, values: &[String]) -> Result<Requirement, Vec<String>> {
    let child = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    let mut errors: Vec<String> = key_error(key, &child("key")).into_iter().collect();
    let values_path = child("values");
    let set_problem = match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            Some("for 'in', 'notin' operators, values set can't be empty")
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            Some("values set must be empty for exists and does not exist")
        }
        Operator::Gt | Operator::Lt if values.len() != 1 => {
            Some("for 'Gt', 'Lt' operators, exactly one value is required")
        }
        _ => None,
    };
    if let Some(problem) = set_problem {
        let shown = match values.is_empty() {
            true => "null".to_string(),
            false => serde_json::Value::from(values).to_string(),
        };
        errors.push(format!("{values_path}: Invalid value: {shown}: {problem}"));
    }
    for (at, value) in values.iter().enumerate() {
        if matches!(operator, Operator::Gt | Operator::Lt) && value.parse::<i64>().is_err() {
            let rule = "for 'Gt', 'Lt' operators, the value must be an integer";
            errors.push(format!("{values_path}[{at}]: Invalid value: {value:?}: {rule}"));
        }
    }
    for (at, value) in values.iter().enumerate() {
        let problems = label_value_errors(value);
        if !problems.is_empty() {
            errors.push(format!("{values_path}[{at}][{key}]: Invalid value: {value:?}: {}", problems.join("; ")));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut values: Vec<Name> = values.iter().map(|value| Name::from(value.as_str())).collect();
    values.sort();
    Ok(Requirement { key: Name::from(key), operator, values })
}

/// Several errors as Kubernetes joins them: one alone, or `[a, b]` without repetitions.
pub fn aggregate(errors: &[String]) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for error in errors {
        if !distinct.contains(&error.as_str()) {
            distinct.push(error);
        }
    }
    match distinct[..] {
        [one] => one.to_string(),
        _ => format!("[{}]", distinct.join(", ")),
    }
}

fn key_error(key: &str, path: &str) -> Option<String> {
    let problems = qualified_name_errors(key);
    (!problems.is_empty()).then(|| format!("{path}: Invalid value: {key:?}: {}", problems.join("; ")))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    Symbol(&'a str),
    Word(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Token::Symbol(text) | Token::Word(text) => text,
            Token::End => "",
        }
    }
}

const SYMBOLS: &[char] = &['=', '!', '(', ')', ',', '>', '<'];
const SPACES: &[char] = &[' ', '\t', '\r', '\n'];

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(SPACES);
    while !rest.is_empty() {
        let length = if rest.starts_with("==") || rest.starts_with("!=") {
            2
        } else if rest.starts_with(SYMBOLS) {
            1
        } else {
            rest.find(|c| SYMBOLS.contains(&c) || SPACES.contains(&c)).unwrap_or(rest.len())
        };
        let (token, tail) = rest.split_at(length);
        found.push(if token.starts_with(SYMBOLS) { Token::Symbol(token) } else { Token::Word(token) });
        rest = tail.trim_start_matches(SPACES);
    }
    found.push(Token::End);
    found
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn parse(&mut self) -> Result<Vec<QueryRequirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Symbol("!") => {
                    let requirement = self.requirement();
                    requirements.push(requirement.map_err(|error| format!("unable to parse requirement: {error}"))?);
                    match self.next() {
                        Token::End => return Ok(requirements),
                        Token::Symbol(",") => match self.peek() {
                            Token::Word(_) | Token::Symbol("!") => {}
                            other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
                        },
                        other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
                    }
                }
                Token::End => return Ok(requirements),
                other => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
            }
        }
    }

    fn requirement(&mut self) -> Result<QueryRequirement, String> {
        let absent = self.peek() == Token::Symbol("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        if let Some(error) = key_error(key, "<nil>") {
            return Err(error);
        }
        let (operator, spelling, values) = match self.peek() {
            _ if absent => (Operator::DoesNotExist, Spelling::Plain, Vec::new()),
            Token::End | Token::Symbol(",") => (Operator::Exists, Spelling::Plain, Vec::new()),
            _ => self.comparison()?,
        };
        let requirement = checked("", key, operator, &values).map_err(|errors| aggregate(&errors))?;
        Ok(QueryRequirement { requirement, spelling })
    }

    fn comparison(&mut self) -> Result<(Operator, Spelling, Vec<String>), String> {
        let (operator, spelling) = match self.next() {
            Token::Word("in") => return Ok((Operator::In, Spelling::Plain, self.values()?)),
            Token::Word("notin") => return Ok((Operator::NotIn, Spelling::Plain, self.values()?)),
            Token::Symbol("=") => (Operator::In, Spelling::Equals),
            Token::Symbol("==") => (Operator::In, Spelling::DoubleEquals),
            Token::Symbol("!=") => (Operator::NotIn, Spelling::NotEquals),
            Token::Symbol(">") => (Operator::Gt, Spelling::Plain),
            Token::Symbol("<") => (Operator::Lt, Spelling::Plain),
            other => return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        };
        let value = match self.peek() {
            Token::End | Token::Symbol(",") => "",
            _ => match self.next() {
                Token::Word(value) => value,
                other => return Err(format!("found '{}', expected: identifier", other.text())),
            },
        };
        Ok((operator, spelling, vec![value.to_string()]))
    }

    /// `(a,b)`; an empty place between commas is the empty value. Equal values count once.
    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            Token::Symbol("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = std::collections::BTreeSet::new();
        match self.peek() {
            Token::Word(_) | Token::Symbol(",") => {}
            Token::Symbol(")") => {
                self.next();
                return Ok(vec![String::new()]);
            }
            other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
        loop {
            match self.next() {
                Token::Word(value) => {
                    values.insert(value.to_string());
                    match self.peek() {
                        Token::Symbol(",") => {}
                        Token::Symbol(")") => break,
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Symbol(",") => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek() {
                        Token::Symbol(")") => {
                            values.insert(String::new());
                            break;
                        }
                        Token::Symbol(",") => {
                            self.next();
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
        self.next();
        Ok(values.into_iter().collect())
    }
}
