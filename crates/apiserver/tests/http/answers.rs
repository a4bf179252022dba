//! What each request is answered with, over both protocols.

use std::io::Read;

use futures::stream;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    wire::{Ask, BOTH, Protocol, ask, check},
};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Discovery as new clients ask for it.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn map(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "data": { "k": "v" } })
}

fn post(name: &str) -> Ask {
    ask(&format!("POST {MAPS}")).json(&map(name))
}

#[tokio::test]
async fn each_request_gets_its_answer() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let name = format!("a{}", protocol.alpn().len());
        let at = |method: &str| ask(&format!("{method} {MAPS}/{name}"));
        let get = |path: &str| ask(&format!("GET {path}"));
        let patch = || at("PATCH").with("content-type", "application/merge-patch+json");
        let absent = "the server could not find the requested resource";
        let refused = "the server does not allow this method on the requested resource";
        let rows = [
            (post(&name), 201, "\"k\":\"v\""),
            (post(&name), 409, "already exists"),
            (at("GET"), 200, "\"k\":\"v\""),
            (at("GET").with("accept", "application/yaml"), 200, "data:\n  k: v"),
            (at("GET").with("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), 200, "\"kind\":\"Table\""),
            (at("GET").with("accept", "text/html"), 406, "only the following media types are accepted"),
            (patch().bytes(r#"{"data":{"k":"w"}}"#), 200, "\"k\":\"w\""),
            (patch().bytes("{"), 400, "\"reason\":\"BadRequest\""),
            (at("PATCH").json(&map(&name)), 415, "the body of the request was in an unknown format"),
            (post("b").with("content-type", "application/cbor"), 415, "application/vnd.kubernetes.protobuf"),
            (at("PUT").json(&json!({ "metadata": { "name": "other" } })), 400, "does not match the name on the URL"),
            (at("POST").json(&map(&name)), 405, refused),
            (ask("PUT /api/v1/namespaces/default/configmaps").json(&map("x")), 405, refused),
            (ask("POST /version"), 404, absent),
            (get("/api/v1/nothings"), 404, absent),
            (get("/apis/nobody.example.com/v1/things"), 404, absent),
            (get("/apis/nobody.example.com"), 404, absent),
            (get("/api/v2"), 404, absent),
            (get("/nowhere/at/all"), 404, absent),
            (get(&format!("{MAPS}/{name}/nothing")), 404, absent),
            (get(&format!("{MAPS}?limit=-1")), 400, "limit"),
            (get(&format!("{MAPS}?labelSelector=a%20b%20c")), 400, "unable to parse requirement"),
            (get(&format!("{MAPS}?continue=nonsense")), 400, "continue key is not valid"),
            (get(&format!("{MAPS}?resourceVersion=999999999")), 504, "Too large resource version"),
            (get("/version"), 200, "\"major\":\"1\""),
            (get("/livez"), 200, "ok"),
            (get("/livez?verbose"), 200, "[+]ping ok"),
            (get("/"), 200, "\"/openapi/v3\""),
            (get("/api/v1"), 200, "\"name\":\"configmaps\""),
            (get("/metrics"), 200, "apiserver_request"),
            (get("/openid/v1/jwks"), 200, "\"keys\""),
            (at("DELETE"), 200, "\"status\":\"Success\""),
            (at("GET"), 404, "configmaps \\\"a"),
        ];
        let mut admin = cluster.admin(protocol).await;
        for (request, code, expect) in rows {
            check(&mut admin, request, code, expect).await;
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_of_no_stated_length_is_read() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let text = map(&format!("chunked-{}", protocol.alpn().len())).to_string();
        let chunks = text.into_bytes().chunks(7).map(|c| c.to_vec().into()).collect::<Vec<_>>();
        let request = ask(&format!("POST {MAPS}")).with("content-type", "application/json");
        check(&mut cluster.admin(protocol).await, request.chunks(stream::iter(chunks)), 201, "chunked").await;
    }
}

#[tokio::test]
async fn a_large_answer_is_compressed_for_those_who_take_it() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H2).await;
    let large = json!({ "metadata": { "name": "large" }, "data": { "k": "v".repeat(200 << 10) } });
    check(&mut admin, ask(&format!("POST {MAPS}")).json(&large), 201, "").await;
    let one = format!("GET {MAPS}/large");
    for line in [one.clone(), format!("GET {MAPS}")] {
        let plain = check(&mut admin, ask(&line), 200, "vvvv").await;
        assert_eq!(plain.header("content-encoding"), "");
        let zipped = check(&mut admin, ask(&line).with("accept-encoding", "br, gzip;q=0.9"), 200, "").await;
        assert_eq!((zipped.header("content-encoding"), zipped.header("vary")), ("gzip", "Accept-Encoding"));
        let mut unzipped = Vec::new();
        flate2::read::GzDecoder::new(&*zipped.body).read_to_end(&mut unzipped).unwrap();
        assert_eq!(unzipped, plain.body);
        assert!(zipped.body.len() < plain.body.len() / 10);
    }
    let small = check(&mut admin, ask("GET /version").with("accept-encoding", "gzip"), 200, "major").await;
    assert_eq!(small.header("content-encoding"), "");
}

#[tokio::test]
async fn a_document_known_by_its_etag_is_not_sent_again() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H1).await;
    for path in ["/api", "/apis", "/openapi/v2", "/openapi/v3/api/v1"] {
        let request = || ask(&format!("GET {path}")).with("accept", AGGREGATED);
        let first = check(&mut admin, request(), 200, "{").await;
        let tag = first.header("etag");
        assert!(tag.len() > 2 && tag.starts_with('"'), "{path}: {tag}");
        let again = check(&mut admin, request().with("if-none-match", tag), 304, "").await;
        assert_eq!((again.body.len(), again.header("etag")), (0, tag), "{path}");
        check(&mut admin, request().with("if-none-match", "\"other\""), 200, "{").await;
    }
}

#[tokio::test]
async fn an_openapi_document_lives_for_ever_under_its_hash() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H2).await;
    let index = check(&mut admin, ask("GET /openapi/v3"), 200, "\"paths\"").await.json();
    let present = index["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let found = check(&mut admin, ask(&format!("GET {present}")), 200, "\"openapi\":\"3.0").await;
    assert_eq!(found.header("cache-control"), "public, immutable");
    let moved = check(&mut admin, ask("GET /openapi/v3/api/v1?hash=OLD"), 301, "").await;
    assert_eq!(moved.header("location"), present);
    check(&mut admin, ask("GET /openapi/v3/apis/nobody"), 404, "could not find").await;
}

#[tokio::test]
async fn without_a_quorum_only_what_is_here_is_told() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H1).await;
    check(&mut admin, post("a"), 201, "").await;
    cluster.storage.memory.cut_off(Some(std::time::Duration::from_secs(12)));
    let fresh = [ask(&format!("GET {MAPS}/a")), ask(&format!("GET {MAPS}")), post("b")];
    for request in fresh {
        let refused = check(&mut admin, request, 503, "\"reason\":\"ServiceUnavailable\"").await;
        assert_eq!(refused.header("retry-after"), "1");
    }
    for line in [format!("GET {MAPS}/a?resourceVersion=0"), format!("GET {MAPS}?resourceVersion=0")] {
        let stale = check(&mut admin, ask(&line), 200, "\"k\":\"v\"").await;
        let warning = "299 - \"this node has heard from no leader for 12 s; the answer may be that old\"";
        assert_eq!(stale.header("warning"), warning, "{line}");
    }
    check(&mut admin, ask("GET /readyz"), 500, "[-]storage failed").await;
    check(&mut admin, ask("GET /livez"), 200, "ok").await;
    cluster.storage.memory.cut_off(None);
    let sound = check(&mut admin, ask(&format!("GET {MAPS}/a?resourceVersion=0")), 200, "").await;
    assert_eq!(sound.header("warning"), "");
}
