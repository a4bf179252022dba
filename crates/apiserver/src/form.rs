//! From a request's bytes to an object that may be stored: parsing, its place, defaults, checks.
//! What the rules are is in [`api`]; this is the order in which they run.

use api::{
    facts,
    field::Errors,
    kinds::{Kind, NameRule},
    meta, names, object_meta,
    object_meta::NameCheck,
    strict::{self, DecodeError, Mode},
};
use serde_json::Value;

use crate::{
    pipeline::{BodyType, Request},
    route::Target,
    status::ApiError,
};

/// Parses a body in the type it was sent in, whatever it says.
///
/// # Errors
/// 400 where it is malformed.
pub fn parse(request: &Request) -> Result<Value, ApiError> {
    read(request).map(|(value, _)| value)
}

/// The body as JSON, and what occurred twice in it.
fn read(request: &Request) -> Result<(Value, Vec<String>), ApiError> {
    if request.body_type == BodyType::Protobuf {
        let value = api::protobuf::decode(&request.body).map_err(|e| malformed("protobuf", &e))?;
        return Ok((value, Vec::new()));
    }
    let yaml = matches!(request.body_type, BodyType::Yaml | BodyType::Apply);
    if yaml && request.body.first() != Some(&b'{') {
        let value = serde_saphyr::from_slice(&request.body).map_err(|e| malformed("yaml", &e))?;
        return Ok((value, Vec::new()));
    }
    strict::parse(&request.body).map_err(|e| malformed("json", &e))
}

fn malformed(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("error decoding request body: {what}: {error}"))
}

/// Parses the object in a create's or update's body; tells of the fields it dropped.
///
/// # Errors
/// 400 where it is malformed, or of another kind than the path's.
pub fn object(request: &Request, mode: Mode) -> Result<(Value, Vec<String>), ApiError> {
    let (mut object, complaints) = read(request)?;
    let (kind, sub) = (request.target.kind, request.target.sub);
    let (group, version, name) = match sub.filter(|s| !s.version.is_empty()) {
        Some(sub) => (sub.group, sub.version, sub.kind),
        None => (kind.group, kind.version, sub.map_or(kind.kind, |s| s.kind)),
    };
    if object.is_object() {
        check_type(&mut object, group, version, name)?;
    }
    let type_name = sub.map_or(kind.type_name, |s| s.type_name);
    let warnings = conform(&mut object, type_name, complaints, (version, name), mode)?;
    Ok((object, warnings))
}

/// Drops fields that the type does not have; what to warn of.
///
/// # Errors
/// 400 for a value of the wrong type, and for any complaint in strict mode.
pub fn conform(
    object: &mut Value,
    type_name: &str,
    mut complaints: Vec<String>,
    (version, kind): (&str, &str),
    mode: Mode,
) -> Result<Vec<String>, ApiError> {
    let unknown = strict::conform(object, facts::ty(type_name)).map_err(|e| e.status(version, kind))?;
    complaints.extend(unknown);
    complaints.truncate(strict::COMPLAINTS_MAX);
    match mode {
        Mode::Strict if !complaints.is_empty() => Err(DecodeError::Strict(complaints).status(version, kind).into()),
        Mode::Warn => Ok(complaints),
        Mode::Strict | Mode::Ignore => Ok(Vec::new()),
    }
}

/// Fills in `apiVersion` and `kind`, which may be absent but not others.
fn check_type(object: &mut Value, group: &str, version: &str, kind: &str) -> Result<(), ApiError> {
    let wanted = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let (sent, sent_kind) = (meta::api_version(object), meta::kind(object));
    if !sent.is_empty() && sent != wanted {
        let message =
            format!("the API version in the data ({sent}) does not match the expected API version ({wanted})");
        return Err(ApiError::bad_request(message));
    }
    if !sent_kind.is_empty() && sent_kind != kind {
        let message = format!("{sent_kind} in version {version:?} cannot be handled as a {kind}");
        return Err(ApiError::bad_request(message));
    }
    object["apiVersion"] = wanted.into();
    object["kind"] = kind.into();
    Ok(())
}

/// Makes the object say the namespace of its path; name and namespace must not contradict it.
///
/// # Errors
/// 400 where they do.
pub fn check_place(target: &Target, object: &mut Value) -> Result<(), ApiError> {
    let name = meta::name(object);
    if !target.name.is_empty() {
        if !name.is_empty() && name != target.name {
            let url = &target.name;
            let message = format!("the name of the object ({name}) does not match the name on the URL ({url})");
            return Err(ApiError::bad_request(message));
        }
        meta::set_name(object, target.name.as_str());
    }
    if !target.kind.namespaced {
        return Ok(());
    }
    let namespace = meta::namespace(object);
    if !namespace.is_empty() && namespace != target.namespace {
        const MESSAGE: &str = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(MESSAGE));
    }
    meta::set_namespace(object, target.namespace.as_str());
    Ok(())
}

/// Fills in what the kind defaults.
pub fn default(kind: &Kind, object: &mut Value) {
    if let Some(ty) = facts::ty(kind.type_name) {
        api::default::apply(object, ty);
    }
    (kind.hooks.default)(object);
}

/// Checks a new object.
///
/// # Errors
/// 422 with all that is wrong.
pub fn validate(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    let mut errors = Errors::new();
    object_meta::validate(object, kind.namespaced, name_check(kind), &mut errors);
    (kind.hooks.validate)(object, &mut errors);
    refuse(kind, meta::name(object), &errors)
}

/// Checks a changed object against the old one; `part` is the subresource it was changed through, or empty.
pub fn check_update(kind: &Kind, part: &str, new: &Value, old: &Value, errors: &mut Errors) {
    object_meta::validate_update(new, old, errors);
    (kind.hooks.validate)(new, errors);
    match kind.hooks.validate_part.filter(|_| !part.is_empty()) {
        Some(validate) => validate(part, new, old, errors),
        None => (kind.hooks.validate_update)(new, old, errors),
    }
}

/// 422 if there are errors.
///
/// # Errors
/// As said.
pub fn refuse(kind: &Kind, name: &str, errors: &Errors) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(kind.group, kind.kind, name, errors)) }
}

fn name_check(kind: &Kind) -> NameCheck {
    match kind.name_rule {
        NameRule::DnsLabel => |name, prefix| names::dns1123_label(&base(name, prefix)),
        NameRule::DnsSubdomain => |name, prefix| names::dns1123_subdomain(&base(name, prefix)),
        NameRule::PathSegment => |name, prefix| match prefix {
            true => names::path_segment_prefix(name),
            false => names::path_segment(name),
        },
        NameRule::Any => |_, _| Vec::new(),
    }
}

/// A prefix may end in a dash, since more comes after it.
fn base(name: &str, prefix: bool) -> String {
    if prefix { names::mask_trailing_dash(name) } else { name.to_owned() }
}
