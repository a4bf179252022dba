//! Empties a namespace that is being deleted, says what is in the way, and lets it go once nothing is.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus>.

use api::{
    kinds::{
        namespace::{FINALIZER, NAMESPACE},
        read::items,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{Action, Change, Controller, Key, Kinds, Only, Plan, Propagation, Target, View, Watch, change};

mod conditions;

use conditions::Left;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "namespace",
    account: "namespace-controller",
    watches: &[
        Watch { kinds: Kinds::One(&NAMESPACE), keys: change::itself },
        Watch { kinds: Kinds::Namespaced, keys: emptier },
    ],
    facts: change::no_facts,
    reconcile,
};

/// Objects deleted in one run, so that none lasts long; their going causes the next.
const DELETES: usize = 500;

/// A dying namespace takes in nothing new, so only what goes is news.
fn emptier(change: &dyn Change, keys: &mut Vec<Key>) {
    if change.removed() {
        keys.push(Key::new("", change.namespace()));
    }
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let dying = view.get(&NAMESPACE, "", &key.name).filter(|namespace| meta::is_being_deleted(namespace));
    let Some(namespace) = dying else { return Plan::default() };
    let (mut actions, left) = contents(view, &key.name);
    actions.extend(match actions.is_empty() && left.is_empty() {
        true => let_go(&namespace).or_else(|| told(&namespace, &left, now)),
        false => told(&namespace, &left, now),
    });
    Plan { actions, wake_at: None }
}

/// What is to be deleted, and what will stay for a while although it is.
fn contents(view: &dyn View, namespace: &str) -> (Vec<Action>, Left) {
    let (mut deletes, mut left) = (Vec::new(), Left::default());
    for kind in Kinds::Namespaced.each() {
        for object in view.list(kind, namespace) {
            let dying = meta::is_being_deleted(&object);
            if dying || meta::finalizers(&object).next().is_some() {
                left.add(kind, &object);
            }
            if !dying && deletes.len() < DELETES {
                deletes.push(Action::Delete {
                    target: Target::of(kind, &object),
                    only: Only::uid(&object),
                    propagation: Some(Propagation::Background),
                });
            }
        }
    }
    (deletes, left)
}

/// Takes our finalizer off, if it is on.
fn let_go(namespace: &Value) -> Option<Action> {
    let finalizers = items(namespace, "/spec/finalizers");
    let others: Vec<Value> = finalizers.iter().filter(|one| *one != FINALIZER).cloned().collect();
    if others.len() == finalizers.len() {
        return None;
    }
    let mut object = namespace.clone();
    object["spec"]["finalizers"] = others.into();
    Some(Action::Update { kind: &NAMESPACE, part: "finalize", object })
}

/// Says in the status what is in the way, if anything is or was.
fn told(namespace: &Value, left: &Left, now: Timestamp) -> Option<Action> {
    let present = items(namespace, "/status/conditions");
    if left.is_empty() && present.is_empty() {
        return None;
    }
    let conditions = conditions::merged(present, &left.conditions(), now);
    if conditions == present {
        return None;
    }
    let mut object = namespace.clone();
    object["status"]["conditions"] = conditions.into();
    Some(Action::Update { kind: &NAMESPACE, part: "status", object })
}

#[cfg(test)]
mod tests {
    use api::kinds::{config_map::CONFIG_MAP, secret::SECRET};
    use serde_json::json;

    use super::*;
    use crate::world::{World, dying};

    fn world(finalizers: &Value) -> World {
        let mut object = dying(&[]);
        object["spec"] = json!({ "finalizers": finalizers });
        World::default().with(&NAMESPACE, "", "a", object)
    }

    fn check(world: &World, expect: &[&str]) {
        assert_eq!(world.told(&CONTROLLER, &Key::new("", "a")), expect);
    }

    #[test]
    fn a_live_namespace_is_left_alone() {
        let full = World::default().with(&NAMESPACE, "", "a", json!({})).with(&SECRET, "a", "s", json!({}));
        check(&full, &[]);
        check(&World::default().with(&SECRET, "a", "s", json!({})), &[]);
    }

    #[test]
    fn a_dying_namespace_is_emptied_and_then_let_go() {
        let ours = json!([FINALIZER]);
        let full = world(&ours).with(&SECRET, "a", "s", json!({})).with(&CONFIG_MAP, "a", "c", json!({})).with(
            &SECRET,
            "b",
            "s",
            json!({}),
        );
        check(&full, &["delete configmaps a/c Background", "delete secrets a/s Background"]);
        check(&world(&ours), &["update namespaces/finalize a"]);
        check(&world(&json!([])), &[]);
        check(&world(&json!(["example.com/other"])), &[]);
    }

    #[test]
    fn what_is_in_the_way_is_told_once() {
        let stuck = || dying(&["example.com/f"]);
        let ours = json!([FINALIZER]);
        let first = world(&ours).with(&CONFIG_MAP, "a", "c", stuck());
        check(&first, &["update namespaces/status a"]);
        let plan = first.plan(&CONTROLLER, &Key::new("", "a"));
        let [Action::Update { object, .. }] = &plan.actions[..] else { panic!("{plan:?}") };
        let message = |at: usize| object["status"]["conditions"][at]["message"].as_str().unwrap_or_default();
        assert_eq!(message(3), "Some resources are remaining: configmaps. has 1 resource instances");
        let finalizers =
            "Some content in the namespace has finalizers remaining: example.com/f in 1 resource instances";
        assert_eq!(message(4), finalizers);
        check(&World::default().with(&NAMESPACE, "", "a", object.clone()).with(&CONFIG_MAP, "a", "c", stuck()), &[]);
        check(&World::default().with(&NAMESPACE, "", "a", object.clone()), &["update namespaces/finalize a"]);
    }

    #[test]
    fn one_run_deletes_no_more_than_its_share() {
        let many = 0..DELETES + 10;
        let full = many.fold(world(&json!([])), |world, at| world.with(&SECRET, "a", &format!("s{at}"), json!({})));
        assert_eq!(full.told(&CONTROLLER, &Key::new("", "a")).len(), DELETES);
    }

    #[test]
    fn only_what_goes_wakes_its_namespace() {
        let keys = |old, new| World::keys(&CONTROLLER, &SECRET, "a", "s", old, new);
        assert_eq!(keys(Some(json!({})), None), [Key::new("", "a")]);
        assert_eq!(keys(None, Some(json!({}))), []);
        assert_eq!(World::keys(&CONTROLLER, &NAMESPACE, "", "a", None, Some(json!({}))), [Key::new("", "a")]);
    }
}
