//! `GET pods/log`: a container's log as plain text. Main items: [`options`] (what is asked for) and [`waiting`] (why there
//! is none yet). Spec: `PodLogOptions` of
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod>.

use std::sync::Arc;

use api::{
    field::{Errors, Path},
    kinds::read::text,
    status::Status,
};
use futures::{FutureExt, StreamExt};
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Asked, LogOptions, StreamError, place};
use crate::{
    http::{body::ReplyBody, query::Query},
    serve::plain,
    shared::Shared,
    status::ApiError,
};

/// Streams that `stream` may name.
const STREAMS: [&str; 3] = ["All", "Stdout", "Stderr"];

/// Streams a log.
pub(super) async fn answer(shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Response<ReplyBody>, ApiError> {
    let query = &asked.head.query;
    let mut options = options(query, &asked.target.name, clock::now())?;
    let pod = place::pod(shared, &asked.target).await?;
    let place = place::find(&pod, query.get("container"))?;
    if place.node.is_empty() {
        return Ok(empty());
    }
    if query.flag("previous") {
        options.container_id = Some(previous(&pod, &place.container)?);
    }
    let streams = &shared.streams;
    let kept = Arc::clone(&streams.places).try_acquire_owned().map_err(|_| ApiError::too_many_requests())?;
    let kubelets = streams.kubelets()?;
    let log = kubelets.logs(&place, &options).await.map_err(|error| match error {
        StreamError::NotStarted => waiting(&pod, &place.container),
        // Not to be tried again by itself: a node is away for longer.
        StreamError::Unreachable(_) => Status::service_unavailable(error.to_string()).into(),
        other => ApiError::internal(other),
    })?;
    let closing = shared.closing.clone();
    let log = log.take_until(async move { closing.cancelled().await }.boxed()).map(move |part| {
        let _kept = &kept;
        part
    });
    Ok(plain(200, "text/plain", ReplyBody::Stream(log.boxed())))
}

/// A pod without a node has printed nothing.
fn empty() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::from(Vec::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Reads and checks what is asked for.
fn options(query: &Query, pod: &str, now: Timestamp) -> Result<LogOptions, ApiError> {
    let mut errors = Errors::new();
    let mut at_least = |name: &'static str, least: i64, words: &str| {
        let number: i64 = query.get(name)?.parse().ok()?;
        if number < least {
            errors.invalid(&Path::new(name), number, words);
        }
        Some(number)
    };
    let tail = at_least("tailLines", 0, "must be greater than or equal to 0");
    let limit = at_least("limitBytes", 1, "must be greater than 0");
    let since_seconds = at_least("sinceSeconds", 1, "must be greater than 0");
    let since_time: Option<Timestamp> = query.get("sinceTime").and_then(|time| time.parse().ok());
    if since_seconds.is_some() && since_time.is_some() {
        errors.forbidden(&Path::new(""), "at most one of `sinceTime` or `sinceSeconds` may be specified");
    }
    let stream = query.get("stream").filter(|stream| *stream != "All");
    if let Some(stream) = stream.filter(|stream| !STREAMS.contains(stream)) {
        errors.not_supported(&Path::new("stream"), stream, &STREAMS);
    }
    if stream.is_some() && tail.is_some() {
        errors.forbidden(&Path::new(""), "`tailLines` and specific `stream` are mutually exclusive for now");
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid("", "PodLogOptions", pod, &errors));
    }
    let ago = since_seconds.map(|seconds| now.saturating_sub(SignedDuration::from_secs(seconds)));
    Ok(LogOptions {
        container_id: None,
        follow: query.flag("follow"),
        tail: tail.and_then(|tail| u64::try_from(tail).ok()),
        since: since_time.or(ago.and_then(Result::ok)),
        timestamps: query.flag("timestamps"),
        limit_bytes: limit.and_then(|limit| u64::try_from(limit).ok()),
        stream: stream.map(str::to_owned),
    })
}

/// The container that ran before.
fn previous(pod: &Value, container: &str) -> Result<String, ApiError> {
    let status = place::status(pod, container).ok_or_else(|| unavailable(pod, container))?;
    match text(status, "/lastState/terminated/containerID") {
        "" => {
            let name = text(pod, "/metadata/name");
            Err(ApiError::bad_request(format!("previous terminated container {container:?} in pod {name:?} not found")))
        }
        id => Ok(id.to_owned()),
    }
}

/// Why a container has not printed anything yet.
fn waiting(pod: &Value, container: &str) -> ApiError {
    let Some(status) = place::status(pod, container) else { return unavailable(pod, container) };
    let what = format!("container {container:?} in pod {:?}", text(pod, "/metadata/name"));
    ApiError::bad_request(match text(status, "/state/waiting/reason") {
        "" if status.pointer("/state/terminated").is_some() => format!("{what} is terminated"),
        "" => format!("{what} is waiting to start - no logs yet"),
        "ErrImagePull" => format!("{what} is waiting to start: image can't be pulled"),
        "ImagePullBackOff" => format!("{what} is waiting to start: trying and failing to pull image"),
        reason => format!("{what} is waiting to start: {reason}"),
    })
}

fn unavailable(pod: &Value, container: &str) -> ApiError {
    let name = text(pod, "/metadata/name");
    ApiError::bad_request(format!("container {container:?} in pod {name:?} is not available"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(query: &str, expect: Result<LogOptions, &str>) {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().expect("a time");
        let found = options(&Query::parse(query), "p", now).map_err(|error| error.to_string());
        assert_eq!(found, expect.map_err(str::to_owned), "{query}");
    }

    #[test]
    fn options_are_read_and_nonsense_is_refused() {
        let default = LogOptions::default;
        check("", Ok(default()));
        check("follow=true&tailLines=0", Ok(LogOptions { follow: true, tail: Some(0), ..default() }));
        let since = "2026-01-01T00:00:00Z".parse().ok();
        check("sinceSeconds=60&timestamps=true", Ok(LogOptions { since, timestamps: true, ..default() }));
        check(
            "sinceTime=2026-01-01T00:00:00Z&limitBytes=7",
            Ok(LogOptions { since, limit_bytes: Some(7), ..default() }),
        );
        check("stream=Stderr", Ok(LogOptions { stream: Some("Stderr".into()), ..default() }));
        check("stream=All&tailLines=1", Ok(LogOptions { tail: Some(1), ..default() }));
        let low = "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0";
        check("tailLines=-1", Err(low));
        let zero = "PodLogOptions \"p\" is invalid: limitBytes: Invalid value: 0: must be greater than 0";
        check("limitBytes=0", Err(zero));
    }

    fn why(state: Value, expect: &str) {
        let status = json!({ "name": "c", "state": state });
        let pod = json!({ "metadata": { "name": "p" }, "status": { "containerStatuses": [status] } });
        assert_eq!(waiting(&pod, "c").to_string(), expect);
    }

    #[test]
    fn a_container_that_has_not_started_says_why() {
        let waits = |reason: &str| json!({ "waiting": { "reason": reason } });
        let what = "container \"c\" in pod \"p\" is";
        why(waits("ContainerCreating"), &format!("{what} waiting to start: ContainerCreating"));
        why(waits("ErrImagePull"), &format!("{what} waiting to start: image can't be pulled"));
        why(waits("ImagePullBackOff"), &format!("{what} waiting to start: trying and failing to pull image"));
        why(json!({}), &format!("{what} waiting to start - no logs yet"));
        why(json!({ "terminated": {} }), &format!("{what} terminated"));
        let pod = json!({ "metadata": { "name": "p" } });
        assert_eq!(waiting(&pod, "c").to_string(), format!("{what} not available"));
        assert_eq!(previous(&pod, "c").expect_err("none").to_string(), format!("{what} not available"));
    }
}
