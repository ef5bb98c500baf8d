use super::*;
use crate::options::Downgrade;

const ONE: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const TWO: &str = "sha256:54136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
/// Longer than a line, and with what YAML could take for something else.
const IDENTITY: &str =
    "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1: # 'and' \"so on\"";

fn entry(name: &str, platform: &str, grounds: LockedGrounds) -> LockedEntry {
    LockedEntry {
        name: name.into(),
        platform: platform.parse().unwrap(),
        gallery: "acme".into(),
        entry: format!("cpu-{name}"),
        source: format!("registry.example.org/acme/app:latest-{name}"),
        index: Some(TWO.parse().unwrap()),
        digest: ONE.parse().unwrap(),
        grounds,
    }
}

fn signed(name: &str, platform: &str) -> LockedEntry {
    let signer = LockedSigner::Certificate {
        issuer: "https://ci.example.org".into(),
        identity: IDENTITY.into(),
    };
    let signed_at = Some("2024-01-01T00:00:00Z".parse().unwrap());
    entry(
        name,
        platform,
        LockedGrounds::Signature {
            signer,
            further: Vec::new(),
            any_tag: false,
            signed_at,
        },
    )
}

fn lock(entries: impl IntoIterator<Item = LockedEntry>) -> Lock {
    let mut lock = Lock::new();
    for entry in entries {
        lock.put(entry);
    }
    lock
}

/// A lock file of one entry, with `old` replaced by `new`.
fn with(old: &str, new: &str) -> Result<Lock, LockError> {
    let text = lock([signed("chat", "linux/amd64")]).to_yaml().unwrap();
    assert_eq!(text.matches(old).count(), 1, "{old} in {text}");
    Lock::parse(&text.replace(old, new))
}

fn place(error: &LockError) -> String {
    let text = error.to_string();
    text.split(": ").next().unwrap_or_default().to_owned()
}

#[test]
fn a_lock_is_written_by_name_and_platform_and_reads_well() {
    let mut tarball = entry("tools", "linux/amd64", LockedGrounds::Digest);
    tarball.index = None;
    let lock = lock([
        tarball,
        signed("chat", "linux/arm64"),
        entry("draw", "linux/amd64", LockedGrounds::Nothing),
        signed("chat", "linux/amd64"),
    ]);
    let text = lock.to_yaml().unwrap();
    insta::assert_snapshot!(text);
    let read = Lock::parse(&text).unwrap();
    assert_eq!(read, lock);
    assert_eq!(read.to_yaml().unwrap(), text);
}

#[test]
fn the_signer_of_each_proof_is_locked() {
    let mut entry = signed("chat", "linux/amd64");
    let LockedGrounds::Signature { further, .. } = &mut entry.grounds else {
        panic!("{entry:?}");
    };
    let second = LockedSigner::Certificate {
        issuer: "https://ci.example.org".into(),
        identity: "provenance".into(),
    };
    further.push(second.clone());
    let written = lock([entry]);
    let text = written.to_yaml().unwrap();
    let read = Lock::parse(&text).unwrap();
    assert_eq!(read, written);
    let signers = read.entries().flat_map(|entry| entry.grounds.signers());
    assert_eq!(signers.last(), Some(&second));
    let unsigned = text.replace("grounds: signature", "grounds: digest");
    assert!(matches!(
        Lock::parse(&unsigned),
        Err(LockError::OutOfPlace { .. })
    ));
}

#[test]
fn a_signer_is_a_key_or_an_issuer_and_an_identity() {
    let key = format!("SHA-256:{}", "0".repeat(64));
    let signer = LockedSigner::Key {
        key: key.parse().unwrap(),
    };
    let grounds = LockedGrounds::Signature {
        signer,
        further: Vec::new(),
        any_tag: true,
        signed_at: None,
    };
    let lock = lock([entry("chat", "linux/amd64", grounds)]);
    let text = lock.to_yaml().unwrap();
    assert!(text.contains(&key), "{text}");
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert!(matches!(
        Lock::parse(&text.replace("SHA-256:", "SHA-1:")),
        Err(LockError::Value { key: "key", .. })
    ));
    let line = text.lines().find(|line| line.contains("key: ")).unwrap();
    let both = text.replace(
        line,
        &format!("{line}\n{}", line.replace("key: ", "issuer: ")),
    );
    assert!(matches!(
        Lock::parse(&both),
        Err(LockError::Value {
            key: "key",
            fault: LockValueError::KeyAndIdentity,
            ..
        })
    ));
}

#[test]
fn a_lock_of_nothing_is_read_again_too() {
    let text = Lock::new().to_yaml().unwrap();
    assert_eq!(Lock::parse(&text).unwrap(), Lock::new());
}

#[test]
fn an_entry_takes_the_place_of_its_own_name_and_platform_alone() {
    let mut lock = lock([signed("chat", "linux/amd64"), signed("chat", "linux/arm64")]);
    let changed = entry("chat", "linux/arm64", LockedGrounds::Nothing);
    lock.put(changed.clone());
    let kept = signed("chat", "linux/amd64");
    assert_eq!(lock.entries().collect::<Vec<_>>(), [&kept, &changed]);
}

#[test]
fn a_name_that_is_not_locked_suggests_the_nearest() {
    let lock = lock([signed("chat", "linux/amd64")]);
    let amd64 = "linux/amd64".parse().unwrap();
    assert_eq!(
        lock.entry("caht", &amd64),
        Err(LockedError::Unknown {
            name: "caht".into(),
            nearest: Some("chat".into())
        })
    );
    let arm64: Platform = "linux/arm64".parse().unwrap();
    assert_eq!(
        lock.entry("chat", &arm64),
        Err(LockedError::Platform {
            name: "chat".into(),
            expected: vec![amd64],
            found: Box::new(arm64)
        })
    );
}

#[test]
fn another_version_is_not_read_even_with_keys_of_its_own() {
    let error = with("version: 1", "version: 2\ndependencies: []").unwrap_err();
    assert!(
        matches!(
            error,
            LockError::Version {
                expected: 1,
                found: 2,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(place(&error), "3:10");
}

#[test]
fn a_file_without_a_version_is_none_of_ours() {
    let error = with("version: 1", "verison: 1").unwrap_err();
    assert!(matches!(error, LockError::Syntax { .. }), "{error:?}");
    assert!(error.to_string().contains("version"), "{error}");
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_suggested() {
    let error = with("    issuer:", "    isuer:").unwrap_err();
    let LockError::UnknownKey {
        found,
        nearest,
        valid,
        ..
    } = &error
    else {
        panic!("another error: {error:?}");
    };
    assert_eq!(
        (found.as_str(), nearest.as_deref()),
        ("isuer", Some("issuer"))
    );
    assert_eq!(valid, &["issuer", "identity", "key"]);
}

#[test]
fn a_digest_that_is_cut_short_is_refused_with_its_place() {
    let error = with(ONE, &ONE[..70]).unwrap_err();
    assert!(
        matches!(
            error,
            LockError::Value {
                key: "digest",
                fault: LockValueError::Digest(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(place(&error), "11:11");
}

#[test]
fn names_platforms_times_and_empty_texts_are_checked() {
    for (old, new, key) in [
        ("name: chat", "name: ''", "name"),
        ("linux/amd64", "linux", "platform"),
        ("\"2024-01-01T00:00:00Z\"", "yesterday", "signed_at"),
        ("issuer: https://ci.example.org", "issuer: ''", "issuer"),
        ("gallery: acme", "gallery: ' '", "gallery"),
    ] {
        let error = with(old, new).unwrap_err();
        assert!(
            matches!(error, LockError::Value { key: found, .. } if found == key),
            "{key}: {error:?}"
        );
    }
}

#[test]
fn grounds_and_signer_have_to_agree() {
    let error = with("grounds: signature", "grounds: nothing").unwrap_err();
    assert!(
        matches!(
            error,
            LockError::OutOfPlace {
                key: "signer",
                grounds: "nothing",
                ..
            }
        ),
        "{error:?}"
    );
    let unsigned = lock([entry("chat", "linux/amd64", LockedGrounds::Digest)]);
    let text = unsigned.to_yaml().unwrap();
    let error = Lock::parse(&text.replace("grounds: digest", "grounds: signature")).unwrap_err();
    assert!(
        matches!(error, LockError::Missing { key: "signer", .. }),
        "{error:?}"
    );
    let error = with("grounds: signature", "grounds: trust-me").unwrap_err();
    assert!(matches!(error, LockError::Syntax { .. }), "{error:?}");
}

#[test]
fn an_entry_that_stands_there_twice_is_refused() {
    let text = lock([signed("chat", "linux/amd64"), signed("chat", "linux/arm64")]);
    let text = text.to_yaml().unwrap();
    let error = Lock::parse(&text.replace("linux/arm64", "linux/amd64")).unwrap_err();
    let LockError::Duplicate {
        position, first, ..
    } = &error
    else {
        panic!("another error: {error:?}");
    };
    assert!(first.line < position.line, "{error}");
}

#[test]
fn a_key_that_stands_there_twice_is_refused() {
    let error = with("  gallery: acme", "  gallery: acme\n  gallery: evil").unwrap_err();
    assert!(matches!(error, LockError::Syntax { .. }), "{error:?}");
}

#[test]
fn a_merge_conflict_is_refused_where_it_stands() {
    let conflict = "<<<<<<< HEAD\n  gallery: acme\n=======\n  gallery: evil\n>>>>>>> theirs";
    let error = with("  gallery: acme", conflict).unwrap_err();
    assert!(
        matches!(
            error,
            LockError::Syntax {
                position: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn anchors_and_aliases_are_not_read() {
    let error = with("gallery: acme", "gallery: &a acme").unwrap_err();
    assert!(matches!(error, LockError::Syntax { .. }), "{error:?}");
}

#[test]
fn reading_is_bounded() {
    let error = Lock::parse(&" ".repeat((8 << 20) + 1)).unwrap_err();
    assert!(matches!(error, LockError::TooLarge { .. }), "{error:?}");
    let deep = format!("version: 1\nentries: {}{}", "[".repeat(50), "]".repeat(50));
    let error = Lock::parse(&deep).unwrap_err();
    assert!(matches!(error, LockError::Syntax { .. }), "{error:?}");
}

#[test]
fn what_is_locked_for_a_gallery_of_thousands_is_read() {
    let names = (0..1_000).map(|n| format!("chat-{n}"));
    let platforms = ["linux/amd64", "linux/arm64", "darwin/arm64"];
    let entries = names.flat_map(|name| platforms.map(|platform| signed(&name, platform)));
    let lock = lock(entries);
    assert_eq!(Lock::parse(&lock.to_yaml().unwrap()).unwrap(), lock);
}

/// The table of `replace.rs`.
#[test]
fn what_may_take_the_place_of_what_is_locked() {
    const EARLIER: Option<&str> = Some("2023-01-01T00:00:00Z");
    const LATER: Option<&str> = Some("2025-01-01T00:00:00Z");
    let dated = |time: Option<&str>| {
        let mut entry = signed("chat", "linux/amd64");
        let LockedGrounds::Signature { signed_at, .. } = &mut entry.grounds else {
            panic!("{entry:?}");
        };
        *signed_at = time.map(|time| time.parse().unwrap());
        entry
    };
    let other = |mut entry: LockedEntry| {
        entry.digest = TWO.parse().unwrap();
        entry
    };
    let by = |grounds| entry("chat", "linux/amd64", grounds);
    let locked = signed("chat", "linux/amd64");
    let refused = |error: &LockedError| match error {
        LockedError::Older { .. } => "older",
        LockedError::Undated { .. } => "undated",
        _ => "weaker",
    };
    let rows = [
        (dated(LATER), "put", "put"),
        (other(dated(LATER)), "put", "put"),
        // With the time that is known.
        (dated(EARLIER), "stays", "put"),
        (other(dated(EARLIER)), "older", "put"),
        (dated(None), "stays", "put"),
        (other(dated(None)), "undated", "put"),
        (locked.clone(), "put", "put"),
        (by(LockedGrounds::Digest), "weaker", "weaker"),
        (by(LockedGrounds::Nothing), "weaker", "weaker"),
    ];
    for (found, refusing, allowing) in rows {
        for (downgrade, expected) in [(Downgrade::Refuse, refusing), (Downgrade::Allow, allowing)] {
            let mut lock = lock([locked.clone()]);
            let inserted = lock.insert(found.clone(), downgrade);
            let outcome = match &inserted {
                Ok(before) => {
                    assert_eq!(before.as_ref(), Some(&locked));
                    let is_there = lock.entries().eq([&found]);
                    if is_there { "put" } else { "stays" }
                }
                Err(error) => refused(error),
            };
            assert_eq!(outcome, expected, "{found:?} {downgrade:?}");
            if expected != "put" {
                assert!(lock.entries().eq([&locked]), "{found:?}");
            }
        }
    }
    // Of what nothing was known, nothing is given up.
    for before in [
        by(LockedGrounds::Nothing),
        by(LockedGrounds::Digest),
        dated(None),
    ] {
        let mut lock = lock([before.clone()]);
        assert_eq!(
            lock.insert(dated(EARLIER), Downgrade::Refuse),
            Ok(Some(before))
        );
        assert!(lock.entries().eq([&dated(EARLIER)]));
    }
    assert_eq!(Lock::new().insert(locked, Downgrade::Refuse), Ok(None));
}

/// Its time is that of its signer.
#[test]
fn what_is_locked_again_without_a_time_stays_as_it_was() {
    let locked = signed("chat", "linux/amd64");
    let mut lock = lock([locked.clone()]);
    let mut again = signed("chat", "linux/amd64");
    again.index = None;
    let LockedGrounds::Signature {
        signer, signed_at, ..
    } = &mut again.grounds
    else {
        panic!("{again:?}");
    };
    *signer = LockedSigner::Certificate {
        issuer: "https://ci.example.org".into(),
        identity: "another".into(),
    };
    *signed_at = None;
    lock.insert(again, Downgrade::Refuse).unwrap();
    assert!(lock.entries().eq([&locked]));
}

#[test]
fn what_another_gallery_has_is_not_what_is_locked() {
    let locked = entry("chat", "linux/amd64", LockedGrounds::Nothing);
    for (gallery, expected) in [("acme", true), ("other", false)] {
        let recorded: Recorded = serde_json::from_value(serde_json::json!({
            "installed_at": "2024-01-01T00:00:00Z",
            "platform": {"os": "linux", "architecture": "amd64"},
            "digest": ONE,
            "index": null,
            "grounds": "nothing",
            "provenance": {
                "gallery": gallery,
                "name": "chat",
                "entry": "cpu-chat",
                "role": "primary",
                "source": "registry.example.org/acme/app:latest-chat",
                "unserved": [],
            },
        }))
        .unwrap();
        assert_eq!(locked.is_met_by(&recorded), expected, "{gallery}");
    }
}
