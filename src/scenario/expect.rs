//! Expectations: one line each, checked against what happened.
//!
//! ```yaml
//! expect:
//! - available(web) >= 2 always            # once reached, never lost
//! - available(web) >= 2 always after 30s
//! - ready(web) == 3 at end
//! - phase(worker-1) == Succeeded eventually before 5m
//! - recovery_time < 90s
//! ```
//!
//! `measure(arguments) comparison value when`. What can be measured is listed in [`MEASURES`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

pub use super::measures::{Argument, MEASURES, Measure, MeasureForm, Yields};
use crate::error::did_you_mean;
use crate::model::quantity::{Quantity, parse_quantity};
use crate::time::{SimDuration, SimTime};

/// The words that `rollout(…)`, `job(…)` and `phase(…)` can yield.
const JOB_WORDS: &[&str] = &["running", "suspended", "complete", "failed", "removed"];
const ROLLOUT_WORDS: &[&str] = &["complete", "progressing", "failed", "paused"];
const PHASE_WORDS: &[&str] = &["Pending", "Running", "Succeeded", "Failed", "Unknown", "Gone"];

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// Whether `left` stands in this relation to `right`, given their order.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
        }
    }
}

/// The value a measure is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Literal {
    /// A number; `80%` is 0.8.
    Number(Quantity),
    /// A length of time.
    Time(SimDuration),
    /// A word.
    Word(String),
}

/// When the comparison must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At the end of the run. Also stands for whole-run measures.
    AtEnd,
    /// At one instant.
    At(SimTime),
    /// At every instant of the span. Without a start it counts from the first instant at which it holds, and it
    /// must hold at some instant.
    Always {
        /// From here.
        from: Option<SimTime>,
        /// Until here; the end of the run if absent.
        to: Option<SimTime>,
    },
    /// At some instant of the span.
    Eventually {
        /// From here; the start of the run if absent.
        from: Option<SimTime>,
        /// Until here; the end of the run if absent.
        to: Option<SimTime>,
    },
}

/// One expectation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// As it was written.
    pub text: String,
    /// What is measured.
    pub measure: Measure,
    /// The measure's first argument: for workloads `kind/name` or a bare name.
    pub argument: Option<String>,
    /// The namespace of that argument.
    pub namespace: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: Literal,
    /// When.
    pub when: When,
}

/// Why an expression could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectationError {
    /// Characters before the fault.
    pub offset: usize,
    /// Characters it spans.
    pub width: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// A word or sign of an expression and where it starts, in characters.
#[derive(Clone, PartialEq, Debug)]
struct Token {
    text: String,
    offset: usize,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut previous = ' ';
    for (offset, c) in text.chars().enumerate() {
        let class = |c: char| match c {
            '(' | ')' | ',' => 0,
            '<' | '>' | '=' | '!' => 1,
            _ => 2,
        };
        if !c.is_whitespace() {
            let joins = !previous.is_whitespace() && class(c) != 0 && class(c) == class(previous);
            match tokens.last_mut() {
                Some(last) if joins => last.text.push(c),
                _ => tokens.push(Token { text: c.to_string(), offset }),
            }
        }
        previous = c;
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
}

type Parsed<T> = Result<T, ExpectationError>;

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(|token| token.text.as_str())
    }

    fn take(&mut self, expected: &str) -> Parsed<Token> {
        match self.tokens.get(self.next).cloned() {
            Some(token) => {
                self.next += 1;
                Ok(token)
            }
            None => Err(ExpectationError {
                offset: self.end,
                width: 1,
                message: format!("expected {expected} here, found the end"),
                help: "write it as in: available(web) >= 2 always".to_string(),
            }),
        }
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.next += usize::from(found);
        found
    }

    fn time(&mut self) -> Parsed<SimTime> {
        let token = self.take("a time")?;
        let duration = SimDuration::parse(&token.text).map_err(|why| fault(&token, &why))?;
        Ok(SimTime(duration.0))
    }

    fn arguments(&mut self) -> Parsed<Vec<Token>> {
        let mut arguments = Vec::new();
        if !self.accept("(") {
            return Ok(arguments);
        }
        while !self.accept(")") {
            let token = self.take("`)`")?;
            if token.text != "," {
                arguments.push(token);
            }
        }
        Ok(arguments)
    }

    fn span(&mut self) -> Parsed<(Option<SimTime>, Option<SimTime>)> {
        let (mut from, mut to) = (None, None);
        loop {
            if self.accept("after") || self.accept("from") {
                from = Some(self.time()?);
            } else if self.accept("before") || self.accept("to") || self.accept("within") {
                to = Some(self.time()?);
            } else {
                return Ok((from, to));
            }
        }
    }

    fn when(&mut self) -> Parsed<When> {
        let help = "write one of: at end, at 5m, always, always after 30s, eventually, eventually before 5m";
        let Some(word) = self.peek().map(str::to_string) else { return Ok(When::AtEnd) };
        let token = self.take("")?;
        match word.as_str() {
            "at" if self.accept("end") => Ok(When::AtEnd),
            "at" => self.time().map(When::At),
            "always" => self.span().map(|(from, to)| When::Always { from, to }),
            "eventually" => self.span().map(|(from, to)| When::Eventually { from, to }),
            _ => Err(fault(&token, &format!("unknown word {word:?}; {help}"))),
        }
    }
}

/// An error at a token; what follows `; ` is the remedy.
fn fault(token: &Token, sentence: &str) -> ExpectationError {
    let (message, help) = sentence.split_once("; ").unwrap_or((sentence, "write it as in: available(web) >= 2 always"));
    ExpectationError {
        offset: token.offset,
        width: token.text.chars().count(),
        message: message.to_string(),
        help: help.to_string(),
    }
}

impl Expectation {
    /// The form of its measure.
    pub fn form(&self) -> &'static MeasureForm {
        MEASURES.iter().find(|form| form.measure == self.measure).expect("every measure has a form, by test")
    }

    /// Reads one expression.
    ///
    /// # Errors
    /// What is wrong, where in the text, and what would be right.
    pub fn parse(text: &str) -> Parsed<Self> {
        let mut parser = Parser { tokens: tokens(text), next: 0, end: text.chars().count() };
        let name = parser.take("a measure")?;
        let Some(form) = MEASURES.iter().find(|form| form.name == name.text) else {
            let names = MEASURES.iter().map(|form| form.name);
            let help = did_you_mean(&name.text, names.clone()).map_or_else(
                || format!("the measures are {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(fault(&name, &format!("unknown measure {:?}; {help}", name.text)));
        };
        let arguments = parser.arguments()?;
        check_arguments(form, &name, &arguments)?;
        let sign = parser.take("a comparison")?;
        let comparison = comparison(&sign, form)?;
        let value = literal(&parser.take("a value")?, form)?;
        let word = parser.tokens.get(parser.next).cloned();
        let when = parser.when()?;
        if let (Some(word), false) = (word, form.instant) {
            let why = format!("`{}` is measured over the whole run; remove everything from here", form.name);
            return Err(fault(&word, &why));
        }
        if let Some(token) = parser.tokens.get(parser.next) {
            return Err(fault(token, &format!("unexpected {:?}; the expression is complete before it", token.text)));
        }
        Ok(Expectation {
            text: text.to_string(),
            measure: form.measure,
            argument: arguments.first().map(|token| token.text.clone()),
            namespace: arguments.get(1).map_or_else(|| "default".to_string(), |token| token.text.clone()),
            comparison,
            value,
            when,
        })
    }
}

fn check_arguments(form: &MeasureForm, name: &Token, arguments: &[Token]) -> Parsed<()> {
    let (least, most, example) = match form.argument {
        Argument::None => (0, 0, ""),
        Argument::Workload => (1, 2, "(web)"),
        Argument::OptionalWorkload => (0, 2, "(web)"),
        Argument::Service => (1, 2, "(web)"),
        Argument::Pod => (1, 2, "(web-0)"),
        Argument::Word => (1, 1, "(BackOff)"),
        Argument::Resource => (1, 1, "(cpu)"),
        Argument::Job => (1, 2, "(batch)"),
        Argument::Flow => (1, 2, "(web)"),
    };
    if (least..=most).contains(&arguments.len()) {
        if let (Argument::Resource, Some(token)) = (form.argument, arguments.first())
            && !["cpu", "memory"].contains(&token.text.as_str())
        {
            return Err(fault(token, &format!("unknown resource {:?}; write cpu or memory", token.text)));
        }
        return Ok(());
    }
    let help = format!("write {}{example}", form.name);
    let what = if arguments.len() < least { "needs an argument" } else { "has too many arguments" };
    Err(fault(name, &format!("`{}` {what}; {help}", form.name)))
}

fn comparison(sign: &Token, form: &MeasureForm) -> Parsed<Comparison> {
    let comparison = match sign.text.as_str() {
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Greater,
        ">=" => Comparison::AtLeast,
        "=" => return Err(fault(sign, "unknown comparison `=`; write `==`")),
        other => {
            return Err(fault(sign, &format!("expected a comparison, found {other:?}; write one of == != < <= > >=")));
        }
    };
    if form.yields == Yields::Word && !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
        return Err(fault(sign, &format!("`{}` yields a word; compare it with == or !=", form.name)));
    }
    Ok(comparison)
}

fn literal(token: &Token, form: &MeasureForm) -> Parsed<Literal> {
    let text = token.text.as_str();
    match form.yields {
        Yields::Time => SimDuration::parse(text).map(Literal::Time).map_err(|why| fault(token, &why)),
        Yields::Number => {
            let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
            let mut number = parse_quantity(digits).map_err(|_| {
                fault(token, &format!("expected a number, found {text:?}; write one, such as 3 or 80%"))
            })?;
            if percent {
                number.nano /= 100;
            }
            Ok(Literal::Number(number))
        }
        Yields::Word => {
            let words = match form.measure {
                Measure::Rollout => ROLLOUT_WORDS,
                Measure::Job => JOB_WORDS,
                _ => PHASE_WORDS,
            };
            if words.contains(&text) {
                return Ok(Literal::Word(text.to_string()));
            }
            let help = did_you_mean(text, words.iter().copied())
                .map_or_else(|| format!("write one of {}", words.join(", ")), |near| format!("did you mean `{near}`?"));
            Err(fault(token, &format!("`{}` is never {text:?}; {help}", form.name)))
        }
    }
}

impl<'de> Deserialize<'de> for Expectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Expectation::parse(&text).map_err(|error| de::Error::custom(format!("{}; {}", error.message, error.help)))
    }
}
impl JsonSchema for Expectation {
    fn schema_name() -> Cow<'static, str> {
        "Expectation".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = MEASURES.iter().map(|form| form.name).collect();
        json_schema!({
            "description": format!("`measure(argument) comparison value when`; measures: {}.", names.join(", ")),
            "type": "string",
            "examples": [
                "available(web) >= 2 always",
                "ready(web) == 3 at end",
                "phase(worker-1) == Succeeded eventually before 5m",
                "recovery_time < 90s",
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_read() {
        let read = Expectation::parse("available(web) >= 2 always after 30s").unwrap();
        assert_eq!(read.measure, Measure::Available);
        assert_eq!(read.argument.as_deref(), Some("web"));
        assert_eq!(read.namespace, "default");
        assert_eq!(read.value, Literal::Number(Quantity::units(2)));
        assert_eq!(read.when, When::Always { from: Some(SimTime::from_secs(30)), to: None });
        let read = Expectation::parse("recovery_time<90s").unwrap();
        assert_eq!((read.comparison, read.value), (Comparison::Less, Literal::Time(SimDuration::from_secs(90))));
        let read = Expectation::parse("utilization(cpu) > 80%").unwrap();
        assert_eq!(read.value, Literal::Number(Quantity::from_milli(800)));
        for good in ["ready(deployment/web, shop) == 3 at end", "phase(a) != Failed at 5m", "pods > 0 eventually"] {
            assert!(Expectation::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn faults_are_placed() {
        // (expression, offset, part of the message)
        let table = [
            ("avialable(web) >= 2", 0, "unknown measure"),
            ("ready(web) = 3", 11, "unknown comparison"),
            ("ready(web) == three", 14, "expected a number"),
            ("ready == 3", 0, "needs an argument"),
            ("ready(web) == 3 alwys", 16, "unknown word"),
            ("ready(web) ==", 13, "found the end"),
            ("recovery_time < 90", 16, "missing unit"),
            ("recovery_time < 90s always", 20, "over the whole run"),
            ("phase(a) == running", 12, "never"),
            ("ready(web", 9, "found the end"),
            ("utilization(cpus) > 1", 12, "unknown resource"),
            ("ready(web) == 3 at end now", 23, "unexpected"),
        ];
        for (text, offset, part) in table {
            let error = Expectation::parse(text).unwrap_err();
            assert_eq!(error.offset, offset, "{text}: {error:?}");
            assert!(error.message.contains(part) && !error.help.is_empty(), "{text}: {error:?}");
        }
    }
}
