//! Plans carried out into a store: sources that fail, mirrors that lie, tags that were rolled back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too"
)]

#[allow(dead_code, reason = "shared with the tests of single installations")]
mod stage;

use std::fs;
use std::path::PathBuf;

use countersign_download::{
    Capability, Error, FallbackTags, Fulfilled, Installation, Installed, Integrity, Name, Plan,
    PlanFailure, Planner, Recorded, Role, Store, StoreError, Succession,
};
use countersign_oci::{Digest, Error as RegistryError};
use countersign_policy::{Gallery, GalleryIndex, PolicyFile};
use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, Effect, Fault, RegistryOptions, RegistryServer, Statement};
use countersign_verify::{Error as VerifyError, RefusalKind};
use stage::{SIGNER, STRANGER, Stage, amd64, app};

/// The repository of all images, on the primary and on the mirror.
const PATH: &str = "acme/backends";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// A signature's age, for what has to have an order.
const EARLIER: &str = "2024-01-01T00:00:00Z";
const LATER: &str = "2025-01-01T00:00:00Z";

/// A primary registry and a mirror, a gallery of images in them, and a store.
struct Shop {
    stage: Stage,
    mirror: RegistryServer,
    store: Store,
    root: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        let root = tempfile::tempdir().unwrap();
        let options = RegistryOptions {
            referrers_api: true,
            ..Default::default()
        };
        Self {
            stage: Stage::set().await,
            mirror: RegistryServer::start(options).await.unwrap(),
            store: Store::new(root.path().join("store")),
            root,
        }
    }

    /// With `latest-cpu-app` at version `v1`, on both registries.
    async fn open_with_app() -> (Self, Image) {
        let shop = Self::open().await;
        let image = app("linux/amd64", "v1");
        shop.publish(&image, "latest-cpu-app", SIGNER, EARLIER);
        shop.publish_to(&shop.mirror, &image, "latest-cpu-app", SIGNER, EARLIER);
        (shop, image)
    }

    fn primary(&self) -> &RegistryServer {
        &self.stage.registry
    }

    fn publish(&self, image: &Image, tag: &str, identity: &str, time: &str) -> Digest {
        self.publish_to(self.primary(), image, tag, identity, time)
    }

    fn publish_to(
        &self,
        registry: &RegistryServer,
        image: &Image,
        tag: &str,
        identity: &str,
        time: &str,
    ) -> Digest {
        let digest = image.push(registry, PATH, Some(tag));
        let statement = Statement::of(digest.clone());
        let spec = BundleSpec::new(statement, identity).signed_at(time.parse().unwrap());
        let bundle = self.stage.sigstore.issue(&spec).unwrap();
        let signature = Image::artifact(BUNDLE)
            .subject(image.descriptor())
            .layer(BUNDLE, bundle)
            .build();
        signature.push(registry, PATH, None);
        digest
    }

    fn gallery(&self) -> Gallery {
        let issuer = self.stage.sigstore.oidc_issuer();
        let issuer = issuer.as_str().trim_end_matches('/');
        let text = format!(
            "[{{name: acme, url: 'file:index.yaml', verification: {{issuer: '{issuer}', identity: '{SIGNER}'}}}}]"
        );
        gallery(&text)
    }

    /// Entries `cpu-NAME` whose primary and mirror have the tag `latest-cpu-NAME`.
    fn plan(&self, name: &str) -> Plan {
        let (primary, mirror) = (self.primary().host(), self.mirror.host());
        let tag = format!("{PATH}:latest-{name}");
        let text = format!(
            "[{{name: {name}, uri: 'oci://{primary}/{tag}', mirrors: ['{mirror}/{tag}']}}]"
        );
        plan(&self.gallery(), &text, name, Integrity::Strict).unwrap()
    }

    async fn install(&self, name: &str) -> Result<Fulfilled, StoreError> {
        self.install_by(&self.plan(name), Succession::NotOlder)
            .await
    }

    async fn install_by(
        &self,
        plan: &Plan,
        succession: Succession,
    ) -> Result<Fulfilled, StoreError> {
        let installer = self.stage.installer();
        self.store
            .install(&installer, plan, &amd64(), succession, &|_| {})
            .await
    }

    async fn installed(&self, name: &str) -> Box<Installed> {
        installed(self.install(name).await)
    }

    /// The failure of an installation that must change nothing.
    async fn failure(&self, name: &str) -> PlanFailure {
        let before = self.version(name);
        let error = self.install(name).await.unwrap_err();
        assert_eq!(self.version(name), before);
        assert_eq!(self.leftovers(), [""; 0]);
        match error {
            StoreError::Plan(failure) => failure,
            other => panic!("another error: {other:?}"),
        }
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.store.directory(&name.parse().unwrap())
    }

    fn version(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.directory(name).join("version")).ok()
    }

    /// What there is in the store besides installations.
    fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path().join("store")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }

    /// Makes a registry answer every request so.
    fn fail(registry: &RegistryServer, status: u16) {
        for method in ["GET", "HEAD"] {
            let pattern = format!("{method} /v2/{PATH}/*");
            registry.add_fault(Fault::on(&pattern, Effect::status(status)));
        }
    }
}

fn gallery(text: &str) -> Gallery {
    PolicyFile::parse(text, "galleries.yaml")
        .unwrap()
        .galleries()[0]
        .clone()
}

fn plan(
    gallery: &Gallery,
    index: &str,
    name: &str,
    integrity: Integrity,
) -> Result<Plan, countersign_download::PlanError> {
    let planner = Planner {
        gallery,
        index: &GalleryIndex::parse(index, "index.yaml").unwrap(),
        capability: &Capability::default(),
        integrity,
        fallbacks: &FallbackTags::localai(),
    };
    planner.plan(name)
}

fn installed(result: Result<Fulfilled, StoreError>) -> Box<Installed> {
    match result.unwrap() {
        Fulfilled::Installed { installed, .. } => installed,
        other => panic!("expected an installation, found {other:?}"),
    }
}

fn served(installed: &Installed) -> (Role, usize) {
    let provenance = installed.provenance.as_ref().unwrap();
    (provenance.role, provenance.unserved.len())
}

fn is_refused(error: Option<&Error>, kind: RefusalKind) -> bool {
    matches!(error, Some(Error::Verify(VerifyError::Refused(refusal))) if refusal.kind() == kind)
}

#[tokio::test]
async fn an_entry_installs_from_its_primary_and_its_record_says_so() {
    let (shop, image) = Shop::open_with_app().await;
    let installed = shop.installed("cpu-app").await;
    assert_eq!(served(&installed), (Role::Primary, 0));
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    assert!(shop.mirror.requests().is_empty());
    let [Installation { name, recorded, .. }] = &shop.store.list().await.unwrap()[..] else {
        panic!("expected one installation");
    };
    assert_eq!(name.to_string(), "cpu-app");
    let Recorded {
        digest,
        evidence,
        policy,
        provenance,
        ..
    } = recorded;
    assert_eq!(*digest, image.digest());
    assert_eq!(evidence.identity, SIGNER);
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
    let unserved = &installed.provenance.unwrap().unserved[0];
    assert!(unserved.starts_with("primary "), "{unserved}");
    assert!(unserved.contains("was not found"), "{unserved}");
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
async fn an_upgrade_replaces_the_old_version_and_says_which_it_was() {
    let (shop, old) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    let Fulfilled::Installed {
        installed,
        replaced,
    } = shop.install("cpu-app").await.unwrap()
    else {
        panic!("expected an installation");
    };
    assert_eq!(installed.digest, new.digest());
    assert_eq!(replaced, Some(old.digest()));
    assert_eq!(shop.version("cpu-app").unwrap(), "v2");
    assert_eq!(shop.leftovers(), [""; 0]);
}

#[tokio::test]
async fn what_is_installed_already_is_verified_and_not_fetched() {
    let (shop, image) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    shop.primary().reset_requests();
    let again = shop.install("cpu-app").await.unwrap();
    assert!(
        matches!(&again, Fulfilled::Unchanged { recorded } if recorded.digest == image.digest())
    );
    let layer = image.manifest().layers[0].digest.to_string();
    let requests = shop.primary().requests();
    assert!(
        requests
            .iter()
            .all(|request| !request.path.contains(&layer))
    );
}

#[tokio::test]
async fn a_tag_rolled_back_is_refused_unless_older_is_allowed() {
    let (shop, old) = Shop::open_with_app().await;
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    shop.installed("cpu-app").await;
    shop.primary().tag(PATH, "latest-cpu-app", &old.digest());
    let failure = shop.failure("cpu-app").await;
    let Some(Error::Older {
        installed: there,
        found,
        ..
    }) = failure.decisive()
    else {
        panic!("another error: {failure}");
    };
    assert_eq!(*there, LATER.parse().unwrap());
    assert_eq!(*found, EARLIER.parse().unwrap());
    assert_eq!(failure.failures().len(), 1);
    let plan = shop.plan("cpu-app");
    installed(shop.install_by(&plan, Succession::AllowOlder).await);
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
}

#[tokio::test]
async fn an_upgrade_asks_for_the_same_proof_as_the_installation() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let unsigned = app("linux/amd64", "v2");
    unsigned.push(shop.primary(), PATH, Some("latest-cpu-app"));
    let failure = shop.failure("cpu-app").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Unsigned),
        "{failure}"
    );
    shop.publish(&unsigned, "latest-cpu-app", STRANGER, LATER);
    let failure = shop.failure("cpu-app").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Policy),
        "{failure}"
    );
}

#[tokio::test]
async fn an_upgrade_whose_content_fails_leaves_the_old_version_whole() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    let layer = &new.manifest().layers[1].digest;
    shop.primary().replace_blob(PATH, layer, "not the layer");
    let failure = shop.failure("cpu-app").await;
    assert!(
        matches!(
            failure.decisive(),
            Some(Error::Registry(RegistryError::SizeMismatch { .. }))
        ),
        "{failure}"
    );
}

#[tokio::test]
async fn what_nothing_verifies_is_refused_when_it_is_carried_out() {
    let shop = Shop::open().await;
    let uncovered = gallery("[{name: plain, url: 'file:index.yaml'}]");
    let image = format!("{}/{PATH}:latest-cpu-app", shop.primary().host());
    for uri in [
        &*image,
        "ocifile:///srv/app.tar",
        "/srv/app",
        "https://example.org/app.tar",
    ] {
        let index = format!("[{{name: cpu-app, uri: '{uri}'}}]");
        assert!(plan(&uncovered, &index, "cpu-app", Integrity::Strict).is_err());
        let plan = plan(&uncovered, &index, "cpu-app", Integrity::Permissive).unwrap();
        let error = shop
            .install_by(&plan, Succession::NotOlder)
            .await
            .unwrap_err();
        let StoreError::Plan(failure) = error else {
            panic!("another error: {error:?}");
        };
        assert!(
            matches!(failure.decisive(), Some(Error::Unverifiable { .. })),
            "{failure}"
        );
    }
    assert!(shop.primary().requests().is_empty());
}

#[tokio::test]
async fn what_a_killed_upgrade_left_is_not_listed_and_the_next_one_clears_it_away() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    // As a process that was killed while unpacking leaves it: staged, and nothing committed.
    let staged = shop.root.path().join("store/.cpu-app.countersign-AbCd1234");
    fs::create_dir_all(staged.join("root")).unwrap();
    fs::write(staged.join("root/version"), "half").unwrap();
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    assert_eq!(shop.store.list().await.unwrap().len(), 1);
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    shop.installed("cpu-app").await;
    assert_eq!(shop.version("cpu-app").unwrap(), "v2");
    assert_eq!(shop.leftovers(), [""; 0]);
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
    let error = shop.install_by(&unsigned, Succession::NotOlder).await;
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
    let installed = installed(shop.install_by(&signed, Succession::NotOlder).await);
    assert_eq!(installed.digest, image.digest());
    assert_eq!(installed.evidence.identity, SIGNER);
}

#[tokio::test]
async fn an_installation_whose_record_tells_no_time_is_not_replaced_unasked() {
    let (shop, image) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let record = shop.directory("cpu-app").join(".countersign/record.json");
    fs::write(
        record,
        format!(r#"{{"version":1,"digest":"{}"}}"#, image.digest()),
    )
    .unwrap();
    let failure = shop.failure("cpu-app").await;
    assert!(
        matches!(failure.decisive(), Some(Error::Target { .. })),
        "{failure}"
    );
    let plan = shop.plan("cpu-app");
    installed(shop.install_by(&plan, Succession::AllowOlder).await);
}

#[tokio::test]
async fn only_what_carries_our_record_is_listed_and_removed() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let foreign = shop.directory("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("file"), "mine").unwrap();
    let name = |text: &str| text.parse::<Name>().unwrap();
    assert_eq!(shop.store.list().await.unwrap().len(), 1);
    for absent in ["foreign", "never-there"] {
        let error = shop.store.remove(&name(absent)).await.unwrap_err();
        assert!(
            matches!(error, StoreError::NotInstalled { .. }),
            "{error:?}"
        );
    }
    assert!(foreign.join("file").exists());
    let removed = shop.store.remove(&name("cpu-app")).await.unwrap();
    assert!(!removed.directory.exists());
    assert!(shop.store.list().await.unwrap().is_empty());
    assert_eq!(shop.leftovers(), [""; 0]);
}
