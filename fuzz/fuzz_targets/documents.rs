//! Manifests, indexes and lists of referrers, which are indexes.
#![no_main]

use countersign_oci::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Without a content type, and as each of the two.
    for content_type in [
        None,
        Some("application/vnd.oci.image.index.v1+json"),
        Some("application/vnd.oci.image.manifest.v1+json"),
    ] {
        let Ok(document) = Document::parse(bytes, content_type) else {
            continue;
        };
        let _ = (
            document.media_type(),
            document.artifact_type(),
            document.subject(),
        );
        if let Document::Index(index) = &document {
            let _ = index.platforms();
        }
    }
});
