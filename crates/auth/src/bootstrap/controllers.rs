//! Roles of controllers: `system:controller:<name>`, each bound to the ServiceAccount of that name in kube-system.

use super::{EVENTS, READ, RuleRow, on};

/// Start of the roles' names.
pub const PREFIX: &str = "system:controller:";

/// Controllers by the name of their ServiceAccount, and what each may do.
pub const CONTROLLERS: &[(&str, &[RuleRow])] = &[
    ("clusterrole-aggregation-controller", &[on("escalate,get,list,patch,update,watch", RBAC, "clusterroles")]),
    (
        // Of this project: keeps default/kubernetes and kube-system/kube-dns.
        "cluster-services-controller",
        &[
            on("create,get,list,patch,watch", "", "services"),
            on("create,get,list,update,watch", "", "endpoints"),
            on("create", "", "endpoints/restricted"),
            on("create,delete,get,list,update,watch", "discovery.k8s.io", "endpointslices"),
            on("create", "discovery.k8s.io", "endpointslices/restricted"),
        ],
    ),
    (
        "cronjob-controller",
        &[
            on("get,list,update,watch", "batch", "cronjobs"),
            on("create,delete,get,list,patch,update,watch", "batch", "jobs"),
            on("update", "batch", "cronjobs/status,cronjobs/finalizers"),
            on("delete,list,watch", "", "pods"),
            EVENTS,
        ],
    ),
    (
        "daemon-set-controller",
        &[
            on(READ, "apps,extensions", "daemonsets"),
            on("update", "apps,extensions", "daemonsets/status,daemonsets/finalizers"),
            on("list,watch", "", "nodes"),
            on("create,delete,list,patch,watch", "", "pods"),
            on("create", "", "pods/binding"),
            on("create,delete,get,list,patch,update,watch", "apps", "controllerrevisions"),
            EVENTS,
        ],
    ),
    (
        "deployment-controller",
        &[
            on("get,list,update,watch", "apps,extensions", "deployments"),
            on("update", "apps,extensions", "deployments/status,deployments/finalizers"),
            on("create,delete,get,list,patch,update,watch", "apps,extensions", "replicasets"),
            on("get,list,update,watch", "", "pods"),
            EVENTS,
        ],
    ),
    (
        "disruption-controller",
        &[
            on(READ, "apps,extensions", "deployments,replicasets"),
            on(READ, "", "replicationcontrollers"),
            on(READ, "policy", "poddisruptionbudgets"),
            on(READ, "apps", "statefulsets"),
            on("update", "policy", "poddisruptionbudgets/status"),
            on("patch,update", "", "pods/status"),
            on("get", "*", "*/scale"),
            EVENTS,
        ],
    ),
    (
        "endpoint-controller",
        &[
            on(READ, "", "services,pods"),
            on("create,delete,get,list,update,watch", "", "endpoints"),
            on("create", "", "endpoints/restricted"),
            EVENTS,
        ],
    ),
    (
        "endpointslice-controller",
        &[
            on(READ, "", "services,pods,nodes"),
            on("update", "", "services/finalizers"),
            on("create,delete,get,list,update,watch", "discovery.k8s.io", "endpointslices"),
            EVENTS,
        ],
    ),
    (
        "endpointslicemirroring-controller",
        &[
            on(READ, "", "services,endpoints"),
            on("update", "", "services/finalizers,endpoints/finalizers"),
            on("create,delete,get,list,update,watch", "discovery.k8s.io", "endpointslices"),
            EVENTS,
        ],
    ),
    (
        "ephemeral-volume-controller",
        &[
            on(READ, "", "pods"),
            on("update", "", "pods/finalizers"),
            on("create,get,list,watch", "", "persistentvolumeclaims"),
            EVENTS,
        ],
    ),
    ("generic-garbage-collector", &[on("delete,get,list,patch,update,watch", "*", "*"), EVENTS]),
    (
        "horizontal-pod-autoscaler",
        &[
            on(READ, "autoscaling", "horizontalpodautoscalers"),
            on("update", "autoscaling", "horizontalpodautoscalers/status"),
            on("get,update", "*", "*/scale"),
            on("list,watch", "", "pods"),
            on("list,watch", "metrics.k8s.io", "pods"),
            on(READ, "custom.metrics.k8s.io", "*"),
            on(READ, "external.metrics.k8s.io", "*"),
            EVENTS,
        ],
    ),
    (
        "job-controller",
        &[
            on("get,list,patch,update,watch", "batch", "jobs"),
            on("update", "batch", "jobs/status,jobs/finalizers"),
            on("create,delete,list,patch,watch", "", "pods"),
            EVENTS,
        ],
    ),
    (
        "namespace-controller",
        &[
            on("delete,get,list,watch", "", "namespaces"),
            on("update", "", "namespaces/finalize,namespaces/status"),
            on("delete,deletecollection,get,list,watch", "*", "*"),
        ],
    ),
    (
        "node-controller",
        &[
            on("delete,get,list,patch,update,watch", "", "nodes"),
            on("patch,update", "", "nodes/status,pods/status"),
            on("delete,get,list,watch", "", "pods"),
            EVENTS,
        ],
    ),
    (
        "persistent-volume-binder",
        &[
            on("create,delete,get,list,update,watch", "", "persistentvolumes"),
            on("update", "", "persistentvolumes/status"),
            on("get,list,update,watch", "", "persistentvolumeclaims"),
            on("update", "", "persistentvolumeclaims/status"),
            on(READ, "storage.k8s.io", "storageclasses"),
            on(READ, "", "pods,nodes"),
            EVENTS,
        ],
    ),
    (
        "pod-garbage-collector",
        &[on("delete,list,watch", "", "pods"), on(READ, "", "nodes"), on("patch", "", "pods/status")],
    ),
    ("pv-protection-controller", &[on("get,list,update,watch", "", "persistentvolumes"), EVENTS]),
    (
        "pvc-protection-controller",
        &[on("get,list,update,watch", "", "persistentvolumeclaims"), on(READ, "", "pods"), EVENTS],
    ),
    (
        "replicaset-controller",
        &[
            on("get,list,update,watch", "apps,extensions", "replicasets"),
            on("update", "apps,extensions", "replicasets/status,replicasets/finalizers"),
            on("create,delete,list,patch,watch", "", "pods"),
            EVENTS,
        ],
    ),
    (
        "replication-controller",
        &[
            on("get,list,update,watch", "", "replicationcontrollers"),
            on("update", "", "replicationcontrollers/status,replicationcontrollers/finalizers"),
            on("create,delete,list,patch,watch", "", "pods"),
            EVENTS,
        ],
    ),
    ("resourcequota-controller", &[on("list,watch", "*", "*"), on("update", "", "resourcequotas/status"), EVENTS]),
    ("root-ca-cert-publisher", &[on("create,update", "", "configmaps"), EVENTS]),
    ("service-account-controller", &[on("create", "", "serviceaccounts"), EVENTS]),
    (
        "service-controller",
        &[on(READ, "", "services"), on("patch,update", "", "services/status"), on("list,watch", "", "nodes"), EVENTS],
    ),
    (
        "statefulset-controller",
        &[
            on("create,delete,get,list,patch,update,watch", "", "pods"),
            on(READ, "apps", "statefulsets"),
            on("update", "apps", "statefulsets/status,statefulsets/finalizers"),
            on("create,delete,get,list,patch,update,watch", "apps", "controllerrevisions"),
            on("create,delete,get,list,update,watch", "", "persistentvolumeclaims"),
            on("update", "", "pods/finalizers"),
            EVENTS,
        ],
    ),
    ("ttl-after-finished-controller", &[on("delete,get,list,watch", "batch", "jobs"), EVENTS]),
];

const RBAC: &str = "rbac.authorization.k8s.io";
