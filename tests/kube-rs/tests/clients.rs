//! kube-rs, as people write controllers with it: watcher, reflector, controller, finalizer, streams. What kubectl and the Python
//! client show is in `tests/cluster`.

#[path = "clients/controller.rs"]
mod controller;
#[path = "clients/pods.rs"]
mod pods;
#[path = "clients/watching.rs"]
mod watching;

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::{Sandbox, Steps};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::time::timeout;

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a step that waits for what it is told.
fn run(runtime: &tokio::runtime::Runtime, step: impl Future<Output = Result<()>>) -> Result<()> {
    runtime.block_on(async { timeout(LIMIT, step).await.context("it takes too long")? })
}

async fn client(sandbox: &Sandbox) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&sandbox.dev("kubeconfig node-1")?)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

#[test]
fn kube_rs_works() {
    let sandbox = Sandbox::start("kube-rs", 1).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(client(&sandbox)).unwrap();
    let mut steps = Steps::new();
    steps.step("a watcher tells of all there is, listed in pages or streamed, and of each change after it", || {
        run(&runtime, watching::watched(&client))
    });
    steps.step("a watcher of metadata sees nothing else", || run(&runtime, watching::metadata(&client)));
    steps.step("a reflector holds what the API holds", || run(&runtime, watching::reflected(&client)));
    steps.step("a controller makes what an object is to own, repairs it, and cleans up behind its finalizer", || {
        run(&runtime, controller::reconciles(&client))
    });
    steps.step("events of a recorder become a series", || run(&runtime, controller::events(&client)));
    steps.step("exec, logs, port-forward and eviction of a pod", || run(&runtime, pods::streams(&client)));
    steps.step("a deployment is scaled through its subresource", || run(&runtime, pods::scale(&client)));
    steps.step("refusals are typed", || run(&runtime, watching::refusals(&client)));
    steps.end();
}
