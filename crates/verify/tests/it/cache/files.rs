//! Files of the cache that somebody changed, and a directory that many use.

use std::fs;

use countersign_oci::{CacheLimits, Reference};
use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, Statement};
use countersign_verify::{Evidence, RefusalKind, SignatureCache};
use serde_json::Value;

use super::{Cached, HOUR, files};
use crate::support::{IDENTITY, PATH, kind};

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
