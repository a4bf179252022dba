//! The four reviews of authorization.k8s.io/v1: may someone do this? Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/>.

use super::{CREATE, Hooks, Kind, NameRule, columns};

const GROUP: &str = "authorization.k8s.io";

/// May this user do this?
pub static SUBJECT_ACCESS_REVIEW: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "SubjectAccessReview",
    list_kind: "",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: CREATE,
    subresources: &[],
    type_name: "io.k8s.api.authorization.v1.SubjectAccessReview",
    storage: None,
    name_rule: NameRule::Any,
    fields: &[],
    indexes: &[],
    columns: columns::DEFAULT,
    hooks: Hooks::NONE,
};

/// May I do this?
pub static SELF_SUBJECT_ACCESS_REVIEW: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "SelfSubjectAccessReview",
    list_kind: "",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: CREATE,
    subresources: &[],
    type_name: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    storage: None,
    name_rule: NameRule::Any,
    fields: &[],
    indexes: &[],
    columns: columns::DEFAULT,
    hooks: Hooks::NONE,
};

/// May this user do this in this namespace?
pub static LOCAL_SUBJECT_ACCESS_REVIEW: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "LocalSubjectAccessReview",
    list_kind: "",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: CREATE,
    subresources: &[],
    type_name: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    storage: None,
    name_rule: NameRule::Any,
    fields: &[],
    indexes: &[],
    columns: columns::DEFAULT,
    hooks: Hooks::NONE,
};

/// What may I do in this namespace?
pub static SELF_SUBJECT_RULES_REVIEW: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "SelfSubjectRulesReview",
    list_kind: "",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: CREATE,
    subresources: &[],
    type_name: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    storage: None,
    name_rule: NameRule::Any,
    fields: &[],
    indexes: &[],
    columns: columns::DEFAULT,
    hooks: Hooks::NONE,
};
