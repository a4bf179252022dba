//! Draws objects from the type facts. Main items: [`object`], [`Random`].

use api::facts::{Field, ListKind, Shape, Type};
use serde_json::{Map, Value, json};

/// How deep objects are drawn: a pod's containers' probes are five below it.
const DEPTH: usize = 6;

/// Of the optional fields one in so many is said.
const SAID_ONE_IN: usize = 3;

/// Most items of a list, and entries of a map.
const ITEMS_MAX: usize = 3;

/// Numbers from a start: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(start: u64) -> Self {
        Self(start)
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// An object of this type; `said` tells which fields may be.
pub(crate) fn object(ty: &'static Type, random: &mut Random, said: fn(&Field) -> bool) -> Value {
    Draw { random, said }.object(ty, DEPTH)
}

struct Draw<'a> {
    random: &'a mut Random,
    said: fn(&Field) -> bool,
}

impl Draw<'_> {
    fn object(&mut self, ty: &'static Type, depth: usize) -> Value {
        let mut object = Map::new();
        for field in &ty.fields {
            let chosen = field.required || self.random.below(SAID_ONE_IN) == 0;
            if let (true, true, Some(left)) = (chosen, (self.said)(field), depth.checked_sub(1))
                && let Some(value) = self.field(field, left)
            {
                object.insert(field.name.to_owned(), value);
            }
        }
        object.into()
    }

    fn field(&mut self, field: &Field, depth: usize) -> Option<Value> {
        let Shape::List(element) = field.shape else { return self.shape(field.shape, depth) };
        let count = 1 + self.random.below(ITEMS_MAX);
        let items: Option<Vec<Value>> = (0..count).map(|_| self.shape(*element, depth)).collect();
        let mut items = items?;
        match &field.list {
            // Each once, in any order.
            ListKind::Set => {
                let first = self.random.below(ITEMS_MAX);
                items
                    .iter_mut()
                    .enumerate()
                    .for_each(|(at, item)| *item = told_apart(Some(*element), (first + at) % 4));
            }
            ListKind::Map(keys) => {
                let first = self.random.below(ITEMS_MAX);
                let keyed = items.iter_mut().enumerate();
                keyed.for_each(|(at, item)| {
                    keys.iter().for_each(|key| set_key(item, *element, key, 1 + (first + at) % 4))
                });
            }
            ListKind::Unmarked | ListKind::Atomic => {}
        }
        Some(items.into())
    }

    fn shape(&mut self, shape: Shape, depth: usize) -> Option<Value> {
        let number = 1 + self.random.below(9);
        Some(match shape {
            Shape::String => self.random.one_of(&["a", "b", "c"]).into(),
            Shape::Int32 | Shape::Int64 => json!(number),
            Shape::Bool => true.into(),
            Shape::Double => json!(0.5),
            Shape::Bytes => "AP8=".into(),
            Shape::Time => format!("2026-01-01T00:00:0{number}Z").into(),
            Shape::MicroTime => format!("2026-01-01T00:00:00.00000{number}Z").into(),
            Shape::Quantity => self.random.one_of(&["1", "500m", "2Gi"]).into(),
            Shape::IntOrString if number.is_multiple_of(2) => "web".into(),
            Shape::IntOrString => json!(number),
            Shape::Ref(id) => self.object(id.get(), depth),
            Shape::List(element) => json!([self.shape(*element, depth)?]),
            Shape::Map(element) => {
                let mut map = Map::new();
                for key in ["x", "y", "z"].iter().take(1 + self.random.below(ITEMS_MAX)) {
                    map.insert((*key).to_owned(), self.shape(*element, depth)?);
                }
                map.into()
            }
            Shape::Any | Shape::RawExtension | Shape::FieldsV1 | Shape::Json => json!({ "f:a": { ".": [number] } }),
            Shape::SchemaOrArray => self.random.one_of(&[json!({ "type": "a" }), json!([{ "type": "a" }, {}])]),
            Shape::SchemaOrBool => self.random.one_of(&[json!({ "type": "a" }), json!(true), json!(false)]),
            Shape::SchemaOrStrings => self.random.one_of(&[json!({ "type": "a" }), json!(["a", "b"])]),
        })
    }
}

/// Gives an item of a list what tells it apart from the others.
fn set_key(item: &mut Value, element: Shape, key: &str, number: usize) {
    let field = element.object().and_then(|ty| ty.field(key));
    item[key] = told_apart(field.map(|field| field.shape), number);
}

/// A scalar of its own for each number.
fn told_apart(shape: Option<Shape>, number: usize) -> Value {
    match shape {
        Some(Shape::Int32 | Shape::Int64) => json!(number),
        _ => format!("k{number}").into(),
    }
}
