//! A small HTTP server that tells its pod, node and version, and drains on SIGTERM. Main type: [`App`].
//!
//! It shows what a well-behaved pod does when it is told to end: it fails its readiness probe, goes on serving until
//! everybody has heard of that, lets requests under way finish, and exits with 0. HTTP/1.1, one answer a connection;
//! no TLS, no bodies. Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

/// Most bytes of a request's head.
const HEAD_LIMIT: u64 = 16 << 10;

/// How long a client may take to ask, and to read the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests answered at once; more wait in the listener's queue of the kernel.
const AT_ONCE: usize = 256;

/// How long requests under way may take once draining is over.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// Seconds between SIGTERM and the end of serving, unless `DRAIN_SECONDS` says otherwise: endpoints are withdrawn by then.
const DRAIN_SECONDS: u64 = 3;

/// What every request sees.
struct App {
    /// The pod's name: the host name within it.
    pod: String,
    /// The node's name, from the downward API.
    node: String,
    /// What is deployed, to tell two rollouts apart.
    version: String,
    draining: AtomicBool,
    under_way: AtomicUsize,
}

fn main() -> ExitCode {
    // Before any thread is started, so that all of them leave SIGTERM to `wait_for_end`.
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    if let Err(error) = ends.thread_block() {
        return fail(&format!("cannot block signals: {error}"));
    }
    let port = variable("PORT", "8080");
    let Ok(port) = port.parse() else { return fail(&format!("PORT {port:?} is no port: give 1 to 65535")) };
    let listener = match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
        Ok(listener) => listener,
        Err(error) => return fail(&format!("cannot listen on port {port}: {error}")),
    };
    let app = Arc::new(App {
        pod: variable("HOSTNAME", "?"),
        node: variable("NODE_NAME", "?"),
        version: variable("VERSION", "1"),
        draining: AtomicBool::new(false),
        under_way: AtomicUsize::new(0),
    });
    println!("hello version {} listens on port {port} in {} on {}", app.version, app.pod, app.node);
    let serving = app.clone();
    thread::spawn(move || serve(&serving, &listener));
    wait_for_end(&app, &ends)
}

fn variable(name: &str, otherwise: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}

fn fail(words: &str) -> ExitCode {
    eprintln!("error: {words}");
    ExitCode::FAILURE
}

/// Returns once draining is over.
fn wait_for_end(app: &App, ends: &SigSet) -> ExitCode {
    let signal = ends.wait();
    app.draining.store(true, Ordering::SeqCst);
    let seconds = variable("DRAIN_SECONDS", "").parse().unwrap_or(DRAIN_SECONDS);
    println!("{signal:?}: draining for {seconds} s");
    thread::sleep(Duration::from_secs(seconds));
    let deadline = Instant::now() + FINISH_LIMIT;
    while app.under_way.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    println!("drained");
    ExitCode::SUCCESS
}

fn serve(app: &Arc<App>, listener: &TcpListener) {
    for client in listener.incoming().flatten() {
        while app.under_way.load(Ordering::SeqCst) >= AT_ONCE {
            thread::sleep(Duration::from_millis(1));
        }
        app.under_way.fetch_add(1, Ordering::SeqCst);
        let serving = app.clone();
        thread::spawn(move || {
            // A client that went away is no matter to the others.
            let _ = serving.answer(client);
            serving.under_way.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

impl App {
    fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        client.set_read_timeout(Some(CLIENT_TIMEOUT))?;
        client.set_write_timeout(Some(CLIENT_TIMEOUT))?;
        let path = path(&client)?;
        let (status, body) = self.page(&path);
        write!(
            client,
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn page(&self, path: &str) -> (&'static str, String) {
        match path {
            "/" => ("200 OK", format!("hello from {} on {}, version {}\n", self.pod, self.node, self.version)),
            "/healthz" => ("200 OK", "ok\n".into()),
            "/readyz" if self.draining.load(Ordering::SeqCst) => ("503 Service Unavailable", "draining\n".into()),
            "/readyz" => ("200 OK", "ok\n".into()),
            _ => ("404 Not Found", "no such page: /, /healthz, /readyz\n".into()),
        }
    }
}

/// The path asked for; reads the head to its end, so that closing does not reset the connection.
fn path(client: &TcpStream) -> std::io::Result<String> {
    let mut lines = BufReader::new(client.take(HEAD_LIMIT)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    Ok(path.split('?').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draining_server_is_not_ready_and_still_answers() {
        let app = App {
            pod: "p".into(),
            node: "n".into(),
            version: "2".into(),
            draining: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
        };
        let status = |path| app.page(path).0;
        assert_eq!(app.page("/").1, "hello from p on n, version 2\n");
        assert_eq!((status("/readyz"), status("/no")), ("200 OK", "404 Not Found"));
        app.draining.store(true, Ordering::SeqCst);
        assert_eq!(
            (status("/readyz"), status("/healthz"), status("/")),
            ("503 Service Unavailable", "200 OK", "200 OK")
        );
    }
}
