//! The command line, as `mesh --help` tells it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A Kubernetes cluster with no masters: run the same command on every machine.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to log: a level, or `target=level` pairs joined by commas
    #[arg(long, global = true, env = "MESH_LOG", default_value = "", hide_default_value = true)]
    pub(crate) log: String,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start this node: found a cluster, or go on where it was
    Up(NodeArgs),
    /// Make this machine a member of a cluster, and start it
    Join {
        /// Control endpoint of any voter, as `mesh up` printed it
        #[arg(required = true, value_name = "ADDRESS:PORT")]
        addresses: Vec<String>,
        /// What `mesh token create` printed
        #[arg(long, env = "MESH_TOKEN", hide_env_values = true)]
        token: String,
        /// Take over the name of a member that is gone for good
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Make, list and revoke join tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show this node, the quorum and the members
    Status {
        /// Wait until this node is ready, at most so long
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60")]
        wait: Option<u64>,
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        at: At,
    },
    /// Print a kubeconfig for the cluster's administrator
    Kubeconfig {
        /// The server to name, instead of this node's API endpoint
        #[arg(long, value_name = "https://HOST:PORT")]
        server: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Import, list and remove the container images of this node
    #[command(subcommand)]
    Image(ImageCommand),
    /// Run clusters of several nodes on this machine, to try and to test: each in a network namespace of its own
    #[command(subcommand)]
    Dev(DevCommand),
    /// Measure the way from this node to another member: its control endpoint and its pods' endpoint
    Ping {
        /// Name or id of a member, as `mesh status` shows it
        node: String,
        /// End after so many rounds [default: at Ctrl-C]
        #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..))]
        count: Option<u32>,
        /// Time between two rounds: 200ms, 5s
        #[arg(short, long, default_value = "1s", value_parser = crate::chaos::flags::period)]
        interval: std::time::Duration,
        #[command(flatten)]
        at: At,
    },
    /// Tell what is wrong and what helps: quorum, replication, clocks, certificates, data plane, DNS, disk; fails where something does
    Check {
        /// Look at this machine before it becomes a node: kernel, control groups, containerd, ports, disk, clock
        #[arg(long)]
        pre: bool,
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Break nodes of a test cluster on purpose, and mend them
    #[command(subcommand)]
    Chaos(crate::chaos::flags::ChaosCommand),
    /// Stop this node: its control process and its data plane. It stays a member; its containers run on
    Down(Here),
    /// Run this node's data plane: pods' tunnels, Services, DNS. `mesh up` and `mesh join` start it by themselves
    Dataplane {
        #[command(flatten)]
        here: Here,
        /// The control process starts it, and starts it again
        #[arg(long, hide = true)]
        by_node: bool,
    },
    /// Remove a member that is gone for good: its id and key are refused for ever, its pods are freed
    Remove {
        /// Name or id of a member, as `mesh status` shows it
        node: String,
        /// Also where it is alive: what runs there ends without being moved away
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        at: At,
    },
    /// Go on alone with what this node's disk holds, after the other voters' disks are lost for good; while mesh is down here
    Recover {
        /// Do not ask: newest writes may be lost, and the other voters are forgotten
        #[arg(long)]
        yes_lose_data: bool,
        #[command(flatten)]
        at: At,
    },
    /// Write all that the cluster stores to a file, at one revision, while it runs; on a voter. Holds secrets in the clear
    Backup {
        /// The file, 0600; `-` is standard output [default: mesh-CLUSTER-REVISION.backup]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Overwrite the file
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        at: At,
    },
    /// Bring a cluster back from a backup, as this machine alone; in an empty data directory, before `mesh up`
    Restore {
        /// What `mesh backup` wrote
        file: PathBuf,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Move this node's pods away and give up its part in the cluster; it is forgotten for good
    Leave {
        #[command(flatten)]
        drain: DrainArgs,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print the line to run on the next machine
    Create {
        /// How long it admits nodes: 90s, 30m, 24h or 7d
        #[arg(long, default_value = "24h", value_parser = crate::command::token::seconds)]
        ttl: i64,
        /// Admit one node only
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        at: At,
    },
    /// List tokens; secrets are not stored
    List {
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        at: At,
    },
    /// End a token now
    Revoke {
        /// As `mesh token list` shows it
        id: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Take the images of archives, as `docker save` and OCI tools write them
    Import {
        /// Tar files; layers may be compressed
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        at: At,
    },
    /// List images
    List {
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        at: At,
    },
    /// Forget images; containers made from them stay
    Remove {
        /// Names, as `mesh image list` shows them or shorter
        #[arg(required = true, value_name = "IMAGE")]
        references: Vec<String>,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Start a cluster, or what of it does not run
    Up {
        /// How many nodes
        #[arg(long, default_value_t = 3)]
        nodes: u16,
        #[command(flatten)]
        name: DevName,
    },
    /// Show its nodes and their processes
    Status {
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        name: DevName,
    },
    /// Print a kubeconfig for its administrator
    Kubeconfig {
        /// Whose API endpoint to name [default: that of the first node that runs]
        node: Option<String>,
        #[command(flatten)]
        name: DevName,
    },
    /// Kill a node as if its machine lost power
    Kill {
        /// As `mesh dev status` shows it
        node: String,
        /// Kill this process of it only
        #[arg(long, value_enum)]
        only: Option<crate::dev::Part>,
        #[command(flatten)]
        name: DevName,
    },
    /// Start a node that was killed
    Start {
        /// As `mesh dev status` shows it
        node: String,
        #[command(flatten)]
        name: DevName,
    },
    /// Kill a cluster and remove every trace of it, whatever state it is in
    Down {
        /// All of this machine
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        name: DevName,
    },
}

/// How a node is emptied of its pods before it leaves; the flags are those of `kubectl drain`.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Give up when pods are still here after so long: 90s, 30m, 24h or 7d [default: wait for ever]
    #[arg(long, value_parser = crate::command::token::seconds)]
    pub(crate) timeout: Option<i64>,
    /// End also pods that no controller makes anew elsewhere
    #[arg(long)]
    pub(crate) force: bool,
    /// End also pods with emptyDir volumes; what they hold is lost
    #[arg(long)]
    pub(crate) delete_emptydir_data: bool,
    /// Leave at once: pods are not moved away first, and end within seconds
    #[arg(long, conflicts_with_all = ["timeout", "force", "delete_emptydir_data"])]
    pub(crate) no_drain: bool,
}

/// Which cluster of this machine is meant.
#[derive(Debug, Args)]
pub(crate) struct DevName {
    /// The cluster's name
    #[arg(long, default_value = "dev")]
    pub(crate) name: String,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Which node of this machine is meant.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The node's data directory
    #[arg(long, env = "MESH_DATA_DIR", default_value = "/var/lib/mesh")]
    pub(crate) data_dir: PathBuf,
}

/// Where a node of this machine keeps what it has.
#[derive(Debug, Args)]
pub(crate) struct Here {
    /// The node's data directory
    #[arg(long, env = "MESH_DATA_DIR", default_value = "/var/lib/mesh")]
    pub(crate) data_dir: PathBuf,
    /// The node's state directory
    #[arg(long, env = "MESH_STATE_DIR", default_value = "/run/mesh")]
    pub(crate) state_dir: PathBuf,
}

/// Settings of a node: flags over environment over file over defaults.
#[derive(Debug, Default, Args)]
pub(crate) struct NodeArgs {
    /// Configuration file, YAML
    #[arg(long, env = "MESH_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Everything the node keeps [default: /var/lib/mesh]
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Name of the node [default: the host's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Control endpoint, UDP [default: 0.0.0.0:7443]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// API endpoint, TCP [default: 0.0.0.0:6443]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) api_listen: Option<SocketAddr>,
    /// Pods' endpoint, UDP [default: 0.0.0.0:7444]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) pods_listen: Option<SocketAddr>,
    /// What a reboot ends: network namespaces and sockets [default: /run/mesh]
    #[arg(long)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Run no pods here: serve the API and keep its store; needs neither root nor containerd
    #[arg(long)]
    pub(crate) no_pods: bool,
    /// containerd's socket [default: /run/containerd/containerd.sock]
    #[arg(long, value_name = "PATH")]
    pub(crate) containerd_socket: Option<PathBuf>,
    /// Address others reach this node at; once a family [default: that of the default route]
    #[arg(long, value_name = "IP")]
    pub(crate) advertise: Vec<IpAddr>,
    /// Failure zone; voters are spread over zones
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Whether this node may vote: auto, prefer or never [default: auto]
    #[arg(long, value_parser = ["auto", "prefer", "never"])]
    pub(crate) voter: Option<String>,
    /// Let `mesh chaos` slow this node's disk and set its clock through this file; for nodes that are there to be broken
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) chaos_hooks: Option<PathBuf>,
}
