//! Finds the known key or name that is most similar to a misspelt one.

/// The candidate that is most similar to `text`, if it is similar enough: at most one edit for three characters
/// (Damerau-Levenshtein; case is ignored, and `-` is the same as `_`).
pub fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    // A very long text is not a misspelling, and comparing it takes quadratic time.
    let short = |text: &str| text.len() <= 128;
    if !short(text) {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let meant = plain(text);
    candidates
        .into_iter()
        .filter(|candidate| short(candidate))
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&meant, &plain(candidate));
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

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
