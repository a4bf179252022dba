//! The ReplicaSet of the present template: found, numbered, or made.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label>.

use std::collections::BTreeMap;

use api::{
    kinds::{read::child, replica_set::REPLICA_SET, workload::count},
    meta,
};
use serde_json::{Value, json};

use super::{
    conditions::Progress,
    sets::{DESIRED, MOST, REVISION, Rollout, Set},
};
use crate::workload::{Hash, News, is_controlled_by, owner_reference};

/// Label that tells the sets of one deployment apart.
const HASH_LABEL: &str = "pod-template-hash";

/// Numbers that a set's template had before it was taken up again.
const REVISIONS: &str = "deployment.kubernetes.io/revision-history";

/// Bytes of that list; the oldest numbers go first.
const REVISIONS_BYTES: usize = 2000;

/// Annotations that are the deployment's alone, or set here.
const OWN: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISIONS,
    DESIRED,
    MOST,
    "deprecated.deployment.rollback.to",
];

/// The template but for the label that tells sets apart.
fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    let Some(metadata) = child(&mut template, "metadata") else { return template };
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    metadata.retain(|_, value| *value != json!({}));
    template
}

impl Rollout<'_> {
    fn template(&self) -> Value {
        self.deployment.pointer("/spec/template").cloned().unwrap_or_default()
    }

    /// Finds the set of the present template and brings its number and annotations up to date.
    pub(super) fn find_newest(&mut self) {
        let wanted = without_hash(&self.template());
        let has_it = |set: &Set| {
            let template = set.object.as_ref().and_then(|object| object.pointer("/spec/template"));
            template.is_some_and(|template| without_hash(template) == wanted)
        };
        self.newest = self.sets.iter().position(has_it);
        let Some(at) = self.newest else { return };
        let revision = self.next_revision();
        self.annotate(at, revision);
        self.sets[at].min_ready_seconds = count(self.deployment, "/spec/minReadySeconds");
        self.revision = self.sets[at].annotations.get(REVISION).cloned();
        if self.has_deadline() && self.progress().is_none() {
            let found = format!("Found new replica set {:?}", self.sets[at].name);
            self.say(&Progress::going("FoundNewReplicaSet", found));
        }
    }

    /// One more than the highest number of an earlier template.
    fn next_revision(&self) -> i64 {
        self.old().into_iter().filter_map(|at| self.sets[at].said(REVISION)).max().unwrap_or_default() + 1
    }

    /// Copies the deployment's annotations, and numbers the set. A number it had before goes into its history.
    fn annotate(&mut self, at: usize, revision: i64) {
        let set = &mut self.sets[at];
        for (key, value) in meta::annotations(self.deployment).filter(|(key, _)| !OWN.contains(key)) {
            set.annotations.insert(key.to_owned(), value.to_owned());
        }
        let Ok(before) = set.annotations.get(REVISION).map_or("0", String::as_str).parse::<i64>() else { return };
        if before >= revision {
            return;
        }
        if set.annotations.insert(REVISION.to_owned(), revision.to_string()).is_some() {
            remember(&mut set.annotations, before);
        }
    }

    /// Makes a set for the present template, unless there is one.
    pub(super) fn make_newest(&mut self) {
        self.find_newest();
        if self.newest.is_some() {
            return;
        }
        let set = self.imagined();
        if let Some(present) = self.view.get(&REPLICA_SET, meta::namespace(self.deployment), &set.name) {
            let own = is_controlled_by(&present, self.deployment);
            let deleted = meta::is_being_deleted(&present);
            if !own || !deleted {
                // Another template has this hash: count it, so that the next run takes another.
                let collisions = count(&self.status, "/collisionCount") + 1;
                self.status["collisionCount"] = collisions.into();
            }
            return;
        }
        let name = set.name.clone();
        self.sets.push(set);
        let at = self.sets.len() - 1;
        self.newest = Some(at);
        self.sets[at].size = self.next_size(at);
        self.annotate(at, self.next_revision());
        self.annotate_size(at);
        self.tell_made(&name, at);
        self.revision = self.sets[at].annotations.get(REVISION).cloned();
    }

    fn tell_made(&mut self, name: &str, at: usize) {
        let size = self.sets[at].size;
        if size > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {size}");
            self.sets[at].news = Some(News::normal("ScalingReplicaSet", message));
        }
        if let Some(why) = self.view.failure() {
            let message = format!("Failed to create new replica set {name:?}: {why}");
            self.news.push(News::warning("ReplicaSetCreateError", message.clone()));
            if self.has_deadline() {
                self.say(&Progress::stopped("ReplicaSetCreateError", message));
            }
            return;
        }
        if self.has_deadline() {
            self.say(&Progress::going("NewReplicaSetCreated", format!("Created new replica set {name:?}")));
        }
    }

    fn imagined(&self) -> Set {
        let mut template = self.template();
        let mut hash = Hash::new().add(without_hash(&template).to_string());
        if let Some(collisions) = self.status.get("collisionCount").and_then(Value::as_i64) {
            hash = hash.add(collisions.to_le_bytes());
        }
        let hash = hash.name();
        template["metadata"]["labels"][HASH_LABEL] = hash.as_str().into();
        let mut selector = self.deployment.pointer("/spec/selector").cloned().unwrap_or_default();
        selector["matchLabels"][HASH_LABEL] = hash.as_str().into();
        let name = name_of(meta::name(self.deployment), &hash);
        let seconds = count(self.deployment, "/spec/minReadySeconds");
        let labels = template.pointer("/metadata/labels").cloned();
        let metadata = json!({ "name": name, "labels": labels, "ownerReferences": [owner_reference(self.deployment)] });
        let mut spec = json!({ "selector": selector, "template": template });
        if seconds != 0 {
            spec["minReadySeconds"] = seconds.into();
        }
        Set {
            object: None,
            name,
            size: 0,
            min_ready_seconds: seconds,
            annotations: BTreeMap::new(),
            made_of: json!({ "metadata": metadata, "spec": spec }),
            deleted: false,
            news: None,
        }
    }
}

/// The name of a set: the deployment's, cut so that the hash fits.
fn name_of(deployment: &str, hash: &str) -> String {
    const NAME_BYTES: usize = 253;
    let stem: String = deployment.chars().take(NAME_BYTES - 1 - hash.len()).collect();
    format!("{stem}-{hash}")
}

fn remember(annotations: &mut BTreeMap<String, String>, revision: i64) {
    let known = annotations.get(REVISIONS).cloned().unwrap_or_default();
    let mut all: Vec<String> = known.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    all.push(revision.to_string());
    while all.len() > 1 && all.join(",").len() > REVISIONS_BYTES {
        all.remove(0);
    }
    annotations.insert(REVISIONS.to_owned(), all.join(","));
}
