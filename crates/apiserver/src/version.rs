//! What `resourceVersion` and `resourceVersionMatch` ask of a read.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.

use std::sync::Arc;

use api::field::{Errors, Path};
use store::{Freshness, Revision};

use crate::{http::query::Query, shared::Shared, status::ApiError};

/// Which state a list is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest under this condition.
    Newest(Freshness),
    /// Exactly this one.
    Exactly(Revision),
}

/// A revision as clients write it.
///
/// # Errors
/// 400 where it is no number.
pub fn parse(text: &str) -> Result<Revision, ApiError> {
    let number = text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "invalid resource version {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })?;
    Ok(Revision(number))
}

/// How fresh a GET must be.
///
/// # Errors
/// As [`parse`].
pub fn freshness(version: Option<&str>) -> Result<Freshness, ApiError> {
    Ok(match version.map(parse).transpose()? {
        None => Freshness::Linearizable,
        Some(Revision(0)) => Freshness::Any,
        Some(revision) => Freshness::AtLeast(revision),
    })
}

/// Which state a LIST asks for.
///
/// # Errors
/// 400 and 422 where the parameters contradict each other.
pub fn of_list(query: &Query) -> Result<Wanted, ApiError> {
    let (version, rule) = (query.get("resourceVersion"), query.get("resourceVersionMatch"));
    let continued = query.get("continue").is_some();
    match (version, rule) {
        (None, None) => Ok(Wanted::Newest(Freshness::Linearizable)),
        (_, Some(_)) if continued => {
            Err(refuse("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
        }
        (None, Some(_)) => {
            Err(refuse("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        }
        (Some("0"), Some("Exact")) => {
            Err(refuse("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""))
        }
        (Some(version), Some("Exact")) => Ok(Wanted::Exactly(parse(version)?)),
        (Some(version), None) if version != "0" && query.get("limit").is_some_and(|l| l != "0") => {
            Ok(Wanted::Exactly(parse(version)?))
        }
        (version, None | Some("NotOlderThan")) => Ok(Wanted::Newest(freshness(version)?)),
        (_, Some(other)) => Err(unsupported("resourceVersionMatch", other)),
    }
}

/// What a stale answer is told with.
#[must_use]
pub fn age_warning(shared: &Arc<Shared>) -> Option<String> {
    let behind = shared.storage.behind()?;
    Some(format!("this node has heard from no leader for {} s; the answer may be that old", behind.as_secs()))
}

/// 422 on a parameter that may not be given.
#[must_use]
pub fn refuse(field: &str, why: &str) -> ApiError {
    let mut errors = Errors::new();
    errors.forbidden(&Path::new(field), why);
    ApiError::invalid("meta.k8s.io", "ListOptions", "", &errors)
}

fn unsupported(field: &str, value: &str) -> ApiError {
    let mut errors = Errors::new();
    errors.not_supported(&Path::new(field), value, &["Exact", "NotOlderThan", ""]);
    ApiError::invalid("meta.k8s.io", "ListOptions", "", &errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expect: Result<Wanted, u16>) {
        assert_eq!(of_list(&Query::parse(query)).map_err(|e| e.code()), expect, "{query}");
    }

    #[test]
    fn asks_for_the_state_kubernetes_would_give() {
        use Freshness::*;
        check("", Ok(Wanted::Newest(Linearizable)));
        check("limit=5", Ok(Wanted::Newest(Linearizable)));
        check("resourceVersion=0", Ok(Wanted::Newest(Any)));
        check("resourceVersion=0&limit=5", Ok(Wanted::Newest(Any)));
        check("resourceVersion=7", Ok(Wanted::Newest(AtLeast(Revision(7)))));
        check("resourceVersion=7&limit=5", Ok(Wanted::Exactly(Revision(7))));
        check("resourceVersion=7&limit=5&resourceVersionMatch=NotOlderThan", Ok(Wanted::Newest(AtLeast(Revision(7)))));
        check("resourceVersion=7&resourceVersionMatch=Exact", Ok(Wanted::Exactly(Revision(7))));
        check("resourceVersion=0&resourceVersionMatch=Exact", Err(422));
        check("resourceVersionMatch=Exact", Err(422));
        check("resourceVersion=7&resourceVersionMatch=Odd", Err(422));
        check("resourceVersion=x", Err(400));
    }
}
