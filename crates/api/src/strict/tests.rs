//! Bodies as clients send them, and what a Go server makes of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::facts;

fn pod() -> &'static Type {
    facts::of_kind("", "v1", "Pod").expect("built in")
}

fn check(body: &str, mode: Mode, expect: Result<(Value, &[&str]), &str>) {
    let got = decode(body.as_bytes(), Some(pod()), mode).map_err(|error| error.to_string());
    let expect = expect.map(|(value, warnings)| (value, warnings.iter().map(ToString::to_string).collect()));
    assert_eq!(got, expect.map_err(ToOwned::to_owned), "{body}");
}

#[test]
fn names_unknown_and_duplicate_fields() {
    let body = r#"{"spec":{"foo":1,"nodeName":"a","nodeName":"b","containers":[{"name":"c","bar":{}}]}}"#;
    let kept = json!({"spec": {"nodeName": "b", "containers": [{"name": "c"}]}});
    let complaints = [
        r#"duplicate field "spec.nodeName""#,
        r#"unknown field "spec.containers[0].bar""#,
        r#"unknown field "spec.foo""#,
    ];
    check(body, Mode::Warn, Ok((kept.clone(), &complaints)));
    check(body, Mode::Ignore, Ok((kept, &[])));
    check(body, Mode::Strict, Err(&format!("strict decoding error: {}", complaints.join(", "))));
    let error = DecodeError::Strict(vec!["unknown field \"x\"".to_owned()]).status("v1", "Pod");
    assert_eq!(
        error.message,
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"x\""
    );
}

#[test]
fn refuses_wrong_types_in_gos_words() {
    let cases = [
        (
            r#"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels.a of type string",
        ),
        (
            r#"{"metadata":{"labels":"a"}}"#,
            "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            r#"{"spec":{"containers":[{"name":true}]}}"#,
            "json: cannot unmarshal bool into Go struct field Container.spec.containers.name of type string",
        ),
        (
            r#"{"spec":{"containers":{}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            r#"{"spec":{"priority":1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (r#"{"spec":[]}"#, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ("[]", "json: cannot unmarshal array into Go value of type v1.Pod"),
        (
            r#"{"metadata":{"creationTimestamp":"x"}}"#,
            r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#,
        ),
    ];
    cases.into_iter().for_each(|(body, error)| check(body, Mode::Ignore, Err(error)));
}

#[test]
fn leaves_out_what_a_go_round_trip_leaves_out() {
    let body = r#"{"metadata":{"creationTimestamp":null,"labels":{},"finalizers":[],"annotations":{"a":null}},
        "spec":{"containers":[],"volumes":[{"name":"v","emptyDir":{}}],"nodeName":"","tolerations":null,
        "overhead":{"cpu":"0.5"},"activeDeadlineSeconds":0},"status":{"startTime":"2026-01-01T01:00:00.5+01:00"}}"#;
    let expect = json!({"metadata": {"annotations": {"a": ""}}, "spec": {"containers": [], "volumes": [{"name": "v", "emptyDir": {}}],
        "overhead": {"cpu": "500m"}, "activeDeadlineSeconds": 0}, "status": {"startTime": "2026-01-01T00:00:00Z"}});
    check(body, Mode::Strict, Ok((expect, &[])));
}

#[test]
fn refuses_deep_nesting_and_bytes_that_are_no_json() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    check(&deep, Mode::Ignore, Err("exceeded max depth"));
    let deep = format!("{}1{}", r#"{"a":"#.repeat(110), "}".repeat(110));
    check(&deep, Mode::Ignore, Err("exceeded max depth"));
    for body in ["", "{", "{}}", "{\"a\":}", "\u{feff}{}"] {
        assert!(matches!(decode(body.as_bytes(), Some(pod()), Mode::Ignore), Err(DecodeError::Syntax(_))), "{body}");
    }
}

#[test]
fn checks_base64() {
    let secret = facts::of_kind("", "v1", "Secret").expect("built in");
    let bad = decode(br#"{"data":{"a":"%%"}}"#, Some(secret), Mode::Warn).unwrap_err();
    assert_eq!(bad.to_string(), "illegal base64 data at input byte 0");
    assert!(decode(br#"{"data":{"a":"aGk="}}"#, Some(secret), Mode::Warn).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in r#"[\[\]{}:,"a0 ]{0,40}"#) {
        _ = decode(body.as_bytes(), Some(pod()), Mode::Strict);
    }
}
