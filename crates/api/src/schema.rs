//! What is known of one place in an object: its shape and how it merges. A thin, copyable view of the type facts
//! that strategic merge, managed fields and apply walk down beside a value.
//!
//! Main type: [`Node`]. Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>.
//! Leaves out: checking values ([`crate::strict`]); schemas of custom resources.

use crate::facts::{Field, ListKind, Patch, Shape, Type};

/// What is known of a place in an object.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// What is there.
    pub kind: Kind,
    /// How strategic merge treats it.
    pub patch: Patch,
}

/// What a place holds, as merging sees it.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Owned and replaced as a whole: scalars, atomic lists and objects, free JSON.
    Leaf(Option<Shape>),
    /// An object whose fields are known.
    Object(&'static Type),
    /// An object with free keys.
    Map(Shape),
    /// A list of scalars, each at most once.
    Set(Shape),
    /// A list of objects told apart by these fields.
    Keyed(Shape, &'static [&'static str]),
}

impl Node {
    /// An object of a built-in type.
    #[must_use]
    pub fn root(ty: &'static Type) -> Self {
        Self { kind: Kind::Object(ty), patch: Patch::default() }
    }

    /// A place of which nothing is known.
    pub const UNKNOWN: Self = Self { kind: Kind::Leaf(None), patch: Patch { strategy: None, merge_key: None } };

    /// What is known of a field or map entry.
    #[must_use]
    pub fn child(self, name: &str) -> Self {
        match self.kind {
            Kind::Object(ty) => ty.field(name).map_or(Self::UNKNOWN, Self::of_field),
            Kind::Map(element) => Self::element(element),
            Kind::Leaf(Some(shape)) => Self::inside(shape, name),
            _ => Self::UNKNOWN,
        }
    }

    /// What is known of the items of a list, or of the entries of a map.
    #[must_use]
    pub fn item(self) -> Self {
        match self.kind {
            Kind::Set(element) | Kind::Keyed(element, _) | Kind::Map(element) => Self::element(element),
            Kind::Leaf(Some(shape)) => shape.element().map_or(Self::UNKNOWN, Self::element),
            _ => Self::UNKNOWN,
        }
    }

    /// The type of the object at this place.
    #[must_use]
    pub fn ty(self) -> Option<&'static Type> {
        match self.kind {
            Kind::Object(ty) => Some(ty),
            Kind::Leaf(shape) => shape.and_then(Shape::object),
            _ => None,
        }
    }

    /// Whether a field of this name is declared here, rather than a free key.
    #[must_use]
    pub fn declares(self, name: &str) -> bool {
        matches!(self.kind, Kind::Object(ty) if ty.field(name).is_some())
    }

    fn of_field(field: &'static Field) -> Self {
        let kind = match (field.shape, &field.list) {
            (shape, _) if field.atomic => Kind::Leaf(Some(shape)),
            (Shape::List(element), ListKind::Set) => Kind::Set(*element),
            (Shape::List(element), ListKind::Map(keys)) => Kind::Keyed(*element, keys),
            (shape, _) => Self::plain(shape),
        };
        Self { kind, patch: field.patch }
    }

    fn element(shape: Shape) -> Self {
        let atomic = shape.object().is_some_and(|ty| ty.atomic);
        let kind = if atomic { Kind::Leaf(Some(shape)) } else { Self::plain(shape) };
        Self { kind, patch: Patch::default() }
    }

    fn inside(shape: Shape, name: &str) -> Self {
        match (shape.object(), shape) {
            (Some(ty), _) => ty.field(name).map_or(Self::UNKNOWN, Self::of_field),
            (None, Shape::Map(element)) => Self::element(*element),
            _ => Self::UNKNOWN,
        }
    }

    fn plain(shape: Shape) -> Kind {
        match shape {
            Shape::Ref(id) => Kind::Object(id.get()),
            Shape::Map(element) => Kind::Map(*element),
            other => Kind::Leaf(Some(other)),
        }
    }
}
