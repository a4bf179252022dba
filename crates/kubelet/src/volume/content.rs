//! Files of volumes that are made from objects. Main function: [`items`].

use std::collections::BTreeMap;

use api::{gotext::quote, kinds::read};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Content, File, VolumeError};
use crate::{
    env::{self, EnvError, Sources},
    model::{ConfigMapSource, Container, DownwardItem, KeyToPath, SecretSource},
    observed::Reference,
};

/// Mode of a file whose volume has none.
pub(super) const DEFAULT_MODE: u32 = 0o644;

pub(super) fn config_map(sources: &Sources<'_>, one: &ConfigMapSource, mode: u32) -> Result<Vec<File>, VolumeError> {
    let reference = sources.references.config_map(&one.name);
    let Some(object) = found(reference, "configmap", &one.name, one.optional)? else { return Ok(Vec::new()) };
    let text = |(key, value): (&str, &Value)| Some((key.to_owned(), value.as_str()?.as_bytes().to_vec()));
    let mut data: BTreeMap<String, Vec<u8>> = read::entries(object, "/data").filter_map(text).collect();
    data.extend(decoded(object, "/binaryData"));
    items(data, &one.items, mode, one.optional, "config")
}

pub(super) fn secret(sources: &Sources<'_>, one: &SecretSource, mode: u32) -> Result<Vec<File>, VolumeError> {
    let reference = sources.references.secret(&one.secret_name);
    let Some(object) = found(reference, "secret", &one.secret_name, one.optional)? else { return Ok(Vec::new()) };
    items(decoded(object, "/data").collect(), &one.items, mode, one.optional, "secret")
}

fn decoded<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (String, Vec<u8>)> + use<'a> {
    read::entries(object, pointer)
        .filter_map(|(key, value)| Some((key.to_owned(), STANDARD.decode(value.as_str()?).ok()?)))
}

pub(super) fn found<'a>(
    reference: &'a Reference,
    what: &str,
    name: &str,
    optional: bool,
) -> Result<Option<&'a Value>, VolumeError> {
    match reference {
        Reference::Found(object) => Ok(Some(object)),
        Reference::Unknown => Err(VolumeError::Waiting(format!("{what} {}", quote(name)))),
        Reference::Missing if optional => Ok(None),
        Reference::Missing => Err(VolumeError::Failed(format!("{what} {} not found", quote(name)))),
    }
}

/// The chosen keys as files; all of them if none is chosen.
fn items(
    mut data: BTreeMap<String, Vec<u8>>,
    chosen: &[KeyToPath],
    mode: u32,
    optional: bool,
    what: &str,
) -> Result<Vec<File>, VolumeError> {
    let file =
        |path: String, mode: u32, bytes: Vec<u8>| File { path, mode, owner: None, content: Content::Bytes(bytes) };
    if chosen.is_empty() {
        return Ok(data.into_iter().map(|(key, bytes)| file(key, mode, bytes)).collect());
    }
    let mut files = Vec::new();
    for item in chosen {
        match data.remove(&item.key) {
            Some(bytes) => {
                // A key may be wanted at several paths.
                data.insert(item.key.clone(), bytes.clone());
                files.push(file(item.path.clone(), item.mode.unwrap_or(mode), bytes));
            }
            None if optional => {}
            None => return Err(VolumeError::Failed(format!("references non-existent {what} key: {}", item.key))),
        }
    }
    Ok(files)
}

pub(super) fn downward(sources: &Sources<'_>, wanted: &[DownwardItem], mode: u32) -> Result<Vec<File>, VolumeError> {
    let file = |item: &DownwardItem| {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(from), _) => env::field(sources, &from.field_path),
            (None, Some(from)) => env::resource(sources, &Container::default(), from),
            (None, None) => Ok(String::new()),
        };
        let bytes = text.map_err(|error| match error {
            EnvError::Waiting(what) => VolumeError::Waiting(what),
            EnvError::Config(message) => VolumeError::Failed(message),
        })?;
        let mode = item.mode.unwrap_or(mode);
        Ok(File { path: item.path.clone(), mode, owner: None, content: Content::Bytes(bytes.into_bytes()) })
    };
    wanted.iter().map(file).collect()
}
