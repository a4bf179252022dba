//! One rule of a role: which verbs on what. Main type: [`Rule`].

use api::kinds::read::items;
use serde_json::{Value, json};

use crate::Attributes;

/// Matches any verb, group, resource or path.
pub const ALL: &str = "*";

/// A `PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// API groups, or `*`; the core group is empty.
    pub api_groups: Vec<String>,
    /// Resources: `pods`, `pods/log`, `*/scale` or `*`.
    pub resources: Vec<String>,
    /// Names; none means any.
    pub resource_names: Vec<String>,
    /// Paths that are no resources; `*` at the end matches the rest.
    pub non_resource_urls: Vec<String>,
}

impl Rule {
    /// Reads a rule; what is absent or malformed matches nothing.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        let list = |pointer| items(value, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            verbs: list("/verbs"),
            api_groups: list("/apiGroups"),
            resources: list("/resources"),
            resource_names: list("/resourceNames"),
            non_resource_urls: list("/nonResourceURLs"),
        }
    }

    /// The rules of a role object.
    #[must_use]
    pub fn of_role(role: &Value) -> Vec<Self> {
        items(role, "/rules").iter().map(Self::from_value).collect()
    }

    /// As in a role object; empty lists are left out, verbs are always there.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({ "verbs": self.verbs });
        for (key, list) in [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("resourceNames", &self.resource_names),
            ("nonResourceURLs", &self.non_resource_urls),
        ] {
            if !list.is_empty() {
                value[key] = json!(list);
            }
        }
        value
    }

    /// Whether it lets this request pass.
    #[must_use]
    pub fn allows(&self, request: &Attributes<'_>) -> bool {
        if !has(&self.verbs, request.verb) {
            return false;
        }
        if !request.is_resource {
            return self.non_resource_urls.iter().any(|rule| path_matches(rule, request.path));
        }
        has(&self.api_groups, request.group)
            && self.resources.iter().any(|rule| resource_matches(rule, request.resource, request.subresource))
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == request.name))
    }

    /// Whether everything `other` allows, this allows too. Errs on the side of no.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let all = |own: &[String], wanted: &[String]| wanted.iter().all(|item| has(own, item));
        let resource = |wanted: &String| {
            let (resource, part) = wanted.split_once('/').unwrap_or((wanted, ""));
            self.resources.iter().any(|own| resource_matches(own, resource, part))
        };
        let name = |name: &String| self.resource_names.contains(name);
        let path = |path: &String| self.non_resource_urls.iter().any(|own| path_matches(own, path));
        let names =
            self.resource_names.is_empty() || !other.resource_names.is_empty() && other.resource_names.iter().all(name);
        all(&self.verbs, &other.verbs)
            && all(&self.api_groups, &other.api_groups)
            && other.resources.iter().all(resource)
            && names
            && other.non_resource_urls.iter().all(path)
    }

    /// The same as rules for one verb on one thing each.
    #[must_use]
    pub fn atoms(&self) -> Vec<Self> {
        let one = |text: &str| vec![text.to_owned()];
        let names: Vec<Vec<String>> = match self.resource_names.as_slice() {
            [] => vec![Vec::new()],
            names => names.iter().map(|name| one(name)).collect(),
        };
        let mut atoms = Vec::new();
        for verb in &self.verbs {
            for (group, resource) in pairs(&self.api_groups, &self.resources) {
                atoms.extend(names.iter().map(|names| Self {
                    verbs: one(verb),
                    api_groups: one(group),
                    resources: one(resource),
                    resource_names: names.clone(),
                    non_resource_urls: Vec::new(),
                }));
            }
            let urls = self.non_resource_urls.iter();
            atoms.extend(urls.map(|url| Self { verbs: one(verb), non_resource_urls: one(url), ..Self::default() }));
        }
        atoms
    }

    /// For people, as upstream prints it.
    #[must_use]
    pub fn compact(&self) -> String {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let parts = parts.iter().filter(|(_, list)| !list.is_empty());
        let parts: Vec<String> = parts.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// A list as Go prints it with `%q`.
pub(crate) fn quoted(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| api::gotext::quote(item)).collect();
    format!("[{}]", items.join(" "))
}

fn pairs<'a>(left: &'a [String], right: &'a [String]) -> impl Iterator<Item = (&'a String, &'a String)> {
    left.iter().flat_map(move |left| right.iter().map(move |right| (left, right)))
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == ALL || item == wanted)
}

fn resource_matches(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == ALL {
        return true;
    }
    match rule.split_once('/') {
        None => subresource.is_empty() && rule == resource,
        Some((ALL, part)) => !subresource.is_empty() && part == subresource,
        Some((whole, part)) => whole == resource && part == subresource,
    }
}

fn path_matches(rule: &str, path: &str) -> bool {
    rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}
