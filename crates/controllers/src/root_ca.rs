//! Publishes the CA of the API servers in every live namespace, as `kube-root-ca.crt`, and keeps it as it should be.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>.

use api::{
    kinds::{config_map::CONFIG_MAP, namespace::NAMESPACE},
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Action, Change, Controller, Key, Kinds, Plan, View, Watch, change};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "root-ca",
    account: "root-ca-cert-publisher",
    watches: &[
        Watch { kinds: Kinds::One(&NAMESPACE), keys: change::itself },
        Watch { kinds: Kinds::One(&CONFIG_MAP), keys: published },
    ],
    facts: change::no_facts,
    reconcile,
};

/// ConfigMap by which pods know the API server's CA.
const NAME: &str = "kube-root-ca.crt";

/// Says to people what the ConfigMap is for.
const ANNOTATION: &str = "kubernetes.io/description";

/// What it says.
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
                           endpoints such as the internal service IP or kubernetes.default.svc. No other usage is \
                           guaranteed across distributions of Kubernetes clusters.";

fn published(change: &dyn Change, keys: &mut Vec<Key>) {
    if change.name() == NAME {
        keys.push(Key::new("", change.namespace()));
    }
}

fn reconcile(view: &dyn View, key: &Key, _: Timestamp) -> Plan {
    let live = view.get(&NAMESPACE, "", &key.name).is_some_and(|namespace| !meta::is_being_deleted(&namespace));
    let data = json!({ "ca.crt": view.cluster().root_ca_pem });
    if !live || view.cluster().root_ca_pem.is_empty() {
        return Plan::default();
    }
    let action = match view.get(&CONFIG_MAP, &key.name, NAME) {
        None => create(&key.name, &data),
        Some(present) if is_kept(&present, &data) => return Plan::default(),
        Some(present) => mend(&present, data),
    };
    Plan { actions: vec![action], wake_at: None }
}

fn is_kept(present: &Value, data: &Value) -> bool {
    present.get("data") == Some(data) && meta::annotation(present, ANNOTATION) == Some(DESCRIPTION)
}

fn create(namespace: &str, data: &Value) -> Action {
    let object = json!({ "metadata": { "name": NAME, "annotations": { ANNOTATION: DESCRIPTION } }, "data": data });
    Action::Create { kind: &CONFIG_MAP, namespace: namespace.to_owned(), object }
}

/// Its role may update, not patch.
fn mend(present: &Value, data: Value) -> Action {
    let mut object = present.clone();
    object["data"] = data;
    let described = json!({ ANNOTATION: DESCRIPTION });
    let annotations = meta::get(present).and_then(|metadata| metadata.get("annotations")).and_then(Value::as_object);
    let mut all = annotations.cloned().unwrap_or_default();
    all.extend(described.as_object().cloned().unwrap_or_default());
    meta::set(&mut object, "annotations", Some(all.into()));
    Action::Update { kind: &CONFIG_MAP, part: "", object }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, dying};

    fn check(world: &World, expect: &[&str]) {
        assert_eq!(world.told(&CONTROLLER, &Key::new("", "a")), expect);
    }

    #[test]
    fn every_live_namespace_has_the_ca() {
        let world = || World::default().with(&NAMESPACE, "", "a", json!({}));
        let described = json!({ "annotations": { ANNOTATION: DESCRIPTION } });
        check(&world(), &["create configmaps a/kube-root-ca.crt"]);
        let right = json!({ "data": { "ca.crt": "PEM" }, "metadata": described });
        check(&world().with(&CONFIG_MAP, "a", NAME, right), &[]);
        let wrong = json!({ "data": { "ca.crt": "old", "x": "y" }, "metadata": described });
        check(&world().with(&CONFIG_MAP, "a", NAME, wrong), &["update configmaps a/kube-root-ca.crt"]);
        check(&World::default().with(&NAMESPACE, "", "a", dying(&[])), &[]);
    }

    #[test]
    fn what_was_spoilt_is_mended_and_the_rest_kept() {
        let spoilt = json!({ "data": {}, "metadata": { "annotations": { "own": "1" }, "name": NAME } });
        let Action::Update { object, .. } = mend(&spoilt, json!({ "ca.crt": "PEM" })) else { panic!("no update") };
        assert_eq!(object["data"], json!({ "ca.crt": "PEM" }));
        assert_eq!(meta::annotation(&object, "own"), Some("1"));
        assert_eq!(meta::annotation(&object, ANNOTATION), Some(DESCRIPTION));
    }
}
