//! Carries out plans through the API pipeline, where authorization, admission and ownership see every write.

use api::kinds::event::CORE_EVENT;
use api::meta;
use apiserver::client::PatchType;
use apiserver::{ApiError, Client};
use controllers::{Action, Event, Only, Patch, Propagation, Target};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use tracing::debug;

use crate::context::Context;
use crate::local_volumes;

/// Writes of one plan under way at once: they share commits, and leave room for other writers.
const AT_ONCE: usize = 16;

/// An action that was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub(super) struct Failure {
    what: String,
    /// An object or data was to be made or removed, and not just told of.
    whole: bool,
    source: ApiError,
}

impl Failure {
    /// Whether the write may still happen.
    pub(super) fn is_unknown(&self) -> bool {
        self.source.code() >= 500
    }

    /// Whether the object is another than the one the plan was made for: worth a new plan at once.
    pub(super) fn is_conflict(&self) -> bool {
        self.source.code() == 409
    }

    /// Why an object could not be made or removed, in the API's words.
    pub(super) fn refused(&self) -> Option<String> {
        self.whole.then(|| self.source.to_string())
    }
}

/// By whom and in whose name actions are carried out.
#[derive(Clone, Copy)]
pub(super) struct Hands<'a> {
    pub(super) context: &'a Context,
    pub(super) client: &'a Client,
    /// Name of the controller.
    pub(super) controller: &'a str,
    pub(super) now: Timestamp,
}

/// Carries out all actions; tells of one that failed: an unknown outcome before others, a conflict after them.
///
/// # Errors
/// [`Failure`].
pub(super) async fn all(hands: Hands<'_>, actions: Vec<Action>) -> Result<(), Failure> {
    let under_way = stream::iter(actions).map(|action| one(hands, action));
    let ended: Vec<Result<(), Failure>> = under_way.buffer_unordered(AT_ONCE).collect().await;
    let failures = ended.into_iter().filter_map(Result::err);
    failures.max_by_key(|failure| (failure.is_unknown(), !failure.is_conflict())).map_or(Ok(()), Err)
}

/// One action, and what comes after it.
async fn one(hands: Hands<'_>, action: Action) -> Result<(), Failure> {
    let (first, second) = action.parted();
    single(hands, first).await?;
    match second {
        Some(second) => single(hands, second).await,
        None => Ok(()),
    }
}

async fn single(hands: Hands<'_>, action: Action) -> Result<(), Failure> {
    let client = hands.client;
    let what = describe(&action);
    let news = matches!(&action, Action::Create { kind, .. } if std::ptr::eq(*kind, &CORE_EVENT));
    let whole = !news && matches!(action, Action::Create { .. } | Action::Delete { .. } | Action::RemoveData { .. });
    let done = match action {
        Action::Create { kind, namespace, object } if news => {
            // News are worth no second try: what they tell of has happened.
            if let Err(error) = client.create(kind, &namespace, &object).await {
                debug!(%error, what, "not told");
            }
            Ok(())
        }
        Action::Create { kind, namespace, object } => but(409, client.create(kind, &namespace, &object).await),
        Action::Update { kind, part, object } => client.update(kind, part, &object).await.map(drop),
        Action::Patch { target, part, patch, only } => self::patch(client, &target, part, &patch, &only).await,
        Action::Delete { target, only, propagation } => delete(client, &target, &only, propagation, None).await,
        Action::Remove { target, only } => delete(client, &target, &only, None, Some(0)).await,
        Action::RemoveData { node, handle } => remove_data(hands.context, &node, &handle).await,
        Action::Event(event) => tell(hands, &event).await,
        // Parted before: nothing comes after what comes after.
        Action::Then(..) => Ok(()),
    };
    done.map_err(|source| Failure { what, whole, source })
}

/// This answer is as good as success.
fn but(code: u16, answer: Result<Value, ApiError>) -> Result<(), ApiError> {
    match answer {
        Err(error) if error.code() != code => Err(error),
        _ => Ok(()),
    }
}

async fn patch(client: &Client, target: &Target, part: &str, patch: &Patch, only: &Only) -> Result<(), ApiError> {
    let how = match patch {
        Patch::Merge(_) => PatchType::MergePatch,
        Patch::Json(_) => PatchType::JsonPatch,
    };
    let patch = patch.guarded(only);
    client.patch(target.kind, &target.namespace, &target.name, part, &patch, how).await.map(drop)
}

async fn delete(
    client: &Client,
    target: &Target,
    only: &Only,
    propagation: Option<Propagation>,
    grace_seconds: Option<i64>,
) -> Result<(), ApiError> {
    let mut options = json!({ "preconditions": { "uid": only.uid } });
    if let Some(version) = &only.version {
        options["preconditions"]["resourceVersion"] = version.as_str().into();
    }
    if let Some(propagation) = propagation {
        options["propagationPolicy"] = propagation.as_str().into();
    }
    if let Some(seconds) = grace_seconds {
        options["gracePeriodSeconds"] = seconds.into();
    }
    but(404, client.delete(target.kind, &target.namespace, &target.name, &options).await)
}

/// Whether it happened is not known where it failed: it is asked for again.
async fn remove_data(context: &Context, node: &str, handle: &str) -> Result<(), ApiError> {
    let removed = local_volumes::remove(context, node, handle).await;
    removed.map_err(|error| ApiError::unavailable(error.to_string()))
}

async fn tell(hands: Hands<'_>, event: &Event) -> Result<(), ApiError> {
    let (object, client) = (event.to_object(hands.controller, hands.now), hands.client);
    let (namespace, name) = (meta::namespace(&object), meta::name(&object));
    match client.create(&CORE_EVENT, namespace, &object).await {
        Err(error) if error.code() == 409 => {
            let news = json!({ "message": object["message"], "lastTimestamp": object["lastTimestamp"] });
            client.patch(&CORE_EVENT, namespace, name, "", &news, PatchType::MergePatch).await.map(drop)
        }
        other => other.map(drop),
    }
}

fn describe(action: &Action) -> String {
    let (verb, plural, namespace, name) = match action {
        Action::Create { kind, namespace, object } => ("create", kind.plural, namespace.as_str(), meta::name(object)),
        Action::Update { kind, object, .. } => ("update", kind.plural, meta::namespace(object), meta::name(object)),
        Action::Patch { target, .. } => ("patch", target.kind.plural, &*target.namespace, &*target.name),
        Action::Delete { target, .. } | Action::Remove { target, .. } => {
            ("delete", target.kind.plural, &*target.namespace, &*target.name)
        }
        Action::Then(first, _) => return describe(first),
        Action::RemoveData { node, handle } => ("remove", "data", &**node, &**handle),
        Action::Event(event) => ("tell", event.reason, meta::namespace(&event.about), meta::name(&event.about)),
    };
    format!("{verb} {plural} {namespace}/{name}")
}
