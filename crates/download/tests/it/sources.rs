//! Which source serves an entry: the primary, a mirror or a fallback tag.

use crate::shop::{EARLIER, LATER, PATH, Shop, gallery, installed, is_refused, plan, served};
use crate::stage::{SIGNER, STRANGER, app};
use countersign_download::{
    Error, Grounds, InstallOptions, Installation, Integrity, Recorded, Role, StoreError,
};
use countersign_oci::Error as RegistryError;
use countersign_sandbox::{Effect, Fault};
use countersign_verify::RefusalKind;

#[tokio::test]
async fn an_entry_installs_from_its_primary_and_its_record_says_so() {
    let (shop, image) = Shop::open_with_app().await;
    let installed = shop.installed("cpu-app").await;
    assert_eq!(served(&installed), (Role::Primary, 0));
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    assert!(shop.mirror.requests().is_empty());
    let [installation @ Installation { name, .. }] = &shop.store.list().await.unwrap()[..] else {
        panic!("expected one installation");
    };
    assert_eq!(name.to_string(), "cpu-app");
    let Recorded {
        digest,
        grounds,
        provenance,
        ..
    } = installation.recorded().unwrap();
    let Grounds::Signature {
        evidence, policy, ..
    } = grounds
    else {
        panic!("another ground: {grounds:?}");
    };
    assert_eq!(*digest, image.digest());
    assert_eq!(evidence.signer.to_string(), SIGNER);
    assert_eq!(evidence.signed_at, [EARLIER.parse().unwrap()]);
    assert!(evidence.log_index.is_some());
    assert!(policy.signers[0].contains(SIGNER));
    let provenance = provenance.as_ref().unwrap();
    assert_eq!(
        (&*provenance.gallery, &*provenance.name),
        ("acme", "cpu-app")
    );
}

#[tokio::test]
async fn any_of_dozens_of_entries_installs_with_the_primary_down() {
    let shop = Shop::open().await;
    for number in 0..24 {
        let image = app("linux/amd64", &format!("v{number}"));
        let tag = format!("latest-cpu-{number}");
        shop.publish_to(&shop.mirror, &image, &tag, SIGNER, EARLIER);
    }
    Shop::fail(shop.primary(), 503);
    for number in [0, 7, 23] {
        let name = format!("cpu-{number}");
        let installed = shop.installed(&name).await;
        assert_eq!(served(&installed), (Role::Mirror, 1));
        assert_eq!(shop.version(&name).unwrap(), format!("v{number}"));
    }
    let names = shop.store.list().await.unwrap();
    let names: Vec<_> = names.iter().map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["cpu-0", "cpu-23", "cpu-7"]);
}

#[tokio::test]
async fn a_primary_that_does_not_have_it_leads_to_the_mirror() {
    let (shop, _) = Shop::open_with_app().await;
    shop.primary().untag(PATH, "latest-cpu-app");
    let installed = shop.installed("cpu-app").await;
    assert_eq!(served(&installed), (Role::Mirror, 1));
    let skipped = &installed.provenance.unwrap().skipped[0];
    assert!(skipped.starts_with("primary "), "{skipped}");
    assert!(skipped.contains("was not found"), "{skipped}");
}

#[tokio::test]
async fn a_primary_that_refuses_access_leads_to_the_mirror() {
    for status in [401, 403] {
        let (shop, _) = Shop::open_with_app().await;
        Shop::fail(shop.primary(), status);
        let installed = shop.installed("cpu-app").await;
        assert_eq!(served(&installed), (Role::Mirror, 1), "{status}");
        assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    }
}

#[tokio::test]
async fn a_mirror_is_asked_for_the_digest_that_the_primary_resolved() {
    let (shop, image) = Shop::open_with_app().await;
    // Signed by the right signer, and still not what the primary says the tag is.
    let other = app("linux/amd64", "other");
    shop.publish_to(&shop.mirror, &other, "latest-cpu-app", SIGNER, LATER);
    let blobs = format!("GET /v2/{PATH}/blobs/{}", image.manifest().layers[0].digest);
    shop.primary()
        .add_fault(Fault::on(&blobs, Effect::status(404)));
    let installed = shop.installed("cpu-app").await;
    assert_eq!(served(&installed), (Role::Mirror, 1));
    assert_eq!(installed.digest, image.digest());
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
}

#[tokio::test]
async fn a_mirror_that_serves_other_bytes_for_the_digest_is_refused() {
    let (shop, image) = Shop::open_with_app().await;
    let layer = &image.manifest().layers[0].digest;
    let blobs = format!("GET /v2/{PATH}/blobs/{layer}");
    shop.primary()
        .add_fault(Fault::on(&blobs, Effect::status(503)));
    let mut bytes = shop.mirror.blob(PATH, layer).unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    shop.mirror.replace_blob(PATH, layer, bytes);
    let failure = shop.failure("cpu-app").await;
    assert!(
        matches!(
            failure.decisive(),
            Some(Error::Registry(RegistryError::DigestMismatch { .. }))
        ),
        "{failure}"
    );
    assert_eq!(failure.failures().len(), 2);
}

#[tokio::test]
async fn a_mirror_with_somebody_elses_image_is_judged_by_the_same_policy() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "evil");
    shop.publish_to(&shop.mirror, &image, "latest-cpu-app", STRANGER, LATER);
    let failure = shop.failure("cpu-app").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Policy),
        "{failure}"
    );
}

#[tokio::test]
async fn not_found_everywhere_leads_to_the_fallback_tag_and_the_result_names_it() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "dev");
    shop.publish(&image, "master-cpu-app", SIGNER, EARLIER);
    let installed = shop.installed("cpu-app").await;
    assert_eq!(served(&installed), (Role::Fallback, 2));
    let source = installed.provenance.unwrap().source;
    assert!(source.ends_with(":master-cpu-app"), "{source}");
}

#[tokio::test]
async fn a_fallback_tag_is_verified_like_the_first() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "dev");
    shop.publish(&image, "master-cpu-app", STRANGER, EARLIER);
    let failure = shop.failure("cpu-app").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Policy),
        "{failure}"
    );
}

#[tokio::test]
async fn a_failed_verification_never_leads_to_another_tag_or_digest() {
    let (shop, _) = Shop::open_with_app().await;
    let evil = app("linux/amd64", "evil");
    shop.publish(&evil, "latest-cpu-app", STRANGER, LATER);
    let good = app("linux/amd64", "dev");
    shop.publish(&good, "master-cpu-app", SIGNER, LATER);
    let failure = shop.failure("cpu-app").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Policy),
        "{failure}"
    );
    // The mirror was asked for that digest, which it doesn't have, and for nothing else.
    let asked: Vec<String> = shop
        .mirror
        .requests()
        .iter()
        .map(|r| r.path.clone())
        .collect();
    assert_eq!(asked, [format!("/v2/{PATH}/manifests/{}", evil.digest())]);
    let roles: Vec<Role> = failure.failures().iter().map(|f| f.planned.role).collect();
    assert_eq!(roles, [Role::Primary, Role::Mirror]);
}

#[tokio::test]
async fn content_may_come_from_a_mirror_and_its_signature_from_where_the_policy_says() {
    let (shop, image) = Shop::open_with_app().await;
    let bare = "acme/copies";
    image.push(&shop.mirror, bare, Some("latest-cpu-app"));
    let issuer = shop.stage.sigstore.oidc_issuer();
    let issuer = issuer.as_str().trim_end_matches('/');
    let text = |more: &str| {
        format!(
            "[{{name: acme, url: 'file:index.yaml', verification: {{issuer: '{issuer}', identity: '{SIGNER}'{more}}}}}]"
        )
    };
    let index = format!(
        "[{{name: cpu-app, uri: '{}/{bare}:latest-cpu-app'}}]",
        shop.mirror.host()
    );
    let unsigned = plan(&gallery(&text("")), &index, "cpu-app", Integrity::Strict).unwrap();
    let error = shop.install_by(&unsigned, InstallOptions::default()).await;
    let Err(StoreError::Plan(failure)) = error else {
        panic!("expected a failure, found {error:?}");
    };
    assert!(
        is_refused(failure.decisive(), RefusalKind::Unsigned),
        "{failure}"
    );
    let sources = format!(", signature_sources: ['{}/{PATH}']", shop.primary().host());
    let signed = plan(
        &gallery(&text(&sources)),
        &index,
        "cpu-app",
        Integrity::Strict,
    )
    .unwrap();
    let installed = installed(shop.install_by(&signed, InstallOptions::default()).await);
    assert_eq!(installed.digest, image.digest());
    assert_eq!(
        installed.grounds.evidence().unwrap().signer.to_string(),
        SIGNER
    );
}
