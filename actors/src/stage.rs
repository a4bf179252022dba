//! Where hosts run: one actix system on a thread of its own, driven by the process's one tokio runtime, so that a
//! `tokio::spawn` within a handler lands on the shared workers.

use std::sync::Arc;
use std::thread::JoinHandle;

use actix::prelude::*;
use actix_rt::Arbiter;
use tokio::runtime::Runtime;

use crate::host::{Handle, Host, Rules, Work};

/// The actix system of this process.
pub struct Stage {
    system: System,
    arbiter: Arbiter,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stage")
    }
}

impl Stage {
    /// Opens the stage over a multi-thread runtime.
    ///
    /// # Errors
    /// Where the system's thread cannot be started.
    pub fn open(runtime: &Arc<Runtime>) -> std::io::Result<Self> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let shared = runtime.clone();
        let thread = std::thread::Builder::new().name("actors".into()).spawn(move || {
            let runner = System::with_tokio_rt(move || shared);
            // The receiver waits below; it can only be gone if the process is.
            let _ = sender.send(System::current());
            runner.run()
        })?;
        let system = receiver.recv().map_err(std::io::Error::other)?;
        System::set_current(system.clone());
        let shared = runtime.clone();
        let arbiter = Arbiter::with_tokio_rt(move || shared);
        Ok(Self { system, arbiter, thread: Some(thread) })
    }

    /// Starts a supervised host.
    pub fn host<W: Work>(&self, rules: Rules<W::Key>, factory: impl Fn() -> W + Send + 'static) -> Handle<W::Key> {
        Host::start_in(&self.arbiter.handle(), rules, factory)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.arbiter.stop();
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            // Its result says only that the system ended, as asked.
            let _ = thread.join();
        }
    }
}
