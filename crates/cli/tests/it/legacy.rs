//! Signatures in cosign's legacy form (simple signing), from the registry to what the program prints.

use countersign_sandbox::{
    BundleSpec, SimpleSigningPlace, push_simple_signing, simple_signing_payload,
};
use serde_json::Value;

use crate::stage::{RELEASE, Stage, TRUST};

/// Signs the index in the legacy form, at the tag for it.
fn sign(stage: &Stage) {
    let reference = stage.reference("app");
    let payload = simple_signing_payload(&stage.index.digest(), &reference, &Value::Null);
    let spec = BundleSpec::new(payload, RELEASE);
    let signature = stage.sigstore.issue_simple_signing(&spec).unwrap();
    let index = stage.index.descriptor();
    let place = SimpleSigningPlace::Tag;
    push_simple_signing(&stage.registry, "app", &index, place, &[signature]);
}

#[tokio::test]
async fn a_policy_decides_whether_a_legacy_signature_counts() {
    let stage = Stage::new().await;
    sign(&stage);
    let reference = stage.reference("app:v1");
    let refused = stage.verify(&[&reference]);
    assert_eq!(refused.code, 3, "{}", refused.shown());
    for way_out in [
        "countersign sign",
        "signature_formats: [bundle, simple_signing]",
    ] {
        assert!(refused.stderr.contains(way_out), "{}", refused.stderr);
    }

    let policy = stage.policy(RELEASE) + "  signature_formats: [bundle, simple_signing]\n";
    stage.write("policy.yaml", policy);
    let accepted = stage.verify(&[&reference]);
    assert_eq!(accepted.code, 0, "{}", accepted.shown());
    assert!(
        accepted.stdout.contains("simple signing"),
        "{}",
        accepted.shown()
    );
    let json = stage.verify(&["--output", "json", &reference]).json();
    let evidence = &json["results"][0]["evidence"];
    assert_eq!(evidence["format"], "simple_signing");
    assert_eq!(evidence["subject_name"], stage.reference("app"));

    let installed = stage.install(&[&reference, "here"]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
}

/// What a run made is told, and not what was there before.
#[tokio::test(flavor = "multi_thread")]
async fn signed_in_both_forms_an_image_has_an_entry_for_each() {
    let stage = Stage::new().await;
    let app = stage.reference(&format!("app@{}", stage.index.images()[0].digest()));
    stage.index.images()[0].push(&stage.registry, "app", None);
    let token = ["--identity-token", "@token"];
    let bundle = stage.sign(&[&token[..], &[&app]].concat());
    assert_eq!(bundle.code, 0, "{}", bundle.shown());
    let both = ["--format", "both", "--output", "json", &app];
    let run = stage.sign(&[&token[..], &both].concat());
    assert_eq!(run.code, 0, "{}", run.shown());
    let document = run.json();
    let told = |result: &Value| {
        let field = |name: &str| result[name].as_str().unwrap().to_owned();
        (field("format"), field("outcome"))
    };
    let results = document["results"].as_array().unwrap();
    let expected = [("bundle", "already_signed"), ("simple_signing", "signed")];
    let expected = expected.map(|(format, outcome)| (format.to_owned(), outcome.to_owned()));
    assert_eq!(results.iter().map(told).collect::<Vec<_>>(), expected);
    let entries = results
        .iter()
        .map(|result| &result["evidence"]["log_index"]);
    let entries: Vec<_> = entries.collect();
    assert_ne!(entries[0], entries[1]);

    // The policy of such an image needs no other form than the bundle.
    let init = ["policy", "init", "--from", &app];
    let made = stage.run(&[&init, &TRUST]);
    assert_eq!(made.code, 0, "{}", made.shown());
    assert!(
        !made.stdout.contains("signature_formats"),
        "{}",
        made.stdout
    );
}

/// `bind_name` binds the repository alone if the payload names no tag: whoever reads the result has to know.
#[tokio::test]
async fn a_name_that_is_bound_without_its_tag_is_told_everywhere() {
    let stage = Stage::new().await;
    sign(&stage);
    let reference = stage.reference("app:v1");
    let rules = "  signature_formats: [bundle, simple_signing]\n  bind_name: true\n";
    let policy = stage.policy(RELEASE) + rules;
    stage.write("policy.yaml", &policy);
    let told = "name       binds the repository only: the signature names no tag";
    let verified = stage.verify(&[&reference]);
    assert_eq!(verified.code, 0, "{}", verified.shown());
    assert!(verified.stdout.contains(told), "{}", verified.stdout);
    let json = stage.verify(&["--output", "json", &reference]).json();
    assert_eq!(json["results"][0]["evidence"]["bound_name"], "repository");
    let tree = stage.run(&[&["tree", "--policy", "policy.yaml"], &TRUST, &[&reference]]);
    assert!(
        tree.stdout
            .contains("name        binds the repository only"),
        "{}",
        tree.stdout
    );

    let gallery = policy.replace('\n', "\n    ");
    stage.write("index.yaml", format!("[{{name: app, uri: '{reference}'}}]"));
    stage.write(
        "galleries.yaml",
        format!("galleries:\n  - name: acme\n    url: file:index.yaml\n    {gallery}\n"),
    );
    let install = [
        "install",
        "--gallery=galleries.yaml",
        "--platform=linux/amd64",
        "--lock",
        "app",
    ];
    let installed = stage.run(&[&install, &TRUST]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
    assert!(installed.stdout.contains(told), "{}", installed.stdout);
    let lock = std::fs::read_to_string(stage.path("countersign.lock")).unwrap();
    assert!(lock.contains("\n  any_tag: true\n"), "{lock}");
    let listed = stage.run(&[&["list", "--output", "json"]]).json();
    let recorded = &listed["results"][0]["installation"]["evidence"];
    assert_eq!(recorded["bound_name"], "repository", "{listed:#}");
    let again = stage.run(&[
        &["install", "--gallery=galleries.yaml", "--from-lock"],
        &TRUST,
    ]);
    assert_eq!(again.code, 0, "{}", again.shown());

    // A bundle with the whole name binds all of it.
    stage.signed("app:v1", RELEASE);
    stage.write("policy.yaml", stage.policy(RELEASE));
    let json = stage.verify(&["--output", "json", &reference]).json();
    assert!(json["results"][0]["evidence"].get("bound_name").is_none());
}

/// A gallery whose CI signs with cosign 2 in the mode `oci-1-1`, as its maintainers do who are sure that these are
/// bundles. The refusal names the case and both ways out; the policy that accepts the form installs.
#[tokio::test]
async fn a_gallery_signed_by_cosign_2_as_referrers_is_installed_by_a_policy_that_says_so() {
    let stage = Stage::new().await;
    let reference = stage.reference("app");
    let payload = simple_signing_payload(&stage.index.digest(), &reference, &Value::Null);
    let spec = BundleSpec::new(payload, RELEASE);
    let signature = stage.sigstore.issue_simple_signing(&spec).unwrap();
    let index = stage.index.descriptor();
    let place = SimpleSigningPlace::Referrer;
    push_simple_signing(&stage.registry, "app", &index, place, &[signature]);
    stage.write(
        "index.yaml",
        format!("- &chat\n  name: chat\n  alias: chat\n  capabilities: {{default: cpu-chat}}\n- !!merge <<: *chat\n  name: cpu-chat\n  uri: '{reference}:v1'\n"),
    );
    let gallery = |formats: &str| {
        let policy = stage.policy(RELEASE).replace("\n  ", "\n    ");
        let policy = policy.trim_end().replace("verification", "  verification");
        let text = format!("- name: models\n  url: file:index.yaml\n{policy}\n{formats}");
        stage.write("galleries.yaml", text);
    };
    let flags = ["--gallery", "galleries.yaml", "--platform", "linux/amd64"];
    let install = || {
        stage.run(&[
            &["install"],
            &TRUST,
            &flags,
            &["--capability", "default", "chat"],
        ])
    };

    gallery("");
    let refused = install();
    assert_eq!(refused.code, 3, "{}", refused.shown());
    for said in [
        "cosign 2's `oci-1-1` mode does not help",
        "`cosign sign --new-bundle-format`",
        "`countersign sign`",
        "`signature_formats: [bundle, simple_signing]`",
    ] {
        assert!(refused.stderr.contains(said), "{said}\n{}", refused.shown());
    }
    assert!(stage.run(&[&["list", "--quiet"]]).stdout.lines().count() == 0);

    gallery("    signature_formats: [bundle, simple_signing]\n");
    let installed = install();
    assert_eq!(installed.code, 0, "{}", installed.shown());
    assert!(
        installed.stdout.contains("simple signing"),
        "{}",
        installed.shown()
    );
}
