//! Who a client is taken for.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    cluster::{Authority, Cluster, Who},
    wire::{Answer, Protocol, ask, check},
};

const REVIEW: &str = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";

fn name(answer: &Answer) -> String {
    answer.json()["status"]["userInfo"]["username"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_certificate_names_the_user() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H2).await;
    assert_eq!(name(&check(&mut admin, ask(REVIEW).json(&json!({})), 201, "system:masters").await), "admin");
    let mut jane = cluster.connect(&Who::Of(&cluster.authority, "jane"), Protocol::H1).await;
    assert_eq!(name(&check(&mut jane, ask(REVIEW).json(&json!({})), 201, "system:authenticated").await), "jane");
    let why = r#"secrets is forbidden: User \"jane\" cannot list resource \"secrets\" in API group \"\" at the cluster scope"#;
    check(&mut jane, ask("GET /api/v1/secrets"), 403, why).await;
    let as_jane = ask(REVIEW).json(&json!({})).with("impersonate-user", "jane");
    assert_eq!(name(&check(&mut admin, as_jane, 201, "").await), "jane");
    let as_admin = ask("GET /api/v1/secrets").with("impersonate-user", "admin");
    check(&mut jane, as_admin, 403, "cannot impersonate resource").await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let cluster = Cluster::new().await;
    let stranger = Authority::new();
    let mut stream = cluster.tls(&Who::Of(&stranger, "admin"), Protocol::H1).await;
    _ = stream.write_all(b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut answer = Vec::new();
    assert!(stream.read_to_end(&mut answer).await.is_err(), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_stranger_sees_little() {
    let cluster = Cluster::new().await;
    let mut anonymous = cluster.connect(&Who::Anonymous, Protocol::H1).await;
    let forbidden = r#"User \"system:anonymous\" cannot get path \"/metrics\""#;
    let rows = [
        (ask("GET /version"), 200, "major"),
        (ask("GET /readyz"), 200, "ok"),
        (ask("GET /api/v1/secrets"), 403, r#"User \"system:anonymous\" cannot list resource \"secrets\""#),
        (ask("POST /api/v1/namespaces").json(&json!({ "metadata": { "name": "a" } })), 403, "cannot create"),
        (ask("GET /metrics"), 403, forbidden),
        (ask("GET /version").with("authorization", "Bearer nonsense"), 401, "\"reason\":\"Unauthorized\""),
        (ask("GET /version").with("authorization", "Basic YTpi"), 401, "\"reason\":\"Unauthorized\""),
    ];
    for (request, code, expect) in rows {
        check(&mut anonymous, request, code, expect).await;
    }
}

#[tokio::test]
async fn a_token_names_its_service_account_while_that_exists() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H2).await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let robot = json!({ "metadata": { "name": "robot" } });
    check(&mut admin, ask(&format!("POST {accounts}")).json(&robot), 201, "").await;
    let request = ask(&format!("POST {accounts}/robot/token")).json(&json!({ "spec": { "expirationSeconds": 600 } }));
    let token = check(&mut admin, request, 201, "").await.json()["status"]["token"].as_str().unwrap().to_owned();
    let mut client = cluster.connect(&Who::Anonymous, Protocol::H1).await;
    let bearer = format!("Bearer {token}");
    let review = || ask(REVIEW).json(&json!({})).with("authorization", &bearer);
    let said = check(&mut client, review(), 201, "system:serviceaccounts:default").await;
    assert_eq!(name(&said), "system:serviceaccount:default:robot");
    let secrets = ask("GET /api/v1/secrets").with("authorization", &bearer);
    check(&mut client, secrets, 403, r#"User \"system:serviceaccount:default:robot\" cannot list"#).await;
    check(&mut admin, ask(&format!("DELETE {accounts}/robot")), 200, "").await;
    check(&mut client, review(), 401, "Unauthorized").await;
}
