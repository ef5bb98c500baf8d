//! The files that a policy or a configuration names: `policy check` and `gallery check` read them, as a verification will.
//!
//! Keys are read with the policy itself.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_policy::{ImageVerifierConfig, NamedFile, Policy, PolicyFile, Trust};
use countersign_verify::TrustedRoot;

use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::trust::read_root;

/// The name of the finding about a file that is not on this machine.
pub(super) const MISSING_FILE: &str = "missing-file";

/// The files, each once.
pub(in crate::commands) struct NamedFiles<'a>(BTreeSet<NamedFile<'a>>);

impl<'a> NamedFiles<'a> {
    pub(in crate::commands) fn of_policies(file: &'a PolicyFile) -> Self {
        let galleries = file.galleries().iter();
        let policies = galleries.filter_map(|gallery| gallery.policy.as_ref());
        let own = file.galleries().is_empty().then(|| file.policy().ok());
        let roots = policies.chain(own.flatten()).filter_map(Policy::trust);
        Self(roots.filter_map(Trust::file).collect())
    }

    pub(super) fn of_verifier(config: &'a ImageVerifierConfig) -> Self {
        Self(config.files())
    }

    /// Reads them. Paths are relative to the file `path`, which has this text. Returns what to warn of: a file that is
    /// named by its whole path, and may be on the machine that the policy is for.
    ///
    /// # Errors
    /// A file that can't be used. If there are several, the failure names them all.
    pub(in crate::commands) fn check(
        &self,
        text: &str,
        path: &Path,
    ) -> Result<Vec<String>, Failure> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let (mut warnings, mut failures) = (Vec::new(), Vec::new());
        for named in &self.0 {
            let file = Path::new(named.path());
            let place = directory.join(file);
            if file.is_absolute() && !place.exists() {
                warnings.push(format!(
                    "{} is not on this machine; where the file is used, every image would be refused without it",
                    file.display()
                ));
                continue;
            }
            if let Err(failure) = read(*named, &place) {
                let at = place_of(file, text);
                let message = format!("{}{at}: {}", path.display(), failure.line());
                let hint = failure
                    .hints()
                    .first()
                    .map_or_else(String::new, |hint| format!("{hint}; "));
                failures.push(Failure::new(failure.kind, message).hint(format!(
                    "{hint}a path that does not begin with `/` is relative to the directory of {}",
                    path.display()
                )));
            }
        }
        let lines: Vec<String> = failures.iter().map(Failure::line).collect();
        match failures.into_iter().next() {
            None => Ok(warnings),
            Some(only) if lines.len() == 1 => Err(only),
            Some(_) => Err(Failure::new(Kind::Usage, lines.join("\n")).hint(
                "write these files, or correct their paths: they are relative to the policy file",
            )),
        }
    }
}

/// `:LINE:COLUMN` of the name `file` in the text, if it stands there as it is.
fn place_of(file: &Path, text: &str) -> String {
    let name = file.to_string_lossy();
    let mut lines = (1_usize..).zip(text.lines());
    let place = lines.find_map(|(number, line)| {
        let before = line.split_once(&*name).map(|(before, _)| before);
        before
            .filter(|before| !before.contains('#'))
            .map(|before| (number, before.chars().count() + 1))
    });
    place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"))
}

/// Reads a file, as far as what it must be is known.
fn read(named: NamedFile<'_>, place: &Path) -> Result<(), Failure> {
    match named {
        NamedFile::TrustedRoot(_) => {
            let text = read_text(place, "trusted root")?;
            TrustedRoot::from_json(&place.display().to_string(), &text)?;
        }
        NamedFile::TufRoot(_) => {
            read_root(place)?;
        }
        NamedFile::Logins(_) | NamedFile::CertificateAuthorities(_) => {
            std::fs::File::open(place)
                .map_err(|error| Failure::unreadable(place, named.key(), error))?;
        }
    }
    Ok(())
}
