//! Roles made for people: cluster-admin, admin, edit, view.

use super::{READ, READ_WRITE, RoleRow, WRITE, on, role, urls};

/// Roles for people, and the parts that admin, edit and view are made of.
pub const USER_ROLES: &[RoleRow] = &[
    role("cluster-admin", &[on("*", "*", "*"), urls("*", "*")]),
    RoleRow { made_of: "admin", ..role("admin", &[]) },
    RoleRow { made_of: "edit", part_of: "admin", ..role("edit", &[]) },
    RoleRow { made_of: "view", part_of: "edit", ..role("view", &[]) },
    RoleRow {
        part_of: "admin",
        ..role(
            "system:aggregate-to-admin",
            &[
                on("create", "authorization.k8s.io", "localsubjectaccessreviews"),
                on(READ_WRITE, "rbac.authorization.k8s.io", "roles,rolebindings"),
            ],
        )
    },
    RoleRow {
        part_of: "edit",
        ..role(
            "system:aggregate-to-edit",
            &[
                on(READ, "", "pods/attach,pods/proxy,pods/exec,pods/portforward,secrets,services/proxy"),
                on("impersonate", "", "serviceaccounts"),
                on(WRITE, "", "pods,pods/attach,pods/proxy,pods/exec,pods/portforward"),
                on("create", "", "pods/eviction"),
                on(
                    WRITE,
                    "",
                    "replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/proxy,\
                     persistentvolumeclaims,configmaps,secrets,events",
                ),
                on("create", "", "serviceaccounts/token"),
                on(
                    WRITE,
                    "apps",
                    "statefulsets,statefulsets/scale,daemonsets,deployments,deployments/scale,deployments/rollback,\
                     replicasets,replicasets/scale",
                ),
                on(WRITE, "autoscaling", "horizontalpodautoscalers"),
                on(WRITE, "batch", "jobs,cronjobs"),
                on(
                    WRITE,
                    "extensions",
                    "daemonsets,deployments,deployments/scale,deployments/rollback,ingresses,replicasets,\
                     replicasets/scale,replicationcontrollers/scale,networkpolicies",
                ),
                on(WRITE, "policy", "poddisruptionbudgets"),
                on(WRITE, "networking.k8s.io", "networkpolicies,ingresses"),
                on(READ_WRITE, "coordination.k8s.io", "leases"),
                on(WRITE, "resource.k8s.io", "resourceclaims,resourceclaimtemplates"),
            ],
        )
    },
    RoleRow {
        part_of: "view",
        ..role(
            "system:aggregate-to-view",
            &[
                on(
                    READ,
                    "",
                    "pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status,\
                     endpoints,persistentvolumeclaims,persistentvolumeclaims/status,configmaps",
                ),
                on(
                    READ,
                    "",
                    "limitranges,resourcequotas,bindings,events,pods/status,resourcequotas/status,namespaces/status,\
                     replicationcontrollers/status,pods/log",
                ),
                on(READ, "", "namespaces"),
                on(READ, "discovery.k8s.io", "endpointslices"),
                on(
                    READ,
                    "apps",
                    "controllerrevisions,statefulsets,statefulsets/status,statefulsets/scale,daemonsets,\
                     daemonsets/status,deployments,deployments/status,deployments/scale,replicasets,\
                     replicasets/status,replicasets/scale",
                ),
                on(READ, "autoscaling", "horizontalpodautoscalers,horizontalpodautoscalers/status"),
                on(READ, "batch", "jobs,cronjobs,cronjobs/status,jobs/status"),
                on(
                    READ,
                    "extensions",
                    "daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,\
                     ingresses/status,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale,\
                     networkpolicies",
                ),
                on(READ, "policy", "poddisruptionbudgets,poddisruptionbudgets/status"),
                on(READ, "networking.k8s.io", "networkpolicies,ingresses,ingresses/status"),
                on(READ, "resource.k8s.io", "resourceclaims,resourceclaims/status,resourceclaimtemplates"),
            ],
        )
    },
];
