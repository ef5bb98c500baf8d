//! `countersign tree`: everything that is attached is shown, and only a genuine signer is named.

mod verdicts;

use countersign_sandbox::image::{Image, ImageIndex};
use countersign_sandbox::{
    BundleSpec, Flaw, SigningKey, SigningKeyKind, SimpleSigningPlace, Statement,
    push_simple_signing, simple_signing_payload,
};
use serde_json::{Value, json};

use crate::stage::{RELEASE, SERVICES, STRANGER, Stage, TRUST, image};

const SLSA: &str = "https://slsa.dev/provenance/v1";
const FORGER: &str = "https://github.com/forger/app/.github/workflows/x.yml@refs/heads/main";

/// An index with something of every kind attached; one image of it is signed by a stranger.
pub(crate) async fn stage() -> Stage {
    let stage = Stage::new().await;
    let index = stage.index.descriptor();
    let attach = |bundle: String| {
        Image::signature(index.clone(), bundle).push(&stage.registry, "app", None);
    };
    let statement = || Statement::of(index.digest.clone());
    let issue = |spec: BundleSpec| stage.sigstore.issue(&spec).unwrap();
    attach(issue(BundleSpec::new(statement(), RELEASE)));
    let provenance = statement().predicate(SLSA, json!({}));
    attach(issue(BundleSpec::new(provenance, RELEASE)));
    let forged = BundleSpec::new(statement(), FORGER).flaw(Flaw::UnknownCertificateAuthority);
    attach(issue(forged));
    attach("no bundle".to_owned());

    let sbom = Image::artifact("application/spdx+json").subject(index.clone());
    let sbom = sbom.layer("application/spdx+json", "{}").build();
    sbom.push(&stage.registry, "app", None);
    let signed = issue(BundleSpec::new(Statement::of(sbom.digest()), STRANGER));
    Image::signature(sbom.descriptor(), signed).push(&stage.registry, "app", None);

    let payload = simple_signing_payload(&index.digest, &stage.reference("app"), &Value::Null);
    let legacy = BundleSpec::new(payload, STRANGER);
    let legacy = stage.sigstore.issue_simple_signing(&legacy).unwrap();
    let place = SimpleSigningPlace::Tag;
    push_simple_signing(&stage.registry, "app", &index, place, &[legacy]);

    let envelope = "application/vnd.dsse.envelope.v1+json";
    let old = Image::artifact(envelope).layer(envelope, "{}").build();
    let tag = format!("sha256-{}.att", index.digest.hex());
    old.push(&stage.registry, "app", Some(&tag));

    let amd64 = stage.index.images()[0].descriptor();
    let signed = issue(BundleSpec::new(
        Statement::of(amd64.digest.clone()),
        STRANGER,
    ));
    Image::signature(amd64, signed).push(&stage.registry, "app", None);
    stage
}

/// The kinds of what is attached to the index, with their verdicts.
fn kinds(image: &Value) -> Vec<(String, Value)> {
    let attached = image["attached"].as_array().unwrap().iter();
    let mut kinds: Vec<_> = attached
        .map(|one| {
            (
                one["kind"].as_str().unwrap().to_owned(),
                one["verdict"].clone(),
            )
        })
        .collect();
    kinds.sort_by_key(|(kind, verdict)| (kind.clone(), verdict.to_string()));
    kinds
}

#[tokio::test]
async fn everything_is_shown_and_only_a_genuine_signer_is_named() {
    let stage = stage().await;
    let app = stage.reference("app:v1");
    let json = stage.run(&[&["tree"], &TRUST, &["--output", "json", &app]]);
    assert_eq!(json.code, 0, "{}", json.shown());
    assert!(!json.stdout.contains(FORGER), "{}", json.stdout);
    let document = json.json();
    assert_eq!(document["judged"], false);
    let index = &document["results"][0]["image"];
    let expected = [
        "attestation",
        "old_attestation",
        "sbom",
        "signature",
        "signature",
        "unproven",
        "unproven",
    ];
    assert_eq!(
        kinds(index),
        expected.map(|kind| (kind.to_owned(), Value::Null))
    );
    assert_eq!(index["signed"], true);
    assert_eq!(index.get("accepted"), None);
    let attached = index["attached"].as_array().unwrap();
    let one = |kind: &str| attached.iter().find(|one| one["kind"] == kind).unwrap();
    assert_eq!(one("attestation")["type"], SLSA);
    assert_eq!(one("attestation")["evidence"]["identity"], RELEASE);
    assert_eq!(one("unproven").get("evidence"), None);
    assert!(one("unproven")["reason"].is_string());
    assert_eq!(one("old_attestation")["place"], "attestation_tag");
    assert_eq!(one("sbom")["attached"][0]["evidence"]["identity"], STRANGER);
    let formats: Vec<_> = attached
        .iter()
        .filter(|one| one["kind"] == "signature")
        .map(|one| one["evidence"]["format"].clone())
        .collect();
    assert_eq!(formats, ["bundle", "simple_signing"]);
    let children = index["children"].as_array().unwrap();
    assert_eq!(children[0]["platform"], "linux/amd64");
    assert_eq!(children[0]["attached"][0]["evidence"]["identity"], STRANGER);
    assert_eq!(children[1]["signed"], false);

    let text = stage.run(&[&["tree"], &TRUST, &[&app]]);
    assert!(!text.stdout.contains(FORGER), "{}", text.stdout);
    for told in [
        "Nothing is judged here: anybody may sign an image.",
        "not signed  no genuine signature of its own; one of the index covers it",
        "form        simple signing, the legacy form of cosign",
        "unproven    a signature that is not proven to be genuine: nobody knows who made it",
    ] {
        assert!(text.stdout.contains(told), "{told}\n{}", text.stdout);
    }
}

#[tokio::test]
async fn with_a_policy_each_signature_is_accepted_or_refused() {
    let stage = stage().await;
    let app = stage.reference("app:v1");
    let policy = ["tree", "--policy", "policy.yaml"];
    let run = stage.run(&[&policy, &TRUST, &["--output", "json", &app]]);
    let document = run.json();
    assert_eq!(document["judged"], true);
    let index = &document["results"][0]["image"];
    let expected = [
        ("attestation", json!("refused")),
        ("old_attestation", Value::Null),
        ("sbom", Value::Null),
        ("signature", json!("accepted")),
        ("signature", json!("refused")),
        ("unproven", json!("refused")),
        ("unproven", json!("refused")),
    ];
    assert_eq!(
        kinds(index),
        expected.map(|(kind, verdict)| (kind.to_owned(), verdict))
    );
    assert_eq!(index["accepted"], true);
    assert_eq!(index["children"][0]["signed"], true);
    assert_eq!(index["children"][0]["accepted"], false);

    let told = stage.run(&[&policy, &TRUST, &[&app]]).stdout;
    assert!(told.contains("accepted    by the policy"), "{told}");
    assert!(!told.contains("Nothing is judged here"), "{told}");

    let denying = format!(
        "{}  deny_digests: ['{}']\n",
        stage.policy(RELEASE),
        stage.index.digest()
    );
    stage.write("policy.yaml", denying);
    let run = stage.run(&[&policy, &TRUST, &["--output", "json", &app]]);
    let index = run.json()["results"][0]["image"].clone();
    assert_eq!(
        (&index["denied"], &index["accepted"]),
        (&json!(true), &json!(false))
    );
    let text = stage.run(&[&policy, &TRUST, &[&app]]).stdout;
    for told in ["verify      refuses it: the policy denies ", "refused     "] {
        assert!(text.contains(told), "{told}\n{text}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_and_what_can_not_be_read_is_an_error() {
    let stage = Stage::new().await;
    let unsigned = ImageIndex::new(vec![image("linux/amd64"), image("linux/riscv64")]);
    unsigned.push(&stage.registry, "app", Some("lost"));
    let child = unsigned.images()[1].digest();
    assert!(stage.registry.remove_manifest("app", &child));
    let lost = stage.reference("app:lost");
    let run = stage.run(&[&["tree"], &TRUST, &[&lost]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    for told in [
        "not signed  no signature was found".to_owned(),
        "not signed  no genuine signature of its own, and none of the index".to_owned(),
        format!("missing     {child} for linux/riscv64"),
    ] {
        assert!(run.stdout.contains(&told), "{told}\n{}", run.stdout);
    }
    let missing = stage.run(&[&["tree"], &TRUST, &[&stage.reference("app:none")]]);
    assert_eq!(missing.code, 6, "{}", missing.shown());
    let half = stage.run(&[&["tree", "--issuer", "https://x.example"], &TRUST, &[&lost]]);
    assert_eq!(half.code, 2, "{}", half.shown());
}

/// Evidence by the policy's own key is evidence, of whatever kind, whether or not the policy asks for it.
#[tokio::test]
async fn all_that_the_policy_s_key_made_is_told_with_its_type_and_signer() {
    let stage = Stage::new().await;
    let [own, other] = [(); 2].map(|()| SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap());
    let about = || Statement::of(stage.index.digest());
    let slsa = || about().predicate(SLSA, json!({"x": 1}));
    let release = |statement| BundleSpec::new(statement, RELEASE);
    let attach = |spec: BundleSpec| {
        let bundle = stage.sigstore.issue(&spec).unwrap();
        Image::signature(stage.index.descriptor(), bundle).push(&stage.registry, "app", None);
    };
    attach(release(about()).signed_with(&own));
    attach(release(slsa()).signed_with(&own));
    attach(release(slsa()).signed_with(&own).without_logs());
    attach(release(about()).signed_with(&other));
    attach(release(slsa()));
    stage.write("cosign.pub", own.public_pem());
    let app = stage.reference("app:v1");
    for (rules, accepted) in [
        ("", "signature"),
        (&*format!(", predicate_types: ['{SLSA}']"), "attestation"),
        (
            &format!(", require: [{{predicate_type: '{SLSA}'}}]"),
            "attestation",
        ),
    ] {
        stage.write(
            "policy.yaml",
            format!("verification: {{key: cosign.pub{rules}}}"),
        );
        let policy = ["tree", "--policy", "policy.yaml"];
        let run = stage.run(&[&policy, &TRUST, &["--output", "json", &app]]);
        let document = run.json();
        let index = &document["results"][0]["image"];
        let attached = index["attached"].as_array().unwrap();
        let count = |kind: &str, by: &str| {
            let of = |one: &&Value| one["kind"] == kind && one["evidence"][by].is_string();
            attached.iter().filter(of).count()
        };
        assert_eq!(count("signature", "key"), 1, "{rules}: {index:#}");
        assert_eq!(count("attestation", "key"), 2, "{rules}: {index:#}");
        assert_eq!(count("attestation", "identity"), 1, "{rules}: {index:#}");
        let unproven = attached.iter().filter(|one| one["kind"] == "unproven");
        assert_eq!(unproven.count(), 1, "the other key's: {index:#}");
        for one in attached {
            let counts = one["kind"] == accepted
                && one["evidence"]["key"].is_string()
                && one["evidence"]["log_index"].is_number();
            let verdict = if counts { "accepted" } else { "refused" };
            assert_eq!(one["verdict"], verdict, "{rules}: {one:#}");
        }
    }
}

/// A key needs no trusted root to be recognised, and a signature by a key that is not named says what to do.
#[tokio::test]
async fn without_a_trusted_root_only_the_signatures_of_the_named_key_have_a_signer() {
    const UNKNOWN: &str = "not known   whether it is signed: ";
    const NAME_IT: &str = "because     signed by a key; name it with --key\n";
    let stage = Stage::new().await;
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    let spec = BundleSpec::new(Statement::of(stage.index.digest()), RELEASE).signed_with(&key);
    let bundle = stage.sigstore.issue(&spec).unwrap();
    Image::signature(stage.index.descriptor(), bundle).push(&stage.registry, "app", None);
    stage.write("own.pub", key.public_pem());
    let other = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    stage.write("other.pub", other.public_pem());
    let app = stage.reference("app:v1");
    let shown = |flags: &[&str]| {
        let run = stage.run(&[&["tree"], flags, &[&app]]);
        assert_eq!(run.code, 0, "{}", run.shown());
        run.stdout
    };
    let says = |text: &str, told: &[&str], not_told: &[&str]| {
        for part in told {
            assert!(text.contains(part), "{part}\n{text}");
        }
        for part in not_told {
            assert!(!text.contains(part), "{part}\n{text}");
        }
    };
    let own = shown(&["--offline", "--key", "own.pub"]);
    let why = "\nNothing is judged, and no certificate or log entry could be checked, since ";
    let signer = "signature   key SHA-256:";
    says(&own, &[signer, why], &["verify ", UNKNOWN, "--policy FILE"]);
    let other = shown(&["--offline", "--key", "other.pub"]);
    let another = "because     signed by another key than the one that is named\n";
    says(
        &other,
        &[another, why, UNKNOWN],
        &["not signed", "key SHA-256:"],
    );
    let none = shown(&["--offline"]);
    says(&none, &[NAME_IT, UNKNOWN], &["not signed"]);
    let rooted = shown(&TRUST);
    says(&rooted, &[NAME_IT, "not signed"], &["the policy", UNKNOWN]);

    let json = ["tree", "--offline", "--output", "json", "--key", "own.pub"];
    let json = stage.run(&[&json, &[&app]]).json();
    assert_eq!(json["judged"], false);
    assert_eq!(json["trusted_root_error"]["kind"], "usage");
    let image = &json["results"][0]["image"];
    assert_eq!(image["signed"], true);
    assert_eq!(image.get("accepted"), None);
    assert_eq!(image["attached"][0].get("verdict"), None);
}

/// What is attached is shown without a trusted root, and a wrong name is told as what it is.
#[tokio::test]
async fn without_a_trusted_root_everything_is_unproven_and_it_is_said_why() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let run = stage.run(&[&["tree", "--offline", &app]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(!run.stdout.contains(RELEASE), "{}", run.stdout);
    assert!(!run.stdout.contains("not signed"), "{}", run.stdout);
    for told in [
        "unproven    a signature that is not proven to be genuine",
        "because     there is no trusted root to check it with",
        "not known   whether it is signed: not all that is attached could be checked",
        "\nNo signature could be checked, since there is no trusted root: ",
    ] {
        assert!(run.stdout.contains(told), "{told}\n{}", run.stdout);
    }
    let json = stage
        .run(&[&["tree", "--offline", "--output", "json", &app]])
        .json();
    assert_eq!(json["trusted_root_error"]["kind"], "usage");
    assert_eq!(
        json["results"][0]["image"].get("signed"),
        None,
        "nobody knows"
    );
    // Of an image with nothing attached there is nothing to say.
    stage.push_unsigned("bare");
    let bare = stage.run(&[&["tree", "--offline", &stage.reference("app:bare")]]);
    assert!(
        bare.stdout.contains("not signed  no signature was found"),
        "{}",
        bare.stdout
    );
    assert!(!bare.stdout.contains("trusted root"), "{}", bare.stdout);
    // A policy can't be applied without.
    let judged = stage.run(&[&["tree", "--offline", "--policy", "policy.yaml", &app]]);
    assert_eq!(judged.code, 2, "{}", judged.shown());

    let missing = stage.reference("app:v9");
    for policy in [&[][..], &["--policy", "policy.yaml"]] {
        let run = stage.run(&[&["tree", "--offline"], policy, &[&missing]]);
        assert_eq!(run.code, 6, "{}", run.shown());
        assert!(!run.stderr.contains("trusted root"), "{}", run.stderr);
    }
    let json = stage
        .run(&[&["tree", "--offline", "--output", "json", &missing]])
        .json();
    let result = &json["results"][0];
    assert_eq!(result["reference"], missing);
    assert_eq!(result["error"]["kind"], "not_found");
}

/// What a policy with `bind_name` or `annotations` decides by.
#[tokio::test(flavor = "multi_thread")]
async fn signatures_of_one_image_are_told_apart_by_name_and_annotations() {
    let stage = Stage::new().await;
    let app = stage.reference(&format!("app:v1@{}", stage.index.digest()));
    let sign = [&["sign", "--identity-token=@token"], &TRUST[..], &SERVICES].concat();
    for more in [&[][..], &["-a", "stage=release"]] {
        let run = stage.run(&[&sign, more, &[&app]]);
        assert_eq!(run.code, 0, "{}", run.shown());
    }
    let run = stage.run(&[&["tree"], &TRUST, &[&stage.reference("app:v1")]]);
    let says = format!("name        {}\n", stage.reference("app:v1"));
    assert!(run.stdout.contains(&says), "{}", run.shown());
    assert!(
        run.stdout.contains("annotation  stage=release\n"),
        "{}",
        run.shown()
    );
}
