//! What a request's `Content-Type` says its body is.

use api::protobuf;

use crate::{pipeline::BodyType, route::Verb, status::ApiError};

/// Types of objects.
const OBJECTS: &[&str] = &["application/json", "application/yaml", protobuf::MEDIA];

/// Types of patches.
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// The type of the body that a verb takes.
///
/// # Errors
/// 415 for any other.
pub(super) fn body_type(verb: Verb, content_type: Option<&str>) -> Result<BodyType, ApiError> {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (verb, media.as_str()) {
        (Verb::Get | Verb::List | Verb::Watch, _) => Ok(BodyType::Json),
        (Verb::Patch, "application/json-patch+json") => Ok(BodyType::JsonPatch),
        (Verb::Patch, "application/merge-patch+json") => Ok(BodyType::MergePatch),
        (Verb::Patch, "application/strategic-merge-patch+json") => Ok(BodyType::StrategicPatch),
        (Verb::Patch, "application/apply-patch+yaml" | "application/apply-patch+json") => Ok(BodyType::Apply),
        (Verb::Patch, _) => Err(ApiError::unsupported_media(PATCHES)),
        (_, "" | "application/json" | "*/*") => Ok(BodyType::Json),
        (_, "application/yaml") => Ok(BodyType::Yaml),
        (_, protobuf::MEDIA) => Ok(BodyType::Protobuf),
        _ => Err(ApiError::unsupported_media(OBJECTS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verb: Verb, content_type: &str, expect: Option<BodyType>) {
        assert_eq!(body_type(verb, Some(content_type)).ok(), expect, "{content_type}");
    }

    #[test]
    fn takes_what_the_verb_takes() {
        check(Verb::Create, "", Some(BodyType::Json));
        check(Verb::Create, "application/json; charset=utf-8", Some(BodyType::Json));
        check(Verb::Update, "application/yaml", Some(BodyType::Yaml));
        check(Verb::Create, "application/vnd.kubernetes.protobuf", Some(BodyType::Protobuf));
        check(Verb::Create, "application/cbor", None);
        check(Verb::Patch, "application/json", None);
        check(Verb::Patch, "application/apply-patch+yaml", Some(BodyType::Apply));
        check(Verb::List, "text/plain", Some(BodyType::Json));
    }
}
