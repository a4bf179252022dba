//! The same pipeline without HTTP: what controllers, the scheduler and kubelets of this node write and read through.
//! Authorization, admission and ownership see these requests like any other. Main type: [`Client`].

use std::sync::Arc;

use api::kinds::Kind;
use bytes::Bytes;
use serde_json::Value;

use crate::{
    http::query::Query,
    object,
    pipeline::{self, Answer, BodyType, Items, Object, Request, User},
    route::{Target, Verb},
    shared::Shared,
    status::ApiError,
    verbs::watch::Feed,
};

/// Requests as one user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    user: Arc<User>,
    agent: String,
    term: Option<u64>,
}

/// How a patch is written.
pub use crate::pipeline::BodyType as PatchType;

impl Client {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, user: Arc::new(User::anonymous()), agent: "mesh".into(), term: None }
    }

    /// As this user; `agent` is the field manager of what it writes.
    #[must_use]
    pub fn of(&self, user: User, agent: &str) -> Self {
        Self { user: Arc::new(user), agent: agent.to_owned(), ..self.clone() }
    }

    /// Writes only while this leadership term lasts.
    #[must_use]
    pub fn fenced(&self, term: u64) -> Self {
        Self { term: Some(term), ..self.clone() }
    }

    /// Reads one object.
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Value, ApiError> {
        self.object(Verb::Get, Target::new(kind, namespace, name), Vec::new(), Bytes::new(), BodyType::Json).await
    }

    /// Reads a collection; `parameters` as in a URL (`labelSelector`, `limit`, ...).
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn list(
        &self,
        kind: &'static Kind,
        namespace: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Items, ApiError> {
        match self
            .run(Verb::List, Target::new(kind, namespace, ""), owned(parameters), Bytes::new(), BodyType::Json)
            .await?
        {
            Answer::List(items) => Ok(items),
            other => Err(unexpected(&other)),
        }
    }

    /// Follows a collection.
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn watch(
        &self,
        kind: &'static Kind,
        namespace: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Box<Feed>, ApiError> {
        match self
            .run(Verb::Watch, Target::new(kind, namespace, ""), owned(parameters), Bytes::new(), BodyType::Json)
            .await?
        {
            Answer::Watch(feed) => Ok(feed),
            other => Err(unexpected(&other)),
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn create(&self, kind: &'static Kind, namespace: &str, object: &Value) -> Result<Value, ApiError> {
        let body = Bytes::from(object.to_string());
        self.object(Verb::Create, Target::new(kind, namespace, ""), Vec::new(), body, BodyType::Json).await
    }

    /// Posts to a part of an object, such as `token`.
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn create_part(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        part: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let target = part_of(Target::new(kind, namespace, name), part)?;
        self.object(Verb::Create, target, Vec::new(), Bytes::from(body.to_string()), BodyType::Json).await
    }

    /// Replaces an object, or a part of it (`status`).
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn update(&self, kind: &'static Kind, part: &str, object: &Value) -> Result<Value, ApiError> {
        let (namespace, name) = (api::meta::namespace(object), api::meta::name(object));
        let target = part_of(Target::new(kind, namespace, name), part)?;
        self.object(Verb::Update, target, Vec::new(), Bytes::from(object.to_string()), BodyType::Json).await
    }

    /// Patches an object, or a part of it (`status`).
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn patch(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        part: &str,
        patch: &Value,
        patch_type: PatchType,
    ) -> Result<Value, ApiError> {
        let target = part_of(Target::new(kind, namespace, name), part)?;
        self.object(Verb::Patch, target, Vec::new(), Bytes::from(patch.to_string()), patch_type).await
    }

    /// Deletes an object; `options` is a `DeleteOptions`, or null.
    ///
    /// # Errors
    /// As the API tells its clients.
    pub async fn delete(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        options: &Value,
    ) -> Result<Value, ApiError> {
        let body = if options.is_null() { Bytes::new() } else { Bytes::from(options.to_string()) };
        self.object(Verb::Delete, Target::new(kind, namespace, name), Vec::new(), body, BodyType::Json).await
    }

    async fn object(
        &self,
        verb: Verb,
        target: Target,
        query: Vec<(String, String)>,
        body: Bytes,
        body_type: BodyType,
    ) -> Result<Value, ApiError> {
        let kind = target.kind;
        match self.run(verb, target, query, body, body_type).await? {
            Answer::Object(Object::Stored(record)) => Ok(object::served(kind, &record)),
            Answer::Object(Object::Made(value)) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    async fn run(
        &self,
        verb: Verb,
        target: Target,
        query: Vec<(String, String)>,
        body: Bytes,
        body_type: BodyType,
    ) -> Result<Answer, ApiError> {
        let request = Request {
            user: Arc::clone(&self.user),
            verb,
            target,
            query: Query::from_pairs(query),
            body,
            body_type,
            user_agent: self.agent.clone(),
            term: self.term,
            now: clock::now(),
        };
        pipeline::run(&self.shared, request).await.map(|reply| reply.answer)
    }
}

fn owned(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn part_of(target: Target, part: &str) -> Result<Target, ApiError> {
    if part.is_empty() {
        return Ok(target);
    }
    let sub = target.kind.subresource(part).ok_or_else(ApiError::no_such_path)?;
    Ok(Target { sub: Some(sub), ..target })
}

fn unexpected(answer: &Answer) -> ApiError {
    ApiError::internal(format!("the pipeline answered with {answer:?}"))
}
