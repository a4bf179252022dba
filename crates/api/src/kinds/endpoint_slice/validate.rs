//! Checks of it.

use serde_json::Value;

use crate::field::Errors;

pub(super) fn validate(_: &Value, _: &mut Errors) {}

pub(super) fn validate_update(_: &Value, _: &Value, _: &mut Errors) {}
