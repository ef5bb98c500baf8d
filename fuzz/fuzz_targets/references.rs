//! References and sources: what is read is written as what reads the same.
#![no_main]

use countersign_download::Source;
use countersign_oci::{Digest, Platform, Reference, Repository};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        let written = reference.to_string();
        assert_eq!(
            written.parse::<Reference>().ok(),
            Some(reference),
            "{written}"
        );
    }
    if let Ok(repository) = text.parse::<Repository>() {
        let written = repository.to_string();
        assert_eq!(
            written.parse::<Repository>().ok(),
            Some(repository),
            "{written}"
        );
    }
    if let Ok(source) = Source::parse(text, None) {
        let written = source.to_string();
        // Of a URL the query is left out, and what is too long is cut.
        if !matches!(source, Source::Tarball(_)) && !written.contains('…') {
            let again = Source::parse(&written, None);
            assert_eq!(again.ok(), Some(source), "{written}");
        }
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(platform) = text.parse::<Platform>() {
        // What is too long to be shown whole is cut.
        let written = platform.to_string();
        if written.contains('…') {
            return;
        }
        assert_eq!(
            written.parse::<Platform>().ok(),
            Some(platform),
            "{written}"
        );
    }
});
