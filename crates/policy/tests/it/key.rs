//! A signer by a key: what a policy says with it, and what it can't say.

use std::collections::BTreeMap;
use std::io;

use countersign_oci::{Digest, Location, Repository};
use countersign_policy::{
    COSIGN_SIGN_PREDICATE, CertificateClaims, Claimed, ClaimedSigner, LogUse, Miss, Policy,
    PolicyError, PolicyFile, Problem, PublicKey, SignatureFormat, Violation, Warning,
};
use insta::assert_snapshot;
use jiff::Timestamp;

const KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0
7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==
-----END PUBLIC KEY-----
";
const OTHER: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVolRGgzNUSrPkp+q2KEcyZOU2A2t8mYd
mFVn3N8ABMgjA2JPr5X/TrHQvNzry66ItRJ2YCgFfWQ8nKdx2muQYY427Icul8Mw
0QNWNrnsHxykXDP2I/WVhwRO1Uj4g4xj
-----END PUBLIC KEY-----
";

/// The key as a block of YAML, and `extra` lines below it.
fn with_key(extra: &str) -> String {
    format!("{}\n{extra}", block("", "key", KEY))
}

fn block(indent: &str, key: &str, pem: &str) -> String {
    let lines: Vec<String> = pem
        .lines()
        .map(|line| format!("{indent}  {line}"))
        .collect();
    format!("{indent}{key}: |\n{}", lines.join("\n"))
}

fn read(text: &str) -> Policy {
    Policy::from_yaml(text, "policy.yaml").unwrap()
}

fn error(text: &str) -> PolicyError {
    Policy::from_yaml(text, "policy.yaml").unwrap_err()
}

fn key(pem: &str) -> PublicKey {
    PublicKey::from_pem(pem).unwrap()
}

#[test]
fn a_key_stands_in_place_of_issuer_and_identity() {
    let policy = read(&with_key(""));
    let signer = policy.keys().next().unwrap();
    assert_eq!((&signer.key, signer.log), (&key(KEY), LogUse::Demanded));
    assert!(!policy.accepts_certificates());
    assert!(policy.needs_trusted_root());
    let ignoring = read(&with_key("ignore_tlog: true"));
    assert_eq!(ignoring.keys().next().unwrap().log, LogUse::Ignored);
    assert!(!ignoring.needs_trusted_root());
    let mixed = format!(
        "identities:\n- issuer: https://gitlab.com\n  identity: me\n-\n{}\n  ignore_tlog: true\n",
        block("  ", "key", KEY)
    );
    let mixed = read(&mixed);
    assert!(mixed.accepts_certificates() && mixed.needs_trusted_root());
    assert_eq!(mixed.keys().count(), 1);
}

#[test]
fn a_key_in_a_file_is_read_by_the_caller() {
    let files = |path: &str| match path {
        "keys/cosign.pub" => Ok(KEY.to_owned()),
        "keys/notes.txt" => Ok("not a key".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let parse = |text: &str| {
        let file = PolicyFile::parse_with_keys(text, "policy.yaml", &files)?;
        file.policy().cloned()
    };
    assert_eq!(parse("key: keys/cosign.pub").unwrap(), read(&with_key("")));
    assert_snapshot!(parse("key: keys/none.pub").unwrap_err(), @"policy.yaml:1:1: key: the file of the key `keys/none.pub` can't be read: entity not found");
    assert_snapshot!(parse("key: keys/notes.txt").unwrap_err(), @"policy.yaml:1:1: key: the file `keys/notes.txt`: expected a public key in PEM (`-----BEGIN PUBLIC KEY-----`), found no PEM");
    assert_snapshot!(error("key: keys/cosign.pub"), @"policy.yaml:1:1: key: the file of the key `keys/cosign.pub` can't be read: files of keys are not read here; write the key itself, in PEM");
}

#[test]
fn what_contradicts_a_key_is_refused() {
    for (extra, beside) in [
        ("issuer: https://gitlab.com", "issuer"),
        ("identity_regex: me", "identity_regex"),
        ("claims: {build_trigger: push}", "claims"),
        (
            "require: [signature, {predicate_type: a, claims: {build_trigger: push}}]",
            "claims",
        ),
    ] {
        let error = error(&with_key(extra));
        assert_eq!(error.problem(), &Problem::BesideKey { key: beside });
    }
    for condition in ["not_before", "min_age"] {
        let value = if condition == "min_age" {
            "24h"
        } else {
            "2026-01-01T00:00:00Z"
        };
        let extra = format!("{condition}: {value}\n");
        assert!(
            Policy::from_yaml(&with_key(&extra), "").is_ok(),
            "{condition}"
        );
        let error = error(&with_key(&format!("{extra}ignore_tlog: true")));
        assert_eq!(error.problem(), &Problem::NoTime { key: condition });
    }
    let keyless = error("{issuer: 'https://gitlab.com', identity: me, ignore_tlog: true}");
    assert_eq!(keyless.problem(), &Problem::IgnoreTlogWithoutKey);
    let of_one = format!(
        "identities:\n-\n{}\n  ignore_tlog: true\n  not_before: 2026-01-01T00:00:00Z\n",
        block("  ", "key", KEY)
    );
    assert_snapshot!(error(&of_one), @"policy.yaml:9:3: identities[0].not_before: `not_before` is not allowed beside `ignore_tlog`: without a log, nothing proves when a signature was made; remove one of the two");
    let beside = format!(
        "{}\nidentities:\n- issuer: https://gitlab.com\n  identity: me\n",
        block("", "key", KEY)
    );
    assert_eq!(
        error(&beside).problem(),
        &Problem::SignerBesideIdentities { key: "key" }
    );
}

#[test]
fn a_key_is_explained_and_its_weak_points_are_named() {
    assert_snapshot!(read(&with_key("")).explain(), @r"
    A signature is accepted if all of this is true:
    - it is a cosign signature, not another kind of statement;
    - it is signed with this key, and not with a certificate:
        key SHA-256:8e7f42f73ec2effca1d6d58ab32a3689655323cecddf5591379e7a82507f65aa (ECDSA P-256)
    - a log or a timestamp authority proves when it was made; any time is accepted;
    - it is valid by the trusted root in use.
    Signatures are looked for in the repository of the image.
    ");
    let ignoring = read(&with_key("ignore_tlog: true"));
    assert_snapshot!(ignoring.explain(), @r"
    A signature is accepted if all of this is true:
    - it is a cosign signature, not another kind of statement;
    - it is signed with this key, and not with a certificate:
        key SHA-256:8e7f42f73ec2effca1d6d58ab32a3689655323cecddf5591379e7a82507f65aa (ECDSA P-256)
        its log entry and timestamps are not read: it may be of any time
    - no trusted root is needed.
    Signatures are looked for in the repository of the image.
    ");
    let summary = ignoring.summary().signers;
    assert_eq!(
        summary,
        [format!(
            "the key is {}, its log entry is not read",
            key(KEY).fingerprint()
        )]
    );
    assert_eq!(
        ignoring.warnings(Timestamp::UNIX_EPOCH),
        [Warning::IgnoredLog { signer: 0 }]
    );
    // Nothing of the log is read, so there is nothing to say of what the log has promised.
    let legacy = "ignore_tlog: true\nsignature_formats: [bundle, simple_signing]";
    let legacy = read(&with_key(legacy));
    assert_eq!(
        legacy.warnings(Timestamp::UNIX_EPOCH),
        [Warning::IgnoredLog { signer: 0 }]
    );
    assert!(
        !legacy.explain().contains("promise"),
        "{}",
        legacy.explain()
    );
    let logged = read(&with_key("signature_formats: [bundle, simple_signing]"));
    let logged = logged.warnings(Timestamp::UNIX_EPOCH);
    assert!(logged.contains(&Warning::SimpleSigning), "{logged:?}");
    let logged = read(&with_key("")).warnings(Timestamp::UNIX_EPOCH);
    assert_eq!(
        logged,
        [Warning::KeyTimes { signer: 0 }, Warning::NoNotBefore]
    );
}

/// Judges a signature by `signer`, whose time is known if `time` is.
fn judge(
    policy: &Policy,
    signer: ClaimedSigner<'_>,
    time: Option<Timestamp>,
) -> Result<(), Violation> {
    let location: Location = "ghcr.io/acme/app".parse::<Repository>().unwrap().into();
    let (digest, annotations) = (Digest::sha256(b""), BTreeMap::new());
    let judged = policy.judge(Claimed {
        format: SignatureFormat::Bundle,
        digest: &digest,
        signer,
        earliest: time,
        latest: time,
        now: Timestamp::UNIX_EPOCH,
        predicate_type: COSIGN_SIGN_PREDICATE,
        predicate: None,
        annotations: &annotations,
        subject_name: None,
        location: &location,
        tag: None,
    });
    judged.map(drop)
}

fn miss(result: Result<(), Violation>) -> Miss {
    match result {
        Err(Violation::Signer(mismatch)) => mismatch.nearest().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_accepts_its_own_signatures_alone_and_never_a_certificate_s() {
    let (own, other) = (key(KEY), key(OTHER));
    let claims = CertificateClaims::default();
    let certificate = ClaimedSigner::Certificate {
        issuer: "https://gitlab.com",
        identity: "me",
        claims: &claims,
    };
    let seen = Some(Timestamp::UNIX_EPOCH);
    let by_key = read(&with_key(""));
    let ignoring = read(&with_key("ignore_tlog: true"));
    let by_identity = read("{issuer_regex: '.*', identity_regex: '.*'}");
    for policy in [&by_key, &ignoring] {
        assert_eq!(judge(policy, ClaimedSigner::Key(&own), seen), Ok(()));
        assert!(matches!(
            miss(judge(policy, ClaimedSigner::Key(&other), seen)),
            Miss::Key { expected, found } if expected == own.fingerprint() && found == other.fingerprint()
        ));
        assert!(matches!(
            miss(judge(policy, certificate, seen)),
            Miss::CertificateForKey { .. }
        ));
    }
    assert!(matches!(
        miss(judge(&by_identity, ClaimedSigner::Key(&own), seen)),
        Miss::KeyForCertificate { .. }
    ));
    // Without a time: only where the policy says so, and never for a certificate.
    assert_eq!(judge(&ignoring, ClaimedSigner::Key(&own), None), Ok(()));
    for (policy, signer) in [
        (&by_key, ClaimedSigner::Key(&own)),
        (&by_identity, certificate),
    ] {
        assert!(matches!(
            miss(judge(policy, signer, None)),
            Miss::NoTime { .. }
        ));
    }
}

#[test]
fn conditions_on_the_time_hold_for_a_key() {
    let own = key(KEY);
    let policy = read(&with_key("not_before: 1970-01-02T00:00:00Z"));
    let found = judge(
        &policy,
        ClaimedSigner::Key(&own),
        Some(Timestamp::UNIX_EPOCH),
    );
    assert!(
        matches!(found, Err(Violation::SignedBefore { .. })),
        "{found:?}"
    );
    let policy = read(&with_key("min_age: 1h"));
    let found = judge(
        &policy,
        ClaimedSigner::Key(&own),
        Some(Timestamp::UNIX_EPOCH),
    );
    assert!(
        matches!(found, Err(Violation::TooYoung { .. })),
        "{found:?}"
    );
}

#[test]
fn a_policy_can_be_narrowed_to_one_of_its_keys() {
    let text = format!(
        "identities:\n-\n{}\n-\n{}\n- issuer: https://gitlab.com\n  identity: me\n",
        block("  ", "key", KEY),
        block("  ", "key", OTHER)
    );
    let policy = read(&text);
    let narrowed = policy.only_key(&key(OTHER).fingerprint()).unwrap();
    assert_eq!(narrowed.signers().count(), 1);
    assert_eq!(narrowed.keys().next().unwrap().key, key(OTHER));
    let narrowed = policy.only("https://gitlab.com", "me").unwrap();
    assert_eq!(narrowed.keys().count(), 0);
    assert_eq!(
        read("{issuer: a, identity: b}").only_key(&key(KEY).fingerprint()),
        None
    );
    assert_eq!(read(&with_key("")).only("https://gitlab.com", "me"), None);
}
