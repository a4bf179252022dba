//! Field selectors: `spec.nodeName=a,status.phase!=Running`.

use std::fmt;

use super::SelectorError;

/// Longest selector read, in bytes; a URL that long is refused before.
const TEXT_MAX: usize = 64 * 1024;

/// Fields that every kind can be selected by.
const COMMON: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    /// Path of the field, dotted.
    pub field: String,
    /// Whether it must be, or must not be, the value.
    pub equal: bool,
    /// The value, unescaped.
    pub value: String,
}

/// A field selector: all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<FieldRequirement>);

impl Fields {
    /// Reads the string form, as in `?fieldSelector=`. The empty string selects everything.
    ///
    /// # Errors
    /// In upstream's words, for a 400.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > TEXT_MAX {
            return Err(SelectorError(format!("selector is longer than {TEXT_MAX} bytes")));
        }
        let mut terms = split(text);
        terms.sort_unstable();
        let parse = |term: &str| {
            let (field, equal, value) = cut(term)
                .ok_or_else(|| SelectorError(format!("invalid selector: '{text}'; can't understand '{term}'")))?;
            Ok(FieldRequirement { field: field.to_owned(), equal, value: unescape(value)? })
        };
        terms.into_iter().filter(|term| !term.is_empty()).map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an object with these fields, sorted by name, is selected; an absent field is empty. Allocates nothing.
    pub fn matches<K: AsRef<str>, V: AsRef<str>>(&self, fields: &[(K, V)]) -> bool {
        self.0.iter().all(|requirement| {
            let found = fields.binary_search_by(|(field, _)| field.as_ref().cmp(&requirement.field));
            let value = found.map_or("", |index| fields[index].1.as_ref());
            (value == requirement.value) == requirement.equal
        })
    }

    /// Refuses fields that a kind cannot be selected by, beside the two that all kinds have.
    ///
    /// # Errors
    /// Names the first such field.
    pub fn check(&self, selectable: impl Fn(&str) -> bool) -> Result<(), SelectorError> {
        let known = |field: &str| COMMON.contains(&field) || selectable(field);
        match self.0.iter().find(|requirement| !known(&requirement.field)) {
            Some(unknown) => Err(SelectorError(format!("field label not supported: {}", unknown.field))),
            None => Ok(()),
        }
    }

    /// Whether every object is selected.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// The one value that a field must have, if the selector says so.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        let found = self.0.iter().find(|requirement| requirement.equal && requirement.field == field);
        found.map(|requirement| requirement.value.as_str())
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let sign = if requirement.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{sign}{}", requirement.field, escape(&requirement.value))?;
        }
        Ok(())
    }
}

/// A value as it is to be written in a field selector.
#[must_use]
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    const WHY: &str = "invalid field selector: ";
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let sequence: String = other.into_iter().collect();
                    return Err(SelectorError(format!("{WHY}invalid escape sequence: \\{sequence}")));
                }
            },
            ',' | '=' => return Err(SelectorError(format!("{WHY}unescaped character in value: {}", u32::from(c)))),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Terms between commas that no backslash escapes.
fn split(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Field, whether it is to be equal, and the value still escaped.
fn cut(term: &str) -> Option<(&str, bool, &str)> {
    term.char_indices().find_map(|(at, _)| {
        let (field, rest) = term.split_at(at);
        let unequal = rest.strip_prefix("!=").map(|value| (field, false, value));
        unequal.or_else(|| rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).map(|value| (field, true, value)))
    })
}
