//! Reads `facts.txt`. The text is part of the program and every line of it is read by the tests, so a malformed line is a
//! broken build, not an input error: it panics.

use super::{Field, ListKind, Patch, Shape, Table, Type, TypeId};

/// What references leave out of a type's name.
const NAME_PREFIX: &str = "io.k8s.";

/// Why the panics here cannot happen.
const TESTED: &str = "facts.txt is generated, and read by tests";

/// Parses the whole table.
pub(super) fn table(text: &'static str) -> Table {
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let heads = || lines().filter(|line| !line.starts_with(' '));
    let names: Vec<&str> = heads().map(|line| line.split(' ').next().expect("split yields one")).collect();
    let mut types: Vec<Type> = heads().map(head).collect();
    let mut fields: Vec<Vec<Field>> = types.iter().map(|_| Vec::new()).collect();
    let mut current = usize::MAX;
    for line in lines() {
        match line.strip_prefix(' ') {
            Some(line) => fields[current].push(field(line, &names, &types)),
            None => current = current.wrapping_add(1),
        }
    }
    for (one, fields) in types.iter_mut().zip(fields) {
        one.numbered = numbered(&fields);
        one.fields = fields.into();
    }
    let with_kind = types.iter().zip(0..).filter_map(|(one, index)| Some((one.kind?, TypeId(index))));
    let mut kinds: Vec<_> = with_kind.collect();
    kinds.sort_unstable_by_key(|(kind, _)| *kind);
    Table { types, kinds }
}

/// Places of the fields that have a number, in the order of their paths.
fn numbered(fields: &[Field]) -> Box<[u16]> {
    let with_number = fields.iter().zip(0..).filter_map(|(field, place)| Some((&*field.via, field.number?, place)));
    let mut sorted: Vec<(&[u32], u32, u16)> = with_number.collect();
    sorted.sort_unstable_by_key(|(via, number, _)| via.iter().chain([number]).copied().collect::<Vec<_>>());
    sorted.into_iter().map(|(_, _, place)| place).collect()
}

fn head(line: &'static str) -> Type {
    let mut words = line.split(' ');
    let name = words.next().expect(TESTED);
    let mut one = Type { name, kind: None, atomic: false, fields: Box::default(), numbered: Box::default() };
    for word in words {
        match word.split_once('=') {
            Some(("kind", path)) => one.kind = Some(kind(path)),
            None if word == "atomic" => one.atomic = true,
            _ => panic!("`{word}`: {TESTED}"),
        }
    }
    one
}

fn kind(path: &'static str) -> (&'static str, &'static str, &'static str) {
    let (group, rest) = path.split_once('/').expect(TESTED);
    let (version, kind) = rest.split_once('/').expect(TESTED);
    (group, version, kind)
}

fn field(line: &'static str, names: &[&str], types: &[Type]) -> Field {
    let mut words = line.split(' ');
    let name = words.next().expect(TESTED);
    let (number, via) = number(words.next().expect(TESTED));
    let shape = shape(words.next().expect(TESTED), names);
    let mut field = Field {
        name,
        shape,
        number,
        via,
        required: false,
        wrapped: false,
        list: ListKind::Unmarked,
        patch: Patch::default(),
        atomic: matches!(shape, Shape::Ref(TypeId(index)) if types[usize::from(index)].atomic),
        default: None,
    };
    words.for_each(|word| fact(&mut field, word));
    field
}

fn fact(field: &mut Field, word: &'static str) {
    match word.split_once('=') {
        None if word == "required" => field.required = true,
        None if word == "atomic" => field.atomic = true,
        None if word == "wrapped" => field.wrapped = true,
        Some(("list", kind)) => field.list = list(kind),
        Some(("patch", strategy)) => field.patch.strategy = Some(strategy),
        Some(("key", key)) => field.patch.merge_key = Some(key),
        Some(("default", json)) => field.default = Some(json),
        _ => panic!("`{word}`: {TESTED}"),
    }
}

fn number(word: &str) -> (Option<u32>, Box<[u32]>) {
    let mut path: Vec<u32> = word.split('.').filter_map(|part| part.parse().ok()).collect();
    (path.pop(), path.into())
}

fn list(word: &'static str) -> ListKind {
    match word.strip_prefix("map(").and_then(|rest| rest.strip_suffix(')')) {
        Some(keys) => ListKind::Map(keys.split(',').collect()),
        None if word == "set" => ListKind::Set,
        None if word == "atomic" => ListKind::Atomic,
        None => panic!("`{word}`: {TESTED}"),
    }
}

/// Element shapes live as long as the table, which is for ever: they are leaked, so that shapes are plain values.
fn shape(word: &str, names: &[&str]) -> Shape {
    if let Some(inner) = word.strip_prefix("[]") {
        return Shape::List(Box::leak(Box::new(shape(inner, names))));
    }
    if let Some(inner) = word.strip_prefix("{}") {
        return Shape::Map(Box::leak(Box::new(shape(inner, names))));
    }
    if let Some(name) = word.strip_prefix('@') {
        let order = |known: &&str| known.strip_prefix(NAME_PREFIX).unwrap_or(known).cmp(name);
        let index = names.binary_search_by(order).expect(TESTED);
        return Shape::Ref(TypeId(index.try_into().expect("fewer than 65,536 types")));
    }
    let found = PLAIN.iter().find(|(known, _)| *known == word);
    found.unwrap_or_else(|| panic!("`{word}`: {TESTED}")).1
}

/// Words of the table for shapes without a part.
const PLAIN: &[(&str, Shape)] = &[
    ("string", Shape::String),
    ("int32", Shape::Int32),
    ("int64", Shape::Int64),
    ("bool", Shape::Bool),
    ("double", Shape::Double),
    ("bytes", Shape::Bytes),
    ("time", Shape::Time),
    ("microtime", Shape::MicroTime),
    ("quantity", Shape::Quantity),
    ("intorstring", Shape::IntOrString),
    ("any", Shape::Any),
    ("rawextension", Shape::RawExtension),
    ("fieldsv1", Shape::FieldsV1),
    ("json", Shape::Json),
    ("schemaorarray", Shape::SchemaOrArray),
    ("schemaorbool", Shape::SchemaOrBool),
    ("schemaorstrings", Shape::SchemaOrStrings),
];
