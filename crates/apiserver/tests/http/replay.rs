//! A list and the watch that goes on from it show at every revision what a list shows at that revision: what every informer relies on.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use std::collections::BTreeMap;

use api::kinds::config_map::CONFIG_MAP;
use apiserver::{Client, client::PatchType, object::name_of, verbs::watch::Change};
use auth::User;
use serde_json::{Value, json};
use store::{Record, Revision};

use crate::cluster::Cluster;

/// Writes made.
const WRITES: u64 = 150;

/// Every so many writes, a watch starts from there.
const WATCH_EVERY: usize = 25;

/// What a client knows: names, and the revision of each object.
type State = BTreeMap<String, Revision>;

/// What clients select: objects come and go in it also by their labels.
const SELECTED: (&str, &str) = ("labelSelector", "x=1");

fn named(record: &Record) -> String {
    name_of(&record.key).to_owned()
}

async fn list(client: &Client) -> (Revision, State) {
    let items = client.list(&CONFIG_MAP, "default", &[SELECTED]).await.unwrap();
    (items.revision, items.records.iter().map(|record| (named(record), record.modified)).collect())
}

/// Creates, changes, relabels or deletes one of a few objects; some writes are refused, some change nothing.
async fn write(client: &Client, draw: u64) {
    let (name, label, content) = (format!("m{}", draw % 5), ((draw >> 8) % 2).to_string(), (draw >> 16) % 3);
    let object =
        json!({ "metadata": { "name": name, "labels": { "x": label } }, "data": { "k": content.to_string() } });
    // Refusals are part of it: an object is there already, or not yet.
    let _refused = match (draw >> 24) % 4 {
        0 => client.create(&CONFIG_MAP, "default", &object).await.is_err(),
        1 => client.delete(&CONFIG_MAP, "default", &name, &Value::Null).await.is_err(),
        _ => client.patch(&CONFIG_MAP, "default", &name, "", &object, PatchType::MergePatch).await.is_err(),
    };
}

/// Follows from one list, and compares with each later one.
async fn replay(client: &Client, lists: &[(Revision, State)]) {
    let (from, mut state) = lists[0].clone();
    let since = from.0.to_string();
    let mut feed = client.watch(&CONFIG_MAP, "default", &[SELECTED, ("resourceVersion", &since)]).await.unwrap();
    let mut later = lists.iter().peekable();
    loop {
        let changes = feed.next().await.expect("the watch goes on");
        for change in changes {
            let at = match &change {
                Change::Added(record) | Change::Modified(record) => record.modified,
                Change::Deleted(_, revision) => *revision,
                other => panic!("from {from:?}: {other:?}"),
            };
            while let Some((revision, expect)) = later.next_if(|(revision, _)| *revision < at) {
                assert_eq!(&state, expect, "from {from:?}, at {revision:?}");
            }
            match change {
                Change::Added(record) => {
                    assert_eq!(state.insert(named(&record), record.modified), None, "added at {at:?}");
                }
                Change::Modified(record) => assert!(state.insert(named(&record), at).is_some(), "modified at {at:?}"),
                Change::Deleted(record, _) => assert!(state.remove(&named(&record)).is_some(), "deleted at {at:?}"),
                Change::Bookmark { .. } | Change::Failed(_) => {}
            }
        }
        // The last write is selected: its change comes, and leaves the last list only.
        if later.len() == 1 {
            assert_eq!(lists.last().map(|(_, last)| last), Some(&state), "from {from:?}, at the end");
            return;
        }
    }
}

#[tokio::test]
async fn a_list_and_its_watch_show_the_state_of_every_revision() {
    let cluster = Cluster::new().await;
    let client = cluster.server.client().of(User::new("admin", &["system:masters"]), "test");
    let mut lists = vec![list(&client).await];
    let mut draw = 1u64;
    for _ in 0..WRITES {
        // Knuth's linear congruential generator; the high bits are the random ones.
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write(&client, draw >> 32).await;
        lists.push(list(&client).await);
    }
    let last = json!({ "metadata": { "name": "last", "labels": { "x": "1" } } });
    client.create(&CONFIG_MAP, "default", &last).await.unwrap();
    lists.push(list(&client).await);
    assert!(lists.iter().any(|(_, state)| state.len() > 2), "the writes do something");
    for start in (0..lists.len()).step_by(WATCH_EVERY) {
        replay(&client, &lists[start..]).await;
    }
}
