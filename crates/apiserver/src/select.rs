//! Label and field selectors of a request, applied to records without parsing them.
//! Spec: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>.

use std::sync::Arc;

use api::{
    kinds::Kind,
    selector::{Fields, Labels},
};
use store::{Record, Scope};

use crate::{http::query::Query, object, status::ApiError};

/// Which objects of a collection are wanted.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Keys it is confined to: the collection, or the one key that the field selector names.
    pub scope: Scope,
    labels: Option<Labels>,
    fields: Option<Fields>,
}

impl Selection {
    /// Reads `labelSelector` and `fieldSelector`; a field selector may narrow the scope to one name or namespace.
    ///
    /// # Errors
    /// 400 where one is malformed or names a field the kind does not offer.
    pub fn of(kind: &'static Kind, namespace: &str, query: &Query) -> Result<Self, ApiError> {
        let labels = query.get("labelSelector").map(Labels::parse).transpose().map_err(bad)?;
        let fields = query.get("fieldSelector").map(|text| fields(kind, text)).transpose()?;
        let namespace = match fields.as_ref().and_then(|f| f.exact("metadata.namespace")) {
            Some(named) if namespace.is_empty() => named,
            _ => namespace,
        };
        let name = fields.as_ref().and_then(|f| f.exact("metadata.name"));
        let prefix = match name {
            Some(name) if !kind.namespaced || !namespace.is_empty() => object::key(kind, namespace, name),
            _ => object::prefix(kind, namespace),
        };
        let index = fields.as_ref().and_then(|f| indexed(kind, f));
        Ok(Self { scope: Scope { prefix, index }, labels, fields })
    }

    /// Everything of a collection.
    #[must_use]
    pub fn all(kind: &'static Kind, namespace: &str) -> Self {
        Self { scope: Scope { prefix: object::prefix(kind, namespace), index: None }, labels: None, fields: None }
    }

    /// Is it everything in its scope?
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.labels.is_none() && self.fields.is_none()
    }

    /// Is this record wanted?
    #[must_use]
    pub fn takes(&self, record: &Record) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.matches(&record.labels))
            && self.fields.as_ref().is_none_or(|fields| fields.matches(&record.fields))
    }
}

fn bad(error: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(error.to_string())
}

/// Parses a field selector and turns its labels into those of the store.
fn fields(kind: &'static Kind, text: &str) -> Result<Fields, ApiError> {
    let mut fields = Fields::parse(text).map_err(bad)?;
    fields.check(|label| stored_label(kind, label).is_some()).map_err(bad)?;
    for requirement in &mut fields.0 {
        if let Some(stored) = stored_label(kind, &requirement.field) {
            stored.clone_into(&mut requirement.field);
        }
    }
    Ok(fields)
}

fn stored_label(kind: &'static Kind, label: &str) -> Option<&'static str> {
    match label {
        "metadata.name" => Some("metadata.name"),
        "metadata.namespace" if kind.namespaced => Some("metadata.namespace"),
        other => kind.field(other).map(|field| field.stored),
    }
}

/// The index pair a selector asks for, where the kind has an index of that field.
fn indexed(kind: &'static Kind, fields: &Fields) -> Option<(Arc<str>, Arc<str>)> {
    kind.stored().indexes.iter().find_map(|index| Some((index.name.into(), fields.exact(index.name)?.into())))
}
