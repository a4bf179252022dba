//! A client that writes and reads registers and makes objects that it later removes: [`Writer`].
//!
//! Writers meet at the registers, so that an update may find its revision taken and a patch applied twice would undo another's.
//! Nothing is asked twice: what was not answered stays unknown, and the judge makes of it what watchers were told.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use super::api::Api;
use super::dice::Dice;
use super::history::{Action, History, Token};
use super::{COLLECTION, REGISTERS};
use crate::connection::Answer;

/// Objects of its own that a writer keeps; older ones it removes.
const KEPT: usize = 12;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// One writer. Tokens hold its number, so that they are unlike all others'.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) api: Api,
    pub(super) history: Arc<History>,
    pub(super) dice: Dice,
    /// Unlike any other's.
    number: u64,
    written: u64,
    own: VecDeque<String>,
}

impl Writer {
    pub(super) fn new(api: Api, history: Arc<History>, number: u64, seed: u64) -> Self {
        let dice = Dice::new(seed ^ (number << 32));
        Self { api, history, dice, number, written: 0, own: VecDeque::new() }
    }

    /// One request or two.
    pub(super) fn turn(&mut self) {
        let register = register(self.dice.below(REGISTERS));
        match self.dice.below(10) {
            0..=3 => self.patch(&register),
            4..=7 => self.update(&register),
            _ if self.own.len() < KEPT => self.create_own(),
            _ => self.delete_own(),
        }
    }

    /// Reads one register.
    pub(super) fn read_one(&mut self) {
        let register = register(self.dice.below(REGISTERS));
        self.read(&register);
    }

    /// Creates an object; returns its revision when that is known to have happened.
    pub(super) fn create(&mut self, key: &str) -> Option<u64> {
        let token = self.token();
        let body = object(key, token, None);
        self.write(key, Action::Create, token, ("POST", COLLECTION, JSON), &body)
    }

    fn patch(&mut self, key: &str) {
        let token = self.token();
        let body = json!({ "data": { "token": token.to_string() } }).to_string();
        self.write(key, Action::Patch, token, ("PATCH", &path(key), MERGE), &body);
    }

    fn update(&mut self, key: &str) {
        let Some(revision) = self.read(key) else { return };
        let token = self.token();
        let body = object(key, token, Some(revision));
        self.write(key, Action::Update(revision), token, ("PUT", &path(key), JSON), &body);
    }

    /// Creates one and reads it through the next node: what was acknowledged by one is there for all.
    fn create_own(&mut self) {
        let key = format!("own-{}-{}", self.number, self.written);
        if self.create(&key).is_some() {
            self.api.move_on();
            self.read(&key);
        }
        self.own.push_back(key);
    }

    fn delete_own(&mut self) {
        let Some(key) = self.own.pop_front() else { return };
        self.write(&key, Action::Delete, 0, ("DELETE", &path(&key), JSON), "");
    }

    fn write(&mut self, key: &str, action: Action, token: Token, how: (&str, &str, &str), body: &str) -> Option<u64> {
        let place = self.history.call(key, action, token);
        let (method, path, media) = how;
        let answer = self.api.ask(method, path, media, body).ok()?;
        if !self.settle(place, &answer) {
            return None;
        }
        // A delete's answer is a Status, which names no revision.
        let revision = (action != Action::Delete).then(|| revision(&answer)).flatten();
        self.history.answered(place, token, revision);
        revision
    }

    /// The revision of what was found.
    fn read(&mut self, key: &str) -> Option<u64> {
        let place = self.history.call(key, Action::Read, 0);
        let answer = self.api.ask("GET", &path(key), JSON, "").ok()?;
        if answer.code == 404 {
            self.history.answered(place, 0, None);
            return None;
        }
        if !self.settle(place, &answer) {
            return None;
        }
        let found = revision(&answer);
        self.history.answered(place, token(&answer.json()), found);
        found
    }

    /// Whether it succeeded; what surely did not is noted.
    fn settle(&mut self, place: usize, answer: &Answer) -> bool {
        match answer.code {
            200..=299 => return true,
            // 503 and 507 say that the write was not accepted; 504 says that nobody knows.
            400..=499 | 503 | 507 => self.history.denied(place, answer.code),
            _ => {}
        }
        if answer.code >= 500 {
            self.api.move_on();
        }
        false
    }

    fn token(&mut self) -> Token {
        self.written += 1;
        self.number << 40 | self.written
    }
}

/// A register's name.
pub(super) fn register(number: u64) -> String {
    format!("register-{number}")
}

/// What an object holds; 0 where it holds nothing of ours.
pub(super) fn token(object: &serde_json::Value) -> Token {
    object["data"]["token"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn revision(answer: &Answer) -> Option<u64> {
    answer.json()["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

fn path(key: &str) -> String {
    format!("{COLLECTION}/{key}")
}

fn object(key: &str, token: Token, revision: Option<u64>) -> String {
    let mut object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": key }, "data": { "token": token.to_string() } });
    if let Some(revision) = revision {
        object["metadata"]["resourceVersion"] = revision.to_string().into();
    }
    object.to_string()
}
