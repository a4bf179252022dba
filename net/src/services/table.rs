//! The whole of what this node wants the kernel to do for Services, kept up to date change by change. Pure.
//! Main type: [`Table`].
//!
//! A change marks its Service; [`Table::batch`] looks at the marked ones only and returns the difference. What two Services
//! claim at once (one is on its way out) belongs to the first by name until the other lets go.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::{Batch, Withdrawn};
use super::chain::Chain;
use super::choose::Surroundings;
use super::front::{Answer, Front, answers};
use super::objects::{ObjectKey, Protocol, Service, Slice};
use super::program::{Element, Program, Shared};
use super::skeleton::Facts;

/// See the file's head.
#[derive(Debug)]
pub struct Table {
    facts: Facts,
    around: Surroundings,
    services: BTreeMap<ObjectKey, Service>,
    slices: BTreeMap<ObjectKey, Slice>,
    slices_of: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    changed: BTreeSet<ObjectKey>,
    wanted: BTreeMap<ObjectKey, BTreeMap<Front, Answer>>,
    claims: BTreeMap<Front, BTreeSet<ObjectKey>>,
    installed: BTreeMap<Front, Program>,
    shared: BTreeMap<Shared, usize>,
    chains: BTreeSet<Chain>,
}

impl Table {
    /// Knows no Service yet.
    pub fn new(facts: Facts, around: Surroundings) -> Self {
        Self {
            facts,
            around,
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            slices_of: BTreeMap::new(),
            changed: BTreeSet::new(),
            wanted: BTreeMap::new(),
            claims: BTreeMap::new(),
            installed: BTreeMap::new(),
            shared: BTreeMap::new(),
            chains: BTreeSet::new(),
        }
    }

    /// A Service as it is now; `None` where it is gone.
    pub fn set_service(&mut self, key: ObjectKey, service: Option<Service>) {
        if self.services.get(&key) == service.as_ref() {
            return;
        }
        match service {
            Some(service) => drop(self.services.insert(key.clone(), service)),
            None => drop(self.services.remove(&key)),
        }
        self.changed.insert(key);
    }

    /// A slice as it is now; `None` where it is gone.
    pub fn set_slice(&mut self, key: ObjectKey, slice: Option<Slice>) {
        if self.slices.get(&key) == slice.as_ref() {
            return;
        }
        let service_of = |slice: &Slice| ObjectKey::new(&key.namespace, &slice.service);
        if let Some(owner) = self.slices.get(&key).map(service_of) {
            if let Some(slices) = self.slices_of.get_mut(&owner) {
                slices.remove(&key);
                if slices.is_empty() {
                    self.slices_of.remove(&owner);
                }
            }
            self.changed.insert(owner);
        }
        let Some(slice) = slice else {
            self.slices.remove(&key);
            return;
        };
        let owner = service_of(&slice);
        self.slices_of.entry(owner.clone()).or_default().insert(key.clone());
        self.changed.insert(owner);
        self.slices.insert(key, slice);
    }

    /// Names of the nodes that cannot be reached from here. Every Service is looked at again; few change.
    pub fn set_dead(&mut self, dead: BTreeSet<String>) {
        if self.around.dead != dead {
            self.around.dead = dead;
            self.changed.extend(self.services.keys().cloned());
        }
    }

    /// Forgets the objects that are not among these, for use after a full list of them.
    pub fn retain(&mut self, services: &BTreeSet<ObjectKey>, slices: &BTreeSet<ObjectKey>) {
        let gone: Vec<_> = self.services.keys().filter(|key| !services.contains(key)).cloned().collect();
        gone.into_iter().for_each(|key| self.set_service(key, None));
        let gone: Vec<_> = self.slices.keys().filter(|key| !slices.contains(key)).cloned().collect();
        gone.into_iter().for_each(|key| self.set_slice(key, None));
    }

    /// Services that have virtual addresses.
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// Elements that the kernel holds for them.
    pub fn elements(&self) -> usize {
        self.installed.iter().map(|(front, program)| program.size(front)).sum::<usize>() + self.shared.len()
    }

    /// What the fixed part is made of.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Everything that changed since the last call.
    pub fn batch(&mut self) -> Batch {
        let mut fronts = BTreeSet::new();
        for key in std::mem::take(&mut self.changed) {
            fronts.extend(self.claim(key));
        }
        let mut batch = Batch::default();
        for front in fronts {
            self.install(front, &mut batch);
        }
        batch
    }

    /// Chains and elements that the kernel should hold by now.
    pub(super) fn everything(&self) -> (BTreeSet<Chain>, BTreeSet<Element>) {
        let programs = self.installed.iter().flat_map(|(front, program)| program.elements(front));
        let shared = self.shared.keys().map(Shared::element);
        (self.chains.clone(), programs.chain(shared).collect())
    }

    /// Decides a Service anew; returns the fronts that this may concern.
    fn claim(&mut self, key: ObjectKey) -> BTreeSet<Front> {
        let slices: Vec<&Slice> =
            self.slices_of.get(&key).into_iter().flatten().filter_map(|key| self.slices.get(key)).collect();
        let service = self.services.get(&key);
        let mut now = service.map(|service| answers(service, &slices, &self.around)).unwrap_or_default();
        now.retain(|front, _| !self.facts.own_services.contains(&front.address));
        let before = self.wanted.remove(&key).unwrap_or_default();
        let concerned = before.iter().filter(|(front, answer)| now.get(front) != Some(answer)).map(|(front, _)| *front);
        let mut concerned: BTreeSet<Front> = concerned.collect();
        concerned.extend(now.keys().filter(|front| !before.contains_key(front)));
        for front in &concerned {
            let claims = self.claims.entry(*front).or_default();
            if now.contains_key(front) {
                claims.insert(key.clone());
            } else {
                claims.remove(&key);
            }
            if claims.is_empty() {
                self.claims.remove(front);
            }
        }
        if !now.is_empty() {
            self.wanted.insert(key, now);
        }
        concerned
    }

    fn install(&mut self, front: Front, batch: &mut Batch) {
        let owner = self.claims.get(&front).and_then(BTreeSet::first);
        let answer = owner.and_then(|owner| self.wanted.get(owner)?.get(&front));
        let before = self.installed.remove(&front);
        let after = answer.map(|answer| Program::next(before.as_ref(), answer));
        let elements = |program: &Option<Program>| program.iter().flat_map(|one| one.elements(&front)).collect();
        batch.replace(elements(&before), elements(&after));
        self.share(&front, before.as_ref(), after.as_ref(), batch);
        if let Some(chain) = after.as_ref().and_then(|program| program.chain(&front))
            && self.chains.insert(chain)
        {
            batch.chains.insert(chain);
        }
        batch.withdrawn.extend(withdrawn(front, before.as_ref(), after.as_ref()));
        if let Some(after) = after {
            self.installed.insert(front, after);
        }
    }

    /// Counts who wants an element that several fronts may want.
    fn share(&mut self, front: &Front, before: Option<&Program>, after: Option<&Program>, batch: &mut Batch) {
        let facts = &self.facts;
        let of = |program: Option<&Program>| {
            let all = program.map(|program| program.shared(front, |ip| facts.is_own_pod(ip)));
            all.unwrap_or_default()
        };
        for new in of(after) {
            let count = self.shared.entry(new).or_default();
            *count += 1;
            if *count == 1 {
                batch.replace(Vec::new(), vec![new.element()]);
            }
        }
        for gone in of(before) {
            let Some(count) = self.shared.get_mut(&gone) else { continue };
            *count -= 1;
            if *count == 0 {
                self.shared.remove(&gone);
                batch.replace(vec![gone.element()], Vec::new());
            }
        }
    }
}

/// A UDP front that lost an endpoint, or that is new: packets sent before it existed may have gone elsewhere.
fn withdrawn(front: Front, before: Option<&Program>, after: Option<&Program>) -> Option<Withdrawn> {
    let keep: BTreeSet<_> = after.iter().flat_map(|program| program.endpoints()).collect();
    let lost = before.is_none_or(|program| program.endpoints().any(|endpoint| !keep.contains(&endpoint)));
    (front.protocol == Protocol::Udp && lost).then_some(Withdrawn { front, keep })
}
