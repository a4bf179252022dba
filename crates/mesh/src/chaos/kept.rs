//! What is on, in a file beside the cluster. Main type: [`Kept`]; who holds it holds the file's lock.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::Fault;

/// The faults of one cluster; nobody else changes them meanwhile.
pub(super) struct Kept {
    /// What is on.
    pub(super) faults: Vec<Fault>,
    file: File,
}

impl Kept {
    /// Waits for its turn and reads.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = folder.join("chaos.json");
        let read = || {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            file.lock()?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            let faults = if text.is_empty() { Vec::new() } else { serde_json::from_str(&text)? };
            anyhow::Ok(Self { faults, file })
        };
        read().with_context(|| path.display().to_string())
    }

    /// Writes.
    pub(super) fn save(&mut self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.faults)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)?;
        Ok(self.file.write_all(&text)?)
    }
}
