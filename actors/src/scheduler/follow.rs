//! What the scheduler hears: everything at a revision, then what changes. Main type: [`News`].

use std::sync::Arc;

use api::kinds::{
    Kind, namespace::NAMESPACE, node::NODE, persistent_volume::PERSISTENT_VOLUME,
    persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, pod::POD, storage_class::STORAGE_CLASS,
};
use apiserver::object;
use futures::stream::{BoxStream, StreamExt, select_all};
use store::{Record, Scope, Storage, View};

use crate::context::Context;
use crate::host::Error;

/// Kinds that decide where a pod may go; pods last, so that they find what they need.
pub(super) const KINDS: [&Kind; 6] =
    [&NAMESPACE, &NODE, &STORAGE_CLASS, &PERSISTENT_VOLUME, &PERSISTENT_VOLUME_CLAIM, &POD];

/// One object that changed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) kind: &'static Kind,
    /// Namespace and name, or just a name.
    pub(super) key: String,
    /// `None` where it is gone.
    pub(super) record: Option<Arc<Record>>,
}

/// Changes after a view, batch by batch.
pub(super) struct News(BoxStream<'static, Result<Vec<Change>, Error>>);

impl News {
    /// What changes after a view.
    ///
    /// # Errors
    /// Where the view is too old to be followed.
    pub(super) fn after(view: &View, context: &Context) -> Result<Self, Error> {
        let mut all = Vec::new();
        for kind in KINDS {
            let scope = Scope { prefix: object::prefix(kind, ""), index: None };
            let batches = context.raft.watch(scope, view.revision())?;
            all.push(batches.map(move |batch| -> Result<Vec<Change>, Error> {
                let change = |event: &Arc<store::Event>| {
                    let subject = event.new.as_ref().or(event.old.as_ref())?;
                    change(kind, &subject.key, event.new.clone())
                };
                Ok(batch?.iter().filter_map(change).collect())
            }));
        }
        Ok(Self(select_all(all).boxed()))
    }

    /// The next changes.
    ///
    /// # Errors
    /// Where the watch broke off: read everything again.
    pub(super) async fn next(&mut self) -> Result<Vec<Change>, Error> {
        self.0.next().await.ok_or("the watches ended")?
    }
}

/// Everything there is of a kind.
pub(super) fn everything<'a>(view: &'a View, kind: &'static Kind) -> impl Iterator<Item = Change> + 'a {
    let prefix = object::prefix(kind, "");
    view.range(&prefix, None)
        .filter_map(move |record| change(kind, &record.key, Some(record.clone())))
        .collect::<Vec<_>>()
        .into_iter()
}

fn change(kind: &'static Kind, key: &str, record: Option<Arc<Record>>) -> Option<Change> {
    let parts = api::key::parse(key)?;
    let key = if kind.namespaced { format!("{}/{}", parts.namespace, parts.name) } else { parts.name.to_owned() };
    Some(Change { kind, key, record })
}
