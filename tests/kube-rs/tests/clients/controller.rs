//! A controller that keeps a Secret for each ConfigMap of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event as Told;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Wanted, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, watcher};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

const LABEL: &str = "of=controller";
const FINALIZER: &str = "mesh.test/cleanup";

/// How long it waits before it tries again what failed.
const RETRY: Duration = Duration::from_millis(100);

type Failure = kube::runtime::finalizer::Error<kube::Error>;

fn selector() -> watcher::Config {
    watcher::Config::default().labels(LABEL)
}

async fn reconcile(object: Arc<ConfigMap>, client: Arc<Client>) -> Result<Action, Failure> {
    let api: Api<ConfigMap> = Api::default_namespaced((*client).clone());
    finalizer(&api, FINALIZER, object, |wanted| async {
        match wanted {
            Wanted::Apply(object) => keep(&object, &client).await,
            Wanted::Cleanup(object) => leave(&object, &client).await,
        }
    })
    .await
}

/// The Secret is there and says what the ConfigMap says.
async fn keep(object: &ConfigMap, client: &Client) -> Result<Action, kube::Error> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": object.name_any(), "ownerReferences": [object.controller_owner_ref(&())] },
        "stringData": object.data,
    });
    let api: Api<Secret> = Api::default_namespaced(client.clone());
    let apply = PatchParams::apply("mesh.test").force();
    api.patch(&object.name_any(), &apply, &Patch::Apply(secret)).await?;
    Ok(Action::await_change())
}

/// What is left behind on purpose: a note that cleanup ran.
async fn leave(object: &ConfigMap, client: &Client) -> Result<Action, kube::Error> {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let note = ConfigMap {
        metadata: ObjectMeta { name: Some(format!("{}-cleaned", object.name_any())), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    match api.create(&PostParams::default(), &note).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
        created => drop(created?),
    }
    Ok(Action::await_change())
}

fn says(word: &'static str) -> impl Fn(Option<&Secret>) -> bool {
    move |secret| {
        let data = secret.and_then(|secret| secret.data.as_ref());
        data.and_then(|data| data.get("word")).is_some_and(|bytes| bytes.0 == word.as_bytes())
    }
}

pub(crate) async fn reconciles(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let controller = Controller::new(maps.clone(), selector()).owns(secrets.clone(), watcher::Config::default());
    let running = controller.run(reconcile, |_, _, _| Action::requeue(RETRY), Arc::new(client.clone()));
    let running = tokio::spawn(running.for_each(|done| async move {
        if let Err(error) = done {
            println!("    tried again: {error}");
        }
    }));
    let object = ConfigMap {
        metadata: ObjectMeta {
            name: Some("owner".to_owned()),
            labels: Some(BTreeMap::from([("of".to_owned(), "controller".to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("word".to_owned(), "first".to_owned())])),
        ..ConfigMap::default()
    };
    maps.create(&PostParams::default(), &object).await?;
    await_condition(secrets.clone(), "owner", says("first")).await?;
    let patch = Patch::Merge(json!({ "data": { "word": "second" } }));
    maps.patch("owner", &PatchParams::default(), &patch).await?;
    let secret = await_condition(secrets.clone(), "owner", says("second")).await?.context("the Secret is gone")?;
    // Somebody else takes it away, and it is there again.
    secrets.delete("owner", &DeleteParams::default()).await?;
    let uid = secret.uid().context("no uid")?;
    await_condition(secrets.clone(), "owner", conditions::is_deleted(&uid)).await?;
    let secret = await_condition(secrets.clone(), "owner", says("second")).await?.context("the Secret is gone")?;
    let owner = maps.get("owner").await?;
    ensure!(owner.finalizers() == [FINALIZER], "{:?}", owner.finalizers());
    maps.delete("owner", &DeleteParams::default()).await?;
    await_condition(maps.clone(), "owner", conditions::is_deleted(&owner.uid().context("no uid")?)).await?;
    maps.get("owner-cleaned").await.context("the cleanup left no note")?;
    await_condition(secrets, "owner", conditions::is_deleted(&secret.uid().context("no uid")?)).await?;
    running.abort();
    Ok(())
}

pub(crate) async fn events(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let about = ConfigMap {
        metadata: ObjectMeta { name: Some("observed".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let about = maps.create(&PostParams::default(), &about).await?;
    let recorder = Recorder::new(client.clone(), Reporter::from("mesh.test/controller"));
    let event = Event {
        type_: EventType::Normal,
        reason: "Observed".to_owned(),
        note: Some("as often as it is told".to_owned()),
        action: "Observing".to_owned(),
        secondary: None,
    };
    for _ in 0..3 {
        recorder.publish(&event, &about.object_ref(&())).await?;
    }
    let told: Api<Told> = Api::default_namespaced(client.clone());
    let list = told.list(&ListParams::default().fields("regarding.name=observed")).await?;
    let counts: Vec<_> = list.iter().map(|event| event.series.as_ref().map(|series| series.count)).collect();
    ensure!(counts == [Some(3)], "{counts:?}");
    Ok(())
}
