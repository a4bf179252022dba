//! Defaults of a Service.

use serde_json::Value;

/// Defaults.
pub fn default(_: &mut Value) {}
