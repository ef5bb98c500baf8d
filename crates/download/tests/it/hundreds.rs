//! A gallery of hundreds of signed images, laid out as LocalAI's is: development builds beside
//! releases, a mirror for each, entries that are chosen by hardware, attributes merged from anchors.

use std::fmt::Write as _;
use std::fs;

use crate::shop::{ALLOW_OLDER, EARLIER, LATER, PATH, Shop, installed, is_refused, served};
use crate::stage::{SIGNER, STRANGER, app, image, layer};
use countersign_download::{
    Capability, Error, FallbackTags, InstallOptions, Installed, Integrity, Origin, Outcome, Plan,
    PlanFailure, Planner, PrivateAddresses, Role, StoreError,
};
use countersign_oci::{Descriptor, Error as RegistryError, ErrorKind};
use countersign_policy::{Gallery, GalleryIndex};
use countersign_sandbox::image::{Compression, ImageIndex};
use countersign_sandbox::{Effect, Fault, RegistryServer, Statement};
use countersign_verify::RefusalKind;

const BACKENDS: usize = 52;
/// What each backend is built for: the entry's prefix, and the capability that leads to it.
const HARDWARE: [(&str, &str); 3] = [("cpu", "default"), ("cuda12", "nvidia"), ("rocm", "amd")];
/// Each is there as a release and as a development build.
const CHANNELS: [(&str, &str); 2] = [("latest", ""), ("master", "-development")];

/// The shop with everything in it, on the primary and on the mirror.
struct Hundreds {
    shop: Shop,
    gallery: Gallery,
    index: GalleryIndex,
    /// Names of the entries that have an image.
    names: Vec<String>,
}

impl Hundreds {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let (text, builds) = layout(&shop.primary().host(), &shop.mirror.host());
        for (number, (name, tag)) in builds.iter().enumerate() {
            publish(&shop, name, tag, number % 10 == 0);
        }
        Self {
            gallery: shop.gallery(),
            index: GalleryIndex::parse(&text, "index.yaml").unwrap(),
            names: builds.into_iter().map(|(name, _)| name).collect(),
            shop,
        }
    }

    fn plan(&self, name: &str, fallbacks: &FallbackTags, capability: &str) -> Plan {
        let planner = Planner {
            gallery: &self.gallery,
            index: &self.index,
            location: &"file:index.yaml".parse().unwrap(),
            origin: Origin::File,
            capability: &capability.parse::<Capability>().unwrap(),
            integrity: Integrity::Strict,
            fallbacks,
            private_addresses: PrivateAddresses::Refuse,
        };
        planner.plan(name).unwrap()
    }

    async fn install(&self, name: &str) -> Result<Outcome, StoreError> {
        let plan = self.plan(name, &FallbackTags::default(), "default");
        self.shop.install_by(&plan, InstallOptions::default()).await
    }

    async fn installed(&self, name: &str) -> Box<Installed> {
        let done = installed(self.install(name).await);
        assert_eq!(self.shop.version(name).unwrap(), name);
        done
    }

    async fn failure(&self, name: &str) -> PlanFailure {
        let plan = self.plan(name, &FallbackTags::default(), "default");
        self.shop.failure_of(&plan).await
    }

    /// Every `step`th name.
    fn some(&self, step: usize) -> impl Iterator<Item = &str> {
        self.names.iter().step_by(step).map(String::as_str)
    }
}

/// The index's text, and the name and the tag of each build.
fn layout(primary: &str, mirror: &str) -> (String, Vec<(String, String)>) {
    let mut text = String::new();
    let mut builds = Vec::new();
    for number in 0..BACKENDS {
        let _ = writeln!(
            text,
            "- &b{number}\n  name: b{number}\n  alias: b{number}\n  license: mit\n  tags: [text, CPU]\n  capabilities:"
        );
        for (prefix, capability) in HARDWARE {
            let _ = writeln!(text, "    {capability}: {prefix}-b{number}");
        }
    }
    for number in 0..BACKENDS {
        for (prefix, _) in HARDWARE {
            for (channel, suffix) in CHANNELS {
                let (name, tag) = (
                    format!("{prefix}-b{number}{suffix}"),
                    format!("{channel}-{prefix}-b{number}"),
                );
                let _ = writeln!(
                    text,
                    "- !!merge <<: *b{number}\n  name: {name}\n  capabilities: {{}}\n  uri: {primary}/{PATH}:{tag}\n  mirrors: [\"{mirror}/{PATH}:{tag}\"]"
                );
                builds.push((name, tag));
            }
        }
    }
    (text, builds)
}

/// An image whose content is its entry's name, signed, on both registries.
fn publish(shop: &Shop, name: &str, tag: &str, for_two_platforms: bool) {
    let registries = [shop.primary(), &shop.mirror];
    let one = app("linux/amd64", name);
    let subject = if for_two_platforms {
        let index = ImageIndex::new(vec![one, app("linux/arm64", name)]);
        for registry in registries {
            index.push(registry, PATH, Some(tag));
        }
        index.descriptor()
    } else {
        for registry in registries {
            one.push(registry, PATH, Some(tag));
        }
        one.descriptor()
    };
    sign(shop, &registries, subject, SIGNER, EARLIER);
}

fn sign(shop: &Shop, to: &[&RegistryServer], subject: Descriptor, identity: &str, time: &str) {
    let statement = Statement::of(subject.digest.clone());
    shop.sign(to, subject, statement, identity, time);
}

#[tokio::test]
async fn every_name_of_hundreds_installs_what_was_signed_for_it() {
    let hundreds = Hundreds::open().await;
    assert_eq!(hundreds.names.len(), 312);
    for name in &hundreds.names {
        let done = hundreds.installed(name).await;
        assert_eq!(served(&done), (Role::Primary, 0), "{name}");
        assert_eq!(done.grounds.evidence().unwrap().signer.to_string(), SIGNER);
    }
    // The mirror wasn't asked for anything.
    assert!(hundreds.shop.mirror.requests().is_empty());
    assert_eq!(hundreds.shop.store.list().await.unwrap().len(), 312);
}

#[tokio::test]
async fn a_name_that_stands_for_others_installs_the_build_for_the_hardware() {
    let hundreds = Hundreds::open().await;
    for (number, (prefix, capability)) in HARDWARE.into_iter().enumerate() {
        let name = format!("b{number}");
        let plan = hundreds.plan(&name, &FallbackTags::default(), capability);
        let result = hundreds
            .shop
            .install_by(&plan, InstallOptions::default())
            .await;
        let provenance = installed(result).provenance.unwrap();
        assert_eq!(provenance.entry, format!("{prefix}-{name}"));
        assert_eq!(hundreds.shop.version(&name).unwrap(), provenance.entry);
    }
}

#[tokio::test]
async fn with_the_primary_down_any_name_installs_from_the_mirror() {
    let hundreds = Hundreds::open().await;
    Shop::fail(hundreds.shop.primary(), 503);
    for name in hundreds.some(13) {
        let done = hundreds.installed(name).await;
        assert_eq!(served(&done), (Role::Mirror, 1), "{name}");
        let skipped = &done.provenance.unwrap().skipped[0];
        assert!(skipped.contains("503"), "{skipped}");
    }
}

#[tokio::test]
async fn a_mirror_that_serves_other_bytes_is_refused_each_way() {
    let hundreds = Hundreds::open().await;
    let (shop, mirror) = (&hundreds.shop, &hundreds.shop.mirror);
    Shop::fail(shop.primary(), 503);

    let unsigned = app("linux/amd64", "unsigned");
    unsigned.push(mirror, PATH, Some("latest-cpu-b1"));
    let failure = hundreds.failure("cpu-b1").await;
    let last = failure.failures().last().unwrap();
    assert!(
        is_refused(Some(&last.error), RefusalKind::Unsigned),
        "{failure}"
    );
    // The primary may answer later, and have the signature.
    assert_eq!(failure.kind(), ErrorKind::Unreachable, "{failure}");

    let strange = app("linux/amd64", "strange");
    strange.push(mirror, PATH, Some("latest-cpu-b2"));
    sign(shop, &[mirror], strange.descriptor(), STRANGER, LATER);
    let failure = hundreds.failure("cpu-b2").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Policy),
        "{failure}"
    );

    let swapped = app("linux/amd64", "cpu-b3");
    let layer = &swapped.manifest().layers[1].digest;
    let mut bytes = mirror.blob(PATH, layer).unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    mirror.replace_blob(PATH, layer, bytes);
    let failure = hundreds.failure("cpu-b3").await;
    assert!(
        matches!(
            failure.decisive(),
            Some(Error::Registry(RegistryError::DigestMismatch { .. }))
        ),
        "{failure}"
    );

    let broken = app("linux/amd64", "cpu-b4");
    let bytes = &broken.bytes()[..broken.bytes().len() - 1];
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    mirror.replace_manifest(PATH, &broken.digest(), media_type, bytes.to_vec());
    let failure = hundreds.failure("cpu-b4").await;
    assert!(
        matches!(
            failure.decisive(),
            Some(Error::Registry(RegistryError::Manifest { .. }))
        ),
        "{failure}"
    );
}

#[tokio::test]
async fn with_the_primary_up_a_mirror_can_not_choose_what_is_installed() {
    let hundreds = Hundreds::open().await;
    let (shop, mirror) = (&hundreds.shop, &hundreds.shop.mirror);
    let other = app("linux/amd64", "other");
    other.push(mirror, PATH, Some("latest-cuda12-b7"));
    sign(shop, &[mirror], other.descriptor(), SIGNER, LATER);
    // The primary resolves the tag, and can't deliver.
    let blobs = format!("GET /v2/{PATH}/blobs/*");
    shop.primary()
        .add_fault(Fault::on(&blobs, Effect::status(404)));
    let done = hundreds.installed("cuda12-b7").await;
    assert_eq!(served(&done), (Role::Mirror, 1));
}

#[tokio::test]
async fn a_tag_that_is_rolled_back_is_refused_unless_older_is_allowed() {
    let hundreds = Hundreds::open().await;
    let shop = &hundreds.shop;
    let newer = image("linux/amd64")
        .layer(layer(Compression::Gzip, "version", "newer"))
        .build();
    newer.push(shop.primary(), PATH, Some("latest-rocm-b9"));
    sign(shop, &[shop.primary()], newer.descriptor(), SIGNER, LATER);
    installed(hundreds.install("rocm-b9").await);
    assert_eq!(shop.version("rocm-b9").unwrap(), "newer");

    let old = app("linux/amd64", "rocm-b9");
    old.push(shop.primary(), PATH, Some("latest-rocm-b9"));
    let failure = hundreds.failure("rocm-b9").await;
    assert!(
        matches!(failure.decisive(), Some(Error::Older { .. })),
        "{failure}"
    );
    assert_eq!(failure.failures().len(), 1, "no mirror is asked: {failure}");
    let plan = hundreds.plan("rocm-b9", &FallbackTags::default(), "default");
    installed(shop.install_by(&plan, ALLOW_OLDER).await);
    assert_eq!(shop.version("rocm-b9").unwrap(), "rocm-b9");
}

#[tokio::test]
async fn a_tag_that_is_gone_leads_to_a_fallback_only_where_one_is_configured() {
    let hundreds = Hundreds::open().await;
    let shop = &hundreds.shop;
    for registry in [shop.primary(), &shop.mirror] {
        registry.untag(PATH, "latest-cpu-b11");
        registry.untag(PATH, "latest-cpu-b12");
    }
    let failure = hundreds.failure("cpu-b11").await;
    assert_eq!(failure.failures().len(), 2, "{failure}");
    for one in failure.failures() {
        assert!(
            matches!(one.error, Error::Registry(RegistryError::NotFound { .. })),
            "{failure}"
        );
    }

    let plan = hundreds.plan("cpu-b11", &FallbackTags::localai(), "default");
    let done = installed(shop.install_by(&plan, InstallOptions::default()).await);
    assert_eq!(shop.version("cpu-b11").unwrap(), "cpu-b11-development");
    assert_eq!(done.grounds.evidence().unwrap().signer.to_string(), SIGNER);
    let provenance = done.provenance.unwrap();
    assert_eq!(provenance.role, Role::Fallback);
    assert!(
        provenance.source.ends_with(":master-cpu-b11"),
        "{provenance:?}"
    );
    assert_eq!(provenance.skipped.len(), 2);

    // What the fallback tag has is held to the same policy.
    let unsigned = app("linux/amd64", "unsigned");
    unsigned.push(shop.primary(), PATH, Some("master-cpu-b12"));
    let plan = hundreds.plan("cpu-b12", &FallbackTags::localai(), "default");
    let failure = shop.failure_of(&plan).await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Unsigned),
        "{failure}"
    );
}

#[tokio::test]
async fn a_refusal_never_leads_to_a_fallback_tag() {
    let hundreds = Hundreds::open().await;
    let shop = &hundreds.shop;
    let unsigned = app("linux/amd64", "unsigned");
    unsigned.push(shop.primary(), PATH, Some("latest-cpu-b20"));
    let plan = hundreds.plan("cpu-b20", &FallbackTags::localai(), "default");
    let failure = shop.failure_of(&plan).await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Unsigned),
        "{failure}"
    );
    for registry in [shop.primary(), &shop.mirror] {
        let asked = registry.requests();
        assert!(
            asked
                .iter()
                .all(|request| !request.path.contains("master-")),
            "a fallback tag was asked for"
        );
    }
    assert!(!fs::exists(shop.directory("cpu-b20")).unwrap());
}
