//! Many small assertions over one costly cluster: [`Steps`].

use std::time::Instant;

use anyhow::Result;

/// Runs named steps, goes on after a failed one, and tells all failures at the end.
#[derive(Debug, Default)]
pub struct Steps {
    failed: Vec<String>,
}

impl Steps {
    /// No step yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a step whose name is a sentence. Returns whether it succeeded.
    pub fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) -> bool {
        let start = Instant::now();
        let result = run();
        let seconds = start.elapsed().as_secs_f32();
        match &result {
            Ok(()) => println!("  ok    {seconds:5.1} s  {name}"),
            Err(error) => {
                println!("  FAIL  {seconds:5.1} s  {name}: {error:#}");
                self.failed.push(format!("{name}: {error:#}"));
            }
        }
        result.is_ok()
    }

    /// Takes over what failed elsewhere.
    pub fn extend(&mut self, mut other: Self) {
        self.failed.append(&mut other.failed);
    }

    /// Ends the test.
    ///
    /// # Panics
    /// When a step failed; lists all that did.
    pub fn end(self) {
        assert!(self.failed.is_empty(), "{} steps failed:\n- {}", self.failed.len(), self.failed.join("\n- "));
    }
}
