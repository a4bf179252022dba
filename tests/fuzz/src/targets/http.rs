//! What a request's head says: read before anybody is asked who he is.

use api::selector::Labels;
use apiserver::{
    http::{accept, query::Query},
    page::Place,
    route,
};

use super::{text, texts};
use crate::Target;

/// A path and its query: the object, and the verb of each method.
pub(super) const PATH: Target = Target {
    name: "path and query",
    run: |bytes| {
        let text = text(bytes);
        let (path, query) = text.split_once('?').unwrap_or((&text, ""));
        let query = Query::parse(query);
        let segments = route::segments(path);
        if let Some(target) = route::target(&segments) {
            for method in [::http::Method::GET, ::http::Method::POST, ::http::Method::DELETE] {
                let _ = target.verb(&method, &query);
            }
        }
    },
    seeds: || {
        texts(&[
            "/api/v1/namespaces/default/pods/web-1/log?container=main&follow=true&tailLines=10",
            "/apis/apps/v1/deployments?labelSelector=app%3Dweb%2Ctier+in+%28a%2Cb%29&watch=1&resourceVersion=12",
            "/api/v1/namespaces/a/finalize",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/%2e%2e%zz?%=%4",
        ])
    },
};

/// The media types a client takes.
pub(super) const ACCEPT: Target = Target {
    name: "accept header",
    run: |bytes| {
        let text = text(bytes);
        let _ = accept::negotiate(Some(&text));
        for range in accept::ranges(&text) {
            let _ = (range.encoding(), range.parameter("as"));
        }
    },
    seeds: || {
        texts(&[
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            "application/vnd.kubernetes.protobuf, */*;q=0.8",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        ])
    },
};

/// Label selectors.
pub(super) const SELECTORS: Target = Target {
    name: "label selector",
    run: |bytes| {
        if let Ok(selector) = Labels::parse(&text(bytes)) {
            let told = selector.to_string();
            let again = Labels::parse(&told).map(|again| again.to_string());
            assert_eq!(again.as_deref(), Ok(told.as_str()), "what is told is read alike");
        }
    },
    seeds: || texts(&["app=web,tier!=db", "env in (a, b,c),!gone,there", "example.com/x notin (),n>1,m<2"]),
};

/// Tokens of pages.
pub(super) const CONTINUE: Target = Target {
    name: "continue token",
    run: |bytes| {
        if let Ok(page) = Place::parse(&text(bytes), "core/pods/") {
            let _ = page.token();
        }
    },
    seeds: || texts(&["eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTIsInN0YXJ0IjoiZGVmYXVsdC93ZWIifQ", "e30", ""]),
};
