//! Names the sources of the data plane by a hash, so that a running one is replaced when they change and only then.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// What runs in the data plane's process, beside libraries.
const SOURCES: &[&str] =
    &["src/dataplane", "../net/src/dataplane", "../net/src/overlay", "../net/src/services", "../dns/src"];

fn main() {
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
        for file in files(Path::new(source)) {
            file.hash(&mut hasher);
            std::fs::read(&file).unwrap_or_default().hash(&mut hasher);
        }
    }
    println!("cargo:rustc-env=DATAPLANE_BUILD={:016x}", hasher.finish());
}

/// What only tests build: no reason to replace a running data plane.
const TESTS: &[&str] = &["tests", "tests.rs", "fuzz.rs"];

/// All files below a folder that run, in order; none where there is no such folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| !TESTS.iter().any(|name| entry.file_name() == *name));
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) };
    entries.flat_map(|entry| below(entry.path())).collect()
}
