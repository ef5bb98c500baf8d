//! Warnings that depend on what a provider's issuer and identities look like.

use countersign_policy::Warning;

use crate::explain::{ISSUER, warnings};

/// Addresses have no repository. One domain is what such a policy means.
#[test]
fn a_pattern_of_addresses_at_one_domain_is_not_weak() {
    let open = |issuer: &str, pattern: &str| {
        let found = warnings(
            &format!("issuer: {issuer}"),
            &format!("identity_regex: '{pattern}'"),
            "",
        );
        let open = found
            .into_iter()
            .find(|one| matches!(one, Warning::OpenRepository { .. }));
        open.map(|one| one.to_string())
    };
    for issuer in ["https://accounts.google.com", "https://dex.acme.example"] {
        assert_eq!(open(issuer, r".+@acme\.example"), None, "{issuer}");
        for pattern in [
            ".*",
            ".+@.+",
            r".*@acme\..*",
            r"a@acme\.example|.*@b\.example",
        ] {
            let said = open(issuer, pattern).unwrap();
            assert!(said.contains("nor the domain of an address"), "{said}");
        }
        let said = open(issuer, r"https://.*@acme\.example").unwrap();
        assert!(said.contains("does not fix the repository"), "{said}");
    }
    // Workflows have a ref behind the `@`.
    assert!(open(ISSUER, r".+@acme\.example").is_some());
}

/// `https://` before such a name is no issuer either.
#[test]
fn the_name_of_a_provider_is_answered_with_its_issuer() {
    for (name, issuer) in [
        ("github", ISSUER),
        ("GitHub.com", ISSUER),
        ("gitlab", "https://gitlab.com"),
    ] {
        let found = warnings(&format!("issuer: {name}"), "identity: acme/app", "");
        let [Warning::IssuerWithoutScheme { expected, .. }] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(expected, issuer);
    }
}
