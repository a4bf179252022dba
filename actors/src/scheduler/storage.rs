//! The part of a [`Round`] that is about storage: claims, volumes and classes, and the pods that wait for them.

use std::collections::BTreeSet;

use api::kinds::persistent_volume_claim::SELECTED_NODE;
use api::kinds::read::text;
use api::meta;
use scheduler::{Choice, reaches};
use serde_json::Value;

use super::reserved::Reservation;
use super::round::Round;
use crate::host::Error;

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

    /// Keeps what was chosen from others. What of it is to be written, for no other pod has it written: the claims as they
    /// are, and the volume of each that has one.
    pub(super) fn promise(&mut self, choices: &[Choice], node: &str) -> Vec<(Value, Option<Value>)> {
        let storage = &mut self.snapshot.storage;
        let news: Vec<&Choice> = choices.iter().filter(|choice| storage.promise(choice, node)).collect();
        let chosen = |choice: &Choice| {
            let volume = match choice {
                Choice::Bind { volume, .. } => Some(storage.volume(volume)?.clone()),
                Choice::Provision { .. } => None,
            };
            Some((storage.claim(choice.claim())?.clone(), volume))
        };
        news.into_iter().filter_map(chosen).collect()
    }

    /// What was chosen for claims is written, or could not be: then no pod that waits for one of them gets its node.
    pub(super) fn chosen(&mut self, claims: &[String], result: &Result<(), Error>) {
        let waiting: BTreeSet<String> = claims.iter().flat_map(|claim| self.reserved.waiting_for(claim)).collect();
        for pod in waiting {
            match result {
                Ok(()) => self.go_on(&pod),
                Err(error) => self.give_up(&pod, &error.to_string()),
            }
        }
    }

    /// Binds a pod once all its claims are bound, to volumes that its node reaches.
    fn go_on(&mut self, key: &str) {
        let storage = &self.snapshot.storage;
        let Some(pod) = self.reserved.get(key) else { return };
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
        gone.choices.iter().for_each(|choice| self.snapshot.storage.forget(choice));
        Some(gone)
    }

    /// Gives up those that have waited too long.
    pub(super) fn expire(&mut self) {
        for key in self.reserved.overdue(self.now()) {
            self.give_up(&key, "timed out waiting for the condition");
        }
    }
}
