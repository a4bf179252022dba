//! One node from start to stop: founds, joins or resumes, then starts the actors. Main type: [`Node`].

use std::sync::Arc;
use std::time::Duration;

use net::Protocol;
use net::gossip::{Gossip, GossipConfig};
use net::pipe::{PipeListener, PipeServer};
use parking_lot::Mutex;
use store::{Scope, Storage};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tracing::{info, warn};

use crate::admission::Admission;
use crate::boot::{self, Booted};
use crate::config::Config;
use crate::context::Context;
use crate::host::{Handle, Observation};
use crate::rpc::Rpc;
use crate::stage::Stage;
use crate::{api, chaos, controllers, dataplane, drain, kubelet, metrics, node_api, peers, scheduler, voters};

pub use crate::boot::{Entrance, Origin, StartError};

/// Between two rounds of gossip: a crash is seen within about two seconds. Rounds are most of what an idle node computes.
const GOSSIP_INTERVAL: Duration = Duration::from_millis(300);

/// Wait before a watch that ended is opened anew.
const REWATCH_PAUSE: Duration = Duration::from_secs(1);

/// A running node. Dropping it ends its tasks; [`Node::stop`] does so in order.
pub struct Node {
    context: Arc<Context>,
    gossip: Gossip,
    origin: Origin,
    actors: Vec<Handle<()>>,
    controllers: controllers::Queues,
    kubelet: Option<kubelet::boot::Running>,
    tasks: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node. Binds both ports before it changes anything.
    ///
    /// # Errors
    /// [`StartError`] tells its user what to do.
    pub async fn start(stage: &Stage, config: Config, entrance: Entrance) -> Result<Self, StartError> {
        config.check()?;
        kubelet::boot::check(&config).await?;
        let listener = boot::listen(config.api_listen).await?;
        let Booted { context, origin } = boot::boot(config, entrance).await?;
        let context = Arc::new(context);
        let gossip = start_gossip(&context)?;
        let controllers = controllers::Queues::start(stage, &context);
        let mut node =
            Self { context, gossip, origin, actors: Vec::new(), controllers, kubelet: None, tasks: Mutex::default() };
        node.start_actors(stage);
        node.serve(listener);
        Ok(node)
    }

    fn start_actors(&mut self, stage: &Stage) {
        let (context, live) = (self.context.clone(), self.gossip.live());
        let peers = stage.host(peers::rules(), move || peers::Peers::new(context.clone()));
        let context = self.context.clone();
        let api = stage.host(api::rules(), move || api::Api::new(context.clone()));
        let (context, heard) = (self.context.clone(), live.clone());
        let voters = stage.host(voters::RULES, move || voters::Voters::new(context.clone(), heard.clone()));
        let (context, queues) = (self.context.clone(), self.controllers.clone());
        let feed =
            stage.host(controllers::feed_rules(), move || controllers::Feed::new(context.clone(), queues.clone()));
        let context = self.context.clone();
        let scheduler = stage.host(scheduler::rules(), move || scheduler::Scheduler::new(context.clone()));
        let admission = Admission { context: self.context.clone(), voters: voters.clone() };
        self.context.endpoint.admit(Arc::new(admission));
        self.actors = vec![peers, api, voters.clone(), feed, scheduler];
        let tasks = self.tasks.get_mut();
        self.kubelet = kubelet::start(stage, &self.context, tasks);
        if self.context.config.pods {
            let (context, api) = (self.context.clone(), kubelet::boot::api(&self.context));
            let feeder = move || dataplane::Feeder::new(context.clone(), &api);
            self.actors.push(stage.host(dataplane::feeder::rules(), feeder));
        }
        tasks.spawn(refresh_on_membership(self.context.clone(), self.actors.clone()));
        tasks.spawn(refresh_on(self.context.raft.leadership(), self.actors.clone()));
        tasks.spawn(refresh_on(self.context.cluster_key.subscribe(), self.actors.clone()));
        let (context, heard) = (self.context.clone(), live.clone());
        tasks.spawn(async move { context.liveness.follow(heard).await });
        tasks.spawn(metrics::count(self.context.clone(), live.clone()));
        tasks.spawn(refresh_on(live, vec![voters]));
        if let Some(hooks) = self.context.config.chaos_hooks.clone() {
            tasks.spawn(chaos::follow_clock(hooks));
        }
    }

    fn serve(&mut self, listener: TcpListener) {
        let Context { endpoint, raft, peers, .. } = &*self.context;
        let (serving, members) = (self.context.clone(), peers.clone());
        let local = move || serving.api.borrow().as_ref().map(|serving| serving.server.client());
        let name_of = move |id| members.load().get(id).map(|peer| peer.name.clone());
        let asked = node_api::Server::new(Arc::new(local), Arc::new(name_of));
        let rpc = Rpc { context: self.context.clone(), api: asked, agreement: raft.rpc_service() };
        endpoint.serve(Protocol::Raft, raft.raft_service());
        endpoint.serve(Protocol::Rpc, Arc::new(rpc));
        endpoint.serve(Protocol::Gossip, self.gossip.handler());
        endpoint.serve(Protocol::Pipe, PipeServer::new(Arc::new(api::Piped(self.context.clone()))));
        let pipe = PipeListener::new(Arc::new(endpoint.clone()), peers.clone(), self.gossip.live());
        self.tasks.get_mut().spawn(api::accept(self.context.clone(), listener, pipe));
    }

    /// What the node's parts share.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// How it came to be part of the cluster.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Who is heard of.
    pub fn live(&self) -> watch::Receiver<std::collections::BTreeSet<net::NodeId>> {
        self.gossip.live()
    }

    /// The actors' states.
    pub async fn observe(&self) -> Vec<Observation> {
        let actors = futures::future::join_all(self.actors.iter().map(Handle::observe));
        let controllers = futures::future::join_all(self.controllers.hosts().map(Handle::observe));
        let (actors, controllers) = tokio::join!(actors, controllers);
        actors.into_iter().chain(controllers).flatten().collect()
    }

    /// Returns only once the agreement has ended on this node although nobody stopped it.
    pub async fn broken(&self) -> consensus::Broken {
        self.context.raft.broken().await
    }

    /// Asks this node's pods to go, once: see [`drain::pass`], which is to be repeated until none is left.
    ///
    /// # Errors
    /// [`drain::DrainError`].
    pub async fn drain(&self, options: drain::Options) -> Result<drain::Pass, drain::DrainError> {
        match &self.kubelet {
            Some(kubelet) => drain::pass(&kubelet.machine.api, &self.context.name, options).await,
            None => Ok(drain::Pass::default()),
        }
    }

    /// Ends whatever pods still run here: this machine is no node of the cluster any more.
    pub async fn end_pods(&self) {
        let Some(kubelet) = &self.kubelet else { return };
        match kubelet::end::all(&kubelet.machine).await {
            0 => info!("no pod runs here any more"),
            left => warn!(left, "pods did not end; a reboot ends them"),
        }
    }

    /// Stops in reverse: no new work, requests drain, leadership is handed over, peers are told goodbye.
    pub async fn stop(&self) {
        if let Some(kubelet) = &self.kubelet {
            kubelet.pods.stop().await;
            kubelet.node.stop().await;
        }
        for actor in &self.actors {
            actor.stop().await;
        }
        for controller in self.controllers.hosts() {
            controller.stop().await;
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        if let Some(server) = self.context.api.send_replace(None) {
            server.drain().await;
        }
        self.context.raft.shutdown().await;
        self.context.endpoint.close().await;
    }
}

fn start_gossip(context: &Context) -> Result<Gossip, StartError> {
    let known = context.home.membership()?.ok_or(StartError::Unfounded)?;
    let config = GossipConfig {
        id: context.id(),
        // Not the incarnation: who outlives a recovery goes on hearing the others, and all connections are between members.
        cluster: format!("{}.0", known.cluster),
        generation: u64::try_from(clock::unix_millis()).unwrap_or_default(),
        interval: GOSSIP_INTERVAL,
    };
    Ok(Gossip::start(config, Arc::new(context.endpoint.clone()), context.peers.clone()))
}

/// Wakes the actors whenever what a channel holds has changed.
async fn refresh_on<T: Send + Sync + 'static>(mut changes: watch::Receiver<T>, actors: Vec<Handle<()>>) {
    while changes.changed().await.is_ok() {
        changes.mark_unchanged();
        actors.iter().for_each(|actor| actor.refresh(()));
    }
}

/// Wakes the actors whenever the replicated membership has changed in this node's state.
async fn refresh_on_membership(context: Arc<Context>, actors: Vec<Handle<()>>) {
    loop {
        actors.iter().for_each(|actor| actor.refresh(()));
        let scope = Scope { prefix: "mesh/".into(), index: None };
        let news = match context.view().await {
            Ok(view) => context.raft.watch(scope, view.revision()).ok(),
            Err(_) => None,
        };
        if let Some(mut news) = news {
            actors.iter().for_each(|actor| actor.refresh(()));
            while let Some(Ok(_)) = news.next().await {
                actors.iter().for_each(|actor| actor.refresh(()));
            }
        }
        tokio::time::sleep(REWATCH_PAUSE).await;
    }
}
