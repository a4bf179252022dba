//! The commands, and what each must print. `NS` stands for the namespace of the run.

use std::path::Path;

use anyhow::Result;
use cluster::{Kubectl, Row, row, since, with};

const APPLIED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\n  labels: {app: web}\ndata:\n  a: '1'\n  b: '2'\n";
const CHANGED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\n  labels: {app: web}\ndata:\n  a: '1'\n  b: '3'\n";
const SHORTER: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\n  labels: {app: web}\ndata:\n  a: '1'\n";
const LEASE: &str = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata:\n  name: lease\nspec:\n  holderIdentity: me\n  leaseDurationSeconds: 15\n  renewTime: '2026-01-02T03:04:05.123456Z'\n";
const EVENT: &str = "apiVersion: v1\nkind: Event\nmetadata:\n  name: event.1\ninvolvedObject: {kind: ConfigMap, name: applied, namespace: NS, apiVersion: v1}\nreason: Tested\nmessage: it happened\ntype: Warning\nfirstTimestamp: '2026-01-02T03:04:05Z'\nlastTimestamp: '2026-01-02T03:04:05Z'\ncount: 3\nsource: {component: test}\n";
const REPLACED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: made\ndata:\n  only: this\n";
const TWO: &str = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: l1, labels: {in: list}}, data: {z: '9'}}\n- {apiVersion: v1, kind: Secret, metadata: {name: l2, labels: {in: list}}, stringData: {p: plain}}\n";

/// Topics in order; later ones build on earlier ones.
pub(crate) const TOPICS: &[(&str, &[Row])] = &[
    ("create and get", CREATES),
    ("apply", APPLIES),
    ("output formats", OUTPUTS),
    ("label, annotate, patch, replace", CHANGES),
    ("selectors and sorting", SELECTORS),
    ("describe", DESCRIBES),
    ("discovery and explain", DISCOVERY),
    ("who may do what", AUTH),
];

const CREATES: &[Row] = &[
    row("create namespace NS", &["namespace/NS created"]),
    row("wait --for=jsonpath={.status.phase}=Active namespace/NS --timeout=20s", &["condition met"]),
    row("create configmap made -n NS --from-literal=k=v --from-literal=empty=", &["configmap/made created"]),
    row("create secret generic hidden -n NS --from-literal=password=s3cret", &["secret/hidden created"]),
    row("create serviceaccount robot -n NS", &["serviceaccount/robot created"]),
    row(
        "create role reader -n NS --verb=get,list --resource=configmaps,secrets",
        &["role.rbac.authorization.k8s.io/reader created"],
    ),
    row(
        "create rolebinding reads -n NS --role=reader --serviceaccount=NS:robot",
        &["rolebinding.rbac.authorization.k8s.io/reads created"],
    ),
    row(
        "create clusterrole NS-all --verb=* --resource=leases.coordination.k8s.io",
        &["clusterrole.rbac.authorization.k8s.io/NS-all created"],
    ),
    row(
        "create clusterrolebinding NS-all --clusterrole=NS-all --user=jane",
        &["clusterrolebinding.rbac.authorization.k8s.io/NS-all created"],
    ),
    with("create -n NS -f -", LEASE, &["lease.coordination.k8s.io/lease created"]),
    with("create -n NS -f -", EVENT, &["event/event.1 created"]),
    with("create -n NS -f -", TWO, &["configmap/l1 created", "secret/l2 created"]),
    row("create configmap never -n NS --dry-run=server --from-literal=a=b", &["created (server dry run)"]),
    row("get configmap never -n NS --ignore-not-found", &["!never"]),
    row("get namespace NS", &["NAME", "STATUS", "AGE", "Active"]),
    row(
        "get cm,secrets,sa,roles,rolebindings,leases -n NS",
        &["configmap/made", "secret/hidden", "Opaque", "serviceaccount/robot", "reader", "Role/reader", "me"],
    ),
    row("get serviceaccount default -n NS --ignore-not-found=false", &["default"]),
    row("get configmap kube-root-ca.crt -n NS -o jsonpath={.data}", &["BEGIN CERTIFICATE"]),
    row("get secret hidden -n NS -o jsonpath={.data.password}", &["czNjcmV0"]),
    row("get secret l2 -n NS -o jsonpath={.data.p}", &["cGxhaW4="]),
    row("get events -n NS", &["LAST SEEN", "TYPE", "Warning", "Tested", "configmap/applied", "it happened"]),
    row("events -n NS", &["Warning", "Tested", "it happened"]),
];

const APPLIES: &[Row] = &[
    with("apply -n NS -f -", APPLIED, &["configmap/applied created"]),
    with("apply -n NS -f -", APPLIED, &["configmap/applied unchanged"]),
    with("diff -n NS -f -", APPLIED, &[]),
    with("apply -n NS -f -", CHANGED, &["configmap/applied configured"]),
    row("get configmap applied -n NS -o jsonpath={.data}", &[r#"{"a":"1","b":"3"}"#]),
    with("apply -n NS -f -", SHORTER, &["configmap/applied configured"]),
    row("get configmap applied -n NS -o jsonpath={.data}", &[r#"{"a":"1"}"#]),
    with("apply -n NS --server-side --force-conflicts -f -", CHANGED, &["configmap/applied serverside-applied"]),
    row("get configmap applied -n NS -o jsonpath={.data.b}", &["3"]),
    with("apply -n NS --server-side --force-conflicts -f -", SHORTER, &["serverside-applied"]),
    row(
        "get configmap applied -n NS -o yaml --show-managed-fields",
        &["manager: kubectl", "operation: Apply", "f:data"],
    ),
];

const OUTPUTS: &[Row] = &[
    row(
        "get configmap made -n NS -o yaml",
        &["apiVersion: v1", "kind: ConfigMap", "k: v", "empty: \"\"", "uid:", "!managedFields"],
    ),
    row(
        "get configmap made -n NS -o json",
        &[r#""kind": "ConfigMap""#, r#""resourceVersion":"#, r#""creationTimestamp":"#],
    ),
    row("get configmaps -n NS -o yaml", &["kind: List", "- apiVersion: v1", "name: made"]),
    row("get configmap made -n NS -o wide", &["NAME", "DATA", "AGE", "made", "2"]),
    row("get rolebinding reads -n NS -o wide", &["ROLE", "USERS", "GROUPS", "SERVICEACCOUNTS", "NS/robot"]),
    row("get configmap made -n NS -o name", &["configmap/made"]),
    row("get configmap made -n NS -o jsonpath={.metadata.name}/{.data.k}", &["made/v"]),
    row("get configmap made -n NS -o go-template={{.data.k}}", &["v"]),
    row("get configmap -n NS -o custom-columns=WHO:.metadata.name,WHAT:.data.k", &["WHO", "WHAT", "made", "<none>"]),
    row("get configmap -n NS --no-headers", &["!NAME", "made"]),
    row("get configmap -n NS --show-labels", &["LABELS", "app=web"]),
    row("get configmap -n NS -L app", &["APP", "web"]),
    row("get configmap -A", &["NAMESPACE", "kube-system", "NS"]),
    row("get configmap -A --chunk-size=1 -o name", &["configmap/made", "configmap/extension-apiserver-authentication"]),
];

const CHANGES: &[Row] = &[
    row("label configmap made -n NS tier=back", &["configmap/made labeled"]),
    row("label configmap made -n NS tier=front --overwrite", &["labeled"]),
    row("label configmap made -n NS tier=front", &["not labeled"]),
    row("annotate configmap made -n NS note='two words'", &["made annotate"]),
    row(
        "get configmap made -n NS -o jsonpath={.metadata.labels.tier},{.metadata.annotations.note}",
        &["front,two words"],
    ),
    row("label configmap made -n NS tier-", &["unlabeled"]),
    row(
        r#"patch configmap made -n NS --type=json -p [{"op":"add","path":"/data/j","value":"json"},{"op":"test","path":"/data/k","value":"v"}]"#,
        &["patched"],
    ),
    row(r#"patch configmap made -n NS --type=merge -p {"data":{"m":"merge","empty":null}}"#, &["patched"]),
    row(r#"patch configmap made -n NS --type=strategic -p {"data":{"s":"strategic"}}"#, &["patched"]),
    row(r#"patch configmap made -n NS -p {"data":{"s":"strategic"}}"#, &["no change"]),
    row("get configmap made -n NS -o jsonpath={.data}", &[r#"{"j":"json","k":"v","m":"merge","s":"strategic"}"#]),
    row(r#"patch serviceaccount robot -n NS -p {"secrets":[{"name":"one"}]}"#, &["patched"]),
    row(
        r#"patch serviceaccount robot -n NS -p {"secrets":[{"name":"two"}],"imagePullSecrets":[{"name":"pull"}]}"#,
        &["patched"],
    ),
    row("get serviceaccount robot -n NS -o jsonpath={.secrets[*].name}", &["one", "two"]),
    with("replace -n NS -f -", REPLACED, &["configmap/made replaced"]),
    row("get configmap made -n NS -o jsonpath={.data}", &[r#"{"only":"this"}"#]),
    with("replace --force -n NS -f -", REPLACED, &["replaced"]),
    row(r#"patch lease lease -n NS --type=merge -p {"spec":{"holderIdentity":"you"}}"#, &["patched"]),
    row(
        "get lease lease -n NS -o jsonpath={.spec.holderIdentity},{.spec.renewTime}",
        &["you,2026-01-02T03:04:05.123456Z"],
    ),
    row("wait --for=jsonpath={.spec.holderIdentity}=you lease/lease -n NS --timeout=10s", &["condition met"]),
    row("create rolebinding more -n NS --clusterrole=view --group=people", &["created"]),
    row("set subject rolebinding more -n NS --user=joe", &["subjects updated"]),
    row("get rolebinding more -n NS -o jsonpath={.subjects[*].name}", &["people", "joe"]),
];

const SELECTORS: &[Row] = &[
    row("get configmaps,secrets -n NS -l in=list -o name", &["configmap/l1", "secret/l2", "!made"]),
    row("get configmaps -n NS -l app!=web -o name", &["configmap/made", "!applied"]),
    row("get configmaps -n NS -l 'app in (web,db)' -o name", &["configmap/applied", "!made"]),
    row("get configmaps -n NS -l '!app' -o name", &["configmap/made", "!applied"]),
    row("get configmaps -n NS --field-selector metadata.name=made -o name", &["configmap/made", "!applied"]),
    row("get configmaps -A --field-selector metadata.namespace=NS,metadata.name!=made -o name", &["applied", "!made"]),
    row("get events -n NS --field-selector reason=Tested,type=Warning -o name", &["event/event.1"]),
    row("get events -n NS --field-selector type=Normal -o name", &["!event.1"]),
    row("get secrets -n NS --field-selector type=Opaque -o name", &["secret/hidden"]),
    row("get configmaps -n NS --sort-by=.metadata.name", &["applied"]),
    row("get configmaps -n NS --sort-by=.metadata.creationTimestamp -o name", &["made"]),
];

const DESCRIBES: &[Row] = &[
    row("describe configmap made -n NS", &["Name:", "made", "Namespace:", "NS", "only:", "this"]),
    row("describe configmap applied -n NS", &["Labels:       app=web", "Events:"]),
    row("describe secret hidden -n NS", &["password:  6 bytes", "!s3cret"]),
    row("describe serviceaccount robot -n NS", &["Name:", "robot", "Image pull secrets:"]),
    row("describe role reader -n NS", &["PolicyRule", "configmaps", "[get list]"]),
    row("describe rolebinding reads -n NS", &["Role:", "reader", "ServiceAccount", "robot"]),
    row("describe clusterrole NS-all", &["leases.coordination.k8s.io", "[*]"]),
    row("describe namespace NS", &["Name:", "Status:       Active"]),
    row("describe lease lease -n NS", &["Holder Identity:", "you"]),
];

const DISCOVERY: &[Row] = &[
    row("version", &["Server Version"]),
    row(
        "api-versions",
        &[
            "v1",
            "rbac.authorization.k8s.io/v1",
            "coordination.k8s.io/v1",
            "authorization.k8s.io/v1",
            "events.k8s.io/v1",
        ],
    ),
    row("api-resources", &["configmaps", "cm", "true", "ConfigMap", "namespaces", "clusterrolebindings", "leases"]),
    row(
        "api-resources --api-group=rbac.authorization.k8s.io -o name --verbs=list",
        &["roles.rbac", "clusterroles.rbac", "!leases"],
    ),
    row("explain configmap", &["KIND:", "ConfigMap", "binaryData", "immutable", "ConfigMap holds configuration data"]),
    row("explain configmap.metadata.labels", &["labels", "map[string]string"]),
    row("explain lease.spec --recursive", &["holderIdentity", "renewTime"]),
    row("explain roles.rules", &["PolicyRule", "apiGroups", "verbs"]),
    row("get --raw /livez?verbose", &["livez check passed"]),
    row("get --raw /openapi/v3", &["api/v1"]),
];

const AUTH: &[Row] = &[
    row("auth can-i create configmaps -n NS", &["yes"]),
    row("auth can-i get configmaps -n NS --as=system:serviceaccount:NS:robot", &["yes"]),
    row("auth can-i --list -n NS --as=system:serviceaccount:NS:robot", &["configmaps", "[get list]"]),
    since(28, "auth whoami", &["Username", "kubernetes-admin", "system:masters", "system:authenticated"]),
    since(28, "auth whoami --as=jane --as-group=people", &["jane", "people"]),
    row("create token robot -n NS --duration=1h", &["eyJ"]),
    with(
        "auth reconcile -n NS -f -",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: NS}\nrules:\n- {apiGroups: [''], resources: [pods], verbs: [get]}\n",
        &["reader reconciled"],
    ),
    row("get role reader -n NS -o jsonpath={.rules[*].resources}", &["configmaps", "pods"]),
];

/// Last of all.
pub(crate) const DELETES: &[Row] = &[
    row("delete configmap made -n NS", &["configmap \"made\" deleted"]),
    row("delete configmap made -n NS --ignore-not-found", &["!deleted"]),
    row("delete secrets,configmaps -n NS -l in=list", &["configmap \"l1\" deleted", "secret \"l2\" deleted"]),
    row("delete events --all -n NS", &["event \"event.1\" deleted"]),
    row("delete lease/lease rolebinding/reads sa/robot -n NS --wait=true", &["lease", "reads", "robot"]),
    row("delete clusterrole,clusterrolebinding NS-all", &["clusterrole.rbac.authorization.k8s.io \"NS-all\" deleted"]),
    row("delete namespace NS --timeout=40s", &["namespace \"NS\" deleted"]),
    row("get namespaces -o name", &["!namespace/NS\n"]),
    row("get configmaps -A --field-selector metadata.namespace=NS -o name", &["!configmap"]),
];

/// `edit` through an editor that is a script: a change, no change, and a change the server refuses.
pub(crate) fn edit(kubectl: &Kubectl, root: &Path, namespace: &str) -> Result<()> {
    let editor = |name: &str, script: &str| -> Result<Kubectl> {
        let path = root.join(format!("{namespace}-{name}.sh"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        Ok(kubectl.clone().env("KUBE_EDITOR", &format!("sh {}", path.display())))
    };
    let line = format!("edit configmap applied -n {namespace}");
    editor("change", "sed -i \"s/a: \\\"1\\\"/a: edited/\" \"$1\"")?.prints(
        &line,
        "",
        &["configmap/applied edited"],
    )?;
    editor("keep", "true")?.run(&line, "")?.prints(&["!edited"])?;
    kubectl.prints(&format!("get configmap applied -n {namespace} -o jsonpath={{.data.a}}"), "", &["edited"])?;
    Ok(())
}
