//! Options of a write: dry run, field manager, field validation, and what a DELETE may say.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/>.

use api::{
    field::{Errors, Path},
    managed, object_meta,
    strict::Mode,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{commit::Terms, http::query::Query, pipeline::Request, status::ApiError};

/// Options of a create, update or patch.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Leave out the writing.
    pub dry_run: bool,
    /// Who owns what is written.
    pub manager: String,
    /// What becomes of unknown fields.
    pub validation: Mode,
    /// Take fields from other managers (server-side apply).
    pub force: bool,
    /// When the request came.
    pub now: Timestamp,
    /// Leadership term in which the write must be applied.
    pub term: Option<u64>,
}

impl WriteOptions {
    /// Reads and checks the options of a request.
    ///
    /// # Errors
    /// 422 where one has no such value.
    pub fn of(request: &Request, options_kind: &str) -> Result<Self, ApiError> {
        let query = &request.query;
        let mut errors = Errors::new();
        let dry_run = dry_run(query.all("dryRun"), &mut errors);
        let manager = match query.get("fieldManager") {
            Some(manager) => {
                object_meta::check_field_manager(manager, &Path::new("fieldManager"), &mut errors);
                manager.to_owned()
            }
            None => managed::manager_of_user_agent(&request.user_agent),
        };
        let word = query.get("fieldValidation").unwrap_or_default();
        let validation = Mode::of(word).unwrap_or_else(|| {
            errors.not_supported(&Path::new("fieldValidation"), word, &["", "Ignore", "Strict", "Warn"]);
            Mode::default()
        });
        if !errors.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", options_kind, "", &errors));
        }
        let (force, now, term) = (query.flag("force"), request.now, request.term);
        Ok(Self { dry_run, manager, validation, force, now, term })
    }

    /// How it is committed.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms { dry_run: self.dry_run, term: self.term, now: self.now }
    }
}

/// Checks `dryRun`; given at all it must be `All`.
pub(crate) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Errors) -> bool {
    let values: Vec<&str> = values.filter(|v| !v.is_empty()).collect();
    for value in values.iter().filter(|v| **v != "All") {
        errors.not_supported(&Path::new("dryRun"), *value, &["All"]);
    }
    !values.is_empty()
}

/// What happens to objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

/// Options of a delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Leave out the deleting.
    pub dry_run: bool,
    /// Only the object with this UID.
    pub uid: Option<String>,
    /// Only the object at this version.
    pub version: Option<String>,
    /// Seconds it has to end by itself.
    pub grace_seconds: Option<i64>,
    /// What happens to what it owns.
    pub propagation: Option<Propagation>,
    /// Asked in the old way not to keep dependents: told 202 where the object does not go at once.
    pub accepts: bool,
}

impl DeleteOptions {
    /// Reads a request's parameters and the `DeleteOptions` in its body; the body wins.
    ///
    /// # Errors
    /// 400 and 422 where they make no sense.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let body = match request.body.is_empty() {
            true => Value::Null,
            false => crate::form::parse(request)?,
        };
        Self::read(&body, &request.query)
    }

    /// Reads a `DeleteOptions` and a request's parameters; the former wins.
    ///
    /// # Errors
    /// 422 where they make no sense.
    pub fn read(body: &Value, query: &Query) -> Result<Self, ApiError> {
        let mut errors = Errors::new();
        let in_body = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let dry_run = dry_run(query.all("dryRun").chain(in_body), &mut errors);
        let policy = body["propagationPolicy"].as_str().or_else(|| query.get("propagationPolicy"));
        let orphan = body["orphanDependents"]
            .as_bool()
            .or_else(|| query.has("orphanDependents").then(|| query.flag("orphanDependents")));
        if policy.is_some() && orphan.is_some() {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            errors.invalid(&Path::new("propagationPolicy"), policy.unwrap_or_default(), why);
        }
        let propagation = propagation(policy, orphan, &mut errors);
        if !errors.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &errors));
        }
        let precondition = |name: &str| body["preconditions"][name].as_str().map(str::to_owned);
        let grace = body["gracePeriodSeconds"].as_i64().or_else(|| query.get("gracePeriodSeconds")?.parse().ok());
        Ok(Self {
            dry_run,
            uid: precondition("uid"),
            version: precondition("resourceVersion"),
            grace_seconds: grace,
            propagation,
            accepts: orphan == Some(false),
        })
    }
}

fn propagation(policy: Option<&str>, orphan: Option<bool>, errors: &mut Errors) -> Option<Propagation> {
    match (policy, orphan) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (None, None) => None,
        (Some(other), _) => {
            errors.not_supported(
                &Path::new("propagationPolicy"),
                other,
                &["Foreground", "Background", "Orphan", "nil"],
            );
            None
        }
    }
}
