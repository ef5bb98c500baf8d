//! The cache: it saves requests, and proves nothing that a registry could not prove.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_oci::{Digest, Reference, ResolvedImage};
use countersign_policy::{Policy, PolicySpec};
use countersign_sandbox::image::Image;
use countersign_sandbox::{
    BundleSpec, Sigstore, SimpleSigningPlace, Statement, push_simple_signing,
    simple_signing_payload,
};
use countersign_verify::{
    CacheLimits, Error, Evidence, RefusalKind, SignatureCache, TrustedRoot, VerifiedImage, Verifier,
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
    assert!(unknown.is_err());
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

/// What the evidence says without the manifest that holds the signature. Nothing signs that one.
fn signed(evidence: Evidence) -> Evidence {
    let mut evidence = evidence;
    evidence.signature_manifest = None;
    evidence
}

#[tokio::test]
async fn no_changed_byte_proves_anything_else() {
    let cached = Cached::warm().await;
    let expected = signed(cached.evidence().await);
    cached.unsign();
    let path = cached.file();
    let whole = fs::read(&path).unwrap();
    let (mut proven, mut refused) = (0, 0);
    for position in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[position] ^= 1;
        for damaged in [flipped.as_slice(), &whole[..position]] {
            fs::write(&path, damaged).unwrap();
            match cached.verify().await {
                // In the time, or in the manifest beside the layer.
                Ok(proof) => {
                    assert_eq!(signed(proof.evidence().clone()), expected, "{position}");
                    proven += 1;
                }
                result => {
                    assert_eq!(kind(&result), Some(RefusalKind::Unsigned), "{position}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 10 * proven, "{refused} refused, {proven} proven");
}

#[tokio::test]
async fn a_file_of_another_image_proves_nothing() {
    let cached = Cached::warm().await;
    let first = cached.file();
    let server = &cached.stage.scene.server;
    let other = Image::builder("linux/arm64".parse().unwrap()).build();
    other.push(server, PATH, Some("other"));
    let reference = server.reference(&format!("{PATH}:other")).unwrap();
    let image = cached.stage.scene.client.resolve(&reference).await.unwrap();
    let statement = Statement::of(image.digest().clone());
    let bundle = cached.stage.issue(&BundleSpec::new(statement, IDENTITY));
    let signature = Image::signature(image.descriptor(), bundle);
    cached.stage.scene.list(&signature);
    let policy = cached.stage.policy();
    assert!(cached.verifier().verify(&image, &policy).await.is_ok());
    assert!(server.remove_manifest(PATH, &signature.digest()));
    let second = files(&cached.path())
        .into_iter()
        .find(|path| *path != first);
    let second = second.unwrap();

    // The file as it is, and under the name that it would need.
    let name = second.file_name().unwrap().to_str().unwrap();
    for renamed in [false, true] {
        let mut text = fs::read(&first).unwrap();
        if renamed {
            let end = text.iter().position(|byte| *byte == b'\n').unwrap();
            let mut head: Value = serde_json::from_slice(&text[..end]).unwrap();
            head["name"] = format!("sha256:{name}").into();
            text = [&serde_json::to_vec(&head).unwrap(), &text[end..]].concat();
        }
        fs::write(&second, text).unwrap();
        let by_digest = Reference::from(image.reference().clone());
        let resolved = cached.verifier().resolve(&by_digest, &policy).await;
        assert_eq!(resolved.unwrap().bytes(), image.bytes());
        let refused = cached.verifier().verify(&image, &policy).await;
        assert_eq!(kind(&refused), Some(RefusalKind::Unsigned));
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_opened_and_is_replaced() {
    let cached = Cached::warm().await;
    let path = cached.file();
    let whole = fs::read(&path).unwrap();
    let elsewhere = cached.directory.path().join("elsewhere");
    let link = || std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let pipe = || {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let large = || {
        let file = fs::File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    for place in [&link as &dyn Fn(), &pipe, &large] {
        fs::write(&elsewhere, &whole).unwrap();
        fs::remove_file(&path).unwrap();
        place();
        assert!(cached.verify().await.is_ok());
        assert_eq!(cached.asked(), 3, "the registry was asked");
        assert_eq!(
            fs::read(&elsewhere).unwrap(),
            whole,
            "nothing was written there"
        );
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert!(cached.verify().await.is_ok());
        assert_eq!(cached.asked(), 0);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(cached.verify().await.is_ok(), "a directory is in the way");
}

#[tokio::test]
async fn a_directory_that_can_not_be_used_is_no_error() {
    let cached = Cached::new().await;
    fs::write(cached.path(), "a file is in the way").unwrap();
    for _ in 0..2 {
        assert!(cached.verify().await.is_ok());
        assert_eq!(cached.asked(), 3);
    }
}

#[tokio::test]
async fn the_oldest_files_make_room() {
    let cached = Cached::new().await;
    let mut limits = CacheLimits::default();
    limits.entries = 4;
    for number in 0..12 {
        // Another policy each time, so another file. A cache each, as of a process each.
        let policy = cached.policy_with(|spec| {
            spec.not_before = Some(format!("2020-01-01T00:00:{number:02}Z"));
        });
        let cache = SignatureCache::new(cached.path(), HOUR).with_limits(limits.clone());
        let proof = cached
            .verifier_with(cache)
            .verify(cached.image(), &policy)
            .await;
        assert!(proof.is_ok());
        assert!((1..=4).contains(&files(&cached.path()).len()));
        cached.asked();
        let cache = SignatureCache::new(cached.path(), HOUR).with_limits(limits.clone());
        let again = cached
            .verifier_with(cache)
            .verify(cached.image(), &policy)
            .await;
        assert!(again.is_ok());
        assert_eq!(cached.asked(), 0, "the newest is there");
    }
    limits.entry_bytes = 100;
    fs::remove_dir_all(cached.path()).unwrap();
    let cache = SignatureCache::new(cached.path(), HOUR).with_limits(limits);
    let verifier = cached.verifier_with(cache);
    assert!(
        verifier
            .verify(cached.image(), &cached.stage.policy())
            .await
            .is_ok()
    );
    assert_eq!(files(&cached.path()).len(), 0, "too large to keep");
}

#[tokio::test]
async fn many_at_once_share_a_directory() {
    let cached = Cached::new().await;
    let policy = cached.stage.policy();
    let all = (0..32).map(|_| async {
        let proof = cached.verifier().verify(cached.image(), &policy).await;
        proof.unwrap().evidence().clone()
    });
    let all = futures_util::future::join_all(all).await;
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    cached.asked();
    cached.file();
    assert!(cached.verify().await.is_ok());
    assert_eq!(cached.asked(), 0);
}
