//! Labels and annotations: sorted pairs of text, shared between the objects that carry the same.

use super::Name;
use std::sync::Arc;

/// A map from text to text, sorted by key; cloning is free.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Labels(Option<Arc<[(Name, Name)]>>);

impl Labels {
    /// No pairs.
    pub const EMPTY: Labels = Labels(None);

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Name> {
        let pairs = self.pairs();
        pairs.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok().map(|at| &pairs[at].1)
    }

    /// All pairs, sorted by key.
    pub fn pairs(&self) -> &[(Name, Name)] {
        self.0.as_deref().unwrap_or(&[])
    }

    /// Iterates over the pairs, sorted by key.
    pub fn iter(&self) -> std::slice::Iter<'_, (Name, Name)> {
        self.pairs().iter()
    }

    /// How many pairs.
    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs().is_empty()
    }

    /// Whether these are the very same pairs in memory; equal ones need not be.
    pub fn shares(&self, other: &Labels) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// These pairs with `key` set to `value`.
    #[must_use]
    pub fn with(&self, key: impl Into<Name>, value: impl Into<Name>) -> Labels {
        let key = key.into();
        self.iter().filter(|(k, _)| *k != key).cloned().chain([(key.clone(), value.into())]).collect()
    }

    /// These pairs without `key`.
    #[must_use]
    pub fn without(&self, key: &str) -> Labels {
        match self.get(key) {
            None => self.clone(),
            Some(_) => self.iter().filter(|(k, _)| k != key).cloned().collect(),
        }
    }

    /// The pairs of both; of equal keys those of `other`.
    #[must_use]
    pub fn union(&self, other: &Labels) -> Labels {
        self.iter().chain(other.iter()).cloned().collect()
    }

    /// Whether every pair of `self` is in `other`: a `matchLabels` or `nodeSelector` match.
    pub fn subset_of(&self, other: &Labels) -> bool {
        self.iter().all(|(k, v)| other.get(k) == Some(v))
    }
}

impl FromIterator<(Name, Name)> for Labels {
    /// The last of several equal keys wins.
    fn from_iter<I: IntoIterator<Item = (Name, Name)>>(pairs: I) -> Self {
        let sorted: std::collections::BTreeMap<Name, Name> = pairs.into_iter().collect();
        match sorted.is_empty() {
            true => Labels(None),
            false => Labels(Some(sorted.into_iter().collect())),
        }
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        pairs.into_iter().map(|(k, v)| (Name::from(k), Name::from(v))).collect()
    }
}
