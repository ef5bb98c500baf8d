//! cosign's conditions on a workflow, which a policy has as claims.

/// Conditions of cosign on a workflow, the claims that are the same here, and what stands before the value. A workflow's
/// name is no claim.
const WORKFLOW_CLAIMS: &[(&str, Option<&str>, &str)] = &[
    (
        "--certificate-github-workflow-repository",
        Some("source_repository_uri"),
        "https://github.com/",
    ),
    (
        "--certificate-github-workflow-ref",
        Some("source_repository_ref"),
        "",
    ),
    (
        "--certificate-github-workflow-sha",
        Some("source_repository_digest"),
        "",
    ),
    (
        "--certificate-github-workflow-trigger",
        Some("build_trigger"),
        "",
    ),
    ("--certificate-github-workflow-name", None, ""),
];

/// Options that say who must have signed, and the keys of a policy that are the same. cosign's patterns may match any part, a
/// policy's the whole.
const SIGNER_KEYS: &[(&[&str], &str)] = &[
    (&["--issuer", "--certificate-oidc-issuer"], "issuer"),
    (
        &["--issuer-regex", "--certificate-oidc-issuer-regexp"],
        "issuer_regex",
    ),
    (&["--identity", "--certificate-identity"], "identity"),
    (
        &["--identity-regex", "--certificate-identity-regexp"],
        "identity_regex",
    ),
];

/// The policy that says all of cosign's conditions that were typed: those on a workflow, and whose signature it has to be.
pub(super) fn claims(name: &str, words: &[&str]) -> Option<String> {
    WORKFLOW_CLAIMS
        .iter()
        .find(|(option, ..)| *option == name)?;
    let (mut signer, mut claims) = (Vec::new(), Vec::new());
    let (mut nameless, mut has_pattern) = (false, false);
    for (at, word) in words.iter().enumerate() {
        let (option, behind) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (*word, words.get(at + 1).copied()),
        };
        let behind = behind.unwrap_or("...").replace('\'', "''");
        let of_signer = SIGNER_KEYS.iter().find(|(one, _)| one.contains(&option));
        if let Some((_, key)) = of_signer {
            signer.push(format!("{key}: '{behind}'"));
            has_pattern |= key.ends_with("_regex");
        }
        let Some((_, claim, before)) = WORKFLOW_CLAIMS.iter().find(|(one, ..)| *one == option)
        else {
            continue;
        };
        match claim {
            Some(claim) => claims.push(format!("{claim}: '{before}{behind}'")),
            None => nameless = true,
        }
    }
    let nothing = "no claim has a workflow's name: its file is in the identity";
    if claims.is_empty() {
        return Some(nothing.to_owned());
    }
    for (at, key) in ["issuer", "identity"].into_iter().enumerate() {
        if !signer.iter().any(|one| one.starts_with(key)) {
            signer.insert(at.min(signer.len()), format!("{key}: '...'"));
        }
    }
    let (signer, claims) = (signer.join(", "), claims.join(", "));
    // Before the file: what stands behind it would be copied with it.
    let mut also = String::new();
    if has_pattern {
        also.push_str("; a pattern must match the whole text");
    }
    if nameless {
        also.push_str("; ");
        also.push_str(nothing);
    }
    Some(format!(
        "write a policy file, and pass '--policy FILE' in the place of these options{also}. The file: {{{signer}, claims: {{{claims}}}}}"
    ))
}
