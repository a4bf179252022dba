//! TokenReview: whose token is this? Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/>.

use super::{CREATE, Hooks, Kind, NameRule, columns};

/// TokenReview of authentication.k8s.io/v1.
pub static TOKEN_REVIEW: Kind = Kind {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenReview",
    list_kind: "",
    plural: "tokenreviews",
    singular: "tokenreview",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: CREATE,
    subresources: &[],
    type_name: "io.k8s.api.authentication.v1.TokenReview",
    storage: None,
    name_rule: NameRule::Any,
    fields: &[],
    indexes: &[],
    columns: columns::DEFAULT,
    hooks: Hooks::NONE,
};
