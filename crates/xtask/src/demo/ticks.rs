//! The list of what a long command has done, a line and a time each. Main type: [`Ticks`].

use std::{
    io::{IsTerminal, Write, stdout},
    time::Instant,
};

use anyhow::{Context, Result};

/// Prints a line when a step is done, and on a terminal also while it runs.
#[derive(Debug)]
pub(crate) struct Ticks {
    started: Instant,
}

impl Ticks {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Runs a step; what it returns ends its line.
    ///
    /// # Errors
    /// The step's own, with its name.
    pub(crate) fn step(&self, name: &str, run: impl FnOnce() -> Result<String>) -> Result<()> {
        let (began, live) = (Instant::now(), stdout().is_terminal());
        if live {
            print!("  ... {name}");
            // Only the look of a line in the making depends on it.
            let _ = stdout().flush();
        }
        let ended = run();
        let clear = if live { "\r\x1b[2K" } else { "" };
        match ended {
            Ok(detail) => {
                let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
                println!("{clear}  [x] {name}{detail} ({:.1} s)", began.elapsed().as_secs_f32());
                Ok(())
            }
            Err(error) => {
                println!("{clear}  [ ] {name}: FAILED after {:.1} s", began.elapsed().as_secs_f32());
                Err(error).with_context(|| name.to_owned())
            }
        }
    }

    /// As [`Ticks::step`], for one that prints its own progress.
    ///
    /// # Errors
    /// As [`Ticks::step`].
    pub(crate) fn loud(&self, name: &str, run: impl FnOnce() -> Result<String>) -> Result<()> {
        println!("  ... {name}");
        self.step(name, run)
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f32 {
        self.started.elapsed().as_secs_f32()
    }
}
