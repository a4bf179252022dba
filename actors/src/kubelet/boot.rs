//! Starts a node's kubelet and wires its parts. Main function: [`start`]; [`check`] comes before anything is changed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::kubelet::observed::NodeFacts;
use api::kinds::{node::NODE, pod::POD, service::SERVICE};
use ipnet::IpNet;
use net::NodeId;
use net::pod::{PodNetwork, PodNetworkConfig};
use net::seal::SealKey;
use parking_lot::RwLock;
use runtime::ContainerRuntime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::events::Recorder;
use super::listing::Listing;
use super::machine::{Machine, Places};
use super::network::{Network, told};
use super::node_object::{self, NodeKeeper, Registration};
use super::references::Watched;
use super::store::{self, PodStore};
use super::{Kubelet, RULES, Uid, feed};
use crate::boot::StartError;
use crate::config::Config;
use crate::context::Context;
use crate::home::DISK_KEY;
use crate::host::Handle;
use crate::images::Shelves;
use crate::node_api::{Api, Members, Mirror};
use crate::rpc::Feed;
use crate::stage::Stage;

/// How long containerd may take to answer at the start.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(10);

/// Pause before the network is opened again after it could not be.
const NETWORK_PAUSE: Duration = Duration::from_secs(5);

/// Largest packet of a pod, in bytes: fits every path between nodes.
const POD_MTU: u32 = 1280;

/// Which address of the Services' range is the cluster's DNS: the tenth, by custom.
const DNS_ADDRESS: usize = 9;

/// Most processes of a container: one container must not take the machine's last process id.
const PIDS_MAX: i64 = 32_768;

/// A running kubelet.
#[derive(Debug)]
pub struct Running {
    /// What its parts share.
    pub machine: Arc<Machine>,
    /// Its pods.
    pub pods: Handle<Uid>,
    /// Its Node object.
    pub node: Handle<()>,
}

/// Whether this machine can run pods: asked before anything is changed on it.
///
/// # Errors
/// What is missing, and the remedy.
pub async fn check(config: &Config) -> Result<(), StartError> {
    if !config.pods {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(StartError::Runtime("it is not root".to_owned()));
    }
    // A member that is restarted serves the API and waits for containerd; one that is new must be told.
    if config.data_dir.join("member.json").exists() {
        return Ok(());
    }
    let runtime = crate::boot::runtime(config)?;
    let Some(runtime) = runtime else { return Ok(()) };
    let asked = tokio::time::timeout(RUNTIME_PATIENCE, runtime.version()).await;
    let refuse = |why: String| StartError::Containerd { socket: config.containerd.socket.clone(), why };
    match asked {
        Ok(Ok(version)) => {
            info!(runtime = version.name, version = version.version, "containers can be run");
            Ok(())
        }
        Ok(Err(error)) => Err(refuse(cause(&error))),
        Err(_) => Err(refuse(format!("no answer within {RUNTIME_PATIENCE:?}"))),
    }
}

/// What is at the bottom of an error.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

/// The API as this node, whether it serves it or asks a voter.
pub fn api(context: &Arc<Context>) -> Api {
    let (serving, peers) = (context.clone(), context.clone());
    let local = move || serving.api.borrow().as_ref().map(|serving| serving.server.client());
    let voters = move || -> Vec<NodeId> {
        let members = peers.peers.load();
        let voters = members.iter().filter(|peer| peer.role == net::Role::Voter && peer.id != peers.id());
        voters.map(|peer| peer.id).collect()
    };
    let dial = Arc::new(context.endpoint.clone());
    Api::new(Arc::new(Members::new(context.name.clone(), Arc::new(local), dial, Arc::new(voters))))
}

/// Starts the kubelet of a node that runs pods; its parts end with `tasks` and the stage.
pub fn start(stage: &Stage, context: &Arc<Context>, tasks: &mut JoinSet<()>) -> Option<Running> {
    let runtime = context.runtime.clone()?;
    let machine = Arc::new(machine(context, runtime));
    let made = machine.clone();
    let pods = stage.host(RULES, move || Kubelet::new(made.clone()));
    // Nobody else has it yet.
    let _ = machine.handle.set(pods.clone());
    machine.references.wake_by(pods.clone());
    let (registered, registration) = watch::channel(None);
    let selector = format!("metadata.name={}", machine.name);
    let own = Mirror::start(machine.api.clone(), &NODE, "", &[("fieldSelector", &selector)]);
    let (made, mirror) = (machine.clone(), own.clone());
    let node =
        stage.host(node_object::rules(), move || NodeKeeper::new(made.clone(), registration.clone(), mirror.clone()));
    tasks.spawn(feed::run(machine.clone()));
    tasks.spawn(follow_membership(context.clone(), machine.clone(), registered, node.clone()));
    tasks.spawn(wake_node(machine.clone(), own, node.clone()));
    Some(Running { machine, pods, node })
}

fn machine(context: &Arc<Context>, runtime: Arc<dyn ContainerRuntime>) -> Machine {
    let api = api(context);
    let data = absolute(&context.config.data_dir);
    let places = Places::within(&data);
    let selector = format!("spec.nodeName={}", context.name);
    let services = Mirror::start(api.clone(), &SERVICE, "", &[]);
    let pods = Mirror::start(api.clone(), &POD, "", &[("fieldSelector", &selector)]);
    // Made at boot, before any of this.
    let key = context.home.key(DISK_KEY).ok().flatten().unwrap_or_default();
    let last_known = Arc::new(PodStore::open(data.join(store::NAME), SealKey::from_bytes(key)));
    Machine {
        name: context.name.clone(),
        api: api.clone(),
        listing: Listing::new(runtime.clone()),
        pulled: context.pulled.clone(),
        shelves: Some(Shelves::new(context.clone())),
        runtime,
        network: watch::Sender::new(None),
        network_error: RwLock::default(),
        pods,
        references: Watched::new(api.clone(), services, last_known.clone()),
        last_known,
        recorder: Recorder::start(api, &context.name),
        node: watch::Sender::new(None),
        facts: RwLock::new(Arc::new(facts(context, &places))),
        places,
        handle: OnceLock::new(),
        ending: AtomicBool::new(false),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn facts(context: &Context, places: &Places) -> NodeFacts {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let hostname = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    NodeFacts {
        name: context.name.clone(),
        addresses: context.config.addresses().iter().map(|address| address.ip()).collect(),
        pods_dir: places.pods.clone(),
        volumes_dir: places.volumes.clone(),
        logs_dir: places.logs.clone(),
        cgroup_root: PathBuf::from("/mesh").join(&context.name).join("pods"),
        pids_max: Some(PIDS_MAX),
        resolv_conf: text("/etc/resolv.conf"),
        hosts: text("/etc/hosts"),
        hostname,
        runtime: "containerd".to_owned(),
        ..NodeFacts::default()
    }
}

/// Takes over what the replicated membership says of this node, and opens the network once its ranges are known.
async fn follow_membership(
    context: Arc<Context>,
    machine: Arc<Machine>,
    registered: watch::Sender<Option<Registration>>,
    node: Handle<()>,
) {
    let mut feed = context.feed.subscribe();
    let mut opened = false;
    loop {
        let known = feed.borrow_and_update().clone();
        if let Some((registration, cluster)) = known.as_deref().and_then(|feed| own(&context, feed)) {
            note_cluster(&machine, &cluster);
            let ranges = registration.pod_ranges.clone();
            registered.send_replace(Some(registration));
            if !std::mem::replace(&mut opened, true) {
                open_network(&context, &machine, ranges, &node).await;
            }
            node.refresh(());
        }
        if feed.changed().await.is_err() {
            return;
        }
    }
}

/// What of the cluster's facts pods need.
#[derive(Clone, Debug, Default)]
struct ClusterFacts {
    domain: String,
    dns: Vec<IpAddr>,
}

fn own(context: &Context, feed: &Feed) -> Option<(Registration, ClusterFacts)> {
    let member = feed.members.iter().find(|member| member.id == context.id())?;
    let registration = Registration {
        id: member.id.to_string(),
        labels: member.labels.clone(),
        zone: member.zone.clone(),
        pod_ranges: member.pod_ranges.clone(),
        addresses: member.addresses.iter().map(|address| address.ip()).collect(),
    };
    let cluster = feed.cluster.as_ref()?;
    let dns = cluster.service_ranges.iter().filter_map(|range: &IpNet| range.hosts().nth(DNS_ADDRESS)).collect();
    Some((registration, ClusterFacts { domain: cluster.domain.clone(), dns }))
}

fn note_cluster(machine: &Machine, cluster: &ClusterFacts) {
    let mut facts = machine.facts.write();
    let mut changed = (**facts).clone();
    (changed.cluster_domain, changed.cluster_dns) = (cluster.domain.clone(), cluster.dns.clone());
    *facts = Arc::new(changed);
}

async fn open_network(context: &Context, machine: &Machine, ranges: Vec<IpNet>, node: &Handle<()>) {
    loop {
        let config =
            PodNetworkConfig { ranges: ranges.clone(), state_dir: absolute(&context.config.state_dir), mtu: POD_MTU };
        let opened = tokio::task::spawn_blocking(move || PodNetwork::open(config)).await;
        let why = match opened {
            Ok(Ok(network)) => {
                *machine.network_error.write() = None;
                machine.network.send_replace(Some(Arc::new(network) as Arc<dyn Network>));
                return;
            }
            Ok(Err(error)) => told(&error),
            Err(panic) => panic.to_string(),
        };
        if machine.network_error.write().replace(why.clone()).is_none() {
            warn!(error = why, "the pods' network is not ready, trying on");
        }
        node.refresh(());
        tokio::time::sleep(NETWORK_PAUSE).await;
    }
}

/// Looks at the Node object when it or what it tells of has changed.
async fn wake_node(machine: Arc<Machine>, own: Mirror, node: Handle<()>) {
    let synced = async {
        own.wait_synced().await;
        node.refresh(());
    };
    let changes = async {
        let mut changes = own.changes();
        loop {
            changes.next().await;
            node.refresh(());
        }
    };
    let network = async {
        let mut network = machine.network.subscribe();
        while network.changed().await.is_ok() {
            node.refresh(());
        }
    };
    let runtime = async {
        let mut told = machine.listing.told();
        while told.changed().await.is_ok() {
            node.refresh(());
        }
    };
    tokio::join!(synced, changes, network, runtime);
}
