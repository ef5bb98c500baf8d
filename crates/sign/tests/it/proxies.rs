//! All that signing asks is asked by the proxy.

use countersign_oci::Options;
use countersign_oci::http::{Connection, proxy_url};
use countersign_oci::{Registry, Retries as RegistryRetries};
use countersign_sandbox::RecordingProxy;
use countersign_sign::{Error, IdentityEndpoint, RekorVersion, Service, Services, Signer, Tags};
use url::Url;

use super::common::{Stage, retries};

fn registry(proxy: &RecordingProxy) -> Registry {
    Registry::new(Options {
        proxy: proxy_url(&proxy.authority()),
        retries: RegistryRetries {
            times: 0,
            ..RegistryRetries::default()
        },
        ..Options::default()
    })
    .unwrap()
}

fn connection(proxy: &RecordingProxy) -> Connection {
    registry(proxy).connection().clone()
}

fn assert_asked_by(proxy: &RecordingProxy, error: &Error, service: Service, host: &str) {
    assert!(
        matches!(error, Error::Service { service: found, status: None, .. } if *found == service),
        "{error:?}"
    );
    let targets = proxy.targets();
    assert!(!targets.is_empty(), "{host}");
    for target in targets {
        assert_eq!(target, format!("{host}:443"));
    }
}

#[tokio::test]
async fn certificates_logs_and_times_are_asked_for_by_the_proxy() {
    let url = |host: &str| Url::parse(&format!("https://{host}/")).unwrap();
    let stage = Stage::new().await;
    stage.one_image();
    let known = stage.services(RekorVersion::V2);
    for (services, service, host) in [
        (
            Services {
                fulcio: url("fulcio.invalid"),
                ..known.clone()
            },
            Service::Fulcio,
            "fulcio.invalid",
        ),
        (
            Services {
                rekor: url("rekor.invalid"),
                ..known.clone()
            },
            Service::Rekor,
            "rekor.invalid",
        ),
        (
            Services {
                tsa: Some(url("tsa.invalid")),
                ..known.clone()
            },
            Service::TimestampAuthority,
            "tsa.invalid",
        ),
    ] {
        let proxy = RecordingProxy::start().await.unwrap();
        let signer = Signer::new(registry(&proxy), &services, stage.trusted_root())
            .unwrap()
            .with_tags(Tags::Followed)
            .with_retries(retries());
        let error = stage.sign_with(&signer).await.unwrap_err();
        assert_asked_by(&proxy, &error, service, host);
    }
}

#[tokio::test]
async fn identity_tokens_are_asked_for_by_the_proxy() {
    let proxy = RecordingProxy::start().await.unwrap();
    let url = Url::parse("https://identity.invalid/token?job=1").unwrap();
    let endpoint = IdentityEndpoint::new(&connection(&proxy), url, "bearer");
    let answer_time = std::time::Duration::from_secs(5);
    let endpoint = endpoint.with_retries(answer_time, retries());
    let error = endpoint.token().await.unwrap_err();
    assert_asked_by(
        &proxy,
        &error,
        Service::IdentityEndpoint,
        "identity.invalid",
    );
}

#[tokio::test]
async fn signing_configs_are_asked_for_by_the_proxy() {
    let stage = Stage::new().await;
    let proxy = RecordingProxy::start().await.unwrap();
    let cache = tempfile::tempdir().unwrap();
    let url = Url::parse("https://tuf.invalid/").unwrap();
    let root = stage.sigstore.tuf_root();
    let error = Services::tuf(&connection(&proxy), &url, &root, cache.path().into(), None)
        .await
        .unwrap_err();
    assert_asked_by(&proxy, &error, Service::Tuf, "tuf.invalid");
}
