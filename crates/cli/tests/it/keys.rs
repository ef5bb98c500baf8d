//! Signatures by a key, from the flag or the policy file to what the program prints, records and locks.

use countersign_sandbox::image::Image;
use countersign_sandbox::{
    BundleSpec, SigningKey, SigningKeyKind, SimpleSigningPlace, Statement, push_simple_signing,
    simple_signing_payload,
};
use serde_json::Value;

use crate::stage::{POLICY, RELEASE, Stage, TRUST};

fn key() -> SigningKey {
    SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap()
}

fn named(key: &SigningKey) -> String {
    let digits = key.id().map(|byte| format!("{byte:02x}"));
    format!("SHA-256:{}", digits.concat())
}

/// Signs the index with this key, as a bundle.
fn sign(stage: &Stage, key: &SigningKey) {
    let spec = BundleSpec::new(Statement::of(stage.index.digest()), RELEASE).signed_with(key);
    let bundle = stage.sigstore.issue(&spec).unwrap();
    Image::signature(stage.index.descriptor(), bundle).push(&stage.registry, "app", None);
}

#[tokio::test]
async fn a_key_is_a_flag_or_a_file_beside_the_policy() {
    let stage = Stage::new().await;
    let (own, other) = (key(), key());
    sign(&stage, &own);
    stage.write("keys/cosign.pub", own.public_pem());
    stage.write("other.pub", other.public_pem());
    let reference = stage.reference("app:v1");
    let by_flag = |file| stage.run(&[&["verify"], &TRUST, &["--key", file, &reference]]);

    let accepted = by_flag("keys/cosign.pub");
    assert_eq!(accepted.code, 0, "{}", accepted.shown());
    let signer = format!("signer     key {}\n", named(&own));
    assert!(accepted.stdout.contains(&signer), "{}", accepted.shown());
    assert!(!accepted.stdout.contains("issuer"), "{}", accepted.shown());

    let refused = by_flag("other.pub");
    assert_eq!(refused.code, 5, "{}", refused.shown());
    assert!(
        refused.stderr.contains(&named(&other)),
        "{}",
        refused.shown()
    );

    // The other kind of signer, in both directions: nothing is wrong with the signature.
    let says = |run: &crate::stage::Run, code: i32, hint: &str| {
        assert_eq!(run.code, code, "{}", run.shown());
        assert!(run.stderr.contains(hint), "{}", run.shown());
        assert!(!run.stderr.contains("has to sign again"), "{}", run.shown());
    };
    says(
        &refused,
        5,
        "compare the policy's key with the one that the publisher names",
    );
    stage.write("identity.yaml", stage.policy(RELEASE));
    let by_identity = stage.run(&[
        &["verify"],
        &TRUST,
        &["--policy", "identity.yaml", &reference],
    ]);
    says(
        &by_identity,
        4,
        "pass --key FILE in the place of the policy",
    );
    stage.index.push(&stage.registry, "keyless", Some("v1"));
    stage.signed("keyless:v1", RELEASE);
    let keyless = stage.reference("keyless:v1");
    let by_key = stage.run(&[&["verify"], &TRUST, &["--key", "other.pub", &keyless]]);
    says(&by_key, 4, "pass --issuer and --identity");
    let told = "is signed, but by another kind of signer than the policy names";
    assert!(by_key.stderr.contains(told), "{}", by_key.shown());
    stage.write("list.txt", &keyless);
    stage.write("policy.yaml", "verification: {key: other.pub}");
    let audit = ["audit", "--output", "json", "--images", "list.txt"];
    let audit = stage.run(&[&audit, &TRUST, &POLICY]);
    assert_eq!(audit.code, 4, "{}", audit.shown());
    assert_eq!(audit.json()["results"][0]["state"], "other_signer");

    // The path is relative to the policy's file, wherever the program runs.
    let policy = "verification: {key: cosign.pub}";
    stage.write("keys/policy.yaml", policy);
    let by_file = ["--policy", "keys/policy.yaml", "--output", "json"];
    let json = stage
        .run(&[&["verify"], &TRUST, &by_file, &[&reference]])
        .json();
    let evidence = &json["results"][0]["evidence"];
    assert_eq!(evidence["key"], named(&own));
    assert_eq!(evidence["identity"], Value::Null);
    assert_eq!(evidence["signed_at"].as_array().unwrap().len(), 1);
    // A person knows it by its file, too.
    let by_file = stage.run(&[&["verify"], &TRUST, &by_file[..2], &[&reference]]);
    let from = "  key        from cosign.pub\n";
    assert!(by_file.stdout.contains(from), "{}", by_file.shown());
}

#[tokio::test]
async fn a_key_that_is_none_is_told_and_never_shown() {
    let stage = Stage::new().await;
    let reference = stage.reference("app:v1");
    let private = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    stage.write("private.pem", private);
    stage.write("policy.yaml", "verification: {key: private.pem}");
    let by_flag = stage.run(&[&["verify"], &TRUST, &["--key", "private.pem", &reference]]);
    for run in [by_flag, stage.verify(&[&reference])] {
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains("a private key"), "{}", run.shown());
        assert!(!run.stderr.contains("c2VjcmV0"), "{}", run.shown());
    }
    stage.write("policy.yaml", "verification: {key: none.pub}");
    let missing = stage.verify(&[&reference]);
    assert_eq!(missing.code, 2, "{}", missing.shown());
    assert!(missing.stderr.contains("none.pub"), "{}", missing.shown());
    let both = ["--key", "private.pem", "--issuer", "https://gitlab.com"];
    let both = stage.run(&[&["verify"], &TRUST, &both, &[&reference]]);
    assert_eq!(both.code, 2, "{}", both.shown());
}

/// A machine without a network but for its registry: no trusted root is read or asked for.
#[tokio::test]
async fn with_the_log_ignored_no_trusted_root_is_needed_and_policy_check_says_what_is_weaker() {
    let stage = Stage::new().await;
    let own = key();
    let payload = simple_signing_payload(&stage.index.digest(), "any", &Value::Null);
    let spec = BundleSpec::new(payload, RELEASE).signed_with(&own);
    let mut signature = stage.sigstore.issue_simple_signing(&spec).unwrap();
    signature
        .annotations
        .remove(countersign_sandbox::LOG_ANNOTATION);
    let index = stage.index.descriptor();
    let place = SimpleSigningPlace::Tag;
    push_simple_signing(&stage.registry, "app", &index, place, &[signature]);
    stage.write("cosign.pub", own.public_pem());
    let policy =
        "verification: {key: cosign.pub, ignore_tlog: true, signature_formats: [simple_signing]}";
    stage.write("policy.yaml", policy);

    let reference = stage.reference("app:v1");
    let offline = ["--policy", "policy.yaml", "--offline"];
    let accepted = stage.run(&[&["verify"], &offline, &[&reference]]);
    assert_eq!(accepted.code, 0, "{}", accepted.shown());
    assert!(
        accepted.stdout.contains("not known"),
        "{}",
        accepted.shown()
    );
    let install = ["install", "--platform", "linux/amd64"];
    let installed = stage.run(&[&install, &offline, &[&reference, "here"]]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
    let record = std::fs::read_to_string(stage.path("here/.countersign/record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["evidence"]["key"], named(&own));

    let check = stage
        .run(&[&["policy", "check", "policy.yaml", "--output", "json"]])
        .json();
    let warnings = check["results"][0]["warnings"].as_array().unwrap();
    let names: Vec<&str> = warnings
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    // Nothing of the log is read, so nothing is said of what it has promised.
    assert_eq!(names, ["ignored-log"]);
}

/// Who accepts a key alone is not told to sign with what can't sign by a key.
#[tokio::test]
async fn what_a_key_has_not_signed_or_not_logged_has_a_hint_of_its_own() {
    let stage = Stage::new().await;
    let own = key();
    stage.write("cosign.pub", own.public_pem());
    let reference = stage.reference("app:v1");
    let refused = |code: i32| {
        let run = stage.run(&[&["verify"], &TRUST, &["--key", "cosign.pub", &reference]]);
        assert_eq!(run.code, code, "{}", run.shown());
        run.stderr
    };
    let unsigned = refused(3);
    assert!(unsigned.contains("`cosign sign --key"), "{unsigned}");
    assert!(!unsigned.contains("countersign sign"), "{unsigned}");

    let sbom = Image::artifact("application/spdx+json").subject(stage.index.descriptor());
    sbom.build().push(&stage.registry, "app", None);
    let statement = Statement::of(stage.index.digest());
    let spec = BundleSpec::new(statement, RELEASE);
    let bundle = stage.sigstore.issue(&spec.signed_with(&own).without_logs());
    Image::signature(stage.index.descriptor(), bundle.unwrap()).push(&stage.registry, "app", None);
    let unlogged = refused(5);
    assert!(
        unlogged.contains("ask the publisher: if the signatures are in no log on purpose"),
        "{unlogged}"
    );
    assert!(!unlogged.contains("do not use the image"), "{unlogged}");

    for (types, hint) in [
        (
            "require: [{predicate_type: 'https://slsa.dev/provenance/v1'}]",
            "`cosign attest --key",
        ),
        (
            "require: [signature, {predicate_type: 'https://x.example'}]",
            "`cosign sign --key",
        ),
    ] {
        stage.index.push(&stage.registry, "bare", Some("v1"));
        stage.write(
            "policy.yaml",
            format!("verification: {{key: cosign.pub, {types}}}"),
        );
        let run = stage.verify(&[&stage.reference("bare:v1")]);
        assert!(run.stderr.contains(hint), "{}", run.shown());
    }
}
