//! Finds the known key or name that is most similar to a misspelt one.

use crate::keys::{OWN_KEYS, TEXTS, TRUST, VERIFICATION};

/// Whether a text is too long to be a misspelling. Comparing it would take quadratic time.
pub(crate) fn is_too_long(text: &str) -> bool {
    text.len() > 128
}

/// The candidate that is most similar to `text`, if it is similar enough: at most one edit for three characters
/// (Damerau-Levenshtein; case is ignored, and `-` is the same as `_`).
pub fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    if is_too_long(text) {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let meant = plain(text);
    candidates
        .into_iter()
        .filter(|candidate| !is_too_long(candidate))
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&meant, &plain(candidate));
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// Other words for `verification`, as other tools or a tired author may write it.
const WORDS_FOR_VERIFICATION: [&str; 14] = [
    "cosign",
    "policies",
    "policy",
    "signature",
    "signatures",
    "signed_by",
    "signer",
    "signers",
    "signing",
    "sigstore",
    "trust_policy",
    "verifier",
    "verify",
    "verified_by",
];

/// As [`nearest`], among the keys that are valid in one place. What is no misspelling may be another word for one.
pub(crate) fn meant<'c>(
    found: &str,
    valid: impl IntoIterator<Item = &'c str> + Clone,
) -> Option<String> {
    let plain = found.to_lowercase().replace('-', "_");
    // They stand in `trust`, one level below.
    let is_root = ["trusted_root", "tuf_root", "tuf_url"].contains(&plain.as_str());
    if is_root && valid.clone().into_iter().any(|key| key == TRUST) {
        return Some(format!("{TRUST}: {{{plain}: …}}"));
    }
    // It stands in `verification`, one level below.
    let is_of_policy = TEXTS.contains(&plain.as_str()) || OWN_KEYS.contains(&plain.as_str());
    let there = |name: &str| valid.clone().into_iter().any(|key| key == name);
    if is_of_policy && there(VERIFICATION) && !there(&plain) {
        return Some(format!("{VERIFICATION}: {{{plain}: …}}"));
    }
    nearest(found, valid.clone()).or_else(|| {
        let mut valid = valid.into_iter();
        let is_word = WORDS_FOR_VERIFICATION.contains(&plain.as_str());
        let verification = is_word.then(|| valid.find(|key| *key == VERIFICATION));
        verification.flatten().map(ToOwned::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::{meant, nearest};

    #[test]
    fn another_word_for_a_key_finds_it_where_it_is_valid() {
        let keys = ["name", "url", "mirrors", "verification"];
        for word in ["verify", "policy", "Policies", "signature", "trust-policy"] {
            assert_eq!(meant(word, keys).as_deref(), Some("verification"), "{word}");
        }
        assert_eq!(meant("mirror", keys).as_deref(), Some("mirrors"));
        assert_eq!(meant("policy", ["name", "url"]), None);
        assert_eq!(meant("battery", keys), None);
    }

    #[test]
    fn a_key_beside_its_block_is_answered_with_its_place() {
        let keys = ["require_integrity", "verification", "galleries"];
        let inside = meant("issuer", keys);
        assert_eq!(inside.as_deref(), Some("verification: {issuer: …}"));
        assert_eq!(meant("claims", ["name", "url"]), None);
        let both = ["issuer", "verification"];
        assert_eq!(meant("issuer", both).as_deref(), Some("issuer"));
    }

    #[test]
    fn a_misspelling_finds_its_key_and_a_stranger_finds_none() {
        let keys = ["issuer", "issuer_regex", "identity", "not_before"];
        assert_eq!(nearest("isuer", keys).as_deref(), Some("issuer"));
        assert_eq!(
            nearest("issuerRegex", keys).as_deref(),
            Some("issuer_regex")
        );
        assert_eq!(nearest("NOT-BEFORE", keys).as_deref(), Some("not_before"));
        assert_eq!(nearest("notbefore", keys).as_deref(), Some("not_before"));
        assert_eq!(nearest("colour", keys), None);
        let endless = "issuer".repeat(100);
        assert_eq!(nearest(&endless, keys), None);
        assert_eq!(nearest("issuer", [endless.as_str()]), None);
    }
}
