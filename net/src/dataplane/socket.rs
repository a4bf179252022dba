//! The data plane's socket: mode 0600, and only its own user or root is heard (unix(7), SO_PEERCRED).
//! Main types: [`DataplaneListener`], [`Link`].

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::wire::{FRAME_LIMIT, Order, Report, WIRE};
use crate::channel::{Channel, ChannelError, Receiver, Sender};

/// Name of the socket in the state directory.
pub const SOCKET: &str = "dataplane.sock";

/// A local process answers within a ms; this is for a machine that swaps.
const GREETING_LIMIT: Duration = Duration::from_secs(5);

/// Why a connection is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody listens.
    #[error("no data plane runs here: nothing answers at {}", .0.display())]
    Absent(PathBuf),
    /// The file system or the kernel said no.
    #[error("{}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It broke.
    #[error("the data plane's connection broke")]
    Broken(#[from] ChannelError),
    /// It ended.
    #[error("the data plane's connection ended")]
    Ended,
    /// Not what was to be said.
    #[error("the data plane's connection carries what this release does not know")]
    Strange,
    /// No version in common.
    #[error("the data plane speaks version {theirs}, this release {WIRE}")]
    Version {
        /// What the other side speaks.
        theirs: crate::wire::WireRange,
    },
    /// No answer.
    #[error("the data plane gave no answer within {GREETING_LIMIT:?}")]
    Late,
}

/// The listening side.
#[derive(Debug)]
pub struct DataplaneListener {
    listener: UnixListener,
    path: PathBuf,
}

impl DataplaneListener {
    /// Opens the socket; one that nobody answers at is replaced. Whoever calls this holds the node's lock.
    ///
    /// # Errors
    /// [`LinkError::Socket`].
    pub fn open(state_dir: &Path) -> Result<Self, LinkError> {
        let path = state_dir.join(SOCKET);
        let open = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Made under another name, so that nobody connects before the mode is right.
            let beside = state_dir.join(format!("{SOCKET}.new"));
            let _ = std::fs::remove_file(&beside);
            let listener = UnixListener::bind(&beside)?;
            std::fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
            std::fs::rename(&beside, &path)?;
            Ok(listener)
        };
        let listener = open().map_err(|source| LinkError::Socket { path: path.clone(), source })?;
        Ok(Self { listener, path })
    }

    /// The next connection of a user who may; others are turned away.
    ///
    /// # Errors
    /// [`LinkError::Socket`].
    pub async fn accept(&self) -> Result<Server, LinkError> {
        let own = nix::unistd::geteuid().as_raw();
        loop {
            let accepted = self.listener.accept().await;
            let (stream, _) = accepted.map_err(|source| LinkError::Socket { path: self.path.clone(), source })?;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == own || peer.uid() == 0 => return Ok(Server(channel(stream))),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "a user who may not was turned away"),
                Err(error) => tracing::debug!(%error, "a connection was gone at once"),
            }
        }
    }

    /// Removes the socket.
    pub fn close(self) {
        // What is gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn channel(stream: UnixStream) -> Channel {
    let (reader, writer) = stream.into_split();
    Channel::new(reader, writer)
}

/// A connection that was not greeted on yet, on the data plane's side.
#[derive(Debug)]
pub struct Server(Channel);

impl Server {
    /// Takes the greeting and answers it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn greet(mut self, build: &str) -> Result<(Orders, Reports), LinkError> {
        let greeting = timeout(GREETING_LIMIT, self.0.receive_within(FRAME_LIMIT)).await;
        let greeting = greeting.map_err(|_| LinkError::Late)??.ok_or(LinkError::Ended)?;
        let Ok(Order::Hello { wire, .. }) = Order::decode(&greeting) else { return Err(LinkError::Strange) };
        let welcome = Report::Welcome { wire: WIRE, build: build.to_owned(), pid: std::process::id() };
        self.0.send(&welcome.encode()).await?;
        WIRE.agree(wire).ok_or(LinkError::Version { theirs: wire })?;
        let (receiver, sender) = self.0.split();
        Ok((Orders(receiver), Reports(sender)))
    }
}

/// Orders as they come in.
pub struct Orders(Receiver);

impl Orders {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn next(&mut self) -> Result<Option<Order>, LinkError> {
        let Some(frame) = self.0.receive().await? else { return Ok(None) };
        Order::decode(&frame).map(Some).map_err(|_| LinkError::Strange)
    }
}

/// Reports on their way out.
pub struct Reports(Sender);

impl Reports {
    /// Sends one.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn send(&mut self, report: Report) -> Result<(), LinkError> {
        Ok(self.0.send(&report.encode()).await?)
    }
}

/// A greeted connection, on the side of those who give orders.
pub struct Link {
    /// Which code the data plane is.
    pub build: String,
    /// Its process.
    pub pid: u32,
    receiver: Receiver,
    sender: Sender,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// Connects to the data plane of a state directory.
///
/// # Errors
/// [`LinkError`].
pub async fn connect(state_dir: &Path, build: &str) -> Result<Link, LinkError> {
    let path = state_dir.join(SOCKET);
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Err(LinkError::Absent(path));
        }
        Err(source) => return Err(LinkError::Socket { path, source }),
    };
    let mut channel = channel(stream);
    channel.send(&Order::Hello { wire: WIRE, build: build.to_owned() }.encode()).await?;
    let welcome = timeout(GREETING_LIMIT, channel.receive_within(FRAME_LIMIT)).await.map_err(|_| LinkError::Late)??;
    let welcome = welcome.ok_or(LinkError::Ended)?;
    let Ok(Report::Welcome { wire, build, pid }) = Report::decode(&welcome) else { return Err(LinkError::Strange) };
    WIRE.agree(wire).ok_or(LinkError::Version { theirs: wire })?;
    let (receiver, sender) = channel.split();
    Ok(Link { build, pid, receiver, sender })
}

impl Link {
    /// Gives an order.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn send(&mut self, order: Order) -> Result<(), LinkError> {
        Ok(self.sender.send(&order.encode()).await?)
    }

    /// The next report; `None` at the end.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn next(&mut self) -> Result<Option<Report>, LinkError> {
        next(&mut self.receiver).await
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn ask(&mut self, order: Order) -> Result<Report, LinkError> {
        self.send(order).await?;
        timeout(GREETING_LIMIT, self.next()).await.map_err(|_| LinkError::Late)??.ok_or(LinkError::Ended)
    }

    /// The two directions apart.
    pub fn split(self) -> (LinkReports, LinkOrders) {
        (LinkReports(self.receiver), LinkOrders(self.sender))
    }
}

async fn next(receiver: &mut Receiver) -> Result<Option<Report>, LinkError> {
    let Some(frame) = receiver.receive().await? else { return Ok(None) };
    Report::decode(&frame).map(Some).map_err(|_| LinkError::Strange)
}

/// The reading half of a [`Link`].
pub struct LinkReports(Receiver);

impl LinkReports {
    /// As [`Link::next`].
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn next(&mut self) -> Result<Option<Report>, LinkError> {
        next(&mut self.0).await
    }
}

/// The writing half of a [`Link`].
pub struct LinkOrders(Sender);

impl LinkOrders {
    /// As [`Link::send`].
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn send(&mut self, order: Order) -> Result<(), LinkError> {
        Ok(self.0.send(&order.encode()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::soon;

    #[tokio::test]
    async fn a_greeting_tells_who_is_there_and_orders_follow() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(connect(dir.path(), "b1").await, Err(LinkError::Absent(_))));
        let listener = DataplaneListener::open(dir.path()).unwrap();
        let mode = std::fs::metadata(dir.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let serve = async {
            let (mut orders, mut reports) = listener.accept().await.unwrap().greet("b2").await.unwrap();
            assert_eq!(orders.next().await.unwrap(), Some(Order::Observe));
            reports.send(Report::Status(Status::default())).await.unwrap();
        };
        let ask = async {
            let mut link = connect(dir.path(), "b1").await.unwrap();
            assert_eq!((link.build.as_str(), link.pid), ("b2", std::process::id()));
            assert_eq!(link.ask(Order::Observe).await.unwrap(), Report::Status(Status::default()));
        };
        soon(async { tokio::join!(serve, ask) }).await;
        // The socket of one that was killed is replaced.
        drop(listener);
        assert!(matches!(connect(dir.path(), "b1").await, Err(LinkError::Absent(_))));
        DataplaneListener::open(dir.path()).unwrap().close();
        assert!(!dir.path().join(SOCKET).exists());
    }

    use super::super::wire::Status;
}
