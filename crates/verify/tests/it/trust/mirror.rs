//! A valid cache serves only while the mirror can't be reached.

use countersign_oci::ErrorKind;
use countersign_sandbox::ClosedPort;
use countersign_verify::{TrustedRoot, TufError, TufNetwork};
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT as PRODUCTION;
use wiremock::matchers::{any, path};
use wiremock::{Mock, ResponseTemplate};

use super::{Fixture, connection, good, tuf_error};
use crate::support::tuf::{Owner, PAST};

/// The cache would hide what the mirror hides.
#[tokio::test]
async fn a_valid_cache_does_not_serve_while_the_mirror_answers_wrongly() {
    type Answer = fn(&Fixture) -> ResponseTemplate;
    let someone_elses: Answer = |_| {
        let timestamp = good(&Owner::new()).timestamp;
        ResponseTemplate::new(200).set_body_bytes(timestamp)
    };
    let expired: Answer = |fixture| {
        let files = fixture.owner.files(PRODUCTION.as_bytes(), 2, PAST);
        ResponseTemplate::new(200).set_body_bytes(files.timestamp)
    };
    let too_long: Answer = |_| ResponseTemplate::new(200).set_body_bytes(vec![b' '; 1 << 20]);
    let answers: [(&str, Answer, ErrorKind); 8] = [
        (
            "a login page",
            |_| ResponseTemplate::new(200).set_body_string("<html>"),
            ErrorKind::Invalid,
        ),
        ("someone else's metadata", someone_elses, ErrorKind::Invalid),
        ("expired metadata", expired, ErrorKind::Invalid),
        ("an endless file", too_long, ErrorKind::Rejected),
        (
            "not found",
            |_| ResponseTemplate::new(404),
            ErrorKind::Rejected,
        ),
        (
            "forbidden",
            |_| ResponseTemplate::new(403),
            ErrorKind::Rejected,
        ),
        (
            "a login is wanted",
            |_| ResponseTemplate::new(401),
            ErrorKind::Rejected,
        ),
        ("gone", |_| ResponseTemplate::new(410), ErrorKind::Rejected),
    ];
    for (what, answer, kind) in answers {
        let fixture = Fixture::serving(good).await;
        fixture.load().await.unwrap();
        std::fs::remove_file(fixture.cache().join("refreshed")).unwrap();
        fixture.mirror.reset().await;
        Mock::given(path("/timestamp.json"))
            .respond_with(answer(&fixture))
            .mount(&fixture.mirror)
            .await;
        let error = tuf_error(fixture.load_elsewhere("other", TufNetwork::Online).await);
        assert!(
            matches!(error, TufError::WrongAnswer(_)),
            "{what}: {error:?}"
        );
        assert_eq!(error.kind(), kind, "{what}");
        // The cache itself is as good as before.
        fixture
            .load_elsewhere("offline", TufNetwork::Offline)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_valid_cache_serves_while_the_mirror_is_busy_or_not_there() {
    for status in [429, 500, 502, 503, 504] {
        let fixture = Fixture::serving(good).await;
        fixture.load().await.unwrap();
        std::fs::remove_file(fixture.cache().join("refreshed")).unwrap();
        fixture.mirror.reset().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(status))
            .mount(&fixture.mirror)
            .await;
        let loaded = fixture.load_elsewhere("other", TufNetwork::Online).await;
        assert!(loaded.is_ok(), "{status}: {loaded:?}");
    }
    let mut fixture = Fixture::serving(good).await;
    fixture.load().await.unwrap();
    std::fs::remove_file(fixture.cache().join("refreshed")).unwrap();
    let nobody = ClosedPort::hold().unwrap();
    fixture.url = format!("http://{}", nobody.address()).parse().unwrap();
    fixture
        .load_elsewhere("other", TufNetwork::Online)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_update_asks_however_fresh_the_cache_is_and_takes_no_cache_for_an_answer() {
    let fixture = Fixture::serving(good).await;
    let source = fixture.source(fixture.cache(), TufNetwork::Online);
    let root = fixture.load().await.unwrap();
    let roles: Vec<_> = root
        .metadata()
        .iter()
        .map(|metadata| metadata.role)
        .collect();
    assert_eq!(roles, ["root", "timestamp", "snapshot", "targets"]);
    let before = fixture.requests().await.len();
    TrustedRoot::update(&source, &connection()).await.unwrap();
    assert!(fixture.requests().await.len() > before);
    fixture.take_down().await;
    fixture.load().await.unwrap();
    let error = tuf_error(TrustedRoot::update(&source, &connection()).await);
    assert!(matches!(error, TufError::Unreachable(_)), "{error:?}");
}
