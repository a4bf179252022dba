//! The process that writes a container's output to its log file. Main item: [`logger_main`].
//!
//! containerd starts it for each container (`binary://`, see
//! <https://github.com/containerd/containerd/blob/main/docs/content-flow.md> and its logging package): the container's
//! output is on descriptors 3 and 4; writing to 5 tells that we are ready. It ends when both have ended, whatever
//! happens to the process that started the container. A disk that takes nothing costs lines, never blocks a container.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
};

use nix::sys::signal::{SigSet, Signal};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    assemble::Assembler,
    audience::Audience,
    line::{self, Stream},
    rotate::RotatingFile,
};

/// Bytes read from a container at once: what a pipe holds by default.
const READ_BYTES: usize = 64 * 1024;

/// Descriptors that containerd hands over.
const STDOUT: &str = "/proc/self/fd/3";
const STDERR: &str = "/proc/self/fd/4";
const READY: &str = "/proc/self/fd/5";

/// The default size at which a file is put aside: the kubelet's `containerLogMaxSize`.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// The default number of files kept: the kubelet's `containerLogMaxFiles`.
const FILES_MAX: usize = 5;

/// The word that containerd calls it by.
pub(crate) const WORD: &str = "logger";

/// What a logger is told, as one argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoggerConfig {
    /// The file to write.
    pub path: PathBuf,
    /// Bytes at which it is put aside.
    pub bytes_max: u64,
    /// Files kept, with the one being written.
    pub files_max: usize,
    /// A socket where others may listen while the container prints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<PathBuf>,
    /// FIFOs with the container's output and errors, instead of containerd's descriptors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<[PathBuf; 2]>,
}

impl LoggerConfig {
    /// The usual limits: 10 MiB, five files.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, bytes_max: FILE_BYTES_MAX, files_max: FILES_MAX, audience: None, input: None }
    }

    /// The URI that makes containerd run `<program> logger <this>`.
    ///
    /// There is one pair only in the query, since containerd passes several in any order.
    #[must_use]
    pub(crate) fn uri(&self, program: &Path) -> String {
        let config = serde_json::to_string(self).expect("paths of logs are text");
        format!("binary://{}?{WORD}={}", percent_encode(&program.to_string_lossy(), b"/"), percent_encode(&config, b""))
    }
}

/// Why there is no logger, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum LoggerError {
    /// The argument is not a [`LoggerConfig`].
    #[error("the logger's argument is not its configuration; containerd passes it, it is not for people")]
    Config(#[source] serde_json::Error),
    /// A log file or one of containerd's descriptors cannot be used.
    #[error("cannot use {path}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs a logger until the container's output ends. `config` is the argument after `logger`.
///
/// # Errors
/// When it cannot start; then the container does not start either.
pub(crate) fn logger_main(config: &str) -> Result<(), LoggerError> {
    let config: LoggerConfig = serde_json::from_str(config).map_err(LoggerError::Config)?;
    outlive_signals();
    let open = |path: &Path, options: &OpenOptions| {
        options.open(path).map_err(|source| LoggerError::Open { path: path.into(), source })
    };
    let descriptors = || [STDOUT, STDERR].map(PathBuf::from);
    let [stdout, stderr] = config.input.clone().unwrap_or_else(descriptors);
    let audience = match &config.audience {
        Some(path) => Audience::open(path).map_err(|source| LoggerError::Open { path: path.clone(), source })?,
        None => Audience::none(),
    };
    let file = RotatingFile::open(config.path.clone(), config.bytes_max, config.files_max)
        .map_err(|source| LoggerError::Open { path: config.path, source })?;
    if config.input.is_none() {
        let ready = open(Path::new(READY), OpenOptions::new().write(true))?.write_all(&[0]);
        ready.map_err(|source| LoggerError::Open { path: READY.into(), source })?;
    }
    let file = Mutex::new(file);
    // Opening a FIFO waits for its writer.
    let log = |path: &Path, stream| {
        copy((open(path, OpenOptions::new().read(true))?, stream), &file, &audience);
        Ok(())
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| log(&stdout, Stream::Stdout));
        let second = log(&stderr, Stream::Stderr);
        first.join().unwrap_or(Ok(())).and(second)
    })
}

/// containerd ends a logger with SIGTERM when it has closed the pipes; what is left in them is still to be written.
fn outlive_signals() {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    // Fails for an invalid argument only.
    let _ = signals.thread_block();
}

fn copy((mut from, stream): (File, Stream), file: &Mutex<RotatingFile>, audience: &Audience) {
    let (mut assembler, mut entries) = (Assembler::new(stream), Vec::new());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let time = line::format_time(clock::now());
        if read == 0 {
            assembler.finish(&time, &mut entries);
        } else {
            assembler.push(&buffer[..read], &time, &mut entries);
        }
        audience.tell(stream, &buffer[..read]);
        if !entries.is_empty() {
            // Nobody could be told but the disk that is full.
            let _ = file.lock().write(&entries);
            entries.clear();
        }
        if read == 0 {
            return;
        }
    }
}

/// Leaves letters, digits and `keep` as they are.
fn percent_encode(text: &str, keep: &[u8]) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) || keep.contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_carries_the_configuration_in_one_pair() {
        let config = LoggerConfig { bytes_max: 5, files_max: 2, ..LoggerConfig::new("/var/log/a b/0.log".into()) };
        assert_eq!(
            config.uri(Path::new("/opt/my mesh")),
            "binary:///opt/my%20mesh?logger=%7B%22path%22%3A%22%2Fvar%2Flog%2Fa%20b%2F0.log%22%2C%22bytesMax%22%3A5%2C%22filesMax%22%3A2%7D"
        );
    }

    #[test]
    fn a_wrong_argument_is_refused() {
        for wrong in ["", "{}", r#"{"path":"/x","bytesMax":1,"filesMax":1,"more":1}"#] {
            assert!(matches!(logger_main(wrong), Err(LoggerError::Config(_))), "{wrong}");
        }
    }
}
