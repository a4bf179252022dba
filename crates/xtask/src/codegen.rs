//! `cargo xtask codegen`: derives `crates/api/src/facts.txt` from the sources of two dependency crates.
//!
//! [`openapi`] reads k8s-openapi (which types, fields and shapes this Kubernetes version has), [`proto`] reads k8s-pb
//! (protobuf numbers, and the markers upstream writes in comments), [`facts`] joins them into the table. The sources
//! are read as text from the local cargo registry and never compiled, so this costs a second, not minutes.
//! Leaves out descriptions: those reach users through the dependency itself (`crates/api-types`).

mod facts;
mod openapi;
mod proto;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::{fs, path::Path};

/// Where the table lives, relative to the workspace root.
const FACTS_PATH: &str = "crates/api/src/facts.txt";

/// The module of k8s-openapi for the Kubernetes version we report. The same as the feature in the root `Cargo.toml`.
const KUBERNETES_MODULE: &str = "v1_36";

/// Writes the table, or with `check` only compares it with the checked-in one.
///
/// # Errors
/// When a source crate cannot be found or read as expected, or with `check` when the table is out of date.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    let path = workspace.root.join(FACTS_PATH);
    let table = render(workspace)?;
    if !check {
        write_if_changed(&path, &table)?;
        println!("codegen: {FACTS_PATH}: {} types, {} bytes", table.lines().filter(is_type).count(), table.len());
        return Ok(());
    }
    let existing = fs::read_to_string(&path).with_context(|| format!("{FACTS_PATH} is missing"))?;
    if let Some(difference) = first_difference(&existing, &table) {
        bail!("{FACTS_PATH} is out of date, run `cargo xtask codegen` ({difference})");
    }
    Ok(())
}

fn render(workspace: &Workspace) -> Result<String> {
    let schemas = openapi::read(&workspace.source_of("k8s-openapi")?.join("src").join(KUBERNETES_MODULE))?;
    let messages = proto::read(&workspace.source_of("k8s-pb")?.join("src"))?;
    facts::render(&schemas, &messages)
}

fn is_type(line: &&str) -> bool {
    !line.starts_with([' ', '#'])
}

fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|existing| existing == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Names the first line in which the two texts differ, or nothing when they are equal.
fn first_difference(existing: &str, wanted: &str) -> Option<String> {
    if existing == wanted {
        return None;
    }
    let same = existing.lines().zip(wanted.lines()).take_while(|(left, right)| left == right).count();
    let shown = |text: &str| text.lines().nth(same).unwrap_or("end of file").trim().to_owned();
    Some(format!("line {}: `{}` should be `{}`", same + 1, shown(existing), shown(wanted)))
}

/// The `.rs` files below `directory`, in a stable order.
fn rust_files(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let path = entry?.path();
            match path.is_dir() {
                true => pending.push(path),
                false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The module path of a file's folder below `root`, as `api::core::v1`.
fn module_of(root: &Path, file: &Path) -> String {
    let folder = file.strip_prefix(root).ok().and_then(Path::parent).unwrap_or(Path::new(""));
    folder.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("::")
}

/// A name without case and punctuation: `podIPs`, `pod_i_ps` and `PodIps` are one. This is how the two crates' renderings
/// of the same upstream name are matched.
fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_crates_meet() {
        for (left, right) in [("podIPs", "pod_i_ps"), ("hostIP", "host_ip"), ("APIService", "ApiService")] {
            assert_eq!(normal(left), normal(right));
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let told = first_difference("a\nb\n", "a\nc\n").expect("they differ");
        assert!(told.contains("line 2") && told.contains("`b`") && told.contains("`c`"), "{told}");
    }
}
