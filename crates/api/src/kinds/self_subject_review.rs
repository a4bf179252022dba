//! SelfSubjectReview: who am I? Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/self-subject-review-v1/>.

use super::{CREATE, Hooks, Kind, NameRule, columns};

/// SelfSubjectReview of authentication.k8s.io/v1.
pub static SELF_SUBJECT_REVIEW: Kind = Kind {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "SelfSubjectReview",
    list_kind: "",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: CREATE,
    subresources: &[],
    type_name: "io.k8s.api.authentication.v1.SelfSubjectReview",
    storage: None,
    name_rule: NameRule::Any,
    fields: &[],
    indexes: &[],
    columns: columns::DEFAULT,
    hooks: Hooks::NONE,
};
