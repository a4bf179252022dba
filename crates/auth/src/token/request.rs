//! TokenRequest, the `token` subresource of ServiceAccounts. Main type: [`TokenSpec`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>.

use api::{
    field::{Errors, Path},
    kinds::read::{items, text},
};
use serde_json::Value;

use super::{Bound, Claims, Reference};
use crate::user::service_account_name;

/// Seconds a token lives if the request does not say.
pub const DEFAULT_SECONDS: i64 = 3600;

/// Fewest seconds a token may live.
const MIN_SECONDS: i64 = 600;

/// Most seconds a token may live by upstream's rule.
const MAX_SECONDS: i64 = 1 << 32;

/// What a TokenRequest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// For whom; the API's own audiences if it says nothing.
    pub audiences: Vec<String>,
    /// Lifetime in seconds.
    pub seconds: i64,
    /// Kind of the object to bind to (`Pod`, `Secret`, `Node`), if any, and which.
    pub bound: Option<(String, Reference)>,
}

/// Checks a TokenRequest: upstream's field errors.
pub fn validate_request(request: &Value, errors: &mut Errors) {
    let spec = Path::new("spec");
    let path = spec.child("expirationSeconds");
    let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS);
    if seconds < MIN_SECONDS {
        errors.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > MAX_SECONDS {
        errors.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    if let Some(object) = request.pointer("/spec/boundObjectRef").filter(|value| value.is_object()) {
        let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        if !matches!((version, kind), ("v1", "Pod" | "Secret" | "Node")) {
            let detail = "cannot bind token to this object: only v1 Pod, Secret and Node are supported";
            errors.invalid(&spec.child("boundObjectRef"), format!("{version}, Kind={kind}"), detail);
        }
    }
}

/// Reads a TokenRequest that is valid.
#[must_use]
pub fn read_request(request: &Value, api_audiences: &[String]) -> TokenSpec {
    let audiences = items(request, "/spec/audiences").iter().filter_map(Value::as_str).map(str::to_owned);
    let audiences: Vec<String> = audiences.collect();
    let object = request.pointer("/spec/boundObjectRef").filter(|object| object.is_object());
    let reference =
        |object: &Value| Reference { name: text(object, "/name").to_owned(), uid: text(object, "/uid").to_owned() };
    TokenSpec {
        audiences: if audiences.is_empty() { api_audiences.to_vec() } else { audiences },
        seconds: request.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS),
        bound: object.map(|object| (text(object, "/kind").to_owned(), reference(object))),
    }
}

impl TokenSpec {
    /// The claims of a token for a ServiceAccount. `now` is Unix time in seconds; `node` is where a bound pod runs.
    /// The uid of the bound object must have been filled in from what is stored.
    #[must_use]
    pub fn claims(&self, namespace: &str, account: Reference, node: Option<Reference>, id: &str, now: i64) -> Claims {
        let bound = |kind: &str| self.bound.as_ref().filter(|(own, _)| own == kind).map(|(_, object)| object.clone());
        Claims {
            aud: self.audiences.clone(),
            exp: now.saturating_add(self.seconds),
            iat: now,
            iss: String::new(),
            jti: id.to_owned(),
            nbf: now,
            sub: service_account_name(namespace, &account.name),
            bound: Bound {
                namespace: namespace.to_owned(),
                node: bound("Node").or(node),
                pod: bound("Pod"),
                secret: bound("Secret"),
                serviceaccount: account,
            },
        }
    }
}
