//! A token server for a registry: who shows the password gets a signed token for what he asked. Main type: [`Tokens`].
//! Spec: <https://distribution.github.io/distribution/spec/auth/token/>.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nix::sched::{CloneFlags, setns};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;

/// Where it is, as its node sees it.
const ADDRESS: &str = "127.0.0.1:5003";

/// What the registry calls itself and it.
const SERVICE: &str = "registry.test";
const ISSUER: &str = "tokens.test";

/// How long a token is good, in seconds.
const LIFE: u64 = 300;

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lines of a request that are read.
const LINES: usize = 64;

/// A running token server; ends on drop.
#[derive(Debug)]
pub(super) struct Tokens {
    listener: Arc<TcpListener>,
    asked: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
    certificate: String,
}

/// What tokens are made with.
struct Signer {
    key: EncodingKey,
    chain: Vec<String>,
    /// The value of `Authorization` that gets one.
    who: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tokens {
    /// Starts one in this network namespace, for who has this name and password.
    ///
    /// # Errors
    /// Where it cannot listen there.
    pub(super) fn start(namespace: &str, user: &str, password: &str) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = CertificateParams::new(Vec::new())?.self_signed(&key)?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let signer = Signer {
            key: EncodingKey::from_ec_pem(key.serialize_pem().as_bytes())?,
            chain: vec![STANDARD.encode(certificate.der())],
            who: format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            asked: asked.clone(),
        };
        let listener = Arc::new(listen(namespace)?);
        let accepting = listener.clone();
        let thread = std::thread::spawn(move || {
            for stream in accepting.incoming() {
                match stream {
                    Ok(stream) => signer.answer(stream).unwrap_or_else(|error| println!("token server: {error:#}")),
                    // It was shut down.
                    Err(_) => return,
                }
            }
        });
        Ok(Self { listener, asked, thread: Some(thread), certificate: certificate.pem() })
    }

    /// What the registry is told of it; `bundle` is the file with [`Self::certificate`].
    pub(super) fn settings(bundle: &str) -> String {
        format!(
            "{{token: {{realm: \"http://{ADDRESS}/token\", service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {bundle}}}}}"
        )
    }

    /// What tokens are signed with, as PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The scopes that tokens were given for.
    pub(super) fn given(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = nix::sys::socket::shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Signer {
    fn answer(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let head: Vec<String> = BufReader::new(&stream)
            .lines()
            .take(LINES)
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let known = head.iter().filter_map(|line| line.split_once(": "));
        let known =
            known.into_iter().any(|(name, value)| name.eq_ignore_ascii_case("authorization") && value == self.who);
        let (status, body) = match known {
            true => ("200 OK", self.token(head.first().context("an empty request")?)?),
            false => ("401 Unauthorized", String::new()),
        };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
        Ok(stream.shutdown(Shutdown::Write)?)
    }

    /// For a request line with `scope=repository:<name>:<actions>`.
    fn token(&self, line: &str) -> Result<String> {
        let query = line.split(' ').nth(1).and_then(|path| path.split_once('?')).context("no query")?.1;
        let scope = query.split('&').find_map(|part| part.strip_prefix("scope=")).context("no scope")?;
        let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else {
            return Err(anyhow!("{scope}: no scope"));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": "test", "aud": SERVICE, "jti": "1", "iat": now, "nbf": now - LIFE, "exp": now + LIFE,
            "access": [{ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }],
        });
        let header = Header { x5c: Some(self.chain.clone()), ..Header::new(Algorithm::ES256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.key)?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(scope.clone());
        Ok(json!({ "token": token, "expires_in": LIFE }).to_string())
    }
}

/// A thread that enters a network namespace stays in it: one for this alone.
fn listen(namespace: &str) -> Result<TcpListener> {
    let namespace = std::fs::File::open(format!("/run/netns/{namespace}"))?;
    let bound = std::thread::spawn(move || -> Result<TcpListener> {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        Ok(TcpListener::bind(ADDRESS)?)
    });
    bound
        .join()
        .map_err(|_| anyhow!("it panicked"))?
        .with_context(|| format!("the token server cannot listen at {ADDRESS}"))
}
