//! With a policy, the tree says of each digest what `verify` says of it.

use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, Effect, Fault, SigningKey, SigningKeyKind, Statement};
use serde_json::{Value, json};

use super::SLSA;
use crate::stage::{POLICY, RELEASE, Stage, TRUST};

/// Attaches a statement about the index, signed by the release workflow.
fn attach(stage: &Stage, statement: Statement) {
    let bundle = stage.sigstore.issue(&BundleSpec::new(statement, RELEASE));
    let index = stage.index.descriptor();
    Image::signature(index, bundle.unwrap()).push(&stage.registry, "app", None);
}

fn about_the_index(stage: &Stage) -> Statement {
    Statement::of(stage.index.digest())
}

/// The tree as JSON and as text, and the exit code of `verify` of the same image.
fn seen(stage: &Stage) -> (Value, String, i32) {
    let app = stage.reference("app:v1");
    let tree = |more: &[&str]| stage.run(&[&["tree"], &TRUST, &POLICY, more, &[&app]]);
    let json = tree(&["--output", "json"]).json()["results"][0]["image"].clone();
    (json, tree(&[]).stdout, stage.verify(&[&app]).code)
}

#[track_caller]
fn told(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn one_of_two_required_proofs_is_not_enough() {
    let stage = Stage::new().await;
    attach(&stage, about_the_index(&stage));
    let require = format!("  require: [signature, {{predicate_type: '{SLSA}'}}]\n");
    stage.write("policy.yaml", stage.policy(RELEASE) + &require);
    let (json, text, verified) = seen(&stage);
    assert_eq!(verified, 4, "{text}");
    assert_eq!(json["accepted"], false);
    assert_eq!(json["attached"][0]["verdict"], "not_enough");
    told(
        &text,
        &[
            "verify      refuses it: it has 1 of the 2 proofs that the policy requires; missing: an attestation \
             of type https://slsa.dev/provenance/v1",
            "counts      as a proof that the policy asks for, but the image is refused",
        ],
    );
    assert!(!text.contains("accepted"), "{text}");

    attach(
        &stage,
        about_the_index(&stage).predicate(SLSA, json!({"x": 1})),
    );
    let (json, text, verified) = seen(&stage);
    assert_eq!((verified, &json["accepted"]), (0, &json!(true)), "{text}");
    let attached = json["attached"].as_array().unwrap();
    assert!(attached.iter().all(|one| one["verdict"] == "accepted"));
    told(&text, &["verify      accepts it\n"]);
}

/// Anybody who may push can attach more than is read. A signature may be among the rest.
#[tokio::test]
async fn what_was_not_read_is_not_called_unsigned() {
    let stage = Stage::new().await;
    for number in 0..65 {
        let index = stage.index.descriptor();
        let nothing = Image::signature(index, format!("{number}").into_bytes());
        nothing.push(&stage.registry, "app", None);
    }
    let app = stage.reference("app:v1");
    let tree = |more: &[&str]| stage.run(&[&["tree"], &TRUST, more, &[&app]]);
    let json = tree(&["--output", "json"]).json()["results"][0]["image"].clone();
    assert_eq!(json["not_read"], 1, "{json}");
    assert_eq!(json["signed"], Value::Null, "{json}");
    assert_eq!(json["children"][0]["signed"], false, "{json}");
    told(
        &tree(&[]).stdout,
        &["not known   whether it is signed: not all that is attached could be checked"],
    );
}

#[tokio::test]
async fn what_can_t_be_read_is_not_called_no_signature() {
    let stage = Stage::new().await;
    let spec = BundleSpec::new(about_the_index(&stage), RELEASE);
    let bundle = stage.sigstore.issue(&spec).unwrap();
    let signature = Image::signature(stage.index.descriptor(), bundle);
    let digest = signature.push(&stage.registry, "app", None);
    let app = stage.reference("app:v1");
    for part in [format!("manifests/{digest}"), "blobs/*".to_owned()] {
        stage.registry.clear_faults();
        let missing = Fault::on(&format!("GET /v2/app/{part}"), Effect::status(404));
        stage.registry.add_fault(missing);
        let tree = |more: &[&str]| stage.run(&[&["tree"], &TRUST, more, &[&app]]);
        let json = tree(&["--output", "json"]).json()["results"][0]["image"].clone();
        assert_eq!(json["attached"][0]["kind"], "unreadable", "{json}");
        assert_eq!(json["signed"], Value::Null, "{json}");
        told(
            &tree(&[]).stdout,
            &["not known   whether it is signed: not all that is attached could be checked"],
        );
    }
}

#[tokio::test]
async fn a_signature_of_what_is_denied_is_not_accepted() {
    let stage = Stage::new().await;
    attach(&stage, about_the_index(&stage));
    let first = &stage.index.images()[0];
    let bundle = BundleSpec::new(Statement::of(first.digest()), RELEASE);
    let bundle = stage.sigstore.issue(&bundle).unwrap();
    Image::signature(first.descriptor(), bundle).push(&stage.registry, "app", None);
    let deny = |digest: String| {
        let policy = stage.policy(RELEASE);
        stage.write(
            "policy.yaml",
            format!("{policy}  deny_digests: ['{digest}']\n"),
        );
    };

    // The index itself: what it lists is denied too.
    deny(stage.index.digest().to_string());
    let (json, text, verified) = seen(&stage);
    assert_eq!(verified, 4, "{text}");
    assert_eq!(
        (&json["denied"], &json["accepted"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(json["attached"][0]["verdict"], "refused");
    assert_eq!(json["children"][0]["denied"], true);
    // Its own signature is as good as none, and is called so too.
    let of_first = &json["children"][0]["attached"][0];
    assert_eq!(of_first["verdict"], "refused", "{json:#}");
    told(&text, &["it is in the denied index sha256:"]);
    assert!(!text.contains("accept"), "{text}");

    // One of its images: nobody knows which of them will be used, but with a platform somebody does.
    let denied = stage.index.images()[0].digest();
    deny(denied.to_string());
    let (json, text, verified) = seen(&stage);
    assert_eq!(verified, 4, "{text}");
    assert_eq!(
        (&json["denied"], &json["accepted"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(json["attached"][0]["verdict"], "not_enough");
    assert_eq!(json["children"][0]["denied"], true);
    assert_eq!(json["children"][0]["covered"], Value::Null);
    assert_eq!(json["children"][1]["covered"], true);
    told(
        &text,
        &[
            "verify      accepts it for its platform alone, by the index's signature",
            "verify      refuses it: it lists what is denied: the policy denies ",
        ],
    );
    let app = stage.reference("app:v1");
    for (platform, code) in [("linux/amd64", 4), ("linux/arm64", 0)] {
        let run = stage.verify(&["--platform", platform, &app]);
        assert_eq!(run.code, code, "{}", run.shown());
    }
}

#[tokio::test]
async fn a_policy_that_needs_no_trusted_root_asks_for_none() {
    let stage = Stage::new().await;
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    let spec = BundleSpec::new(about_the_index(&stage), RELEASE).signed_with(&key);
    let bundle = stage.sigstore.issue(&spec).unwrap();
    Image::signature(stage.index.descriptor(), bundle).push(&stage.registry, "app", None);
    stage.write("cosign.pub", key.public_pem());
    stage.write(
        "policy.yaml",
        "verification: {key: cosign.pub, ignore_tlog: true}",
    );
    let app = stage.reference("app:v1");
    let run = stage.run(&[&["tree", "--offline"], &POLICY, &[&app]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    told(
        &run.stdout,
        &[
            "verify      accepts it\n",
            "signature   key SHA-256:",
            "signed at   not known: no log entry was checked\n",
        ],
    );
}

#[tokio::test]
async fn a_signature_in_another_repository_counts_as_for_verify() {
    let stage = Stage::new().await;
    let bundle = stage
        .sigstore
        .issue(&BundleSpec::new(about_the_index(&stage), RELEASE))
        .unwrap();
    let index = stage.index.descriptor();
    Image::signature(index, bundle).push(&stage.registry, "signatures", None);
    let source = format!(
        "  signature_sources: ['{}']\n",
        stage.reference("signatures")
    );
    stage.write("policy.yaml", stage.policy(RELEASE) + &source);
    let (json, text, verified) = seen(&stage);
    assert_eq!((verified, &json["accepted"]), (0, &json!(true)), "{text}");
    told(&text, &["verify      accepts it\n"]);
}
