//! `countersign policy export` and `policy import`.

use crate::stage::Stage;

const WORKFLOW: &str = r"
verification:
  issuer: https://token.actions.githubusercontent.com
  identity_regex: https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+
  not_before: 2026-08-05T00:00:00Z
  deny_digests: ['sha256:4e85e8b64adf6ff23b73225fb19e35c57f134d32ea56bd399ebe47534da1f29c']
";

#[tokio::test]
async fn what_is_lost_is_an_error_and_with_lossy_a_warning_and_a_comment() {
    let stage = Stage::new().await;
    stage.write("acme.yaml", WORKFLOW);
    let export = [
        "policy",
        "export",
        "--to=talos",
        "--images=quay.io/acme/**",
        "acme.yaml",
    ];
    let refused = stage.run(&[&export]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(refused.stderr, @r#"
        error: talos can't express all of the policy
            `not_before`: signatures of any time are accepted there
            `deny_digests`: these images are accepted there
          hint: pass --lossy to export the policy without these, or enforce it with `countersign image-verifier`
        "#);
    let lossy = stage.run(&[&export, &["--lossy"]]);
    assert_eq!(lossy.code, 0);
    insta::assert_snapshot!(lossy.shown(), @r#"
        exit code 0
        --- standard output
        # Made by `countersign policy export --to talos`.
        # Lost: `not_before`: signatures of any time are accepted there.
        # Lost: `deny_digests`: these images are accepted there.
        apiVersion: v1alpha1
        kind: ImageVerificationConfig
        rules:
        - image: quay.io/acme/*
          keyless:
            issuer: https://token.actions.githubusercontent.com
            subjectRegex: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+)$
        --- standard error
        warning: lost: `not_before`: signatures of any time are accepted there
        warning: lost: `deny_digests`: these images are accepted there
        note: the first rule that matches an image counts, and an image that no rule matches is not verified
        note: an attestation by the same signer counts as a signature
        note: a signature in the legacy form counts where an image has no bundle
        "#);
    let json = stage.run(&[&export, &["--lossy", "--output=json"]]).json();
    assert_eq!(json["results"][0]["field"], "not_before");
    assert_eq!(json["results"][1]["field"], "deny_digests");
    assert_eq!(json["policy"], lossy.stdout);

    // And back, without what was lost.
    stage.write("talos.yaml", lossy.stdout);
    let imported = stage.run(&[&["policy", "import", "talos.yaml"]]);
    assert_eq!(imported.code, 0);
    insta::assert_snapshot!(imported.shown(), @r#"
        exit code 0
        --- standard output
        # For the images quay.io/acme/*
        verification:
          issuer: https://token.actions.githubusercontent.com
          identity_regex: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+)$
        --- standard error
        note: Talos accepts the legacy form and any attestation too; the policy does not
        "#);
    stage.write("back.yaml", imported.stdout);
    assert_eq!(stage.run(&[&["policy", "check", "back.yaml"]]).code, 0);
}

#[tokio::test]
async fn what_can_t_be_exported_or_imported_says_what_to_do() {
    let stage = Stage::new().await;
    stage.write("acme.yaml", WORKFLOW);
    let run = |words: &[&str]| {
        let run = stage.run(&[&["policy"], words]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        run.stderr
    };
    let containers = run(&[
        "export",
        "--to=containers",
        "--images=**",
        "--lossy",
        "acme.yaml",
    ]);
    insta::assert_snapshot!(containers, @r#"
        error: containers can't express `identity`: it knows e-mail addresses only, and no bundles; pull what `countersign verify --print-digest` prints, or use a `key`
          hint: `countersign image-verifier` applies the whole policy at each node
        "#);
    let rules = format!(
        "rules:\n- images: ['**']\n{}",
        WORKFLOW.replace("\n", "\n  ")
    );
    stage.write("image-verifier.yaml", rules);
    let rules = run(&[
        "export",
        "--to=kyverno",
        "--images=**",
        "image-verifier.yaml",
    ]);
    insta::assert_snapshot!(rules, @"
    error: the rules of image-verifier.yaml have their own images and mode
      hint: leave --images and --mode out
    ");
    insta::assert_snapshot!(run(&["export", "--to=flux", "image-verifier.yaml"]), @"
    error: flux can't express `rules`: the object that gets the block names its image; put the `verification` of one rule into a policy file, and export that
      hint: `countersign image-verifier` applies the whole policy at each node
    ");
    insta::assert_snapshot!(run(&["export", "--to=talos", "image-verifier.yaml"]), @"
    error: talos can't express all of the policy
        `not_before` of rule 1: signatures of any time are accepted there
        `deny_digests` of rule 1: these images are accepted there
      hint: pass --lossy to export the policy without these, or enforce it with `countersign image-verifier`
    ");
    // It can say for which images a policy is: they are only not named.
    insta::assert_snapshot!(run(&["export", "--to=kyverno", "acme.yaml"]), @"
    error: kyverno needs the images that the policy is for, and none are named
      hint: pass --images 'quay.io/acme/**', with a pattern of your images
    ");
    insta::assert_snapshot!(run(&["export", "--to=kyverno", "--images=*/x", "acme.yaml"]), @r#"
        error: invalid value '*/x' for '--images <PATTERN>': a `*` in its first part is neither a host nor a name on Docker Hub; write the host, or `*.DOMAIN`, or `**` alone for every image

        For more information, try '--help'.
        "#);
    insta::assert_snapshot!(run(&["import", "acme.yaml"]), @r#"
        error: can't import acme.yaml: expected a ClusterImagePolicy, an ImageVerificationConfig, an OCIRepository, or a policy.json of containers/image, found no `kind` and no `transports`
          hint: this is a policy of countersign already: pass it with --policy
        "#);
}

#[tokio::test]
async fn the_configuration_of_an_image_verifier_is_exported_whole() {
    let stage = Stage::new().await;
    stage.write(
        "image-verifier.yaml",
        "default: deny
rules:
- images: [registry.k8s.io/**]
  allow: true
  reason: signed by others
- images: [quay.io/acme/**]
  verification:
    issuer: https://token.actions.githubusercontent.com
    identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
",
    );
    let exported = stage.run(&[&["policy", "export", "--to=talos", "image-verifier.yaml"]]);
    insta::assert_snapshot!(exported.shown(), @r#"
    exit code 0
    --- standard output
    # Made by `countersign policy export --to talos`.
    apiVersion: v1alpha1
    kind: ImageVerificationConfig
    rules:
    - image: registry.k8s.io/*
      skip: true
    - image: quay.io/acme/*
      keyless:
        issuer: https://token.actions.githubusercontent.com
        subject: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
    - image: "*"
      deny: true
    --- standard error
    note: an attestation by the same signer counts as a signature
    note: a signature in the legacy form counts where an image has no bundle
    "#);
}
