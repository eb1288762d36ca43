//! Label, field and node selectors
//! (`staging/src/k8s.io/apimachinery/pkg/labels/selector.go`,
//! `staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go`).

use super::{Labels, Name, Node};
use std::fmt;

pub use super::selector_parse::parse;

/// How a requirement compares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operator {
    /// Present and among the values.
    In,
    /// Absent, or not among the values.
    NotIn,
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
    /// Present, both integers, greater.
    Gt,
    /// Present, both integers, less.
    Lt,
}

/// One condition on one label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Requirement {
    /// The label.
    pub key: Name,
    /// The comparison.
    pub operator: Operator,
    /// Its values, sorted.
    pub values: Vec<Name>,
}

impl Requirement {
    /// Whether `labels` satisfy it.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.key).map(Name::as_str))
    }

    /// Whether a label with this value (or none) satisfies it.
    pub fn matches_value(&self, value: Option<&str>) -> bool {
        let among = |value: &str| self.values.iter().any(|v| v == value);
        let compare = |test: fn(i64, i64) -> bool| match (value, self.values.first()) {
            (Some(have), Some(want)) => {
                matches!((have.parse(), want.parse()), (Ok(have), Ok(want)) if test(have, want))
            }
            _ => false,
        };
        match self.operator {
            Operator::In => value.is_some_and(among),
            Operator::NotIn => !value.is_some_and(among),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => compare(|have, want| have > want),
            Operator::Lt => compare(|have, want| have < want),
        }
    }
}

/// A label selector: all requirements must hold; none at all matches everything. (A missing selector is
/// an `Option` of this, and matches nothing.)
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Selector {
    /// Requirements, sorted by key.
    pub requirements: Vec<Requirement>,
}

impl Selector {
    /// The selector for exactly these labels.
    pub fn from_labels(labels: &Labels) -> Self {
        let requirements = labels
            .iter()
            .map(|(key, value)| Requirement { key: key.clone(), operator: Operator::In, values: vec![value.clone()] })
            .collect();
        Selector { requirements }
    }

    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// This selector with `key=value` added.
    #[must_use]
    pub fn and(&self, key: Name, value: Name) -> Self {
        let mut requirements = self.requirements.clone();
        requirements.push(Requirement { key, operator: Operator::In, values: vec![value] });
        requirements.sort();
        Selector { requirements }
    }

    /// A `key`, `value` pair that every match must have, if there is one: for index look-ups.
    pub fn exact_pair(&self) -> Option<(&Name, &Name)> {
        self.requirements
            .iter()
            .find(|r| r.operator == Operator::In && r.values.len() == 1)
            .map(|r| (&r.key, &r.values[0]))
    }
}

impl fmt::Display for Selector {
    /// The canonical text: `a=b,c in (d,e),!f`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, r) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            let values = r.values.iter().map(Name::as_str).collect::<Vec<_>>().join(",");
            match (r.operator, r.values.len()) {
                (Operator::In, 1) => write!(f, "{}={values}", r.key)?,
                (Operator::In, _) => write!(f, "{} in ({values})", r.key)?,
                (Operator::NotIn, 1) => write!(f, "{}!={values}", r.key)?,
                (Operator::NotIn, _) => write!(f, "{} notin ({values})", r.key)?,
                (Operator::Exists, _) => f.write_str(&r.key)?,
                (Operator::DoesNotExist, _) => write!(f, "!{}", r.key)?,
                (Operator::Gt, _) => write!(f, "{}>{values}", r.key)?,
                (Operator::Lt, _) => write!(f, "{}<{values}", r.key)?,
            }
        }
        Ok(())
    }
}

/// One term of a node selector: expressions on labels and on fields, all of which must hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NodeSelectorTerm {
    /// On labels.
    pub expressions: Vec<Requirement>,
    /// On fields; only `metadata.name`.
    pub fields: Vec<Requirement>,
}

impl NodeSelectorTerm {
    /// A term with nothing in it matches nothing.
    pub fn matches(&self, node: &Node) -> bool {
        if self.expressions.is_empty() && self.fields.is_empty() {
            return false;
        }
        self.expressions.iter().all(|r| r.matches(&node.meta.labels))
            && self.fields.iter().all(|r| r.key == "metadata.name" && r.matches_value(Some(&node.meta.name)))
    }
}

/// A node selector: one of the terms must hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NodeSelector {
    /// Terms.
    pub terms: Vec<NodeSelectorTerm>,
}

impl NodeSelector {
    /// Whether any term matches.
    pub fn matches(&self, node: &Node) -> bool {
        self.terms.iter().any(|term| term.matches(node))
    }
}
