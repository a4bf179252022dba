//! The claims of a StatefulSet's pods: made before the pod, and with it or with the set deleted where its author wants that.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention>.
//!
//! Who deletes claims is the garbage collector: a claim that is to go with the set is owned by the set, one that is to go as
//! the set is scaled down by the pod that goes.

use api::{
    kinds::{
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM,
        read::{entries, items, text},
    },
    meta,
};
use serde_json::{Value, json};

use super::{
    NAME,
    identity::{name_of, ordinal_of},
    start,
    steps::Set,
};
use crate::{
    Action, Event,
    view::Object,
    workload::{News, owner_reference},
};

/// A claim of a set's pod, by the name of the pod's volume.
pub(super) fn of(set: &Value, ordinal: i64) -> impl Iterator<Item = (&str, String)> {
    let templates = items(set, "/spec/volumeClaimTemplates").iter().map(meta::name);
    templates.map(move |template| (template, format!("{template}-{}-{ordinal}", meta::name(set))))
}

/// Whether a claim of this name is of one of a set's pods.
pub(super) fn is_of(set: &Value, claim: &str) -> bool {
    let start = |template: &Value| format!("{}-{}-", meta::name(template), meta::name(set));
    let number = |template: &Value| claim.strip_prefix(&start(template)).map(|end| end.parse::<u32>().is_ok());
    items(set, "/spec/volumeClaimTemplates").iter().filter_map(number).any(|is_number| is_number)
}

/// Points a pod's volumes at its claims; those of the same names that its template has give way.
pub(super) fn mount(set: &Value, ordinal: i64, spec: &mut Value) {
    let own: Vec<(&str, String)> = of(set, ordinal).collect();
    if own.is_empty() {
        return;
    }
    let claimed =
        own.iter().map(|(name, claim)| json!({ "name": name, "persistentVolumeClaim": { "claimName": claim } }));
    let others = items(spec, "/volumes").iter().filter(|one| own.iter().all(|(name, _)| *name != text(one, "/name")));
    let all: Vec<Value> = claimed.chain(others.cloned()).collect();
    spec["volumes"] = all.into();
}

/// What stands between a pod and its claims.
pub(super) enum Lack {
    /// Some are to be made first.
    Missing(Vec<Action>),
    /// Another one of this name has to go first.
    Going(String),
    /// One has to go with a pod before this one, of the same name.
    Stale,
}

impl Set<'_> {
    fn claim(&self, name: &str) -> Option<Object> {
        self.view.get(&PERSISTENT_VOLUME_CLAIM, meta::namespace(self.set), name)
    }

    /// What a pod that is to be made has to wait for.
    pub(super) fn lack(&self, ordinal: i64) -> Option<Lack> {
        let claims: Vec<Object> = of(self.set, ordinal).filter_map(|(_, name)| self.claim(&name)).collect();
        let pod = name_of(self.set, ordinal);
        let is_owned = |claim: &Object| meta::owner_references(claim).iter().any(|one| is(one, "Pod", &pod));
        if goes_scaled(self.set) && claims.iter().any(is_owned) {
            return Some(Lack::Stale);
        }
        let missing = self.missing(ordinal);
        if !missing.is_empty() {
            return Some(Lack::Missing(missing));
        }
        let going = claims.iter().find(|claim| meta::is_being_deleted(claim));
        going.map(|claim| Lack::Going(format!("pvc {} is being deleted", meta::name(claim))))
    }

    /// Makes the claims of a pod that are not there, and tells why they could not be made before.
    pub(super) fn missing(&self, ordinal: i64) -> Vec<Action> {
        let templates = items(self.set, "/spec/volumeClaimTemplates").iter().zip(of(self.set, ordinal));
        let missing = templates.filter(|(_, (_, name))| self.claim(name).is_none());
        missing.flat_map(|(template, (_, name))| self.make_claim(template, name, ordinal)).collect()
    }

    fn make_claim(&self, template: &Value, name: String, ordinal: i64) -> Vec<Action> {
        let (pod, set) = (name_of(self.set, ordinal), meta::name(self.set));
        let tell = |news: News| news.tell(self.set, NAME, self.now);
        let refused = self.view.failure().map(|why| {
            let why = format!("create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {why}");
            tell(News::warning("FailedCreate", why))
        });
        let done = format!("create Claim {name} Pod {pod} in StatefulSet {set} success");
        let namespace = meta::namespace(self.set).to_owned();
        let object = made(self.set, template, name);
        let create = Action::Create { kind: &PERSISTENT_VOLUME_CLAIM, namespace, object };
        refused.into_iter().chain([create.then(tell(News::normal("SuccessfulCreate", done)))]).collect()
    }

    /// Makes the claims of a pod be owned as the set's policy wants it.
    pub(super) fn own_claims(&self, pod: &Value) -> Vec<Action> {
        let Some(ordinal) = ordinal_of(self.set, pod) else { return Vec::new() };
        let wanted = start(self.set)..start(self.set) + self.wanted();
        let owner = match (goes_scaled(self.set) && !wanted.contains(&ordinal), goes_deleted(self.set)) {
            (true, _) => Some(pod),
            (false, true) => Some(self.set),
            (false, false) => None,
        };
        let claims = of(self.set, ordinal).filter_map(|(_, name)| self.claim(&name));
        claims.flat_map(|claim| self.own(&claim, pod, owner)).collect()
    }

    /// Makes a claim be owned by this one of the set and the pod, unless somebody else controls it or did before.
    fn own(&self, claim: &Value, pod: &Value, owner: Option<&Value>) -> Vec<Action> {
        let references = meta::owner_references(claim);
        let ours =
            |one: &Value| [self.set, pod].into_iter().find(|owner| is(one, meta::kind(owner), meta::name(owner)));
        if references.iter().any(|one| ours(one).is_some_and(|owner| meta::uid(owner) != text(one, "/uid"))) {
            return Vec::new();
        }
        let (own, mut kept): (Vec<&Value>, Vec<&Value>) = references.iter().partition(|one| ours(one).is_some());
        let follows = goes_scaled(self.set) || goes_deleted(self.set);
        let foreign = follows && kept.iter().any(|one| one["controller"] == true);
        let wanted = owner.filter(|_| !foreign).map(owner_reference);
        let is_right = |one: &&Value| {
            wanted.as_ref().is_some_and(|wanted| text(one, "/uid") == text(wanted, "/uid")) && one["controller"] == true
        };
        if own.len() == usize::from(wanted.is_some()) && own.iter().all(is_right) {
            return Vec::new();
        }
        kept.extend(&wanted);
        let kept: Vec<Value> = kept.into_iter().cloned().collect();
        let mut new = claim.clone();
        meta::set(&mut new, "ownerReferences", (!kept.is_empty()).then(|| kept.into()));
        let update = Action::Update { kind: &PERSISTENT_VOLUME_CLAIM, part: "", object: new };
        foreign.then(|| self.ignored(claim)).into_iter().chain([update]).collect()
    }

    fn ignored(&self, claim: &Value) -> Action {
        let message = format!(
            "PersistentVolumeClaim {} has a conflicting OwnerReference that acts as a managing controller, the retention \
             policy is ignored for this claim",
            meta::name(claim)
        );
        let about = self.set.clone();
        Action::Event(Event { about, severity: "Warning", reason: "ConflictingController", message })
    }
}

/// A claim from a set's template, with the labels that the set selects.
fn made(set: &Value, template: &Value, name: String) -> Value {
    let mut labels = json!({});
    for (key, value) in entries(template, "/metadata/labels").chain(entries(set, "/spec/selector/matchLabels")) {
        labels[key] = value.clone();
    }
    let mut metadata = json!({ "name": name, "labels": labels });
    for field in ["annotations", "finalizers", "ownerReferences"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            metadata[field] = value.clone();
        }
    }
    json!({ "metadata": metadata, "spec": template.get("spec") })
}

/// Whether a reference is to the object of this kind and name, whichever it was.
fn is(reference: &Value, kind: &str, name: &str) -> bool {
    text(reference, "/kind") == kind && text(reference, "/name") == name
}

fn goes_scaled(set: &Value) -> bool {
    text(set, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled") == "Delete"
}

fn goes_deleted(set: &Value) -> bool {
    text(set, "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted") == "Delete"
}

/// Whether an action makes or changes a claim: nothing but the next run looks at what comes after it.
pub(super) fn concerns(action: &Action) -> bool {
    match action {
        Action::Create { kind, .. } | Action::Update { kind, .. } => std::ptr::eq(*kind, &PERSISTENT_VOLUME_CLAIM),
        Action::Then(first, _) => concerns(first),
        _ => false,
    }
}
