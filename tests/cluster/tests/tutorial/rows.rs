//! What the guides type, topic by topic; later topics build on earlier ones. `NS` stands for the namespace of the run.

use cluster::{Row, becomes, refuses, row, with};

const CONTROLLER: &str = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: old}\nspec:\n  replicas: 1\n  template:\n    metadata: {labels: {app: old}}\n    spec:\n      terminationGracePeriodSeconds: 0\n      containers: [{name: c, image: 'mesh.test/busybox:1', command: [sleep, '1000000']}]\n";
const PAIR: &str = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: p1, labels: {set: pruned}}, data: {a: '1'}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: p2, labels: {set: pruned}}, data: {a: '1'}}\n";
const HALF: &str = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: p1, labels: {set: pruned}}, data: {a: '2'}}\n";
const OURS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {a: ours}\n";
const THEIRS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {a: theirs}\n";
const NAKED: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: naked, labels: {v: '1'}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers: [{name: c, image: 'mesh.test/busybox:1', command: [sleep, '1000000']}]\n";

const CLASS: &str = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: class-NS, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}\nspec: {controller: example.com/none}\n";

const STORAGE_CLASS: &str = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: slow-NS}\nprovisioner: example.com/none\nreclaimPolicy: Retain\nallowVolumeExpansion: true\nvolumeBindingMode: WaitForFirstConsumer\n";
const VOLUME: &str = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: disk-NS}\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce, ReadOnlyMany], storageClassName: kept-NS, hostPath: {path: /tmp/disk-NS}}\n";
const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], storageClassName: slow-NS, resources: {requests: {storage: 1Gi}}}\n";
const BAD_CLAIM: &str =
    "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: bad}\nspec: {accessModes: [ReadWriteTwice]}\n";

pub(crate) const TOPICS: &[(&str, &[Row])] = &[
    ("a deployment behind Services of every type", SERVICES),
    ("Ingresses, for whoever acts on them", INGRESSES),
    ("classes, volumes and claims", STORAGE),
    ("one-off pods, logs and a look inside", PODS),
    ("scale, set, roll out", CHANGES),
    ("apply, prune, conflicts, replace", APPLIES),
    ("a namespace with a quota, and a budget", LIMITS),
    ("a replication controller", CONTROLLERS),
    ("nodes that are emptied", NODES),
    ("delete in every way", DELETES),
];

const SERVICES: &[Row] = &[
    row("version -o json", &["\"gitVersion\": \"v1.36"]),
    row("cluster-info", &["control plane", "https://"]),
    row("create namespace NS", &["created"]),
    row(
        "create deployment web -n NS --image=mesh.test/busybox:1 --replicas=3 --port=8080 -- sh -c 'hostname > /tmp/index.html; trap exit TERM; httpd -p 8080 -h /tmp; while true; do usleep 100000; done'",
        &["deployment.apps/web created"],
    ),
    row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
    row("expose -n NS deployment web --port=80 --target-port=8080", &["service/web exposed"]),
    row("expose -n NS deployment web --name=np --type=NodePort --port=80 --target-port=8080", &["service/np exposed"]),
    row(
        "expose -n NS deployment web --name=lb --type=LoadBalancer --port=80 --target-port=8080",
        &["service/lb exposed"],
    ),
    row("create service externalname far -n NS --external-name=example.com", &["service/far created"]),
    row("create service clusterip none -n NS --clusterip=None", &["service/none created"]),
    row(
        "get -n NS services -o wide",
        &["ClusterIP", "NodePort", "LoadBalancer", "<pending>", "example.com", "app=web"],
    ),
    row("describe -n NS service web", &["Endpoints:", ":8080", "Selector:"]),
    row("run client -n NS --image=mesh.test/busybox:1 --restart=Never -- sleep 1000000", &["pod/client created"]),
    row("wait -n NS --for=condition=Ready pod/client --timeout=90s", &["condition met"]),
    becomes("exec -n NS client -- wget -q -O - http://web", &["web-"]),
    becomes("exec -n NS client -- nslookup web.NS.svc.cluster.local", &["10.43."]),
];

const INGRESSES: &[Row] = &[
    with("apply -f -", CLASS, &["ingressclass.networking.k8s.io/class-NS created"]),
    row("get ingressclass class-NS", &["example.com/none", "<none>"]),
    row(
        "create ingress site -n NS --class=own --rule=a.example.com/*=web:80 --rule=b.example.com/api=web:http,tls=cert",
        &["ingress.networking.k8s.io/site created"],
    ),
    row("get -n NS ingress site", &["own", "a.example.com,b.example.com", "80, 443"]),
    row("describe -n NS ingress site", &["cert terminates b.example.com", "web:80", "/api"]),
    row("create ingress plain -n NS --default-backend=web:80", &["ingress.networking.k8s.io/plain created"]),
    row("get -n NS ing plain", &["class-", "*"]),
    refuses(
        "create ingress bad -n NS --rule=192.0.2.1/=web:80",
        "",
        &["spec.rules[0].host: Invalid value: \"192.0.2.1\": must be a ", "not an IP address"],
    ),
    row("delete -n NS ingress site plain", &["deleted"]),
    row("delete ingressclass class-NS", &["deleted"]),
];

const STORAGE: &[Row] = &[
    with("apply -f -", STORAGE_CLASS, &["storageclass.storage.k8s.io/slow-NS created"]),
    with("apply -f -", STORAGE_CLASS, &["storageclass.storage.k8s.io/slow-NS unchanged"]),
    row("get sc slow-NS", &["VOLUMEBINDINGMODE", "example.com/none", "Retain", "WaitForFirstConsumer", "true"]),
    row("describe storageclass slow-NS", &["IsDefaultClass:", "AllowVolumeExpansion:  True", "example.com/none"]),
    refuses(
        "patch sc slow-NS -p '{\"provisioner\":\"example.com/other\"}'",
        "",
        &["provisioner: Forbidden: updates to provisioner are forbidden."],
    ),
    row("annotate sc slow-NS storageclass.kubernetes.io/is-default-class=true", &["annotate"]),
    row("get sc", &["slow-", "(default)"]),
    row("annotate sc slow-NS storageclass.kubernetes.io/is-default-class-", &["annotate"]),
    with("create -f -", VOLUME, &["persistentvolume/disk-NS created"]),
    row(
        "get pv disk-NS -o wide",
        &["RECLAIM POLICY", "VOLUMEATTRIBUTESCLASS", "1Gi", "RWO,ROX", "Retain", "kept-", "<unset>", "Filesystem"],
    ),
    row("describe pv disk-NS", &["kubernetes.io/pv-protection", "HostPath (bare host directory volume)"]),
    refuses(
        "patch pv disk-NS -p '{\"spec\":{\"hostPath\":{\"path\":\"/other\"}}}'",
        "",
        &["spec.persistentvolumesource is immutable after creation"],
    ),
    with("apply -n NS --server-side -f -", CLAIM, &["persistentvolumeclaim/data serverside-applied"]),
    row("get -n NS pvc -o wide", &["VOLUMEMODE", "Pending", "slow-", "Filesystem"]),
    row("describe -n NS pvc data", &["kubernetes.io/pvc-protection", "StorageClass:", "Used By:"]),
    refuses(
        "patch -n NS pvc data -p '{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}'",
        "",
        &["spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"],
    ),
    refuses(
        "create -n NS -f -",
        BAD_CLAIM,
        &[
            "spec.accessModes: Unsupported value: \"ReadWriteTwice\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\"",
            "spec.resources[storage]: Required value",
        ],
    ),
    row("get -n NS pvc,quota -o name", &["persistentvolumeclaim/data"]),
    row("explain pvc.spec.volumeName", &["VERSION:", "volumeName"]),
    row("explain pv.spec.claimRef", &["VERSION:", "claimRef"]),
    row("explain sc.volumeBindingMode", &["VERSION:", "volumeBindingMode"]),
    row("delete -n NS pvc --all --timeout=60s", &["deleted"]),
    row("delete pv/disk-NS sc/slow-NS --timeout=60s", &["persistentvolume", "storageclass", "deleted"]),
];

const PODS: &[Row] = &[
    with(
        "run once -n NS --image=mesh.test/busybox:1 --restart=Never --rm -i -- sh -c 'read name; echo hello $name'",
        "there\n",
        &["hello there"],
    ),
    row(
        "run ask -n NS --image=mesh.test/busybox:1 --restart=Never --stdin --attach=false -- sh -c 'read name; echo hello $name'",
        &["pod/ask created"],
    ),
    row("wait -n NS --for=condition=Ready pod/ask --timeout=90s", &["condition met"]),
    with("attach -n NS ask --stdin", "you\n", &["hello you"]),
    becomes("get -n NS pod ask", &["Completed"]),
    row("run talk -n NS --image=mesh.test/busybox:1 -- sh -c 'echo one; echo two; sleep 1000000'", &["created"]),
    row("wait -n NS --for=condition=Ready pod/talk --timeout=90s", &["condition met"]),
    becomes("logs -n NS talk", &["one", "two"]),
    row("logs -n NS talk --tail=1", &["two", "!one"]),
    row("logs -n NS talk --since=1h --timestamps", &["T", "one"]),
    row("exec -n NS talk -- sh -c 'exit 0'", &[]),
    refuses("exec -n NS talk -- sh -c 'exit 3'", "", &["exit code 3"]),
    row("debug -n NS talk --image=mesh.test/busybox:1 -c looks --profile=general --attach=false -- sleep 1", &[]),
    becomes("get -n NS pod talk -o jsonpath={.status.ephemeralContainerStatuses[*].state}", &["terminated"]),
    row("describe -n NS pod talk", &["Ephemeral Containers:", "looks:", "Started"]),
    row(
        "debug -n NS talk --image=mesh.test/busybox:1 -c sees --target=talk --profile=general --attach=false -- ps",
        &[],
    ),
    becomes("logs -n NS talk -c sees", &["1 root", "sleep 1000000"]),
    row(
        "debug -n NS talk --copy-to=copy --image=mesh.test/busybox:1 -c sees --profile=general --attach=false -- sleep 1000000",
        &[],
    ),
    row("wait -n NS --for=condition=Ready pod/copy --timeout=90s", &["condition met"]),
    row("exec -n NS copy -c sees -- ps", &["1 65535", "/pause", "sleep 1000000"]),
    row(
        "debug -n NS node/node-1 --image=mesh.test/busybox:1 --profile=general --attach=false -- sh -c 'ls -d /host/etc; ps'",
        &["Creating debugging pod node-debugger-node-1-"],
    ),
    becomes("get -n NS pods", &["node-debugger-node-1-", "Completed"]),
    row("events -n NS --for pod/talk", &["Scheduled", "Started"]),
    row("label -n NS pod talk tier=front", &["labeled"]),
    row("get -n NS pods -l tier=front -o name", &["pod/talk", "!pod/client"]),
    row("annotate -n NS pod talk note='a b'", &["annotate"]),
    row("get -n NS pods --sort-by=.metadata.name --show-labels", &["tier=front"]),
    row("get -n NS pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP", &["NAME", "10.42."]),
    row("get -n NS pod talk -o go-template='{{.status.phase}}'", &["Running"]),
    row("get -A pods --field-selector=status.phase=Running -o name", &["pod/talk"]),
    row("auth can-i create pods -n NS", &["yes"]),
];

const CHANGES: &[Row] = &[
    row("scale -n NS deployment/web --replicas=4", &["scaled"]),
    becomes("get -n NS deployment web", &["4/4"]),
    row("scale -n NS deployment/web --current-replicas=4 --replicas=2", &["scaled"]),
    becomes("get -n NS deployment web", &["2/2"]),
    row("set env -n NS deployment/web COLOUR=green", &["env updated"]),
    row("set resources -n NS deployment/web --requests=cpu=10m,memory=16Mi", &["resource requirements updated"]),
    row("set serviceaccount -n NS deployment/web default", &["serviceaccount updated"]),
    row("set selector -n NS service/none app=web", &["selector updated"]),
    row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
    row("rollout history -n NS deployment/web", &["REVISION", "1 ", "2 "]),
    row("rollout pause -n NS deployment/web", &["paused"]),
    row("set env -n NS deployment/web COLOUR=blue", &["env updated"]),
    row(
        "get -n NS replicasets -l app=web -o jsonpath={.items[*].spec.template.spec.containers[0].env}",
        &["green", "!blue"],
    ),
    row("rollout resume -n NS deployment/web", &["resumed"]),
    row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
    row("rollout undo -n NS deployment/web", &["rolled back"]),
    row("rollout restart -n NS deployment/web", &["restarted"]),
    row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
    row("get -n NS deployment web -o jsonpath={.spec.template.spec.containers[0].env}", &["green"]),
    row("set image -n NS deployment/web '*=mesh.test/busybox:1'", &[]),
    row(
        "patch -n NS deployment web --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":3}]'",
        &["patched"],
    ),
    row("patch -n NS deployment web --type=merge -p '{\"spec\":{\"replicas\":2}}'", &["patched"]),
    becomes("get -n NS deployment web", &["2/2"]),
];

const APPLIES: &[Row] = &[
    with("apply -n NS -f -", PAIR, &["p1 created", "p2 created"]),
    with("apply -n NS -f -", PAIR, &["p1 unchanged", "p2 unchanged"]),
    with("apply -n NS --dry-run=server -f -", HALF, &["p1 configured (server dry run)"]),
    with("apply -n NS --dry-run=client -f -", HALF, &["p1 configured (dry run)"]),
    with("apply -n NS --prune -l set=pruned -f -", HALF, &["p1 configured", "p2 pruned"]),
    with("apply -n NS -f -", PAIR, &["p1 configured", "p2 created"]),
    with(
        "apply -n NS --prune -l set=pruned --prune-allowlist=core/v1/ConfigMap -f -",
        HALF,
        &["p1 configured", "p2 pruned"],
    ),
    with("apply -n NS --server-side --field-manager=ours -f -", OURS, &["serverside-applied"]),
    refuses("apply -n NS --server-side --field-manager=theirs -f -", THEIRS, &["conflict with \"ours\": .data.a"]),
    with("apply -n NS --server-side --field-manager=theirs --force-conflicts -f -", THEIRS, &["serverside-applied"]),
    with("create -n NS -f -", NAKED, &["pod/naked created"]),
    with("replace -n NS --force -f -", NAKED, &["deleted", "replaced"]),
    row("wait -n NS --for=condition=Ready pod/naked --timeout=90s", &["condition met"]),
];

const LIMITS: &[Row] = &[
    row("create namespace NS-q", &["created"]),
    row("create quota two -n NS-q --hard=count/configmaps=2,pods=1", &["resourcequota/two created"]),
    becomes("describe -n NS-q quota two", &["count/configmaps  1     2", "pods              0     1"]),
    row("create configmap one -n NS-q", &["created"]),
    refuses(
        "create configmap more -n NS-q",
        "",
        &["is forbidden: exceeded quota: two, requested: count/configmaps=1, used: count/configmaps=2"],
    ),
    row("create poddisruptionbudget web -n NS --selector=app=web --min-available=1", &["created"]),
    becomes("get -n NS pdb web", &["1 "]),
    row("create priorityclass NS-high --value=1000", &["created"]),
    row("delete priorityclass NS-high", &["deleted"]),
    row("delete namespace NS-q --timeout=60s", &["deleted"]),
];

const CONTROLLERS: &[Row] = &[
    with("create -n NS -f -", CONTROLLER, &["replicationcontroller/old created"]),
    row("scale -n NS rc/old --replicas=2", &["scaled"]),
    becomes("get -n NS rc old", &["2         2         2"]),
    row("expose -n NS rc old --port=80", &["service/old exposed"]),
    row("get -n NS service old -o wide", &["app=old"]),
    row("delete -n NS rc old --cascade=orphan", &["deleted"]),
    row("get -n NS pods -l app=old -o name", &["pod/old-"]),
    row("delete -n NS pods -l app=old", &["deleted"]),
];

const NODES: &[Row] = &[
    row("cordon node-2", &["cordoned"]),
    row("get nodes", &["Ready,SchedulingDisabled"]),
    row(
        "drain node-2 --ignore-daemonsets --force --delete-emptydir-data --grace-period=1 --timeout=120s",
        &["node/node-2 drained"],
    ),
    row("get -A pods --field-selector=spec.nodeName=node-2 -o name", &["!pod/"]),
    row("uncordon node-2", &["uncordoned"]),
    row("taint nodes node-2 kept=free:NoSchedule", &["tainted"]),
    row("taint nodes node-2 kept-", &["untainted"]),
    row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
];

const DELETES: &[Row] = &[
    row("delete -n NS configmap -l set=pruned", &["p1\" deleted"]),
    row("delete -n NS pods --all --grace-period=0 --force --wait=false", &["force deleted"]),
    row("delete -n NS service np lb far none old", &["deleted"]),
    row("delete -n NS deployment web", &["deleted"]),
    row("wait -n NS --for=delete pods -l app=web --timeout=90s", &[]),
    row("delete namespace NS --timeout=90s", &["deleted"]),
];
