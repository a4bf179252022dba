//! Nobody grants what he does not hold himself. Spec:
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping>.

use std::collections::{BTreeMap, BTreeSet};

use api::{kinds::read::text, meta};
use serde_json::Value;

use super::{GROUP, RbacIndex, Rule, index::role_not_found, rule::quoted};
use crate::{Attributes, Authorizer, User, user::MASTERS};

/// Why a role or binding may not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EscalationError {
    /// 403; the text goes after `<resource> "<name>" is forbidden: `.
    #[error("{0}")]
    Forbidden(String),
    /// 404: the role that a binding names is not there, and the user may not bind it unseen.
    #[error("{}", role_not_found(kind, name))]
    NoRole {
        /// Kind of the role.
        kind: String,
        /// Its name.
        name: String,
    },
}

/// May this user write this Role or ClusterRole? `old` is what it replaces.
///
/// # Errors
/// [`EscalationError::Forbidden`] where it grants more than the user holds and he may not `escalate`.
pub fn check_role(
    index: &RbacIndex,
    authorizer: &dyn Authorizer,
    user: &User,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), EscalationError> {
    let same = |key: &str| old.is_some_and(|old| empty_is_absent(old.get(key)) == empty_is_absent(new.get(key)));
    if same("rules") && same("aggregationRule") || user.is_in(MASTERS) {
        return Ok(());
    }
    let (namespace, name) = (meta::namespace(new), meta::name(new));
    let resource = if meta::kind(new) == "ClusterRole" { "clusterroles" } else { "roles" };
    if authorizer.authorize(&Attributes::resource(user, "escalate", GROUP, resource, namespace, name)).is_allowed() {
        return Ok(());
    }
    if empty_is_absent(new.get("aggregationRule")).is_some() && !same("aggregationRule") {
        confirm(index, user, namespace, &everything()).map_err(|_| {
            EscalationError::Forbidden("must have cluster-admin privileges to use an aggregationRule".to_owned())
        })?;
    }
    confirm(index, user, namespace, &Rule::of_role(new))
}

/// May this user write this RoleBinding or ClusterRoleBinding? `old` is what it replaces.
///
/// # Errors
/// [`EscalationError`] where it grants more than the user holds and he may not `bind` the role.
pub fn check_binding(
    index: &RbacIndex,
    authorizer: &dyn Authorizer,
    user: &User,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), EscalationError> {
    let same = |key: &str| old.is_some_and(|old| empty_is_absent(old.get(key)) == empty_is_absent(new.get(key)));
    if same("roleRef") && same("subjects") || user.is_in(MASTERS) {
        return Ok(());
    }
    let (kind, name) = (text(new, "/roleRef/kind"), text(new, "/roleRef/name"));
    let namespace = meta::namespace(new);
    let resource = if kind == "ClusterRole" { "clusterroles" } else { "roles" };
    if authorizer.authorize(&Attributes::resource(user, "bind", GROUP, resource, namespace, name)).is_allowed() {
        return Ok(());
    }
    match index.rules(kind, namespace, name) {
        Some(rules) => confirm(index, user, namespace, rules),
        None => Err(EscalationError::NoRole { kind: kind.to_owned(), name: name.to_owned() }),
    }
}

fn empty_is_absent(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()))
}

fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    let resources = Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() };
    [resources, Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() }]
}

fn confirm(index: &RbacIndex, user: &User, namespace: &str, wanted: &[Rule]) -> Result<(), EscalationError> {
    let (held, errors) = index.rules_for(user, namespace);
    let uncovered = |atom: &Rule| !held.iter().any(|rule| rule.covers(atom));
    let missing: Vec<Rule> = wanted.iter().flat_map(Rule::atoms).filter(uncovered).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines: BTreeSet<String> = merged(missing).iter().map(Rule::compact).collect();
    let lines: Vec<String> = lines.into_iter().collect();
    let (name, groups) = (api::gotext::quote(&user.name), quoted(&user.groups));
    let resolution = match errors.is_empty() {
        true => String::new(),
        false => format!("; resolution errors: [{}]", errors.join(" ")),
    };
    Err(EscalationError::Forbidden(format!(
        "user {name} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{}{resolution}",
        lines.join("\n")
    )))
}

/// Rules on the same thing as one, with all their verbs.
fn merged(atoms: Vec<Rule>) -> Vec<Rule> {
    let mut by_thing: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    let mut rest = Vec::new();
    for atom in atoms {
        if atom.resources.is_empty() {
            rest.push(atom);
            continue;
        }
        let verbs = atom.verbs.clone();
        let known = by_thing.entry(Rule { verbs: Vec::new(), ..atom }).or_default();
        for verb in verbs {
            if !known.contains(&verb) {
                known.push(verb);
            }
        }
    }
    rest.extend(by_thing.into_iter().map(|(thing, verbs)| Rule { verbs, ..thing }));
    rest
}
