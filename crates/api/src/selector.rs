//! Selectors: which objects a LIST, a watch or a controller means.
//!
//! Main types: [`Labels`] and [`Fields`]. Spec:
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>,
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>.
//! Leaves out: `Gt` and `Lt` of node affinity beyond the string form that upstream accepts as `>` and `<`.

use std::fmt;

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    names,
};

mod fields;
mod parse;

pub use fields::{FieldRequirement, Fields, escape};

/// Why a selector was refused; the words are those that clients get in a 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

/// How a requirement relates a label to its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is one of these.
    In,
    /// The label is none of these, or absent.
    NotIn,
    /// `=`.
    Equals,
    /// `==`.
    DoubleEquals,
    /// The label is not this, or absent.
    NotEquals,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// The label is an integer above this.
    GreaterThan,
    /// The label is an integer below this.
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it relates to the values.
    pub operator: Operator,
    /// As many as the operator wants.
    pub values: Vec<String>,
}

/// A label selector: all requirements must hold. Sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl Requirement {
    /// A checked requirement.
    ///
    /// # Errors
    /// A malformed key or value, or a wrong number of values.
    pub fn new(key: &str, operator: Operator, values: Vec<String>) -> Result<Self, SelectorError> {
        let (mut errors, path) = (Errors::new(), Path::new("values"));
        let messages = names::qualified_name(key);
        if !messages.is_empty() {
            errors.invalid(&Path::new("key"), key, messages.join("; "));
        }
        if let Some(detail) = operator.miscounts(values.len()) {
            errors.invalid(&path, values.clone(), detail);
        }
        for (index, value) in values.iter().enumerate() {
            let at = path.index(index);
            if operator.compares() && value.parse::<i64>().is_err() {
                errors.invalid(&at, value.as_str(), "for 'Gt', 'Lt' operators, the value must be an integer");
            }
            let messages = names::label_value(value);
            if !messages.is_empty() {
                errors.invalid(&at.key(key), value.as_str(), messages.join("; "));
            }
        }
        if errors.is_empty() {
            Ok(Self { key: key.to_owned(), operator, values })
        } else {
            Err(SelectorError(errors.to_string()))
        }
    }

    /// Whether an object with these labels, sorted by key, meets it. Allocates nothing.
    pub fn matches<K: AsRef<str>, V: AsRef<str>>(&self, labels: &[(K, V)]) -> bool {
        let found = labels.binary_search_by(|(key, _)| key.as_ref().cmp(&self.key));
        self.holds(found.ok().map(|index| labels[index].1.as_ref()))
    }

    /// Whether a label with this value (`None`: absent) meets it.
    #[must_use]
    pub fn holds(&self, value: Option<&str>) -> bool {
        match (self.operator, value) {
            (Operator::Exists, found) => found.is_some(),
            (Operator::DoesNotExist, found) => found.is_none(),
            (Operator::NotIn | Operator::NotEquals, None) => true,
            (_, None) => false,
            (Operator::In | Operator::Equals | Operator::DoubleEquals, Some(value)) => self.lists(value),
            (Operator::NotIn | Operator::NotEquals, Some(value)) => !self.lists(value),
            (Operator::GreaterThan, Some(value)) => self.compare(value, |label, bound| label > bound),
            (Operator::LessThan, Some(value)) => self.compare(value, |label, bound| label < bound),
        }
    }

    fn lists(&self, value: &str) -> bool {
        self.values.iter().any(|one| one == value)
    }

    fn compare(&self, value: &str, holds: fn(i64, i64) -> bool) -> bool {
        let bound = self.values.first().and_then(|bound| bound.parse().ok());
        value.parse().ok().zip(bound).is_some_and(|(label, bound)| holds(label, bound))
    }
}

impl Operator {
    const fn compares(self) -> bool {
        matches!(self, Self::GreaterThan | Self::LessThan)
    }

    const fn miscounts(self, count: usize) -> Option<&'static str> {
        match self {
            Self::In | Self::NotIn if count == 0 => Some("for 'in', 'notin' operators, values set can't be empty"),
            Self::Equals | Self::DoubleEquals | Self::NotEquals if count != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Self::Exists | Self::DoesNotExist if count != 0 => {
                Some("values set must be empty for exists and does not exist")
            }
            Self::GreaterThan | Self::LessThan if count != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        }
    }
}

impl Labels {
    /// Selects every object.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Selects no object.
    #[must_use]
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// Reads the string form, as in `?labelSelector=`. The empty string selects everything.
    ///
    /// # Errors
    /// In upstream's words, for a 400.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::labels(text).map(Self::of)
    }

    /// All of these must hold.
    #[must_use]
    pub fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// Reads a LabelSelector object; null selects nothing, an empty one everything.
    ///
    /// # Errors
    /// In upstream's words.
    pub fn from_object(selector: &Value) -> Result<Self, SelectorError> {
        let Some(selector) = selector.as_object() else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement::new(key, Operator::Equals, vec![value])?);
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            requirements.push(from_expression(expression)?);
        }
        Ok(Self::of(requirements))
    }

    /// Whether an object with these labels, sorted by key, is selected. Allocates nothing.
    pub fn matches<K: AsRef<str>, V: AsRef<str>>(&self, labels: &[(K, V)]) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether every object is selected.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether surely no object is selected.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// The conditions, sorted by key.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The one value that a label must have, if the selector says so.
    #[must_use]
    pub fn exact(&self, key: &str) -> Option<&str> {
        let requirement = self.requirements.iter().find(|requirement| requirement.key == key)?;
        match (requirement.operator, requirement.values.as_slice()) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => Some(value),
            _ => None,
        }
    }
}

/// Reads one of `matchExpressions`.
///
/// # Errors
/// In upstream's words.
pub fn from_expression(expression: &Value) -> Result<Requirement, SelectorError> {
    let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
    let operator = match text("operator") {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => return Err(SelectorError(format!("{other:?} is not a valid label selector operator"))),
    };
    let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
    let values = values.map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
    Requirement::new(text("key"), operator, values)
}

/// Checks a LabelSelector object that is part of another object.
pub fn validate(selector: &Value, path: &Path<'_>, errors: &mut Errors) {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    crate::object_meta::check_labels(labels, &path.child("matchLabels"), errors);
    let list = path.child("matchExpressions");
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    for (index, expression) in expressions.enumerate() {
        validate_expression(expression, &list.index(index), errors);
    }
}

fn validate_expression(expression: &Value, path: &Path<'_>, errors: &mut Errors) {
    if !validate_operator(expression, path, errors) {
        let operator = expression.get("operator").and_then(Value::as_str).unwrap_or_default();
        errors.invalid(&path.child("operator"), operator, "not a valid selector operator");
    }
    validate_label(expression, path, errors);
}

/// Whether the operator of a requirement, of labels or of fields, is known; if so, checks the number of its values.
pub fn validate_operator(requirement: &Value, path: &Path<'_>, errors: &mut Errors) -> bool {
    let path = path.child("values");
    let empty = requirement.get("values").and_then(Value::as_array).is_none_or(Vec::is_empty);
    match (requirement.get("operator").and_then(Value::as_str).unwrap_or_default(), empty) {
        ("In" | "NotIn", true) => errors.required(&path, "must be specified when `operator` is 'In' or 'NotIn'"),
        ("Exists" | "DoesNotExist", false) => {
            errors.forbidden(&path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
        _ => return false,
    }
    true
}

/// Checks key and values of a requirement of labels.
pub fn validate_label(requirement: &Value, path: &Path<'_>, errors: &mut Errors) {
    let key = requirement.get("key").and_then(Value::as_str).unwrap_or_default();
    names::qualified_name(key).into_iter().for_each(|message| errors.invalid(&path.child("key"), key, message));
    let list = path.child("values");
    let values = requirement.get("values").and_then(Value::as_array).into_iter().flatten();
    for (index, value) in values.enumerate() {
        let value = value.as_str().unwrap_or_default();
        names::label_value(value).into_iter().for_each(|message| errors.invalid(&list.index(index), value, message));
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = self.values.clone();
        values.sort_unstable();
        let (key, values) = (&self.key, values.join(","));
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.requirements.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests;
