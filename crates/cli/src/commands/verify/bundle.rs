//! `--bundle`: signatures in a file.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_verify::Bundles;
use serde::de::IgnoredAny;

use crate::failure::{Failure, Kind};
use crate::input::text_of;

/// The limit for the file in bytes. A bundle has about 10 KiB; one with an SBOM may have some MiB.
const MOST_BYTES: u64 = 64 << 20;

/// The bundles in the file, if there is one.
///
/// # Errors
/// If the file can't be read, is too large, or has no bundle.
pub(super) fn read(path: Option<&Path>) -> Result<Option<Bundles>, Failure> {
    let Some(path) = path else {
        return Ok(None);
    };
    let text = text_of(std::fs::File::open(path), MOST_BYTES)
        .map_err(|error| Failure::unreadable(path, "bundle", error))?;
    let usage = |what: &str| {
        Failure::new(Kind::Usage, format!("{}: {what}", path.display())).hint(
            "--bundle takes a file that `cosign sign --bundle`, `cosign attest --bundle` or `gh attestation download` wrote",
        )
    };
    match Bundles::from_json(&text) {
        Ok(bundles) if bundles.is_empty() => Err(usage("expected a bundle, found an empty file")),
        Ok(_) if !has_bundle(&text) => Err(usage(
            "expected a bundle, found JSON without a signature: another file than was meant",
        )),
        Ok(bundles) => Ok(Some(bundles)),
        Err(error) => Err(usage(&match what_else(&text) {
            Some(found) => format!("expected a bundle in JSON, found {found}"),
            None => format!("expected bundles in JSON: {error}"),
        })),
    }
}

/// What stands in the place of a file that was not fetched.
pub(in crate::commands) const GIT_LFS: &str = "a pointer of Git LFS";

/// What a text is that is no bundle, in a few words; `None` if it is one, be it a good one or not.
pub(in crate::commands) fn what_else(text: &str) -> Option<&'static str> {
    if has_bundle(text) {
        None
    } else if text.trim().is_empty() {
        Some("an empty file")
    } else if text.starts_with("version https://git-lfs.github.com/") {
        Some(GIT_LFS)
    } else if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        Some("JSON without a signature")
    } else {
        Some("a text that is not JSON")
    }
}

/// The keys by which an object is known as a bundle, be it a good one or not.
const KEYS: [&str; 3] = ["verificationMaterial", "dsseEnvelope", "messageSignature"];

/// Whether any of the texts is a bundle.
fn has_bundle(text: &str) -> bool {
    // A struct would be read from a list too, by the order of its fields.
    type Object = BTreeMap<String, Option<IgnoredAny>>;
    let texts = serde_json::Deserializer::from_str(text).into_iter::<Object>();
    let mut objects = texts.map_while(Result::ok);
    objects.any(|object| {
        let mut values = KEYS.iter().filter_map(|key| object.get(*key));
        values.any(Option::is_some)
    })
}
