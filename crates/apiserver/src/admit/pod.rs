//! What a new pod is given by the cluster: its ServiceAccount with a token and pull secrets, its priority, how long it bears a
//! node that is gone. Main function: [`complete`]. Spec:
//! <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/> (ServiceAccount, Priority,
//! DefaultTolerationSeconds, RuntimeClass, LimitRanger). Leaves out pod security.

use api::{
    kinds::{
        Kind,
        limit_range::LIMIT_RANGE,
        pod::{POD, tolerations},
        priority_class::{self, PRIORITY_CLASS},
        read::{is_true, items, text},
        service_account::SERVICE_ACCOUNT,
    },
    limits, meta, names,
    status::{GroupResource, Status},
};
use serde_json::{Value, json};
use store::{Guard, View};

use crate::{object, status::ApiError};

/// Where containers find their token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Beginning of the name of the volume with it.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// Seconds a token is good for: what clients older than projected tokens are told of, upstream's odd number.
const TOKEN_SECONDS: i64 = 3607;

/// Annotation of pods that only mirror what a node runs by itself.
const MIRROR: &str = "kubernetes.io/config.mirror";

type Guards = Result<Vec<Guard>, ApiError>;

/// Completes a new pod that was defaulted, in place.
///
/// # Errors
/// 403 where it names what is not there, or claims what it may not.
pub(super) fn complete(view: &View, pod: &mut Value) -> Guards {
    tolerations::fill(pod);
    let mut guards = service_account(view, pod)?;
    guards.extend(priority(view, pod)?);
    guards.extend(limit_ranges(view, pod)?);
    match text(pod, "/spec/runtimeClassName") {
        "" => Ok(guards),
        class => Err(refused(pod, &format!("pod rejected: RuntimeClass {class:?} not found"))),
    }
}

/// Every range fills in what is open, then the pod must keep to all.
fn limit_ranges(view: &View, pod: &mut Value) -> Guards {
    let prefix = object::prefix(&LIMIT_RANGE, meta::namespace(pod));
    let records: Vec<_> = view.range(&prefix, None).collect();
    let ranges: Vec<Value> = records.iter().map(|record| object::decode(record)).collect();
    ranges.iter().for_each(|range| limits::fill(range, pod));
    ranges.iter().try_for_each(|range| limits::check(range, pod)).map_err(|why| refused(pod, &why))?;
    Ok(records.iter().map(|record| Guard::Unchanged(record.key.clone(), record.modified)).collect())
}

fn refused(pod: &Value, why: &str) -> ApiError {
    ApiError::forbidden(&POD, meta::name(pod), why)
}

/// What was read, and that it stays so.
fn read(view: &View, kind: &'static Kind, namespace: &str, name: &str) -> Option<(Value, Guard)> {
    let key = object::key(kind, namespace, name);
    let record = view.get(&key)?;
    Some((object::decode(record), Guard::Unchanged(key, record.modified)))
}

fn push(object: &mut Value, list: &str, item: Value) {
    match object.get_mut(list).and_then(Value::as_array_mut) {
        Some(items) => items.push(item),
        None => object[list] = json!([item]),
    }
}

fn service_account(view: &View, pod: &mut Value) -> Guards {
    if meta::annotation(pod, MIRROR).is_some() {
        return mirrors(pod).map(|()| Vec::new());
    }
    if text(pod, "/spec/serviceAccountName").is_empty() {
        pod["spec"]["serviceAccountName"] = "default".into();
    }
    let (namespace, name) = (meta::namespace(pod), text(pod, "/spec/serviceAccountName").to_owned());
    let Some((account, guard)) = read(view, &SERVICE_ACCOUNT, namespace, &name) else {
        let missing = Status::not_found(GroupResource::new("", "serviceaccount"), &name).message;
        return Err(refused(pod, &format!("error looking up service account {namespace}/{name}: {missing}")));
    };
    pod["spec"]["serviceAccount"] = name.into();
    if mounts_token(pod, &account) {
        mount_token(pod);
    }
    let secrets = items(&account, "/imagePullSecrets");
    if items(pod, "/spec/imagePullSecrets").is_empty() && !secrets.is_empty() {
        pod["spec"]["imagePullSecrets"] = secrets.iter().map(|one| json!({ "name": text(one, "/name") })).collect();
    }
    Ok(vec![guard])
}

/// A pod that mirrors what a node runs by itself leads to nothing in the cluster.
fn mirrors(pod: &Value) -> Result<(), ApiError> {
    if !text(pod, "/spec/serviceAccountName").is_empty() {
        return Err(refused(pod, "a mirror pod may not reference service accounts"));
    }
    let sources = |volume: &Value| items(volume, "/projected/sources").to_vec();
    let mut volumes = items(pod, "/spec/volumes").iter();
    if volumes.any(|volume| sources(volume).iter().any(|source| source.get("serviceAccountToken").is_some())) {
        return Err(refused(pod, "a mirror pod may not use ServiceAccountToken volume projections"));
    }
    Ok(())
}

/// The pod decides, else its account; who says nothing has one.
fn mounts_token(pod: &Value, account: &Value) -> bool {
    let said = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_bool);
    let field = "automountServiceAccountToken";
    said(pod, &format!("/spec/{field}")).or_else(|| said(account, &format!("/{field}"))).unwrap_or(true)
}

fn mount_token(pod: &mut Value) {
    let present = |volume: &&Value| text(volume, "/name").starts_with(TOKEN_VOLUME);
    let known = items(pod, "/spec/volumes").iter().find(present).map(|volume| text(volume, "/name").to_owned());
    let has = known.is_some();
    let name = known.unwrap_or_else(|| names::generate(TOKEN_VOLUME, rand::random()));
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter(|container| container.is_object()) {
            if items(container, "/volumeMounts").iter().all(|mount| text(mount, "/mountPath") != TOKEN_PATH) {
                let mount = json!({ "mountPath": TOKEN_PATH, "name": name, "readOnly": true });
                push(container, "volumeMounts", mount);
                mounted = true;
            }
        }
    }
    if mounted && !has {
        push(&mut pod["spec"], "volumes", token_volume(&name));
    }
}

fn token_volume(name: &str) -> Value {
    let namespace = json!({ "apiVersion": "v1", "fieldPath": "metadata.namespace" });
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": TOKEN_SECONDS, "path": "token" } },
                { "configMap": { "items": [{ "key": "ca.crt", "path": "ca.crt" }], "name": "kube-root-ca.crt" } },
                { "downwardAPI": { "items": [{ "fieldRef": namespace, "path": "namespace" }] } },
            ],
        },
    })
}

fn priority(view: &View, pod: &mut Value) -> Guards {
    let name = text(pod, "/spec/priorityClassName");
    let (class, guards) = match name {
        "" => (default_class(view), Vec::new()),
        name => match read(view, &PRIORITY_CLASS, "", name) {
            Some((class, guard)) => (Some(class), vec![guard]),
            None => return Err(refused(pod, &format!("no PriorityClass with name {name} was found"))),
        },
    };
    let value = class.as_ref().map_or(0, priority_class::value);
    let policy = class.as_ref().map(|class| text(class, "/preemptionPolicy")).filter(|policy| !policy.is_empty());
    let policy = policy.unwrap_or("PreemptLowerPriority").to_owned();
    if let Some(own) = pod.pointer("/spec/priority").and_then(Value::as_i64).filter(|own| *own != value) {
        let why = format!(
            "the integer value of priority ({own}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        );
        return Err(refused(pod, &why));
    }
    let own = text(pod, "/spec/preemptionPolicy");
    if !own.is_empty() && own != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({own}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(refused(pod, &why));
    }
    if let Some(class) = class {
        pod["spec"]["priorityClassName"] = meta::name(&class).into();
    }
    pod["spec"]["priority"] = value.into();
    pod["spec"]["preemptionPolicy"] = policy.into();
    Ok(guards)
}

/// The class of pods that name none; the least of several, which may be there for a moment.
fn default_class(view: &View) -> Option<Value> {
    let prefix = object::prefix(&PRIORITY_CLASS, "");
    let classes = view.range(&prefix, None).map(|record| object::decode(record));
    classes.filter(|class| is_true(class, "/globalDefault")).min_by_key(priority_class::value)
}

/// One class alone is that of pods that name none.
///
/// # Errors
/// 403 where there is another.
pub(super) fn only_default(view: &View, class: &Value) -> Result<(), ApiError> {
    let other = default_class(view).filter(|other| meta::name(other) != meta::name(class));
    match other.filter(|_| is_true(class, "/globalDefault")) {
        Some(other) => {
            let name = meta::name(&other);
            let why = format!("PriorityClass {name} is already marked as default. Only one default can exist");
            Err(ApiError::forbidden(&PRIORITY_CLASS, meta::name(class), why))
        }
        None => Ok(()),
    }
}
