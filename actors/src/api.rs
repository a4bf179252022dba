//! Runs this node's API server while the node is a voter, and gives every connection to it or to another voter's.
//! TLS ends on the voter: a node that is none sees only encrypted bytes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apiserver::ApiServer;
use futures::future::BoxFuture;
use membership::{Member, Role, member};
use net::NodeId;
use net::ca::San;
use net::pipe::{AcceptStream, PipeListener, PipeStream};
use parking_lot::Mutex;
use store::View;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::context::{Context, Serving};
use crate::host::{Error, Next, Rules, Work};
use crate::metrics;
use crate::secrets::{CERTIFICATE_VALIDITY, Secrets};
use crate::streams::Nodes;

/// Looked at although nothing was heard.
const PERIOD: Duration = Duration::from_secs(10);

/// Pause after the system could not accept (out of descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections of clients to this node, local or piped on; as many as an API server takes.
const CONNECTIONS: usize = 8192;

/// How the host treats [`Api`].
pub fn rules() -> Rules<()> {
    Rules { name: "api", deadline: Duration::from_secs(30), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head.
pub struct Api {
    context: Arc<Context>,
    /// Names the present server's certificate carries.
    names: Mutex<BTreeSet<String>>,
    /// When it was issued.
    issued: Mutex<SystemTime>,
    bootstrapped: Mutex<Option<u64>>,
}

impl Api {
    /// Serves the node of this context.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, names: Mutex::default(), issued: SystemTime::UNIX_EPOCH.into(), bootstrapped: Mutex::default() }
    }

    async fn refresh(&self) -> Result<Next, Error> {
        let view = self.context.view().await?;
        let voter = member::member(&view, self.context.id()).is_some_and(|member| member.role == Role::Voter);
        let key = self.context.cluster_key.borrow().clone();
        let (true, Some(key)) = (voter, key) else {
            self.stop();
            return Ok(Next::Done);
        };
        let secrets = Secrets::open(&view, &key)?;
        self.start(&view, &secrets)?;
        self.bootstrap(&secrets).await?;
        Ok(Next::Done)
    }

    fn stop(&self) {
        if let Some(server) = self.context.api.send_replace(None) {
            info!("API server ends: this node votes no longer");
            tokio::spawn(async move { server.drain().await });
        }
        self.names.lock().clear();
    }

    /// Starts the server, or gives it a new certificate where the members' names have changed or the present one ages.
    fn start(&self, view: &View, secrets: &Secrets) -> Result<(), Error> {
        let (names, now) = (names(view), clock::system());
        if *self.names.lock() == names && fresh(*self.issued.lock(), now) {
            return Ok(());
        }
        let sans = names.iter().map(|name| san(name)).collect();
        let secrets = secrets.for_api_server(&self.context.name, sans, now)?;
        let running = self.context.api.borrow().clone();
        match running {
            Some(running) => running.server.set_serving(&secrets)?,
            None => {
                let server = ApiServer::new(self.context.raft.clone(), settings(view, &self.context), &secrets)?;
                server.reach(Arc::new(Nodes::new(self.context.clone())));
                let collector = metrics::collector(self.context.clone());
                server.metrics().register(|registry| registry.register_collector(collector));
                self.context.api.send_replace(Some(Serving::start(server)));
                info!(listen = %self.context.config.api_listen, "API server runs");
            }
        }
        (*self.names.lock(), *self.issued.lock()) = (names, now);
        Ok(())
    }

    /// Once in each term that this node leads: what every cluster must hold.
    async fn bootstrap(&self, secrets: &Secrets) -> Result<(), Error> {
        let Some(term) = self.context.leading() else { return Ok(()) };
        let server = self.context.api.borrow().clone();
        if let Some(server) = server.filter(|_| *self.bootstrapped.lock() != Some(term)) {
            server.server.bootstrap(&secrets.api_authority_pem()).await?;
            *self.bootstrapped.lock() = Some(term);
        }
        Ok(())
    }
}

impl Work for Api {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.refresh())
    }
}

/// Whether a certificate of then need not be issued anew: neither near its end, nor from a future that the clock has left.
fn fresh(issued: SystemTime, now: SystemTime) -> bool {
    now.duration_since(issued).is_ok_and(|age| age < CERTIFICATE_VALIDITY / 2)
}

/// The operator's settings, with the cluster's ranges.
fn settings(view: &View, context: &Context) -> apiserver::Config {
    let ranges = member::cluster(view).map(|cluster| cluster.service_ranges).unwrap_or_default();
    let mut settings = context.config.api.clone();
    if !ranges.is_empty() {
        settings.service_ranges = ranges.iter().map(ToString::to_string).collect();
    }
    settings
}

/// Names and addresses clients may call any member by: the connection may end on this voter.
fn names(view: &View) -> BTreeSet<String> {
    let domain = member::cluster(view).map(|cluster| cluster.domain).unwrap_or_default();
    let fixed = ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut names: BTreeSet<String> = fixed.map(str::to_owned).into();
    names.insert(format!("kubernetes.default.svc.{domain}"));
    let services = member::cluster(view).map(|cluster| cluster.service_ranges).unwrap_or_default();
    names.extend(services.iter().filter_map(|range| range.hosts().next()).map(|ip| ip.to_string()));
    for Member { name, addresses, api_addresses, .. } in member::members(view) {
        names.insert(name);
        names.extend(addresses.iter().chain(&api_addresses).map(|address| address.ip().to_string()));
    }
    names
}

fn san(name: &str) -> San {
    name.parse::<IpAddr>().map_or_else(|_| San::Dns(name.into()), San::Ip)
}

/// Gives each client's connection to the API server here, or pipes it to a voter's, until dropped.
pub async fn accept(context: Arc<Context>, listener: TcpListener, pipe: Arc<PipeListener>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "client not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (server, pipe) = (context.api.borrow().clone(), pipe.clone());
        tokio::spawn(async move {
            // Answers are small and waited for: never hold them back.
            let _ = stream.set_nodelay(true);
            match server {
                Some(running) => running.server.serve_stream(stream).await,
                None => pipe.pipe(stream).await,
            }
            drop(slot);
        });
    }
}

/// The voter's side of a pipe.
#[derive(Debug)]
pub struct Piped(pub Arc<Context>);

impl AcceptStream for Piped {
    fn accept(&self, _: NodeId, stream: PipeStream) -> BoxFuture<'static, ()> {
        let server = self.0.api.borrow().clone();
        Box::pin(async move {
            if let Some(server) = server {
                server.server.serve_stream(stream).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_certificate_is_renewed_long_before_it_ends_and_when_the_clock_is_set_back() {
        let (issued, day) = (SystemTime::UNIX_EPOCH + CERTIFICATE_VALIDITY * 50, Duration::from_secs(86_400));
        assert!(fresh(issued, issued) && fresh(issued, issued + day * 180));
        assert!(!fresh(issued, issued + day * 183) && !fresh(issued, issued - day));
    }
}
