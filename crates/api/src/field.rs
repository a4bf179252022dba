//! Field errors: what is wrong with which field, in the words that Kubernetes clients know.
//!
//! Main type: [`Errors`]. Spec: the `field` part of the
//! [API conventions](https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#response-status-kind).
//! Leaves out: the Status around them ([`crate::status`]); where the rules come from.

use std::fmt;

use serde_json::Value;

use crate::{gotext, status::Cause};

/// Where a value is: `spec.containers[0].name`. A chain of borrowed steps, so that checks that pass cost nothing.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
    Key(&'a str),
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It refers to something that is not there.
    NotFound,
    /// It is missing.
    Required,
    /// It must be unique.
    Duplicate,
    /// It is malformed or out of bounds.
    Invalid,
    /// It is none of the values allowed.
    NotSupported,
    /// It may not be given here or now.
    Forbidden,
    /// It has too many bytes.
    TooLong,
    /// It has too few characters.
    TooShort,
    /// It has too many items.
    TooMany,
    /// It has too few items.
    TooFew,
    /// It has the wrong JSON type.
    TypeInvalid,
    /// The server failed, not the user.
    Internal,
}

/// One field error.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What is wrong.
    pub kind: Kind,
    /// Where, as [`Path`] prints it.
    pub field: String,
    /// The offending value; `None` where the message does not show it.
    pub value: Option<Value>,
    /// What would be right.
    pub detail: String,
}

/// Field errors, in the order found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors(pub Vec<Error>);

impl<'a> Path<'a> {
    /// The path of a top-level field.
    #[must_use]
    pub const fn new(name: &'a str) -> Self {
        Self { parent: None, step: Step::Name(name) }
    }

    /// A field of this object.
    #[must_use]
    pub const fn child<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), step: Step::Name(name) }
    }

    /// An item of this list.
    #[must_use]
    pub const fn index<'b>(&'b self, index: usize) -> Path<'b> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// An entry of this map.
    #[must_use]
    pub const fn key<'b>(&'b self, key: &'b str) -> Path<'b> {
        Path { parent: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            // The object itself, where a whole object is at fault; this is how upstream spells it.
            Step::Name("") => f.write_str("[]"),
            Step::Name(name) if self.parent.is_some() => write!(f, ".{name}"),
            Step::Name(name) => f.write_str(name),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key}]"),
        }
    }
}

impl Kind {
    /// The `reason` of a Status cause.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooShort => "FieldValueTooShort",
            Self::TooMany => "FieldValueTooMany",
            Self::TooFew => "FieldValueTooFew",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooShort => "Too short",
            Self::TooMany => "Too many",
            Self::TooFew => "Too few",
            Self::Internal => "Internal error",
        }
    }

    const fn shows_value(self) -> bool {
        !matches!(self, Self::Required | Self::Forbidden | Self::TooLong | Self::TooShort | Self::Internal)
    }
}

impl Error {
    /// The message without the field's name.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = self.kind.words().to_owned();
        if let Some(value) = self.value.as_ref().filter(|_| self.kind.shows_value()) {
            body.push_str(": ");
            match value {
                Value::String(text) => body.push_str(&gotext::quote(text)),
                other => body.push_str(&gotext::json(other)),
            }
        }
        if !self.detail.is_empty() {
            body.push_str(": ");
            body.push_str(&self.detail);
        }
        body
    }

    /// As an entry of `details.causes`.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause { reason: self.kind.reason().to_owned(), message: self.body(), field: self.field.clone() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

impl Errors {
    /// No errors.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether all is well.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one error.
    pub fn push(&mut self, kind: Kind, path: &Path<'_>, value: Option<Value>, detail: impl Into<String>) {
        self.0.push(Error { kind, field: path.to_string(), value, detail: detail.into() });
    }

    /// The value is missing.
    pub fn required(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(Kind::Required, path, None, detail);
    }

    /// The value is malformed.
    pub fn invalid(&mut self, path: &Path<'_>, value: impl Into<Value>, detail: impl Into<String>) {
        self.push(Kind::Invalid, path, Some(value.into()), detail);
    }

    /// The value has the wrong JSON type.
    pub fn type_invalid(&mut self, path: &Path<'_>, value: impl Into<Value>, detail: impl Into<String>) {
        self.push(Kind::TypeInvalid, path, Some(value.into()), detail);
    }

    /// The value is none of those allowed.
    pub fn not_supported(&mut self, path: &Path<'_>, value: impl Into<Value>, allowed: &[&str]) {
        let quoted: Vec<String> = allowed.iter().map(|word| gotext::quote(word)).collect();
        let detail = if quoted.is_empty() { String::new() } else { format!("supported values: {}", quoted.join(", ")) };
        self.push(Kind::NotSupported, path, Some(value.into()), detail);
    }

    /// The value must be unique and is not.
    pub fn duplicate(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        self.push(Kind::Duplicate, path, Some(value.into()), "");
    }

    /// The value refers to something that is not there.
    pub fn not_found(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        self.push(Kind::NotFound, path, Some(value.into()), "");
    }

    /// The value may not be given here or now.
    pub fn forbidden(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(Kind::Forbidden, path, None, detail);
    }

    /// The value has more than `max` bytes.
    pub fn too_long(&mut self, path: &Path<'_>, max: usize) {
        self.push(Kind::TooLong, path, None, format!("may not be more than {max} {}", plural(max, "byte")));
    }

    /// The value has fewer than `min` characters.
    pub fn too_short(&mut self, path: &Path<'_>, min: usize) {
        self.push(Kind::TooShort, path, None, format!("must be at least {min} {}", plural(min, "character")));
    }

    /// The list has more than `max` items.
    pub fn too_many(&mut self, path: &Path<'_>, actual: usize, max: usize) {
        let detail = format!("must have at most {max} {}", plural(max, "item"));
        self.push(Kind::TooMany, path, Some(actual.into()), detail);
    }

    /// The list has fewer than `min` items.
    pub fn too_few(&mut self, path: &Path<'_>, actual: usize, min: usize) {
        let detail = format!("must have at least {min} {}", plural(min, "item"));
        self.push(Kind::TooFew, path, Some(actual.into()), detail);
    }

    /// The server could not check the value.
    pub fn internal(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(Kind::Internal, path, None, detail);
    }

    /// As `details.causes`; repeated errors stay, as upstream has it.
    #[must_use]
    pub fn causes(&self) -> Vec<Cause> {
        self.0.iter().map(Error::cause).collect()
    }
}

impl fmt::Display for Errors {
    /// One error as it is; several between brackets, each once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut messages: Vec<String> = Vec::with_capacity(self.0.len());
        for error in &self.0 {
            let message = error.to_string();
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
        match messages.as_slice() {
            [one] => f.write_str(one),
            many => write!(f, "[{}]", many.join(", ")),
        }
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(add: impl FnOnce(&mut Errors, &Path<'_>), expect: &str) {
        let (mut errors, spec) = (Errors::new(), Path::new("spec"));
        add(&mut errors, &spec.child("list").index(2).child("x").key("k"));
        assert_eq!(errors.to_string(), format!("spec.list[2].x[k]: {expect}"));
    }

    #[test]
    fn words_errors_as_kubernetes_does() {
        check(|e, p| e.required(p, ""), "Required value");
        check(|e, p| e.required(p, "say it"), "Required value: say it");
        check(|e, p| e.invalid(p, "a\"b", "no"), r#"Invalid value: "a\"b": no"#);
        check(|e, p| e.invalid(p, json!({"b": "<", "a": 1}), "no"), r#"Invalid value: {"a":1,"b":"\u003c"}: no"#);
        check(
            |e, p| e.invalid(p, -1, "must be greater than or equal to 0"),
            "Invalid value: -1: must be greater than or equal to 0",
        );
        check(|e, p| e.not_supported(p, "x", &["a", "b"]), r#"Unsupported value: "x": supported values: "a", "b""#);
        check(|e, p| e.duplicate(p, "x"), r#"Duplicate value: "x""#);
        check(|e, p| e.not_found(p, "x"), r#"Not found: "x""#);
        check(|e, p| e.forbidden(p, "never"), "Forbidden: never");
        check(|e, p| e.too_long(p, 1), "Too long: may not be more than 1 byte");
        check(|e, p| e.too_many(p, 5, 2), "Too many: 5: must have at most 2 items");
        check(|e, p| e.too_few(p, 0, 1), "Too few: 0: must have at least 1 item");
        check(|e, p| e.internal(p, "oops"), "Internal error: oops");
        check(|e, p| e.type_invalid(p, true, "is a bool"), "Invalid value: true: is a bool");
    }

    #[test]
    fn the_object_itself_is_empty_brackets() {
        let mut errors = Errors::new();
        errors.too_long(&Path::new(""), 1024);
        assert_eq!(errors.to_string(), "[]: Too long: may not be more than 1024 bytes");
    }

    #[test]
    fn several_errors_stand_in_brackets_each_once() {
        let mut errors = Errors::new();
        let (a, b) = (Path::new("a"), Path::new("b"));
        errors.required(&a, "");
        errors.required(&a, "");
        assert_eq!(errors.to_string(), "a: Required value");
        errors.required(&b, "");
        assert_eq!(errors.to_string(), "[a: Required value, b: Required value]");
        assert_eq!(errors.causes().len(), 3);
        assert_eq!(errors.causes()[0].reason, "FieldValueRequired");
    }
}
