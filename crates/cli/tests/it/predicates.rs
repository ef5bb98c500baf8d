//! Attestations from the registry to what the program prints and saves.

use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, Statement};
use serde_json::json;

use crate::stage::{RELEASE, Stage};

const SLSA: &str = "https://slsa.dev/provenance/v1";
const SAVED: &str = r#"{"run":{"ref":"refs/tags/v1","number":7}}"#;

/// A stage whose image has a provenance and no signature.
async fn attested() -> Stage {
    let stage = Stage::new().await;
    let statement = Statement::of(countersign_oci::Digest::sha256(b"another"))
        .and_subject(stage.index.digest())
        .predicate(
            SLSA,
            json!({ "run": { "ref": "refs/tags/v1", "number": 7 } }),
        );
    let bundle = stage.sigstore.issue(&BundleSpec::new(statement, RELEASE));
    let provenance = Image::signature(stage.index.descriptor(), bundle.unwrap());
    provenance.push(&stage.registry, "app", None);
    stage
}

fn policy(stage: &Stage, rules: &str) -> String {
    format!(
        "{}  predicate_types: ['{SLSA}']\n  predicate: {{{rules}}}\n",
        stage.policy(RELEASE)
    )
}

#[tokio::test]
async fn a_rule_on_a_predicate_accepts_and_refuses() {
    let stage = attested().await;
    let reference = stage.reference("app:v1");
    let unsigned = stage.verify(&[&reference]);
    assert_eq!(unsigned.code, 3, "{}", unsigned.shown());
    assert!(
        unsigned.stderr.contains("sign the image in its CI"),
        "{}",
        unsigned.shown()
    );

    stage.write(
        "policy.yaml",
        policy(&stage, "/run/ref_regex: refs/tags/.+, /run/number: 7"),
    );
    let accepted = stage.verify(&[&reference]);
    assert_eq!(accepted.code, 0, "{}", accepted.shown());
    let said = format!("  type       {SLSA}\n");
    assert!(accepted.stdout.contains(&said), "{}", accepted.shown());

    stage.write("policy.yaml", policy(&stage, "/run/branch_regex: .+"));
    let refused = stage.verify(&[&reference]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    for said in ["/run/branch", "an object with `ref`, `number`"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn the_proven_predicate_is_saved_as_it_was_signed() {
    let stage = attested().await;
    let reference = stage.reference("app:v1");
    stage.write("policy.yaml", policy(&stage, "/run/number: 7"));
    stage.write("provenance.json", "what was there before");
    let saved = stage.verify(&["--save-predicate", "provenance.json", &reference]);
    assert_eq!(saved.code, 0, "{}", saved.shown());
    let content = std::fs::read_to_string(stage.path("provenance.json")).unwrap();
    assert_eq!(content, SAVED);

    let printed = stage.verify(&["--save-predicate", "-", &reference]);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, SAVED));
    assert!(
        printed.stderr.starts_with("verified "),
        "{}",
        printed.stderr
    );

    // Nothing is written for an image that is refused.
    stage.write("policy.yaml", policy(&stage, "/run/number: 8"));
    let refused = stage.verify(&["--save-predicate", "other.json", &reference]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    assert!(!stage.path("other.json").exists());
}

#[tokio::test]
async fn a_predicate_has_one_place_of_its_own() {
    let stage = attested().await;
    let reference = stage.reference("app:v1");
    stage.write("policy.yaml", policy(&stage, "/run/number: 7"));
    for arguments in [
        &["--save-predicate", "a.json", &reference, &reference][..],
        &["--save-predicate", "-", "--print-digest", &reference],
        &["--save-predicate", "-", "--output", "json", &reference],
        &["--save-predicate", "a.json", "--all-platforms", &reference],
        &["--save-predicate", "missing/a.json", &reference],
    ] {
        let run = stage.verify(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.shown());
    }
    assert!(!stage.path("a.json").exists());
}

#[tokio::test]
async fn several_required_proofs_are_all_needed_told_and_recorded() {
    let stage = attested().await;
    let reference = stage.reference("app:v1");
    let require = format!("  require: [signature, {{predicate_type: '{SLSA}'}}]\n");
    stage.write("policy.yaml", stage.policy(RELEASE) + &require);
    let one = stage.verify(&[&reference]);
    assert_eq!(one.code, 4, "{}", one.shown());
    assert!(
        one.stderr.contains("has 1 of the 2 proofs"),
        "{}",
        one.stderr
    );
    let not_installed = stage.install(&[&reference, "here"]);
    assert_eq!(not_installed.code, 4, "{}", not_installed.shown());
    assert!(!stage.path("here").exists());

    stage.signed("app:v1", RELEASE);
    let both = stage.verify(&["--output", "json", &reference]).json();
    let result = &both["results"][0];
    let types = [&result["evidence"], &result["further_evidence"][0]];
    let types = types.map(|evidence| evidence["predicate_type"].as_str().unwrap());
    assert_eq!(types, ["https://sigstore.dev/cosign/sign/v1", SLSA]);
    let installed = stage.install(&["--output", "json", &reference, "here"]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
    installed.json();
    let record = std::fs::read(stage.path("here/.countersign/record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["evidence"]["predicate_type"], types[0]);
    assert_eq!(record["further_evidence"][0]["predicate_type"], types[1]);
}

/// Where an attestation is missing, nobody is told to sign.
#[tokio::test]
async fn a_missing_attestation_has_a_hint_of_its_own() {
    const HINT: &str = "`cosign attest --type TYPE --predicate FILE`";
    let stage = Stage::new().await;
    let reference = stage.reference("app:v1");
    let refused = |policy: &str, code: i32| {
        stage.write("policy.yaml", stage.policy(RELEASE) + policy);
        let run = stage.verify(&[&reference]);
        assert_eq!(run.code, code, "{}", run.shown());
        run.stderr
    };
    let alone = format!("  predicate_types: ['{SLSA}']\n");
    let both = format!("  require: [signature, {{predicate_type: '{SLSA}'}}]\n");
    let nothing = refused(&alone, 3);
    assert!(nothing.contains(HINT), "{nothing}");
    // The signature is missing too, and comes first.
    let neither = refused(&both, 3);
    assert!(!neither.contains(HINT), "{neither}");

    stage.signed("app:v1", RELEASE);
    for (policy, code) in [(&alone, 3), (&both, 4)] {
        let signed = refused(policy, code);
        assert!(signed.contains(HINT), "{signed}");
        assert!(!signed.contains("sign the image"), "{signed}");
    }
    // One of another type is there: the policy may name it wrongly.
    let other = refused("  predicate_types: [https://slsa.dev/provenance/v0.2]\n", 3);
    assert!(other.contains(HINT), "a signature alone is there: {other}");
    // An attestation that says something else is not missing.
    let statement = Statement::of(stage.index.digest()).predicate(SLSA, json!({ "ref": "x" }));
    let bundle = stage.sigstore.issue(&BundleSpec::new(statement, RELEASE));
    let provenance = Image::signature(stage.index.descriptor(), bundle.unwrap());
    provenance.push(&stage.registry, "app", None);
    let other = refused(&format!("{alone}  predicate: {{/ref: y}}\n"), 4);
    assert!(!other.contains(HINT), "{other}");
    let another = refused("  predicate_types: [https://slsa.dev/provenance/v0.2]\n", 3);
    assert!(another.contains("compare the type"), "{another}");
    assert!(another.contains("names a type in full"), "{another}");
    let short = refused("  predicate_types: [slsaprovenance1]\n", 3);
    assert!(!short.contains("compare the type"), "{short}");
    assert!(short.contains(&format!("write `{SLSA}`")), "{short}");
}

/// An attestation is there, and the signature beside it is missing.
#[tokio::test]
async fn a_missing_signature_beside_an_attestation_has_a_hint_of_its_own() {
    let stage = attested().await;
    let require = format!("  require: [signature, {{predicate_type: '{SLSA}'}}]\n");
    stage.write("policy.yaml", stage.policy(RELEASE) + &require);
    let refused = stage.verify(&[&stage.reference("app:v1")]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    assert!(
        refused.stderr.contains("sign the image too"),
        "{}",
        refused.shown()
    );
}

/// A signature says nothing but that the image is signed: there is nothing to save, and nothing is written.
#[tokio::test]
async fn a_signature_has_no_predicate_to_save() {
    let stage = attested().await;
    stage.signed("app:v1", RELEASE);
    let reference = stage.reference("app:v1");
    let save = ["--save-predicate", "saved.json", &reference];
    let refused = stage.verify(&save);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    let said = "this one accepts signatures alone, which have no predicate to save";
    assert!(refused.stderr.contains(said), "{}", refused.shown());
    assert!(!stage.path("saved.json").exists());

    // Where either would do, the one that was found decides.
    stage.index.push(&stage.registry, "signed", Some("v1"));
    stage.signed("signed:v1", RELEASE);
    let either = format!("  predicate_types: ['https://sigstore.dev/cosign/sign/v1', '{SLSA}']\n");
    stage.write("policy.yaml", stage.policy(RELEASE) + &either);
    let signed = stage.reference("signed:v1");
    let refused = stage.verify(&["--save-predicate", "saved.json", &signed]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    assert!(
        refused
            .stderr
            .contains("by a signature, which has no predicate"),
        "{}",
        refused.shown()
    );
    assert!(!stage.path("saved.json").exists());

    let both = format!("  require: [signature, {{predicate_type: '{SLSA}'}}]\n");
    stage.write("policy.yaml", stage.policy(RELEASE) + &both);
    let saved = stage.verify(&save);
    assert_eq!(saved.code, 0, "{}", saved.shown());
    let content = std::fs::read_to_string(stage.path("saved.json")).unwrap();
    assert_eq!(content, SAVED);
    // Each proof has a line of its own above it.
    for heading in ["  proof      1 of 2\n", "  proof      2 of 2\n"] {
        assert!(saved.stdout.contains(heading), "{}", saved.stdout);
    }
}
