//! Who goes, who stays, who waits.

use api::kinds::{config_map::CONFIG_MAP, node::NODE, secret::SECRET};

use super::*;
use crate::world::{World, dying};

/// An owner reference to a ConfigMap.
fn to(name: &str, block: bool) -> Value {
    reference("v1", "ConfigMap", name, &format!("u-{name}"), block)
}

fn reference(version: &str, kind: &str, name: &str, uid: &str, block: bool) -> Value {
    json!({ "apiVersion": version, "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": block })
}

fn owned(references: &[Value]) -> Value {
    json!({ "metadata": { "ownerReferences": references } })
}

fn own_key(name: &str) -> Key {
    Key::new("n", format!("core/secrets/{name}"))
}

fn owner_key(name: &str) -> Key {
    Key::new("n", format!("core/configmaps/{name}"))
}

fn check(world: &World, key: &Key, expect: &[&str]) {
    assert_eq!(world.told(&CONTROLLER, key), expect, "{key:?}");
}

fn secret(references: &[Value]) -> World {
    World::default().with(&SECRET, "n", "s", owned(references))
}

#[test]
fn what_has_no_owner_left_is_deleted() {
    let lone = secret(&[to("a", false), to("b", false)]);
    check(&lone, &own_key("s"), &["delete secrets n/s Background"]);
    check(&lone, &Key::new("", "uid/u-a"), &["delete secrets n/s Background"]);
    check(&lone, &Key::new("", "uid/u-other"), &[]);
    check(&World::default().with(&SECRET, "n", "s", json!({})), &own_key("s"), &[]);
}

#[test]
fn an_owner_of_the_same_name_is_another_one() {
    let again = secret(&[reference("v1", "ConfigMap", "a", "u-former", false)]).with(&CONFIG_MAP, "n", "a", json!({}));
    check(&again, &own_key("s"), &["delete secrets n/s Background"]);
    let elsewhere = secret(&[to("a", false)]).with(&CONFIG_MAP, "other", "a", json!({}));
    check(&elsewhere, &own_key("s"), &["delete secrets n/s Background"]);
}

#[test]
fn one_owner_is_enough_and_the_others_are_forgotten() {
    let world = secret(&[to("a", false), to("b", false)]).with(&CONFIG_MAP, "n", "a", json!({}));
    let kept = format!("patch secrets n/s {{\"metadata\":{{\"ownerReferences\":[{}]}}}}", to("a", false));
    check(&world, &own_key("s"), &[&kept]);
    check(&secret(&[to("a", false)]).with(&CONFIG_MAP, "n", "a", json!({})), &own_key("s"), &[]);
}

#[test]
fn an_owner_of_an_unknown_kind_is_not_taken_for_gone() {
    check(&secret(&[reference("example.com/v1", "Thing", "t", "u", false)]), &own_key("s"), &[]);
    check(&secret(&[to("a", false), reference("example.com/v1", "Thing", "t", "u", false)]), &own_key("s"), &[]);
}

#[test]
fn a_cluster_wide_object_cannot_have_an_owner_in_a_namespace() {
    let world = World::default().with(&NODE, "", "w", owned(&[to("a", false)]));
    let event = "event OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: , name: a, uid: u-a] does not \
                 exist in namespace \"\"";
    check(&world, &Key::new("", "core/nodes/w"), &[event]);
}

#[test]
fn a_foreground_owner_goes_after_those_that_block_it() {
    let owner = || World::default().with(&CONFIG_MAP, "n", "a", dying(&[FOREGROUND, "example.com/f"]));
    let freed = "patch configmaps n/a {\"metadata\":{\"finalizers\":[\"example.com/f\"]}}";
    check(&owner(), &owner_key("a"), &[freed]);
    check(&owner().with(&SECRET, "n", "s", owned(&[to("a", false)])), &owner_key("a"), &[freed]);
    let blocked = || owner().with(&SECRET, "n", "s", owned(&[to("a", true)]));
    check(&blocked(), &owner_key("a"), &["delete secrets n/s Background"]);
    let below = reference("v1", "Secret", "s", "u-s", true);
    let deeper = blocked().with(&SECRET, "n", "t", owned(&[below]));
    check(&deeper, &owner_key("a"), &["delete secrets n/s Foreground"]);
}

#[test]
fn an_orphaning_owner_frees_its_dependents_first() {
    let owner = || World::default().with(&CONFIG_MAP, "n", "a", dying(&[ORPHAN]));
    check(&owner(), &owner_key("a"), &["patch configmaps n/a {\"metadata\":{\"finalizers\":null}}"]);
    let held = owner().with(&SECRET, "n", "s", owned(&[to("a", true)]));
    check(&held, &owner_key("a"), &["patch secrets n/s {\"metadata\":{\"ownerReferences\":null}}"]);
}

#[test]
fn what_is_going_already_is_left_alone() {
    let mut going = dying(&["example.com/f"]);
    going["metadata"]["ownerReferences"] = json!([to("a", true)]);
    let world = World::default().with(&SECRET, "n", "s", going).with(&CONFIG_MAP, "n", "a", dying(&[FOREGROUND]));
    check(&world, &own_key("s"), &[]);
    check(&world, &owner_key("a"), &[]);
}

#[test]
fn a_change_wakes_the_object_and_those_that_wait_for_it() {
    let keys = |old: Option<Value>, new: Option<Value>| World::keys(&CONTROLLER, &SECRET, "n", "s", old, new);
    let one = || owned(&[to("a", true)]);
    assert_eq!(keys(None, Some(json!({}))), []);
    assert_eq!(keys(None, Some(one())), [own_key("s")]);
    assert_eq!(keys(Some(one()), Some(json!({}))), [owner_key("a")]);
    assert_eq!(keys(Some(one()), None), [Key::new("", "uid/u-s"), owner_key("a")]);
    assert_eq!(keys(None, Some(dying(&[ORPHAN]))), [own_key("s")]);
}

#[test]
fn many_dependents_take_several_runs() {
    let many = (0..DEPENDENTS + 1)
        .fold(World::default(), |world, at| world.with(&SECRET, "n", &format!("s{at}"), owned(&[to("a", false)])));
    let plan = many.plan(&CONTROLLER, &Key::new("", "uid/u-a"));
    assert_eq!((plan.actions.len(), plan.wake_at), (DEPENDENTS, Some(Timestamp::UNIX_EPOCH)));
}
