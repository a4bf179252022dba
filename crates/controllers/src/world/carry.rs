//! Carries out plans in a [`World`] as the API would, as far as controllers of workloads can tell. Main function:
//! [`World::carry_out`].

use api::{
    kinds::{Ctx, Kind, pod::POD},
    meta, patch,
};
use serde_json::{Value, json};

use super::{World, complete, each, prefix, tell};
use crate::{Action, Controller, Key, Patch, Plan, Target};

impl World {
    /// Runs a controller over a key and carries out what it wants; tells what that was.
    pub(crate) fn step(&mut self, controller: &Controller, key: &Key) -> Vec<String> {
        let Plan { actions, .. } = self.plan(controller, key);
        let actions = each(actions);
        let told = actions.iter().map(tell).collect();
        actions.into_iter().for_each(|action| self.carry_out(action));
        told
    }

    /// Does what the API would do.
    pub(crate) fn carry_out(&mut self, action: Action) {
        match action {
            Action::Create { kind, .. } if kind.kind == "Event" => {}
            Action::Create { kind, namespace, object } => self.create(kind, &namespace, object),
            Action::Update { kind, part: "", object } => self.update(kind, &object),
            Action::Update { kind, part, object } => self.update_status(kind, part, &object),
            Action::Patch { target, patch: Patch::Merge(change), .. } => self.merge(&target, &change),
            Action::Patch { .. } => panic!("no JSON patches here"),
            Action::Delete { target, .. } | Action::Remove { target, .. } => {
                self.objects.remove(&(prefix(target.kind), target.namespace, target.name));
            }
            Action::RemoveData { .. } | Action::Event(_) | Action::Then(..) => {}
        }
    }

    /// Creates an object as a client would.
    pub(crate) fn create(&mut self, kind: &'static Kind, namespace: &str, mut object: Value) {
        let name = meta::name(&object).to_owned();
        (kind.hooks.default)(&mut object);
        (kind.hooks.prepare_create)(&mut object, &Ctx { now: self.now });
        meta::set_creation_timestamp(&mut object, meta::time(self.now));
        let object = complete(kind, namespace, &name, object);
        let before = self.objects.insert((prefix(kind), namespace.to_owned(), name.clone()), object.into());
        assert!(before.is_none(), "{} {name} is there already", kind.plural);
    }

    /// One that is to go does so with its last finalizer.
    fn update(&mut self, kind: &'static Kind, object: &Value) {
        if meta::is_being_deleted(object) && meta::finalizers(object).next().is_none() {
            let place = (prefix(kind), meta::namespace(object).to_owned(), meta::name(object).to_owned());
            self.objects.remove(&place);
            return;
        }
        self.change(kind, meta::namespace(object), meta::name(object), |stored| *stored = object.clone());
    }

    fn update_status(&mut self, kind: &'static Kind, part: &str, object: &Value) {
        assert_eq!(part, "status");
        self.change(kind, meta::namespace(object), meta::name(object), |stored| {
            stored["status"] = object["status"].clone();
            let annotations = object["metadata"].get("annotations").cloned();
            meta::set(stored, "annotations", annotations);
        });
    }

    fn merge(&mut self, target: &Target, change: &Value) {
        self.change(target.kind, &target.namespace, &target.name, |stored| {
            let old = stored.clone();
            patch::merge(stored, change.to_string().as_bytes()).expect("a sound patch");
            (target.kind.hooks.prepare_update)(stored, &old);
        });
    }

    /// Changes an object that is there.
    pub(crate) fn change(&mut self, kind: &'static Kind, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = Value::clone(&self.object(kind, namespace, name));
        change(&mut object);
        self.objects.insert((prefix(kind), namespace.to_owned(), name.to_owned()), object.into());
    }

    /// Every pod that is not ready becomes so, now.
    pub(crate) fn run_pods(&mut self) {
        let pods: Vec<(String, String)> = self
            .objects
            .iter()
            .filter(|((of, ..), pod)| *of == prefix(&POD) && pod.pointer("/status/conditions").is_none())
            .map(|((_, namespace, name), _)| (namespace.clone(), name.clone()))
            .collect();
        let ready = json!([{ "type": "Ready", "status": "True", "lastTransitionTime": meta::time(self.now) }]);
        for (namespace, name) in pods {
            self.change(&POD, &namespace, &name, |pod| {
                pod["spec"]["nodeName"] = "node".into();
                pod["status"]["phase"] = "Running".into();
                pod["status"]["conditions"] = ready.clone();
            });
        }
    }
}
