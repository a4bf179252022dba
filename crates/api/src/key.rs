//! Storage keys: where an object lies in the store. **Fixed early**: part of every log and snapshot.
//!
//! `<group or "core">/<plural>/<namespace or "">/<name>`. Names cannot contain `/`, so a resource, and a namespace
//! within it, is one range of keys; a cluster-wide object has an empty namespace segment.
//! Leaves out: claims, counters and flags of the store, whose first segment is no group.

/// First segment of the core group's keys; not a legal group name upstream ever uses.
const CORE: &str = "core";

/// Prefix of all objects of a resource, ending in `/`.
#[must_use]
pub fn resource(group: &str, plural: &str) -> String {
    let group = if group.is_empty() { CORE } else { group };
    format!("{group}/{plural}/")
}

/// Prefix of a resource's objects in one namespace, ending in `/`.
#[must_use]
pub fn namespace(group: &str, plural: &str, namespace: &str) -> String {
    resource(group, plural) + namespace + "/"
}

/// Key of one object; `namespace` is empty for a cluster-wide one.
#[must_use]
pub fn object(group: &str, plural: &str, namespace: &str, name: &str) -> String {
    self::namespace(group, plural, namespace) + name
}

/// Parts of a [`object`] key; the group of the core is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// API group.
    pub group: &'a str,
    /// Plural resource name.
    pub plural: &'a str,
    /// Namespace, or empty.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

/// Takes a key apart; `None` if it is no object's.
#[must_use]
pub fn parse(key: &str) -> Option<Parts<'_>> {
    let mut segments = key.splitn(4, '/');
    let group = segments.next().filter(|group| !group.is_empty())?;
    let (plural, namespace, name) = (segments.next()?, segments.next()?, segments.next()?);
    let group = if group == CORE { "" } else { group };
    (!plural.is_empty() && !name.is_empty() && !name.contains('/')).then_some(Parts { group, plural, namespace, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_apart_as_it_was_made() {
        let cases = [
            ("", "pods", "default", "a", "core/pods/default/a"),
            ("apps", "deployments", "", "b", "apps/deployments//b"),
        ];
        for (group, plural, ns, name, expect) in cases {
            let key = object(group, plural, ns, name);
            assert_eq!(key, expect);
            assert_eq!(parse(&key), Some(Parts { group, plural, namespace: ns, name }));
            assert!(key.starts_with(&namespace(group, plural, ns)) && key.starts_with(&resource(group, plural)));
        }
    }

    #[test]
    fn other_keys_are_nobodys() {
        for key in ["", "core", "core/pods", "core/pods/ns", "core/pods/ns/", "/pods/ns/a", "a//b/c", "a/b/c/d/e"] {
            assert_eq!(parse(key), None, "{key}");
        }
    }
}
