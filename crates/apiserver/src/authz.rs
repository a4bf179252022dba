//! May he? RBAC and the node authorizer, on an index that follows the store. Main type: [`Rules`].
//!
//! What this node has is asked first. A refusal gets a second chance on the newest state, so that whoever was told of a
//! grant, or of a pod bound to his node, may use it at once.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/>.

use std::{sync::Arc, time::Duration};

use api::{kinds::read::text, meta};
use auth::{
    Answer, Attributes, Authorizer, Chain,
    decision::{AlwaysAllowed, Masters},
    node::{NodeAuthorizer, NodeIndex, static_rules},
    rbac::{RbacIndex, Rule},
    user::ANONYMOUS,
};
use futures::{FutureExt, StreamExt, stream};
use parking_lot::RwLock;
use serde_json::Value;
use store::{Event, Freshness, ReadError, Scope};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::warn;

use crate::{
    http::query::Query,
    object,
    pipeline::{Request, User},
    route::{Target, Verb},
    shared::Shared,
    status::ApiError,
};

/// Prefix of all RBAC objects.
const PREFIX: &str = "rbac.authorization.k8s.io/";

/// Prefix of all pods, which say what a node needs.
const PODS: &str = "core/pods/";

/// Prefix of all PersistentVolumes, which say whose claim they are for.
const VOLUMES: &str = "core/persistentvolumes/";

/// Pause before the index is built anew after the store's watch ended.
const RESTART: Duration = Duration::from_millis(200);

/// Longest that a refusal waits for the newest state.
const SECOND_CHANCE: Duration = Duration::from_secs(1);

/// Who may do what, as of a moment ago.
#[derive(Debug)]
pub struct Rules {
    index: RwLock<RbacIndex>,
    nodes: RwLock<NodeIndex>,
    node_rules: Vec<Rule>,
    built: watch::Sender<bool>,
    /// How often it was asked that the index hold all that this node's store holds, and up to which of these it does.
    wanted: watch::Sender<u64>,
    reached: watch::Sender<u64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            index: RwLock::default(),
            nodes: RwLock::default(),
            node_rules: static_rules(),
            built: watch::Sender::new(false),
            wanted: watch::Sender::new(0),
            reached: watch::Sender::new(0),
        }
    }
}

impl Rules {
    /// Resolves once the index holds what the store held.
    pub async fn built(&self) {
        let mut built = self.built.subscribe();
        _ = built.wait_for(|built| *built).await;
    }

    /// Is the index there yet?
    #[must_use]
    pub fn is_built(&self) -> bool {
        *self.built.borrow()
    }

    /// Asks all authorizers in turn.
    #[must_use]
    pub fn ask(&self, request: &Attributes<'_>) -> Answer {
        self.with(|_, all| all.authorize(request))
    }

    /// Runs with the index, and with all authorizers.
    pub fn with<T>(&self, run: impl FnOnce(&RbacIndex, &dyn Authorizer) -> T) -> T {
        let (index, nodes) = (self.index.read(), self.nodes.read());
        let node = NodeAuthorizer { index: &nodes, rules: &self.node_rules };
        run(&index, &Chain(&[&Masters, &AlwaysAllowed, &node, &*index]))
    }

    /// Runs with what is known of which node uses what.
    pub fn with_nodes<T>(&self, run: impl FnOnce(&NodeIndex) -> T) -> T {
        run(&self.nodes.read())
    }

    /// Resolves once the index holds all that the store held at the call.
    async fn caught_up(&self) {
        let mut mine = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            mine = *wanted;
        });
        _ = self.reached.subscribe().wait_for(|reached| *reached >= mine).await;
    }

    fn apply(&self, event: &Event) {
        let object = object::decode(event.subject());
        let (namespace, name) = (meta::namespace(&object), meta::name(&object));
        let (key, is_there) = (&event.subject().key, event.new.is_some());
        match (key.starts_with(PODS), key.starts_with(VOLUMES)) {
            (true, _) if is_there => self.nodes.write().put(&object),
            (true, _) => self.nodes.write().remove(namespace, name),
            (_, true) if is_there => self.nodes.write().put_volume(&object),
            (_, true) => self.nodes.write().remove_volume(name),
            _ if is_there => _ = self.index.write().put(&object),
            _ => self.index.write().remove(meta::kind(&object), namespace, name),
        }
    }
}

/// Keeps the index equal to the store until the server stops.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut told = false;
    loop {
        let started = Instant::now();
        tokio::select! {
            () = shared.closing.cancelled() => return,
            ended = follow_once(&shared) => if let Err(error) = ended {
                // Told once for each time that it was in order before.
                told &= started.elapsed() < RESTART;
                if !std::mem::replace(&mut told, true) {
                    warn!(%error, "RBAC index is rebuilt");
                }
            },
        }
        tokio::time::sleep(RESTART).await;
    }
}

async fn follow_once(shared: &Shared) -> Result<(), ApiError> {
    let rules = &shared.rules;
    let mut wanted = rules.wanted.subscribe();
    let view = shared.storage.read(Freshness::Any).await?;
    let watch = |prefix: &str| shared.storage.watch(Scope { prefix: prefix.into(), index: None }, view.revision());
    let mut events = stream::select_all([watch(PREFIX)?, watch(PODS)?, watch(VOLUMES)?]);
    let (mut index, mut nodes) = (RbacIndex::new(), NodeIndex::new());
    view.range(PREFIX, None).for_each(|record| _ = index.put(&object::decode(record)));
    view.range(PODS, None).for_each(|record| nodes.put(&object::decode(record)));
    view.range(VOLUMES, None).for_each(|record| nodes.put_volume(&object::decode(record)));
    *rules.index.write() = index;
    *rules.nodes.write() = nodes;
    rules.built.send_replace(true);
    loop {
        // Events are told before a state that holds them is: after those that wait, all that was there is known.
        let asked = *wanted.borrow_and_update();
        while let Some(batch) = events.next().now_or_never() {
            let Some(batch) = batch else { return Ok(()) };
            batch?.iter().for_each(|event| rules.apply(event));
        }
        rules.reached.send_if_modified(|reached| std::mem::replace(reached, asked) != asked);
        tokio::select! {
            batch = events.next() => match batch {
                Some(batch) => batch?.iter().for_each(|event| rules.apply(event)),
                None => return Ok(()),
            },
            _ = wanted.changed() => {}
        }
    }
}

/// Waits until the index holds all that is acknowledged. Tells whether it does: not for strangers, who have been told of
/// nothing, nor without a quorum.
pub(crate) async fn catch_up(shared: &Shared, user: &User) -> bool {
    let newest = async {
        shared.storage.read(Freshness::Linearizable).await?;
        shared.rules.caught_up().await;
        Ok::<_, ReadError>(())
    };
    user.name != ANONYMOUS && matches!(timeout(SECOND_CHANCE, newest).await, Ok(Ok(())))
}

/// Asks whether a user may, and once more on the newest state where he may not.
///
/// # Errors
/// The last refusal.
pub(crate) async fn ask<T, E>(shared: &Shared, user: &User, may: impl Fn(&Rules) -> Result<T, E>) -> Result<T, E> {
    match may(&shared.rules) {
        Err(_) if catch_up(shared, user).await => may(&shared.rules),
        told => told,
    }
}

/// May this request go on?
///
/// # Errors
/// 403 where not.
pub(crate) async fn resource(shared: &Shared, request: &Request) -> Result<(), ApiError> {
    self::target(shared, &request.user, request.verb, &request.target, &request.query).await
}

/// May this user do this to that?
///
/// # Errors
/// 403 where not.
pub(crate) async fn target(
    shared: &Shared,
    user: &User,
    verb: Verb,
    target: &Target,
    query: &Query,
) -> Result<(), ApiError> {
    let field_selector = query.get("fieldSelector").unwrap_or_default();
    let mut asked = Attributes {
        version: target.kind.version,
        subresource: target.sub.map_or("", |sub| sub.name),
        field_selector,
        label_selector: query.get("labelSelector").unwrap_or_default(),
        ..Attributes::resource(
            user,
            verb.as_str(),
            target.kind.group,
            target.kind.plural,
            &target.namespace,
            &target.name,
        )
    };
    if asked.name.is_empty() {
        asked.name = asked.selected("metadata.name").unwrap_or_default();
    }
    let told = ask(shared, user, |rules| granted(rules.ask(&asked))).await;
    told.map_err(|answer| ApiError::forbidden(target.kind, &target.name, answer.message(&asked)))
}

/// May this user touch this path?
///
/// # Errors
/// 403 where not.
pub(crate) async fn path(shared: &Shared, user: &User, verb: &str, path: &str) -> Result<(), ApiError> {
    let asked = Attributes::path(user, verb, path);
    let told = ask(shared, user, |rules| granted(rules.ask(&asked))).await;
    told.map_err(|_| ApiError::forbidden_path(&user.name, verb, path))
}

fn granted(answer: Answer) -> Result<(), Answer> {
    if answer.is_allowed() { Ok(()) } else { Err(answer) }
}

/// Nobody grants what he does not hold: the check of a role or binding that is written.
///
/// # Errors
/// 403, or 404 where a binding names a role that is not there.
pub(crate) fn escalation(shared: &Shared, request: &Request, new: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let kind = request.target.kind;
    if kind.group != auth::rbac::GROUP {
        return Ok(());
    }
    let checked = shared.rules.with(|index, all| match kind.kind {
        "Role" | "ClusterRole" => auth::rbac::check_role(index, all, &request.user, new, old),
        _ => auth::rbac::check_binding(index, all, &request.user, new, old),
    });
    checked.map_err(|error| match error {
        auth::rbac::EscalationError::Forbidden(why) => ApiError::forbidden(kind, text(new, "/metadata/name"), why),
        missing @ auth::rbac::EscalationError::NoRole { .. } => {
            api::status::Status::failure(404, "NotFound", missing.to_string(), None).into()
        }
    })
}
