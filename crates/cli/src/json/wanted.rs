//! What was to be installed.

use std::path::Path;

use countersign_download::{EntryName, Plan};
use schemars::JsonSchema;
use serde::Serialize;

/// What a result of an installation is about: an entry of a gallery, or an image by itself.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Wanted {
    /// The gallery that the entry is from, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery: Option<String>,
    /// The entry's name; for an image by itself there is `reference` instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The image, as it was asked for by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// Where it is installed, or would be. Left out if there is no plan to install it.
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
}

impl Wanted {
    /// An entry that could not be planned.
    pub(crate) fn unplanned(name: &EntryName) -> Self {
        Self {
            gallery: name.gallery().map(ToOwned::to_owned),
            name: Some(name.name().to_owned()),
            ..Self::default()
        }
    }

    /// The entry that `plan` is for.
    pub(crate) fn entry(plan: &Plan, directory: &Path) -> Self {
        Self {
            gallery: plan.gallery().map(ToOwned::to_owned),
            name: Some(plan.name().to_owned()),
            directory: Some(directory.to_string_lossy().into_owned()),
            ..Self::default()
        }
    }

    /// The image by itself that `plan` is for.
    pub(crate) fn image(plan: &Plan, directory: &Path) -> Self {
        Self {
            reference: Some(plan.name().to_owned()),
            directory: Some(directory.to_string_lossy().into_owned()),
            ..Self::default()
        }
    }
}
