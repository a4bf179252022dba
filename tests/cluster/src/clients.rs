//! The kubectl releases at hand: [`clients`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::program::Program;

/// Oldest minor version whose words are known: what README promises.
const OLDEST: u32 = 27;

/// A kubectl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its minor version: 27 is Kubernetes 1.27.
    pub minor: u32,
    /// The program.
    pub path: PathBuf,
}

/// The oldest and the newest kubectl of this machine; one where there is only one.
///
/// # Panics
/// Where there is none: `cargo xtask test` provides one.
pub fn clients() -> &'static [Client] {
    static CLIENTS: OnceLock<Vec<Client>> = OnceLock::new();
    CLIENTS.get_or_init(|| {
        let mut all = search(&folders());
        let newest = all.pop_last().expect("a kubectl is on the PATH or in target/tools; run `cargo xtask test`");
        let ends = all.pop_first().into_iter().chain([newest]);
        ends.map(|(minor, path)| Client { minor, path }).collect()
    })
}

/// Folders of the PATH, those that their kubectl really lies in, and where `cargo xtask test` unpacks one.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let real = |folder: &PathBuf| Some(folder.join("kubectl").canonicalize().ok()?.parent()?.to_owned());
    let linked: Vec<_> = folders.iter().filter_map(real).collect();
    folders.extend(linked);
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/usr/bin"));
    folders
}

/// By minor version: `kubectl.1.NN` by name, plain `kubectl` by what it says.
fn search(folders: &[PathBuf]) -> BTreeMap<u32, PathBuf> {
    let mut found = BTreeMap::new();
    for entry in folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let minor = match name.strip_prefix("kubectl.1.") {
            Some(minor) => minor.parse().ok(),
            None if name == "kubectl" => version(&entry.path()).ok(),
            None => None,
        };
        if let Some(minor) = minor.filter(|minor| *minor >= OLDEST) {
            found.entry(minor).or_insert_with(|| entry.path());
        }
    }
    found
}

fn version(path: &Path) -> Result<u32> {
    let said = Program::new(path, "version --client -o json").run()?.prints(&[])?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let minor = said["clientVersion"]["minor"].as_str().context("no minor version")?;
    Ok(minor.trim_end_matches('+').parse()?)
}
