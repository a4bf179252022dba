//! The one path of every request on an object, whoever sends it: from [`Request`] to [`Reply`].
//! Authorization comes first, then the verb. HTTP is in front of it ([`crate::serve`]), or nothing is ([`crate::client`]).

use std::sync::Arc;

use api::kinds::endpoints::ENDPOINTS;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use store::{Record, Revision};

use crate::{
    authz,
    http::query::Query,
    route::{Target, Verb},
    shared::Shared,
    status::ApiError,
    verbs::{self, watch::Feed},
};

/// Who asks.
pub type User = auth::User;

/// Media type of a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    /// JSON.
    #[default]
    Json,
    /// YAML, or JSON, which is YAML.
    Yaml,
    /// Protobuf, of a built-in kind.
    Protobuf,
    /// RFC 6902.
    JsonPatch,
    /// RFC 7396.
    MergePatch,
    /// Kubernetes strategic merge patch.
    StrategicPatch,
    /// Server-side apply.
    Apply,
}

/// One request on an object or a collection.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks, after impersonation.
    pub user: Arc<User>,
    /// What is to be done.
    pub verb: Verb,
    /// To what.
    pub target: Target,
    /// Its options, as in a URL.
    pub query: Query,
    /// What was sent along; empty if nothing.
    pub body: Bytes,
    /// How that is written.
    pub body_type: BodyType,
    /// The client's name for itself: the default field manager.
    pub user_agent: String,
    /// Leadership term in which a write must be applied, if it matters.
    pub term: Option<u64>,
    /// When it came.
    pub now: Timestamp,
}

/// An object in an answer.
#[derive(Clone, Debug)]
pub enum Object {
    /// As stored, in storage form; its bytes need no parsing.
    Stored(Arc<Record>),
    /// In served form.
    Made(Value),
}

/// A collection at one revision.
#[derive(Clone, Debug)]
pub struct Items {
    /// The collection's revision.
    pub revision: Revision,
    /// Its objects, in key order.
    pub records: Vec<Arc<Record>>,
    /// Where to go on; empty at the end.
    pub continue_token: String,
    /// How many are left after this page, where known.
    pub remaining: Option<usize>,
}

/// What an answer says.
#[derive(Debug)]
pub enum Answer {
    /// One object.
    Object(Object),
    /// A collection.
    List(Items),
    /// Changes, until either side ends it.
    Watch(Box<Feed>),
}

/// An answer that says yes.
#[derive(Debug)]
pub struct Reply {
    /// 200, 201 or 202.
    pub code: u16,
    /// What it says.
    pub answer: Answer,
    /// Texts for `Warning: 299`.
    pub warnings: Vec<String>,
}

impl Reply {
    /// 200 with an object.
    #[must_use]
    pub fn ok(object: Object) -> Self {
        Self { code: 200, answer: Answer::Object(object), warnings: Vec::new() }
    }

    /// 201 with an object.
    #[must_use]
    pub fn created(object: Object) -> Self {
        Self { code: 201, ..Self::ok(object) }
    }

    /// Adds warnings.
    #[must_use]
    pub fn warn(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

/// Authorizes and answers one request.
///
/// # Errors
/// What the client is to be told.
pub async fn run(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    if !request.target.serves(request.verb) {
        return Err(ApiError::method_not_allowed());
    }
    authz::resource(shared, &request).await?;
    let old = deprecated(&request);
    verbs::answer(shared, request).await.map(|reply| reply.warn(old))
}

/// Tells a client that the kind it asks for has a successor.
fn deprecated(request: &Request) -> Option<String> {
    const WARNING: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    std::ptr::eq(request.target.kind, &ENDPOINTS).then(|| WARNING.to_owned())
}
