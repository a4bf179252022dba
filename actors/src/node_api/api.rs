//! A node's questions to the API. Main type: [`Api`].

use std::sync::Arc;
use std::time::Duration;

use ::api::{kinds::Kind, meta};
use apiserver::ApiError;
use apiserver::client::PatchType;
use apiserver::route::Verb;
use serde_json::Value;
use tracing::debug;

use super::backend::{Backend, Feed};
use super::wire::{Call, Face};

/// Tries of one question. With the waits between them a voter's failover (about a second) is bridged.
const TRIES: u32 = 5;

/// Wait before the second try; doubles, spread by a random part.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Requests as this node. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    backend: Arc<dyn Backend>,
    face: Face,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("face", &self.face).finish_non_exhaustive()
    }
}

impl Api {
    /// As the node's kubelet.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, face: Face::Kubelet }
    }

    /// As another part of the node.
    #[must_use]
    pub fn of(&self, face: Face) -> Self {
        Self { face, ..self.clone() }
    }

    /// Reads one object.
    ///
    /// # Errors
    /// As the API tells its clients; 503 where no voter answers.
    pub async fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Value, ApiError> {
        self.call(Call::new(Verb::Get, kind, namespace, name)).await
    }

    /// Reads a collection as a `List`; `parameters` as in a URL.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn list(
        &self,
        kind: &'static Kind,
        namespace: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, ApiError> {
        self.call(Call { parameters: owned(parameters), ..Call::new(Verb::List, kind, namespace, "") }).await
    }

    /// Follows a collection once, to wherever that ends; [`super::Mirror`] goes on.
    ///
    /// # Errors
    /// As [`Api::get`]. Not tried again.
    pub async fn watch(
        &self,
        kind: &'static Kind,
        namespace: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Feed, ApiError> {
        let call = Call::new(Verb::Watch, kind, namespace, "");
        self.backend.watch(Call { face: self.face, parameters: owned(parameters), ..call }).await
    }

    /// Creates an object. A try whose outcome was unclear may make the next say 409.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn create(&self, kind: &'static Kind, namespace: &str, object: &Value) -> Result<Value, ApiError> {
        self.call(Call { body: object.clone(), ..Call::new(Verb::Create, kind, namespace, "") }).await
    }

    /// Posts to a part of an object, such as `token`.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn create_part(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        part: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.call(Call { part: part.to_owned(), body: body.clone(), ..Call::new(Verb::Create, kind, namespace, name) })
            .await
    }

    /// Replaces an object, or a part of it (`status`).
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn update(&self, kind: &'static Kind, part: &str, object: &Value) -> Result<Value, ApiError> {
        let call = Call::new(Verb::Update, kind, meta::namespace(object), meta::name(object));
        self.call(Call { part: part.to_owned(), body: object.clone(), ..call }).await
    }

    /// Patches an object, or a part of it (`status`).
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn patch(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        part: &str,
        patch: &Value,
        patch_type: PatchType,
    ) -> Result<Value, ApiError> {
        let call = Call::new(Verb::Patch, kind, namespace, name);
        self.call(Call { part: part.to_owned(), body: patch.clone(), patch: patch_type, ..call }).await
    }

    /// Deletes an object; `options` is a `DeleteOptions`, or null.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn delete(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        options: &Value,
    ) -> Result<Value, ApiError> {
        self.call(Call { body: options.clone(), ..Call::new(Verb::Delete, kind, namespace, name) }).await
    }

    async fn call(&self, call: Call) -> Result<Value, ApiError> {
        let call = Call { face: self.face, ..call };
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.backend.call(call.clone()).await {
                Err(error) if again(call.verb, &error) => {
                    debug!(verb = call.verb.as_str(), resource = call.kind.plural, %error, "asked again in {wait:?}");
                    tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>())).await;
                    wait *= 2;
                }
                told => return told,
            }
        }
        self.backend.call(call).await
    }
}

/// Whether the same question may be answered better in a moment.
fn again(verb: Verb, error: &ApiError) -> bool {
    match error.code() {
        429 | 500 | 502 | 503 => true,
        // Whether it was written is unknown: a second object of a generated name would be one too many.
        504 => verb != Verb::Create,
        _ => false,
    }
}

fn owned(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
