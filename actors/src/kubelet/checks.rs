//! Runs probes and hooks: a command in a container, or a question over the network from the node's own namespace.
//! Main type: [`Checks`]. The texts are those upstream's kubelet and its HTTP client show.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#types-of-probe>.

use std::time::Duration;

use ::kubelet::probe::{Answer, Check};
use runtime::{ContainerId, ContainerRuntime, ExecSpec};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::network::told;

mod grpc;
mod http;

/// Most output of a check that is kept, in bytes; upstream's number.
const OUTPUT_MAX: u64 = 10 << 10;

/// Probes and hooks of one container.
pub struct Checks<'a> {
    /// Who runs it.
    pub runtime: &'a dyn ContainerRuntime,
    /// Which.
    pub container: ContainerId,
}

impl std::fmt::Debug for Checks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").field("container", &self.container).finish_non_exhaustive()
    }
}

impl Checks<'_> {
    /// Runs a probe.
    pub async fn probe(&self, check: &Check, limit: Duration) -> Answer {
        match check {
            Check::Exec { command } => match timeout(limit, self.exec(command)).await {
                Ok(Ok((0, _))) => Answer::Success,
                Ok(Ok((_, output))) => Answer::Failure(output),
                Ok(Err(error)) => Answer::Error(error),
                Err(_) => {
                    let command = command.join(" ");
                    Answer::Failure(format!("command timed out: {command:?} timed out after {}", go(limit)))
                }
            },
            Check::Http { .. } => http::probe(check, limit).await,
            Check::Tcp { host, port } => tcp(host, *port, limit).await,
            Check::Grpc { host, port, service } => grpc::probe(host, *port, service, limit).await,
            Check::Impossible { message } => Answer::Error(message.clone()),
        }
    }

    /// Runs a hook to its end.
    ///
    /// # Errors
    /// What users read.
    pub async fn hook(&self, check: &Check) -> Result<(), String> {
        match check {
            Check::Exec { command } => match self.exec(command).await? {
                (0, _) => Ok(()),
                (code, output) => Err(format!("command '{}' exited with {code}: {output}", command.join(" "))),
            },
            Check::Http { .. } => http::hook(check).await,
            Check::Impossible { message } => Err(message.clone()),
            Check::Tcp { .. } | Check::Grpc { .. } => Err("invalid handler: no such hook".to_owned()),
        }
    }

    /// Exit code and output of a command; dropping it kills it.
    async fn exec(&self, command: &[String]) -> Result<(i32, String), String> {
        let spec = ExecSpec { command: command.to_vec(), ..ExecSpec::default() };
        let exec = self.runtime.exec(&self.container, &spec).await.map_err(|error| told(&error))?;
        let output = async {
            let stderr = async {
                match exec.stderr {
                    Some(stderr) => read(stderr).await,
                    None => Vec::new(),
                }
            };
            tokio::join!(read(exec.stdout), stderr)
        };
        let (exit, (mut out, err)) = tokio::join!(exec.exit, output);
        out.extend(err);
        out.truncate(OUTPUT_MAX as usize);
        Ok((exit.map_err(|error| told(&error))?, String::from_utf8_lossy(&out).into_owned()))
    }
}

/// Reads to the end and keeps the start.
async fn read(stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut start = stream.take(OUTPUT_MAX);
    // What was read before an error counts.
    let _ = start.read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut start.into_inner(), &mut tokio::io::sink()).await;
    kept
}

/// `host:port`, an IPv6 address in brackets.
fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A duration as Go prints whole seconds and milliseconds.
fn go(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds, duration.subsec_millis()) {
        (0, ms) => format!("{ms}ms"),
        (s, 0) if s < 60 => format!("{s}s"),
        (s, 0) => format!("{}m{}s", s / 60, s % 60),
        _ => format!("{}s", duration.as_secs_f64()),
    }
}

/// A refused connection in the words of Go's dialer.
fn dial_error(address: &str, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let why = match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
        _ => error.to_string(),
    };
    format!("dial tcp {address}: {why}")
}

async fn tcp(host: &str, port: u16, limit: Duration) -> Answer {
    let address = join(host, port);
    match timeout(limit, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Answer::Success,
        Ok(Err(error)) => Answer::Failure(dial_error(&address, &error)),
        Err(_) => Answer::Failure(format!("dial tcp {address}: i/o timeout")),
    }
}

#[cfg(test)]
mod tests;
