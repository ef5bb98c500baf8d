//! The image configuration, as far as unpacking needs it (OCI image specification, "Image
//! Configuration").

use countersign_oci::{Descriptor, Digest, Platform, from_object_alone, media_type};
use serde::Deserialize;

const MEDIA_TYPES: [&str; 2] = [media_type::OCI_CONFIG, media_type::DOCKER_CONFIG];

/// What is taken from an image configuration.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(flatten)]
    platform: Platform,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
#[serde(remote = "Self")]
struct RootFs {
    diff_ids: Vec<Digest>,
}

from_object_alone!(RootFs);

impl ImageConfig {
    /// Whether a manifest's `config` is an image's, and not an artifact's.
    pub(crate) fn is(descriptor: &Descriptor) -> bool {
        MEDIA_TYPES.contains(&descriptor.media_type.as_str())
    }

    /// Digests of the decompressed layers, lowest first.
    pub(crate) fn into_diff_ids(self) -> Vec<Digest> {
        self.rootfs.diff_ids
    }

    /// The image's platform, if it contradicts the one that was asked for.
    pub(crate) fn contradiction(&self, wanted: &Platform) -> Option<Platform> {
        let contradicts = self.platform.contradicts(wanted);
        contradicts.then(|| self.platform.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contradiction(config: &str, wanted: &str) -> Option<String> {
        let json = format!(r#"{{{config},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#);
        let config: ImageConfig = serde_json::from_str(&json).unwrap();
        let found = config.contradiction(&wanted.parse().unwrap());
        found.map(|platform| platform.to_string())
    }

    #[test]
    fn another_platform_is_a_contradiction_and_an_unnamed_one_is_not() {
        let amd64 = r#""os":"linux","architecture":"amd64""#;
        assert_eq!(contradiction(amd64, "linux/amd64"), None);
        let found = contradiction(amd64, "linux/arm64");
        assert_eq!(found.as_deref(), Some("linux/amd64"));
        let found = contradiction(amd64, "windows/amd64");
        assert_eq!(found.as_deref(), Some("linux/amd64"));
        let arm = r#""os":"linux","architecture":"arm""#;
        assert_eq!(contradiction(arm, "linux/arm/v6"), None);
        let v7 = r#""os":"linux","architecture":"arm","variant":"v7""#;
        let found = contradiction(v7, "linux/arm/v6");
        assert_eq!(found.as_deref(), Some("linux/arm/v7"));
        assert_eq!(contradiction(r#""os":"""#, "linux/arm64"), None);
    }
}
