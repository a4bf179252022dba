//! `serviceaccounts/token`: signs a token for a ServiceAccount, bound to it and perhaps to a pod, secret or node.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>.

use std::sync::Arc;

use api::{
    field::Errors,
    kinds::{self, read::text},
    meta,
};
use auth::token::{Reference, TokenSpec, read_request, validate_request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Freshness, View};

use crate::{
    admit, form, object,
    options::WriteOptions,
    pipeline::{Object, Reply, Request},
    shared::Shared,
    status::ApiError,
};

/// Answers with a token.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(&request, "CreateOptions")?;
    let (mut asked, warnings) = form::object(&request, options.validation)?;
    let mut errors = Errors::new();
    validate_request(&asked, &mut errors);
    if !errors.is_empty() {
        return Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &errors));
    }
    admit::token(shared, &request, &asked).await?;
    let mut spec = read_request(&asked, shared.tokens.audiences());
    spec.seconds = spec.seconds.min(i64::try_from(shared.config.max_token_seconds).unwrap_or(i64::MAX));
    let view = shared.storage.read(Freshness::Linearizable).await?;
    let token = mint(shared, &request, &view, &mut spec)?;
    let (namespace, name) = (request.target.namespace.as_str(), request.target.name.as_str());
    meta::set_name(&mut asked, name);
    meta::set_namespace(&mut asked, namespace);
    meta::set_creation_timestamp(&mut asked, meta::time(request.now));
    asked["spec"]["audiences"] = json!(spec.audiences);
    asked["spec"]["expirationSeconds"] = json!(spec.seconds);
    asked["status"] = json!({ "token": token, "expirationTimestamp": meta::time(expiry(request.now, spec.seconds)) });
    Ok(Reply::created(Object::Made(asked)).warn(warnings))
}

fn expiry(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn mint(shared: &Shared, request: &Request, view: &View, spec: &mut TokenSpec) -> Result<String, ApiError> {
    let target = &request.target;
    let account = stored(view, "serviceaccounts", &target.namespace, &target.name)?;
    let mut node = None;
    if let Some((kind, reference)) = &mut spec.bound {
        let (plural, namespace) = match kind.as_str() {
            "Pod" => ("pods", target.namespace.as_str()),
            "Secret" => ("secrets", target.namespace.as_str()),
            _ => ("nodes", ""),
        };
        let bound = stored(view, plural, namespace, &reference.name)?;
        if kind == "Pod" && text(&bound, "/spec/serviceAccountName") != target.name {
            let why = format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                target.name
            );
            return Err(ApiError::bad_request(why));
        }
        check_uid(target.kind, &target.name, reference, meta::uid(&bound))?;
        reference.uid = meta::uid(&bound).to_owned();
        let host = text(&bound, "/spec/nodeName");
        node = stored(view, "nodes", "", host).ok().filter(|_| kind == "Pod").map(|n| reference_to(&n));
    }
    let id = uuid::Uuid::new_v4().to_string();
    let claims = spec.claims(&target.namespace, reference_to(&account), node, &id, request.now.as_second());
    shared.tokens.mint(&claims).map_err(ApiError::internal)
}

fn check_uid(kind: &kinds::Kind, name: &str, wanted: &Reference, actual: &str) -> Result<(), ApiError> {
    if wanted.uid.is_empty() || wanted.uid == actual {
        return Ok(());
    }
    let (asked, found) = (&wanted.uid, actual);
    let why = format!(
        "the UID in the bound object reference ({asked}) does not match the UID in record. The object might have been deleted and then recreated ({found})"
    );
    Err(ApiError::conflict(kind, name, &why))
}

fn reference_to(object: &Value) -> Reference {
    Reference { name: meta::name(object).to_owned(), uid: meta::uid(object).to_owned() }
}

fn stored(view: &View, plural: &str, namespace: &str, name: &str) -> Result<Value, ApiError> {
    let Some(kind) = kinds::by_resource("", "v1", plural) else {
        return Err(ApiError::bad_request(format!("{plural} are not served by this cluster yet")));
    };
    let record = view.get(&object::key(kind, namespace, name)).ok_or_else(|| ApiError::not_found(kind, name))?;
    Ok(object::decode(record))
}
