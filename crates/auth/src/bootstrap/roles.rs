//! Roles of the system's own parts, roles in namespaces, and the bindings of all but the controllers' roles.

use super::{BindingRow, EVENTS, READ, RoleRow, RuleRow, named, on, role, urls};
use crate::user::{AUTHENTICATED, MASTERS, UNAUTHENTICATED};

/// What any kubelet may do; what depends on the pods it runs is the node authorizer's to say.
pub const NODE_RULES: &[RuleRow] = &[
    on("create", "authentication.k8s.io", "tokenreviews"),
    on("create", "authorization.k8s.io", "subjectaccessreviews,localsubjectaccessreviews"),
    on(READ, "", "services"),
    on("create,get,list,watch", "", "nodes"),
    on("update,patch", "", "nodes/status"),
    on("update,patch", "", "nodes"),
    EVENTS,
    on(READ, "", "pods"),
    on("create,delete", "", "pods"),
    on("update,patch", "", "pods/status"),
    on("create", "", "pods/eviction"),
    on(READ, "", "secrets,configmaps"),
    on("get", "", "persistentvolumeclaims,persistentvolumes"),
    on("get", "", "endpoints"),
    on("create,get,list,watch", "certificates.k8s.io", "certificatesigningrequests"),
    on("create,get,update,patch,delete", "coordination.k8s.io", "leases"),
    on("get", "storage.k8s.io", "volumeattachments"),
    on("create", "", "serviceaccounts/token"),
    on("get,update,patch", "", "persistentvolumeclaims/status"),
    on(READ, "storage.k8s.io", "csidrivers"),
    on("create,delete,get,patch,update", "storage.k8s.io", "csinodes"),
    on(READ, "node.k8s.io", "runtimeclasses"),
];

/// Roles of the system's own parts.
pub const SYSTEM_ROLES: &[RoleRow] = &[
    role(
        "system:discovery",
        &[urls("get", "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/")],
    ),
    role(
        "system:monitoring",
        &[urls("get", "/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*")],
    ),
    role(
        "system:basic-user",
        &[
            on("create", "authorization.k8s.io", "selfsubjectaccessreviews,selfsubjectrulesreviews"),
            on("create", "authentication.k8s.io", "selfsubjectreviews"),
        ],
    ),
    role("system:public-info-viewer", &[urls("get", "/healthz,/livez,/readyz,/version,/version/")]),
    role("system:node", NODE_RULES),
    role("system:node-problem-detector", &[on("get", "", "nodes"), on("patch", "", "nodes/status"), EVENTS]),
    role(
        "system:node-proxier",
        &[
            on("list,watch", "", "services,endpoints"),
            on(READ, "", "nodes"),
            EVENTS,
            on("list,watch", "discovery.k8s.io", "endpointslices"),
            on("list,watch", "networking.k8s.io", "servicecidrs"),
        ],
    ),
    role(
        "system:kubelet-api-admin",
        &[
            on(READ, "", "nodes"),
            on("proxy", "", "nodes"),
            on(
                "*",
                "",
                "nodes/proxy,nodes/metrics,nodes/stats,nodes/log,nodes/spec,nodes/checkpoint,nodes/configz,\
                 nodes/healthz,nodes/pods",
            ),
        ],
    ),
    role(
        "system:node-bootstrapper",
        &[on("create,get,list,watch", "certificates.k8s.io", "certificatesigningrequests")],
    ),
    role(
        "system:auth-delegator",
        &[
            on("create", "authentication.k8s.io", "tokenreviews"),
            on("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
    ),
    role("system:kube-aggregator", &[on(READ, "", "services,endpoints")]),
    role(
        "system:kube-controller-manager",
        &[
            EVENTS,
            on("create", "coordination.k8s.io", "leases"),
            named("get,update", "coordination.k8s.io", "leases", "kube-controller-manager"),
            on("create", "", "secrets,serviceaccounts"),
            on("delete", "", "secrets"),
            on("get", "", "namespaces,secrets,serviceaccounts,configmaps"),
            on("update", "", "secrets,serviceaccounts"),
            on("create", "authentication.k8s.io", "tokenreviews"),
            on("create", "authorization.k8s.io", "subjectaccessreviews"),
            on("list,watch", "*", "*"),
            on("create", "", "serviceaccounts/token"),
        ],
    ),
    role(
        "system:kube-scheduler",
        &[
            EVENTS,
            on("create", "coordination.k8s.io", "leases"),
            named("get,list,update,watch", "coordination.k8s.io", "leases", "kube-scheduler"),
            on(READ, "", "nodes"),
            on("delete,get,list,watch", "", "pods"),
            on("create", "", "pods/binding,bindings"),
            on("patch,update", "", "pods/status"),
            on(READ, "", "replicationcontrollers,services"),
            on(READ, "apps,extensions", "replicasets"),
            on(READ, "apps", "statefulsets"),
            on(READ, "policy", "poddisruptionbudgets"),
            on("get,list,patch,update,watch", "", "persistentvolumeclaims,persistentvolumes"),
            on("create", "authentication.k8s.io", "tokenreviews"),
            on("create", "authorization.k8s.io", "subjectaccessreviews"),
            on(READ, "", "namespaces"),
            on(READ, "storage.k8s.io", "csinodes,csidrivers,csistoragecapacities,storageclasses,volumeattachments"),
            on(READ, "resource.k8s.io", "deviceclasses,resourceclaims,resourceslices"),
            on("patch,update", "resource.k8s.io", "resourceclaims,resourceclaims/status"),
        ],
    ),
    role(
        "system:kube-dns",
        &[on("list,watch", "", "endpoints,services"), on("list,watch", "discovery.k8s.io", "endpointslices")],
    ),
    role(
        "system:persistent-volume-provisioner",
        &[
            on("create,delete,get,list,watch", "", "persistentvolumes"),
            on("get,list,update,watch", "", "persistentvolumeclaims"),
            on(READ, "storage.k8s.io", "storageclasses"),
            on("watch", "", "events"),
            EVENTS,
        ],
    ),
    role(
        "system:service-account-issuer-discovery",
        &[urls(
            "get",
            "/.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/",
        )],
    ),
];

/// Roles in namespaces.
pub const NAMESPACED_ROLES: &[RoleRow] = &[
    RoleRow {
        namespace: "kube-system",
        ..role(
            "extension-apiserver-authentication-reader",
            &[named(READ, "", "configmaps", "extension-apiserver-authentication")],
        )
    },
    RoleRow {
        namespace: "kube-system",
        ..role(
            "system::leader-locking-kube-controller-manager",
            &[on("watch", "", "configmaps"), named("get,update", "", "configmaps", "kube-controller-manager")],
        )
    },
    RoleRow {
        namespace: "kube-system",
        ..role(
            "system::leader-locking-kube-scheduler",
            &[on("watch", "", "configmaps"), named("get,update", "", "configmaps", "kube-scheduler")],
        )
    },
];

const CONTROLLER_MANAGER: (&str, &str) = ("User", "system:kube-controller-manager");
const SCHEDULER: (&str, &str) = ("User", "system:kube-scheduler");

/// Bindings of all but the controllers' roles.
pub const BINDINGS: &[BindingRow] = &[
    cluster("cluster-admin", &[("Group", MASTERS)]),
    cluster("system:monitoring", &[("Group", "system:monitoring")]),
    cluster("system:discovery", &[("Group", AUTHENTICATED)]),
    cluster("system:basic-user", &[("Group", AUTHENTICATED)]),
    cluster("system:public-info-viewer", &[("Group", AUTHENTICATED), ("Group", UNAUTHENTICATED)]),
    cluster("system:node-proxier", &[("User", "system:kube-proxy")]),
    cluster("system:kube-controller-manager", &[CONTROLLER_MANAGER]),
    cluster("system:kube-dns", &[("ServiceAccount", "kube-dns")]),
    cluster("system:kube-scheduler", &[SCHEDULER]),
    cluster("system:service-account-issuer-discovery", &[("Group", "system:serviceaccounts")]),
    // Kubelets pass by the node authorizer; the binding is there, empty, because upstream has it.
    cluster("system:node", &[]),
    BindingRow {
        namespace: "kube-system",
        name: "system::extension-apiserver-authentication-reader",
        role: "extension-apiserver-authentication-reader",
        subjects: &[CONTROLLER_MANAGER, SCHEDULER],
    },
    leader(
        "system::leader-locking-kube-controller-manager",
        &[CONTROLLER_MANAGER, ("ServiceAccount", "kube-controller-manager")],
    ),
    leader("system::leader-locking-kube-scheduler", &[SCHEDULER, ("ServiceAccount", "kube-scheduler")]),
];

const fn cluster(name: &'static str, subjects: &'static [(&'static str, &'static str)]) -> BindingRow {
    BindingRow { namespace: "", name, role: name, subjects }
}

const fn leader(name: &'static str, subjects: &'static [(&'static str, &'static str)]) -> BindingRow {
    BindingRow { namespace: "kube-system", ..cluster(name, subjects) }
}
