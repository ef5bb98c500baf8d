//! Files of configuration: which are read, and whom they have to belong to.
//!
//! A file that is found upward from the working directory may come with somebody else's project, and a clone of it belongs
//! to the user. So it is used only if the user's file or the machine's allows its directory. Else it is told, and never an
//! error: in a shared directory anybody could stop others with one. A file that counts and can't be used is an error, and
//! never left out: whoever wrote it counts on it.

mod file;
#[cfg(test)]
mod tests;

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::environment::{Environment, Variable};
use crate::failure::{Failure, Kind};
use crate::input::text_of;
use crate::ownership::{ROOT, Writers, me, require_owner};
use crate::printable::path as printable_path;
use crate::settings::{FileState, Scope, Settings, SettingsFile};

/// The name of a file of configuration.
const FILE: &str = "countersign.toml";
/// The machine's.
const SYSTEM: &str = "/etc/countersign/countersign.toml";
/// Far above any file of configuration.
const BYTES_MAX: u64 = 1 << 20;

/// Reads the file that `named` or the environment names; else all others that there are.
///
/// # Errors
/// One that is there and can't be used.
pub(crate) fn load(named: Option<&Path>, environment: &Environment) -> Result<Settings, Failure> {
    if let Some(path) = named {
        return read_named(path);
    }
    if let Some(path) = environment.configuration() {
        let by = Variable::Configuration;
        let read = read_named(&path);
        return read.map_err(|failure| failure.hint(format!("{by} names this file")));
    }
    let user = environment.configuration_directory();
    let places = Places {
        working_directory: environment.working_directory(),
        user: user.map(|directory| directory.join(FILE)),
        system: SYSTEM.into(),
        me: me(),
    };
    places.read()
}

/// What a person has to know of files that were looked for and not used.
pub(crate) fn warnings(settings: &Settings) -> Vec<String> {
    let warnings = settings.files.iter().filter_map(|file| {
        let path = printable_path(&file.path);
        match file.state {
            FileState::NotAllowed => {
                let directory = file.path.parent().unwrap_or(Path::new("/"));
                Some(format!(
                    "{path} is not used: to use it, add {} to `allow` in {}, or pass --config {path}",
                    printable_path(directory),
                    allowing_file(settings),
                ))
            }
            FileState::Hidden => Some(format!(
                "{path} is not used: this user can't search a directory above it"
            )),
            FileState::Read | FileState::NotFound => None,
        }
    });
    warnings.collect()
}

/// The file to allow a directory in: the user's, if there can be one.
fn allowing_file(settings: &Settings) -> String {
    let mut files = settings.files.iter();
    let user = files.find(|file| file.scope == Scope::User && file.state != FileState::Hidden);
    user.map_or(SYSTEM.to_owned(), |file| printable_path(&file.path))
}

/// Where files are looked for, and by whom.
struct Places {
    working_directory: Option<PathBuf>,
    user: Option<PathBuf>,
    system: PathBuf,
    /// The user that this runs as.
    me: u32,
}

impl Places {
    fn read(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        if let Some(user) = &self.user {
            settings = settings.or(self.usual(user, Scope::User)?);
        }
        let settings = settings.or(self.usual(&self.system, Scope::System)?);
        // What is allowed has to be known before.
        let project = self.project(&Allowed::new(&settings.allow))?;
        Ok(project.unwrap_or_default().or(settings))
    }

    /// The file that is nearest upward from the working directory.
    fn project(&self, allowed: &Allowed) -> Result<Option<Settings>, Failure> {
        let Some(working_directory) = &self.working_directory else {
            return Ok(None);
        };
        for directory in working_directory.ancestors() {
            let path = directory.join(FILE);
            match path.symlink_metadata() {
                // The user's own file is not less for being in the working directory.
                Ok(_) if self.is_own(&path) => {}
                Ok(found) if allowed.has(directory) => {
                    return self.read_project(directory, &path, &found).map(Some);
                }
                Ok(_) => {
                    let settings = Settings::default();
                    let state = FileState::NotAllowed;
                    return Ok(Some(with_file(settings, &path, Scope::Project, state)));
                }
                Err(error) if !is_missing(&error) && allowed.has(directory) => {
                    return Err(unreadable(&path, error));
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    fn read_project(
        &self,
        directory: &Path,
        path: &Path,
        found: &Metadata,
    ) -> Result<Settings, Failure> {
        if found.is_symlink() {
            // It could lead to any file of the user, whose text an error would then show.
            let message = format!(
                "{} is a symbolic link, and a file that was found in the working directory or above it can't be one",
                path.display()
            );
            let failure = Failure::new(Kind::Usage, message);
            return Err(failure.hint(name_it(path)));
        }
        let (file, metadata) = open(path, OFlags::NOFOLLOW)?;
        let at_directory = std::fs::metadata(directory);
        let at_directory = at_directory.map_err(|error| unreadable(path, error))?;
        let owners = [self.me, ROOT];
        let checked = require_owner(directory, "directory", &at_directory, &owners)
            .and_then(|()| require_owner(path, "file", &metadata, &owners));
        checked.map_err(|failure| failure.hint(name_it(path)))?;
        let text = text(file, path)?;
        let settings = file::parse(&text, path, Scope::Project, self.user.as_deref())?;
        Ok(with_file(settings, path, Scope::Project, FileState::Read))
    }

    /// The user's file or the machine's, if it is there.
    fn usual(&self, path: &Path, scope: Scope) -> Result<Settings, Failure> {
        let without = |state| with_file(Settings::default(), path, scope, state);
        match path.symlink_metadata() {
            Ok(_) => {}
            Err(error) if is_missing(&error) => return Ok(without(FileState::NotFound)),
            // It isn't the home of whom this runs as.
            Err(error) if is_hidden(&error) && scope == Scope::User => {
                return Ok(without(FileState::Hidden));
            }
            Err(error) => return Err(unreadable(path, error)),
        }
        let (file, metadata) = open(path, OFlags::empty())?;
        let owners: &[u32] = match scope {
            Scope::System => &[ROOT],
            Scope::Named | Scope::Project | Scope::User => &[self.me, ROOT],
        };
        let directories = directories(path).map_err(|error| unreadable(path, error))?;
        let checked = directories
            .iter()
            .try_for_each(|(directory, at)| require_owner(directory, "directory", at, owners))
            .and_then(|()| require_owner(path, "file", &metadata, owners));
        checked.map_err(|failure| failure.hint(name_it(path)))?;
        let settings = file::parse(&text(file, path)?, path, scope, None)?;
        Ok(with_file(settings, path, scope, FileState::Read))
    }

    /// Whether it is the user's file or the machine's.
    fn is_own(&self, path: &Path) -> bool {
        let same = |other: &Path| {
            let [one, other] = [path, other].map(std::fs::metadata);
            let place = |found: Metadata| (found.dev(), found.ino());
            matches!((one.map(place), other.map(place)), (Ok(one), Ok(other)) if one == other)
        };
        self.user.as_deref().is_some_and(same) || same(&self.system)
    }
}

/// The directories whose files count, without links in their paths.
struct Allowed(Vec<PathBuf>);

impl Allowed {
    /// What isn't there allows nothing.
    fn new(directories: &[PathBuf]) -> Self {
        let directories = directories.iter();
        Self(
            directories
                .filter_map(|one| one.canonicalize().ok())
                .collect(),
        )
    }

    /// Whether it is this very directory, and not one below it.
    fn has(&self, directory: &Path) -> bool {
        let directory = directory.canonicalize();
        directory.is_ok_and(|directory| self.0.contains(&directory))
    }
}

/// A file that the user named. It is believed as any file that a flag names.
fn read_named(path: &Path) -> Result<Settings, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let settings = file::parse(&text(file, path)?, path, Scope::Named, None)?;
    Ok(with_file(settings, path, Scope::Named, FileState::Read))
}

fn with_file(mut settings: Settings, path: &Path, scope: Scope, state: FileState) -> Settings {
    settings.files.push(SettingsFile {
        path: path.to_owned(),
        scope,
        state,
    });
    settings
}

/// Opens a file, and neither waits for a fifo nor reads a device.
fn open(path: &Path, flags: OFlags) -> Result<(File, Metadata), Failure> {
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|error| unreadable(path, error))?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        let message = format!("the configuration {} is not a file", path.display());
        Err(Failure::new(Kind::Usage, message).hint("remove it, or put a file in its place"))
    }
}

fn text(file: File, path: &Path) -> Result<String, Failure> {
    text_of(Ok(file), BYTES_MAX).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    Failure::unreadable(path, "configuration", error)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether a directory hides from this user what is in it.
fn is_hidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The directory of a file, and of what it leads to, each with what the file system says of it. In the latter others may
/// write if they can't replace what is there.
fn directories(path: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
    let metadata = std::fs::metadata(&directory)?;
    let target = path.canonicalize()?;
    let target = target.parent().unwrap_or(Path::new("/")).to_owned();
    let at_target = std::fs::metadata(&target)?;
    let mut directories = vec![(directory, metadata)];
    if !Writers::of(&at_target, &[]).only_new {
        directories.push((target, at_target));
    }
    Ok(directories)
}

/// What to do about a file that was found and can't be used.
fn name_it(path: &Path) -> String {
    format!(
        "to use it all the same, pass --config {}; to use none, pass --config /dev/null",
        path.display()
    )
}
