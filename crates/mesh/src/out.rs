//! Standard output. A reader that has seen enough (`mesh status | head -1`) ends neither a command nor a node; any other failure
//! to write is told in the end, with the exit code: a kubeconfig cut off by a full disk is no success.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};
use std::sync::OnceLock;

/// The first failure.
static FAILURE: OnceLock<std::io::Error> = OnceLock::new();

/// As std's, which would panic.
macro_rules! println {
    () => { $crate::out::write(format_args!("\n")) };
    ($($arguments:tt)*) => {{
        $crate::out::write(format_args!($($arguments)*));
        $crate::out::write(format_args!("\n"));
    }};
}

/// As std's, which would panic.
macro_rules! print {
    ($($arguments:tt)*) => { $crate::out::write(format_args!($($arguments)*)) };
}

/// Writes at once, so that a failure is known.
pub(crate) fn write(text: Arguments<'_>) {
    let mut out = stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        // Only the first counts: the others follow from it.
        let _ = FAILURE.set(error);
    }
}

/// Why something could not be written, if that is so.
pub(crate) fn failure() -> Option<&'static std::io::Error> {
    FAILURE.get()
}
