//! `docs/api-coverage.md` tells what is served: one row a kind, no kind or verb more or less. Held true against the kinds table, which drives
//! routes and discovery, and against [`CONTROLLERS`]. The columns for defaults and checks are judgements: here only that they are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use api::kinds::{ALL_VERBS, GROUPS, KINDS, Kind};
use controllers::CONTROLLERS;

/// Columns of a kind: kind, group and version, verbs, parts; then defaults, checks, controllers, what is missing.
const COLUMNS: usize = 8;

/// How many of them the kinds table decides.
const DECIDED: usize = 4;

/// Who else does something about objects, beside controllers.
const OTHERS: &[&str] = &["API server", "data plane", "kubelet", "scheduler"];

/// The rows below a heading, a cell each.
fn table(heading: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api-coverage.md");
    let text = fs::read_to_string(path).expect("docs/api-coverage.md");
    let part = text.split("\n## ").find_map(|part| part.strip_prefix(heading)).expect("the heading");
    let rows = part.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// What a row must say: kind, group and version, verbs, parts.
fn decided(kind: &Kind) -> Vec<String> {
    let parts = kind.subresources.iter().map(|part| format!("`{}` ({})", part.name, part.verbs.join(" ")));
    let parts: Vec<String> = parts.collect();
    let parts = if parts.is_empty() { "-".to_owned() } else { parts.join(", ") };
    vec![kind.kind.to_owned(), format!("`{}`", kind.api_version()), verbs(kind), parts]
}

fn verbs(kind: &Kind) -> String {
    if kind.verbs == ALL_VERBS { "all".to_owned() } else { kind.verbs.join(" ") }
}

#[test]
fn every_kind_served_is_told_with_its_verbs_and_parts_and_none_else() {
    let told: Vec<Vec<String>> = table("Served").into_iter().map(|row| row[..DECIDED].to_vec()).collect();
    let served: Vec<Vec<String>> = KINDS.iter().map(|kind| decided(kind)).collect();
    for row in &served {
        assert!(told.contains(row), "docs/api-coverage.md should have a row that begins\n| {} |", row.join(" | "));
    }
    for row in &told {
        assert!(served.contains(row), "docs/api-coverage.md tells what is not served\n| {} |", row.join(" | "));
    }
    assert_eq!(told.len(), served.len(), "a kind is told twice");
}

#[test]
fn every_row_is_complete() {
    for row in table("Served") {
        assert_eq!(row.len(), COLUMNS, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "a cell is empty: {row:?}");
    }
}

#[test]
fn every_controller_is_told_and_none_else() {
    let cells: Vec<String> = table("Served").into_iter().map(|row| row[DECIDED + 2].clone()).collect();
    let words = cells.iter().flat_map(|cell| cell.split(", ")).filter(|word| *word != "-");
    let told: BTreeSet<&str> = words.map(|word| word.trim_matches('`')).collect();
    let there: BTreeSet<&str> = CONTROLLERS.iter().map(|controller| controller.name).collect();
    let missing: Vec<_> = there.difference(&told).collect();
    assert!(missing.is_empty(), "docs/api-coverage.md tells nothing of {missing:?}");
    let unknown: Vec<_> = told.iter().filter(|name| !there.contains(*name) && !OTHERS.contains(name)).collect();
    assert!(unknown.is_empty(), "docs/api-coverage.md tells of {unknown:?}, which are no controllers");
}

#[test]
fn what_is_told_to_be_missing_is_not_served() {
    let mut count = 0;
    for row in table("Not served") {
        for kind in row[1].split(", ") {
            count += 1;
            let group = row[0].trim_matches('`');
            let served = KINDS.iter().any(|known| known.group == group.replace("core", "") && known.kind == kind);
            assert!(!served, "{kind} of {group} is served, and told not to be");
        }
    }
    assert!(count > 0 && GROUPS.len() > 1, "the table is read");
}
