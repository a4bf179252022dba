//! Lists and watches.

use std::collections::BTreeMap;
use std::pin::pin;

use anyhow::{Context, Result, ensure};
use futures::{Stream, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Client, Error, ResourceExt};
use serde_json::json;

/// Objects of each test, a few pages of [`PAGE`].
const OBJECTS: usize = 7;

/// Objects a page.
const PAGE: u32 = 3;

fn map(name: &str, label: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([("of".to_owned(), label.to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("key".to_owned(), "value".to_owned())])),
        ..ConfigMap::default()
    }
}

/// Creates the objects of a test, and returns their names in order.
async fn objects(api: &Api<ConfigMap>, label: &str) -> Result<Vec<String>> {
    let names: Vec<String> = (0..OBJECTS).map(|number| format!("{label}-{number}")).collect();
    for name in &names {
        api.create(&PostParams::default(), &map(name, label)).await?;
    }
    Ok(names)
}

/// One event in words.
fn told<K: ResourceExt>(event: &Event<K>) -> String {
    match event {
        Event::Init => "init".to_owned(),
        Event::InitApply(object) => format!("there is {}", object.name_any()),
        Event::InitDone => "that is all".to_owned(),
        Event::Apply(object) => format!("applied {}", object.name_any()),
        Event::Delete(object) => format!("deleted {}", object.name_any()),
    }
}

async fn hears<K: ResourceExt>(
    stream: &mut (impl Stream<Item = Result<Event<K>, watcher::Error>> + Unpin),
    expected: &[String],
) -> Result<()> {
    for expected in expected {
        let event = stream.try_next().await?.context("the watch ended")?;
        ensure!(told(&event) == *expected, "{} instead of {expected}", told(&event));
    }
    Ok(())
}

fn all(names: &[String]) -> Vec<String> {
    let middle = names.iter().map(|name| format!("there is {name}"));
    ["init".to_owned()].into_iter().chain(middle).chain(["that is all".to_owned()]).collect()
}

pub(crate) async fn watched(client: &Client) -> Result<()> {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for (label, config) in [
        ("paged", watcher::Config::default().page_size(PAGE)),
        ("streamed", watcher::Config::default().streaming_lists()),
    ] {
        let names = objects(&api, label).await?;
        let mut stream = pin!(watcher::watcher(api.clone(), config.labels(&format!("of={label}"))));
        hears(&mut stream, &all(&names)).await?;
        let first = &names[0];
        let patch = Patch::Merge(json!({ "data": { "key": "other" } }));
        api.patch(first, &PatchParams::default(), &patch).await?;
        let leaves = Patch::Merge(json!({ "metadata": { "labels": { "of": "nobody" } } }));
        api.patch(first, &PatchParams::default(), &leaves).await?;
        api.delete(&names[1], &DeleteParams::default()).await?;
        api.create(&PostParams::default(), &map(&format!("{label}-new"), label)).await?;
        let expected = [
            format!("applied {first}"),
            format!("deleted {first}"),
            format!("deleted {}", names[1]),
            format!("applied {label}-new"),
        ];
        hears(&mut stream, &expected).await.with_context(|| label.to_owned())?;
    }
    Ok(())
}

pub(crate) async fn metadata(client: &Client) -> Result<()> {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let names = objects(&api, "metadata").await?;
    let only: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client.clone());
    let mut stream = pin!(watcher::watcher(only, watcher::Config::default().labels("of=metadata")));
    hears(&mut stream, &all(&names)).await?;
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { "note": "seen" } } }));
    let patched = api.patch_metadata(&names[0], &PatchParams::default(), &patch).await?;
    ensure!(patched.annotations().get("note").is_some_and(|note| note == "seen"), "{patched:?}");
    hears(&mut stream, &[format!("applied {}", names[0])]).await
}

pub(crate) async fn reflected(client: &Client) -> Result<()> {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let names = objects(&api, "reflected").await?;
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().labels("of=reflected");
    let mut applied = pin!(reflector(writer, watcher::watcher(api.clone(), config)).applied_objects());
    // What is there already, then one change.
    for _ in &names {
        applied.try_next().await?.context("the watch ended")?;
    }
    let patch = Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "own": "yes" } }));
    let changed = api.patch(&names[2], &PatchParams::apply("kube-rs-test"), &patch).await?;
    applied.try_next().await?.context("the watch ended")?;
    let list = api.list(&ListParams::default().labels("of=reflected")).await?;
    let mut held: Vec<_> = store.state().into_iter().map(|object| (*object).clone()).collect();
    held.sort_by_key(ResourceExt::name_any);
    ensure!(held == list.items, "{held:#?} instead of {:#?}", list.items);
    ensure!(held[2].resource_version() == changed.resource_version(), "the change is not held");
    Ok(())
}

pub(crate) async fn refusals(client: &Client) -> Result<()> {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let missing = api.get("no-such-map").await;
    let object = api.create(&PostParams::default(), &map("refused", "refused")).await?;
    let again = api.create(&PostParams::default(), &map("refused", "refused")).await;
    let patch = Patch::Merge(json!({ "data": { "key": "newer" } }));
    api.patch("refused", &PatchParams::default(), &patch).await?;
    let stale = api.replace("refused", &PostParams::default(), &object).await;
    let wrong = api.create(&PostParams::default(), &map("Not_A_Name", "refused")).await;
    for (outcome, code, reason) in
        [(missing, 404, "NotFound"), (again, 409, "AlreadyExists"), (stale, 409, "Conflict"), (wrong, 422, "Invalid")]
    {
        match outcome {
            Err(Error::Api(status)) => ensure!(status.code == code && status.reason == reason, "{status:?}"),
            other => anyhow::bail!("{other:?} instead of {reason}"),
        }
    }
    Ok(())
}
