//! The table is consistent with itself.

use super::*;

#[test]
fn every_row_has_a_known_group_and_a_place_of_its_own() {
    for row in KINDS {
        let group = group(row.group).expect("group is listed");
        assert!(group.versions.contains(&row.version), "{} {}", row.group, row.version);
        let found = by_resource(row.group, row.version, row.plural).expect("found by resource");
        assert!(std::ptr::eq(found, *row), "{}", row.plural);
        assert!(std::ptr::eq(by_kind(row.group, row.version, row.kind).expect("found by kind"), *row));
        assert!(row.verbs.is_sorted(), "{}", row.plural);
    }
}

#[test]
fn versions_share_a_prefix_only_with_what_they_are_stored_as() {
    for row in KINDS.iter().filter(|row| row.storage.is_some()) {
        let prefix = |row: &Kind| row.storage.as_ref().map(|storage| storage.prefix);
        let stored = row.stored();
        assert_eq!(prefix(row), prefix(stored));
        let sharing = KINDS.iter().filter(|other| prefix(other) == prefix(row));
        assert!(sharing.clone().all(|other| std::ptr::eq(other.stored(), stored)), "{}", row.plural);
    }
}

#[test]
fn human_durations_are_those_of_kubectl() {
    let check = |seconds: i64, expect: &str| assert_eq!(columns::human_duration(seconds * 1000), expect, "{seconds}");
    check(-2, "<invalid>");
    check(-1, "0s");
    check(0, "0s");
    check(119, "119s");
    check(120, "2m");
    check(125, "2m5s");
    check(599, "9m59s");
    check(600, "10m");
    check(179 * 60, "179m");
    check(3 * 3600, "3h");
    check(7 * 3600 + 59 * 60, "7h59m");
    check(8 * 3600 + 60, "8h");
    check(47 * 3600, "47h");
    check(48 * 3600, "2d");
    check(49 * 3600, "2d1h");
    check(8 * 86400, "8d");
    check(729 * 86400, "729d");
    check(730 * 86400, "2y");
    check(731 * 86400, "2y1d");
    check(8 * 365 * 86400, "8y");
}
