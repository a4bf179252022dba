//! Reads k8s-openapi's sources: which types exist, their fields, JSON shapes and required fields.
//!
//! Every type sits in a file of its own with a `json_schema!({...})` literal, which is JSON but for descriptions (dropped),
//! trailing commas and calls for the schemas of other types (turned into `$ref`). Main type: [`Schema`].
//! Leaves out `list.rs` (the generic list: `metadata`, `items`).

use super::{module_of, normal, rust_files};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// One type of the API.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Upstream's name: `io.k8s.api.core.v1.Pod`.
    pub name: String,
    /// Where both source crates keep it: `api::core::v1::pod`, the last part normalised.
    pub place: String,
    /// `group/version/Kind` of a type that is an object or an action body.
    pub kind: Option<String>,
    /// Fields by JSON name; empty for scalars.
    pub fields: BTreeMap<String, Field>,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    /// What JSON it holds.
    pub shape: Shape,
    /// Whether it has to be there.
    pub required: bool,
}

/// The JSON a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A plain JSON type, in the table's word for it.
    Plain(&'static str),
    /// Another type, by its place.
    Ref(String),
    /// A JSON array.
    List(Box<Shape>),
    /// A JSON object with free keys.
    Map(Box<Shape>),
}

/// Reads all types below `root`, by place.
///
/// # Errors
/// When a file is not of the form that this crate's generator writes.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, Schema>> {
    let mut schemas = BTreeMap::new();
    for file in rust_files(root)? {
        let source = fs::read_to_string(&file)?;
        if file.ends_with("list.rs") || !source.contains("json_schema!(") {
            continue;
        }
        let schema = schema(&module_of(root, &file), &source).with_context(|| format!("in {}", file.display()))?;
        schemas.insert(schema.place.clone(), schema);
    }
    Ok(schemas)
}

fn schema(module: &str, source: &str) -> Result<Schema> {
    let rust_name = between(source, "JsonSchema for ", " {").context("no JsonSchema implementation")?;
    let literal = between(source, "json_schema!(", "\n        })").context("no schema literal")?;
    let json: Value = serde_json::from_str(&json(&format!("{literal}\n}}"))).context("schema literal is not JSON")?;
    let mut schema = Schema {
        name: between(source, "Cow<'static, str> {\n        \"", "\"").context("no schema name")?.to_owned(),
        place: format!("{module}::{}", normal(rust_name)),
        kind: kind(source),
        fields: BTreeMap::new(),
    };
    let required: Vec<&str> = json["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in json["properties"].as_object().into_iter().flatten() {
        // The crate makes `metadata` of every kind required; upstream does not.
        let forced = schema.kind.is_some() && name == "metadata";
        let required = required.contains(&name.as_str()) && !forced;
        let shape = shape(property).with_context(|| format!("field {name}"))?;
        schema.fields.insert(name.clone(), Field { shape, required });
    }
    Ok(schema)
}

fn kind(source: &str) -> Option<String> {
    let constant = |name: &str| between(source, &format!("const {name}: &'static str = \""), "\"");
    let (group, version, kind) = (constant("GROUP")?, constant("VERSION")?, constant("KIND")?);
    Some(format!("{group}/{version}/{kind}"))
}

fn shape(property: &Value) -> Result<Shape> {
    if let Some(path) = property["$ref"].as_str() {
        let (module, name) = path.rsplit_once("::").context("reference without a module")?;
        return Ok(Shape::Ref(format!("{}::{}", module.trim_start_matches("crate::"), normal(name))));
    }
    let text = |key: &str| property[key].as_str().unwrap_or_default();
    Ok(match (text("type"), text("format")) {
        ("array", _) => Shape::List(Box::new(shape(&property["items"])?)),
        ("object", _) if property["additionalProperties"].is_object() => {
            Shape::Map(Box::new(shape(&property["additionalProperties"])?))
        }
        ("object", _) => Shape::Plain("any"),
        ("string", "byte") => Shape::Plain("bytes"),
        ("string", "date-time") => Shape::Plain("time"),
        ("string", "") => Shape::Plain("string"),
        ("integer", "int32") => Shape::Plain("int32"),
        ("integer", "int64") => Shape::Plain("int64"),
        ("number", "double") => Shape::Plain("double"),
        ("boolean", _) => Shape::Plain("bool"),
        (kind, format) => bail!("unknown schema type `{kind}` with format `{format}`"),
    })
}

/// Turns the text of a `json_schema!` argument into JSON without descriptions.
fn json(literal: &str) -> String {
    let mut lines: Vec<String> = literal.lines().filter_map(json_line).collect();
    for index in 1..lines.len() {
        if lines[index].trim_start().starts_with(['}', ']']) {
            let before = lines[index - 1].trim_end_matches(',').to_owned();
            lines[index - 1] = before;
        }
    }
    lines.join("\n")
}

fn json_line(line: &str) -> Option<String> {
    let trimmed = line.trim();
    if trimmed.starts_with("\"description\": \"") || trimmed.starts_with("schema_obj") {
        return None;
    }
    if let Some(path) = between(trimmed, "subschema_for::<", ">()") {
        let key = trimmed.split_once("\": ").map(|(key, _)| format!("{key}\": ")).unwrap_or_default();
        return Some(match trimmed.starts_with("let ") {
            true => format!("\"$ref\": \"{path}\""),
            false => format!("{key}{{\"$ref\": \"{path}\"}},"),
        });
    }
    Some(trimmed.replace("({", "{").replace("})", "}"))
}

/// The text between the first `start` and the next `end`.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_literal_becomes_json() {
        let literal = "{\n \"description\": \"x\",\n \"properties\": {\n  \"a\": (__gen.subschema_for::<crate::b::C>()),\n  \
                       \"d\": ({\n   let mut schema_obj = __gen.subschema_for::<crate::b::E>();\n   schema_obj\n  }),\n },\n}";
        let parsed: Value = serde_json::from_str(&json(literal)).expect("JSON");
        assert_eq!(shape(&parsed["properties"]["a"]).expect("shape"), Shape::Ref("b::c".to_owned()));
        assert_eq!(shape(&parsed["properties"]["d"]).expect("shape"), Shape::Ref("b::e".to_owned()));
    }
}
