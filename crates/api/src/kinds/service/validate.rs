//! Checks of a Service.

use serde_json::Value;

use crate::field::Errors;

/// Checks.
pub fn validate(_: &Value, _: &mut Errors) {}

/// Checks.
pub fn validate_update(_: &Value, _: &Value, _: &mut Errors) {}
