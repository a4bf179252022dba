//! Reads k8s-pb's sources: protobuf field numbers, and the markers (`+listType=map`) that upstream writes in comments.
//!
//! Main type: [`Message`]. Leaves out wire types: they follow from the JSON shape.

use super::{module_of, normal, openapi::between, rust_files};
use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs, path::Path};

/// One protobuf message.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// Markers of the type.
    pub markers: Markers,
    /// Fields by normalised name.
    pub fields: BTreeMap<String, Field>,
}

/// One protobuf field.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its number on the wire.
    pub number: u32,
    /// Markers of the field.
    pub markers: Markers,
    /// Place of the message it holds (also in lists and maps), if it holds one.
    pub message: Option<String>,
    /// Whether it is one message, not a list or map.
    pub single: bool,
}

/// The `+key=value` lines of a comment, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Markers(Vec<(String, String)>);

impl Markers {
    /// The value of the first marker `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The values of all markers `key`.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether the thing is changed only as a whole.
    pub(crate) fn atomic(&self) -> bool {
        ["structType", "mapType"].iter().any(|key| self.get(key) == Some("atomic"))
    }

    fn take_line(&mut self, comment: &str) {
        let Some(marker) = comment.trim_start_matches('/').trim().strip_prefix('+') else { return };
        let (key, value) = marker.split_once('=').unwrap_or((marker, ""));
        self.0.push((key.to_owned(), value.trim().to_owned()));
    }
}

/// Reads all messages below `root`, by place (`api::core::v1::pod`).
///
/// # Errors
/// When a field has no number.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, Message>> {
    let mut messages = BTreeMap::new();
    for file in rust_files(root)? {
        let module = module_of(root, &file);
        let source = fs::read_to_string(&file)?;
        read_module(&module, &source, &mut messages).with_context(|| format!("in {}", file.display()))?;
    }
    Ok(messages)
}

fn read_module(module: &str, source: &str, messages: &mut BTreeMap<String, Message>) -> Result<()> {
    let (mut markers, mut attribute, mut place) = (Markers::default(), "", String::new());
    let joined = join_wrapped(source);
    for line in joined.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("///") {
            markers.take_line(trimmed);
        } else if trimmed.starts_with("#[prost(") {
            attribute = trimmed;
        } else if let Some(name) = between(line, "pub struct ", " {") {
            place = format!("{module}::{}", normal(name));
            let markers = std::mem::take(&mut markers);
            messages.insert(place.clone(), Message { markers, ..Message::default() });
        } else if let Some((name, kind)) = line.strip_prefix("    pub ").and_then(|rest| rest.split_once(": ")) {
            let field = field(module, attribute, kind, std::mem::take(&mut markers))
                .with_context(|| format!("field {name} of {place}"))?;
            let message = messages.get_mut(&place).context("field outside of a message")?;
            message.fields.insert(normal(name.trim_start_matches("r#")), field);
        } else if !trimmed.starts_with("#[") {
            markers = Markers::default();
        }
    }
    Ok(())
}

/// Puts what rustfmt wrapped back on one line: a long type after its name, type arguments, attributes.
fn join_wrapped(source: &str) -> String {
    let mut joined = String::with_capacity(source.len());
    let mut open = false;
    for line in source.lines() {
        let comment = line.trim_start().starts_with("//");
        let (opens, closes) =
            (line.ends_with([':', '<', '(']), line.trim_end_matches([',', ']']).ends_with(['>', ')']));
        joined.push_str(if open { line.trim() } else { line });
        open = !comment && (opens || (open && !closes));
        joined.push_str(match (open, opens && line.ends_with(':')) {
            (true, true) => " ",
            (true, false) => "",
            (false, _) => "\n",
        });
    }
    joined
}

fn field(module: &str, attribute: &str, kind: &str, markers: Markers) -> Result<Field> {
    let number = between(attribute, "tag = \"", "\"").context("no field number")?.parse()?;
    let message = attribute.contains("message").then(|| message_place(module, kind));
    let single = attribute.starts_with("#[prost(message, optional");
    Ok(Field { number, markers, message, single })
}

/// The place of the message named by a Rust type such as `Option<super::v2::Thing>`, seen from `module`.
fn message_place(module: &str, kind: &str) -> String {
    let inner = kind.trim_end_matches(',').trim_end_matches('>').rsplit(['<', ' ', ',']).next().unwrap_or_default();
    let mut parts: Vec<&str> = module.split("::").collect();
    let (folder, name) = inner.rsplit_once("::").unwrap_or(("", inner));
    for part in folder.split("::").filter(|part| !part.is_empty()) {
        match part {
            "super" => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("{}::{}", parts.join("::"), normal(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_markers_is_read() {
        let source = "/// Text.\n/// +structType=atomic\n#[derive(Clone)]\npub struct Pod {\n    /// +listType=map\n    /// \
                      +listMapKey=name\n    #[prost(message, repeated, tag = \"2\")]\n    pub a_bs: \
                      ::prost::alloc::vec::Vec<super::v2::Thing>,\n}\n";
        let mut messages = BTreeMap::new();
        read_module("api::core::v1", source, &mut messages).expect("read");
        let pod = &messages["api::core::v1::pod"];
        let field = &pod.fields["abs"];
        assert!(pod.markers.atomic() && !field.single && field.number == 2);
        assert_eq!(field.message.as_deref(), Some("api::core::v2::thing"));
        assert_eq!((field.markers.get("listType"), field.markers.get("listMapKey")), (Some("map"), Some("name")));
    }
}
