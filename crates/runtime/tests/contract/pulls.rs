//! Images from registries: what every runtime promises, and what only a real registry can show.

use crate::{
    fixture::Host,
    image::Packing,
    registry::{Registry, credentials},
    suite::{Pod, exit},
};
use async_trait::async_trait;
use runtime::{ContainerRuntime, Credentials, ImageConfig, ImageSource, MemoryRuntime, Part, PullError};
use std::sync::Arc;

/// Where the suite finds `app:1`, open to all or to one.
struct Registries {
    open: String,
    private: String,
    nobody: String,
}

/// An image of a runtime, as others are given it.
struct Of<'a>(&'a dyn ContainerRuntime, &'a str);

#[async_trait]
impl ImageSource for Of<'_> {
    async fn part(&self, digest: &str) -> std::io::Result<Part> {
        let part = self.0.part(self.1, digest).await.map_err(std::io::Error::other)?;
        part.ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

/// What is given to others, and what is taken from them.
async fn shares(runtime: &dyn ContainerRuntime, reference: &str) {
    let image = runtime.image(reference).await.expect("looks").expect("it is there");
    let source = Of(runtime, reference);
    let copy = runtime.receive("copy.test/app:1", &image.digest, &source).await.expect("it is given");
    assert_eq!((&copy.digest, &copy.config), (&image.digest, &image.config));
    assert_eq!(runtime.image("copy.test/app:1").await.expect("looks"), Some(copy));
    let other = format!("sha256:{}", "0".repeat(64));
    assert!(source.part(&other).await.is_err(), "not its part");
    let refused = runtime.receive("copy.test/app:2", &other, &source).await.expect_err("not there");
    assert!(matches!(refused, PullError::Unreachable { .. }), "{refused:?}");
}

async fn promises(runtime: &dyn ContainerRuntime, at: &Registries) {
    let Registries { open, private, nobody } = at;
    let pulled = runtime.pull(&format!("{open}/app:1"), None).await.expect("it is there");
    assert_eq!(pulled.reference, format!("{open}/app:1"));
    assert_eq!(runtime.image(&pulled.reference).await.expect("looks").as_ref(), Some(&pulled));
    // Again, and as somebody, who is not asked for.
    assert_eq!(runtime.pull(&pulled.reference, Some(&credentials())).await.expect("it is there"), pulled);
    shares(runtime, &pulled.reference).await;
    let missing = runtime.pull(&format!("{open}/app:2"), None).await.expect_err("no such tag");
    assert!(matches!(missing, PullError::NotFound { .. }), "{missing:?}");
    let wrong = Credentials { password: "wrong".into(), ..credentials() };
    for who in [None, Some(&wrong)] {
        let refused = runtime.pull(&format!("{private}/app:1"), who).await.expect_err("not for all");
        assert!(matches!(refused, PullError::Unauthorized { .. }), "{refused:?}");
        assert!(!format!("{refused:?}").contains("wrong"), "{refused:?}");
    }
    runtime.pull(&format!("{private}/app:1"), Some(&credentials())).await.expect("he may");
    let alone = runtime.pull(&format!("{nobody}/app:1"), None).await.expect_err("nobody is there");
    assert!(matches!(alone, PullError::Unreachable { .. }), "{alone:?}");
    let invalid = runtime.pull("Not A Reference", None).await.expect_err("none");
    assert!(matches!(invalid, PullError::InvalidReference { .. }), "{invalid:?}");
}

#[tokio::test]
async fn the_twin_pulls_as_promised() {
    let twin = MemoryRuntime::default();
    twin.publish("open.test/app:1", ImageConfig::default(), None);
    twin.publish("private.test/app:1", ImageConfig::default(), Some(credentials()));
    let names = ["open.test", "private.test", "nobody.test"].map(str::to_owned);
    let [open, private, nobody] = names;
    promises(&twin, &Registries { open, private, nobody }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containerd_pulls_as_promised() {
    let Some(host) = Host::start().await else { return };
    let (open, private) = tokio::join!(Registry::start(host.folder(), false), Registry::start(host.folder(), true));
    let (Some(open), Some(private)) = (open, private) else { return };
    open.push("app", "1", &Packing::Gzip);
    private.push("app", "1", &Packing::Gzip);
    let at = Registries {
        open: open.address().into(),
        private: private.address().into(),
        // The port of TCP multiplexing, which nobody listens on.
        nobody: "127.0.0.1:1".into(),
    };
    promises(&host.connect().await, &at).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pulled_runs() {
    let Some(host) = Host::start().await else { return };
    let Some(registry) = Registry::start(host.folder(), false).await else { return };
    let at = registry.address();
    registry.push("team/gzip", "1", &Packing::Gzip);
    registry.push_index("team/gzip", "all", true);
    registry.push_index("team/gzip", "others", false);
    let zstd = registry.push("team/zstd", "1", &Packing::Zstd);
    let client: Arc<dyn ContainerRuntime> = Arc::new(host.connect().await);
    // Both at once: they share what is unpacked.
    let names = [format!("{at}/team/gzip:all"), format!("{at}/team/zstd@{zstd}")];
    let (gzip, packed) = tokio::join!(client.pull(&names[0], None), client.pull(&names[1], None));
    assert_eq!(packed.expect("it is there").digest, zstd);
    assert_eq!(gzip.expect("it is there").config.user, "web");
    let pod = Pod::new(&client, "pulled").await;
    for (at, image) in names.into_iter().enumerate() {
        let mut spec = pod.spec(&format!("c{at}"), &["/bin/sh", "-c", "test $FROM_IMAGE = yes && exit 7"]);
        spec.image = image;
        let id = pod.run(&spec).await;
        assert_eq!(exit(&client, &id).await.code, Some(7));
    }
    pod.end().await;
    let others = client.pull(&format!("{at}/team/gzip:others"), None).await.expect_err("for others");
    assert!(matches!(others, PullError::Platform { .. }), "{others}");
    host.stop().await;
}
