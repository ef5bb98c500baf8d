//! The files that a policy or a configuration names: `policy check` and `gallery check` read them, as a verification will.
//!
//! Keys are read with the policy itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use countersign_policy::{Demand, ImageVerifierConfig, Policy, PolicyFile, Trust};
use countersign_verify::TrustedRoot;

use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::trust::read_root;

/// The name of the finding about a file that is not on this machine.
pub(super) const MISSING_FILE: &str = "missing-file";

/// What each file is read as.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    TrustedRoot(PathBuf),
    TufRoot(PathBuf),
    /// A file of which nothing is known but that it has to be there.
    Other(&'static str, PathBuf),
}

/// The files, each once.
#[derive(Default)]
pub(in crate::commands) struct NamedFiles(BTreeSet<Named>);

impl NamedFiles {
    pub(in crate::commands) fn of_policies(file: &PolicyFile) -> Self {
        let mut named = Self::default();
        let galleries = file.galleries().iter();
        let policies = galleries.filter_map(|gallery| gallery.policy.as_ref());
        let own = file.galleries().is_empty().then(|| file.policy().ok());
        policies
            .chain(own.flatten())
            .for_each(|policy| named.add_policy(policy));
        named
    }

    pub(super) fn of_verifier(config: &ImageVerifierConfig) -> Self {
        let mut named = Self::default();
        named.add(config.trust.as_ref());
        for rule in &config.rules {
            if let Demand::Signature(policy) = &rule.demand {
                named.add_policy(policy);
            }
        }
        for (key, file) in [
            ("login_file", &config.login_file),
            ("ca_file", &config.ca_file),
        ] {
            if let Some(file) = file {
                named.0.insert(Named::Other(key, file.into()));
            }
        }
        named
    }

    fn add_policy(&mut self, policy: &Policy) {
        self.add(policy.trust());
    }

    fn add(&mut self, trust: Option<&Trust>) {
        match trust {
            Some(Trust::TrustedRoot { file }) => self.0.insert(Named::TrustedRoot(file.into())),
            Some(Trust::Tuf { root_file, .. }) => self.0.insert(Named::TufRoot(root_file.into())),
            Some(Trust::Instance(_)) | None => false,
        };
    }

    /// Reads them. Paths are relative to the file `path`, which has this text. Returns what to warn of: a file that is named by its whole
    /// path, and may be on the machine that the policy is for.
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
            let (Named::TrustedRoot(file) | Named::TufRoot(file) | Named::Other(_, file)) = named;
            let place = directory.join(file);
            if file.is_absolute() && !place.exists() {
                warnings.push(format!(
                    "{} is not on this machine; where the file is used, every image would be refused without it",
                    file.display()
                ));
                continue;
            }
            if let Err(failure) = named.read(&place) {
                let at = place_of(file, text);
                let message = format!("{}{at}: {}", path.display(), failure.line());
                let hint = failure
                    .hints()
                    .first()
                    .map_or_else(String::new, |hint| format!("{hint}; "));
                failures.push(Failure::new(failure.kind, message).hint(format!(
                    "{hint}a path that does not begin with `/` is relative to {}",
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

impl Named {
    fn read(&self, place: &Path) -> Result<(), Failure> {
        match self {
            Self::TrustedRoot(_) => {
                let text = read_text(place, "trusted root")?;
                TrustedRoot::from_json(&place.display().to_string(), &text)?;
            }
            Self::TufRoot(_) => {
                read_root(place)?;
            }
            Self::Other(key, _) => {
                std::fs::File::open(place)
                    .map_err(|error| Failure::unreadable(place, key, error))?;
            }
        }
        Ok(())
    }
}
