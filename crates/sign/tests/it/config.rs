//! Which services sign: from a signing config, and none that would see a token in plain text.

use countersign_sandbox::Sigstore;
use countersign_sign::{Error, RekorVersion, Service, Services, Signer};

use crate::common::{Stage, client, connection};

#[tokio::test]
async fn services_that_would_see_the_token_in_plain_text_make_no_signer() {
    let stage = Stage::new().await;
    let services = Services {
        fulcio: "http://fulcio.example".parse().unwrap(),
        ..stage.services(RekorVersion::V1)
    };
    let signer = Signer::new(client(), &services, stage.trusted_root());
    assert!(matches!(signer.err(), Some(Error::Services { .. })));
}

#[tokio::test]
async fn the_signing_config_comes_from_a_file_or_through_tuf() {
    let stage = Stage::new().await;
    let with_tsa = |version| Services {
        tsa: Some(stage.sigstore.tsa_url()),
        ..stage.services(version)
    };
    for (version, sandbox) in [
        (RekorVersion::V1, countersign_sandbox::RekorVersion::V1),
        (RekorVersion::V2, countersign_sandbox::RekorVersion::V2),
    ] {
        let json = stage.sigstore.signing_config_json(sandbox);
        let services = Services::from_signing_config(&json, None).unwrap();
        assert_eq!(services, with_tsa(version));
    }
    let cache = tempfile::tempdir().unwrap();
    let root = stage.sigstore.tuf_root();
    let path = cache.path().join("tuf");
    let services = Services::tuf(
        &connection(),
        &stage.sigstore.tuf_url(),
        &root,
        path.clone(),
        None,
    )
    .await
    .unwrap();
    assert_eq!(services, with_tsa(RekorVersion::V1));
    assert!(path.read_dir().unwrap().next().is_some());

    let wanted = Some(RekorVersion::V2);
    let config = stage
        .sigstore
        .signing_config_json(countersign_sandbox::RekorVersion::V1);
    let error = Services::from_signing_config(&config, wanted).unwrap_err();
    assert!(matches!(error, Error::Services { .. }), "{error:?}");
}

#[tokio::test]
async fn a_tuf_repository_that_the_user_names_may_resolve_to_this_machine() {
    let stage = Stage::new().await;
    let mut url = stage.sigstore.tuf_url();
    url.set_host(Some("localhost")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let root = stage.sigstore.tuf_root();
    // Nothing was asked of this host before, as where the trusted root is cached.
    let services = Services::tuf(&connection(), &url, &root, cache.path().into(), None)
        .await
        .unwrap();
    assert_eq!(services.rekor, stage.services(RekorVersion::V1).rekor);
}

#[tokio::test]
async fn a_tuf_repository_of_another_root_is_refused() {
    let stage = Stage::new().await;
    let other = Sigstore::start().await.unwrap();
    let cache = tempfile::tempdir().unwrap();
    let (url, root) = (stage.sigstore.tuf_url(), other.tuf_root());
    let error = Services::tuf(&connection(), &url, &root, cache.path().into(), None)
        .await
        .unwrap_err();
    let tuf = Service::Tuf;
    assert!(
        matches!(error, Error::Service { service, status: None, .. } if service == tuf),
        "{error:?}"
    );
}
