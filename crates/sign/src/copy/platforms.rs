//! Which entries of an index are copied, if not all.

use countersign_oci::{
    Descriptor, Document, Error as RegistryError, Index, Platform, Registry, ResolvedImage,
};

use super::CopyError;
use crate::error::Error;

/// By this annotation BuildKit says which image an attestation is about.
const ABOUT: &str = "vnd.docker.reference.digest";

/// Refuses platforms that `image` has nothing for. An image for one platform has that alone.
///
/// # Errors
/// [`CopyError::Platform`], [`CopyError::NoPlatforms`].
pub(super) async fn refuse_missing(
    registry: &Registry,
    image: &ResolvedImage,
    wanted: &[Platform],
) -> Result<(), Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    if let Document::Manifest(_) = image.document() {
        return refuse_other(registry, image, wanted).await;
    }
    let entries = registry.platform_entries(image).await?;
    let mut available: Vec<Platform> = Vec::new();
    for entry in entries {
        if !available.contains(&entry.platform) {
            available.push(entry.platform);
        }
    }
    let image = || Box::new(image.reference().clone());
    if available.is_empty() {
        return Err(CopyError::NoPlatforms { image: image() }.into());
    }
    let missing = |wanted: &&Platform| !available.iter().any(|one| one.serves(wanted).is_some());
    match wanted.iter().find(missing) {
        None => Ok(()),
        Some(wanted) => Err(CopyError::Platform {
            image: image(),
            wanted: Box::new(wanted.clone()),
            available,
        }
        .into()),
    }
}

/// Refuses an image for one platform if another is wanted, by the rule of an installation.
async fn refuse_other(
    registry: &Registry,
    image: &ResolvedImage,
    wanted: &[Platform],
) -> Result<(), Error> {
    for wanted in wanted {
        match registry.require_platform(image, wanted).await {
            Err(RegistryError::WrongPlatform { found, .. }) => {
                return Err(CopyError::Platform {
                    image: Box::new(image.reference().clone()),
                    wanted: Box::new(wanted.clone()),
                    available: vec![*found],
                }
                .into());
            }
            required => required?,
        }
    }
    Ok(())
}

/// The entries to copy: all, if no platform is wanted. An entry without a platform may be an index with
/// some, so it is one of them.
pub(super) fn chosen<'a>(index: &'a Index, wanted: &[Platform]) -> Vec<&'a Descriptor> {
    let serves = |entry: &&Descriptor| match &entry.platform {
        Some(platform) => wanted
            .iter()
            .any(|wanted| platform.serves(wanted).is_some()),
        None => true,
    };
    let all = index.manifests.iter();
    if wanted.is_empty() {
        return all.collect();
    }
    let images: Vec<&Descriptor> = all
        .clone()
        .filter(|entry| !entry.is_attestation())
        .filter(serves)
        .collect();
    let is_about_one = |entry: &&Descriptor| {
        let about = entry.annotations.get(ABOUT);
        about.is_none_or(|about| {
            let mut images = images.iter();
            images.any(|image| image.digest.to_string() == *about)
        })
    };
    let others = all
        .filter(|entry| entry.is_attestation())
        .filter(is_about_one);
    images.iter().copied().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, platform: Option<&str>, about: Option<&str>) -> Descriptor {
        let about = about.map(|about| Descriptor::of("x", about.as_bytes()).digest.to_string());
        Descriptor {
            platform: platform.map(|platform| platform.parse().unwrap()),
            annotations: about
                .map(|about| (ABOUT.to_owned(), about))
                .into_iter()
                .collect(),
            ..Descriptor::of("x", name.as_bytes())
        }
    }

    #[test]
    fn an_attestation_without_a_platform_is_no_image() {
        let mut of_arm64 = entry("of arm64", None, Some("arm64"));
        let kind = "vnd.docker.reference.type".to_owned();
        of_arm64
            .annotations
            .insert(kind, "attestation-manifest".to_owned());
        let manifests = vec![
            entry("amd64", Some("linux/amd64"), None),
            entry("arm64", Some("linux/arm64"), None),
            of_arm64.clone(),
        ];
        let index = Index {
            schema_version: 2,
            media_type: None,
            artifact_type: None,
            manifests,
            subject: None,
            annotations: std::collections::BTreeMap::new(),
        };
        let wanted: Vec<Platform> = vec!["linux/amd64".parse().unwrap()];
        assert_eq!(chosen(&index, &wanted).len(), 1);
        // What is for a platform is installed there, whatever its annotations say.
        let called_so = Descriptor {
            platform: Some("linux/amd64".parse().unwrap()),
            ..of_arm64
        };
        let index = Index {
            manifests: vec![called_so],
            ..index
        };
        assert_eq!(chosen(&index, &wanted).len(), 1);
    }

    #[test]
    fn an_attestation_goes_with_the_image_that_it_is_about() {
        let index = Index {
            schema_version: 2,
            media_type: None,
            artifact_type: None,
            manifests: vec![
                entry("amd64", Some("linux/amd64"), None),
                entry("arm64", Some("linux/arm64"), None),
                entry("windows", Some("windows/amd64"), None),
                entry("nested", None, None),
                entry("of amd64", Some("unknown/unknown"), Some("amd64")),
                entry("of arm64", Some("unknown/unknown"), Some("arm64")),
                entry("of all", Some("unknown/unknown"), None),
            ],
            subject: None,
            annotations: std::collections::BTreeMap::new(),
        };
        let chosen = |wanted: &[&str]| {
            let wanted: Vec<Platform> = wanted.iter().map(|text| text.parse().unwrap()).collect();
            super::chosen(&index, &wanted).len()
        };
        assert_eq!(chosen(&[]), 7);
        assert_eq!(chosen(&["linux/amd64"]), 4);
        assert_eq!(chosen(&["linux/amd64", "linux/arm64"]), 6);
        assert_eq!(chosen(&["windows/amd64"]), 3);
    }
}
