//! Joins both sources into the text of `facts.txt`. `crates/api/src/facts.rs` documents and reads the format.
//!
//! Which types: kinds of stable versions, the metadata types, and all that these refer to. Both crates may know a name
//! under different spellings; they meet by module and normalised name. Fields that upstream embeds are flat in JSON and
//! nested in protobuf: their number is a path (`2.5`).

use super::{
    normal,
    openapi::{Field as JsonField, Schema, Shape},
    proto::{Field as ProtoField, Markers, Message},
};
use anyhow::{Context, Result, bail};
use std::{collections::BTreeMap, fmt::Write};

/// First lines of the table.
const HEADER: &str = "\
# Facts about the built-in types. Written by `cargo xtask codegen`; do not edit. Format: see facts.rs.
# Type [kind=group/version/Kind] [atomic], then its fields: name number shape [facts].
# Number: protobuf's; `2.5` is field 5 of the embedded message 2, `-` none, `?` newer than our source of numbers.
";

/// What upstream's type names begin with; left out of references.
const NAME_PREFIX: &str = "io.k8s.";

/// Types that JSON sees as one value, and the table's word for each.
const SCALARS: &[(&str, &str)] = &[
    ("apimachinery::pkg::api::resource::quantity", "quantity"),
    ("apimachinery::pkg::util::intstr::intorstring", "intorstring"),
    ("apimachinery::pkg::apis::meta::v1::time", "time"),
    ("apimachinery::pkg::apis::meta::v1::microtime", "microtime"),
    ("apimachinery::pkg::apis::meta::v1::fieldsv1", "fieldsv1"),
    ("apimachinery::pkg::apis::meta::v1::patch", "any"),
    ("apimachinery::pkg::runtime::rawextension", "rawextension"),
    ("apiextensions_apiserver::pkg::apis::apiextensions::v1::json", "json"),
    ("apiextensions_apiserver::pkg::apis::apiextensions::v1::jsonschemapropsorarray", "schemaorarray"),
    ("apiextensions_apiserver::pkg::apis::apiextensions::v1::jsonschemapropsorbool", "schemaorbool"),
    ("apiextensions_apiserver::pkg::apis::apiextensions::v1::jsonschemapropsorstringarray", "schemaorstrings"),
];

/// Defaults that upstream writes as the name of a Go constant.
const NAMED_DEFAULTS: &[(&str, &str)] =
    &[("AzureDataDiskCachingReadWrite", "\"ReadWrite\""), ("AzureSharedBlobDisk", "\"Shared\"")];

/// Fields of this Kubernetes version that our source of numbers is too old for: type without [`NAME_PREFIX`], field, number.
/// From the `generated.proto` of <https://github.com/kubernetes/api> and <https://github.com/kubernetes/apimachinery>.
const NEWER_NUMBERS: &[(&str, &str, u32)] = &[
    ("api.core.v1.ImageVolumeStatus", "imageRef", 1),
    ("api.core.v1.NodeAllocatableResourceClaimStatus", "resourceClaimName", 1),
    ("api.core.v1.NodeAllocatableResourceClaimStatus", "containers", 2),
    ("api.core.v1.NodeAllocatableResourceClaimStatus", "resources", 3),
    ("api.core.v1.PodSchedulingGroup", "podGroupName", 1),
    ("api.core.v1.PodSpec", "schedulingGroup", 43),
    ("api.core.v1.PodStatus", "nodeAllocatableResourceClaimStatuses", 21),
    ("api.core.v1.ResourceHealth", "message", 6),
    ("api.core.v1.VolumeMountStatus", "volumeStatus", 5),
    ("api.core.v1.VolumeStatus", "image", 1),
    ("api.resource.v1.Device", "nodeAllocatableResourceMappings", 13),
    ("api.resource.v1.DeviceAttribute", "ints", 6),
    ("api.resource.v1.DeviceAttribute", "bools", 7),
    ("api.resource.v1.DeviceAttribute", "strings", 8),
    ("api.resource.v1.DeviceAttribute", "versions", 9),
    ("api.resource.v1.NodeAllocatableResourceMapping", "capacityKey", 1),
    ("api.resource.v1.NodeAllocatableResourceMapping", "allocationMultiplier", 2),
    ("api.storage.v1.CSIDriverSpec", "preventPodSchedulingIfMissing", 11),
    ("apimachinery.pkg.apis.meta.v1.ListMeta", "shardInfo", 5),
    ("apimachinery.pkg.apis.meta.v1.ShardInfo", "selector", 1),
    ("apimachinery.pkg.apis.meta.v1.WatchEvent", "type", 1),
    ("apimachinery.pkg.apis.meta.v1.WatchEvent", "object", 2),
];

/// Field of an object that says what it is; protobuf carries it outside of the message.
const TYPE_META: [&str; 2] = ["apiVersion", "kind"];

/// How deep upstream embeds one struct in another. The deepest is `NamedRuleWithOperations`, two levels.
const EMBEDDING_DEPTH: usize = 2;

/// Renders the table.
///
/// # Errors
/// When a reference leads nowhere, or a marker has a value the table has no word for.
pub(crate) fn render(schemas: &BTreeMap<String, Schema>, messages: &BTreeMap<String, Message>) -> Result<String> {
    let mut chosen: Vec<&Schema> = reachable(schemas)?;
    chosen.sort_by(|left, right| left.name.cmp(&right.name));
    let mut table = HEADER.to_owned();
    for schema in chosen {
        let message = message(messages, &schema.place);
        table.push_str(&schema.name);
        if let Some(kind) = &schema.kind {
            write!(table, " kind={kind}")?;
        }
        if message.is_some_and(|message| message.markers.atomic()) {
            table.push_str(" atomic");
        }
        table.push('\n');
        for (name, field) in &schema.fields {
            let join = Join { schemas, messages, schema, message };
            join.line(&mut table, name, field).with_context(|| format!("{}.{name}", schema.name))?;
        }
    }
    Ok(table)
}

/// The chosen types and all they refer to.
fn reachable(schemas: &BTreeMap<String, Schema>) -> Result<Vec<&Schema>> {
    let mut pending: Vec<&str> =
        schemas.values().filter(|schema| is_root(schema)).map(|one| one.place.as_str()).collect();
    let mut found = BTreeMap::new();
    while let Some(place) = pending.pop() {
        if scalar(place).is_some() || found.contains_key(place) {
            continue;
        }
        let schema = schemas.get(place).with_context(|| format!("no type at {place}"))?;
        found.insert(place, schema);
        pending.extend(schema.fields.values().filter_map(|field| target(&field.shape)));
    }
    Ok(found.into_values().collect())
}

/// The message of a type. Upstream keeps the numbers when a type becomes stable, so that an older version's will do.
fn message<'a>(messages: &'a BTreeMap<String, Message>, place: &str) -> Option<&'a Message> {
    let older = ["v1beta2", "v1beta1", "v1alpha1"].map(|version| place.replace("::v1::", &format!("::{version}::")));
    messages.get(place).or_else(|| older.iter().find_map(|place| messages.get(place)))
}

fn is_root(schema: &Schema) -> bool {
    let version = schema.place.rsplit("::").nth(1).unwrap_or_default();
    let stable = version.strip_prefix('v').is_some_and(|rest| rest.chars().all(|letter| letter.is_ascii_digit()));
    (stable && schema.kind.is_some()) || schema.place.starts_with("apimachinery::")
}

fn scalar(place: &str) -> Option<&'static str> {
    SCALARS.iter().find(|(known, _)| *known == place).map(|(_, word)| *word)
}

fn target(shape: &Shape) -> Option<&str> {
    match shape {
        Shape::Plain(_) => None,
        Shape::Ref(place) => Some(place),
        Shape::List(inner) | Shape::Map(inner) => target(inner),
    }
}

fn short(name: &str) -> Result<&str> {
    name.strip_prefix(NAME_PREFIX).with_context(|| format!("type name {name} does not begin with {NAME_PREFIX}"))
}

/// What is needed to write the fields of one type.
struct Join<'a> {
    schemas: &'a BTreeMap<String, Schema>,
    messages: &'a BTreeMap<String, Message>,
    schema: &'a Schema,
    message: Option<&'a Message>,
}

impl Join<'_> {
    fn line(&self, table: &mut String, name: &str, field: &JsonField) -> Result<()> {
        let found = self.proto(name);
        let number = match &found {
            Some((path, _)) => path.iter().map(u32::to_string).collect::<Vec<_>>().join("."),
            None if TYPE_META.contains(&name) => "-".to_owned(),
            None => self.newer(name)?.map_or("?".to_owned(), |number| number.to_string()),
        };
        write!(table, " {name} {number} {}", self.shape(&field.shape)?)?;
        // The first source also calls required what has a default and is decoded to that when absent.
        let optional = found.as_ref().is_some_and(|(_, proto)| {
            proto.markers.get("optional").is_some() && proto.markers.get("default").is_some()
        });
        if field.required && !optional {
            table.push_str(" required");
        }
        if let Some((_, proto)) = found {
            table.push_str(&markers(&proto.markers)?);
            if self.wrapped(&field.shape, proto) {
                table.push_str(" wrapped");
            }
        }
        table.push('\n');
        Ok(())
    }

    /// The number of a field that the second source does not know yet.
    fn newer(&self, name: &str) -> Result<Option<u32>> {
        let ty = short(&self.schema.name)?;
        let row = NEWER_NUMBERS.iter().find(|(owner, field, _)| (*owner, *field) == (ty, name));
        Ok(row.map(|(_, _, number)| *number))
    }

    /// The protobuf field of a JSON field, and the numbers that lead to it from the outside in.
    fn proto(&self, name: &str) -> Option<(Vec<u32>, &ProtoField)> {
        let known: Vec<String> = self.schema.fields.keys().map(|name| normal(name)).collect();
        self.proto_in(self.message?, &normal(name), &known, EMBEDDING_DEPTH)
    }

    /// Looks in `message` and in the messages embedded in it: single ones that are no field in JSON.
    fn proto_in<'a>(
        &'a self,
        message: &'a Message,
        name: &str,
        known: &[String],
        depth: usize,
    ) -> Option<(Vec<u32>, &'a ProtoField)> {
        if let Some(field) = message.fields.get(name) {
            return Some((vec![field.number], field));
        }
        let embedded = message.fields.iter().filter(|(name, field)| depth > 0 && field.single && !known.contains(name));
        embedded.map(|(_, outer)| outer).find_map(|outer| {
            let inner = self.messages.get(outer.message.as_deref()?)?;
            let (mut path, field) = self.proto_in(inner, name, known, depth - 1)?;
            path.insert(0, outer.number);
            Some((path, field))
        })
    }

    fn shape(&self, shape: &Shape) -> Result<String> {
        Ok(match shape {
            Shape::Plain(word) => (*word).to_owned(),
            Shape::List(inner) => format!("[]{}", self.shape(inner)?),
            Shape::Map(inner) => format!("{{}}{}", self.shape(inner)?),
            Shape::Ref(place) => match scalar(place) {
                Some(word) => word.to_owned(),
                None => format!("@{}", short(&self.schemas.get(place).context("dangling reference")?.name)?),
            },
        })
    }

    /// Whether protobuf wraps the lists in this field in a message of their own (Go: a named slice type as map value).
    fn wrapped(&self, shape: &Shape, proto: &ProtoField) -> bool {
        let lists_in_map = matches!(shape, Shape::Map(inner) if matches!(**inner, Shape::List(_)));
        let single_list = matches!(shape, Shape::List(_)) && proto.single;
        (lists_in_map || single_list) && proto.message.is_some()
    }
}

fn markers(markers: &Markers) -> Result<String> {
    let mut text = String::new();
    let keys: Vec<&str> = markers.all("listMapKey").collect();
    match (markers.get("listType"), keys.is_empty()) {
        (Some("map"), false) => write!(text, " list=map({})", keys.join(","))?,
        (Some(kind @ ("atomic" | "set")), true) => write!(text, " list={kind}")?,
        (None, true) => {}
        (kind, _) => bail!("list type {kind:?} with keys {keys:?}"),
    }
    if let Some(strategy) = markers.get("patchStrategy") {
        write!(text, " patch={strategy}")?;
    }
    if let Some(key) = markers.get("patchMergeKey") {
        write!(text, " key={key}")?;
    }
    if markers.atomic() {
        text.push_str(" atomic");
    }
    if let Some(default) = markers.get("default") {
        write!(text, " default={}", default_literal(default)?)?;
    }
    Ok(text)
}

/// A default as JSON. Spaces would break the table's columns.
fn default_literal(marker: &str) -> Result<&str> {
    let named = marker.strip_prefix("ref(").and_then(|rest| rest.strip_suffix(')'));
    let literal = match named {
        Some(name) => NAMED_DEFAULTS.iter().find(|(known, _)| *known == name).context("unknown constant as default")?.1,
        None => marker,
    };
    let value: serde_json::Value = serde_json::from_str(literal).context("default is not JSON")?;
    let compact = value.to_string();
    match compact == literal && !literal.contains(' ') {
        true => Ok(literal),
        false => bail!("default `{literal}` does not fit the table"),
    }
}
