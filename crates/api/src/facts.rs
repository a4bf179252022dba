//! Facts about the built-in types: fields, JSON shapes, protobuf numbers, list types, merge keys, defaults.
//!
//! One table drives strict validation, defaulting, strategic merge, apply, OpenAPI and protobuf alike. `facts.txt` is
//! written by `cargo xtask codegen` and parsed on first use (2,700 lines, about 1 ms, some 400 KiB held for good).
//! Main types: [`Type`], [`Field`]. The markers' meaning:
//! [API conventions](https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md),
//! [merge strategy](https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy).
//!
//! Leaves out: descriptions (`api-types` has them), list kinds (`metadata` 1, `items` 2), custom resources, and types of
//! unstable versions.

use serde_json::Value;
use std::{fmt, sync::OnceLock};

mod parse;

/// The table as text: one line per type, one indented line per field.
const TEXT: &str = include_str!("facts.txt");

/// A built-in type.
#[derive(Debug)]
pub struct Type {
    /// Full name, as in OpenAPI: `io.k8s.api.core.v1.Pod`.
    pub name: &'static str,
    /// Group, version and kind, of a type that has them.
    pub kind: Option<(&'static str, &'static str, &'static str)>,
    /// Changed and owned only as a whole by server-side apply.
    pub atomic: bool,
    /// Sorted by name.
    pub fields: Box<[Field]>,
    /// Places in `fields` of those that protobuf has, in the order of its numbers, embedded messages together.
    numbered: Box<[u16]>,
}

/// A field of a built-in type.
#[derive(Debug)]
pub struct Field {
    /// JSON name.
    pub name: &'static str,
    /// What JSON it holds.
    pub shape: Shape,
    /// Whether it has to be there.
    pub required: bool,
    /// Protobuf field number. None for `apiVersion` and `kind`, which protobuf carries outside of the message, and for what is
    /// newer than our source of numbers.
    pub number: Option<u32>,
    /// Numbers of the embedded messages around it, from the outside in: JSON flattens what protobuf nests. Mostly empty.
    pub via: Box<[u32]>,
    /// Protobuf puts each list of this field into a message of its own, as its field 1 (`extra`, `verbs`).
    pub wrapped: bool,
    /// How server-side apply merges the list.
    pub list: ListKind,
    /// How strategic merge patch treats it.
    pub patch: Patch,
    /// Changed and owned only as a whole by server-side apply: by its own mark or by that of the type it holds.
    pub atomic: bool,
    /// Value when absent, as JSON text.
    pub default: Option<&'static str>,
}

/// The JSON that a field or an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    String,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// `true` or `false`.
    Bool,
    /// A number.
    Double,
    /// Base64 in a string.
    Bytes,
    /// RFC 3339 in a string, whole seconds.
    Time,
    /// RFC 3339 in a string, microseconds.
    MicroTime,
    /// A [quantity](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/): a string or a number.
    Quantity,
    /// An integer of 32 bits, or a string.
    IntOrString,
    /// An object of any content.
    Any,
    /// A whole object of another kind, opaque here.
    RawExtension,
    /// A set of fields, `metadata.managedFields[].fieldsV1`.
    FieldsV1,
    /// Any JSON value (CRD schemas).
    Json,
    /// A CRD schema or a list of them.
    SchemaOrArray,
    /// A CRD schema or a bool.
    SchemaOrBool,
    /// A CRD schema or a list of strings.
    SchemaOrStrings,
    /// An object of another type.
    Ref(TypeId),
    /// A list of these.
    List(&'static Shape),
    /// An object with free keys and values of this shape.
    Map(&'static Shape),
}

/// Names a type of the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(u16);

/// How server-side apply merges a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// No list, or a list without a mark: as atomic.
    Unmarked,
    /// Replaced as a whole.
    Atomic,
    /// Scalars that occur once.
    Set,
    /// Objects told apart by these fields.
    Map(Box<[&'static str]>),
}

/// How strategic merge patch treats a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// As OpenAPI writes it: `merge`, `replace`, `retainKeys`, `merge,retainKeys`. None: maps merge, lists are replaced.
    pub strategy: Option<&'static str>,
    /// The field that tells elements of a merged list apart. None in a merged list of scalars.
    pub merge_key: Option<&'static str>,
}

struct Table {
    /// Sorted by name.
    types: Vec<Type>,
    /// Types with a kind, sorted by it.
    kinds: Vec<((&'static str, &'static str, &'static str), TypeId)>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| parse::table(TEXT))
}

/// The type of this full name.
#[must_use]
pub fn ty(name: &str) -> Option<&'static Type> {
    let types = &table().types;
    types.binary_search_by(|one| one.name.cmp(name)).ok().map(|index| &types[index])
}

/// The type of a kind. The core group is empty.
#[must_use]
pub fn of_kind(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    let kinds = &table().kinds;
    let found = kinds.binary_search_by(|(known, _)| known.cmp(&(group, version, kind))).ok()?;
    Some(kinds[found].1.get())
}

/// All types, sorted by name.
#[must_use]
pub fn types() -> &'static [Type] {
    &table().types
}

impl Type {
    /// The field of this JSON name.
    #[must_use]
    pub fn field(&self, json: &str) -> Option<&Field> {
        self.fields.binary_search_by(|field| field.name.cmp(json)).ok().map(|index| &self.fields[index])
    }

    /// The fields that protobuf has, in the order in which it writes them.
    pub fn in_wire_order(&self) -> impl Iterator<Item = &Field> {
        self.numbered.iter().map(|place| &self.fields[usize::from(*place)])
    }
}

impl Field {
    /// The value when absent.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        self.default.map(|text| serde_json::from_str(text).expect("codegen writes only JSON as default"))
    }

    /// Whether protobuf would lose it, because our source of numbers is older than the field.
    #[must_use]
    pub fn is_newer_than_protobuf(&self) -> bool {
        self.number.is_none() && !matches!(self.name, "apiVersion" | "kind")
    }
}

impl Shape {
    /// The object type it holds itself; not that of its elements.
    #[must_use]
    pub fn object(self) -> Option<&'static Type> {
        match self {
            Self::Ref(id) => Some(id.get()),
            _ => None,
        }
    }

    /// What a list or map holds.
    #[must_use]
    pub fn element(self) -> Option<Self> {
        match self {
            Self::List(inner) | Self::Map(inner) => Some(*inner),
            _ => None,
        }
    }

    /// The object type at the end of lists and maps.
    #[must_use]
    pub fn innermost(self) -> Option<&'static Type> {
        self.element().map_or_else(|| self.object(), Self::innermost)
    }
}

impl TypeId {
    /// The type.
    #[must_use]
    pub fn get(self) -> &'static Type {
        &table().types[usize::from(self.0)]
    }
}

impl fmt::Debug for TypeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TypeId({})", self.0)
    }
}

impl Patch {
    /// Whether lists merge by key (or as sets of scalars) rather than being replaced.
    #[must_use]
    pub fn merges(self) -> bool {
        self.has("merge")
    }

    /// Whether keys that a patch does not name under `$retainKeys` are dropped.
    #[must_use]
    pub fn retains_keys(self) -> bool {
        self.has("retainKeys")
    }

    fn has(self, word: &str) -> bool {
        self.strategy.is_some_and(|strategy| strategy.split(',').any(|one| one == word))
    }
}

#[cfg(test)]
mod tests;
