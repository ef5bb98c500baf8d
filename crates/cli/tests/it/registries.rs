//! Signing into registries as they are, and what a registry may put on the terminal.

use countersign_sandbox::{DashedTags, Effect, Fault, RegistryOptions, RegistryServer};

use crate::stage::{RELEASE, Stage};

const LIST: &str = "GET /v2/app/referrers/*";

#[tokio::test]
async fn what_is_signed_is_found_however_the_registry_lists_it() {
    let page = RegistryServer::start(RegistryOptions {
        faults: vec![Fault::on("*", Effect::too_many_requests(3600))],
        ..RegistryOptions::default()
    })
    .await
    .unwrap();
    let fault = |effect| vec![Fault::on(LIST, effect)];
    for (like, options) in [
        (
            "Harbor",
            RegistryOptions {
                referrers_api: true,
                faults: fault(Effect::ContentType("text/plain; charset=utf-8".into())),
                ..RegistryOptions::default()
            },
        ),
        (
            "GHCR",
            RegistryOptions {
                claims_subjects: true,
                faults: fault(Effect::Redirect(page.origin())),
                ..RegistryOptions::default()
            },
        ),
        (
            "GitLab",
            RegistryOptions {
                dashed_tags: DashedTags::DigestsUnlessPushed,
                ..RegistryOptions::default()
            },
        ),
    ] {
        let stage = Stage::with(options).await;
        let app = stage.reference("app:v1");
        assert_eq!(stage.verify(&[&app]).code, 3, "{like}");
        stage.signed("app:v1", RELEASE);
        let run = stage.verify(&[&app]);
        assert_eq!(run.code, 0, "{like}: {}", run.stderr);
    }
    assert_eq!(page.requests().len(), 0);
    page.clear_faults();
}

#[tokio::test]
async fn a_registry_that_keeps_no_list_is_named_with_what_to_do() {
    let stage = Stage::with(RegistryOptions {
        dashed_tags: DashedTags::Digests,
        ..RegistryOptions::default()
    })
    .await;
    let token = stage.sigstore.token(RELEASE);
    let run = stage.sign(&["--identity-token", &token, &stage.reference("app:v1")]);
    assert_eq!(run.code, 9, "{}", run.stderr);
    let said = "with the image itself, not with the list that was written there";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let hint = "hint: the signature was pushed, but nobody can find it; use a registry with the referrers API of OCI 1.1";
    assert!(run.stderr.contains(hint), "{}", run.stderr);
}

#[tokio::test]
async fn a_hostile_document_does_not_fill_the_terminal() {
    let stage = Stage::new().await;
    let text = format!("\u{202e}\u{1b}[2J{}", "A".repeat(1 << 20));
    let manifest = serde_json::json!({"schemaVersion": text, "manifests": []});
    let effect = Effect::Body(manifest.to_string().into());
    stage
        .registry
        .add_fault(Fault::on("GET /v2/app/manifests/v1", effect));
    let run = stage.verify(&[&stage.reference("app:v1")]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    assert!(run.stderr.len() < 8 << 10, "{} bytes", run.stderr.len());
    assert!(run.stderr.contains("A…\n"), "{}", run.stderr);
    assert!(
        !run.stderr.contains(['\u{202e}', '\u{1b}']),
        "{}",
        run.stderr
    );
}
