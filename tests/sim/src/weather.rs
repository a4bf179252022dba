//! What the network does to calls, beyond what it does to messages: breaks streams, lets calls overtake each other,
//! delivers them twice. Main type: [`Weather`].

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::io::{AsyncRead, ReadBuf};

/// Longest time after which a call arrives again.
const LATE: Duration = Duration::from_secs(2);

/// What is kept of a call that is to arrive again, in bytes; a longer one arrives cut.
const REPEATED_BYTES: usize = 64 << 10;

/// How it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sky {
    /// So many in a thousand reads break their stream.
    pub loss: u32,
    /// So many in a thousand calls arrive again.
    pub repeat: u32,
    /// Calls are opened late by anything up to this.
    pub shuffle: Duration,
}

/// Shared by all nodes of a run; its chances follow from the seed.
#[derive(Clone, Debug)]
pub struct Weather(Arc<Mutex<(Sky, StdRng)>>);

impl Weather {
    /// Fine weather.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new((Sky::default(), StdRng::seed_from_u64(!seed)))))
    }

    /// It becomes otherwise.
    pub fn change(&self, change: impl FnOnce(&mut Sky)) {
        change(&mut self.0.lock().0);
    }

    /// It becomes fine.
    pub fn calm(&self) {
        self.change(|sky| *sky = Sky::default());
    }

    /// How long the next call waits before it is opened.
    pub(crate) fn lateness(&self) -> Duration {
        let (sky, rng) = &mut *self.0.lock();
        if sky.shuffle.is_zero() { Duration::ZERO } else { sky.shuffle.mul_f64(rng.random()) }
    }

    /// After which time the next call is to arrive again, if it is.
    pub(crate) fn repeats(&self) -> Option<Duration> {
        let (sky, rng) = &mut *self.0.lock();
        (sky.repeat > 0 && rng.random_ratio(sky.repeat, 1000)).then(|| LATE.mul_f64(rng.random()))
    }

    fn breaks(&self) -> bool {
        let (sky, rng) = &mut *self.0.lock();
        sky.loss > 0 && rng.random_ratio(sky.loss, 1000)
    }
}

/// What was read of a call, to be read again.
pub(crate) type Copied = Arc<Mutex<Vec<u8>>>;

/// A stream in this weather.
pub(crate) struct Exposed<R> {
    pub(crate) inner: R,
    pub(crate) weather: Weather,
    /// Where what is read is written down too.
    pub(crate) copied: Option<Copied>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Exposed<R> {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(task, buffer))?;
        if self.weather.breaks() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if let Some(copied) = &self.copied {
            let mut copied = copied.lock();
            let room = REPEATED_BYTES.saturating_sub(copied.len());
            copied.extend(buffer.filled()[before..].iter().take(room));
        }
        Poll::Ready(Ok(()))
    }
}
