//! One command against one tree: guards, then operations, all or nothing. Main function: [`run`].

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use crate::view::Tree;
use crate::{Batch, Command, Event, Guard, Key, Op, Pairs, Record, Refusal, Revision};

/// The tree after a command that changed something, and what changed.
pub(crate) struct Change {
    pub(crate) tree: Tree,
    pub(crate) events: Batch,
}

/// Gives the changed tree, `None` where the command is in force already, or why it is refused.
pub(crate) fn run(before: &Tree, term: u64, command: &Command) -> Result<Option<Change>, Refusal> {
    if let Some(place) = command.guards.iter().position(|guard| !holds(before, term, guard)) {
        return Err(Refusal::Guard(place));
    }
    let mut transaction = Transaction::on(before);
    for op in &command.ops {
        transaction.perform(op)?;
    }
    Ok(transaction.finish())
}

fn holds(tree: &Tree, term: u64, guard: &Guard) -> bool {
    match guard {
        Guard::Unchanged(key, revision) => tree.records.get(key).is_some_and(|record| record.modified == *revision),
        Guard::Absent(key) => !tree.records.contains_key(key),
        Guard::Present(key) => tree.records.contains_key(key),
        Guard::NoneUnder(prefix) => {
            let first = tree.records.range::<_, str>((Bound::Included(&**prefix), Bound::Unbounded)).next();
            !first.is_some_and(|(key, _)| key.starts_with(&**prefix))
        }
        Guard::Flag(name, value) => tree.flags.get(name).map_or("", |value| value) == &**value,
        Guard::Term(wanted) => *wanted == term,
    }
}

/// A command half done.
struct Transaction<'a> {
    before: &'a Tree,
    tree: Tree,
    revision: Revision,
    /// Keys of records written, in the order of the first write.
    touched: Vec<Key>,
    seen: BTreeSet<Key>,
    /// Whether a claim, counter or flag changed.
    changed: bool,
}

impl<'a> Transaction<'a> {
    fn on(before: &'a Tree) -> Self {
        Self {
            before,
            tree: before.clone(),
            revision: Revision(before.revision.0 + 1),
            touched: Vec::new(),
            seen: BTreeSet::new(),
            changed: false,
        }
    }

    fn perform(&mut self, op: &Op) -> Result<(), Refusal> {
        match op {
            Op::Put { .. } => self.put(op),
            Op::Delete(key) => self.delete(key),
            Op::Claim { name, owner } => self.claim(name, owner)?,
            Op::Release { name, owner } => self.release(name, owner),
            Op::Count { name, delta, ceiling } => self.count(name, *delta, *ceiling)?,
            Op::SetFlag(name, value) => self.set_flag(name, value),
        }
        Ok(())
    }

    fn put(&mut self, op: &Op) {
        let Op::Put { key, body, labels, fields, indexes } = op else { return };
        let old = self.tree.records.get(key);
        let same = |old: &Arc<Record>| {
            old.body == *body && old.labels == *labels && old.fields == *fields && old.indexes == *indexes
        };
        if old.is_some_and(same) {
            return;
        }
        let record = Record {
            key: old.map_or(key, |old| &old.key).clone(),
            body: body.clone(),
            labels: shared(labels, old.map(|old| &old.labels)),
            fields: shared(fields, old.map(|old| &old.fields)),
            indexes: shared(indexes, old.map(|old| &old.indexes)),
            created: old.map_or(self.revision, |old| old.created),
            modified: self.revision,
        };
        self.touch(&record.key);
        self.tree.set(key, Some(Arc::new(record)));
    }

    fn delete(&mut self, key: &Key) {
        if self.tree.records.contains_key(key) {
            self.touch(key);
            self.tree.set(key, None);
        }
    }

    fn touch(&mut self, key: &Key) {
        if self.seen.insert(key.clone()) {
            self.touched.push(key.clone());
        }
    }

    fn claim(&mut self, name: &Key, owner: &Arc<str>) -> Result<(), Refusal> {
        match self.tree.claims.get(name) {
            Some(holder) if holder == owner => {}
            Some(holder) => return Err(Refusal::Claimed { name: name.clone(), holder: holder.clone() }),
            None => {
                self.tree.claims.insert(name.clone(), owner.clone());
                self.changed = true;
            }
        }
        Ok(())
    }

    fn release(&mut self, name: &Key, owner: &Arc<str>) {
        if self.tree.claims.get(name) == Some(owner) {
            self.tree.claims.remove(name);
            self.changed = true;
        }
    }

    /// A sum already past a lowered ceiling may still fall.
    fn count(&mut self, name: &Key, delta: i64, ceiling: Option<i64>) -> Result<(), Refusal> {
        let value = self.tree.counters.get(name).copied().unwrap_or(0);
        let refused = Refusal::Ceiling { name: name.clone(), value };
        let sum = value.checked_add(delta).ok_or(refused.clone())?;
        if sum < 0 || (delta > 0 && ceiling.is_some_and(|ceiling| sum > ceiling)) {
            return Err(refused);
        }
        match sum {
            0 => drop(self.tree.counters.remove(name)),
            _ => drop(self.tree.counters.insert(name.clone(), sum)),
        }
        self.changed |= delta != 0;
        Ok(())
    }

    fn set_flag(&mut self, name: &Key, value: &Arc<str>) {
        let old = match value.is_empty() {
            true => self.tree.flags.remove(name),
            false => self.tree.flags.insert(name.clone(), value.clone()),
        };
        self.changed |= old.as_deref().unwrap_or("") != &**value;
    }

    fn finish(mut self) -> Option<Change> {
        let touched = std::mem::take(&mut self.touched);
        let events: Vec<_> = touched.iter().filter_map(|key| self.event(key)).collect();
        if events.is_empty() && !self.changed {
            return None;
        }
        self.tree.revision = self.revision;
        Some(Change { tree: self.tree, events: events.into() })
    }

    /// The net change of a key. One that ended where it began keeps its old record and revision.
    fn event(&mut self, key: &Key) -> Option<Arc<Event>> {
        let old = self.before.records.get(key).cloned();
        let new = self.tree.records.get(key).cloned();
        match (&old, &new) {
            (None, None) => return None,
            (Some(was), Some(is)) if was.same_content(is) => {
                self.tree.set(key, old);
                return None;
            }
            _ => {}
        }
        Some(Arc::new(Event { revision: self.revision, old, new }))
    }
}

/// The pairs, with strings shared with those they replace: most writes change none of them.
fn shared(pairs: &Pairs, old: Option<&Pairs>) -> Pairs {
    old.filter(|old| *old == pairs).unwrap_or(pairs).clone()
}
