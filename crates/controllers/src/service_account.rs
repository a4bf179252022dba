//! Gives every live namespace its `default` ServiceAccount.
//! Spec: <https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts>.

use api::{
    kinds::{namespace::NAMESPACE, service_account::SERVICE_ACCOUNT},
    meta,
};
use jiff::Timestamp;
use serde_json::json;

use crate::{Action, Change, Controller, Key, Kinds, Plan, View, Watch, change};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "service-account",
    account: "service-account-controller",
    watches: &[
        Watch { kinds: Kinds::One(&NAMESPACE), keys: change::itself },
        Watch { kinds: Kinds::One(&SERVICE_ACCOUNT), keys: removed },
    ],
    facts: change::no_facts,
    reconcile,
};

/// The ServiceAccount of pods that name none.
const DEFAULT: &str = "default";

fn removed(change: &dyn Change, keys: &mut Vec<Key>) {
    if change.removed() && change.name() == DEFAULT {
        keys.push(Key::new("", change.namespace()));
    }
}

fn reconcile(view: &dyn View, key: &Key, _: Timestamp) -> Plan {
    let live = view.get(&NAMESPACE, "", &key.name).is_some_and(|namespace| !meta::is_being_deleted(&namespace));
    if !live || view.get(&SERVICE_ACCOUNT, &key.name, DEFAULT).is_some() {
        return Plan::default();
    }
    let object = json!({ "metadata": { "name": DEFAULT } });
    let create = Action::Create { kind: &SERVICE_ACCOUNT, namespace: key.name.clone(), object };
    Plan { actions: vec![create], wake_at: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, dying};

    fn check(world: &World, expect: &[&str]) {
        assert_eq!(world.told(&CONTROLLER, &Key::new("", "a")), expect);
    }

    #[test]
    fn only_a_live_namespace_without_one_gets_one() {
        let world = || World::default().with(&NAMESPACE, "", "a", json!({}));
        check(&world(), &["create serviceaccounts a/default"]);
        check(&world().with(&SERVICE_ACCOUNT, "a", DEFAULT, json!({})), &[]);
        check(&World::default().with(&NAMESPACE, "", "a", dying(&[])), &[]);
        check(&World::default(), &[]);
    }

    #[test]
    fn a_removed_one_wakes_its_namespace() {
        let keys = World::keys(&CONTROLLER, &SERVICE_ACCOUNT, "a", DEFAULT, Some(json!({})), None);
        assert_eq!(keys, [Key::new("", "a")]);
        assert_eq!(World::keys(&CONTROLLER, &SERVICE_ACCOUNT, "a", "other", Some(json!({})), None), []);
    }
}
