//! The galleries that a file names, with their indexes.
//!
//! Integrity is required as soon as a flag, the file or the environment says so; none of them can take it back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_download::{
    Capability, FallbackTags, FetchedIndex, Galleries, GalleryClient, GalleryOptions, Integrity,
    Location, PrivateAddresses,
};
use countersign_policy::{Gallery, PolicyFile, nearest};

use crate::arguments::planning::ChoosingArguments;
use crate::arguments::registry::RegistryArguments;
use crate::capability;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::operand;
use crate::policy;
use crate::printable;
use crate::settings::Setting;

/// The file of galleries that the command line names by `argument`, or else the one that a file of configuration names.
pub(super) fn file(
    named: Option<PathBuf>,
    argument: &str,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    let file = named.or_else(|| environment.settings().gallery().map(ToOwned::to_owned));
    file.ok_or_else(|| {
        Failure::new(Kind::Usage, "no gallery file is named").hint(format!(
            "pass {argument}, or set `gallery` in your countersign.toml"
        ))
    })
}

/// Reads the file of galleries, and fetches their indexes.
pub(super) async fn load(
    file: &Path,
    arguments: &ChoosingArguments,
    registry: &RegistryArguments,
    environment: &Environment,
) -> Result<Galleries, Failure> {
    refuse_kit(file)?;
    let parsed = policy::parse_file(file, "gallery file")
        .map_err(|failure| failure.hinted(origin(file, environment)))?;
    if parsed.galleries().is_empty() {
        let failure = Failure::new(Kind::Usage, format!("{} names no gallery", file.display()));
        let failure = failure.hint(
            "add `galleries:`, a list with `name`, `url` and `verification` for each gallery",
        );
        return Err(failure.hinted(origin(file, environment)));
    }
    let client = GalleryClient::new(GalleryOptions {
        cache: environment
            .cache_directory()
            .map(|directory| directory.join("galleries")),
        connection: connection::options(registry, environment)?,
        index_bytes: arguments.max_index.unwrap_or(GalleryOptions::INDEX_BYTES),
        ..GalleryOptions::default()
    })?;
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut fetched = Vec::new();
    for gallery in parsed.galleries() {
        let index = client.fetch(gallery, directory).await?;
        fetched.push((gallery.clone(), index));
    }
    assemble(&parsed, fetched, arguments, environment)
}

/// The text of a gallery's index that is a file, as the gallery file `of` names it; `None` for one that a network would be
/// asked for.
pub(super) async fn index_file(
    gallery: &Gallery,
    of: &Path,
    arguments: &ChoosingArguments,
) -> Result<Option<Arc<str>>, Failure> {
    if !matches!(gallery.url.parse(), Ok(Location::File(_))) {
        return Ok(None);
    }
    let client = GalleryClient::new(GalleryOptions {
        index_bytes: arguments.max_index.unwrap_or(GalleryOptions::INDEX_BYTES),
        ..GalleryOptions::default()
    })?;
    let without_mirrors = Gallery {
        mirrors: Vec::new(),
        ..gallery.clone()
    };
    let directory = of.parent().unwrap_or(Path::new(""));
    let fetched = client.fetch(&without_mirrors, directory).await;
    let fetched = fetched.map_err(|error| {
        Failure::from(error).hint(
            "with --gallery, an index that is a file is yours and not the kit's: put it where the gallery file says, or leave \
             --gallery out",
        )
    })?;
    Ok(Some(fetched.text))
}

/// Which configuration names the file, if one does.
fn origin(file: &Path, environment: &Environment) -> Option<String> {
    let set = environment.settings().gallery.as_ref();
    set.filter(|set| set.value == file).map(Setting::origin)
}

/// Refuses a kit in the place of a gallery file: the path would be said not to be there.
pub(super) fn refuse_kit(file: &Path) -> Result<(), Failure> {
    if !operand::names_layout(file) {
        return Ok(());
    }
    let kit = printable::path(file);
    let message = format!("expected a gallery file, found a kit or an image layout: {kit}");
    Err(Failure::new(Kind::Usage, message).hint(format!(
        "`countersign gallery show {kit}` shows what a kit has, and `countersign install --from {kit} NAME` installs from it"
    )))
}

/// Galleries with the indexes that were fetched, or that a kit has.
pub(super) fn assemble(
    parsed: &PolicyFile,
    fetched: Vec<(Gallery, FetchedIndex)>,
    arguments: &ChoosingArguments,
    environment: &Environment,
) -> Result<Galleries, Failure> {
    let asked = environment.require_integrity()?;
    let required = asked || arguments.require_integrity || parsed.require_integrity();
    let integrity = if required {
        Integrity::Strict
    } else {
        Integrity::Permissive
    };
    let capability = match arguments.capability.clone() {
        Some(capability) => capability,
        None => capability::detect()?,
    };
    if let Some(capability) = &arguments.capability {
        require_known(capability, &fetched)?;
    }
    let fallbacks = FallbackTags::new(arguments.fallback_tags.clone());
    let mut galleries = Galleries::new(fetched, capability, integrity, fallbacks);
    if arguments.allow_private_addresses {
        galleries.private_addresses = PrivateAddresses::Allow;
    }
    Ok(galleries)
}

/// Refuses a capability that neither this program nor a gallery knows: it would lead to `default`,
/// and whoever misspelt it would not notice.
fn require_known(
    capability: &Capability,
    fetched: &[(Gallery, FetchedIndex)],
) -> Result<(), Failure> {
    let entries = fetched.iter().flat_map(|(_, one)| one.index.entries());
    let named = entries.flat_map(|entry| entry.capabilities.keys().map(String::as_str));
    let known: BTreeSet<&str> = capability::KNOWN.into_iter().chain(named).collect();
    // One with another version of CUDA is known by its family.
    if capability.own_keys().any(|key| known.contains(key)) {
        return Ok(());
    }
    let known_or_else = || known.iter().copied().collect::<Vec<_>>().join(", ");
    let expected = match nearest(capability.as_str(), known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("expected one of {}", known_or_else()),
    };
    let message = format!("--capability `{capability}` is unknown: {expected}");
    Err(Failure::new(Kind::Usage, message)
        .hint("leave --capability out to use what this machine has"))
}
