//! Files of policies, galleries and image verifiers, and what is done with them when they are read.
#![no_main]

use countersign_policy::{GalleryIndex, ImageVerifierConfig, Policy, PolicyFile, import};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(policy) = Policy::from_yaml(text, "policy.yaml") {
        look(&policy);
    }
    if let Ok(file) = PolicyFile::parse(text, "galleries.yaml") {
        file.galleries()
            .iter()
            .filter_map(|gallery| gallery.policy.as_ref())
            .for_each(look);
    }
    if let Ok(index) = GalleryIndex::parse(text, "index.yaml") {
        for entry in index.entries() {
            assert!(index.named(&entry.name).is_some());
        }
    }
    if let Ok(config) = ImageVerifierConfig::parse(text, "image-verifier.yaml") {
        let _ = (config.explain_rest(), config.weaknesses());
        assert!(!config.rules.iter().any(|rule| rule.images.is_empty()));
    }
    let _ = import(text, "other.yaml");
});

fn look(policy: &Policy) {
    let _ = (
        policy.explain(),
        policy.summary(),
        policy.warnings(Timestamp::UNIX_EPOCH),
    );
}
