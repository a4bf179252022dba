//! What a client may get wrong: the API names the field, the value and the rule, and changes nothing.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Kubectl, Steps, clients, request};

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Objects that are refused, and parts of the answer.
const OBJECTS: &[(&str, &str, &[&str])] = &[
    ("malformed YAML", "apiVersion: v1\nkind: [", &["error parsing STDIN"]),
    ("malformed JSON", r#"{"apiVersion":"v1","kind":"#, &["error parsing STDIN"]),
    ("no kind", "apiVersion: v1\nmetadata: {name: a}", &["kind"]),
    ("an unknown kind", "apiVersion: v1\nkind: Nope\nmetadata: {name: a}", &["no matches for kind \"Nope\""]),
    ("an unknown version", "apiVersion: v9\nkind: ConfigMap\nmetadata: {name: a}", &["no matches for kind", "v9"]),
    (
        "an unknown field",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatta: {a: b}",
        &["unknown field \"datta\""],
    ),
    (
        "an unknown field deep inside",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\nrules: [{verbs: [get], resource: [x]}]",
        &["unknown field \"rules[0].resource\""],
    ),
    ("a wrong type", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: 1}", &["data", "string"]),
    ("a list for a map", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: [a]", &["data"]),
    (
        "an upper case name",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Upper}",
        &["ConfigMap \"Upper\" is invalid", "metadata.name: Invalid value: \"Upper\"", "lowercase RFC 1123 subdomain"],
    ),
    (
        "a name with a slash",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a/b}",
        &["metadata.name: Invalid value", "a/b"],
    ),
    ("no name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {}", &["name or generateName is required"]),
    (
        "a namespace with a dot",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}",
        &["metadata.name: Invalid value: \"a.b\"", "must not contain dots"],
    ),
    (
        "a label that is none",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {k: 'no spaces'}}",
        &["metadata.labels: Invalid value: \"no spaces\""],
    ),
    (
        "a label key that is none",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {-k: v}}",
        &["metadata.labels: Invalid value: \"-k\""],
    ),
    (
        "an annotation key that is none",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {'b ad': v}}",
        &["metadata.annotations: Invalid value: \"b ad\""],
    ),
    ("a key that is none", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {'a/b': c}", &["data[a/b]"]),
    ("a value that is no base64", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: '%%'}", &["base64"]),
    (
        "another namespace than the request's",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: elsewhere}",
        &["namespace"],
    ),
    (
        "a role of no verbs",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\nrules: [{apiGroups: [''], resources: [pods]}]",
        &["rules[0].verbs: Required value"],
    ),
    (
        "a binding to no role",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: a}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Rule, name: x}",
        &["roleRef.kind: Unsupported value: \"Rule\""],
    ),
    (
        "a lease of no duration",
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: a}\nspec: {leaseDurationSeconds: 0}",
        &["spec.leaseDurationSeconds", "must be greater than 0"],
    ),
];

/// Commands that are refused, and parts of the answer.
const COMMANDS: &[(&str, &[&str])] = &[
    ("get configmap nope -n bad", &["Error from server (NotFound): configmaps \"nope\" not found"]),
    ("get nopes", &["the server doesn't have a resource type \"nopes\""]),
    ("create configmap a -n nowhere --from-literal=a=b", &["namespaces \"nowhere\" not found"]),
    ("create configmap there -n bad --from-literal=a=b", &["configmaps \"there\" already exists"]),
    ("create namespace bad", &["(AlreadyExists): namespaces \"bad\" already exists"]),
    ("delete configmap nope -n bad", &["(NotFound)"]),
    ("delete namespace kube-system", &["Forbidden", "kube-system"]),
    ("label configmap there -n bad k=v=w", &["k=v=w"]),
    ("label configmap there -n bad 'k=no spaces'", &["no spaces"]),
    ("get configmaps -n bad -l 'in in'", &["selector"]),
    ("get configmaps -n bad --field-selector nope=1", &["nope"]),
    ("get --raw /api/v1/namespaces/bad/configmaps?limit=many", &["many"]),
    ("get --raw /api/v1/namespaces/bad/configmaps?resourceVersion=x", &["x"]),
    ("get --raw /nope", &["NotFound"]),
    (
        r#"patch configmap there -n bad --type=json -p [{"op":"remove","path":"/data/nope"}]"#,
        &["The request is invalid"],
    ),
    (r#"patch configmap there -n bad --type=json -p [{"op":"hop","path":"/data"}]"#, &["hop"]),
    (r#"patch configmap there -n bad --type=merge -p {"metadata":{"name":"other"}}"#, &["name"]),
    (
        r#"patch configmap there -n bad --type=merge -p {"metadata":{"uid":"other"}}"#,
        &["(Conflict)", "UID in precondition: other"],
    ),
    ("create token nobody -n bad", &["serviceaccounts \"nobody\" not found"]),
    ("create token default -n bad --duration=1s", &["10 minutes"]),
    ("auth can-i fly configmaps -n bad --as=jane", &[]),
];

#[test]
fn a_wrong_request_is_answered_with_the_value_and_changes_nothing() {
    let cluster = Cluster::start(1).unwrap();
    let admin = cluster.newest(0);
    admin.prints("create namespace bad", "", &["created"]).unwrap();
    admin.prints("create configmap there -n bad --from-literal=k=v", "", &["created"]).unwrap();
    let before = state(&admin).unwrap();
    let mut steps = Steps::new();
    for client in clients() {
        let kubectl = cluster.kubectl(client, 0);
        for (name, object, parts) in OBJECTS {
            steps.step(&format!("kubectl 1.{}: {name}", client.minor), || {
                kubectl.refuses("create -n bad --validate=strict -f -", object, parts).map(drop)
            });
        }
    }
    for (line, parts) in COMMANDS {
        steps.step(&format!("kubectl {line}"), || admin.refuses(line, "", parts).map(drop));
    }
    steps.step("an update of what has changed meanwhile", || conflict(&admin));
    steps.step("requests that kubectl does not send", || raw(&admin));
    steps.step("all that changed nothing", || {
        let after = state(&admin)?;
        ensure!(before == after, "{before} became {after}");
        Ok(())
    });
    steps.end();
}

/// What is there, with revisions.
fn state(kubectl: &Kubectl) -> Result<String> {
    let columns = "custom-columns=K:.kind,N:.metadata.name,R:.metadata.resourceVersion,D:.data.k";
    // The CA's ConfigMap is the controllers', which may still be at it.
    let which = "-n bad --field-selector metadata.name!=kube-root-ca.crt --ignore-not-found";
    let kinds = "configmaps,secrets,roles,rolebindings,leases";
    let found = kubectl.prints(&format!("get {kinds} {which} -o {columns}"), "", &["there"])?;
    Ok(found + &kubectl.prints("get namespaces -o name", "", &["namespace/bad"])?)
}

fn conflict(kubectl: &Kubectl) -> Result<()> {
    kubectl.prints("create configmap moving -n bad --from-literal=k=v", "", &["created"])?;
    let old = kubectl.prints("get configmap moving -n bad -o json", "", &["resourceVersion"])?;
    kubectl.prints("label configmap moving -n bad a=b", "", &["labeled"])?;
    let newer = "the object has been modified; please apply your changes to the latest version and try again";
    kubectl.refuses("replace -n bad -f -", &old, &["(Conflict)", "\"moving\"", newer])?;
    kubectl.prints("delete configmap moving -n bad", "", &["deleted"])?;
    Ok(())
}

/// A request's name, method, path and body; the code of the answer and parts of it.
type Raw<'a> = (&'a str, &'a str, &'a str, &'a str, u16, &'a [&'a str]);

/// Through `kubectl proxy`, which adds the credentials.
fn raw(kubectl: &Kubectl) -> Result<()> {
    let proxy = kubectl.follow("proxy --port=0")?;
    let says = proxy.says("Starting to serve on")?;
    let to: SocketAddr = says.rsplit(' ').next().context("no address")?.parse()?;
    let path = "/api/v1/namespaces/bad/configmaps";
    let named = |rest: &str| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"a"}}{rest}}}"#);
    let large = named(&format!(r#","data":{{"k":"{}"}}"#, "x".repeat(4 << 20)));
    let value = named(&format!(r#","data":{{"k":"{}"}}"#, "x".repeat(3 << 19)));
    let deep = named(&format!(r#","data":{}1{}"#, r#"{"a":"#.repeat(20_000), "}".repeat(20_000)));
    let twice = named(r#","data":{"a":"b"},"data":{"c":"d"}"#);
    let rows: &[Raw<'_>] = &[
        ("over 3 MiB", "POST", path, &large, 413, &["limit is 3145728"]),
        ("a value over its limit", "POST", path, &value, 422, &["Too long"]),
        ("deeply nested", "POST", path, &deep, 400, &["BadRequest"]),
        ("an empty body", "POST", path, "", 400, &["BadRequest"]),
        ("no JSON", "POST", path, "{]", 400, &["BadRequest"]),
        ("a field twice", "POST", &format!("{path}?fieldValidation=Strict"), &twice, 400, &["duplicate field"]),
        ("a wrong method", "PUT", path, "{}", 405, &["MethodNotAllowed"]),
        ("a wrong dry run", "POST", &format!("{path}?dryRun=Some"), &named(""), 422, &["dryRun"]),
        ("another kind", "POST", "/api/v1/namespaces/bad/secrets", &named(""), 400, &["ConfigMap"]),
        ("an update without an object", "PUT", &format!("{path}/a"), &named(""), 404, &["not found"]),
        ("an unknown patch", "PATCH", &format!("{path}/there"), "{}", 415, &["UnsupportedMediaType"]),
        ("a name in the path, another inside", "PUT", &format!("{path}/there"), &named(""), 400, &["the name"]),
    ];
    for (name, method, path, body, code, parts) in rows {
        let reply = request(to, method, path, body.as_bytes(), LIMIT).with_context(|| name.to_string())?;
        let shown: String = reply.text.chars().take(1500).collect();
        ensure!(reply.code == *code, "{name}: {} instead of {code}: {shown}", reply.code);
        ensure!(parts.iter().all(|part| reply.text.contains(part)), "{name}: {parts:?} is missing in {shown}");
    }
    Ok(())
}
