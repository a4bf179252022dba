//! Numbers that may be a share of another: `25%`. Main functions: `of` and `validate`.
//! Spec: `maxSurge` of
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment>.

use serde_json::Value;

use crate::field::{Errors, Path};

/// What a text must look like.
const WANTED: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                      regex used for validation is '[0-9]+%')";

/// The number it stands for, of a total; a share is rounded up or down. What is neither reads as 0.
#[must_use]
pub fn of(value: &Value, total: i64, up: bool) -> i64 {
    match (value, share(value)) {
        (Value::Number(number), _) => number.as_i64().unwrap_or_default(),
        (_, Some(percent)) => {
            let hundredths = total.saturating_mul(percent);
            hundredths.div_euclid(100) + i64::from(up && hundredths.rem_euclid(100) > 0)
        }
        _ => 0,
    }
}

/// Percent, where it is a share.
fn share(value: &Value) -> Option<i64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The number, whether share or not, as checks compare it.
pub(in crate::kinds) fn plain(value: &Value) -> i64 {
    value.as_i64().or_else(|| share(value)).unwrap_or_default()
}

/// A number that is not below 0, or a share.
pub(in crate::kinds) fn validate(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    match value {
        Value::String(_) if share(value).is_none() => errors.invalid(path, value.clone(), WANTED),
        Value::Number(number) if number.as_i64().is_none_or(|number| number < 0) => {
            errors.invalid(path, value.clone(), super::NOT_NEGATIVE);
        }
        _ => {}
    }
}

/// A share is not more than all.
pub(in crate::kinds) fn validate_at_most_all(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    if share(value).is_some_and(|percent| percent > 100) {
        errors.invalid(path, value.clone(), "must not be greater than 100%");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shares_are_rounded_as_asked() {
        let check =
            |value: Value, total, up, down| assert_eq!((of(&value, total, true), of(&value, total, false)), (up, down));
        check(json!("25%"), 10, 3, 2);
        check(json!("25%"), 4, 1, 1);
        check(json!("25%"), 1, 1, 0);
        check(json!("0%"), 10, 0, 0);
        check(json!("100%"), 7, 7, 7);
        check(json!(3), 10, 3, 3);
        check(json!("x%"), 10, 0, 0);
    }
}
