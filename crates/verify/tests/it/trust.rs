//! Where the trusted root comes from, and what happens when it can't be had.

mod mirror;
mod slow_disk;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::tuf::{FAR, Files, Owner, PAST};
use countersign_oci::http::{Connection, proxy_url};
use countersign_oci::{Options, Retries};
use countersign_sandbox::RecordingProxy;
use countersign_verify::{TrustError, TrustSource, TrustedRoot, TufError, TufNetwork};
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT as PRODUCTION;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A repository, a mirror of it, and a cache.
struct Fixture {
    owner: Owner,
    root: Vec<u8>,
    mirror: MockServer,
    url: url::Url,
    directory: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let mirror = MockServer::start().await;
        let owner = Owner::new();
        Self {
            root: owner.root(),
            owner,
            url: mirror.uri().parse().unwrap(),
            mirror,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    async fn serving(files: impl Fn(&Owner) -> Files) -> Self {
        let fixture = Self::new().await;
        files(&fixture.owner).serve(&fixture.mirror).await;
        fixture
    }

    fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    fn source(&self, cache: PathBuf, network: TufNetwork) -> TrustSource {
        TrustSource::Tuf {
            url: self.url.clone(),
            root: self.root.clone(),
            cache,
            network,
        }
    }

    async fn load(&self) -> Result<TrustedRoot, TrustError> {
        TrustedRoot::load(
            &self.source(self.cache(), TufNetwork::Online),
            &connection(),
        )
        .await
    }

    /// As another process would: the same directory by another name, so that nothing in this
    /// process's memory is shared.
    async fn load_elsewhere(
        &self,
        name: &str,
        network: TufNetwork,
    ) -> Result<TrustedRoot, TrustError> {
        let alias = self.directory.path().join(name);
        std::os::unix::fs::symlink(self.cache(), &alias).unwrap();
        TrustedRoot::load(&self.source(alias, network), &connection()).await
    }

    async fn requests(&self) -> Vec<String> {
        let requests = self.mirror.received_requests().await.unwrap();
        requests
            .iter()
            .map(|request| request.url.path().to_owned())
            .collect()
    }

    async fn take_down(&self) {
        self.mirror.reset().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(503))
            .mount(&self.mirror)
            .await;
    }
}

fn good(owner: &Owner) -> Files {
    owner.files(PRODUCTION.as_bytes(), 1, FAR)
}

/// A connection that doesn't make tests wait.
fn connection() -> Connection {
    let retries = Retries {
        pause: Duration::from_millis(1),
        ..Retries::default()
    };
    Connection::new(Options {
        retries,
        ..Options::default()
    })
    .unwrap()
}

fn tuf_error(result: Result<TrustedRoot, TrustError>) -> TufError {
    match result {
        Err(TrustError::Tuf { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

fn mirror_error(result: Result<TrustedRoot, TrustError>) -> sigstore_tuf::Error {
    match tuf_error(result) {
        TufError::Unreachable(source) => *source,
        other => panic!("{other:?}"),
    }
}

fn wrong_answer(result: Result<TrustedRoot, TrustError>) -> sigstore_tuf::Error {
    match tuf_error(result) {
        TufError::WrongAnswer(source) => *source,
        other => panic!("{other:?}"),
    }
}

fn cut_in_half(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

#[tokio::test]
async fn a_hundred_at_once_fetch_once() {
    let fixture = Fixture::serving(good).await;
    let loads = (0..100).map(|_| fixture.load());
    for outcome in futures_util::future::join_all(loads).await {
        outcome.unwrap();
    }
    let requests = fixture.requests().await;
    let timestamps = requests.iter().filter(|path| *path == "/timestamp.json");
    assert_eq!(timestamps.count(), 1, "{requests:?}");
}

#[tokio::test]
async fn a_fresh_cache_is_used_without_a_request() {
    let fixture = Fixture::serving(good).await;
    fixture.load().await.unwrap();
    let before = fixture.requests().await.len();
    fixture
        .load_elsewhere("other", TufNetwork::Online)
        .await
        .unwrap();
    assert_eq!(fixture.requests().await.len(), before);
}

#[tokio::test]
async fn a_cache_that_was_not_refreshed_for_a_day_is_refreshed() {
    let fixture = Fixture::serving(good).await;
    fixture.load().await.unwrap();
    let marker = fixture.cache().join("refreshed");
    std::fs::write(marker, "2020-01-01T00:00:00Z").unwrap();
    let before = fixture.requests().await.len();
    fixture
        .load_elsewhere("other", TufNetwork::Online)
        .await
        .unwrap();
    assert!(fixture.requests().await.len() > before);
}

#[tokio::test]
async fn a_refresh_time_in_the_future_is_not_believed() {
    let fixture = Fixture::serving(good).await;
    fixture.load().await.unwrap();
    std::fs::write(fixture.cache().join("refreshed"), FAR).unwrap();
    let before = fixture.requests().await.len();
    fixture
        .load_elsewhere("other", TufNetwork::Online)
        .await
        .unwrap();
    assert!(fixture.requests().await.len() > before);
}

#[tokio::test]
async fn a_valid_cache_serves_while_the_mirror_is_down() {
    let fixture = Fixture::serving(good).await;
    fixture.load().await.unwrap();
    std::fs::remove_file(fixture.cache().join("refreshed")).unwrap();
    fixture.take_down().await;
    fixture
        .load_elsewhere("other", TufNetwork::Online)
        .await
        .unwrap();
    assert_ne!(fixture.requests().await.len(), 0, "the mirror was asked");
    fixture
        .load_elsewhere("offline", TufNetwork::Offline)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_expired_cache_does_not_serve_while_the_mirror_is_down() {
    let fixture = Fixture::new().await;
    fixture
        .owner
        .files(PRODUCTION.as_bytes(), 1, PAST)
        .write(&fixture.cache());
    fixture.take_down().await;
    assert!(matches!(
        mirror_error(fixture.load().await),
        sigstore_tuf::Error::Transport { .. }
    ));
    match tuf_error(fixture.load_elsewhere("offline", TufNetwork::Offline).await) {
        TufError::Cache { source, .. } => {
            assert!(matches!(*source, sigstore_tuf::Error::Expired { .. }));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn offline_without_a_cache_is_an_error_without_a_request() {
    let fixture = Fixture::serving(good).await;
    let source = fixture.source(fixture.cache(), TufNetwork::Offline);
    let error = tuf_error(TrustedRoot::load(&source, &connection()).await);
    assert!(matches!(error, TufError::Cache { .. }));
    assert_eq!(fixture.requests().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_instance_with_a_name_starts_from_what_is_built_in() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let network = TufNetwork::Offline;
    let sources = [
        TrustSource::PublicGood {
            cache: cache.join("public-good"),
            network,
        },
        TrustSource::GitHub {
            cache: cache.join("github"),
            network,
        },
    ];
    for source in sources {
        // The root itself is good: what is missing is everything that only the network has.
        match tuf_error(TrustedRoot::load(&source, &connection()).await) {
            TufError::Cache { source, .. } => assert!(
                matches!(
                    *source,
                    sigstore_tuf::Error::Transport { .. } | sigstore_tuf::Error::Expired { .. }
                ),
                "{source:?}"
            ),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let fixture = Fixture::new().await;
    fixture.take_down().await;
    let down = fixture.load().await;
    assert!(matches!(down, Err(TrustError::Tuf { .. })), "{down:?}");
    good(&fixture.owner).serve(&fixture.mirror).await;
    fixture.load().await.unwrap();
}

#[tokio::test]
async fn a_damaged_cache_heals_itself() {
    for file in [
        "timestamp.json",
        "snapshot.json",
        "targets.json",
        "targets/trusted_root.json",
        "root.json",
        "root_history/1.root.json",
    ] {
        let fixture = Fixture::serving(good).await;
        fixture.load().await.unwrap();
        cut_in_half(&fixture.cache().join(file));
        fixture
            .load_elsewhere("other", TufNetwork::Online)
            .await
            .unwrap();
        let healed = fixture.load_elsewhere("offline", TufNetwork::Offline).await;
        assert!(healed.is_ok(), "{file}: {healed:?}");
    }
}

#[tokio::test]
async fn metadata_signed_by_someone_else_is_refused() {
    let fixture = Fixture::new().await;
    good(&Owner::new()).serve(&fixture.mirror).await;
    assert!(matches!(
        wrong_answer(fixture.load().await),
        sigstore_tuf::Error::ThresholdNotMet { .. }
    ));
}

#[tokio::test]
async fn a_rollback_is_refused() {
    let fixture = Fixture::serving(good).await;
    fixture
        .owner
        .files(PRODUCTION.as_bytes(), 2, PAST)
        .write(&fixture.cache());
    assert!(matches!(
        wrong_answer(fixture.load().await),
        sigstore_tuf::Error::Rollback { .. }
    ));
}

#[tokio::test]
async fn expired_metadata_of_the_mirror_is_refused() {
    let expired = |owner: &Owner| owner.files(PRODUCTION.as_bytes(), 1, PAST);
    let fixture = Fixture::serving(expired).await;
    assert!(matches!(
        wrong_answer(fixture.load().await),
        sigstore_tuf::Error::Expired { .. }
    ));
}

#[tokio::test]
async fn a_target_other_than_the_signed_one_is_refused() {
    let tampered = |owner: &Owner| {
        let mut files = good(owner);
        let byte = files.target.iter_mut().find(|byte| **byte == b'a').unwrap();
        *byte = b'b';
        files
    };
    let fixture = Fixture::serving(tampered).await;
    assert!(matches!(
        wrong_answer(fixture.load().await),
        sigstore_tuf::Error::IntegrityMismatch(_)
    ));
}

/// We ask for one name, which no metadata can change (GHSA-fcv2-xgw5-pqxf).
#[tokio::test]
async fn a_target_whose_name_leads_out_is_not_taken_and_nothing_is_written_outside() {
    for name in [
        "../trusted_root.json",
        "../../trusted_root.json",
        "/trusted_root.json",
    ] {
        let named = |owner: &Owner| owner.files_named(name, PRODUCTION.as_bytes(), 1, FAR);
        let fixture = Fixture::serving(named).await;
        assert!(matches!(
            wrong_answer(fixture.load().await),
            sigstore_tuf::Error::TargetNotFound(asked) if asked == "trusted_root.json"
        ));
        let beside = std::fs::read_dir(fixture.directory.path()).unwrap();
        let beside: Vec<_> = beside.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(beside, ["cache"], "{name}");
        assert!(!fixture.cache().join("targets").exists(), "{name}");
    }
}

#[tokio::test]
async fn another_root_does_not_share_what_is_loaded() {
    let fixture = Fixture::serving(good).await;
    fixture.load().await.unwrap();
    let source = TrustSource::Tuf {
        url: fixture.url.clone(),
        root: Owner::new().root(),
        cache: fixture.cache(),
        network: TufNetwork::Online,
    };
    let loaded = TrustedRoot::load(&source, &connection()).await;
    assert!(matches!(loaded, Err(TrustError::Tuf { .. })), "{loaded:?}");
}

#[tokio::test]
async fn a_file_is_parsed_under_its_name() {
    let load = async |json: &str| {
        let source = TrustSource::File {
            name: "roots/mine.json".into(),
            json: json.into(),
        };
        TrustedRoot::load(&source, &connection()).await
    };
    load(PRODUCTION).await.unwrap();
    for not_one in ["", "<html>", "[]", "{}", r#"{"mediaType":"text/plain"}"#] {
        match load(not_one).await {
            Err(TrustError::Malformed { name, .. }) => assert_eq!(name, "roots/mine.json"),
            other => panic!("{not_one}: {other:?}"),
        }
    }
}

#[test]
fn a_root_that_lacks_what_every_signature_needs_is_refused() {
    let mut root: serde_json::Value = serde_json::from_str(PRODUCTION).unwrap();
    root.as_object_mut()
        .unwrap()
        .remove("certificateAuthorities");
    match TrustedRoot::from_json("root", &root.to_string()) {
        Err(TrustError::Incomplete { missing, .. }) => {
            assert_eq!(missing, "certificate authority");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repository_is_asked_by_the_proxy() {
    let proxy = RecordingProxy::start().await.unwrap();
    let connection = Connection::new(Options {
        proxy: proxy_url(&proxy.authority()),
        retries: Retries {
            times: 0,
            ..Retries::default()
        },
        ..Options::default()
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let source = TrustSource::Tuf {
        url: "https://tuf.invalid/".parse().unwrap(),
        root: Owner::new().root(),
        cache: directory.path().join("cache"),
        network: TufNetwork::Online,
    };
    let error = mirror_error(TrustedRoot::load(&source, &connection).await);
    assert!(
        matches!(error, sigstore_tuf::Error::Transport { .. }),
        "{error:?}"
    );
    assert_eq!(proxy.targets(), ["tuf.invalid:443"]);
}
