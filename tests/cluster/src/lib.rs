//! Real `mesh` processes on loopback, driven by real kubectl: the harness of the tests beside it.
//!
//! Main types: [`Cluster`] without pods, [`Sandbox`] with pods (root, containerd). A test file holds few tests of many [`Steps`], since a cluster costs seconds and each test
//! may run in a process of its own. Everything waited for has a limit; everything started ends on drop, and a test that
//! fails prints the logs of its nodes. Leaves out real machines.

mod access;
mod anonymous;
mod binary;
mod callers;
mod clients;
mod cluster;
mod connection;
mod docker;
mod fault;
mod http;
mod kubectl;
mod mount;
mod node;
mod ports;
mod program;
mod readme;
mod registry;
mod row;
mod sandbox;
mod steps;
mod wait;
mod workload;

pub use access::Access;
pub use anonymous::anonymous;
pub use binary::{hello, mesh, of_another_build};
pub use callers::{Call, Callers, pod_on, uptime};
pub use clients::{Client, clients};
pub use cluster::{Cluster, named};
pub use connection::{Answer, Connection};
pub use docker::Compose;
pub use fault::Direction;
pub use http::{Reply, request};
pub use kubectl::{Following, Kubectl};
pub use mount::SmallDisk;
pub use node::{Launch, Node};
pub use ports::{Ports, reserve};
pub use program::{Ended, Program};
pub use readme::{Command, commands};
pub use registry::Registry;
pub use row::{Row, becomes, refuses, row, since, with};
pub use sandbox::{BUSYBOX, Sandbox};
pub use steps::Steps;
pub use wait::eventually;
pub use workload::{
    Action, Api, Dice, Ending, Event, History, Load, Operation, Record, Report, Token, Told, Workload, judge,
    percentile,
};
