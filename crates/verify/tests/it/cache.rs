//! The cache: it saves requests, and proves nothing that a registry could not prove.

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use countersign_oci::{Digest, Reference, ResolvedImage};
use countersign_policy::{Policy, PolicySpec};
use countersign_sandbox::{
    BundleSpec, Sigstore, SimpleSigningPlace, push_simple_signing, simple_signing_payload,
};
use countersign_verify::{
    Error, Evidence, RefusalKind, SignatureCache, TrustedRoot, VerifiedImage, Verifier,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::stage::Stage;
use crate::support::{IDENTITY, PATH, kind, policy_with};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const STRANGER: &str = "https://github.com/eve/app/.github/workflows/release.yml@refs/heads/main";

/// A signed image, and a directory for caches.
struct Cached {
    stage: Stage,
    directory: TempDir,
}

impl Cached {
    async fn new() -> Self {
        let stage = Stage::new().await;
        stage.scene.attach(stage.bundle_by(IDENTITY));
        Self {
            stage,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// An image that was verified once.
    async fn warm() -> Self {
        let cached = Self::new().await;
        let proof = cached.verify().await;
        assert_eq!(proof.unwrap().digest(), cached.image().digest());
        assert_eq!(cached.asked(), 3);
        cached
    }

    fn image(&self) -> &ResolvedImage {
        &self.stage.scene.image
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("signatures")
    }

    /// As a new process would have it: it knows nothing of the registry.
    fn verifier(&self) -> Verifier {
        self.verifier_with(SignatureCache::new(self.path(), HOUR))
    }

    fn verifier_with(&self, cache: SignatureCache) -> Verifier {
        let json = self.stage.sigstore.trusted_root_json();
        let root = TrustedRoot::from_json("sandbox", &json).unwrap();
        let client = self.stage.scene.client.anew().unwrap();
        Verifier::new(client, root).with_cache(cache)
    }

    async fn verify(&self) -> Result<VerifiedImage, Error> {
        let policy = self.stage.policy();
        self.verifier().verify(self.image(), &policy).await
    }

    async fn evidence(&self) -> Evidence {
        self.verify().await.unwrap().evidence().clone()
    }

    /// How many requests there were since the last time.
    fn asked(&self) -> usize {
        let requests = self.stage.scene.requests().len();
        self.stage.scene.server.reset_requests();
        requests
    }

    /// The only file in the cache.
    fn file(&self) -> PathBuf {
        let files = files(&self.path());
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    fn policy_with(&self, change: impl FnOnce(&mut PolicySpec)) -> Policy {
        policy_with(|spec| {
            spec.issuer = Some(self.stage.sigstore.issuer());
            spec.identity = Some(IDENTITY.into());
            change(spec);
        })
    }

    /// The registry loses the signatures.
    fn unsign(&self) {
        let server = &self.stage.scene.server;
        for descriptor in server.referrers(PATH, self.image().digest()) {
            assert!(server.remove_manifest(PATH, &descriptor.digest));
        }
    }

    fn change_head(&self, change: impl FnOnce(&mut Value)) {
        let path = self.file();
        let bytes = fs::read(&path).unwrap();
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let mut head: Value = serde_json::from_slice(&bytes[..end]).unwrap();
        change(&mut head);
        let mut changed = serde_json::to_vec(&head).unwrap();
        changed.extend_from_slice(&bytes[end..]);
        fs::write(path, changed).unwrap();
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn what_was_proven_once_is_proven_again_without_a_request() {
    let cached = Cached::new().await;
    let first = cached.evidence().await;
    assert_eq!(cached.asked(), 3);
    assert_eq!(cached.evidence().await, first);
    assert_eq!(cached.asked(), 0);
}

#[tokio::test]
async fn a_digest_is_resolved_without_a_request_and_a_tag_with_one() {
    let cached = Cached::warm().await;
    let policy = cached.stage.policy();
    let server = &cached.stage.scene.server;
    let by_tag = server.reference(&format!("{PATH}:v1")).unwrap();
    let by_digest = Reference::from(cached.image().reference().clone());
    for (reference, requests) in [(by_digest, 0), (by_tag, 1)] {
        let verifier = cached.verifier();
        let image = verifier.resolve(&reference, &policy).await.unwrap();
        assert_eq!(image.bytes(), cached.image().bytes());
        assert_eq!(image.requested(), &reference);
        let proof = verifier.verify(&image, &policy).await.unwrap();
        assert_eq!(proof.reference(), cached.image().reference());
        assert_eq!(cached.asked(), requests, "{reference}");
    }
    let unknown = cached.image().reference().sibling(Digest::sha256(b"x"));
    let unknown = cached.verifier().resolve(&unknown.into(), &policy).await;
    let absent = countersign_oci::Error::is_absence;
    assert!(unknown.as_ref().is_err_and(absent), "{unknown:?}");
    assert_eq!(cached.asked(), 1);
}

#[tokio::test]
async fn a_refusal_keeps_nothing() {
    let cached = Cached::new().await;
    let policy = cached.policy_with(|spec| spec.identity = Some(STRANGER.into()));
    for _ in 0..2 {
        let refused = cached.verifier().verify(cached.image(), &policy).await;
        assert_eq!(kind(&refused), Some(RefusalKind::Policy));
        assert_eq!(cached.asked(), 3);
    }
    assert_eq!(files(&cached.path()).len(), 0);
}

#[tokio::test]
async fn a_policy_that_changed_is_asked_about_anew() {
    let cached = Cached::warm().await;
    let policy = cached.policy_with(|spec| spec.identity = Some(STRANGER.into()));
    let refused = cached.verifier().verify(cached.image(), &policy).await;
    assert_eq!(kind(&refused), Some(RefusalKind::Policy));
    let digest = cached.image().digest().to_string();
    let policy = cached.policy_with(|spec| spec.deny_digests = vec![digest]);
    let denied = cached.verifier().verify(cached.image(), &policy).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
}

#[tokio::test]
async fn an_index_that_is_denied_is_asked_for_and_denies_what_was_kept() {
    let cached = Cached::new().await;
    let child = cached.image().descriptor();
    let media_type = countersign_oci::media_type::OCI_INDEX;
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [child] });
    let index = serde_json::to_vec(&index).unwrap();
    let digest = Digest::sha256(&index);
    let policy = cached.policy_with(|spec| spec.deny_digests = vec![digest.to_string()]);
    let proof = cached.verifier().verify(cached.image(), &policy).await;
    assert!(
        proof.is_ok(),
        "the repository does not have the denied index"
    );
    cached.asked();
    let proof = cached.verifier().verify(cached.image(), &policy).await;
    assert!(proof.is_ok());
    assert_eq!(cached.asked(), 1, "only the denied index is asked for");

    let server = &cached.stage.scene.server;
    server.put_manifest(PATH, media_type, index, None);
    match cached.verifier().verify(cached.image(), &policy).await {
        Err(Error::Denied(denied)) => assert_eq!(denied.listed_by, Some(digest)),
        other => panic!("expected a denial, found {other:?}"),
    }
}

#[tokio::test]
async fn a_trusted_root_that_changed_judges_what_was_kept() {
    let cached = Cached::warm().await;
    cached.unsign();
    let other = Sigstore::start().await.unwrap();
    let root = TrustedRoot::from_json("other", &other.trusted_root_json()).unwrap();
    let client = cached.stage.scene.client.anew().unwrap();
    let verifier = Verifier::new(client, root).with_cache(SignatureCache::new(cached.path(), HOUR));
    let refused = verifier
        .verify(cached.image(), &cached.stage.policy())
        .await;
    assert_eq!(kind(&refused), Some(RefusalKind::Unsigned));
    assert!(cached.verify().await.is_ok(), "by the root of before");
}

#[tokio::test]
async fn a_signature_counts_until_its_age_and_no_longer() {
    let cached = Cached::warm().await;
    cached.unsign();
    assert!(cached.verify().await.is_ok());
    assert_eq!(cached.asked(), 0);
    let at_once = SignatureCache::new(cached.path(), SignedDuration::ZERO);
    let policy = cached.stage.policy();
    let refused = cached
        .verifier_with(at_once)
        .verify(cached.image(), &policy)
        .await;
    assert_eq!(kind(&refused), Some(RefusalKind::Unsigned));
    for kept_at in ["2020-01-01T00:00:00Z", "2300-01-01T00:00:00Z"] {
        cached.change_head(|head| head["kept_at"] = kept_at.into());
        assert_eq!(
            kind(&cached.verify().await),
            Some(RefusalKind::Unsigned),
            "{kept_at}"
        );
    }
}

/// The age is written in the file. The file system's own times, which anybody may set, say nothing.
#[tokio::test]
async fn touching_a_file_makes_no_signature_younger() {
    let cached = Cached::warm().await;
    cached.unsign();
    let hours_ago = jiff::Timestamp::now() - SignedDuration::from_hours(48);
    cached.change_head(|head| head["kept_at"] = hours_ago.to_string().into());
    let file = fs::File::options().write(true).open(cached.file()).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(kind(&cached.verify().await), Some(RefusalKind::Unsigned));

    // A hit doesn't begin a new age either.
    let minutes_ago = jiff::Timestamp::now() - SignedDuration::from_mins(1);
    cached.change_head(|head| head["kept_at"] = minutes_ago.to_string().into());
    let before = fs::read(cached.file()).unwrap();
    assert!(cached.verify().await.is_ok());
    assert_eq!(fs::read(cached.file()).unwrap(), before);
}

#[tokio::test]
async fn a_name_that_the_policy_binds_has_a_signature_of_its_own() {
    let cached = Cached::new().await;
    let repository = cached.image().reference().location().to_string();
    let named = |tag: &str| {
        let statement = cached.stage.statement().name(format!("{repository}:{tag}"));
        cached.stage.issue(&BundleSpec::new(statement, IDENTITY))
    };
    cached.stage.scene.attach(named("v1"));
    let policy = cached.policy_with(|spec| spec.bind_name = true);
    let server = &cached.stage.scene.server;
    let requested = |tag: &str| {
        let reference = server.reference(&format!("{PATH}:{tag}")).unwrap();
        cached.image().clone().requested_as(reference)
    };
    for _ in 0..2 {
        let proof = cached.verifier().verify(&requested("v1"), &policy).await;
        assert!(proof.is_ok());
        let other = cached.verifier().verify(&requested("v2"), &policy).await;
        assert_eq!(kind(&other), Some(RefusalKind::Policy));
    }
    cached.asked();
    assert!(
        cached
            .verifier()
            .verify(&requested("v1"), &policy)
            .await
            .is_ok()
    );
    assert_eq!(cached.asked(), 0);
}

#[tokio::test]
async fn the_same_image_in_another_repository_is_asked_for_there() {
    let cached = Cached::warm().await;
    let server = &cached.stage.scene.server;
    let (media_type, bytes) = server.manifest(PATH, "v1").unwrap();
    server.put_manifest("acme/copy", &media_type, bytes, Some("v1"));
    let reference = server.reference("acme/copy:v1").unwrap();
    let copy = cached.stage.scene.client.resolve(&reference).await.unwrap();
    assert_eq!(copy.digest(), cached.image().digest());
    let refused = cached
        .verifier()
        .verify(&copy, &cached.stage.policy())
        .await;
    assert_eq!(kind(&refused), Some(RefusalKind::Unsigned));
}

#[tokio::test]
async fn legacy_signatures_are_kept_too() {
    for place in [SimpleSigningPlace::Tag, SimpleSigningPlace::Referrer] {
        let stage = Stage::new().await;
        let directory = tempfile::tempdir().unwrap();
        let cached = Cached { stage, directory };
        let image = cached.image();
        let repository = image.reference().location().to_string();
        let sign = |identity: &str| {
            let payload = simple_signing_payload(image.digest(), &repository, &Value::Null);
            let spec = BundleSpec::new(payload, identity);
            cached.stage.sigstore.issue_simple_signing(&spec).unwrap()
        };
        // The payloads are the same, so only the layer's place tells the signatures apart.
        let signatures = [sign(STRANGER), sign(IDENTITY)];
        let server = &cached.stage.scene.server;
        push_simple_signing(server, PATH, &image.descriptor(), place, &signatures);
        let policy =
            cached.policy_with(|spec| spec.signature_formats = vec!["simple_signing".into()]);
        let verify = || async {
            let proof = cached.verifier().verify(cached.image(), &policy).await;
            proof.unwrap().evidence().clone()
        };
        let first = verify().await;
        assert!(cached.asked() > 0);
        assert_eq!(verify().await, first);
        assert_eq!(cached.asked(), 0);
    }
}
