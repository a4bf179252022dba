//! Who may depend on whom. ARCHITECTURE.md draws the layers; this table is what holds them.

use super::{Rule, sources::Source};
use crate::workspace::{Dependency, Workspace};
use std::collections::BTreeSet;

/// The rules about dependencies.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "layers",
        reason: "a crate may use only those of ours that its row in OURS names, so that the core stays simulable",
        remedy: "move the code to the layer it belongs to, or argue a change of the row in an ADR",
        refuse: true,
        find: own_dependencies,
    },
    Rule {
        name: "one owner",
        reason: "a framework is named by one crate only, so that it can be replaced there",
        remedy: "go through that crate's interface",
        refuse: true,
        find: owners,
    },
    Rule {
        name: "pure crates",
        reason: "crates that decide have no runtime, clock, randomness or I/O: these come in as arguments",
        remedy: "take the value as an argument and let an adapter provide it",
        refuse: true,
        find: impure,
    },
    Rule {
        name: "features",
        reason: "features unify over the workspace, and these change what our bytes are or what we build",
        remedy: "find who enables it with `cargo tree -e features -i <crate>` and turn it off there",
        refuse: true,
        find: features,
    },
    Rule {
        name: "one crypto provider",
        reason: "rustls uses ring only; a second provider costs minutes to build and makes the default ambiguous",
        remedy: "find who brings it with `cargo tree -i <crate>` and choose its ring feature",
        refuse: true,
        find: banned,
    },
];

/// Which of our crates each of our crates may use. `*`: all. Dev-dependencies are free.
const OURS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("api-types", &["api"]),
    ("store", &[]),
    ("wal", &[]),
    ("base2histogram", &[]),
    ("membership", &["store"]),
    ("net", &["membership"]),
    ("auth", &["api"]),
    ("clock", &[]),
    ("scheduler", &["api", "api-types"]),
    ("controllers", &["api", "api-types", "auth", "scheduler"]),
    ("kubelet", &["api", "api-types"]),
    ("runtime", &["api", "clock"]),
    ("dns", &["api"]),
    ("consensus", &["store", "wal", "net", "membership"]),
    ("apiserver", &["api", "api-types", "store", "auth", "clock"]),
    ("actors", &["*"]),
    ("mesh", &["*"]),
    ("testkit", &[]),
    ("hello", &[]),
    ("xtask", &["testkit"]),
    ("sim", &["*"]),
    ("cluster", &["*"]),
    ("kube-rs", &["*"]),
    ("fuzz", &["*"]),
    ("conformance", &["*"]),
];

/// Foreign crates that only these of ours may name, also in tests.
const OWNERS: &[(&str, &[&str])] = &[
    ("actix", &["actors"]),
    ("actix-rt", &["actors"]),
    ("quinn", &["net"]),
    ("chitchat", &["net"]),
    ("openraft", &["consensus"]),
    ("k8s-openapi", &["api-types", "kube-rs"]),
    ("schemars", &["api-types"]),
    ("kube", &["kube-rs"]),
    ("k8s-pb", &["xtask"]),
    ("containerd-client", &["runtime"]),
    ("hickory-proto", &["dns"]),
];

/// Crates that decide.
pub(super) const PURE: &[&str] =
    &["api", "api-types", "store", "auth", "membership", "scheduler", "controllers", "kubelet"];

/// What a deciding crate may not name.
const IMPURE: &[&str] =
    &["tokio", "tokio-util", "tokio-stream", "rand", "uuid", "nix", "hyper", "hyper-util", "socket2", "reqwest"];

/// What may not even come along with the dependencies of a deciding crate, or of the log.
const IMPURE_TRANSITIVELY: &[&str] = &["tokio", "hyper", "quinn", "openraft", "actix"];

/// Features that must be off.
const FEATURES: &[(&str, &str)] = &[("serde_json", "preserve_order"), ("serde_json", "arbitrary_precision")];

/// Crates that must not be in the graph.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"];

fn own_dependencies(workspace: &Workspace, _: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for member in &workspace.members {
        let name = name(workspace, member);
        let Some((_, allowed)) = OURS.iter().find(|(known, _)| *known == name) else {
            found.push(format!("{name} has no row in OURS"));
            continue;
        };
        let used =
            direct(workspace, member, Kinds::Build).filter(|id| workspace.members.iter().any(|member| member == id));
        let used = used.map(|id| self::name(workspace, id)).filter(|used| *used != name);
        let refused = used.filter(|used| !allowed.contains(used) && !allowed.contains(&"*"));
        found.extend(refused.map(|used| format!("{name} uses {used}")));
    }
    found
}

fn owners(workspace: &Workspace, _: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for member in &workspace.members {
        let member_name = name(workspace, member);
        let used: BTreeSet<&str> = direct(workspace, member, Kinds::All).map(|id| name(workspace, id)).collect();
        let others = OWNERS.iter().filter(|(foreign, owners)| used.contains(foreign) && !owners.contains(&member_name));
        found
            .extend(others.map(|(foreign, owners)| format!("{member_name} names {foreign}, which is {}'s", owners[0])));
    }
    found
}

fn impure(workspace: &Workspace, _: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for member in &workspace.members {
        let member_name = name(workspace, member);
        let pure = PURE.contains(&member_name);
        if !pure && member_name != "wal" {
            continue;
        }
        let named: BTreeSet<&str> = direct(workspace, member, Kinds::Build).map(|id| name(workspace, id)).collect();
        let named = IMPURE.iter().filter(|foreign| pure && named.contains(*foreign));
        found.extend(named.map(|foreign| format!("{member_name} names {foreign}")));
        let all = transitive(workspace, member);
        let brought = IMPURE_TRANSITIVELY.iter().filter(|foreign| all.contains(*foreign));
        found.extend(brought.map(|foreign| format!("{member_name} brings in {foreign}")));
    }
    found
}

fn features(workspace: &Workspace, _: &[Source]) -> Vec<String> {
    let on = |package: &str, feature: &str| {
        let nodes = workspace.nodes.values().filter(|node| name(workspace, &node.id) == package);
        nodes.flat_map(|node| &node.features).any(|one| one == feature)
    };
    let found = FEATURES.iter().filter(|(package, feature)| on(package, feature));
    found.map(|(package, feature)| format!("{package} has {feature}")).collect()
}

fn banned(workspace: &Workspace, _: &[Source]) -> Vec<String> {
    let names: BTreeSet<&str> = workspace.nodes.keys().map(|id| name(workspace, id)).collect();
    BANNED.iter().filter(|banned| names.contains(*banned)).map(|banned| format!("{banned} is in the graph")).collect()
}

/// Which dependencies count.
#[derive(Clone, Copy, PartialEq)]
enum Kinds {
    /// Those of the product.
    Build,
    /// Those of tests, too.
    All,
}

fn direct<'a>(workspace: &'a Workspace, id: &str, kinds: Kinds) -> impl Iterator<Item = &'a str> {
    let counts = move |one: &&Dependency| kinds == Kinds::All || one.dep_kinds.iter().any(|kind| kind.kind.is_none());
    let node = workspace.nodes.get(id);
    node.into_iter().flat_map(|node| &node.deps).filter(counts).map(|one| one.pkg.as_str())
}

/// Names of all that a crate's product dependencies bring in.
fn transitive<'a>(workspace: &'a Workspace, id: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut pending) = (BTreeSet::new(), vec![id]);
    while let Some(next) = pending.pop() {
        pending.extend(direct(workspace, next, Kinds::Build).filter(|id| !seen.contains(id)));
        seen.extend(direct(workspace, next, Kinds::Build));
    }
    seen.into_iter().map(|id| name(workspace, id)).collect()
}

fn name<'a>(workspace: &'a Workspace, id: &str) -> &'a str {
    workspace.packages.get(id).map_or("", |package| package.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A workspace of `a` members and their edges `(from, to, kind)`; every name that occurs is a package.
    fn workspace(members: &[&str], edges: &[(&str, &str, Option<&str>)], features: Value) -> Workspace {
        let names: BTreeSet<&str> =
            members.iter().copied().chain(edges.iter().flat_map(|(from, to, _)| [*from, *to])).collect();
        let package = |name: &&str| json!({ "id": name, "name": name, "manifest_path": "Cargo.toml" });
        let node = |name: &&str| {
            let deps = edges.iter().filter(|(from, ..)| from == name);
            let deps = deps.map(|(_, to, kind)| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] }));
            json!({ "id": name, "deps": deps.collect::<Vec<_>>(), "features": features.get(*name).unwrap_or(&json!([])) })
        };
        Workspace::from_metadata(
            &json!({
                "packages": names.iter().map(package).collect::<Vec<_>>(),
                "workspace_members": members,
                "workspace_root": "/",
                "resolve": { "nodes": names.iter().map(node).collect::<Vec<_>>() },
            })
            .to_string()
            .into_bytes(),
        )
        .expect("metadata")
    }

    fn check(edges: &[(&str, &str, Option<&str>)], expect: &[&str]) {
        let members: Vec<&str> = OURS.iter().map(|(name, _)| *name).collect();
        let workspace = workspace(&members, edges, json!({ "serde_json": ["std"] }));
        let found: Vec<String> = RULES.iter().flat_map(|rule| (rule.find)(&workspace, &[])).collect();
        assert_eq!(found, expect, "{edges:?}");
    }

    #[test]
    fn layers_hold() {
        check(&[("apiserver", "store", None), ("mesh", "apiserver", None), ("store", "membership", Some("dev"))], &[]);
        check(&[("store", "api", None)], &["store uses api"]);
        check(&[("apiserver", "net", None)], &["apiserver uses net"]);
    }

    #[test]
    fn frameworks_have_one_owner_also_in_tests() {
        check(&[("actors", "actix", None), ("net", "quinn", None)], &[]);
        check(&[("mesh", "actix", Some("dev"))], &["mesh names actix, which is actors's"]);
    }

    #[test]
    fn deciders_stay_pure() {
        check(&[("store", "rand", None)], &["store names rand"]);
        check(&[("store", "rand", Some("dev"))], &[]);
        check(&[("wal", "helper", None), ("helper", "tokio", None)], &["wal brings in tokio"]);
        check(&[("net", "tokio", None), ("net", "aws-lc-rs", None)], &["aws-lc-rs is in the graph"]);
    }

    #[test]
    fn canonical_json_stays_sorted() {
        let workspace =
            workspace(&["api"], &[("api", "serde_json", None)], json!({ "serde_json": ["preserve_order"] }));
        assert_eq!(features(&workspace, &[]), ["serde_json has preserve_order"]);
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        assert_eq!(own_dependencies(&workspace(&["novel"], &[], json!({})), &[]), ["novel has no row in OURS"]);
    }
}
