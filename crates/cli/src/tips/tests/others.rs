//! Words of other programs, in short: the tip says what to type here.

use super::said_of;

/// What skopeo, oras, crane and docker call it.
#[test]
fn what_others_call_it_is_answered() {
    for (line, says) in [
        ("copy --recursive a/b c/d", "leave it out"),
        ("copy --to-oci-layout a/b c/d", "ocifile://DIR"),
        ("copy --dry-run a/b c/d", "countersign verify"),
        ("sign --platform linux/amd64 a/b", "leave it out"),
        ("verify --cert-dir x a/b", "--registry-ca"),
        ("verify --log-level debug a/b", "-vv"),
        ("verify --retry-times 3 a/b", "leave it out"),
        ("verify --no-color a/b", "--color never"),
        ("verify --allow-insecure-registry a/b", "--plain-http"),
        ("list -o yaml", "'json'"),
        (
            "install -o x a/b",
            "countersign install REFERENCE DIRECTORY",
        ),
        ("install --dir x a/b", "countersign install IMAGE DIRECTORY"),
        ("config a.example/b:v1", "countersign tree"),
        ("image rm x", "countersign remove"),
        ("attach sbom x", "cosign attest"),
        ("check --repair x", "countersign upgrade --reinstall"),
        ("upgrade --from-lock", "countersign install"),
        ("merge --by-tag x", "NAME@DIGEST"),
        ("policy explain x", "countersign policy check"),
        ("mirror x y", "countersign copy"),
        ("lock", "--from-lock"),
        ("sign --fulcio-auth-flow device x", "--login device"),
        ("attest-blob x", "cosign attest"),
        ("standalone-verify x", "cosign verify-blob"),
        ("verify --all x", "--all-platforms"),
        ("list --digests", "--long"),
        ("docker pull x", "leave it out"),
        ("install -p policy.yaml x y", "'--policy FILE'"),
        ("install --allow-unsigned x y", "nothing turns off"),
        (
            "policy init https://github.com/acme/app",
            "run 'countersign policy init' alone",
        ),
        (
            "policy init --from https://gitlab.com/acme/app",
            "run 'countersign policy init' alone",
        ),
    ] {
        let said = said_of(line);
        let found = said.lines().find(|line| line.contains("tip:"));
        let found = found.unwrap_or_else(|| panic!("{line}: {said}"));
        assert!(found.contains(says), "{line}: {found}");
    }
    assert!(!said_of("policy check --fix x").contains("upgrade --reinstall"));
}
