//! `sign --also-verify-with cosign`, with a program in cosign's place that notes what it is asked.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;

use crate::stage::{RELEASE, Run, SERVICES, Stage, TRUST, run};

/// Variables by which a program gets the identity of a job, in any CI.
const SECRETS: [&str; 6] = [
    "SIGSTORE_ID_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
];

impl Stage {
    /// Puts a `cosign` into `bin`, which notes its arguments and its secrets, and ends with `code`.
    fn cosign(&self, code: u8) {
        let secrets = SECRETS.map(|name| format!("${name}")).concat();
        let script = format!(
            "#!/bin/sh\necho \"$@ secrets={secrets}\" >> cosign.log\n\
             echo 'Error: no matching signatures' >&2\nexit {code}\n"
        );
        self.write("bin/cosign", script);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path("bin/cosign"), executable).unwrap();
    }

    fn also_verified(&self, flags: &[&str]) -> Run {
        let image = self.reference(&format!("app@{}", self.index.digest()));
        let words = ["--also-verify-with", "cosign", "--then-tag", "next", &image];
        let mut command = self.command(&[&["sign"][..], &TRUST, &SERVICES, flags, &words].concat());
        let token = self.sigstore.token(RELEASE);
        command
            .envs(SECRETS.map(|name| (name, "secret")))
            .env("PATH", self.path("bin"))
            .env("SIGSTORE_ID_TOKEN", token);
        run(&mut command)
    }

    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("cosign.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_is_asked_about_each_manifest_as_signed_by_the_certificate() {
    let stage = Stage::new().await;
    stage.cosign(0);
    let run = stage.also_verified(&[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let asked = stage.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for one in &asked {
        let begins = format!(
            "verify --new-bundle-format --trusted-root trusted_root.json \
             --certificate-identity={RELEASE} --certificate-oidc-issuer={} -- ",
            stage.issuer()
        );
        assert!(one.starts_with(&begins), "{one}");
        assert!(one.ends_with(" secrets="), "{one}");
    }
    let index = stage.index.digest();
    assert!(asked.iter().any(|one| one.contains(&index.to_string())));
    assert_eq!(stage.registry.tagged("app", "next"), Some(index));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cosign_refuses_gets_no_tag() {
    let stage = Stage::new().await;
    stage.cosign(10);
    let run = stage.also_verified(&[]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    for said in ["Error: no matching signatures", "no tag was changed"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    assert_eq!(stage.registry.tagged("app", "next"), None);
    let document = stage.also_verified(&["--output=json"]).json();
    assert_eq!(
        document["error"]["tags_not_written"],
        serde_json::json!([stage.reference("app:next")])
    );
    // They are signed, and stay so.
    let results = document["results"].as_array().unwrap();
    assert!(results.iter().all(|one| one["outcome"] == "already_signed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cosign_nothing_is_signed() {
    let stage = Stage::new().await;
    let run = stage.also_verified(&[]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("install cosign"), "{}", run.stderr);
    assert_eq!(stage.sigstore.requests(), []);
    assert_eq!(stage.registry.tagged("app", "next"), None);
}
