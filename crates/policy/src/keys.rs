//! The keys of policy files that more than one module goes by.

pub(crate) const VERIFICATION: &str = "verification";
pub(crate) const GALLERIES: &str = "galleries";
pub(crate) const TRUST: &str = "trust";
const REQUIRE_INTEGRITY: &str = "require_integrity";

/// The keys by which a mapping is a document, and not a `verification` block's own keys.
pub(crate) const DOCUMENT_KEYS: [&str; 3] = [VERIFICATION, GALLERIES, REQUIRE_INTEGRITY];

/// Keys whose value is a text. A number there is a mistake: no issuer, identity or time is one.
pub(crate) const TEXTS: [&str; 7] = [
    ISSUER.exact,
    ISSUER.regex,
    IDENTITY.exact,
    IDENTITY.regex,
    KEY,
    NOT_BEFORE,
    MIN_AGE,
];
/// Conditions on the time of a signature. Beside `ignore_tlog` there is none of them.
pub(crate) const TIME_CONDITIONS: [&str; 2] = [NOT_BEFORE, MIN_AGE];
const NOT_BEFORE: &str = "not_before";
const MIN_AGE: &str = "min_age";
/// Keys of mappings whose keys are the author's own. A number is as good as a text there.
pub(crate) const OWN_KEYS: [&str; 3] = ["claims", "annotations", "predicate"];

/// How many [`signature_sources`](crate::Policy::signature_sources) a policy may have.
pub const SIGNATURE_SOURCES_MAX: usize = 8;

/// Two keys of which a signer has exactly one.
pub(crate) struct Pair {
    /// For the value itself.
    pub(crate) exact: &'static str,
    /// For a pattern.
    pub(crate) regex: &'static str,
}

/// Who vouches for the identity.
pub(crate) const ISSUER: Pair = Pair {
    exact: "issuer",
    regex: "issuer_regex",
};

/// Who signed.
pub(crate) const IDENTITY: Pair = Pair {
    exact: "identity",
    regex: "identity_regex",
};

/// A public key, in place of both pairs.
pub(crate) const KEY: &str = "key";
/// Whether log entries and timestamps of a key's signatures are not read.
pub(crate) const IGNORE_TLOG: &str = "ignore_tlog";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Which proven time a condition goes by is no detail: it says who can cheat it.
    #[test]
    fn the_pages_say_which_time_each_condition_goes_by() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = |name| fs::read_to_string(root.join(name)).unwrap();
        let (security, policies) = (page("docs/security-model.md"), page("docs/policy.md"));
        let (_, times) = security.split_once("\n## Times\n").unwrap();
        let (times, _) = times.split_once("\n## ").unwrap();
        for key in TIME_CONDITIONS {
            let named = times.contains(&format!("`{key}`"));
            assert!(
                named,
                "docs/security-model.md says nothing of `{key}` in \"Times\""
            );
            let section = policies.split_once(&format!("\n### `{key}`\n"));
            let section = section.and_then(|(_, rest)| rest.split("\n### ").next());
            let says = section.is_some_and(|section| section.contains("proven time"));
            assert!(
                says,
                "docs/policy.md has no section `{key}` that says which proven time counts"
            );
        }
    }
}
