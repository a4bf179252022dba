//! Roles and bindings, found by subject, so that a decision looks only at the bindings of this user and these groups.
//! Main type: [`RbacIndex`]. Fed with stored objects; the newest state of an object replaces the one before.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use api::{
    kinds::read::{items, text},
    meta,
};
use serde_json::Value;

use super::{Rule, aggregate::Aggregation};
use crate::{User, user::service_account_name};

/// All roles and bindings of a cluster. Memory: about that of the objects' names and rules.
#[derive(Clone, Debug, Default)]
pub struct RbacIndex {
    cluster: Scope,
    namespaces: HashMap<String, Scope>,
    /// Cluster roles that are made of others.
    aggregated: HashMap<String, Aggregation>,
    /// Labels of all cluster roles.
    labels: HashMap<String, Value>,
}

/// What lives in one namespace, or in none.
#[derive(Clone, Debug, Default)]
struct Scope {
    roles: HashMap<String, Arc<[Rule]>>,
    bindings: HashMap<String, Arc<Binding>>,
    users: HashMap<String, Vec<Entry>>,
    groups: HashMap<String, Vec<Entry>>,
}

/// A binding under one of its subjects.
#[derive(Clone, Debug)]
struct Entry {
    binding: Arc<Binding>,
    subject: usize,
}

#[derive(Debug)]
struct Binding {
    namespace: String,
    name: String,
    role_kind: String,
    role: String,
    subjects: Vec<Subject>,
}

#[derive(Debug)]
struct Subject {
    kind: String,
    name: String,
    /// Of a service account.
    namespace: String,
}

/// One binding that concerns a user, and what it grants.
#[derive(Debug)]
pub struct Grant<'a> {
    /// Rules of the role; `None` if there is no such role.
    pub rules: Option<&'a [Rule]>,
    binding: &'a Binding,
    subject: &'a Subject,
}

impl RbacIndex {
    /// An empty index: nobody may do anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a Role, ClusterRole, RoleBinding or ClusterRoleBinding; tells whether it is one of them.
    pub fn put(&mut self, object: &Value) -> bool {
        let (kind, namespace, name) = (meta::kind(object), meta::namespace(object), meta::name(object));
        match kind {
            "ClusterRole" => self.put_cluster_role(name, object),
            "Role" => {
                let rules = Rule::of_role(object).into();
                self.scope(namespace).roles.insert(name.to_owned(), rules);
            }
            "ClusterRoleBinding" => self.cluster.bind(Binding::from_value("", object)),
            "RoleBinding" => self.scope(namespace).bind(Binding::from_value(namespace, object)),
            _ => return false,
        }
        true
    }

    /// Forgets an object; of unknown ones nothing is left to forget.
    pub fn remove(&mut self, kind: &str, namespace: &str, name: &str) {
        match kind {
            "ClusterRole" => {
                self.aggregated.remove(name);
                self.labels.remove(name);
                self.cluster.roles.remove(name);
                self.aggregate();
            }
            "ClusterRoleBinding" => self.cluster.unbind(name),
            "Role" | "RoleBinding" => {
                let Some(scope) = self.namespaces.get_mut(namespace) else { return };
                match kind {
                    "Role" => _ = scope.roles.remove(name),
                    _ => scope.unbind(name),
                }
                if scope.roles.is_empty() && scope.bindings.is_empty() {
                    self.namespaces.remove(namespace);
                }
            }
            _ => {}
        }
    }

    /// Shows every binding of a user, cluster-wide ones first, then those of the namespace, until told to stop
    /// (`false`). A binding shows up once for each of its subjects that the user is.
    pub fn visit(&self, user: &User, namespace: &str, see: &mut dyn FnMut(Grant<'_>) -> bool) {
        let inner = (!namespace.is_empty()).then(|| self.namespaces.get(namespace)).flatten();
        for scope in [Some(&self.cluster), inner].into_iter().flatten() {
            for entry in scope.entries(user) {
                let binding = &*entry.binding;
                let rules = self.rules(&binding.role_kind, &binding.namespace, &binding.role);
                if !see(Grant { rules, binding, subject: &binding.subjects[entry.subject] }) {
                    return;
                }
            }
        }
    }

    /// Rules of a role by the kind that a `roleRef` names.
    #[must_use]
    pub fn rules(&self, kind: &str, namespace: &str, name: &str) -> Option<&[Rule]> {
        let scope = match kind {
            "ClusterRole" => &self.cluster,
            "Role" => self.namespaces.get(namespace)?,
            _ => return None,
        };
        scope.roles.get(name).map(|rules| &**rules)
    }

    /// All that a user may do in a namespace (or cluster-wide, if empty), and what is wrong with some bindings.
    #[must_use]
    pub fn rules_for(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut rules, mut errors, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        self.visit(user, namespace, &mut |grant| {
            if seen.insert(std::ptr::from_ref(grant.binding)) {
                match grant.rules {
                    Some(granted) => rules.extend_from_slice(granted),
                    None => errors.push(grant.role_not_found()),
                }
            }
            true
        });
        (rules, errors)
    }

    fn scope(&mut self, namespace: &str) -> &mut Scope {
        self.namespaces.entry(namespace.to_owned()).or_default()
    }

    fn put_cluster_role(&mut self, name: &str, object: &Value) {
        let rules: Arc<[Rule]> = Rule::of_role(object).into();
        let labels = object.pointer("/metadata/labels").cloned().unwrap_or_default();
        match Aggregation::of_role(object) {
            Some(aggregation) => _ = self.aggregated.insert(name.to_owned(), aggregation),
            None => _ = self.aggregated.remove(name),
        }
        self.labels.insert(name.to_owned(), labels);
        self.cluster.roles.insert(name.to_owned(), rules);
        self.aggregate();
    }

    /// Works out anew what the aggregated roles hold. One may be made of another, so it repeats until nothing
    /// changes, at most once per role.
    fn aggregate(&mut self) {
        for _ in 0..self.aggregated.len() {
            let mut changed = false;
            for (name, aggregation) in &self.aggregated {
                let roles = self.labels.iter().filter(|(other, labels)| *other != name && aggregation.takes(labels));
                let mut names: Vec<&String> = roles.map(|(name, _)| name).collect();
                names.sort_unstable();
                let sources = names.iter().filter_map(|name| self.cluster.roles.get(*name));
                let rules = super::aggregate::union(sources.map(|rules| &**rules));
                if self.cluster.roles.get(name).is_none_or(|present| **present != *rules) {
                    self.cluster.roles.insert(name.clone(), rules.into());
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }
}

impl Scope {
    fn entries<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Entry> {
        let own = self.users.get(&user.name).into_iter();
        own.chain(user.groups.iter().filter_map(|group| self.groups.get(group))).flatten()
    }

    fn bind(&mut self, binding: Binding) {
        self.unbind(&binding.name);
        let binding = Arc::new(binding);
        for (index, subject) in binding.subjects.iter().enumerate() {
            let entry = Entry { binding: Arc::clone(&binding), subject: index };
            if let Some((map, key)) = self.slot(subject) {
                map.entry(key).or_default().push(entry);
            }
        }
        self.bindings.insert(binding.name.clone(), binding);
    }

    fn unbind(&mut self, name: &str) {
        let Some(binding) = self.bindings.remove(name) else { return };
        for subject in &binding.subjects {
            let Some((map, key)) = self.slot(subject) else { continue };
            if let Some(entries) = map.get_mut(&key) {
                entries.retain(|entry| !Arc::ptr_eq(&entry.binding, &binding));
                if entries.is_empty() {
                    map.remove(&key);
                }
            }
        }
    }

    fn slot(&mut self, subject: &Subject) -> Option<(&mut HashMap<String, Vec<Entry>>, String)> {
        match subject.kind.as_str() {
            "User" => Some((&mut self.users, subject.name.clone())),
            "Group" => Some((&mut self.groups, subject.name.clone())),
            "ServiceAccount" if !subject.namespace.is_empty() => {
                Some((&mut self.users, service_account_name(&subject.namespace, &subject.name)))
            }
            _ => None,
        }
    }
}

impl Binding {
    fn from_value(namespace: &str, object: &Value) -> Self {
        let of = |value: &Value, pointer: &str| text(value, pointer).to_owned();
        let subject = |subject: &Value| Subject {
            kind: of(subject, "/kind"),
            name: of(subject, "/name"),
            namespace: Some(text(subject, "/namespace")).filter(|own| !own.is_empty()).unwrap_or(namespace).to_owned(),
        };
        Self {
            namespace: namespace.to_owned(),
            name: meta::name(object).to_owned(),
            role_kind: of(object, "/roleRef/kind"),
            role: of(object, "/roleRef/name"),
            subjects: items(object, "/subjects").iter().map(subject).collect(),
        }
    }
}

impl Grant<'_> {
    /// What is wrong where the role is not there.
    #[must_use]
    pub fn role_not_found(&self) -> String {
        role_not_found(&self.binding.role_kind, &self.binding.role)
    }
}

/// Message for a role that is not there.
pub(super) fn role_not_found(kind: &str, name: &str) -> String {
    format!("{}.rbac.authorization.k8s.io {} not found", kind.to_lowercase(), api::gotext::quote(name))
}

impl fmt::Display for Grant<'_> {
    /// As in the reason of an answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (binding, subject) = (self.binding, self.subject);
        match binding.namespace.as_str() {
            "" => write!(f, "ClusterRoleBinding {:?}", binding.name)?,
            namespace => write!(f, "RoleBinding \"{}/{namespace}\"", binding.name)?,
        }
        write!(f, " of {} {:?} to ", binding.role_kind, binding.role)?;
        match subject.kind.as_str() {
            "ServiceAccount" => write!(f, "ServiceAccount \"{}/{}\"", subject.name, subject.namespace),
            kind => write!(f, "{kind} {:?}", subject.name),
        }
    }
}
