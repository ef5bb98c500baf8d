//! The gallery files that records name, for `upgrade` without `--gallery`.
//!
//! A gallery file decides who must have signed. A store may have come with a clone or an archive, and then all of it belongs to
//! the user, with records that somebody else wrote. So a record counts only in the user's usual store, which no clone
//! brings, and only if no other user can have written it or the file. Otherwise the user must name
//! one. The program says which file it uses.

use std::path::{Path, PathBuf};

use countersign_download::{EntryName, Galleries, Installation, Recorded};

use super::galleries;
use super::requested_entry::{Group, InstalledBy, RequestedEntry};
use crate::arguments::planning::ChoosingArguments;
use crate::arguments::registry::RegistryArguments;
use crate::environment::{Environment, Origin};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::ownership::{ROOT, me, require_owner};
use crate::printable;

/// An entry that is installed, and what its record says of its gallery.
pub(super) struct InstalledEntry {
    pub(super) requested: RequestedEntry,
    directory: PathBuf,
}

impl InstalledEntry {
    /// `None` for what was not installed from a gallery.
    pub(super) fn new(installation: &Installation, recorded: &Recorded) -> Option<Self> {
        let provenance = recorded.provenance.as_ref()?;
        Some(Self {
            requested: RequestedEntry {
                name: EntryName::in_gallery(&provenance.gallery, &provenance.name),
                platform: recorded.platform.clone(),
                lock: None,
                lock_of_kit: None,
                kept: Some(provenance.entry.clone()),
                installed: Some(InstalledBy {
                    file: provenance.file.as_ref().map(PathBuf::from),
                }),
            },
            directory: installation.directory.clone(),
        })
    }
}

/// What records are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Records {
    /// They are of the user's usual store: the one in the home directory, or that of a file of configuration.
    Mine,
    /// They are of a store that this flag or this variable names. It may be anybody's.
    OfNamed(&'static str),
}

impl Records {
    /// Those of the store at `flag`, or else of the one that the environment names.
    pub(super) fn of_store(flag: Option<&Path>, environment: &Environment) -> Self {
        let chosen = environment.store_directory().map(|(_, origin)| origin);
        match (flag, chosen) {
            (Some(_), _) => Self::OfNamed("--store"),
            (None, Some(Origin::Variable(variable))) => Self::OfNamed(variable.name()),
            (None, Some(Origin::File(_) | Origin::Default) | None) => Self::Mine,
        }
    }
}

/// What a gallery file is read with.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    choosing: &'a ChoosingArguments,
    registry: &'a RegistryArguments,
    pub(super) environment: &'a Environment,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        choosing: &'a ChoosingArguments,
        registry: &'a RegistryArguments,
        environment: &'a Environment,
    ) -> Self {
        Self {
            choosing,
            registry,
            environment,
        }
    }

    /// Reads the file of galleries, and fetches their indexes.
    pub(super) async fn load(self, file: &Path) -> Result<Galleries, Failure> {
        galleries::load(file, self.choosing, self.registry, self.environment).await
    }
}

/// A gallery file that entries are upgraded from.
#[derive(PartialEq, Eq)]
struct GalleryFile {
    path: PathBuf,
    /// Whether it is that of a record, which names it again then. Else a file of configuration names it.
    recorded: bool,
}

/// The entries by their gallery files: of a record, or else of a file of configuration. What has none is a group whose
/// entries fail. `store` is what `--store` names.
pub(super) async fn groups(
    entries: Vec<InstalledEntry>,
    records: Records,
    store: Option<&Path>,
    reading: Reading<'_>,
    output: &Output,
) -> Vec<Group> {
    let mut by_file: Vec<(GalleryFile, Vec<RequestedEntry>)> = Vec::new();
    let mut unknown = Vec::new();
    let mut groups = Vec::new();
    for entry in entries {
        let found = entry.file(records, reading.environment);
        let requested = entry.requested;
        match found {
            Ok(Some(file)) => match by_file.iter_mut().find(|(other, _)| *other == file) {
                Some((_, others)) => others.push(requested),
                None => by_file.push((file, vec![requested])),
            },
            Ok(None) => unknown.push(requested),
            Err(failure) => groups.push(failed(failure, vec![requested])),
        }
    }
    for (file, requested) in by_file {
        groups.push(of_file(file, requested, reading, output).await);
    }
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.iter().map(|one| one.name.name()).collect();
        let message = match unknown.as_slice() {
            [only] => format!(
                "no gallery file is known for `{}`: its record names none",
                only.name.name()
            ),
            _ => format!(
                "no gallery file is known for {}: their records name none",
                names_of(&unknown)
            ),
        };
        let names = names.join(" ");
        // In other stores no record counts.
        let recording = (records == Records::Mine).then(|| {
            format!(
                "to write FILE into the record, for later runs: `countersign upgrade --gallery FILE --reinstall {names}`"
            )
        });
        let failure = Failure::new(Kind::Usage, message)
            .hint("pass --gallery FILE, or set `gallery` in your countersign.toml")
            .hinted(recording)
            .hint(format!(
                "what was installed from a kit is upgraded from a newer kit: `countersign install --from ocifile://KIT{} {names}`",
                printable::option("--store", store)
            ));
        groups.push(failed(failure, unknown));
    }
    groups
}

/// The entries of one gallery file.
async fn of_file(
    file: GalleryFile,
    requested: Vec<RequestedEntry>,
    reading: Reading<'_>,
    output: &Output,
) -> Group {
    let GalleryFile { path, recorded } = file;
    if recorded && let Err(failure) = require_recorded(&path, &requested) {
        return failed(failure, requested);
    }
    output.note(&format!(
        "the gallery file {} is used: {} names it",
        printable::path(&path),
        match (recorded, requested.as_slice()) {
            (true, [only]) => format!("the record of `{}`", only.name.name()),
            (true, several) => format!("each of {} records", several.len()),
            (false, _) => "countersign.toml".to_owned(),
        }
    ));
    let loaded = reading.load(&path).await;
    Group {
        recorded,
        galleries: loaded.map_err(|failure| {
            if recorded {
                let failure = failure.hint(of_records(&requested));
                failure.hint("for another file, pass --gallery FILE")
            } else {
                of_entries(failure, &requested)
            }
        }),
        file: Some(path),
        requested,
    }
}

/// Refuses the gallery file that the records of these entries name if another user can have written it, or if it is gone.
fn require_recorded(file: &Path, requested: &[RequestedEntry]) -> Result<(), Failure> {
    require_file_of_mine(file).map_err(|failure| {
        let is_gone = matches!(file.try_exists(), Ok(false));
        let hint = if is_gone {
            moved(requested)
        } else {
            NAME_IT.to_owned()
        };
        failure.hint(of_records(requested)).hint(hint)
    })
}

/// Entries that all have this failure.
pub(super) fn failed(failure: Failure, requested: Vec<RequestedEntry>) -> Group {
    Group {
        file: None,
        recorded: false,
        galleries: Err(failure),
        requested,
    }
}

/// The failure of a gallery file that these entries would be upgraded from, which names them.
pub(super) fn of_entries(failure: Failure, requested: &[RequestedEntry]) -> Failure {
    if requested.is_empty() {
        return failure;
    }
    failure.also(format!(
        "not looked at because of it: {}",
        names_of(requested)
    ))
}

fn of_records(requested: &[RequestedEntry]) -> String {
    format!(
        "this gallery file is in the record of {}",
        names_of(requested)
    )
}

/// What to do about a gallery file that is not there any more.
fn moved(requested: &[RequestedEntry]) -> String {
    let names = requested.iter().map(|one| one.name.name());
    format!(
        "if it was moved, pass --gallery FILE; `countersign upgrade --gallery FILE --reinstall {}` also writes the new path \
         into the records",
        names.collect::<Vec<_>>().join(" ")
    )
}

fn names_of(requested: &[RequestedEntry]) -> String {
    let names = requested.iter().map(|one| format!("`{}`", one.name.name()));
    names.collect::<Vec<_>>().join(", ")
}

impl InstalledEntry {
    /// The gallery file, if one is known.
    ///
    /// # Errors
    /// If the record names one that somebody else may have chosen or written, or that the working directory decides.
    fn file(
        &self,
        records: Records,
        environment: &Environment,
    ) -> Result<Option<GalleryFile>, Failure> {
        let set = environment.settings().gallery();
        let set = set.map(|file| GalleryFile {
            path: file.to_owned(),
            recorded: false,
        });
        let installed = self.requested.installed.as_ref();
        let Some(file) = installed.and_then(|installed| installed.file.as_ref()) else {
            return Ok(set);
        };
        let name = self.requested.name.name();
        match (records, set) {
            (Records::Mine, _) => {
                if !file.is_absolute() {
                    let message = format!(
                        "the record of `{name}` names the gallery file {}: expected a whole path, found one that is \
                         relative to the working directory",
                        printable::path(file)
                    );
                    return Err(Failure::new(Kind::Usage, message).hint(NAME_IT));
                }
                let checked = self.require_record_of_mine();
                checked.map_err(|failure| failure.hint(NAME_IT))?;
                Ok(Some(GalleryFile {
                    path: file.clone(),
                    recorded: true,
                }))
            }
            (Records::OfNamed(_), Some(set)) => Ok(Some(set)),
            (Records::OfNamed(by), None) => {
                let message = format!(
                    "the gallery file that the record of `{name}` names is not used: {by} names the store, so somebody else \
                     may have written the record"
                );
                Err(Failure::new(Kind::Usage, message).hint(NAME_IT_OR_SET))
            }
        }
    }

    /// Refuses a record if another user can have written it.
    fn require_record_of_mine(&self) -> Result<(), Failure> {
        let reserved = self.directory.join(".countersign");
        let record = reserved.join("record.json");
        require_mine(&[
            (self.directory.as_path(), "directory"),
            (&reserved, "directory"),
            (&record, "record"),
        ])
    }
}

/// Refuses a gallery file that a record names if another user can have written it.
fn require_file_of_mine(file: &Path) -> Result<(), Failure> {
    let above = file.parent().unwrap_or(Path::new("/"));
    require_mine(&[(above, "directory"), (file, "gallery file")])
}

fn require_mine(paths: &[(&Path, &str)]) -> Result<(), Failure> {
    for (path, what) in paths {
        let metadata =
            std::fs::metadata(path).map_err(|error| Failure::unreadable(path, what, error))?;
        require_owner(path, what, &metadata, &[me(), ROOT])?;
    }
    Ok(())
}

/// What to do about a record that is not enough.
const NAME_IT: &str = "name the gallery file yourself: pass --gallery FILE";
const NAME_IT_OR_SET: &str = "name the gallery file yourself: pass --gallery FILE, or set `gallery`, or `store`, in your countersign.toml";
