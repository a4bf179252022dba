//! gRPC probes: one call of `grpc.health.v1.Health/Check`, its two messages written and read by hand.
//! Spec: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::time::Duration;

use ::kubelet::probe::Answer;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{OUTPUT_MAX, dial_error, go, join, told};

/// `SERVING` of `HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;

/// Names of the serving states, by number.
const STATES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// `UNIMPLEMENTED` of gRPC's status codes.
const UNIMPLEMENTED: &str = "12";

/// Runs a probe.
pub(super) async fn probe(host: &str, port: u16, service: &str, limit: Duration) -> Answer {
    let address = join(host, port);
    match timeout(limit, check(&address, service)).await {
        Ok(answer) => answer,
        Err(_) => Answer::Failure(format!(
            "timeout: failed to connect service {address:?} within {}: context deadline exceeded",
            go(limit)
        )),
    }
}

async fn check(address: &str, service: &str) -> Answer {
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) => {
            return Answer::Failure(format!("failed to connect service {address:?}: {}", dial_error(address, &error)));
        }
    };
    let asked = ask(stream, address, service).await;
    match asked {
        Ok((Some(status), _)) if status == UNIMPLEMENTED => Answer::Failure(format!(
            "this server does not implement the grpc health protocol (grpc.health.v1.Health): {address:?}"
        )),
        Ok((Some(status), _)) if status != "0" => Answer::Failure(format!("health rpc failed with status {status}")),
        Ok((_, body)) => match serving(&body) {
            SERVING => Answer::Success,
            other => {
                let state = usize::try_from(other).ok().and_then(|at| STATES.get(at)).unwrap_or(&STATES[0]);
                Answer::Failure(format!("service unhealthy (responded with {state:?})"))
            }
        },
        Err(error) => Answer::Failure(format!("health rpc failed: {error}")),
    }
}

/// The gRPC status, and the answer's message.
async fn ask(stream: TcpStream, address: &str, service: &str) -> Result<(Option<String>, Bytes), String> {
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| told(&error))?;
    let connection = tokio::spawn(async move { drop(connection.await) });
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, "kube-probe/1.36")
        .body(Full::new(Bytes::from(message(service))))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| told(&error))?;
    let status = |headers: &hyper::HeaderMap| {
        headers.get("grpc-status").and_then(|status| status.to_str().ok()).map(str::to_owned)
    };
    let early = status(response.headers());
    let body =
        Limited::new(response.into_body(), OUTPUT_MAX as usize).collect().await.map_err(|error| error.to_string())?;
    let late = body.trailers().and_then(status);
    connection.abort();
    Ok((early.or(late), body.to_bytes()))
}

/// A `HealthCheckRequest` (field 1: the service) behind gRPC's prefix: not compressed, and its length.
fn message(service: &str) -> Vec<u8> {
    let mut request = Vec::new();
    if !service.is_empty() {
        request.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            request.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        request.push(length as u8);
        request.extend_from_slice(service.as_bytes());
    }
    let mut message = vec![0];
    message.extend_from_slice(&(request.len() as u32).to_be_bytes());
    message.extend(request);
    message
}

/// Field 1 of a `HealthCheckResponse`; absent is 0.
fn serving(body: &[u8]) -> u64 {
    match body.get(5..) {
        Some([0x08, state, ..]) => u64::from(*state),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_the_protocol_says() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("a"), [0, 0, 0, 0, 3, 0x0a, 1, b'a']);
        assert_eq!((serving(&[0, 0, 0, 0, 2, 0x08, 1]), serving(&[0, 0, 0, 0, 0])), (SERVING, 0));
    }
}
