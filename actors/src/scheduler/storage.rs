//! The part of a [`Round`] that is about storage: claims, volumes and classes, and the pods that wait for them.

use api::kinds::persistent_volume_claim::SELECTED_NODE;
use api::kinds::read::text;
use api::meta;
use scheduler::{Choice, reaches};
use serde_json::Value;

use super::reserved::Reservation;
use super::round::Round;

impl Round {
    pub(super) fn hear_class(&mut self, name: &str, object: Option<&Value>) {
        self.snapshot.storage.set_class(name, object);
        self.helped.storage = true;
    }

    /// It may be heard of before or after the claim that has it.
    pub(super) fn hear_volume(&mut self, name: &str, object: Option<Value>) {
        let reference = |field: &str| object.as_ref().map_or("", |one| text(one, &format!("/spec/claimRef/{field}")));
        let claim = format!("{}/{}", reference("namespace"), reference("name"));
        self.snapshot.storage.set_volume(name, object);
        self.helped.storage = true;
        self.reserved.waiting_for(&claim).iter().for_each(|pod| self.go_on(pod));
    }

    pub(super) fn hear_claim(&mut self, key: &str, object: Option<Value>) {
        let selected = |claim: Option<&Value>| claim.is_some_and(|one| meta::annotation(one, SELECTED_NODE).is_some());
        let before = selected(self.snapshot.storage.claim(key));
        let given_back = before && !selected(object.as_ref());
        self.snapshot.storage.set_claim(key, object);
        self.helped.storage = true;
        for pod in self.reserved.waiting_for(key) {
            match given_back {
                true => self.give_up(&pod, "its volume cannot be made on the node, another is looked for"),
                false => self.go_on(&pod),
            }
        }
    }

    /// Keeps what was chosen from others; the claims as they are, and the volume of each that has one.
    pub(super) fn promise(&mut self, choices: &[Choice], node: &str) -> Vec<(Value, Option<Value>)> {
        let storage = &mut self.snapshot.storage;
        storage.promise(choices, node);
        let chosen = |choice: &Choice| {
            let volume = match choice {
                Choice::Bind { volume, .. } => Some(storage.volume(volume)?.clone()),
                Choice::Provision { .. } => None,
            };
            Some((storage.claim(choice.claim())?.clone(), volume))
        };
        choices.iter().filter_map(chosen).collect()
    }

    /// What was chosen for a pod is written.
    pub(super) fn written(&mut self, key: &str) {
        if let Some(reservation) = self.reserved.get_mut(key) {
            reservation.written = true;
            self.go_on(key);
        }
    }

    /// Binds a pod once all its claims are bound, to volumes that its node reaches.
    fn go_on(&mut self, key: &str) {
        let storage = &self.snapshot.storage;
        let Some(pod) = self.reserved.get_mut(key).filter(|pod| pod.written) else { return };
        if !pod.choices.iter().all(|choice| storage.is_bound(choice.claim())) {
            return;
        }
        if !reaches(&pod.waiting.pod, &pod.node, &self.snapshot) {
            return self.give_up(key, "its claims got volumes that the node does not reach");
        }
        if let Some(pod) = self.release(key) {
            self.bind_to(key.to_owned(), pod.waiting.object, pod.node);
        }
    }

    /// A pod waits for its volumes no longer.
    pub(super) fn release(&mut self, key: &str) -> Option<Reservation> {
        let gone = self.reserved.remove(key)?;
        self.snapshot.storage.forget(&gone.choices);
        Some(gone)
    }

    /// Gives up those that have waited too long.
    pub(super) fn expire(&mut self) {
        for key in self.reserved.overdue(self.now()) {
            self.give_up(&key, "timed out waiting for the condition");
        }
    }
}
