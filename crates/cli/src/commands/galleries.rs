//! The galleries that a file names, with their indexes.

use std::path::Path;

use countersign_download::{
    FallbackTags, Galleries, GalleryClient, GalleryOptions, Integrity, Limits, PrivateAddresses,
};
use countersign_policy::PolicyFile;

use crate::arguments::planning::PlanningArguments;
use crate::arguments::registry::RegistryArguments;
use crate::capability;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::input::read_text;

/// Reads the file of galleries, and fetches their indexes.
pub(super) async fn load(
    file: &Path,
    arguments: &PlanningArguments,
    registry: &RegistryArguments,
    environment: &Environment,
) -> Result<Galleries, Failure> {
    let text = read_text(file, "gallery file")?;
    let parsed = PolicyFile::parse(&text, &file.display().to_string())?;
    if parsed.galleries().is_empty() {
        return Err(
            Failure::new(Kind::Usage, format!("{} names no gallery", file.display())).hint(
                "add `galleries:`, a list with `name`, `url` and `verification` for each gallery",
            ),
        );
    }
    let required = arguments.require_integrity
        || parsed.require_integrity()
        || environment.require_integrity()?;
    let integrity = if required {
        Integrity::Strict
    } else {
        Integrity::Permissive
    };
    let capability = match arguments.capability.clone() {
        Some(capability) => capability,
        None => capability::detect()?,
    };
    let mut limits = Limits::default();
    if let Some(bytes) = arguments.max_index {
        limits.index_bytes = bytes;
    }
    let client = GalleryClient::new(GalleryOptions {
        cache: environment
            .cache_directory()
            .map(|directory| directory.join("galleries")),
        connection: connection::options(registry, environment)?,
        limits,
        ..GalleryOptions::default()
    })?;
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut fetched = Vec::new();
    for gallery in parsed.galleries() {
        let index = client.fetch(gallery, directory).await?;
        fetched.push((gallery.clone(), index));
    }
    let fallbacks = FallbackTags::new(arguments.fallback_tags.clone());
    let mut galleries = Galleries::new(fetched, capability, integrity, fallbacks);
    if arguments.allow_private_addresses {
        galleries.private_addresses = PrivateAddresses::Allow;
    }
    Ok(galleries)
}
