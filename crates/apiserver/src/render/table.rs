//! `meta.k8s.io/v1 Table`: what `kubectl get` prints.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>.

use serde_json::{Value, json};

use super::{Renderer, list_metadata, partial};
use crate::{object, pipeline::Items, status::ApiError};

/// What a row carries beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The object.
    Object,
}

impl Include {
    /// Reads `includeObject`.
    ///
    /// # Errors
    /// 400 for another value.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(ApiError::bad_request(format!("unrecognized includeObject value: {other:?}"))),
        }
    }
}

/// Table of one served object.
#[must_use]
pub fn of_one(renderer: &Renderer, object: &Value) -> Value {
    let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
    table(renderer, metadata, vec![row(renderer, object)])
}

/// Table of a list.
#[must_use]
pub fn of_list(renderer: &Renderer, items: &Items) -> Value {
    let rows = items.records.iter().map(|record| row(renderer, &object::served(renderer.kind, record)));
    table(renderer, list_metadata(items), rows.collect())
}

fn table(renderer: &Renderer, metadata: Value, rows: Vec<Value>) -> Value {
    let column = |c: &api::kinds::Column| json!({ "name": c.name, "type": c.r#type, "format": c.format, "description": c.description, "priority": c.priority });
    let columns: Vec<_> = renderer.kind.columns.iter().map(column).collect();
    json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": columns, "rows": rows })
}

fn row(renderer: &Renderer, object: &Value) -> Value {
    let cells: Vec<_> = renderer.kind.columns.iter().map(|c| (c.cell)(object, renderer.now)).collect();
    let carried = match renderer.include {
        Include::None => Value::Null,
        Include::Metadata => partial(object),
        Include::Object => object.clone(),
    };
    json!({ "cells": cells, "object": carried })
}
