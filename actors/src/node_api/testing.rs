//! A cluster's API in memory, for tests of those who use it: the real pipeline over a store in memory, and voters that
//! are asked over channels in memory.

use std::sync::Arc;
use std::time::SystemTime;

use ::api::kinds::Kind;
use apiserver::{ApiServer, Client, Config};
use auth::User;
use futures::future::BoxFuture;
use net::{Caller, Channel, Dial, DialError, Method, NodeId, Protocol, Role};
use parking_lot::Mutex;
use serde_json::Value;
use store::{MemoryStorage, State};

use super::Api;
use super::backend::Members;
use super::server::Server;
use crate::secrets::Secrets;

/// A cluster of one store.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) admin: Client,
    follower: tokio::task::JoinHandle<()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let secrets = Secrets::create("test", SystemTime::now()).unwrap();
        let serving = secrets.for_api_server("localhost", Vec::new(), SystemTime::now()).unwrap();
        let storage = MemoryStorage::new(State::default());
        let server = ApiServer::new(Arc::new(storage), Config::default(), &serving).unwrap();
        server.bootstrap(&secrets.api_authority_pem()).await.unwrap();
        let followed = server.clone();
        let follower = tokio::spawn(async move { followed.follow().await });
        let admin = server.client().of(User::new("admin", &["system:masters"]), "test");
        Self { server, admin, follower }
    }

    pub(crate) async fn create(&self, kind: &'static Kind, namespace: &str, object: &Value) -> Value {
        self.admin.create(kind, namespace, object).await.unwrap()
    }

    /// The API as the node `n1`, in process.
    pub(crate) fn here(&self) -> Api {
        let client = self.server.client();
        let dial = Arc::new(Line::new(Vec::new()));
        let local = Arc::new(move || Some(client.clone()));
        Api::new(Arc::new(Members::new("n1".into(), local, dial, Arc::new(Vec::new))))
    }
}

/// Voters at the other end of channels in memory; `None` is one that serves no API just now.
#[derive(Clone)]
pub(crate) struct Line {
    voters: Arc<Mutex<Vec<Option<ApiServer>>>>,
    /// Each exchange runs while it holds one.
    exchanges: Arc<Mutex<Vec<tokio::task::JoinHandle<()>>>>,
}

impl Line {
    pub(crate) fn new(voters: Vec<Option<ApiServer>>) -> Self {
        Self { voters: Arc::new(Mutex::new(voters)), exchanges: Arc::default() }
    }

    /// The API as the node `n1`, which is no voter.
    pub(crate) fn api(&self) -> Api {
        let counted = self.clone();
        let voters = Arc::new(move || (0..counted.voters.lock().len() as u64).map(NodeId).collect());
        Api::new(Arc::new(Members::new("n1".into(), Arc::new(|| None), Arc::new(self.clone()), voters)))
    }

    pub(crate) fn set(&self, voter: usize, server: Option<ApiServer>) {
        self.voters.lock()[voter] = server;
    }

    /// Breaks all exchanges under way.
    pub(crate) fn cut(&self) {
        self.exchanges.lock().drain(..).for_each(|exchange| exchange.abort());
    }
}

impl Dial for Line {
    fn open(&self, to: NodeId, _: Protocol, method: Method) -> BoxFuture<'_, Result<Channel, DialError>> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (our_reader, our_writer) = tokio::io::split(ours);
        let (their_reader, their_writer) = tokio::io::split(theirs);
        let server = self.voters.lock().get(to.0 as usize).cloned().flatten();
        let local = Arc::new(move || server.as_ref().map(ApiServer::client));
        let name_of = Arc::new(|id: NodeId| (id == NodeId(77)).then(|| "n1".to_owned()));
        let channel = Channel::new(their_reader, their_writer);
        let exchange = Server::new(local, name_of).serve(Caller::Member(NodeId(77), Role::Worker), method, channel);
        self.exchanges.lock().push(tokio::spawn(exchange));
        Box::pin(async move { Ok(Channel::new(our_reader, our_writer)) })
    }
}
