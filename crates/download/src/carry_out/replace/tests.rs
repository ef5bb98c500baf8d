use countersign_oci::Digest;
use countersign_policy::Policy;
use serde_json::json;

use super::*;
use crate::grounds::Grounds;

const SAME: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const OTHER: &str = "sha256:54136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// A signature of this hour.
fn signature(hour: i8) -> Grounds {
    let time = at(hour);
    serde_json::from_value(json!({
        "grounds": "signature",
        "evidence": {
            "digest": SAME,
            "repository": "registry.example.org/acme/app",
            "identity": "me",
            "issuer": "https://ci.example.org",
            "signed_at": [time],
            "log_index": null,
            "log_id": null,
            "predicate_type": "https://sigstore.dev/cosign/sign/v1",
            "subject_name": null,
            "signature_manifest": null,
            "annotations": {},
            "claims": {},
            "certificate_not_before": time,
            "certificate_not_after": "2024-01-02T00:00:00Z",
        },
        "policy": {"signers": [], "not_before": null},
    }))
    .unwrap()
}

/// A signature by a key, whose time nothing proves.
fn undated_signature() -> Grounds {
    let mut grounds = serde_json::to_value(signature(1)).unwrap();
    let evidence = grounds["evidence"].as_object_mut().unwrap();
    for name in [
        "identity",
        "issuer",
        "claims",
        "certificate_not_before",
        "certificate_not_after",
    ] {
        evidence.remove(name);
    }
    evidence.insert("key".into(), json!(format!("SHA-256:{}", "0".repeat(64))));
    evidence.insert("signed_at".into(), json!([]));
    serde_json::from_value(grounds).unwrap()
}

/// Grounds of two proofs.
fn both(first: Grounds, second: &Grounds) -> Grounds {
    let mut grounds = serde_json::to_value(first).unwrap();
    let second = serde_json::to_value(second).unwrap();
    grounds["further_evidence"] = json!([second["evidence"]]);
    serde_json::from_value(grounds).unwrap()
}

fn at(hour: i8) -> jiff::Timestamp {
    format!("2024-01-01T{hour:02}:00:00Z").parse().unwrap()
}

fn recorded(grounds: &Grounds) -> Recorded {
    Recorded {
        installed_at: at(0),
        inventory: None,
        files: None,
        bytes: None,
        reference: None,
        platform: "linux/amd64".parse().unwrap(),
        digest: SAME.parse().unwrap(),
        index: None,
        grounds: grounds.clone(),
        provenance: None,
    }
}

fn options(downgrade: Downgrade, same: WhenSame) -> InstallOptions {
    InstallOptions {
        downgrade,
        same,
        ..InstallOptions::default()
    }
}

fn decided(
    installed: &Grounds,
    digest: &str,
    found: &Grounds,
    options: InstallOptions,
) -> Decision {
    let digest: Digest = digest.parse().unwrap();
    decide(
        &recorded(installed),
        Content::archive(&digest, found),
        None,
        options,
    )
}

/// Every combination of the options.
const OPTIONS: [(Downgrade, WhenSame); 4] = [
    (Downgrade::Refuse, WhenSame::Keep),
    (Downgrade::Refuse, WhenSame::Reinstall),
    (Downgrade::Allow, WhenSame::Keep),
    (Downgrade::Allow, WhenSame::Reinstall),
];

#[test]
fn other_content_replaces_what_is_installed_on_grounds_that_are_as_strong() {
    use Decision::{Install, Weaker};
    let (nothing, digest, signed) = (Grounds::Nothing, Grounds::Digest, signature(1));
    let rows = [
        (&nothing, &nothing, Install),
        (&nothing, &digest, Install),
        (&nothing, &signed, Install),
        (&digest, &nothing, Weaker),
        (&digest, &digest, Install),
        (&digest, &signed, Install),
        (&signed, &nothing, Weaker),
        (&signed, &digest, Weaker),
        (&signed, &signed, Install),
    ];
    // No option lets weaker grounds replace stronger ones.
    for (installed, found, expected) in rows {
        for (downgrade, same) in OPTIONS {
            let options = options(downgrade, same);
            let decision = decided(installed, OTHER, found, options);
            assert_eq!(decision, expected, "{installed} by {found}: {options:?}");
        }
    }
}

#[test]
fn an_older_signature_replaces_a_later_one_only_where_that_is_allowed() {
    let older = Decision::Older {
        installed: at(2),
        found: at(1),
    };
    let rows = [
        // The hours of what is installed and of what is found, then without and with leave.
        (2, 1, older, Decision::Install),
        (2, 2, Decision::Install, Decision::Install),
        (2, 3, Decision::Install, Decision::Install),
    ];
    for (installed, found, refusing, allowing) in rows {
        let (installed, found) = (signature(installed), signature(found));
        for (downgrade, expected) in [(Downgrade::Refuse, refusing), (Downgrade::Allow, allowing)] {
            for same in [WhenSame::Keep, WhenSame::Reinstall] {
                let decision = decided(&installed, OTHER, &found, options(downgrade, same));
                assert_eq!(decision, expected, "{downgrade:?} {same:?}");
            }
        }
    }
    // Of a signature without a time it is not known whether it is older.
    let undated = Decision::Undated { installed: at(2) };
    for (installed, digest, found, refusing) in [
        (signature(2), OTHER, undated_signature(), undated),
        (signature(2), SAME, undated_signature(), Decision::Keep),
        (
            undated_signature(),
            OTHER,
            undated_signature(),
            Decision::Install,
        ),
        (undated_signature(), OTHER, signature(1), Decision::Install),
    ] {
        let decide = |downgrade| {
            decided(
                &installed,
                digest,
                &found,
                options(downgrade, WhenSame::Keep),
            )
        };
        assert_eq!(decide(Downgrade::Refuse), refusing);
        let allowing = if digest == SAME {
            Decision::Keep
        } else {
            Decision::Install
        };
        assert_eq!(decide(Downgrade::Allow), allowing);
    }
}

/// One content may have several good signatures.
#[test]
fn the_same_content_by_an_older_signature_is_no_error_and_takes_no_time_away() {
    let undated = undated_signature();
    let rows = [
        // Installed, found: whether the record keeps its grounds.
        (signature(2), SAME, signature(1), true),
        (signature(2), SAME, undated_signature(), true),
        (signature(2), SAME, signature(2), false),
        (signature(2), SAME, signature(3), false),
        (undated_signature(), SAME, signature(1), false),
        (undated_signature(), SAME, undated_signature(), false),
        // The policy asks for other proofs.
        (signature(2), SAME, both(signature(3), &signature(1)), true),
        (signature(2), SAME, both(signature(3), &undated), true),
        (signature(2), SAME, both(signature(3), &signature(2)), false),
        (both(signature(2), &signature(1)), SAME, signature(2), false),
        // The very same proofs lose nothing, though nothing proves the time of one.
        (
            both(signature(2), &undated),
            SAME,
            both(signature(2), &undated),
            false,
        ),
        (signature(2), OTHER, signature(1), false),
        (Grounds::Digest, SAME, signature(1), false),
    ];
    for (installed, digest, found, keeps) in rows {
        let parsed: Digest = digest.parse().unwrap();
        let content = Content::archive(&parsed, &found);
        let kept = |downgrade| keeps_grounds(&recorded(&installed), content, downgrade);
        assert_eq!(kept(Downgrade::Refuse), keeps, "{installed} by {found}");
        assert!(!kept(Downgrade::Allow), "{installed} by {found}");
        if keeps {
            for (downgrade, same) in OPTIONS {
                let decision = decided(&installed, digest, &found, options(downgrade, same));
                let expected = match same {
                    WhenSame::Keep => Decision::Keep,
                    WhenSame::Reinstall => Decision::Install,
                };
                assert_eq!(decision, expected, "{downgrade:?} {same:?}");
            }
        }
    }
}

#[test]
fn the_same_content_is_kept_unless_its_grounds_are_stronger_now_or_it_is_to_be_reinstalled() {
    use Decision::{Install, Keep, Weaker};
    let (nothing, digest, signed) = (Grounds::Nothing, Grounds::Digest, signature(1));
    let rows = [
        (&nothing, &nothing, Keep),
        (&nothing, &digest, Install),
        (&digest, &digest, Keep),
        (&digest, &signed, Install),
        (&signed, &signed, Keep),
        (&signed, &digest, Weaker),
    ];
    for (installed, found, expected) in rows {
        for downgrade in [Downgrade::Refuse, Downgrade::Allow] {
            let decision = decided(installed, SAME, found, options(downgrade, WhenSame::Keep));
            assert_eq!(decision, expected, "{installed} by {found}");
            let again = options(downgrade, WhenSame::Reinstall);
            let expected = if expected == Keep { Install } else { expected };
            assert_eq!(decided(installed, SAME, found, again), expected);
        }
    }
}

#[test]
fn the_same_image_is_kept_for_the_same_platform_alone_and_an_archive_for_any() {
    let digest: Digest = SAME.parse().unwrap();
    let (grounds, options) = (signature(1), InstallOptions::default());
    let rows = [
        ("linux/amd64", "linux/amd64", Decision::Keep),
        ("linux/amd64", "linux/amd64/v1", Decision::Keep),
        ("linux/arm64", "linux/arm64/v8", Decision::Keep),
        ("linux/arm64/v8", "linux/arm64", Decision::Keep),
        ("linux/amd64", "linux/arm64", Decision::Install),
        ("linux/amd64", "linux/amd64/v3", Decision::Install),
        ("linux/arm/v7", "linux/arm/v6", Decision::Install),
        ("linux/amd64", "windows/amd64", Decision::Install),
    ];
    for (installed, wanted, expected) in rows {
        let installed = Recorded {
            platform: installed.parse().unwrap(),
            ..recorded(&grounds)
        };
        let wanted = wanted.parse().unwrap();
        let content = Content::archive(&digest, &grounds);
        let decided = decide(&installed, content, Some(&wanted), options);
        assert_eq!(decided, expected, "{} {wanted}", installed.platform);
        assert_eq!(decide(&installed, content, None, options), Decision::Keep);
    }
}

#[test]
fn what_has_no_readable_record_gives_way_to_a_signature_alone_and_only_where_older_ones_may() {
    let policy = "{issuer: https://ci.example.org, identity: me}";
    let signature = Requirement::signature(Policy::from_yaml(policy, "policy").unwrap());
    let of = |uri, sha256| {
        let source = crate::source::Source::parse(uri, sha256).unwrap();
        Requirement::of(None, &[source], crate::Integrity::Permissive).unwrap()
    };
    let hex = SAME.strip_prefix("sha256:");
    let digest = of("https://example.org/app.tar", hex);
    let nothing = of("registry.example.org/acme/app:1", None);
    let rows = [
        (&signature, Downgrade::Refuse, false),
        (&signature, Downgrade::Allow, true),
        (&digest, Downgrade::Refuse, false),
        (&digest, Downgrade::Allow, false),
        (&nothing, Downgrade::Refuse, false),
        (&nothing, Downgrade::Allow, false),
    ];
    let readable = TargetState::Recorded(Box::new(recorded(&Grounds::Nothing)));
    for (requirement, downgrade, expected) in rows {
        let refused = |target: &TargetState| target.not_replaceable(requirement, downgrade);
        let may = |target: &TargetState| refused(target).is_none();
        let why = "missing field `platform`".to_owned();
        for why in [
            Unreadable::Damaged { why },
            Unreadable::Later { version: 2 },
        ] {
            assert_eq!(
                refused(&TargetState::Unreadable(why.clone())),
                (!expected).then_some(why),
                "{requirement} {downgrade:?}"
            );
        }
        // What has a record is compared with it, once there is something to compare.
        assert!(may(&TargetState::Empty) && may(&readable));
    }
}

#[test]
fn what_an_installation_did_is_told_by_what_is_proven_of_both() {
    use crate::carry_out::replacement::Replacement::{
        self, NowVerified, Reinstalled, Replaced, RolledBack, Upgraded,
    };
    let undated = undated_signature();
    let rows = [
        (signature(1), OTHER, signature(2), Upgraded),
        (signature(2), OTHER, signature(1), RolledBack),
        (signature(1), OTHER, signature(1), Replaced),
        (signature(1), OTHER, undated.clone(), Replaced),
        // What is refused as older is told as a step back, once it is allowed.
        (
            signature(2),
            OTHER,
            both(signature(1), &undated),
            RolledBack,
        ),
        (signature(2), OTHER, both(signature(3), &undated), Replaced),
        (both(signature(1), &undated), OTHER, signature(2), Upgraded),
        (
            both(signature(2), &signature(4)),
            OTHER,
            signature(3),
            Upgraded,
        ),
        (signature(1), SAME, signature(2), Reinstalled),
        (Grounds::Digest, OTHER, Grounds::Digest, Replaced),
        (Grounds::Nothing, SAME, Grounds::Nothing, Reinstalled),
        (Grounds::Nothing, SAME, Grounds::Digest, Reinstalled),
        (Grounds::Nothing, SAME, signature(1), NowVerified),
        (Grounds::Digest, OTHER, signature(1), NowVerified),
    ];
    for (installed, digest, found, expected) in rows {
        let digest: Digest = digest.parse().unwrap();
        let content = Content::archive(&digest, &found);
        let told = Replacement::of(Some(&recorded(&installed)), content);
        assert_eq!(told, expected, "{installed} by {found}");
        assert_eq!(Replacement::of(None, content), Replacement::New);
    }
}

#[test]
fn of_several_proofs_one_without_a_time_makes_all_undated() {
    let found = |grounds: Grounds, digest| {
        decided(&signature(2), digest, &grounds, InstallOptions::default())
    };
    let late_and_undated = || both(signature(3), &undated_signature());
    let undated = |decision| matches!(decision, Decision::Undated { .. });
    assert!(undated(found(late_and_undated(), OTHER)));
    assert!(undated(found(
        both(undated_signature(), &signature(3)),
        OTHER
    )));
    // The same content is no step back.
    assert!(!undated(found(late_and_undated(), SAME)));
    // One is known to be older: that says more.
    let older = found(both(signature(1), &undated_signature()), OTHER);
    assert!(matches!(older, Decision::Older { .. }));
    let dated = found(both(signature(3), &signature(4)), OTHER);
    assert!(matches!(dated, Decision::Install));
}
