//! Streams and subresources of what runs.

use anyhow::{Context, Result, ensure};
use cluster::BUSYBOX;
use futures::AsyncBufReadExt;
use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, DeleteParams, EvictParams, LogParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn pod(name: &str, script: &str) -> Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "c", "image": BUSYBOX, "command": ["sh", "-c", script] }],
        },
    }))?)
}

pub(crate) async fn streams(client: &Client) -> Result<()> {
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    let script = "echo first; echo second; mkdir /www; echo yes > /www/index.html; exec httpd -f -p 8080 -h /www";
    api.create(&PostParams::default(), &pod("streams", script)?).await?;
    await_condition(api.clone(), "streams", conditions::is_pod_running()).await?;
    exec(&api).await.context("exec")?;
    logs(&api).await.context("logs")?;
    forward(&api).await.context("port-forward")?;
    evict(&api).await.context("eviction")
}

async fn exec(api: &Api<Pod>) -> Result<()> {
    let params = AttachParams::default().stdin(true).stderr(true);
    let mut process = api.exec("streams", ["sh", "-c", "tr a-z A-Z; echo oops >&2; exit 3"], &params).await?;
    let status = process.take_status().context("no status")?;
    let mut stdin = process.stdin().context("no stdin")?;
    stdin.write_all(b"spoken softly").await?;
    stdin.shutdown().await?;
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    process.stdout().context("no stdout")?.read_to_string(&mut out).await?;
    process.stderr().context("no stderr")?.read_to_string(&mut err).await?;
    ensure!((out.as_str(), err.as_str()) == ("SPOKEN SOFTLY", "oops\n"), "{out:?} {err:?}");
    let status = status.await.context("no status came")?;
    ensure!(status.reason.as_deref() == Some("NonZeroExitCode"), "{status:?}");
    Ok(process.join().await?)
}

async fn logs(api: &Api<Pod>) -> Result<()> {
    let params = LogParams { follow: true, ..LogParams::default() };
    let mut lines = api.log_stream("streams", &params).await?.lines();
    for expected in ["first", "second"] {
        let line = lines.try_next().await?.context("the log ended")?;
        ensure!(line == expected, "{line}");
    }
    Ok(())
}

async fn forward(api: &Api<Pod>) -> Result<()> {
    let mut forwarded = api.portforward("streams", &[8080]).await?;
    let mut stream = forwarded.take_stream(8080).context("no stream")?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.") && answer.ends_with("\r\n\r\nyes\n"), "{answer:?}");
    // The pod has closed the connection: there is nobody left to say good-bye to.
    forwarded.abort();
    Ok(())
}

async fn evict(api: &Api<Pod>) -> Result<()> {
    let uid = api.get("streams").await?.uid().context("no uid")?;
    api.evict("streams", &EvictParams::default()).await?;
    await_condition(api.clone(), "streams", conditions::is_deleted(&uid)).await?;
    Ok(())
}

pub(crate) async fn scale(client: &Client) -> Result<()> {
    let api: Api<Deployment> = Api::default_namespaced(client.clone());
    let deployment = serde_json::from_value(json!({
        "metadata": { "name": "scaled" },
        "spec": {
            "selector": { "matchLabels": { "app": "scaled" } },
            "template": { "metadata": { "labels": { "app": "scaled" } }, "spec": pod("", "exec sleep 100000")?.spec },
        },
    }))?;
    api.create(&PostParams::default(), &deployment).await?;
    await_condition(api.clone(), "scaled", conditions::is_deployment_completed()).await?;
    let patch = Patch::Merge(json!({ "spec": { "replicas": 2 } }));
    let scale = api.patch_scale("scaled", &PatchParams::default(), &patch).await?;
    ensure!(scale.spec.as_ref().and_then(|spec| spec.replicas) == Some(2), "{scale:?}");
    let two = |found: Option<&Deployment>| {
        found.and_then(|found| found.status.as_ref()).is_some_and(|status| status.ready_replicas == Some(2))
    };
    await_condition(api.clone(), "scaled", two).await?;
    api.delete("scaled", &DeleteParams::foreground()).await?;
    Ok(())
}
