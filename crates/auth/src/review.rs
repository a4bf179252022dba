//! Answers to the review kinds: who am I, whose token is this, may somebody do this, what may I do.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>.
//! Each takes the review as sent and gives it back with its `status`.

use api::{
    field::{Errors, Path},
    kinds::read::{entries, items, text},
};
use serde_json::{Value, json};

use crate::{Answer, Attributes, Authorizer, Decision, User, rbac::RbacIndex};

mod selectors;

use selectors::Selectors;

/// SelfSubjectReview: the asking user.
#[must_use]
pub fn self_subject(mut review: Value, user: &User) -> Value {
    review["status"] = json!({ "userInfo": user.to_value() });
    review
}

/// TokenReview: the token's user and the audiences it holds for, or why it names none.
#[must_use]
pub fn token(mut review: Value, found: Result<(&User, &[String]), &str>) -> Value {
    review["status"] = match found {
        Ok((user, audiences)) => {
            json!({ "authenticated": true, "user": user.to_value(), "audiences": audiences })
        }
        Err(error) => json!({ "user": {}, "error": error }),
    };
    review
}

/// SelfSubjectAccessReview: whether the asking user may do this.
#[must_use]
pub fn self_access(review: Value, user: &User, authorizer: &dyn Authorizer) -> Value {
    access(review, user, authorizer)
}

/// SubjectAccessReview and LocalSubjectAccessReview: whether the user in its `spec` may do this.
#[must_use]
pub fn subject_access(review: Value, authorizer: &dyn Authorizer) -> Value {
    let user = subject(&review);
    access(review, &user, authorizer)
}

/// SelfSubjectRulesReview: all that the user may do in the namespace of its `spec`.
#[must_use]
pub fn self_rules(mut review: Value, user: &User, index: &RbacIndex) -> Value {
    let (rules, errors) = index.rules_for(user, text(&review, "/spec/namespace"));
    let part = |resources: bool| -> Vec<Value> {
        let of_part = rules.iter().filter(|rule| rule.non_resource_urls.is_empty() == resources);
        of_part.map(crate::rbac::Rule::to_value).collect()
    };
    review["status"] = json!({ "resourceRules": part(true), "nonResourceRules": part(false), "incomplete": false });
    if !errors.is_empty() {
        review["status"]["evaluationError"] = errors.join(", ").into();
    }
    review
}

/// What is wrong with an access review of this kind: upstream's field errors.
pub fn validate_access(review: &Value, kind: &str, errors: &mut Errors) {
    let spec = Path::new("spec");
    let part = |name: &str| review.pointer(&format!("/spec/{name}")).filter(|part| part.is_object());
    let (resource, path) = (part("resourceAttributes"), part("nonResourceAttributes"));
    match (resource, path) {
        (Some(_), Some(both)) => errors.invalid(
            &spec.child("nonResourceAttributes"),
            both.clone(),
            "cannot be specified in combination with resourceAttributes",
        ),
        (None, None) => errors.invalid(
            &spec.child("resourceAttributes"),
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        _ => {}
    }
    let of_others = kind != "SelfSubjectAccessReview";
    if of_others && text(review, "/spec/user").is_empty() && items(review, "/spec/groups").is_empty() {
        errors.invalid(&spec.child("user"), "", "at least one of user or group must be specified");
    }
    if let Some(resource) = resource {
        selectors::validate(resource, &spec.child("resourceAttributes"), errors);
    }
    let local = kind == "LocalSubjectAccessReview";
    validate_metadata(review, local, errors);
    if local {
        validate_local(review, (resource, path), errors);
    }
}

/// A question is no object: it has no metadata, but for the namespace of a local one.
fn validate_metadata(review: &Value, local: bool, errors: &mut Errors) {
    let says = |name: &str, value: &Value| !(is_empty(value) || local && name == "namespace");
    if entries(review, "/metadata").any(|(name, value)| says(name, value)) {
        let why = if local { "must be empty except for namespace" } else { "must be empty" };
        errors.invalid(&Path::new("metadata"), review["metadata"].clone(), why);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A local question stays within its namespace.
fn validate_local(review: &Value, (resource, path): (Option<&Value>, Option<&Value>), errors: &mut Errors) {
    let spec = Path::new("spec");
    let (asked, own) = (resource.map(|of| text(of, "/namespace")), text(review, "/metadata/namespace"));
    if let Some(namespace) = asked.filter(|asked| *asked != own) {
        let at = spec.child("resourceAttributes");
        errors.invalid(&at.child("namespace"), namespace, "must match metadata.namespace");
    }
    if let Some(path) = path {
        errors.invalid(&spec.child("nonResourceAttributes"), path.clone(), "disallowed on this kind of request");
    }
}

fn access(mut review: Value, user: &User, authorizer: &dyn Authorizer) -> Value {
    let selectors = Selectors::of(review.pointer("/spec/resourceAttributes").unwrap_or(&Value::Null));
    let answer = authorizer.authorize(&attributes(&review, &selectors, user));
    review["status"] = status(&answer, &selectors);
    review
}

fn attributes<'a>(review: &'a Value, selectors: &'a Selectors, user: &'a User) -> Attributes<'a> {
    if let Some(path) = review.pointer("/spec/nonResourceAttributes") {
        return Attributes::path(user, text(path, "/verb"), text(path, "/path"));
    }
    let of = review.pointer("/spec/resourceAttributes").unwrap_or(&Value::Null);
    let (group, resource) = (text(of, "/group"), text(of, "/resource"));
    let request =
        Attributes::resource(user, text(of, "/verb"), group, resource, text(of, "/namespace"), text(of, "/name"));
    Attributes {
        subresource: text(of, "/subresource"),
        version: text(of, "/version"),
        field_selector: &selectors.fields,
        label_selector: &selectors.labels,
        ..request
    }
}

fn subject(review: &Value) -> User {
    let strings = |list: &[Value]| list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let extra = entries(review, "/spec/extra")
        .map(|(key, values)| (key.to_lowercase(), strings(values.as_array().map_or(&[], Vec::as_slice))));
    User {
        name: text(review, "/spec/user").to_owned(),
        uid: text(review, "/spec/uid").to_owned(),
        groups: strings(items(review, "/spec/groups")),
        extra: extra.collect(),
    }
}

fn status(answer: &Answer, selectors: &Selectors) -> Value {
    let mut status = json!({ "allowed": answer.is_allowed() });
    if answer.decision == Decision::Deny {
        status["denied"] = true.into();
    }
    if !answer.reason.is_empty() {
        status["reason"] = answer.reason.as_str().into();
    }
    if !selectors.ignored.is_empty() {
        status["evaluationError"] = selectors.ignored.join("; ").into();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Masters;

    #[test]
    fn answers_access_reviews_for_the_user_asked_about() {
        let check = |groups: Value, expect: bool| {
            let review = json!({ "spec": { "user": "x", "groups": groups,
                "resourceAttributes": { "verb": "get", "resource": "pods" } } });
            assert_eq!(subject_access(review, &Masters)["status"]["allowed"], expect);
        };
        check(json!(["system:masters"]), true);
        check(json!(["others"]), false);
    }

    #[test]
    fn lists_what_a_user_may_do() {
        let mut index = RbacIndex::new();
        index.put(&json!({ "kind": "ClusterRole", "metadata": { "name": "r" },
            "rules": [{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"] },
                      { "verbs": ["get"], "nonResourceURLs": ["/x"] }] }));
        index.put(&json!({ "kind": "RoleBinding", "metadata": { "name": "b", "namespace": "a" },
            "roleRef": { "kind": "ClusterRole", "name": "r" }, "subjects": [{ "kind": "User", "name": "u" }] }));
        let review = json!({ "spec": { "namespace": "a" } });
        let status = &self_rules(review, &User::new("u", &[]), &index)["status"];
        assert_eq!(status["resourceRules"][0]["resources"], json!(["pods"]));
        assert_eq!(status["nonResourceRules"][0]["nonResourceURLs"], json!(["/x"]));
    }

    #[test]
    fn an_access_review_names_one_thing_and_somebody_and_is_no_object() {
        let check = |kind: &str, review: Value, expect: &[&str]| {
            let mut errors = Errors::new();
            validate_access(&review, kind, &mut errors);
            let found: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
            assert_eq!(found, expect, "{kind} {review}");
        };
        let (all, own, local) = ("SubjectAccessReview", "SelfSubjectAccessReview", "LocalSubjectAccessReview");
        let neither = "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let nobody = "spec.user: Invalid value: \"\": at least one of user or group must be specified";
        check(all, json!({ "metadata": { "creationTimestamp": null }, "spec": {} }), &[neither, nobody]);
        check(own, json!({ "spec": {} }), &[neither]);
        check(
            own,
            json!({ "metadata": { "name": "x" }, "spec": { "resourceAttributes": {} } }),
            &["metadata: Invalid value: {\"name\":\"x\"}: must be empty"],
        );
        let at = |namespace: &str, spec: Value| json!({ "metadata": { "namespace": namespace }, "spec": spec });
        check(local, at("a", json!({ "user": "u", "resourceAttributes": { "namespace": "a" } })), &[]);
        check(
            local,
            at("a", json!({ "user": "u", "resourceAttributes": { "namespace": "b" } })),
            &["spec.resourceAttributes.namespace: Invalid value: \"b\": must match metadata.namespace"],
        );
        check(
            local,
            at("a", json!({ "user": "u", "nonResourceAttributes": { "path": "/x" } })),
            &["spec.nonResourceAttributes: Invalid value: {\"path\":\"/x\"}: disallowed on this kind of request"],
        );
    }
}
